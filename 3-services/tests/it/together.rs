//! Services together: one transaction over all of them, and many threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tuplix_services::fs::{Fs, Writer};
use tuplix_services::ipc::Ipc;
use tuplix_services::scheduler::{Policy, Scheduler, Usage};
use tuplix_services::{Bucket, ReceiverId, TaskId, WorkerId, errors};

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, join, spec, submit};

#[test]
fn a_row_a_file_a_message_and_a_task_commit_or_roll_back_as_one() {
    both(|_, session| {
        let (scheduler, ipc) = (Scheduler::new(session).unwrap(), Ipc::new(session).unwrap());
        let fs = Fs::new(session).unwrap();
        session.execute("CREATE TABLE mine (id int PRIMARY KEY)").unwrap();
        let counts = "SELECT (SELECT count(*) FROM mine), (SELECT count(*) FROM os.file WHERE kind = 'file'),
                             (SELECT count(*) FROM os.message), (SELECT count(*) FROM os.task)";
        for (end, expected) in [("ROLLBACK", "0|0|0|0"), ("COMMIT", "1|1|1|1")] {
            session.execute("BEGIN").unwrap();
            session.execute("INSERT INTO mine VALUES (1)").unwrap();
            fs.put(session, HOME, "/f", b"data", Writer::user("alice")).unwrap();
            ipc.send(session, ReceiverId(69), ReceiverId(64 + 9), b"hello", None).unwrap();
            submit(session, &scheduler, "t");
            assert_eq!(rows(session, counts), ["1|1|1|1"]);
            session.execute(end).unwrap();
            assert_eq!(rows(session, counts), [expected]);
        }
    });
}

#[test]
fn outputs_become_visible_with_the_status_or_not_at_all() {
    both(|_, session| {
        let (scheduler, fs) = (Scheduler::new(session).unwrap(), Fs::new(session).unwrap());
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "writer");
        let lost = claim(session, &scheduler).remove(0);
        join(session, &scheduler, WORKER, 1);
        let current = claim(session, &scheduler).remove(0);
        for claimed in [lost, current] {
            session.execute("BEGIN").unwrap();
            let data = format!("attempt {}", claimed.attempt);
            fs.put(session, HOME, "/out", data.as_bytes(), Writer::task("alice", task)).unwrap();
            let finished = scheduler.finish_task(session, task, claimed.attempt, 0, &Usage::default());
            if claimed.attempt == 1 {
                refused(finished, errors::STALE_ATTEMPT);
                session.execute("ROLLBACK").unwrap();
                refused(fs.get(session, HOME, "/out"), errors::NO_ENTRY);
            } else {
                finished.unwrap();
                session.execute("COMMIT").unwrap();
            }
        }
        assert_eq!(*fs.get(session, HOME, "/out").unwrap().data, *b"attempt 2");
        // Which task wrote which file is one query.
        let wrote = "SELECT f.f_name, s.name FROM os.list_tree(5) f JOIN os.task_spec s ON s.p_key = 5 AND s.task_id = f.writer_task_id";
        assert_eq!(rows(session, wrote), ["/out|writer"]);
    });
}

/// Nobody polls: who waits is told, after the commit. The contract passes notifications on from the embedded engine only.
#[test]
fn who_waits_is_told() {
    both(|engine, session| {
        let (scheduler, ipc) = (Scheduler::new(session).unwrap(), Ipc::new(session).unwrap());
        let mut waiting = engine.session();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "first");
        for channel in [
            "os_worker_69".to_owned(),
            format!("os_task_{task}"),
            "os_mailbox_69".to_owned(),
            "os_timer".to_owned(),
        ] {
            waiting.execute(&format!("LISTEN {channel}")).unwrap();
        }
        submit(session, &scheduler, "second");
        let mut late = spec("late");
        late.delay_ms = 1000;
        scheduler.submit_task(session, HOME, &late).unwrap();
        ipc.send(session, ReceiverId(5), ReceiverId(69), b"m", None).unwrap();
        let first = claim(session, &scheduler).remove(0);
        scheduler.finish_task(session, task, first.attempt, 0, &Usage::default()).unwrap();
        let second = claim(session, &scheduler).remove(0);
        scheduler.cancel_task(session, second.task, "enough").unwrap();
        waiting.execute("SELECT 1").unwrap();
        let told: Vec<String> = waiting
            .take_notifications()
            .iter()
            .map(|told| format!("{} {}", told.channel, told.payload))
            .collect();
        let (done, cancel) = (format!("os_task_{task} done"), format!("os_worker_69 cancel {}", second.task));
        if engine.name == "engine" {
            assert_eq!(told, ["os_timer 5", "os_mailbox_69 1", &done, "os_worker_69 5", &cancel]);
        }
    });
}

/// The paper's FIFO scheduler as printed loses updates on PostgreSQL; this one does not.
#[test]
fn schedulers_side_by_side_give_no_place_twice() {
    both(|engine, session| {
        const THREADS: i64 = 8;
        let scheduler = Scheduler::new(session).unwrap();
        for (worker, cores) in [(69, 50), (133, 30), (197, 20)] {
            join(session, &scheduler, WorkerId(worker), cores);
        }
        let placed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let placed = &placed;
                scope.spawn(move || {
                    let mut session = engine.session();
                    let scheduler = Scheduler::new(&mut session).unwrap();
                    for n in 0..20 {
                        let policy = [Policy::Fifo, Policy::LeastLoaded][n as usize % 2];
                        let task = TaskId((10_000 + thread * 100 + n) * 64 + 5);
                        if scheduler.schedule(&mut session, policy, HOME, task, 1, 1).unwrap().is_some() {
                            placed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(placed.into_inner(), 100);
        let workers = "SELECT w.worker_id, w.unused_capacity, count(t.task_id) FROM os.worker w
                         JOIN os.task t ON t.p_key = w.p_key AND t.worker_id = w.worker_id GROUP BY 1, 2 ORDER BY 1";
        assert_eq!(rows(session, workers), ["69|0|50", "133|0|30", "197|0|20"]);
    });
}

/// Four threads submit, four claim and end: each task runs once, capacity is exact.
#[test]
fn many_threads_lose_and_double_no_task() {
    both(|engine, session| {
        const EACH: usize = 40;
        const TOTAL: usize = 4 * EACH;
        let scheduler = Scheduler::new(session).unwrap();
        for worker in 1..=4 {
            join(session, &scheduler, WorkerId(worker * 64 + 5), 3);
        }
        let ended = AtomicUsize::new(0);
        let ran = std::thread::scope(|scope| {
            for submitter in 0..4 {
                scope.spawn(move || {
                    let mut session = engine.session();
                    let scheduler = Scheduler::new(&mut session).unwrap();
                    for n in 0..EACH {
                        let mut spec = spec(&format!("{submitter}/{n}"));
                        spec.policy = ["fifo", "least_loaded", "locality"][n % 3].to_owned();
                        scheduler.submit_task(&mut session, HOME, &spec).unwrap();
                    }
                });
            }
            let ended = &ended;
            let workers: Vec<_> = (1..=4)
                .map(|worker| {
                    scope.spawn(move || {
                        let mut session = engine.session();
                        let scheduler = Scheduler::new(&mut session).unwrap();
                        let mut ran = Vec::new();
                        while ended.load(Ordering::Relaxed) < TOTAL {
                            for claimed in scheduler
                                .claim_tasks(&mut session, HOME, WorkerId(worker * 64 + 5), 2)
                                .unwrap()
                            {
                                scheduler
                                    .finish_task(
                                        &mut session,
                                        claimed.task,
                                        claimed.attempt,
                                        0,
                                        &Usage::default(),
                                    )
                                    .unwrap();
                                ran.push(claimed.task);
                                ended.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        ran
                    })
                })
                .collect();
            workers.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let mut times = BTreeMap::new();
        for task in ran {
            *times.entry(task).or_insert(0) += 1;
        }
        assert_eq!(times.len(), TOTAL);
        assert!(times.values().all(|count| *count == 1));
        assert_eq!(
            rows(session, "SELECT state, count(*) FROM os.task GROUP BY state"),
            [format!("done|{TOTAL}")]
        );
        assert_eq!(rows(session, "SELECT sum(unused_capacity), sum(capacity) FROM os.worker"), ["12|12"]);
    });
}

#[test]
fn what_is_wrong_is_found() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let fs = Fs::new(session).unwrap();
        join(session, &scheduler, WORKER, 2);
        submit(session, &scheduler, "t");
        fs.put(session, Bucket(5), "/f", b"data", Writer::user("alice")).unwrap();
        Ipc::new(session).unwrap().send(session, ReceiverId(69), ReceiverId(69), b"m", None).unwrap();
        let breaks = [
            ("UPDATE os.worker SET unused_capacity = 2 WHERE p_key = 5", "capacity_is_exact"),
            ("DELETE FROM os.task_lease WHERE p_key = 5", "lease_matches_task"),
            ("UPDATE os.worker SET status = 'dead' WHERE p_key = 5", "lease_has_worker"),
            ("UPDATE os.task SET state = 'queued' WHERE p_key = 5", "queue_matches_task"),
            ("UPDATE os.task SET state = 'delayed' WHERE p_key = 5", "timer_matches_task"),
            ("DELETE FROM os.task WHERE p_key = 5", "spec_has_task"),
            (
                "INSERT INTO os.task_result (p_key, task_id, attempt, outcome) VALUES (5, 5, 1, 'done')",
                "result_has_task",
            ),
            ("INSERT INTO os.task_dependency VALUES (5, 69, 5)", "dependency_has_tasks"),
            ("UPDATE os.task SET state = 'waiting' WHERE p_key = 5", "waiting_counts_needs"),
            ("UPDATE os.counter SET last = 0 WHERE kind = 'task'", "counter_ahead_of_ids"),
            ("UPDATE os.mailbox SET waiting = 7", "mailbox_counts_messages"),
            ("DELETE FROM os.mailbox", "message_has_mailbox"),
            (
                "INSERT INTO os.message_history SELECT p_key, sender_id, receiver_id, message_id, data, NULL, sent_at, now() FROM os.message",
                "received_once",
            ),
            ("DELETE FROM os.file WHERE kind = 'file'", "entry_points_to_file"),
            ("DELETE FROM os.file WHERE kind = 'file'", "block_belongs_to_file"),
            ("UPDATE os.file SET f_size = 1 WHERE kind = 'file'", "block_belongs_to_file"),
            ("DELETE FROM os.directory", "directory_counts_entries"),
            ("DELETE FROM os.directory", "links_count_names"),
            ("UPDATE os.counter SET last = 0 WHERE kind = 'file'", "file_counter_ahead_of_ids"),
            ("DELETE FROM os.partition_map WHERE bucket = 3", "partition_map_covers_buckets"),
        ];
        for (sql, invariant) in breaks {
            session.execute("BEGIN").unwrap();
            session.execute(sql).unwrap();
            let found = tuplix_services::check(session).unwrap();
            assert!(found.iter().any(|violation| violation.invariant == invariant), "{sql}: {found:?}");
            session.execute("ROLLBACK").unwrap();
        }
    });
}
