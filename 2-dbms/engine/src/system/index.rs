//! `pg_index`, `pg_constraint`, `pg_indexes`, and the definitions of indexes and constraints as SQL.

use tuplix_catalog::{ForeignKeyDef, IndexDef, IndexMethod, TableDef};
use tuplix_sql::parser::quote_ident;
use tuplix_types::{Row, TypeId, Value};

use super::deparse;
use super::foreign_key::action_code;
use super::relations::SystemRelation;
use super::view::{
    View, access_method, array, class_of_key, column_number, int, maybe_text, oid, part_oid, text, truth,
    type_facts, vector,
};

/// `pg_index`
pub(crate) fn indexes(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let tables = view.catalog().tables();
    tables
        .flat_map(|table| table.indexes.iter().map(|index| index_row(view, relation, table, index)))
        .collect()
}

fn index_row(view: &View<'_>, relation: &SystemRelation, table: &TableDef, index: &IndexDef) -> Row {
    let keys = &index.columns;
    let types: Vec<TypeId> = keys.iter().map(|key| deparse::key_type(view, table, key)).collect();
    let key_number = |key: &tuplix_catalog::IndexColumn| match &key.expression {
        Some(_) => Value::Int2(0),
        None => column_number(table, key.column),
    };
    let expressions: Vec<String> = keys
        .iter()
        .filter_map(|key| key.expression.as_deref())
        .map(|expression| deparse::key_text(view, table, expression, false))
        .collect();
    let expressions = (!expressions.is_empty()).then(|| expressions.join(", "));
    let predicate =
        index.predicate.as_deref().map(|predicate| deparse::predicate_text(view, table, predicate, false));
    let collation = |ty: &TypeId| type_facts(*ty).map_or(oid(0), |facts| facts.collation);
    let option = |key: &tuplix_catalog::IndexColumn| {
        let ordered = index.method == IndexMethod::Ordered;
        Value::Int2(i16::from(ordered && key.descending) | i16::from(ordered && key.nulls_first) << 1)
    };
    let class = |(ty, key): (&TypeId, &tuplix_catalog::IndexColumn)| {
        oid(class_of_key(access_method(index), key.class.as_deref(), *ty))
    };
    let included = index.included.iter().map(|column| column_number(table, *column));
    relation.row(&[
        ("indexrelid", oid(index.id.0)),
        ("indrelid", oid(table.id.0)),
        ("indnatts", int(keys.len() + index.included.len())),
        ("indnkeyatts", int(keys.len())),
        ("indisunique", truth(index.unique)),
        ("indisprimary", truth(index.primary)),
        ("indimmediate", truth(true)),
        ("indisvalid", truth(true)),
        ("indisready", truth(true)),
        ("indislive", truth(true)),
        ("indkey", vector(TypeId::INT2, keys.iter().map(key_number).chain(included).collect())),
        ("indexprs", maybe_text(expressions.as_deref())),
        ("indpred", maybe_text(predicate.as_deref())),
        ("indcollation", vector(TypeId::OID, types.iter().map(collation).collect())),
        ("indclass", vector(TypeId::OID, types.iter().zip(keys).map(class).collect())),
        ("indoption", vector(TypeId::INT2, keys.iter().map(option).collect())),
    ])
}

/// A constraint of a table.
pub(crate) struct Constraint<'a> {
    /// `pg_constraint.oid`: the index's for those that an index enforces.
    pub oid: u32,
    /// Its name.
    pub name: &'a str,
    /// `pg_constraint.contype`: `p`, `u` or `c`.
    pub kind: &'static str,
    /// The index that enforces it.
    pub index: Option<&'a IndexDef>,
    /// A CHECK's condition as it was written.
    pub condition: Option<&'a str>,
    /// A foreign key.
    pub foreign: Option<&'a ForeignKeyDef>,
    /// Whether all rows keep it.
    pub valid: bool,
}

impl Constraint<'_> {
    /// Its columns: the key's, or those that the condition reads.
    pub(crate) fn columns(&self, view: &View<'_>, table: &TableDef) -> Vec<usize> {
        if let Some(key) = self.foreign {
            return key.columns.clone();
        }
        match (self.index, self.condition) {
            (Some(index), _) => index.columns.iter().map(|key| key.column).collect(),
            (None, Some(condition)) => deparse::columns_of(view, table, condition),
            (None, None) => Vec::new(),
        }
    }
}

/// A table's constraints.
pub(crate) fn constraints<'a>(table: &'a TableDef) -> Vec<Constraint<'a>> {
    let of_index = |index: &'a IndexDef| Constraint {
        oid: index.id.0,
        name: &index.name,
        kind: if index.primary { "p" } else { "u" },
        index: Some(index),
        condition: None,
        foreign: None,
        valid: true,
    };
    let of_check = |(number, check): (usize, &'a tuplix_catalog::CheckDef)| Constraint {
        oid: match check.oid {
            0 => part_oid(table, table.columns.len() + number),
            own => own,
        },
        name: &check.name,
        kind: "c",
        index: None,
        condition: Some(&check.expression),
        foreign: None,
        valid: check.valid,
    };
    let of_key = |key: &'a ForeignKeyDef| Constraint {
        oid: key.id,
        name: &key.name,
        kind: "f",
        index: None,
        condition: None,
        foreign: Some(key),
        valid: key.valid,
    };
    let indexes = table.indexes.iter().filter(|index| index.constraint).map(of_index);
    let checks = table.checks.iter().enumerate().map(of_check);
    indexes.chain(checks).chain(table.foreign_keys.iter().map(of_key)).collect()
}

/// `pg_constraint`
pub(crate) fn constraint_rows(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in view.catalog().tables() {
        for constraint in constraints(table) {
            let key = constraint.columns(view, table).into_iter();
            let key = key.map(|column| column_number(table, column)).collect();
            let condition = constraint.condition.map(|text| deparse::check_text(view, table, text, false));
            let foreign = constraint.foreign;
            let index = match foreign {
                Some(key) => key.parent_index.0,
                None => constraint.index.map_or(0, |index| index.id.0),
            };
            let code =
                |of: &dyn Fn(&ForeignKeyDef) -> &'static str| foreign.map_or(text(" "), |key| text(of(key)));
            let parent = foreign.and_then(|key| Some((key, view.catalog().table(key.parent)?)));
            let parent_key = parent.map_or(Value::Null, |(key, parent)| {
                let columns = key.parent_columns.iter().map(|column| column_number(parent, *column));
                array(TypeId::INT2, columns.collect())
            });
            rows.push(relation.row(&[
                ("confrelid", oid(foreign.map_or(0, |key| key.parent.0))),
                ("confkey", parent_key),
                ("condeferrable", truth(foreign.is_some_and(|key| key.deferrable))),
                ("condeferred", truth(foreign.is_some_and(|key| key.deferred))),
                ("oid", oid(constraint.oid)),
                ("conname", text(constraint.name)),
                ("connamespace", oid(view.schema_oid(&table.schema))),
                ("contype", text(constraint.kind)),
                ("convalidated", truth(constraint.valid)),
                ("conrelid", oid(table.id.0)),
                ("conindid", oid(index)),
                ("confupdtype", code(&|key| action_code(key.on_update))),
                ("confdeltype", code(&|key| action_code(key.on_delete))),
                ("confmatchtype", code(&|key| if key.match_full { "f" } else { "s" })),
                ("conislocal", truth(true)),
                ("connoinherit", truth(constraint.condition.is_none())),
                ("conkey", array(TypeId::INT2, key)),
                ("conbin", condition.map_or(Value::Null, Value::text)),
            ]));
        }
    }
    rows.extend(super::user_types::constraints(view, relation));
    rows
}

/// `pg_indexes`
pub(crate) fn index_names(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |table: &TableDef, index: &IndexDef| {
        relation.row(&[
            ("schemaname", text(&table.schema)),
            ("tablename", text(&table.name)),
            ("indexname", text(&index.name)),
            ("indexdef", Value::text(index_definition(view, table, index, false))),
        ])
    };
    let tables = view.catalog().tables();
    tables.flat_map(|table| table.indexes.iter().map(move |index| row(table, index))).collect()
}

/// `CREATE INDEX ...`; a short name of the table where `pretty` and the search path leads to it.
pub(crate) fn index_definition(view: &View<'_>, table: &TableDef, index: &IndexDef, pretty: bool) -> String {
    let short = pretty && super::names::is_visible(view, table);
    let name = quote_ident(&table.name);
    let table_name = if short { name } else { format!("{}.{name}", quote_ident(&table.schema)) };
    let (method, ordered) = match index.method {
        IndexMethod::Hash => ("hash", false),
        IndexMethod::Ordered => ("btree", true),
    };
    let key = |key: &tuplix_catalog::IndexColumn| {
        let order = match (key.descending, key.nulls_first) {
            _ if !ordered => "",
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        let class = key.class.as_ref().map(|class| format!(" {}", quote_ident(class))).unwrap_or_default();
        format!("{}{class}{order}", key_definition(view, table, key, pretty))
    };
    let keys: Vec<String> = index.columns.iter().map(key).collect();
    let unique = if index.unique { "UNIQUE " } else { "" };
    let index_name = quote_ident(&index.name);
    let predicate = match &index.predicate {
        Some(predicate) if pretty => {
            format!(" WHERE {}", deparse::predicate_text(view, table, predicate, true))
        }
        Some(predicate) => format!(" WHERE {}", deparse::predicate_text(view, table, predicate, false)),
        None => String::new(),
    };
    let (included, options) = (included_text(table, index), options_text(&index.options));
    format!(
        "CREATE {unique}INDEX {index_name} ON {table_name} USING {method} ({}){included}{options}{predicate}",
        keys.join(", ")
    )
}

/// ` INCLUDE (a, b)`
fn included_text(table: &TableDef, index: &IndexDef) -> String {
    let names: Vec<String> =
        index.included.iter().map(|column| quote_ident(&table.columns[*column].name)).collect();
    if names.is_empty() { String::new() } else { format!(" INCLUDE ({})", names.join(", ")) }
}

/// ` WITH (fillfactor='70')`
fn options_text(options: &[String]) -> String {
    let option = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        // A value that could be a name stands as one.
        let plain = quote_ident(value) == value;
        let value = if plain { value.to_owned() } else { tuplix_functions::quote_literal(value).to_string() };
        format!("{}={value}", quote_ident(name))
    };
    let shown: Vec<String> = options.iter().map(option).collect();
    if shown.is_empty() { String::new() } else { format!(" WITH ({})", shown.join(", ")) }
}

/// A part of an index's key: a column's name, or an expression, in parentheses unless it is a call.
pub(crate) fn key_definition(
    view: &View<'_>,
    table: &TableDef,
    key: &tuplix_catalog::IndexColumn,
    pretty: bool,
) -> String {
    let Some(expression) = &key.expression else { return quote_ident(&table.columns[key.column].name) };
    let text = deparse::key_text(view, table, expression, pretty);
    if crate::ddl::names::called_function(&text).is_some() { text } else { format!("({text})") }
}

/// `PRIMARY KEY (a, b)`, `CHECK ((a > 0))`
pub(crate) fn constraint_definition(
    view: &View<'_>,
    table: &TableDef,
    constraint: &Constraint<'_>,
    pretty: bool,
) -> String {
    if let Some(key) = constraint.foreign {
        return super::foreign_key::definition(view, table, key, pretty);
    }
    if let Some(condition) = constraint.condition {
        let condition = deparse::check_text(view, table, condition, pretty);
        let suffix = if constraint.valid { "" } else { " NOT VALID" };
        return format!("CHECK ({condition}){suffix}");
    }
    let columns = constraint.columns(view, table).into_iter();
    let names: Vec<String> = columns.map(|column| quote_ident(&table.columns[column].name)).collect();
    let words = if constraint.kind == "p" { "PRIMARY KEY" } else { "UNIQUE" };
    let included = constraint.index.map(|index| included_text(table, index)).unwrap_or_default();
    format!("{words} ({}){included}", names.join(", "))
}
