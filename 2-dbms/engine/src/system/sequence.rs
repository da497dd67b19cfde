//! Sequences: a sequence's own row, `pg_sequence`, `pg_sequences`, `information_schema.sequences`.

use tuplix_catalog::SequenceDef;
use tuplix_types::{Row, TypeId, Value};

use super::information::catalog_name;
use super::relations::{SystemColumn, SystemRelation};
use super::view::{View, int, oid, text, truth, yes_or_no};
use crate::services::Services;

/// The row that SELECT from a sequence gives.
pub(crate) fn own_row(services: &Services, schema: &str, name: &str) -> Option<Row> {
    let schema_now = services.schema();
    let def = schema_now.catalog.sequence_named(schema, name)?;
    let place = schema_now.layout.sequence(def.id)?.state.place();
    let row = [Value::Int8(place.last), Value::Int8(place.log_count), Value::Bool(place.called)];
    Some(row.into_iter().collect())
}

/// `pg_sequence`
pub(crate) fn definitions(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |def: &SequenceDef| {
        relation.row(&[
            ("seqrelid", oid(def.id.0)),
            ("seqtypid", oid(def.ty.0)),
            ("seqstart", int(def.start)),
            ("seqincrement", int(def.increment)),
            ("seqmax", int(def.max)),
            ("seqmin", int(def.min)),
            ("seqcache", int(def.cache)),
            ("seqcycle", truth(def.cycle)),
        ])
    };
    view.catalog().sequences().map(|def| row(def)).collect()
}

/// `pg_sequences`
pub(crate) fn places(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |def: &SequenceDef| {
        let place = view.schema().layout.sequence(def.id).map(|sequence| sequence.state.place());
        let last = place.filter(|place| place.called).map_or(Value::Null, |place| int(place.last));
        relation.row(&[
            ("schemaname", text(&def.schema)),
            ("sequencename", text(&def.name)),
            ("sequenceowner", text(view.owner())),
            ("data_type", oid(def.ty.0)),
            ("start_value", int(def.start)),
            ("min_value", int(def.min)),
            ("max_value", int(def.max)),
            ("increment_by", int(def.increment)),
            ("cycle", truth(def.cycle)),
            ("cache_size", int(def.cache)),
            ("last_value", last),
        ])
    };
    view.catalog().sequences().map(|def| row(def)).collect()
}

/// `information_schema.sequences`: those of identity columns are part of the column.
pub(crate) fn standard(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |def: &SequenceDef| {
        let precision = match def.ty {
            TypeId::INT2 => 16,
            TypeId::INT4 => 32,
            _ => 64,
        };
        let number = |number: i64| Value::text(number.to_string());
        relation.row(&[
            ("sequence_catalog", catalog_name(view)),
            ("sequence_schema", text(&def.schema)),
            ("sequence_name", text(&def.name)),
            ("data_type", Value::text(def.ty.to_string())),
            ("numeric_precision", int(precision)),
            ("numeric_precision_radix", int(2)),
            ("numeric_scale", int(0)),
            ("start_value", number(def.start)),
            ("minimum_value", number(def.min)),
            ("maximum_value", number(def.max)),
            ("increment", number(def.increment)),
            ("cycle_option", yes_or_no(def.cycle)),
        ])
    };
    let shown = view.catalog().sequences().filter(|def| def.owner.is_none_or(|owner| !owner.identity));
    shown.map(|def| row(def)).collect()
}

/// A sequence's row in `pg_class`.
pub(crate) fn class(view: &View<'_>, relation: &SystemRelation, def: &SequenceDef) -> Row {
    relation.row(&[
        ("oid", oid(def.id.0)),
        ("relname", text(&def.name)),
        ("relnamespace", oid(view.schema_oid(&def.schema))),
        ("relowner", super::rights::owner(view, tuplix_catalog::CLASS_RELATION, def.id.0)),
        ("relacl", super::rights::acl(view, tuplix_catalog::CLASS_RELATION, def.id.0)),
        ("relfilenode", oid(def.id.0)),
        ("relpages", int(1)),
        ("reltuples", Value::Float4(1.0)),
        ("relpersistence", text("p")),
        ("relkind", text("S")),
        ("relnatts", int(3)),
        ("relispopulated", truth(true)),
        ("relreplident", text("n")),
    ])
}

/// The columns of a sequence as a relation.
pub(crate) const COLUMNS: [SystemColumn; 3] = [
    SystemColumn { name: "last_value", ty: TypeId::INT8, not_null: true },
    SystemColumn { name: "log_cnt", ty: TypeId::INT8, not_null: true },
    SystemColumn { name: "is_called", ty: TypeId::BOOL, not_null: true },
];

/// The sequence behind a column, as `pg_get_serial_sequence` names it.
pub(crate) fn serial_sequence(view: &View<'_>, table: u32, column: usize) -> Option<String> {
    let owned = |def: &&std::sync::Arc<SequenceDef>| {
        def.owner.is_some_and(|owner| owner.table.0 == table && owner.column == column)
    };
    let def = view.catalog().sequences().find(owned)?;
    let quote = tuplix_sql::parser::quote_ident;
    Some(format!("{}.{}", quote(&def.schema), quote(&def.name)))
}
