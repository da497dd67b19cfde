//! sqllogictest files on the engine, over the wire and on PostgreSQL.
//!
//! One file, three backends, the same answers: PostgreSQL's, which wrote them (`tuplix-slt complete`). A record that the
//! engine answers otherwise is listed in `known-failures.txt`, a list that may only shrink. docs/testing.md shows how
//! to write a file.
//!
//! ```text
//!   backend   engine | wire | PostgreSQL: a database for a file, clients on it     column   one letter a column type
//!   runner    a file on a backend: the records that fail                           known    those that may
//!   complete  PostgreSQL's answers into a file
//! ```

pub mod backend;
mod column;
pub mod complete;
pub mod corpus;
pub mod known;
mod runner;

use std::path::{Path, PathBuf};

pub use column::Column;
pub use runner::{Failure, run_file};

/// The folder with the files.
pub fn files_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files")
}

/// The list of known failures.
pub fn known_failures_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("known-failures.txt")
}

/// Every file, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub fn files() -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(files_folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
