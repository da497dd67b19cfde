//! `tuplix wait`: follows a task or a graph to its end.

use std::process::ExitCode;

use clap::Args;
use tuplix_services::{GraphId, TaskId};

use super::follow;
use crate::node::Target;

/// Arguments of `wait`.
#[derive(Args)]
#[command(after_help = "\
Ctrl-C ends the waiting and nothing else. Exit status: 0 only when the task, or every task of the graph, is done.

Examples:
  tuplix wait 1067
  tuplix wait $(tuplix submit /bin/sleep 1)
  tuplix wait --graph 107                follows it as `tuplix run` does")]
pub(crate) struct Wait {
    /// The task, or with --graph the graph.
    #[arg(value_name = "ID")]
    id: i64,
    /// Follow a graph.
    #[arg(long)]
    graph: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(wait: &Wait) -> anyhow::Result<ExitCode> {
    let mut node = wait.target.connect()?;
    if wait.graph {
        follow::graph(&mut node, &wait.target, GraphId(wait.id), None)
    } else {
        follow::task(&mut node, &wait.target, TaskId(wait.id))
    }
}
