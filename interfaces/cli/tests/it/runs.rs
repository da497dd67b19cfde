//! Tasks and graphs that run: how they end, and what is said of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Node, answer, command, fed, refused, said, text, tuplix};

/// A graph's file with these tasks: name, what a shell does, more keys.
fn graph(data: &Path, tasks: &[(&str, &str, &str)]) -> String {
    let file = data.join("graph.toml");
    let text: String = tasks
        .iter()
        .map(|(name, script, more)| {
            format!(
                "[[task]]\nname = {name:?}\nprogram = \"/bin/sh\"\narguments = [\"-c\", {script:?}]\n{more}\n"
            )
        })
        .collect();
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Number of the only task of this name.
fn task(data: &Path, name: &str) -> String {
    let query = format!("SELECT task_id FROM os.task_spec WHERE name = '{name}'");
    answer(data, &["--csv"], &query).lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_graph_runs_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let file = graph(
        data,
        &[
            ("write", "echo hello > greeting; echo written", "outputs = [\"greeting\"]"),
            (
                "count",
                "wc -c < greeting > size; echo counted >&2",
                "needs = [\"write\"]\ninputs = [\"greeting\"]\noutputs = [\"size\"]",
            ),
        ],
    );
    let output = command(data, &["run", &file]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let end = text(&output.stdout);
    assert!(end.contains(" graph: 2 tasks\n") && end.contains("2 of 2 tasks done"), "{end}");
    // Standard error is no terminal here.
    assert!(text(&output.stderr).contains("1 of 2 tasks are over"), "{}", text(&output.stderr));
    assert_eq!(said(data, &["cat", "size"]), "6\n");
    assert_eq!(said(data, &["logs", &task(data, "write")]), "written\n");
    let logs = command(data, &["logs", &task(data, "count")]);
    assert_eq!((text(&logs.stdout), text(&logs.stderr)), (String::new(), "counted\n".to_owned()));
    assert_eq!(said(data, &["logs", "--stderr", &task(data, "count")]), "counted\n");
    assert!(refused(data, &["logs", "--attempt", "2", &task(data, "count")]).contains("1 attempts"));
    assert!(refused(data, &["cancel", &task(data, "count")]).contains("TXS10"));
    said(data, &["check"]);
}

#[test]
fn what_failed_is_said_and_can_be_tried_again() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let file = graph(
        data,
        &[
            ("breaks", "echo wrong weather >&2; exit 3", ""),
            ("reads", "cat later > copy", "inputs = [\"later\"]\noutputs = [\"copy\"]"),
            ("after", "true", "needs = [\"reads\"]"),
        ],
    );
    let output = command(data, &["run", &file]);
    assert_eq!(output.status.code(), Some(1));
    let (end, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(
        end.contains(": failed after") && end.contains("0 of 3 tasks done, 2 failed, 1 cancelled"),
        "{end}"
    );
    for expected in [
        "breaks failed:",
        "  stderr: wrong weather\n",
        &format!("All it wrote: tuplix logs {}", task(data, "breaks")),
        "there is no input file /home/ada/later",
    ] {
        assert!(errors.contains(expected), "{expected}: {errors}");
    }
    let output = command(data, &["wait", &task(data, "breaks")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("wrong weather"), "{}", text(&output.stderr));
    fed(data, &["put", "-", "later"], b"now");
    said(data, &["retry", &task(data, "reads")]);
    assert!(said(data, &["wait", &task(data, "after")]).contains(" after: done after "));
    assert_eq!(said(data, &["cat", "copy"]), "now");
    said(data, &["check"]);
}

#[test]
fn programs_that_cannot_run_are_named() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    for (arguments, expected) in [
        (&["/no/such/program"][..], "/no/such/program"),
        (&["no-such-program"], "no-such-program"),
        (&["--timeout", "50ms", "/bin/sleep", "60"], "50 ms"),
        (
            &[
                "--memory",
                "16MB",
                "/bin/sh",
                "-c",
                "head -c 400000000 /dev/zero | tail -c 300000000 > /dev/null",
            ],
            "memory",
        ),
        (&["/bin/sh", "-c", "kill -9 $$"], "SIGKILL"),
        (&["--output", "never", "/bin/true"], "never"),
    ] {
        let submit: Vec<&str> = ["submit"].iter().chain(arguments).copied().collect();
        let task = said(data, &submit);
        let output = command(data, &["wait", task.trim()]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let errors = text(&output.stderr);
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
    said(data, &["check"]);
}

/// Ctrl-C right after the submission, when tasks begin: everything is cancelled, and processes end.
#[test]
fn ctrl_c_cancels_the_graph() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let file = graph(
        data,
        &[
            ("sleeps", "sleep 600", ""),
            ("waits", "true", "needs = [\"sleeps\"]"),
            ("sleeps too", "sleep 600", ""),
        ],
    );
    let mut child = tuplix(&["run", &file])
        .env("TUPLIX_DATA", data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(rest.contains(": cancelled after") && rest.contains("3 cancelled"), "{first}{rest}");
    assert!(text(&output.stderr).contains("cancelling 3 tasks"), "{}", text(&output.stderr));
    assert_eq!(said(data, &["ps", "--csv"]).lines().count(), 1);
    said(data, &["check"]);
}

/// The end of the node is no end of the graph.
#[test]
fn a_lost_node_is_said_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    let data = data.path();
    let file = graph(
        data,
        &[("one", "tuplix recv --wait 600s start; exit 0", ""), ("two", "true", "needs = [\"one\"]")],
    );
    let mut child = tuplix(&["run", &file])
        .env("TUPLIX_DATA", data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    node.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let graph = first.split(' ').nth(1).unwrap();
    let errors = text(&output.stderr);
    assert!(errors.contains(&format!("tuplix wait --graph {graph}")), "{errors}");
    let _node = Node::start(data);
    said(data, &["send", "start", "go"]);
    let end = said(data, &["wait", "--graph", graph]);
    assert!(end.contains("2 of 2 tasks done"), "{end}");
    said(data, &["check"]);
}

#[test]
fn logs_are_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let task = said(
        data,
        &["submit", "/bin/sh", "-c", "echo before; tuplix recv --wait 600s --raw go; echo; echo after"],
    );
    let task = task.trim();
    let following =
        tuplix(&["logs", "-f", task]).env("TUPLIX_DATA", data).stdout(Stdio::piped()).spawn().unwrap();
    said(data, &["send", "go", "now"]);
    let output = following.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "before\nnow\nafter\n");
}
