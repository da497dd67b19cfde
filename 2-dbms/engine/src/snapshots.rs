//! The snapshots that are held, and the limit on what only they hold: an eighth of the limit on memory.
//!
//! A chunk that is written while a snapshot holds it is copied, and the old version stays for the snapshot's sake. A reader that does not
//! come to an end would so take as much memory as everything that is written meanwhile. Beyond the limit the oldest snapshot is cancelled:
//! its rows go, and its reader is told 72000 when it asks for the next table. Looked at is whenever somebody takes a snapshot or reads one,
//! and with a log after each of its epochs; checkpoints, which let go of rows as they write them, only hurry.

use std::sync::{Arc, Weak};

use tuplix_log::{Lane, Lanes};
use tuplix_machine::{Event, Machine, Mutex};
use tuplix_storage::Memory;

use crate::node::Domains;
use crate::snapshot::Held;

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshots {
    memory: Arc<Memory>,
    /// The oldest first.
    list: Mutex<Vec<Weak<Held>>>,
}

impl Snapshots {
    pub(crate) fn new(machine: &Machine, memory: Arc<Memory>) -> Snapshots {
        Snapshots { memory, list: Mutex::new(machine, Vec::new()) }
    }

    /// Bytes that snapshots may hold beside the rows of now.
    pub(crate) fn limit(&self) -> u64 {
        self.memory.limit() / 8
    }

    /// Whether they hold more.
    #[inline]
    pub(crate) fn hold_too_much(&self) -> bool {
        self.memory.held() > self.limit()
    }

    /// Whether a checkpoint should come to its end.
    pub(crate) fn hold_much(&self) -> bool {
        self.memory.held() > self.limit() / 2
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let mut list = self.list.lock();
        list.retain(|held| held.strong_count() > 0);
        list.len()
    }

    /// Knows one more.
    pub(crate) fn add(&self, held: &Arc<Held>) {
        let mut list = self.list.lock();
        list.retain(|held| held.strong_count() > 0);
        list.push(Arc::downgrade(held));
    }

    /// Cancels snapshots, the oldest first, until those that are left hold less than the limit.
    pub(crate) fn relieve(&self) {
        while self.hold_too_much() {
            let oldest = {
                let mut list = self.list.lock();
                list.retain(|held| held.strong_count() > 0);
                if list.is_empty() { None } else { list.remove(0).upgrade() }
            };
            // A checkpoint may be all that is left.
            let Some(oldest) = oldest else { return };
            oldest.cancel();
        }
    }
}

/// The node's lanes, with a look at the snapshots after each epoch.
pub(crate) struct Watched {
    pub(crate) domains: Arc<Domains>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// Wakes the thread of checkpoints, which relieves: nobody waits for that.
    pub(crate) alarm: Arc<Event>,
}

impl Lanes for Watched {
    fn visit(&self, visit: &mut dyn FnMut(&mut Lane)) {
        self.domains.visit(visit);
        if self.snapshots.hold_too_much() {
            self.alarm.signal();
        }
    }
}
