//! `recovery`: how long a start takes with so many bytes on disk, all of them a checkpoint, all of them log, half and half; and
//! `checkpoint`: what a checkpoint costs those who write meanwhile.

// The benchmark waits in real time, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tuplix::{Durability, LogMode, Options, Rows, SessionOptions, Tuplix, TypeId, Value};

use crate::Plan;
use crate::measure::{Case, Client, Draw, Quantile, measure_quantiles, summary};
use crate::report::Report;

const BUCKETS: u32 = 64;
/// Rows that are inserted by one statement.
const BATCH: u64 = 20_000;
const CLIENTS: usize = 2;
/// Rows of the table that is written while checkpoints are made.
const CHECKPOINTED_ROWS: u32 = 2_000_000;
/// The last shows what a cut makes others wait.
const QUANTILES: &[Quantile] =
    &[("latency_us_p50", 0.5), ("latency_us_p99", 0.99), ("latency_us_p999", 0.999), ("latency_us_max", 1.0)];

fn options(dir: &Path, durability: Durability) -> Options {
    Options { dir: Some(dir.to_owned()), log: LogMode::On, durability, ..Options::default() }
}

/// No checkpoint by itself.
fn by_hand() -> Durability {
    Durability { checkpoint_log_bytes: 0, ..Durability::default() }
}

/// Fills a node: rows of about 70 bytes with a primary key and an ordered index.
struct Filler {
    node: Tuplix,
    next: u64,
}

impl Filler {
    fn new(dir: &Path) -> anyhow::Result<Filler> {
        let node = Tuplix::open_with(&options(dir, by_hand()))?;
        node.session(&SessionOptions::default())?.execute(
            "CREATE TABLE item (p_key integer NOT NULL, id bigint NOT NULL, at timestamptz NOT NULL, amount bigint NOT NULL,
                                what text NOT NULL, PRIMARY KEY (p_key, id));
             CREATE INDEX item_at ON item (p_key, at);
             SELECT create_distributed_table('item', 'p_key')",
        )?;
        Ok(Filler { node, next: 0 })
    }

    /// Inserts until so many bytes of log were written, counted from here.
    fn fill(&mut self, bytes: u64) -> anyhow::Result<()> {
        let mut session = self.node.session(&SessionOptions::default())?;
        session.set("synchronous_commit", "off")?;
        let log = session.prepare("SELECT bytes FROM tuplix.log", &[])?;
        let first = log_bytes(&mut session, &log)?;
        while log_bytes(&mut session, &log)? < first + bytes {
            let sql = format!(
                "INSERT INTO item SELECT i % {BUCKETS}, i, '2026-01-01'::timestamptz + i * interval '1 second', i * 7,
                        'what happened in row ' || i
                 FROM generate_series({}, {}) i",
                self.next,
                self.next + BATCH - 1
            );
            session.execute(&sql)?;
            self.next += BATCH;
        }
        Ok(())
    }
}

fn log_bytes(session: &mut tuplix::Session, log: &tuplix::Prepared) -> anyhow::Result<u64> {
    let mut rows = Rows::new();
    session.call(log, &[], &mut rows)?;
    Ok(rows.get(0, 0).and_then(Value::as_i64).and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
}

/// Starts, with `bytes` of checkpoint and log.
///
/// # Errors
/// What the engine finds.
pub fn run(plan: &Plan, report: &mut Report, bytes: u64) -> anyhow::Result<()> {
    for (name, checkpoint, log) in
        [("checkpoint", bytes, 0), ("log", 0, bytes), ("half_and_half", bytes / 2, bytes / 2)]
    {
        if !plan.wants_case(name, "async") {
            continue;
        }
        let folder = tempfile::tempdir_in(&plan.dir)?;
        let mut filler = Filler::new(folder.path())?;
        filler.fill(checkpoint)?;
        if checkpoint > 0 {
            filler.node.checkpoint()?;
        }
        filler.fill(log)?;
        filler.node.close()?;
        let rows = filler.next;
        drop(filler);
        let (mut seconds, mut processor) = (Vec::new(), Vec::new());
        let mut read = 0;
        for _ in 0..plan.runs {
            let started = start_elsewhere(folder.path())?;
            seconds.push(started.seconds);
            processor.push(started.processor_seconds);
            read = started.bytes;
            anyhow::ensure!(started.rows == rows, "rows are gone");
        }
        let case =
            Case { suite: "recovery", case: name.to_owned(), system: "tuplix", log: "async", clients: 1 };
        report.add(summary(&case, "seconds", seconds.clone()));
        report.add(summary(&case, "processor_seconds", processor));
        report.add(summary(&case, "bytes_read", vec![read as f64]));
        let per_second = seconds.iter().map(|seconds| read as f64 / seconds).collect();
        report.add(summary(&case, "bytes_per_s", per_second));
    }
    Ok(())
}

/// A start.
#[derive(serde::Serialize, serde::Deserialize)]
struct Started {
    seconds: f64,
    processor_seconds: f64,
    /// Bytes of checkpoint and log.
    bytes: u64,
    rows: u64,
}

/// Starts on a data directory in a process of its own, whose memory nobody has touched before.
fn start_elsewhere(folder: &Path) -> anyhow::Result<Started> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let output = command.arg("start").arg(folder).stderr(std::process::Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the process that starts ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What the process of a start does.
///
/// # Errors
/// What the engine finds.
#[allow(clippy::print_stdout)]
pub fn start(folder: &Path) -> anyhow::Result<()> {
    let (started, processor_before) = (Instant::now(), processor_seconds()?);
    let node = Tuplix::open_with(&options(folder, by_hand()))?;
    let (seconds, processor) = (started.elapsed().as_secs_f64(), processor_seconds()? - processor_before);
    let recovered = node.recovery_report();
    let bytes = recovered.bytes + recovered.checkpoint.map_or(0, |checkpoint| checkpoint.bytes);
    let count = node.session(&SessionOptions::default())?.query("SELECT count(*) FROM item", &[])?;
    let rows = count.get(0, 0).and_then(Value::as_i64).unwrap_or(0).cast_unsigned();
    let started = Started { seconds, processor_seconds: processor, bytes, rows };
    println!("{}", serde_json::to_string(&started)?);
    Ok(node.close()?)
}

/// What all threads of this process took of the processors (proc(5), `/proc/self/stat`): says more than the clock on a busy machine.
fn processor_seconds() -> anyhow::Result<f64> {
    /// Of the clock that the kernel shows: `getconf CLK_TCK` is 100 on all of Linux's machines.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in brackets may have blanks; user and system time are the 12th and 13th field behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    let ticks: Vec<f64> = fields.take(2).map(str::parse).collect::<Result<_, _>>()?;
    anyhow::ensure!(ticks.len() == 2, "/proc/self/stat has too few fields");
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// Updates, alone and with one checkpoint after the other at the default rate.
///
/// # Errors
/// What the engine finds.
pub fn run_checkpoint(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&plan.dir)?;
    for (name, every) in [("alone", 0), ("checkpoints", 1 << 20)] {
        let durability = Durability { checkpoint_log_bytes: every, ..Durability::default() };
        let node = Tuplix::open_with(&options(folder.path(), durability))?;
        let mut session = node.session(&SessionOptions::default())?;
        session.execute(&format!(
            "DROP TABLE IF EXISTS item;
             CREATE TABLE item (p_key integer NOT NULL, id integer NOT NULL, value bigint NOT NULL, PRIMARY KEY (p_key, id));
             SELECT create_distributed_table('item', 'p_key');
             INSERT INTO item SELECT i % {BUCKETS}, i / {BUCKETS}, 0 FROM generate_series(0, {}) i",
            CHECKPOINTED_ROWS - 1
        ))?;
        drop(session);
        let case = Case {
            suite: "checkpoint",
            case: format!("update/{name}"),
            system: "tuplix",
            log: "async",
            clients: CLIENTS,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let made = count_checkpoints(&folder.path().join("checkpoint"), &stop);
        let outcome = measure_quantiles(plan, report, &case, QUANTILES, || {
            (0..CLIENTS).map(|number| client(&node, number)).collect()
        });
        stop.store(true, Ordering::Relaxed);
        let made = made.join().map_err(|_| anyhow::anyhow!("the thread that counts checkpoints panicked"))?;
        outcome?;
        report.add(summary(&case, "checkpoints", vec![made as f64]));
        node.close()?;
    }
    Ok(())
}

/// Looks for new checkpoints in a folder until told to stop.
fn count_checkpoints(folder: &Path, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<usize> {
    let (folder, stop) = (folder.to_owned(), stop.clone());
    std::thread::spawn(move || {
        let mut seen = std::collections::BTreeSet::new();
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            seen.extend(
                names
                    .map(|entry| entry.file_name())
                    .filter(|name| name.to_string_lossy().ends_with(".checkpoint")),
            );
        }
        seen.len()
    })
}

fn client(node: &Tuplix, number: usize) -> anyhow::Result<Client<'static>> {
    let mut session = node.session(&SessionOptions::default())?;
    session.set("synchronous_commit", "off")?;
    let update = "UPDATE item SET value = value + 1 WHERE p_key = $1 AND id = $2";
    let update = session.prepare(update, &[TypeId::INT4, TypeId::INT4])?;
    let mut rows = Rows::new();
    let mut draw = Draw::new(number as u64 + 1);
    Ok(Box::new(move || {
        let key = [
            Value::Int4(draw.below(BUCKETS) as i32),
            Value::Int4(draw.below(CHECKPOINTED_ROWS / BUCKETS) as i32),
        ];
        session.call(&update, &key, &mut rows)?;
        anyhow::ensure!(rows.tag.rows == Some(1), "a row is gone");
        Ok(())
    }))
}
