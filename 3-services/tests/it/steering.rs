//! Results, spawned tasks, functions as tasks, pause, cancel of a tree, fork, copies of stragglers.

use serde_json::json;
use tuplix::Session;
use tuplix_services::scheduler::{Scheduler, Spawn, TaskSpec, Usage};
use tuplix_services::{GraphId, TaskId, WorkerId, errors, os};

use crate::engines::{both, refused, rows};
use crate::policies::put;
use crate::tasks::{HOME, WORKER, claim, finish, join, spec, state, submit};

const OTHER: WorkerId = WorkerId(133);

/// States of a graph's tasks in their order.
fn states(session: &mut Session, graph: GraphId) -> Vec<String> {
    let sql = format!(
        "SELECT s.name, t.state FROM os.task t JOIN os.task_spec s ON s.p_key = t.p_key AND s.task_id = t.task_id
          WHERE t.p_key = 5 AND t.graph_id = {graph} ORDER BY t.task_id"
    );
    rows(session, &sql)
}

fn graph_of(session: &mut Session, scheduler: &Scheduler, tasks: &[(&str, &[&str])]) -> GraphId {
    let tasks: Vec<_> =
        tasks.iter().map(|(name, after)| json!({"name": name, "program": "x", "after": after})).collect();
    scheduler.submit_graph(session, HOME, "alice", &json!({ "tasks": tasks }), None).unwrap()
}

#[test]
fn results_reach_what_needs_them() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 4);
        os::set(session, "scheduler.result_bytes_max", 40).unwrap();
        graph_of(session, &scheduler, &[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
        let claims = claim(session, &scheduler);
        assert_eq!(claims[0].needs, json!({}));
        let long = json!("a text of more than forty characters, in all");
        let large = scheduler.finish_task_with(session, claims[0].task, 1, 0, &Usage::default(), &long);
        refused(large, errors::INVALID_TASK);
        scheduler
            .finish_task_with(session, claims[0].task, 1, 0, &Usage::default(), &json!({"sum": 7}))
            .unwrap();
        finish(session, &scheduler, &claims[1]);
        let last = claim(session, &scheduler).remove(0);
        assert_eq!(last.needs, json!({"a": {"sum": 7}}));
        // A worker that restarts takes over what it runs, the same attempt of it.
        let running = scheduler.running_tasks(session, HOME, WORKER).unwrap();
        assert_eq!((running.len(), running[0].task, running[0].attempt), (1, last.task, last.attempt));
        finish(session, &scheduler, &last);
    });
}

#[test]
fn tasks_spawn_tasks_once() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 4);
        let graph = graph_of(session, &scheduler, &[("split", &[]), ("merge", &["split"])]);
        let split = claim(session, &scheduler).remove(0);
        let parts = [spec("part 1"), spec("part 2")];
        let spawn = |spec| Spawn { spec, needs: &[], hold: true };
        let first = scheduler.spawn_task(session, split.task, 1, &spawn(&parts[0])).unwrap();
        // The attempt is lost; the next one spawns what is there already.
        join(session, &scheduler, WORKER, 4);
        refused(scheduler.spawn_task(session, split.task, 1, &spawn(&parts[0])), errors::STALE_ATTEMPT);
        let claims = claim(session, &scheduler);
        let split = claims.iter().find(|claim| claim.name == "split").unwrap();
        assert_eq!(scheduler.spawn_task(session, split.task, 2, &spawn(&parts[0])).unwrap(), first);
        let second = scheduler
            .spawn_task(session, split.task, 2, &Spawn { spec: &parts[1], needs: &[first], hold: true })
            .unwrap();
        refused(
            scheduler.spawn_task(
                session,
                split.task,
                2,
                &Spawn { spec: &spec("x"), needs: &[TaskId(5)], hold: true },
            ),
            errors::MISSING_DEPENDENCY,
        );
        finish(session, &scheduler, split);
        assert_eq!(
            states(session, graph),
            ["split|done", "merge|waiting", "part 1|running", "part 2|waiting"]
        );
        let part = claims.iter().find(|claim| claim.task == first).unwrap();
        scheduler.finish_task_with(session, first, part.attempt, 0, &Usage::default(), &json!(1)).unwrap();
        let part = claim(session, &scheduler).remove(0);
        assert_eq!((part.task, &part.needs), (second, &json!({"part 1": 1})));
        scheduler.finish_task_with(session, second, part.attempt, 0, &Usage::default(), &json!(2)).unwrap();
        let merge = claim(session, &scheduler).remove(0);
        assert_eq!((merge.name.as_str(), &merge.needs), ("merge", &json!({"part 1": 1, "part 2": 2})));
        finish(session, &scheduler, &merge);
        assert_eq!(rows(session, "SELECT state, tasks, done FROM os.graph"), ["done|4|4"]);
        os::set(session, "scheduler.history_ms", -1000).unwrap();
        assert_eq!(scheduler.sweep_tasks(session, HOME, 100).unwrap().len(), 4);
        assert_eq!(rows(session, "SELECT count(*) FROM os.spawned_task"), ["0"]);
    });
}

#[test]
fn a_function_is_a_task_that_runs_once() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 9);
        session.execute("CREATE TABLE ran (n int)").unwrap();
        let function = |factor: i32| {
            format!(
                "CREATE OR REPLACE FUNCTION times(n int, more text) RETURNS int LANGUAGE plpgsql AS $$
                 BEGIN INSERT INTO ran VALUES (n); RETURN n * {factor} / length(more); END $$"
            )
        };
        session.execute(&function(2)).unwrap();
        let call = |n: &str, more: &str| TaskSpec {
            kind: "sql".to_owned(),
            ..TaskSpec::new("alice", "f", "times").argument(n).argument(more)
        };
        let good = put(session, &scheduler, &call("21", "a"));
        let divides = put(session, &scheduler, &call("1", ""));
        let old = put(session, &scheduler, &call("3", "a"));
        let claims = claim(session, &scheduler);
        assert!(claims[0].options["code"].as_str().unwrap().starts_with("md5:"));
        assert_eq!(scheduler.run_sql_task(session, good, 1).unwrap(), "done");
        refused(scheduler.run_sql_task(session, good, 1), errors::STALE_ATTEMPT);
        assert_eq!(scheduler.run_sql_task(session, divides, 1).unwrap(), "failed");
        session.execute(&function(5)).unwrap();
        assert_eq!(scheduler.run_sql_task(session, old, 1).unwrap(), "failed");
        let results =
            rows(session, "SELECT outcome, result::text, error FROM os.task_result ORDER BY task_id");
        assert_eq!(results[..2], ["done|42|NULL", "failed|NULL|22012: division by zero"]);
        assert!(results[2].starts_with("failed|NULL|TXS15: "), "{results:?}");
        assert_eq!(rows(session, "SELECT n FROM ran"), ["21"]);
        let unknown = TaskSpec { program: "nosuch(); DROP TABLE ran".to_owned(), ..call("1", "a") };
        let unknown = put(session, &scheduler, &unknown);
        claim(session, &scheduler);
        assert_eq!(scheduler.run_sql_task(session, unknown, 1).unwrap(), "failed");
        assert_eq!(rows(session, "SELECT count(*) FROM ran"), ["1"]);
        let plain = submit(session, &scheduler, "plain");
        claim(session, &scheduler);
        refused(scheduler.run_sql_task(session, plain, 1), errors::WRONG_STATE);
    });
}

#[test]
fn what_is_paused_waits_and_what_runs_goes_on() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 4);
        let graph = graph_of(session, &scheduler, &[("a", &[]), ("b", &["a"]), ("c", &[])]);
        let claims = claim(session, &scheduler);
        scheduler.pause_graph(session, graph).unwrap();
        for claimed in &claims {
            finish(session, &scheduler, claimed);
        }
        assert_eq!(states(session, graph), ["a|done", "b|queued", "c|done"]);
        let b = TaskId(claims[0].task.0 + 64);
        assert_eq!(scheduler.why_pending(session, b).unwrap()[0].reason, "paused");
        scheduler.resume_graph(session, graph).unwrap();
        assert_eq!(scheduler.pause_task(session, b).unwrap(), "queued");
        assert_eq!(
            (claim(session, &scheduler), rows(session, "SELECT unused_capacity FROM os.worker").concat()),
            (vec![], "4".to_owned())
        );
        assert_eq!(scheduler.resume_task(session, b).unwrap(), "assigned");
        let last = claim(session, &scheduler).remove(0);
        finish(session, &scheduler, &last);
        refused(scheduler.pause_task(session, b), errors::WRONG_STATE);
        refused(scheduler.pause_graph(session, graph), errors::WRONG_STATE);
        refused(scheduler.resume_graph(session, GraphId(5)), errors::UNKNOWN_GRAPH);
        // One that is submitted so.
        let mut held = spec("held");
        held.options.paused = true;
        let held = put(session, &scheduler, &held);
        assert_eq!(state(session, held), "queued");
        assert_eq!(scheduler.resume_task(session, held).unwrap(), "assigned");
    });
}

#[test]
fn a_tree_is_cancelled_and_a_graph_forked() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 4);
        let graph = graph_of(
            session,
            &scheduler,
            &[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("d", &["a"]), ("e", &["c", "d"])],
        );
        let a = claim(session, &scheduler).remove(0);
        scheduler
            .spawn_task(session, a.task, 1, &Spawn { spec: &spec("kept"), needs: &[], hold: false })
            .unwrap();
        scheduler.finish_task_with(session, a.task, 1, 0, &Usage::default(), &json!("of a")).unwrap();
        let mut claims = claim(session, &scheduler);
        claims.retain(|claim| claim.name != "b");
        for claimed in &claims {
            finish(session, &scheduler, claimed);
        }
        let b = TaskId(a.task.0 + 64);
        scheduler.spawn_task(session, b, 1, &Spawn { spec: &spec("of b"), needs: &[], hold: false }).unwrap();
        assert_eq!(scheduler.cancel_tree(session, b, "enough").unwrap(), 4);
        assert_eq!(
            states(session, graph),
            ["a|done", "b|cancelling", "c|cancelled", "d|done", "e|cancelled", "kept|done", "of b|cancelled"]
        );
        scheduler.fail_task(session, b, 1, "cancelled", None, &Usage::default(), false).unwrap();
        assert_eq!(rows(session, "SELECT state, done, cancelled FROM os.graph"), ["cancelled|3|4"]);

        // b and what is behind it runs anew, a, d and what a has spawned is kept with its results.
        let fork = scheduler.fork_graph(session, graph, "b").unwrap();
        assert_eq!(
            states(session, fork),
            ["a|done", "b|assigned", "c|waiting", "d|done", "e|waiting", "kept|done"]
        );
        let b = claim(session, &scheduler).remove(0);
        assert_eq!((b.name.as_str(), &b.needs), ("b", &json!({"a": "of a"})));
        finish(session, &scheduler, &b);
        for _ in 0..2 {
            let next = claim(session, &scheduler).remove(0);
            finish(session, &scheduler, &next);
        }
        let sql = format!("SELECT state, done, tasks FROM os.graph WHERE graph_id = {fork}");
        assert_eq!(rows(session, &sql), ["done|6|6"]);
        let again = scheduler.fork_graph(session, fork, "a").unwrap();
        assert_eq!(
            states(session, again),
            ["a|assigned", "b|waiting", "c|waiting", "d|waiting", "e|waiting"]
        );
        refused(scheduler.fork_graph(session, fork, "nosuch"), errors::UNKNOWN_TASK);
        refused(scheduler.fork_graph(session, GraphId(5), "a"), errors::UNKNOWN_GRAPH);
    });
}

#[test]
fn the_first_of_two_copies_wins() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 3);
        let graph = graph_of(session, &scheduler, &[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
        let claims = claim(session, &scheduler);
        refused(scheduler.backup_task(session, claims[0].task), errors::NO_ROOM);
        join(session, &scheduler, OTHER, 3);
        let copies: Vec<TaskId> =
            claims.iter().map(|claim| scheduler.backup_task(session, claim.task).unwrap()).collect();
        refused(scheduler.backup_task(session, claims[0].task), errors::WRONG_STATE);
        let begun = scheduler.claim_tasks(session, HOME, OTHER, 9).unwrap();
        assert_eq!(begun.iter().map(|claim| claim.task).collect::<Vec<_>>(), copies);
        // The copy is first: the task is done with its result, and the original's report refused.
        scheduler.finish_task_with(session, copies[0], 1, 0, &Usage::default(), &json!("copy")).unwrap();
        refused(
            scheduler.finish_task(session, claims[0].task, 1, 0, &Usage::default()),
            errors::STALE_ATTEMPT,
        );
        // The original is first: the copy's report is refused, and it ends as one that is cancelled.
        finish(session, &scheduler, &claims[1]);
        refused(scheduler.finish_task(session, copies[1], 1, 0, &Usage::default()), errors::STALE_ATTEMPT);
        scheduler.fail_task(session, copies[1], 1, "ended", None, &Usage::default(), false).unwrap();
        assert_eq!(states(session, graph), ["a|done", "b|done", "c|assigned"]);
        let last = claim(session, &scheduler).remove(0);
        assert_eq!(last.needs, json!({"a": "copy"}));
        let capacity = "SELECT unused_capacity FROM os.worker ORDER BY worker_id";
        assert_eq!(rows(session, capacity), ["2", "3"]);
        // A worker that is lost takes its copy along; a copy is not tried again.
        let copy = scheduler.backup_task(session, last.task).unwrap();
        join(session, &scheduler, OTHER, 3);
        assert_eq!(state(session, copy), "cancelled");
        assert_eq!(
            rows(session, "SELECT outcome, count(*) FROM os.task_result WHERE error IS NULL GROUP BY 1"),
            ["done|3"]
        );
    });
}
