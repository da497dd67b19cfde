//! Interactive transactions: the private overlay, locks held until the end, validation of reads.

use std::collections::BTreeMap;

use tuplix_catalog::TableId;
use tuplix_sql::plan::{Isolation, LockStrength};
use tuplix_storage::{Fragment, RowId};
use tuplix_types::{SqlError, Value, sqlstate};

use super::change::row_lock;
use super::{PrivateCatalog, RowRef, SHARED_REFERENCE, Transaction, fragment_schema};
use crate::layout::{Domain, TableAccess};
use crate::lock_table::{LockKey, TransactionId};
use crate::node::Node;
use crate::stop::Run;

/// A fragment, named so that it can be found again in a later statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FragmentKey {
    /// Domain.
    pub domain: Domain,
    /// The table's slot in it.
    pub slot: u32,
    /// Bucket.
    pub bucket: u16,
}

/// What an interactive transaction keeps between its statements.
#[derive(Debug)]
pub struct Interactive {
    /// Its name in the lock tables.
    pub id: TransactionId,
    /// Isolation level.
    pub isolation: Isolation,
    /// Its own row versions.
    pub overlay: Overlay,
    /// The tables that it has locked last: most statements stay with a few.
    recent_tables: [Option<(Domain, TableId)>; 4],
    /// Locks to give back at the end.
    pub locks: Vec<(Domain, LockKey)>,
    /// Where the overlay's undo list stood when the running statement began.
    pub statement_start: usize,
    /// How many changes of the catalogue there were then.
    pub statement_catalog: usize,
    /// The catalogue as this transaction has changed it.
    pub(crate) catalog: Option<Box<PrivateCatalog>>,
    /// REPEATABLE READ and SERIALIZABLE: the version of each fragment when it was first read.
    pub reads: BTreeMap<FragmentKey, u64>,
}

impl Interactive {
    /// A transaction that has done nothing.
    pub fn new(id: TransactionId, isolation: Isolation) -> Interactive {
        Interactive {
            id,
            isolation,
            overlay: Overlay::default(),
            recent_tables: [None; 4],
            locks: Vec::new(),
            statement_start: 0,
            statement_catalog: 0,
            catalog: None,
            reads: BTreeMap::new(),
        }
    }

    /// Whether reads are validated.
    pub fn validates_reads(&self) -> bool {
        matches!(self.isolation, Isolation::RepeatableRead | Isolation::Serializable)
    }
}

/// The private row versions of an interactive transaction.
#[derive(Debug, Default)]
pub struct Overlay {
    fragments: BTreeMap<FragmentKey, PrivateFragment>,
    undo: Vec<PrivateUndo>,
    /// Checks of foreign keys that wait for COMMIT.
    deferred: Vec<crate::exec::Deferred>,
}

/// Own versions beside one fragment.
#[derive(Debug)]
pub struct PrivateFragment {
    /// Table it belongs to.
    pub access: TableAccess,
    /// New rows and new versions of committed rows.
    pub fragment: Fragment,
    /// Committed rows that are deleted (`None`) or have a new version.
    pub hidden: BTreeMap<RowId, Option<RowId>>,
    /// The committed row of a new version.
    pub origin: BTreeMap<RowId, RowId>,
}

#[derive(Debug)]
enum PrivateUndo {
    Inserted(FragmentKey, RowId),
    Updated(FragmentKey, RowId, Vec<(usize, Value)>),
    Deleted(FragmentKey, RowId),
    Hidden {
        key: FragmentKey,
        base: RowId,
        before: Option<Option<RowId>>,
    },
    /// A check was put off.
    Deferred,
}

impl Overlay {
    /// How many changes it has.
    pub(crate) fn changes(&self) -> usize {
        self.undo.len()
    }

    /// Whether it has anything for this fragment.
    pub fn touches(&self, key: FragmentKey) -> bool {
        self.fragments.contains_key(&key)
    }

    /// Own versions in this fragment.
    pub fn fragment(&self, key: FragmentKey) -> Option<&Fragment> {
        self.fragments.get(&key).map(|private| &private.fragment)
    }

    /// Whether a committed row is deleted or replaced.
    pub fn hides(&self, key: FragmentKey, row: RowId) -> bool {
        self.fragments.get(&key).is_some_and(|private| private.hidden.contains_key(&row))
    }

    /// What this transaction has made of a committed row: `None` nothing, `Some(None)` it is deleted.
    pub fn version_of(&self, key: FragmentKey, row: RowId) -> Option<Option<RowId>> {
        self.fragments.get(&key)?.hidden.get(&row).copied()
    }

    /// Everything, in a fixed order.
    pub fn fragments(&self) -> impl Iterator<Item = (&FragmentKey, &PrivateFragment)> {
        self.fragments.iter()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.fragments.values().all(|private| private.hidden.is_empty() && private.fragment.row_count() == 0)
    }

    /// The length of the undo list: a place to roll back to.
    pub fn undo_len(&self) -> usize {
        self.undo.len()
    }

    /// Undoes what came after the undo list had this length.
    pub fn rollback_to(&mut self, undo_len: usize) {
        while self.undo.len() > undo_len {
            if let Some(undo) = self.undo.pop() {
                self.undo_one(undo);
            }
        }
    }

    /// Puts a check off until COMMIT.
    pub(crate) fn defer(&mut self, check: crate::exec::Deferred) {
        self.deferred.push(check);
        self.undo.push(PrivateUndo::Deferred);
    }

    /// The checks that wait for COMMIT.
    pub(crate) fn deferred(&self) -> impl Iterator<Item = &crate::exec::Deferred> {
        self.deferred.iter()
    }

    fn undo_one(&mut self, undo: PrivateUndo) {
        let (PrivateUndo::Inserted(key, ..)
        | PrivateUndo::Updated(key, ..)
        | PrivateUndo::Deleted(key, ..)
        | PrivateUndo::Hidden { key, .. }) = &undo
        else {
            self.deferred.pop();
            return;
        };
        let Some(private) = self.fragments.get_mut(key) else { return };
        match undo {
            PrivateUndo::Inserted(_, row) => {
                private.fragment.undo_insert(row);
                private.origin.remove(&row);
            }
            PrivateUndo::Updated(_, row, mut values) => private.fragment.exchange(row, &mut values),
            PrivateUndo::Deleted(_, row) => private.fragment.undelete(row),
            PrivateUndo::Hidden { base, before: None, .. } => {
                private.hidden.remove(&base);
            }
            PrivateUndo::Hidden { base, before: Some(before), .. } => {
                private.hidden.insert(base, before);
            }
            PrivateUndo::Deferred => {}
        }
    }

    fn private(&mut self, node: &Node, key: FragmentKey, access: &TableAccess) -> &mut PrivateFragment {
        self.fragments.entry(key).or_insert_with(|| PrivateFragment {
            access: access.clone(),
            fragment: Fragment::new(&fragment_schema(&access.table, &access.computed, node)),
            hidden: BTreeMap::new(),
            origin: BTreeMap::new(),
        })
    }

    fn hide(
        &mut self,
        node: &Node,
        key: FragmentKey,
        access: &TableAccess,
        base: RowId,
        version: Option<RowId>,
    ) {
        let private = self.private(node, key, access);
        let before = private.hidden.insert(base, version);
        if let Some(version) = version {
            private.origin.insert(version, base);
        }
        self.undo.push(PrivateUndo::Hidden { key, base, before });
    }
}

impl Transaction<'_> {
    fn interactive_mut(&mut self) -> &mut Interactive {
        match self.interactive.as_deref_mut() {
            Some(interactive) => interactive,
            None => panic!("only an interactive transaction has an overlay"),
        }
    }

    pub(super) fn take_lock(&mut self, held: u16, key: LockKey, strength: LockStrength) {
        let Some(id) = self.id() else { return };
        let guard = self.held.get_mut(held);
        let domain = guard.domain;
        if guard.locks.acquire(key, id, strength) {
            self.interactive_mut().locks.push((domain, key));
        }
    }

    pub(super) fn insert_private(
        &mut self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        values: &[Value],
    ) -> Run<RowRef> {
        self.lock_table(held, access);
        self.refuse_old_generation(access)?;
        self.lock_keys(held, access, bucket, values);
        let (node, key) = (self.node, self.fragment_key(held, access.slot, bucket));
        let overlay = &mut self.interactive_mut().overlay;
        let row = overlay.private(node, key, access).fragment.insert(values).map_err(SqlError::from)?;
        overlay.undo.push(PrivateUndo::Inserted(key, row));
        Ok(RowRef { slot: access.slot, bucket, held, private: true, row })
    }

    /// Keeps others from inserting the same keys before this transaction ends.
    fn lock_keys(&mut self, held: u16, access: &TableAccess, bucket: u16, values: &[Value]) {
        for (number, index) in access.table.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
            let Ok(Some(key)) = super::change::index_key(access, number, index, values) else { continue };
            let hash = crate::hash::of_values(&key);
            let lock = LockKey::Key { slot: access.slot, bucket, index: number as u16, hash };
            self.take_lock(held, lock, LockStrength::Update);
        }
    }

    pub(super) fn update_private(
        &mut self,
        access: &TableAccess,
        row: RowRef,
        changes: &[(usize, Value)],
        strength: LockStrength,
    ) -> Run<RowRef> {
        self.refuse_old_generation(access)?;
        let mut values = self.read_row(row);
        for (column, value) in changes {
            values[*column] = value.clone();
        }
        let (node, key) = (self.node, self.fragment_key(row.held, row.slot, row.bucket));
        if row.private {
            self.lock_origin(access, key, row, strength)?;
            self.lock_keys(row.held, access, row.bucket, &values);
            let overlay = &mut self.interactive_mut().overlay;
            let mut old = changes.to_vec();
            overlay.private(node, key, access).fragment.exchange(row.row, &mut old);
            overlay.undo.push(PrivateUndo::Updated(key, row.row, old));
            return Ok(row);
        }
        self.lock_base_row(access, row, strength)?;
        self.lock_keys(row.held, access, row.bucket, &values);
        let overlay = &mut self.interactive_mut().overlay;
        let version = overlay.private(node, key, access).fragment.insert(&values).map_err(SqlError::from)?;
        overlay.undo.push(PrivateUndo::Inserted(key, version));
        overlay.hide(node, key, access, row.row, Some(version));
        Ok(RowRef { private: true, row: version, ..row })
    }

    pub(super) fn delete_private(&mut self, access: &TableAccess, row: RowRef) -> Run<()> {
        self.refuse_old_generation(access)?;
        let (node, key) = (self.node, self.fragment_key(row.held, row.slot, row.bucket));
        if !row.private {
            self.lock_base_row(access, row, LockStrength::Update)?;
            self.interactive_mut().overlay.hide(node, key, access, row.row, None);
            return Ok(());
        }
        self.lock_origin(access, key, row, LockStrength::Update)?;
        let overlay = &mut self.interactive_mut().overlay;
        let private = overlay.private(node, key, access);
        private.fragment.delete(row.row);
        let origin = private.origin.get(&row.row).copied();
        overlay.undo.push(PrivateUndo::Deleted(key, row.row));
        if let Some(base) = origin {
            overlay.hide(node, key, access, base, None);
        }
        Ok(())
    }

    /// Locks the committed row behind a version of this transaction's own, which may be locked less strongly so far.
    fn lock_origin(
        &mut self,
        access: &TableAccess,
        key: FragmentKey,
        row: RowRef,
        strength: LockStrength,
    ) -> Run<()> {
        let private = self.interactive_mut().overlay.fragments.get(&key);
        match private.and_then(|private| private.origin.get(&row.row)).copied() {
            Some(base) => self.lock_base_row(access, RowRef { private: false, row: base, ..row }, strength),
            None => Ok(()),
        }
    }

    fn lock_base_row(&mut self, access: &TableAccess, row: RowRef, strength: LockStrength) -> Run<()> {
        let lock = row_lock(row);
        if let Some(holder) = self.domain_state(row.held).locks.conflict(&lock, self.id(), strength) {
            return Err(self.restart_after(holder));
        }
        self.lock_table(row.held, access);
        self.take_lock(row.held, lock, strength);
        Ok(())
    }

    /// Keeps DDL off the table until this transaction ends: its private rows have the table's present shape and place.
    pub(super) fn lock_table(&mut self, held: u16, access: &TableAccess) {
        if !self.is_interactive() {
            return;
        }
        // The locks of a reference table that is only read may lie in any domain.
        let held = if held == SHARED_REFERENCE { 0 } else { held };
        let place = (self.held.get(held).domain, access.table.id);
        let recent = &mut self.interactive_mut().recent_tables;
        if recent.contains(&Some(place)) {
            return;
        }
        recent.rotate_right(1);
        recent[0] = Some(place);
        self.take_lock(held, LockKey::Table { id: access.table.id }, LockStrength::Share);
    }

    /// Locks the table against DDL without looking at it.
    pub(crate) fn use_table(&mut self, access: &TableAccess) -> Run<()> {
        let held = self.place(access, 0)?;
        self.lock_table(held, access);
        Ok(())
    }

    /// Locks the table against DDL. REPEATABLE READ and SERIALIZABLE: notes the fragment's version, or finds that it has
    /// changed since it was first read.
    #[inline]
    pub(super) fn track_read(&mut self, held: u16, access: &TableAccess, bucket: u16) -> Run<()> {
        match self.interactive.as_deref() {
            Some(_) => self.note_read(held, access, bucket),
            None => Ok(()),
        }
    }

    fn note_read(&mut self, held: u16, access: &TableAccess, bucket: u16) -> Run<()> {
        self.lock_table(held, access);
        if !self.interactive_mut().validates_reads() {
            return Ok(());
        }
        let key = self.fragment_key(held, access.slot, bucket);
        let version = self.domain_state(held).fragment(access.slot, bucket).map_or(0, |f| f.version());
        match *self.interactive_mut().reads.entry(key).or_insert(version) {
            seen if seen == version => Ok(()),
            _ => Err(serialization_failure().into()),
        }
    }

    /// Checks that nothing read so far has changed: then all reads are as of now.
    pub(crate) fn validate_reads(&mut self, reads: &BTreeMap<FragmentKey, u64>) -> Run<()> {
        for (key, version) in reads {
            let held = self.hold(key.domain)?;
            let now = self.domain_state(held).fragment(key.slot, key.bucket).map_or(0, |f| f.version());
            if now != *version {
                return Err(serialization_failure().into());
            }
        }
        Ok(())
    }

    /// As [`Transaction::validate_reads`], of the interactive transaction whose statement this is.
    pub(crate) fn validate_own_reads(&mut self) -> Run<()> {
        match self.interactive.as_deref_mut() {
            Some(interactive) if interactive.validates_reads() => {
                let reads = std::mem::take(&mut interactive.reads);
                let outcome = self.validate_reads(&reads);
                self.interactive_mut().reads = reads;
                outcome
            }
            _ => Ok(()),
        }
    }
}

fn serialization_failure() -> SqlError {
    let message = "could not serialize access due to read/write dependencies among transactions";
    SqlError::new(sqlstate::SERIALIZATION_FAILURE, message).hint("The transaction might succeed if retried.")
}
