//! `history`: rows like those of finished tasks and consumed messages, many more than fit into the limit on memory.
//!
//! Both tables are spooled: checkpoints write their rows to segments on disk and let go of them. Said are the largest resident size of each
//! tenth of the load, and what queries over all of it take. It is an error when a row is missing or the process grows with the history.

use std::time::Instant;

use tuplix::{Options, Session, SessionOptions, Tuplix, Value};

use crate::Plan;
use crate::growth::resident_bytes;
use crate::measure::{Case, summary};
use crate::report::Report;

/// Rows that one INSERT loads.
const LOAD: u64 = 20_000;

const SCHEMA: &str = "
    CREATE TABLE task_past (p_key integer NOT NULL, task_id bigint NOT NULL, worker_id bigint, state text NOT NULL,
                            owner text NOT NULL, program text NOT NULL, attempt integer NOT NULL, exit_code integer,
                            user_time_us bigint, peak_memory bigint, submitted_at timestamptz NOT NULL,
                            started_at timestamptz, finished_at timestamptz NOT NULL);
    SELECT create_distributed_table('task_past', 'p_key');
    SELECT spool_table('task_past');
    CREATE TABLE message_past (p_key integer NOT NULL, message_id bigint NOT NULL, sender bigint NOT NULL,
                               receiver bigint NOT NULL, sent_at timestamptz NOT NULL, body bytea NOT NULL);
    SELECT create_distributed_table('message_past', 'p_key');
    SELECT spool_table('message_past');
    SET synchronous_commit = off;
";

/// Runs the suite.
///
/// # Errors
/// What loading and asking find; a wrong answer; memory that grows.
#[allow(clippy::disallowed_methods)]
pub fn run(plan: &Plan, report: &mut Report, rows: u64, memory: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&plan.dir)?;
    let options = Options { dir: Some(folder.path().to_owned()), memory: Some(memory), ..Options::default() };
    let node = Tuplix::open_with(&options)?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(SCHEMA)?;
    let case =
        |name: String| Case { suite: "history", case: name, system: "tuplix", log: "async", clients: 1 };
    let mut resident = Vec::new();
    let started = Instant::now();
    for tenth in 0..10 {
        let mut largest = 0;
        let (from, to) = (rows * tenth / 10, rows * (tenth + 1) / 10);
        for first in (from..to).step_by(LOAD as usize) {
            load(&mut session, first, (first + LOAD).min(to) - 1)?;
            largest = largest.max(resident_bytes()?);
        }
        let done = case(format!("load/{to}"));
        report.add(summary(&done, "resident_bytes", vec![largest as f64]));
        resident.push(largest);
    }
    let seconds = started.elapsed().as_secs_f64();
    report.add(summary(&case("load".to_owned()), "throughput_per_s", vec![2.0 * rows as f64 / seconds]));
    let (early, late) = (resident[2], resident[9]);
    anyhow::ensure!(
        late <= memory && late <= early + early / 2,
        "memory grows with the history: {early} bytes after 3 tenths, {late} at the end, the limit is {memory}"
    );
    let middle = rows / 2;
    let wanted = rows as i64;
    let queries = [
        ("count tasks", "SELECT count(*) FROM task_past".to_owned(), wanted),
        ("count messages", "SELECT count(*) FROM message_past".to_owned(), wanted),
        (
            "failed tasks",
            "SELECT count(*) FROM task_past WHERE state = 'failed'".to_owned(),
            (wanted + 99) / 100,
        ),
        ("distinct owners", "SELECT count(DISTINCT owner) FROM task_past".to_owned(), wanted.min(100)),
        (
            "a task",
            format!("SELECT count(*) FROM task_past WHERE p_key = {} AND task_id = {middle}", middle % 64),
            1,
        ),
        (
            "a thousand tasks",
            format!("SELECT count(*) FROM task_past WHERE task_id BETWEEN {middle} AND {}", middle + 999),
            1000.min(wanted - middle as i64),
        ),
    ];
    for (name, sql, wanted) in queries {
        let mut times = Vec::new();
        for _ in 0..plan.runs {
            let started = Instant::now();
            let answer = session.query(&sql, &[])?.get(0, 0).and_then(Value::as_i64);
            times.push(started.elapsed().as_secs_f64() * 1e6);
            anyhow::ensure!(answer == Some(wanted), "{sql} gives {answer:?}, not {wanted}");
        }
        report.add(summary(&case(name.to_owned()), "latency_us_p50", times));
    }
    report.add(summary(&case("asked".to_owned()), "resident_bytes", vec![resident_bytes()? as f64]));
    let bytes = session.query("SELECT sum(bytes)::bigint FROM tuplix.history", &[])?;
    let bytes = bytes.get(0, 0).and_then(Value::as_i64).unwrap_or(0) as f64;
    report.add(summary(&case("on disk".to_owned()), "bytes_per_row", vec![bytes / (2 * rows) as f64]));
    drop(session);
    Ok(node.close()?)
}

fn load(session: &mut Session, first: u64, last: u64) -> anyhow::Result<()> {
    session.execute(&format!(
        "INSERT INTO task_past
         SELECT (i % 64)::integer, i, i % 40, CASE WHEN i % 100 = 0 THEN 'failed' ELSE 'done' END, 'user' || i % 100,
                '/usr/bin/program-' || i % 1000, 1, CASE WHEN i % 100 = 0 THEN 1 ELSE 0 END, i % 100000, i % 10000 * 4096,
                s, s + interval '1 millisecond', s + i % 1000 * interval '1 millisecond'
           FROM generate_series({first}::bigint, {last}::bigint) i,
                LATERAL (SELECT '2026-01-01'::timestamptz + i * interval '10 microseconds') t(s);
         INSERT INTO message_past
         SELECT (i % 64)::integer, i, i % 1000, i % 977, '2026-01-01'::timestamptz + i * interval '10 microseconds',
                convert_to('message ' || i || ' with a body', 'UTF8')
           FROM generate_series({first}::bigint, {last}::bigint) i"
    ))?;
    Ok(())
}
