//! `tuplix rm`: removes files and directories.

use std::process::ExitCode;

use anyhow::{bail, ensure};
use clap::Args;
use tuplix::SqlError;
use tuplix_services::fs::Kind;

use super::Files;
use crate::node::{Target, explain};

/// Arguments of `rm`.
#[derive(Args)]
#[command(after_help = "\
With -r everything below a directory goes in one transaction. The home directory itself stays: rm -r . empties it.

Examples:
  tuplix rm notes.txt
  tuplix rm -r results")]
pub(crate) struct Rm {
    /// What is removed.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// Directories too, with all below them.
    #[arg(short, long)]
    recursive: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(rm: &Rm) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&rm.target)?;
    for path in &rm.paths {
        let path = files.path(path);
        let stat = files.stat(&path)?;
        let bucket = files.bucket(&path)?;
        if stat.kind != Kind::Directory {
            files.fs.remove_file(&mut files.node.session, bucket, &path).map_err(explain)?;
        } else if rm.recursive {
            remove_tree(&mut files, &path)?;
        } else {
            ensure!(path != "/", "the root directory cannot be removed");
            bail!("{path} is a directory\n  With all below it: tuplix rm -r {path}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// All or nothing. The user's home directory stays, and is empty.
fn remove_tree(files: &mut Files, path: &str) -> anyhow::Result<()> {
    ensure!(path != "/", "the root directory cannot be removed");
    let stays = path == files.path(".");
    let bucket = files.bucket(path)?;
    let Files { node, fs } = files;
    let session = &mut node.session;
    session.execute("BEGIN").map_err(explain)?;
    let mut remove = || -> Result<(), SqlError> {
        // Paths below come after those above.
        for entry in fs.tree(session, bucket, path)?.iter().rev() {
            match entry.kind {
                Kind::Directory => fs.remove_directory(session, bucket, &entry.name)?,
                _ => fs.remove_file(session, bucket, &entry.name)?,
            }
        }
        if !stays {
            fs.remove_directory(session, bucket, path)?;
        }
        session.execute("COMMIT").map(drop)
    };
    match remove() {
        Ok(()) => Ok(()),
        Err(error) => {
            session.execute("ROLLBACK").map_err(explain)?;
            Err(explain(error))
        }
    }
}
