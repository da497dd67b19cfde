//! `tuplix sql`: sends SQL to a node and prints its answers as a table, JSON or CSV.

use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::node::Target;
use crate::render::{Format, show};

/// Arguments of `sql`.
#[derive(Args)]
#[command(after_help = "\
Several statements in one text are one transaction, as in PostgreSQL.

Examples:
  tuplix sql 'SELECT * FROM account ORDER BY id'
  tuplix sql --json 'SELECT * FROM account' | jq '.[].balance'
  tuplix sql --csv 'TABLE account' > account.csv
  tuplix sql < schema.sql")]
pub(crate) struct Sql {
    /// The statements; read from standard input if left out or `-`.
    #[arg(value_name = "QUERY")]
    query: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(sql: &Sql) -> anyhow::Result<ExitCode> {
    let text = text(sql)?;
    let mut client = sql.target.client()?;
    show(&sql.format, &text, |each| client.query(&text, each))
}

fn text(sql: &Sql) -> anyhow::Result<String> {
    match sql.query.as_deref() {
        Some(query) if query != "-" => Ok(query.to_owned()),
        given => {
            if given.is_none() && io::stdin().is_terminal() {
                bail!("no query given; pass one as an argument, or - to read standard input");
            }
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read standard input as UTF-8 text")?;
            Ok(text)
        }
    }
}
