//! The tables of the schema `tuplix`: distribution, buckets, the log.

use tuplix_catalog::{Distribution, TableDef};
use tuplix_types::{Row, Value};

use super::relations::SystemRelation;
use super::view::{View, int, text};

/// `tuplix.tables`
pub(crate) fn tables(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    view.catalog()
        .tables()
        .filter(|table| table.view.is_none())
        .map(|table| distribution(relation, table))
        .collect()
}

fn distribution(relation: &SystemRelation, table: &TableDef) -> Row {
    let (kind, column) = match table.distribution {
        Distribution::Local => ("local", Value::Null),
        Distribution::Reference => ("reference", Value::Null),
        Distribution::Hash { column } => ("hash", text(&table.columns[column].name)),
    };
    relation.row(&[
        ("schema", text(&table.schema)),
        ("name", text(&table.name)),
        ("distribution", text(kind)),
        ("distribution_column", column),
    ])
}

/// `tuplix.buckets`
pub(crate) fn buckets(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let node = &view.services.node;
    let row = |bucket: u16| {
        let partition = i64::from(node.domain_of_bucket(bucket).0) - 1;
        relation.row(&[("bucket", int(bucket)), ("partition", int(partition)), ("node", int(1))])
    };
    (0..node.buckets()).map(row).collect()
}

/// `tuplix.log`
pub(crate) fn log(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let log = &view.services.node.log;
    let statistics = log.statistics();
    vec![relation.row(&[
        ("epochs", int(statistics.epochs)),
        ("records", int(statistics.records)),
        ("bytes", int(statistics.bytes)),
        ("durable_epoch", int(log.durable_epoch())),
    ])]
}
