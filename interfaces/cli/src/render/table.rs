//! Aligned tables as psql prints them, and its expanded form: a line a value.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::{Expanded, Render, type_id};
use crate::client::Column;

/// Keeps a result until it is complete, because widths depend on all rows.
#[derive(Default)]
pub(crate) struct Table {
    columns: Option<Vec<Column>>,
    rows: Vec<Vec<Option<String>>>,
    null: String,
    expanded: Expanded,
    title: Option<String>,
    /// In place of the number of rows.
    footers: Option<Vec<String>>,
}

impl Table {
    /// A table that shows NULL so.
    pub(super) fn new(null: &str, expanded: Expanded) -> Table {
        Table { null: null.to_owned(), expanded, ..Table::default() }
    }
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
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|value| value.unwrap_or_else(|| self.null.clone())).collect())
            .collect();
        let Some(columns) = self.columns.take() else { return writeln!(out, "{tag}") };
        let (title, footers) = (self.title.take(), self.footers.take());
        let widths = widths(&columns, &rows);
        let total = widths.iter().map(|width| width + 3).sum::<usize>().saturating_sub(1);
        let expanded = match self.expanded {
            Expanded::Off => false,
            Expanded::On => true,
            Expanded::Auto(terminal) => total > terminal && !rows.is_empty(),
        };
        if let Some(title) = title {
            let indent = if expanded { 0 } else { total.saturating_sub(title.width()) / 2 };
            writeln!(out, "{:indent$}{title}", "")?;
        }
        if expanded {
            print_expanded(out, &columns, &rows)?;
        } else {
            print_aligned(out, &columns, &rows, &widths)?;
        }
        match footers {
            Some(footers) => footers.iter().try_for_each(|footer| writeln!(out, "{footer}"))?,
            None if expanded && !rows.is_empty() => {}
            None => writeln!(out, "({} row{})", rows.len(), if rows.len() == 1 { "" } else { "s" })?,
        }
        writeln!(out)
    }

    fn caption(&mut self, title: &str, footers: Option<Vec<String>>) {
        self.title = Some(title.to_owned());
        self.footers = footers;
    }
}

/// The lines of a value; each takes one line of its row.
fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.split('\n')
}

fn widths(columns: &[Column], rows: &[Vec<String>]) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.name.width()).collect();
    for row in rows {
        for (widest, value) in widths.iter_mut().zip(row) {
            *widest = lines(value).map(UnicodeWidthStr::width).fold(*widest, usize::max);
        }
    }
    widths
}

fn print_aligned(
    out: &mut dyn Write,
    columns: &[Column],
    rows: &[Vec<String>],
    widths: &[usize],
) -> io::Result<()> {
    for (index, (column, widest)) in columns.iter().zip(widths).enumerate() {
        let left = (widest - column.name.width()) / 2;
        let right = widest - column.name.width() - left;
        let bar = if index == 0 { "" } else { "|" };
        write!(out, "{bar} {:left$}{}{:right$} ", "", column.name, "")?;
    }
    writeln!(out)?;
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(out, "{}", rule.join("+"))?;
    rows.iter().try_for_each(|row| print_row(out, columns, widths, row))
}

fn print_row(out: &mut dyn Write, columns: &[Column], widths: &[usize], row: &[String]) -> io::Result<()> {
    let height = row.iter().map(|value| lines(value).count()).max().unwrap_or(1);
    for number in 0..height {
        let mut line = String::new();
        for (index, ((column, widest), value)) in columns.iter().zip(widths).zip(row).enumerate() {
            let part = lines(value).nth(number).unwrap_or_default();
            let pad = " ".repeat(widest - part.width());
            let more = if number + 1 < lines(value).count() { "+" } else { " " };
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

/// A record a block, a value a line.
fn print_expanded(out: &mut dyn Write, columns: &[Column], rows: &[Vec<String>]) -> io::Result<()> {
    let names = columns.iter().map(|column| column.name.width()).max().unwrap_or(0);
    let values = rows.iter().flatten().flat_map(|value| lines(value)).map(UnicodeWidthStr::width);
    let values = values.max().unwrap_or(0);
    for (index, row) in rows.iter().enumerate() {
        writeln!(out, "{}", record_line(index + 1, names, values))?;
        for (column, value) in columns.iter().zip(row) {
            let height = lines(value).count();
            for (number, part) in lines(value).enumerate() {
                let name = if number == 0 { column.name.as_str() } else { "" };
                let pad = " ".repeat(names - name.width());
                if number + 1 < height {
                    writeln!(out, "{name}{pad} | {part}{}+", " ".repeat(values - part.width()))?;
                } else {
                    writeln!(out, "{}", format!("{name}{pad} | {part}").trim_end_matches(' '))?;
                }
            }
        }
    }
    Ok(())
}

/// `-[ RECORD 1 ]-+----`: the cross stands under the bars where the words leave room for it.
fn record_line(number: usize, names: usize, values: usize) -> String {
    let mut line = format!("-[ RECORD {number} ]");
    while line.len() < names + 1 {
        line.push('-');
    }
    if line.len() == names + 1 {
        line.push('+');
    }
    while line.len() < names + 3 + values {
        line.push('-');
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let column = |name: &str, type_id| Column { name: name.into(), type_id };
        let mut out = Vec::new();
        let mut table = Table::new("", Expanded::Off);
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
    #[test]
    fn an_expanded_table_has_a_line_a_value() {
        let column = |name: &str, type_id| Column { name: name.into(), type_id };
        let mut out = Vec::new();
        let mut table = Table::new("NULL", Expanded::On);
        table.columns(&mut out, vec![column("id", 23), column("description of it", 25)]).unwrap();
        table.row(&mut out, vec![Some("1".into()), Some("two\nlines".into())]).unwrap();
        table.row(&mut out, vec![None, Some("a".into())]).unwrap();
        table.complete(&mut out, "SELECT 2").unwrap();
        let expected = "\
-[ RECORD 1 ]-----+------
id                | 1
description of it | two  +
                  | lines
-[ RECORD 2 ]-----+------
id                | NULL
description of it | a

";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
