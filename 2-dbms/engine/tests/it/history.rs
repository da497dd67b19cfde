//! Spooled tables: rows leave memory with checkpoints, are read as before, and are there after every kind of end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tuplix_engine::{Durability, Node, Session, Shape, open};
use tuplix_machine::{DiskImage, Faults, Machine, OpenMode, Simulation};

use super::{Random, integers, session};

fn open_spooling(machine: &Machine) -> Arc<Node> {
    let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 1 << 20 };
    let settings = Durability { spool_chunks: 1, checkpoint_log_bytes: 0, ..Durability::default() };
    open(machine, machine.disk("/data"), &shape, &settings).unwrap().node
}

const TABLES: &str = "CREATE TABLE past (id bigint NOT NULL, at timestamptz, state text, note text);
     CREATE INDEX ON past (id);
     SELECT spool_table('past');
     CREATE TABLE spread (p_key int NOT NULL, id bigint NOT NULL, note text);
     SELECT create_distributed_table('spread', 'p_key');
     SELECT spool_table('spread')";

fn insert(session: &mut Session, first: i64, rows: i64) {
    let last = first + rows - 1;
    session
        .execute(&format!(
            "INSERT INTO past SELECT i, '2026-01-01'::timestamptz + i * interval '1 second',
                    CASE WHEN i % 3 = 0 THEN 'failed' ELSE 'done' END, 'a note of more than fifteen bytes ' || i
               FROM generate_series({first}, {last}) i;
             INSERT INTO spread SELECT i % 8, i, 'n' || i FROM generate_series({first}, {last}) i"
        ))
        .unwrap();
}

/// All rows up to `count` are there, once, whichever way they are asked for.
fn check(session: &mut Session, count: i64) {
    let sum = count * (count + 1) / 2;
    for table in ["past", "spread"] {
        let all = format!("SELECT count(*), sum(id)::bigint, count(DISTINCT id) FROM {table}");
        let rows = session.query(&all, &[]).unwrap();
        let row: Vec<i64> = rows.row(0).iter().map(|value| value.as_i64().unwrap_or(0)).collect();
        assert_eq!(row, [count, sum, count], "{table}");
    }
    assert_eq!(integers(session, "SELECT count(*) FROM past WHERE state = 'failed'"), [count / 3]);
    assert_eq!(
        integers(session, "SELECT count(*) FROM past WHERE note LIKE '% fifteen bytes ' || id"),
        [count]
    );
    for id in [1, 2, 700, count / 2, count - 1, count] {
        assert_eq!(integers(session, &format!("SELECT id FROM past WHERE id = {id}")), [id]);
        let one = format!("SELECT id FROM spread WHERE p_key = {} AND id = {id}", id % 8);
        assert_eq!(integers(session, &one), [id]);
    }
    let between = "SELECT count(*) FROM past WHERE id BETWEEN 500 AND 1500";
    assert_eq!(integers(session, between), [1001]);
    let joined = "SELECT count(*) FROM past JOIN spread USING (id) WHERE past.id < 1000";
    assert_eq!(integers(session, joined), [999]);
    assert_eq!(integers(session, "SELECT id FROM past ORDER BY id DESC LIMIT 1"), [count]);
}

fn simulate(seed: u64, disk: DiskImage, body: impl FnOnce(Machine) + Send + 'static) -> DiskImage {
    let outcome = Simulation::new(seed, Faults::none()).with_disk(disk).run(body);
    outcome.disk
}

fn history_files(machine: &Machine) -> usize {
    machine.disk("/data/history").list("").unwrap().len()
}

#[test]
fn rows_leave_memory_and_are_read_as_before() {
    let disk = simulate(1, DiskImage::default(), |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        session.execute(TABLES).unwrap();
        insert(&mut session, 1, 20_000);
        check(&mut session, 20_000);
        let before = node.memory().used();
        node.checkpoint().unwrap();
        assert!(node.memory().used() < before / 3, "{} of {before}", node.memory().used());
        assert_eq!(history_files(&machine), 2);
        check(&mut session, 20_000);
        insert(&mut session, 20_001, 10_000);
        check(&mut session, 30_000);
        node.checkpoint().unwrap();
        insert(&mut session, 30_001, 100);
        check(&mut session, 30_100);
        // In a transaction, and one's own rows beside.
        session.execute("BEGIN").unwrap();
        insert(&mut session, 30_101, 50);
        check(&mut session, 30_150);
        session.execute("ROLLBACK").unwrap();
        check(&mut session, 30_100);
        tuplix_engine::close(&node).unwrap();
    });
    let disk = simulate(2, disk, |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        let in_memory = node.snapshot().row_count().unwrap();
        assert!(in_memory < 12_000, "{in_memory} rows in memory");
        check(&mut session, 30_100);
        insert(&mut session, 30_101, 9_900);
        machine.crash();
    });
    simulate(3, disk, |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        let count = integers(&mut session, "SELECT count(*) FROM past")[0];
        assert!(count >= 30_100);
        node.checkpoint().unwrap();
        node.checkpoint().unwrap();
        let again = integers(&mut session, "SELECT count(*) FROM past")[0];
        assert_eq!(again, count);
    });
}

/// The power fails at any moment, again and again: what was acknowledged is there, once.
#[test]
fn power_failures() {
    for seed in 0..5 {
        let mut disk = simulate(seed, DiskImage::default(), |machine| {
            let node = open_spooling(&machine);
            session(&node).execute(TABLES).unwrap();
            tuplix_engine::close(&node).unwrap();
        });
        // Rows 1 to this one were acknowledged.
        let acknowledged = Arc::new(AtomicI64::new(0));
        for round in 0..3 {
            let known = acknowledged.clone();
            let outcome = Simulation::new(seed * 10 + round, Faults::harsh()).with_disk(disk).run(move |machine| {
                let node = open_spooling(&machine);
                let mut session = session(&node);
                let one = "SELECT count(*) FROM past";
                let count = integers(&mut session, one)[0];
                let least = known.load(Ordering::SeqCst);
                assert!(count >= least, "seed {seed} round {round}: {count} rows of {least}");
                if count > 0 {
                    let sum = integers(&mut session, "SELECT sum(id)::bigint FROM past")[0];
                    assert_eq!(sum, count * (count + 1) / 2, "each row once");
                }
                let checkpoints = {
                    let node = node.clone();
                    machine.spawn("checkpoints", move || {
                        for _ in 0..3 {
                            if node.checkpoint().is_err() {
                                return;
                            }
                        }
                    })
                };
                let mut random = Random(seed * 7 + round);
                let mut next = count + 1;
                for _ in 0..6 + random.below(12) {
                    let rows = 100 + random.below(900) as i64;
                    let sql = format!("INSERT INTO past SELECT i, now(), 'done', 'n' FROM generate_series({next}, {}) i", next + rows - 1);
                    if session.execute(&sql).is_err() {
                        break;
                    }
                    next += rows;
                    known.store(next - 1, Ordering::SeqCst);
                    let Ok(counted) = session.query(one, &[]) else { break };
                    assert_eq!(counted.row(0)[0].as_i64(), Some(next - 1), "seed {seed} round {round}");
                }
                drop(checkpoints);
                machine.crash();
            });
            disk = outcome.disk;
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    simulate(5, DiskImage::default(), |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        session.execute(TABLES).unwrap();
        insert(&mut session, 1, 2_000);
        node.checkpoint().unwrap();
        for (sql, state) in [
            ("UPDATE past SET state = 'x'", "0A000"),
            ("DELETE FROM past WHERE id = 3", "0A000"),
            ("MERGE INTO past p USING (VALUES (1)) v(id) ON p.id = v.id WHEN MATCHED THEN DELETE", "0A000"),
            ("SELECT * FROM past FOR UPDATE", "0A000"),
            ("CREATE UNIQUE INDEX ON past (id)", "0A000"),
            ("ALTER TABLE past ADD COLUMN more int DEFAULT 3", "0A000"),
            ("ALTER TABLE past ADD CHECK (id > 0)", "0A000"),
            ("CREATE TABLE k (id int PRIMARY KEY); SELECT spool_table('k')", "0A000"),
            ("SELECT forget_spooled('past', 'id', now())", "42804"),
        ] {
            let error = session.execute(sql).expect_err(sql);
            assert_eq!(error.sqlstate().to_string(), state, "{sql}: {error}");
        }
        session.execute("ROLLBACK").ok();
        session
            .execute("CREATE INDEX ON past (state); ALTER TABLE past RENAME COLUMN note TO remark")
            .unwrap();
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past WHERE remark IS NOT NULL"), [2_000]);
        session.execute("TRUNCATE past").unwrap();
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past"), [0]);
        insert(&mut session, 1, 10);
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past"), [10]);
    });
}

/// Whole blocks go that are old enough, in a transaction as everything else, and stay gone.
#[test]
fn old_rows_are_forgotten() {
    let disk = simulate(6, DiskImage::default(), |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        session.execute(TABLES).unwrap();
        for batch in 0..4 {
            insert(&mut session, batch * 8_192 + 1, 8_192);
            node.checkpoint().unwrap();
        }
        let count = "SELECT count(*) FROM past";
        let forget =
            "SELECT forget_spooled('past', 'at', '2026-01-01'::timestamptz + 20000 * interval '1 second')";
        session.execute(&format!("BEGIN; {forget}")).unwrap();
        session.execute("ROLLBACK").unwrap();
        assert_eq!(integers(&mut session, count), [4 * 8_192]);
        session.execute(forget).unwrap();
        assert_eq!(integers(&mut session, count), [2 * 8_192]);
        assert_eq!(integers(&mut session, "SELECT min(id) FROM past"), [2 * 8_192 + 1]);
        machine.crash();
    });
    simulate(7, disk, |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past"), [2 * 8_192]);
        let files = history_files(&machine);
        for _ in 0..3 {
            session.execute("INSERT INTO spread VALUES (1, 1, NULL)").unwrap();
            node.checkpoint().unwrap();
        }
        assert!(history_files(&machine) < files, "segments that nobody refers to are removed");
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past"), [2 * 8_192]);
    });
}

/// Flips a bit of a file.
fn flip(machine: &Machine, name: &str, at: u64) {
    let file = machine.disk("/data/history").open(name, OpenMode::Write).unwrap();
    let mut byte = [0];
    file.read_exact_at(at, &mut byte).unwrap();
    file.write_at(at, &[byte[0] ^ 4]).unwrap();
    file.sync_data().unwrap();
}

const ALL: &str = "SELECT count(*), sum(id)::bigint FROM past";
const NEW: &str = "SELECT count(*) FROM past WHERE id > 20000";

/// What a damaged file does: `failing` end with `wanted`, everything else goes on, writing and checkpoints too.
fn only_its_readers_fail(node: &Arc<Node>, failing: &[&str], wanted: &str) {
    let mut session = session(node);
    for sql in failing {
        let error = session.query(sql, &[]).expect_err(sql);
        assert_eq!((error.sqlstate().as_str(), error.message()), ("XX001", wanted), "{sql}");
    }
    // In a transaction it is an error like any other.
    session.execute("BEGIN; INSERT INTO spread VALUES (1, -1, 'gone')").unwrap();
    assert!(session.query(failing[0], &[]).is_err());
    session.execute("ROLLBACK").unwrap();
    let others = "SELECT count(*) FROM spread WHERE id > 0 AND note IS NOT NULL";
    assert_eq!(integers(&mut session, others), [20_000]);
    session.execute("INSERT INTO past VALUES (30000, now(), 'done', 'new')").unwrap();
    assert!(failing.contains(&NEW) || integers(&mut session, NEW)[0] > 0);
    assert!(node.checkpoint().unwrap().bytes > 0);
}

/// The file of the first segment of `past`.
fn past_file(machine: &Machine) -> String {
    machine.disk("/data/history").list("").unwrap().into_iter().next().unwrap()
}

/// Where the first block of a segment begins.
const FIRST_BLOCK: u64 = 64;

fn bad_block(name: &str) -> String {
    let reason = "a block does not fit its checksum";
    format!("segment \"/data/history/{name}\" is damaged at byte {FIRST_BLOCK}: {reason}")
}

/// A block, or the end of a segment, is damaged while the node runs and when it starts: who needs what lies there is told the file and the
/// byte, and nobody else notices. Once an intact file is in its place, all rows are there.
#[test]
fn damage_fails_those_who_read_it() {
    let disk = simulate(8, DiskImage::default(), |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        session.execute(TABLES).unwrap();
        insert(&mut session, 1, 20_000);
        node.checkpoint().unwrap();
        let name = past_file(&machine);
        flip(&machine, &name, FIRST_BLOCK + 1000);
        // Blocks that cannot have such rows are not read.
        assert_eq!(integers(&mut session, "SELECT count(*) FROM past WHERE id > 12000"), [8_000]);
        let failing =
            [ALL, "SELECT note FROM past WHERE id = 17", "SELECT id FROM past WHERE state = 'done'"];
        only_its_readers_fail(&node, &failing, &bad_block(&name));
        tuplix_engine::close(&node).unwrap();
    });
    let disk = simulate(9, disk, |machine| {
        let name = past_file(&machine);
        // The start has read the segment's end alone.
        let node = open_spooling(&machine);
        only_its_readers_fail(&node, &[ALL], &bad_block(&name));
        tuplix_engine::close(&node).unwrap();
        drop(node);
        flip(&machine, &name, FIRST_BLOCK + 1000);
        let end = machine.disk("/data/history").open(&name, OpenMode::Read).unwrap().len().unwrap();
        flip(&machine, &name, end - 1);
        let node = open_spooling(&machine);
        let wanted = session(&node).query(ALL, &[]).unwrap_err().message().to_owned();
        assert!(
            wanted.starts_with(&format!("segment \"/data/history/{name}\" is damaged at byte ")),
            "{wanted}"
        );
        // Nothing is known of its blocks, so whoever reads the table needs it.
        only_its_readers_fail(&node, &[ALL, NEW], &wanted);
        tuplix_engine::close(&node).unwrap();
        flip(&machine, &name, end - 1);
    });
    simulate(10, disk, |machine| {
        let node = open_spooling(&machine);
        let mut session = session(&node);
        let before = "SELECT sum(id)::bigint FROM past WHERE id <= 20000";
        assert_eq!(integers(&mut session, before), [200_010_000]);
        // And the rows that came while it was damaged.
        assert_eq!(integers(&mut session, NEW), [3]);
    });
}
