//! Checkpoints: all committed rows and the catalogue in a file, so that a start replays only the log that came after.
//!
//! ```text
//! cut     one moment under all latches: a snapshot, and the epoch of the log that ends exactly there
//! write   the snapshot to a file, chunk by chunk, no faster than allowed
//! keep    which checkpoints and how much of the log stay
//! status  what of this is shown by SQL
//! thread  when: enough log, CHECKPOINT, the end of the node
//! ```
//!
//! A transaction pays nothing for all this but the copy of a chunk that it is the first to write after the cut. What fails here is said and
//! leaves the checkpoints before as they are; the node goes on (docs/adr/0008).

mod cut;
mod keep;
mod status;
mod thread;
mod write;

use std::sync::Arc;

use tuplix_types::{Result, SqlError};

use crate::node::Node;

pub(crate) use keep::known;
pub(crate) use status::{CheckpointStatus, SegmentStatus};
pub(crate) use thread::Checkpointer;

/// The folder of checkpoints in the data directory.
pub(crate) const CHECKPOINTS: &str = "checkpoint";

/// When checkpoints are made, how fast, and what is kept.
#[derive(Clone)]
pub struct Durability {
    /// Bytes of log since the last checkpoint after which the next one begins; 0: none begins by itself.
    pub checkpoint_log_bytes: u64,
    /// Bytes a second that a checkpoint writes while nobody waits for it; 0: as fast as it can.
    pub checkpoint_bytes_per_second: u64,
    /// How far back the log reaches at least, with a checkpoint to begin from: a restore can go to any moment in it. In microseconds.
    pub log_retention_us: i64,
    /// Full chunks of 512 rows that a spooled table must have before a checkpoint writes them to a segment.
    pub spool_chunks: usize,
    /// Who is told of progress and of checkpoints.
    pub events: Option<Events>,
}

impl Default for Durability {
    fn default() -> Durability {
        Durability {
            checkpoint_log_bytes: 512 << 20,
            checkpoint_bytes_per_second: 64 << 20,
            log_retention_us: 0,
            spool_chunks: 64,
            events: None,
        }
    }
}

impl std::fmt::Debug for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Durability")
            .field("checkpoint_log_bytes", &self.checkpoint_log_bytes)
            .field("checkpoint_bytes_per_second", &self.checkpoint_bytes_per_second)
            .field("log_retention_us", &self.log_retention_us)
            .finish_non_exhaustive()
    }
}

/// Called with what happens; it must not block.
pub type Events = Arc<dyn Fn(&NodeEvent) + Send + Sync>;

/// What a node does by itself.
#[derive(Clone, Debug)]
pub enum NodeEvent {
    /// A start reads a checkpoint or the log.
    Recovering {
        /// `checkpoint` or `log`.
        what: &'static str,
        /// Bytes read so far.
        done: u64,
        /// Bytes to read.
        total: u64,
    },
    /// A start builds the indexes of so many fragments.
    BuildingIndexes(usize),
    /// A checkpoint is there.
    Checkpoint(CheckpointDone),
    /// A checkpoint failed; those before are as they were.
    CheckpointFailed(SqlError),
    /// What a checkpoint makes superfluous, or what one that failed has left, could not all be removed; it is tried again with the next
    /// one.
    NotRemoved(SqlError),
    /// Refusals are remembered in memory alone from now on, or some of those before cannot be read.
    RefusalsNotKept(SqlError),
}

/// A checkpoint that was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointDone {
    /// The last epoch in it; 0 when there was nothing to write yet.
    pub epoch: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes written; 0 when the last checkpoint has everything.
    pub bytes: u64,
    /// How long that took.
    pub microseconds: u64,
    /// Segments of the log that were removed.
    pub segments_removed: u64,
}

impl Node {
    /// Makes a checkpoint as fast as the disk goes and waits for it. A node without a log has nothing to do.
    ///
    /// # Errors
    /// 58030 or 53100 when the disk fails or is full: the checkpoints before are as they were and the node goes on; 57P01 when it
    /// is closing.
    pub fn checkpoint(&self) -> Result<CheckpointDone> {
        match &self.checkpointer {
            Some(checkpointer) => checkpointer.request(),
            None => Ok(CheckpointDone::default()),
        }
    }
}
