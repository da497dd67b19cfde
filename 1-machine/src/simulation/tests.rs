#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Condvar, Event, Mutex, OpenMode};
use std::sync::atomic::{AtomicU32, Ordering};

fn workers(machine: &Machine) -> u64 {
    let shared = Arc::new((Mutex::new(machine, Vec::<u64>::new()), Condvar::new(machine)));
    let producers: Vec<_> = (0..3u64)
        .map(|producer| {
            let (shared, machine) = (shared.clone(), machine.clone());
            machine.clone().spawn("producer", move || {
                for item in 0..20 {
                    machine.sleep_until(machine.monotonic_ns() + machine.random_u64() % 5000);
                    shared.0.lock().push(producer * 100 + item);
                    shared.1.notify_one();
                }
            })
        })
        .collect();
    let mut order = 0u64;
    for _ in 0..60 {
        let mut items = shared.0.lock();
        while items.is_empty() {
            shared.1.wait(&mut items);
        }
        order = order.wrapping_mul(31).wrapping_add(items.remove(0));
    }
    for producer in producers {
        producer.join().unwrap();
    }
    order
}

#[test]
fn equal_seeds_give_equal_runs_and_others_differ() {
    let run = |seed| Simulation::new(seed, Faults::harsh()).run(|machine| workers(&machine));
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let (first, second) = (run(seed), run(seed));
        assert_eq!((first.value, first.trace, first.steps), (second.value, second.trace, second.steps));
        orders.insert(first.value);
    }
    assert!(orders.len() > 3, "seeds lead to different orders");
}

#[test]
fn latches_exclude_and_races_are_found() {
    // A read, a yield point and a write without a latch: some seed loses an update; with it none does.
    let run = |seed, latched: bool| {
        let outcome = Simulation::new(seed, Faults::none()).run(|machine| {
            let counter = Arc::new(AtomicU32::new(0));
            let latch = Arc::new(crate::Latch::new(&machine));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (counter, latch, machine) = (counter.clone(), latch.clone(), machine.clone());
                    machine.clone().spawn("adder", move || {
                        if latched {
                            latch.lock();
                        }
                        let seen = counter.load(Ordering::Relaxed);
                        machine.yield_point("between");
                        counter.store(seen + 1, Ordering::Relaxed);
                        if latched {
                            latch.unlock();
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            counter.load(Ordering::Relaxed)
        });
        outcome.value.unwrap()
    };
    assert!((0..30).all(|seed| run(seed, true) == 2));
    assert!((0..30).any(|seed| run(seed, false) == 1));
}

#[test]
fn time_jumps_to_the_next_timer() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        let start = machine.monotonic_ns();
        machine.sleep_until(start + 3_600_000_000_000);
        let event = Event::new(&machine);
        assert!(!event.wait(event.sequence(), Some(machine.monotonic_ns() + 1_000_000)));
        machine.monotonic_ns() - start
    });
    assert!(outcome.value.unwrap() >= 3_600_001_000_000);
}

#[test]
#[should_panic(expected = "deadlock")]
fn deadlock_is_reported() {
    Simulation::new(3, Faults::none()).run(|machine| {
        let event = Event::new(&machine);
        event.wait(event.sequence(), None);
    });
}

#[test]
#[should_panic(expected = "simulation with seed 77 failed: thread \"bad\" panicked: on purpose")]
fn a_thread_that_panics_fails_the_run_and_names_the_seed() {
    Simulation::new(77, Faults::none()).run(|machine| {
        let _ = machine.spawn("bad", || panic!("on purpose")).join();
        let event = Event::new(&machine);
        event.wait(event.sequence(), None);
    });
}

#[test]
fn crash_unwinds_every_thread_and_its_destructors() {
    struct Count(Arc<(Mutex<u32>, AtomicU32)>);
    impl Drop for Count {
        fn drop(&mut self) {
            *self.0.0.lock() += 1;
            self.0.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = std::sync::Mutex::new(None);
    let outcome = Simulation::new(5, Faults::none()).run(|machine| {
        let counts = Arc::new((Mutex::new(&machine, 0), AtomicU32::new(0)));
        *dropped.lock().unwrap() = Some(counts.clone());
        for _ in 0..3 {
            let (count, machine) = (Count(counts.clone()), machine.clone());
            machine.clone().spawn("waiter", move || {
                let _count = count;
                machine.sleep_until(u64::MAX);
            });
        }
        let guard = counts.0.lock();
        machine.sleep_until(1_000_000);
        let _held = guard;
        machine.crash();
    });
    assert!(outcome.crashed());
    assert_eq!(outcome.value, None::<()>);
    let counts = dropped.lock().unwrap().take().unwrap();
    assert_eq!(counts.1.load(Ordering::Relaxed), 3);
}

#[test]
fn synced_bytes_survive_and_the_rest_is_torn() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..40 {
        let before = Simulation::new(seed, Faults::harsh()).run(|machine| {
            let disk = machine.disk("d");
            let file = disk.open("f", OpenMode::CreateNew).unwrap();
            file.write_at(0, &[1; 8192]).unwrap();
            file.sync_data().unwrap();
            disk.sync_dir("").unwrap();
            file.write_at(8192, &[2; 8192]).unwrap();
            machine.crash();
        });
        let bytes = before.disk.file("d/f").unwrap();
        assert!(bytes[..8192].iter().all(|byte| *byte == 1));
        let survived = bytes[8192..].iter().filter(|byte| **byte == 2).count();
        assert_eq!(survived % 512, 0);
        lost += usize::from(survived < 8192);
        kept += usize::from(survived > 0);
    }
    assert!(lost > 20 && kept > 20, "{lost} lost, {kept} kept");
}

#[test]
fn kill_keeps_what_was_written() {
    let outcome = Simulation::new(1, Faults::none()).run(|machine| {
        machine.disk("d").open("f", OpenMode::CreateNew).unwrap().write_at(0, b"here").unwrap();
        machine.kill();
    });
    assert_eq!(outcome.ended, CrashKind::Kill);
    assert_eq!(outcome.disk.file("d/f"), Some(&b"here"[..]));
    assert_eq!(outcome.value, None::<()>);
}

#[test]
fn failing_operations_say_what_where_and_why() {
    let mut messages = Vec::new();
    for nth in 1.. {
        let faults = Faults { fail_io: Some(nth), ..Faults::none() };
        let outcome = Simulation::new(nth, faults).run(|machine| {
            let disk = machine.disk("d");
            let file = disk.open("f", OpenMode::CreateNew)?;
            file.write_at(0, b"x")?;
            file.sync_data()?;
            disk.rename("f", "g")?;
            disk.sync_dir("")
        });
        match outcome.value.unwrap() {
            Ok(()) => {
                assert_eq!(outcome.faults_fired, 0);
                break;
            }
            Err(error) => messages.push(error.to_string()),
        }
    }
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[2], "could not fsync \"d/f\": Input/output error (os error 5)");
}

#[test]
fn a_full_disk_is_known_as_such() {
    let faults = Faults { capacity: Some(1000), ..Faults::none() };
    let outcome = Simulation::new(1, faults).run(|machine| {
        let file = machine.disk("d").open("f", OpenMode::CreateNew).unwrap();
        file.write_at(0, &[0; 600]).unwrap();
        file.write_at(600, &[0; 600]).unwrap_err()
    });
    assert!(outcome.value.unwrap().is_disk_full());
    assert_eq!(outcome.faults_fired, 1);
}

#[test]
fn a_failed_fsync_loses_data_although_the_next_succeeds() {
    let mut lost = false;
    for seed in 0..20 {
        let faults = Faults { fail_io: Some(4), ..Faults::none() };
        let outcome = Simulation::new(seed, faults).run(|machine| {
            let disk = machine.disk("d");
            let file = disk.open("f", OpenMode::CreateNew).unwrap();
            disk.sync_dir("").unwrap();
            file.write_at(0, b"data").unwrap();
            file.sync_data().unwrap_err();
            file.sync_data().unwrap();
            machine.crash();
        });
        lost |= outcome.disk.file("d/f") == Some(&b""[..]);
    }
    assert!(lost);
}

#[test]
fn the_directory_lock_names_its_holder() {
    Simulation::new(1, Faults::none()).run(|machine| {
        let disk = machine.disk("d");
        let lock = disk.lock("").unwrap();
        let error = disk.lock("").unwrap_err().to_string();
        assert_eq!(error, "could not lock directory \"d\": it is in use by process 1");
        drop(lock);
        disk.lock("").unwrap();
    });
}
