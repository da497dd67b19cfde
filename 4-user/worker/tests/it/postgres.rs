//! The same worker on PostgreSQL.

use std::time::Duration;

use tuplix::{Session, Tuplix, Value};
use tuplix_services::fs::Fs;
use tuplix_services::scheduler::{Scheduler, TaskSpec};
use tuplix_services::{Bucket, TaskId};
use tuplix_support::PostgresCluster;
use tuplix_worker::{Stream, Worker, WorkerOptions, log_path};

use crate::harness::{OWNER, WORKER, runner, shell};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a task is in one of these states.
fn wait(session: &mut Session, task: TaskId, states: &[&str]) -> String {
    session.execute(&format!("LISTEN os_task_{task}; LISTEN os_worker_{WORKER}")).unwrap();
    let state = format!("SELECT state FROM os.task WHERE p_key = {} AND task_id = {task}", task.bucket().0);
    let mut waited = Duration::ZERO;
    loop {
        let rows = session.query(&state, &[]).unwrap();
        let state = rows.get(0, 0).and_then(Value::as_str).unwrap().to_owned();
        if states.contains(&state.as_str()) {
            return state;
        }
        assert!(waited < PATIENCE, "task {task} stays {state}");
        let pause = Duration::from_millis(20);
        session.wait_notifications(pause).unwrap();
        waited += pause;
    }
}

#[test]
fn a_worker_runs_tasks_of_a_postgresql() {
    let cluster = PostgresCluster::start().unwrap();
    let node = Tuplix::connect(&cluster.url()).unwrap();
    let mut session = node.session(&Default::default()).unwrap();
    tuplix_services::install(&mut session).unwrap();
    session
        .execute(
            "CREATE ROLE ada; CREATE TABLE ran (what int); GRANT INSERT ON ran TO ada;
             CREATE FUNCTION note(what int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (what); RETURN current_user; END $$;
             CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1000); END $$",
        )
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut options = WorkerOptions::new(WORKER, folder.path().join("work"));
    (options.cores, options.memory, options.runner) = (2, 1 << 30, runner(&[]));
    let worker = Worker::start(&node, options).unwrap();
    let (scheduler, fs) = (Scheduler::new(&mut session).unwrap(), Fs::new(&mut session).unwrap());
    let home = Bucket::of_name(OWNER);

    let task = scheduler.submit_task(&mut session, home, &shell("echo by a process")).unwrap();
    assert_eq!(wait(&mut session, task, &["done", "failed"]), "done");
    let log = fs.get(&mut session, home, &log_path(OWNER, task, 1, Stream::Stdout)).unwrap();
    assert_eq!(String::from_utf8_lossy(&log.data), "by a process\n");

    let mut spec = TaskSpec::new(OWNER, "note", "note").argument("7");
    spec.kind = "sql".to_owned();
    let task = scheduler.submit_task(&mut session, home, &spec).unwrap();
    assert_eq!(wait(&mut session, task, &["done", "failed"]), "done");
    let found = "SELECT (SELECT result::text FROM os.task_result WHERE task_id = $1), (SELECT sum(what)::int FROM ran)";
    let rows = session.query(found, &[Value::Int8(task.0)]).unwrap();
    assert_eq!(
        (rows.get(0, 0).and_then(Value::as_str), rows.get(0, 1).and_then(Value::as_i64)),
        (Some("\"ada\""), Some(7))
    );

    spec.program = "slow".to_owned();
    spec.arguments.clear();
    let task = scheduler.submit_task(&mut session, home, &spec).unwrap();
    wait(&mut session, task, &["running"]);
    scheduler.cancel_task(&mut session, task, "enough").unwrap();
    assert_eq!(wait(&mut session, task, &["cancelled", "done", "failed"]), "cancelled");
    worker.stop().unwrap();
    assert_eq!(tuplix_services::check(&mut session).unwrap(), []);
}
