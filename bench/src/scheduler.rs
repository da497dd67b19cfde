//! `scheduler`: tasks that a worker executes.
//!
//! | case | what |
//! |---|---|
//! | `sql` | functions that do nothing, as tasks, from an empty worker to the last one's end |
//! | `process/isolated`, `process/plain` | `/bin/true` as tasks, beside `xargs -P2 -n1 /bin/true` |
//! | `wake_up/sql`, `wake_up/process` | from submitting a task to its claim by a worker that waits |
//! | `idle` | processor time of a node with 1,000 workers that wait, in percent of a core |
//! | `chain` | a graph of 10,000 tasks in a row, beside the sum of what its tasks took themselves |

// Benchmarks measure real time, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tuplix::{LogMode, Options, Session, Tuplix, Value};
use tuplix_services::scheduler::{Scheduler, TaskSpec};
use tuplix_services::{Bucket, TaskId, WorkerId};
use tuplix_worker::{Isolation, Worker, WorkerOptions};

use crate::Plan;
use crate::measure::{Case, summary};
use crate::report::Report;

/// Whose tasks they are.
const OWNER: &str = "bench";
/// Tasks of a run at most; a run has as many as fit into its seconds, judged by the one before.
const SQL_TASKS: usize = 20_000;
const PROCESSES: usize = 1_000;
const WAKE_UPS: usize = 1_000;
const WAITING: usize = 1_000;
const CHAIN: usize = 10_000;

/// The version that tasks are said to be of.
const CODE: &str = "bench";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A node with the services, and a session on it.
struct Node {
    folder: tempfile::TempDir,
    node: Tuplix,
    session: Session,
    scheduler: Scheduler,
}

impl Node {
    fn open(plan: &Plan, log: &str) -> anyhow::Result<Node> {
        let folder = tempfile::tempdir_in(&plan.dir)?;
        let node = Tuplix::open_with(&Options {
            dir: Some(folder.path().join("data")),
            log: if log == "off" { LogMode::Off } else { LogMode::On },
            ..Options::default()
        })?;
        let mut session = node.session(&Default::default())?;
        tuplix_services::install(&mut session)?;
        session.execute(
            "CREATE ROLE bench;
             CREATE FUNCTION bench_nothing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$",
        )?;
        session.set("synchronous_commit", "off")?;
        let scheduler = Scheduler::new(&mut session)?;
        Ok(Node { folder, node, session, scheduler })
    }

    /// A worker of the node's own process.
    fn worker(&self, number: usize, change: impl FnOnce(&mut WorkerOptions)) -> anyhow::Result<Worker> {
        let folder = self.folder.path().join(format!("work-{number}"));
        let mut options = WorkerOptions::new(WorkerId(i64::try_from(number)? + 1), folder);
        options.dies_with_node = true;
        options.lease = Duration::from_secs(60);
        change(&mut options);
        Ok(Worker::start(&self.node, options)?)
    }

    fn submit(&mut self, spec: &TaskSpec, bucket: Bucket) -> anyhow::Result<TaskId> {
        Ok(self.scheduler.submit_task(&mut self.session, bucket, spec)?)
    }

    /// Waits until no task is left that is not over.
    fn wait(&mut self, tasks: usize) -> anyhow::Result<()> {
        let done = "SELECT count(*) FROM os.task WHERE state = 'done'";
        let began = Instant::now();
        loop {
            let rows = self.session.query(done, &[])?;
            if rows.get(0, 0).and_then(Value::as_i64) == Some(i64::try_from(tasks)?) {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < PATIENCE, "the tasks do not come to their end");
            // A count of many rows is not to be what is measured.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn close(self) -> anyhow::Result<()> {
        drop(self.session);
        self.node.close()?;
        Ok(())
    }
}

fn sql() -> TaskSpec {
    let mut spec = TaskSpec::new(OWNER, "nothing", "bench_nothing");
    spec.kind = "sql".to_owned();
    // Given, the function's version is neither looked up at each submission nor checked at each run.
    spec.options.code = Some(CODE.to_owned());
    spec
}

fn process() -> TaskSpec {
    TaskSpec::new(OWNER, "true", "/bin/true")
}

/// Runs the suite.
///
/// # Errors
/// What opening, submitting and running find.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    if plan.wants("tuplix") {
        for log in ["off", "async"] {
            let on = plan.wants_case("sql", log);
            executed(plan, report, "sql", log, on, SQL_TASKS, &sql(), Isolation::Off)?;
        }
        for (case, isolation) in [("process/isolated", Isolation::Auto), ("process/plain", Isolation::Off)] {
            let on = plan.wants_case(case, "async");
            executed(plan, report, case, "async", on, PROCESSES, &process(), isolation)?;
        }
    }
    if plan.wants("xargs") && plan.wants_case("process", "off") {
        xargs(plan, report)?;
    }
    if plan.wants("tuplix") {
        for (case, spec) in [("wake_up/sql", sql()), ("wake_up/process", process())] {
            if plan.wants_case(case, "async") {
                wake_ups(plan, report, case, &spec)?;
            }
        }
        if plan.wants_case("idle", "async") {
            idle(plan, report)?;
        }
        if plan.wants_case("chain", "async") {
            chain(plan, report)?;
        }
    }
    Ok(())
}

fn labels(case: &str, system: &'static str, log: &'static str, clients: usize) -> Case {
    Case { suite: "scheduler", case: case.to_owned(), system, log, clients }
}

/// Queues tasks in all buckets, then lets a worker run them all.
#[allow(clippy::too_many_arguments)]
fn executed(
    plan: &Plan,
    report: &mut Report,
    case: &str,
    log: &'static str,
    on: bool,
    tasks: usize,
    spec: &TaskSpec,
    isolation: Isolation,
) -> anyhow::Result<()> {
    if !on {
        return Ok(());
    }
    let mut rates = Vec::new();
    for _ in 0..plan.runs {
        let mut node = Node::open(plan, log)?;
        for number in 0..tasks {
            let bucket = Bucket(i32::try_from(number % 64)?);
            node.submit(spec, bucket)?;
        }
        let cores = i32::try_from(plan.clients)?;
        let began = Instant::now();
        let worker = node.worker(0, |options| {
            (options.cores, options.isolation) = (cores, isolation);
        })?;
        node.wait(tasks)?;
        rates.push(tasks as f64 / began.elapsed().as_secs_f64());
        if let Some(why) = &worker.confinement().not_isolated
            && isolation == Isolation::Auto
        {
            plan.note(&format!("{case}: tasks are not isolated here: {why}"))?;
        }
        worker.stop()?;
        node.close()?;
    }
    report.add(summary(&labels(case, "tuplix", log, plan.clients), "throughput_per_s", rates));
    Ok(())
}

/// The same programs by `xargs`, which keeps nothing.
fn xargs(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut rates = Vec::new();
    let processes = plan.clients.to_string();
    for _ in 0..plan.runs {
        let began = Instant::now();
        let mut child = Command::new("xargs")
            .args(["-P", &processes, "-n", "1", "/bin/true"])
            .stdin(Stdio::piped())
            .spawn()
            .context("xargs cannot be started")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all("x\n".repeat(PROCESSES).as_bytes())?;
        }
        anyhow::ensure!(child.wait()?.success(), "xargs failed");
        rates.push(PROCESSES as f64 / began.elapsed().as_secs_f64());
    }
    report.add(summary(&labels("process", "xargs", "off", plan.clients), "throughput_per_s", rates));
    Ok(())
}

/// One task after the other, each for a worker that waits.
fn wake_ups(plan: &Plan, report: &mut Report, case: &str, spec: &TaskSpec) -> anyhow::Result<()> {
    let (mut medians, mut tails) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let mut node = Node::open(plan, "async")?;
        let worker = node.worker(0, |options| (options.cores, options.isolation) = (1, Isolation::Off))?;
        let home = Bucket::of_name(OWNER);
        for _ in 0..WAKE_UPS {
            let task = node.submit(spec, home)?;
            node.session.execute(&format!("LISTEN os_task_{task}"))?;
            let state = format!(
                "SELECT 1 FROM os.task WHERE p_key = {} AND task_id = {task} AND state = 'done'",
                home.0
            );
            while node.session.query(&state, &[])?.is_empty() {
                node.session.wait_notifications(PATIENCE)?;
            }
            node.session.execute("UNLISTEN *")?;
        }
        let waited = "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY us), percentile_cont(0.99) WITHIN GROUP (ORDER BY us)
                        FROM (SELECT extract(epoch FROM started_at - submitted_at)::float8 * 1000000 AS us FROM os.task) x";
        let rows = node.session.query(waited, &[])?;
        medians.push(float(rows.get(0, 0))?);
        tails.push(float(rows.get(0, 1))?);
        worker.stop()?;
        node.close()?;
    }
    let labels = labels(case, "tuplix", "async", 1);
    report.add(summary(&labels, "latency_us_p50", medians));
    report.add(summary(&labels, "latency_us_p99", tails));
    Ok(())
}

fn float(value: Option<&Value>) -> anyhow::Result<f64> {
    match value {
        Some(Value::Float8(number)) => Ok(*number),
        other => anyhow::bail!("{other:?} is no number"),
    }
}

/// Workers that wait, each in a bucket.
fn idle(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let node = Node::open(plan, "async")?;
    let mut workers = Vec::new();
    for number in 0..WAITING {
        let bucket = Bucket(i32::try_from(number % 64)?);
        workers.push(node.worker(number, |options| {
            (options.cores, options.isolation, options.buckets) = (1, Isolation::Off, vec![bucket]);
        })?);
    }
    let mut percents = Vec::new();
    for _ in 0..plan.runs {
        let (began, before) = (Instant::now(), ticks()?);
        std::thread::sleep(plan.run);
        let used = (ticks()? - before) as f64 / TICKS_PER_SECOND;
        percents.push(100.0 * used / began.elapsed().as_secs_f64());
    }
    report.add(summary(&labels("idle", "tuplix", "async", WAITING), "percent_of_a_core", percents));
    for worker in workers {
        worker.stop()?;
    }
    node.close()
}

/// Linux tells processor time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of this process so far.
fn ticks() -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(Path::new("/proc/self/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let tick =
        |place: usize| anyhow::Ok(fields.get(place).context("a short /proc/self/stat")?.parse::<u64>()?);
    Ok(tick(11)? + tick(12)?)
}

/// Each task needs the one before it.
fn chain(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let (mut makespans, mut paths) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        let mut node = Node::open(plan, "async")?;
        let worker = node.worker(0, |options| (options.cores, options.isolation) = (1, Isolation::Off))?;
        let tasks: Vec<serde_json::Value> = (0..CHAIN)
            .map(|number| {
                let after = if number == 0 { vec![] } else { vec![(number - 1).to_string()] };
                json!({"name": number.to_string(), "program": "bench_nothing", "kind": "sql", "code": CODE, "after": after})
            })
            .collect();
        let description = json!({"name": "chain", "tasks": tasks});
        node.scheduler.submit_graph(&mut node.session, Bucket::of_name(OWNER), OWNER, &description, None)?;
        node.wait(CHAIN)?;
        let took = "SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8,
                           sum(extract(epoch FROM finished_at - started_at))::float8 FROM os.task";
        let rows = node.session.query(took, &[])?;
        makespans.push(float(rows.get(0, 0))?);
        paths.push(float(rows.get(0, 1))?);
        worker.stop()?;
        node.close()?;
    }
    let labels = labels("chain", "tuplix", "async", 1);
    report.add(summary(&labels, "seconds", makespans));
    report.add(summary(&labels, "critical_path_seconds", paths));
    Ok(())
}
