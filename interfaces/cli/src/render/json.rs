//! A JSON array of objects for each result with rows. Numbers and booleans stay what they are, `json`
//! and `jsonb` are embedded, everything else is a string.

use std::io::{self, Write};

use serde_json::{Value, value::RawValue};

use super::{Render, type_id};
use crate::client::Column;

/// See the module.
#[derive(Default)]
pub(crate) struct Json {
    columns: Option<Vec<Column>>,
    rows: usize,
}

impl Render for Json {
    fn columns(&mut self, out: &mut dyn Write, columns: Vec<Column>) -> io::Result<()> {
        self.columns = Some(columns);
        self.rows = 0;
        out.write_all(b"[")
    }

    fn row(&mut self, out: &mut dyn Write, row: Vec<Option<String>>) -> io::Result<()> {
        out.write_all(if self.rows == 0 { b"\n" } else { b",\n" })?;
        self.rows += 1;
        for (index, (column, value)) in self.columns.iter().flatten().zip(&row).enumerate() {
            out.write_all(if index == 0 { b"{" } else { b", " })?;
            write!(
                out,
                "{}: {}",
                Value::from(column.name.as_str()),
                element(column.type_id, value.as_deref())
            )?;
        }
        out.write_all(if row.is_empty() { b"{}" } else { b"}" })
    }

    fn complete(&mut self, out: &mut dyn Write, _: &str) -> io::Result<()> {
        match self.columns.take() {
            Some(_) if self.rows > 0 => out.write_all(b"\n]\n"),
            Some(_) => out.write_all(b"]\n"),
            None => Ok(()),
        }
    }
}

/// The JSON text of a value.
fn element(ty: u32, value: Option<&str>) -> String {
    let Some(text) = value else { return "null".to_owned() };
    let embedded = match ty {
        type_id::BOOL => return (text == "t").to_string(),
        type_id::JSON | type_id::JSONB => serde_json::from_str::<&RawValue>(text).is_ok(),
        // NaN and Infinity have no JSON number.
        ty if type_id::NUMBERS.contains(&ty) => serde_json::from_str::<&RawValue>(text).is_ok(),
        _ => false,
    };
    if embedded { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kind() {
        for (ty, text, expected) in [
            (23, "42", "42"),
            (1700, "0.10", "0.10"),
            (1700, "NaN", "\"NaN\""),
            (701, "1e+20", "1e+20"),
            (25, "42", "\"42\""),
            (16, "t", "true"),
            (3802, "{\"a\": [1]}", "{\"a\": [1]}"),
            (25, "say \"x\"", "\"say \\\"x\\\"\""),
        ] {
            assert_eq!(element(ty, Some(text)), expected);
        }
        assert_eq!(element(23, None), "null");
    }
}
