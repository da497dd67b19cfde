//! `tuplix sql`: a shell at a terminal; SQL from arguments, files and standard input, answered as a table, JSON or CSV.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::node::Target;
use crate::render::{Expanded, Format};
use crate::shell::{Settings, Work};

/// Arguments of `sql`.
#[derive(Args)]
#[command(after_help = "\
At a terminal, without a query, it is a shell: statements end with a semicolon, Tab completes, Ctrl-C cancels, \\? lists the
commands. Its history is in TUPLIX_HISTORY, else in ~/.local/state/tuplix/history; empty for none.

The statements of a QUERY are one transaction, as in PostgreSQL. Those of a file and of standard input are sent one after the
other, each a transaction unless BEGIN says otherwise; backslash commands and the data of COPY FROM STDIN may stand between them.
The first error ends the work with exit status 1; with --keep-going the rest is run, and the status is 1 all the same.

Examples:
  tuplix sql                                                    the shell
  tuplix sql 'SELECT * FROM account ORDER BY id'
  tuplix sql --json 'SELECT * FROM account' | jq '.[].balance'
  tuplix sql --csv 'TABLE account' > account.csv
  tuplix sql '\\d account'
  tuplix sql -f schema.sql -f rows.sql
  tuplix sql < schema.sql
  tuplix sql 'COPY account FROM STDIN (FORMAT csv)' < account.csv")]
pub(crate) struct Sql {
    /// The statements, or a backslash command; `-` reads standard input.
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    /// The same, as often as needed; all of them run before the files.
    #[arg(short, long, value_name = "QUERY", conflicts_with = "query")]
    command: Vec<String>,
    /// Run a file.
    #[arg(short, long, value_name = "FILE", conflicts_with = "query")]
    file: Vec<PathBuf>,
    /// Go on behind an error.
    #[arg(long)]
    keep_going: bool,
    /// Print a line for each value.
    #[arg(short = 'x', long)]
    expanded: bool,
    /// Say how long each statement takes.
    #[arg(long)]
    timing: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(sql: &Sql) -> anyhow::Result<ExitCode> {
    let works = works(sql);
    let mut style = sql.format.style();
    if sql.expanded {
        style.expanded = Expanded::On;
    }
    if matches!(works.as_slice(), [Work::Terminal]) {
        // A person cannot tell it from an empty text otherwise.
        style.null = "NULL".to_owned();
    }
    let settings =
        Settings { target: sql.target.clone(), style, timing: sql.timing, keep_going: sql.keep_going };
    crate::shell::run(settings, works)
}

fn works(sql: &Sql) -> Vec<Work> {
    let lines = || Work::Lines(Box::new(io::BufReader::new(io::stdin())));
    let mut works: Vec<Work> = sql.command.iter().cloned().map(Work::Text).collect();
    works.extend(sql.file.iter().map(|path| match path.to_str() {
        Some("-") => lines(),
        _ => Work::File(path.clone()),
    }));
    match sql.query.as_deref() {
        Some("-") => vec![lines()],
        Some(query) => vec![Work::Text(query.to_owned())],
        None if !works.is_empty() => works,
        None if io::stdin().is_terminal() => vec![Work::Terminal],
        None => vec![lines()],
    }
}
