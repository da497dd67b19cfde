//! COPY's data as rows of fields (`NextCopyFromRawFields`).

use super::{CopyFormat, CopyHeader, CopyKind, SIGNATURE, csv};
use crate::binary_io::utf8;
use crate::{Result, SqlError, sqlstate};

/// One field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// NULL
    Null,
    /// What the type's input function reads.
    Text(&'a str),
    /// What the type's receive function reads.
    Binary(&'a [u8]),
}

/// The fields of one row, in memory that each row uses again.
#[derive(Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    /// End of each field in `bytes`, and whether it is NULL.
    ends: Vec<(usize, bool)>,
}

impl Fields {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn raw(&self, number: usize) -> Option<&[u8]> {
        let (end, is_null) = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before].0);
        (!is_null).then(|| &self.bytes[start..end])
    }

    pub(super) fn begin(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn push_all(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
    }

    pub(super) fn since(&self, start: usize) -> &[u8] {
        &self.bytes[start..]
    }

    pub(super) fn end(&mut self, start: usize, is_null: bool) {
        if is_null {
            self.bytes.truncate(start);
        }
        self.ends.push((self.bytes.len(), is_null));
    }
}

/// How lines end: all as the first one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    Return,
    Both,
}

/// Reads rows out of the whole data of a COPY.
#[derive(Debug)]
pub struct CopyReader<'a> {
    format: &'a CopyFormat,
    names: Vec<&'a str>,
    table: &'a str,
    rest: &'a [u8],
    line_end: LineEnd,
    /// Number of the line or row last read.
    line: u64,
    /// That line.
    text: &'a [u8],
    started: bool,
    ended: bool,
}

impl<'a> CopyReader<'a> {
    /// A reader of rows for these columns of a table.
    #[must_use]
    pub fn new(
        format: &'a CopyFormat,
        table: &'a str,
        names: Vec<&'a str>,
        data: &'a [u8],
    ) -> CopyReader<'a> {
        let line_end = LineEnd::Unknown;
        CopyReader {
            format,
            names,
            table,
            rest: data,
            line_end,
            line: 0,
            text: &[],
            started: false,
            ended: false,
        }
    }

    /// Reads the next row; false at the end.
    ///
    /// # Errors
    /// 22P04 for data that are not of the format, 22021 for text that is not UTF-8; where, says the error's context.
    pub fn next(&mut self, fields: &mut Fields) -> Result<bool> {
        fields.clear();
        if !std::mem::replace(&mut self.started, true) {
            self.start(fields)?;
        }
        if self.format.kind == CopyKind::Binary {
            self.line += 1;
            return self.binary_row(fields).map_err(|error| error.context(self.place()));
        }
        if !self.next_line()? {
            return Ok(false);
        }
        self.split(fields).map_err(|error| error.context(self.place_with_line()))?;
        let found = fields.len();
        // No columns: the line is empty.
        if self.names.is_empty() && self.text.is_empty() {
            fields.clear();
        } else if let Some(missing) = self.names.get(found) {
            let error = malformed(format!("missing data for column \"{missing}\""));
            return Err(error.context(self.place_with_line()));
        } else if found > self.names.len() {
            let error = malformed("extra data after last expected column");
            return Err(error.context(self.place_with_line()));
        }
        Ok(true)
    }

    /// A field of the row that was read.
    #[must_use]
    pub fn field<'f>(&self, fields: &'f Fields, number: usize) -> Field<'f> {
        match fields.raw(number) {
            None => Field::Null,
            Some(bytes) if self.format.kind == CopyKind::Binary => Field::Binary(bytes),
            // Checked when the row was read.
            Some(bytes) => Field::Text(std::str::from_utf8(bytes).unwrap_or_default()),
        }
    }

    /// Where a field stands, for an error's context.
    #[must_use]
    pub fn place_of(&self, number: usize, field: Field<'_>) -> String {
        let column = self.names.get(number).copied().unwrap_or_default();
        let place = format!("COPY {}, line {}, column {column}", self.table, self.line);
        match field {
            Field::Null => format!("{place}: null input"),
            Field::Text(text) => format!("{place}: \"{}\"", shortened(text)),
            Field::Binary(_) => place,
        }
    }

    /// Where the row that was read stands, for an error's context; `with_text`: and what stands there.
    #[must_use]
    pub fn place_of_row(&self, with_text: bool) -> String {
        let has_text = with_text && self.format.kind != CopyKind::Binary;
        if has_text { self.place_with_line() } else { self.place() }
    }

    fn place(&self) -> String {
        format!("COPY {}, line {}", self.table, self.line)
    }

    fn place_with_line(&self) -> String {
        format!("{}: \"{}\"", self.place(), shortened(&String::from_utf8_lossy(self.text)))
    }

    fn start(&mut self, fields: &mut Fields) -> Result<()> {
        match self.format.kind {
            CopyKind::Binary => {
                self.binary_start().map_err(|error| error.context(format!("COPY {}", self.table)))
            }
            _ if self.format.header == CopyHeader::No => Ok(()),
            _ => {
                if self.next_line()? && self.format.header == CopyHeader::Match {
                    self.split(fields)
                        .and_then(|()| self.check_header(fields))
                        .map_err(|error| error.context(self.place_with_line()))?;
                }
                fields.clear();
                Ok(())
            }
        }
    }

    fn check_header(&self, fields: &Fields) -> Result<()> {
        let (found, expected) = (fields.len(), self.names.len());
        if found != expected {
            return Err(malformed(format!(
                "wrong number of fields in header line: got {found}, expected {expected}"
            )));
        }
        for (number, name) in self.names.iter().enumerate() {
            let got = match self.field(fields, number) {
                Field::Text(text) if text == *name => continue,
                Field::Text(text) => format!("got \"{text}\""),
                _ => format!("got null value (\"{}\")", self.format.null),
            };
            return Err(malformed(format!(
                "column name mismatch in header line field {}: {got}, expected \"{name}\"",
                number + 1
            )));
        }
        Ok(())
    }

    /// Finds the next line (`CopyReadLineText`); false at the end of the data.
    fn next_line(&mut self) -> Result<bool> {
        if self.ended || self.rest.is_empty() {
            return Ok(false);
        }
        self.line += 1;
        let Some((end, skip)) = self.line_bounds().map_err(|error| error.context(self.place()))? else {
            self.text = self.rest;
            return Err(malformed("unterminated CSV quoted field").context(self.place_with_line()));
        };
        self.text = &self.rest[..end];
        self.rest = &self.rest[skip..];
        // What stands before the end marker on its own line is a last line.
        Ok(!(self.ended && self.text.is_empty()))
    }

    /// Where the line ends, and where the next one begins; `None` when a quoted field does not end.
    fn line_bounds(&mut self) -> Result<Option<(usize, usize)>> {
        let csv = self.format.kind == CopyKind::Csv;
        let (quote, escape) = (self.format.quote, self.format.escape);
        let (mut inside, mut escaped) = (false, false);
        let mut at = 0;
        while let Some(&byte) = self.rest.get(at) {
            if csv {
                // An escape before a quote keeps it from ending the field. A quote that escapes itself ends it and begins it.
                if inside && byte == escape && escape != quote {
                    escaped = !escaped;
                }
                if byte == quote && !escaped {
                    inside = !inside;
                }
                if byte != escape {
                    escaped = false;
                }
            }
            match byte {
                b'\n' | b'\r' if !inside => return self.line_break(at, byte, csv).map(Some),
                b'\\' if (!csv || at == 0) && self.rest.get(at + 1) == Some(&b'.') => {
                    let after = &self.rest[at + 2..];
                    if after.is_empty() || matches!(after[0], b'\n' | b'\r') {
                        self.ended = true;
                        return Ok(Some((at, self.rest.len())));
                    }
                    if !csv {
                        return Err(malformed("end-of-copy marker corrupt"));
                    }
                }
                b'\\' if !csv => at += 1,
                _ => {}
            }
            at += 1;
        }
        Ok((!inside).then_some((self.rest.len(), self.rest.len())))
    }

    fn line_break(&mut self, at: usize, byte: u8, csv: bool) -> Result<(usize, usize)> {
        let both = byte == b'\r' && self.rest.get(at + 1) == Some(&b'\n');
        let found = match byte {
            b'\n' => LineEnd::Newline,
            _ if both => LineEnd::Both,
            _ => LineEnd::Return,
        };
        if self.line_end == LineEnd::Unknown {
            self.line_end = found;
        }
        if self.line_end != found {
            let (what, literal) = match byte {
                b'\n' => ("newline", "\\n"),
                _ => ("carriage return", "\\r"),
            };
            return Err(match csv {
                true => malformed(format!("unquoted {what} found in data"))
                    .hint(format!("Use quoted CSV field to represent {what}.")),
                false => malformed(format!("literal {what} found in data"))
                    .hint(format!("Use \"{literal}\" to represent {what}.")),
            });
        }
        Ok((at, at + 1 + usize::from(both)))
    }

    fn split(&self, fields: &mut Fields) -> Result<()> {
        utf8(self.text)?;
        match self.format.kind {
            CopyKind::Csv => csv::split(self.text, self.format, fields),
            _ => split_text(self.text, self.format, fields),
        }
        // Octal and hexadecimal digits can make anything.
        utf8(&fields.bytes).map(|_| ())
    }

    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| malformed(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn binary_start(&mut self) -> Result<()> {
        let unknown = "COPY file signature not recognized";
        if self.take(SIGNATURE.len(), unknown)? != SIGNATURE {
            return Err(malformed(unknown));
        }
        let flags = number(self.take(4, "invalid COPY file header (missing flags)")?);
        if flags & (1 << 16) != 0 {
            return Err(malformed("invalid COPY file header (WITH OIDS)"));
        }
        // Bits 16 to 31 are what a reader must know; below, it may pass over what it does not.
        if flags >> 16 != 0 {
            return Err(malformed("unrecognized critical flags in COPY file header"));
        }
        let length = number(self.take(4, "invalid COPY file header (missing length)")?);
        let length =
            usize::try_from(length).map_err(|_| malformed("invalid COPY file header (missing length)"))?;
        self.take(length, "invalid COPY file header (wrong length)").map(|_| ())
    }

    fn binary_row(&mut self, fields: &mut Fields) -> Result<bool> {
        if self.rest.is_empty() {
            return Ok(false);
        }
        let short = "unexpected EOF in COPY data";
        let count = self.take(2, short)?;
        let count = i16::from_be_bytes([count[0], count[1]]);
        if count == -1 {
            if !self.rest.is_empty() {
                return Err(malformed("received copy data after EOF marker"));
            }
            return Ok(false);
        }
        if usize::try_from(count) != Ok(self.names.len()) {
            return Err(malformed(format!("row field count is {count}, expected {}", self.names.len())));
        }
        for _ in 0..count {
            let length = number(self.take(4, short)?);
            let start = fields.begin();
            match usize::try_from(length) {
                Ok(length) => {
                    let bytes = self.take(length, short)?;
                    fields.push_all(bytes.iter().copied());
                    fields.end(start, false);
                }
                Err(_) if length == -1 => fields.end(start, true),
                Err(_) => return Err(malformed("invalid field size")),
            }
        }
        Ok(true)
    }
}

fn number(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | i32::from(*byte))
}

/// Cuts a line of the text format (`CopyReadAttributesText`).
fn split_text(line: &[u8], format: &CopyFormat, fields: &mut Fields) {
    let mut rest = line;
    loop {
        let start = fields.begin();
        let mut raw = 0;
        while let Some(&byte) = rest.get(raw) {
            if byte == format.delimiter {
                break;
            }
            raw += 1;
            if byte == b'\\' && raw < rest.len() {
                raw += unescape(&rest[raw..], fields);
            } else {
                fields.push(byte);
            }
        }
        let is_null = &rest[..raw] == format.null.as_bytes();
        fields.end(start, is_null);
        match rest.get(raw + 1..) {
            Some(more) => rest = more,
            None => return,
        }
    }
}

/// What stands behind a backslash; how many bytes that was.
fn unescape(rest: &[u8], fields: &mut Fields) -> usize {
    let digits = |radix: u32, skip: usize, most: usize| {
        let digits = rest[skip..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix));
        digits.fold((0_u32, 0_usize), |(value, count), digit| (value * radix + digit, count + 1))
    };
    let (byte, length) = match rest[0] {
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (0x0b, 1),
        b'0'..=b'7' => {
            let (value, count) = digits(8, 0, 3);
            (value as u8, count)
        }
        b'x' => match digits(16, 1, 2) {
            (_, 0) => (b'x', 1),
            (value, count) => (value as u8, count + 1),
        },
        other => (other, 1),
    };
    fields.push(byte);
    length
}

/// At most a hundred characters of a line, for a message.
fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn malformed(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::BAD_COPY_FILE_FORMAT, message)
}
