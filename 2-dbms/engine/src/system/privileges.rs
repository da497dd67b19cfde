//! `has_table_privilege` and its kin.

use std::sync::Arc;

use tuplix_catalog::{FunctionId, RoleId, TableId};
use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate};

use super::names;
use super::relations;
use super::roles;
use super::view::{DATABASE, View};

/// What the function's symbol names, and the privileges of its kind.
const KINDS: &[(&str, &[&str])] = &[
    ("any_column", &["SELECT", "INSERT", "UPDATE", "REFERENCES"]),
    ("column", &["SELECT", "INSERT", "UPDATE", "REFERENCES"]),
    ("table", &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "RULE"]),
    ("sequence", &["USAGE", "SELECT", "UPDATE"]),
    ("database", &["CREATE", "CONNECT", "TEMPORARY", "TEMP"]),
    ("function", &["EXECUTE"]),
    ("language", &["USAGE"]),
    ("schema", &["CREATE", "USAGE"]),
    ("tablespace", &["CREATE"]),
    ("type", &["USAGE"]),
];

/// Calls the function of this symbol; `None` when it is none of these.
///
/// # Errors
/// What a name does not find, 22023 for a privilege that its kind has not.
pub(crate) fn call(view: &View<'_>, symbol: &str, args: &[Value]) -> Result<Option<Value>> {
    if symbol == "acldefault_sql" {
        return default_privileges(view, args).map(Some);
    }
    if symbol.starts_with("pg_has_role_") {
        return roles::has_role(view, symbol, args).map(Some);
    }
    let Some((kind, form)) = symbol.strip_prefix("has_").and_then(|rest| rest.split_once("_privilege_"))
    else {
        return Ok(None);
    };
    let Some((_, known)) = KINDS.iter().find(|(name, _)| *name == kind) else { return Ok(None) };
    // With a user, its name or id comes first.
    let objects = if kind == "column" { 2 } else { 1 };
    let with_user = form.split('_').count() > objects;
    let (user, rest) = if with_user { (args.first(), &args[1..]) } else { (None, args) };
    let role = user.map_or(Ok(view.services.current_role()), |user| roles::argument(view, user))?;
    check_privileges(rest.last(), known)?;
    let Some(object) = rest.first() else { return Ok(Some(Value::Null)) };
    let exists = exists(view, kind, object)?;
    let column = if kind == "column" { has_column(view, object, &rest[1])? } else { true };
    if !exists || !column {
        return Ok(Some(Value::Null));
    }
    let object = object_id(view, kind, object)?;
    let column = if kind == "column" { column_number(view, object, &rest[1]) } else { 0 };
    let privileges = rest.last().and_then(Value::as_str).unwrap_or_default();
    let question = super::rights::Question { role, kind, object, column, privileges };
    Ok(Some(Value::Bool(super::rights::has(view, &question)?)))
}

/// The id of an object that is there.
fn object_id(view: &View<'_>, kind: &str, object: &Value) -> Result<u32> {
    match object {
        Value::Oid(oid) => Ok(*oid),
        _ if kind == "database" => Ok(DATABASE),
        Value::Text(name) => match reg_type_of(kind) {
            Some(reg_type) => names::object_id(view, reg_type, name),
            None => Ok(0),
        },
        _ => Ok(0),
    }
}

/// A column's number from 1.
fn column_number(view: &View<'_>, table: u32, column: &Value) -> u32 {
    let Value::Text(name) = column else {
        let number = column.as_i64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let table = view.catalog().table(TableId(table));
        return table.and_then(|table| table.position(number)).map_or(0, |position| position as u32 + 1);
    };
    let table = view.catalog().table(TableId(table));
    table.and_then(|table| table.column(name)).map_or(0, |position| position as u32 + 1)
}

fn reg_type_of(kind: &str) -> Option<TypeId> {
    Some(match kind {
        "table" | "any_column" | "column" | "sequence" => TypeId::REGCLASS,
        "function" => TypeId::REGPROCEDURE,
        "schema" => TypeId::REGNAMESPACE,
        "type" => TypeId::REGTYPE,
        _ => return None,
    })
}

/// `acldefault`: what an object of a kind permits before anybody is granted anything, as `aclitem[]`. pg_dump compares with it.
fn default_privileges(view: &View<'_>, args: &[Value]) -> Result<Value> {
    let [kind, Value::Oid(owner)] = args else { return Ok(Value::Null) };
    // To everybody, and to the owner.
    let (public, own) = match kind.as_str() {
        Some("c") => ("", ""),
        Some("r") => ("", "arwdDxt"),
        Some("s") => ("", "rwU"),
        Some("d") => ("Tc", "CTc"),
        Some("f") => ("X", "X"),
        Some("l" | "T") => ("U", "U"),
        Some("L") => ("", "rw"),
        Some("n") => ("", "UC"),
        Some("p") => ("", "sA"),
        Some("t") => ("", "C"),
        Some("F" | "S") => ("", "U"),
        _ => {
            let message =
                format!("unrecognized object type abbreviation: {}", kind.as_str().unwrap_or_default());
            return Err(SqlError::new(sqlstate::INTERNAL_ERROR, message));
        }
    };
    let name = view.catalog().role_name(RoleId(*owner));
    let items = [("", public), (name.as_str(), own)].into_iter().filter(|(_, granted)| !granted.is_empty());
    let items = items.map(|(to, granted)| Value::text(format!("{to}={granted}/{name}"))).collect();
    Ok(Value::Array(Arc::new(Array::from_elements(TypeId::ACLITEM, items))))
}

/// `SELECT, INSERT WITH GRANT OPTION`
fn check_privileges(given: Option<&Value>, known: &[&str]) -> Result<()> {
    let given = given.and_then(Value::as_str).unwrap_or_default();
    for word in given.split(',') {
        let upper = word.trim().to_ascii_uppercase();
        if !known.contains(&upper.trim_end_matches(" WITH GRANT OPTION")) {
            let message = format!("unrecognized privilege type: \"{}\"", word.trim());
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        }
    }
    Ok(())
}

/// Whether an object exists; a name that finds nothing is an error, an id is not.
fn exists(view: &View<'_>, kind: &str, object: &Value) -> Result<bool> {
    let Some(reg_type) = reg_type_of(kind) else { return named(view, kind, object) };
    match object {
        Value::Text(name) => names::object_id(view, reg_type, name).map(|_| true),
        Value::Oid(oid) => Ok(match reg_type {
            TypeId::REGPROCEDURE => {
                view.catalog().function(FunctionId(*oid)).is_some()
                    || tuplix_functions::lookup_function(*oid).is_some()
            }
            _ => names::object_name(view, reg_type, *oid).is_some() && *oid != 0,
        }),
        _ => Ok(false),
    }
}

/// Databases, languages and tablespaces, by the rows of their tables.
fn named(view: &View<'_>, kind: &str, object: &Value) -> Result<bool> {
    if kind == "database" {
        return match object {
            Value::Text(name) if *name != *view.services.database => {
                let message = format!("database \"{name}\" does not exist");
                Err(SqlError::new(sqlstate::SqlState(*b"3D000"), message))
            }
            Value::Oid(oid) => Ok(*oid == DATABASE),
            _ => Ok(true),
        };
    }
    let rows = relations::own_rows(if kind == "language" { "pg_language" } else { "pg_tablespace" });
    let same = |value: &Value| match (value, object) {
        (Value::Oid(left), Value::Oid(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        _ => false,
    };
    match (rows.iter().any(|row| row[..2].iter().any(same)), object) {
        (false, Value::Text(name)) => {
            let message = format!("{kind} \"{name}\" does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
        }
        (found, _) => Ok(found),
    }
}

fn has_column(view: &View<'_>, table: &Value, column: &Value) -> Result<bool> {
    let oid = match table {
        Value::Oid(oid) => *oid,
        _ => names::object_id(view, TypeId::REGCLASS, table.as_str().unwrap_or_default())?,
    };
    let table = view.catalog().table(TableId(oid));
    let names: Vec<&str> = match (table, relations::with_oid(oid)) {
        (Some(table), _) => table.columns.iter().map(|column| column.name.as_str()).collect(),
        (None, Some(relation)) => relation.columns.iter().map(|column| column.name).collect(),
        (None, None) => Vec::new(),
    };
    match column {
        Value::Text(name) if !names.contains(&name.as_str()) => {
            let relation = names::relation_name(view, oid).unwrap_or_default();
            let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
        }
        Value::Text(_) => Ok(true),
        other => Ok(other.as_i64().is_some_and(|number| (1..=names.len() as i64).contains(&number))),
    }
}
