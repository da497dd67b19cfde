//! A domain: rows behind one latch.
//!
//! A domain is a partition of the buckets, or one undistributed table, or the reference tables. Its state may only be
//! touched by who holds its latch; reference tables may also be read by who holds any latch, since they are
//! written with all latches held.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tuplix_log::Lane;
use tuplix_machine::{Latch, Machine};
use tuplix_storage::{Fragment, FragmentSchema, IndexSchema};

use crate::history::{ColdList, ColdPart};
use crate::layout::Domain;
use crate::lock_table::LockTable;
use crate::recent_writes::RecentWrites;

/// What a domain's latch guards.
#[derive(Debug)]
pub struct DomainState {
    /// Tables by slot; `None` where the slot is free.
    pub tables: Vec<Option<TableData>>,
    /// Redo of committed transactions until the log's writer takes it.
    pub lane: Lane,
    /// The last commit's timestamp; a later commit here has a larger one.
    pub last_commit: u64,
    /// The last epoch in which something was written here: what a read-only reply waits for.
    pub last_epoch: u64,
    /// In which epochs which rows were written: what a reply waits for that has seen single rows.
    pub recent: RecentWrites,
    /// Locks of interactive transactions.
    pub locks: LockTable,
}

/// A table's rows in one domain.
#[derive(Debug)]
pub struct TableData {
    /// Columns and indexes, shared by the fragments.
    pub schema: Arc<FragmentSchema>,
    /// Fragments by bucket; `None` until a row comes.
    pub fragments: Vec<Option<Box<Fragment>>>,
    /// What has left memory, by bucket; empty as long as nothing has.
    cold: Vec<Option<ColdList>>,
    /// During recovery fragments have no indexes: they are built when all rows are there.
    pub bare: bool,
}

impl TableData {
    /// A table without rows.
    pub fn new(schema: Arc<FragmentSchema>, buckets: usize) -> TableData {
        let fragments = std::iter::repeat_with(|| None).take(buckets).collect();
        TableData { schema, fragments, cold: Vec::new(), bare: false }
    }

    /// A table whose rows recovery brings.
    pub fn bare(schema: Arc<FragmentSchema>, buckets: usize) -> TableData {
        TableData { bare: true, ..TableData::new(schema, buckets) }
    }

    /// What has left memory of a bucket's rows.
    pub(crate) fn cold(&self, bucket: u16) -> Option<&ColdList> {
        self.cold.get(usize::from(bucket))?.as_ref()
    }

    /// Adds to what has left memory.
    pub(crate) fn add_cold(&mut self, bucket: u16, part: ColdPart) {
        if self.cold.is_empty() {
            self.cold.resize(self.fragments.len(), None);
        }
        let place = &mut self.cold[usize::from(bucket)];
        let mut parts = place.as_deref().map_or(Vec::new(), <[ColdPart]>::to_vec);
        match parts.last_mut() {
            Some(last)
                if Arc::ptr_eq(&last.segment, &part.segment) && last.first + last.blocks == part.first =>
            {
                last.blocks += part.blocks;
            }
            _ => parts.push(part),
        }
        *place = Some(parts.into());
        self.count_cold(bucket);
    }

    /// Changes what has left memory.
    pub(crate) fn change_cold(&mut self, change: &mut dyn FnMut(&ColdList) -> Vec<ColdPart>) {
        for bucket in 0..self.cold.len() {
            if let Some(list) = &self.cold[bucket] {
                let parts = change(list);
                self.cold[bucket] = (!parts.is_empty()).then(|| parts.into());
                self.count_cold(bucket as u16);
            }
        }
    }

    /// Forgets all that has left memory.
    pub(crate) fn clear_cold(&mut self) {
        self.change_cold(&mut |_| Vec::new());
    }

    fn count_cold(&mut self, bucket: u16) {
        let rows = self.cold(bucket).map_or(0, |list| list.iter().map(ColdPart::rows).sum());
        if let Some(Some(fragment)) = self.fragments.get_mut(usize::from(bucket)) {
            fragment.set_rows_elsewhere(rows);
        }
    }

    /// Takes over a changed definition: adds and drops indexes so that they are those of `schema`, in its order.
    pub fn change_schema(&mut self, schema: Arc<FragmentSchema>) {
        let kept = self
            .schema
            .indexes
            .iter()
            .zip(&schema.indexes)
            .take_while(|(old, new)| same_index(old, new))
            .count();
        for fragment in self.fragments.iter_mut().flatten().filter(|_| !self.bare) {
            for number in (kept..self.schema.indexes.len()).rev() {
                fragment.drop_index(number);
            }
            for (offset, index) in schema.indexes[kept..].iter().enumerate() {
                let number = fragment.add_index(index.clone());
                assert_eq!(number.ok(), Some(kept + offset), "DDL keeps the number of indexes in bounds");
            }
        }
        self.schema = schema;
    }

    /// The fragment of `bucket`, made when it is not there yet.
    #[inline(always)]
    pub fn fragment_mut(&mut self, bucket: u16) -> &mut Fragment {
        let (schema, bare) = (&self.schema, self.bare);
        self.fragments[usize::from(bucket)].get_or_insert_with(|| new_fragment(schema, bare))
    }
}

#[cold]
#[inline(never)]
fn new_fragment(schema: &FragmentSchema, bare: bool) -> Box<Fragment> {
    Box::new(if bare { bare_fragment(schema) } else { Fragment::new(schema) })
}

/// A fragment without indexes.
#[cold]
pub(crate) fn bare_fragment(schema: &FragmentSchema) -> Fragment {
    Fragment::new(&FragmentSchema { indexes: Vec::new(), ..FragmentSchema::clone(schema) })
}

/// Whether two indexes have the same keys.
pub(crate) fn same_index(left: &IndexSchema, right: &IndexSchema) -> bool {
    left.kind == right.kind
        && left.unique == right.unique
        && left.columns == right.columns
        && format!("{:?}", left.computed) == format!("{:?}", right.computed)
}

impl DomainState {
    /// The table in this slot.
    #[inline]
    pub fn table(&self, slot: u32) -> Option<&TableData> {
        self.tables.get(slot as usize)?.as_ref()
    }

    /// The fragment, when rows were ever put there.
    #[inline]
    pub fn fragment(&self, slot: u32, bucket: u16) -> Option<&Fragment> {
        self.table(slot)?.fragments.get(usize::from(bucket))?.as_deref()
    }

    /// The fragment that a row lies in.
    ///
    /// # Panics
    /// When the table has no slot here: the layout and the domain disagree, a bug.
    #[inline(always)]
    pub fn fragment_mut(&mut self, slot: u32, bucket: u16) -> &mut Fragment {
        match self.tables.get_mut(slot as usize) {
            Some(Some(table)) => table.fragment_mut(bucket),
            _ => panic!("slot {slot} has no table in this domain"),
        }
    }

    /// Puts a table into `slot`.
    pub fn put_table(&mut self, slot: u32, table: TableData) {
        let slot = slot as usize;
        if self.tables.len() <= slot {
            self.tables.resize_with(slot + 1, || None);
        }
        self.tables[slot] = Some(table);
    }
}

/// A domain.
#[derive(Debug)]
pub struct DomainCell {
    latch: Latch,
    state: UnsafeCell<DomainState>,
    /// Who waits for the latch now; [`DomainCell::admit`] bounds it.
    waiting: AtomicU64,
}

// SAFETY: `state` is reached only through `Guard`, which holds the latch, through `shared`, whose contract says so,
// and through `get_mut`.
unsafe impl Sync for DomainCell {}

impl DomainCell {
    /// An empty domain.
    pub fn new(machine: &Machine, lane: Lane) -> DomainCell {
        let state = DomainState {
            tables: Vec::new(),
            lane,
            last_commit: 0,
            last_epoch: 0,
            recent: RecentWrites::default(),
            locks: LockTable::default(),
        };
        DomainCell { latch: Latch::new(machine), state: UnsafeCell::new(state), waiting: AtomicU64::new(0) }
    }

    /// Waits for the latch.
    #[inline]
    pub fn lock(&self, domain: Domain) -> Guard<'_> {
        if !self.latch.try_lock() {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.latch.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Guard { cell: self, domain }
    }

    /// Waits for the latch, unless `most` wait for it already.
    #[inline]
    pub fn admit(&self, domain: Domain, most: u64) -> Option<Guard<'_>> {
        self.try_lock(domain).or_else(|| self.queue(domain, most))
    }

    fn queue(&self, domain: Domain, most: u64) -> Option<Guard<'_>> {
        let admitted = self.waiting.fetch_add(1, Ordering::Relaxed) < most;
        if admitted {
            self.latch.lock();
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // Made only where the latch is held: a guard that is dropped gives it back.
        admitted.then(|| Guard { cell: self, domain })
    }

    /// Takes the latch if it is free.
    #[inline]
    pub fn try_lock(&self, domain: Domain) -> Option<Guard<'_>> {
        self.latch.try_lock().then(|| Guard { cell: self, domain })
    }

    /// The state for reading without this domain's latch.
    ///
    /// # Safety
    /// Nobody may write the state meanwhile: this is the reference domain and the caller holds some domain's latch,
    /// while writers of the reference domain hold all of them.
    pub unsafe fn shared(&self) -> &DomainState {
        // SAFETY: the caller's contract.
        unsafe { &*self.state.get() }
    }
}

/// The right to a domain's state until it is dropped.
#[derive(Debug)]
pub struct Guard<'n> {
    cell: &'n DomainCell,
    /// Which domain.
    pub domain: Domain,
}

impl std::ops::Deref for Guard<'_> {
    type Target = DomainState;

    #[inline]
    fn deref(&self) -> &DomainState {
        // SAFETY: this guard holds the latch.
        unsafe { &*self.cell.state.get() }
    }
}

impl std::ops::DerefMut for Guard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut DomainState {
        // SAFETY: this guard holds the latch and is borrowed for writing.
        unsafe { &mut *self.cell.state.get() }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cell.latch.unlock();
    }
}
