//! Latches: short mutual exclusion around memory.
//!
//! An uncontended [`Latch::lock`] is one compare-and-swap, inlined. A contended one spins a little, gives
//! its core away for a bounded time (the holder may sit on the same core), then sleeps on a futex. In the
//! simulation each acquisition and release is a yield point: one flag in the latch decides, a branch that
//! always goes the same way.
//!
//! State word: 0 free, 1 held, 2 held and somebody may sleep.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::simulation::{self, Key};
use crate::{Machine, linux};

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_WITH_SLEEPERS: u32 = 2;

/// Busy looks before the core is given away: some 300 ns, a typical one-shot's length.
const SPINS: u32 = 64;
/// `sched_yield` calls before sleeping: some 20 us without contention for the core.
const YIELDS: u32 = 40;

/// A lock without data, for state that its owner guards itself. Not reentrant, not fair.
pub struct Latch {
    state: AtomicU32,
    simulated: bool,
}

impl Latch {
    /// A free latch.
    pub fn new(machine: &Machine) -> Latch {
        Latch { state: AtomicU32::new(FREE), simulated: machine.is_simulated() }
    }

    /// Waits until the latch is free and takes it.
    #[inline]
    pub fn lock(&self) {
        if self.simulated {
            return self.lock_simulated();
        }
        if self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_contended();
        }
    }

    /// Takes the latch if it is free.
    #[inline]
    pub fn try_lock(&self) -> bool {
        if self.simulated {
            simulation::yield_point("latch");
        }
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives the latch back. The caller holds it.
    #[inline]
    pub fn unlock(&self) {
        let before = self.state.swap(FREE, Ordering::Release);
        debug_assert!(before != FREE, "unlock of a latch that nobody holds");
        if self.simulated {
            return self.unlock_simulated();
        }
        if before == HELD_WITH_SLEEPERS {
            linux::wake(&self.state, 1);
        }
    }

    /// Whether somebody holds it; for assertions.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.state.load(Ordering::Relaxed) != FREE
    }

    #[cold]
    fn lock_contended(&self) {
        for turn in 0..SPINS + YIELDS {
            if self.state.load(Ordering::Relaxed) == FREE
                && self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            if turn < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        while self.state.swap(HELD_WITH_SLEEPERS, Ordering::Acquire) != FREE {
            linux::sleep_while(&self.state, HELD_WITH_SLEEPERS, None);
        }
    }

    #[cold]
    fn lock_simulated(&self) {
        simulation::yield_point("latch");
        self.lock_simulated_now();
    }

    /// Takes the latch without a yield point before; waiting for it is one.
    fn lock_simulated_now(&self) {
        while self.state.load(Ordering::Relaxed) != FREE {
            if !simulation::block(self.key(), None, "latch").is_normal() {
                // The machine is ending and its holder will not come back.
                break;
            }
        }
        self.state.store(HELD, Ordering::Relaxed);
    }

    #[cold]
    fn unlock_simulated(&self) {
        simulation::wake(self.key(), usize::MAX);
        simulation::switch_point("latch released");
    }

    /// Releases around a wait: no switch between the release and the wait.
    pub(crate) fn unlock_for_wait(&self) {
        if self.simulated {
            self.state.store(FREE, Ordering::Relaxed);
            simulation::wake(self.key(), usize::MAX);
        } else {
            self.unlock();
        }
    }

    /// Takes the latch again after a wait, also while this thread unwinds.
    pub(crate) fn relock_after_wait(&self) {
        if self.simulated {
            self.lock_simulated_now();
        } else {
            self.lock();
        }
    }

    fn key(&self) -> Key {
        Key::Address(std::ptr::from_ref(self).addr())
    }
}

impl std::fmt::Debug for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_locked() { "Latch(held)" } else { "Latch(free)" })
    }
}

/// A value behind a latch. A panic of the holder releases it; there is no poisoning.
pub struct Mutex<T: ?Sized> {
    latch: Latch,
    value: UnsafeCell<T>,
}

// SAFETY: the latch lets one thread at a time to the value, so sharing the mutex sends the value around.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: owning the mutex is owning the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A value behind a free latch.
    pub fn new(machine: &Machine, value: T) -> Mutex<T> {
        Mutex { latch: Latch::new(machine), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the latch; the guard releases it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.latch.lock();
        MutexGuard { mutex: self }
    }

    /// The value, if the latch is free.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        // Made only when the latch was taken: dropping a guard gives it back.
        self.latch.try_lock().then(|| MutexGuard { mutex: self })
    }

    /// The value, without the latch: the borrow proves that nobody else is here.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mutex({:?})", self.latch)
    }
}

/// The right to a [`Mutex`]'s value until it is dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
}

impl<T: ?Sized> MutexGuard<'_, T> {
    pub(crate) fn latch(&self) -> &Latch {
        &self.mutex.latch
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the latch.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the latch, and is borrowed mutably itself.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.latch.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn latch_excludes_and_counts_right() {
        let machine = Machine::linux();
        let counter = Arc::new(Mutex::new(&machine, 0u64));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counter = counter.clone();
                machine.spawn("count", move || {
                    for _ in 0..20_000 {
                        *counter.lock() += 1;
                    }
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().is_ok());
        }
        assert_eq!(*counter.lock(), 80_000);
    }

    #[test]
    fn try_lock_fails_while_held() {
        let machine = Machine::linux();
        let latch = Latch::new(&machine);
        assert!(latch.try_lock());
        assert!(!latch.try_lock());
        latch.unlock();
        assert!(latch.try_lock());
    }

    #[test]
    fn a_failed_try_lock_leaves_the_mutex_held() {
        let machine = Machine::linux();
        let mutex = Mutex::new(&machine, 0);
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    }
}
