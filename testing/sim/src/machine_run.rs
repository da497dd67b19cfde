//! One machine's time: open the node, look at what it recovered, let clients loose, end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tuplix::{Machine, Options, Result, SqlError, Tuplix};
use tuplix_machine::{DiskImage, Simulation};

use crate::check::State;
use crate::client::{Client, Recorder, Stop, is_stop};
use crate::history::{Event, History};
use crate::plan::{Ending, Plan};
use crate::random::Random;
use crate::schema;

/// Where the data directory is on the simulated disk.
pub const DIRECTORY: &str = "data";

/// What is known outside of the machine, whatever becomes of it. The operating system's mutexes are held for moments
/// without a yield point, so they do not disturb the schedule.
#[derive(Debug)]
pub struct Shared {
    inner: Mutex<Known>,
    number: Arc<AtomicU64>,
    finished: AtomicU64,
    node_stopped: AtomicBool,
}

/// What a machine's time brought.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What clients did and saw.
    pub history: History,
    /// What recovery found; `None` when it did not come so far.
    pub recovered: Option<State>,
    /// What the node held when it was closed; `None` when it was not.
    pub closed_with: Option<State>,
    /// Objects whose creation was acknowledged, in the round that makes the schema.
    pub created: usize,
    /// The first thing that was wrong.
    pub wrong: Option<String>,
    /// Bytes that recovery cut from the log's end.
    pub cut: bool,
    /// The epoch of the checkpoint that recovery began with; 0 for none.
    pub checkpoint: u64,
}

impl Shared {
    fn new(number: Arc<AtomicU64>) -> Shared {
        Shared {
            inner: Mutex::new(Known::default()),
            number,
            finished: AtomicU64::new(0),
            node_stopped: AtomicBool::new(false),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrong(&self, what: String) {
        self.known().wrong.get_or_insert(what);
    }
}

impl Recorder for Shared {
    fn record(&self, event: Event) {
        self.known().history.record(event);
    }

    fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a machine left.
#[derive(Debug)]
pub struct Left {
    /// What is known of it.
    pub known: Known,
    /// Its disk.
    pub disk: DiskImage,
    /// Its clock.
    pub now_ns: u64,
    /// Its trace's hash.
    pub trace: u64,
    /// Whether it crashed.
    pub crashed: bool,
    /// Disk operations that were made to fail.
    pub faults_fired: u64,
}

/// What the machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Makes the schema.
    Create,
    /// Looks whether the first objects of the schema are there.
    LookFor(usize),
    /// Recovers, runs clients.
    Work,
}

/// Runs a machine. A panic inside, a deadlock and a run without end are errors.
///
/// # Errors
/// What went wrong with the run itself.
pub fn run(
    seed: u64,
    plan: &Plan,
    job: Job,
    disk: DiskImage,
    now_ns: u64,
    number: &Arc<AtomicU64>,
) -> std::result::Result<Left, Box<(String, Known)>> {
    let shared = Arc::new(Shared::new(number.clone()));
    let simulation = Simulation::new(seed, plan.faults.clone()).with_disk(disk).starting_at(now_ns);
    let (inside, body_plan) = (shared.clone(), plan.clone());
    let body = move |machine: Machine| live(&machine, seed, &body_plan, job, &inside);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run(body)));
    let known = shared.known().clone();
    match outcome {
        Ok(outcome) => Ok(Left {
            known,
            crashed: outcome.crashed(),
            disk: outcome.disk,
            now_ns: outcome.now_ns,
            trace: outcome.trace,
            faults_fired: outcome.faults_fired,
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(Box::new((text.unwrap_or_else(|| "a panic without text".to_owned()), known)))
        }
    }
}

fn live(machine: &Machine, seed: u64, plan: &Plan, job: Job, shared: &Arc<Shared>) {
    let outcome = match job {
        Job::Create => create(machine, plan, shared),
        Job::LookFor(count) => look_for(machine, plan, count),
        Job::Work => work(machine, seed, plan, shared),
    };
    match outcome {
        Ok(()) => {}
        Err(error) if plan.disk_fails() && is_stop(error.sqlstate()) => {}
        Err(error) => shared.wrong(format!("{error:?}")),
    }
}

fn open(machine: &Machine, plan: &Plan) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some(DIRECTORY.into()),
        partitions: plan.partitions,
        log_segment_bytes: plan.log_segment_bytes,
        durability: plan.durability.clone(),
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

fn create(machine: &Machine, plan: &Plan, shared: &Shared) -> Result<()> {
    let node = open(machine, plan)?;
    let mut session = node.session(&Default::default())?;
    schema::create(&mut session, |created| shared.known().created = created)?;
    drop(session);
    match plan.ending {
        Ending::Close => node.close(),
        Ending::Kill => machine.kill(),
        Ending::PowerLoss => machine.crash(),
        Ending::Leave => Ok(()),
    }
}

fn look_for(machine: &Machine, plan: &Plan, count: usize) -> Result<()> {
    let node = open(machine, plan)?;
    let mut session = node.session(&Default::default())?;
    // The last ones first: a trigger needs its function.
    let objects: Vec<_> = schema::objects().into_iter().take(count).collect();
    for (kind, name) in objects.into_iter().rev() {
        let sql = match kind {
            "TABLE" => format!("SELECT * FROM {name}"),
            "TRIGGER" => format!("DROP TRIGGER {name} ON item"),
            _ => format!("DROP FUNCTION {name}"),
        };
        session.execute(&sql)?;
    }
    node.close()
}

fn work(machine: &Machine, seed: u64, plan: &Plan, shared: &Arc<Shared>) -> Result<()> {
    let node = open(machine, plan)?;
    let mut session = node.session(&Default::default())?;
    let state = schema::read_state(&mut session)?;
    let tasks: Vec<(i32, i64)> = state.tasks.keys().copied().collect();
    {
        let mut known = shared.known();
        known.recovered = Some(state);
        let report = node.recovery_report();
        known.cut = report.cut.is_some();
        known.checkpoint = report.checkpoint.map_or(0, |checkpoint| checkpoint.epoch);
        if let Some(what) = report.damaged.first() {
            known.wrong.get_or_insert(format!("a checkpoint is damaged: {what}"));
        }
    }
    drop(session);
    let mut clients = Vec::new();
    for (index, habits) in (0u32..).zip(&plan.habits) {
        let random = Random::new(seed, 2000 + u64::from(index));
        let mut client = Client::new(index, &node, machine, random, shared.clone(), *habits)?;
        client.tasks = tasks.iter().skip(index as usize).step_by(plan.habits.len()).copied().collect();
        let (plan, shared, machine) = (plan.clone(), shared.clone(), machine.clone());
        clients.push(
            machine
                .clone()
                .spawn(&format!("client {index}"), move || run_client(client, &machine, &plan, &shared)),
        );
    }
    for client in clients {
        if client.join().is_err() {
            shared.wrong("a client panicked".to_owned());
        }
    }
    if shared.node_stopped.load(Ordering::Relaxed) {
        refuses_everything(&node)?;
    }
    end(machine, plan, &node, shared)
}

fn run_client(mut client: Client, machine: &Machine, plan: &Plan, shared: &Shared) {
    while shared.finished.load(Ordering::Relaxed) < plan.transactions && shared.known().wrong.is_none() {
        match client.run_one() {
            Ok(()) => {
                let finished = shared.finished.fetch_add(1, Ordering::Relaxed) + 1;
                if plan.abrupt && finished == plan.transactions {
                    match plan.ending {
                        Ending::Kill | Ending::Leave | Ending::Close => machine.kill(),
                        Ending::PowerLoss => machine.crash(),
                    }
                }
            }
            Err(Stop::Node(why)) => {
                if !plan.disk_fails() {
                    shared.wrong(format!("the node stopped although the disk works: {why}"));
                }
                shared.node_stopped.store(true, Ordering::Relaxed);
                return;
            }
            Err(Stop::Wrong(what)) => return shared.wrong(what),
        }
    }
}

/// Memory is ahead of the log: neither reads nor writes may be answered.
fn refuses_everything(node: &Tuplix) -> Result<()> {
    let Ok(mut session) = node.session(&Default::default()) else { return Ok(()) };
    for sql in ["SELECT len FROM list WHERE p_key = 0", "UPDATE list SET len = len WHERE p_key = 0"] {
        match session.execute(sql) {
            Err(error) if is_stop(error.sqlstate()) => {}
            other => {
                return Err(SqlError::internal(format!("after the log had stopped: {sql} -> {other:?}")));
            }
        }
    }
    Ok(())
}

fn end(machine: &Machine, plan: &Plan, node: &Tuplix, shared: &Shared) -> Result<()> {
    match plan.ending {
        Ending::Kill => machine.kill(),
        Ending::PowerLoss => machine.crash(),
        Ending::Leave => Ok(()),
        Ending::Close => {
            let mut session = node.session(&Default::default())?;
            let state = schema::read_state(&mut session)?;
            drop(session);
            node.close()?;
            shared.known().closed_with = Some(state);
            Ok(())
        }
    }
}
