//! Graphs: order, failure, cycles.

use serde_json::{Value, json};
use tuplix::{Session, SqlState};
use tuplix_services::scheduler::{Scheduler, Usage};
use tuplix_services::{GraphId, errors};

use crate::engines::{both, refused, rows};
use crate::tasks::{HOME, WORKER, claim, finish, join};

fn task(name: &str, after: &[&str]) -> Value {
    json!({"name": name, "program": "/bin/true", "after": after})
}

fn diamond() -> Value {
    json!({"name": "diamond", "tasks": [task("d", &["b", "c"]), task("b", &["a"]), task("c", &["a", "a"]), task("a", &[])]})
}

fn graph_state(session: &mut Session, graph: GraphId) -> String {
    let sql = format!("SELECT state, done, failed, cancelled FROM os.graph WHERE graph_id = {graph}");
    rows(session, &sql).concat()
}

#[test]
fn tasks_run_after_those_that_they_need() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 8);
        let graph = scheduler.submit_graph(session, HOME, "alice", &diamond(), None).unwrap();
        assert_eq!(graph.bucket(), HOME);
        let mut order = Vec::new();
        loop {
            let claims = claim(session, &scheduler);
            if claims.is_empty() {
                break;
            }
            order.push(claims.iter().map(|claim| claim.name.clone()).collect::<Vec<_>>().join("+"));
            for claimed in &claims {
                assert_eq!(claimed.graph, Some(graph));
                finish(session, &scheduler, claimed);
            }
        }
        assert_eq!(order, ["a", "b+c", "d"]);
        assert_eq!(graph_state(session, graph), "done|4|0|0");
        let levels = "SELECT name, level FROM os.task_spec ORDER BY name";
        assert_eq!(rows(session, levels), ["a|0", "b|1", "c|1", "d|2"]);
    });
}

#[test]
fn a_failure_cancels_what_needs_it_and_retry_revives_it() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 8);
        let asked = Some(tuplix_services::ReceiverId(69));
        let graph = scheduler.submit_graph(session, HOME, "alice", &diamond(), asked).unwrap();
        let a = claim(session, &scheduler).remove(0);
        let usage = Usage::default();
        scheduler.fail_task(session, a.task, 1, "broken", Some(1), &usage, true).unwrap();
        assert_eq!(graph_state(session, graph), "failed|0|1|3");
        assert_eq!(rows(session, "SELECT waiting FROM os.mailbox WHERE p_key = 5"), ["4"]);
        let reasons = format!(
            "SELECT DISTINCT outcome, error, cause_task_id FROM os.task_result WHERE task_id <> {}",
            a.task
        );
        let reason = format!("cancelled|it needs task {}, which failed|{}", a.task, a.task);
        assert_eq!(rows(session, &reasons), [reason]);
        scheduler.retry_task(session, a.task).unwrap();
        assert_eq!(graph_state(session, graph), "running|0|0|0");
        for _ in 0..3 {
            for claimed in claim(session, &scheduler) {
                finish(session, &scheduler, &claimed);
            }
        }
        assert_eq!(graph_state(session, graph), "done|4|0|0");
    });
}

#[test]
fn a_graph_is_cancelled_whole() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 1);
        let graph = scheduler.submit_graph(session, HOME, "alice", &diamond(), None).unwrap();
        let a = claim(session, &scheduler).remove(0);
        finish(session, &scheduler, &a);
        let b = claim(session, &scheduler).remove(0);
        assert_eq!(scheduler.cancel_graph(session, graph, "no need").unwrap(), 3);
        assert_eq!(graph_state(session, graph), "running|1|0|2");
        scheduler.fail_task(session, b.task, 1, "killed", None, &Usage::default(), true).unwrap();
        assert_eq!(graph_state(session, graph), "cancelled|1|0|3");
        assert_eq!(scheduler.cancel_graph(session, graph, "again").unwrap(), 0);
        refused(scheduler.cancel_graph(session, GraphId(5), ""), errors::UNKNOWN_GRAPH);
    });
}

#[test]
fn what_is_no_graph_is_refused_and_named() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        let two = |first, second| json!({"tasks": [first, second]});
        let cycle = json!({"tasks": [task("a", &["c"]), task("b", &["a"]), task("c", &["b"]), task("d", &["c"]), task("e", &[])]});
        let wrong: [(Value, SqlState, &str); 14] = [
            (cycle, errors::GRAPH_CYCLE, "cycle: a -> c -> b -> a"),
            (two(task("x", &["x"]), task("y", &[])), errors::GRAPH_CYCLE, "cycle: x -> x"),
            (two(task("x", &["z"]), task("y", &[])), errors::MISSING_DEPENDENCY, "\"x\" comes after \"z\""),
            (two(task("x", &[]), task("x", &[])), errors::DUPLICATE_TASK, "two tasks named \"x\""),
            (json!({}), errors::INVALID_TASK, "no tasks"),
            (json!([]), errors::INVALID_TASK, "no tasks"),
            (json!({"tasks": []}), errors::INVALID_TASK, "no tasks"),
            (json!({"tasks": ["a"]}), errors::INVALID_TASK, "task 1"),
            (json!({"tasks": [{"program": "x"}]}), errors::INVALID_TASK, "\"name\""),
            (json!({"tasks": [{"name": "x"}]}), errors::INVALID_TASK, "\"program\""),
            (
                json!({"tasks": [{"name": "x", "program": "x", "after": "y"}]}),
                errors::INVALID_TASK,
                "\"after\"",
            ),
            (
                json!({"tasks": [{"name": "x", "program": "x", "cores": "many"}]}),
                errors::INVALID_TASK,
                "\"cores\"",
            ),
            (
                json!({"tasks": [{"name": "x", "program": "x", "cores": 0}]}),
                errors::INVALID_TASK,
                "cores must be",
            ),
            (json!({"tasks": [{"name": "", "program": "x"}]}), errors::INVALID_TASK, "its name must"),
        ];
        for (description, state, message) in wrong {
            let error = refused(scheduler.submit_graph(session, HOME, "alice", &description, None), state);
            assert!(error.message().contains(message), "{error}");
        }
        for table in ["graph", "task", "task_spec", "task_dependency", "task_queue"] {
            assert_eq!(rows(session, &format!("SELECT count(*) FROM os.{table}")), ["0"], "{table}");
        }
        tuplix_services::os::set(session, "scheduler.graph_tasks_max", 1).unwrap();
        let two = two(task("x", &[]), task("y", &[]));
        refused(scheduler.submit_graph(session, HOME, "alice", &two, None), errors::INVALID_TASK);
    });
}

#[test]
fn a_long_chain_and_a_wide_fan_are_graphs() {
    both(|_, session| {
        let scheduler = Scheduler::new(session).unwrap();
        join(session, &scheduler, WORKER, 4);
        let chain: Vec<Value> = (0..300)
            .map(|n| if n == 0 { task("t0", &[]) } else { task(&format!("t{n}"), &[&format!("t{}", n - 1)]) })
            .collect();
        let mut fan: Vec<Value> = (0..300).map(|n| task(&format!("f{n}"), &[])).collect();
        let names: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
        fan.push(task("join", &names.iter().map(String::as_str).collect::<Vec<_>>()));
        for tasks in [chain, fan] {
            let graph =
                scheduler.submit_graph(session, HOME, "alice", &json!({ "tasks": tasks }), None).unwrap();
            loop {
                let claims = claim(session, &scheduler);
                if claims.is_empty() {
                    break;
                }
                for claimed in &claims {
                    finish(session, &scheduler, claimed);
                }
            }
            assert_eq!(graph_state(session, graph), format!("done|{}|0|0", tasks.len()));
        }
    });
}
