//! A small load with checkpoints, cut short at every single disk operation: by a power failure, by an error, by a full disk. And what a
//! checkpoint with the log after it gives is, to the byte, what the log alone gives.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tuplix::{Durability, Machine, Options, Result, Session, Tuplix, Value};
use tuplix_machine::{DiskImage, Faults, Outcome, Simulation};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// Rows of history that come with each checkpoint.
const HISTORY: i64 = 520;

/// What is known outside of the machine.
#[derive(Clone, Debug, Default)]
struct Known {
    sent: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
    /// Values of the sequence that were given.
    drawn: Vec<i64>,
    /// A checkpoint failed, and all the rest went well.
    went_on: bool,
    /// The machine ends at the first checkpoint that fails, before another one can make good what that one left.
    ends_there: bool,
    /// The first error, and the first thing that is wrong.
    error: Option<String>,
    wrong: Option<String>,
}

type Shared = Arc<Mutex<Known>>;

fn open(machine: &Machine, retention_us: i64) -> Result<Tuplix> {
    Tuplix::open_with(&Options {
        dir: Some("data".into()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 4 << 10,
        durability: Durability {
            checkpoint_log_bytes: 0,
            log_retention_us: retention_us,
            spool_chunks: 1,
            ..Durability::default()
        },
        machine: Some(machine.clone()),
        ..Options::default()
    })
}

fn integers(session: &mut Session, sql: &str) -> Result<Vec<i64>> {
    let rows = session.query(sql, &[])?;
    Ok(rows.iter().filter_map(|row| row[0].as_i64()).collect())
}

/// Inserts one by one, each acknowledged; checkpoints in between, one while a transaction is open; closed and opened again.
fn load(machine: &Machine, known: &Shared) -> Result<()> {
    let node = open(machine, 0)?;
    let mut session = node.session(&Default::default())?;
    session.execute(
        "CREATE TABLE IF NOT EXISTS t (a bigint PRIMARY KEY, b text);
         CREATE TABLE IF NOT EXISTS d (p int, a bigint, PRIMARY KEY (p, a));
         CREATE TABLE IF NOT EXISTS h (a bigint, b text);
         SELECT spool_table('h');
         CREATE SEQUENCE IF NOT EXISTS s;
         CREATE TEMPORARY TABLE scratch (a int); INSERT INTO scratch VALUES (1)",
    )?;
    if integers(&mut session, "SELECT 1 FROM tuplix.tables WHERE name = 'd' AND distribution = 'hash'")?
        .is_empty()
    {
        session.execute("SELECT create_distributed_table('d', 'p')")?;
    }
    let mut open_one = node.session(&Default::default())?;
    open_one.execute("BEGIN; INSERT INTO t VALUES (1000000, 'never'); CREATE TABLE never (a int)")?;
    let first = integers(&mut session, "SELECT coalesce(max(a), 0) FROM t")?[0] + 1;
    for id in first..first + 6 {
        known.lock().unwrap().sent.insert(id);
        let sql = format!(
            "BEGIN; INSERT INTO t VALUES ({id}, repeat('x', 300)); INSERT INTO d VALUES ({id} % 7, {id}); COMMIT"
        );
        session.execute(&sql)?;
        known.lock().unwrap().acknowledged.insert(id);
        let drawn = integers(&mut session, "SELECT nextval('s')")?;
        known.lock().unwrap().drawn.extend(drawn);
        if id % 4 == 0 {
            // More than a chunk: it leaves memory.
            session.execute(&format!(
                "INSERT INTO h SELECT {id} * 1000 + i, 'h' || i FROM generate_series(1, {HISTORY}) i"
            ))?;
        }
        if id % 2 == 0 {
            // One that fails is no reason to stop.
            if let Err(error) = session.execute("CHECKPOINT") {
                known.lock().unwrap().error.get_or_insert(error.to_string());
                if known.lock().unwrap().ends_there {
                    machine.kill();
                }
            }
        }
    }
    open_one.execute("ROLLBACK")?;
    drop((session, open_one));
    node.close()
}

fn live(machine: &Machine, known: &Shared) {
    for _ in 0..2 {
        if let Err(error) = load(machine, known) {
            known.lock().unwrap().error.get_or_insert(error.to_string());
            return;
        }
    }
    let mut known = known.lock().unwrap();
    known.went_on = known.error.is_some();
}

fn simulate(seed: u64, faults: Faults, known: &Shared) -> Outcome<()> {
    let inside = known.clone();
    Simulation::new(seed, faults).run(move |machine| live(&machine, &inside))
}

/// Opens what is left and compares it with what is known.
fn judge(what: &str, disk: DiskImage, known: &Shared) -> DiskImage {
    let inside = known.clone();
    let outcome = Simulation::new(5, Faults::none()).with_disk(disk).run(move |machine| {
        if let Err(error) = look(&machine, &inside) {
            inside.lock().unwrap().wrong.get_or_insert(format!("{error:?}"));
        }
    });
    let known = known.lock().unwrap();
    assert_eq!(known.wrong, None, "{what}: {known:?}");
    outcome.disk
}

fn look(machine: &Machine, known: &Shared) -> Result<()> {
    let node = open(machine, 0)?;
    let report = node.recovery_report();
    let mut session = node.session(&Default::default())?;
    let wrong = |text: String| {
        known.lock().unwrap().wrong.get_or_insert(text);
    };
    if !report.damaged.is_empty() {
        wrong(format!("a checkpoint is damaged: {:?}", report.damaged));
    }
    let tables = integers(&mut session, "SELECT count(*) FROM pg_class WHERE relname = 't'")?;
    let known_now = known.lock().unwrap().clone();
    if tables == [0] {
        if !known_now.acknowledged.is_empty() {
            wrong("the tables are gone".to_owned());
        }
        return node.close();
    }
    let there: BTreeSet<i64> = integers(&mut session, "SELECT a FROM t")?.into_iter().collect();
    if !there.is_superset(&known_now.acknowledged) || !there.is_subset(&known_now.sent) {
        wrong(format!("t has {there:?}"));
    }
    // The index says the same as the rows.
    for id in &there {
        if integers(&mut session, &format!("SELECT a FROM t WHERE a = {id}"))? != [*id] {
            wrong(format!("the primary key does not find {id}"));
        }
    }
    if !there.is_empty() {
        let both: BTreeSet<i64> = integers(&mut session, "SELECT a FROM d")?.into_iter().collect();
        if both != there {
            wrong(format!("a transaction is there by halves: {there:?} and {both:?}"));
        }
        let history = integers(&mut session, "SELECT a FROM h ORDER BY a")?;
        let batches: BTreeSet<i64> = history.iter().map(|a| a / 1000).collect();
        let whole =
            batches.iter().flat_map(|id| (1..=HISTORY).map(move |i| id * 1000 + i)).collect::<Vec<_>>();
        let closed = there.iter().filter(|id| **id % 4 == 0 && there.contains(&(**id + 1)));
        if history != whole || closed.clone().any(|id| !batches.contains(id)) {
            wrong(format!("h has {} rows, batches {batches:?} of {there:?}", history.len()));
        }
        let next = integers(&mut session, "SELECT nextval('s')")?;
        if known_now.drawn.contains(&next[0]) {
            wrong(format!("value {next:?} of the sequence is given twice"));
        }
    }
    if integers(&mut session, "SELECT count(*) FROM pg_class WHERE relname IN ('never', 'scratch')")? != [0] {
        wrong("what was never committed, or temporary, is there".to_owned());
    }
    drop(session);
    node.checkpoint()?;
    node.close()
}

/// How many operations were hit, how many loads had an error, and how many of these went on behind a failed checkpoint.
fn sweep(what: &str, faults: impl Fn(u64) -> Faults) -> (u64, u64, u64) {
    sweep_of(what, false, faults)
}

fn sweep_of(what: &str, ends_there: bool, faults: impl Fn(u64) -> Faults) -> (u64, u64, u64) {
    let (mut hit, mut errors, mut went_on) = (0, 0, 0);
    for io in 1.. {
        let known = Shared::default();
        known.lock().unwrap().ends_there = ends_there;
        let outcome = simulate(io, faults(io), &known);
        let went_through = !outcome.crashed() && outcome.faults_fired == 0;
        errors += u64::from(known.lock().unwrap().error.is_some());
        went_on += u64::from(known.lock().unwrap().went_on);
        let paths = outcome.disk.paths().into_iter();
        let left: Vec<&str> = paths
            .filter(|path| path.ends_with(".checkpoint.new") || path.ends_with(".segment.new"))
            .collect();
        assert!(outcome.crashed() || left.is_empty(), "{what} at disk operation {io}: {left:?} was left");
        judge(&format!("{what} at disk operation {io}"), outcome.disk, &known);
        if went_through {
            assert_eq!(known.lock().unwrap().error, None);
            return (hit, errors, went_on);
        }
        hit += 1;
    }
    unreachable!("a load has an end");
}

#[test]
fn the_power_fails_at_every_disk_operation() {
    for (what, reorder, flip_bits) in [("power", false, false), ("power, torn", true, true)] {
        let (hit, ..) =
            sweep(what, |io| Faults { crash_at_io: Some(io), reorder, flip_bits, ..Faults::none() });
        assert!(hit > 150, "{what}: only {hit} operations");
    }
}

/// What a failed checkpoint leaves must do by itself: the next one would hide what it does not.
#[test]
fn every_disk_operation_fails_once_and_a_failed_checkpoint_is_the_end() {
    let (hit, errors, _) = sweep_of("the end", true, |io| Faults { fail_io: Some(io), ..Faults::none() });
    assert!(hit > 150 && errors > 50, "{hit} operations, {errors} errors");
}

#[test]
fn every_disk_operation_fails_once() {
    for errno in [EIO, ENOSPC] {
        let (hit, errors, went_on) =
            sweep(&format!("error {errno}"), |io| Faults { fail_io: Some(io), errno, ..Faults::none() });
        assert!(
            hit > 150 && errors > 50 && went_on > 30,
            "error {errno}: {hit} operations, {errors} errors, {went_on} failed checkpoints"
        );
    }
}

#[test]
fn the_disk_fills_up_at_every_size() {
    let full = |kilobytes: u64| Faults { capacity: Some(kilobytes << 10), ..Faults::none() };
    let mut errors = 0;
    for kilobytes in 1..256 {
        let known = Shared::default();
        let outcome = simulate(kilobytes, full(kilobytes), &known);
        errors += u64::from(known.lock().unwrap().error.is_some());
        judge(&format!("a disk of {kilobytes} KiB"), outcome.disk, &known);
    }
    assert!((20..255).contains(&errors), "{errors} of 255 disks were too small");
}

/// The catalogue and all rows with their slots, and where the sequences stand.
fn fingerprint(node: &Tuplix) -> Result<String> {
    let snapshot = node.snapshot().expect("an embedded node");
    let catalog = &snapshot.schema().catalog;
    let mut text = String::new();
    for table in catalog.tables() {
        let _ = writeln!(text, "{table:?}");
        for (bucket, fragment) in snapshot.fragments(table.id)? {
            for (row, view) in fragment.rows() {
                let values: Vec<Value> = view.values().collect();
                let _ = writeln!(text, "{bucket} {row:?} {values:?}");
            }
        }
    }
    let mut session = node.session(&Default::default())?;
    for sql in [
        "SELECT sequencename::text || ' ' || coalesce(last_value, -1)::text FROM pg_sequences ORDER BY 1",
        "SELECT proname::text || prosrc FROM pg_proc WHERE oid >= 16384 ORDER BY 1",
        "SELECT description FROM pg_description WHERE objoid >= 16384 ORDER BY 1",
        "SELECT typname::text FROM pg_type WHERE oid >= 16384 ORDER BY 1",
    ] {
        for row in session.query(sql, &[])?.iter() {
            let _ = writeln!(text, "{row:?}");
        }
    }
    Ok(text)
}

const BUSY: &[&str] = &[
    "INSERT INTO d SELECT i % 5, nextval('s') FROM generate_series(1, 9) i",
    "INSERT INTO t (b) SELECT repeat('y', i * 20) FROM generate_series(1, 7) i",
    "UPDATE t SET b = b || 'z', n = n + 1 WHERE a % 3 = 1",
    "DELETE FROM t WHERE a % 4 = 2",
    "DELETE FROM d WHERE a % 5 = 3",
    "BEGIN; INSERT INTO t (b) VALUES ('rolled back'); SELECT nextval('s'); ROLLBACK",
    "CREATE TABLE more (x int PRIMARY KEY, e mood DEFAULT 'ok'); INSERT INTO more SELECT generate_series(1, 600)",
    "ALTER TABLE more ADD COLUMN y numeric DEFAULT 1.5",
    "CREATE INDEX more_y ON more (y, x DESC) WHERE x > 3",
    "DROP TABLE more",
    "TRUNCATE d",
    "COMMENT ON TABLE t IS 'changed'",
    "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1'",
    "CREATE OR REPLACE FUNCTION f(a text) RETURNS text LANGUAGE sql AS 'SELECT a'",
    "DROP FUNCTION IF EXISTS f(int)",
    "SELECT setval('s', 5000, false)",
    "ALTER SEQUENCE s INCREMENT BY 3",
    "INSERT INTO child SELECT a FROM t WHERE a % 6 = 5 ON CONFLICT DO NOTHING",
];

/// Random statements on three sessions, among them checkpoints, until the machine is killed.
fn busy(machine: &Machine, seed: u64) -> Result<()> {
    let node = open(machine, i64::MAX / 2)?;
    let mut session = node.session(&Default::default())?;
    session.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok');
         CREATE SEQUENCE s;
         CREATE TABLE t (a serial PRIMARY KEY, b text, n int DEFAULT 0 CHECK (n >= 0));
         CREATE TABLE d (p int, a bigint, PRIMARY KEY (p, a)); SELECT create_distributed_table('d', 'p');
         CREATE TABLE child (a int PRIMARY KEY REFERENCES t ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
         CREATE VIEW v AS SELECT a FROM t",
    )?;
    drop(session);
    let mut threads = Vec::new();
    for number in 0..3u64 {
        let (node, machine) = (node.clone(), machine.clone());
        threads.push(machine.clone().spawn("busy", move || {
            let mut random = tuplix_sim::random::Random::new(seed, number);
            let mut session = node.session(&Default::default())?;
            for _ in 0..14 {
                let sql = random.pick(BUSY);
                // Tables that are not there, or there already, are part of it.
                let _ = session.execute(sql);
                let _ = session.execute("ROLLBACK");
                if random.chance(1, 4) {
                    session.execute("CHECKPOINT")?;
                }
                machine.yield_now();
            }
            Ok::<(), tuplix::SqlError>(())
        }));
    }
    for thread in threads {
        thread.join().expect("no panic")?;
    }
    machine.kill()
}

/// Opens a disk and takes its fingerprint.
fn fingerprint_of(disk: DiskImage) -> (String, Option<u64>) {
    let outcome = Simulation::new(1, Faults::none()).with_disk(disk).run(|machine| {
        let node = open(&machine, 0).unwrap();
        let report = node.recovery_report();
        assert!(report.damaged.is_empty(), "{report:?}");
        (fingerprint(&node).unwrap(), report.checkpoint.map(|checkpoint| checkpoint.epoch))
    });
    outcome.value.unwrap()
}

#[test]
fn a_checkpoint_and_the_log_after_it_are_what_the_whole_log_is() {
    let mut checkpoints = BTreeSet::new();
    for seed in 0..12 {
        let faults = Faults { latency_ns: 2_000_000, ..Faults::none() };
        let outcome = Simulation::new(seed, faults).run(move |machine| busy(&machine, seed).unwrap());
        let mut log_alone = outcome.disk.clone();
        let files: Vec<String> = log_alone.paths().into_iter().map(str::to_owned).collect();
        for path in files.iter().filter(|path| path.contains("/checkpoint/")) {
            log_alone.remove(path);
        }
        let (with, epoch) = fingerprint_of(outcome.disk);
        let (without, none) = fingerprint_of(log_alone);
        assert_eq!(none, None);
        checkpoints.insert(epoch);
        assert!(with == without, "seed {seed}: {}", first_difference(&with, &without));
    }
    assert!(checkpoints.len() > 6 && !checkpoints.contains(&None), "{checkpoints:?}");
}

fn first_difference(left: &str, right: &str) -> String {
    let pairs =
        left.lines().map(Some).chain(std::iter::repeat(None)).zip(right.lines().map(Some).chain([None]));
    for (left, right) in pairs {
        if left != right {
            return format!("with the checkpoint {left:?}\nwithout {right:?}");
        }
    }
    "the log alone gives less".to_owned()
}
