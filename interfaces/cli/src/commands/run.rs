//! `tuplix run`: submits a graph and follows it to its end.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use tuplix_services::ReceiverId;
use tuplix_services::scheduler::Scheduler;

use super::interrupt::Interrupts;
use super::said::Said;
use super::{counted, follow};
use crate::graph::Graph;
use crate::node::{Target, explain};

/// Arguments of `run`.
#[derive(Args)]
#[command(after_help = "\
docs/graphs.md describes the file. Ctrl-C cancels the graph and waits until its processes have ended.
Exit status: 0 only when every task is done, 130 when Ctrl-C cancelled it.

Examples:
  tuplix run wordcount.toml
  tuplix run --detach wordcount.toml     prints the graph's number and returns; then: tuplix wait --graph
  tuplix run --check wordcount.toml      only says what is wrong with the file")]
pub(crate) struct Run {
    /// The graph's file, - for standard input.
    #[arg(value_name = "GRAPH.toml")]
    graph: PathBuf,
    /// Do not wait for the end.
    #[arg(long)]
    detach: bool,
    /// Only read the file; needs no node.
    #[arg(long, conflicts_with = "detach")]
    check: bool,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let graph = Graph::read(&run.graph, &run.target.user())?;
    let mut out = std::io::stdout();
    if run.check {
        let line = format!("{}: {}", graph.name, counted(graph.tasks as u64, "task"));
        run.said.print(line, &json!({"name": graph.name, "tasks": graph.tasks}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut node = run.target.connect()?;
    let home = node.home()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let reply_to = graph.reply_to.as_deref().map(ReceiverId::of_name);
    let interrupts = Interrupts::take()?;
    let id = scheduler
        .submit_graph(&mut node.session, home, &node.user, &graph.description, reply_to)
        .map_err(explain)?;
    if run.detach {
        run.said.print(id, &json!({"graph": id.0, "name": graph.name, "tasks": graph.tasks}))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "graph {id} {}: {}", graph.name, counted(graph.tasks as u64, "task"))?;
    follow::graph(&mut node, &run.target, id, Some(interrupts))
}
