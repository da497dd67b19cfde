//! Policies beside the paper's, classes, named resources, machines.

use std::collections::BTreeMap;

use serde_json::json;
use tuplix::Session;
use tuplix_services::scheduler::{Scheduler, TaskOptions, TaskSpec, WorkerOffer};
use tuplix_services::{TaskId, WorkerId, errors, os};

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, finish, join, spec, state, submit};

const OTHER: WorkerId = WorkerId(133);

/// A task of a policy.
pub fn placed_by(policy: &str, cores: i32) -> TaskSpec {
    TaskSpec { policy: policy.to_owned(), cores, ..spec(policy) }
}

/// Submits it at home.
pub fn put(session: &mut Session, scheduler: &Scheduler, spec: &TaskSpec) -> TaskId {
    scheduler.submit_task(session, HOME, spec).unwrap()
}

fn worker_of(session: &mut Session, task: TaskId) -> String {
    rows(session, &format!("SELECT worker_id FROM os.task WHERE p_key = 5 AND task_id = {task}")).concat()
}

/// A worker with named resources.
pub fn join_with(session: &mut Session, scheduler: &Scheduler, worker: WorkerId, gpus: i64) {
    let resources = BTreeMap::from([("gpu".to_owned(), gpus)]);
    let offer = WorkerOffer {
        cores: 4,
        memory: 1000,
        machine: Some("m1".to_owned()),
        resources,
        ..WorkerOffer::default()
    };
    scheduler.join_worker(session, HOME, worker, &offer).unwrap();
}

#[test]
fn best_fit_leaves_the_large_gap() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 8);
        join(session, &scheduler, OTHER, 3);
        // First fit would take WORKER and leave no room for the large one.
        let small = put(session, &scheduler, &placed_by("best_fit", 3));
        let large = put(session, &scheduler, &placed_by("best_fit", 8));
        assert_eq!(
            (worker_of(session, small), worker_of(session, large)),
            ("133".to_owned(), "69".to_owned())
        );
        let decisions =
            "SELECT policy, decision, decided_at IS NOT NULL FROM os.task_decision ORDER BY task_id";
        let why = "best_fit|best_fit: leaves 0 cores, 1000 bytes|true";
        assert_eq!(rows(session, decisions), [why, why]);
    });
}

#[test]
fn what_waits_ages() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let old = put(session, &scheduler, &placed_by("ageing", 1));
        let urgent = put(session, &scheduler, &TaskSpec { priority: 5, ..spec("urgent") });
        scheduler.tick(session, HOME).unwrap();
        join(session, &scheduler, WORKER, 1);
        let first = claim(session, &scheduler).remove(0);
        assert_eq!(first.task, urgent);
        // Ten minutes are ten priorities.
        let earlier = format!(
            "UPDATE os.task SET submitted_at = submitted_at - interval '10 min' WHERE p_key = 5 AND task_id = {old}"
        );
        session.execute(&earlier).unwrap();
        put(session, &scheduler, &TaskSpec { priority: 5, ..spec("urgent") });
        assert!(scheduler.tick(session, HOME).unwrap().is_some());
        finish(session, &scheduler, &first);
        assert_eq!(claim(session, &scheduler)[0].task, old);
    });
}

#[test]
fn shares_are_fair_by_weight() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        session.execute("INSERT INTO os.share VALUES ('user:bob', 3)").unwrap();
        for owner in ["alice", "bob"] {
            for n in 0..12 {
                let named = format!("{owner}{n}");
                put(
                    session,
                    &scheduler,
                    &TaskSpec { owner: owner.to_owned(), name: named, ..placed_by("fair", 1) },
                );
            }
        }
        // A late one of a group comes at once, though 24 stand before it.
        join(session, &scheduler, WORKER, 1);
        let late = TaskSpec {
            options: TaskOptions { group: Some("g".to_owned()), ..TaskOptions::default() },
            ..placed_by("fair", 1)
        };
        put(session, &scheduler, &late);
        let mut order = Vec::new();
        while let Some(claimed) = claim(session, &scheduler).pop() {
            order.push(claimed.name.trim_end_matches(char::is_numeric).to_owned());
            // Each takes a second.
            session
                .execute("UPDATE os.task SET started_at = started_at - interval '1 s' WHERE p_key = 5 AND state = 'running'")
                .unwrap();
            finish(session, &scheduler, &claimed);
        }
        assert_eq!(order.len(), 25);
        assert!(order[..4].contains(&"fair".to_owned()), "{order:?}");
        let bobs = order[..13].iter().filter(|owner| *owner == "bob").count();
        assert!((8..=10).contains(&bobs), "three quarters of twelve: {order:?}");
    });
}

#[test]
fn classes_are_swapped_live_and_a_broken_policy_drops_nothing() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        session.execute("INSERT INTO os.task_class VALUES ('batch', 'fifo')").unwrap();
        let tasks: Vec<TaskId> = (0..4).map(|_| put(session, &scheduler, &placed_by("@batch", 1))).collect();
        session.execute("UPDATE os.task_class SET policy = 'mine'").unwrap();
        // Nobody has written it yet: the task is placed all the same, and says so.
        join(session, &scheduler, WORKER, 1);
        let first = claim(session, &scheduler).remove(0);
        let decision = rows(session, "SELECT decision FROM os.task WHERE state = 'running'").concat();
        assert!(decision.starts_with("first_fit: policy mine failed: "), "{decision}");
        let policy = |order: &str| {
            format!(
                "CREATE OR REPLACE FUNCTION os.schedule_mine(p int, task bigint, need_cores int, need_memory bigint) RETURNS bigint
                 LANGUAGE plpgsql AS $$ DECLARE chosen bigint;
                 BEGIN
                     SELECT f.worker_id INTO chosen FROM os.fitting_workers(p, task, need_cores, need_memory) f
                      ORDER BY f.worker_id {order} LIMIT 1;
                     IF chosen IS NOT NULL THEN
                         PERFORM os.assign_task(p, task, chosen, need_cores, need_memory, 'mine {order}');
                     END IF;
                     RETURN chosen;
                 END $$"
            )
        };
        session.execute(&policy("DESC")).unwrap();
        finish(session, &scheduler, &first);
        join(session, &scheduler, OTHER, 1);
        session.execute(&policy("ASC")).unwrap();
        join(session, &scheduler, WorkerId(197), 1);
        let decisions =
            "SELECT worker_id, decision FROM os.task WHERE decision LIKE 'mine%' ORDER BY task_id";
        assert_eq!(rows(session, decisions), ["69|mine DESC", "133|mine DESC", "197|mine ASC"]);
        assert_eq!(
            rows(session, "SELECT count(*) FROM os.policy WHERE policy = 'mine' AND version LIKE 'md5:%'"),
            ["1"]
        );
        assert_eq!(tasks.len(), 4);
        refused(scheduler.submit_task(session, HOME, &placed_by("@nosuch", 1)), errors::INVALID_TASK);
    });
}

#[test]
fn named_resources_are_exact() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let asks = |gpus: i64, policy: &str| TaskSpec {
            options: TaskOptions {
                resources: BTreeMap::from([("gpu".to_owned(), gpus)]),
                ..TaskOptions::default()
            },
            ..placed_by(policy, 1)
        };
        join(session, &scheduler, WORKER, 4);
        join_with(session, &scheduler, OTHER, 2);
        let unused = "SELECT unused FROM os.worker_resource";
        // The paper's policies know none, users' neither: what asks for them gets them all the same.
        let blind = SERVICE_FIFO.replace("schedule_fifo", "schedule_blind");
        session.execute(&blind).unwrap();
        let one = put(session, &scheduler, &asks(1, "fifo"));
        let two = put(session, &scheduler, &asks(1, "blind"));
        assert_eq!((worker_of(session, one), worker_of(session, two)), ("133".to_owned(), "133".to_owned()));
        assert_eq!(rows(session, unused), ["0"]);
        let three = put(session, &scheduler, &asks(2, "least_loaded"));
        let giant = put(session, &scheduler, &asks(3, "best_fit"));
        assert_eq!(
            (state(session, three), state(session, giant)),
            ("queued".to_owned(), "queued".to_owned())
        );
        let why = scheduler.why_pending(session, three).unwrap();
        assert_eq!(why[0].reason, "no_room", "{why:?}");
        for claimed in scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap() {
            assert_eq!(claimed.options["resources"]["gpu"], 1);
            finish(session, &scheduler, &claimed);
        }
        assert_eq!(
            (worker_of(session, three), rows(session, unused).concat()),
            ("133".to_owned(), "0".to_owned())
        );
        // What no worker has lets others pass, until one joins that has.
        let plain = submit(session, &scheduler, "plain");
        assert_eq!(state(session, plain), "assigned");
        assert_eq!(scheduler.why_pending(session, giant).unwrap()[0].reason, "too_large");
        join_with(session, &scheduler, WorkerId(197), 3);
        assert_eq!(worker_of(session, giant), "197");
        // A lost worker gives them back.
        join_with(session, &scheduler, OTHER, 2);
        for wrong in [json!({"gpu": 0}), json!({"gpu": "1"}), json!({"gpu": 1.5}), json!([])] {
            let sql =
                format!("SELECT os.submit_task(5, 'a', 'n', 'x', options => '{{\"resources\": {wrong}}}')");
            refused(session.execute(&sql), errors::INVALID_TASK);
            let sql = format!("SELECT os.join_worker(5, 261, 1, 1, offers => '{wrong}')");
            refused(session.execute(&sql), errors::INVALID_WORKER);
        }
    });
}

const SERVICE_FIFO: &str = include_str!("../../scheduler/procedures/schedule_fifo.sql");

#[test]
fn closing_a_machine_or_worker_is_an_update() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let parts = json!([{"kind": "socket", "number": 0}, {"kind": "core", "number": 0, "parent_kind": "socket", "parent": 0},
                           {"kind": "memory", "number": 0, "amount": 1000}]);
        for _ in 0..2 {
            scheduler.register_machine(session, "m1", "host1", &parts).unwrap();
        }
        assert_eq!(
            rows(session, "SELECT kind, amount FROM os.machine_part ORDER BY kind"),
            ["core|1", "memory|1000", "socket|1"]
        );
        refused(
            scheduler.register_machine(session, "m1", "h", &json!([{"kind": "core"}])),
            errors::INVALID_WORKER,
        );
        join_with(session, &scheduler, WORKER, 1);
        submit(session, &scheduler, "runs");
        let runs = claim(session, &scheduler).remove(0);
        for (close, open) in [
            ("UPDATE os.machine SET status = 'closed'", "UPDATE os.machine SET status = 'up'"),
            (
                "UPDATE os.worker SET status = 'closed' WHERE worker_id = 69",
                "UPDATE os.worker SET status = 'up' WHERE worker_id = 69",
            ),
        ] {
            let waits = submit(session, &scheduler, "not begun");
            assert_eq!(state(session, waits), "assigned");
            session.execute(close).unwrap();
            scheduler.tick(session, HOME).unwrap();
            assert_eq!(state(session, waits), "queued");
            assert_eq!(scheduler.why_pending(session, waits).unwrap()[0].reason, "no_worker");
            // What runs goes on, the worker is still known.
            assert_eq!(state(session, runs.task), "running");
            scheduler.heartbeat_worker(session, HOME, WORKER).unwrap();
            session.execute(open).unwrap();
            scheduler.tick(session, HOME).unwrap();
            assert_eq!(state(session, waits), "assigned");
        }
        session.execute("UPDATE os.worker SET status = 'closed' WHERE worker_id = 69").unwrap();
        // However it comes back, it stays closed.
        join_with(session, &scheduler, WORKER, 1);
        session
            .execute("UPDATE os.worker SET lease_until = now() - interval '1 s' WHERE worker_id = 69")
            .unwrap();
        scheduler.tick(session, HOME).unwrap();
        assert_eq!(rows(session, "SELECT status, unused_capacity FROM os.worker"), ["closed|4"]);
        assert_eq!(scheduler.tick(session, HOME).unwrap(), None);
        assert_eq!(rows(session, "SELECT load, status FROM os.worker_load"), ["idle|closed"]);
        session.execute("UPDATE os.machine SET status = 'closed'").unwrap();
        join_with(session, &scheduler, OTHER, 1);
        assert_eq!(
            rows(session, "SELECT status FROM os.worker WHERE worker_id = 133"),
            ["closed_by_machine"]
        );
    });
}

#[test]
fn a_task_goes_where_most_room_is_over_all_buckets() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        os::set(session, "scheduler.queued_max", 100).unwrap();
        for (bucket, worker, cores) in [(5, 69, 2), (9, 73, 4), (11, 73, 4)] {
            let offer = WorkerOffer { cores, ..WorkerOffer::default() };
            scheduler
                .join_worker(session, tuplix_services::Bucket(bucket), WorkerId(worker), &offer)
                .unwrap();
        }
        // One worker offers its four cores to two buckets, and has four in all.
        for _ in 0..6 {
            scheduler.submit_anywhere(session, &spec("anywhere")).unwrap();
        }
        let used = "SELECT worker_id, used, utilisation = 1 FROM os.worker_load ORDER BY worker_id";
        assert_eq!(rows(session, used), ["69|2|true", "73|4|true"]);
        let more = scheduler.submit_anywhere(session, &spec("waits")).unwrap();
        assert_eq!(more.bucket(), os::home(session, "alice").unwrap());
        assert_eq!(state(session, more), "queued");
    });
}
