//! Advisory locks that a session holds until it gives them back: `pg_advisory_lock` and its kin.
//!
//! Each lock is an owner of its own in the lock tables, so that giving back one wakes exactly those who wait for it. What a
//! run takes is its own at once and what it gives back is given back when it has ended, whether it failed or not: a run
//! that starts again puts all of it back as it was.

use tuplix_sql::plan::LockStrength;

use crate::layout::Domain;
use crate::lock_table::{LockKey, TransactionId};

/// A lock of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLock {
    pub domain: Domain,
    pub key: LockKey,
    pub strength: LockStrength,
    /// Its name in the lock table.
    pub owner: TransactionId,
    /// How many times it was taken, less those that it was given back.
    pub count: u64,
}

/// The locks of a session.
#[derive(Debug, Default)]
pub(crate) struct SessionLocks {
    held: Vec<SessionLock>,
    /// What was held when the run under way first changed something.
    before: Option<Vec<SessionLock>>,
}

impl SessionLocks {
    /// Whether the session holds it under this name.
    pub fn owns(&self, owner: TransactionId) -> bool {
        self.held.iter().any(|lock| lock.owner == owner)
    }

    /// The names of all locks.
    pub fn owners(&self) -> impl Iterator<Item = TransactionId> {
        self.held.iter().map(|lock| lock.owner)
    }

    /// Takes a lock once more; false when the session does not have it.
    pub fn take_again(&mut self, key: LockKey, strength: LockStrength) -> bool {
        let Some(place) = self.place(key, strength) else { return false };
        self.remember();
        self.held[place].count += 1;
        true
    }

    /// Notes a lock that was taken.
    pub fn add(&mut self, lock: SessionLock) {
        self.remember();
        self.held.push(lock);
    }

    /// Gives a lock back once; false when the session does not have it.
    pub fn give_back(&mut self, key: LockKey, strength: LockStrength) -> bool {
        let Some(place) = self.place(key, strength).filter(|place| self.held[*place].count > 0) else {
            return false;
        };
        self.remember();
        self.held[place].count -= 1;
        true
    }

    /// Gives all locks back.
    pub fn give_back_all(&mut self) {
        if !self.held.is_empty() {
            self.remember();
            self.held.iter_mut().for_each(|lock| lock.count = 0);
        }
    }

    /// Whether the run under way has changed anything.
    #[inline]
    pub fn has_changed(&self) -> bool {
        self.before.is_some()
    }

    /// Ends a run, or puts back what it did; gives what is now to be released.
    pub fn settle(&mut self, starts_again: bool) -> Vec<SessionLock> {
        let Some(before) = self.before.take() else { return Vec::new() };
        let free = |lock: &SessionLock| lock.count == 0;
        if starts_again {
            let after = std::mem::replace(&mut self.held, before);
            return after.into_iter().filter(|lock| !self.owns(lock.owner)).collect();
        }
        let released = self.held.iter().copied().filter(free).collect();
        self.held.retain(|lock| !free(lock));
        released
    }

    fn place(&self, key: LockKey, strength: LockStrength) -> Option<usize> {
        self.held.iter().position(|lock| lock.key == key && lock.strength == strength)
    }

    fn remember(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.held.clone());
        }
    }
}
