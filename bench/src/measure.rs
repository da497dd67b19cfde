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
/// Operations of this length are timed one by one.
const LONG: Duration = Duration::from_micros(20);
/// Operations before the clock runs.
const WARM_UP: usize = 3;

/// A metric and its quantile of the latencies.
pub type Quantile = (&'static str, f64);

/// The quantiles of nearly all cases.
const QUANTILES: &[Quantile] = &[("latency_us_p50", 0.5), ("latency_us_p99", 0.99)];

/// One client: does one operation a call.
pub type Client<'a> = Box<dyn FnMut() -> anyhow::Result<()> + Send + 'a>;

/// What one run gave.
pub struct Run {
    per_second: f64,
    latency_ns: Histogram<u64>,
}

impl Run {
    /// A run of one client elsewhere, by how long each of its operations took.
    ///
    /// # Errors
    /// When there is none.
    pub fn of_latencies(seconds: &[f64]) -> anyhow::Result<Run> {
        anyhow::ensure!(!seconds.is_empty(), "a run of no operations");
        let mut latency_ns = Histogram::new(3)?;
        for latency in seconds {
            latency_ns.record((latency * 1e9) as u64)?;
        }
        Ok(Run { per_second: seconds.len() as f64 / seconds.iter().sum::<f64>(), latency_ns })
    }
}

/// Runs the case and reports throughput and latency.
///
/// # Errors
/// The first error of any client.
pub fn measure<'a>(
    plan: &Plan,
    report: &mut Report,
    case: &Case,
    clients: impl FnMut() -> anyhow::Result<Vec<Client<'a>>>,
) -> anyhow::Result<()> {
    measure_quantiles(plan, report, case, QUANTILES, clients)
}

/// The same where each call of a client is a batch of so many operations: throughput counts these, latency is the batch's.
///
/// # Errors
/// The first error of any client.
pub fn measure_batches<'a>(
    plan: &Plan,
    report: &mut Report,
    case: &Case,
    operations: u64,
    clients: impl FnMut() -> anyhow::Result<Vec<Client<'a>>>,
) -> anyhow::Result<()> {
    measure_runs(plan, report, case, QUANTILES, operations, clients)
}

/// The same with other quantiles.
///
/// # Errors
/// The first error of any client.
pub fn measure_quantiles<'a>(
    plan: &Plan,
    report: &mut Report,
    case: &Case,
    quantiles: &[Quantile],
    clients: impl FnMut() -> anyhow::Result<Vec<Client<'a>>>,
) -> anyhow::Result<()> {
    measure_runs(plan, report, case, quantiles, 1, clients)
}

fn measure_runs<'a>(
    plan: &Plan,
    report: &mut Report,
    case: &Case,
    quantiles: &[Quantile],
    operations: u64,
    mut clients: impl FnMut() -> anyhow::Result<Vec<Client<'a>>>,
) -> anyhow::Result<()> {
    if !plan.wants_case(&case.case, case.log) {
        return Ok(());
    }
    let mut runs = Vec::new();
    for _ in 0..plan.runs {
        let mut run = run_once(plan.run, clients()?)?;
        run.per_second *= operations as f64;
        runs.push(run);
    }
    add_runs(report, case, quantiles, &runs);
    Ok(())
}

/// Reports runs made elsewhere.
pub fn add_measured(report: &mut Report, case: &Case, runs: &[Run]) {
    add_runs(report, case, QUANTILES, runs);
}

fn add_runs(report: &mut Report, case: &Case, quantiles: &[Quantile], runs: &[Run]) {
    let throughput = runs.iter().map(|run| run.per_second).collect();
    report.add(summary(case, "throughput_per_s", throughput));
    for (metric, quantile) in quantiles {
        let micros = |run: &Run| run.latency_ns.value_at_quantile(*quantile) as f64 / 1000.0;
        report.add(summary(case, metric, runs.iter().map(micros).collect()));
    }
}

/// The figure of one metric over the runs.
pub fn summary(case: &Case, metric: &'static str, mut values: Vec<f64>) -> Figure {
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
    let warming = Instant::now();
    let warm = (0..WARM_UP).try_for_each(|_| client());
    let batch = if warming.elapsed() > LONG * WARM_UP as u32 { 1 } else { BATCH };
    // The others wait here too, whatever became of this one.
    barrier.wait();
    if warm.is_err() {
        failed.store(true, Ordering::Relaxed);
        warm?;
    }
    let start = Instant::now();
    let mut operations = 0_u64;
    let outcome = loop {
        // One call of each batch is timed by itself.
        let before = Instant::now();
        if let Err(error) = client() {
            break Err(error);
        }
        latency_ns.record(before.elapsed().as_nanos() as u64)?;
        if let Some(error) = (1..batch).find_map(|_| client().err()) {
            break Err(error);
        }
        operations += batch;
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
