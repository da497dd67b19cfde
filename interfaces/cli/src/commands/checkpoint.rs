//! `tuplix checkpoint`: a checkpoint now, so that the next start replays little log.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use crate::node::{Target, explain};

/// Arguments of `checkpoint`.
#[derive(Args)]
#[command(after_help = "\
The node makes checkpoints by itself as its log grows (tuplix up --checkpoint-log-size), and one when it is stopped. This one is written as
fast as the disk goes. The same by SQL: CHECKPOINT.

Examples:
  tuplix checkpoint
  tuplix checkpoint --data /srv/tuplix")]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(checkpoint: &Checkpoint) -> anyhow::Result<ExitCode> {
    let mut node = checkpoint.target.connect()?;
    node.session.execute("CHECKPOINT").map_err(explain)?;
    writeln!(std::io::stdout(), "the checkpoint is written")?;
    Ok(ExitCode::SUCCESS)
}
