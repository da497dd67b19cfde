//! Runs clients on a node, real or simulated, and checks what they saw.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tuplix::{Machine, Options, Result, Session, Tuplix, Value};
use tuplix_machine::{Faults, Simulation};

use super::client::{Client, Wrong};
use super::operation::PLACES;
use super::{Model, Transaction, anomalies, replay};
use crate::random::Random;

const SCHEMA: &str = include_str!("schema.sql");
/// A run on a simulated machine that takes more steps hangs.
const STEPS_MAX: u64 = 60_000_000;

/// Which transactions clients run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// One-shots, REPEATABLE READ and SERIALIZABLE.
    Serializable,
    /// The same and READ COMMITTED.
    All,
    /// READ COMMITTED blocks only.
    ReadCommitted,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the clients' random numbers, and of the simulated machine's schedule.
    pub seed: u64,
    /// Threads.
    pub clients: u64,
    /// Transactions of all of them together.
    pub transactions: u64,
    /// Partitions of the node.
    pub partitions: usize,
    /// Which.
    pub levels: Levels,
    /// The node's directory; `None` for one in memory.
    pub dir: Option<PathBuf>,
}

/// What clients recorded.
#[derive(Debug, Default)]
pub struct Record {
    ticks: AtomicU64,
    items: AtomicU64,
    finished: AtomicU64,
    transactions: Mutex<Vec<Transaction>>,
    wrong: Mutex<Option<Wrong>>,
}

impl Record {
    pub(super) fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn next_item(&self) -> u64 {
        self.items.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn push(&self, transaction: Transaction) {
        self.transactions.lock().unwrap_or_else(PoisonError::into_inner).push(transaction);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    fn wrong(&self, what: Wrong) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }

    fn is_wrong(&self) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// By their end.
    pub transactions: Vec<Transaction>,
    /// Rows and lists that the node held in the end.
    pub last: Model,
}

/// What the checkers found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transactions that committed.
    pub committed: usize,
    /// Transactions that were rolled back.
    pub aborted: usize,
    /// Answers that were compared.
    pub answers: usize,
    /// Steps that the search for an order went back.
    pub steps_back: usize,
    /// Anomalies that the history has, in adya's words.
    pub anomalies: Vec<String>,
}

/// Runs clients on this computer's threads.
///
/// # Errors
/// The first answer that is wrong by itself, or the engine's error.
pub fn run(settings: &Settings) -> std::result::Result<History, String> {
    let mut history = live(&Machine::linux(), settings)?;
    if settings.dir.is_some() {
        let again = open(&Machine::linux(), settings).and_then(|node| {
            let model = read(&mut node.session(&Default::default())?)?;
            node.close().map(|()| model)
        });
        let again = again.map_err(|error| format!("after a restart: {error:?}"))?;
        if again != history.last {
            return Err(format!("a restart made {:?} of {:?}", again, history.last));
        }
        history.last = again;
    }
    Ok(history)
}

/// Runs clients on a simulated machine: equal settings, equal history.
///
/// # Errors
/// As [`run`].
pub fn simulate(settings: &Settings) -> std::result::Result<History, String> {
    let faults = Faults { max_steps: STEPS_MAX, latency_ns: 500_000, ..Faults::none() };
    let inside = settings.clone();
    let outcome = Simulation::new(settings.seed, faults).run(move |machine| live(&machine, &inside));
    outcome.value.unwrap_or_else(|| Err("the simulated machine ended".to_owned()))
}

/// Checks a history in all ways.
///
/// # Errors
/// What is wrong.
pub fn check(history: &History, levels: Levels) -> std::result::Result<Summary, String> {
    let replayed = replay::replay(&history.transactions)?;
    if replayed.model != history.last {
        return Err(format!("the node holds {:?}, the model {:?}", history.last, replayed.model));
    }
    let committed = history.transactions.iter().filter(|transaction| transaction.committed).count();
    Ok(Summary {
        committed,
        aborted: history.transactions.len() - committed,
        answers: replayed.answers,
        steps_back: replayed.steps_back,
        anomalies: anomalies::check(&history.transactions, levels)?,
    })
}

fn open(machine: &Machine, settings: &Settings) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: settings.dir.clone(),
        partitions: settings.partitions,
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

fn live(machine: &Machine, settings: &Settings) -> std::result::Result<History, String> {
    let record = Arc::new(Record::default());
    let last = work(machine, settings, &record).map_err(|error| format!("{error:?}"))?;
    if let Some(what) = record.wrong.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(what);
    }
    let transactions =
        std::mem::take(&mut *record.transactions.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(History { transactions, last })
}

fn work(machine: &Machine, settings: &Settings, record: &Arc<Record>) -> Result<Model> {
    let node = open(machine, settings)?;
    let mut session = node.session(&Default::default())?;
    for statement in session.parse(SCHEMA)? {
        session.execute(statement.text())?;
    }
    let mut threads = Vec::new();
    for index in 0..settings.clients {
        let mut client = Client {
            index,
            machine: machine.clone(),
            node: node.clone(),
            session: node.session(&Default::default())?,
            random: Random::new(settings.seed, index),
            record: record.clone(),
            levels: settings.levels,
            statements: Default::default(),
        };
        let (record, transactions) = (record.clone(), settings.transactions);
        threads.push(machine.spawn(&format!("client {index}"), move || {
            while record.finished.load(Ordering::Relaxed) < transactions && !record.is_wrong() {
                if let Err(what) = client.run_one() {
                    record.wrong(format!("client {index}: {what}"));
                }
            }
        }));
    }
    for thread in threads {
        if let Err(panic) = thread.join() {
            record.wrong(panic.to_string());
        }
    }
    let model = read(&mut session)?;
    drop(session);
    node.close()?;
    Ok(model)
}

/// All rows and lists.
fn read(session: &mut Session) -> Result<Model> {
    let mut model = Model::default();
    for table in ["entry", "local_entry", "reference_entry"] {
        let rows = session.query(&format!("SELECT p_key, k, v FROM {table}"), &[])?;
        for row in rows.iter() {
            let number = |column: usize| row.get(column).and_then(Value::as_i64).unwrap_or(i64::MIN);
            model.rows.insert((number(0) as i32, number(1) as i32), number(2));
        }
    }
    for table in ["chain", "local_chain", "reference_chain"] {
        let rows = session.query(&format!("SELECT p_key, k, items FROM {table}"), &[])?;
        for row in rows.iter() {
            let number = |column: usize| row.get(column).and_then(Value::as_i64).unwrap_or(i64::MIN);
            let items = row.get(2).and_then(Value::as_str).unwrap_or_default().split(',');
            let items = items.map(|item| item.parse().unwrap_or(0)).collect();
            model.lists.insert((number(0) as i32, number(1) as i32), items);
        }
    }
    debug_assert!(model.rows.keys().all(|key| (0..PLACES).contains(&key.0)));
    Ok(model)
}
