//! Which segments a checkpoint has, and which of their blocks: a block of the checkpoint's own.
//!
//! ```text
//! tables:    u32 number | table ...
//! table:     u32 table | u32 segments | segment ... | u32 fragments | fragment ...
//! segment:   u64 epoch | u64 bytes | u64 rows | u32 checksum of its footer
//! fragment:  u32 bucket | u32 next slot | u32 parts | part ...
//! part:      u64 epoch | u32 first block | u32 blocks
//! ```

use crate::format::{u32_at, u64_at};
use crate::segment::SegmentName;

/// A segment, as a checkpoint names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    /// The epoch of the checkpoint that it was written for.
    pub epoch: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Its footer's checksum: another file in its place is noticed.
    pub checksum: u32,
}

/// Blocks of a segment that are a fragment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The segment's epoch.
    pub epoch: u64,
    /// The number of the first block.
    pub first: u32,
    /// How many.
    pub blocks: u32,
}

/// What has left memory of the rows of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpooledFragment {
    /// The bucket.
    pub bucket: u16,
    /// The first row slot that never held a row.
    pub next_slot: u32,
    /// Where the rows lie, the oldest first.
    pub parts: Vec<Part>,
}

/// What has left memory of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpooledTable {
    /// The table's number.
    pub table: u32,
    /// Its segments.
    pub segments: Vec<SegmentRef>,
    /// Its buckets.
    pub fragments: Vec<SpooledFragment>,
}

impl SpooledTable {
    /// The names of its segments.
    pub fn names(&self) -> impl Iterator<Item = SegmentName> + '_ {
        self.named().map(|(name, _)| name)
    }

    /// Its segments by name.
    pub fn named(&self) -> impl Iterator<Item = (SegmentName, SegmentRef)> + '_ {
        let name = |segment: &SegmentRef| SegmentName { table: self.table, epoch: segment.epoch };
        self.segments.iter().map(move |segment| (name(segment), *segment))
    }
}

pub(crate) fn encode(tables: &[SpooledTable]) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |count: usize, out: &mut Vec<u8>| out.extend((count as u32).to_le_bytes());
    number(tables.len(), &mut out);
    for table in tables {
        out.extend(table.table.to_le_bytes());
        number(table.segments.len(), &mut out);
        for segment in &table.segments {
            for word in [segment.epoch, segment.bytes, segment.rows] {
                out.extend(word.to_le_bytes());
            }
            out.extend(segment.checksum.to_le_bytes());
        }
        number(table.fragments.len(), &mut out);
        for fragment in &table.fragments {
            out.extend(u32::from(fragment.bucket).to_le_bytes());
            out.extend(fragment.next_slot.to_le_bytes());
            number(fragment.parts.len(), &mut out);
            for part in &fragment.parts {
                out.extend(part.epoch.to_le_bytes());
                out.extend(part.first.to_le_bytes());
                out.extend(part.blocks.to_le_bytes());
            }
        }
    }
    out
}

/// What the bytes say, `None` when they are not whole or name a segment that is not there.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<SpooledTable>> {
    let mut reader = Bytes { bytes, at: 0 };
    let mut tables = Vec::new();
    for _ in 0..reader.count(12)? {
        let mut table = SpooledTable { table: reader.u32()?, ..SpooledTable::default() };
        for _ in 0..reader.count(28)? {
            let (epoch, bytes, rows) = (reader.u64()?, reader.u64()?, reader.u64()?);
            table.segments.push(SegmentRef { epoch, bytes, rows, checksum: reader.u32()? });
        }
        for _ in 0..reader.count(12)? {
            let bucket = u16::try_from(reader.u32()?).ok()?;
            let mut fragment = SpooledFragment { bucket, next_slot: reader.u32()?, parts: Vec::new() };
            for _ in 0..reader.count(16)? {
                let part = Part { epoch: reader.u64()?, first: reader.u32()?, blocks: reader.u32()? };
                table.segments.iter().find(|segment| segment.epoch == part.epoch)?;
                fragment.parts.push(part);
            }
            table.fragments.push(fragment);
        }
        tables.push(table);
    }
    (reader.at == bytes.len()).then_some(tables)
}

struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn u32(&mut self) -> Option<u32> {
        self.at += 4;
        u32_at(self.bytes, self.at - 4)
    }

    fn u64(&mut self) -> Option<u64> {
        self.at += 8;
        u64_at(self.bytes, self.at - 8)
    }

    /// A number of things of which each takes so many bytes at least.
    fn count(&mut self, least: usize) -> Option<usize> {
        let count = self.u32()? as usize;
        (count <= self.bytes.len().saturating_sub(self.at) / least).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_back_and_cut_ones_do_not() {
        let part = |epoch| Part { epoch, first: 3, blocks: 4 };
        let segment = |epoch| SegmentRef { epoch, bytes: 5, rows: 6, checksum: 7 };
        let fragment = |bucket, parts| SpooledFragment { bucket, next_slot: 512, parts };
        let tables = vec![
            SpooledTable {
                table: 17,
                segments: vec![segment(1), segment(2)],
                fragments: vec![fragment(0, vec![part(1), part(2)]), fragment(63, vec![])],
            },
            SpooledTable { table: 18, ..SpooledTable::default() },
        ];
        let bytes = encode(&tables);
        assert_eq!(decode(&bytes), Some(tables.clone()));
        (0..bytes.len()).for_each(|end| assert_eq!(decode(&bytes[..end]), None, "cut at {end}"));
        let mut unknown = tables;
        unknown[0].fragments[0].parts[0].epoch = 9;
        assert_eq!(decode(&encode(&unknown)), None);
    }
}
