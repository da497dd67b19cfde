//! Tasks and graphs before anybody runs them: submitting, listing, cancelling, and what is refused.

use std::fs;
use std::path::Path;

use crate::harness::{Node, answer, command, refused, said, text};

/// A node that runs nothing.
fn idle(data: &Path) -> Node {
    Node::with(data, &["--no-worker"])
}

#[test]
fn a_task_is_submitted_listed_and_cancelled() {
    let data = tempfile::tempdir().unwrap();
    let _node = idle(data.path());
    let data = data.path();
    let task = said(
        data,
        &["submit", "--name", "greet", "--memory", "64MB", "--priority", "-3", "/bin/echo", "-n", "hello"],
    );
    let task = task.trim();
    let query = format!(
        "SELECT name, program, arguments[1], arguments[2], memory, priority FROM os.task_spec WHERE task_id = {task}"
    );
    assert_eq!(
        answer(data, &["--csv"], &query).lines().nth(1).unwrap(),
        "greet,/bin/echo,-n,hello,64000000,-3"
    );
    let listed = said(data, &["ps", "--csv"]);
    assert!(listed.lines().nth(1).unwrap().starts_with(&format!("{task},greet,queued,")), "{listed}");
    assert!(refused(data, &["logs", task]).contains("never ran"));
    assert!(refused(data, &["retry", task]).contains("TXS10"));
    assert_eq!(said(data, &["cancel", "--why", "a test", task]), format!("task {task} is cancelled\n"));
    let waited = command(data, &["wait", task]);
    assert_eq!(waited.status.code(), Some(1));
    assert!(text(&waited.stdout).contains(": cancelled after"), "{}", text(&waited.stdout));
    assert_eq!(said(data, &["ps", "--csv"]).lines().count(), 1);
    assert!(said(data, &["ps", "--state", "cancelled"]).contains("greet"));
    assert!(refused(data, &["logs", task]).contains("a test"));
    assert_eq!(said(data, &["retry", task]), format!("task {task} is queued\n"));
    said(data, &["check"]);
}

/// It would wait for ever without a word.
#[test]
fn a_task_larger_than_every_worker_is_said() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::with(data.path(), &["--cores", "1", "--memory", "1GiB", "--isolation", "off"]);
    let data = data.path();
    for (more, needs) in [("--cores", "99"), ("--memory", "10TB")] {
        let output = command(data, &["submit", more, needs, "/bin/true"]);
        assert!(output.status.success());
        let said = text(&output.stderr);
        assert!(said.contains("no worker of this bucket is as large"), "{said}");
        said_cancelled(data, text(&output.stdout).trim());
    }
}

fn said_cancelled(data: &std::path::Path, task: &str) {
    assert_eq!(said(data, &["cancel", task]), format!("task {task} is cancelled\n"));
    for arguments in [&["cancel", "99999"][..], &["retry", "99999"]] {
        let said_no = refused(data, arguments);
        assert!(
            said_no.contains("there is no task 99999\n  Those that there are: tuplix ps --all"),
            "{said_no}"
        );
    }
}

#[test]
fn a_graph_waits_and_is_cancelled_as_a_whole() {
    let data = tempfile::tempdir().unwrap();
    let _node = idle(data.path());
    let data = data.path();
    let file = data.join("graph.toml");
    fs::write(
        &file,
        "[[task]]\nname = \"a\"\nprogram = \"/bin/true\"\n[[task]]\nname = \"b\"\nprogram = \"/bin/true\"\nneeds = [\"a\"]\n",
    )
    .unwrap();
    let graph = said(data, &["run", "--detach", file.to_str().unwrap()]);
    let graph = graph.trim();
    let listed = said(data, &["ps", "--graph", graph, "--csv"]);
    assert!(listed.contains(",a,queued,") && listed.contains(",b,waiting,"), "{listed}");
    assert_eq!(said(data, &["cancel", "--graph", graph]), format!("cancelled 2 tasks of graph {graph}\n"));
    let waited = command(data, &["wait", "--graph", graph]);
    assert_eq!(waited.status.code(), Some(1));
    let end = text(&waited.stdout);
    assert!(end.contains(&format!("graph {graph} graph: cancelled after ")), "{end}");
    assert!(end.contains("0 of 2 tasks done, 2 cancelled"), "{end}");
    said(data, &["check"]);
}

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let _node = idle(data.path());
    let data = data.path();
    let file = data.join("graph.toml");
    for (graph, expected) in [
        ("", "no tasks"),
        ("[[task]]\nname = \"a\"\nprogram = \"x\"\nneeds = [\"a\"]\n", "a -> a"),
        ("[[task]]\nname = \"a\"\nprogram = \"x\"\nneeds = [\"b\"]\n", "line 4"),
        ("[[task]]\nname = \"a\"\nprogram = \"x\"\nneed = [\"b\"]\n", "line 4"),
        ("[[task]]\nname = \"a\"\n", "missing field `program`"),
        ("[[task]\n", "line 1"),
        ("reply_to = \"1\"\n[[task]]\nname = \"a\"\nprogram = \"x\"\n", "TXS07"),
        ("[[task]]\nname = \"a\"\nprogram = \"x\"\ncores = 0\n", "line 4: task \"a\": cores"),
        ("[[task]]\nname = \"a\"\nprogram = \"x\"\npolicy = \"nope\"\n", "there is no policy \"nope\""),
    ] {
        fs::write(&file, graph).unwrap();
        let said_no = refused(data, &["run", file.to_str().unwrap()]);
        assert!(said_no.contains(expected), "{graph}: {said_no}");
    }
    assert!(
        refused(data, &["run", "/no/such/graph.toml"]).contains("cannot read the graph /no/such/graph.toml")
    );
    let said_no = refused(data, &["submit", "--env", "novalue", "/bin/true"]);
    assert!(said_no.contains("--env NAME=VALUE"), "{said_no}");
    for arguments in [&["cancel", "64"][..], &["retry", "64"], &["wait", "64"], &["logs", "64"]] {
        assert!(refused(data, arguments).contains("there is no task 64"), "{arguments:?}");
    }
    for arguments in [&["cancel", "--graph", "64"][..], &["wait", "--graph", "64"]] {
        assert!(refused(data, arguments).contains("there is no graph 64"), "{arguments:?}");
    }
    assert_eq!(answer(data, &["--csv"], "SELECT count(*) FROM os.task_spec"), "count\n0\n");
    said(data, &["check"]);
}

#[test]
fn wrong_arguments_are_status_2_and_help_has_examples() {
    let data = tempfile::tempdir().unwrap();
    for arguments in [
        &["submit"][..],
        &["submit", "--memory", "much", "/bin/true"],
        &["wait", "soon"],
        &["ps", "--state", "happy"],
        &["recv", "--wait", "10"],
        &["ls", "--json", "--csv"],
        &["sing"],
    ] {
        let output = command(data.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    let help = said(data.path(), &["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| !["help", "log"].contains(name))
        .collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        assert!(said(data.path(), &[name, "--help"]).contains("Examples:"), "{name}");
    }
}

#[test]
fn broken_invariants_are_named() {
    let data = tempfile::tempdir().unwrap();
    let _node = idle(data.path());
    let data = data.path();
    assert!(said(data, &["check"]).contains("all invariants hold: os, scheduler, ipc, fs"));
    answer(data, &[], "INSERT INTO os.file_block VALUES (5, 4711 * 64 + 5, 0, 'lost')");
    let output = command(data, &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("fs: "), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("1 thing is wrong"), "{}", text(&output.stderr));
}
