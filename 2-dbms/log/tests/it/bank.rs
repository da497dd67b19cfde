//! An engine in small: domains behind latches, transactions over one or several of them.
//!
//! Domain `d` has one row of table `d`. A transaction with number `n` replaces the row's value `v` in each of its domains by
//! `v * 31 + n`, so that replaying the records in any wrong order, or without one of them, is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tuplix_log::{
    Change, Config, Lane, Lanes, Log, LogReader, RecordHeader, Recovery, RecoveryReport, SessionContext,
};
use tuplix_machine::{Disk, Machine, Mutex};
use tuplix_types::{Result, Value};

/// The table that has a row for each transaction.
pub const TRANSACTIONS: u32 = 1000;

pub struct Domain {
    pub lane: Lane,
    pub value: i64,
    pub last_ts: u64,
}

pub struct Bank {
    pub domains: Vec<Mutex<Domain>>,
}

impl Lanes for Bank {
    fn visit(&self, visit: &mut dyn FnMut(&mut Lane)) {
        for domain in &self.domains {
            visit(&mut domain.lock().lane);
        }
    }
}

/// What the log says.
#[derive(Debug, Default, PartialEq)]
pub struct State {
    pub values: BTreeMap<u32, i64>,
    pub transactions: BTreeSet<i64>,
    pub last_ts: u64,
}

pub struct Node {
    pub machine: Machine,
    pub log: Log,
    pub bank: Arc<Bank>,
    pub context: tuplix_log::Context,
}

pub fn config() -> Config {
    Config { node_id: 7, segment_bytes: 1500, preallocate: false, ..Config::default() }
}

pub fn disk(machine: &Machine) -> Arc<dyn Disk> {
    machine.disk("data/log")
}

/// Applies what a log holds, checking that every transaction finds the values it found when it ran.
pub fn replay(mut next: impl FnMut(&mut State) -> Result<bool>) -> Result<State> {
    let mut state = State::default();
    while next(&mut state)? {}
    Ok(state)
}

pub fn apply(state: &mut State, epoch: &tuplix_log::Epoch<'_>) -> Result<()> {
    for record in epoch.records() {
        let record = record?;
        assert_eq!(epoch.context(record.header.context).unwrap().role, "ann");
        state.last_ts = state.last_ts.max(record.header.commit_ts);
        let mut number = 0;
        let mut changes = record.changes();
        while let Some(change) = changes.next().unwrap() {
            match change {
                Change::Insert { table, values, .. } => {
                    assert_eq!(table, TRANSACTIONS);
                    number = values[0].as_i64().unwrap();
                    assert!(state.transactions.insert(number), "transaction {number} came twice");
                }
                Change::Update { table, columns, values, .. } => {
                    assert_eq!(columns, [0]);
                    let value = state.values.entry(table).or_default();
                    *value = next_value(*value, number);
                    assert_eq!(
                        values[0].as_i64(),
                        Some(*value),
                        "transaction {number} replayed in another order"
                    );
                }
                other => panic!("nobody wrote {other:?}"),
            }
        }
    }
    Ok(())
}

fn next_value(value: i64, number: i64) -> i64 {
    value.wrapping_mul(31).wrapping_add(number)
}

/// Reads a log without opening it.
pub fn read(machine: &Machine) -> Result<State> {
    let mut reader = LogReader::open(disk(machine), 0, Some(7))?;
    replay(|state| match reader.next_epoch()? {
        Some(epoch) => apply(state, &epoch).map(|()| true),
        None => Ok(false),
    })
}

impl Node {
    /// Recovers, then takes commits to `domains` domains.
    pub fn open(
        machine: &Machine,
        domains: u32,
        config: Config,
        flusher: bool,
    ) -> Result<(Node, State, RecoveryReport)> {
        let mut recovery = Recovery::start(machine, disk(machine), config)?;
        let state = replay(|state| match recovery.next_epoch()? {
            Some(epoch) => apply(state, &epoch).map(|()| true),
            None => Ok(false),
        })?;
        let (log, report) = recovery.finish()?;
        let domain = |id| {
            let value = state.values.get(&id).copied().unwrap_or(0);
            Mutex::new(machine, Domain { lane: log.lane(id), value, last_ts: state.last_ts })
        };
        let bank = Arc::new(Bank { domains: (0..domains).map(domain).collect() });
        log.start(bank.clone(), flusher);
        let session =
            SessionContext { role: "ann".into(), purpose: "tests".into(), ..SessionContext::default() };
        let context = log.intern(&session);
        Ok((Node { machine: machine.clone(), log, bank, context }, state, report))
    }

    /// Runs transaction `number` over `domains` (in rising order); returns the epoch to wait for.
    pub fn commit(&self, number: i64, domains: &[u32]) -> Result<u64> {
        self.log.check()?;
        let mut held: Vec<_> =
            domains.iter().map(|domain| self.bank.domains[*domain as usize].lock()).collect();
        let epoch = self.log.current_epoch();
        self.machine.yield_point("epoch read");
        let commit_ts = held.iter().map(|domain| domain.last_ts).max().unwrap() + 1;
        let header = RecordHeader { commit_ts, context: self.context.id(), procedure: 20_000, version: 1 };
        let values: Vec<i64> = held.iter().map(|domain| next_value(domain.value, number)).collect();
        // The lane is any of the held ones.
        let chosen = usize::try_from(number).unwrap() % held.len();
        held[chosen].lane.append(epoch, &header, |record| {
            record.insert(TRANSACTIONS, 0, number as u64, &[Value::Int8(number)]);
            for (domain, value) in domains.iter().zip(&values) {
                record.update(*domain, 0, 0, &[0], |_| Value::Int8(*value));
            }
        })?;
        for (domain, value) in held.iter_mut().zip(values) {
            domain.value = value;
            domain.last_ts = commit_ts;
        }
        Ok(epoch)
    }

    /// Which domains transaction `number` touches: one, or two at every fourth.
    pub fn domains_of(&self, number: i64) -> Vec<u32> {
        let count = self.bank.domains.len() as i64;
        let first = number % count;
        let second = (number * 7 + 3) % count;
        if number % 4 == 0 && first != second {
            return vec![first.min(second) as u32, first.max(second) as u32];
        }
        vec![first as u32]
    }
}

/// What transactions were run, and which were acknowledged as durable.
#[derive(Default)]
pub struct Ledger {
    pub run: BTreeSet<i64>,
    pub acknowledged: BTreeSet<i64>,
}

/// `clients` threads with `each` transactions; every third waits for the disk. The ledger outlives a crash.
pub fn load(
    node: &Arc<Node>,
    clients: i64,
    each: i64,
    ledger: &Arc<std::sync::Mutex<Ledger>>,
) -> Vec<Result<()>> {
    let start = 1 + ledger.lock().unwrap().run.last().copied().unwrap_or(0);
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (node, ledger) = (node.clone(), ledger.clone());
            node.machine.clone().spawn("client", move || {
                for turn in 0..each {
                    let number = start + client * each + turn;
                    ledger.lock().unwrap().run.insert(number);
                    let epoch = node.commit(number, &node.domains_of(number))?;
                    if turn % 3 == 2 {
                        node.log.wait_durable(epoch)?;
                        ledger.lock().unwrap().acknowledged.insert(number);
                    }
                }
                Ok(())
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Everything acknowledged is there, and nothing that nobody ran.
pub fn check(state: &State, ledger: &Ledger) {
    assert!(ledger.acknowledged.is_subset(&state.transactions), "an acknowledged transaction is lost");
    assert!(state.transactions.is_subset(&ledger.run), "a transaction came from nowhere");
}
