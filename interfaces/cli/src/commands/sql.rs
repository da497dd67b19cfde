//! `tuplix sql`: sends SQL to a node and prints its answers as a table, JSON or CSV.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::DataDirectory;
use crate::client::{Answer, Client, ClientError};
use crate::render::{Render, complaint, csv::Csv, json::Json, table::Table};

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
    data: DataDirectory,
    /// Connect to this port on 127.0.0.1 instead of the data directory's socket.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Print each result as a JSON array of objects.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print each result as CSV with a header.
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(sql: &Sql) -> anyhow::Result<ExitCode> {
    let text = text(sql)?;
    let mut client = Client::connect(sql.data.path(), sql.port)?;
    let mut render: Box<dyn Render> = match (sql.json, sql.csv) {
        (true, _) => Box::new(Json::default()),
        (_, true) => Box::new(Csv),
        _ => Box::new(Table::default()),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut failed = false;
    let answered = client.query(&text, &mut |answer| match answer {
        Answer::Columns(columns) => render.columns(&mut out, columns),
        Answer::Row(row) => render.row(&mut out, row),
        Answer::Complete(tag) => render.complete(&mut out, &tag),
        Answer::Notice(notice) => {
            eprint!("{}", complaint(&notice, &text));
            Ok(())
        }
        Answer::Error(error) => {
            failed = true;
            // What was printed before the error stands before it on a terminal too.
            out.flush()?;
            eprint!("{}", complaint(&error, &text));
            Ok(())
        }
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
