//! The limit on memory: once it is reached, what would grow is refused; reads, deletes and changes that do not grow go on.

use tuplix_types::{SqlError, Value, sqlstate};

use super::{RestartCause, RowRef, Transaction};
use crate::layout::TableAccess;
use crate::node::Node;
use crate::stop::{Run, Stop};

/// How often a statement waits for a checkpoint to make room before it is refused.
const MADE_ROOM_MAX: u32 = 4;

impl Transaction<'_> {
    /// Refuses a row that would take more memory than its fragment has, once the limit is reached. A row of an interactive
    /// transaction takes memory beside the fragment's.
    ///
    /// # Errors
    /// 53200
    #[cold]
    pub(super) fn refuse_grown(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        values: &[Value],
    ) -> Run<()> {
        let fragment = self.domain_state(held).fragment(access.slot, bucket);
        if !self.is_interactive() && fragment.is_some_and(|fragment| !fragment.grows_with(values)) {
            return Ok(());
        }
        match refuse_growth(self.node) {
            // Whoever runs this lets history leave memory first.
            Err(Stop::Error(error))
                if self.scratch.made_room < MADE_ROOM_MAX && crate::history::can_spool(self.node) =>
            {
                let stop = self.restart_with(&[]);
                self.cause = RestartCause::MemoryFull(error);
                Err(stop)
            }
            other => other,
        }
    }

    /// As [`Transaction::refuse_grown`], of changes of a row.
    ///
    /// # Errors
    /// 53200
    #[cold]
    pub(super) fn refuse_grown_by(&self, row: RowRef, changes: &[(usize, Value)]) -> Run<()> {
        let grows = self.fragment_of(row).grows_by(row.row, changes);
        // The new version of a row of somebody who may yet roll back lies beside the old one.
        if grows || self.is_interactive() && self.node.memory().is_far_over() {
            return refuse_growth(self.node);
        }
        Ok(())
    }
}

/// Refuses what needs more memory, if the limit is reached.
///
/// # Errors
/// 53200
#[inline]
pub(crate) fn refuse_growth(node: &Node) -> Run<()> {
    if node.memory().is_full() {
        return Err(out_of_memory(node.memory().used(), node.memory().limit()).into());
    }
    Ok(())
}

fn out_of_memory(used: u64, limit: u64) -> SqlError {
    let message = format!("out of memory: rows and indexes have reached the limit of {limit} bytes");
    SqlError::new(sqlstate::OUT_OF_MEMORY, message)
        .detail(format!(
            "{used} bytes are in use. Reads, deletes and changes that need no more memory are still possible."
        ))
        .hint("Delete rows, drop or truncate tables (tuplix.tables shows their bytes), or start the node with more --memory.")
}
