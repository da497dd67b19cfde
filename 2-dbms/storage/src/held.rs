//! What only snapshots hold: versions of chunks that the fragment has copied to write, or dropped.
//!
//! ```text
//! snapshot ──▶ chunk, version 1 ── Left ──▶ Held ◀── chunk, version 2 ◀── fragment
//!                                  counts itself, and each vector that version 2 copies to write
//! ```
//!
//! The first write to a chunk that a snapshot holds copies it and leaves the old version behind, with the vectors of columns shared. What
//! the old version has for itself grows with each vector that the new one copies. When the last snapshot drops the old version, its own
//! vectors are taken back, and those that it shared with the version before it go on being counted there. Long values that were replaced
//! are not counted, only the vectors that refer to them.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::memory::Memory;

/// The bytes of a version that was left behind.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    /// Of vectors that no other version has.
    own: AtomicU64,
    /// Of vectors that the version before has, too.
    shared: AtomicU64,
    gone: AtomicBool,
    /// The nearest version before that was left behind as well and was not gone when somebody last looked. Latched from newer to older.
    older: Mutex<Option<Arc<Held>>>,
}

impl Held {
    /// Of a version that was copied of the one that `before` is of.
    pub(crate) fn new(memory: &Arc<Memory>, before: Option<&Arc<Held>>, bytes: usize) -> Arc<Held> {
        let older = match before {
            Some(before) if before.gone.load(Ordering::SeqCst) => before.older(),
            Some(before) => {
                // Snapshots that overlap go one behind the other: what is gone must not make a chain.
                drop(before.older());
                Some(Arc::clone(before))
            }
            None => None,
        };
        let held = Arc::new(Held {
            memory: Arc::clone(memory),
            own: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            older: Mutex::new(older),
        });
        held.add(bytes, false);
        held
    }

    /// So many bytes more are held: those of a vector that the version before has as well, or not.
    pub(crate) fn add(&self, bytes: usize, shared: bool) {
        self.memory.hold(bytes as u64);
        self.take_over(bytes as u64, shared);
    }

    fn take_over(&self, bytes: u64, shared: bool) {
        let counter = if shared { &self.shared } else { &self.own };
        counter.fetch_add(bytes, Ordering::SeqCst);
        // Its last snapshot may be gone, or go just now: whoever comes last takes the bytes back.
        if self.gone.load(Ordering::SeqCst) {
            self.take_back();
        }
    }

    /// Gives back what a version that is gone has counted: its own bytes, and what it shared to the version before. That one may be gone by
    /// then, and so on.
    fn take_back(&self) {
        let mut next = self.pass_on();
        while let Some((bytes, older)) = next {
            older.shared.fetch_add(bytes, Ordering::SeqCst);
            next = older.gone.load(Ordering::SeqCst).then(|| older.pass_on()).flatten();
        }
    }

    /// Gives back its own bytes; those that the version before goes on counting, with that version.
    fn pass_on(&self) -> Option<(u64, Arc<Held>)> {
        self.memory.let_go(self.own.swap(0, Ordering::SeqCst));
        let shared = self.shared.swap(0, Ordering::SeqCst);
        let older = self.older();
        if older.is_none() {
            self.memory.let_go(shared);
        }
        older.filter(|_| shared > 0).map(|older| (shared, older))
    }

    /// The nearest version before that is not gone; those between are forgotten.
    fn older(&self) -> Option<Arc<Held>> {
        let mut older = self.latch();
        while let Some(gone) = older.take_if(|held| held.gone.load(Ordering::SeqCst)) {
            *older = gone.latch().clone();
        }
        older.clone()
    }

    fn latch(&self) -> MutexGuard<'_, Option<Arc<Held>>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // One behind the other: many may have waited for this one.
        let take = |held: &mut Held| held.older.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let mut next = take(self);
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = take(&mut last);
        }
    }
}

/// What a version holds once it was left behind, and is dropped with: one word in each chunk, most of which never are.
#[derive(Debug, Default)]
pub(crate) struct Left(AtomicPtr<Held>);

impl Left {
    /// Says that the version was left behind; false, with the count taken back, where that was said before.
    pub(crate) fn set(&self, held: Arc<Held>) -> bool {
        let new = Arc::into_raw(held).cast_mut();
        let first =
            self.0.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !first {
            drop(Left(AtomicPtr::new(new)));
        }
        first
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let held = *self.0.get_mut();
        if !held.is_null() {
            // SAFETY: what is not null came from `Arc::into_raw` in `set`, and nothing else takes it back.
            let held = unsafe { Arc::from_raw(held) };
            held.gone.store(true, Ordering::SeqCst);
            held.take_back();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_types::{TypeId, Value};

    use super::*;
    use crate::fragment::Fragment;
    use crate::schema::{FragmentSchema, RowId};

    const ROWS: u32 = 5000;

    fn filled(memory: &Arc<Memory>) -> Fragment {
        let schema = FragmentSchema {
            columns: vec![TypeId::INT8, TypeId::INT8],
            memory: Arc::new(memory.part()),
            ..FragmentSchema::default()
        };
        let mut fragment = Fragment::new(&schema);
        for number in 0..ROWS {
            fragment.insert(&[Value::Int8(number.into()), Value::Int8(0)]).unwrap();
        }
        fragment
    }

    fn update(fragment: &mut Fragment) {
        for row in 0..ROWS {
            fragment.update(RowId(row), &[(1, Value::Int8(1))]);
        }
    }

    #[test]
    fn copied_columns_are_counted_until_the_snapshot_goes() {
        let memory = Arc::new(Memory::default());
        let mut fragment = filled(&memory);
        update(&mut fragment);
        assert_eq!(memory.held(), 0, "nobody has a snapshot");
        let snapshot = fragment.snapshot();
        update(&mut fragment);
        let column = u64::from(ROWS) * 8;
        assert!((column..column * 2).contains(&memory.held()), "{} bytes", memory.held());
        let once = memory.held();
        update(&mut fragment);
        assert_eq!(memory.held(), once, "a copy is the fragment's own");
        let second = fragment.snapshot();
        update(&mut fragment);
        assert!(memory.held() >= once + column);
        drop(second);
        assert_eq!(memory.held(), once);
        // A column that all versions had: the first one has it still when the second is gone.
        let second = fragment.snapshot();
        update(&mut fragment);
        for row in 0..ROWS {
            fragment.update(RowId(row), &[(0, Value::Int8(9))]);
        }
        drop(second);
        let capacity = u64::from(ROWS.next_multiple_of(512));
        assert_eq!(memory.held(), once + capacity * 8);
        drop(snapshot);
        assert_eq!(memory.held(), 0);
        update(&mut fragment);
        drop(fragment);
        assert_eq!((memory.held(), memory.used()), (0, 0));
    }

    #[test]
    fn what_was_cleared_and_dropped_is_counted() {
        let memory = Arc::new(Memory::default());
        let mut fragment = filled(&memory);
        let before = fragment.snapshot();
        fragment.clear();
        let all = u64::from(ROWS) * 16;
        assert!(memory.held() >= all, "{} bytes", memory.held());
        let mut other = filled(&memory);
        let after = other.snapshot();
        other.update(RowId(0), &[(1, Value::Int8(1))]);
        drop(other);
        assert!(memory.held() >= all * 2, "{} bytes", memory.held());
        drop(before);
        assert!((all..all * 2).contains(&memory.held()), "{} bytes", memory.held());
        drop(after);
        assert_eq!(memory.held(), 0);
    }

    /// Each is live when the next is taken and goes afterwards, or all go at the end, the oldest or the newest first.
    #[test]
    fn overlapping_snapshots_are_no_chain() {
        const ALL: usize = 20_000;
        let memory = Arc::new(Memory::default());
        let schema = FragmentSchema {
            columns: vec![TypeId::INT2, TypeId::INT2],
            memory: Arc::new(memory.part()),
            ..FragmentSchema::default()
        };
        let mut fragment = Fragment::new(&schema);
        fragment.insert(&[Value::Int2(0), Value::Int2(0)]).unwrap();
        for (count, live, newest_first) in [(5 * ALL, 2, false), (ALL, ALL, false), (ALL, ALL, true)] {
            let mut snapshots = std::collections::VecDeque::new();
            let mut most = 0;
            for number in 0..count {
                snapshots.push_back(fragment.snapshot());
                fragment.update(RowId(0), &[(1, Value::Int2(number as i16))]);
                if snapshots.len() > live {
                    snapshots.pop_front();
                }
                most = most.max(memory.held());
            }
            assert!(live > 2 || most < 8 * 512 * 8, "{most} bytes for two snapshots");
            while !snapshots.is_empty() {
                if newest_first {
                    snapshots.pop_back()
                } else {
                    snapshots.pop_front()
                };
            }
            assert_eq!(memory.held(), 0, "{live} at once, the newest first: {newest_first}");
        }
    }

    /// A fork shares what it has not written: that is no snapshot.
    #[test]
    fn forks_are_not_counted() {
        let memory = Arc::new(Memory::default());
        let mut fragment = filled(&memory);
        let mut fork = fragment.fork();
        update(&mut fork);
        assert_eq!(memory.held(), 0);
        drop(fragment);
        assert_eq!(memory.held(), 0);
        // It sees that it is nobody's fork any more when it grows.
        for number in 0..600 {
            fork.insert(&[Value::Int8(number), Value::Int8(0)]).unwrap();
        }
        let snapshot = fork.snapshot();
        update(&mut fork);
        assert!(memory.held() > 0);
        drop(snapshot);
        assert_eq!(memory.held(), 0);
    }
}
