//! Sizes of tables as they are now, and samples of columns for plans.
//!
//! A plan may be made in the middle of a transaction that holds latches, so nothing here waits for one: what is latched
//! elsewhere is taken to be as it was when it was last seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::{Catalog, ColumnStatistics, TableId};
use tuplix_machine::{Machine, Mutex};
use tuplix_storage::{Fragment, FragmentSnapshot};
use tuplix_types::TypeId;

use super::{TARGET_OF_PLANS, analyze_columns};
use crate::domain::DomainState;
use crate::layout::{Domain, Placement, TableAccess};
use crate::node::Domains;

/// Rows below which a table is not sampled for a plan: all paths are fast.
const ROWS_MIN: u64 = 1_000;
/// Until a sample is this old, writes that keep the number of rows do not make it stale.
const FRESH_NS: u64 = 60_000_000_000;
/// Times that a latch is tried.
const TRIES: usize = 64;

/// How large a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Rows.
    pub rows: u64,
    /// Writes since the node began.
    pub changes: u64,
}

impl Size {
    /// Whether there were more writes between the two than 10 % of the rows and 50.
    pub(crate) fn is_far(self, now: Size) -> bool {
        let bound = 50 + self.rows / 10;
        self.rows.abs_diff(now.rows) > bound || self.changes.abs_diff(now.changes) > bound
    }

    fn rows_are_far(self, now: Size) -> bool {
        Size { changes: now.changes, ..self }.is_far(now)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Live {
    machine: Machine,
    domains: Arc<Domains>,
    /// Which partition has each bucket.
    buckets: Box<[Domain]>,
    tables: Mutex<BTreeMap<TableId, Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Where its rows were when this was found out.
    place: Option<(u32, Placement)>,
    size: Size,
    columns: BTreeMap<usize, (Size, u64, Arc<ColumnStatistics>)>,
}

impl Live {
    pub(crate) fn new(machine: &Machine, domains: Arc<Domains>, buckets: Box<[Domain]>) -> Live {
        Live { machine: machine.clone(), domains, buckets, tables: Mutex::new(machine, BTreeMap::new()) }
    }

    /// The clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.machine.monotonic_ns()
    }

    /// How large a table is, or was when nobody held its latches; `None` when that was never seen.
    pub(crate) fn size(&self, access: &TableAccess) -> Option<Size> {
        let mut size = Size::default();
        let seen = self.visit(access, &mut |fragment| {
            size.rows += fragment.row_count() as u64 + fragment.rows_elsewhere();
            size.changes += fragment.version();
        });
        let mut tables = self.tables.lock();
        let table = tables.entry(access.table.id).or_default();
        let place = Some((access.slot, access.placement));
        if seen {
            if table.place != place {
                *table = Table { place, ..Table::default() };
            }
            table.size = size;
        }
        (table.place.is_some()).then_some(table.size)
    }

    /// A column's statistics from a small sample, made when there is none or it is stale; `None` for a table that is
    /// small or latched.
    pub(crate) fn column(
        &self,
        catalog: &Catalog,
        access: &TableAccess,
        column: usize,
        ty: TypeId,
    ) -> Option<Arc<ColumnStatistics>> {
        let size = self.size(access)?;
        if size.rows < ROWS_MIN {
            return None;
        }
        let now = self.machine.monotonic_ns();
        let known =
            self.tables.lock().get(&access.table.id).and_then(|table| table.columns.get(&column).cloned());
        if let Some((then, at, known)) = &known
            && !then.rows_are_far(size)
            && (!then.is_far(size) || now.saturating_sub(*at) < FRESH_NS)
        {
            return Some(known.clone());
        }
        let mut fragments: Vec<FragmentSnapshot> = Vec::new();
        if !self.visit(access, &mut |fragment| fragments.push(fragment.snapshot())) {
            return known.map(|(_, _, known)| known);
        }
        // The same rows again as long as the table is the same: a plan does not depend on the dice.
        let seed = u64::from(access.table.id.0);
        let mut found = analyze_columns(catalog, &fragments, &[(column, ty, TARGET_OF_PLANS)], seed);
        let found = Arc::new(found.pop()?);
        let mut tables = self.tables.lock();
        let table = tables.entry(access.table.id).or_default();
        table.columns.insert(column, (size, now, found.clone()));
        Some(found)
    }

    /// What samples for plans have found out about a table.
    pub(crate) fn sampled(&self, table: TableId) -> Vec<Arc<ColumnStatistics>> {
        let tables = self.tables.lock();
        tables
            .get(&table)
            .map_or(Vec::new(), |table| table.columns.values().map(|known| known.2.clone()).collect())
    }

    /// Forgets tables that are not there any more.
    pub(crate) fn keep(&self, exists: impl Fn(TableId) -> bool) {
        self.tables.lock().retain(|id, _| exists(*id));
    }

    /// Visits the fragments of a table; false when one of its latches was not to be had.
    fn visit(&self, access: &TableAccess, visit: &mut dyn FnMut(&Fragment)) -> bool {
        let domains: Vec<Domain> = match access.placement {
            Placement::Local(domain) => vec![domain],
            Placement::Reference => vec![Domain::REFERENCE],
            Placement::Hash { .. } => {
                let mut domains = self.buckets.to_vec();
                domains.sort_unstable();
                domains.dedup();
                domains
            }
            Placement::Locked(_) => return false,
        };
        domains.into_iter().all(|domain| {
            let fragments = |state: &DomainState, visit: &mut dyn FnMut(&Fragment)| {
                let fragments = state.table(access.slot).map(|table| &table.fragments);
                fragments.into_iter().flatten().flatten().for_each(|fragment| visit(fragment));
            };
            let Some(cell) = self.domains.cell(domain) else { return false };
            let guard = (0..TRIES).find_map(|_| {
                let guard = cell.try_lock(domain);
                if guard.is_none() {
                    std::hint::spin_loop();
                }
                guard
            });
            match guard {
                Some(guard) => {
                    fragments(&guard, visit);
                    true
                }
                None => false,
            }
        })
    }
}
