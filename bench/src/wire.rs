//! `wire`: Tuplix and PostgreSQL through the same driver (tokio-postgres), over local sockets, with the same fsync setting, in
//! the same run: a point select, the FIFO scheduler as one call, and a transaction of three statements, for 1 to 64 connections; and the
//! select of a role that 0 to 100 row-level security policies bind, for one connection.
//!
//! A client is a thread with a connection and a runtime of its own. Unpipelined, it waits for each answer. Pipelined, it sends
//! [`DEPTH`] selects or calls at a time and waits for all of them, so its latency is that of the batch; of a transaction it sends
//! all statements at once. Every reply waits for the disk.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client as Driver, NoTls, Statement};
use tuplix::{Options, Tuplix};
use tuplix_support::{PostgresCluster, PostgresOptions};
use tuplix_wire::{Server, ServerOptions};

use crate::Plan;
use crate::measure::{Case, Client, Draw, measure_batches};
use crate::report::Report;

const SCHEMA: &str = include_str!("../sql/fifo.sql");
const RECORDS: &str = include_str!("../sql/wire.sql");
const BUCKETS: u32 = 64;
const ROWS: u32 = 100_000;
const CAPACITY: u32 = 2_000_000_000;
/// Requests of a pipelined client that are on their way together.
const DEPTH: u64 = 32;
const CONNECTIONS: [usize; 4] = [1, 8, 32, 64];
/// Partitions of Tuplix, whatever the machine has.
const PARTITIONS: usize = 4;

/// What a client asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Select,
    Fifo,
    Transaction,
    /// The select of a role that so many row-level security policies bind.
    Policies(u32),
}

/// Each a case of its own, the same statement.
const POLICIES: [u32; 4] = [0, 1, 10, 100];

impl Load {
    fn name(self) -> String {
        match self {
            Load::Select => "select".to_owned(),
            Load::Fifo => "fifo".to_owned(),
            Load::Transaction => "transaction".to_owned(),
            Load::Policies(count) => format!("policies_{count}"),
        }
    }
}

/// Runs the suite.
///
/// # Errors
/// What a system reports.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let systems = [plan.wants("tuplix"), plan.wants("postgres")];
    let node = if systems[0] { Some(Node::start(plan)?) } else { None };
    let cluster = if systems[1] { Some(start_postgres()?) } else { None };
    let addresses: Vec<(&'static str, String)> = [
        node.as_ref().map(|node| ("tuplix", node.address.clone())),
        cluster.as_ref().map(|cluster| ("postgres", cluster.socket_url())),
    ]
    .into_iter()
    .flatten()
    .collect();
    for (system, address) in &addresses {
        prepare(system, address)?;
    }
    let mut run = 0;
    let plain = [Load::Select, Load::Fifo, Load::Transaction];
    let guarded = POLICIES.map(Load::Policies);
    for load in plain.into_iter().chain(guarded) {
        for pipelined in [false, true] {
            let connections: &[usize] =
                if guarded.contains(&load) { &CONNECTIONS[..1] } else { &CONNECTIONS };
            for &connections in connections {
                // One after the other in the same minute: both see the same machine.
                for (system, address) in &addresses {
                    let suffix = if pipelined { "_pipelined" } else { "" };
                    let case = Case {
                        suite: "wire",
                        case: format!("{}{suffix}", load.name()),
                        system,
                        log: "sync",
                        clients: connections,
                    };
                    let depth = if pipelined && load != Load::Transaction { DEPTH } else { 1 };
                    measure_batches(plan, report, &case, depth, || {
                        run += 1;
                        (0..connections)
                            .map(|number| client(address, (load, pipelined), depth, run, number))
                            .collect()
                    })?;
                }
            }
        }
    }
    Ok(())
}

/// A node of Tuplix with its server, on threads of its own.
struct Node {
    node: Tuplix,
    address: String,
    runtime: Option<Runtime>,
    _folder: tempfile::TempDir,
}

impl Node {
    fn start(plan: &Plan) -> anyhow::Result<Node> {
        let folder = tempfile::tempdir_in(&plan.dir)?;
        let data = folder.path().join("data");
        let node =
            Tuplix::open_with(&Options { dir: Some(data), partitions: PARTITIONS, ..Options::default() })?;
        // Under the name that PostgreSQL's clusters have, and with as much to say.
        node.session(&Default::default())?.execute("CREATE ROLE postgres SUPERUSER LOGIN")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let options = ServerOptions {
            tcp: None,
            socket_directory: Some(folder.path().to_owned()),
            ..ServerOptions::default()
        };
        let server = runtime.block_on(Server::bind(options))?;
        let address = address(folder.path(), tuplix_wire::DEFAULT_PORT);
        runtime.spawn(server.serve(node.clone(), std::future::pending()));
        Ok(Node { node, address, runtime: Some(runtime), _folder: folder })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // The run is over; a folder that is about to be removed need not be whole.
        drop(self.node.close());
    }
}

fn address(folder: &Path, port: u16) -> String {
    let folder = folder.display().to_string().replace('/', "%2F");
    format!("postgres://postgres@{folder}:{port}/postgres")
}

fn start_postgres() -> anyhow::Result<PostgresCluster> {
    let settings = vec![("max_connections".to_owned(), "200".to_owned())];
    let options =
        PostgresOptions { fsync: true, synchronous_commit: true, settings, ..PostgresOptions::default() };
    PostgresCluster::start_with(&options)
}

/// Makes tables and rows; on PostgreSQL the words of Citus mean nothing.
fn prepare(system: &str, address: &str) -> anyhow::Result<()> {
    let node = if system == "tuplix" { Tuplix::at(address)? } else { Tuplix::connect(address)? };
    let mut session = node.session(&Default::default())?;
    let workers = format!(
        "INSERT INTO worker SELECT p, w, {CAPACITY} FROM generate_series(0, {}) p, generate_series(1, 10) w",
        BUCKETS - 1
    );
    for text in [SCHEMA, &workers, RECORDS] {
        session.execute(text)?;
    }
    for count in POLICIES {
        session.execute(&guarded(count))?;
    }
    Ok(())
}

/// A copy of the records with so many policies for everybody, each for one kind of them; all records pass.
fn guarded(count: u32) -> String {
    let table = format!("record_{count}");
    let mut text = format!(
        "CREATE TABLE {table} (LIKE record INCLUDING ALL);
         SELECT create_distributed_table('{table}', 'p_key');
         INSERT INTO {table} SELECT * FROM record;
         DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT SELECT ON {table} TO reader;"
    );
    if count > 0 {
        text.push_str(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"));
    }
    // All rows have the balance 0, which the last policy by name lets through.
    for number in 0..count {
        let balance = count - 1 - number;
        text.push_str(&format!("CREATE POLICY p{number:02} ON {table} USING (balance = {balance});"));
    }
    text
}

/// A connection, and what it runs.
struct Connection {
    runtime: Runtime,
    driver: Arc<Driver>,
    statements: Vec<Statement>,
    draw: Draw,
    next: i64,
}

fn client(
    address: &str,
    (load, pipelined): (Load, bool),
    depth: u64,
    run: i64,
    number: usize,
) -> anyhow::Result<Client<'static>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (driver, connection) = runtime.block_on(tokio_postgres::connect(address, NoTls))?;
    // Its end is seen by the next request.
    runtime.spawn(async { drop(connection.await) });
    let guarded_select;
    if let Load::Policies(_) = load {
        runtime.block_on(driver.batch_execute("SET ROLE reader"))?;
    }
    let texts: &[&str] = match load {
        Load::Policies(count) => {
            guarded_select =
                [format!("SELECT name, balance FROM record_{count} WHERE p_key = $1 AND id = $2")];
            &guarded_select.each_ref().map(String::as_str)
        }
        Load::Select => &["SELECT name, balance FROM record WHERE p_key = $1 AND id = $2"],
        Load::Fifo => &["SELECT schedule_simple($1, $2)"],
        Load::Transaction => &[
            "SELECT balance FROM record WHERE p_key = $1 AND id = $2 FOR UPDATE",
            "UPDATE record SET balance = balance + 1 WHERE p_key = $1 AND id = $2",
            "INSERT INTO history (p_key, id, change) VALUES ($1, $2, 1)",
        ],
    };
    let prepare = async {
        let mut statements = Vec::new();
        for text in texts {
            statements.push(driver.prepare(text).await?);
        }
        Ok::<_, tokio_postgres::Error>(statements)
    };
    let statements = runtime.block_on(prepare)?;
    let next = (run << 40) | ((number as i64) << 32);
    let draw = Draw::new(run as u64 * 64 + number as u64 + 1);
    let mut connection = Connection { runtime, driver: Arc::new(driver), statements, draw, next };
    Ok(Box::new(move || connection.batch(load, pipelined, depth)))
}

impl Connection {
    /// Sends so many requests and waits for all answers.
    fn batch(&mut self, load: Load, pipelined: bool, depth: u64) -> anyhow::Result<()> {
        let mut requests = Vec::with_capacity(depth as usize);
        for _ in 0..depth {
            let record = i64::from(self.draw.below(ROWS));
            self.next += 1;
            requests.push((record, self.next));
        }
        let (driver, statements) = (&self.driver, &self.statements);
        self.runtime.block_on(async {
            let answers =
                requests.iter().map(|(record, id)| ask(driver, statements, (load, pipelined), *record, *id));
            futures::future::try_join_all(answers).await.map(drop)
        })
    }
}

/// One request and its answer.
async fn ask(
    driver: &Driver,
    statements: &[Statement],
    load: (Load, bool),
    record: i64,
    id: i64,
) -> anyhow::Result<()> {
    let bucket = (record % i64::from(BUCKETS)) as i32;
    match load {
        (Load::Select | Load::Policies(_), _) => {
            let row = driver.query_one(&statements[0], &[&bucket, &record]).await?;
            anyhow::ensure!(!row.get::<_, &str>(0).is_empty(), "record {record} has no name");
        }
        (Load::Fifo, _) => {
            let row = driver.query_one(&statements[0], &[&bucket, &id]).await?;
            row.get::<_, Option<i32>>(0).context("no worker was free")?;
        }
        (Load::Transaction, true) => {
            let (of_record, of_history): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 2]) =
                ([&bucket, &record], [&bucket, &id]);
            // Sent in this order, when they are polled for the first time.
            futures::try_join!(
                driver.batch_execute("BEGIN"),
                driver.query_one(&statements[0], &of_record),
                driver.execute(&statements[1], &of_record),
                driver.execute(&statements[2], &of_history),
                driver.batch_execute("COMMIT"),
            )?;
        }
        (Load::Transaction, false) => {
            driver.batch_execute("BEGIN").await?;
            driver.query_one(&statements[0], &[&bucket, &record]).await?;
            driver.execute(&statements[1], &[&bucket, &record]).await?;
            driver.execute(&statements[2], &[&bucket, &id]).await?;
            driver.batch_execute("COMMIT").await?;
        }
    }
    Ok(())
}
