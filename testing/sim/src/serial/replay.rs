//! The search for the order: a transaction may come next when everything that must come before it has come. Who drew numbers
//! comes in their order, and nobody before one whose call had returned when its own was made.
//!
//! A transaction that changes nothing is taken at the first place where its answers are right: it takes nothing from the others. Where
//! several that do change something may come next, they are tried by the time of their return, and taken back when no order
//! goes on from there; a place that led nowhere is remembered by who has come and what the model held.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::model::{Model, Undo};
use super::{Promise, Transaction};

/// What replaying gave.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// What the model held in the end.
    pub model: Model,
    /// The order: places in the list that was given.
    pub order: Vec<usize>,
    /// Answers compared.
    pub answers: usize,
    /// How often the search went back.
    pub steps_back: usize,
}

/// Steps back until the search gives up.
const STEPS_BACK_MAX: usize = 200_000;

struct Taken {
    transaction: usize,
    undo_length: usize,
    /// Others that could have come here.
    rest: Vec<usize>,
}

struct Search<'a> {
    transactions: Vec<(usize, &'a Transaction)>,
    /// For each of them, when the first of it and those after it may have taken effect.
    earliest_from: Vec<u64>,
    /// Not yet taken, by the time of return: places in `transactions`.
    open: BTreeSet<usize>,
    /// The same among those with a number, by number.
    numbered: BTreeSet<(i64, usize)>,
    model: Model,
    undo: Vec<Undo>,
    taken: Vec<Taken>,
    dead: BTreeSet<u64>,
    steps_back: usize,
    /// The furthest it came, and why nobody could come next.
    furthest: usize,
    complaint: String,
}

/// Finds the order of the committed transactions.
///
/// # Errors
/// Where no order goes on, with what each that could come next saw.
pub fn replay(history: &[Transaction]) -> Result<Replayed, String> {
    let mut transactions: Vec<(usize, &Transaction)> =
        history.iter().enumerate().filter(|(_, transaction)| transaction.committed).collect();
    transactions.sort_by_key(|(_, transaction)| transaction.returned);
    let numbered = transactions.iter().enumerate();
    let mut earliest_from: Vec<u64> = transactions.iter().map(|(_, one)| one.earliest()).collect();
    for at in (1..earliest_from.len()).rev() {
        earliest_from[at - 1] = earliest_from[at - 1].min(earliest_from[at]);
    }
    let mut search = Search {
        open: (0..transactions.len()).collect(),
        numbered: numbered.filter_map(|(at, (_, one))| Some((one.number?, at))).collect(),
        transactions,
        earliest_from,
        model: Model::default(),
        undo: Vec::new(),
        taken: Vec::new(),
        dead: BTreeSet::new(),
        steps_back: 0,
        furthest: 0,
        complaint: String::new(),
    };
    search.run()?;
    let answers = search.transactions.iter().map(|(_, transaction)| compared(transaction)).sum();
    Ok(Replayed {
        order: search.taken.iter().map(|taken| search.transactions[taken.transaction].0).collect(),
        model: search.model,
        answers,
        steps_back: search.steps_back,
    })
}

fn compared(transaction: &Transaction) -> usize {
    match transaction.promise {
        Promise::Serializable => transaction.steps.len(),
        Promise::ReadCommitted => 0,
    }
}

impl Search<'_> {
    fn run(&mut self) -> Result<(), String> {
        while !self.open.is_empty() {
            let candidates = self.candidates();
            if !self.take_one_of(candidates) {
                self.go_back()?;
            }
        }
        Ok(())
    }

    /// Who may come next.
    fn candidates(&self) -> Vec<usize> {
        let Some(first) = self.open.first() else { return Vec::new() };
        let soonest = self.transactions[*first].1.returned;
        let number = self.numbered.first().map(|(_, at)| *at);
        let mut candidates = Vec::new();
        for at in &self.open {
            if self.earliest_from[*at] > soonest {
                break;
            }
            let transaction = self.transactions[*at].1;
            let in_turn = transaction.number.is_none() || Some(*at) == number;
            if in_turn && transaction.earliest() <= soonest {
                candidates.push(*at);
            }
        }
        candidates
    }

    fn place(&mut self, at: usize, undo_length: usize, rest: Vec<usize>) {
        self.open.remove(&at);
        if let Some(number) = self.transactions[at].1.number {
            self.numbered.remove(&(number, at));
        }
        self.taken.push(Taken { transaction: at, undo_length, rest });
    }

    /// Takes the first candidate whose answers are right here.
    fn take_one_of(&mut self, candidates: Vec<usize>) -> bool {
        let mut complaints = Vec::new();
        for (index, at) in candidates.iter().enumerate() {
            let undo_length = self.undo.len();
            let transaction = self.transactions[*at].1;
            match self.model.apply(transaction, &mut self.undo) {
                Err(what) => complaints.push((*at, what)),
                Ok(()) => {
                    // Taking a reader is never wrong: nothing else needs to be tried in its place.
                    let changes = self.undo.len() > undo_length;
                    let rest = if changes { candidates[index + 1..].to_vec() } else { Vec::new() };
                    self.place(*at, undo_length, rest);
                    if !changes || self.dead.is_empty() || !self.dead.contains(&self.signature()) {
                        return true;
                    }
                    self.take_last_back();
                }
            }
        }
        if self.taken.len() >= self.furthest {
            self.furthest = self.taken.len();
            self.complaint = complaints.iter().map(|(at, what)| self.tell(*at, what)).collect();
        }
        false
    }

    fn take_last_back(&mut self) -> Option<Taken> {
        let taken = self.taken.pop()?;
        self.model.take_back(&mut self.undo, taken.undo_length);
        self.open.insert(taken.transaction);
        if let Some(number) = self.transactions[taken.transaction].1.number {
            self.numbered.insert((number, taken.transaction));
        }
        Some(taken)
    }

    fn go_back(&mut self) -> Result<(), String> {
        loop {
            self.steps_back += 1;
            self.dead.insert(self.signature());
            let Some(taken) = self.take_last_back() else { return Err(self.failure("no order")) };
            if self.steps_back > STEPS_BACK_MAX {
                return Err(self.failure("after a long search no order"));
            }
            if self.take_one_of(taken.rest) {
                return Ok(());
            }
        }
    }

    /// Who has come, in whatever order, and what the model holds.
    fn signature(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // All before the first who is open have come; of those behind it, only as many as overlap with it.
        let first_open = self.open.first().copied().unwrap_or(self.transactions.len());
        let count = self.taken.len() - first_open;
        let behind = self.taken.iter().rev().map(|taken| taken.transaction);
        let behind: BTreeSet<usize> = behind.filter(|at| *at > first_open).take(count).collect();
        (first_open, behind, &self.model).hash(&mut hasher);
        hasher.finish()
    }

    fn tell(&self, at: usize, what: &str) -> String {
        let (place, transaction) = self.transactions[at];
        let Transaction { client, began, called, returned, number, promise, .. } = transaction;
        let number = number.map_or(String::new(), |number| format!(", number {number}"));
        format!(
            "\n  transaction {place} of client {client}, {promise:?}, {began}..{called}..{returned}{number}: {what}"
        )
    }

    fn failure(&self, what: &str) -> String {
        format!(
            "{what} gives all answers: {} of {} transactions fit, then none of these could come next:{}",
            self.furthest,
            self.transactions.len(),
            self.complaint
        )
    }
}
