//! Rows as COPY's data (`CopyOneRowTo`).

use super::{CopyFormat, CopyHeader, CopyKind, SIGNATURE, csv};

/// Writes rows, field by field.
#[derive(Debug)]
pub struct CopyWriter<'a> {
    format: &'a CopyFormat,
    columns: usize,
    /// The column of the next field.
    at: usize,
}

impl<'a> CopyWriter<'a> {
    /// A writer of rows of so many columns.
    #[must_use]
    pub fn new(format: &'a CopyFormat, columns: usize) -> CopyWriter<'a> {
        CopyWriter { format, columns, at: 0 }
    }

    /// What stands before the rows; true when that is a row of its own, which the binary header is not: it travels with the
    /// first row, as clients expect.
    pub fn begin<'n>(&mut self, names: impl Iterator<Item = &'n str>, out: &mut Vec<u8>) -> bool {
        if self.format.kind == CopyKind::Binary {
            out.extend_from_slice(SIGNATURE);
            out.extend_from_slice(&[0; 8]);
            return false;
        }
        if self.format.header == CopyHeader::No {
            return false;
        }
        self.begin_row(out);
        for name in names {
            self.separate(out);
            match self.format.kind {
                CopyKind::Csv => csv::write(name, self.format, false, self.columns == 1, out),
                _ => escape(name, self.format.delimiter, out),
            }
        }
        self.end_row(out);
        true
    }

    /// Begins a row.
    pub fn begin_row(&mut self, out: &mut Vec<u8>) {
        self.at = 0;
        if self.format.kind == CopyKind::Binary {
            out.extend_from_slice(&(self.columns as i16).to_be_bytes());
        }
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if self.at > 0 {
            out.push(self.format.delimiter);
        }
        self.at += 1;
    }

    /// Writes NULL.
    pub fn null(&mut self, out: &mut Vec<u8>) {
        if self.format.kind == CopyKind::Binary {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return;
        }
        self.separate(out);
        out.extend_from_slice(self.format.null.as_bytes());
    }

    /// Writes a value by its text form.
    pub fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let forced = self.format.force_quote.get(self.at).copied().unwrap_or(false);
        self.separate(out);
        match self.format.kind {
            CopyKind::Csv => csv::write(text, self.format, forced, self.columns == 1, out),
            _ => escape(text, self.format.delimiter, out),
        }
    }

    /// Writes a value by its binary form.
    pub fn binary(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(bytes);
    }

    /// Ends a row.
    pub fn end_row(&mut self, out: &mut Vec<u8>) {
        if self.format.kind != CopyKind::Binary {
            out.push(b'\n');
        }
    }

    /// What stands behind the rows; false when nothing does.
    pub fn end(&self, out: &mut Vec<u8>) -> bool {
        let binary = self.format.kind == CopyKind::Binary;
        if binary {
            out.extend_from_slice(&(-1_i16).to_be_bytes());
        }
        binary
    }
}

/// A text with backslashes before what the text format gives a meaning (`CopyAttributeOutText`).
fn escape(text: &str, delimiter: u8, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            _ if byte == delimiter => byte,
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}
