//! `ycsb`: the Yahoo! Cloud Serving Benchmark's workloads A, B, C and F, and transactions of ten accesses of which some
//! touch two partitions, as in the Lotus paper's evaluation.
//!
//! Keys are drawn by YCSB's scrambled Zipf distribution with its constant, 0.99. SQLite runs in memory, PostgreSQL with eight
//! clients over its local socket.

use std::sync::Arc;

use tuplix::{Array, LogMode, Options, Prepared, Rows, Session, SessionOptions, Tuplix, TypeId, Value};
use tuplix_support::{PostgresCluster, PostgresOptions};

use crate::Plan;
use crate::measure::{Case, Client, Draw, measure};
use crate::report::Report;

const SCHEMA: &str = include_str!("../sql/ycsb.sql");
const BUCKETS: u64 = 64;
/// Partitions of Tuplix a client: more than one, so that two transactions seldom meet.
const PARTITIONS_A_CLIENT: usize = 4;
const POSTGRES_CLIENTS: usize = 8;
const FIELDS: usize = 10;
const FIELD_BYTES: usize = 100;
/// Accesses of a transaction.
const ACCESSES: usize = 10;
/// YCSB's constant of the Zipf distribution.
const ZIPF: f64 = 0.99;

/// A workload of YCSB.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    /// Reads, in hundredths.
    reads: u32,
    /// What is no read is a read-modify-write.
    modifies: bool,
}

const WORKLOADS: [Workload; 4] = [
    Workload { name: "a", reads: 50, modifies: false },
    Workload { name: "b", reads: 95, modifies: false },
    Workload { name: "c", reads: 100, modifies: false },
    Workload { name: "f", reads: 50, modifies: true },
];

/// Runs the suite over so many records.
///
/// # Errors
/// What a system reports.
pub fn run(plan: &Plan, report: &mut Report, records: u64) -> anyhow::Result<()> {
    anyhow::ensure!(records >= BUCKETS, "--records must be {BUCKETS} or more, not {records}");
    let zipf = Zipf::new(records);
    for workload in WORKLOADS {
        if plan.wants("tuplix") {
            tuplix(plan, report, workload, &zipf)?;
        }
        if plan.wants("sqlite") {
            sqlite(plan, report, workload, &zipf)?;
        }
        if plan.wants("postgres") {
            postgres(plan, report, workload, &zipf)?;
        }
    }
    if plan.wants("tuplix") {
        transactions(plan, report, &zipf)?;
    }
    Ok(())
}

/// Loads the table of a node of either kind.
fn load(session: &mut Session, records: u64) -> anyhow::Result<()> {
    session.execute(SCHEMA)?;
    let fields: Vec<String> = (0..FIELDS)
        .map(|field| format!("repeat(chr(97 + ((k + {field}) % 26)::integer), {FIELD_BYTES})"))
        .collect();
    let rows = format!(
        "INSERT INTO usertable SELECT (k % {BUCKETS})::integer, k, {} FROM generate_series(0, {}::bigint) k",
        fields.join(", "),
        records - 1
    );
    session.execute(&rows)?;
    Ok(())
}

/// The statements of one client.
struct Operations {
    session: Session,
    read: Prepared,
    updates: Vec<Prepared>,
    modify: Prepared,
    rows: Rows,
}

impl Operations {
    fn new(node: &Tuplix) -> anyhow::Result<Operations> {
        let mut session = node.session(&SessionOptions::default())?;
        session.set("synchronous_commit", "off")?;
        let key = [TypeId::INT4, TypeId::INT8];
        let with_value = [TypeId::INT4, TypeId::INT8, TypeId::TEXT];
        let read = session.prepare("SELECT * FROM usertable WHERE p_key = $1 AND ycsb_key = $2", &key)?;
        let mut updates = Vec::new();
        for field in 0..FIELDS {
            let update = format!("UPDATE usertable SET field{field} = $3 WHERE p_key = $1 AND ycsb_key = $2");
            updates.push(session.prepare(&update, &with_value)?);
        }
        let modify = session.prepare("SELECT ycsb_modify($1, $2, $3)", &with_value)?;
        Ok(Operations { session, read, updates, modify, rows: Rows::new() })
    }

    fn run(&mut self, workload: Workload, key: u64, draw: &mut Draw) -> anyhow::Result<()> {
        let bucket = Value::Int4((key % BUCKETS) as i32);
        let id = Value::Int8(key as i64);
        if draw.below(100) < workload.reads {
            self.session.call(&self.read, &[bucket, id], &mut self.rows)?;
            anyhow::ensure!(self.rows.len() == 1, "record {key} is gone");
        } else {
            let call = match workload.modifies {
                true => &self.modify,
                false => &self.updates[draw.below(FIELDS as u32) as usize],
            };
            self.session.call(call, &[bucket, id, Value::text(field(draw))], &mut self.rows)?;
        }
        Ok(())
    }
}

/// A new value for a field.
fn field(draw: &mut Draw) -> String {
    char::from(b'a' + draw.below(26) as u8).to_string().repeat(FIELD_BYTES)
}

/// A node of Tuplix in a folder of its own.
fn open(plan: &Plan, log: &str) -> anyhow::Result<(Tuplix, tempfile::TempDir)> {
    let folder = tempfile::tempdir_in(&plan.dir)?;
    let node = Tuplix::open_with(&Options {
        dir: Some(folder.path().to_owned()),
        partitions: (PARTITIONS_A_CLIENT * plan.clients).min(BUCKETS as usize),
        log: if log == "off" { LogMode::Off } else { LogMode::On },
        ..Options::default()
    })?;
    Ok((node, folder))
}

fn tuplix(plan: &Plan, report: &mut Report, workload: Workload, zipf: &Arc<Zipf>) -> anyhow::Result<()> {
    for log in ["off", "async"] {
        let case = Case {
            suite: "ycsb",
            case: format!("{}/single", workload.name),
            system: "tuplix",
            log,
            clients: plan.clients,
        };
        if !plan.wants_case(&case.case, log) {
            continue;
        }
        let (node, _folder) = open(plan, log)?;
        load(&mut node.session(&SessionOptions::default())?, zipf.items)?;
        measure(plan, report, &case, || clients(&node, plan.clients, workload, zipf))?;
        node.close()?;
    }
    Ok(())
}

fn postgres(plan: &Plan, report: &mut Report, workload: Workload, zipf: &Arc<Zipf>) -> anyhow::Result<()> {
    let case = Case {
        suite: "ycsb",
        case: format!("{}/single", workload.name),
        system: "postgres",
        log: "async",
        clients: POSTGRES_CLIENTS,
    };
    if !plan.wants_case(&case.case, case.log) {
        return Ok(());
    }
    let options = PostgresOptions { fsync: true, synchronous_commit: true, ..PostgresOptions::default() };
    let cluster = PostgresCluster::start_with(&options)?;
    let node = Tuplix::connect(&cluster.socket_url())?;
    load(&mut node.session(&SessionOptions::default())?, zipf.items)?;
    measure(plan, report, &case, || clients(&node, POSTGRES_CLIENTS, workload, zipf))
}

fn clients(
    node: &Tuplix,
    count: usize,
    workload: Workload,
    zipf: &Arc<Zipf>,
) -> anyhow::Result<Vec<Client<'static>>> {
    let client = |number: usize| {
        let mut operations = Operations::new(node)?;
        let zipf = zipf.clone();
        let mut draw = Draw::new(number as u64 + 1);
        let client: Client<'static> = Box::new(move || {
            let key = zipf.key(&mut draw);
            operations.run(workload, key, &mut draw)
        });
        Ok(client)
    };
    (0..count).map(client).collect()
}

/// SQLite in memory, one client, prepared statements.
fn sqlite(plan: &Plan, report: &mut Report, workload: Workload, zipf: &Arc<Zipf>) -> anyhow::Result<()> {
    let case = Case {
        suite: "ycsb",
        case: format!("{}/single", workload.name),
        system: "sqlite",
        log: "off",
        clients: 1,
    };
    measure(plan, report, &case, || {
        let connection = sqlite_table(zipf.items)?;
        let zipf = zipf.clone();
        let mut draw = Draw::new(1);
        let client: Client<'_> = Box::new(move || {
            let key = zipf.key(&mut draw);
            let is_read = draw.below(100) < workload.reads;
            if is_read || workload.modifies {
                if !is_read {
                    connection.prepare_cached("BEGIN")?.execute(())?;
                }
                let mut read = connection.prepare_cached("SELECT * FROM usertable WHERE ycsb_key = ?")?;
                let mut rows = read.query((key as i64,))?;
                let row = rows.next()?.ok_or_else(|| anyhow::anyhow!("record {key} is gone"))?;
                for column in 0..=FIELDS {
                    // Every field is fetched, as ours are.
                    row.get_ref(column)?;
                }
            }
            if !is_read {
                let number = if workload.modifies { 0 } else { draw.below(FIELDS as u32) };
                let update = format!("UPDATE usertable SET field{number} = ? WHERE ycsb_key = ?");
                connection.prepare_cached(&update)?.execute((field(&mut draw), key as i64))?;
                if workload.modifies {
                    connection.prepare_cached("COMMIT")?.execute(())?;
                }
            }
            Ok(())
        });
        Ok(vec![client])
    })
}

fn sqlite_table(records: u64) -> anyhow::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open_in_memory()?;
    let columns: Vec<String> = (0..FIELDS).map(|field| format!("field{field} TEXT NOT NULL")).collect();
    connection.execute_batch(&format!(
        "CREATE TABLE usertable (ycsb_key INTEGER PRIMARY KEY, {}); BEGIN",
        columns.join(", ")
    ))?;
    connection.set_prepared_statement_cache_capacity(2 * FIELDS);
    let places: Vec<&str> = std::iter::repeat_n("?2", FIELDS).collect();
    let mut insert =
        connection.prepare(&format!("INSERT INTO usertable VALUES (?1, {})", places.join(", ")))?;
    let mut draw = Draw::new(9);
    for key in 0..records as i64 {
        insert.execute((key, field(&mut draw)))?;
    }
    drop(insert);
    connection.execute_batch("COMMIT")?;
    Ok(connection)
}

/// Transactions of ten accesses, half of them writes, of which some touch two partitions; beside the same with all partitions
/// held.
fn transactions(plan: &Plan, report: &mut Report, zipf: &Arc<Zipf>) -> anyhow::Result<()> {
    for (system, function) in [("tuplix", "ycsb_transaction"), ("lock_all", "ycsb_lock_all")] {
        for across in [0, 10, 50, 100] {
            let case = Case {
                suite: "ycsb",
                case: format!("transaction/{across}%"),
                system,
                log: "async",
                clients: plan.clients,
            };
            if !plan.wants_case(&case.case, case.log) {
                continue;
            }
            let (node, _folder) = open(plan, case.log)?;
            load(&mut node.session(&SessionOptions::default())?, zipf.items)?;
            measure(plan, report, &case, || {
                (0..plan.clients)
                    .map(|number| transaction_client(&node, number, function, across, zipf))
                    .collect()
            })?;
            node.close()?;
        }
    }
    Ok(())
}

fn transaction_client(
    node: &Tuplix,
    number: usize,
    function: &str,
    across: u32,
    zipf: &Arc<Zipf>,
) -> anyhow::Result<Client<'static>> {
    let mut session = node.session(&SessionOptions::default())?;
    session.set("synchronous_commit", "off")?;
    let call = session
        .prepare(&format!("SELECT {function}($1::integer[], $2::bigint[], $3::boolean[], $4)"), &[])?;
    let mut rows = Rows::new();
    let zipf = zipf.clone();
    let mut draw = Draw::new(number as u64 + 1);
    Ok(Box::new(move || {
        let home = u64::from(draw.below(BUCKETS as u32));
        let other = if draw.below(100) < across { (home + 1) % BUCKETS } else { home };
        // A key of the bucket: the last one may lie in its last, shorter round.
        let rounds = zipf.items / BUCKETS;
        let mut key = |bucket: u64| (zipf.key(&mut draw) / BUCKETS).min(rounds - 1) * BUCKETS + bucket;
        let keys: Vec<u64> = (0..ACCESSES).map(|n| key(if n % 2 == 0 { home } else { other })).collect();
        let buckets = keys.iter().map(|key| Value::Int4((key % BUCKETS) as i32)).collect();
        let ids = keys.iter().map(|key| Value::Int8(*key as i64)).collect();
        let writes = (0..ACCESSES).map(|n| Value::Bool(n % 4 < 2)).collect();
        let arguments = [
            array(TypeId::INT4, buckets),
            array(TypeId::INT8, ids),
            array(TypeId::BOOL, writes),
            Value::text(field(&mut draw)),
        ];
        session.call(&call, &arguments, &mut rows)?;
        let seen = rows.get(0, 0).and_then(Value::as_i64);
        anyhow::ensure!(seen == Some(ACCESSES as i64), "{seen:?} of {ACCESSES} records were there");
        Ok(())
    }))
}

fn array(element: TypeId, elements: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array::from_elements(element, elements)))
}

/// YCSB's Zipf distribution over keys, scrambled: which keys are popular does not follow their order.
struct Zipf {
    items: u64,
    zeta: f64,
    eta: f64,
    half: f64,
}

impl Zipf {
    fn new(items: u64) -> Arc<Zipf> {
        let zeta = |n: u64| (1..=n).map(|i| (i as f64).powf(-ZIPF)).sum::<f64>();
        let total = zeta(items);
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - ZIPF)) / (1.0 - zeta(2) / total);
        Arc::new(Zipf { items, zeta: total, eta, half: 1.0 + 0.5_f64.powf(ZIPF) })
    }

    /// A key, after Gray et al., "Quickly generating billion-record synthetic databases" (SIGMOD 1994).
    fn key(&self, draw: &mut Draw) -> u64 {
        let u = f64::from(draw.below(u32::MAX)) / f64::from(u32::MAX);
        let uz = u * self.zeta;
        let rank = if uz < 1.0 {
            0
        } else if uz < self.half {
            1
        } else {
            (self.items as f64 * (self.eta * u - self.eta + 1.0).powf(1.0 / (1.0 - ZIPF))) as u64
        };
        // FNV's prime spreads the ranks.
        rank.min(self.items - 1).wrapping_mul(0x0100_0000_01b3) % self.items
    }
}
