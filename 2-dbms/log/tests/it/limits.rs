//! Limits: a full disk, a full buffer.

use std::sync::Arc;

use tuplix_log::{Config, Lane, Lanes, RecordHeader, Recovery};
use tuplix_machine::{Faults, Machine, Mutex, Simulation};
use tuplix_types::{Result, Value};

use crate::bank::{self, Ledger, Node, check, config, load};

#[test]
fn a_full_disk_stops_the_log_and_space_brings_it_back() {
    for seed in 0..10 {
        let ledger = Arc::new(std::sync::Mutex::new(Ledger::default()));
        let full = Simulation::new(seed, Faults { capacity: Some(2500), ..Faults::none() }).run(|machine| {
            let (node, ..) = Node::open(&machine, 2, config(), true).unwrap();
            let node = Arc::new(node);
            let error = load(&node, 2, 200, &ledger).into_iter().find_map(Result::err).unwrap();
            assert_eq!(error.sqlstate().as_str(), "53100", "{error}");
            assert!(error.fields().hint.as_deref().unwrap().contains("Free space"));
        });
        Simulation::new(seed, Faults::none()).with_disk(full.disk).run(|machine| {
            check(&Node::open(&machine, 2, config(), true).unwrap().1, &ledger.lock().unwrap());
        });
    }
}

struct One(Mutex<Lane>);

impl Lanes for One {
    fn visit(&self, visit: &mut dyn FnMut(&mut Lane)) {
        visit(&mut self.0.lock());
    }
}

/// Appends 1 KiB rows until the lane has no room; returns how many.
fn fill(machine: &Machine, log: &tuplix_log::Log, one: &One) -> u64 {
    let row = [Value::bytea(vec![7u8; 1024])];
    let mut count = 0;
    loop {
        let mut lane = one.0.lock();
        if !lane.has_room() {
            return count;
        }
        count += 1;
        let header = RecordHeader { commit_ts: machine.monotonic_ns(), ..RecordHeader::default() };
        lane.append(log.current_epoch(), &header, |record| record.insert(1, 0, count, &row)).unwrap();
    }
}

#[test]
fn a_full_buffer_makes_commits_wait_then_fail() {
    let outcome = Simulation::new(2, Faults { latency_ns: 50_000_000, ..Faults::none() }).run(|machine| {
        let config =
            Config { buffer_bytes: 300_000, flush_bytes: 100_000, segment_bytes: 1 << 20, ..config() };
        let (log, _) = Recovery::start(&machine, bank::disk(&machine), config).unwrap().finish().unwrap();
        let one = Arc::new(One(Mutex::new(&machine, log.lane(0))));
        log.start(one.clone(), true);
        let count = fill(&machine, &log, &one);
        assert!((280..600).contains(&count), "{count} rows of 1 KiB in 300 kB");
        let error = log.wait_for_room(machine.monotonic_ns()).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "53300");
        assert!(error.message().contains("300000 bytes is full"), "{error}");
        log.wait_for_room(machine.monotonic_ns() + 1_000_000_000).unwrap();
        assert!(one.0.lock().has_room());
        log.close().unwrap();
        log.statistics().records - count
    });
    assert_eq!(outcome.value, Some(0));
}

struct Broken;

impl Lanes for Broken {
    fn visit(&self, _visit: &mut dyn FnMut(&mut Lane)) {
        panic!("a latch is broken");
    }
}

#[test]
fn a_panic_while_an_epoch_is_taken_stops_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::linux();
    let disk = machine.disk(folder.path().to_str().unwrap());
    let (log, _) = Recovery::start(&machine, disk, config()).unwrap().finish().unwrap();
    log.start(Arc::new(Broken), false);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| log.flush())).is_err());
    assert_eq!(log.check().unwrap_err().sqlstate().as_str(), "XX000");
    assert_eq!(log.wait_durable(1).unwrap_err(), log.check().unwrap_err());
}
