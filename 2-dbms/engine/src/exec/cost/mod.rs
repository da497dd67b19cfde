//! What a plan costs and how many rows it gives, as far as statistics tell (docs/adr/0007).
//!
//! ```text
//!   selectivity   which part of the rows a condition lets through
//!   path          what it costs to find the rows of one table by a path
//!   guess         how many rows a FROM item gives
//!   order         in which order relations are joined, and how
//! ```
//!
//! Costs are nanoseconds of one core, roughly; EXPLAIN shows them as microseconds.

mod guess;
mod order;
mod path;
mod planned;
mod selectivity;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tuplix_catalog::TableId;
use tuplix_sql::plan::RelationId;
use tuplix_types::TypeId;

pub(crate) use guess::limited;
pub(crate) use order::{JoinItem, Method, Ordering, best_order, cost_of};
pub(crate) use path::Pricing;
pub(crate) use planned::Planned;

use crate::layout::{Layout, TableAccess};
use crate::statistics::{Known, Statistics};

/// A row of a chunk that is tested by storage and does not pass.
pub(super) const SCAN_ROW: f64 = 1.5;
/// A row whose columns are put into slots and given on.
pub(super) const EMIT_ROW: f64 = 25.0;
/// A condition that is tested by a closure.
pub(super) const FILTER: f64 = 12.0;
/// A row that an index names, wherever it lies.
pub(super) const FETCH_ROW: f64 = 50.0;
/// A look-up in a hash index.
pub(super) const LOOK_UP: f64 = 70.0;
/// Finding the place in an ordered index where a range begins.
pub(super) const DESCEND: f64 = 150.0;
/// Beginning with a bucket.
pub(super) const BUCKET: f64 = 20.0;
/// A row put into the hash table of a join.
pub(super) const HASH_BUILD: f64 = 90.0;
/// A row looked for there.
pub(super) const HASH_PROBE: f64 = 60.0;
/// A row changed, inserted or deleted.
pub(super) const CHANGE_ROW: f64 = 300.0;
/// A comparison of a sort.
pub(crate) const COMPARE: f64 = 12.0;

/// Rows that a table is taken to have when nobody has analysed it and it has fewer: what is compiled while a table is empty
/// has to be good when it is not.
pub(super) const ROWS_UNKNOWN: f64 = 1_000.0;
/// Rows that a query with LIMIT is taken to ask for.
pub(crate) const ROWS_OF_LIMIT: f64 = 10.0;
/// Another plan than the one that the rules give has to be so much cheaper: estimates are not that good, and a plan
/// that stays is worth something.
pub(crate) const WORTH_IT: f64 = 0.6;

/// Rows and cost of an operator, its sources included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Rows that it gives.
    pub rows: f64,
    /// Nanoseconds until the first row.
    pub startup: f64,
    /// Nanoseconds until the last one.
    pub cost: f64,
    /// Bytes of a row.
    pub width: f64,
}

/// What was asked of the statistics while a statement is compiled.
#[derive(Default)]
pub(crate) struct Asked {
    rows: RefCell<BTreeMap<TableId, f64>>,
    columns: RefCell<BTreeMap<(TableId, usize), Option<Rc<Known>>>>,
}

/// The statistics as one statement sees them.
#[derive(Clone, Copy)]
pub(crate) struct Estimator<'e> {
    pub statistics: Statistics<'e>,
    /// The tables of the relations.
    pub tables: &'e BTreeMap<RelationId, TableId>,
    pub asked: &'e Asked,
}

impl Asked {
    /// What a plan was made for that asked this.
    pub(crate) fn planned(&self, layout: &Layout) -> Planned {
        let tables = self.rows.borrow().keys().filter_map(|id| layout.table(*id).cloned()).collect();
        Planned::new(layout, tables)
    }
}

impl<'e> Estimator<'e> {
    /// The table behind a relation.
    pub(crate) fn access(&self, relation: RelationId) -> Option<&'e TableAccess> {
        self.statistics.layout.table(*self.tables.get(&relation)?)
    }

    /// How many rows to plan for.
    pub(crate) fn rows(&self, access: &TableAccess) -> f64 {
        *self.asked.rows.borrow_mut().entry(access.table.id).or_insert_with(|| {
            let rows = self.statistics.rows(access).unwrap_or(ROWS_UNKNOWN);
            match self.statistics.is_analyzed(access) {
                true => rows.max(1.0),
                false => rows.max(ROWS_UNKNOWN),
            }
        })
    }

    /// Whether estimates of a table are worth something: somebody has analysed it, or it is large enough to be sampled.
    /// Plans of tables that are still empty go by the rules, which are right however they grow.
    pub(crate) fn has_facts(&self, access: &TableAccess) -> bool {
        let rows = self.rows(access);
        self.statistics.is_analyzed(access) || (self.statistics.automatic && rows > ROWS_UNKNOWN)
    }

    /// The mean width of a column's values.
    pub(crate) fn width(&self, access: &TableAccess, column: usize) -> f64 {
        let analyzed = self.statistics.catalog.statistics(access.table.id);
        let known = analyzed.and_then(|table| table.column(column)).map(|known| known.width);
        known.unwrap_or_else(|| match access.table.columns[column].ty {
            TypeId::BOOL => 1.0,
            TypeId::INT2 => 2.0,
            TypeId::INT4 | TypeId::FLOAT4 | TypeId::DATE | TypeId::OID => 4.0,
            TypeId::INT8 | TypeId::FLOAT8 | TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ => 8.0,
            TypeId::UUID | TypeId::INTERVAL => 16.0,
            _ => 32.0,
        })
    }

    /// What is known of a column.
    pub(crate) fn known(&self, access: &TableAccess, column: usize) -> Option<Rc<Known>> {
        let key = (access.table.id, column);
        if let Some(known) = self.asked.columns.borrow().get(&key) {
            return known.clone();
        }
        let known = self.statistics.column(access, column).map(Rc::new);
        self.asked.columns.borrow_mut().insert(key, known.clone());
        known
    }
}

impl Estimate {
    /// A filter over it.
    pub(crate) fn filtered(self, share: f64) -> Estimate {
        Estimate { rows: (self.rows * share).max(1.0), cost: self.cost + self.rows * FILTER, ..self }
    }

    /// For each of its rows the other one.
    pub(crate) fn looped(self, inner: Estimate) -> Estimate {
        let rows = (self.rows * inner.rows).max(1.0);
        Estimate {
            rows,
            startup: self.startup + inner.startup,
            cost: self.cost + self.rows * inner.cost + rows * EMIT_ROW,
            width: self.width + inner.width,
        }
    }

    /// Its rows looked for among those of the other one, which are kept.
    pub(crate) fn hashed(self, inner: Estimate, share: f64, hashed: bool, keeps_all: bool) -> Estimate {
        let rows = (self.rows * inner.rows * share).max(if keeps_all { self.rows } else { 1.0 });
        let kept = inner.cost + inner.rows * HASH_BUILD;
        let probes = if hashed { self.rows * HASH_PROBE } else { self.rows * inner.rows * FILTER };
        Estimate {
            rows,
            startup: self.startup + kept,
            cost: self.cost + kept + probes + rows * EMIT_ROW,
            width: self.width + inner.width,
        }
    }

    /// Sorted.
    pub(crate) fn sorted(self, cut: bool) -> Estimate {
        let comparisons = if cut { 1.5 } else { self.rows.max(2.0).log2() };
        let startup = self.cost + self.rows * comparisons * COMPARE;
        Estimate { startup, cost: startup + self.rows, ..self }
    }

    /// Cut off by LIMIT.
    pub(crate) fn limited(self, limit: Option<&tuplix_sql::plan::Expr>) -> Estimate {
        let rows = limited(limit, self.rows);
        if rows >= self.rows {
            return self;
        }
        let part = rows / self.rows;
        Estimate { rows, cost: self.startup + (self.cost - self.startup) * part, ..self }
    }

    /// Its rows and those of the other one.
    pub(crate) fn beside(self, other: Estimate) -> Estimate {
        Estimate { rows: self.rows + other.rows, cost: self.cost + other.cost, ..self }
    }

    /// Its rows are changed; without RETURNING none comes out.
    pub(crate) fn changing(self, silent: bool) -> Estimate {
        let rows = if silent { 0.0 } else { self.rows };
        Estimate { rows, cost: self.cost + self.rows * CHANGE_ROW, ..self }
    }

    /// Made into so many groups.
    pub(crate) fn grouped(self, groups: f64) -> Estimate {
        let cost = self.cost + self.rows * HASH_PROBE;
        Estimate { rows: groups, startup: cost, cost: cost + groups * EMIT_ROW, ..self }
    }
}

impl Estimator<'_> {
    /// What reading a FROM item other than a table is estimated to do.
    pub(crate) fn leaf(&self, from: &tuplix_sql::plan::From) -> Estimate {
        let rows = self.rows_of(from);
        Estimate { rows, startup: 0.0, cost: rows * EMIT_ROW, width: 8.0 }
    }
}
