//! COPY.

use tuplix_types::copy::CopyRows;

use super::Statement;

/// The name, under no schema, of the relation that COPY FROM reads: the rows that the client sends.
pub const COPY_SOURCE: &str = "COPY FROM STDIN";

/// COPY ... FROM STDIN, COPY ... TO STDOUT.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Direction, format and columns.
    pub rows: CopyRows,
    /// FROM: an INSERT of what [`COPY_SOURCE`] holds. TO: the query.
    pub statement: Statement,
    /// FROM: the table's name, for the places of errors.
    pub table: String,
}
