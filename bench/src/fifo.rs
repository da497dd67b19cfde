//! `fifo/paper`: the papers' figure 2 as a compiled PL/pgSQL procedure, beside SQLite in memory with prepared statements
//! and PostgreSQL with the same PL/pgSQL. Tasks are decided, not executed, on workers that never fill, as in the paper.

use std::collections::VecDeque;

use tuplix::{Commit, LogMode, Options, Rows, Session, SessionOptions, Tuplix, TypeId, Value};
use tuplix_support::{PostgresCluster, PostgresOptions};

use crate::Plan;
use crate::measure::{Case, Client, Draw, measure};
use crate::report::Report;

const SCHEMA: &str = include_str!("../sql/fifo.sql");
const CALL: &str = "SELECT schedule_simple($1, $2)";
const BUCKETS: u32 = 64;
const WORKERS: u32 = 10;
/// No worker fills in a run.
const CAPACITY: u32 = 2_000_000_000;
/// Commits that one synchronous client keeps on their way.
const IN_FLIGHT: usize = 512;
/// PostgreSQL's clients.
const POSTGRES_CLIENTS: usize = 8;

/// Runs the suite.
///
/// # Errors
/// What a system reports.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    if plan.wants("tuplix") {
        let doubled = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < plan.clients);
        let own = doubled.chain([plan.clients]).map(|partitions| (partitions, Draws::Own));
        for (partitions, draws) in own.chain([(plan.clients, Draws::Any)]) {
            for log in ["off", "async", "sync"] {
                tuplix(plan, report, partitions, draws, log)?;
            }
        }
    }
    if plan.wants("sqlite") {
        sqlite(plan, report)?;
    }
    if plan.wants("postgres") {
        for log in ["async", "sync"] {
            postgres(plan, report, log)?;
        }
    }
    Ok(())
}

fn workers_sql() -> String {
    format!(
        "INSERT INTO worker SELECT p, w, {CAPACITY} FROM generate_series(0, {}) p, generate_series(1, {WORKERS}) w",
        BUCKETS - 1
    )
}

/// Which buckets a client draws among.
#[derive(Clone, Copy)]
enum Draws {
    /// Those of its partition: the paper's one scheduler a partition. Schedulers never wait for each other.
    Own,
    /// All: whoever draws a bucket of a partition where another one is at work waits for it.
    Any,
}

/// As many clients as partitions.
fn tuplix(
    plan: &Plan,
    report: &mut Report,
    partitions: usize,
    draws: Draws,
    log: &'static str,
) -> anyhow::Result<()> {
    let suffix = match draws {
        Draws::Own => "",
        Draws::Any => "_any",
    };
    let case = Case {
        suite: "fifo",
        case: format!("paper/{partitions}_partitions{suffix}"),
        system: "tuplix",
        log,
        clients: partitions,
    };
    let mut run = 0;
    measure(plan, report, &case, || {
        run += 1;
        let folder = tempfile::tempdir_in(&plan.dir)?;
        let node = Tuplix::open_with(&Options {
            dir: Some(folder.path().to_owned()),
            partitions,
            log: if log == "off" { LogMode::Off } else { LogMode::On },
            ..Options::default()
        })?;
        let mut session = node.session(&SessionOptions::default())?;
        session.execute(SCHEMA)?;
        session.execute(&workers_sql())?;
        let keeper = std::sync::Arc::new(Keeper { node: node.clone(), _folder: folder });
        let client = |number: usize| {
            let buckets = match draws {
                Draws::Own => "SELECT bucket FROM tuplix.buckets WHERE partition = $1",
                Draws::Any => "SELECT bucket FROM tuplix.buckets WHERE $1 >= 0",
            };
            let rows = session.query(buckets, &[Value::Int4(number as i32)])?;
            let buckets = rows.iter().filter_map(|row| row[0].as_i64().map(|bucket| bucket as i32));
            tuplix_client(&keeper, number, buckets.collect(), log == "sync")
        };
        (0..partitions).map(client).collect()
    })
}

/// Keeps a node's folder until the last client is gone.
struct Keeper {
    node: Tuplix,
    _folder: tempfile::TempDir,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Err(error) = self.node.close() {
            // The run is over; a folder that is about to be removed need not be whole.
            drop(error);
        }
    }
}

fn tuplix_client(
    keeper: &std::sync::Arc<Keeper>,
    number: usize,
    buckets: Vec<i32>,
    synchronous: bool,
) -> anyhow::Result<Client<'static>> {
    anyhow::ensure!(!buckets.is_empty(), "partition {number} has no buckets");
    let keeper = keeper.clone();
    let mut session: Session = keeper.node.session(&SessionOptions::default())?;
    session.set("synchronous_commit", if synchronous { "on" } else { "off" })?;
    let call = session.prepare(CALL, &[TypeId::INT4, TypeId::INT8])?;
    let mut rows = Rows::new();
    let mut draw = Draw::new(number as u64 + 1);
    let mut task = (number as i64) << 40;
    let mut on_their_way: VecDeque<Commit> = VecDeque::with_capacity(IN_FLIGHT);
    Ok(Box::new(move || {
        let _keeper = &keeper;
        task += 1;
        let bucket = buckets[draw.below(buckets.len() as u32) as usize];
        let commit = session.call(&call, &[Value::Int4(bucket), Value::Int8(task)], &mut rows)?;
        anyhow::ensure!(rows.get(0, 0).is_some_and(|worker| !worker.is_null()), "no worker was free");
        if synchronous {
            if on_their_way.len() == IN_FLIGHT
                && let Some(oldest) = on_their_way.pop_front()
            {
                oldest.wait()?;
            }
            on_their_way.push_back(commit);
        }
        Ok(())
    }))
}

/// The same three statements in one transaction, prepared, in process, without a log.
fn sqlite(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let case = Case { suite: "fifo", case: "paper".to_owned(), system: "sqlite", log: "off", clients: 1 };
    measure(plan, report, &case, || {
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE TABLE worker (p_key INTEGER, worker_id INTEGER, unused_capacity INTEGER,
                                  PRIMARY KEY (p_key, worker_id)) WITHOUT ROWID;
             CREATE TABLE task (p_key INTEGER, task_id INTEGER, worker_id INTEGER,
                                PRIMARY KEY (p_key, task_id)) WITHOUT ROWID;",
        )?;
        for bucket in 0..BUCKETS {
            for worker in 1..=WORKERS {
                connection.execute("INSERT INTO worker VALUES (?, ?, ?)", (bucket, worker, CAPACITY))?;
            }
        }
        let mut draw = Draw::new(1);
        let mut task = 0_i64;
        let client: Client<'_> = Box::new(move || {
            task += 1;
            let bucket = draw.below(BUCKETS);
            connection.prepare_cached("BEGIN")?.execute(())?;
            let (worker, capacity): (i64, i64) = connection
                .prepare_cached("SELECT worker_id, unused_capacity FROM worker WHERE unused_capacity > 0 AND p_key = ? LIMIT 1")?
                .query_row((bucket,), |row| Ok((row.get(0)?, row.get(1)?)))?;
            connection
                .prepare_cached("UPDATE worker SET unused_capacity = ? WHERE worker_id = ? AND p_key = ?")?
                .execute((capacity - 1, worker, bucket))?;
            connection
                .prepare_cached("INSERT INTO task VALUES (?, ?, ?)")?
                .execute((bucket, task, worker))?;
            connection.prepare_cached("COMMIT")?.execute(())?;
            Ok(())
        });
        Ok(vec![client])
    })
}

fn postgres(plan: &Plan, report: &mut Report, log: &'static str) -> anyhow::Result<()> {
    let case =
        Case { suite: "fifo", case: "paper".to_owned(), system: "postgres", log, clients: POSTGRES_CLIENTS };
    let options = PostgresOptions { fsync: true, synchronous_commit: true, ..PostgresOptions::default() };
    let cluster = PostgresCluster::start_with(&options)?;
    let node = Tuplix::connect(&cluster.socket_url())?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(SCHEMA)?;
    session.execute(&workers_sql())?;
    let mut run = 0_i64;
    measure(plan, report, &case, || {
        run += 1;
        let client = |number: usize| {
            let mut session = node.session(&SessionOptions::default())?;
            session.set("synchronous_commit", if log == "sync" { "on" } else { "off" })?;
            let call = session.prepare(CALL, &[TypeId::INT4, TypeId::INT8])?;
            let mut rows = Rows::new();
            let mut draw = Draw::new(number as u64 + 1);
            let mut task = (run << 50) | ((number as i64) << 40);
            let client: Client<'_> = Box::new(move || {
                task += 1;
                let bucket = draw.below(BUCKETS) as i32;
                session.call(&call, &[Value::Int4(bucket), Value::Int8(task)], &mut rows)?;
                Ok(())
            });
            Ok(client)
        };
        (0..POSTGRES_CLIENTS).map(client).collect()
    })
}
