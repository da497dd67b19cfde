//! `tuplix up`: start, stop, and what is in the way.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::harness::{Node, answer, refused, text, tuplix};

fn up(data: &Path, more: &[&str]) -> Output {
    tuplix(&["up", "--data"]).arg(data).args(more).output().unwrap()
}

#[test]
fn sigterm_ends_it_with_status_0_and_nothing_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    answer(data.path(), &[], "CREATE TABLE kept (id integer PRIMARY KEY); INSERT INTO kept VALUES (1), (2)");
    let (status, rest) = node.terminate();
    assert!(status.success(), "{status}");
    assert!(rest.contains("stopped"), "{rest}");
    let node = Node::start(data.path());
    // The end wrote a checkpoint: no log is left to be replayed.
    let recovered = node.greeting.lines().find(|line| line.contains("recovered")).unwrap();
    assert!(recovered.contains("of a checkpoint of") && !recovered.contains("bytes of log"), "{recovered}");
    assert_eq!(answer(data.path(), &["--csv"], "SELECT count(*) FROM kept"), "count\n2\n");
}

#[test]
fn a_directory_in_use_says_who_has_it() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let output = up(data.path(), &["--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&data.path().display().to_string()), "{said}");
    assert!(said.contains("55006"), "{said}");
}

#[test]
fn a_port_in_use_names_a_free_one() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = up(data.path(), &["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    let again = format!("tuplix up --data {} --port ", data.path().display());
    assert!(said.contains(&format!("port {port} is in use")) && said.contains(&again), "{said}");
}

#[test]
fn a_file_is_no_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "something else").unwrap();
    let output = up(&file, &["--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("as data directory"), "{}", text(&output.stderr));
}

/// The newest segment of a node's log.
fn last_segment(data: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(data.join("log")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "log")).max().unwrap()
}

#[test]
fn damage_in_the_middle_of_the_log_stops_the_start() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    answer(data.path(), &[], "CREATE TABLE kept (id integer PRIMARY KEY)");
    for id in 0..20 {
        answer(data.path(), &[], &format!("INSERT INTO kept VALUES ({id})"));
    }
    node.kill();
    let segment = last_segment(data.path());
    let mut bytes = fs::read(&segment).unwrap();
    // Twenty epochs follow the table's; the flipped bit is well before the last of them.
    bytes[300] ^= 4;
    fs::write(&segment, bytes).unwrap();
    let output = up(data.path(), &["--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("XX001") && said.contains(".log"), "{said}");
    let dumped = tuplix(&["log", "dump"]).arg(data.path()).output().unwrap();
    assert_eq!(dumped.status.code(), Some(1));
}

#[test]
fn the_log_is_listed() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    answer(data.path(), &[], "CREATE TABLE kept (id integer PRIMARY KEY)");
    answer(data.path(), &[], "INSERT INTO kept VALUES (4711)");
    node.terminate();
    let output = tuplix(&["log", "dump"]).arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listing = text(&output.stdout);
    assert!(
        listing.contains("epoch ") && listing.contains("insert ") && listing.contains("4711"),
        "{listing}"
    );
}

#[test]
fn without_a_log_nothing_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--log", "off"]);
    assert!(node.greeting.contains("log       off"), "{}", node.greeting);
    answer(data.path(), &[], "CREATE TABLE gone (id integer PRIMARY KEY)");
    assert!(node.terminate().0.success());
}

/// Its worker would end the other node's tasks, and its socket stand beside the other's.
#[test]
fn without_a_log_a_directory_is_held_too() {
    let data = tempfile::tempdir().unwrap();
    for (first, second) in [(&["--log", "off"][..], &[][..]), (&[], &["--log", "off"])] {
        let node = Node::with(data.path(), first);
        let output = up(data.path(), &[&["--port", "0"], second].concat());
        assert_eq!(output.status.code(), Some(1), "{second:?}");
        assert!(text(&output.stderr).contains("55006"), "{}", text(&output.stderr));
        assert!(node.terminate().0.success());
    }
}

#[test]
fn a_database_is_not_opened_without_its_log() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    answer(data.path(), &[], "CREATE TABLE kept (id integer PRIMARY KEY)");
    node.kill();
    let output = up(data.path(), &["--port", "0", "--log", "off"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("has a database"), "{}", text(&output.stderr));
    let _node = Node::start(data.path());
    assert_eq!(answer(data.path(), &["--csv"], "SELECT count(*) FROM kept"), "count\n0\n");
}

#[test]
fn a_foreign_directory_stays_as_it_is() {
    for log in ["on", "off"] {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("work")).unwrap();
        fs::write(data.path().join("work/precious"), "something else").unwrap();
        let output = up(data.path(), &["--port", "0", "--log", log]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("neither empty nor"), "{}", text(&output.stderr));
        let left: Vec<_> =
            fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["work"]);
        assert_eq!(fs::read(data.path().join("work/precious")).unwrap(), b"something else");
    }
}

/// A directory without a node is not the node that happens to listen on the usual port.
#[test]
fn a_wrong_directory_is_no_other_node() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (folder.path().join("right"), folder.path().join("wrong"));
    // Whoever has the port already serves as well: nobody may be talked to.
    let usual = tuplix(&["up", "--data"]).arg(&right).stdout(Stdio::piped()).spawn();
    let mut usual = usual.unwrap();
    let mut greeting = String::new();
    let mut output = BufReader::new(usual.stdout.take().unwrap());
    while output.read_line(&mut greeting).unwrap() > 0 && !greeting.contains("stop with") {}
    for arguments in [&["rm", "important"][..], &["ps"], &["sql", "SELECT 1"]] {
        let said_no = refused(&wrong, arguments);
        let expected = format!(
            "no node runs on {0}: it has no socket\n  Start one: tuplix up --data {0}",
            wrong.display()
        );
        assert!(said_no.contains(&expected), "{arguments:?}: {said_no}");
    }
    usual.kill().unwrap();
    usual.wait().unwrap();
}

#[test]
fn wrong_arguments_are_status_2() {
    let output = tuplix(&["up", "--log", "perhaps"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
