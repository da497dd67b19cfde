//! `pg_locks`: the locks of interactive transactions and sessions. One-shots hold none: they latch their partitions, and who waits
//! for a latch is not told.
//!
//! ```text
//!   relation        a table that a transaction uses or changes; one that DDL of another has for itself
//!   tuple           a row; `page` is its place in its bucket, `tuple` the bucket
//!   advisory        as PostgreSQL has them
//!   transactionid   a transaction that has locked rows or keys; not granted: who waits for its end
//! ```

use std::collections::BTreeSet;

use tuplix_sql::plan::LockStrength;
use tuplix_types::{Row, Value};

use super::relations::SystemRelation;
use super::view::{DATABASE, View, int, oid, text, truth};
use crate::layout::{Placement, TableAccess};
use crate::lock_table::{LockKey, TransactionId};

/// A lock that somebody holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldLock {
    pub key: LockKey,
    pub holder: TransactionId,
    pub strength: LockStrength,
}

/// `pg_locks`
pub(crate) fn locks(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let seen = view.services.seen_locks.borrow();
    let waits = view.services.node.waits.all();
    let session =
        |id: TransactionId| waits.iter().find(|wait| wait.transaction == id).map(|wait| wait.session);
    let table_at = |slot: u32| view.schema().layout.tables().find(|access| access.slot == slot);
    let changes: BTreeSet<(TransactionId, u32)> = seen
        .iter()
        .filter_map(|lock| match lock.key {
            LockKey::Row { slot, .. } | LockKey::Key { slot, .. } => {
                Some((lock.holder, table_at(slot)?.table.id.0))
            }
            LockKey::Table { .. } | LockKey::Advisory { .. } => None,
        })
        .collect();
    let row = |holder: TransactionId, mode: &str, granted: bool, values: Vec<(&str, Value)>| {
        let mut all = vec![
            ("virtualtransaction", Value::text(virtual_transaction(session(holder), holder))),
            ("pid", session(holder).map_or(Value::Null, int)),
            ("mode", text(mode)),
            ("granted", truth(granted)),
            ("fastpath", truth(false)),
        ];
        all.extend(values);
        relation.row(&all)
    };
    let mut rows = Vec::new();
    let mut tables = BTreeSet::new();
    for lock in seen.iter() {
        match lock.key {
            // It is locked in each domain in which the transaction has used it.
            LockKey::Table { id } if tables.insert((lock.holder, id.0)) => {
                let changed = changes.contains(&(lock.holder, id.0));
                let mode = if changed { "RowExclusiveLock" } else { "AccessShareLock" };
                rows.push(row(lock.holder, mode, true, of_relation("relation", id.0)));
            }
            LockKey::Row { slot, bucket, row: place } => {
                let Some(access) = table_at(slot) else { continue };
                let mut values = of_relation("tuple", access.table.id.0);
                values.extend([("page", Value::Int4(place.0 as i32)), ("tuple", Value::Int2(bucket as i16))]);
                rows.push(row(lock.holder, tuple_mode(lock.strength), true, values));
            }
            LockKey::Advisory { two_keys, key } => {
                let exclusive = lock.strength == LockStrength::Update;
                let mode = if exclusive { "ExclusiveLock" } else { "ShareLock" };
                let values = vec![
                    ("locktype", text("advisory")),
                    ("database", oid(DATABASE)),
                    ("classid", oid((key >> 32) as u32)),
                    ("objid", oid(key as u32)),
                    ("objsubid", Value::Int2(if two_keys { 2 } else { 1 })),
                ];
                rows.push(row(lock.holder, mode, true, values));
            }
            LockKey::Table { .. } | LockKey::Key { .. } => {}
        }
    }
    let ddl = view.schema().layout.tables().filter_map(|access| Some((changer(access)?, access)));
    for (holder, access) in ddl {
        rows.push(row(holder, "AccessExclusiveLock", true, of_relation("relation", access.table.id.0)));
    }
    let of_transaction = |of: TransactionId| {
        vec![("locktype", text("transactionid")), ("transactionid", Value::text(of.0.to_string()))]
    };
    let changers: BTreeSet<TransactionId> = changes.iter().map(|(holder, _)| *holder).collect();
    rows.extend(changers.iter().map(|id| row(*id, "ExclusiveLock", true, of_transaction(*id))));
    for wait in &waits {
        if let Some(holder) = wait.waits_for {
            rows.push(row(wait.transaction, "ShareLock", false, of_transaction(holder)));
        }
    }
    rows
}

fn of_relation(kind: &str, id: u32) -> Vec<(&'static str, Value)> {
    vec![("locktype", text(kind)), ("database", oid(DATABASE)), ("relation", oid(id))]
}

/// Who has a table for itself.
fn changer(access: &TableAccess) -> Option<TransactionId> {
    match access.placement {
        Placement::Locked(holder) => Some(holder),
        _ => None,
    }
}

/// PostgreSQL's names of row locks where it shows them (`tupleLockExtraInfo`).
fn tuple_mode(strength: LockStrength) -> &'static str {
    match strength {
        LockStrength::KeyShare => "AccessShareLock",
        LockStrength::Share => "RowShareLock",
        LockStrength::NoKeyUpdate => "ExclusiveLock",
        LockStrength::Update => "AccessExclusiveLock",
    }
}

fn virtual_transaction(session: Option<u32>, id: TransactionId) -> String {
    format!("{}/{}", session.unwrap_or_default(), id.0)
}
