//! Checkers: what replies and recovered rows may be, given what clients did.
//!
//! 1. [`State::check`]: invariants of the rows among themselves.
//! 2. [`survival`]: what was acknowledged as durable is there, the rest whole or not at all; no durable reply showed what is lost; what
//!    is lost is a suffix of the commit order.
//! 3. [`order`]: one order of each list explains every reply, nobody saw what was rolled back or half done, and the order of
//!    transactions that follows from lists, reads and real time has no circle.

pub mod graph;
pub mod order;
pub mod state;
pub mod survival;

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{History, Id, Outcome, Transaction, writer_of};
pub use state::{Copies, Entry, State};

/// A machine's time between two looks at its state.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// What it began with.
    pub before: &'a State,
    /// What happened.
    pub history: &'a History,
    /// What was found afterwards.
    pub after: &'a State,
    /// Whether the node was closed in good order: everything committed is durable then.
    pub closed: bool,
}

/// What became of each transaction.
#[derive(Debug)]
pub struct Fates<'a> {
    /// By number, for each transaction that committed, as far as anybody can know.
    pub committed: BTreeMap<u64, Fate<'a>>,
    /// Ids found afterwards.
    pub found: BTreeSet<Id>,
}

/// A transaction that committed.
#[derive(Clone, Copy, Debug)]
pub struct Fate<'a> {
    /// It.
    pub transaction: &'a Transaction,
    /// Whether its writes were found afterwards; true when it has none.
    pub survived: bool,
}

impl Round<'_> {
    /// Runs all checkers.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.after.check()?;
        let fates = self.fates()?;
        survival::check(self, &fates)?;
        order::check(self, &fates)
    }

    /// Finds out who committed; that alone shows transactions that were half done or came back from the dead.
    ///
    /// # Errors
    /// What is half there, or there although it can't be.
    pub fn fates(&self) -> Result<Fates<'_>, String> {
        let found = self.after.ids();
        let mut shown = BTreeSet::new();
        for transaction in self.history.transactions.values() {
            shown.extend(transaction.reads.iter().flat_map(|read| transaction.foreign(read)));
        }
        let mut committed = BTreeMap::new();
        for (number, transaction) in &self.history.transactions {
            refuse_undone(transaction, &found, &shown)?;
            let writes = transaction.effective().count();
            let there = transaction.effective().filter(|id| found.contains(id)).count();
            if there != 0 && there != writes {
                let missing: Vec<Id> = transaction.effective().filter(|id| !found.contains(id)).collect();
                return Err(format!(
                    "transaction {number} survived in part: {missing:?} of its {writes} writes are lost"
                ));
            }
            let survived = there > 0 || writes == 0;
            let known = match transaction.outcome {
                Outcome::Committed => true,
                Outcome::Aborted => false,
                Outcome::Unknown => there > 0 || transaction.effective().any(|id| shown.contains(&id)),
            };
            if known {
                committed.insert(*number, Fate { transaction, survived });
            }
        }
        self.refuse_unknown(&found, "found")?;
        self.refuse_unknown(&shown, "shown to a client")?;
        Ok(Fates { committed, found })
    }

    fn refuse_unknown(&self, ids: &BTreeSet<Id>, how: &str) -> Result<(), String> {
        let before = self.before.ids();
        let unknown = ids.iter().find(|id| {
            let transaction = self.history.transactions.get(&writer_of(**id));
            !before.contains(id)
                && !transaction.is_some_and(|transaction| transaction.writes.contains_key(id))
        });
        match unknown {
            Some(id) => Err(format!("{id} was {how}, but nobody wrote it")),
            None => Ok(()),
        }
    }
}

/// Nobody may see what a transaction rolled back, nor may it be there later.
fn refuse_undone(
    transaction: &Transaction,
    found: &BTreeSet<Id>,
    shown: &BTreeSet<Id>,
) -> Result<(), String> {
    for (id, effective) in &transaction.writes {
        if *effective && transaction.outcome != Outcome::Aborted {
            continue;
        }
        let number = transaction.number;
        if shown.contains(id) {
            return Err(format!(
                "{id} of transaction {number} was rolled back, but another client saw it (dirty read)"
            ));
        }
        if found.contains(id) {
            return Err(format!("{id} of transaction {number} was rolled back, but it is there"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
