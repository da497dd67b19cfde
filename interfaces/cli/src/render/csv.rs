//! Comma-separated values as psql's `--csv` writes them; NULL is an empty field.

use std::io::{self, Write};

use super::Render;
use crate::client::Column;

/// See the module.
pub(crate) struct Csv;

impl Render for Csv {
    fn columns(&mut self, out: &mut dyn Write, columns: Vec<Column>) -> io::Result<()> {
        line(out, columns.iter().map(|column| column.name.as_str()))
    }

    fn row(&mut self, out: &mut dyn Write, row: Vec<Option<String>>) -> io::Result<()> {
        line(out, row.iter().map(|value| value.as_deref().unwrap_or_default()))
    }

    fn complete(&mut self, _: &mut dyn Write, _: &str) -> io::Result<()> {
        Ok(())
    }
}

fn line<'a>(out: &mut dyn Write, values: impl Iterator<Item = &'a str>) -> io::Result<()> {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        if value.contains([',', '"', '\n', '\r']) || value == "\\." {
            write!(out, "\"{}\"", value.replace('"', "\"\""))?;
        } else {
            out.write_all(value.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_needs_quotes_has_them() {
        let mut out = Vec::new();
        line(&mut out, ["plain", "a,b", "say \"x\"", "", "two\nlines"].into_iter()).unwrap();
        assert_eq!(out, b"plain,\"a,b\",\"say \"\"x\"\"\",,\"two\nlines\"\n");
    }
}
