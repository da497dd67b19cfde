//! REFRESH MATERIALIZED VIEW: the query's rows take the place of the old ones.

use tuplix_catalog::{CatalogChange, MaterializedDef, TableDef};
use tuplix_sql::plan::Refresh;
use tuplix_types::{SqlError, Tag, sqlstate};

use super::Work;
use super::create_table_as::{gather, run_query};
use super::generation::index_rows;
use crate::stop::Run;
use crate::transaction::Transaction;

/// Executes the statement.
///
/// # Errors
/// Those of the query; 23505 when its rows break a unique index.
pub(super) fn execute(tx: &mut Transaction<'_>, refresh: &Refresh) -> Run<Tag> {
    let work = Work::start(tx)?;
    let Some(old) = work.catalog.table(refresh.table).cloned() else {
        let message = "the materialized view was dropped meanwhile";
        return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message).into());
    };
    work.refuse_in_use(&old, "REFRESH MATERIALIZED VIEW")?;
    if refresh.concurrently {
        check_concurrently(&old)?;
    }
    work.tx.lock_for_ddl(&[old.id])?;
    let node = tx.node;
    let (mut fragment, memory) = gather(tx, &old.columns, |tx, each| match refresh.with_data {
        true => run_query(tx, &refresh.query, &refresh.relations, &[], each),
        false => Ok(()),
    })?;
    let mut work = Work::start(tx)?;
    let mut table = TableDef::clone(&old);
    if let Some(MaterializedDef { populated, .. }) = &mut table.materialized {
        *populated = refresh.with_data;
    }
    let schema = work.storage_of(&table)?;
    index_rows(&work.catalog, &mut fragment, &table, &schema, &[])?;
    node.keep_memory_of(table.id, &memory);
    work.fresh_table(&table, vec![Some(Box::new(fragment))])?;
    work.change(CatalogChange::RewriteTable(table));
    work.show()?;
    Ok(Tag { command: "REFRESH MATERIALIZED VIEW", rows: None })
}

/// CONCURRENTLY asks PostgreSQL to compare rows by a key; here readers wait as they do without it.
fn check_concurrently(table: &TableDef) -> Run<()> {
    if table.materialized.as_ref().is_some_and(|made| !made.populated) {
        let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).into());
    }
    if table.indexes.iter().any(|index| index.unique && index.is_plain()) {
        return Ok(());
    }
    let message = format!("cannot refresh materialized view \"{}\" concurrently", table.qualified_name());
    Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Create a unique index with no WHERE clause on one or more columns of the materialized view.")
        .into())
}
