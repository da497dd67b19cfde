//! `tuplix stat`: what is known of files.

use std::process::ExitCode;

use clap::Args;

use super::Files;
use crate::node::Target;
use crate::render::{Format, show};

const STAT: &str = include_str!("stat.sql");

/// Arguments of `stat`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix stat results/top.txt
  tuplix stat --json results/top.txt | jq '.[].size'")]
pub(crate) struct Stat {
    /// The file or directory.
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(stat: &Stat) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&stat.target)?;
    let path = files.path(&stat.path);
    let known = files.stat(&path)?;
    let bucket = files.bucket(&path)?;
    let mode = super::mode(known.kind, known.mode);
    let mut client = stat.target.client()?;
    let parameters = [Some(bucket.to_string()), Some(path), Some(mode)];
    show(&stat.format, STAT, |each| client.query_with(STAT, &parameters, each))
}
