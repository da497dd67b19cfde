//! `tuplix task-runner`: the helper process of a worker, which starts it by itself.

use clap::Args;

/// Arguments of `task-runner`: the process that it dies with.
#[derive(Args)]
pub(crate) struct TaskRunner {
    #[arg(long, hide = true)]
    parent: Option<u32>,
    /// It goes on without its worker.
    #[arg(long, hide = true)]
    outlives: bool,
}

pub(super) fn run(runner: &TaskRunner) -> anyhow::Result<std::process::ExitCode> {
    anyhow::ensure!(runner.parent.is_some(), "a worker starts it: tuplix up");
    Ok(tuplix_worker::run_task_runner())
}
