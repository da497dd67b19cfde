//! What a worker offers to tasks, and how it keeps them apart: the same for `tuplix up` and `tuplix worker`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tuplix_worker::{Isolation, PROCESSES_MAX, WorkerOptions};

use crate::graph::units::size;

/// The arguments.
#[derive(Args)]
pub(super) struct Offer {
    /// Cores that the worker offers to tasks; all if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=4096))]
    cores: Option<i32>,
    /// Memory that the worker offers to tasks, as 2GiB; all if left out.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    task_memory: Option<i64>,
    /// A named resource that it offers, as gpu=2; as often as needed.
    #[arg(long = "resource", value_name = "NAME=N", value_parser = resource)]
    resources: Vec<(String, i64)>,
    /// Whether tasks run in namespaces of their own.
    #[arg(long, value_enum, default_value_t = Isolated::Auto)]
    isolation: Isolated,
    /// Isolated tasks reach the network.
    #[arg(long)]
    network: bool,
    /// A folder or file of this machine that isolated tasks may read, beside the system's; as often as needed.
    #[arg(long, value_name = "PATH")]
    readable: Vec<PathBuf>,
    /// Each task runs on as many processors as it takes cores, and no other task of this worker does. Workers side by side on one
    /// machine need different ones: start each by taskset.
    #[arg(long)]
    pin: bool,
    /// Processes and threads that a task may have at a time; 0: as many as there can be.
    #[arg(long, value_name = "N", default_value_t = PROCESSES_MAX)]
    processes: u64,
}

/// `--isolation`
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Isolated {
    /// Where this machine permits it.
    Auto,
    /// Never.
    Off,
}

/// NAME=N
pub(super) fn resource(text: &str) -> Result<(String, i64), String> {
    let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let read =
        named.and_then(|(name, amount)| Some((name.to_owned(), amount.parse().ok().filter(|n| *n > 0)?)));
    read.ok_or_else(|| format!("\"{text}\" is not NAME=N with a positive number, as gpu=2"))
}

impl Offer {
    /// The names of all of them, as other arguments refer to them.
    pub(super) const NAMES: [&'static str; 8] =
        ["cores", "task_memory", "resources", "isolation", "network", "readable", "pin", "processes"];

    /// Sets a worker up so.
    ///
    /// # Errors
    /// A path that cannot be used.
    pub(super) fn apply(&self, options: &mut WorkerOptions) -> anyhow::Result<()> {
        options.cores = self.cores.unwrap_or(options.cores);
        options.memory = self.task_memory.unwrap_or(options.memory);
        options.resources = self.resources.iter().cloned().collect();
        options.machine = Some(options.host.clone()).filter(|host| !host.is_empty());
        options.isolation = match self.isolation {
            Isolated::Auto => Isolation::Auto,
            Isolated::Off => Isolation::Off,
        };
        options.network = self.network;
        options.processes_max = self.processes;
        if self.pin {
            options.processors = WorkerOptions::own_processors();
        }
        // Gone when it was replaced since; then tasks do without.
        options.tools = std::env::current_exe().ok().filter(|program| program.exists()).into_iter().collect();
        for path in &self.readable {
            let found = path.canonicalize();
            let found = found.with_context(|| format!("--readable {} cannot be used", path.display()))?;
            options.readable.push(found);
        }
        Ok(())
    }
}
