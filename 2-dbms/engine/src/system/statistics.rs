//! What ANALYZE has found out, as rows: `pg_stats`, and what `pg_stat_user_tables` knows of it.

use std::sync::Arc;

use tuplix_catalog::{ColumnStatistics, TableDef};
use tuplix_types::{Array, Row, TypeId, Value, text_io};

use super::relations::SystemRelation;
use super::view::{View, int, oid, text, truth};

/// `pg_stats`; a sample for a plan shows where nobody has analysed the column.
pub(crate) fn columns(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    let holder = view.services.holder(view.catalog());
    for table in view.catalog().tables() {
        let seen = super::rights::seen_columns(view, &holder, table);
        let analyzed = view.catalog().statistics(table.id);
        let sampled = view.schema().layout.live().map(|live| live.sampled(table.id)).unwrap_or_default();
        for (number, _) in table.columns.iter().enumerate().filter(|(number, _)| seen(*number)) {
            let own = analyzed.and_then(|known| known.column(number));
            let known =
                own.or_else(|| sampled.iter().find(|known| known.column == number).map(|known| &**known));
            rows.extend(known.map(|known| column(relation, table, known)));
        }
    }
    rows
}

fn column(relation: &SystemRelation, table: &TableDef, known: &ColumnStatistics) -> Row {
    let float = |number: f64| Value::Float4(number as f32);
    let values = |texts: &mut dyn Iterator<Item = &String>| {
        let elements: Vec<Value> = texts.map(|value| Value::text(value.as_str())).collect();
        match elements.is_empty() {
            true => Value::Null,
            false => {
                // The values of a column as the text of an array of its type.
                let text_array = TypeId::TEXT.array_of().unwrap_or_default();
                let array = Value::Array(Arc::new(Array::from_elements(TypeId::TEXT, elements)));
                Value::text(text_io::to_text(text_array, &array, &text_io::IoContext::default()))
            }
        }
    };
    let frequencies = match known.common.is_empty() {
        true => Value::Null,
        false => {
            let numbers = known.common.iter().map(|(_, frequency)| float(*frequency)).collect();
            Value::Array(Arc::new(Array::from_elements(TypeId::FLOAT4, numbers)))
        }
    };
    relation.row(&[
        ("schemaname", text(&table.schema)),
        ("tablename", text(&table.name)),
        ("attname", text(&table.columns[known.column].name)),
        ("inherited", truth(false)),
        ("null_frac", float(known.null_fraction)),
        ("avg_width", int(known.width as i64)),
        ("n_distinct", float(known.distinct)),
        ("most_common_vals", values(&mut known.common.iter().map(|(value, _)| value))),
        ("most_common_freqs", frequencies),
        ("histogram_bounds", values(&mut known.histogram.iter())),
        ("correlation", known.correlation.map_or(Value::Null, float)),
    ])
}

/// `pg_stat_all_tables` and `pg_stat_user_tables`: rows of now, and when they were looked at.
pub(crate) fn tables(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let layout = &view.schema().layout;
    let tables = view.catalog().tables().filter(|table| table.view.is_none());
    let row = |table: &Arc<TableDef>| {
        let size = layout.table(table.id).and_then(|access| layout.live()?.size(access)).unwrap_or_default();
        let analyzed = view.catalog().statistics(table.id);
        let since = analyzed.map_or(size.changes, |known| size.changes.saturating_sub(known.changes));
        relation.row(&[
            ("relid", oid(table.id.0)),
            ("schemaname", text(&table.schema)),
            ("relname", text(&table.name)),
            ("n_live_tup", int(size.rows as i64)),
            ("n_dead_tup", int(0)),
            ("n_mod_since_analyze", int(since as i64)),
            ("last_analyze", analyzed.map_or(Value::Null, |known| Value::Timestamptz(known.analyzed_us))),
        ])
    };
    tables.map(row).collect()
}
