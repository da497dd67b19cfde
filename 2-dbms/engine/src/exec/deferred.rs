//! Checks of DEFERRABLE foreign keys that wait for the end of the transaction, or for SET CONSTRAINTS.
//!
//! They lie in the transaction's undo list like changes, so what is rolled back is not checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::ForeignKeyDef;
use tuplix_types::Value;

use super::frame::Exec;
use super::hooks::AfterHooks;
use crate::stop::Run;

/// One check that waits.
#[derive(Clone)]
pub(crate) struct Deferred {
    hooks: Arc<AfterHooks>,
    check: Check,
}

#[derive(Clone)]
enum Check {
    /// A new row's reference, by its number.
    Reference(usize, Arc<[Value]>),
    /// What refers to an old row, by the foreign key's number.
    Referrer(usize, Arc<[Value]>, Option<Arc<[Value]>>),
}

impl Deferred {
    /// A new row must find the row that it refers to.
    pub(crate) fn reference(hooks: &Arc<AfterHooks>, number: usize, new: &Arc<[Value]>) -> Deferred {
        Deferred { hooks: hooks.clone(), check: Check::Reference(number, new.clone()) }
    }

    /// Nobody may refer to a key that went.
    pub(crate) fn referrer(
        hooks: &Arc<AfterHooks>,
        number: usize,
        old: &Arc<[Value]>,
        new: Option<&Arc<[Value]>>,
    ) -> Deferred {
        Deferred { hooks: hooks.clone(), check: Check::Referrer(number, old.clone(), new.cloned()) }
    }

    /// The foreign key.
    pub(crate) fn key(&self) -> &ForeignKeyDef {
        match &self.check {
            Check::Reference(number, _) => self.hooks.references[*number].key(),
            Check::Referrer(number, ..) => self.hooks.referrers[*number].key(),
        }
    }

    /// Checks it now.
    ///
    /// # Errors
    /// 23503
    pub(crate) fn run(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        match &self.check {
            Check::Reference(number, new) => self.hooks.references[*number].check(exec, new),
            Check::Referrer(number, old, new) => self.hooks.referrers[*number].act(exec, old, new.as_deref()),
        }
    }
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deferred({})", self.key().name)
    }
}

/// What SET CONSTRAINTS said in the block under way.
#[derive(Debug, Default)]
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
    for check in exec.tx.deferred_checks() {
        check.run(exec)?;
    }
    Ok(())
}
