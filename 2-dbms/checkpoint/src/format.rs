//! The bytes around rows: the file's header, the blocks' headers, the end. `docs/formats/checkpoint.md` has every field.
//!
//! ```text
//! file:   header | block | block | ... | end block
//! block:  header | payload
//! ```
//!
//! Every checksum but the header's own starts from the file's random salt, and every block says which it is: bytes of another file,
//! or of another place in this one, are never taken for what should be there.

use tuplix_types::SqlError;

use crate::error;

/// The format of a checkpoint that refers to segments.
pub const FORMAT_VERSION: u32 = 2;
/// The format of one that refers to none: what has no history is read by older programs too.
const WITHOUT_SEGMENTS: u32 = 1;

/// First bytes of a checkpoint.
const MAGIC: [u8; 8] = *b"TUPLXCKP";
/// Length of the file's header.
pub(crate) const HEADER: usize = 64;
/// First bytes of a block.
const BLOCK_MAGIC: [u8; 4] = *b"BLCK";
/// Length of a block's header.
pub(crate) const BLOCK_HEADER: usize = 40;
/// Length of the end block's payload.
pub(crate) const END_PAYLOAD: usize = 24;
/// The longest payload: what a reader is ready to have in memory at once.
pub(crate) const MAX_PAYLOAD: u64 = 4 << 30;

/// What a checkpoint says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The node whose rows they are.
    pub node_id: u64,
    /// The last epoch of the log that is in it.
    pub epoch: u64,
    /// No commit in it has a larger timestamp.
    pub last_commit: u64,
    /// When the epoch was closed, in microseconds since 2000-01-01 UTC.
    pub created_us: i64,
    /// Whether it refers to segments.
    pub has_segments: bool,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Catalog,
    Rows,
    End,
    Segments,
}

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
    pub(crate) length: u64,
    /// Table and bucket of rows.
    pub(crate) table: u32,
    pub(crate) bucket: u32,
    pub(crate) checksum: u32,
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Header {
    pub(crate) fn encode(&self, salt: u32) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        let version = if self.has_segments { FORMAT_VERSION } else { WITHOUT_SEGMENTS };
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        bytes[12..16].copy_from_slice(&salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.node_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.last_commit.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_us.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header and its salt.
    ///
    /// # Errors
    /// XX001 when the bytes are no intact header, 0A000 when it is intact and of another format version.
    pub(crate) fn decode(bytes: &[u8], path: &str) -> Result<(Header, u32), SqlError> {
        let damaged = || error::damaged(path, 0, "its header is missing or damaged");
        let header = bytes.get(..HEADER).ok_or_else(damaged)?;
        let checksum = crc32c::crc32c(&header[..HEADER - 4]);
        if header[..8] != MAGIC || u32_at(header, HEADER - 4) != Some(checksum) {
            return Err(damaged());
        }
        let version = u32_at(header, 8).unwrap_or(0);
        if version != FORMAT_VERSION && version != WITHOUT_SEGMENTS {
            return Err(error::other_version(path, version));
        }
        let word = |at| u64_at(header, at).unwrap_or(0);
        let header = Header {
            node_id: word(16),
            epoch: word(24),
            last_commit: word(32),
            created_us: word(40).cast_signed(),
            has_segments: version == FORMAT_VERSION,
        };
        Ok((header, u32_at(bytes, 12).unwrap_or(0)))
    }
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Kind::Catalog => 1,
            Kind::Rows => 2,
            Kind::End => 3,
            Kind::Segments => 4,
        }
    }

    fn of(number: u32) -> Option<Kind> {
        [Kind::Catalog, Kind::Rows, Kind::End, Kind::Segments]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

impl BlockHeader {
    pub(crate) fn encode(&self, salt: u32) -> [u8; BLOCK_HEADER] {
        let mut bytes = [0; BLOCK_HEADER];
        bytes[..4].copy_from_slice(&BLOCK_MAGIC);
        bytes[4..8].copy_from_slice(&self.kind.number().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.length.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.table.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.bucket.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.checksum.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[..BLOCK_HEADER - 4]);
        bytes[BLOCK_HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the front of `bytes`, if it is intact.
    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Option<BlockHeader> {
        let header = bytes.get(..BLOCK_HEADER)?;
        let checksum = crc32c::crc32c_append(salt, &header[..BLOCK_HEADER - 4]);
        if header[..4] != BLOCK_MAGIC || u32_at(header, BLOCK_HEADER - 4)? != checksum {
            return None;
        }
        Some(BlockHeader {
            kind: Kind::of(u32_at(header, 4)?)?,
            number: u64_at(header, 8)?,
            length: u64_at(header, 16)?,
            table: u32_at(header, 24)?,
            bucket: u32_at(header, 28)?,
            checksum: u32_at(header, 32)?,
        })
    }
}

/// What the end block says of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) blocks: u64,
    pub(crate) rows: u64,
    /// Over the checksums of all blocks' headers, in order.
    pub(crate) checksum: u32,
}

impl Totals {
    /// Counts a block's header.
    pub(crate) fn add(&mut self, header: &[u8; BLOCK_HEADER]) {
        self.blocks += 1;
        self.checksum = crc32c::crc32c_append(self.checksum, &header[BLOCK_HEADER - 4..]);
    }

    pub(crate) fn encode(&self) -> [u8; END_PAYLOAD] {
        let mut bytes = [0; END_PAYLOAD];
        bytes[..8].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.rows.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Totals> {
        if bytes.len() != END_PAYLOAD || bytes[20..].iter().any(|byte| *byte != 0) {
            return None;
        }
        Some(Totals { blocks: u64_at(bytes, 0)?, rows: u64_at(bytes, 8)?, checksum: u32_at(bytes, 16)? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn headers_come_back_and_every_flipped_bit_is_noticed() {
        let header = Header { node_id: 1, epoch: 2, last_commit: 3, created_us: -4, has_segments: true };
        let bytes = header.encode(9);
        assert_eq!(Header::decode(&bytes, "f").unwrap(), (header, 9));
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&damaged, "f").is_err(), "bit {bit}");
        }
        let block =
            BlockHeader { kind: Kind::Rows, number: 7, length: 8, table: 9, bucket: 10, checksum: 11 };
        let bytes = block.encode(5);
        assert_eq!(BlockHeader::decode(&bytes, 5), Some(block));
        assert_eq!(BlockHeader::decode(&bytes, 6), None);
        for bit in 0..BLOCK_HEADER * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BlockHeader::decode(&damaged, 5), None, "bit {bit}");
        }
    }

    #[test]
    fn other_versions_are_refused() {
        let header = Header { node_id: 1, epoch: 2, last_commit: 3, created_us: 4, has_segments: false };
        let mut bytes = header.encode(9);
        bytes[8] = 3;
        let checksum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..].copy_from_slice(&checksum);
        let error = Header::decode(&bytes, "f").unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "0A000");
    }
}
