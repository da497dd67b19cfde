//! The bound on calls that wait for a partition: one more is refused with 53300 and nothing was done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use tuplix_engine::{Shape, open_in_memory};
use tuplix_machine::Machine;

use super::{integers, session};

/// Threads add to one row as fast as they can, at most one of them waiting: each is admitted or refused, never half.
#[test]
fn a_call_is_admitted_or_refused() {
    let shape = Shape { partitions: 1, buckets: 8, log_segment_bytes: 1 << 20 };
    let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
    let mut first = session(&node);
    first.execute("CREATE TABLE counter (p_key int PRIMARY KEY, n bigint NOT NULL)").unwrap();
    first
        .execute("SELECT create_distributed_table('counter', 'p_key'); INSERT INTO counter VALUES (1, 0)")
        .unwrap();
    node.set_waiting_max(1);
    let (done, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let barrier = Arc::new(Barrier::new(6));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let (node, done, refused, barrier) = (node.clone(), done.clone(), refused.clone(), barrier.clone());
            node.machine().clone().spawn("caller", move || {
                let mut session = session(&node);
                // Long enough that threads are switched within it.
                let slow = "UPDATE counter SET n = n + (SELECT count(*) / 20000 FROM generate_series(1, 20000)) WHERE p_key = 1";
                barrier.wait();
                for _ in 0..40 {
                    match session.execute(slow) {
                        Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            assert_eq!(error.sqlstate().to_string(), "53300", "{error}");
                            assert!(error.fields().hint.as_deref().is_some_and(|hint| hint.contains("--waiting-calls")));
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (done, refused) = (done.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    assert_eq!(done + refused, 240);
    assert!(refused > 0, "six threads never met");
    assert_eq!(integers(&mut first, "SELECT n FROM counter"), [done as i64]);
    // Nobody waits any more, and a limit of none at all lets a call through that need not wait.
    node.set_waiting_max(0);
    first.execute("UPDATE counter SET n = 0 WHERE p_key = 1").unwrap();
}
