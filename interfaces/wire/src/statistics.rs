//! What a server has done since it began to listen, for whoever watches it. Nothing here says what was in a statement.
//!
//! A connection counts for itself and adds to the shared counters once for all messages that it took at a time, so that
//! connections do not wait for each other here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of a server; see [`crate::Server::statistics`].
#[derive(Debug, Default)]
pub struct Statistics {
    connections: AtomicI64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    cancel_requests: AtomicU64,
    statements: AtomicU64,
    commits: AtomicU64,
    rollbacks: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    /// Errors by the first two characters of their SQLSTATE.
    errors: Mutex<BTreeMap<String, u64>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions now.
    pub connections: i64,
    /// Sessions that were opened.
    pub connections_accepted: u64,
    /// Connections that were not let in, or never said what they wanted.
    pub connections_refused: u64,
    /// Cancel requests, whether they found something to cancel or not.
    pub cancel_requests: u64,
    /// Statements that were run, also those that failed.
    pub statements: u64,
    /// Transactions that were committed; a statement outside a block is one.
    pub commits: u64,
    /// Transactions that were rolled back, by a client or an error.
    pub rollbacks: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes to clients.
    pub bytes_sent: u64,
    /// Errors that clients were sent, by the class of their SQLSTATE.
    pub errors: BTreeMap<String, u64>,
}

/// What one connection has done and not yet added.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) statements: u64,
    pub(crate) commits: u64,
    pub(crate) rollbacks: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Statistics {
    /// What they are now.
    pub fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: self.connections.load(Ordering::Relaxed),
            connections_accepted: read(&self.connections_accepted),
            connections_refused: read(&self.connections_refused),
            cancel_requests: read(&self.cancel_requests),
            statements: read(&self.statements),
            commits: read(&self.commits),
            rollbacks: read(&self.rollbacks),
            bytes_received: read(&self.bytes_received),
            bytes_sent: read(&self.bytes_sent),
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// A session begins; it ends with what is returned.
    pub(crate) fn opened(&self) -> Open<'_> {
        self.connections_accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    pub(crate) fn refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cancel_request(&self) {
        self.cancel_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A client was sent an error.
    pub(crate) fn error(&self, sqlstate: &str) {
        let class = sqlstate.get(..2).unwrap_or(sqlstate);
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        match errors.get_mut(class) {
            Some(count) => *count += 1,
            None => drop(errors.insert(class.to_owned(), 1)),
        }
    }

    /// Adds what a connection has done.
    pub(crate) fn add(&self, tally: &mut Tally) {
        let Tally { statements, commits, rollbacks, received, sent } = std::mem::take(tally);
        let counts = [
            (&self.statements, statements),
            (&self.commits, commits),
            (&self.rollbacks, rollbacks),
            (&self.bytes_received, received),
            (&self.bytes_sent, sent),
        ];
        for (counter, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// A session that is open.
pub(crate) struct Open<'a>(&'a Statistics);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
