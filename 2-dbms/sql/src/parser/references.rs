//! Changing the names of columns in an expression that is kept as text.

use tuplix_types::{Result, SqlError};

use super::text::quote_ident;
use super::walk::{Visitor, walk};

/// Deeper than anything that the parser lets through.
const DEPTH_MAX: usize = 10_000;

/// An expression over one table's columns with the column `from` called `to`; without the table's name before columns, so
/// that it stays good when that changes.
///
/// # Errors
/// The parser's.
pub fn rename_column(text: &str, from: &str, to: &str) -> Result<String> {
    let mut found = References::default();
    if !walk(&super::parse_expression(text)?, &mut found, DEPTH_MAX) {
        return Err(SqlError::internal("an expression of the catalogue nests too deeply"));
    }
    let mut changed = text.to_owned();
    found.places.sort_unstable();
    for (at, names) in found.places.into_iter().rev() {
        let Some((start, last)) =
            names.split_last().and_then(|(last, _)| Some((usize::try_from(at).ok()?, last)))
        else {
            continue;
        };
        let end = start + reference_length(&text[start..], names.len());
        let name = if last == from { to } else { last };
        changed.replace_range(start..end, &quote_ident(name));
    }
    Ok(changed)
}

/// The bytes of so many names joined by dots at the start of `text`.
fn reference_length(text: &str, names: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    for number in 0..names {
        while number > 0 && bytes.get(at).is_some_and(|byte| *byte == b'.' || byte.is_ascii_whitespace()) {
            at += 1;
        }
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            while at < bytes.len() && (bytes[at] != b'"' || bytes.get(at + 1) == Some(&b'"')) {
                at += if bytes[at] == b'"' { 2 } else { 1 };
            }
            at += 1;
        } else {
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
            at += bytes[at..].iter().take_while(|byte| inside(byte)).count();
        }
    }
    at.min(bytes.len())
}

#[derive(Default)]
struct References {
    inside: bool,
    names: Vec<String>,
    at: i64,
    places: Vec<(i64, Vec<String>)>,
}

impl Visitor for References {
    fn enter(&mut self, name: &'static str, _: (&'static str, &'static str)) {
        if name == "ColumnRef" {
            self.inside = true;
            self.at = 0;
            self.names.clear();
        }
    }

    fn number(&mut self, name: &'static str, field: &'static str, value: i64) {
        if name == "ColumnRef" && field == "location" {
            self.at = value;
        }
    }

    fn text(&mut self, name: &'static str, _: &'static str, value: &str) {
        if self.inside && name == "String" {
            self.names.push(value.to_owned());
        }
    }

    fn present(&mut self, _: &'static str, _: &'static str, _: usize) {}

    fn leave(&mut self, name: &'static str) {
        if name == "ColumnRef" {
            self.inside = false;
            self.places.push((self.at, std::mem::take(&mut self.names)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(rename_column(text, "a", "New").unwrap(), expected);
    }

    #[test]
    fn renames_references_alone() {
        check("a > 0", "\"New\" > 0");
        check("0 < t.a AND b = 'a'", "0 < \"New\" AND b = 'a'");
        check("\"t x\" . \"a\" + aa + a(\"a\")", "\"New\" + aa + a(\"New\")");
        check("lower(s.t.b) = 'ä' AND a IS NULL", "lower(b) = 'ä' AND \"New\" IS NULL");
        check("\"A\" = a", "\"A\" = \"New\"");
    }
}
