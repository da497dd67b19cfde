//! A seed: machine after machine on one disk, each judged by what the next one finds.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tuplix_machine::{DiskImage, Faults};

use crate::check::{Round, State};
use crate::history::{History, Outcome};
use crate::machine_run::{Job, Left, run};
use crate::plan::{Ending, Plan};
use crate::random::{Random, mix};

/// Machines with faults for each seed, unless said otherwise.
pub const ROUNDS: u64 = 5;

/// What a seed came to: equal for equal seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A hash of every event of every machine and of every reply.
    pub hash: u64,
    /// The disk at the end.
    pub disk: DiskImage,
    /// Machines that were run.
    pub machines: u64,
    /// Machines that crashed.
    pub crashes: u64,
    /// Disk operations that failed.
    pub faults: u64,
    /// Recoveries that cut a torn tail.
    pub cuts: u64,
    /// Recoveries that began with a checkpoint.
    pub checkpoints: u64,
    /// Segments of history that machines left on the disk, counted after each round.
    pub segments: u64,
    /// Transactions that were acknowledged.
    pub committed: u64,
    /// Transactions that were rolled back.
    pub aborted: u64,
    /// Transactions that nobody knows about.
    pub unknown: u64,
}

impl Report {
    /// It in one line.
    pub fn line(&self) -> String {
        let Report {
            seed,
            hash,
            machines,
            crashes,
            faults,
            cuts,
            checkpoints,
            segments,
            committed,
            aborted,
            unknown,
            ..
        } = self;
        format!(
            "seed {seed}: {hash:016x}, {machines} machines, {crashes} crashes, {faults} disk faults, {cuts} torn tails, \
             {checkpoints} checkpoints read, {segments} segments of history, {committed} committed, {aborted} rolled back, {unknown} unknown"
        )
    }
}

/// A seed that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// In which round.
    pub round: u64,
    /// What.
    pub what: String,
    /// What the round was to be.
    pub plan: String,
    /// What clients did last.
    pub story: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, round, what, plan, story } = self;
        write!(f, "seed {seed}, round {round}: {what}\n{plan}\nwhat clients did last:\n{story}")?;
        write!(f, "replay: tuplix-sim --seed {seed} --trace")
    }
}

/// A machine's time whose outcome the next recovery will tell.
struct Pending {
    round: u64,
    plan: Plan,
    history: History,
    closed_with: Option<State>,
}

struct Run {
    report: Report,
    number: Arc<AtomicU64>,
    now_ns: u64,
    /// What the last recovery that came to an end found.
    state: State,
    pending: Option<Pending>,
    story_lines: usize,
}

/// Runs a seed.
///
/// # Errors
/// The first thing that is wrong.
pub fn run_seed(seed: u64, rounds: u64, story_lines: usize) -> Result<Report, Box<Failure>> {
    let report = Report {
        seed,
        hash: mix(seed),
        disk: DiskImage::default(),
        machines: 0,
        crashes: 0,
        faults: 0,
        cuts: 0,
        checkpoints: 0,
        segments: 0,
        committed: 0,
        aborted: 0,
        unknown: 0,
    };
    let mut run = Run {
        report,
        number: Arc::new(AtomicU64::new(1)),
        now_ns: 0,
        state: State::initial(),
        pending: None,
        story_lines,
    };
    run.create_schema()?;
    for round in 1..=rounds {
        run.round(round, &Plan::of(seed, round))?;
    }
    let before = run.report.committed;
    run.round(rounds + 1, &Plan::calm(seed))?;
    let committed = run.report.committed - before;
    if committed < 20 {
        return Err(run.failure(
            rounds + 1,
            &Plan::calm(seed),
            &History::default(),
            format!("only {committed} transactions committed although nothing failed any more"),
        ));
    }
    run.round(rounds + 2, &Plan::look(seed))?;
    Ok(run.report)
}

/// Runs a seed twice and compares.
///
/// # Errors
/// What is wrong, a difference included.
pub fn check_seed(seed: u64, rounds: u64, story_lines: usize) -> Result<Report, Box<Failure>> {
    let first = run_seed(seed, rounds, story_lines)?;
    let second = run_seed(seed, rounds, story_lines)?;
    if first == second {
        return Ok(first);
    }
    let same_disk = if first.disk == second.disk { "equal" } else { "different" };
    let what = format!(
        "two runs differ: hashes {:016x} and {:016x}, {same_disk} disks, {} and {} machines",
        first.hash, second.hash, first.machines, second.machines
    );
    Err(Box::new(Failure { seed, round: 0, what, plan: String::new(), story: String::new() }))
}

impl Run {
    /// Half of the seeds lose power while the schema is made: what was acknowledged of it must be there.
    fn create_schema(&mut self) -> Result<(), Box<Failure>> {
        let seed = self.report.seed;
        let mut random = Random::new(seed, 1);
        if random.chance(1, 2) {
            let faults = Faults {
                crash_at_io: Some(1 + random.below(60)),
                reorder: random.chance(1, 2),
                latency_ns: 1_000_000,
                ..Faults::none()
            };
            let plan = Plan { faults, ending: Ending::PowerLoss, ..Plan::look(seed) };
            let left = self.machine(0, &plan, Job::Create, DiskImage::default())?;
            let plan = Plan::look(seed);
            self.machine(0, &plan, Job::LookFor(left.known.created), left.disk)?;
        }
        let plan = Plan {
            ending: random.pick(&[Ending::PowerLoss, Ending::Kill, Ending::Close]),
            ..Plan::look(seed)
        };
        let left = self.machine(0, &plan, Job::Create, DiskImage::default())?;
        self.report.disk = left.disk;
        Ok(())
    }

    fn round(&mut self, round: u64, plan: &Plan) -> Result<(), Box<Failure>> {
        let disk = std::mem::take(&mut self.report.disk);
        let left = self.machine(round, plan, Job::Work, disk)?;
        self.report.disk = left.disk;
        let Some(state) = left.known.recovered else { return Ok(()) };
        self.report.cuts += u64::from(left.known.cut);
        self.report.checkpoints += u64::from(left.known.checkpoint > 0);
        self.report.segments +=
            self.report.disk.paths().into_iter().filter(|path| path.ends_with(".segment")).count() as u64;
        self.judge(round, plan, state)?;
        for transaction in left.known.history.transactions.values() {
            match transaction.outcome {
                Outcome::Committed => self.report.committed += 1,
                Outcome::Aborted => self.report.aborted += 1,
                Outcome::Unknown => self.report.unknown += 1,
            }
        }
        let pending = Pending {
            round,
            plan: plan.clone(),
            history: left.known.history,
            closed_with: left.known.closed_with,
        };
        self.pending = Some(pending);
        Ok(())
    }

    /// Judges the last machine that had clients by what was recovered after it.
    fn judge(&mut self, round: u64, plan: &Plan, state: State) -> Result<(), Box<Failure>> {
        let before = std::mem::take(&mut self.state);
        match self.pending.take() {
            None => {
                if state != State::initial() {
                    let what = format!("the schema was made, but what is there is {state:?}");
                    return Err(self.failure(round, plan, &History::default(), what));
                }
            }
            Some(pending) => {
                let closed = pending.closed_with.is_some();
                let round = Round { before: &before, history: &pending.history, after: &state, closed };
                if let Err(what) = round.check() {
                    return Err(self.failure(pending.round, &pending.plan, &pending.history, what));
                }
                if pending.closed_with.as_ref().is_some_and(|closed_with| *closed_with != state) {
                    let what =
                        "what was recovered differs from what the node held when it was closed".to_owned();
                    return Err(self.failure(pending.round, &pending.plan, &pending.history, what));
                }
            }
        }
        self.state = state;
        Ok(())
    }

    fn machine(&mut self, round: u64, plan: &Plan, job: Job, disk: DiskImage) -> Result<Left, Box<Failure>> {
        let seed = mix(self.report.seed ^ mix(self.report.machines + 1));
        self.report.machines += 1;
        let left = match run(seed, plan, job, disk, self.now_ns, &self.number) {
            Ok(left) => left,
            Err(ended) => {
                let (what, known) = *ended;
                return Err(self.failure(round, plan, &known.history, what));
            }
        };
        if let Some(what) = &left.known.wrong {
            return Err(self.failure(round, plan, &left.known.history, what.clone()));
        }
        self.now_ns = left.now_ns;
        self.report.crashes += u64::from(left.crashed);
        self.report.faults += left.faults_fired;
        self.report.hash = mix(self.report.hash ^ left.trace) ^ hash_of(&format!("{:?}", left.known));
        Ok(left)
    }

    fn failure(&self, round: u64, plan: &Plan, history: &History, what: String) -> Box<Failure> {
        let story = history.story(self.story_lines);
        Box::new(Failure { seed: self.report.seed, round, what, plan: format!("{plan:?}"), story })
    }
}

fn hash_of(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
