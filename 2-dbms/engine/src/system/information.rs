//! `information_schema`: schemas, tables, columns, constraints.

use tuplix_catalog::TableDef;
use tuplix_types::{Row, TypeId, Value, numeric};

use super::index::{Constraint, constraints};
use super::relations::{self, SystemRelation};
use super::view::{View, int, maybe_text, text, yes_or_no};
use super::{deparse, index};

/// Octets in the longest text, as PostgreSQL states it.
const TEXT_OCTETS: i64 = 1 << 30;

pub(super) fn catalog_name(view: &View<'_>) -> Value {
    text(&view.services.database)
}

/// `information_schema_catalog_name`
pub(crate) fn name(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    vec![relation.row(&[("catalog_name", catalog_name(view))])]
}

/// `schemata`
pub(crate) fn schemata(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(_, name): (u32, String)| {
        relation.row(&[
            ("catalog_name", catalog_name(view)),
            ("schema_name", Value::text(name)),
            ("schema_owner", text(view.owner())),
        ])
    };
    view.schemas().into_iter().map(row).collect()
}

/// `tables`
pub(crate) fn tables(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |schema: &str, name: &str, kind: &str, insertable: bool| {
        relation.row(&[
            ("table_catalog", catalog_name(view)),
            ("table_schema", text(schema)),
            ("table_name", text(name)),
            ("table_type", text(kind)),
            ("is_insertable_into", yes_or_no(insertable)),
            ("is_typed", yes_or_no(false)),
        ])
    };
    let users = view.catalog().tables().filter(|table| table.materialized.is_none());
    let users = users.map(|table| match table.view {
        Some(_) => row(&table.schema, &table.name, "VIEW", super::views::is_updatable(view, table)),
        None => row(&table.schema, &table.name, "BASE TABLE", true),
    });
    let system = relations::all().map(|system| {
        row(system.schema, system.name, if system.kind == "r" { "BASE TABLE" } else { "VIEW" }, false)
    });
    users.chain(system).collect()
}

/// `columns`
pub(crate) fn columns(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables().filter(|table| table.materialized.is_none()) {
        let updatable = table.view.is_none() || super::views::is_updatable(view, table);
        for (number, column) in table.columns.iter().enumerate() {
            let updatable = updatable && super::views::is_column_updatable(view, table, number);
            let default =
                column.default.as_deref().map(|text| deparse::default_text(view, table, number, text));
            let place = (table.number(number) - 1, column.name.as_str());
            let mut values = column_values(view, &table.schema, &table.name, place);
            values.extend(type_values(view, column.ty, column.typmod));
            values.extend(source_values(view, table, number));
            values.extend([
                ("column_default", maybe_text(default.as_deref())),
                ("is_nullable", yes_or_no(!column.not_null)),
                ("is_updatable", yes_or_no(updatable)),
            ]);
            rows.push(relation.row(&values));
        }
    }
    for system in relations::all() {
        for (number, column) in system.columns.iter().enumerate() {
            let mut values = column_values(view, system.schema, system.name, (number, column.name));
            values.extend(type_values(view, column.ty, -1));
            let nullable = !column.not_null;
            values.extend([("is_nullable", yes_or_no(nullable)), ("is_updatable", yes_or_no(false))]);
            rows.push(relation.row(&values));
        }
    }
    rows
}

/// Where a column's values come from, when from itself.
fn source_values(view: &View<'_>, table: &TableDef, number: usize) -> Values {
    let column = &table.columns[number];
    let mut values = Values::new();
    if let Some(generated) = &column.generated {
        let shown = deparse::generated_text(view, table, number, generated);
        values.push(("is_generated", text("ALWAYS")));
        values.push(("generation_expression", Value::text(shown)));
    }
    if let (Some(identity), Some(def)) = (column.identity, view.catalog().identity_sequence(table.id, number))
    {
        let number = |number: i64| Value::text(number.to_string());
        let always = identity == tuplix_catalog::Identity::Always;
        values.extend([
            ("is_identity", yes_or_no(true)),
            ("identity_generation", text(if always { "ALWAYS" } else { "BY DEFAULT" })),
            ("identity_start", number(def.start)),
            ("identity_increment", number(def.increment)),
            ("identity_maximum", number(def.max)),
            ("identity_minimum", number(def.min)),
            ("identity_cycle", yes_or_no(def.cycle)),
        ]);
    }
    values
}

pub(super) type Values = Vec<(&'static str, Value)>;

fn column_values(view: &View<'_>, schema: &str, table: &str, (number, name): (usize, &str)) -> Values {
    vec![
        ("table_catalog", catalog_name(view)),
        ("table_schema", text(schema)),
        ("table_name", text(table)),
        ("column_name", text(name)),
        ("ordinal_position", int(number + 1)),
        ("dtd_identifier", Value::text((number + 1).to_string())),
        ("is_self_referencing", yes_or_no(false)),
        ("is_identity", yes_or_no(false)),
        ("identity_cycle", yes_or_no(false)),
        ("is_generated", text("NEVER")),
    ]
}

/// What is said of types that users created.
fn user_type_values(view: &View<'_>, ty: TypeId, declared: TypeId) -> Values {
    let mut values = Vec::new();
    if let Some((schema, name)) = view.catalog().type_names(ty).filter(|_| ty.is_user()) {
        let underscore = if ty.element().is_some() { "_" } else { "" };
        values.push(("udt_schema", text(schema)));
        values.push(("udt_name", Value::text(format!("{underscore}{name}"))));
    }
    if let Some((schema, name)) = view.catalog().type_names(declared).filter(|_| declared.is_domain()) {
        values.push(("domain_catalog", catalog_name(view)));
        values.push(("domain_schema", text(schema)));
        values.push(("domain_name", text(name)));
    }
    values
}

/// The columns that describe a type.
fn type_values(view: &View<'_>, ty: TypeId, typmod: i32) -> Values {
    let is_vector = matches!(ty, TypeId::INT2VECTOR | TypeId::OIDVECTOR);
    let declared = ty;
    let (ty, typmod) = if ty.is_domain() { view.catalog().base_type(ty, typmod) } else { (ty, typmod) };
    let is_array = ty.element().is_some() && !is_vector;
    let shown = match is_array {
        true => "ARRAY".to_owned(),
        false if ty.is_user() => "USER-DEFINED".to_owned(),
        false => ty.to_string(),
    };
    let length = (typmod >= 4).then(|| int(typmod - 4));
    let octets = (typmod >= 4).then(|| int((i64::from(typmod) - 4) * 4));
    let mut values = vec![
        ("data_type", Value::text(shown)),
        ("udt_catalog", catalog_name(view)),
        ("udt_schema", text("pg_catalog")),
        ("udt_name", maybe_text(ty.internal_name())),
    ];
    values.extend(user_type_values(view, ty, declared));
    let number = |precision: i64, radix: i64, scale: Option<i64>| {
        vec![
            ("numeric_precision", int(precision)),
            ("numeric_precision_radix", int(radix)),
            ("numeric_scale", scale.map_or(Value::Null, int)),
        ]
    };
    values.extend(match ty {
        TypeId::TEXT => vec![("character_octet_length", int(TEXT_OCTETS))],
        TypeId::VARCHAR | TypeId::BPCHAR => vec![
            ("character_maximum_length", length.unwrap_or_default()),
            ("character_octet_length", octets.unwrap_or_else(|| int(TEXT_OCTETS))),
        ],
        TypeId::INT2 => number(16, 2, Some(0)),
        TypeId::INT4 => number(32, 2, Some(0)),
        TypeId::INT8 => number(64, 2, Some(0)),
        TypeId::FLOAT4 => number(24, 2, None),
        TypeId::FLOAT8 => number(53, 2, None),
        TypeId::NUMERIC => match numeric::typmod_parts(typmod) {
            Some((precision, scale)) => number(i64::from(precision), 10, Some(i64::from(scale))),
            None => vec![("numeric_precision_radix", int(10))],
        },
        TypeId::DATE => vec![("datetime_precision", int(0))],
        TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ | TypeId::INTERVAL => {
            vec![("datetime_precision", int(if typmod < 0 { 6 } else { typmod & 0xffff }))]
        }
        _ => Vec::new(),
    });
    values
}

fn constraint_values(view: &View<'_>, table: &TableDef, name: &str) -> Values {
    vec![
        ("constraint_catalog", catalog_name(view)),
        ("constraint_schema", text(&table.schema)),
        ("constraint_name", text(name)),
    ]
}

fn table_values(view: &View<'_>, table: &TableDef) -> Values {
    vec![
        ("table_catalog", catalog_name(view)),
        ("table_schema", text(&table.schema)),
        ("table_name", text(&table.name)),
    ]
}

/// The constraints that the standard sees behind NOT NULL: their names, by column.
fn not_null_constraints(view: &View<'_>, table: &TableDef) -> Vec<(String, usize)> {
    let schema = view.schema_oid(&table.schema);
    let name = |number: usize| format!("{schema}_{}_{}_not_null", table.id.0, table.number(number));
    let columns = table.columns.iter().enumerate().filter(|(_, column)| column.not_null);
    columns.map(|(number, _)| (name(number), number)).collect()
}

/// `table_constraints`
pub(crate) fn table_constraints(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        let mut row = |name: &str, kind: &str, (deferrable, deferred): (bool, bool)| {
            let mut values = constraint_values(view, table, name);
            values.extend(table_values(view, table));
            values.extend([
                ("constraint_type", text(kind)),
                ("is_deferrable", yes_or_no(deferrable)),
                ("initially_deferred", yes_or_no(deferred)),
                ("enforced", yes_or_no(true)),
                ("nulls_distinct", if kind == "UNIQUE" { yes_or_no(true) } else { Value::Null }),
            ]);
            rows.push(relation.row(&values));
        };
        for constraint in constraints(table) {
            let kind = match constraint.kind {
                "p" => "PRIMARY KEY",
                "u" => "UNIQUE",
                "f" => "FOREIGN KEY",
                _ => "CHECK",
            };
            let foreign = constraint.foreign;
            row(constraint.name, kind, foreign.map_or((false, false), |key| (key.deferrable, key.deferred)));
        }
        let not_null = not_null_constraints(view, table);
        not_null.iter().for_each(|(name, _)| row(name, "CHECK", (false, false)));
    }
    rows
}

/// `check_constraints`
pub(crate) fn check_constraints(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        let mut row = |name: &str, clause: String| {
            let mut values = constraint_values(view, table, name);
            values.push(("check_clause", Value::text(clause)));
            rows.push(relation.row(&values));
        };
        for constraint in constraints(table).iter().filter(|constraint| constraint.kind == "c") {
            let definition = index::constraint_definition(view, table, constraint, false);
            row(constraint.name, definition.trim_start_matches("CHECK ").to_owned());
        }
        for (name, column) in not_null_constraints(view, table) {
            row(&name, format!("{} IS NOT NULL", table.columns[column].name));
        }
    }
    rows
}

/// Calls `row` with each table, constraint, and column with its place in the constraint.
fn each_key_column(view: &View<'_>, mut row: impl FnMut(&TableDef, &Constraint<'_>, usize, &str)) {
    for table in view.catalog().tables() {
        for constraint in constraints(table) {
            for (place, column) in constraint.columns(view, table).into_iter().enumerate() {
                row(table, &constraint, place, &table.columns[column].name);
            }
        }
    }
}

/// Where a foreign key's column stands in the key that it refers to, from 1.
fn unique_position(view: &View<'_>, key: &tuplix_catalog::ForeignKeyDef, place: usize) -> Value {
    let index = view.catalog().table(key.parent).and_then(|parent| parent.index(key.parent_index));
    let column = key.parent_columns.get(place);
    let position = index.and_then(|index| index.columns.iter().position(|part| Some(&part.column) == column));
    position.map_or(Value::Null, |position| int(position + 1))
}

/// `key_column_usage`
pub(crate) fn key_columns(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    each_key_column(view, |table, constraint, place, column| {
        if constraint.kind != "c" {
            let mut values = constraint_values(view, table, constraint.name);
            values.extend(table_values(view, table));
            values.extend([("column_name", text(column)), ("ordinal_position", int(place + 1))]);
            if let Some(key) = constraint.foreign {
                values.push(("position_in_unique_constraint", unique_position(view, key, place)));
            }
            rows.push(relation.row(&values));
        }
    });
    rows
}

/// `constraint_column_usage`
pub(crate) fn constraint_columns(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    each_key_column(view, |table, constraint, place, column| {
        let mut values = constraint_values(view, table, constraint.name);
        // A foreign key uses the columns that it refers to.
        let referenced = constraint.foreign.and_then(|key| {
            let parent = view.catalog().table(key.parent)?;
            Some((parent, parent.columns[*key.parent_columns.get(place)?].name.as_str()))
        });
        let (table, column) = referenced.map_or((table, column), |(parent, column)| (&**parent, column));
        values.extend(table_values(view, table));
        values.push(("column_name", text(column)));
        rows.push(relation.row(&values));
    });
    rows
}
