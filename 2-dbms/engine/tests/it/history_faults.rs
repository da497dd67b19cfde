//! Spooled tables on a disk that fails: no checkpoint refers to a segment that is not there, and a restart at any moment has all rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_checkpoint::{Reader, SegmentName, SpooledTable, list_segments, segment_file_name};
use tuplix_engine::{Durability, Node, Session, Shape, open};
use tuplix_machine::{DiskImage, DiskResult, Faults, Machine, Simulation};
use tuplix_types::Result;

use super::{integers, session};

/// Rows of a batch: a full chunk and a few.
const BATCH: i64 = 520;
const TABLE: &str = "CREATE TABLE past (id bigint, at timestamptz); SELECT spool_table('past')";

fn try_open(machine: &Machine, log_retention_us: i64) -> Result<Arc<Node>> {
    let shape = Shape { partitions: 2, buckets: 4, log_segment_bytes: 16 << 10 };
    let settings =
        Durability { spool_chunks: 1, checkpoint_log_bytes: 0, log_retention_us, ..Durability::default() };
    Ok(open(machine, machine.disk("/data"), &shape, &settings)?.node)
}

fn insert(session: &mut Session, batch: i64) -> Result<()> {
    let (first, last) = (batch * BATCH + 1, (batch + 1) * BATCH);
    let sql = format!(
        "INSERT INTO past SELECT i, '2026-01-01'::timestamptz + i * interval '1 second'
           FROM generate_series({first}, {last}) i"
    );
    session.execute(&sql).map(|_| ())
}

/// One disk operation in a run fails at most: what fails is asked again.
fn again<R>(ask: impl Fn() -> DiskResult<R>) -> R {
    ask().or_else(|_| ask()).unwrap()
}

/// Segments that a checkpoint in the folder refers to and that are not there, and those that are there and that none refers to.
fn astray(machine: &Machine) -> (Vec<String>, Vec<String>) {
    let (checkpoints, segments) = (machine.disk("/data/checkpoint"), machine.disk("/data/history"));
    let mut needed = BTreeSet::new();
    for epoch in again(|| tuplix_checkpoint::list(&*checkpoints)) {
        let read = || Reader::open(&*checkpoints, epoch, None)?.segments();
        let tables = read().or_else(|_| read()).unwrap();
        needed.extend(tables.iter().flat_map(SpooledTable::names));
    }
    let there: BTreeSet<_> = again(|| list_segments(&*segments)).into_iter().collect();
    let names = |set: Vec<&SegmentName>| set.into_iter().map(|name| segment_file_name(*name)).collect();
    (names(needed.difference(&there).collect()), names(there.difference(&needed).collect()))
}

fn no_segment_is_missing(machine: &Machine, what: &str) {
    assert_eq!(astray(machine).0, Vec::<String>::new(), "{what}: a checkpoint refers to what is not there");
}

/// What was acknowledged is there, each row once, however it was cut short.
fn all_is_there(disk: DiskImage, acknowledged: i64, what: &str) {
    let what = what.to_owned();
    Simulation::new(9, Faults::none()).with_disk(disk).run(move |machine| {
        let node = try_open(&machine, 0).unwrap();
        let mut session = session(&node);
        if acknowledged == 0 {
            return;
        }
        let count = integers(&mut session, "SELECT count(*) FROM past")[0];
        assert!(count >= acknowledged * BATCH, "{what}: {count} rows of {acknowledged} batches");
        let sum = integers(&mut session, "SELECT sum(id)::bigint FROM past")[0];
        assert_eq!(sum, count * (count + 1) / 2, "{what}");
        session.execute("CREATE TABLE makes_an_epoch (a int)").unwrap();
        node.checkpoint().unwrap();
        let (missing, orphans) = astray(&machine);
        assert_eq!((missing, orphans), (vec![], vec![]), "{what}");
        let unfinished = again(|| machine.disk("/data/history").list("")).into_iter();
        let unfinished: Vec<String> = unfinished.filter(|name| name.ends_with(".new")).collect();
        assert_eq!(unfinished, Vec::<String>::new(), "{what}");
    });
}

/// Three batches, each with a checkpoint. When a checkpoint fails, the machine is killed right then.
fn load(machine: &Machine, acknowledged: &AtomicI64, failed: &AtomicI64, what: &str) {
    let Ok(node) = try_open(machine, 0) else { return };
    let mut session = session(&node);
    if session.execute(TABLE).is_err() {
        return;
    }
    for batch in 0..3 {
        if insert(&mut session, batch).is_err() {
            return;
        }
        acknowledged.store(batch + 1, Ordering::SeqCst);
        let made = node.checkpoint();
        no_segment_is_missing(machine, what);
        if made.is_ok() {
            // What it wrote could be read, too: rows have left memory.
            let rows = node.snapshot().row_count().unwrap();
            assert!(rows < 512, "{what}: {rows} rows in memory");
        } else {
            failed.fetch_add(1, Ordering::SeqCst);
            machine.kill();
        }
    }
}

/// The load with a fault at each disk operation; how many checkpoints failed.
fn sweep(kind: &str, faults: impl Fn(u64) -> Faults) -> i64 {
    let failed = Arc::new(AtomicI64::new(0));
    for io in 1.. {
        let what = format!("{kind} at operation {io}");
        let acknowledged = Arc::new(AtomicI64::new(0));
        let (inside, told, name) = (acknowledged.clone(), failed.clone(), what.clone());
        let outcome =
            Simulation::new(io, faults(io)).run(move |machine| load(&machine, &inside, &told, &name));
        let ended = !outcome.crashed() && outcome.faults_fired == 0;
        all_is_there(outcome.disk, acknowledged.load(Ordering::SeqCst), &what);
        if ended {
            break;
        }
    }
    failed.load(Ordering::SeqCst)
}

#[test]
fn a_checkpoint_fails_anywhere_and_the_node_is_killed() {
    let failed = sweep("an error", |io| Faults { fail_io: Some(io), ..Faults::none() });
    assert!(failed > 30, "{failed} checkpoints failed");
}

#[test]
fn the_power_fails_anywhere() {
    sweep("power", |io| Faults { crash_at_io: Some(io), reorder: true, ..Faults::none() });
}

/// What a start cannot read for a moment is not what it need not keep: an older checkpoint's segments stay with it.
#[test]
fn a_start_reads_badly_and_no_segment_is_lost() {
    let retention = i64::MAX / 2;
    let before = Simulation::new(1, Faults::none()).run(move |machine| {
        let node = try_open(&machine, retention).unwrap();
        let mut session = session(&node);
        session.execute("CREATE TABLE past (id bigint, at timestamptz); SELECT spool_table('past')").unwrap();
        insert(&mut session, 0).unwrap();
        node.checkpoint().unwrap();
        // Only the older checkpoint needs the segment now.
        session.execute("TRUNCATE past").unwrap();
        node.checkpoint().unwrap();
        tuplix_engine::close(&node).unwrap();
    });
    for io in 1.. {
        let faults = Faults { fail_io: Some(io), ..Faults::none() };
        let what = format!("operation {io}");
        let outcome = Simulation::new(io, faults).with_disk(before.disk.clone()).run(move |machine| {
            let Ok(node) = try_open(&machine, retention) else { return };
            let made = session(&node).execute("CREATE TABLE other (a int)").is_ok();
            if made && node.checkpoint().is_ok() {
                no_segment_is_missing(&machine, &what);
            }
        });
        if outcome.faults_fired == 0 {
            break;
        }
    }
}

/// A row whose column is NULL is not before anything, as in DELETE ... WHERE at < ...
#[test]
fn rows_with_null_are_not_forgotten() {
    Simulation::new(1, Faults::none()).run(|machine| {
        let node = try_open(&machine, 0).unwrap();
        let mut session = session(&node);
        session.execute(TABLE).unwrap();
        insert(&mut session, 0).unwrap();
        node.checkpoint().unwrap();
        session
            .execute("INSERT INTO past SELECT i, CASE WHEN i % 2 = 0 THEN timestamptz '2026-01-01' END FROM generate_series(521, 1040) i")
            .unwrap();
        node.checkpoint().unwrap();
        session.execute("SELECT forget_spooled('past', 'at', '2027-01-01')").unwrap();
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past WHERE at IS NULL"), [260]);
        assert_eq!(integers(&mut session, "SELECT min(id) FROM past"), [513], "a block without NULLs has gone");
    });
}

/// Logs of earlier commits do not say which blocks go.
#[test]
fn what_was_forgotten_before_blocks_were_named_can_be_read() {
    let old = r#"{"forget_spooled": {"table": 17, "column": 1, "before": 5}}"#;
    let change: CatalogChange = serde_json::from_str(old).unwrap();
    let CatalogChange::ForgetSpooled { table, column, before, blocks } = change else {
        panic!("{change:?}");
    };
    assert_eq!((table, column, before, blocks), (TableId(17), 1, 5, None));
}

/// A checkpoint's cut, then forget_spooled while the checkpoint is being written, then the machine is killed at any moment: what was
/// to be seen after the forgetting is to be seen.
#[test]
fn what_is_forgotten_does_not_depend_on_the_checkpoint() {
    let mut beside = 0;
    for seed in 0..40 {
        let seen = Arc::new(AtomicI64::new(-1));
        let inside = seen.clone();
        let faults = Faults { latency_ns: 2_000_000, ..Faults::none() };
        let outcome = Simulation::new(seed, faults).run(move |machine| {
            let node = try_open(&machine, 0).unwrap();
            let mut session = session(&node);
            session.execute(TABLE).unwrap();
            for batch in 0..4 {
                insert(&mut session, batch).unwrap();
                if batch == 0 {
                    node.checkpoint().unwrap();
                }
            }
            let checkpoint = {
                let node = node.clone();
                machine.spawn("checkpoint", move || node.checkpoint().map(|_| ()))
            };
            let mut random = super::Random(seed);
            machine.sleep_until(machine.monotonic_ns() + random.below(20_000_000));
            session.execute("SELECT forget_spooled('past', 'at', '2027-01-01')").unwrap();
            inside.store(integers(&mut session, "SELECT count(*) FROM past")[0], Ordering::SeqCst);
            checkpoint.join().unwrap().unwrap();
            machine.kill();
        });
        let expected = seen.load(Ordering::SeqCst);
        beside += i64::from(expected > BATCH);
        Simulation::new(seed, Faults::none()).with_disk(outcome.disk).run(move |machine| {
            let node = try_open(&machine, 0).unwrap();
            assert_eq!(integers(&mut session(&node), "SELECT count(*) FROM past"), [expected], "seed {seed}");
        });
    }
    assert!(beside > 5, "{beside} checkpoints were still being written");
}

/// A start that could not open a segment for a moment has its rows all the same.
#[test]
fn a_disk_that_fails_for_a_moment_makes_no_segment_unreadable() {
    let before = Simulation::new(1, Faults::none()).run(move |machine| {
        let node = try_open(&machine, 0).unwrap();
        let mut session = session(&node);
        session.execute(TABLE).unwrap();
        insert(&mut session, 0).unwrap();
        node.checkpoint().unwrap();
        tuplix_engine::close(&node).unwrap();
    });
    for io in 1.. {
        let faults = Faults { fail_io: Some(io), ..Faults::none() };
        let outcome = Simulation::new(io, faults).with_disk(before.disk.clone()).run(move |machine| {
            let Ok(node) = try_open(&machine, 0) else { return };
            let mut session = session(&node);
            let all = "SELECT id FROM past";
            let rows = session.query(all, &[]).or_else(|_| session.query(all, &[])).unwrap();
            assert_eq!(rows.iter().count() as i64, BATCH, "operation {io}");
        });
        if outcome.faults_fired == 0 {
            break;
        }
    }
}

/// Forgotten rows stay forgotten whichever checkpoint a start has to begin with, the log alone included: what is named as blocks is named as
/// rows too.
#[test]
fn what_is_forgotten_does_not_come_back_by_older_checkpoints() {
    let retention = i64::MAX / 2;
    let before = Simulation::new(1, Faults::none()).run(move |machine| {
        let node = try_open(&machine, retention).unwrap();
        let mut session = session(&node);
        session.execute(TABLE).unwrap();
        session
            .execute(
                "CREATE TABLE spread (p_key int NOT NULL, id bigint, at timestamptz);
                 SELECT create_distributed_table('spread', 'p_key'); SELECT spool_table('spread')",
            )
            .unwrap();
        for batch in 0..5 {
            insert(&mut session, batch).unwrap();
            session.execute("INSERT INTO spread SELECT id % 4, id, at FROM past").unwrap();
            if batch == 3 {
                for table in ["past", "spread"] {
                    let forget = format!(
                        "SELECT forget_spooled('{table}', 'at', '2026-01-01'::timestamptz + 1600 * interval '1 second')"
                    );
                    session.execute(&forget).unwrap();
                }
            }
            node.checkpoint().unwrap();
        }
        let answers = look(&mut session);
        drop(session);
        tuplix_engine::close(&node).unwrap();
        answers
    });
    let expected = before.value.unwrap();
    assert_eq!(expected[..2], [5 * BATCH - 3 * 512, 3 * 512 + 1], "three blocks have gone");
    let paths = before.disk.paths().into_iter().filter(|path| path.ends_with(".checkpoint"));
    let mut checkpoints: Vec<String> = paths.map(str::to_owned).collect();
    assert_eq!(checkpoints.len(), 3);
    let mut disk = before.disk.clone();
    loop {
        let left = checkpoints.len();
        let wanted = expected.clone();
        let after = Simulation::new(2, Faults::none()).with_disk(disk.clone()).run(move |machine| {
            let node = try_open(&machine, retention).unwrap();
            let mut session = session(&node);
            assert_eq!(look(&mut session), wanted, "{left} checkpoints");
            // And where they were goes on as it would have.
            for batch in 5..7 {
                insert(&mut session, batch).unwrap();
                node.checkpoint().unwrap();
            }
            machine.kill();
        });
        let wanted = expected.clone();
        Simulation::new(3, Faults::none()).with_disk(after.disk).run(move |machine| {
            let node = try_open(&machine, retention).unwrap();
            let seen = look(&mut session(&node));
            assert_eq!(seen[0], wanted[0] + 2 * BATCH, "{left} checkpoints");
            assert_eq!(seen[3..], wanted[3..], "{left} checkpoints");
        });
        let Some(newest) = checkpoints.pop() else { break };
        disk.remove(&newest);
    }
}

/// Count, smallest and sum of both tables.
fn look(session: &mut Session) -> Vec<i64> {
    let of = |session: &mut Session, table: &str| -> Vec<i64> {
        let sql = format!("SELECT count(*), min(id), sum(id)::bigint FROM {table}");
        let rows = session.query(&sql, &[]).unwrap();
        rows.row(0).iter().map(|value| value.as_i64().unwrap()).collect()
    };
    [of(session, "past"), of(session, "spread")].concat()
}
