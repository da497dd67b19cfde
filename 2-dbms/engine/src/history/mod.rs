//! History: rows of spooled tables that have left memory (docs/adr/0009).
//!
//! A spooled table only grows. A checkpoint writes its full chunks to a segment; once the checkpoint is there, they leave memory, and the
//! bucket's list of [`ColdPart`]s, which lies beside its fragment under the same latch, names their blocks. So the rows that a reader
//! sees are always those of the list and those of the fragment, whichever moment it looks at both.
//!
//! ```text
//! spool    a checkpoint writes full chunks; afterwards they leave memory
//! load     a start finds the lists in its checkpoint
//! forget   whole blocks that are old enough go
//! declare  spool_table: what a table must be like
//! ```

mod declare;
mod forget;
mod load;
mod pressure;
mod spool;

use std::sync::{Arc, OnceLock};

use tuplix_checkpoint::{BlockInfo, Segment, SegmentBlock, SegmentFiles, SegmentName, SegmentRef};
use tuplix_types::{Result, SqlError, sqlstate};

pub(crate) use declare::{check_spooled, refuse_change, spool_table};
pub(crate) use forget::{forget, forget_spooled, forgets};
pub(crate) use load::load;
pub(crate) use pressure::{can_spool, is_due, step};
pub(crate) use spool::{Plan, Spooled, adopt};

/// The folder of segments in the data directory.
pub(crate) const SEGMENTS: &str = "history";

/// A segment that rows of a table are in.
#[derive(Debug)]
pub(crate) struct ColdSegment {
    /// As checkpoints name it.
    pub(crate) reference: SegmentRef,
    files: Arc<SegmentFiles>,
    name: SegmentName,
    node_id: u64,
    /// A damaged one says so to whoever reads it; everything else goes on. Nothing yet where the disk failed: the next reader asks it again.
    opened: OnceLock<Result<Segment>>,
}

impl ColdSegment {
    /// Opens the segment that a checkpoint refers to.
    pub(crate) fn open(
        files: &Arc<SegmentFiles>,
        name: SegmentName,
        node_id: u64,
        reference: SegmentRef,
    ) -> ColdSegment {
        let segment = ColdSegment { reference, files: files.clone(), name, node_id, opened: OnceLock::new() };
        // What is wrong is said to whoever needs it.
        let _ = segment.segment();
        segment
    }

    fn try_open(&self) -> Result<Segment> {
        let segment = Segment::from_file(self.files.file(self.name), self.name, self.node_id)?;
        if segment.reference() == self.reference {
            return Ok(segment);
        }
        let message = format!(
            "segment \"{}\" is damaged at byte 0: it is not the one that the checkpoint refers to",
            segment.path()
        );
        Err(SqlError::new(sqlstate::DATA_CORRUPTED, message))
    }

    /// The segment.
    ///
    /// # Errors
    /// XX001 when it is damaged, 58030 when the disk fails or it is not there.
    pub(crate) fn segment(&self) -> Result<&Segment> {
        let opened = match self.opened.get() {
            Some(opened) => opened,
            None => match self.try_open() {
                Err(error) if error.sqlstate() == sqlstate::IO_ERROR => return Err(error),
                opened => self.opened.get_or_init(|| opened),
            },
        };
        opened.as_ref().map_err(Clone::clone)
    }

    /// What its footer says of a block; `None` of one that is damaged or could not be read yet.
    pub(crate) fn info(&self, block: u32) -> Option<&BlockInfo> {
        self.opened.get()?.as_ref().ok()?.blocks().get(block as usize)
    }
}

/// Blocks of a segment that are a bucket's.
#[derive(Clone, Debug)]
pub(crate) struct ColdPart {
    /// Where.
    pub(crate) segment: Arc<ColdSegment>,
    /// The first block.
    pub(crate) first: u32,
    /// How many.
    pub(crate) blocks: u32,
}

impl ColdPart {
    /// Whether it is the same, or was when it was shorter.
    pub(crate) fn continues(&self, before: &ColdPart) -> bool {
        Arc::ptr_eq(&self.segment, &before.segment)
            && self.first == before.first
            && self.blocks >= before.blocks
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> u64 {
        let blocks = self.first..self.first + self.blocks;
        blocks.filter_map(|block| self.segment.info(block)).map(|info| u64::from(info.rows)).sum()
    }
}

/// What has left memory of a bucket's rows, the oldest first.
pub(crate) type ColdList = Arc<[ColdPart]>;

/// A block of a segment.
#[derive(Clone, Debug)]
pub struct BlockId {
    pub(crate) segment: Arc<ColdSegment>,
    pub(crate) number: u32,
}

impl BlockId {
    /// Reads it.
    ///
    /// # Errors
    /// XX001 when it is damaged, 58030 when the disk fails.
    pub(crate) fn read(&self) -> Result<SegmentBlock> {
        let block = self.segment.segment()?.read(self.number);
        if block.is_err() {
            // There may be an intact file in its place when it is read the next time.
            self.segment.files.close(self.segment.name);
        }
        block
    }

    pub(crate) fn is(&self, other: &BlockId) -> bool {
        self.number == other.number && Arc::ptr_eq(&self.segment, &other.segment)
    }
}
