//! `tuplix check` and `tuplix backup` beside a node that removes segments of rows that have left memory: nobody calls that damage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tuplix::{Durability, Machine, Options, Tuplix};
use tuplix_backup::{Scope, backup_to_tar, verify};
use tuplix_machine::{Faults, Simulation};

fn open(machine: &Machine) -> Tuplix {
    Tuplix::open_with(&Options {
        dir: Some("data".into()),
        partitions: 2,
        buckets: 4,
        log_segment_bytes: 16 << 10,
        durability: Durability { checkpoint_log_bytes: 0, spool_chunks: 1, ..Durability::default() },
        machine: Some(machine.clone()),
        ..Options::default()
    })
    .unwrap()
}

#[test]
fn segments_that_are_removed_meanwhile_are_not_damaged() {
    for seed in 0..6 {
        let faults = Faults { latency_ns: 500_000, ..Faults::none() };
        let outcome = Simulation::new(seed, faults).run(|machine| {
            let node = open(&machine);
            let mut session = node.session(&Default::default()).unwrap();
            session.execute("CREATE TABLE h (a bigint); SELECT spool_table('h')").unwrap();
            let ended = Arc::new(AtomicBool::new(false));
            let told = ended.clone();
            let worker = machine.spawn("worker", move || {
                for _ in 0..3 {
                    session.execute("INSERT INTO h SELECT generate_series(1, 520)").unwrap();
                    node.checkpoint().unwrap();
                    session.execute("TRUNCATE h").unwrap();
                    node.checkpoint().unwrap();
                }
                told.store(true, Ordering::SeqCst);
            });
            let data = machine.disk("data");
            let mut history = 0;
            while !ended.load(Ordering::SeqCst) {
                let verified = verify(&machine, &data).unwrap();
                assert_eq!(verified.findings, Vec::<String>::new(), "seed {seed}");
                history += verified.history;
                backup_to_tar(&machine, &data, &mut Vec::new(), Scope::Kept).unwrap();
            }
            worker.join().unwrap();
            history
        });
        assert!(outcome.value.unwrap() > 0, "seed {seed}: no segment was read");
    }
}
