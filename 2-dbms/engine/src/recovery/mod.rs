//! Recovery: the newest checkpoint that is intact, then the log after it, then the indexes.
//!
//! ```text
//! checkpoint ── load: fragments on all threads ──┐
//! log        ── replay: a thread a domain ───────┴── rows ── indexes: fragments on all threads
//! ```
//!
//! Every checksum of what is read is checked. A damaged checkpoint is said and passed over for the one before it, as long as the log since
//! then is there; otherwise the start ends with what to do. Nothing is skipped, and nothing is changed on disk before all is read.

mod apply;
mod load;
mod parallel;
mod progress;
mod replay;

pub(crate) use apply::home;

use std::sync::Arc;

use tuplix_checkpoint::{Reader, SegmentFiles, disk_error};
use tuplix_log::{Config, CutTail, Log, Recovery};
use tuplix_machine::{Disk, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::checkpoint::Events;
use crate::node::{Node, Shape};
use progress::Progress;

/// What a recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The checkpoint that it began with.
    pub checkpoint: Option<CheckpointRead>,
    /// What is wrong with newer checkpoints, which could not be used.
    pub damaged: Vec<String>,
    /// Epochs of the log replayed.
    pub epochs: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The last epoch of the log; commits continue with the next.
    pub last_epoch: u64,
    /// The interrupted write that was cut off the end, to be shown to whoever started the node.
    pub cut: Option<CutTail>,
    /// How long all of it took.
    pub microseconds: u64,
}

/// A checkpoint that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRead {
    /// The last epoch in it.
    pub epoch: u64,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// A node with its rows, and the log to go on with.
pub(crate) struct Recovered {
    pub(crate) node: Node,
    pub(crate) log: Log,
    pub(crate) last_commit: u64,
    pub(crate) report: RecoveryReport,
    /// Epochs of checkpoints that are damaged.
    pub(crate) damaged: Vec<u64>,
}

/// Where to recover from, and what to.
pub(crate) struct Source<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) checkpoints: &'a dyn Disk,
    pub(crate) segments: &'a Arc<SegmentFiles>,
    pub(crate) log: Arc<dyn Disk>,
    pub(crate) config: Config,
    pub(crate) shape: &'a Shape,
    pub(crate) events: Option<Events>,
}

/// Rows and the log's state, before the log is opened for commits.
pub(crate) struct Loaded {
    pub(crate) node: Arc<Node>,
    pub(crate) recovery: Recovery,
    pub(crate) last_commit: u64,
    pub(crate) checkpoint: Option<CheckpointRead>,
    pub(crate) damaged: Vec<(u64, SqlError)>,
}

impl Source<'_> {
    /// Recovers and opens the log for commits.
    ///
    /// # Errors
    /// XX001 when nothing intact leads to the log's end, and as the disk's and formats' errors are.
    pub(crate) fn recover(&self) -> Result<Recovered> {
        let started_ns = self.machine.monotonic_ns();
        let Loaded { node, recovery, last_commit, checkpoint, damaged } = self.load()?;
        let (log, found) = recovery.finish()?;
        let (node, report, damaged) = self.report(node, checkpoint, damaged, found, started_ns)?;
        Ok(Recovered { node, log, last_commit, report, damaged })
    }

    /// Recovers without opening the log: the node is in memory only, and nothing on disk changes.
    ///
    /// # Errors
    /// As [`Source::recover`].
    pub(crate) fn recover_in_memory(&self) -> Result<(Node, RecoveryReport)> {
        let started_ns = self.machine.monotonic_ns();
        let Loaded { node, recovery, checkpoint, damaged, .. } = self.load()?;
        let found = recovery.found();
        let (node, report, _) = self.report(node, checkpoint, damaged, found, started_ns)?;
        Ok((node, report))
    }

    fn report(
        &self,
        node: Arc<Node>,
        checkpoint: Option<CheckpointRead>,
        damaged: Vec<(u64, SqlError)>,
        found: tuplix_log::RecoveryReport,
        started_ns: u64,
    ) -> Result<(Node, RecoveryReport, Vec<u64>)> {
        let node = Arc::into_inner(node)
            .ok_or_else(|| SqlError::internal("a thread of the recovery still has the node"))?;
        let report = RecoveryReport {
            checkpoint,
            damaged: damaged.iter().map(|(_, error)| error.message().to_owned()).collect(),
            epochs: found.epochs,
            records: found.records,
            bytes: found.bytes,
            last_epoch: found.last_epoch,
            cut: found.cut,
            microseconds: (self.machine.monotonic_ns() - started_ns) / 1000,
        };
        Ok((node, report, damaged.into_iter().map(|(epoch, _)| epoch).collect()))
    }

    /// Reads checkpoint and log into a node; nothing on disk changes.
    ///
    /// # Errors
    /// As [`Source::recover`].
    pub(crate) fn load(&self) -> Result<Loaded> {
        let epochs = tuplix_checkpoint::list(self.checkpoints).map_err(|error| disk_error(&error))?;
        let mut damaged: Vec<(u64, SqlError)> = Vec::new();
        for epoch in epochs {
            match self.load_checkpoint(epoch) {
                Ok((node, checkpoint, last_commit)) => {
                    return self.replay(node, Some(checkpoint), last_commit, damaged);
                }
                Err(error) if error.sqlstate() == sqlstate::DATA_CORRUPTED => damaged.push((epoch, error)),
                Err(error) => return Err(error),
            }
        }
        self.replay(Arc::new(self.empty()?), None, 0, damaged)
    }

    fn empty(&self) -> Result<Node> {
        Node::new(self.machine.clone(), self.shape, Log::off(self.machine), None)
    }

    fn load_checkpoint(&self, epoch: u64) -> Result<(Arc<Node>, CheckpointRead, u64)> {
        let reader = Reader::open(self.checkpoints, epoch, Some(self.config.node_id))?;
        let checkpoint = CheckpointRead { epoch, rows: reader.rows(), bytes: reader.bytes() };
        let last_commit = reader.header().last_commit;
        let node = Arc::new(self.empty()?);
        let spooled = reader.segments()?;
        load::load(&node, reader, replay::threads(self.machine), self.events.clone())?;
        crate::history::load(&node, self.segments, self.config.node_id, &spooled)?;
        Ok((node, checkpoint, last_commit))
    }

    fn replay(
        &self,
        node: Arc<Node>,
        checkpoint: Option<CheckpointRead>,
        last_commit: u64,
        damaged: Vec<(u64, SqlError)>,
    ) -> Result<Loaded> {
        let after = checkpoint.map_or(0, |checkpoint| checkpoint.epoch);
        let config = Config { recover_after: after, ..self.config.clone() };
        let mut recovery = Recovery::start(self.machine, self.log.clone(), config)?;
        if recovery.reader().segment_count() == 0 && (after > 0 || !damaged.is_empty()) {
            return Err(no_log(self.log.root(), after));
        }
        let threads = replay::threads(self.machine);
        let total = recovery.reader().total_bytes()?;
        let progress = Progress::new(self.machine, self.events.clone(), "log", total);
        let replayed = replay::replay(&node, &mut recovery, threads, &progress);
        let last_commit = match replayed {
            Ok(replayed) => last_commit.max(replayed),
            Err(error) => return Err(with_damaged(error, &damaged)),
        };
        load::build_indexes(&node, threads, self.events.as_ref())?;
        Ok(Loaded { node, recovery, last_commit, checkpoint, damaged })
    }
}

fn no_log(folder: &str, after: u64) -> SqlError {
    let message =
        format!("the log is missing: \"{folder}\" has no segment, a checkpoint ends at epoch {after}");
    SqlError::new(sqlstate::DATA_CORRUPTED, message)
        .detail("Commits after the checkpoint would be lost without a word.")
        .hint("Put the log back, or restore a backup with \"tuplix restore\".")
}

/// Says why an older checkpoint was needed that the log does not reach.
fn with_damaged(error: SqlError, damaged: &[(u64, SqlError)]) -> SqlError {
    let Some((_, first)) = damaged.first() else { return error };
    let detail = format!("The newest checkpoint could not be used: {}", first.message());
    SqlError::new(error.sqlstate(), error.message().to_owned()).detail(detail).hint(
        "Put an intact copy of the checkpoint or of the missing log in place, or restore a backup with \"tuplix restore\".",
    )
}
