//! The formats of COPY: text, CSV and binary (PostgreSQL manual, COPY, "File Formats").
//!
//! [`CopyReader`] cuts data into rows of fields, [`CopyWriter`] writes them. Neither knows types: a field is the text, or in
//! the binary format the bytes, that the column's type reads and writes.

mod csv;
mod read;
mod write;

pub use read::{CopyReader, Field, Fields};
pub use write::CopyWriter;

use crate::OutputColumn;

/// The rows of a COPY: which way they go, in which format, and of which columns.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyRows {
    /// Which way they go.
    pub direction: CopyDirection,
    /// The format and its options.
    pub format: CopyFormat,
    /// The columns that travel.
    pub columns: Vec<OutputColumn>,
}

/// Which way COPY's rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    /// From the client.
    From,
    /// To the client.
    To,
}

/// A COPY's format with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFormat {
    /// FORMAT
    pub kind: CopyKind,
    /// DELIMITER
    pub delimiter: u8,
    /// NULL
    pub null: String,
    /// HEADER
    pub header: CopyHeader,
    /// QUOTE
    pub quote: u8,
    /// ESCAPE
    pub escape: u8,
    /// FORCE_QUOTE, a flag a column; empty for none.
    pub force_quote: Vec<bool>,
    /// FORCE_NOT_NULL, likewise.
    pub force_not_null: Vec<bool>,
    /// FORCE_NULL, likewise.
    pub force_null: Vec<bool>,
}

/// FORMAT
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyKind {
    /// A line a row, backslashes before what is special.
    Text,
    /// Comma-separated values, quoted where needed.
    Csv,
    /// Lengths and the types' binary forms.
    Binary,
}

/// HEADER
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHeader {
    /// No line of names.
    No,
    /// Written; skipped when read.
    Yes,
    /// When read, it has to name the columns.
    Match,
}

impl CopyFormat {
    /// A format with PostgreSQL's defaults.
    #[must_use]
    pub fn new(kind: CopyKind) -> CopyFormat {
        let (delimiter, null) = match kind {
            CopyKind::Csv => (b',', ""),
            CopyKind::Text | CopyKind::Binary => (b'\t', "\\N"),
        };
        CopyFormat {
            kind,
            delimiter,
            null: null.to_owned(),
            header: CopyHeader::No,
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
            force_not_null: Vec::new(),
            force_null: Vec::new(),
        }
    }
}

/// What binary data begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

#[cfg(test)]
mod tests;
