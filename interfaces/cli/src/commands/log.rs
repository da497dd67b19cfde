//! `tuplix log dump`: the log of a node that does not run, for people.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use tuplix_machine::Machine;
use tuplix_types::SqlError;

use super::explain;

/// What to do with the log.
#[derive(Subcommand)]
pub(crate) enum Log {
    /// Print every epoch, transaction and changed row.
    Dump(Dump),
}

/// Arguments of `log dump`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix log dump tuplix-data
  tuplix log dump --after 120 tuplix-data    only epochs after number 120")]
pub(crate) struct Dump {
    /// The node's data directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Start after this epoch.
    #[arg(long, value_name = "EPOCH", default_value_t = 0)]
    after: u64,
}

pub(super) fn run(log: &Log) -> anyhow::Result<ExitCode> {
    let Log::Dump(dump) = log;
    let folder = dump.directory.join("log");
    ensure!(folder.is_dir(), "{} is no data directory: it has no log", dump.directory.display());
    let root = folder.to_str().with_context(|| format!("{} is not UTF-8", folder.display()))?;
    let machine = Machine::linux();
    let mut out = std::io::stdout().lock();
    // The listing stops at the first line that cannot be written; the reason is told apart below.
    let mut write_failed = None;
    let listed = tuplix_log::dump(machine.disk(root), dump.after, &mut |line| {
        writeln!(out, "{line}").map_err(|error| {
            let text = error.to_string();
            write_failed = Some(error);
            SqlError::internal(text)
        })
    });
    if let Some(error) = write_failed {
        return Err(error.into());
    }
    listed.map_err(|error| explain(&error)).context("the log is damaged")?;
    Ok(ExitCode::SUCCESS)
}
