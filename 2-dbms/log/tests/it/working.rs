//! A log that works: what comes back, what shares an fsync, what is listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tuplix_log::{Config, Lane, Log, RecordHeader, dump};
use tuplix_machine::{Faults, Machine, Simulation};
use tuplix_types::Value;

use crate::bank::{self, Ledger, Node, check, config, load};

#[test]
fn what_was_closed_comes_back_over_many_segments() {
    for seed in 0..8 {
        let ledger = Arc::new(std::sync::Mutex::new(Ledger::default()));
        let first = Simulation::new(seed, Faults::harsh()).run(|machine| {
            let (node, state, report) = Node::open(&machine, 5, config(), true).unwrap();
            assert_eq!((state, report.epochs), (bank::State::default(), 0));
            let node = Arc::new(node);
            for result in load(&node, 4, 30, &ledger) {
                result.unwrap();
            }
            node.log.close().unwrap();
            assert_eq!(node.commit(999, &[0]).unwrap_err().sqlstate().as_str(), "57P01");
        });
        let segments = first.disk.paths().len();
        assert!(segments > 3, "{segments} segments");
        let second = Simulation::new(seed, Faults::harsh()).with_disk(first.disk).run(|machine| {
            let (_node, state, report) = Node::open(&machine, 5, config(), true).unwrap();
            assert_eq!(state.transactions, ledger.lock().unwrap().run);
            assert_eq!((report.records, report.cut), (120, None));
            report.last_epoch
        });
        assert!(second.value.unwrap() > 1);
    }
}

#[test]
fn equal_seeds_write_equal_bytes() {
    let run = |seed| {
        Simulation::new(seed, Faults::harsh()).run(|machine| {
            let ledger = Arc::new(std::sync::Mutex::new(Ledger::default()));
            let (node, ..) = Node::open(&machine, 3, config(), true).unwrap();
            let node = Arc::new(node);
            let _ = load(&node, 3, 10, &ledger);
            machine.crash();
        })
    };
    for seed in 0..6 {
        let (first, second): (tuplix_machine::Outcome<()>, tuplix_machine::Outcome<()>) =
            (run(seed), run(seed));
        assert_eq!((first.trace, first.steps), (second.trace, second.steps));
        assert!(first.disk == second.disk, "seed {seed}");
    }
}

#[test]
fn those_who_wait_share_an_fsync() {
    let outcome = Simulation::new(3, Faults::harsh()).run(|machine| {
        let (node, ..) = Node::open(&machine, 4, config(), true).unwrap();
        let node = Arc::new(node);
        let waiting: Vec<_> = (1..=40)
            .map(|number| {
                let node = node.clone();
                machine.spawn("waiting", move || {
                    let epoch = node.commit(number, &node.domains_of(number)).unwrap();
                    node.log.wait_durable(epoch).unwrap();
                })
            })
            .collect();
        for thread in waiting {
            thread.join().unwrap();
        }
        node.log.statistics()
    });
    let statistics = outcome.value.unwrap();
    assert_eq!(statistics.records, 40);
    assert!(statistics.epochs <= 12, "{} fsyncs for 40 commits", statistics.epochs);
}

#[test]
fn without_a_waiter_an_epoch_is_written_within_the_interval() {
    Simulation::new(4, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 1, config(), true).unwrap();
        let idle = machine.monotonic_ns();
        machine.sleep_until(idle + 60_000_000_000);
        assert_eq!(node.log.statistics().epochs, 0, "empty epochs are not written");
        let epoch = node.commit(1, &[0]).unwrap();
        assert!(node.log.durable_epoch() < epoch);
        machine.sleep_until(machine.monotonic_ns() + 7_000_000);
        assert!(node.log.durable_epoch() >= epoch);
    });
}

#[test]
fn without_a_flusher_who_waits_writes() {
    Simulation::new(5, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 2, config(), false).unwrap();
        let first = node.commit(1, &[0]).unwrap();
        node.commit(2, &[1]).unwrap();
        node.log.wait_durable(first).unwrap();
        assert_eq!(node.log.statistics().records, 2);
        node.log.flush().unwrap();
        assert_eq!(node.log.statistics().epochs, 1);
        assert_eq!(bank::read(&machine).unwrap().transactions.len(), 2);
    });
}

#[test]
fn callbacks_come_once_durable() {
    Simulation::new(6, Faults::harsh()).run(|machine| {
        let (node, ..) = Node::open(&machine, 1, config(), true).unwrap();
        let called = Arc::new(AtomicU32::new(0));
        let callback = |called: &Arc<AtomicU32>| {
            let called = called.clone();
            Box::new(move |result: tuplix_types::Result<()>| {
                result.unwrap();
                called.fetch_add(1, Ordering::Relaxed);
            })
        };
        let epoch = node.commit(1, &[0]).unwrap();
        node.log.on_durable(epoch, callback(&called));
        node.log.wait_durable(epoch).unwrap();
        node.log.on_durable(epoch, callback(&called));
        node.log.close().unwrap();
        assert_eq!(called.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_log_that_is_off_makes_no_file_and_waits_for_nothing() {
    Simulation::new(7, Faults::none()).run(|machine| {
        let log = Log::off(&machine);
        let mut lane = log.lane(0);
        assert!(!lane.is_on() && lane.has_room());
        let epoch = log.current_epoch();
        lane.append(epoch, &RecordHeader::default(), |_| panic!("nobody keeps it")).unwrap();
        log.wait_durable(epoch).unwrap();
        log.flush().unwrap();
        assert_eq!(bank::disk(&machine).list("").unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_retired_lane_loses_nothing() {
    let outcome = Simulation::new(8, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 2, config(), false).unwrap();
        node.commit(1, &[0]).unwrap();
        node.commit(2, &[1]).unwrap();
        let gone = std::mem::replace(&mut node.bank.domains[1].lock().lane, node.log.lane(9));
        node.log.retire(gone);
        node.log.close().unwrap();
        bank::read(&machine).unwrap().transactions.len()
    });
    assert_eq!(outcome.value, Some(2));
}

#[test]
fn segments_before_a_checkpoint_go_and_recovery_begins_after_it() {
    let ledger = Arc::new(std::sync::Mutex::new(Ledger::default()));
    let first = Simulation::new(9, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 3, config(), true).unwrap();
        let node = Arc::new(node);
        let _ = load(&node, 3, 40, &ledger);
        node.log.flush().unwrap();
        let checkpoint = node.log.durable_epoch() / 2;
        let removed = node.log.remove_before(checkpoint).unwrap();
        assert!(removed > 0);
        assert_eq!(node.log.remove_before(checkpoint).unwrap(), 0);
        node.log.close().unwrap();
        checkpoint
    });
    let checkpoint = first.value.unwrap();
    Simulation::new(10, Faults::none()).with_disk(first.disk).run(|machine| {
        let open = |after| {
            let config = Config { recover_after: after, ..config() };
            tuplix_log::Recovery::start(&machine, bank::disk(&machine), config).unwrap()
        };
        let mut recovery = open(checkpoint);
        let mut last = checkpoint;
        while let Some(epoch) = recovery.next_epoch().unwrap() {
            assert!(epoch.number() > last);
            last = epoch.number();
        }
        assert!(last > checkpoint);
        let error = open(0).next_epoch().unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "XX001");
        assert!(error.message().contains("but the log before it ends at epoch 0"), "{error}");
    });
}

#[test]
fn the_listing_says_who_changed_what() {
    let outcome = Simulation::new(11, Faults::none()).run(|machine| {
        let (node, ..) = Node::open(&machine, 1, config(), false).unwrap();
        node.commit(1, &[0]).unwrap();
        node.log.flush().unwrap();
        let mut lane = std::mem::replace(&mut node.bank.domains[0].lock().lane, node.log.lane(0));
        let header = RecordHeader { commit_ts: 2, ..RecordHeader::default() };
        let append = |lane: &mut Lane| {
            lane.append(node.log.current_epoch(), &header, |record| {
                record.catalog(1, br#"{"table":"t"}"#);
                let key = [Value::text("it's"), Value::Null];
                record.delete(5, 63, 9, key.len(), |number| &key[number]);
            })
        };
        append(&mut lane).unwrap();
        node.log.retire(lane);
        node.log.flush().unwrap();
        let mut listing = Vec::new();
        let mut keep = |line: &str| {
            listing.push(line.to_owned());
            Ok(())
        };
        dump(bank::disk(&machine), 0, &mut keep).unwrap();
        listing
    });
    let listing = outcome.value.unwrap();
    let expected = [
        "epoch 1 of ",
        "  1 lane 0 procedure 20000 version 1 role ann purpose tests",
        "    insert 1000 bucket 0 slot 1 (1)",
        "    update 0 bucket 0 slot 0 (0: 1)",
        "epoch 2 of ",
        "  2 lane 0 the node",
        "    catalog 1 {\"table\":\"t\"}",
        "    delete 5 bucket 63 slot 9 ('it''s', NULL)",
    ];
    assert_eq!(listing.len(), expected.len(), "{listing:#?}");
    for (line, expected) in listing.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert!(
        listing[0].ends_with(": 1 record, 142 bytes, \"00000000000000000001.log\" at 64"),
        "{}",
        listing[0]
    );
}

#[test]
fn it_works_on_linux_with_preallocated_segments() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::linux();
    let config = || Config { preallocate: true, segment_bytes: 100_000, node_id: 7, ..Config::default() };
    let disk = machine.disk(folder.path().to_str().unwrap());
    let ledger = Arc::new(std::sync::Mutex::new(Ledger::default()));
    for round in 0..2 {
        let (node, state) = {
            let mut recovery = tuplix_log::Recovery::start(&machine, disk.clone(), config()).unwrap();
            let state = bank::replay(|state| match recovery.next_epoch()? {
                Some(epoch) => bank::apply(state, &epoch).map(|()| true),
                None => Ok(false),
            });
            let (log, report) = recovery.finish().unwrap();
            assert_eq!(report.cut, None);
            let state = state.unwrap();
            let domain = |id| {
                let value = state.values.get(&id).copied().unwrap_or(0);
                tuplix_machine::Mutex::new(
                    &machine,
                    bank::Domain { lane: log.lane(id), value, last_ts: state.last_ts },
                )
            };
            let bank = Arc::new(bank::Bank { domains: (0..3).map(domain).collect() });
            log.start(bank.clone(), true);
            let context =
                log.intern(&tuplix_log::SessionContext { role: "ann".into(), ..Default::default() });
            (Arc::new(Node { machine: machine.clone(), log, bank, context }), state)
        };
        assert_eq!(state.transactions.len(), round * 1500);
        check(&state, &ledger.lock().unwrap());
        for result in load(&node, 3, 500, &ledger) {
            result.unwrap();
        }
        node.log.close().unwrap();
    }
}
