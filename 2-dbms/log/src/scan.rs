//! What a segment's bytes hold, without its records: for backups, restores to a moment, and checks.

use tuplix_types::Result;

use crate::format::{SEGMENT_HEADER, SegmentHeader, decode_frame, parse_segment_name};
use crate::reader::whole_frame_follows;

/// An epoch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochPlace {
    /// Its number.
    pub number: u64,
    /// The epoch before it.
    pub previous: u64,
    /// When it was closed, in microseconds since 2000-01-01 UTC.
    pub closed_us: i64,
    /// Its records.
    pub records: u64,
    /// Where it ends in the segment.
    pub end: u64,
}

/// A segment's bytes, looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentScan {
    /// The header.
    pub header: SegmentHeader,
    /// Its epochs up to the first thing that is none.
    pub epochs: Vec<EpochPlace>,
    /// Why bytes that are not zero follow the last epoch.
    pub problem: Option<String>,
    /// A whole epoch follows behind that: it is no interrupted write.
    pub is_damaged: bool,
}

impl SegmentScan {
    /// Where the last epoch ends.
    pub fn end(&self) -> u64 {
        self.epochs.last().map_or(SEGMENT_HEADER as u64, |epoch| epoch.end)
    }
}

/// Looks through a segment. `None` when it has no intact header.
///
/// # Errors
/// 0A000 when it is of another format version.
pub fn scan_segment(bytes: &[u8], path: &str) -> Result<Option<SegmentScan>> {
    let Some(header) = SegmentHeader::decode(bytes, path)? else { return Ok(None) };
    let mut scan = SegmentScan { header, epochs: Vec::new(), problem: None, is_damaged: false };
    let mut offset = SEGMENT_HEADER;
    let mut previous = header.previous_epoch;
    while bytes[offset..].iter().any(|byte| *byte != 0) {
        match decode_frame(&bytes[offset..], header.salt) {
            Ok((frame, _, total)) if frame.previous_epoch == previous && frame.epoch > previous => {
                offset += total;
                previous = frame.epoch;
                scan.epochs.push(EpochPlace {
                    number: frame.epoch,
                    previous: frame.previous_epoch,
                    closed_us: frame.closed_us,
                    records: frame.records,
                    end: offset as u64,
                });
            }
            Ok((frame, _, _)) => {
                let reason = format!("epoch {} follows epoch {previous}", frame.epoch);
                scan.problem = Some(format!("at byte {offset}: {reason}"));
                break;
            }
            Err(reason) => {
                scan.problem = Some(format!("at byte {offset}: {reason}"));
                break;
            }
        }
    }
    if scan.problem.is_some() {
        scan.is_damaged = whole_frame_follows(&bytes[offset + 1..], header.salt);
    }
    Ok(Some(scan))
}

/// Of these file names, in order, those of the segments that hold epochs after `after`: the one that `after` may be in is the first.
pub fn segments_after(mut names: Vec<String>, after: u64) -> Vec<String> {
    names.retain(|name| parse_segment_name(name).is_some());
    names.sort();
    let first =
        names.iter().rposition(|name| parse_segment_name(name).is_some_and(|first| first <= after + 1));
    names.split_off(first.unwrap_or(0))
}
