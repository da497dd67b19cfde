//! Runs a case on several threads for a while and summarises.

// Benchmarks measure real time, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Plan;
use crate::report::{Figure, Report};

/// A case's labels.
#[derive(Clone, Debug)]
pub struct Case {
    /// Suite.
    pub suite: &'static str,
    /// Case.
    pub case: String,
    /// System.
    pub system: &'static str,
    /// `off`, `async` or `sync`.
    pub log: &'static str,
    /// Threads.
    pub clients: usize,
}

/// Calls between looks at the clock: the clock costs tens of nanoseconds.
const BATCH: u64 = 32;

/// One client: does one operation a call.
pub type Client<'a> = Box<dyn FnMut() -> anyhow::Result<()> + Send + 'a>;

/// What one run gave.
struct Run {
    per_second: f64,
    latency_ns: Histogram<u64>,
}

/// Runs the case and reports throughput and latency.
///
/// # Errors
/// The first error of any client.
pub fn measure<'a>(
    plan: &Plan,
    report: &mut Report,
    case: &Case,
    mut clients: impl FnMut() -> anyhow::Result<Vec<Client<'a>>>,
) -> anyhow::Result<()> {
    if !plan.wants_case(&case.case, case.log) {
        return Ok(());
    }
    let mut runs = Vec::new();
    for _ in 0..plan.runs {
        runs.push(run_once(plan.run, clients()?)?);
    }
    let figure = |metric, values: Vec<f64>| summary(case, metric, values);
    report.add(figure("throughput_per_s", runs.iter().map(|run| run.per_second).collect()));
    for (metric, quantile) in [("latency_us_p50", 0.5), ("latency_us_p99", 0.99)] {
        let values =
            runs.iter().map(|run| run.latency_ns.value_at_quantile(quantile) as f64 / 1000.0).collect();
        report.add(figure(metric, values));
    }
    Ok(())
}

fn summary(case: &Case, metric: &'static str, mut values: Vec<f64>) -> Figure {
    values.sort_by(f64::total_cmp);
    Figure {
        suite: case.suite,
        case: case.case.clone(),
        system: case.system.to_owned(),
        log: case.log,
        clients: case.clients,
        metric,
        min: values[0],
        median: values[values.len() / 2],
        max: values[values.len() - 1],
    }
}

fn run_once(length: Duration, clients: Vec<Client<'_>>) -> anyhow::Result<Run> {
    let barrier = Barrier::new(clients.len());
    let failed = AtomicBool::new(false);
    let outcomes: Vec<anyhow::Result<Run>> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| drive(length, client, &barrier, &failed)))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("a client panicked")),
        };
        threads.into_iter().map(join).collect()
    });
    let mut total = Run { per_second: 0.0, latency_ns: Histogram::new(3)? };
    for outcome in outcomes {
        let run = outcome?;
        total.per_second += run.per_second;
        total.latency_ns.add(run.latency_ns)?;
    }
    Ok(total)
}

fn drive(
    length: Duration,
    mut client: Client<'_>,
    barrier: &Barrier,
    failed: &AtomicBool,
) -> anyhow::Result<Run> {
    let mut latency_ns = Histogram::new(3)?;
    barrier.wait();
    let start = Instant::now();
    let mut operations = 0_u64;
    let outcome = loop {
        // One call of each batch is timed by itself.
        let before = Instant::now();
        if let Err(error) = client() {
            break Err(error);
        }
        latency_ns.record(before.elapsed().as_nanos() as u64)?;
        if let Some(error) = (1..BATCH).find_map(|_| client().err()) {
            break Err(error);
        }
        operations += BATCH;
        if before.duration_since(start) >= length || failed.load(Ordering::Relaxed) {
            break Ok(());
        }
    };
    let per_second = operations as f64 / start.elapsed().as_secs_f64();
    if outcome.is_err() {
        failed.store(true, Ordering::Relaxed);
    }
    outcome.map(|()| Run { per_second, latency_ns })
}

/// A small fast generator: what the benchmarks draw partitions from.
pub struct Draw(u64);

impl Draw {
    /// A sequence of its own for each number.
    pub fn new(number: u64) -> Draw {
        Draw(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u64::from(self.0 as u32) * u64::from(bound)) >> 32) as u32
    }
}
