//! How far a start has come.

use std::sync::atomic::{AtomicU64, Ordering};

use tuplix_machine::Machine;

use crate::checkpoint::{Events, NodeEvent};

/// Nanoseconds between two reports.
const EVERY_NS: u64 = 100_000_000;

/// Counts bytes that were read and tells of it now and then.
pub(crate) struct Progress {
    machine: Machine,
    events: Option<Events>,
    what: &'static str,
    total: u64,
    done: AtomicU64,
    next_ns: AtomicU64,
}

impl Progress {
    pub(crate) fn new(machine: &Machine, events: Option<Events>, what: &'static str, total: u64) -> Progress {
        Progress {
            next_ns: AtomicU64::new(machine.monotonic_ns() + EVERY_NS),
            machine: machine.clone(),
            events,
            what,
            total,
            done: AtomicU64::new(0),
        }
    }

    /// So many bytes more.
    pub(crate) fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let Some(events) = &self.events else { return };
        let (now, next) = (self.machine.monotonic_ns(), self.next_ns.load(Ordering::Relaxed));
        let due = now >= next
            && self
                .next_ns
                .compare_exchange(next, now + EVERY_NS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if due {
            events(&NodeEvent::Recovering { what: self.what, done: done.min(self.total), total: self.total });
        }
    }
}
