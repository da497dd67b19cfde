//! How a node is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tuplix_engine::{Durability, Shape};
use tuplix_machine::{Disk, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

/// How a node is opened. The default is a node in memory with a partition for each core.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory; `None` for a node that lives in memory only.
    pub dir: Option<PathBuf>,
    /// Partitions of the buckets; 0 for one per core.
    pub partitions: usize,
    /// Buckets; fixed when a directory is made.
    pub buckets: u16,
    /// Bytes after which the log begins a new segment; their space is reserved when it begins. 64 MiB unless changed.
    pub log_segment_bytes: u64,
    /// Whether commits are logged.
    pub log: LogMode,
    /// Checkpoints, and how much log is kept.
    pub durability: Durability,
    /// Bytes that rows and indexes may take; what would grow beyond is refused with 53200. `None` for two thirds of what this
    /// process may use ([`Machine::memory_bytes`]).
    pub memory: Option<u64>,
    /// One-shot calls that may wait for one partition; one more is refused with 53300.
    pub waiting_max: u64,
    /// The machine to run on; `None` for this computer.
    pub machine: Option<Machine>,
}

/// Whether commits are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// To the data directory; each session's `synchronous_commit` says whether replies wait for the disk.
    #[default]
    On,
    /// Not at all: nothing survives the node. A data directory, where there is one, is locked nevertheless: it is where a program
    /// puts the node's socket. One that has a database is refused.
    Off,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dir: None,
            partitions: 0,
            buckets: 64,
            log_segment_bytes: 64 << 20,
            log: LogMode::On,
            durability: Durability::default(),
            memory: None,
            waiting_max: tuplix_engine::WAITING_MAX,
            machine: None,
        }
    }
}

impl Options {
    /// Bytes that rows and indexes may take. The rest is for what lies beside them: versions of rows that snapshots hold, the
    /// log's buffers, results, compiled code.
    fn memory_limit(&self, machine: &Machine) -> u64 {
        self.memory.or_else(|| Some(machine.memory_bytes()? / 3 * 2)).unwrap_or(u64::MAX)
    }

    pub(crate) fn shape(&self, machine: &Machine) -> Shape {
        let cores = machine.cores().clamp(1, usize::from(self.buckets).max(1));
        let partitions = if self.partitions == 0 { cores } else { self.partitions };
        Shape { partitions, buckets: self.buckets, log_segment_bytes: self.log_segment_bytes }
    }

    /// Sets a node's limits.
    pub(crate) fn limit(&self, node: &tuplix_engine::Node, machine: &Machine) {
        node.memory().set_limit(self.memory_limit(machine));
        node.set_waiting_max(self.waiting_max);
    }

    pub(crate) fn disk(&self, machine: &Machine, dir: &Path) -> Result<Arc<dyn Disk>> {
        let Some(name) = dir.to_str() else {
            let message = format!("the path {} is not UTF-8", dir.display());
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        };
        if !machine.is_simulated() {
            std::fs::create_dir_all(dir).map_err(|error| {
                let message = format!("could not create directory \"{name}\": {error}");
                SqlError::new(sqlstate::IO_ERROR, message)
            })?;
        }
        Ok(machine.disk(name))
    }
}
