//! `decisions`: the paper's figure 5 on the real task table: its three policies decide, workers have room for so many tasks and no more, and each
//! task is claimed and finished by its worker, in process, beside PostgreSQL with the same procedures.
//!
//! | case | what |
//! |---|---|
//! | `decide_complete/POLICY` | closed loop: as many pairs of a decision and a completion as go |
//! | `POLICY/50%`, `80%`, `95%` | open loop: decisions start by the clock, so much of the pairs that went, a task's worker finishes it [`SERVICE`] later; latency counts from when the decision was due |
//!
//! A decision that finds no worker free is no decision: it tries other buckets, as the paper's schedulers do.

// The benchmark keeps to the clock, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tuplix::{LogMode, Options, Session, Tuplix, Value};
use tuplix_services::scheduler::{Policy, Scheduler, Usage, WorkerOffer};
use tuplix_services::{Bucket, TaskId, WorkerId};
use tuplix_support::{PostgresCluster, PostgresOptions};

use crate::Plan;
use crate::measure::{Case, Draw, summary};
use crate::report::Report;

const POLICIES: [(&str, Policy); 3] =
    [("fifo", Policy::Fifo), ("locality", Policy::Locality), ("least_loaded", Policy::LeastLoaded)];
/// Workers of each bucket, and the tasks that each has room for.
const WORKERS: i64 = 10;
const ROOM: i32 = 16;
/// How long a task runs, in the open loop.
const SERVICE: Duration = Duration::from_millis(5);
/// Tasks that the closed loop decides, claims and finishes in a row: one call claims them.
const ROUND: i32 = 8;
/// Rounds before the clock runs.
const WARM_UP: usize = 3;
/// Shares of the pairs that went, in percent.
const RATES: [u32; 3] = [50, 80, 95];
/// Buckets tried before a task is given up.
const TRIES: usize = 3;
const POSTGRES_CLIENTS: usize = 8;

/// Runs the suite.
///
/// # Errors
/// What a system reports.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for (name, policy) in POLICIES {
        if plan.wants("tuplix") {
            let folder = tempfile::tempdir_in(&plan.dir)?;
            let node = Tuplix::open_with(&Options {
                dir: Some(folder.path().join("data")),
                partitions: plan.clients,
                log: LogMode::On,
                ..Options::default()
            })?;
            System { name: "tuplix", node: &node, clients: plan.clients }.run(plan, report, name, policy)?;
            node.close()?;
        }
        if plan.wants("postgres") {
            let cluster = PostgresCluster::start_with(&PostgresOptions {
                fsync: true,
                synchronous_commit: false,
                ..PostgresOptions::default()
            })?;
            let node = Tuplix::connect(&cluster.socket_url())?;
            System { name: "postgres", node: &node, clients: POSTGRES_CLIENTS }
                .run(plan, report, name, policy)?;
        }
    }
    Ok(())
}

/// A system with the services, and how many schedulers it is given.
struct System<'a> {
    name: &'static str,
    node: &'a Tuplix,
    clients: usize,
}

/// What a client, or all of them, did in a run.
struct Done {
    completions: u64,
    latency_ns: Histogram<u64>,
}

impl Done {
    fn nothing() -> anyhow::Result<Done> {
        Ok(Done { completions: 0, latency_ns: Histogram::new(3)? })
    }
}

impl System<'_> {
    fn run(&self, plan: &Plan, report: &mut Report, name: &str, policy: Policy) -> anyhow::Result<()> {
        let wants = |case: &str| plan.wants_case(case, "async");
        let closed = format!("decide_complete/{name}");
        let open: Vec<(u32, String)> =
            RATES.iter().map(|percent| (*percent, format!("{name}/{percent}%"))).collect();
        if !wants(&closed) && !open.iter().any(|(_, case)| wants(case)) {
            return Ok(());
        }
        let mut clients = self.clients(policy)?;
        // Procedures are compiled when they are first called.
        for client in &mut clients {
            for _ in 0..WARM_UP {
                client.round(&mut Done::nothing()?)?;
            }
        }
        let mut together = |work: &(dyn Fn(&mut Client, Instant) -> anyhow::Result<Done> + Sync)| {
            together(&mut clients, work)
        };
        // The open loop needs to know how many pairs go, also where only it was asked for.
        let mut pairs = Vec::new();
        let mut closed_runs = Vec::new();
        for _ in 0..plan.runs {
            let done = together(&|client, start| client.closed(plan.run, start))?;
            pairs.push(done.completions as f64 / plan.run.as_secs_f64());
            closed_runs.push(done);
        }
        self.report(report, closed, plan, &closed_runs);
        pairs.sort_by(f64::total_cmp);
        let peak = pairs[pairs.len() / 2];
        for (percent, case) in open {
            let rate = peak * f64::from(percent) / 100.0;
            let each = Duration::from_secs_f64(self.clients as f64 / rate);
            let runs = (0..plan.runs).map(|_| together(&|client, start| client.open(plan.run, each, start)));
            let runs = runs.collect::<anyhow::Result<Vec<Done>>>()?;
            self.report(report, case, plan, &runs);
        }
        self.check()
    }

    /// Workers with room in all buckets, and a client for each scheduler.
    fn clients(&self, policy: Policy) -> anyhow::Result<Vec<Client>> {
        let mut session = self.node.session(&Default::default())?;
        tuplix_services::install(&mut session)?;
        let scheduler = Scheduler::new(&mut session)?;
        let offer = WorkerOffer { cores: ROOM, lease_ms: i32::MAX, ..WorkerOffer::default() };
        for bucket in Bucket::all() {
            for worker in 1..=WORKERS {
                scheduler.join_worker(&mut session, bucket, WorkerId(worker), &offer)?;
            }
        }
        (0..self.clients).map(|number| self.client(&mut session, number, policy)).collect()
    }

    fn client(&self, asks: &mut Session, number: usize, policy: Policy) -> anyhow::Result<Client> {
        let buckets: Vec<Bucket> = if self.name == "tuplix" {
            let sql = "SELECT bucket FROM tuplix.buckets WHERE partition = $1";
            let rows = asks.query(sql, &[Value::Int4(number as i32)])?;
            rows.iter().filter_map(|row| row[0].as_i64()).map(|bucket| Bucket(bucket as i32)).collect()
        } else {
            Bucket::all().filter(|bucket| bucket.0 as usize % self.clients == number).collect()
        };
        anyhow::ensure!(!buckets.is_empty(), "scheduler {number} has no buckets");
        let mut session = self.node.session(&Default::default())?;
        session.set("synchronous_commit", "off")?;
        let scheduler = Scheduler::new(&mut session)?;
        let draw = Draw::new(number as u64 + 1);
        Ok(Client { session, scheduler, policy, buckets, draw, next: (number as i64 + 1) << 40 })
    }

    fn report(&self, report: &mut Report, case: String, plan: &Plan, runs: &[Done]) {
        if !plan.wants_case(&case, "async") {
            return;
        }
        let case = Case { suite: "decisions", case, system: self.name, log: "async", clients: self.clients };
        let per_second = |count: u64| count as f64 / plan.run.as_secs_f64();
        report.add(summary(
            &case,
            "throughput_per_s",
            runs.iter().map(|run| per_second(run.completions)).collect(),
        ));
        for (metric, quantile) in [("latency_us_p50", 0.5), ("latency_us_p99", 0.99)] {
            let micros = |run: &Done| run.latency_ns.value_at_quantile(quantile) as f64 / 1000.0;
            report.add(summary(&case, metric, runs.iter().map(micros).collect()));
        }
    }

    /// After the load, no room is lost and no task is held by two.
    fn check(&self) -> anyhow::Result<()> {
        let mut session = self.node.session(&Default::default())?;
        let violations = tuplix_services::check(&mut session)?;
        anyhow::ensure!(violations.is_empty(), "after the load: {violations:?}");
        Ok(())
    }
}

/// Runs all clients from the same moment on and adds up what they did.
fn together(
    clients: &mut [Client],
    work: &(dyn Fn(&mut Client, Instant) -> anyhow::Result<Done> + Sync),
) -> anyhow::Result<Done> {
    let start = Instant::now();
    let outcomes: Vec<anyhow::Result<Done>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || work(client, start))).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|outcome| outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))).collect()
    });
    let mut sum = Done::nothing()?;
    for outcome in outcomes {
        let done = outcome?;
        sum.completions += done.completions;
        sum.latency_ns.add(&done.latency_ns)?;
    }
    Ok(sum)
}

/// One scheduler with the buckets of its own, and the workers of these.
struct Client {
    session: Session,
    scheduler: Scheduler,
    policy: Policy,
    buckets: Vec<Bucket>,
    draw: Draw,
    /// The next task's number in its bucket.
    next: i64,
}

impl Client {
    /// Decides in rounds of one bucket, and finishes what was decided.
    fn closed(&mut self, length: Duration, start: Instant) -> anyhow::Result<Done> {
        let mut done = Done::nothing()?;
        while start.elapsed() < length {
            self.round(&mut done)?;
        }
        Ok(done)
    }

    fn round(&mut self, done: &mut Done) -> anyhow::Result<()> {
        let bucket = self.any_bucket();
        let mut workers = [false; WORKERS as usize + 1];
        for _ in 0..ROUND {
            let before = Instant::now();
            let worker = self.decide(bucket)?;
            done.latency_ns.record(before.elapsed().as_nanos() as u64)?;
            if let Some(worker) = worker {
                workers[worker.0 as usize] = true;
            }
        }
        for worker in (1..=WORKERS).filter(|worker| workers[*worker as usize]) {
            done.completions += self.complete(bucket, WorkerId(worker))?;
        }
        Ok(())
    }

    /// Decides by the clock, and finishes each task a while later.
    fn open(&mut self, length: Duration, each: Duration, start: Instant) -> anyhow::Result<Done> {
        let mut done = Done::nothing()?;
        let mut running: VecDeque<(Duration, Bucket, WorkerId)> = VecDeque::new();
        let mut due = each;
        loop {
            let now = start.elapsed();
            let ends = running.front().map(|(ends, ..)| *ends);
            // What is due first comes first.
            let until = if due < length { due.min(now) } else { now };
            match ends.filter(|ends| *ends <= until) {
                Some(_) => {
                    if let Some((_, bucket, worker)) = running.pop_front() {
                        done.completions += self.complete(bucket, worker)?;
                    }
                }
                None if due <= now && due < length => {
                    for _ in 0..TRIES {
                        let bucket = self.any_bucket();
                        if let Some(worker) = self.decide(bucket)? {
                            running.push_back((start.elapsed() + SERVICE, bucket, worker));
                            break;
                        }
                    }
                    done.latency_ns.record(start.elapsed().saturating_sub(due).as_nanos() as u64)?;
                    due += self.pause(each);
                }
                None if due >= length && running.is_empty() => return Ok(done),
                None => std::thread::yield_now(),
            }
        }
    }

    /// The time to the next decision: exponentially distributed, as of many that do not know of each other.
    fn pause(&mut self, mean: Duration) -> Duration {
        let uniform = f64::from(self.draw.below(1 << 24) + 1) / f64::from(1 << 24);
        mean.mul_f64(-uniform.ln())
    }

    fn any_bucket(&mut self) -> Bucket {
        self.buckets[self.draw.below(self.buckets.len() as u32) as usize]
    }

    fn decide(&mut self, bucket: Bucket) -> anyhow::Result<Option<WorkerId>> {
        self.next += 1;
        let task = TaskId(self.next * 64 + i64::from(bucket.0));
        Ok(self.scheduler.schedule(&mut self.session, self.policy, bucket, task, 1, 0)?)
    }

    /// What a worker does for the tasks that were assigned to it; how many these were. Another call may have seen to them.
    fn complete(&mut self, bucket: Bucket, worker: WorkerId) -> anyhow::Result<u64> {
        let claims = self.scheduler.claim_tasks(&mut self.session, bucket, worker, ROOM)?;
        for claim in &claims {
            self.scheduler.finish_task(&mut self.session, claim.task, claim.attempt, 0, &Usage::default())?;
        }
        Ok(claims.len() as u64)
    }
}
