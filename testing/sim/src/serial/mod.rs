//! Strict serializability of concurrent histories, shown in two ways.
//!
//! ```text
//! clients: one-shots, procedures, blocks -> history -> replay: one order, in real time, that gives every answer
//!                                                   `-> anomalies: adya (G0, G1a-c, G-single, G2, real time)
//! ```
//!
//! - [`replay`] runs one-shots, REPEATABLE READ and SERIALIZABLE transactions on a [`Model`] in the order in which the engine
//!   committed them and compares every answer. A procedure's last act is to draw a number from a sequence while it holds all its
//!   latches: that is the order. A plain statement and a COMMIT took effect between call and return; where that leaves more
//!   than one order, one is searched for that gives every answer and keeps real time.
//! - [`anomalies`] shows the lists of the same history to the crate `adya`, which knows nothing of commit orders and
//!   finds out from the answers alone who must have come before whom.

pub mod anomalies;
mod client;
pub mod model;
pub mod operation;
pub mod replay;
pub mod run;

pub use model::Model;
use operation::{Operation, Seen};

/// What a transaction was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// All that it saw is as of its place in the order.
    Serializable,
    /// Each statement saw what was committed; what it changed was its own until COMMIT.
    ReadCommitted,
}

/// A step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A statement and its answer.
    Operation(Operation, Seen),
    /// SAVEPOINT.
    Savepoint,
    /// ROLLBACK TO SAVEPOINT and RELEASE of the last one.
    RollbackTo,
    /// RELEASE SAVEPOINT of the last one.
    Release,
}

/// A transaction as its client saw it. Times are ticks of one counter that all clients share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who.
    pub client: u64,
    /// What it was promised.
    pub promise: Promise,
    /// When it began.
    pub began: u64,
    /// When the call that committed it was made: it took effect after that.
    pub called: u64,
    /// When that returned.
    pub returned: u64,
    /// Its place in the commit order, if it drew a number.
    pub number: Option<i64>,
    /// Whether it committed; else nothing of it may be seen.
    pub committed: bool,
    /// What it did.
    pub steps: Vec<Step>,
}

impl Transaction {
    /// From when on it may have taken effect. What changes something does so at COMMIT; what reads only, at any moment at which all
    /// that it read held together.
    pub fn earliest(&self) -> u64 {
        if self.effective().iter().any(|(operation, seen)| operation.changes(seen)) {
            self.called
        } else {
            self.began
        }
    }

    /// Operations that were not undone by a savepoint or an error.
    pub fn effective(&self) -> Vec<(&Operation, &Seen)> {
        let mut kept = Vec::new();
        let mut savepoints = Vec::new();
        for step in &self.steps {
            match step {
                Step::Operation(operation, seen) => kept.push((operation, seen)),
                Step::Savepoint => savepoints.push(kept.len()),
                Step::RollbackTo => kept.truncate(savepoints.pop().unwrap_or(0)),
                Step::Release => {
                    savepoints.pop();
                }
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests;
