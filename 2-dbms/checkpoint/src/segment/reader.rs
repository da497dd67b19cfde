//! Reads a segment: the footer when it is opened, blocks when somebody asks for their rows.

use std::sync::Arc;

use tuplix_machine::{Disk, File, OpenMode};
use tuplix_storage::{CHUNK_ROWS, ColumnData, LoadedChunk, LoadedColumn, RowBits, RowId, SharedChunk};
use tuplix_types::{Result, TypeId};

use super::column;
use super::folder::{SegmentName, segment_file_name};
use super::format::{
    BLOCK_HEADER, BlockInfo, Footer, HEADER, MAX_LENGTH, SegmentHeader, TRAILER, Trailer, damaged,
    encode_block,
};
use super::references::SegmentRef;
use crate::error;
use crate::format::u32_at;

/// A segment that is open.
#[derive(Debug)]
pub struct Segment {
    file: Box<dyn File>,
    path: String,
    header: SegmentHeader,
    salt: u32,
    footer: Footer,
    length: u64,
}

/// A block in memory, its checksum verified.
#[derive(Clone, Debug)]
pub struct SegmentBlock {
    payload: Arc<[u8]>,
}

impl SegmentBlock {
    /// Bytes of it.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }
}

impl Segment {
    /// Opens a segment in the folder that is `disk`'s root. `node_id` refuses those of other nodes.
    ///
    /// # Errors
    /// XX001 when the file is damaged anywhere but in its blocks, 0A000 for another format version, 58030 when the disk fails or the
    /// file is not there.
    pub fn open(disk: &dyn Disk, name: SegmentName, node_id: u64) -> Result<Segment> {
        let file = disk.open(&segment_file_name(name), OpenMode::Read);
        Segment::from_file(file.map_err(|error| error::disk_error(&error))?, name, node_id)
    }

    /// A segment in a file: one that is open, or one of [`SegmentFiles`](super::SegmentFiles), which is opened again for each read that
    /// comes after others took its place.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn from_file(file: Box<dyn File>, name: SegmentName, node_id: u64) -> Result<Segment> {
        let disk_error = |error| error::disk_error(&error);
        let path = file.path().to_owned();
        let length = file.len().map_err(disk_error)?;
        let mut bytes = [0; HEADER];
        let count = file.read_at(0, &mut bytes).map_err(disk_error)?;
        let (header, salt, version) = SegmentHeader::decode(&bytes[..count], &path)?;
        if (header.node_id, header.table, header.epoch) != (node_id, name.table, name.epoch) {
            return Err(damaged(&path, 16, "it is another node's, or another table's or epoch's"));
        }
        let at = length.saturating_sub(TRAILER as u64);
        let mut bytes = [0; TRAILER];
        let count = file.read_at(at, &mut bytes).map_err(disk_error)?;
        let trailer = Trailer::decode(&bytes[..count], salt, header.columns);
        let fits = |trailer: &Trailer| {
            trailer.offset.checked_add(trailer.length) == Some(at) && trailer.length < MAX_LENGTH
        };
        let Some(trailer) = trailer.filter(fits) else {
            return Err(damaged(&path, at, "its end is missing or damaged"));
        };
        let mut bytes = vec![0; trailer.length as usize];
        file.read_exact_at(trailer.offset, &mut bytes).map_err(disk_error)?;
        let footer = (crc32c::crc32c_append(salt, &bytes) == trailer.checksum)
            .then(|| Footer::decode(&bytes, version, header.columns, &trailer))
            .flatten();
        let Some(footer) = footer else {
            return Err(damaged(&path, trailer.offset, "the footer does not fit its checksum or the blocks"));
        };
        Ok(Segment { file, path, header, salt, footer, length })
    }

    /// What the segment says of itself.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Its file.
    pub fn file(&self) -> &dyn File {
        &*self.file
    }

    /// The file's path, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// As a checkpoint names it.
    pub fn reference(&self) -> SegmentRef {
        SegmentRef {
            epoch: self.header.epoch,
            bytes: self.length,
            rows: self.footer.rows,
            checksum: self.footer.checksum,
        }
    }

    /// Its blocks.
    pub fn blocks(&self) -> &[BlockInfo] {
        &self.footer.blocks
    }

    /// Reads a block.
    ///
    /// # Errors
    /// XX001 when it is damaged, 58030 when the disk fails.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn read(&self, number: u32) -> Result<SegmentBlock> {
        let info = &self.footer.blocks[number as usize];
        let at = info.offset - BLOCK_HEADER as u64;
        let mut bytes = vec![0; BLOCK_HEADER + info.length as usize];
        match self.file.read_exact_at(at, &mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(damaged(&self.path, at, "the file ends inside a block"));
            }
            Err(error) => return Err(error::disk_error(&error)),
        }
        let (header, payload) = bytes.split_at(BLOCK_HEADER);
        if encode_block(self.salt, number, info.bucket, payload) != *header {
            return Err(damaged(&self.path, at, "a block does not fit its checksum"));
        }
        Ok(SegmentBlock { payload: payload.into() })
    }

    /// Hands the chunks of a block to `each`, with the columns of which `wanted` says so; the others must not be looked at.
    ///
    /// # Errors
    /// XX001 when the bytes are no rows of these types.
    pub fn chunks(
        &self,
        number: u32,
        block: &SegmentBlock,
        types: &[TypeId],
        wanted: &[bool],
    ) -> Result<Vec<SharedChunk>> {
        let at = self.footer.blocks[number as usize].offset;
        self.decode(block, types, wanted).map_err(|reason| damaged(&self.path, at, reason))
    }

    fn decode(
        &self,
        block: &SegmentBlock,
        types: &[TypeId],
        wanted: &[bool],
    ) -> std::result::Result<Vec<SharedChunk>, String> {
        let malformed = || "a block is not rows of the table".to_owned();
        let bytes = &block.payload[..];
        let count = u32_at(bytes, 0).ok_or_else(malformed)? as usize;
        let columns = self.header.columns as usize;
        let start = count.checked_mul(4).and_then(|firsts| firsts.checked_add(4 + 4 * columns));
        let mut at = start.filter(|start| *start <= bytes.len()).ok_or_else(malformed)?;
        if columns != types.len() {
            return Err(format!("it has {columns} columns, the table has {}", types.len()));
        }
        let mut chunks: Vec<Vec<LoadedColumn>> = Vec::new();
        chunks.resize_with(count, || Vec::with_capacity(columns));
        for (column, wanted) in wanted.iter().enumerate().take(columns) {
            let length = u32_at(bytes, 4 + 4 * count + 4 * column).ok_or_else(malformed)? as usize;
            let mut rest = bytes.get(at..at + length).ok_or_else(malformed)?;
            at += length;
            if !wanted {
                let nothing = || LoadedColumn { data: ColumnData::Bool(Vec::new().into()), nulls: None };
                chunks.iter_mut().for_each(|chunk| chunk.push(nothing()));
                continue;
            }
            for chunk in &mut chunks {
                chunk.push(column::decode(&mut rest).map_err(|reason| reason.to_string())?);
            }
        }
        let chunks = chunks.into_iter().enumerate().map(|(number, columns)| {
            let first = u32_at(bytes, 4 + 4 * number).ok_or_else(malformed)?;
            let live: RowBits = [u64::MAX; CHUNK_ROWS / 64];
            let loaded = LoadedChunk { first: RowId(first), live, columns };
            SharedChunk::loaded(loaded, types, wanted).map_err(|bad| bad.to_string())
        });
        chunks.collect()
    }

    /// Reads all blocks and checks them.
    ///
    /// # Errors
    /// XX001 when one is damaged, 58030 when the disk fails.
    pub fn verify(&self) -> Result<()> {
        (0..self.footer.blocks.len() as u32).try_for_each(|number| self.read(number).map(|_| ()))
    }
}
