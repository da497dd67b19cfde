//! Backups: a checkpoint and the log after it, copied while the node runs or not, and data directories made of them.
//!
//! ```text
//! data directory --source--> files --sink--> directory or tar stream      backup
//! directory or tar stream --check against the manifest, cut at a moment--> data directory      restore
//! ```
//!
//! A copy is consistent without stopping anybody: a checkpoint is whole by itself, the log has a checksum for each epoch, and epochs are
//! whole transactions. What was being written while it was copied is cut off. `backup.json` has the length and checksum of every file and
//! says which epochs, and so which moments, a restore can reach.

mod manifest;
mod restore;
mod sink;
mod source;
mod verify;

pub use manifest::{FileEntry, MANIFEST, Manifest, Reach};
pub use restore::{Restored, Until, restore_directory, restore_tar};
pub use source::{Scope, backup_to_directory, backup_to_tar};
pub use verify::{Verified, verify};

pub(crate) use tuplix_checkpoint::disk_error;
use tuplix_types::{SqlError, sqlstate};

/// The file that says what a data directory is.
pub(crate) const IDENTITY: &str = "node.json";
/// The folder of the log.
pub(crate) const LOG: &str = "log";
/// The folder of rows that have left memory.
pub(crate) const HISTORY: &str = "history";
/// The folder of checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoint";

pub(crate) fn io(what: &str, error: &std::io::Error) -> SqlError {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let code = if full { sqlstate::DISK_FULL } else { sqlstate::IO_ERROR };
    SqlError::new(code, format!("{what}: {error}"))
}

pub(crate) fn damaged(what: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, what.into())
}

pub(crate) fn refused(what: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, what.into())
}
