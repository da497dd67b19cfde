//! Waiting for something to happen: [`Condvar`] beside a [`Mutex`], [`Event`] on its own.
//!
//! Deadlines are in [`Machine::monotonic_ns`]. A waiter first gives its core away for up to 50 us, then
//! sleeps in the kernel. Neither loses a wake-up that comes after the waiter read the sequence number.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::latch::{Latch, MutexGuard};
use crate::simulation::{self, Key};
use crate::{Machine, linux};

/// A sequence number that others wait to see changed.
///
/// ```text
/// waiter:   loop { let seen = event.sequence(); if condition() { break } event.wait(seen, None) }
/// signaller: make the condition true; event.signal()
/// ```
pub struct Event {
    sequence: AtomicU32,
    waiters: AtomicU32,
    simulated: bool,
}

impl Event {
    /// An event that has not happened.
    pub fn new(machine: &Machine) -> Event {
        Event { sequence: AtomicU32::new(0), waiters: AtomicU32::new(0), simulated: machine.is_simulated() }
    }

    /// What to give to [`Event::wait`]; read it before looking at the condition.
    #[inline]
    pub fn sequence(&self) -> u32 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Waits until [`Event::signal`] was called after `seen` was read; false when the deadline came first.
    pub fn wait(&self, seen: u32, deadline_ns: Option<u64>) -> bool {
        if self.simulated {
            simulation::yield_point("event");
            return self.block_simulated(seen, deadline_ns, "event");
        }
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let signalled = linux::wait_while(&self.sequence, seen, deadline_ns);
        self.waiters.fetch_sub(1, Ordering::Relaxed);
        signalled
    }

    /// Wakes all waiters. Without any it costs one atomic addition.
    pub fn signal(&self) {
        self.advance(u32::MAX);
        if self.simulated {
            simulation::switch_point("signal");
        }
    }

    fn advance(&self, count: u32) {
        self.sequence.fetch_add(1, Ordering::SeqCst);
        if self.simulated {
            simulation::wake(self.key(), usize::try_from(count).unwrap_or(usize::MAX));
        } else if self.waiters.load(Ordering::SeqCst) > 0 {
            linux::wake(&self.sequence, count);
        }
    }

    fn block_simulated(&self, seen: u32, deadline_ns: Option<u64>, reason: &'static str) -> bool {
        while self.sequence.load(Ordering::Relaxed) == seen {
            match simulation::block(self.key(), deadline_ns, reason) {
                simulation::Woken::Notified => {}
                simulation::Woken::TimedOut => return self.sequence.load(Ordering::Relaxed) != seen,
                simulation::Woken::Ending => return false,
            }
        }
        true
    }

    fn key(&self) -> Key {
        Key::Address(std::ptr::from_ref(self).addr())
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({})", self.sequence.load(Ordering::Relaxed))
    }
}

/// A condition of the value in a [`crate::Mutex`]. Waits may end early: check in a loop.
pub struct Condvar {
    event: Event,
}

impl Condvar {
    /// A condition nobody waits for.
    pub fn new(machine: &Machine) -> Condvar {
        Condvar { event: Event::new(machine) }
    }

    /// Releases the mutex, waits for a notification, takes the mutex again.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_latch(guard.latch(), None);
    }

    /// As [`Condvar::wait`], until a deadline; false when it passed.
    pub fn wait_until<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline_ns: u64) -> bool {
        self.wait_latch(guard.latch(), Some(deadline_ns))
    }

    /// As [`Condvar::wait`], with a raw latch that the caller holds.
    pub fn wait_latch(&self, latch: &Latch, deadline_ns: Option<u64>) -> bool {
        let seen = self.event.sequence();
        latch.unlock_for_wait();
        // The latch is taken again also when the simulation unwinds this thread out of the wait.
        let _relock = Relock(latch);
        if self.event.simulated {
            return self.event.block_simulated(seen, deadline_ns, "condvar");
        }
        self.event.wait(seen, deadline_ns)
    }

    /// Wakes one waiter at least.
    pub fn notify_one(&self) {
        self.event.advance(1);
        if self.event.simulated {
            simulation::switch_point("notify");
        }
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.event.signal();
    }
}

impl std::fmt::Debug for Condvar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condvar")
    }
}

struct Relock<'a>(&'a Latch);

impl Drop for Relock<'_> {
    fn drop(&mut self) {
        self.0.relock_after_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mutex;
    use std::sync::Arc;

    #[test]
    fn condvar_hands_over_every_item() {
        let machine = Machine::linux();
        let queue = Arc::new((Mutex::new(&machine, Vec::new()), Condvar::new(&machine)));
        let consumer = {
            let queue = queue.clone();
            machine.spawn("consumer", move || {
                let mut sum = 0u64;
                for _ in 0..1000 {
                    let mut items = queue.0.lock();
                    while items.is_empty() {
                        queue.1.wait(&mut items);
                    }
                    sum += items.pop().unwrap_or(0);
                }
                sum
            })
        };
        for item in 0..1000u64 {
            queue.0.lock().push(item);
            queue.1.notify_one();
        }
        assert_eq!(consumer.join().ok(), Some(499_500));
    }

    #[test]
    fn a_signal_wakes_all_sleepers() {
        let machine = Machine::linux();
        let event = Arc::new(Event::new(&machine));
        let seen = event.sequence();
        let sleeper = |_| {
            let event = event.clone();
            machine.spawn("sleeper", move || event.wait(seen, None))
        };
        let sleepers: Vec<_> = (0..4).map(sleeper).collect();
        // Past the time in which a waiter only yields, so that all of them are in the kernel.
        while event.waiters.load(Ordering::SeqCst) < 4 {
            machine.yield_now();
        }
        machine.sleep_until(machine.monotonic_ns() + 20_000_000);
        event.signal();
        assert!(sleepers.into_iter().all(|sleeper| sleeper.join().ok() == Some(true)));
    }

    #[test]
    fn event_times_out() {
        let machine = Machine::linux();
        let event = Event::new(&machine);
        let seen = event.sequence();
        assert!(!event.wait(seen, Some(machine.monotonic_ns() + 200_000)));
        event.signal();
        assert!(event.wait(seen, None));
    }
}
