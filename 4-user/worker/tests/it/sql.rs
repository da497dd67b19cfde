//! Tasks that are functions in the database.

use std::time::Duration;

use tuplix::Value;
use tuplix_services::scheduler::TaskSpec;

use crate::harness::{Node, OWNER, unique};

/// What the tasks here call; its owner is a role that may do what it needs, and no more.
const SCHEMA: &str = "
    CREATE ROLE ada;
    CREATE SCHEMA app;
    GRANT USAGE ON SCHEMA app TO ada;
    CREATE TABLE app.ran (what text NOT NULL);
    CREATE TABLE app.secret (what text NOT NULL);
    GRANT SELECT, INSERT ON app.ran TO ada;
    CREATE FUNCTION app.note(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.ran VALUES (what); END $$;
    CREATE FUNCTION app.typed(a int, b numeric, c text, d bool, e int[], f timestamptz) RETURNS text LANGUAGE plpgsql AS $$
    BEGIN RETURN format('%s %s %s %s %s %s', a + 1, b * 2, c, NOT d, e[2], f + interval '1 day'); END $$;
    CREATE FUNCTION app.half(what text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO app.ran VALUES (what); PERFORM 1 / 0; END $$;
    CREATE FUNCTION app.slow(what text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO app.ran VALUES (what); PERFORM pg_sleep(1000); END $$;
    CREATE FUNCTION app.spy() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM app.secret); END $$;
    CREATE FUNCTION app.who() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_user; END $$;
    CREATE FUNCTION app.many() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN NEXT 1; RETURN NEXT 2; END $$;
    CREATE PROCEDURE app.note_all(what text, times int) LANGUAGE plpgsql AS $$
    BEGIN FOR i IN 1..times LOOP INSERT INTO app.ran VALUES (what); END LOOP; END $$";

/// A node with these functions.
fn node() -> Node {
    let mut node = Node::start();
    node.session.execute(SCHEMA).unwrap();
    node
}

/// A call as a task.
fn call(function: &str, arguments: &[&str]) -> TaskSpec {
    let mut spec = TaskSpec::new(OWNER, "call", function);
    spec.kind = "sql".to_owned();
    spec.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    spec
}

/// Submits a task, which has to succeed; its result.
fn result(node: &mut Node, spec: &TaskSpec) -> String {
    let task = node.submit(spec);
    node.wait(task).done();
    let query = "SELECT result::text FROM os.task_result WHERE task_id = $1";
    let rows = node.session.query(query, &[Value::Int8(task.0)]).unwrap();
    rows.get(0, 0).and_then(Value::as_str).unwrap().to_owned()
}

fn ran(node: &mut Node) -> i64 {
    let rows = node.session.query("SELECT count(*) FROM app.ran", &[]).unwrap();
    rows.get(0, 0).and_then(Value::as_i64).unwrap()
}

#[test]
fn a_function_runs_in_the_transaction_that_finishes_its_task() {
    let mut node = node();
    for number in 1..=5 {
        node.run(&call("app.note", &["once"])).done();
        assert_eq!(ran(&mut node), number);
    }
    // A procedure has no version.
    let mut spec = call("app.note_all", &["called", "3"]);
    spec.options.code = Some("mine".to_owned());
    let ended = node.run(&spec).done();
    assert_eq!((ran(&mut node), ended.exit_code), (8, Some(0)));
}

#[test]
fn a_function_that_changed_since_is_not_run() {
    let mut node = node();
    let mut spec = call("app.who", &[]);
    spec.options.paused = true;
    let task = node.submit(&spec);
    let changed =
        "CREATE OR REPLACE FUNCTION app.who() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'new'; END $$";
    node.session.execute(changed).unwrap();
    node.scheduler.resume_task(&mut node.session, task).unwrap();
    node.wait(task).failed("SQLSTATE TXS15: function \"app.who\" is another one");
    assert_eq!(result(&mut node, &call("app.who", &[])), "\"new\"");
}

#[test]
fn arguments_are_read_by_their_parameters_types() {
    let mut node = node();
    let arguments = ["41", "1.25", "it's $1", "false", "{5,6}", "2026-11-22 00:00:00+00"];
    let said = result(&mut node, &call("app.typed", &arguments));
    assert_eq!(said, "\"42 2.50 it's $1 t 6 2026-11-23 00:00:00+00\"");
    assert_eq!(result(&mut node, &call("app.many", &[])), "[1, 2]");
    let ended = node.run(&call("app.typed", &["x", "1", "c", "false", "{}", "now"]));
    assert_eq!(ended.failed("SQLSTATE 22P02").attempt, 1);
}

#[test]
fn an_error_fails_the_task_and_leaves_nothing() {
    let mut node = node();
    let mut spec = call("app.half", &["half"]);
    (spec.max_attempts, spec.backoff_ms) = (3, 1);
    // What is wrong with the call is so at the next attempt too.
    assert_eq!(node.run(&spec).failed("SQLSTATE 22012: division by zero").attempt, 1);
    assert_eq!(ran(&mut node), 0);
    // The function may come before the task runs; what is none then fails it.
    for (function, said) in [
        ("app.missing", "SQLSTATE 42883"),
        ("missing.note", "SQLSTATE 3F000"),
        ("app.note; DROP TABLE app.ran", "is not the name of a function"),
        ("note\"; DROP TABLE app.ran; --", "SQLSTATE 3F000"),
    ] {
        node.run(&call(function, &["x"])).failed(said);
        let mut spec = call(function, &["x"]);
        spec.options.code = Some("mine".to_owned());
        node.run(&spec).failed(said);
    }
    let mut spec = call("app.note", &["x"]);
    spec.inputs = serde_json::json!(["/a"]);
    node.run(&spec).failed("has no inputs or outputs");
    assert_eq!(ran(&mut node), 0);
}

/// What it may do is what its owner may.
#[test]
fn it_runs_as_its_owner() {
    let mut node = node();
    assert_eq!(result(&mut node, &call("app.who", &[])), "\"ada\"");
    node.run(&call("app.spy", &[])).failed("SQLSTATE 42501: permission denied for table secret");
    let mut spec = call("app.who", &[]);
    spec.owner = "nobody".to_owned();
    node.run(&spec).failed("make its owner a role");
}

#[test]
fn a_function_that_takes_too_long_is_ended() {
    let mut node = node();
    let mut spec = call("app.slow", &["late"]);
    spec.timeout_ms = Some(300);
    node.run(&spec).failed("it ran longer than its 300 ms: raise `timeout`");
    assert_eq!(ran(&mut node), 0);
    node.run(&call("app.note", &["next"])).done();
}

#[test]
fn a_function_is_cancelled_at_any_moment() {
    let mut node = node();
    let task = node.submit(&call("app.slow", &["cancelled"]));
    node.wait_for(task, &["running"]);
    node.scheduler.cancel_task(&mut node.session, task, "enough").unwrap();
    assert_eq!(node.wait(task).state, "cancelled");
    let machine = tuplix_machine::Machine::linux();
    for round in 0..40 {
        let task = node.submit(&call("app.slow", &["cancelled"]));
        machine.sleep_until(machine.monotonic_ns() + round * 50_000);
        node.scheduler.cancel_task(&mut node.session, task, "enough").unwrap();
        assert_eq!(node.wait(task).state, "cancelled", "round {round}");
    }
    assert_eq!(ran(&mut node), 0);
    node.run(&call("app.note", &["next"])).done();
}

/// A task that another worker has taken over commits nothing.
#[test]
fn a_stale_attempt_has_no_effect() {
    let mut node = Node::with(|options| options.lease = Duration::from_secs(300));
    node.session.execute(SCHEMA).unwrap();
    let name = format!("gate{}", unique(0));
    node.session
        .execute(&format!(
            "CREATE FUNCTION app.wait_then_note() RETURNS void LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock(hashtext('{name}')); INSERT INTO app.ran VALUES ('stale'); END $$"
        ))
        .unwrap();
    let lock = format!("SELECT pg_advisory_lock(hashtext('{name}'))");
    node.session.query(&lock, &[]).unwrap();
    let task = node.submit(&call("app.wait_then_note", &[]));
    node.wait_for(task, &["running"]);
    let late = format!(
        "UPDATE os.task SET attempt = 7 WHERE task_id = {task};
                        UPDATE os.task_lease SET attempt = 7 WHERE task_id = {task}"
    );
    node.session.execute(&late).unwrap();
    node.session.query(&lock.replace("lock(", "unlock("), &[]).unwrap();
    // The thread is free again, and the task is not its own.
    node.run(&call("app.who", &[])).done();
    node.run(&call("app.who", &[])).done();
    assert_eq!((ran(&mut node), node.ended(task).state.as_str()), (0, "running"));
    node.scheduler.return_task(&mut node.session, task, 7, "over").unwrap();
    assert_eq!(node.wait(task).done().attempt, 8);
    assert_eq!(ran(&mut node), 1);
}
