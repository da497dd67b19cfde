//! The bytes around a segment's columns: header, block headers, footer. `docs/formats/segment.md` has every field.

use tuplix_storage::CHUNK_ROWS;
use tuplix_types::{SqlError, sqlstate};

use super::writer::SEGMENT_BLOCK_CHUNKS;
use crate::format::{u32_at, u64_at};

/// The format this program writes.
pub(super) const VERSION: u32 = 2;
/// The first one, which it reads too: footers do not say yet which row slots a block's chunks had.
const VERSION_WITHOUT_SLOTS: u32 = 1;
const MAGIC: [u8; 8] = *b"TUPLXSEG";
pub(super) const HEADER: usize = 64;
const BLOCK_MAGIC: [u8; 4] = *b"SEGB";
pub(super) const BLOCK_HEADER: usize = 24;
const FOOTER_MAGIC: [u8; 4] = *b"SEGF";
/// The last bytes of the file, which say where the footer is.
pub(super) const TRAILER: usize = 40;
/// A column's flags in the footer.
const HAS_BOUNDS: u8 = 1;
const COMPLETE: u8 = 2;
/// The longest block, and the longest footer, that a reader takes into memory.
pub(super) const MAX_LENGTH: u64 = 1 << 31;

/// Smallest and largest value of an integer column; `None`: it has no value, or is of another type.
pub type Bounds = Option<(i64, i64)>;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The node whose rows they are.
    pub node_id: u64,
    /// The table's number.
    pub table: u32,
    /// How many columns it has.
    pub columns: u32,
    /// The epoch of the checkpoint that it was written for.
    pub epoch: u64,
}

/// Where a block is, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// The bucket of its rows.
    pub bucket: u16,
    /// Its rows.
    pub rows: u32,
    /// Length of its payload.
    pub length: u32,
    /// The first row slot that each of its chunks had; empty in segments that did not say yet.
    pub slots: Box<[u32]>,
    /// Of each column; `None` too where a column is of no such type.
    pub bounds: Box<[Bounds]>,
    /// Of each column, whether it is known that none of its values is NULL; false too in segments that did not say yet.
    pub complete: Box<[bool]>,
    pub(super) offset: u64,
}

/// The footer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) blocks: Vec<BlockInfo>,
    pub(super) rows: u64,
    pub(super) checksum: u32,
}

pub(super) struct Trailer {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) rows: u64,
    pub(super) checksum: u32,
}

pub(super) fn damaged(path: &str, offset: u64, reason: impl std::fmt::Display) -> SqlError {
    let message = format!("segment \"{path}\" is damaged at byte {offset}: {reason}");
    SqlError::new(sqlstate::DATA_CORRUPTED, message).hint(
        "Put an intact copy of the file in place from a backup. Other tables and segments are not affected.",
    )
}

impl SegmentHeader {
    pub(super) fn encode(&self, salt: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.node_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.table.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.columns.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header, its salt and the format's version.
    ///
    /// # Errors
    /// XX001 when the bytes are no intact header, 0A000 when they are one of another format version.
    pub(super) fn decode(bytes: &[u8], path: &str) -> Result<(SegmentHeader, u32, u32), SqlError> {
        let damaged = || damaged(path, 0, "its header is missing or damaged");
        let header = bytes.get(..HEADER).ok_or_else(damaged)?;
        let checksum = crc32c::crc32c(&header[..HEADER - 4]);
        if header[..8] != MAGIC || u32_at(header, HEADER - 4) != Some(checksum) {
            return Err(damaged());
        }
        let number = |at| u32_at(header, at).unwrap_or(0);
        let version = number(8);
        if !(VERSION_WITHOUT_SLOTS..=VERSION).contains(&version) {
            let message = format!(
                "segment \"{path}\" has format version {version}, this program reads versions {VERSION_WITHOUT_SLOTS} to {VERSION}"
            );
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let word = |at| u64_at(header, at).unwrap_or(0);
        let header =
            SegmentHeader { node_id: word(16), epoch: word(24), table: number(32), columns: number(36) };
        Ok((header, number(12), version))
    }
}

/// The header of a block.
pub(super) fn encode_block(salt: u32, number: u32, bucket: u16, payload: &[u8]) -> [u8; BLOCK_HEADER] {
    let mut bytes = [0; BLOCK_HEADER];
    bytes[..4].copy_from_slice(&BLOCK_MAGIC);
    bytes[4..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..12].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes[12..16].copy_from_slice(&u32::from(bucket).to_le_bytes());
    bytes[16..20].copy_from_slice(&crc32c::crc32c_append(salt, payload).to_le_bytes());
    let checksum = crc32c::crc32c_append(salt, &bytes[..BLOCK_HEADER - 4]);
    bytes[BLOCK_HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

impl Footer {
    /// Its bytes, and the trailer's when it lies at `offset`.
    pub(super) fn encode(&mut self, salt: u32, columns: u32, offset: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for block in &self.blocks {
            bytes.extend(block.offset.to_le_bytes());
            bytes.extend(block.length.to_le_bytes());
            bytes.extend(block.rows.to_le_bytes());
            bytes.extend(u32::from(block.bucket).to_le_bytes());
            block.slots.iter().for_each(|first| bytes.extend(first.to_le_bytes()));
            for (bounds, complete) in block.bounds.iter().zip(&block.complete) {
                let (low, high) = bounds.unwrap_or_default();
                let flag = |set: bool, flag: u8| if set { flag } else { 0 };
                bytes.push(flag(bounds.is_some(), HAS_BOUNDS) | flag(*complete, COMPLETE));
                bytes.extend(low.to_le_bytes());
                bytes.extend(high.to_le_bytes());
            }
        }
        self.checksum = crc32c::crc32c_append(salt, &bytes);
        let mut trailer = [0; TRAILER];
        trailer[..4].copy_from_slice(&FOOTER_MAGIC);
        trailer[4..8].copy_from_slice(&columns.to_le_bytes());
        trailer[8..16].copy_from_slice(&offset.to_le_bytes());
        trailer[16..24].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        trailer[24..32].copy_from_slice(&self.rows.to_le_bytes());
        trailer[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &trailer[..TRAILER - 4]);
        trailer[TRAILER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes.extend(trailer);
        bytes
    }

    /// The blocks that the bytes name, `None` when they are no footer.
    pub(super) fn decode(mut bytes: &[u8], version: u32, columns: u32, trailer: &Trailer) -> Option<Footer> {
        let width = 17 * columns as usize;
        let mut footer = Footer { rows: trailer.rows, checksum: trailer.checksum, ..Footer::default() };
        let mut rows = 0;
        let mut end = HEADER as u64;
        while !bytes.is_empty() {
            let (entry, rest) = bytes.split_at_checked(20)?;
            let (offset, length) = (u64_at(entry, 0)?, u32_at(entry, 8)?);
            let chunks = if version == VERSION_WITHOUT_SLOTS { 0 } else { chunks(u32_at(entry, 12)?)? };
            let (slots, rest) = rest.split_at_checked(4 * chunks)?;
            let (of_columns, rest) = rest.split_at_checked(width)?;
            bytes = rest;
            // They lie one behind the other.
            if offset != end + BLOCK_HEADER as u64 {
                return None;
            }
            end = offset.checked_add(u64::from(length)).filter(|end| *end <= trailer.offset)?;
            rows += u64::from(u32_at(entry, 12)?);
            let bounds = of_columns.chunks_exact(17).map(|bounds| {
                let (low, high) = (u64_at(bounds, 1)?.cast_signed(), u64_at(bounds, 9)?.cast_signed());
                Some((bounds[0] & HAS_BOUNDS != 0).then_some((low, high)))
            });
            let complete = of_columns.chunks_exact(17).map(|column| column[0] & COMPLETE != 0);
            footer.blocks.push(BlockInfo {
                bucket: u16::try_from(u32_at(entry, 16)?).ok()?,
                rows: u32_at(entry, 12)?,
                length,
                slots: (0..chunks).map(|number| u32_at(slots, 4 * number)).collect::<Option<_>>()?,
                bounds: bounds.collect::<Option<_>>()?,
                complete: complete.collect(),
                offset,
            });
        }
        (rows == trailer.rows && end == trailer.offset).then_some(footer)
    }
}

/// How many full chunks so many rows are, `None` when they are no such number.
fn chunks(rows: u32) -> Option<usize> {
    let chunks = rows as usize / CHUNK_ROWS;
    (rows as usize == chunks * CHUNK_ROWS && chunks <= SEGMENT_BLOCK_CHUNKS).then_some(chunks)
}

impl Trailer {
    /// The trailer of a file of so many columns, `None` when the bytes are none.
    pub(super) fn decode(bytes: &[u8], salt: u32, columns: u32) -> Option<Trailer> {
        let trailer = bytes.get(..TRAILER)?;
        let checksum = crc32c::crc32c_append(salt, &trailer[..TRAILER - 4]);
        let fits = trailer[..4] == FOOTER_MAGIC
            && u32_at(trailer, TRAILER - 4)? == checksum
            && u32_at(trailer, 4)? == columns;
        fits.then_some(Trailer {
            offset: u64_at(trailer, 8)?,
            length: u64_at(trailer, 16)?,
            rows: u64_at(trailer, 24)?,
            checksum: u32_at(trailer, 32)?,
        })
    }
}
