//! Gangs: all or none.

use serde_json::{Value, json};
use tuplix::Session;
use tuplix_services::scheduler::{Scheduler, Usage, WorkerOffer};
use tuplix_services::{Bucket, GraphId, WorkerId, errors};

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, finish, join, pass_time, submit};

const OTHER: WorkerId = WorkerId(133);

fn gang(tasks: usize, cores: i32) -> Value {
    let tasks: Vec<Value> =
        (0..tasks).map(|n| json!({"name": format!("t{n}"), "program": "x", "cores": cores, "max_attempts": 2, "backoff_ms": 0})).collect();
    json!({"name": "gang", "tasks": tasks})
}

/// States of a gang's tasks, with how many have each.
fn states(session: &mut Session, graph: GraphId) -> Vec<String> {
    rows(
        session,
        &format!(
            "SELECT state, count(*) FROM os.task WHERE p_key = 5 AND graph_id = {graph} GROUP BY 1 ORDER BY 1"
        ),
    )
}

#[test]
fn sixty_four_tasks_begin_together_or_not_at_all() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 40);
        join(session, &scheduler, OTHER, 30);
        // Seven run, 63 places are left.
        for _ in 0..7 {
            submit(session, &scheduler, "before");
        }
        let before = claim(session, &scheduler);
        let first = scheduler.submit_gang(session, HOME, "alice", &gang(64, 1)).unwrap();
        let second = scheduler.submit_gang(session, HOME, "alice", &gang(64, 1)).unwrap();
        let behind = submit(session, &scheduler, "behind");
        assert_eq!(
            (states(session, first), states(session, second)),
            (vec!["queued|64".to_owned()], vec!["queued|64".to_owned()])
        );
        assert_eq!(scheduler.why_pending(session, behind).unwrap()[0].reason, "behind");
        finish(session, &scheduler, &before[0]);
        assert_eq!(
            (states(session, first), states(session, second)),
            (vec!["assigned|64".to_owned()], vec!["queued|64".to_owned()])
        );
        for worker in [WORKER, OTHER] {
            for claimed in scheduler.claim_tasks(session, HOME, worker, 100).unwrap() {
                finish(session, &scheduler, &claimed);
            }
        }
        assert_eq!(
            (states(session, first), states(session, second)),
            (vec!["done|64".to_owned()], vec!["assigned|64".to_owned()])
        );
    });
}

#[test]
fn a_gang_that_never_fits_lets_others_pass() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 3);
        // Four cores in all would do, but no two of three.
        join(session, &scheduler, OTHER, 3);
        let large = scheduler.submit_gang(session, HOME, "alice", &gang(3, 2)).unwrap();
        let small = scheduler.submit_gang(session, HOME, "alice", &gang(2, 2)).unwrap();
        assert_eq!(
            (states(session, large), states(session, small)),
            (vec!["queued|3".to_owned()], vec!["assigned|2".to_owned()])
        );
        let leader = rows(session, &format!("SELECT min(task_id) FROM os.task WHERE graph_id = {large}"))
            .concat()
            .parse()
            .unwrap();
        assert_eq!(
            scheduler.why_pending(session, tuplix_services::TaskId(leader)).unwrap()[0].reason,
            "too_large"
        );
        scheduler.cancel_graph(session, small, "enough").unwrap();
        join(session, &scheduler, WorkerId(197), 2);
        assert_eq!(states(session, large), ["assigned|3"]);
        let with_needs =
            json!({"tasks": [{"name": "a", "program": "x"}, {"name": "b", "program": "x", "after": ["a"]}]});
        refused(scheduler.submit_gang(session, HOME, "alice", &with_needs), errors::INVALID_TASK);
    });
}

#[test]
fn a_gang_that_loses_one_begins_again_together() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 2);
        join(session, &scheduler, OTHER, 2);
        let graph = scheduler.submit_gang(session, HOME, "alice", &gang(4, 1)).unwrap();
        let mine = claim(session, &scheduler);
        let others = scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap();
        assert_eq!((mine.len(), others.len()), (2, 2));
        // Its worker is lost: the tasks of the other worker are taken back, too, and its report is refused.
        join(session, &scheduler, WORKER, 2);
        assert_eq!(states(session, graph), ["assigned|4"]);
        refused(
            scheduler.finish_task(session, others[0].task, 1, 0, &Usage::default()),
            errors::STALE_ATTEMPT,
        );
        // One fails: all wait for its next attempt.
        let mine = claim(session, &scheduler);
        scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap();
        scheduler.fail_task(session, mine[0].task, 2, "boom", Some(1), &Usage::default(), true).unwrap();
        assert_eq!(states(session, graph), ["delayed|1", "queued|3"]);
        assert!(tuplix_services::check(session).unwrap().is_empty());
        pass_time(session, &scheduler);
        assert_eq!(states(session, graph), ["assigned|4"]);
        // A pause of one holds all.
        scheduler.pause_task(session, mine[1].task).unwrap();
        assert_eq!(states(session, graph), ["queued|4"]);
        scheduler.resume_task(session, mine[1].task).unwrap();
        assert_eq!(states(session, graph), ["assigned|4"]);
        // One fails for good: so do all.
        let mine = claim(session, &scheduler);
        scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap();
        let failed =
            scheduler.fail_task(session, mine[0].task, 3, "boom", Some(1), &Usage::default(), true).unwrap();
        assert_eq!(failed, "failed");
        assert_eq!(states(session, graph), ["cancelling|3", "failed|1"]);
    });
}

#[test]
fn a_gang_over_buckets_is_all_or_nothing() {
    both(|engine, session| {
        let scheduler = Scheduler::new(session).unwrap();
        for (bucket, worker) in [(3, 67), (7, 71), (9, 73)] {
            let offer = WorkerOffer { cores: 2, ..WorkerOffer::default() };
            scheduler.join_worker(session, Bucket(bucket), WorkerId(worker), &offer).unwrap();
        }
        refused(scheduler.submit_gang_anywhere(session, "alice", &gang(7, 1)), errors::NO_ROOM);
        assert_eq!(rows(session, "SELECT count(*) FROM os.task"), ["0"]);
        // Two at once for the same room: one gets it, none waits for the other for ever.
        let won: Vec<bool> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut session = engine.session();
                        let scheduler = Scheduler::new(&mut session).unwrap();
                        match scheduler.submit_gang_anywhere(&mut session, "alice", &gang(4, 1)) {
                            Ok(tasks) => tasks.len() == 4,
                            Err(error) => {
                                assert_eq!(error.sqlstate(), errors::NO_ROOM, "{error:?}");
                                false
                            }
                        }
                    })
                })
                .collect();
            tries.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!(
            rows(session, "SELECT state, count(*), count(DISTINCT p_key) > 1 FROM os.task GROUP BY 1"),
            ["assigned|4|true"]
        );
    });
}
