//! Inputs, outputs, logs.

use serde_json::json;
use tuplix_services::scheduler::TaskSpec;
use tuplix_worker::{LOG_BYTES_MAX, Stream, log_path};

use crate::harness::{Node, OWNER, shell};

#[test]
fn inputs_are_staged_and_outputs_collected() {
    let mut node = Node::start();
    node.put("/home/ada/in/words.txt", b"one two\nthree\n");
    node.put("/shared/more.txt", b"four\n");
    let mut spec = shell("cat words.txt renamed/other.txt > all.txt; wc -w < all.txt > count");
    spec.inputs = json!(["in/words.txt", {"path": "/shared/more.txt", "as": "renamed/other.txt"}]);
    spec.outputs = json!(["out/deep/all.txt", {"path": "/shared/words", "from": "count"}]);
    let task = node.submit(&spec);
    node.wait(task).done();
    assert_eq!(node.get("/home/ada/out/deep/all.txt").unwrap(), "one two\nthree\nfour\n");
    assert_eq!(node.get("/shared/words").unwrap().trim(), "4");
    // Which task wrote it stands in the file.
    let stat = node.fs.stat(&mut node.session, Node::home(), "/home/ada/out/deep/all.txt").unwrap();
    assert_eq!((stat.writer_task, stat.writer.as_str()), (Some(task), OWNER));
}

#[test]
fn directories_go_in_and_out_whole() {
    let mut node = Node::start();
    for name in ["a", "sub/b", "sub/sub/c"] {
        node.put(&format!("/home/ada/tree/{name}"), name.as_bytes());
    }
    let mut spec = shell("cp -r tree copy; rm copy/a; mkdir copy/empty; find tree -type f | sort");
    spec.inputs = json!(["tree"]);
    spec.outputs = json!(["copy"]);
    assert_eq!(node.output_of(&spec), "tree/a\ntree/sub/b\ntree/sub/sub/c\n");
    let tree = node.fs.tree(&mut node.session, Node::home(), "/home/ada/copy").unwrap();
    let names: Vec<_> =
        tree.iter().map(|entry| entry.name.strip_prefix("/home/ada/copy/").unwrap()).collect();
    assert_eq!(names, ["empty", "sub", "sub/b", "sub/sub", "sub/sub/c"]);
    assert_eq!(node.get("/home/ada/copy/sub/sub/c").unwrap(), "sub/sub/c");
}

#[test]
fn an_input_can_be_the_program() {
    let mut node = Node::start();
    node.put("/home/ada/greet.sh", b"#!/bin/sh\necho \"hello $1\"\n");
    let mut spec = TaskSpec::new(OWNER, "greet", "./greet.sh").argument("world");
    spec.inputs = json!(["greet.sh"]);
    assert_eq!(node.output_of(&spec), "hello world\n");
}

#[test]
fn large_files_arrive_whole() {
    let mut node = Node::start();
    let mut spec = shell("head -c 20000000 /dev/zero | tr '\\0' x > large; echo end >> large");
    spec.outputs = json!(["large"]);
    node.run(&spec).done();
    let mut spec = shell("wc -c < large; tail -c 5 large");
    spec.inputs = json!(["large"]);
    assert_eq!(node.output_of(&spec), "20000004\nxend\n");
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let mut node = Node::start();
    node.put("/home/ada/twice", b"");
    node.put("/shared/twice", b"");
    for (inputs, outputs, said) in [
        (json!(["missing.txt"]), json!([]), "there is no input file /home/ada/missing.txt"),
        (json!(["twice", "/shared/twice"]), json!([]), "two of its inputs are called \"twice\""),
        (json!([{"path": "twice", "as": "../x"}]), json!([]), "does not stay in the working directory"),
        (json!(["twice/below"]), json!([]), "/home/ada/twice"),
        (json!([]), json!(["result"]), "it wrote no file \"result\" for its output /home/ada/result"),
        (json!([]), json!([{"path": "x", "from": "pipe"}]), "neither a file nor a directory"),
        (json!([]), json!([{"path": "x", "from": "link"}]), "its file link cannot be used"),
        (json!([]), json!([{"path": "twice/below", "from": "good"}]), "/home/ada/twice"),
        (json!({"a": 1}), json!([]), "not a list of paths"),
    ] {
        let mut spec = shell("mkfifo pipe; ln -s /etc/hostname link; echo > good; echo text");
        (spec.inputs, spec.outputs) = (inputs, outputs);
        node.run(&spec).failed(said);
    }
}

/// What fails leaves its logs, and no outputs.
#[test]
fn outputs_of_a_failure_are_not_kept() {
    let mut node = Node::start();
    let mut spec = shell("echo partial > result; echo said; exit 1");
    spec.outputs = json!(["result"]);
    let task = node.submit(&spec);
    node.wait(task).failed("exit code 1");
    assert_eq!(node.get("/home/ada/result"), None);
    assert_eq!(node.output(task), "said\n");
    // Neither are those beside one that cannot be kept.
    let mut spec = shell("echo whole > first");
    spec.outputs = json!(["first", "second"]);
    node.run(&spec).failed("it wrote no file \"second\"");
    assert_eq!(node.get("/home/ada/first"), None);
}

#[test]
fn a_large_log_is_cut_in_the_middle() {
    let mut node = Node::start();
    let task = node.submit(&shell("echo begin; head -c 40000000 /dev/zero | tr '\\0' x; echo; echo end"));
    node.wait(task).done();
    let path = log_path(OWNER, task, 1, Stream::Stdout);
    let log = node.get(&path).unwrap();
    let left_out = 40_000_000 + 6 + 1 + 4 - LOG_BYTES_MAX;
    assert!(log.starts_with("begin\nxxx") && log.ends_with("xxx\nend\n"));
    assert!(log.contains(&format!("x\n... {left_out} bytes left out ...\nx")));
    assert!(log.len() as u64 > LOG_BYTES_MAX && (log.len() as u64) < LOG_BYTES_MAX + 100);
}

#[test]
fn owners_without_a_valid_name_can_have_no_files() {
    let mut node = Node::start();
    let mut spec = shell("true");
    spec.owner = "No Such User".to_owned();
    node.run(&spec).failed("its owner \"No Such User\" can have no files");
}
