//! `tuplix backup`: a consistent copy of a data directory, whether its node runs or not.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Args;
use tuplix::{SessionOptions, Tuplix};
use tuplix_backup::{Manifest, Reach, Scope, backup_to_directory, backup_to_tar};
use tuplix_machine::{Disk, Machine};
use tuplix_types::text_io::{IoContext, to_text};
use tuplix_types::{TypeId, Value};

use super::{DataDirectory, explain};

/// Arguments of `backup`.
#[derive(Args)]
#[command(after_help = "\
A running node is asked for a checkpoint first and goes on meanwhile. The backup has everything that was acknowledged before the command
began. It is read from the data directory, so the command runs where the node runs.

Examples:
  tuplix backup /backups/monday
  tuplix backup - | zstd > monday.tar.zst
  tuplix backup --all /backups/with-history     and all log that is kept, to restore any moment in it")]
pub(crate) struct Backup {
    /// A directory that does not exist or is empty; `-` for a tar stream on standard output.
    #[arg(value_name = "DIR|-")]
    to: PathBuf,
    #[command(flatten)]
    data: DataDirectory,
    /// With the oldest checkpoint and all log that the node keeps.
    #[arg(long)]
    all: bool,
    /// Do not ask a running node for a checkpoint: the backup is larger by the log since the last one.
    #[arg(long)]
    no_checkpoint: bool,
}

pub(super) fn run(backup: &Backup) -> anyhow::Result<ExitCode> {
    let machine = Machine::linux();
    let from = disk(&machine, backup.data.path())?;
    if !backup.no_checkpoint {
        checkpoint(backup.data.path())?;
    }
    let scope = if backup.all { Scope::Kept } else { Scope::Newest };
    if backup.to.as_os_str() == "-" {
        ensure!(
            !io::stdout().is_terminal(),
            "a tar stream is nothing for a terminal: redirect standard output"
        );
        let manifest =
            backup_to_tar(&machine, &from, io::stdout().lock(), scope).map_err(|error| explain(&error))?;
        eprintln!("tuplix: {}", done(&manifest));
        return Ok(ExitCode::SUCCESS);
    }
    let to = &backup.to;
    std::fs::create_dir_all(to).with_context(|| format!("cannot make directory {}", to.display()))?;
    let manifest =
        backup_to_directory(&machine, &from, disk(&machine, to)?, scope).map_err(|error| explain(&error))?;
    writeln!(io::stdout(), "{}", done(&manifest))?;
    Ok(ExitCode::SUCCESS)
}

/// A folder as a disk.
pub(super) fn disk(machine: &Machine, folder: &Path) -> anyhow::Result<Arc<dyn Disk>> {
    let name = folder.to_str().with_context(|| format!("{} is not UTF-8", folder.display()))?;
    Ok(machine.disk(name))
}

/// Asks the node of the directory, if it runs, for a checkpoint.
fn checkpoint(directory: &Path) -> anyhow::Result<()> {
    let Some(address) = crate::node::running(directory) else { return Ok(()) };
    let asked = Tuplix::at_address(address)
        .session(&SessionOptions::default())
        .and_then(|mut session| session.execute("CHECKPOINT"));
    asked
        .map(|_| ())
        .map_err(|error| explain(&error))
        .context("the node could not write a checkpoint (--no-checkpoint makes the backup without)")
}

fn done(manifest: &Manifest) -> String {
    format!("{} files, {} bytes; {}", manifest.files.len() + 1, manifest.bytes(), reaches(manifest.reach))
}

/// What a restore can reach.
pub(super) fn reaches(reach: Reach) -> String {
    let last = format!("epoch {} of {}", reach.last_epoch, time(reach.last_us));
    match reach.first_epoch {
        first if first == reach.last_epoch => format!("it is {last}"),
        0 => format!("it reaches from the node's beginning to {last}"),
        first => format!("it reaches from epoch {first} of {} to {last}", time(reach.first_us)),
    }
}

/// A moment as SQL writes it.
pub(super) fn time(us: i64) -> String {
    to_text(TypeId::TIMESTAMPTZ, &Value::Timestamptz(us), &IoContext::default())
}
