//! `overload`: ten times the calls that the node can take, whether or not it takes them. What is beyond the bound on waiting calls
//! is refused at once (53300), so that the rest is done as fast as before.
//!
//! ```text
//! before   a client a partition, call after call: the peak
//! 10x      THREADS threads that start calls by the clock, ten times the peak in all
//! after    as before, from the moment the overload ends, a tenth of a second long
//! ```

// The benchmark keeps to the clock, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tuplix::{LogMode, Options, Prepared, Rows, Session, SessionOptions, Tuplix, TypeId, Value, sqlstate};

use crate::Plan;
use crate::measure::{Case, Draw, summary};
use crate::report::Report;

const PARTITIONS: usize = 2;
const THREADS: usize = 64;
/// Calls that may wait for a partition.
const WAITING: u64 = 4;
const TIMES: f64 = 10.0;
/// How often a thread looks what is due.
const TICK: Duration = Duration::from_millis(10);
const AFTER: Duration = Duration::from_millis(100);
/// About a millisecond of work in one bucket.
const CALL: &str =
    "UPDATE counter SET n = n + (SELECT count(*) / 10000 FROM generate_series(1, 10000)) WHERE p_key = $1";

/// What a thread, or all of them, did.
struct Done {
    done: u64,
    refused: u64,
    latency_ns: Histogram<u64>,
}

impl Done {
    fn nothing() -> anyhow::Result<Done> {
        Ok(Done { done: 0, refused: 0, latency_ns: Histogram::new(3)? })
    }

    fn add(&mut self, other: &Done) -> anyhow::Result<()> {
        self.done += other.done;
        self.refused += other.refused;
        Ok(self.latency_ns.add(&other.latency_ns)?)
    }
}

struct Caller {
    session: Session,
    call: Prepared,
    rows: Rows,
}

impl Caller {
    fn new(node: &Tuplix) -> anyhow::Result<Caller> {
        let mut session = node.session(&SessionOptions::default())?;
        session.set("synchronous_commit", "off")?;
        let call = session.prepare(CALL, &[TypeId::INT4])?;
        Ok(Caller { session, call, rows: Rows::new() })
    }

    fn call(&mut self, bucket: u32, done: &mut Done) -> anyhow::Result<()> {
        let start = Instant::now();
        match self.session.call(&self.call, &[Value::Int4(bucket as i32)], &mut self.rows) {
            Ok(_) => {
                done.done += 1;
                done.latency_ns.record(start.elapsed().as_nanos() as u64)?;
            }
            Err(error) if error.sqlstate() == sqlstate::TOO_MANY_CONNECTIONS => done.refused += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Runs the suite.
///
/// # Errors
/// What opening and calling find.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&plan.dir)?;
    let node = Tuplix::open_with(&Options {
        dir: Some(folder.path().to_owned()),
        partitions: PARTITIONS,
        log: LogMode::On,
        waiting_max: WAITING,
        ..Options::default()
    })?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(
        "CREATE TABLE counter (p_key integer PRIMARY KEY, n bigint NOT NULL);
         SELECT create_distributed_table('counter', 'p_key');
         INSERT INTO counter SELECT p, 0 FROM generate_series(0, 63) p",
    )?;
    let (mut before, mut during, mut refused, mut after) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut latency_before, mut latency_during) = (Vec::new(), Vec::new());
    let mut all_done = 0;
    for _ in 0..plan.runs {
        let peak = closed(&node, plan.run)?;
        let rate = peak.done as f64 / plan.run.as_secs_f64();
        let overload = open(&node, plan.run, rate * TIMES)?;
        let recovered = closed(&node, AFTER)?;
        before.push(rate);
        during.push(overload.done as f64 / plan.run.as_secs_f64());
        refused.push(overload.refused as f64 / plan.run.as_secs_f64());
        after.push(recovered.done as f64 / AFTER.as_secs_f64());
        latency_before.push(peak.latency_ns.value_at_quantile(0.99) as f64 / 1000.0);
        latency_during.push(overload.latency_ns.value_at_quantile(0.99) as f64 / 1000.0);
        all_done += peak.done + overload.done + recovered.done;
    }
    let case = |name: &str, clients| Case {
        suite: "overload",
        case: name.to_owned(),
        system: "tuplix",
        log: "async",
        clients,
    };
    report.add(summary(&case("before", PARTITIONS), "throughput_per_s", before));
    report.add(summary(&case("before", PARTITIONS), "latency_us_p99", latency_before));
    report.add(summary(&case("10x", THREADS), "throughput_per_s", during));
    report.add(summary(&case("10x", THREADS), "refused_per_s", refused));
    report.add(summary(&case("10x", THREADS), "latency_us_p99", latency_during));
    report.add(summary(&case("after", PARTITIONS), "throughput_per_s", after));
    // What was answered was done, what was refused was not.
    let sum = session.query("SELECT sum(n)::bigint FROM counter", &[])?;
    let sum = sum.get(0, 0).and_then(Value::as_i64);
    anyhow::ensure!(sum == Some(all_done as i64), "{all_done} calls were answered, {sum:?} were done");
    Ok(node.close()?)
}

/// A client a partition, one call after the other.
fn closed(node: &Tuplix, length: Duration) -> anyhow::Result<Done> {
    together(node, PARTITIONS, |caller, number, start| {
        let mut done = Done::nothing()?;
        while start.elapsed() < length {
            caller.call(number as u32, &mut done)?;
        }
        Ok(done)
    })
}

/// `rate` calls a second, started by the clock whatever became of those before.
fn open(node: &Tuplix, length: Duration, rate: f64) -> anyhow::Result<Done> {
    let each = Duration::from_secs_f64(THREADS as f64 / rate);
    together(node, THREADS, |caller, number, start| {
        let mut done = Done::nothing()?;
        let mut draw = Draw::new(number as u64 + 1);
        let mut due = each.mul_f64(number as f64 / THREADS as f64);
        while start.elapsed() < length {
            while due <= start.elapsed() && start.elapsed() < length {
                caller.call(draw.below(64), &mut done)?;
                due += each;
            }
            std::thread::sleep(TICK);
        }
        Ok(done)
    })
}

/// Runs so many threads from the same moment on and adds up what they did.
fn together(
    node: &Tuplix,
    threads: usize,
    work: impl Fn(&mut Caller, usize, Instant) -> anyhow::Result<Done> + Sync,
) -> anyhow::Result<Done> {
    let callers: Vec<Caller> = (0..threads).map(|_| Caller::new(node)).collect::<anyhow::Result<_>>()?;
    let start = Instant::now();
    let outcomes: Vec<anyhow::Result<Done>> = std::thread::scope(|scope| {
        let spawn = |(number, mut caller): (usize, Caller)| {
            let work = &work;
            scope.spawn(move || work(&mut caller, number, start))
        };
        let threads: Vec<_> = callers.into_iter().enumerate().map(spawn).collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|outcome| outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("a client panicked")))).collect()
    });
    let mut sum = Done::nothing()?;
    for outcome in outcomes {
        sum.add(&outcome?)?;
    }
    Ok(sum)
}
