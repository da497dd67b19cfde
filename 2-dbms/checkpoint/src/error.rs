//! What users read when a checkpoint is wrong: what, where, what to do.

use tuplix_machine::DiskError;
use tuplix_types::{SqlError, sqlstate};

use crate::format::FORMAT_VERSION;

/// A disk operation failed: 53100 when the disk is full, else 58030.
pub fn disk_error(error: &DiskError) -> SqlError {
    let code = if error.is_disk_full() { sqlstate::DISK_FULL } else { sqlstate::IO_ERROR };
    SqlError::new(code, error.to_string())
}

/// Bytes are not as they were written.
pub(crate) fn damaged(path: &str, offset: u64, reason: impl std::fmt::Display) -> SqlError {
    SqlError::new(
        sqlstate::DATA_CORRUPTED,
        format!("checkpoint \"{path}\" is damaged at byte {offset}: {reason}"),
    )
}

/// A checkpoint in a format that this program does not know.
pub(crate) fn other_version(path: &str, version: u32) -> SqlError {
    let message = format!(
        "checkpoint \"{path}\" has format version {version}, this program reads version {FORMAT_VERSION}"
    );
    let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
    if version > FORMAT_VERSION {
        error.hint("The data directory was written by a newer Tuplix: start that one.")
    } else {
        error.hint("The data directory was written by an older Tuplix: start that one, back it up, and restore the backup with this one.")
    }
}

/// A checkpoint of another node.
pub(crate) fn other_node(path: &str, found: u64, expected: u64) -> SqlError {
    let message =
        format!("checkpoint \"{path}\" belongs to node {found:016x}, not to this node {expected:016x}");
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Move the checkpoint to the data directory it came from.")
}
