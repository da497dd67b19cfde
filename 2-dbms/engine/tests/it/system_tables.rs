//! `tuplix.checkpoints` and `tuplix.log_segments`: what is kept on the disk, why, and what came to nothing.

use std::sync::Arc;

use tuplix_engine::{Durability, Node, Session, Shape};
use tuplix_machine::{Faults, Machine, Simulation};

use super::{integers, session};

fn open(machine: &Machine) -> Arc<Node> {
    let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 8 << 10 };
    let durability = Durability { checkpoint_log_bytes: 0, ..Durability::default() };
    tuplix_engine::open(machine, machine.disk("data"), &shape, &durability).unwrap().node
}

fn texts(session: &mut Session, sql: &str) -> Vec<String> {
    let rows = session.query(sql, &[]).unwrap();
    let text = |value: &tuplix_types::Value| value.as_str().unwrap_or("NULL").to_owned();
    rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

const CHECKPOINTS: &str =
    "SELECT state, cause, file FROM tuplix.checkpoints ORDER BY epoch DESC NULLS FIRST, state";
const SEGMENTS: &str = "SELECT kept_for FROM tuplix.log_segments ORDER BY first_epoch";

fn write(session: &mut Session) {
    for _ in 0..10 {
        session.execute("INSERT INTO t SELECT repeat('x', 100) FROM generate_series(1, 20)").unwrap();
    }
}

#[test]
fn checkpoints_and_segments_are_shown() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE t (a text)").unwrap();
        assert_eq!(texts(&mut session, CHECKPOINTS), Vec::<String>::new());
        write(&mut session);
        let segments = texts(&mut session, SEGMENTS);
        assert!(
            segments.len() > 2 && segments.iter().rev().skip(1).all(|why| why == "no two checkpoints yet")
        );
        assert_eq!(segments.last().unwrap(), "being written");
        session.execute("CHECKPOINT").unwrap();
        write(&mut session);
        session.execute("CHECKPOINT").unwrap();
        write(&mut session);
        let kept = texts(&mut session, CHECKPOINTS);
        assert_eq!(kept.len(), 2);
        assert!(
            kept.iter().all(|row| row.starts_with("kept|request|0000") && row.ends_with(".checkpoint")),
            "{kept:?}"
        );
        let exact =
            "SELECT rows FROM tuplix.checkpoints WHERE seconds >= 0 AND bytes > 20000 AND made_at <= now()
            ORDER BY epoch";
        assert_eq!(integers(&mut session, exact), [200, 400]);
        // What lies before the older one is gone.
        let segments = texts(&mut session, SEGMENTS);
        assert!(
            segments[0].starts_with("should checkpoint") && segments[0].ends_with("be damaged"),
            "{segments:?}"
        );
        assert!(segments.contains(&"after the newest checkpoint".to_owned()), "{segments:?}");
        // Names, epochs and bytes are those of the files.
        let disk = machine.disk("data/log");
        let names = disk.list("").unwrap();
        assert_eq!(texts(&mut session, "SELECT name FROM tuplix.log_segments ORDER BY name"), names);
        let bytes = integers(&mut session, "SELECT bytes FROM tuplix.log_segments ORDER BY name");
        for (name, bytes) in names.iter().zip(&bytes).take(names.len() - 1) {
            assert_eq!(
                disk.open(name, tuplix_machine::OpenMode::Read).unwrap().len().unwrap() as i64,
                *bytes,
                "{name}"
            );
        }
        let gaps =
            "SELECT count(*) FROM (SELECT first_epoch - lag(last_epoch) OVER (ORDER BY first_epoch) AS step
            FROM tuplix.log_segments) s WHERE step <> 1";
        assert_eq!(integers(&mut session, gaps), [0]);
        let last = "SELECT max(s.last_epoch) - max(l.durable_epoch) FROM tuplix.log_segments s, tuplix.log l";
        assert_eq!(integers(&mut session, last), [0]);
        tuplix_engine::close(&node).unwrap();
    });
    // The next start knows them by what they say themselves; one that is damaged is shown with what is wrong.
    let mut disk = outcome.disk;
    let newest = disk.paths().into_iter().rfind(|path| path.contains("/checkpoint/")).unwrap().to_owned();
    let bytes = disk.file_mut(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let outcome = Simulation::new(1, Faults::none()).with_disk(disk).run(|machine| {
        let node = open(&machine);
        let mut session = session(&node);
        let rows = texts(&mut session, CHECKPOINTS);
        assert!(
            rows.len() == 2 && rows[0].starts_with("damaged|NULL|") && rows[1].starts_with("kept|NULL|"),
            "{rows:?}"
        );
        let error = "SELECT error FROM tuplix.checkpoints WHERE state = 'damaged'";
        assert!(texts(&mut session, error)[0].contains("is damaged at byte"));
        write(&mut session);
        session.execute("CHECKPOINT").unwrap();
        let rows = texts(&mut session, CHECKPOINTS);
        assert!(rows.len() == 2 && rows.iter().all(|row| row.starts_with("kept|")), "{rows:?}");
        tuplix_engine::close(&node).unwrap();
    });
    outcome.value.unwrap();
}

#[test]
fn a_checkpoint_that_failed_is_shown_until_the_next() {
    // Of a disk that takes the log and two checkpoints, not three.
    let faults = Faults { capacity: Some(150 << 10), ..Faults::none() };
    let outcome = Simulation::new(1, faults).run(|machine| {
        let node = open(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE t (a text)").unwrap();
        let failed = (0..10).find_map(|_| {
            write(&mut session);
            session.execute("CHECKPOINT").err()
        });
        assert_eq!(failed.unwrap().sqlstate().to_string(), "53100");
        let rows =
            texts(&mut session, "SELECT state, cause, error FROM tuplix.checkpoints WHERE state = 'failed'");
        assert!(
            rows.len() == 1 && rows[0].starts_with("failed|request|") && rows[0].contains("No space"),
            "{rows:?}"
        );
        let files = machine.disk("data/checkpoint").list("").unwrap();
        assert!(files.iter().all(|name| name.ends_with(".checkpoint")), "{files:?}");
        session.execute("TRUNCATE t").unwrap();
        session.execute("CHECKPOINT").unwrap();
        assert!(texts(&mut session, CHECKPOINTS).iter().all(|row| row.starts_with("kept|")));
        tuplix_engine::close(&node).unwrap();
    });
    outcome.value.unwrap();
}

#[test]
fn a_node_without_a_log_has_none() {
    let shape = Shape { partitions: 1, buckets: 2, log_segment_bytes: 1 << 20 };
    let node = tuplix_engine::open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
    let mut session = session(&node);
    assert_eq!(texts(&mut session, CHECKPOINTS), Vec::<String>::new());
    assert_eq!(texts(&mut session, SEGMENTS), Vec::<String>::new());
}
