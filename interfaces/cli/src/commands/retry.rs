//! `tuplix retry`: lets a task that failed or was cancelled live again.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tuplix_services::TaskId;
use tuplix_services::scheduler::Scheduler;

use super::said::Said;
use crate::node::{Target, explain};

/// Arguments of `retry`.
#[derive(Args)]
#[command(after_help = "\
Tasks that were cancelled because they need it live again too.

Examples:
  tuplix retry 1067")]
pub(crate) struct Retry {
    /// The task.
    #[arg(value_name = "TASK")]
    task: i64,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(retry: &Retry) -> anyhow::Result<ExitCode> {
    let mut node = retry.target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let state = scheduler
        .retry_task(&mut node.session, TaskId(retry.task))
        .map_err(super::follow::unknown_explained)?;
    let line = format!("task {} is {state}", retry.task);
    retry.said.print(line, &json!({"task": retry.task, "state": state}))?;
    Ok(ExitCode::SUCCESS)
}
