//! What it costs to find the rows of one table by a path.

use tuplix_sql::plan::{Expr, ExprKind, RelationId};

use super::super::access_path::{Choice, Indexes, Keys, Wish, column_comparison};
use super::super::scan::storage_tests;
use super::selectivity::constant;
use super::{
    BUCKET, COMPARE, DESCEND, EMIT_ROW, Estimate, Estimator, FETCH_ROW, FILTER, LOOK_UP, ROWS_OF_LIMIT,
    ROWS_UNKNOWN, SCAN_ROW,
};
use crate::layout::{Placement, TableAccess};

/// The part of the rows that a range with bounds that are not known yet is taken to have when paths are compared: a range
/// that was the wrong choice costs a few times a scan, a scan that was the wrong one costs the whole table each time.
const RANGE_UNKNOWN: f64 = 0.005;

/// The rows of one table under conditions.
pub(crate) struct Pricing<'e, 'p> {
    pub estimator: Estimator<'e>,
    pub relation: RelationId,
    pub conditions: &'p [&'p Expr],
}

impl Pricing<'_, '_> {
    /// How many rows there are.
    pub(crate) fn rows(&self, access: &TableAccess) -> f64 {
        let rows = self.estimator.rows(access) * self.estimator.conjunction(self.conditions);
        // Not more than one row has the key of a unique index.
        rows.max(1.0)
    }

    /// The part of the rows for which some of the conditions hold.
    fn share(&self, numbers: &[usize]) -> f64 {
        let nodes: Vec<&Expr> = numbers.iter().map(|number| self.conditions[*number]).collect();
        self.estimator.conjunction(&nodes)
    }

    /// What a path costs, with the sort that it leaves to be done.
    pub(crate) fn price(
        &self,
        access: &TableAccess,
        indexes: &Indexes<'_>,
        keys: &Keys<'_>,
        (choice, ordered): (&Choice, bool),
        wish: &Wish,
    ) -> Estimate {
        let total = self.estimator.rows(access);
        let one_bucket = keys.one_bucket(access);
        let buckets = if one_bucket { 1.0 } else { f64::from(access.buckets) };
        let mut rows = self.rows(access);
        let (begin, found) = match choice {
            Choice::Scan => return self.scan(access, indexes, (total, rows, one_bucket), wish),
            Choice::Lookup { unique, index } => {
                let share = self.share(&keys.equal_conditions(indexes.get(*index), usize::MAX));
                let found = if *unique { 1.0 } else { (total * share).max(1.0) };
                (LOOK_UP * buckets, found)
            }
            Choice::Any { index, any } => {
                let mut numbers = keys.equal_conditions(indexes.get(*index), usize::MAX);
                let elements = keys.any.get(any).map_or(1.0, |key| elements_of(key.value));
                numbers.extend(keys.any.get(any).map(|key| key.condition));
                let mut found = (total * self.share(&numbers)).max(1.0);
                if indexes.get(*index).unique {
                    found = found.min(elements);
                }
                (LOOK_UP * buckets * elements, found)
            }
            Choice::Range { index, equal, .. } => {
                let mut share = self.share(&keys.equal_conditions(indexes.get(*index), *equal));
                let bounds = keys.bounds(indexes.get(*index), *equal);
                let values = bounds.iter().map(|key| key.value);
                if !bounds.is_empty() {
                    share *= match values.into_iter().all(|value| constant(value).is_some()) {
                        true => self.share(&bounds.iter().map(|key| key.condition).collect::<Vec<_>>()),
                        false => RANGE_UNKNOWN,
                    };
                }
                (DESCEND * buckets, (total * share).max(1.0))
            }
        };
        rows = rows.min(found);
        let filters = if rows < found { FILTER } else { 0.0 };
        let all = begin + found * (FETCH_ROW + filters) + rows * EMIT_ROW;
        self.with_order(rows, begin, all, ordered, wish)
    }

    fn scan(
        &self,
        access: &TableAccess,
        indexes: &Indexes<'_>,
        (total, rows, one_bucket): (f64, f64, bool),
        wish: &Wish,
    ) -> Estimate {
        let spread = match access.placement {
            Placement::Hash { .. } if one_bucket => f64::from(access.buckets),
            _ => 1.0,
        };
        // One bucket of a table that nobody has analysed may become as large as a whole one.
        let least = if self.estimator.statistics.is_analyzed(access) { rows } else { ROWS_UNKNOWN };
        let visited = (total / spread).max(least);
        let buckets = f64::from(access.buckets) / spread;
        let (tested, other): (Vec<&Expr>, Vec<&Expr>) =
            self.conditions.iter().partition(|node| self.is_tested_by_storage(access, indexes, node));
        let passed = match other.is_empty() {
            true => rows,
            false => (visited * self.estimator.conjunction(&tested)).clamp(rows, visited),
        };
        let filters = other.len() as f64 * FILTER;
        let cost = BUCKET * buckets + visited * SCAN_ROW + passed * (EMIT_ROW + filters);
        self.with_order(rows, BUCKET, cost, wish.columns.is_empty(), wish)
    }

    fn is_tested_by_storage(&self, access: &TableAccess, indexes: &Indexes<'_>, node: &Expr) -> bool {
        match &node.kind {
            ExprKind::IsNull { argument, .. } => matches!(argument.kind, ExprKind::Column { .. }),
            ExprKind::Column { .. } => true,
            ExprKind::Not(inner) => matches!(inner.kind, ExprKind::Column { .. }),
            _ => column_comparison(node, self.relation, access, indexes).is_some_and(
                |(column, comparison, _)| {
                    access.table.columns.get(column).is_some_and(|def| storage_tests(def.ty, comparison))
                },
            ),
        }
    }

    /// Rows that come in order are asked for as long as somebody wants some; others are sorted first.
    fn with_order(&self, rows: f64, startup: f64, cost: f64, ordered: bool, wish: &Wish) -> Estimate {
        let width = 0.0;
        if wish.columns.is_empty() || !wish.limited && ordered {
            return Estimate { rows, startup, cost, width };
        }
        if ordered {
            let part = (ROWS_OF_LIMIT / rows).min(1.0);
            return Estimate { rows, startup, cost: startup + (cost - startup) * part, width };
        }
        let comparisons = if wish.limited { 1.5 } else { rows.max(2.0).log2() };
        let sorted = cost + rows * comparisons * COMPARE;
        Estimate { rows, startup: sorted, cost: sorted, width }
    }
}

fn elements_of(array: &Expr) -> f64 {
    match (constant(array), &array.kind) {
        (Some(tuplix_types::Value::Array(array)), _) => array.elements.len() as f64,
        (_, ExprKind::Array { elements, .. }) => elements.len() as f64,
        _ => 10.0,
    }
}
