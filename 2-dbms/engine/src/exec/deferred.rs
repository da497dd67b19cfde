//! Checks of DEFERRABLE foreign keys that wait for the end of the transaction, or for SET CONSTRAINTS.
//!
//! They lie in the transaction's undo list like changes, so what is rolled back is not checked. Until they run, DDL may
//! change the tables or drop the key: a check keeps the key's id, and looks up what it means then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tuplix_catalog::{ForeignKeyDef, TableDef, TableId};
use tuplix_types::{SqlError, Value, sqlstate};

use super::foreign_key::{Reference, Referrer};
use super::frame::Exec;
use crate::layout::Layout;
use crate::stop::Run;

/// One check that waits.
#[derive(Clone)]
pub(crate) struct Deferred {
    key: Arc<ForeignKeyDef>,
    /// The table with the key.
    child: TableId,
    check: Check,
}

#[derive(Clone)]
enum Check {
    /// A new row's reference.
    Reference(Arc<[Value]>),
    /// What refers to an old row.
    Referrer(Arc<[Value]>, Option<Arc<[Value]>>),
}

/// A foreign key as the catalogue has it when its checks run.
enum Found {
    /// It was dropped.
    Gone,
    Reference(Box<Reference>),
    Referrer(Box<Referrer>),
}

impl Deferred {
    /// A new row must find the row that it refers to.
    pub(crate) fn reference(reference: &Reference, new: &Arc<[Value]>) -> Deferred {
        let (key, child) = (reference.shared_key(), reference.child());
        Deferred { key, child, check: Check::Reference(new.clone()) }
    }

    /// Nobody may refer to a key that went.
    pub(crate) fn referrer(referrer: &Referrer, old: &Arc<[Value]>, new: Option<&Arc<[Value]>>) -> Deferred {
        let (key, child) = (referrer.shared_key(), referrer.child());
        Deferred { key, child, check: Check::Referrer(old.clone(), new.cloned()) }
    }

    /// The foreign key as it was.
    pub(crate) fn key(&self) -> &ForeignKeyDef {
        &self.key
    }

    /// The table whose row was changed.
    fn table(&self) -> TableId {
        match self.check {
            Check::Reference(_) => self.child,
            Check::Referrer(..) => self.key.parent,
        }
    }

    /// Whether it waits for the table with the key.
    fn is_reference(&self) -> bool {
        matches!(self.check, Check::Reference(_))
    }

    fn find(&self, layout: &Layout) -> Run<Found> {
        let Some(child) = layout.table(self.child) else { return Ok(Found::Gone) };
        let Some(key) = child.table.foreign_keys.iter().find(|key| key.id == self.key.id) else {
            return Ok(Found::Gone);
        };
        Ok(match self.check {
            Check::Reference(_) => Found::Reference(Box::new(Reference::new(layout, child, key)?)),
            Check::Referrer(..) => match layout.table(key.parent) {
                Some(parent) => Found::Referrer(Box::new(Referrer::new(parent, &child.table, key))),
                None => Found::Gone,
            },
        })
    }
}

/// Runs checks in order.
///
/// # Errors
/// 23503
pub(crate) fn run_deferred(exec: &mut Exec<'_, '_>, checks: &[Deferred]) -> Run<()> {
    let mut known: BTreeMap<(u32, bool), Found> = BTreeMap::new();
    let mut version = exec.services.schema_version();
    for check in checks {
        // A trigger of an action may change the catalogue.
        if version != exec.services.schema_version() {
            version = exec.services.schema_version();
            known.clear();
        }
        let place = (check.key.id, check.is_reference());
        let found = match known.entry(place) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert(check.find(&exec.services.schema().layout)?),
        };
        match (found, &check.check) {
            (Found::Reference(reference), Check::Reference(new)) => reference.check(exec, new)?,
            (Found::Referrer(referrer), Check::Referrer(old, new)) => {
                referrer.act(exec, old, new.as_deref())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses DDL on a table that a check still waits for.
///
/// # Errors
/// 55006
pub(crate) fn refuse_pending<'d>(
    mut checks: impl Iterator<Item = &'d Deferred>,
    table: &TableDef,
    command: &str,
) -> Result<(), SqlError> {
    if !checks.any(|check| check.table() == table.id) {
        return Ok(());
    }
    let message = format!("cannot {command} \"{}\" because it has pending trigger events", table.name);
    Err(SqlError::new(sqlstate::OBJECT_IN_USE, message))
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deferred({})", self.key().name)
    }
}

/// What SET CONSTRAINTS said in the block under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConstraintModes {
    all: Option<bool>,
    named: BTreeMap<u32, bool>,
}

impl ConstraintModes {
    /// Whether a foreign key is checked at the end of the transaction.
    pub(crate) fn is_deferred(&self, key: &ForeignKeyDef) -> bool {
        key.deferrable && self.named.get(&key.id).copied().or(self.all).unwrap_or(key.deferred)
    }

    /// SET CONSTRAINTS; `None` for ALL.
    pub(crate) fn set(&mut self, keys: Option<&[u32]>, deferred: bool) {
        match keys {
            None => {
                self.all = Some(deferred);
                self.named.clear();
            }
            Some(keys) => self.named.extend(keys.iter().map(|key| (*key, deferred))),
        }
    }
}

/// Runs the checks of a one-shot that has come to its end.
#[cold]
pub(crate) fn check_deferred(exec: &mut Exec<'_, '_>) -> Run<()> {
    let checks = exec.tx.deferred_checks();
    run_deferred(exec, &checks)
}
