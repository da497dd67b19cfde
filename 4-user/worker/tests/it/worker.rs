//! Workers: joining, claiming, cancelling, losing, stopping.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tuplix::Value;
use tuplix_services::scheduler::{Claim, Policy, Usage, WorkerOffer};
use tuplix_services::{Bucket, TaskId, WorkerId, errors};
use tuplix_worker::{Isolation, Stream, Worker, WorkerError, WorkerOptions, log_path};

use crate::harness::{Node, OWNER, WORKER, find, runner, shell, unique};

/// What a script does first, to say that it runs.
const BEGIN: &str = "begun=begun-$TUPLIX_TASK_ID-$TUPLIX_TASK_ATTEMPT; echo > $begun";

/// Waits until a script has begun; the file by which it says so.
fn wait_until_it_runs(node: &mut Node, task: TaskId, attempt: i32) -> PathBuf {
    let name = format!("files/begun-{task}-{attempt}");
    let folders = [0, 1].map(|folder| node.work().join(folder.to_string()).join(&name));
    let mut found = None;
    node.until(|_| {
        found = folders.iter().find(|file| file.exists()).cloned();
        found.is_some()
    });
    found.unwrap()
}

/// A pulse thread forgets: nobody else does.
#[test]
fn old_tasks_go_with_their_logs_and_received_messages_too() {
    let mut node = Node::with(|options| options.sweep_every = Duration::from_millis(64));
    let kept = node.submit(&shell("echo kept"));
    node.wait(kept).done();
    let log = log_path(OWNER, kept, 1, Stream::Stdout);
    assert_eq!(node.get(&log).as_deref(), Some("kept\n"));
    node.session.execute("SELECT os.send('alice', 'bob', 'x'); SELECT os.receive('bob')").unwrap();
    for setting in ["scheduler.history_ms", "ipc.history_ms"] {
        tuplix_services::os::set(&mut node.session, setting, -1000).unwrap();
    }
    let left = "SELECT (SELECT count(*) FROM os.task) + (SELECT count(*) FROM os.task_result) + (SELECT count(*) FROM os.message_history)";
    node.until(|node| node.session.query(left, &[]).unwrap().get(0, 0).and_then(Value::as_i64) == Some(0));
    assert_eq!(node.get(&log), None);
}

#[test]
fn as_many_tasks_run_at_once_as_there_are_cores() {
    let mut node = Node::start();
    let tasks: Vec<TaskId> = (0..5).map(|_| node.submit(&shell("sleep 0.2"))).collect();
    let mut most = 0;
    for task in &tasks {
        node.until(|node| {
            let rows =
                node.session.query("SELECT count(*) FROM os.task WHERE state = 'running'", &[]).unwrap();
            most = most.max(rows.get(0, 0).and_then(tuplix::Value::as_i64).unwrap());
            node.ended(*task).state == "done"
        });
    }
    assert_eq!(most, 2);
}

#[test]
fn a_worker_serves_all_buckets_with_the_cores_that_it_has() {
    let mut node = Node::start();
    let owners = ["ada", "bob", "carol", "dora", "eve", "frank"];
    let tasks = owners.map(|owner| {
        let mut spec = shell("date +%s%N; sleep 0.05; date +%s%N");
        (spec.owner, spec.cores) = (owner.to_owned(), 2);
        (owner, node.scheduler.submit_task(&mut node.session, Bucket::of_name(owner), &spec).unwrap())
    });
    let mut times = tasks.map(|(owner, task)| {
        node.wait(task).done();
        let said = node.get(&log_path(owner, task, 1, Stream::Stdout)).unwrap();
        said.lines().map(|line| line.parse::<u64>().unwrap()).collect::<Vec<_>>()
    });
    times.sort();
    // Two cores each: one after the other.
    let one_by_one = times.concat();
    assert!(one_by_one.is_sorted(), "{times:?}");
}

#[test]
fn a_cancelled_task_is_ended() {
    for isolation in [Isolation::Auto, Isolation::Off] {
        let mut node = Node::with(|options| options.isolation = isolation);
        let task = node.submit(&shell(&format!("echo said; {BEGIN}; sleep 1000")));
        wait_until_it_runs(&mut node, task, 1);
        assert_eq!(node.scheduler.cancel_task(&mut node.session, task, "enough").unwrap(), "cancelling");
        let ended = node.wait(task);
        assert_eq!((ended.state.as_str(), ended.outcome.as_str()), ("cancelled", "cancelled"), "{ended:?}");
        assert_eq!(node.output(task), "said\n");
        node.run(&shell("true")).done();
    }
}

/// Cancels meet tasks at every moment between their submission and their end.
#[test]
fn a_task_is_cancelled_at_any_moment() {
    let mut node = Node::start();
    for round in 0..60 {
        let task = node.submit(&shell("sleep 1000"));
        let machine = tuplix_machine::Machine::linux();
        machine.sleep_until(machine.monotonic_ns() + round * 200_000);
        node.scheduler.cancel_task(&mut node.session, task, "enough").unwrap();
        assert_eq!(node.wait(task).state, "cancelled", "round {round}");
    }
}

/// Gives a running task to another worker, which claims it.
fn take_over(node: &mut Node, task: TaskId) -> Claim {
    // The first one in FIFO's order.
    let other = WorkerId(0);
    let offer = WorkerOffer { cores: 8, ..WorkerOffer::default() };
    node.scheduler.join_worker(&mut node.session, Node::home(), other, &offer).unwrap();
    let late =
        format!("UPDATE os.task_lease SET lease_until = now() - interval '1 s' WHERE task_id = {task}");
    // Together, lest a heartbeat comes between them.
    node.session.execute("BEGIN").unwrap();
    node.session.execute(&late).unwrap();
    node.scheduler.tick(&mut node.session, Node::home()).unwrap();
    node.session.execute("COMMIT").unwrap();
    let claimed = node.scheduler.claim_tasks(&mut node.session, Node::home(), other, 1).unwrap().remove(0);
    assert_eq!((claimed.task, claimed.attempt), (task, 2));
    claimed
}

#[test]
fn an_attempt_that_lost_its_task_leaves_nothing() {
    let mut node = Node::start();
    let mut spec =
        shell(&format!("echo $TUPLIX_TASK_ATTEMPT > out; {BEGIN}; while [ -e $begun ]; do sleep 0.01; done"));
    spec.outputs = json!(["out"]);
    let task = node.submit(&spec);
    let begun = wait_until_it_runs(&mut node, task, 1);
    let out = begun.with_file_name("out");
    assert!(out.exists());
    take_over(&mut node, task);
    std::fs::remove_file(begun).unwrap();
    node.until(|_| !out.exists());
    assert_eq!(node.get("/home/ada/out"), None);
    assert_eq!(node.log(task, 1, Stream::Stdout), None);
    node.scheduler.finish_task(&mut node.session, task, 2, 0, &Usage::default()).unwrap();
    assert_eq!(node.results(task), ["1|lost|its lease ended", "2|done|"]);
}

#[test]
fn an_attempt_that_lost_its_task_is_ended_at_the_next_heartbeat() {
    let mut node = Node::with(|options| options.lease = Duration::from_secs(2));
    let seconds = unique(5);
    let task = node.submit(&shell(&format!("exec sleep {seconds}")));
    node.until(|_| find(&["sleep", &seconds]).is_some());
    take_over(&mut node, task);
    node.until(|_| find(&["sleep", &seconds]).is_none());
    node.scheduler.finish_task(&mut node.session, task, 2, 0, &Usage::default()).unwrap();
    assert_eq!(node.results(task), ["1|lost|its lease ended", "2|done|"]);
}

#[test]
fn a_worker_that_was_given_up_ends_its_tasks_and_joins_again() {
    let mut node = Node::with(|options| options.lease = Duration::from_secs(2));
    let task = node.submit(&shell(&format!("{BEGIN}; test $TUPLIX_TASK_ATTEMPT -gt 1 || sleep 1000")));
    wait_until_it_runs(&mut node, task, 1);
    // Together, lest a heartbeat comes between them.
    let late =
        format!("UPDATE os.worker SET lease_until = now() - interval '1 s' WHERE p_key = {}", Node::home());
    node.session.execute("BEGIN").unwrap();
    node.session.execute(&late).unwrap();
    node.scheduler.tick(&mut node.session, Node::home()).unwrap();
    node.session.execute("COMMIT").unwrap();
    assert_eq!(node.wait(task).done().attempt, 2);
    assert_eq!(node.results(task), ["1|lost|its worker was lost", "2|done|"]);
}

#[test]
fn heartbeats_keep_a_long_task() {
    let mut node = Node::with(|options| options.lease = Duration::from_secs(1));
    assert_eq!(node.run(&shell("sleep 2.5")).done().attempt, 1);
}

/// Notifications make it fast; the tables say what is to be done.
#[test]
fn what_nobody_told_is_found_at_the_next_heartbeat() {
    let mut node = Node::with(|options| options.lease = Duration::from_secs(2));
    let mut spec = shell(&format!("{BEGIN}; sleep 1000"));
    spec.delay_ms = 3_600_000;
    let task = node.submit(&spec);
    // As if its time had come, without a word.
    node.session.execute(&format!("DELETE FROM os.task_timer WHERE task_id = {task}")).unwrap();
    let placed = node.scheduler.schedule(&mut node.session, Policy::Fifo, Node::home(), task, 1, 0).unwrap();
    assert_eq!(placed, Some(WORKER));
    wait_until_it_runs(&mut node, task, 1);
    node.session.execute(&format!("UPDATE os.task SET state = 'cancelling' WHERE task_id = {task}")).unwrap();
    assert_eq!(node.wait(task).state, "cancelled");
}

#[test]
fn a_worker_that_stops_gives_its_tasks_back() {
    let mut node = Node::start();
    let running = node.submit(&shell(&format!("{BEGIN}; test $TUPLIX_TASK_ATTEMPT = 2 || sleep 1000")));
    let other = node.submit(&shell(&format!("{BEGIN}; test $TUPLIX_TASK_ATTEMPT = 2 || sleep 1000")));
    let waiting = node.submit(&shell("true"));
    wait_until_it_runs(&mut node, running, 1);
    wait_until_it_runs(&mut node, other, 1);
    node.worker.take().unwrap().stop().unwrap();
    for task in [running, other, waiting] {
        assert_eq!(node.ended(task).state, "queued");
    }
    assert_eq!(node.results(running), ["1|lost|its worker stopped"]);
    let states = node.session.query("SELECT DISTINCT status FROM os.worker", &[]).unwrap();
    assert_eq!(states.get(0, 0).and_then(tuplix::Value::as_str), Some("left"));
    node.join(|_| {});
    for task in [running, other, waiting] {
        node.wait(task).done();
    }
}

#[test]
fn a_helper_that_is_killed_takes_its_task_along_and_another_one_is_started() {
    let mut node = Node::with(|options| options.cores = 1);
    let seconds = unique(1);
    let mut spec = shell(&format!("test $TUPLIX_TASK_ATTEMPT = 2 || exec sleep {seconds}"));
    (spec.max_attempts, spec.backoff_ms) = (2, 1);
    let task = node.submit(&spec);
    node.until(|_| find(&["sleep", &seconds]).is_some());
    let helper = parent(parent(find(&["sleep", &seconds]).unwrap()));
    kill(helper);
    assert_eq!(node.wait(task).done().attempt, 2);
    assert_eq!(find(&["sleep", &seconds]), None);
    assert!(node.results(task)[0].contains("its helper process was lost"));
}

/// What a killed node leaves: folders of tasks, and perhaps processes.
#[test]
fn orphans_of_an_earlier_start_are_ended_before_anything_begins() {
    let mut node = Node::without_worker();
    // A worker that was killed: it had begun a task.
    node.scheduler.join_worker(&mut node.session, Node::home(), WORKER, &WorkerOffer::default()).unwrap();
    let task = node.submit(&shell("echo second attempt"));
    node.scheduler.claim_tasks(&mut node.session, Node::home(), WORKER, 1).unwrap();
    let folder = node.work().join(format!("{task}-1"));
    std::fs::create_dir_all(folder.join("files")).unwrap();
    let seconds = unique(2);
    let mut orphan = std::process::Command::new("setsid").args(["sleep", &seconds]).spawn().unwrap();
    node.until(|_| find(&["sleep", &seconds]).is_some());
    let process = find(&["sleep", &seconds]).unwrap();
    std::fs::write(folder.join("process"), format!("{process} {}", started(process))).unwrap();
    node.join(|_| {});
    assert_eq!(find(&["sleep", &seconds]), None);
    orphan.wait().unwrap();
    assert_eq!(node.wait(task).done().attempt, 2);
    assert_eq!(node.results(task)[0], "1|lost|its worker began anew");
}

#[test]
fn a_node_without_its_worker_gives_back_what_it_held() {
    let mut node = Node::without_worker();
    node.scheduler.join_worker(&mut node.session, Node::home(), WORKER, &WorkerOffer::default()).unwrap();
    let task = node.submit(&shell("true"));
    node.scheduler.claim_tasks(&mut node.session, Node::home(), WORKER, 1).unwrap();
    Worker::retire(&node.node, &WorkerOptions::new(WORKER, node.work())).unwrap();
    assert_eq!(node.ended(task).state, "queued");
    let late = node.scheduler.finish_task(&mut node.session, task, 1, 0, &Usage::default());
    assert_eq!(late.unwrap_err().sqlstate(), errors::STALE_ATTEMPT);
    node.join(|options| options.id = WorkerId(2));
    assert_eq!(node.wait(task).done().attempt, 2);
}

#[test]
fn a_worker_that_cannot_work_says_why() {
    let node = Node::without_worker();
    let start = |change: &dyn Fn(&mut WorkerOptions)| {
        let mut options = WorkerOptions::new(WORKER, node.work());
        options.runner = runner(&[]);
        change(&mut options);
        Worker::start(&node.node, options).err().unwrap()
    };
    assert!(matches!(start(&|options| options.cores = 0), WorkerError::Nothing));
    assert!(matches!(start(&|options| options.buckets.clear()), WorkerError::Nothing));
    let error = start(&|options| options.work_directory = "/proc/nowhere".into());
    assert!(error.to_string().contains("/proc/nowhere"), "{error}");
    let error = start(&|options| options.runner.program = "/no/such/program".into());
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    // One that is no helper.
    let error = start(&|options| options.runner.program = "/bin/true".into());
    assert!(matches!(error, WorkerError::Runner(..)), "{error}");
}

#[test]
fn a_graph_passes_files_from_task_to_task() {
    let mut node = Node::start();
    let graph = json!({"name": "chain", "tasks": [
        {"name": "make", "program": "/bin/sh", "arguments": ["-c", "echo one > a"], "outputs": ["a"]},
        {"name": "add", "program": "/bin/sh", "arguments": ["-c", "cat a > b; echo two >> b"], "inputs": ["a"], "outputs": ["b"],
         "after": ["make"]},
        {"name": "show", "program": "/bin/cat", "arguments": ["b"], "inputs": ["b"], "after": ["add"]}]});
    node.scheduler.submit_graph(&mut node.session, Node::home(), OWNER, &graph, None).unwrap();
    let last = TaskId(node.last_task());
    node.wait(last).done();
    assert_eq!(node.output(last), "one\ntwo\n");
}

/// A field of `/proc/PROCESS/stat`, counted from the one after the name.
fn stat(process: i32, field: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(field).unwrap().to_owned()
}

fn parent(process: i32) -> i32 {
    stat(process, 1).parse().unwrap()
}

fn started(process: i32) -> String {
    stat(process, 19)
}

fn kill(process: i32) {
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(process).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}
