//! What a worker offers and how it runs tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tuplix_machine::Machine;
use tuplix_services::{Bucket, WorkerId};

use crate::runner::client::RunnerCommand;
use crate::runner::system::own_processors;

/// Processes and threads that a task may have at a time, unless it is said otherwise.
pub const PROCESSES_MAX: u64 = 4096;

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Its identifier: no two workers of a database have the same, and one that starts again keeps its own, so that what it
    /// held before is taken from it at once.
    pub id: WorkerId,
    /// The buckets that it serves.
    pub buckets: Vec<Bucket>,
    /// Cores that it offers.
    pub cores: i32,
    /// Bytes of memory that it offers.
    pub memory: i64,
    /// Named resources that it offers beside, as in `{"gpu": 2}`.
    pub resources: BTreeMap<String, i64>,
    /// Where it runs, for people.
    pub host: String,
    /// The machine, whose row of `os.machine` says whether its workers get tasks; `None`: no matter.
    pub machine: Option<String>,
    /// How long it may be silent before it counts as lost.
    pub lease: Duration,
    /// Whether it lives in the node's own process. Then what it says need not be on disk before it goes on: a crash that forgets
    /// that an attempt began or ended ends the attempt too, and nobody else has seen more than the disk has.
    pub dies_with_node: bool,
    /// In what time it looks through all its buckets for received messages and tasks that are old enough to be forgotten (the
    /// settings `ipc.history_ms` and `scheduler.history_ms`). An hour unless changed.
    pub sweep_every: Duration,
    /// Processors that tasks get for themselves, as many as they have cores; none: tasks run on all that the worker runs on. No more
    /// are pinned than there are, and no two workers of a machine should have the same.
    pub processors: Vec<usize>,
    /// Processes and threads that a task may have at a time; 0: as many as there can be.
    pub processes_max: u64,
    /// Where its tasks have their working directories, which are removed afterwards.
    pub work_directory: PathBuf,
    /// What starts its helper processes.
    pub runner: RunnerCommand,
    /// Whether tasks are isolated.
    pub isolation: Isolation,
    /// Whether isolated tasks reach the network.
    pub network: bool,
    /// Folders and files of the machine that isolated tasks may read, beside the system's.
    pub readable: Vec<PathBuf>,
    /// Folders that isolated tasks never see: the data directory.
    pub hidden: Vec<PathBuf>,
    /// Programs that tasks find in their PATH: the command `tuplix`.
    pub tools: Vec<PathBuf>,
    /// The node's socket, `.s.PGSQL.PORT` in some folder: how tasks reach it. None: they do not.
    pub socket: Option<PathBuf>,
}

/// Whether tasks run in namespaces of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Where the machine permits it; where not, the worker says so and runs them without.
    #[default]
    Auto,
    /// Never: they see what the node sees.
    Off,
}

impl WorkerOptions {
    /// The processors that this process may run on: what [`WorkerOptions::processors`] can be.
    pub fn own_processors() -> Vec<usize> {
        own_processors()
    }

    /// A worker that serves all buckets with all of this machine.
    pub fn new(id: WorkerId, work_directory: impl AsRef<Path>) -> WorkerOptions {
        WorkerOptions {
            id,
            buckets: Bucket::all().collect(),
            cores: i32::try_from(Machine::linux().cores()).unwrap_or(i32::MAX),
            memory: machine_memory(),
            resources: BTreeMap::new(),
            host: host_name(),
            machine: None,
            lease: Duration::from_secs(60),
            dies_with_node: false,
            sweep_every: Duration::from_secs(3600),
            processors: Vec::new(),
            processes_max: PROCESSES_MAX,
            work_directory: work_directory.as_ref().to_owned(),
            runner: RunnerCommand::default(),
            isolation: Isolation::Auto,
            network: false,
            readable: Vec::new(),
            hidden: Vec::new(),
            tools: Vec::new(),
            socket: None,
        }
    }
}

/// Bytes of memory of this machine; 1 GiB where it does not say.
fn machine_memory() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<i64>().ok());
    kilobytes.map_or(1 << 30, |kilobytes| kilobytes.saturating_mul(1024))
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
