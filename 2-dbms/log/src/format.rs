//! The bytes around records: segment headers, epoch frames. `docs/formats/log.md` has every field.
//!
//! ```text
//! segment:  header | frame | frame | ... | zeros (preallocated space)
//! frame:    header | section | section | ... | footer
//! section:  lane, records, length | records of that lane in commit order
//! ```
//!
//! Checksums are CRC-32C; those of frames start from the segment's salt (its header's from 0), so that bytes of other logs (recycled blocks, a log
//! stored as data in a table) are never taken for frames of this one.

use tuplix_types::SqlError;

use crate::error;

/// The format this program writes; it reads this one only, there is no older.
pub const FORMAT_VERSION: u32 = 1;

/// First bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"TUPLXLOG";
/// Length of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 64;
/// The same, of the file.
pub const SEGMENT_HEADER_BYTES: u64 = SEGMENT_HEADER as u64;
/// First bytes of an epoch frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"EPOC";
/// Length of a frame's header.
pub(crate) const FRAME_HEADER: usize = 56;
/// Length of a frame's footer.
pub(crate) const FRAME_FOOTER: usize = 16;
/// First bytes of a frame's footer.
pub(crate) const FOOTER_MAGIC: [u8; 4] = *b"EEND";
/// Length of a section's header.
pub(crate) const SECTION_HEADER: usize = 16;
/// The "lane" of the section that defines contexts.
pub(crate) const DEFINITIONS: u32 = u32::MAX;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The node whose log it is.
    pub node_id: u64,
    /// The first epoch that may be in it; also its name.
    pub first_epoch: u64,
    /// The last epoch written before it, 0 for none.
    pub previous_epoch: u64,
    /// When it was made, in microseconds since 2000-01-01 UTC.
    pub created_us: i64,
    /// Where the checksums of its frames start from.
    pub salt: u32,
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) epoch: u64,
    /// The epoch of the frame before this one, 0 for the first ever.
    pub(crate) previous_epoch: u64,
    pub(crate) closed_us: i64,
    pub(crate) payload: u64,
    pub(crate) records: u64,
    pub(crate) sections: u32,
}

/// The name of a segment's file.
pub fn segment_name(first_epoch: u64) -> String {
    format!("{first_epoch:020}.log")
}

/// The first epoch in a segment with this file name.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.node_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_epoch.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.previous_epoch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_us.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..SEGMENT_HEADER - 4]);
        bytes[SEGMENT_HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `Ok(None)` when the bytes are no intact header.
    ///
    /// # Errors
    /// 0A000 when the header is intact and of another format version.
    pub(crate) fn decode(bytes: &[u8], path: &str) -> Result<Option<SegmentHeader>, SqlError> {
        let intact = || {
            let header = bytes.get(..SEGMENT_HEADER)?;
            let checksum = u32_at(header, SEGMENT_HEADER - 4)?;
            (header[..8] == SEGMENT_MAGIC && crc32c::crc32c(&header[..SEGMENT_HEADER - 4]) == checksum)
                .then_some(header)
        };
        let Some(header) = intact() else { return Ok(None) };
        let version = u32_at(header, 8).unwrap_or(0);
        if version != FORMAT_VERSION {
            return Err(error::other_version(path, version));
        }
        let word = |at| u64_at(header, at).unwrap_or(0);
        Ok(Some(SegmentHeader {
            salt: u32_at(header, 12).unwrap_or(0),
            node_id: word(16),
            first_epoch: word(24),
            previous_epoch: word(32),
            created_us: word(40).cast_signed(),
        }))
    }
}

impl FrameHeader {
    pub(crate) fn encode(&self, salt: u32) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[4..8].copy_from_slice(&self.sections.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.previous_epoch.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.closed_us.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.payload.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.records.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[..FRAME_HEADER - 4]);
        bytes[FRAME_HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the front of `bytes`, if it is intact.
    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Option<FrameHeader> {
        let header = bytes.get(..FRAME_HEADER)?;
        let checksum = crc32c::crc32c_append(salt, &header[..FRAME_HEADER - 4]);
        if header[..4] != FRAME_MAGIC || u32_at(header, FRAME_HEADER - 4)? != checksum {
            return None;
        }
        Some(FrameHeader {
            sections: u32_at(header, 4)?,
            epoch: u64_at(header, 8)?,
            previous_epoch: u64_at(header, 16)?,
            closed_us: u64_at(header, 24)?.cast_signed(),
            payload: u64_at(header, 32)?,
            records: u64_at(header, 40)?,
        })
    }
}

/// The footer of a frame whose payload has this checksum.
pub(crate) fn encode_footer(epoch: u64, checksum: u32) -> [u8; FRAME_FOOTER] {
    let mut bytes = [0; FRAME_FOOTER];
    bytes[..4].copy_from_slice(&FOOTER_MAGIC);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes[8..].copy_from_slice(&epoch.to_le_bytes());
    bytes
}

/// The header of a lane's section.
pub(crate) fn encode_section(lane: u32, records: u32, length: usize) -> [u8; SECTION_HEADER] {
    let mut bytes = [0; SECTION_HEADER];
    bytes[..4].copy_from_slice(&lane.to_le_bytes());
    bytes[4..8].copy_from_slice(&records.to_le_bytes());
    bytes[8..].copy_from_slice(&(length as u64).to_le_bytes());
    bytes
}

/// Why bytes are no intact frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFrame {
    Header,
    Short,
    Footer,
    Checksum,
    Order { found_previous: u64 },
}

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadFrame::Header => f.write_str("an epoch's header is missing or damaged"),
            BadFrame::Short => f.write_str("the file ends inside an epoch"),
            BadFrame::Footer => f.write_str("an epoch's footer is missing or damaged"),
            BadFrame::Checksum => f.write_str("an epoch's checksum does not fit its bytes"),
            BadFrame::Order { found_previous } => {
                write!(f, "an epoch follows epoch {found_previous}, which is not there")
            }
        }
    }
}

/// The frame at the front of `bytes`: header, payload and total length.
pub(crate) fn decode_frame(bytes: &[u8], salt: u32) -> Result<(FrameHeader, &[u8], usize), BadFrame> {
    let header = FrameHeader::decode(bytes, salt).ok_or(BadFrame::Header)?;
    let payload = usize::try_from(header.payload).map_err(|_| BadFrame::Short)?;
    let end = FRAME_HEADER.checked_add(payload).ok_or(BadFrame::Short)?;
    let total = end.checked_add(FRAME_FOOTER).ok_or(BadFrame::Short)?;
    let footer = bytes.get(end..total).ok_or(BadFrame::Short)?;
    if footer[..4] != FOOTER_MAGIC || u64_at(footer, 8) != Some(header.epoch) {
        return Err(BadFrame::Footer);
    }
    let payload = &bytes[FRAME_HEADER..end];
    if u32_at(footer, 4) != Some(crc32c::crc32c_append(salt, payload)) {
        return Err(BadFrame::Checksum);
    }
    Ok((header, payload, total))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_sort_by_epoch_and_come_back() {
        assert_eq!(segment_name(17), "00000000000000000017.log");
        assert_eq!(parse_segment_name(&segment_name(u64::MAX)), Some(u64::MAX));
        assert_eq!(parse_segment_name("17.log"), None);
        assert_eq!(parse_segment_name("0000000000000000001x.log"), None);
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed() {
        let payload = b"some bytes of records";
        let header = FrameHeader {
            epoch: 9,
            previous_epoch: 7,
            closed_us: -5,
            payload: payload.len() as u64,
            records: 2,
            sections: 1,
        };
        let mut frame = header.encode(42).to_vec();
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&encode_footer(9, crc32c::crc32c_append(42, payload)));
        assert_eq!(decode_frame(&frame, 42).unwrap(), (header, &payload[..], frame.len()));
        assert_eq!(decode_frame(&frame, 43), Err(BadFrame::Header));
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_frame(&damaged, 42).is_err(), "bit {bit}");
        }
        for end in 0..frame.len() {
            assert!(decode_frame(&frame[..end], 42).is_err());
        }
    }

    #[test]
    fn segment_headers_of_other_versions_are_refused() {
        let header = SegmentHeader { node_id: 1, first_epoch: 2, previous_epoch: 0, created_us: 3, salt: 4 };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes, "f").unwrap(), Some(header));
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes, "f").unwrap(), None, "a wrong checksum is damage first");
        let checksum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..].copy_from_slice(&checksum);
        let error = SegmentHeader::decode(&bytes, "f").unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "0A000");
    }
}
