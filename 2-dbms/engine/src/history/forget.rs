//! `forget_spooled`: retention. Whole blocks go of which every row is old enough; one whose column is NULL never is.

use tuplix_catalog::{CatalogChange, ForgottenBlocks, ForgottenChunks, TableId};
use tuplix_checkpoint::BlockInfo;
use tuplix_storage::{CHUNK_ROWS, RowId};
use tuplix_types::{SqlError, Value, sqlstate};

use super::ColdPart;
use crate::ddl::Work;
use crate::domain::DomainState;
use crate::engine_functions::table_argument;
use crate::node::{Home, Node, StorageAccess};
use crate::stop::Run;
use crate::transaction::Transaction;

/// `forget_spooled(table regclass, column text, before timestamptz)`: rows of which the column is before that may go. Those that share
/// a block with younger ones or with a NULL, and those still in memory, stay until later.
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
    let goes = |info: &BlockInfo| {
        let complete = table.columns[column].not_null || info.complete.get(column) == Some(&true);
        complete && is_older(info, column, before)
    };
    // What goes is said once, here, both as blocks and as rows: what the lists and what the memory has when the log is replayed depends on
    // the checkpoint that a start finds.
    let mut blocks: Vec<ForgottenBlocks> = Vec::new();
    if let Some(access) = work.access(table.id)? {
        for part in work.tx.all_cold(&access)?.iter().flat_map(|list| list.iter()) {
            let epoch = part.segment.reference.epoch;
            for block in part.first..part.first + part.blocks {
                // Of a damaged segment nothing is known: it stays.
                if let Some(info) = part.segment.info(block).filter(|info| goes(info)) {
                    add_block(&mut blocks, epoch, block, info);
                }
            }
        }
    }
    work.change(CatalogChange::ForgetSpooled { table: table.id, column, before, blocks: Some(blocks) });
    work.show()?;
    Ok(Value::Null)
}

/// Adds a block to those that go.
fn add_block(blocks: &mut Vec<ForgottenBlocks>, epoch: u64, block: u32, info: &BlockInfo) {
    match blocks.last_mut() {
        Some(last) if last.epoch == epoch && last.first + last.blocks == block => last.blocks += 1,
        _ => blocks.push(ForgottenBlocks { epoch, first: block, blocks: 1, chunks: Vec::new() }),
    }
    let Some(ForgottenBlocks { chunks, .. }) = blocks.last_mut() else { return };
    for slot in &info.slots {
        match chunks.last_mut() {
            Some(last)
                if last.bucket == info.bucket && last.slot + last.chunks * CHUNK_ROWS as u32 == *slot =>
            {
                last.chunks += 1;
            }
            _ => chunks.push(ForgottenChunks { bucket: info.bucket, slot: *slot, chunks: 1 }),
        }
    }
}

/// Whether a column's values, those that are not NULL, are all before a moment.
fn is_older(info: &BlockInfo, column: usize, before: i64) -> bool {
    info.bounds.get(column).copied().flatten().is_some_and(|(_, high)| high < before)
}

/// Takes the blocks out of the lists of a table that a change of the log names, and their rows out of memory: a start that began with a
/// checkpoint from before they had left it has them there.
pub(crate) fn forget(node: &Node, home: &Home, change: &CatalogChange, storage: &mut dyn StorageAccess) {
    let CatalogChange::ForgetSpooled { column, before, blocks, .. } = change else { return };
    let goes = |part: &ColdPart, block: u32| match blocks {
        Some(blocks) => blocks.iter().any(|gone| {
            gone.epoch == part.segment.reference.epoch
                && block.checked_sub(gone.first).is_some_and(|number| number < gone.blocks)
        }),
        None => part.segment.info(block).is_some_and(|info| is_older(info, *column, *before)),
    };
    let change = &mut |state: &mut DomainState| {
        let Some(Some(table)) = state.tables.get_mut(home.slot as usize) else { return };
        table.change_cold(&mut |list| list.iter().flat_map(|part| remaining(part, &goes)).collect());
        for rows in blocks.iter().flatten().flat_map(|gone| &gone.chunks) {
            let fragment = table.fragments.get_mut(usize::from(rows.bucket)).and_then(Option::as_mut);
            let Some(fragment) = fragment else { continue };
            (0..rows.chunks)
                .for_each(|number| fragment.forget_full(RowId(rows.slot + number * CHUNK_ROWS as u32)));
        }
    };
    node.domains_of(home).into_iter().for_each(|domain| storage.with(domain, change, node));
}

/// What stays of a part.
fn remaining(part: &ColdPart, goes: &dyn Fn(&ColdPart, u32) -> bool) -> Vec<ColdPart> {
    let mut stay: Vec<ColdPart> = Vec::new();
    for block in part.first..part.first + part.blocks {
        match stay.last_mut() {
            _ if goes(part, block) => {}
            Some(last) if last.first + last.blocks == block => last.blocks += 1,
            _ => stay.push(ColdPart { segment: part.segment.clone(), first: block, blocks: 1 }),
        }
    }
    stay
}

/// The table that a change of the log forgets rows of.
pub(crate) fn forgets(change: &CatalogChange) -> Option<TableId> {
    match change {
        CatalogChange::ForgetSpooled { table, .. } => Some(*table),
        _ => None,
    }
}
