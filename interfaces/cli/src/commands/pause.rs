//! `tuplix pause` and `tuplix resume`: tasks, graphs and queues that begin nothing for a while.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tuplix_services::scheduler::Scheduler;
use tuplix_services::{GraphId, TaskId};

use super::follow;
use super::said::Said;
use crate::node::{Target, explain};

/// Arguments of both.
#[derive(Args)]
#[command(after_help = "\
What runs goes on; what has not begun does not begin before it is resumed.

Examples:
  tuplix pause 1067
  tuplix pause --graph 107
  tuplix resume --graph 107
  tuplix pause --queue mail")]
pub(crate) struct Pause {
    /// The task, or with --graph the graph.
    #[arg(value_name = "ID", required_unless_present = "queue", conflicts_with = "queue")]
    id: Option<i64>,
    /// A graph.
    #[arg(long, conflicts_with = "queue")]
    graph: bool,
    /// A queue of the user's.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

/// Pauses, or resumes.
pub(super) fn run(pause: &Pause, pauses: bool) -> anyhow::Result<ExitCode> {
    let mut node = pause.target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let paused = if pauses { "paused" } else { "resumed" };
    if let Some(queue) = &pause.queue {
        let home = node.home()?;
        let done = match pauses {
            true => scheduler.pause_queue(&mut node.session, home, queue),
            false => scheduler.resume_queue(&mut node.session, home, queue),
        };
        done.map_err(explain)?;
        pause
            .said
            .print(format_args!("queue {queue} is {paused}"), &json!({"queue": queue, "paused": pauses}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (session, id) = (&mut node.session, pause.id.unwrap_or_default());
    if pause.graph {
        let done = match pauses {
            true => scheduler.pause_graph(session, GraphId(id)),
            false => scheduler.resume_graph(session, GraphId(id)),
        };
        done.map_err(follow::unknown_explained)?;
        pause.said.print(format_args!("graph {id} is {paused}"), &json!({"graph": id, "paused": pauses}))?;
    } else {
        let state = match pauses {
            true => scheduler.pause_task(session, TaskId(id)),
            false => scheduler.resume_task(session, TaskId(id)),
        };
        let state = state.map_err(follow::unknown_explained)?;
        let object = json!({"task": id, "paused": pauses, "state": state});
        pause.said.print(format_args!("task {id} is {paused}: {state}"), &object)?;
    }
    Ok(ExitCode::SUCCESS)
}
