//! The functions that tell of the catalogue: visibility, definitions as SQL, names, sizes, comments.

use tuplix_catalog::{FunctionId, RoleId, TableDef, TableId};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::routine::{self, routine};
use super::view::{DATABASE, View};
use super::{deparse, index, names, privileges, relations, views};
use crate::layout::TableAccess;
use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

/// Calls the function with this `pg_proc.prosrc`; `None` when it is not one of the catalogue's.
///
/// # Errors
/// The function's own.
pub(crate) fn call(
    services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Option<Value>> {
    let view = View::new(services);
    if let Some(size) = size(&view, symbol, args, tx)? {
        return Ok(Some(size));
    }
    if let Some(answer) = privileges::call(&view, symbol, args)? {
        return Ok(Some(answer));
    }
    let mut answer = definition(&view, symbol, args)?.or(named(&view, symbol, args)?);
    answer.iter_mut().for_each(|value| super::user_types::name_types(&view, value));
    Ok(answer)
}

fn oid_at(args: &[Value], place: usize) -> u32 {
    match args.get(place) {
        Some(Value::Oid(oid)) => *oid,
        _ => 0,
    }
}

fn text_at(args: &[Value], place: usize) -> &str {
    args.get(place).and_then(Value::as_str).unwrap_or_default()
}

fn or_null(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::text)
}

/// `pg_get_...def` and its kin.
fn definition(view: &View<'_>, symbol: &str, args: &[Value]) -> Result<Option<Value>> {
    let oid = oid_at(args, 0);
    let pretty = args.last().and_then(Value::as_bool).unwrap_or(false);
    Ok(Some(match symbol {
        "pg_get_expr" => args[0].clone(),
        "pg_get_expr_ext" if !pretty => args[0].clone(),
        "pg_get_expr_ext" => match table(view, oid_at(args, 1)) {
            Some(table) => Value::text(deparse::pretty_text(view, table, text_at(args, 0))),
            None => args[0].clone(),
        },
        "pg_get_indexdef" | "pg_get_indexdef_ext" => or_null(index_definition(view, args, pretty)),
        "pg_get_constraintdef" | "pg_get_constraintdef_ext" => {
            or_null(constraint_definition(view, oid, pretty))
        }
        "pg_get_functiondef" => match routine(view, oid) {
            Some(routine::Routine::User(function)) => Value::text(routine::definition(view, function)),
            Some(routine::Routine::BuiltIn(function)) => {
                let message = format!("the definition of the built-in function {}", function.name);
                return Err(SqlError::unsupported(message));
            }
            None => Value::Null,
        },
        "pg_get_function_arguments" => {
            or_null(routine(view, oid).map(|found| routine::arguments(view, &found, true)))
        }
        "pg_get_function_identity_arguments" => {
            or_null(routine(view, oid).map(|found| routine::arguments(view, &found, false)))
        }
        "pg_get_function_result" => or_null(routine(view, oid).and_then(|found| routine::result(&found))),
        "pg_get_function_arg_default" => or_null(argument_default(view, oid, &args[1])),
        "pg_get_viewdef" => or_null(table(view, oid).and_then(|table| views::definition(view, table, false))),
        "pg_get_viewdef_ext" | "pg_get_viewdef_wrap" => {
            let pretty = !matches!(args.get(1), Some(Value::Bool(false)));
            or_null(table(view, oid).and_then(|table| views::definition(view, table, pretty)))
        }
        "pg_get_viewdef_name" | "pg_get_viewdef_name_ext" => {
            let written = text_at(args, 0);
            let pretty = matches!(args.get(1), Some(Value::Bool(true)));
            let found = names::find(view, TypeId::REGCLASS, written)?;
            let found = found.ok_or_else(|| {
                let message = format!("relation \"{written}\" does not exist");
                SqlError::new(sqlstate::UNDEFINED_TABLE, message)
            })?;
            or_null(table(view, found).and_then(|table| views::definition(view, table, pretty)))
        }
        // There are no bodies in standard SQL, rules, partitions or statistics objects.
        "pg_get_function_sqlbody"
        | "pg_get_ruledef"
        | "pg_get_ruledef_ext"
        | "pg_get_partkeydef"
        | "pg_get_partition_constraintdef"
        | "pg_get_statisticsobjdef"
        | "pg_get_statisticsobjdef_columns" => Value::Null,
        "pg_get_triggerdef" => or_null(super::trigger::definition(view, oid, false)),
        "pg_get_triggerdef_ext" => or_null(super::trigger::definition(view, oid, pretty)),
        "pg_get_serial_sequence" => or_null(serial_sequence(view, args)?),
        _ => return Ok(None),
    }))
}

fn table<'a>(view: &'a View<'_>, oid: u32) -> Option<&'a TableDef> {
    view.catalog().table(TableId(oid)).map(|table| &**table)
}

fn serial_sequence(view: &View<'_>, args: &[Value]) -> Result<Option<String>> {
    let written = text_at(args, 0);
    let Some(table) = names::find(view, TypeId::REGCLASS, written)?.and_then(|oid| table(view, oid)) else {
        let message = format!("relation \"{written}\" does not exist");
        return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
    };
    let name = text_at(args, 1);
    let Some(column) = table.column(name) else {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
    };
    Ok(super::sequence::serial_sequence(view, table.id.0, column))
}

fn index_definition(view: &View<'_>, args: &[Value], pretty: bool) -> Option<String> {
    let (table, index) = view.index(oid_at(args, 0))?;
    let column = match args {
        [_, column, _] => column.as_i64().unwrap_or(0),
        _ => 0,
    };
    match usize::try_from(column) {
        Ok(0) => Some(index::index_definition(view, table, index, pretty)),
        Ok(number) => {
            let key = index.columns.get(number - 1);
            Some(key.map_or_else(String::new, |key| index::key_definition(view, table, key, pretty)))
        }
        Err(_) => Some(String::new()),
    }
}

fn constraint_definition(view: &View<'_>, oid: u32, pretty: bool) -> Option<String> {
    view.catalog()
        .tables()
        .find_map(|table| {
            let constraints = index::constraints(table);
            let found = constraints.iter().find(|constraint| constraint.oid == oid)?;
            Some(index::constraint_definition(view, table, found, pretty))
        })
        .or_else(|| super::user_types::constraint_definition(view, oid, pretty))
}

fn argument_default(view: &View<'_>, oid: u32, number: &Value) -> Option<String> {
    let function = view.catalog().function(FunctionId(oid))?;
    let number = usize::try_from(number.as_i64()?).ok()?.checked_sub(1)?;
    routine::default_text(view, function.arguments.get(number)?)
}

/// Names, visibility and comments.
fn named(view: &View<'_>, symbol: &str, args: &[Value]) -> Result<Option<Value>> {
    let oid = oid_at(args, 0);
    let visible = |visible: Option<bool>| visible.map_or(Value::Null, Value::Bool);
    let listed = |table: &str| {
        visible(relations::own_rows(table).iter().any(|row| row_oid(row) == oid).then_some(true))
    };
    let to_reg = |ty| Ok(Some(names::find(view, ty, text_at(args, 0))?.map_or(Value::Null, Value::Oid)));
    Ok(Some(match symbol {
        "pg_table_is_visible" => visible(names::relation_is_visible(view, oid)),
        "pg_function_is_visible" => visible(names::function_is_visible(view, oid)),
        "pg_type_is_visible" => visible(super::user_types::is_visible(view, TypeId(oid))),
        "pg_operator_is_visible" => listed("pg_operator"),
        "pg_opclass_is_visible" => listed("pg_opclass"),
        "pg_opfamily_is_visible" => listed("pg_opfamily"),
        "pg_collation_is_visible" => listed("pg_collation"),
        "pg_conversion_is_visible"
        | "pg_statistics_obj_is_visible"
        | "pg_ts_parser_is_visible"
        | "pg_ts_dict_is_visible"
        | "pg_ts_template_is_visible"
        | "pg_ts_config_is_visible" => Value::Null,
        "pg_get_userbyid" => match view.catalog().role(RoleId(oid)) {
            Some(role) => Value::text(role.name.as_str()),
            None => Value::text(format!("unknown (OID={oid})")),
        },
        "pg_relation_is_publishable" => match names::relation_name(view, oid) {
            Some(_) => Value::Bool(table(view, oid).is_some()),
            None => Value::Null,
        },
        "pg_tablespace_location" => Value::text(""),
        "pg_relation_filenode" => {
            let stored = table(view, oid).is_some() || view.index(oid).is_some();
            if stored { Value::Oid(oid) } else { Value::Null }
        }
        "obj_description_oid_name" => description(view, oid, Some(text_at(args, 1)), 0),
        "obj_description_oid" => description(view, oid, None, 0),
        "col_description_oid_int4" => {
            let part = args.get(1).and_then(Value::as_i64).unwrap_or(0);
            description(view, oid, Some("pg_class"), u32::try_from(part).unwrap_or(0))
        }
        "shobj_description_oid_name" => Value::Null,
        "to_regclass" => return to_reg(TypeId::REGCLASS),
        "to_regtype" => return to_reg(TypeId::REGTYPE),
        "to_regproc" => return to_reg(TypeId::REGPROC).or_else(ambiguous_is_null),
        "to_regprocedure" => return to_reg(TypeId::REGPROCEDURE),
        "to_regnamespace" => return to_reg(TypeId::REGNAMESPACE),
        "to_regrole" => return to_reg(TypeId::REGROLE),
        _ => return Ok(None),
    }))
}

fn ambiguous_is_null(error: SqlError) -> Result<Option<Value>> {
    if error.fields().sqlstate == sqlstate::AMBIGUOUS_FUNCTION { Ok(Some(Value::Null)) } else { Err(error) }
}

fn row_oid(row: &[Value]) -> u32 {
    match row.first() {
        Some(Value::Oid(oid)) => *oid,
        _ => 0,
    }
}

/// The comment on an object, or on a part of it.
fn description(view: &View<'_>, oid: u32, class: Option<&str>, part: u32) -> Value {
    let class = class.map(|class| relations::find("pg_catalog", class).map_or(0, |relation| relation.oid));
    let mut comments = view.catalog().comments();
    let own = comments.find(|(about, _)| {
        about.object == oid && about.part == part && class.is_none_or(|class| about.class == class)
    });
    if let Some((_, text)) = own {
        return Value::text(text);
    }
    let about = |row: &&tuplix_types::Row| {
        row_oid(row) == oid
            && row[2].as_i64() == Some(i64::from(part))
            && class.is_none_or(|class| matches!(row[1], Value::Oid(of) if of == class))
    };
    relations::own_rows("pg_description").iter().find(about).map_or(Value::Null, |row| row[3].clone())
}

/// `pg_table_size` and its kin: bytes of memory.
fn size(view: &View<'_>, symbol: &str, args: &[Value], tx: &mut Transaction<'_>) -> Run<Option<Value>> {
    let oid = oid_at(args, 0);
    let bytes = match symbol {
        "pg_relation_size" if text_at(args, 1) != "main" => 0,
        "pg_relation_size" | "pg_relation_size_regclass" | "pg_table_size" => {
            match relation_bytes(view, oid, tx)? {
                Some(bytes) => bytes,
                None => return Ok(Some(Value::Null)),
            }
        }
        "pg_indexes_size" | "pg_total_relation_size" => {
            let whole = symbol == "pg_total_relation_size";
            match (access(view, oid), whole) {
                (Some(access), true) => tx.memory_bytes(&access)?,
                (Some(access), false) => all_index_bytes(&access, tx)?,
                (None, true) => match relation_bytes(view, oid, tx)? {
                    Some(bytes) => bytes,
                    None => return Ok(Some(Value::Null)),
                },
                (None, false) => 0,
            }
        }
        "pg_database_size_name" | "pg_database_size_oid" => {
            if symbol == "pg_database_size_oid" && oid != DATABASE {
                return Ok(Some(Value::Null));
            }
            database_bytes(view, tx)?
        }
        "pg_tablespace_size_oid" | "pg_tablespace_size_name" => database_bytes(view, tx)?,
        _ => return Ok(None),
    };
    Ok(Some(Value::Int8(bytes as i64)))
}

fn access(view: &View<'_>, oid: u32) -> Option<TableAccess> {
    view.schema().layout.table(TableId(oid)).cloned()
}

fn all_index_bytes(access: &TableAccess, tx: &mut Transaction<'_>) -> Run<usize> {
    let mut bytes = 0;
    for number in 0..access.table.indexes.len() {
        bytes += tx.index_bytes(access, number)?;
    }
    Ok(bytes)
}

/// Bytes of a table's rows or of an index; system tables have none. `None` when there is no such relation.
fn relation_bytes(view: &View<'_>, oid: u32, tx: &mut Transaction<'_>) -> Run<Option<usize>> {
    if let Some(access) = access(view, oid) {
        let whole = tx.memory_bytes(&access)?;
        return Ok(Some(whole.saturating_sub(all_index_bytes(&access, tx)?)));
    }
    let is_view = table(view, oid).is_some_and(|table| table.view.is_some());
    if is_view || relations::with_oid(oid).is_some() {
        return Ok(Some(0));
    }
    let Some((table, _)) = view.index(oid) else { return Ok(None) };
    let number = table.indexes.iter().position(|index| index.id.0 == oid);
    match (access(view, table.id.0), number) {
        (Some(access), Some(number)) => Ok(Some(tx.index_bytes(&access, number)?)),
        _ => Ok(None),
    }
}

fn database_bytes(view: &View<'_>, tx: &mut Transaction<'_>) -> Run<usize> {
    let tables: Vec<u32> = view.catalog().tables().map(|table| table.id.0).collect();
    let mut bytes = 0;
    for access in tables.into_iter().filter_map(|oid| access(view, oid)) {
        bytes += tx.memory_bytes(&access)?;
    }
    Ok(bytes)
}
