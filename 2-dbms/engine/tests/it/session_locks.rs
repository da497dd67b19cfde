//! Advisory locks of sessions: what they guard is read and written in statements of their own, and nothing is lost; who
//! waits for each other in a circle is told so.

use tuplix_machine::{Faults, Simulation};

use super::{Random, integers, open_node, session};

/// Adds one to counters under locks of theirs, sometimes two at once; gives how many of each.
fn work(node: &std::sync::Arc<tuplix_engine::Node>, seed: u64) -> ([i64; 3], u64) {
    let mut session = session(node);
    let mut random = Random(seed);
    let (mut added, mut circles) = ([0; 3], 0);
    for _ in 0..30 {
        let in_block = random.below(3) == 0;
        if in_block {
            session.execute("BEGIN").unwrap();
        }
        let (first, second) = (random.below(3), random.below(3));
        let mut held = Vec::new();
        for key in [first, second] {
            match session.execute(&format!("SELECT pg_advisory_lock({key})")) {
                Ok(_) => held.push(key),
                Err(error) => {
                    assert_eq!(error.sqlstate().to_string(), "40P01", "{error}");
                    circles += 1;
                    break;
                }
            }
        }
        // A statement that failed ends the block, not the locks.
        let failed = held.len() < 2;
        if in_block && failed {
            session.execute("ROLLBACK").unwrap();
        }
        for key in &held {
            let n = integers(&mut session, &format!("SELECT n FROM counter WHERE id = {key}"))[0];
            session.execute(&format!("UPDATE counter SET n = {} WHERE id = {key}", n + 1)).unwrap();
            added[*key as usize] += 1;
        }
        if in_block && !failed {
            session.execute("COMMIT").unwrap();
        }
        for key in &held {
            let mine = integers(&mut session, &format!("SELECT pg_advisory_unlock({key})::integer"))[0];
            assert_eq!(mine, 1);
        }
    }
    (added, circles)
}

#[test]
fn what_session_locks_guard_is_not_lost() {
    let mut circles = 0;
    for seed in 0..20 {
        let outcome = Simulation::new(seed, Faults::none()).run(move |machine| {
            let node = open_node(&machine);
            let mut first = session(&node);
            first.execute("CREATE TABLE counter (id integer PRIMARY KEY, n bigint)").unwrap();
            first.execute("INSERT INTO counter SELECT i, 0 FROM generate_series(0, 2) i").unwrap();
            let threads: Vec<_> = (0..3)
                .map(|number| {
                    let node = node.clone();
                    machine.spawn("client", move || work(&node, seed * 10 + number))
                })
                .collect();
            let mut added = [0; 3];
            let mut circles = 0;
            for thread in threads {
                let (one, met) = thread.join().unwrap();
                added.iter_mut().zip(one).for_each(|(sum, n)| *sum += n);
                circles += met;
            }
            assert_eq!(integers(&mut first, "SELECT n FROM counter ORDER BY id"), added);
            // Nothing is held any more, also by those who have left.
            assert_eq!(
                integers(&mut first, "SELECT pg_try_advisory_lock(i)::integer FROM generate_series(0, 2) i"),
                [1; 3]
            );
            circles
        });
        circles += outcome.value.unwrap();
    }
    assert!(circles > 0, "no two waited for each other");
}
