//! `tuplix cat`: files to standard output.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::Files;
use crate::node::Target;

/// Arguments of `cat`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix cat results/top.txt
  tuplix cat results/part-0 results/part-1 | sort")]
pub(crate) struct Cat {
    /// The files.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(cat: &Cat) -> anyhow::Result<ExitCode> {
    let mut files = Files::open(&cat.target)?;
    let mut out = std::io::stdout().lock();
    for path in &cat.paths {
        let path = files.path(path);
        files.read(&path, &mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
