//! The folder of segments: a file each, named by its table and the epoch of the checkpoint that it was written for.

use tuplix_machine::{Disk, DiskResult};

use crate::new_file::remove_ending;

/// The end of a finished segment's name.
const SUFFIX: &str = ".segment";
/// The end of the name of one that is being written.
const UNFINISHED: &str = ".segment.new";

/// Which segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The table's number.
    pub table: u32,
    /// The epoch of the checkpoint that it was written for.
    pub epoch: u64,
}

/// The file name of a segment.
pub fn segment_file_name(name: SegmentName) -> String {
    format!("{:010}-{:020}{SUFFIX}", name.table, name.epoch)
}

pub(super) fn unfinished_name(name: SegmentName) -> String {
    format!("{:010}-{:020}{UNFINISHED}", name.table, name.epoch)
}

/// The segment with this file name.
fn parse(name: &str) -> Option<SegmentName> {
    let (table, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(table, 10) || !digits(epoch, 20) {
        return None;
    }
    Some(SegmentName { table: table.parse().ok()?, epoch: epoch.parse().ok()? })
}

/// The segments in the folder that is `disk`'s root.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_segments(disk: &dyn Disk) -> DiskResult<Vec<SegmentName>> {
    Ok(disk.list("")?.iter().filter_map(|name| parse(name)).collect())
}

/// Removes what was interrupted while it was written.
///
/// # Errors
/// When the disk fails.
pub fn remove_unfinished_segments(disk: &dyn Disk) -> DiskResult<()> {
    remove_ending(disk, UNFINISHED).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let name = SegmentName { table: 17, epoch: u64::MAX };
        assert_eq!(parse(&segment_file_name(name)), Some(name));
        assert_eq!(parse(&unfinished_name(name)), None);
        assert_eq!(parse("17-4.segment"), None);
    }
}
