//! Results and complaints for people and programs.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod table;

use std::fmt::Write as _;
use std::io::{self, Write};

use std::process::ExitCode;

use clap::Args;
use unicode_width::UnicodeWidthStr as _;

use crate::client::{Answer, ClientError, Column, Complaint};

/// How answers are printed; an aligned table unless told otherwise.
#[derive(Args)]
pub(crate) struct Format {
    /// Print each result as a JSON array of objects.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print each result as CSV with a header.
    #[arg(long)]
    csv: bool,
}

/// The shape of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Aligned,
    Json,
    Csv,
}

/// Whether aligned results have a line a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expanded {
    #[default]
    Off,
    On,
    /// Where a table would be wider than this.
    Auto(usize),
}

/// How results are printed.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub layout: Layout,
    pub expanded: Expanded,
    /// What NULL is shown as in tables.
    pub null: String,
}

impl Format {
    /// As the arguments want it.
    pub(crate) fn style(&self) -> Style {
        let layout = match (self.json, self.csv) {
            (true, _) => Layout::Json,
            (_, true) => Layout::Csv,
            _ => Layout::Aligned,
        };
        Style { layout, expanded: Expanded::Off, null: String::new() }
    }
}

impl Style {
    /// What prints results so.
    pub(crate) fn render(&self) -> Box<dyn Render> {
        match self.layout {
            Layout::Json => Box::new(json::Json::default()),
            Layout::Csv => Box::new(csv::Csv),
            Layout::Aligned => Box::new(table::Table::new(&self.null, self.expanded)),
        }
    }
}

/// Prints what `ask` is answered to `text`; failure when one of the answers is an error.
pub(crate) fn show(
    format: &Format,
    text: &str,
    ask: impl FnOnce(&mut dyn FnMut(Answer) -> io::Result<()>) -> Result<(), ClientError>,
) -> anyhow::Result<ExitCode> {
    let mut render = format.style().render();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut failed = false;
    let answered = ask(&mut |answer| {
        failed |= matches!(answer, Answer::Error(_));
        print(answer, render.as_mut(), &mut out, text, 1)
    });
    match answered {
        Ok(()) => out.flush()?,
        Err(ClientError::Lost(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Err(error.into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints a part of an answer to `text`, which begins in line `line` of what people see.
pub(crate) fn print(
    answer: Answer,
    render: &mut dyn Render,
    out: &mut dyn Write,
    text: &str,
    line: usize,
) -> io::Result<()> {
    match answer {
        Answer::Columns(columns) => render.columns(out, columns),
        Answer::Row(row) => render.row(out, row),
        Answer::Complete(tag) => render.complete(out, &tag),
        Answer::CopyData(data) => out.write_all(&data),
        Answer::Notification { channel, payload, process } => {
            let payload =
                if payload.is_empty() { String::new() } else { format!(" with payload \"{payload}\"") };
            writeln!(
                out,
                "Asynchronous notification \"{channel}\"{payload} received from server process with PID {process}."
            )
        }
        Answer::Notice(said) | Answer::Error(said) => {
            // What was printed before it stands before it on a terminal too.
            out.flush()?;
            eprint!("{}", complaint(&said, text, line));
            Ok(())
        }
    }
}

/// Prints the results of a text of statements, one after the other.
pub(crate) trait Render {
    /// A result with rows begins.
    fn columns(&mut self, out: &mut dyn Write, columns: Vec<Column>) -> io::Result<()>;
    /// A row of it.
    fn row(&mut self, out: &mut dyn Write, row: Vec<Option<String>>) -> io::Result<()>;
    /// A statement is done, with or without rows.
    fn complete(&mut self, out: &mut dyn Write, tag: &str) -> io::Result<()>;
    /// The next result has a title, and these lines in place of the number of its rows; programs are not told.
    fn caption(&mut self, _title: &str, _footers: Option<Vec<String>>) {}
}

/// Type ids that the renderers treat in their own way (`pg_type.oid`).
pub(crate) mod type_id {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const JSONB: u32 = 3802;
    /// int8, int2, int4, oid, float4, float8, numeric
    pub(crate) const NUMBERS: [u32; 7] = [20, 21, 23, 26, 700, 701, 1700];
}

/// An error or notice as psql prints it, with a caret under its place in `text`, whose first line is number `first`.
pub(crate) fn complaint(complaint: &Complaint, text: &str, first: usize) -> String {
    let mut shown = format!("{}:  {}\n", complaint.severity, complaint.message);
    if let Some((number, line, column)) = complaint.position.and_then(|position| locate(text, position)) {
        let label = format!("LINE {}: ", number + first - 1);
        let before: String = line.chars().take(column).collect();
        let indent = label.width() + before.replace('\t', " ").width();
        // Writing to a string cannot fail.
        let _ = writeln!(shown, "{label}{}\n{:indent$}^", line.replace('\t', " "), "");
    }
    let fields = [("DETAIL", &complaint.detail), ("HINT", &complaint.hint), ("CONTEXT", &complaint.context)];
    for (label, field) in fields {
        if let Some(field) = field {
            let _ = writeln!(shown, "{label}:  {field}");
        }
    }
    if matches!(complaint.severity.as_str(), "ERROR" | "FATAL" | "PANIC") {
        let _ = writeln!(shown, "SQLSTATE:  {}", complaint.sqlstate);
    }
    shown
}

/// The line (from 1) that holds character number `position` (from 1), and the characters before it there.
fn locate(text: &str, position: usize) -> Option<(usize, &str, usize)> {
    let mut left = position.checked_sub(1)?;
    for (index, line) in text.split('\n').enumerate() {
        let length = line.chars().count();
        if left <= length {
            return Some((index + 1, line.trim_end_matches('\r'), left));
        }
        left -= length + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_stands_under_the_place() {
        let error = Complaint {
            severity: "ERROR".into(),
            sqlstate: "42703".into(),
            message: "column \"b\" does not exist".into(),
            position: Some(13),
            ..Complaint::default()
        };
        let expected =
            "ERROR:  column \"b\" does not exist\nLINE 2:   é, b\n             ^\nSQLSTATE:  42703\n";
        assert_eq!(complaint(&error, "SELECT\n  é, b\nFROM a", 1), expected);
    }

    #[test]
    fn a_place_outside_the_text_is_left_out() {
        let notice = Complaint { severity: "NOTICE".into(), position: Some(9), ..Complaint::default() };
        assert_eq!(complaint(&notice, "SELECT", 1), "NOTICE:  \n");
    }
}
