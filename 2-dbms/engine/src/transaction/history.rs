//! Reading history. What has left memory never changes, so it is read without a latch wherever none is held; under one it is fetched
//! by the one restart rule (docs/adr/0003): the run gives its latches back, the blocks are read, it runs again.

use std::ops::Range;

use tuplix_checkpoint::SegmentBlock;

use super::{RestartCause, Transaction};
use crate::history::{BlockId, ColdList};
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};

/// Blocks that a statement is restarted for at most; beyond, it reads with its latches held.
const FETCHED_MAX: usize = 64;

impl Transaction<'_> {
    /// What has left memory of the buckets, under their latches.
    pub(crate) fn cold_lists(
        &mut self,
        access: &TableAccess,
        buckets: Range<u16>,
    ) -> Run<Vec<(u16, Option<ColdList>)>> {
        if buckets.len() > 1 {
            self.require_all(access)?;
        }
        buckets
            .map(|bucket| {
                let held = self.place(access, bucket)?;
                let table = self.domain_state(held).table(access.slot);
                Ok((bucket, table.and_then(|table| table.cold(bucket)).cloned()))
            })
            .collect()
    }

    /// What has left memory of all of a table's buckets, at one moment.
    ///
    /// # Errors
    /// A restart when not all latches can be had.
    pub(crate) fn all_cold(&mut self, access: &TableAccess) -> Run<Vec<ColdList>> {
        let nested = self.held.len() > 0;
        self.hold_all()?;
        let lists = self.cold_lists(access, 0..access.buckets)?;
        if !nested {
            self.held.release();
        }
        Ok(lists.into_iter().filter_map(|(_, list)| list).collect())
    }

    /// Asks for another run from the start: what was read has been forgotten meanwhile.
    pub(crate) fn read_again(&mut self) -> Stop {
        self.restart_with(&[])
    }

    /// The first of these blocks; the others will be asked for as well.
    ///
    /// # Errors
    /// XX001 when it is damaged, 58030 when the disk fails; a restart.
    pub(crate) fn read_block(&mut self, wanted: &[BlockId]) -> Run<SegmentBlock> {
        let first = &wanted[0];
        let known = self.scratch.fetched.iter().find(|(known, _)| known.is(first));
        if let Some((_, block)) = known {
            return Ok(block.clone());
        }
        let room = FETCHED_MAX.saturating_sub(self.scratch.fetched.len());
        if !self.holds_latches() || room == 0 {
            return Ok(first.read()?);
        }
        let missing = wanted.iter().filter(|id| !self.scratch.fetched.iter().any(|(known, _)| known.is(id)));
        let missing = missing.take(room).cloned().collect();
        let stop = self.restart_with(&[]);
        self.cause = RestartCause::Fetch(missing);
        Err(stop)
    }
}
