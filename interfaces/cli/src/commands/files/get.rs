//! `tuplix get`: copies a file, or a directory with all below it, out of Tuplix.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tuplix_services::fs::{Kind, Stat};

use super::{Files, base_name};
use crate::node::{Target, explain};

/// Arguments of `get`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix get results/top.txt               to ./top.txt
  tuplix get results/top.txt /tmp/words
  tuplix get results /tmp                  a directory with all below it, to /tmp/results")]
pub(crate) struct Get {
    /// The file or directory in Tuplix.
    #[arg(value_name = "PATH")]
    path: String,
    /// Where it goes to: a file, or a directory that is there.
    #[arg(value_name = "LOCAL", default_value = ".")]
    to: PathBuf,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(get: &Get) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&get.target)?;
    let path = files.path(&get.path);
    let stat = files.stat(&path)?;
    let to = if get.to.is_dir() { get.to.join(base_name(&path)) } else { get.to.clone() };
    if stat.kind != Kind::Directory {
        fetch(&mut files, &path, &stat, &to)?;
        return Ok(ExitCode::SUCCESS);
    }
    make(&to)?;
    let bucket = files.bucket(&path)?;
    let entries = files.fs.tree(&mut files.node.session, bucket, &path).map_err(explain)?;
    for entry in entries {
        let below = entry.name.strip_prefix(&path).unwrap_or(&entry.name).trim_start_matches('/');
        let local = to.join(below);
        if entry.kind == Kind::Directory {
            make(&local)?;
        } else {
            let stat = files.stat(&entry.name)?;
            fetch(&mut files, &entry.name, &stat, &local)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn make(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Copies one file; what could not be copied whole does not stay.
fn fetch(files: &mut Files, path: &str, stat: &Stat, to: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", to.display());
    let mut out = File::create(to).with_context(failed)?;
    let copied = files.read_from(path, stat, 0, &mut out).and_then(|()| Ok(out.flush()?));
    if copied.is_err() {
        std::fs::remove_file(to).with_context(failed)?;
    }
    copied.with_context(failed)
}
