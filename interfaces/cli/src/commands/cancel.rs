//! `tuplix cancel`: ends a task or a graph.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tuplix_services::scheduler::Scheduler;
use tuplix_services::{GraphId, TaskId};

use super::said::Said;
use super::{counted, follow};
use crate::node::{Target, explain};

/// Arguments of `cancel`.
#[derive(Args)]
#[command(after_help = "\
Tasks that need a cancelled one are cancelled with it. A running one is `cancelling` until its process has ended.

Examples:
  tuplix cancel 1067
  tuplix cancel --graph 107 --why 'wrong input'")]
pub(crate) struct Cancel {
    /// The task, or with --graph the graph.
    #[arg(value_name = "ID")]
    id: i64,
    /// Cancel all tasks of a graph.
    #[arg(long)]
    graph: bool,
    /// The reason; it stands in the result of each task.
    #[arg(long, value_name = "TEXT", default_value = "cancelled by its user")]
    why: String,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(cancel: &Cancel) -> anyhow::Result<ExitCode> {
    let mut node = cancel.target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    if cancel.graph {
        let count = scheduler
            .cancel_graph(&mut node.session, GraphId(cancel.id), &cancel.why)
            .map_err(follow::unknown_explained)?;
        let line =
            format!("cancelled {} of graph {}", counted(count.unsigned_abs().into(), "task"), cancel.id);
        cancel.said.print(line, &json!({"graph": cancel.id, "cancelled": count}))?;
    } else {
        let state = scheduler
            .cancel_task(&mut node.session, TaskId(cancel.id), &cancel.why)
            .map_err(follow::unknown_explained)?;
        cancel.said.print(
            format_args!("task {} is {state}", cancel.id),
            &json!({"task": cancel.id, "state": state}),
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
