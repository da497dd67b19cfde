//! The folder of checkpoints: a file each, named by its epoch in 20 digits.

use tuplix_machine::{Disk, DiskResult};

use crate::new_file::remove_ending;

/// The end of a finished checkpoint's name.
const SUFFIX: &str = ".checkpoint";
/// The end of the name of one that is being written.
const UNFINISHED: &str = ".checkpoint.new";

/// The name of the checkpoint of an epoch.
pub fn file_name(epoch: u64) -> String {
    format!("{epoch:020}{SUFFIX}")
}

pub(crate) fn unfinished_name(epoch: u64) -> String {
    format!("{epoch:020}{UNFINISHED}")
}

/// The epoch of the checkpoint with this file name.
pub fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Epochs of the checkpoints in the folder that is `disk`'s root, the newest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(disk: &dyn Disk) -> DiskResult<Vec<u64>> {
    let mut epochs: Vec<u64> = disk.list("")?.iter().filter_map(|name| parse_name(name)).collect();
    epochs.sort_unstable_by(|left, right| right.cmp(left));
    Ok(epochs)
}

/// Removes checkpoints, durably.
///
/// # Errors
/// When the disk fails; some may be gone then.
pub fn remove(disk: &dyn Disk, epochs: &[u64]) -> DiskResult<()> {
    for epoch in epochs {
        disk.remove(&file_name(*epoch))?;
    }
    if epochs.is_empty() { Ok(()) } else { disk.sync_dir("") }
}

/// Removes what a checkpoint left that was interrupted, and says how many there were.
///
/// # Errors
/// When the disk fails.
pub fn remove_unfinished(disk: &dyn Disk) -> DiskResult<usize> {
    remove_ending(disk, UNFINISHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        assert_eq!(parse_name(&file_name(17)), Some(17));
        assert_eq!(parse_name(&file_name(u64::MAX)), Some(u64::MAX));
        assert_eq!(parse_name(&unfinished_name(17)), None);
        assert_eq!(parse_name("17.checkpoint"), None);
    }
}
