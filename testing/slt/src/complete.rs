//! PostgreSQL's answers into a file.
//!
//! What is there is kept where PostgreSQL agrees: only answers change. `statement error` and `query error` get the
//! SQLSTATE; a statement that is expected to succeed and fails is reported, not rewritten.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use sqllogictest::{ExpectedError, QueryExpect, Record, RecordOutput, Runner, StatementExpect};
use tuplix::SqlError;

use crate::Column;
use crate::backend::{Host, SEPARATOR, connector};

/// Rewrites the file with the host's answers; the statements that fail though the file does not say so. With `bless`
/// their errors are written too.
///
/// # Errors
/// When the file cannot be parsed or written.
pub fn complete(host: &Host, path: &Path, bless: bool) -> Result<Vec<String>> {
    let stem = path.file_stem().and_then(|name| name.to_str()).context("the file has no name")?;
    let mut runner = Runner::new(connector(Arc::new(host.database(stem)?)));
    let mut surprises = Vec::new();
    let mut text = String::new();
    for record in sqllogictest::parse_file::<Column>(path)? {
        let record = match record {
            Record::Statement { .. } | Record::Query { .. } => {
                let output = futures::executor::block_on(runner.apply_record(record.clone()));
                answered(record, output, bless, &mut surprises)
            }
            // The location of an include and the like is no line of the file.
            Record::Injected(_) => continue,
            other => {
                if let Record::Control(_) | Record::Connection(_) | Record::Condition(_) = &other {
                    let _ = runner.run(other.clone());
                }
                other
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{record}");
    }
    std::fs::write(path, text.trim_end().to_owned() + "\n")?;
    Ok(surprises)
}

fn answered(
    record: Record<Column>,
    output: RecordOutput<Column>,
    bless: bool,
    surprises: &mut Vec<String>,
) -> Record<Column> {
    let (Record::Statement { loc, conditions, connection, sql, retry, .. }
    | Record::Query { loc, conditions, connection, sql, retry, .. }) = record.clone()
    else {
        return record;
    };
    match output {
        RecordOutput::Statement { error: Some(error), .. }
        | RecordOutput::Query { error: Some(error), .. } => {
            let expects_error = matches!(
                &record,
                Record::Statement { expected: StatementExpect::Error(_), .. }
                    | Record::Query { expected: QueryExpect::Error(_), .. }
            );
            if !expects_error {
                surprises.push(format!("{loc}: {error}\n    {sql}"));
                if !bless {
                    return record;
                }
            }
            let state = error.downcast_ref::<SqlError>().map(|error| error.sqlstate().as_str().to_owned());
            let expected = StatementExpect::Error(ExpectedError::SqlState(state.unwrap_or_default()));
            Record::Statement { loc, conditions, connection, sql, expected, retry }
        }
        RecordOutput::Statement { count, .. } => {
            let first = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            let counts = matches!(first.as_str(), "INSERT" | "UPDATE" | "DELETE" | "WITH" | "MERGE");
            let expected = if counts { StatementExpect::Count(count) } else { StatementExpect::Ok };
            Record::Statement { loc, conditions, connection, sql, expected, retry }
        }
        RecordOutput::Query { types, rows, .. } => {
            let sort_mode = match record {
                Record::Query { expected: QueryExpect::Results { sort_mode, .. }, .. } => sort_mode,
                _ => None,
            };
            let results = rows.iter().map(|row| row.join(SEPARATOR)).collect();
            let expected = QueryExpect::Results { types, sort_mode, result_mode: None, label: None, results };
            Record::Query { loc, conditions, connection, sql, expected, retry }
        }
        _ => record,
    }
}
