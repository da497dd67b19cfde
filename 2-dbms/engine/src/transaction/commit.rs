//! Commit: one redo record, and what a reply has to wait for.

use tuplix_catalog::{CatalogChange, OnCommit};
use tuplix_log::RecordHeader;
use tuplix_storage::RowId;
use tuplix_types::Value;

use super::interactive::PrivateFragment;
use super::{FragmentKey, Interactive, RestartCause, RowRef, SHARED_REFERENCE, Transaction, Undo};
use crate::domain::Guard;
use crate::exec::discard;
use crate::layout::{Domain, TableAccess};
use crate::node::Node;
use crate::redo::{self, Origin};
use crate::sequences::SequenceAccess;
use crate::stop::{Run, Stop};

/// A committed run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Committed {
    /// The reply may leave once this epoch is on disk; 0: there is nothing to wait for.
    pub epoch: u64,
}

impl Transaction<'_> {
    /// Publishes the run's changes and releases the latches. `origin` says in the log who changed the rows.
    ///
    /// # Errors
    /// [`Stop::Restart`] when the log's buffer is full; 54000 when the changes are too many for one record, or too
    /// many tables. The caller abandons the run then.
    #[inline(always)]
    pub(crate) fn commit(&mut self, origin: &Origin) -> Run<Committed> {
        let committed = self.commit_keeping_latches(origin)?;
        self.held.release();
        Ok(committed)
    }

    /// As [`Transaction::commit`], with the latches kept: an interactive transaction still has locks to give back.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    #[inline(always)]
    pub(crate) fn commit_keeping_latches(&mut self, origin: &Origin) -> Run<Committed> {
        if self.held.len() > 0 && !self.held.get(0).lane.has_room() {
            return Err(self.restart_for_room());
        }
        if self.scratch.undo.is_empty() && self.scratch.redo.is_empty() {
            return Ok(Committed { epoch: self.seen_epoch() });
        }
        let committed = self.commit_changes(origin)?;
        self.release_deleted();
        self.scratch.undo.clear();
        while let Some((_, value)) = self.scratch.undo_values.pop() {
            discard(value);
        }
        self.scratch.redo.clear();
        Ok(committed)
    }

    /// Asks for a restart once the log's buffer has room again.
    #[cold]
    fn restart_for_room(&mut self) -> Stop {
        let stop = self.restart_with(&[]);
        self.cause = RestartCause::LogFull;
        stop
    }

    /// The newest epoch whose effects this run can have seen.
    pub(super) fn seen_epoch(&self) -> u64 {
        self.rows_epoch.unwrap_or_else(|| self.domain_epoch()).max(self.sequence_epoch)
    }

    /// Says that all the statement reads are rows by unique keys: its reply waits for their epochs alone.
    #[inline]
    pub(crate) fn read_by_keys(&mut self) {
        self.rows_epoch = Some(0);
    }

    /// Notes what a search for a unique key has found.
    #[inline]
    pub(super) fn saw_key(&mut self, held: u16, found: Option<RowRef>) {
        if self.rows_epoch.is_some() {
            self.note_key(held, found);
        }
    }

    #[inline(never)]
    fn note_key(&mut self, held: u16, found: Option<RowRef>) {
        if held == SHARED_REFERENCE {
            // The reference domain's writes are everybody's.
            self.rows_epoch = None;
            return;
        }
        let epoch = match found {
            // Its own version: what it was made of, it has seen before.
            Some(row) if row.private => 0,
            Some(row) => self.held.get(held).recent.of_row(row.slot, row.bucket, row.row),
            None => self.held.get(held).recent.of_absence(),
        };
        self.rows_epoch = self.rows_epoch.map(|seen| seen.max(epoch));
    }

    fn domain_epoch(&self) -> u64 {
        if self.held.len() == 0 {
            return 0;
        }
        // SAFETY: some latch is held, and the reference domain is written with all latches held.
        let reference = unsafe { self.node.domain(Domain::REFERENCE).shared() }.last_epoch;
        self.held.newest(reference, |guard| guard.last_epoch)
    }

    /// Notes that a reply must wait for this epoch too.
    #[inline]
    pub(crate) fn saw_epoch(&mut self, epoch: u64) {
        self.sequence_epoch = self.sequence_epoch.max(epoch);
    }

    /// Writes into the log how far a sequence may go, whatever becomes of this run, and gives the record's epoch.
    ///
    /// # Errors
    /// [`Stop::Restart`] when the log's buffer is full.
    pub(crate) fn log_sequence(&mut self, sequence: &SequenceAccess, value: i64, called: bool) -> Run<u64> {
        if !self.logs {
            return Ok(0);
        }
        let mut bytes = Vec::new();
        let id = sequence.def.id;
        redo::catalog(&mut bytes, &CatalogChange::SetSequence { id, value, called })?;
        let held = self.held.newest(0, |guard| guard.last_commit);
        let mut lane = self.node.sequence_lane();
        if !lane.lane.has_room() {
            drop(lane);
            return Err(self.restart_for_room());
        }
        let epoch = self.node.current_epoch();
        let commit_ts = lane.last_commit.max(held) + 1;
        let header = RecordHeader { commit_ts, context: 0, procedure: 0, version: 0 };
        lane.lane.append(epoch, &header, |record| record.extend(&bytes))?;
        lane.last_commit = commit_ts;
        sequence.state.note_logged(value, called);
        Ok(epoch)
    }

    fn commit_changes(&mut self, origin: &Origin) -> Run<Committed> {
        let mut timestamp = self.held.newest(0, |guard| guard.last_commit) + 1;
        // Sequences are created and set by the catalogue's records: their own come before or after, never beside.
        let _sequences = self.logs_catalog.then(|| pass_sequences(self.node, &mut timestamp));
        // Read while all latches are held: an epoch closes only when no domain can still commit into it.
        let epoch = self.node.current_epoch();
        let header = RecordHeader {
            commit_ts: timestamp,
            context: origin.context,
            procedure: origin.procedure,
            version: origin.version,
        };
        let Transaction { held, scratch, .. } = self;
        held.get_mut(0).lane.append(epoch, &header, |record| record.extend(&scratch.redo))?;
        held.for_each_mut(|guard| {
            guard.last_commit = timestamp;
            guard.last_epoch = epoch;
        });
        self.note_writes(epoch);
        Ok(Committed { epoch })
    }

    /// Notes for later readers by key which rows this commit has written.
    #[inline(always)]
    fn note_writes(&mut self, epoch: u64) {
        let Transaction { held, scratch, .. } = self;
        for undo in &scratch.undo {
            match undo {
                Undo::Inserted(row) | Undo::Updated { row, .. } => {
                    held.get_mut(row.held).recent.wrote(row.slot, row.bucket, row.row, epoch);
                }
                Undo::Deleted(row) => held.get_mut(row.held).recent.took_keys(epoch),
                Undo::Deferred => {}
            }
        }
        if self.takes_keys {
            self.held.for_each_mut(|guard| guard.recent.took_keys(epoch));
        }
        // Rows that came and went with the catalogue are not in the list.
        if self.logs_catalog || self.scratch.undo.is_empty() {
            self.held.for_each_mut(|guard| guard.recent.wrote_all(epoch));
        }
    }

    #[inline]
    fn release_deleted(&mut self) {
        for position in 0..self.scratch.undo.len() {
            if let Undo::Deleted(row) = self.scratch.undo[position] {
                self.base_mut(row).release_deleted();
            }
        }
    }

    /// Puts an interactive transaction's changes in place. Its locks kept everybody else from what it changes.
    pub(crate) fn apply(&mut self, interactive: &Interactive) -> Run<()> {
        if interactive.validates_reads() && !interactive.overlay.is_empty() {
            self.validate_reads(&interactive.reads)?;
        }
        let current = |access: &TableAccess| match &interactive.catalog {
            _ if access.table.temporary == Some(OnCommit::Delete) => false,
            Some(catalog) => catalog.is_current(access),
            None => true,
        };
        let fragments = || interactive.overlay.fragments().filter(|(_, private)| current(&private.access));
        for (key, private) in fragments() {
            if private.access.placement == crate::layout::Placement::Reference {
                self.hold_all()?;
            }
            self.hold(key.domain)?;
        }
        for (key, private) in fragments() {
            self.apply_fragment(key, private)?;
        }
        Ok(())
    }

    fn apply_fragment(&mut self, key: &FragmentKey, private: &PrivateFragment) -> Run<()> {
        let held = self.hold(key.domain)?;
        let row = |row: RowId| RowRef { slot: key.slot, bucket: key.bucket, held, private: false, row };
        // Deletions first: they may free the keys of what follows.
        for (base, _) in private.hidden.iter().filter(|(_, version)| version.is_none()) {
            self.apply_delete(private, row(*base));
        }
        for (base, version) in &private.hidden {
            if let Some(version) = version {
                self.apply_update(private, row(*base), *version);
            }
        }
        for version in live_rows(private).filter(|version| !private.origin.contains_key(version)) {
            self.apply_insert(private, row(version))?;
        }
        Ok(())
    }

    fn apply_delete(&mut self, private: &PrivateFragment, row: RowRef) {
        let fragment = self.held.get_mut(row.held).fragment_mut(row.slot, row.bucket);
        if !private.access.temporary {
            redo::delete(&mut self.scratch.redo, &private.access, fragment, row);
        }
        fragment.delete(row.row);
        self.scratch.undo.push(Undo::Deleted(row));
    }

    fn apply_update(&mut self, private: &PrivateFragment, row: RowRef, version: RowId) {
        let columns = private.fragment.column_types().len();
        let fragment = self.held.get_mut(row.held).fragment_mut(row.slot, row.bucket);
        let first = self.scratch.undo_values.len();
        for column in 0..columns {
            let new = private.fragment.read(version, column);
            if !same_integer(&new, &fragment.read(row.row, column)) {
                self.scratch.undo_values.push((column, new));
            }
        }
        let changes = self.scratch.undo_values[first..].to_vec();
        self.takes_keys |= changes.iter().any(|(column, _)| fragment.is_indexed(*column));
        let logged = redo::update_columns(&private.access, changes.iter().map(|(column, _)| *column));
        let super::Scratch { undo_values, redo, .. } = &mut *self.scratch;
        fragment.exchange_then(row.row, &mut undo_values[first..], |view| {
            if !private.access.temporary {
                redo::update(redo, &private.access, view, row, &logged);
            }
        });
        self.scratch.undo.push(Undo::Updated { row, first: first as u32, count: changes.len() as u32 });
    }

    fn apply_insert(&mut self, private: &PrivateFragment, at: RowRef) -> Run<()> {
        let columns = private.fragment.column_types().len();
        let values: Vec<_> = (0..columns).map(|column| private.fragment.read(at.row, column)).collect();
        let fragment = self.held.get_mut(at.held).fragment_mut(at.slot, at.bucket);
        if self.node.memory().is_full() && fragment.grows_with(&values) {
            super::refuse_growth(self.node)?;
        }
        let row = fragment.insert(&values).map_err(tuplix_types::SqlError::from)?;
        if !private.access.temporary {
            redo::insert(&mut self.scratch.redo, private.access.table.id, at.bucket, row, &values);
        }
        self.scratch.undo.push(Undo::Inserted(RowRef { row, ..at }));
        Ok(())
    }

    /// Latches every domain in which an interactive transaction has locks.
    pub(crate) fn hold_lock_domains(&mut self, interactive: &Interactive) -> Run<()> {
        interactive.locks.iter().try_for_each(|(domain, _)| self.hold(*domain).map(|_| ()))
    }

    /// Gives an ending interactive transaction's locks back; their domains are latched.
    pub(crate) fn free_locks(&mut self, interactive: &mut Interactive) {
        for (domain, key) in interactive.locks.drain(..) {
            match self.held.position(domain) {
                Some(held) => self.held.get_mut(held).locks.release(key, interactive.id),
                None => panic!("{domain:?} of a lock is not latched"),
            }
        }
        self.held.release();
    }
}

/// Latches the lane of sequences, which is at this timestamp or a later one then.
#[cold]
fn pass_sequences<'n>(node: &'n Node, timestamp: &mut u64) -> Guard<'n> {
    let mut lane = node.sequence_lane();
    *timestamp = (*timestamp).max(lane.last_commit + 1);
    lane.last_commit = *timestamp;
    lane
}

/// Whether a column need not be written again; only said of what is cheap to compare.
fn same_integer(new: &Value, old: &Value) -> bool {
    matches!((new, old), (Value::Null, Value::Null))
        || (new.as_i64().is_some() && new.as_i64() == old.as_i64())
}

pub(super) fn live_rows(private: &PrivateFragment) -> impl Iterator<Item = RowId> + '_ {
    let mut cursor = tuplix_storage::ScanCursor::new();
    let mut batch = tuplix_storage::RowBatch::new();
    let mut rows = Vec::with_capacity(private.fragment.row_count());
    loop {
        batch.clear();
        let more = private.fragment.scan_batch(&mut cursor, &[], &mut batch);
        rows.extend(batch.iter().copied());
        if !more {
            return rows.into_iter();
        }
    }
}
