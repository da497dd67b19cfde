//! `tuplix restore`: a new data directory of a backup, or of a data directory's own past.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tuplix_backup::{Until, restore_directory, restore_tar};
use tuplix_machine::Machine;
use tuplix_types::text_io::{IoContext, parse_text};
use tuplix_types::{TypeId, Value};

use super::backup::{disk, reaches, time};
use super::explain;

/// Arguments of `restore`.
#[derive(Args)]
#[command(after_help = "\
FROM is a directory that `tuplix backup` made, a tar stream of it, or a data directory: then its kept log is the history to choose from.
Every file is checked before the new directory becomes a data directory. The backup itself is not changed.

Examples:
  tuplix restore /backups/monday /srv/tuplix
  zstd -d < monday.tar.zst | tuplix restore - /srv/tuplix
  tuplix restore --to-time '2026-05-01 12:00 UTC' old-data new-data
  tuplix restore --to-lsn 4711 old-data new-data           an epoch, as tuplix log dump numbers them")]
pub(crate) struct Restore {
    /// What to restore; `-` for a tar stream on standard input.
    #[arg(value_name = "FROM|-")]
    from: PathBuf,
    /// The new data directory: one that does not exist, or is empty.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Only what was committed by this moment; in UTC unless it names a zone.
    #[arg(long, value_name = "TIME", conflicts_with = "to_lsn")]
    to_time: Option<String>,
    /// Only what was committed up to this epoch of the log.
    #[arg(long, value_name = "EPOCH", alias = "to-epoch")]
    to_lsn: Option<u64>,
}

pub(super) fn run(restore: &Restore) -> anyhow::Result<ExitCode> {
    let machine = Machine::linux();
    let until = match (&restore.to_time, restore.to_lsn) {
        (Some(text), _) => Until::Time(moment(text)?),
        (None, Some(epoch)) => Until::Epoch(epoch),
        (None, None) => Until::End,
    };
    if let Some(url) = crate::node::running(&restore.to) {
        anyhow::bail!(
            "a node runs on {} ({url})\n  Stop it and name another directory: a restore makes a new one",
            restore.to.display()
        );
    }
    std::fs::create_dir_all(&restore.to)
        .with_context(|| format!("cannot make directory {}", restore.to.display()))?;
    let to = disk(&machine, &restore.to)?;
    let restored = if restore.from.as_os_str() == "-" {
        restore_tar(&machine, io::stdin().lock(), &to, until)
    } else {
        restore_directory(&machine, &disk(&machine, &restore.from)?, &to, until)
    };
    let restored = restored.map_err(|error| explain(&error))?;
    let mut out = io::stdout().lock();
    writeln!(out, "restored epoch {} of {}", restored.epoch, time(restored.epoch_us))?;
    if until != Until::End {
        writeln!(out, "the backup: {}", reaches(restored.reach))?;
    }
    writeln!(out, "start it with: tuplix up --data {}", restore.to.display())?;
    Ok(ExitCode::SUCCESS)
}

fn moment(text: &str) -> anyhow::Result<i64> {
    let parsed = parse_text(TypeId::TIMESTAMPTZ, -1, text, &IoContext::default());
    match parsed.map_err(|error| explain(&error)).context("--to-time")? {
        Value::Timestamptz(us) => Ok(us),
        _ => anyhow::bail!("--to-time: \"{text}\" is no moment"),
    }
}
