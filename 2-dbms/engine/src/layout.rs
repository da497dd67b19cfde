//! Where the rows of each table live: which latch guards them, and which storage slot holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::{Catalog, Distribution, SequenceId, TableDef, TableId};
use tuplix_machine::Machine;
use tuplix_types::Result;

use crate::computed_index::{Computed, computed_of};
use crate::sequences::{SequenceAccess, SequenceState};

use crate::lock_table::TransactionId;
use crate::statistics::Live;

/// A set of rows guarded by one latch: a partition of the buckets, or one undistributed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(pub u32);

impl Domain {
    /// The domain of all reference tables.
    pub const REFERENCE: Domain = Domain(0);
}

/// Where a table's rows live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All rows in one fragment (bucket 0) of a domain of its own.
    Local(Domain),
    /// All rows in one fragment (bucket 0), readable under any latch, written under all.
    Reference,
    /// A fragment a bucket, by the integer in this column.
    Hash {
        /// The distribution column's position.
        column: usize,
    },
    /// Nowhere that others may go: a transaction is changing the table, and who wants its rows waits for it.
    Locked(TransactionId),
}

/// A table as compiled code names it.
#[derive(Clone, Debug)]
pub struct TableAccess {
    /// Definition.
    pub table: Arc<TableDef>,
    /// Dense number of the table in every domain's storage.
    pub slot: u32,
    /// Where its rows live.
    pub placement: Placement,
    /// Fragments: the number of buckets, or 1.
    pub buckets: u16,
    /// The keys of partial indexes and indexes on expressions.
    pub(crate) computed: Computed,
    /// A temporary table: its rows are not logged.
    pub temporary: bool,
}

/// The placement of every table under one catalogue.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    tables: BTreeMap<TableId, TableAccess>,
    sequences: BTreeMap<SequenceId, SequenceAccess>,
    /// Sizes of now; none in a layout that no node has.
    live: Option<Arc<Live>>,
}

impl Layout {
    /// All tables.
    pub fn tables(&self) -> impl Iterator<Item = &TableAccess> {
        self.tables.values()
    }

    /// The layout of `catalog`; `slot_of` gives each table its slot and, for a local one, its domain. What has not changed
    /// since `before` is taken from there.
    ///
    /// # Errors
    /// What binding the expressions of indexes finds.
    pub fn new(
        catalog: &Catalog,
        before: &Layout,
        buckets: u16,
        machine: &Machine,
        mut slot_of: impl FnMut(&TableDef) -> (u32, Domain),
    ) -> Result<Layout> {
        let tables = catalog.tables().filter(|table| table.view.is_none()).map(|table| {
            let (slot, domain) = slot_of(table);
            let placement = match table.distribution {
                Distribution::Local => Placement::Local(domain),
                Distribution::Reference => Placement::Reference,
                Distribution::Hash { column } => Placement::Hash { column },
            };
            let buckets = if matches!(placement, Placement::Hash { .. }) { buckets } else { 1 };
            let temporary = table.temporary.is_some();
            let computed = match before.tables.get(&table.id) {
                Some(known) if Arc::ptr_eq(&known.table, table) => known.computed.clone(),
                _ => computed_of(catalog, table)?,
            };
            let access = TableAccess { table: table.clone(), slot, placement, buckets, temporary, computed };
            Ok((table.id, access))
        });
        let tables = tables.collect::<Result<_>>()?;
        let sequences = catalog.sequences().map(|def| {
            let state = match before.sequences.get(&def.id) {
                Some(known) => known.state.clone(),
                None => Arc::new(SequenceState::private(machine, def.start, false)),
            };
            (def.id, SequenceAccess { def: def.clone(), state })
        });
        Ok(Layout { tables, sequences: sequences.collect(), live: before.live.clone() })
    }

    /// The layout of a node without tables.
    pub(crate) fn with_live(live: Arc<Live>) -> Layout {
        Layout { live: Some(live), ..Layout::default() }
    }

    /// Sizes of now.
    pub(crate) fn live(&self) -> Option<&Arc<Live>> {
        self.live.as_ref()
    }

    /// Puts a sequence elsewhere in this layout alone.
    pub(crate) fn put_sequence(&mut self, machine: &Machine, id: SequenceId, value: i64, called: bool) {
        if let Some(access) = self.sequences.get_mut(&id) {
            access.state = Arc::new(SequenceState::private(machine, value, called));
        }
    }

    /// All sequences.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = &SequenceAccess> {
        self.sequences.values()
    }

    /// The sequence with this id.
    #[inline]
    pub fn sequence(&self, id: SequenceId) -> Option<&SequenceAccess> {
        self.sequences.get(&id)
    }

    /// Says that a table lies elsewhere.
    pub(crate) fn place(&mut self, id: TableId, placement: Placement) {
        if let Some(access) = self.tables.get_mut(&id) {
            access.placement = placement;
        }
    }

    /// The table with this id.
    pub fn table(&self, id: TableId) -> Option<&TableAccess> {
        self.tables.get(&id)
    }
}
