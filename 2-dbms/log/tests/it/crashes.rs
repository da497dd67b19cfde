//! Power fails at every disk operation; every disk operation fails once.

use std::sync::Arc;

use tuplix_log::Config;
use tuplix_machine::{DiskImage, Faults, Outcome, Simulation};
use tuplix_types::Result;

use crate::bank::{Ledger, Node, check, config, load};

type SharedLedger = Arc<std::sync::Mutex<Ledger>>;

/// Opens, commits and closes under `faults`.
fn run(seed: u64, faults: Faults, disk: DiskImage, ledger: &SharedLedger) -> Outcome<Result<()>> {
    Simulation::new(seed, faults).with_disk(disk).run(|machine| {
        let config = Config { preallocate: seed.is_multiple_of(2), ..config() };
        let (node, state, _) = Node::open(&machine, 3, config, true)?;
        check(&state, &ledger.lock().unwrap());
        // What is gone now never comes back.
        ledger.lock().unwrap().run = state.transactions;
        let node = Arc::new(node);
        for result in load(&node, 5, 18, ledger) {
            result?;
        }
        node.log.close()
    })
}

fn must_recover(seed: u64, disk: DiskImage, ledger: &SharedLedger) -> DiskImage {
    let outcome = run(seed, Faults::none(), disk, ledger);
    outcome.value.unwrap().unwrap();
    outcome.disk
}

#[test]
fn nothing_acknowledged_is_lost_when_power_fails_at_any_operation() {
    for (round, harsh) in [false, true, true].into_iter().enumerate() {
        let faults = || if harsh { Faults { flip_bits: true, ..Faults::harsh() } } else { Faults::none() };
        for nth in 1.. {
            let seed = nth * 100 + round as u64;
            let ledger = SharedLedger::default();
            // A crash while there is nothing yet, another during or after recovery from it.
            let first =
                run(seed, Faults { crash_at_io: Some(nth), ..faults() }, DiskImage::default(), &ledger);
            let second =
                run(seed + 1, Faults { crash_at_io: Some(nth), ..faults() }, first.disk.clone(), &ledger);
            let third = run(
                seed + 2,
                Faults { crash_at_io: Some(nth + 5), ..faults() },
                second.disk.clone(),
                &ledger,
            );
            must_recover(seed + 3, third.disk, &ledger);
            if !first.crashed() && !second.crashed() {
                assert!(nth > 20, "power failed at {nth} operations only");
                break;
            }
        }
    }
}

#[test]
fn torn_tails_are_cut_and_reported() {
    let mut cut = 0;
    for seed in 0..60 {
        let ledger = SharedLedger::default();
        let faults = Faults { crash_at_io: Some(8 + seed % 30), ..Faults::harsh() };
        let crashed = run(seed, faults, DiskImage::default(), &ledger);
        let recovered = Simulation::new(seed, Faults::none()).with_disk(crashed.disk).run(|machine| {
            let (node, state, report) = Node::open(&machine, 3, config(), false).unwrap();
            check(&state, &ledger.lock().unwrap());
            drop(node);
            // The tail is gone for good: the next recovery finds a clean end.
            let (_, again, second) = Node::open(&machine, 3, config(), false).unwrap();
            assert_eq!((second.cut, again), (None, state));
            report
        });
        if let Some(tail) = recovered.value.unwrap().cut {
            assert!((tail.bytes > 0 || tail.offset == 0) && tail.segment.ends_with(".log"));
            cut += 1;
        }
    }
    assert!(cut > 10, "only {cut} torn tails in 60 power failures");
}

#[test]
fn every_operation_fails_once_and_the_log_says_so() {
    for errno in [libc::EIO, libc::ENOSPC] {
        let code = if errno == libc::EIO { "58030" } else { "53100" };
        for nth in 1.. {
            let ledger = SharedLedger::default();
            let faults = Faults { fail_io: Some(nth), errno, ..Faults::harsh() };
            let failed = run(nth, faults, DiskImage::default(), &ledger);
            let result = failed.value.unwrap();
            if failed.faults_fired == 0 {
                result.unwrap();
                assert!(nth > 20, "only {nth} operations");
                break;
            }
            let error = result.unwrap_err();
            assert_eq!(error.sqlstate().as_str(), code, "operation {nth}: {error}");
            assert!(error.message().contains("data/log"), "{error}");
            must_recover(nth, failed.disk, &ledger);
        }
    }
}

#[test]
fn once_a_write_failed_nothing_is_acknowledged_any_more() {
    for seed in 0..20 {
        let faults = Faults { fail_one_in: 12, ..Faults::harsh() };
        let outcome = Simulation::new(seed, faults).run(|machine| {
            let Ok((node, ..)) = Node::open(&machine, 2, config(), true) else { return };
            let mut number = 0;
            let failed = loop {
                number += 1;
                match node.commit(number, &[0]).and_then(|epoch| node.log.wait_durable(epoch)) {
                    Ok(()) => {}
                    Err(error) => break error,
                }
            };
            assert!(failed.message().starts_with("the log has stopped: could not "), "{failed}");
            assert!(failed.fields().hint.as_deref().unwrap().contains("restart the node"));
            assert_eq!(node.log.check().unwrap_err(), failed);
            assert_eq!(node.log.flush().unwrap_err(), failed);
            assert_eq!(node.log.wait_durable(node.log.current_epoch()).unwrap_err(), failed);
            let called = Arc::new(std::sync::Mutex::new(None));
            let slot = called.clone();
            node.log.on_durable(
                node.log.current_epoch(),
                Box::new(move |result| *slot.lock().unwrap() = Some(result)),
            );
            assert_eq!(*called.lock().unwrap(), Some(Err(failed)));
        });
        assert!(!outcome.crashed());
    }
}
