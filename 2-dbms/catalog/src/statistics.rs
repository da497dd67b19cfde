//! What ANALYZE has found out about the rows of a table, for the planner and for `pg_stats`.
//!
//! Values are kept as texts, the form in which the log carries them; their typed forms are made once, when somebody compares
//! with them. Columns are named by position; a table whose columns change takes along what still fits.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tuplix_types::{TypeId, Value};

use crate::{ColumnDef, TableId};

/// The statistics of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableStatistics {
    /// Which table.
    pub table: TableId,
    /// How many rows it had.
    pub rows: f64,
    /// How many writes it had seen since the node began.
    pub changes: u64,
    /// When, `timestamptz` microseconds.
    pub analyzed_us: i64,
    /// Those columns that were looked at.
    pub columns: Vec<ColumnStatistics>,
}

/// The statistics of a column, as `pg_statistic` has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// The column's position.
    pub column: usize,
    /// The type of the values: a domain's base type.
    pub ty: TypeId,
    /// The part of the rows in which it is NULL.
    pub null_fraction: f64,
    /// The mean width of a value in bytes.
    pub width: f64,
    /// How many different values: a number, or, negative, a part of the rows; 0 when that is not known.
    pub distinct: f64,
    /// The most common values with the part of all rows that each is, most common first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub common: Vec<(String, f64)>,
    /// Bounds between which equally many of the other values lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<String>,
    /// How far the order of the values is that of the rows, from -1 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<f64>,
    /// The typed form of `common`.
    #[serde(skip)]
    pub common_values: OnceLock<Vec<Value>>,
    /// The typed form of `histogram`.
    #[serde(skip)]
    pub histogram_values: OnceLock<Vec<Value>>,
}

impl TableStatistics {
    /// The statistics of a column.
    pub fn column(&self, column: usize) -> Option<&ColumnStatistics> {
        self.columns.iter().find(|known| known.column == column)
    }

    /// What fits the table with other columns: by position where only names change, else by name and type.
    pub(crate) fn carried(&self, before: &[ColumnDef], after: &[ColumnDef]) -> TableStatistics {
        let same_types = before.iter().map(|column| column.ty).eq(after.iter().map(|column| column.ty));
        let place = |column: usize| {
            let old = before.get(column)?;
            match same_types {
                true => Some(column),
                false => after.iter().position(|new| new.name == old.name && new.ty == old.ty),
            }
        };
        let carried = |statistics: &ColumnStatistics| {
            Some(ColumnStatistics { column: place(statistics.column)?, ..statistics.clone() })
        };
        TableStatistics { columns: self.columns.iter().filter_map(carried).collect(), ..self.clone() }
    }
}

impl ColumnStatistics {
    /// How many different values there are among so many rows; `None` when that is not known.
    pub fn distinct_of(&self, rows: f64) -> Option<f64> {
        match self.distinct {
            0.0 => None,
            share if share < 0.0 => Some((-share * rows).max(1.0)),
            number => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Catalog, CatalogChange, TableDef};

    fn columns(catalog: &Catalog) -> Vec<(usize, f64)> {
        let statistics = catalog.statistics(TableId(16_400)).unwrap();
        statistics.columns.iter().map(|column| (column.column, column.width)).collect()
    }

    #[test]
    fn they_follow_their_columns_and_end_with_their_table() {
        let column = |name: &str, ty| ColumnDef::new(name, ty, -1);
        let table = |columns| TableDef::new(TableId(16_400), "public", "t", columns);
        let [a, b, c] = [column("a", TypeId::INT4), column("b", TypeId::TEXT), column("c", TypeId::INT8)];
        let mut catalog = Catalog::new();
        catalog.apply(CatalogChange::PutTable(table(vec![a.clone(), b.clone(), c.clone()])));
        let of = |column: usize, width| ColumnStatistics { column, width, ..ColumnStatistics::default() };
        let statistics = TableStatistics {
            table: TableId(16_400),
            rows: 10.0,
            changes: 0,
            analyzed_us: 0,
            columns: vec![of(0, 4.0), of(1, 20.0), of(2, 8.0)],
        };
        let json = serde_json::to_string(&CatalogChange::PutStatistics(statistics)).unwrap();
        catalog.apply(serde_json::from_str(&json).unwrap());
        catalog.apply(CatalogChange::PutTable(table(vec![a, column("renamed", TypeId::TEXT), c.clone()])));
        assert_eq!(columns(&catalog), [(0, 4.0), (1, 20.0), (2, 8.0)]);
        catalog.apply(CatalogChange::RewriteTable(table(vec![column("renamed", TypeId::TEXT), c.clone()])));
        assert_eq!(columns(&catalog), [(0, 20.0), (1, 8.0)]);
        catalog.apply(CatalogChange::RewriteTable(table(vec![column("renamed", TypeId::INT8), c])));
        assert_eq!(columns(&catalog), [(1, 8.0)]);
        catalog.apply(CatalogChange::DropTable(TableId(16_400)));
        assert!(catalog.statistics(TableId(16_400)).is_none());
    }
}
