//! The worker of `tuplix up`: tasks that talk to the node, restarts, the end.

use std::fs;
use std::path::Path;

use crate::harness::{Node, answer, command, said, text, tuplix};

/// Submits a shell script; its task's number.
fn submit(data: &Path, script: &str) -> String {
    said(data, &["submit", "--", "/bin/sh", "-c", script]).trim().to_owned()
}

/// Submits one that says when it runs, and does not end in its first attempt; waits until it runs.
fn submit_and_wait(data: &Path, seconds: &str) -> String {
    let script = format!(
        "tuplix send tests-{seconds} begun; test $TUPLIX_TASK_ATTEMPT -gt 1 && echo second || exec sleep {seconds}"
    );
    let task = submit(data, &script);
    said(data, &["recv", "--wait", "60s", &format!("tests-{seconds}")]);
    task
}

/// A time to sleep that no other process sleeps.
fn unique(number: u32) -> String {
    format!("{}{number:02}", std::process::id())
}

/// Whether a process of this command line runs.
fn runs(wanted: &str) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let line = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).collect::<Vec<_>>().join(&b' ').starts_with(wanted.as_bytes())
    })
}

/// A task's attempts.
fn results(data: &Path, task: &str) -> String {
    let query =
        format!("SELECT attempt, outcome, error FROM os.task_result WHERE task_id = {task} ORDER BY 1");
    answer(data, &["--csv"], &query)
}

#[test]
fn a_task_talks_to_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for more in [&[][..], &["--isolation", "off"]] {
        let node = Node::with(data, more);
        let task = submit(
            data,
            "set -e; echo text > local; tuplix put local kept; tuplix cat kept; tuplix send ada 'it is done';
             tuplix sql --csv 'SELECT current_user'",
        );
        said(data, &["wait", &task]);
        let written = said(data, &["logs", "--stdout", &task]);
        assert!(written.contains("text\n") && written.ends_with("current_user\nada\n"), "{written}");
        let message = said(data, &["recv", "ada"]);
        assert!(message.contains(&task) && message.contains("it is done"), "{message}");
        node.terminate();
    }
}

#[test]
fn after_kill_9_tasks_run_again_at_once_and_no_orphan_lives() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (more, seconds) in [(&[][..], unique(1)), (&["--isolation", "off"], unique(2))] {
        let node = Node::with(data, more);
        let task = submit_and_wait(data, &seconds);
        node.kill();
        let node = Node::with(data, more);
        assert!(!runs(&format!("sleep {seconds}")), "{more:?}");
        said(data, &["wait", &task]);
        let expected = "attempt,outcome,error\n1,lost,its worker began anew\n2,done,\n";
        assert_eq!(results(data, &task), expected);
        assert_eq!(said(data, &["logs", "--stdout", &task]).lines().last(), Some("second"));
        said(data, &["check"]);
        node.terminate();
        let left: Vec<_> = fs::read_dir(data.join("work")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn sigterm_gives_running_tasks_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let node = Node::start(data);
    let seconds = unique(3);
    let task = submit_and_wait(data, &seconds);
    let (status, rest) = node.terminate();
    assert!(status.success() && rest.contains("stopped"), "{status}: {rest}");
    assert!(!runs(&format!("sleep {seconds}")));
    let _node = Node::start(data);
    said(data, &["wait", &task]);
    assert_eq!(results(data, &task), "attempt,outcome,error\n1,lost,its worker stopped\n2,done,\n");
}

#[test]
fn a_node_without_a_worker_keeps_tasks_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let node = Node::start(data);
    let seconds = unique(4);
    let task = submit_and_wait(data, &seconds);
    node.kill();
    let node = Node::with(data, &["--no-worker"]);
    assert!(node.greeting.contains("worker    none"), "{}", node.greeting);
    assert!(!runs(&format!("sleep {seconds}")));
    let state = format!("SELECT state FROM os.task WHERE task_id = {task}");
    assert_eq!(answer(data, &["--csv"], &state), "state\nqueued\n");
    node.terminate();
    let _node = Node::start(data);
    said(data, &["wait", &task]);
}

#[test]
fn the_worker_offers_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let node = Node::with(data, &["--cores", "3", "--task-memory", "1.5GiB", "--isolation", "off"]);
    assert!(node.greeting.contains("worker    3 cores, 1536 MiB of memory"), "{}", node.greeting);
    assert!(node.greeting.contains("tasks are not isolated"), "{}", node.greeting);
    assert!(node.greeting.contains("services  made os, scheduler, ipc, fs"), "{}", node.greeting);
    let offers = answer(data, &["--csv"], "SELECT DISTINCT capacity, memory, status FROM os.worker");
    assert_eq!(offers, "capacity,memory,status\n3,1610612736,up\n");
    node.terminate();
    let node = Node::start(data);
    assert!(node.greeting.contains("services  up to date"), "{}", node.greeting);
}

#[test]
fn what_no_worker_can_offer_is_refused() {
    for wrong in [&["--cores", "0"][..], &["--task-memory", "much"], &["--no-worker", "--cores", "1"]] {
        let output = tuplix(&["up", "--port", "0"]).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), &["up", "--port", "0", "--readable", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/no/such/folder"), "{}", text(&output.stderr));
    // A worker starts it, people do not.
    let output = tuplix(&["task-runner"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("tuplix up"), "{}", text(&output.stderr));
}
