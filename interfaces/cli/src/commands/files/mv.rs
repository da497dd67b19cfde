//! `tuplix mv`: gives a file or directory another name.

use std::process::ExitCode;

use clap::Args;
use tuplix_services::fs::Kind;

use super::{Files, base_name};
use crate::node::{Target, explain};

/// Arguments of `mv`.
#[derive(Args)]
#[command(after_help = "\
At once for everybody, whatever is below a directory. A file that has the new name is replaced.

Examples:
  tuplix mv draft.txt final.txt
  tuplix mv results archive/november")]
pub(crate) struct Mv {
    /// What gets another name.
    #[arg(value_name = "PATH")]
    path: String,
    /// The new name, or a directory into which it goes.
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(mv: &Mv) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&mv.target)?;
    let (old, mut new) = (files.path(&mv.path), files.path(&mv.to));
    if files.stat_if_there(&new)?.is_some_and(|stat| stat.kind == Kind::Directory) {
        new = format!("{}/{}", new.trim_end_matches('/'), base_name(&old));
    }
    let bucket = files.bucket(&old)?;
    files.fs.rename(&mut files.node.session, bucket, &old, &new).map_err(explain)?;
    Ok(ExitCode::SUCCESS)
}
