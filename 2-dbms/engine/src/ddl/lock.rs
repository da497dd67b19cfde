//! LOCK TABLE.
//!
//! There are two strengths: that of everybody who uses a table, which only DDL waits for, and that of DDL, which keeps
//! everybody else off it (docs/adr/0005). The modes up to ROW EXCLUSIVE are the first, the others the second.

use std::collections::BTreeSet;

use tuplix_catalog::{Dependency, TableId};
use tuplix_sql::plan::{LockTables, QualifiedName};
use tuplix_types::{Result, SqlError, Tag, sqlstate};

use super::{Work, undefined_table};
use crate::node::Schema;
use crate::services::Services;
use crate::stop::{Run, Stop};
use crate::transaction::{RestartCause, Transaction};

/// Executes the statement.
///
/// # Errors
/// 42P01 for what is not there, 42809 for what is no table or view, 55P03 with NOWAIT.
pub(super) fn execute(tx: &mut Transaction<'_>, lock: &LockTables) -> Run<Tag> {
    if tx.id().is_none() {
        tx.cause = RestartCause::NeedsBlock;
        return Err(Stop::Restart);
    }
    let services = tx.services();
    let schema = services.schema();
    let mut tables = BTreeSet::new();
    for name in &lock.tables {
        let id = find(services, &schema, name)?;
        with_bases(&schema, id, &mut tables);
    }
    for id in tables {
        if lock.excludes {
            // Who keeps everybody off a table changes the catalogue, one at a time.
            let started = Work::start(tx).map(|_| ());
            unless_locked(tx, lock, started, || "could not obtain the lock on the catalogue".to_owned())?;
        }
        let taken = if lock.excludes { tx.lock_for_ddl(&[id]) } else { share(tx, &schema, id) };
        unless_locked(tx, lock, taken, || {
            let name = schema.catalog.table(id).map_or("", |table| table.name.as_str());
            format!("could not obtain lock on relation \"{name}\"")
        })?;
    }
    Ok(Tag { command: "LOCK TABLE", rows: None })
}

/// With NOWAIT, that somebody else has a lock is an error.
fn unless_locked(
    tx: &Transaction<'_>,
    lock: &LockTables,
    taken: Run<()>,
    message: impl FnOnce() -> String,
) -> Run<()> {
    match taken {
        Err(Stop::Restart) if lock.no_wait && matches!(tx.cause, RestartCause::Lock(_)) => {
            Err(SqlError::new(sqlstate::LOCK_NOT_AVAILABLE, message()).into())
        }
        other => other,
    }
}

fn share(tx: &mut Transaction<'_>, schema: &Schema, id: TableId) -> Run<()> {
    match schema.layout.table(id).cloned() {
        Some(access) => tx.use_table(&access),
        None => Ok(()),
    }
}

fn find(services: &Services, schema: &Schema, name: &QualifiedName) -> Result<TableId> {
    let catalog = &schema.catalog;
    let path = match &name.schema {
        Some(schema) if schema == "pg_temp" => vec![services.temporary_schema()],
        Some(schema) => vec![schema.clone()],
        None => services.search_path(),
    };
    if let Some(table) = catalog.table_on_path(&path, &name.name) {
        return Ok(table.id);
    }
    let other = |schema: &String| {
        catalog.sequence_named(schema, &name.name).is_some()
            || catalog.table_of_index(schema, &name.name).is_some()
    };
    if path.iter().any(other) {
        let message = format!("cannot lock relation \"{}\"", name.name);
        return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
    }
    Err(undefined_table(name))
}

/// A table, or what a view reads.
fn with_bases(schema: &Schema, id: TableId, found: &mut BTreeSet<TableId>) {
    let Some(table) = schema.catalog.table(id) else { return };
    let Some(view) = &table.view else {
        found.insert(id);
        return;
    };
    for on in &view.dependencies {
        if let Dependency::Relation(below, _) = on {
            with_bases(schema, *below, found);
        }
    }
}
