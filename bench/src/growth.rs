//! `growth`: what a row costs in time and memory as a table grows from 10^4 to 10^8 narrow rows: the first 10^8 need 16 GB.

use tuplix::{Options, Rows, Session, SessionOptions, Tuplix, TypeId, Value};

use crate::Plan;
use crate::measure::{Case, Client, Draw, measure, summary};
use crate::report::Report;

const BUCKETS: u64 = 64;
/// Rows that one INSERT loads.
const LOAD: u64 = 100_000;

const SCHEMA: &str = "
    CREATE TABLE task (p_key integer NOT NULL, task_id bigint NOT NULL, worker_id integer, state smallint NOT NULL,
                       PRIMARY KEY (p_key, task_id));
    SELECT create_distributed_table('task', 'p_key');
    CREATE FUNCTION finish_task(p integer, t bigint) RETURNS integer LANGUAGE plpgsql AS $$
    DECLARE
        w integer;
    BEGIN
        SELECT worker_id INTO w FROM task WHERE p_key = p AND task_id = t;
        UPDATE task SET state = state # 1::smallint WHERE p_key = p AND task_id = t;
        RETURN w;
    END $$;
";

/// Runs the suite up to so many rows.
///
/// # Errors
/// What opening, preparing and calling find.
pub fn run(plan: &Plan, report: &mut Report, most: u64) -> anyhow::Result<()> {
    let before = resident_bytes()?;
    let node = Tuplix::open_with(&Options { partitions: 2, ..Options::default() })?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(SCHEMA)?;
    let mut rows = 0;
    let mut size = 10_000;
    while size <= most {
        fill(&mut session, rows, size)?;
        rows = size;
        let case =
            Case { suite: "growth", case: format!("rows/{size}"), system: "tuplix", log: "off", clients: 1 };
        measure(plan, report, &case, || Ok(vec![client(&node, size)?]))?;
        let bytes = resident_bytes()?.saturating_sub(before) as f64 / size as f64;
        report.add(summary(&case, "resident_bytes_per_row", vec![bytes]));
        size *= 10;
    }
    Ok(node.close()?)
}

fn fill(session: &mut Session, from: u64, to: u64) -> anyhow::Result<()> {
    for first in (from..to).step_by(LOAD as usize) {
        let last = (first + LOAD).min(to) - 1;
        session.execute(&format!(
            "INSERT INTO task SELECT (i % {BUCKETS})::integer, i, (i % 1000)::integer, 0::smallint
             FROM generate_series({first}::bigint, {last}::bigint) i"
        ))?;
    }
    Ok(())
}

fn client(node: &Tuplix, size: u64) -> anyhow::Result<Client<'static>> {
    let mut session = node.session(&SessionOptions::default())?;
    let call = session.prepare("SELECT finish_task($1, $2)", &[TypeId::INT4, TypeId::INT8])?;
    let mut rows = Rows::new();
    let mut draw = Draw::new(1);
    Ok(Box::new(move || {
        let task = u64::from(draw.below(size as u32));
        let key = [Value::Int4((task % BUCKETS) as i32), Value::Int8(task as i64)];
        session.call(&call, &key, &mut rows)?;
        anyhow::ensure!(rows.get(0, 0).is_some_and(|worker| !worker.is_null()), "task {task} is gone");
        Ok(())
    }))
}

/// What the process has in memory (proc(5), `/proc/self/statm`).
pub fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .ok_or_else(|| anyhow::anyhow!("/proc/self/statm has no second field"))?
        .parse()?;
    Ok(pages * 4096)
}
