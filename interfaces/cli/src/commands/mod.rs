//! The commands, one file each.

mod log;
mod sql;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

/// A command with its arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a node on a data directory and serve it until SIGTERM or Ctrl-C.
    Up(up::Up),
    /// Send SQL to a node and print its answers.
    Sql(sql::Sql),
    /// Look into a node's log.
    #[command(subcommand)]
    Log(log::Log),
}

/// Runs a command; what it returns is the exit status.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(up) => up::run(&up),
        Command::Sql(sql) => sql::run(&sql),
        Command::Log(log) => log::run(&log),
    }
}

/// Where a node keeps its files, and its socket.
#[derive(Args)]
pub(crate) struct DataDirectory {
    /// The node's data directory.
    #[arg(long = "data", value_name = "DIR", env = "TUPLIX_DATA", default_value = "tuplix-data")]
    directory: PathBuf,
}

impl DataDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

/// An SQL error as `anyhow` carries it: message, detail, hint and SQLSTATE, a line each.
fn explain(error: &tuplix_types::SqlError) -> anyhow::Error {
    let fields = error.fields();
    let mut text = fields.message.clone();
    for (label, more) in [("Detail", &fields.detail), ("Hint", &fields.hint)] {
        if let Some(more) = more {
            text.push_str(&format!("\n  {label}: {more}"));
        }
    }
    anyhow::anyhow!("{text}\n  SQLSTATE: {}", fields.sqlstate)
}
