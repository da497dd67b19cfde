//! `scan`: sums over one table in main memory, beside SQLite in memory and DuckDB, which runs in Python when its wheel is there.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use tuplix::{Options, Rows, SessionOptions, Tuplix};

use crate::Plan;
use crate::measure::{Case, Client, Run, add_measured, measure};
use crate::report::Report;

/// The queries, one text for all systems. `v` is 0 to 999,999, `w` is 0 to 99, in no order.
const QUERIES: [(&str, &str); 4] = [
    ("sum", "SELECT sum(v) FROM item"),
    ("filtered", "SELECT sum(v), count(*) FROM item WHERE w < 10"),
    ("min_max", "SELECT min(v), max(v), avg(v) FROM item WHERE w <> 5"),
    ("groups", "SELECT w, sum(v), count(*) FROM item GROUP BY w ORDER BY w"),
];

/// Measures one query in DuckDB: the latency of each of its executions, a line a run.
const DUCKDB: &str = r#"
import sys, time
try:
    import duckdb
except ImportError:
    sys.exit(3)
rows, seconds, runs = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
connection = duckdb.connect()
connection.execute("CREATE TABLE item AS SELECT (i % 64)::INTEGER AS p_key, i AS id, "
                   "(i * 7919) % 1000000 AS v, ((i * 31) % 100)::INTEGER AS w FROM range(" + str(rows) + ") r(i)")
for query in sys.argv[4:]:
    for _ in range(3):
        connection.execute(query).fetchall()
    for _ in range(runs):
        latencies, start = [], time.perf_counter()
        while time.perf_counter() - start < seconds:
            before = time.perf_counter()
            connection.execute(query).fetchall()
            latencies.append(time.perf_counter() - before)
        print(" ".join(map(str, latencies)), flush=True)
"#;
/// How the script says that there is no DuckDB.
const NO_DUCKDB: i32 = 3;
/// Rows that one INSERT loads.
const LOAD: u64 = 100_000;

/// Runs the suite over so many rows.
///
/// # Errors
/// What a system reports.
pub fn run(plan: &Plan, report: &mut Report, rows: u64) -> anyhow::Result<()> {
    if plan.wants("tuplix") {
        tuplix(plan, report, rows)?;
    }
    if plan.wants("sqlite") {
        sqlite(plan, report, rows)?;
    }
    if plan.wants("duckdb") {
        duckdb(plan, report, rows)?;
    }
    Ok(())
}

fn case(name: &str, system: &'static str, clients: usize) -> Case {
    Case { suite: "scan", case: name.to_owned(), system, log: "off", clients }
}

fn tuplix(plan: &Plan, report: &mut Report, rows: u64) -> anyhow::Result<()> {
    let node = Tuplix::open_with(&Options { partitions: 2, ..Options::default() })?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(
        "CREATE TABLE item (p_key integer NOT NULL, id bigint NOT NULL, v bigint NOT NULL, w integer NOT NULL);
         SELECT create_distributed_table('item', 'p_key')",
    )?;
    for first in (0..rows).step_by(LOAD as usize) {
        let last = (first + LOAD).min(rows) - 1;
        session.execute(&format!(
            "INSERT INTO item SELECT (i % 64)::integer, i, (i * 7919) % 1000000, ((i * 31) % 100)::integer
             FROM generate_series({first}::bigint, {last}::bigint) i"
        ))?;
    }
    for (name, query) in QUERIES {
        measure(plan, report, &case(name, "tuplix", 1), || {
            let mut session = node.session(&SessionOptions::default())?;
            let query = session.prepare(query, &[])?;
            let mut out = Rows::new();
            let client: Client<'_> = Box::new(move || {
                session.call(&query, &[], &mut out)?;
                anyhow::ensure!(!out.is_empty(), "a sum has a row");
                Ok(())
            });
            Ok(vec![client])
        })?;
    }
    Ok(node.close()?)
}

fn sqlite(plan: &Plan, report: &mut Report, rows: u64) -> anyhow::Result<()> {
    let connection = rusqlite::Connection::open_in_memory()?;
    connection.execute_batch(
        "CREATE TABLE item (p_key INTEGER NOT NULL, id INTEGER NOT NULL, v INTEGER NOT NULL, w INTEGER NOT NULL); BEGIN",
    )?;
    let mut insert = connection.prepare("INSERT INTO item VALUES (?, ?, ?, ?)")?;
    for i in 0..rows as i64 {
        insert.execute((i % 64, i, (i * 7919) % 1_000_000, (i * 31) % 100))?;
    }
    drop(insert);
    connection.execute_batch("COMMIT")?;
    let connection = Mutex::new(connection);
    for (name, query) in QUERIES {
        let connection = &connection;
        measure(plan, report, &case(name, "sqlite", 1), || {
            let client: Client<'_> = Box::new(move || {
                let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                let mut statement = connection.prepare_cached(query)?;
                let mut rows = statement.query(())?;
                while let Some(row) = rows.next()? {
                    row.get_ref(0)?;
                }
                Ok(())
            });
            Ok(vec![client])
        })?;
    }
    Ok(())
}

/// DuckDB in a process of its own, with as many threads as it likes.
fn duckdb(plan: &Plan, report: &mut Report, rows: u64) -> anyhow::Result<()> {
    let wanted: Vec<_> = QUERIES.iter().filter(|(name, _)| plan.wants_case(name, "off")).collect();
    let output = Command::new("python3")
        .args(["-c", DUCKDB, &rows.to_string(), &plan.run.as_secs_f64().to_string(), &plan.runs.to_string()])
        .args(wanted.iter().map(|(_, query)| query))
        .output();
    let output = match output {
        Ok(output) if output.status.code() == Some(NO_DUCKDB) => {
            return plan.note("DuckDB is not measured: python3 has no module duckdb (pip install duckdb)");
        }
        Ok(output) => output,
        Err(error) => return plan.note(&format!("DuckDB is not measured: python3 cannot be run: {error}")),
    };
    anyhow::ensure!(output.status.success(), "DuckDB failed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (name, _) in wanted {
        let mut runs = Vec::new();
        for line in lines.by_ref().take(plan.runs) {
            let latencies: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
            runs.push(Run::of_latencies(&latencies.context("DuckDB's script printed no number")?)?);
        }
        anyhow::ensure!(runs.len() == plan.runs, "DuckDB's script printed too few runs");
        add_measured(report, &case(name, "duckdb", threads), &runs);
    }
    Ok(())
}
