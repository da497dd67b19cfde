//! Aligned tables as psql prints them.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::{Render, type_id};
use crate::client::Column;

/// Keeps a result until it is complete, because widths depend on all rows.
#[derive(Default)]
pub(crate) struct Table {
    columns: Option<Vec<Column>>,
    rows: Vec<Vec<Option<String>>>,
}

impl Render for Table {
    fn columns(&mut self, _: &mut dyn Write, columns: Vec<Column>) -> io::Result<()> {
        self.columns = Some(columns);
        Ok(())
    }

    fn row(&mut self, _: &mut dyn Write, row: Vec<Option<String>>) -> io::Result<()> {
        self.rows.push(row);
        Ok(())
    }

    fn complete(&mut self, out: &mut dyn Write, tag: &str) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        match self.columns.take() {
            Some(columns) => print(out, &columns, &rows),
            None => writeln!(out, "{tag}"),
        }
    }
}

/// The lines of a value; each takes one line of its row.
fn lines(value: Option<&str>) -> impl Iterator<Item = &str> {
    value.unwrap_or_default().split('\n')
}

fn width(text: &str) -> usize {
    text.width()
}

fn print(out: &mut dyn Write, columns: &[Column], rows: &[Vec<Option<String>>]) -> io::Result<()> {
    let mut widths: Vec<usize> = columns.iter().map(|column| width(&column.name)).collect();
    for row in rows {
        for (widest, value) in widths.iter_mut().zip(row) {
            *widest = lines(value.as_deref()).map(width).fold(*widest, usize::max);
        }
    }
    for (index, (column, widest)) in columns.iter().zip(&widths).enumerate() {
        let left = (widest - width(&column.name)) / 2;
        let right = widest - width(&column.name) - left;
        let bar = if index == 0 { "" } else { "|" };
        write!(out, "{bar} {:left$}{}{:right$} ", "", column.name, "")?;
    }
    writeln!(out)?;
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(out, "{}", rule.join("+"))?;
    for row in rows {
        print_row(out, columns, &widths, row)?;
    }
    writeln!(out, "({} row{})\n", rows.len(), if rows.len() == 1 { "" } else { "s" })
}

fn print_row(
    out: &mut dyn Write,
    columns: &[Column],
    widths: &[usize],
    row: &[Option<String>],
) -> io::Result<()> {
    let height = row.iter().map(|value| lines(value.as_deref()).count()).max().unwrap_or(1);
    for number in 0..height {
        let mut line = String::new();
        for (index, ((column, widest), value)) in columns.iter().zip(widths).zip(row).enumerate() {
            let part = lines(value.as_deref()).nth(number).unwrap_or_default();
            let pad = " ".repeat(widest - width(part));
            let more = if number + 1 < lines(value.as_deref()).count() { "+" } else { " " };
            line.push_str(if index == 0 { " " } else { "| " });
            if type_id::NUMBERS.contains(&column.type_id) {
                line.extend([&pad, part, more]);
            } else {
                line.extend([part, &pad, more]);
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let column = |name: &str, type_id| Column { name: name.into(), type_id };
        let mut out = Vec::new();
        let mut table = Table::default();
        table.columns(&mut out, vec![column("id", 23), column("name", 25)]).unwrap();
        table.row(&mut out, vec![Some("1".into()), Some("ada".into())]).unwrap();
        table.row(&mut out, vec![Some("12".into()), None]).unwrap();
        table.row(&mut out, vec![None, Some("two\nlines".into())]).unwrap();
        table.complete(&mut out, "SELECT 3").unwrap();
        let expected = " \
id | name
----+-------
  1 | ada
 12 |
    | two  +
    | lines
(3 rows)

";
        let shown = String::from_utf8(out).unwrap();
        let trimmed: Vec<&str> = shown.split('\n').map(str::trim_end).collect();
        assert_eq!(trimmed.join("\n"), expected);
    }
}
