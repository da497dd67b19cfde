//! `tuplix wait`: follows a graph to its end.

use std::process::ExitCode;

use clap::Args;
use tuplix_services::GraphId;

use super::follow;
use crate::node::Target;

/// Arguments of `wait`.
#[derive(Args)]
#[command(after_help = "\
As the end of `tuplix run`: for graphs that were submitted with --detach, or whose node was started again.
Ctrl-C cancels the graph. Exit status: 0 only when every task is done.

Examples:
  tuplix wait 107")]
pub(crate) struct Wait {
    /// The graph.
    #[arg(value_name = "GRAPH")]
    graph: i64,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(wait: &Wait) -> anyhow::Result<ExitCode> {
    let mut node = wait.target.connect()?;
    follow::graph(&mut node, &wait.target, GraphId(wait.graph))
}
