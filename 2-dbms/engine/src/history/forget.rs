//! `forget_spooled`: retention. Whole blocks go of which every row is old enough.

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_types::{SqlError, Value, sqlstate};

use super::ColdPart;
use crate::ddl::Work;
use crate::domain::DomainState;
use crate::engine_functions::table_argument;
use crate::node::{Home, Node, StorageAccess};
use crate::stop::Run;
use crate::transaction::Transaction;

/// `forget_spooled(table regclass, column text, before timestamptz)`: rows of which the column is before that may go. Those that share
/// a block with younger ones, and those still in memory, stay until later.
pub(crate) fn forget_spooled(args: &[Value], tx: &mut Transaction<'_>) -> Run<Value> {
    let mut work = Work::start(tx)?;
    let table = table_argument(&work, args)?;
    let (Some(name), Some(Value::Timestamptz(before))) = (args.get(1).and_then(Value::as_str), args.get(2))
    else {
        let message = "the column and the moment must not be NULL";
        return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
    };
    let before = *before;
    let Some(column) = table.column(name) else {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message).into());
    };
    if table.columns[column].ty != tuplix_types::TypeId::TIMESTAMPTZ {
        let message = format!("column \"{name}\" must be of type timestamp with time zone");
        return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).into());
    }
    if !table.spooled {
        let message = format!("table \"{}\" is not spooled", table.name);
        return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Delete its rows with DELETE.")
            .into());
    }
    work.tx.lock_for_ddl(&[table.id])?;
    work.change(CatalogChange::ForgetSpooled { table: table.id, column, before });
    work.show()?;
    Ok(Value::Null)
}

/// Takes blocks out of the lists of a table of which no row's column is at or after `before`.
pub(crate) fn forget(node: &Node, home: &Home, column: usize, before: i64, storage: &mut dyn StorageAccess) {
    let change = &mut |state: &mut DomainState| {
        let Some(Some(table)) = state.tables.get_mut(home.slot as usize) else { return };
        table.change_cold(&mut |list| list.iter().flat_map(|part| remaining(part, column, before)).collect());
    };
    node.domains_of(home).into_iter().for_each(|domain| storage.with(domain, change, node));
}

/// What stays of a part.
fn remaining(part: &ColdPart, column: usize, before: i64) -> Vec<ColdPart> {
    let mut stay: Vec<ColdPart> = Vec::new();
    for block in part.first..part.first + part.blocks {
        // Of a damaged segment nothing is known: it stays.
        let bounds = part.segment.info(block).map(|info| info.bounds.get(column).copied().flatten());
        let goes = bounds.flatten().is_some_and(|(_, high)| high < before);
        match stay.last_mut() {
            _ if goes => {}
            Some(last) if last.first + last.blocks == block => last.blocks += 1,
            _ => stay.push(ColdPart { segment: part.segment.clone(), first: block, blocks: 1 }),
        }
    }
    stay
}

/// The table that a change of the log forgets rows of.
pub(crate) fn forgets(change: &CatalogChange) -> Option<(TableId, usize, i64)> {
    match change {
        CatalogChange::ForgetSpooled { table, column, before } => Some((*table, *column, *before)),
        _ => None,
    }
}
