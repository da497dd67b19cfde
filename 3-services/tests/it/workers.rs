//! Workers and policies: join, lose, leave, capacity to the unit.

use tuplix_services::scheduler::{Policy, Scheduler, Usage, WorkerOffer};
use tuplix_services::{Bucket, SERVICES, TaskId, WorkerId, errors, os};

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, finish, join, spec, state, submit};

const OTHER: WorkerId = WorkerId(133);

/// The lines of a policy's body without comment and name.
fn body(name: &str) -> Vec<String> {
    let procedures = SERVICES.iter().flat_map(|service| service.procedures);
    let (_, text) = procedures.into_iter().find(|(procedure, _)| *procedure == name).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    lines.map(|line| line.replace(name, "schedule_NAME")).collect()
}

/// Lines of `changed` that `base` has not, and the other way round.
fn difference(base: &[String], changed: &[String]) -> (Vec<String>, Vec<String>) {
    let without = |lines: &[String], others: &[String]| {
        let mut others = others.to_vec();
        let mut left = Vec::new();
        for line in lines {
            match others.iter().position(|other| other == line) {
                Some(place) => drop(others.remove(place)),
                None => left.push(line.trim().to_owned()),
            }
        }
        left
    };
    (without(changed, base), without(base, changed))
}

#[test]
fn policies_differ_by_the_lines_that_the_paper_shows() {
    let fifo = body("schedule_fifo");
    let (added, removed) = difference(&fifo, &body("schedule_least_loaded"));
    assert_eq!(added, ["ORDER BY unused_capacity DESC, worker_id"]);
    assert_eq!(removed, ["ORDER BY worker_id"]);
    let (added, removed) = difference(&fifo, &body("schedule_locality"));
    let enqueue = "PERFORM os.enqueue_task(p, task, need_cores, need_memory, 'locality');";
    assert_eq!(added, ["ELSE", enqueue]);
    assert_eq!(removed, [""; 0]);
}

#[test]
fn policies_choose_as_the_paper_says() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        join(session, &scheduler, OTHER, 3);
        let mut place = |policy, n: i64| {
            scheduler.schedule(session, policy, HOME, TaskId((1000 + n) * 64 + 5), 1, 0).unwrap()
        };
        assert_eq!(place(Policy::LeastLoaded, 1), Some(OTHER));
        assert_eq!(place(Policy::Fifo, 2), Some(WORKER));
        assert_eq!(place(Policy::Locality, 3), Some(OTHER));
        assert_eq!(place(Policy::Fifo, 4), Some(OTHER));
        assert_eq!(place(Policy::Fifo, 5), None);
        assert_eq!(place(Policy::LeastLoaded, 6), None);
        assert_eq!(place(Policy::Locality, 7), None);
        // FIFO leaves no trace of what it could not place; locality queues it at home.
        let tasks = "SELECT state, count(*), count(worker_id) FROM os.task GROUP BY state ORDER BY state";
        assert_eq!(rows(session, tasks), ["assigned|4|4", "queued|1|0"]);
        assert_eq!(scheduler.schedule(session, Policy::Fifo, Bucket(6), TaskId(64 + 6), 1, 0).unwrap(), None);
    });
}

#[test]
fn a_user_brings_a_policy() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let text = SERVICES[1].procedures.iter().find(|(name, _)| *name == "schedule_fifo").unwrap().1;
        let own = text
            .replace("schedule_fifo", "schedule_last")
            .replace("ORDER BY worker_id", "ORDER BY worker_id DESC");
        session.execute(&own).unwrap();
        join(session, &scheduler, WORKER, 1);
        join(session, &scheduler, OTHER, 1);
        let mut last = spec("last");
        last.policy = "last".to_owned();
        scheduler.submit_task(session, HOME, &last).unwrap();
        assert_eq!(rows(session, "SELECT worker_id FROM os.task"), ["133"]);
        last.policy = "nosuch".to_owned();
        // With nothing before it, and behind a task that waits: it would stop the queue when its turn comes.
        for before in ["nothing", "a task"] {
            let error = refused(scheduler.submit_task(session, HOME, &last), errors::INVALID_TASK);
            assert!(error.message().contains("no policy \"nosuch\""), "{before}: {error}");
            let graph = serde_json::json!({"tasks": [{"name": "a", "program": "x", "policy": "nosuch"}]});
            refused(scheduler.submit_graph(session, HOME, "alice", &graph, None), errors::INVALID_TASK);
            let mut waits = spec("waits");
            waits.cores = 2;
            scheduler.submit_task(session, HOME, &waits).unwrap();
        }
    });
}

#[test]
fn a_lost_workers_tasks_run_again_once() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 2);
        let running = submit(session, &scheduler, "running");
        let old = claim(session, &scheduler).remove(0);
        let assigned = submit(session, &scheduler, "assigned");
        let cancelled = submit(session, &scheduler, "queued");
        assert!(scheduler.tick(session, HOME).unwrap().is_some());
        assert_eq!(state(session, running), "running");
        join(session, &scheduler, OTHER, 4);
        session
            .execute("UPDATE os.worker SET lease_until = now() - interval '1 s' WHERE p_key = 5 AND worker_id = 69")
            .unwrap();
        scheduler.tick(session, HOME).unwrap();
        refused(scheduler.heartbeat_worker(session, HOME, WORKER), errors::UNKNOWN_WORKER);
        refused(scheduler.claim_tasks(session, HOME, WORKER, 1), errors::UNKNOWN_WORKER);
        refused(
            scheduler.finish_task(session, running, old.attempt, 0, &Usage::default()),
            errors::STALE_ATTEMPT,
        );
        let claims = scheduler.claim_tasks(session, HOME, OTHER, 10).unwrap();
        let attempts: Vec<_> = claims.iter().map(|claim| (claim.task, claim.attempt)).collect();
        assert_eq!(attempts, [(running, 2), (assigned, 1), (cancelled, 1)]);
        for claimed in &claims {
            finish(session, &scheduler, claimed);
        }
        assert_eq!(
            rows(
                session,
                "SELECT worker_id, unused_capacity, capacity, status FROM os.worker ORDER BY worker_id"
            ),
            ["69|2|2|dead", "133|4|4|up"]
        );
        let results = "SELECT task_id, attempt, outcome FROM os.task_result ORDER BY task_id, attempt";
        assert_eq!(rows(session, results)[..2], [format!("{running}|1|lost"), format!("{running}|2|done")]);
        // A later tick finds nothing more to do.
        scheduler.tick(session, HOME).unwrap();
        assert_eq!(rows(session, results).len(), 4);
    });
}

#[test]
fn a_task_that_loses_worker_after_worker_is_given_up() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        os::set(session, "scheduler.losses_max", 3).unwrap();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "poison");
        for _ in 0..3 {
            assert_eq!(claim(session, &scheduler).len(), 1);
            join(session, &scheduler, WORKER, 1);
        }
        assert_eq!(state(session, task), "failed");
        assert_eq!(claim(session, &scheduler), []);
        scheduler.retry_task(session, task).unwrap();
        assert_eq!(claim(session, &scheduler)[0].attempt, 4);
    });
}

#[test]
fn an_attempt_whose_lease_ends_is_lost() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "silent");
        let claimed = claim(session, &scheduler).remove(0);
        let until = scheduler.heartbeat_worker(session, HOME, WORKER).unwrap();
        assert!(until >= claimed.lease_until);
        session
            .execute("UPDATE os.task_lease SET lease_until = now() - interval '1 s' WHERE p_key = 5")
            .unwrap();
        scheduler.tick(session, HOME).unwrap();
        let again = claim(session, &scheduler).remove(0);
        assert_eq!((again.task, again.attempt), (task, 2));
        // A cancelled task whose worker is lost needs nobody to end it.
        scheduler.cancel_task(session, task, "enough").unwrap();
        join(session, &scheduler, WORKER, 1);
        assert_eq!(state(session, task), "cancelled");
    });
}

#[test]
fn a_worker_leaves_in_peace() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 2);
        submit(session, &scheduler, "begun");
        let begun = claim(session, &scheduler).remove(0);
        let other = submit(session, &scheduler, "not begun");
        assert_eq!(scheduler.leave_worker(session, HOME, WORKER).unwrap(), "draining");
        assert_eq!(state(session, other), "queued");
        submit(session, &scheduler, "later");
        assert_eq!(claim(session, &scheduler), []);
        finish(session, &scheduler, &begun);
        assert_eq!(rows(session, "SELECT status, unused_capacity FROM os.worker"), ["left|2"]);
        refused(scheduler.leave_worker(session, HOME, WORKER), errors::UNKNOWN_WORKER);
        refused(scheduler.leave_worker(session, HOME, OTHER), errors::UNKNOWN_WORKER);
        join(session, &scheduler, OTHER, 2);
        assert_eq!(scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap().len(), 2);
        assert_eq!(scheduler.drain_queue(session, HOME).unwrap(), 0);
    });
}

#[test]
fn a_worker_that_stops_gives_back_what_it_began() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        os::set(session, "scheduler.losses_max", 2).unwrap();
        join(session, &scheduler, WORKER, 1);
        let task = submit(session, &scheduler, "moved");
        // As often as it likes: neither a failure nor a loss.
        for attempt in 1..=4 {
            let claimed = claim(session, &scheduler).remove(0);
            assert_eq!(claimed.attempt, attempt);
            scheduler.return_task(session, task, attempt, "its worker stopped").unwrap();
            refused(
                scheduler.return_task(session, task, attempt, "its worker stopped"),
                errors::STALE_ATTEMPT,
            );
        }
        let counts = "SELECT failures, losses FROM os.task";
        assert_eq!(rows(session, counts), ["0|0"]);
        // One that is being cancelled is cancelled.
        let claimed = claim(session, &scheduler).remove(0);
        scheduler.cancel_task(session, task, "enough").unwrap();
        scheduler.return_task(session, task, claimed.attempt, "its worker stopped").unwrap();
        assert_eq!(state(session, task), "cancelled");
        let results = "SELECT attempt, outcome, error FROM os.task_result WHERE attempt > 3 ORDER BY attempt";
        assert_eq!(rows(session, results), ["4|lost|its worker stopped", "5|cancelled|its worker stopped"]);
    });
}

#[test]
fn an_offer_of_nothing_is_refused() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let offers = [
            WorkerOffer { cores: 0, ..WorkerOffer::default() },
            WorkerOffer { memory: -1, ..WorkerOffer::default() },
            WorkerOffer { lease_ms: 0, ..WorkerOffer::default() },
        ];
        for offer in &offers {
            refused(scheduler.join_worker(session, HOME, WORKER, offer), errors::INVALID_WORKER);
        }
        let good = WorkerOffer::default();
        refused(scheduler.join_worker(session, Bucket(-1), WORKER, &good), errors::UNKNOWN_BUCKET);
    });
}
