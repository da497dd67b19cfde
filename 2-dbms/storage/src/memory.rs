//! What rows and indexes take of memory, counted for all fragments of a node, and the limit on it.
//!
//! ```text
//! fragment ── Charge: chunks, long values ──┐
//! hash index ── Charge: segments ───────────┼──▶ Memory: used, limit
//! ordered index ── Charge: entries ─────────┘
//! ```
//!
//! A table has a [`Memory`] of its own, which tells its node's.
//!
//! A charge tells the sum of changes of some KB, not each one, so that counting costs a write nothing that could be measured
//! and `used` is a little behind. Storage only counts; who writes looks at [`Memory::is_full`] first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Changes below this are told later.
const STEP: usize = 4096;

/// The bytes of all fragments that share it, and how many they may be.
#[derive(Debug)]
pub struct Memory {
    used: AtomicU64,
    /// Those of `used` that are indexes.
    indexes: AtomicU64,
    limit: AtomicU64,
    /// Bytes beside `used` that only snapshots hold.
    held: AtomicU64,
    /// What this is a part of.
    whole: Option<Arc<Memory>>,
}

impl Default for Memory {
    /// Without a limit.
    fn default() -> Memory {
        let zero = || AtomicU64::new(0);
        Memory { used: zero(), indexes: zero(), limit: AtomicU64::new(u64::MAX), held: zero(), whole: None }
    }
}

impl Memory {
    /// A part of this memory, counted by itself too.
    pub fn part(self: &Arc<Memory>) -> Memory {
        Memory { whole: Some(Arc::clone(self)), ..Memory::default() }
    }

    /// Bytes in use.
    #[inline]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes in use by indexes.
    pub fn index_bytes(&self) -> u64 {
        self.indexes.load(Ordering::Relaxed)
    }

    /// Bytes that may be in use, `u64::MAX` for no limit.
    #[inline]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit. What is in use stays, also when it is more.
    pub fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that only snapshots hold, beside [`Memory::used`] (`held.rs` says what is counted).
    #[inline]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Snapshots hold so many bytes more.
    pub(crate) fn hold(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.whole.iter().for_each(|whole| whole.hold(bytes));
    }

    /// Snapshots hold so many bytes less.
    pub(crate) fn let_go(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.whole.iter().for_each(|whole| whole.let_go(bytes));
    }

    /// Whether what would grow is to be refused.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.used() >= self.limit()
    }

    /// Whether the limit is passed by more than an eighth of it.
    pub fn is_far_over(&self) -> bool {
        let limit = self.limit();
        self.used() > limit.saturating_add(limit / 8)
    }
}

/// What one owner has in use, taken back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<Memory>,
    told: usize,
    of_index: bool,
}

impl Charge {
    pub(crate) fn new(memory: Arc<Memory>) -> Charge {
        Charge { memory, told: 0, of_index: false }
    }

    /// Where it is counted.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// An index's charge to the same memory.
    pub(crate) fn of_index(&self) -> Charge {
        Charge { memory: Arc::clone(&self.memory), told: 0, of_index: true }
    }

    /// Another owner's charge to the same memory.
    pub(crate) fn another(&self) -> Charge {
        Charge { memory: Arc::clone(&self.memory), told: 0, of_index: self.of_index }
    }

    /// Bytes told so far.
    pub(crate) fn told(&self) -> usize {
        self.told
    }

    /// Says how many bytes are in use now; small changes are told later.
    #[inline]
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes.abs_diff(self.told) >= STEP {
            self.tell(bytes);
        }
    }

    /// As [`Charge::set`], told at once.
    #[cold]
    pub(crate) fn tell(&mut self, bytes: usize) {
        // Wrapping: what goes is added as its complement.
        let change = (bytes as u64).wrapping_sub(self.told as u64);
        let mut memory = Some(&self.memory);
        while let Some(part) = memory {
            part.used.fetch_add(change, Ordering::Relaxed);
            if self.of_index {
                part.indexes.fetch_add(change, Ordering::Relaxed);
            }
            memory = part.whole.as_ref();
        }
        self.told = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.told != 0 {
            self.tell(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_add_up_and_are_taken_back() {
        let memory = Arc::new(Memory::default());
        memory.set_limit(100_000);
        let table = Arc::new(memory.part());
        let mut first = Charge::new(Arc::clone(&table));
        let mut second = first.of_index();
        first.set(60_000);
        second.set(STEP - 1);
        assert_eq!(memory.used(), 60_000, "small changes are told later");
        second.set(40_000);
        assert!(memory.is_full() && !table.is_full());
        assert_eq!((table.used(), table.index_bytes()), (100_000, 40_000));
        assert!(!memory.is_far_over());
        first.set(80_000);
        assert!(memory.is_far_over());
        first.set(10_000);
        assert_eq!((memory.used(), memory.is_full()), (50_000, false));
        drop(second);
        assert_eq!(memory.used(), 10_000);
        drop(first);
        assert_eq!((memory.used(), memory.index_bytes(), table.used()), (0, 0, 0));
    }
}
