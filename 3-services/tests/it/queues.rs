//! Queues with limits, keys, sleep, schedules, delayed starts.

use serde_json::json;
use tuplix::Session;
use tuplix_services::scheduler::{Cron, Queue, Scheduler, TaskOptions, TaskSpec};
use tuplix_services::{TaskId, errors};

use crate::engines::{both, refused, rows};
use crate::policies::put;
use crate::tasks::{HOME, WORKER, claim, finish, join, pass_time, spec, state, submit};

fn queued_in(queue: &str) -> TaskSpec {
    TaskSpec {
        options: TaskOptions { queue: Some(queue.to_owned()), ..TaskOptions::default() },
        ..spec(queue)
    }
}

fn reason(session: &mut Session, scheduler: &Scheduler, task: TaskId) -> String {
    scheduler.why_pending(session, task).unwrap().remove(0).reason
}

#[test]
fn queues_have_limits() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 8);
        refused(scheduler.submit_task(session, HOME, &queued_in("mail")), errors::UNKNOWN_QUEUE);
        let two = Queue { concurrency: Some(2), queued_max: Some(3), ..Queue::default() };
        scheduler.make_queue(session, HOME, "mail", &two).unwrap();
        let tasks: Vec<TaskId> = (0..5).map(|_| put(session, &scheduler, &queued_in("mail"))).collect();
        refused(scheduler.submit_task(session, HOME, &queued_in("mail")), errors::QUEUE_FULL);
        assert_eq!(reason(session, &scheduler, tasks[2]), "queue_full");
        // The bucket's own tasks do not stand behind it.
        let plain = submit(session, &scheduler, "plain");
        assert_eq!(state(session, plain), "assigned");
        let claims = claim(session, &scheduler);
        assert_eq!(claims.iter().map(|claim| claim.task).collect::<Vec<_>>(), [tasks[0], tasks[1], plain]);
        scheduler.pause_queue(session, HOME, "mail").unwrap();
        for claimed in &claims {
            finish(session, &scheduler, claimed);
        }
        assert_eq!(
            (claim(session, &scheduler), reason(session, &scheduler, tasks[2])),
            (vec![], "paused".to_owned())
        );
        scheduler.resume_queue(session, HOME, "mail").unwrap();
        assert_eq!(claim(session, &scheduler).len(), 2);
        // A lost worker gives its places back.
        join(session, &scheduler, WORKER, 8);
        assert_eq!(rows(session, "SELECT waiting, running FROM os.queue"), ["1|2"]);
        scheduler.cancel_task(session, tasks[4], "enough").unwrap();
        scheduler.make_queue(session, HOME, "mail", &Queue::default()).unwrap();
        assert_eq!(rows(session, "SELECT waiting, running FROM os.queue"), ["0|2"]);
        refused(scheduler.pause_queue(session, HOME, "nosuch"), errors::UNKNOWN_QUEUE);
        let none = Queue { concurrency: Some(0), ..Queue::default() };
        refused(scheduler.make_queue(session, HOME, "x", &none), errors::INVALID_TASK);
    });
}

#[test]
fn queues_have_rates_and_priorities() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let slow = Queue { rate: Some(2), rate_ms: 3_600_000, ..Queue::default() };
        scheduler.make_queue(session, HOME, "slow", &slow).unwrap();
        scheduler.make_queue(session, HOME, "first", &Queue { priority: 1, ..Queue::default() }).unwrap();
        let tasks: Vec<TaskId> = (0..4).map(|_| put(session, &scheduler, &queued_in("slow"))).collect();
        let first = put(session, &scheduler, &queued_in("first"));
        join(session, &scheduler, WORKER, 1);
        let mut order = Vec::new();
        while let Some(claimed) = claim(session, &scheduler).pop() {
            order.push(claimed.task);
            finish(session, &scheduler, &claimed);
        }
        assert_eq!(order, [first, tasks[0], tasks[1]]);
        assert_eq!(reason(session, &scheduler, tasks[2]), "rate");
        assert!(scheduler.tick(session, HOME).unwrap().is_some());
        session
            .execute("UPDATE os.queue SET window_from = window_from - interval '2 h' WHERE queue = 'slow'")
            .unwrap();
        scheduler.tick(session, HOME).unwrap();
        assert_eq!(claim(session, &scheduler)[0].task, tasks[2]);
    });
}

#[test]
fn a_key_stands_for_one_call() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let keyed = |name: &str| TaskSpec {
            options: TaskOptions { key: Some("order 7".to_owned()), ..TaskOptions::default() },
            ..spec(name)
        };
        let task = put(session, &scheduler, &keyed("a"));
        assert_eq!(put(session, &scheduler, &keyed("a")), task);
        let error = refused(scheduler.submit_task(session, HOME, &keyed("b")), errors::KEY_IN_USE);
        assert!(error.message().contains("order 7"), "{error}");
        let graph = "SELECT os.submit_graph(5, 'alice', '{\"tasks\": [{\"name\": \"a\", \"program\": \"x\"}]}', NULL, '{\"key\": \"g\"}')";
        assert_eq!(rows(session, graph), rows(session, graph));
        refused(session.execute(&graph.replace("\"x\"", "\"y\"")), errors::KEY_IN_USE);
        refused(session.execute(&graph.replace("\"key\"", "\"kee\"")), errors::INVALID_TASK);
        assert_eq!(rows(session, "SELECT count(*) FROM os.task"), ["2"]);
        // It is forgotten with what it stands for.
        join(session, &scheduler, WORKER, 2);
        for claimed in claim(session, &scheduler) {
            finish(session, &scheduler, &claimed);
        }
        tuplix_services::os::set(session, "scheduler.history_ms", -1000).unwrap();
        assert_eq!(scheduler.sweep_tasks(session, HOME, 100).unwrap().len(), 2);
        assert_eq!(rows(session, "SELECT count(*) FROM os.submitted_key"), ["0"]);
        assert_ne!(put(session, &scheduler, &keyed("b")), task);
    });
}

#[test]
fn a_task_sleeps_through_the_loss_of_its_worker() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "sleeper");
        claim(session, &scheduler);
        refused(scheduler.sleep_task(session, task, 1, -1, None), errors::INVALID_TASK);
        let saved = json!({"step": 2});
        scheduler.sleep_task(session, task, 1, 3_600_000, Some(&saved)).unwrap();
        refused(scheduler.sleep_task(session, task, 1, 1, None), errors::STALE_ATTEMPT);
        assert_eq!(
            (state(session, task), reason(session, &scheduler, task)),
            ("delayed".to_owned(), "delayed".to_owned())
        );
        join(session, &scheduler, WORKER, 1);
        pass_time(session, &scheduler);
        let again = claim(session, &scheduler).remove(0);
        assert_eq!((again.task, again.attempt, &again.options["saved"]), (task, 2, &saved));
        finish(session, &scheduler, &again);
        assert_eq!(rows(session, "SELECT failures, losses FROM os.task"), ["0|0"]);
        assert_eq!(rows(session, "SELECT outcome FROM os.task_result ORDER BY attempt"), ["slept", "done"]);
        // One that begins at a time of its own.
        let mut late = spec("late");
        late.options.start_at = Some("2999-01-01 00:00:00+00".to_owned());
        let late = put(session, &scheduler, &late);
        assert_eq!(state(session, late), "delayed");
        let mut never = spec("never");
        never.options.start_at = Some("soon".to_owned());
        refused(scheduler.submit_task(session, HOME, &never), errors::INVALID_TASK);
    });
}

#[test]
fn pauses_grow_to_a_bound_with_jitter() {
    both(|_, session| {
        let pause = "SELECT extract(epoch FROM os.backoff(1000, n, '{\"backoff_max_ms\": 5000}'))::int FROM generate_series(0, 4) n";
        assert_eq!(rows(session, pause), ["1", "2", "4", "5", "5"]);
        assert_eq!(rows(session, "SELECT extract(epoch FROM os.backoff(1000, 100, NULL))::int"), ["86400"]);
        let jitter = "SELECT bool_and(j BETWEEN interval '2 s' AND interval '4 s'), count(DISTINCT j) > 10
                        FROM (SELECT os.backoff(1000, 2, '{\"jitter\": 0.5}') AS j FROM generate_series(1, 100)) x";
        assert_eq!(rows(session, jitter), ["true|true"]);
    });
}

#[test]
fn schedules_are_due_by_the_clock_of_their_zone() {
    both(|_, session| {
        let cases = [
            ("*/15 8-18 * * mon-fri", "Europe/Berlin", "2026-11-22 09:00", "2026-11-23 07:00"),
            ("0 0 13 * 5", "UTC", "2026-11-22 00:00", "2026-11-27 00:00"),
            ("30 2 29 feb *", "UTC", "2026-11-22 00:00", "2028-02-29 02:30"),
            ("0,30 1-3/2 * * *", "UTC", "2026-11-22 01:00", "2026-11-22 01:30"),
            ("0 0 * * 7", "UTC", "2026-11-22 00:00", "2026-11-29 00:00"),
            // Left out by the clock, shown twice by it.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28 02:00", "2026-03-29 01:30"),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25 01:30", "2026-10-26 01:30"),
        ];
        for (schedule, zone, after, expected) in cases {
            let sql = format!(
                "SELECT to_char(os.cron_next('{schedule}', '{zone}', '{after}+00') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
            );
            assert_eq!(rows(session, &sql), [expected], "{schedule} {zone}");
        }
        for wrong in [
            "* * * *",
            "60 * * * *",
            "x * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 0 30 2 *",
            "1,,2 * * * *",
            "* * * * 8",
        ] {
            refused(
                session.execute(&format!("SELECT os.cron_next('{wrong}', 'UTC', now())")),
                errors::INVALID_SCHEDULE,
            );
        }
        refused(
            session.execute("SELECT os.cron_next('* * * * *', 'Mars/Olympus', now())"),
            errors::INVALID_SCHEDULE,
        );
    });
}

#[test]
fn schedules_submit_what_was_missed_as_they_say() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let task = json!({"name": "every", "program": "/bin/true"});
        for missed in ["skip", "once", "all"] {
            let cron = Cron { schedule: "* * * * *", time_zone: "UTC", missed, task: &task };
            scheduler.make_cron(session, HOME, missed, missed, &cron).unwrap();
        }
        let graph = json!({"name": "g", "tasks": [task]});
        let cron = Cron { schedule: "0 0 1 1 *", time_zone: "UTC", missed: "once", task: &graph };
        scheduler.make_cron(session, HOME, "yearly", "alice", &cron).unwrap();
        refused(
            scheduler.make_cron(session, HOME, "x", "a", &Cron { missed: "never", ..cron.clone() }),
            errors::INVALID_SCHEDULE,
        );
        refused(
            scheduler.make_cron(session, HOME, "x", "a", &Cron { task: &json!({}), ..cron }),
            errors::INVALID_TASK,
        );
        assert!(scheduler.tick(session, HOME).unwrap().is_some());
        assert_eq!(rows(session, "SELECT count(*) FROM os.task"), ["0"]);
        // Nobody looked for ten times of it; the last of them is longer ago than a minute.
        session
            .execute("UPDATE os.cron SET schedule = '0 * * * *', next_at = date_trunc('hour', now()) - interval '9 h' WHERE cron <> 'yearly'")
            .unwrap();
        session
            .execute("UPDATE os.cron SET next_at = date_trunc('year', now()) WHERE cron = 'yearly'")
            .unwrap();
        // In the first minute of an hour the last of them is not missed.
        let skipped =
            rows(session, "SELECT (date_trunc('hour', now()) >= now() - interval '1 minute')::int").concat();
        scheduler.tick(session, HOME).unwrap();
        let submitted = "SELECT s.owner, count(*) FROM os.task_spec s GROUP BY 1 ORDER BY 1";
        let mut expected = vec!["alice|1".to_owned(), "all|10".to_owned(), "once|1".to_owned()];
        if skipped == "1" {
            expected.push("skip|1".to_owned());
        }
        assert_eq!(rows(session, submitted), expected);
        assert_eq!(
            rows(session, "SELECT count(*) FROM os.cron WHERE next_at <= now() OR last_error IS NOT NULL"),
            ["0"]
        );
        // One that is refused says so, and is due again.
        session
            .execute("UPDATE os.cron SET task = '{\"name\": \"\", \"program\": \"x\"}', next_at = now() WHERE cron = 'once'")
            .unwrap();
        scheduler.tick(session, HOME).unwrap();
        let error = rows(session, "SELECT last_error FROM os.cron WHERE cron = 'once'").concat();
        assert!(error.starts_with("TXS07: "), "{error}");
        assert!(scheduler.drop_cron(session, HOME, "once").unwrap());
        assert!(!scheduler.drop_cron(session, HOME, "once").unwrap());
    });
}
