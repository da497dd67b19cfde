//! `spool_table`: what a table must be like whose rows leave memory, and what is refused of it then.

use tuplix_catalog::{Distribution, TableDef};
use tuplix_types::{SqlError, Value, sqlstate};

use crate::ddl::Work;
use crate::engine_functions::table_argument;
use crate::stop::Run;
use crate::transaction::Transaction;

/// `spool_table(table regclass)`: full chunks of the table's rows leave memory with each checkpoint from now on.
pub(crate) fn spool_table(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let mut work = Work::start(tx)?;
    let mut table = table_argument(&work, args)?;
    if table.spooled {
        return Ok(Value::Null);
    }
    table.spooled = true;
    check_spooled(&table)?;
    if let Some((child, key)) = work.catalog.references_to(table.id).next() {
        return Err(refused(
            &table,
            &format!("foreign key \"{}\" of table \"{}\" refers to it", key.name, child.name),
        )
        .into());
    }
    work.tx.lock_for_ddl(&[table.id])?;
    work.put_table(table)?;
    work.show()?;
    Ok(Value::Null)
}

fn refused(table: &TableDef, why: &str) -> SqlError {
    SqlError::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("table \"{}\" cannot be spooled: {why}", table.name),
    )
}

/// Whether a table can be a spooled one.
///
/// # Errors
/// 0A000
pub(crate) fn check_spooled(table: &TableDef) -> Result<(), SqlError> {
    if table.view.is_some() {
        return Err(refused(table, "it is a view"));
    }
    if table.temporary.is_some() {
        return Err(refused(table, "it is temporary"));
    }
    if table.distribution == Distribution::Reference {
        return Err(refused(table, "it is a reference table"));
    }
    if let Some(index) = table.indexes.iter().find(|index| index.unique) {
        return Err(refused(table, &format!("index \"{}\" is unique", index.name))
            .detail("A unique key over rows on disk would have to be kept in memory.")
            .hint("Use an index that is not unique: rows are found by the smallest and largest values of blocks."));
    }
    match table.foreign_keys.first() {
        Some(key) => Err(refused(table, &format!("it has the foreign key \"{}\"", key.name))),
        None => Ok(()),
    }
}

/// Refuses what changes rows of a spooled table that have left memory.
///
/// # Errors
/// 0A000
pub(crate) fn refuse_change(table: &TableDef, what: &str) -> Result<(), SqlError> {
    if !table.spooled {
        return Ok(());
    }
    let message = format!("{what} is not supported of the spooled table \"{}\"", table.name);
    Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        .detail("Its rows lie in files that never change.")
        .hint("INSERT, TRUNCATE and DROP are possible, and forget_spooled() for old rows."))
}
