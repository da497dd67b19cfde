//! What the planner knows of tables: how many rows they have now, and how their values are distributed.
//!
//! ```text
//!   ANALYZE ----sample, column----> catalogue (CatalogChange::PutStatistics): logged, transactional, pg_stats
//!   a plan with a choice --------> live: the sizes of now, and a small sample of the columns that it asks about
//! ```
//!
//! Sizes are those of the fragments, so nothing counts on the hot path. See docs/adr/0007.

mod column;
mod live;
mod sample;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::sync::Arc;

use tuplix_catalog::{Catalog, ColumnStatistics, TableStatistics};
use tuplix_storage::FragmentSnapshot;
use tuplix_types::{IoContext, TypeId, Value, text_io};

pub(crate) use live::{Live, Size};

use crate::layout::{Layout, TableAccess};

/// Rows that ANALYZE looks at for each common value and bound that it is asked for (PostgreSQL's factor).
const ROWS_PER_TARGET: usize = 300;
/// Common values and bounds that a sample for one plan looks for.
const TARGET_OF_PLANS: usize = 20;

/// The statistics of a column, wherever they are kept.
pub(crate) enum Known {
    /// In the catalogue, at this place.
    Analyzed(Arc<TableStatistics>, usize),
    /// Of a sample for plans.
    Sampled(Arc<ColumnStatistics>),
}

impl Deref for Known {
    type Target = ColumnStatistics;

    fn deref(&self) -> &ColumnStatistics {
        match self {
            Known::Analyzed(table, place) => &table.columns[*place],
            Known::Sampled(column) => column,
        }
    }
}

/// The planner's view of the statistics.
#[derive(Clone, Copy)]
pub(crate) struct Statistics<'a> {
    pub catalog: &'a Catalog,
    pub layout: &'a Layout,
    /// Whether columns are sampled that nobody has analysed.
    pub automatic: bool,
}

impl Statistics<'_> {
    /// How many rows a table has; `None` when nobody knows.
    pub(crate) fn rows(&self, access: &TableAccess) -> Option<f64> {
        let now = self.layout.live().and_then(|live| live.size(access));
        let analyzed = || self.catalog.statistics(access.table.id).map(|known| known.rows);
        now.map(|size| size.rows as f64).or_else(analyzed)
    }

    /// Whether somebody has analysed a table.
    pub(crate) fn is_analyzed(&self, access: &TableAccess) -> bool {
        self.catalog.statistics(access.table.id).is_some()
    }

    /// What is known of a column.
    pub(crate) fn column(&self, access: &TableAccess, column: usize) -> Option<Known> {
        let table = self.catalog.statistics(access.table.id);
        let analyzed = || {
            let table = table?;
            let place = table.columns.iter().position(|known| known.column == column)?;
            Some(Known::Analyzed(table.clone(), place))
        };
        let live = self.layout.live().filter(|_| self.automatic);
        let now = live.and_then(|live| live.size(access));
        let fresh = match (table, now) {
            (Some(table), Some(now)) => !Size { rows: table.rows as u64, changes: table.changes }.is_far(now),
            (_, None) => true,
            (None, Some(_)) => false,
        };
        if fresh && let Some(known) = analyzed() {
            return Some(known);
        }
        let (ty, _) = self.catalog.base_type(access.table.columns.get(column)?.ty, -1);
        let sampled = live.and_then(|live| live.column(self.catalog, access, column, ty));
        sampled.map(Known::Sampled).or_else(analyzed)
    }

    /// The common values of a column, as many as there are frequencies.
    pub(crate) fn common<'k>(&self, known: &'k Known) -> &'k [Value] {
        known.common_values.get_or_init(|| {
            known.common.iter().map(|(text, _)| typed(self.catalog, known.ty, text)).collect()
        })
    }

    /// The bounds of a column's histogram.
    pub(crate) fn histogram<'k>(&self, known: &'k Known) -> &'k [Value] {
        known
            .histogram_values
            .get_or_init(|| known.histogram.iter().map(|text| typed(self.catalog, known.ty, text)).collect())
    }
}

/// The value that a text of the catalogue stands for; NULL, which equals nothing, for a label that is gone.
fn typed(catalog: &Catalog, ty: TypeId, text: &str) -> Value {
    if ty.is_user() {
        return catalog.enum_value(ty, text).unwrap_or_default();
    }
    text_io::parse_text(ty, -1, text, &IoContext::default()).unwrap_or_default()
}

/// What a sample says of columns, with the values' texts: `target` common values and bounds each.
pub(crate) fn analyze_columns(
    catalog: &Catalog,
    fragments: &[FragmentSnapshot],
    columns: &[(usize, TypeId, usize)],
    seed: u64,
) -> Vec<ColumnStatistics> {
    let rows: usize = fragments.iter().map(FragmentSnapshot::row_count).sum();
    let most = columns.iter().map(|(_, _, target)| *target).max().unwrap_or(0);
    let places: Vec<usize> = columns.iter().map(|(column, ..)| *column).collect();
    let values = sample::sample(fragments, &places, most * ROWS_PER_TARGET, seed);
    let of = |((column, ty, target), values): (&(usize, TypeId, usize), Vec<Value>)| {
        let sampled = column::Sampled { rows: rows as f64, target: *target };
        with_texts(catalog, column::compute(*column, *ty, values, &sampled))
    };
    columns.iter().zip(values).map(of).collect()
}

fn with_texts(catalog: &Catalog, mut known: ColumnStatistics) -> ColumnStatistics {
    let text = |value: &Value| {
        let labelled = crate::user_types::labelled(catalog, value);
        text_io::to_text(known.ty, labelled.as_ref().unwrap_or(value), &IoContext::default())
    };
    // Rows and arrays of types that users created have no text without the session.
    let has_texts =
        !known.ty.is_user() || catalog.user_type(known.ty).is_some_and(|ty| ty.labels().is_some());
    if !has_texts {
        known.common.clear();
        (known.common_values, known.histogram_values) = (Vec::new().into(), Vec::new().into());
        return known;
    }
    let common: Vec<String> = known.common_values.get().into_iter().flatten().map(text).collect();
    let histogram = known.histogram_values.get().into_iter().flatten().map(text).collect();
    known.common.iter_mut().zip(common).for_each(|((place, _), text)| *place = text);
    known.histogram = histogram;
    known
}
