//! What can go wrong with a worker.

use std::io;
use std::path::PathBuf;

use tuplix::SqlError;

/// A worker that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The database refuses it.
    #[error("the worker cannot join: {0}")]
    Database(#[from] SqlError),
    /// Its working directory cannot be used.
    #[error("cannot use {folder} for tasks: {error}", folder = .0.display(), error = .1)]
    WorkDirectory(PathBuf, io::Error),
    /// Its helper process cannot be started.
    #[error("cannot start the helper process {program}: {error}", program = .0.display(), error = .1)]
    Runner(PathBuf, io::Error),
    /// A process of an earlier start does not end.
    #[error("a task of an earlier start still runs and cannot be ended; its folder is {}", .0.display())]
    Orphan(PathBuf),
    /// Another worker has its working directory.
    #[error("another worker works in {}: give each its own", .0.display())]
    InUse(PathBuf),
    /// It offers nothing.
    #[error("a worker needs a core and a bucket at least")]
    Nothing,
}

/// Whether the connection is gone, or the node is.
pub(crate) fn is_lost(error: &SqlError) -> bool {
    let state = error.sqlstate();
    let state = state.as_str();
    state.starts_with("08") || matches!(state, "57P01" | "57P02" | "57P03")
}

/// Whether the transaction is to be tried again as it is.
pub(crate) fn is_transient(error: &SqlError) -> bool {
    // 57014: a cancel that came late, for the attempt before.
    is_conflict(error) || matches!(error.sqlstate().as_str(), "55P03" | "57014")
}

/// Whether a transaction met another one.
pub(crate) fn is_conflict(error: &SqlError) -> bool {
    matches!(error.sqlstate().as_str(), "40001" | "40P01")
}

/// Message, detail and hint in one text.
pub(crate) fn text_of(error: &SqlError) -> String {
    let fields = error.fields();
    let mut text = fields.message.clone();
    for more in [&fields.detail, &fields.hint].into_iter().flatten() {
        text.push(' ');
        text.push_str(more);
    }
    text
}
