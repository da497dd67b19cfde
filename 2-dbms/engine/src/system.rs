//! Tables that the engine computes: its own state and the catalogue, as rows.

use std::sync::Arc;

use tuplix_catalog::{Catalog, Distribution, FunctionDef, TableId};
use tuplix_sql::analyze::SystemRelations;
use tuplix_sql::parser;
use tuplix_sql::plan::OutputColumn;
use tuplix_types::{Result, Row, SqlError, TypeId, Value, sqlstate};

use crate::services::Services;

/// The columns of the computed tables, for the analyzer.
#[derive(Clone, Copy, Debug)]
pub struct SystemTables;

type Columns = &'static [(&'static str, TypeId)];

const TABLES: &[(&str, &str, Columns)] = &[
    (
        "pg_catalog",
        "pg_namespace",
        &[("oid", TypeId::OID), ("nspname", TypeId::NAME), ("nspowner", TypeId::OID)],
    ),
    (
        "pg_catalog",
        "pg_tables",
        &[
            ("schemaname", TypeId::NAME),
            ("tablename", TypeId::NAME),
            ("tableowner", TypeId::NAME),
            ("hasindexes", TypeId::BOOL),
        ],
    ),
    (
        "pg_catalog",
        "pg_indexes",
        &[
            ("schemaname", TypeId::NAME),
            ("tablename", TypeId::NAME),
            ("indexname", TypeId::NAME),
            ("indexdef", TypeId::TEXT),
        ],
    ),
    ("pg_catalog", "pg_settings", &[("name", TypeId::TEXT), ("setting", TypeId::TEXT)]),
    (
        "information_schema",
        "tables",
        &[
            ("table_catalog", TypeId::NAME),
            ("table_schema", TypeId::NAME),
            ("table_name", TypeId::NAME),
            ("table_type", TypeId::TEXT),
        ],
    ),
    (
        "information_schema",
        "columns",
        &[
            ("table_schema", TypeId::NAME),
            ("table_name", TypeId::NAME),
            ("column_name", TypeId::NAME),
            ("ordinal_position", TypeId::INT4),
            ("column_default", TypeId::TEXT),
            ("is_nullable", TypeId::TEXT),
            ("data_type", TypeId::TEXT),
        ],
    ),
    (
        "tuplix",
        "tables",
        &[
            ("schema", TypeId::TEXT),
            ("name", TypeId::TEXT),
            ("distribution", TypeId::TEXT),
            ("distribution_column", TypeId::TEXT),
        ],
    ),
    ("tuplix", "buckets", &[("bucket", TypeId::INT4), ("partition", TypeId::INT4), ("node", TypeId::INT4)]),
    (
        "tuplix",
        "log",
        &[
            ("epochs", TypeId::INT8),
            ("records", TypeId::INT8),
            ("bytes", TypeId::INT8),
            ("durable_epoch", TypeId::INT8),
        ],
    ),
];

impl SystemRelations for SystemTables {
    fn columns(&self, schema: &str, name: &str) -> Option<Vec<OutputColumn>> {
        let (_, _, columns) = TABLES.iter().find(|(s, n, _)| *s == schema && *n == name)?;
        let column =
            |(name, ty): &(&str, TypeId)| OutputColumn { name: (*name).to_owned(), ty: *ty, typmod: -1 };
        Some(columns.iter().map(column).collect())
    }

    /// `tuplix` is also the name of a user, whose schema is on the default path: `log` there is a user's table.
    fn qualified_only(&self, schema: &str) -> bool {
        schema == "tuplix"
    }
}

/// The rows of a computed table, as of now.
///
/// # Errors
/// 42P01 when there is none of this name.
pub fn rows(services: &Services, schema: &str, name: &str) -> Result<Vec<Row>> {
    let snapshot = services.schema();
    let catalog = &snapshot.catalog;
    Ok(match (schema, name) {
        ("pg_catalog", "pg_namespace") => {
            catalog.schemas().map(|s| vec![Value::Oid(s.oid), text(&s.name), Value::Oid(10)]).collect()
        }
        ("pg_catalog", "pg_tables") => {
            let owner = text(&services.user);
            let row = |t: &Arc<tuplix_catalog::TableDef>| {
                vec![text(&t.schema), text(&t.name), owner.clone(), Value::Bool(!t.indexes.is_empty())]
            };
            catalog.tables().map(row).collect()
        }
        ("pg_catalog", "pg_indexes") => catalog.tables().flat_map(|table| index_rows(table)).collect(),
        ("pg_catalog", "pg_settings") => services
            .settings
            .borrow()
            .all()
            .into_iter()
            .map(|(name, value)| vec![text(&name), text(&value)])
            .collect(),
        ("information_schema", "tables") => {
            let row = |t: &Arc<tuplix_catalog::TableDef>| {
                vec![text(&services.database), text(&t.schema), text(&t.name), text("BASE TABLE")]
            };
            catalog.tables().map(row).collect()
        }
        ("information_schema", "columns") => catalog.tables().flat_map(|table| column_rows(table)).collect(),
        ("tuplix", "tables") => catalog.tables().map(|table| distribution_row(table)).collect(),
        ("tuplix", "buckets") => {
            (0..services.node.buckets()).map(|bucket| bucket_row(services, bucket)).collect()
        }
        ("tuplix", "log") => {
            let statistics = services.node.log.statistics();
            let counts =
                [statistics.epochs, statistics.records, statistics.bytes, services.node.log.durable_epoch()];
            vec![counts.iter().map(|count| Value::Int8(*count as i64)).collect()]
        }
        _ => {
            let message = format!("relation \"{schema}.{name}\" does not exist");
            return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
        }
    })
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn index_rows(table: &tuplix_catalog::TableDef) -> Vec<Row> {
    let row = |index: &tuplix_catalog::IndexDef| {
        let columns: Vec<&str> =
            index.columns.iter().map(|key| table.columns[key.column].name.as_str()).collect();
        let method = match index.method {
            tuplix_catalog::IndexMethod::Hash => "hash",
            tuplix_catalog::IndexMethod::Ordered => "btree",
        };
        let unique = if index.unique { "UNIQUE " } else { "" };
        let name = table.qualified_name();
        let definition =
            format!("CREATE {unique}INDEX {} ON {name} USING {method} ({})", index.name, columns.join(", "));
        vec![text(&table.schema), text(&table.name), text(&index.name), text(&definition)]
    };
    table.indexes.iter().map(row).collect()
}

fn column_rows(table: &tuplix_catalog::TableDef) -> Vec<Row> {
    let row = |(position, column): (usize, &tuplix_catalog::ColumnDef)| {
        vec![
            text(&table.schema),
            text(&table.name),
            text(&column.name),
            Value::Int4(position as i32 + 1),
            column.default.as_deref().map_or(Value::Null, text),
            text(if column.not_null { "NO" } else { "YES" }),
            text(&column.ty.to_string()),
        ]
    };
    table.columns.iter().enumerate().map(row).collect()
}

fn distribution_row(table: &tuplix_catalog::TableDef) -> Row {
    let (kind, column) = match table.distribution {
        Distribution::Local => ("local", Value::Null),
        Distribution::Reference => ("reference", Value::Null),
        Distribution::Hash { column } => ("hash", text(&table.columns[column].name)),
    };
    vec![text(&table.schema), text(&table.name), text(kind), column]
}

fn bucket_row(services: &Services, bucket: u16) -> Row {
    let partition = services.node.domain_of_bucket(bucket).0 as i32 - 1;
    vec![Value::Int4(i32::from(bucket)), Value::Int4(partition), Value::Int4(1)]
}

/// The name of a table or index as `regclass` prints it: with its schema when the path does not lead to it.
pub fn relation_name(catalog: &Catalog, oid: u32, path: &[String]) -> Option<String> {
    if let Some(table) = catalog.table(TableId(oid)) {
        let visible = catalog.table_on_path(path, &table.name).is_some_and(|found| found.id == table.id);
        let name = parser::quote_ident(&table.name);
        let schema = parser::quote_ident(&table.schema);
        return Some(if visible { name.to_string() } else { format!("{schema}.{name}") });
    }
    let index = catalog.tables().flat_map(|table| &table.indexes).find(|index| index.id.0 == oid)?;
    Some(parser::quote_ident(&index.name).to_string())
}

/// The object id of a table that is named as in SQL: `t`, `s.t`, `"T"`.
pub fn relation_oid(catalog: &Catalog, name: &str, path: &[String]) -> Option<u32> {
    if let Ok(oid) = name.parse() {
        return Some(oid);
    }
    let parts = split_name(name)?;
    let table = match &parts[..] {
        [table] => catalog.table_on_path(path, table),
        [schema, table] => catalog.table_named(schema, table),
        _ => None,
    };
    table.map(|table| table.id.0)
}

/// Splits `a."B".c` into its parts, unquoted ones in lower case.
fn split_name(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"')?;
            parts.push(quoted[..end].to_owned());
            rest = &quoted[end + 1..];
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            parts.push(rest[..end].trim().to_ascii_lowercase());
            rest = &rest[end..];
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None => return rest.is_empty().then_some(parts),
        }
    }
}

/// The function that `name(type, type)` names; the types may be left out when the name is enough.
///
/// # Errors
/// 42883 when there is none, 42725 when there are several.
pub fn function_by_signature(
    catalog: &Catalog,
    signature: &str,
    path: &[String],
) -> Result<Arc<FunctionDef>> {
    let (name, types) = match signature.split_once('(') {
        Some((name, types)) => (name, Some(types.trim_end().trim_end_matches(')'))),
        None => (signature, None),
    };
    let undefined = || {
        let message = format!("function \"{signature}\" does not exist");
        SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
    };
    let parts = split_name(name).ok_or_else(undefined)?;
    let schemas: Vec<&str> = match &parts[..] {
        [_] => path.iter().map(String::as_str).collect(),
        [schema, _] => vec![schema],
        _ => return Err(undefined()),
    };
    let name = parts.last().map_or("", String::as_str);
    let wanted = match types {
        Some(types) => Some(parse_types(types)?),
        None => None,
    };
    let mut found =
        schemas.into_iter().flat_map(|schema| catalog.functions_named(schema, name)).filter(|function| {
            match &wanted {
                Some(types) => function.inputs().map(|input| input.ty).eq(types.iter().copied()),
                None => true,
            }
        });
    match (found.next(), found.next()) {
        (Some(function), None) => Ok(function.clone()),
        (None, _) => Err(undefined()),
        (Some(_), Some(_)) => {
            let message = format!("function name \"{signature}\" is not unique");
            Err(SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message))
        }
    }
}

fn parse_types(types: &str) -> Result<Vec<TypeId>> {
    if types.trim().is_empty() {
        return Ok(Vec::new());
    }
    types.split(',').map(type_by_name).collect()
}

/// A built-in type by any of its names.
fn type_by_name(name: &str) -> Result<TypeId> {
    let parsed = parser::parse_type_name(name)?;
    let last = parsed.names.last().and_then(|node| match &node.node {
        Some(parser::NodeEnum::String(text)) => TypeId::from_internal_name(&text.sval),
        _ => None,
    });
    let found = if parsed.array_bounds.is_empty() { last } else { last.and_then(TypeId::array_of) };
    found.ok_or_else(|| {
        SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", name.trim()))
    })
}
