//! Row, key and advisory locks of interactive transactions.
//!
//! Each domain has its own table, guarded by the domain's latch; who waits for whom is one small graph of the node.
//! One-shot transactions hold no locks: they only look whether somebody else does, and where no interactive
//! transaction holds any, looking is one branch.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use tuplix_catalog::TableId;
use tuplix_machine::{Event, Machine, Mutex};
use tuplix_sql::plan::LockStrength;
use tuplix_storage::RowId;
use tuplix_types::{SqlError, sqlstate};

use crate::hash::FixedState;

/// An interactive transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// What can be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKey {
    /// A table that a transaction has used: shared among its users, in the way of DDL on it.
    Table {
        /// The table.
        id: TableId,
    },
    /// A committed row.
    Row {
        /// The table's slot in the domain.
        slot: u32,
        /// Bucket.
        bucket: u16,
        /// Row.
        row: RowId,
    },
    /// A key of a unique index that a transaction has inserted but not committed.
    Key {
        /// The table's slot in the domain.
        slot: u32,
        /// Bucket.
        bucket: u16,
        /// Index number.
        index: u16,
        /// Hash of the key; two keys of one hash wait for each other, which is harmless.
        hash: u64,
    },
    /// pg_advisory_lock: one of PostgreSQL's two key spaces.
    Advisory {
        /// Two `int4` keys rather than one `int8`.
        two_keys: bool,
        /// The key or both keys.
        key: i64,
    },
}

/// The locks of one domain.
#[derive(Debug, Default)]
pub struct LockTable {
    entries: HashMap<LockKey, Vec<Holder>, FixedState>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    transaction: TransactionId,
    strength: LockStrength,
}

impl LockTable {
    /// Whether nobody holds anything: the one branch that a domain without interactive transactions pays.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who holds `key` in a way that keeps `me` from `strength`.
    pub fn conflict(
        &self,
        key: &LockKey,
        me: Option<TransactionId>,
        strength: LockStrength,
    ) -> Option<TransactionId> {
        self.conflict_with_others(key, strength, |holder| Some(holder) == me)
    }

    /// The same for somebody with several names.
    pub fn conflict_with_others(
        &self,
        key: &LockKey,
        strength: LockStrength,
        is_me: impl Fn(TransactionId) -> bool,
    ) -> Option<TransactionId> {
        let holders = self.entries.get(key)?;
        let conflicting =
            holders.iter().find(|holder| holder.strength.conflicts(strength) && !is_me(holder.transaction));
        conflicting.map(|holder| holder.transaction)
    }

    /// Takes `key`, after [`LockTable::conflict`] found nobody in the way. True when it was not held before.
    pub fn acquire(&mut self, key: LockKey, me: TransactionId, strength: LockStrength) -> bool {
        let holders = self.entries.entry(key).or_default();
        match holders.iter_mut().find(|holder| holder.transaction == me) {
            Some(holder) => {
                holder.strength = holder.strength.max(strength);
                false
            }
            None => {
                holders.push(Holder { transaction: me, strength });
                true
            }
        }
    }

    /// All locks with their holders.
    pub fn iter(&self) -> impl Iterator<Item = (LockKey, TransactionId, LockStrength)> + '_ {
        let of = |(key, holders): (&LockKey, &Vec<Holder>)| {
            let key = *key;
            let holders: Vec<Holder> = holders.clone();
            holders.into_iter().map(move |holder| (key, holder.transaction, holder.strength))
        };
        self.entries.iter().flat_map(of)
    }

    /// Gives `key` back.
    pub fn release(&mut self, key: LockKey, me: TransactionId) {
        if let Entry::Occupied(mut entry) = self.entries.entry(key) {
            entry.get_mut().retain(|holder| holder.transaction != me);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }
}

/// Which interactive transactions live, and whom each waits for.
#[derive(Debug)]
pub struct WaitGraph {
    live: Mutex<Live>,
    /// Signalled whenever a transaction ends or a statement is cancelled.
    changed: Event,
    /// Signalled when a statement is cancelled.
    cancelled: Event,
}

#[derive(Debug, Default)]
struct Live {
    next: u64,
    waits_for: HashMap<TransactionId, Option<TransactionId>, FixedState>,
    /// Whose they are.
    sessions: HashMap<TransactionId, u32, FixedState>,
}

/// A transaction that lives, or a lock of a session.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its name in the lock tables.
    pub transaction: TransactionId,
    /// The session.
    pub session: u32,
    /// For whom it waits.
    pub waits_for: Option<TransactionId>,
}

/// Why a wait ended without the holder ending.
#[derive(Debug)]
pub enum WaitEnd {
    /// The holder ended; try again.
    HolderEnded,
    /// The deadline came first.
    TimedOut,
    /// The waiter was told to stop.
    Cancelled,
}

impl WaitGraph {
    /// A graph without transactions.
    pub fn new(machine: &Machine) -> WaitGraph {
        WaitGraph {
            live: Mutex::new(machine, Live::default()),
            changed: Event::new(machine),
            cancelled: Event::new(machine),
        }
    }

    /// A new transaction of a session.
    pub fn begin(&self, session: u32) -> TransactionId {
        let mut live = self.live.lock();
        live.next += 1;
        let id = TransactionId(live.next);
        live.waits_for.insert(id, None);
        live.sessions.insert(id, session);
        id
    }

    /// The transaction ended and its locks are free.
    pub fn end(&self, id: TransactionId) {
        let mut live = self.live.lock();
        live.waits_for.remove(&id);
        live.sessions.remove(&id);
        drop(live);
        self.changed.signal();
    }

    /// All that live, in order.
    pub fn all(&self) -> Vec<Waiting> {
        let live = self.live.lock();
        let waiting = |(transaction, session): (&TransactionId, &u32)| Waiting {
            transaction: *transaction,
            session: *session,
            waits_for: live.waits_for.get(transaction).copied().flatten(),
        };
        let mut all: Vec<Waiting> = live.sessions.iter().map(waiting).collect();
        all.sort_by_key(|waiting| waiting.transaction);
        all
    }

    /// Lets waiters look at their cancel flags.
    pub fn wake_all(&self) {
        self.changed.signal();
        self.cancelled.signal();
    }

    /// Waits until a moment; true when it was cancelled before.
    pub fn sleep(&self, machine: &Machine, until_ns: u64, cancelled: &dyn Fn() -> bool) -> bool {
        loop {
            let seen = self.cancelled.sequence();
            if cancelled() {
                return true;
            }
            if machine.monotonic_ns() >= until_ns {
                return false;
            }
            self.cancelled.wait(seen, Some(until_ns));
        }
    }

    /// Waits until `holder` ended. `me`: all names under which the waiter holds locks.
    ///
    /// # Errors
    /// 40P01 when the waiter and others would wait for each other in a circle.
    pub fn wait(
        &self,
        me: &[TransactionId],
        holder: TransactionId,
        deadline_ns: Option<u64>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<WaitEnd, SqlError> {
        let seen = self.changed.sequence();
        {
            let mut live = self.live.lock();
            if !live.waits_for.contains_key(&holder) {
                return Ok(WaitEnd::HolderEnded);
            }
            me.iter().try_for_each(|name| live.check_circle(*name, holder))?;
            live.waits_for.extend(me.iter().map(|name| (*name, Some(holder))));
        }
        let end = if cancelled() {
            WaitEnd::Cancelled
        } else if !self.changed.wait(seen, deadline_ns) {
            WaitEnd::TimedOut
        } else if cancelled() {
            WaitEnd::Cancelled
        } else {
            WaitEnd::HolderEnded
        };
        if !me.is_empty() {
            self.live.lock().waits_for.extend(me.iter().map(|name| (*name, None)));
        }
        Ok(end)
    }
}

impl Live {
    fn check_circle(&self, me: TransactionId, holder: TransactionId) -> Result<(), SqlError> {
        let mut next = Some(holder);
        while let Some(transaction) = next {
            if transaction == me {
                let detail = format!(
                    "Transaction {} waits for transaction {}; blocked by transaction {}.",
                    me.0, holder.0, me.0
                );
                return Err(SqlError::new(sqlstate::DEADLOCK_DETECTED, "deadlock detected")
                    .detail(detail)
                    .hint("Run the transaction again; it lost to another one that locked the same rows in another order."));
            }
            next = self.waits_for.get(&transaction).copied().flatten();
        }
        Ok(())
    }
}
