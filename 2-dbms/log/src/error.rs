//! What users read when the log fails: what, where, what to do.

use tuplix_machine::DiskError;
use tuplix_types::{SqlError, sqlstate};

use crate::format::FORMAT_VERSION;

const RECOVER_HINT: &str = "Nothing is acknowledged any more, since memory is ahead of the log. Check the disk, then \
                            restart the node: it recovers every acknowledged commit.";

/// A disk operation on the log failed while it was opened or read.
pub(crate) fn disk(error: &DiskError) -> SqlError {
    let code = if error.is_disk_full() { sqlstate::DISK_FULL } else { sqlstate::IO_ERROR };
    SqlError::new(code, error.to_string())
}

/// A disk operation failed while epochs were written: the log has stopped.
pub(crate) fn stopped(error: &DiskError) -> SqlError {
    if error.is_disk_full() {
        return SqlError::new(sqlstate::DISK_FULL, format!("the log has stopped: {error}"))
            .hint("Free space on the disk of the data directory, then restart the node: it recovers every acknowledged commit.");
    }
    SqlError::new(sqlstate::IO_ERROR, format!("the log has stopped: {error}")).hint(RECOVER_HINT)
}

/// The log was closed.
pub(crate) fn closed() -> SqlError {
    SqlError::new(sqlstate::ADMIN_SHUTDOWN, "the log is closed: the node is shutting down")
}

/// Bytes that were written once are not as they were written.
pub(crate) fn damaged(path: &str, offset: u64, reason: impl std::fmt::Display) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, format!("log segment \"{path}\" is damaged at byte {offset}: {reason}"))
        .detail("Epochs after the damaged one are there, so this is no interrupted write; nothing was skipped or changed.")
        .hint("Put an intact copy of the segment in place, or restore a backup with \"tuplix restore\". \"tuplix log dump\" lists what is readable before the damage.")
}

/// A segment that should be there is not.
pub(crate) fn missing(path: &str, has: u64, wants: u64) -> SqlError {
    let message = format!(
        "log segment \"{path}\" continues after epoch {wants}, but the log before it ends at epoch {has}"
    );
    SqlError::new(sqlstate::DATA_CORRUPTED, message)
        .hint("A segment was removed. Put it back, or restore a backup with \"tuplix restore\".")
}

/// A segment in a format that this program does not know.
pub(crate) fn other_version(path: &str, version: u32) -> SqlError {
    let message = format!(
        "log segment \"{path}\" has format version {version}, this program reads version {FORMAT_VERSION}"
    );
    let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
    if version > FORMAT_VERSION {
        error.hint("The data directory was written by a newer Tuplix: start that one.")
    } else {
        error.hint("The data directory was written by an older Tuplix: start that one, let it checkpoint, then start this one.")
    }
}

/// A segment of another node's log.
pub(crate) fn other_node(path: &str, found: u64, expected: u64) -> SqlError {
    let message =
        format!("log segment \"{path}\" belongs to node {found:016x}, not to this node {expected:016x}");
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Move the segment to the data directory it came from.")
}

/// The buffer stayed full.
pub(crate) fn full(limit: u64) -> SqlError {
    SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, format!("the log's buffer of {limit} bytes is full"))
        .detail("Commits come faster than the disk writes them.")
        .hint("Try again, or use fewer clients.")
}

/// A transaction's record is over the limit.
pub(crate) fn too_large(bytes: usize, limit: usize) -> SqlError {
    SqlError::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!(
            "the transaction changes too much at once: its log record has {bytes} bytes, the limit is {limit}"
        ),
    )
    .hint("Split it into several transactions.")
}
