//! `tuplix mkdir`: makes directories.

use std::process::ExitCode;

use clap::Args;
use tuplix_services::fs::Writer;

use super::Files;
use crate::node::{Target, explain};

/// Arguments of `mkdir`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix mkdir results
  tuplix mkdir -p results/2026/november")]
pub(crate) struct Mkdir {
    /// The directories.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    /// Those above too; one that is there is no error.
    #[arg(short, long)]
    parents: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(mkdir: &Mkdir) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&mkdir.target)?;
    for path in &mkdir.paths {
        let path = files.path(path);
        files.owner_exists(&path)?;
        let bucket = files.bucket(&path)?;
        let writer = Writer::user(&files.node.user);
        files
            .fs
            .make_directory(&mut files.node.session, bucket, &path, writer, mkdir.parents)
            .map_err(explain)?;
    }
    Ok(ExitCode::SUCCESS)
}
