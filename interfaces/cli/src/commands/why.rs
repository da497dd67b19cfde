//! `tuplix why`: why a task has not begun.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tuplix_services::TaskId;
use tuplix_services::scheduler::Scheduler;

use super::follow;
use super::said::Said;
use crate::node::{Target, explain};

/// Arguments of `why`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix why 1067
  tuplix why --json 1067 | jq -r '.[].reason'")]
pub(crate) struct Why {
    /// The task.
    #[arg(value_name = "TASK")]
    task: i64,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(why: &Why) -> anyhow::Result<ExitCode> {
    let mut node = why.target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let reasons =
        scheduler.why_pending(&mut node.session, TaskId(why.task)).map_err(follow::unknown_explained)?;
    let lines: Vec<String> = reasons
        .iter()
        .map(|reason| {
            format!("{}: {}\n  What lets it begin: {}", reason.reason, reason.detail, reason.unblocked_by)
        })
        .collect();
    let objects: Vec<_> = reasons
        .iter()
        .map(|reason| {
            json!({"reason": reason.reason, "detail": reason.detail, "unblocked_by": reason.unblocked_by})
        })
        .collect();
    why.said.print(lines.join("\n"), &objects.into())?;
    Ok(ExitCode::SUCCESS)
}
