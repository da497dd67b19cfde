//! A file on a backend.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sqllogictest::{Normalizer, Record, Runner, strict_column_validator};

use crate::Column;
use crate::backend::{Host, SEPARATOR, connector};

/// A record whose answer is not the one in its file.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The file's name.
    pub file: String,
    /// The statement on one line, with `#2` before it when it is the second of the same text in the file.
    pub statement: String,
    /// Its line.
    pub line: u32,
    /// What came instead.
    pub message: String,
}

/// Runs every record of a file on a database of its own; the records that fail.
///
/// # Errors
/// When the file cannot be parsed or the database cannot be made.
pub fn run_file(host: &Host, path: &Path) -> Result<Vec<Failure>> {
    let file = path.file_name().and_then(|name| name.to_str()).context("the file has no name")?.to_owned();
    let stem = path.file_stem().and_then(|name| name.to_str()).unwrap_or("file");
    let records = sqllogictest::parse_file::<Column>(path)?;
    let database = Arc::new(host.database(stem)?);
    let mut runner = Runner::new(connector(database));
    runner.with_validator(exact);
    runner.with_column_validator(strict_column_validator);
    let mut seen = BTreeMap::new();
    let mut failures = Vec::new();
    for record in records {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        let place = place(&record, &mut seen);
        if let (Err(error), Some((statement, line))) = (runner.run(record), place) {
            failures.push(Failure { file: file.clone(), statement, line, message: error.kind().to_string() });
        }
    }
    Ok(failures)
}

/// What names a record of a file: its statement, counted.
fn place(record: &Record<Column>, seen: &mut BTreeMap<String, u32>) -> Option<(String, u32)> {
    let (Record::Statement { sql, loc, .. } | Record::Query { sql, loc, .. }) = record else { return None };
    let statement = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = seen.entry(statement.clone()).or_insert(0);
    *count += 1;
    let statement = if *count > 1 { format!("#{count} {statement}") } else { statement };
    Some((statement, loc.line()))
}

/// Rows are compared as they are, white space too.
pub(crate) fn exact(_: Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|(row, expected)| row.join(SEPARATOR) == *expected)
}
