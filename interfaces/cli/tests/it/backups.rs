//! Checkpoints, backups, restores and checks by the command, on nodes that run and directories of those that do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::harness::{Node, answer, command, refused, said, text, tuplix};

fn checkpoints(data: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(data.join("checkpoint")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn count(data: &Path) -> String {
    answer(data, &["--csv"], "SELECT count(*) FROM kept").lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_node_is_backed_up_restored_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Node::with(&data, &["--no-worker", "--log-retention", "1h"]);
    answer(
        &data,
        &[],
        "CREATE TABLE kept (a int PRIMARY KEY CHECK (a > 0)); INSERT INTO kept SELECT generate_series(1, 500)",
    );
    assert!(said(&data, &["checkpoint"]).contains("written"));
    assert_eq!(checkpoints(&data).len(), 1);
    answer(&data, &[], "INSERT INTO kept VALUES (501)");
    let checked = said(&data, &["check"]);
    for line in
        ["all checksums fit: 1 checkpoints", "all rows are right", "all invariants hold: os, scheduler"]
    {
        assert!(checked.contains(line), "{checked}");
    }

    // To a directory and as a stream, while the node runs.
    let backup = folder.path().join("backup");
    let done = said(&data, &["backup", backup.to_str().unwrap()]);
    assert!(done.contains("it is epoch") || done.contains("it reaches"), "{done}");
    let tar = tuplix(&["backup", "-", "--data"]).arg(&data).output().unwrap();
    assert!(tar.status.success() && tar.stdout.len() > 10_000, "{}", text(&tar.stderr));
    answer(&data, &[], "INSERT INTO kept VALUES (502)");

    let said_no = refused(&data, &["restore", backup.to_str().unwrap(), data.to_str().unwrap()]);
    assert!(said_no.contains("a node runs on"), "{said_no}");
    let said_no = refused(&data, &["backup", backup.to_str().unwrap()]);
    assert!(said_no.contains("is not empty"), "{said_no}");

    let (status, rest) = node.terminate();
    assert!(status.success() && rest.contains("stopped"), "{rest}");
    // The one asked for, which the retention keeps, the backup's, and that of the end.
    assert_eq!(checkpoints(&data).len(), 3);

    let restored = folder.path().join("restored");
    let done = said(&data, &["restore", backup.to_str().unwrap(), restored.to_str().unwrap()]);
    assert!(done.contains("restored epoch") && done.contains("tuplix up --data"), "{done}");
    let streamed = folder.path().join("streamed");
    let file = folder.path().join("backup.tar");
    fs::write(&file, &tar.stdout).unwrap();
    let mut restore = tuplix(&["restore", "-"]);
    let output = restore.arg(&streamed).stdin(Stdio::from(fs::File::open(&file).unwrap())).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for directory in [&restored, &streamed] {
        let node = Node::with(directory, &["--no-worker"]);
        assert!(node.greeting.contains("of a checkpoint of"), "{}", node.greeting);
        assert_eq!(count(directory), "501");
        drop(node);
    }

    // The directory itself is the history: the moment before the last row.
    let dump = said(&data, &["log", "dump", data.to_str().unwrap()]);
    let insert = dump.lines().position(|line| line.contains("(502)")).unwrap();
    let epoch = dump.lines().take(insert).filter_map(|line| line.strip_prefix("epoch ")).last().unwrap();
    let epoch: u64 = epoch.split(' ').next().unwrap().parse().unwrap();
    let before = folder.path().join("before");
    let to = (epoch - 1).to_string();
    said(&data, &["restore", "--to-lsn", &to, data.to_str().unwrap(), before.to_str().unwrap()]);
    let _node = Node::with(&before, &["--no-worker"]);
    assert_eq!(count(&before), "501");
    let future = folder.path().join("future");
    let said_no = refused(
        &data,
        &["restore", "--to-time", "2999-01-01", data.to_str().unwrap(), future.to_str().unwrap()],
    );
    assert!(said_no.contains("does not reach 2999") && said_no.contains("It reaches from"), "{said_no}");
}

#[test]
fn a_stopped_directory_is_checked_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Node::with(&data, &["--no-worker"]);
    answer(
        &data,
        &[],
        "CREATE TABLE kept (a int PRIMARY KEY); INSERT INTO kept SELECT generate_series(1, 500)",
    );
    let (status, _) = node.terminate();
    assert!(status.success());
    let before = listing(&data);
    let checked = said(&data, &["check"]);
    assert!(checked.contains("all rows are right") && checked.contains("all invariants hold"), "{checked}");
    assert_eq!(listing(&data), before, "a check changes nothing");
    let path = checkpoints(&data).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let output = command(&data, &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output.stdout);
    assert!(found.contains("is damaged at byte") && found.contains(".checkpoint"), "{found}");
    // The log is all there still: the node starts, and says what it passed over.
    let node = Node::with(&data, &["--no-worker"]);
    assert!(node.greeting.contains("damaged   checkpoint"), "{}", node.greeting);
    assert_eq!(count(&data), "500");
    said(&data, &["checkpoint"]);
    let (status, _) = node.terminate();
    assert!(status.success());
    assert!(said(&data, &["check"]).contains("all checksums fit"));
}

/// Names and lengths of all files, and the bytes of those that say what the rows are.
fn listing(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in [data.to_owned(), data.join("log"), data.join("checkpoint")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("lock") {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
