//! A value of a sequence is never given twice: not by two sessions, not after ROLLBACK, not after a power failure.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tuplix_machine::{DiskImage, Faults, Simulation};

use super::{Random, integers, open_node, session};

/// Draws values by three sessions until the power fails; adds them to those drawn before.
fn draw_until_crash(seed: u64, disk: DiskImage, drawn: &Arc<Mutex<Vec<i64>>>) -> DiskImage {
    let drawn = drawn.clone();
    let outcome = Simulation::new(seed, Faults::harsh()).with_disk(disk).run(move |machine| {
        let node = open_node(&machine);
        let mut first = session(&node);
        first.execute("CREATE SEQUENCE IF NOT EXISTS s CACHE 3").unwrap();
        let mut threads = Vec::new();
        for number in 0..3 {
            let (node, drawn) = (node.clone(), drawn.clone());
            threads.push(machine.spawn("drawer", move || {
                let mut session = session(&node);
                let mut random = Random(seed * 3 + number);
                for _ in 0..40 {
                    // Fails only when the power does.
                    let in_block = random.below(3) == 0;
                    let text = if in_block {
                        "BEGIN; SELECT nextval('s') FROM generate_series(1, 2); ROLLBACK"
                    } else {
                        "SELECT nextval('s')"
                    };
                    let Ok(results) = session.execute(text) else { return };
                    let values = results[usize::from(in_block)].iter().map(|row| row[0].as_i64().unwrap());
                    drawn.lock().unwrap().extend(values);
                }
            }));
        }
        let mut random = Random(seed);
        for _ in 0..random.below(60) {
            integers(&mut first, "SELECT nextval('s')").iter().for_each(|v| drawn.lock().unwrap().push(*v));
        }
        machine.crash();
    });
    outcome.disk
}

#[test]
fn no_value_is_given_twice() {
    for seed in 0..12 {
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let mut disk = DiskImage::default();
        for round in 0..4 {
            disk = draw_until_crash(seed * 10 + round, disk, &drawn);
        }
        let drawn = drawn.lock().unwrap();
        let distinct: BTreeSet<i64> = drawn.iter().copied().collect();
        assert_eq!(distinct.len(), drawn.len(), "seed {seed}: a value was given twice in {drawn:?}");
    }
}

#[test]
fn a_restart_keeps_definitions_and_goes_on() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        session.execute("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, n serial, d int GENERATED ALWAYS AS (n * 2) STORED, v text)").unwrap();
        session.execute("CREATE UNIQUE INDEX ON t (lower(v)) WHERE n < 1000").unwrap();
        session.execute("INSERT INTO t (v) VALUES ('a'), ('b')").unwrap();
        session.execute("SELECT setval('t_n_seq', 500)").unwrap();
        session.execute("ALTER SEQUENCE t_id_seq RESTART WITH 50").unwrap();
        tuplix_engine::close(&node).unwrap();
    });
    Simulation::new(2, Faults::none()).with_disk(outcome.disk).run(|machine| {
        let node = open_node(&machine);
        let mut session = session(&node);
        let given = integers(&mut session, "INSERT INTO t (v) VALUES ('c') RETURNING id");
        assert_eq!(given, [50]);
        assert_eq!(integers(&mut session, "SELECT d FROM t WHERE id = 50"), [1002]);
        let repeated = session.execute("INSERT INTO t (v) VALUES ('A')").unwrap_err();
        // Its number has passed the partial index's bound only in rows after the 1000th.
        assert_eq!(repeated.sqlstate().to_string(), "23505");
        session.execute("INSERT INTO t (v) SELECT 'x' || i FROM generate_series(1, 600) i").unwrap();
        session.execute("INSERT INTO t (v) VALUES ('A')").unwrap();
    });
}
