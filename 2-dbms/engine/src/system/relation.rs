//! `pg_class`, `pg_attribute`, `pg_attrdef`, `pg_tables`: tables and their columns, the system's own too.

use tuplix_catalog::{CheckOption, ColumnDef, FieldDef, Identity, IndexDef, TableDef};
use tuplix_types::{Row, TypeId, Value};

use super::relations::{self, SystemColumn, SystemRelation};
use super::user_types;
use super::view::{HEAP, OWNER, View, access_method, int, oid, part_oid, text, truth, type_facts};
use super::{deparse, sequence};

const DEFAULT_COLLATION: u32 = 100;
const C_COLLATION: u32 = 950;

/// `pg_class`
pub(crate) fn classes(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        rows.push(table_class(view, relation, table));
        rows.extend(table.indexes.iter().map(|index| index_class(view, relation, table, index)));
    }
    rows.extend(view.catalog().sequences().map(|def| sequence::class(view, relation, def)));
    rows.extend(
        user_types::composites(view).map(|(ty, fields)| user_types::class(view, relation, ty, fields)),
    );
    rows.extend(relations::all().map(|system| system_class(view, relation, system)));
    rows
}

fn table_class(view: &View<'_>, relation: &SystemRelation, table: &TableDef) -> Row {
    relation.row(&[
        ("oid", oid(table.id.0)),
        ("relname", text(&table.name)),
        ("relnamespace", oid(view.schema_oid(&table.schema))),
        ("reltype", oid(table.row_type().0)),
        ("relowner", super::rights::owner(view, tuplix_catalog::CLASS_RELATION, table.id.0)),
        ("relacl", super::rights::acl(view, tuplix_catalog::CLASS_RELATION, table.id.0)),
        ("relrowsecurity", truth(table.row_security.enabled)),
        ("relforcerowsecurity", truth(table.row_security.forced)),
        ("relam", oid(if table.view.is_some() { 0 } else { HEAP })),
        ("relfilenode", oid(if table.view.is_some() { 0 } else { table.id.0 })),
        // -1: of a table that nobody has analysed.
        (
            "reltuples",
            Value::Float4(view.catalog().statistics(table.id).map_or(-1.0, |known| known.rows as f32)),
        ),
        ("relhasindex", truth(!table.indexes.is_empty())),
        ("relkind", text(kind_of(table))),
        ("relhasrules", truth(table.query().is_some())),
        ("relpersistence", text(persistence(table))),
        ("relnatts", int(table.columns_ever())),
        ("reloptions", options(&table_options(table))),
        ("relchecks", int(table.checks.len())),
        ("relhastriggers", truth(has_triggers(view, table))),
        ("relispopulated", truth(table.materialized.as_ref().is_none_or(|query| query.populated))),
        ("relreplident", text(if table.view.is_some() { "n" } else { "d" })),
    ])
}

/// `pg_class.relkind`
fn kind_of(table: &TableDef) -> &'static str {
    match (&table.view, &table.materialized) {
        (Some(_), _) => "v",
        (None, Some(_)) => "m",
        (None, None) => "r",
    }
}

/// A relation's options: those of a view say what it checks.
fn table_options(table: &TableDef) -> Vec<String> {
    let check = table.view.as_ref().and_then(|view| view.check_option).map(|check| match check {
        CheckOption::Local => "check_option=local".to_owned(),
        CheckOption::Cascaded => "check_option=cascaded".to_owned(),
    });
    table.options.iter().cloned().chain(check).collect()
}

/// `pg_class.reloptions`
fn options(options: &[String]) -> Value {
    if options.is_empty() {
        return Value::Null;
    }
    super::view::array(TypeId::TEXT, options.iter().map(|option| Value::text(option.as_str())).collect())
}

/// Whether a table has triggers, as those of foreign keys are in PostgreSQL.
fn has_triggers(view: &View<'_>, table: &TableDef) -> bool {
    !table.triggers.is_empty()
        || !table.foreign_keys.is_empty()
        || view.catalog().references_to(table.id).next().is_some()
}

fn persistence(table: &TableDef) -> &'static str {
    if table.temporary.is_some() { "t" } else { "p" }
}

fn index_class(view: &View<'_>, relation: &SystemRelation, table: &TableDef, index: &IndexDef) -> Row {
    relation.row(&[
        ("oid", oid(index.id.0)),
        ("relname", text(&index.name)),
        ("relnamespace", oid(view.schema_oid(&table.schema))),
        ("relowner", super::rights::owner(view, tuplix_catalog::CLASS_RELATION, table.id.0)),
        ("relam", oid(access_method(index))),
        ("relfilenode", oid(index.id.0)),
        ("relpersistence", text(persistence(table))),
        ("relkind", text("i")),
        ("relnatts", int(index.columns.len() + index.included.len())),
        ("reloptions", options(&index.options)),
        ("relispopulated", truth(true)),
        ("relreplident", text("n")),
    ])
}

fn system_class(view: &View<'_>, relation: &SystemRelation, system: &SystemRelation) -> Row {
    relation.row(&[
        ("oid", oid(system.oid)),
        ("relname", text(system.name)),
        ("relnamespace", oid(view.schema_oid(system.schema))),
        ("relowner", oid(OWNER)),
        ("relam", oid(if system.kind == "r" { HEAP } else { 0 })),
        ("reltuples", Value::Float4(-1.0)),
        ("relpersistence", text("p")),
        ("relkind", text(system.kind)),
        ("relnatts", int(system.columns.len())),
        ("relispopulated", truth(true)),
        ("relreplident", text("n")),
    ])
}

/// `pg_attribute`
pub(crate) fn attributes(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        let columns = table.columns.iter().enumerate();
        rows.extend(columns.map(|(position, column)| {
            let has_default = default_of(column).is_some() || column.generated.is_some();
            let shown = Attribute::of_column(view, column);
            let mut row = attribute(relation, table.id.0, table.number(position) - 1, &shown, has_default);
            row[relation.column("attacl")] = super::rights::column_acl(view, table.id, position);
            with_source(relation, row, column)
        }));
        rows.extend(table.dropped.iter().map(|number| dropped(relation, table, *number)));
        for index in &table.indexes {
            rows.extend(index.columns.iter().enumerate().map(|(number, key)| {
                let (made, own);
                let column = match &key.expression {
                    Some(text) => {
                        made = expression_name(index, number, text);
                        let ty = deparse::key_type(view, table, key);
                        own = ColumnDef::new(made, ty, -1);
                        Attribute::of_column(view, &own)
                    }
                    None => Attribute::of_column(view, &table.columns[key.column]),
                };
                attribute(relation, index.id.0, number, &Attribute { not_null: false, ..column }, false)
            }));
        }
    }
    for def in view.catalog().sequences() {
        rows.extend(sequence::COLUMNS.iter().enumerate().map(|(number, column)| {
            attribute(relation, def.id.0, number, &Attribute::of_system(column), false)
        }));
    }
    for (ty, fields) in user_types::composites(view) {
        let columns = fields.iter().enumerate();
        rows.extend(columns.map(|(number, field)| {
            attribute(relation, ty.id.object(), number, &Attribute::of_field(view, field), false)
        }));
    }
    for system in relations::all() {
        let columns = system.columns.iter().enumerate();
        rows.extend(columns.map(|(number, column)| {
            let row = attribute(relation, system.oid, number, &Attribute::of_system(column), false);
            if system.kind == "r" { with_c_collation(relation, row) } else { row }
        }));
    }
    rows
}

/// The name of an index's column that is an expression: its function's, as for a SELECT's column.
fn expression_name(index: &IndexDef, number: usize, text: &str) -> String {
    let name = crate::ddl::names::called_function(text).unwrap_or_else(|| "expr".to_owned());
    let before = index.columns[..number].iter().filter(|key| key.expression.is_some()).count();
    if before == 0 { name } else { format!("{name}{before}") }
}

/// Where the column's values come from: `attidentity` and `attgenerated`.
fn with_source(relation: &SystemRelation, mut row: Row, column: &ColumnDef) -> Row {
    let identity = match column.identity {
        Some(Identity::Always) => "a",
        Some(Identity::ByDefault) => "d",
        None => "",
    };
    row[relation.column("attidentity")] = text(identity);
    if let Some(target) = column.statistics_target {
        row[relation.column("attstattarget")] = int(target);
    }
    row[relation.column("attgenerated")] = text(if column.generated.is_some() { "s" } else { "" });
    row
}

/// The texts in PostgreSQL's own tables are of collation C.
fn with_c_collation(relation: &SystemRelation, mut row: Row) -> Row {
    let collation = &mut row[relation.column("attcollation")];
    if matches!(collation, Value::Oid(DEFAULT_COLLATION)) {
        *collation = oid(C_COLLATION);
    }
    row
}

/// What differs between columns.
struct Attribute<'a> {
    name: &'a str,
    ty: TypeId,
    /// The type under a domain.
    base: TypeId,
    typmod: i32,
    not_null: bool,
}

impl<'a> Attribute<'a> {
    fn of_column(view: &View<'_>, column: &'a ColumnDef) -> Attribute<'a> {
        let base = view.catalog().base_type(column.ty, -1).0;
        let (ty, typmod) = (column.ty, column.typmod);
        Attribute { name: &column.name, ty, base, typmod, not_null: column.not_null }
    }

    fn of_field(view: &View<'_>, field: &'a FieldDef) -> Attribute<'a> {
        let base = view.catalog().base_type(field.ty, -1).0;
        Attribute { name: &field.name, ty: field.ty, base, typmod: field.typmod, not_null: false }
    }

    fn of_system(column: &'a SystemColumn) -> Attribute<'a> {
        let ty = column.ty;
        Attribute { name: column.name, ty, base: ty, typmod: -1, not_null: column.not_null }
    }
}

fn attribute(
    relation: &SystemRelation,
    of: u32,
    number: usize,
    column: &Attribute<'_>,
    has_default: bool,
) -> Row {
    let is_array =
        column.ty.element().is_some() && !matches!(column.ty, TypeId::INT2VECTOR | TypeId::OIDVECTOR);
    let mut values = vec![
        ("attrelid", oid(of)),
        ("attname", text(column.name)),
        ("atttypid", oid(column.ty.0)),
        ("attstattarget", int(-1)),
        ("attnum", int(number + 1)),
        ("attndims", int(i64::from(is_array))),
        ("attcacheoff", int(-1)),
        ("atttypmod", int(column.typmod)),
        ("attnotnull", truth(column.not_null)),
        ("atthasdef", truth(has_default)),
        ("attislocal", truth(true)),
    ];
    if let Some(facts) = type_facts(column.base) {
        values.extend([
            ("attlen", facts.length.clone()),
            ("attbyval", facts.by_value.clone()),
            ("attalign", facts.alignment.clone()),
            ("attstorage", facts.storage.clone()),
            ("attcollation", facts.collation.clone()),
        ]);
    }
    relation.row(&values)
}

/// What is left of a dropped column.
fn dropped(relation: &SystemRelation, table: &TableDef, number: usize) -> Row {
    relation.row(&[
        ("attrelid", oid(table.id.0)),
        ("attname", Value::text(format!("........pg.dropped.{number}........"))),
        ("attnum", int(number)),
        ("attcacheoff", int(-1)),
        ("atttypmod", int(-1)),
        ("attalign", text("i")),
        ("attstorage", text("p")),
        ("attisdropped", truth(true)),
        ("attislocal", truth(true)),
    ])
}

/// A column's default; PostgreSQL keeps none that is NULL.
fn default_of(column: &ColumnDef) -> Option<&str> {
    column.default.as_deref().filter(|written| !written.trim().eq_ignore_ascii_case("null"))
}

/// `pg_attrdef`
pub(crate) fn defaults(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        for (number, column) in table.columns.iter().enumerate() {
            let shown = match (&column.generated, default_of(column)) {
                (Some(generated), _) => deparse::generated_text(view, table, number, generated),
                (None, Some(written)) => deparse::default_text(view, table, number, written),
                (None, None) => continue,
            };
            rows.push(relation.row(&[
                ("oid", oid(part_oid(table, table.number(number)))),
                ("adrelid", oid(table.id.0)),
                ("adnum", int(table.number(number))),
                ("adbin", Value::text(shown)),
            ]));
        }
    }
    rows
}

/// `pg_tables`
pub(crate) fn tables(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let owner = text(view.owner());
    let row = |schema: &str, name: &str, has_indexes: bool, triggers: bool| {
        relation.row(&[
            ("schemaname", text(schema)),
            ("tablename", text(name)),
            ("tableowner", owner.clone()),
            ("hasindexes", truth(has_indexes)),
            ("hasrules", truth(false)),
            ("hastriggers", truth(triggers)),
            ("rowsecurity", truth(false)),
        ])
    };
    let users = view.catalog().tables().filter(|table| table.query().is_none());
    let users = users
        .map(|table| row(&table.schema, &table.name, !table.indexes.is_empty(), has_triggers(view, table)));
    let system = relations::all().filter(|system| system.kind == "r");
    users.chain(system.map(|system| row(system.schema, system.name, false, false))).collect()
}
