//! `tuplix ps`: tasks.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::node::Target;
use crate::render::{Format, show};

const TASKS: &str = include_str!("ps.sql");

/// Arguments of `ps`.
#[derive(Args)]
#[command(after_help = "\
cpu_ms and memory_mib are what the last attempt used; before it ends, memory_mib is what the task declared.
seconds counts from the start of the attempt, or from the submission before there is one.

Examples:
  tuplix ps                              tasks that are not over
  tuplix ps --graph 448                  all tasks of a graph
  tuplix ps --state failed
  tuplix ps --all --json | jq '.[].name'")]
pub(crate) struct Ps {
    /// Only tasks of this graph, also those that are over.
    #[arg(long, value_name = "ID")]
    graph: Option<i64>,
    /// Only tasks in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Also tasks that are over.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

/// The states of `os.task`.
#[derive(Clone, Copy, ValueEnum)]
enum State {
    Waiting,
    Queued,
    Delayed,
    Assigned,
    Running,
    Cancelling,
    Done,
    Failed,
    Cancelled,
}

pub(super) fn run(ps: &Ps) -> anyhow::Result<ExitCode> {
    let state = ps.state.and_then(|state| Some(state.to_possible_value()?.get_name().to_owned()));
    let all = ps.all || ps.graph.is_some() || state.is_some();
    let parameters = [ps.graph.map(|graph| graph.to_string()), state, Some(all.to_string())];
    let mut client = ps.target.client()?;
    show(&ps.format, TASKS, |each| client.query_with(TASKS, &parameters, each))
}
