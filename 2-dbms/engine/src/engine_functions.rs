//! Built-in functions that work on the node itself: distribution in Citus's words, advisory locks, notification.

use tuplix_catalog::{CatalogChange, Distribution, TableDef, TableId};
use tuplix_types::{SqlError, TypeId, Value, sqlstate};

use crate::ddl::{Work, check_distribution_in_key};
use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

/// A table larger than this is not moved to its buckets in one transaction.
const MAX_MOVED_BYTES: usize = 512 << 20;

/// Whether the function with this `pg_proc.prosrc` is DDL by another name.
pub(crate) fn changes_catalog(symbol: &str) -> bool {
    matches!(
        symbol,
        "create_distributed_table"
            | "create_reference_table"
            | "create_distributed_function"
            | "spool_table"
            | "forget_spooled"
            | "set_host_rule"
            | "drop_host_rule"
    )
}

/// Calls the function with this `pg_proc.prosrc`.
///
/// # Errors
/// The function's own; 0A000 when the engine has none of this name.
pub(crate) fn call(
    services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Value> {
    if let Some(value) = crate::sequences::call(services, symbol, args, tx)? {
        return Ok(value);
    }
    if let Some(value) = crate::sleep::call(services, symbol, args, tx)? {
        return Ok(value);
    }
    match symbol {
        "create_distributed_table" => create_distributed_table(args, tx),
        "create_reference_table" => create_reference_table(args, tx),
        "create_distributed_function" => create_distributed_function(args, tx),
        "spool_table" => crate::history::spool_table(args, tx),
        "forget_spooled" => crate::history::forget_spooled(args, tx),
        "set_host_rule" => crate::door::set_host_rule(args, tx),
        "drop_host_rule" => crate::door::drop_host_rule(args, tx),
        "tuplix_damaged_indexes" => damaged_indexes(services, args, tx),
        "pg_trigger_depth" => Ok(Value::Int4(services.firing.borrow().len() as i32)),
        "pg_notify" => notify(args, tx),
        _ => match crate::system::call(services, symbol, args, tx)? {
            Some(value) => Ok(value),
            None => crate::advisory::call(services, symbol, args, tx),
        },
    }
}

fn text(args: &[Value], number: usize) -> Option<&str> {
    args.get(number).and_then(Value::as_str)
}

pub(crate) fn table_argument(work: &Work<'_, '_>, args: &[Value]) -> Result<TableDef, SqlError> {
    let oid = match args.first() {
        Some(Value::Oid(oid)) => *oid,
        _ => return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "the table must not be NULL")),
    };
    let Some(table) = work.catalog.table(TableId(oid)) else {
        let message = format!("relation with OID {oid} does not exist");
        return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
    };
    work.need_relation(&work.services.holder(&work.catalog), table)?;
    Ok(TableDef::clone(table))
}

/// `create_distributed_table(table regclass, column text, ...)`: the table's rows go to the buckets of the column.
fn create_distributed_table(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let mut work = Work::start(tx)?;
    let mut table = table_argument(&work, args)?;
    let Some(name) = text(args, 1) else {
        return Err(SqlError::new(
            sqlstate::NULL_VALUE_NOT_ALLOWED,
            "the distribution column must not be NULL",
        )
        .into());
    };
    refuse_unless_local(&table)?;
    if let Some(other) = text(args, 2).filter(|kind| *kind != "hash") {
        return Err(SqlError::unsupported(format_args!("distribution type \"{other}\"")).into());
    }
    let Some(column) = table.column(name) else {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).into());
    };
    let ty = table.columns[column].ty;
    if !matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8) {
        return Err(SqlError::unsupported(format_args!("distribution by a column of type {ty}"))
            .hint("Distribute by an integer: a bucket number, or any integer, which is taken modulo the buckets.")
            .into());
    }
    work.tx.lock_for_ddl(&[table.id])?;
    table.distribution = Distribution::Hash { column };
    for index in table.indexes.iter().filter(|index| index.unique) {
        check_distribution_in_key(&table, &index.name, &index.columns)?;
    }
    check_references(&work, &table)?;
    check_movable(&mut work, &table, Some(column))?;
    work.move_table(table)
}

/// `create_reference_table(table regclass)`: the table can be read from every partition.
fn create_reference_table(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let mut work = Work::start(tx)?;
    let mut table = table_argument(&work, args)?;
    refuse_unless_local(&table)?;
    table.distribution = Distribution::Reference;
    check_references(&work, &table)?;
    work.tx.lock_for_ddl(&[table.id])?;
    check_movable(&mut work, &table, None)?;
    work.move_table(table)
}

/// Whether the foreign keys from and to a table can still be checked with its new distribution.
fn check_references(work: &Work<'_, '_>, table: &TableDef) -> Result<(), SqlError> {
    for key in &table.foreign_keys {
        match work.catalog.table(key.parent) {
            Some(parent) if parent.id != table.id => crate::ddl::check_places(table, key, parent)?,
            _ => crate::ddl::check_places(table, key, table)?,
        }
    }
    for (child, key) in work.catalog.references_to(table.id).filter(|(child, _)| child.id != table.id) {
        crate::ddl::check_places(child, key, table)?;
    }
    Ok(())
}

fn refuse_unless_local(table: &TableDef) -> Result<(), SqlError> {
    if table.distribution == Distribution::Local {
        return Ok(());
    }
    let message = format!("table \"{}\" is already distributed", table.name);
    Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message))
}

fn check_movable(work: &mut Work<'_, '_>, table: &TableDef, column: Option<usize>) -> Run<()> {
    let Some(access) = work.access(table.id)? else { return Ok(()) };
    let bytes = work.tx.memory_bytes(&access)?;
    if bytes > MAX_MOVED_BYTES {
        let message = format!("table \"{}\" is too large to be distributed", table.name);
        let detail = format!("It has {bytes} bytes of rows; the limit is {MAX_MOVED_BYTES}.");
        let hint = "Create an empty distributed table and insert the rows in portions.";
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
            .detail(detail)
            .hint(hint)
            .into());
    }
    if let Some(column) = column
        && work.tx.has_null(&access, column)?
    {
        let name = &table.columns[column].name;
        let message = format!("the distribution column \"{name}\" of table \"{}\" contains NULL", table.name);
        return Err(SqlError::new(sqlstate::NOT_NULL_VIOLATION, message).into());
    }
    Ok(())
}

/// `create_distributed_function(function text, argument text, ...)`: which argument names the bucket.
fn create_distributed_function(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let mut work = Work::start(tx)?;
    let Some(signature) = text(args, 0) else {
        return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "the function must not be NULL").into());
    };
    let function = crate::system::function_by_signature(&work.catalog, signature, &work.search_path)?;
    work.need_function(&work.services.holder(&work.catalog), function.id)?;
    let mut function = tuplix_catalog::FunctionDef::clone(&function);
    function.distribution_argument = match text(args, 1) {
        None => None,
        Some(argument) => Some(argument_position(&function, argument)?),
    };
    work.change(CatalogChange::PutFunction(function));
    work.show()?;
    Ok(Value::Null)
}

fn argument_position(function: &tuplix_catalog::FunctionDef, argument: &str) -> Result<usize, SqlError> {
    let by_number = argument.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
    let found = match by_number {
        Some(number) => (1..=function.inputs().count()).contains(&number).then(|| number - 1),
        None => function.inputs().position(|input| input.name == argument),
    };
    found.ok_or_else(|| {
        let message = format!(
            "cannot distribute the function \"{}\" since the distribution argument is not valid",
            function.name
        );
        SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message)
            .hint("Give the name of an argument, or $1, $2, ...")
    })
}

/// `tuplix_damaged_indexes(table regclass)`: the names of the indexes that do not say what the rows say; NULL when all do.
fn damaged_indexes(services: &Services, args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let Some(Value::Oid(oid)) = args.first() else { return Ok(Value::Null) };
    let access = services.with_layout(|layout| layout.table(TableId(*oid)).cloned());
    let Some(access) = access else { return Ok(Value::Null) };
    let damaged = tx.damaged_indexes(&access)?;
    let names: Vec<&str> = damaged.iter().map(|number| access.table.indexes[*number].name.as_str()).collect();
    Ok(if names.is_empty() { Value::Null } else { Value::text(names.join(", ")) })
}

fn notify(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let Some(channel) = text(args, 0).filter(|channel| !channel.is_empty()) else {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "channel name cannot be empty").into());
    };
    let payload = text(args, 1).unwrap_or_default();
    if payload.len() >= 8000 {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "payload string too long").into());
    }
    tx.notify(channel.to_owned(), payload.to_owned());
    Ok(Value::Null)
}
