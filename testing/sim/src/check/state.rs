//! What a node holds, read in whole, and what must be true of it at any moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::Id;
use crate::schema::{
    ACCOUNTS, BALANCE, CAPACITY, COPIES, COUNTED_LISTS, KEPT_LISTS, PARTITION_KEYS, WORKERS,
};

/// A row of the journal: what an operation on accounts, tasks or queues did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Partition key.
    pub p_key: i32,
    /// The write's id.
    pub id: Id,
    /// `bank`, `schedule`, `finish`, `put`, `take`.
    pub what: String,
    /// Account, worker or nothing.
    pub subject: i64,
    /// Money, task or queue entry.
    pub amount: i64,
}

/// All rows of the workload's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Lists: position and id, in the order of positions.
    pub lists: BTreeMap<i32, Vec<(u64, Id)>>,
    /// The length that a counted list's own row says.
    pub lengths: BTreeMap<i32, u64>,
    /// Of each entry of a kept list, by list, position and id, its copies that can leave memory: how many, and the sum of their numbers.
    pub past: BTreeMap<(i32, u64, Id), (i64, i64)>,
    /// The journal in the order of keys.
    pub journal: Vec<Entry>,
    /// Balance by account.
    pub accounts: BTreeMap<i32, i64>,
    /// Unused capacity by partition key and worker.
    pub workers: BTreeMap<(i32, i32), i64>,
    /// Worker by partition key and task.
    pub tasks: BTreeMap<(i32, i64), i32>,
    /// Entries of the queues.
    pub queue: BTreeSet<(i32, i64)>,
}

impl State {
    /// What a node without any transaction holds.
    pub fn initial() -> State {
        State {
            lists: BTreeMap::new(),
            past: BTreeMap::new(),
            lengths: (0..COUNTED_LISTS).map(|list| (list, 0)).collect(),
            journal: Vec::new(),
            accounts: (0..ACCOUNTS).map(|account| (account, BALANCE)).collect(),
            workers: (0..PARTITION_KEYS)
                .flat_map(|p| (1..=WORKERS).map(move |w| ((p, w), CAPACITY)))
                .collect(),
            tasks: BTreeMap::new(),
            queue: BTreeSet::new(),
        }
    }

    /// Every id that is somewhere.
    pub fn ids(&self) -> BTreeSet<Id> {
        let lists = self.lists.values().flatten().map(|(_, id)| *id);
        lists.chain(self.journal.iter().map(|entry| entry.id)).collect()
    }

    /// Checks what must hold between the tables, whatever happened.
    ///
    /// # Errors
    /// What does not hold.
    pub fn check(&self) -> Result<(), String> {
        self.check_lists()?;
        self.check_past()?;
        self.check_bank()?;
        self.check_tasks()?;
        self.check_queue()
    }

    fn check_lists(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        for (list, entries) in &self.lists {
            for (index, (position, id)) in entries.iter().enumerate() {
                if *position != index as u64 + 1 {
                    return Err(format!("list {list} has position {position} at place {}", index + 1));
                }
                if !ids.insert(*id) {
                    return Err(format!("{id} is in the lists twice"));
                }
            }
        }
        for (list, length) in &self.lengths {
            let has = self.lists.get(list).map_or(0, |entries| entries.len() as u64);
            if has != *length {
                return Err(format!("list {list} has {has} entries, its row says {length}"));
            }
        }
        for entry in &self.journal {
            if !ids.insert(entry.id) {
                return Err(format!("{} was journaled although it is elsewhere too", entry.id));
            }
        }
        Ok(())
    }

    /// What the copies of the lists' entries have to be.
    pub fn kept(&self) -> BTreeMap<(i32, u64, Id), (i64, i64)> {
        let lists = self.lists.range(..KEPT_LISTS);
        let keys =
            lists.flat_map(|(list, entries)| entries.iter().map(|(position, id)| (*list, *position, *id)));
        keys.map(|key| (key, (COPIES, COPIES * (COPIES + 1) / 2))).collect()
    }

    /// In memory or on disk, each row is there once.
    fn check_past(&self) -> Result<(), String> {
        let expected = self.kept();
        let keys = expected.keys().chain(self.past.keys());
        match keys.into_iter().find(|key| expected.get(key) != self.past.get(key)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "the copies of {key:?} are {:?}, not {:?}",
                self.past.get(key),
                expected.get(key)
            )),
        }
    }

    fn of<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a Entry> + 'a {
        self.journal.iter().filter(move |entry| entry.what == what)
    }

    fn check_bank(&self) -> Result<(), String> {
        let mut expected: BTreeMap<i32, i64> = (0..ACCOUNTS).map(|account| (account, BALANCE)).collect();
        for entry in self.of("bank") {
            *expected.entry(entry.p_key).or_default() += entry.amount;
        }
        if let Some((account, balance)) = self.accounts.iter().find(|(_, balance)| **balance < 0) {
            return Err(format!("account {account} has {balance} despite its CHECK"));
        }
        if expected != self.accounts {
            return Err(format!("balances are {:?}, by the journal {expected:?}", self.accounts));
        }
        let total: i64 = self.accounts.values().sum();
        if total != i64::from(ACCOUNTS) * BALANCE {
            return Err(format!("there are {total} on all accounts"));
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<(), String> {
        let mut running: BTreeMap<(i32, i64), i64> = BTreeMap::new();
        for entry in self.of("schedule") {
            if running.insert((entry.p_key, entry.amount), entry.subject).is_some() {
                return Err(format!("task {} was scheduled twice", entry.amount));
            }
        }
        for entry in self.of("finish") {
            if running.remove(&(entry.p_key, entry.amount)) != Some(entry.subject) {
                return Err(format!(
                    "task {} was finished on worker {} where it did not run",
                    entry.amount, entry.subject
                ));
            }
        }
        let has: BTreeMap<(i32, i64), i64> =
            self.tasks.iter().map(|(key, worker)| (*key, i64::from(*worker))).collect();
        if has != running {
            return Err(format!("tasks are {has:?}, by the journal {running:?}"));
        }
        for ((p_key, worker), unused) in &self.workers {
            let used = self.tasks.iter().filter(|((p, _), w)| p == p_key && *w == worker).count() as i64;
            if unused + used != CAPACITY {
                return Err(format!(
                    "worker {worker} of {p_key} runs {used} and has {unused} of {CAPACITY} left"
                ));
            }
        }
        Ok(())
    }

    fn check_queue(&self) -> Result<(), String> {
        let mut expected: BTreeSet<(i32, i64)> =
            self.of("put").map(|entry| (entry.p_key, entry.amount)).collect();
        for entry in self.of("take") {
            if !expected.remove(&(entry.p_key, entry.amount)) {
                return Err(format!("queue entry {} was taken twice or never put", entry.amount));
            }
        }
        if expected != self.queue {
            return Err(format!("the queues hold {:?}, by the journal {expected:?}", self.queue));
        }
        Ok(())
    }
}
