//! `tuplix up --http`

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Node, answer, sql, tuplix};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A sample of a text of metrics.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn a_node_counts_what_clients_do() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--http", "127.0.0.1:0"]);
    let place = node.greeting.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let address: SocketAddr = place.parse().unwrap();
    assert!(get(address, "/readyz").starts_with("HTTP/1.1 200 "));
    let before = get(address, "/metrics");
    answer(data.path(), &[], "CREATE TABLE t (id text PRIMARY KEY); INSERT INTO t VALUES ('a-secret');");
    answer(data.path(), &[], "BEGIN; INSERT INTO t VALUES ('2'); ROLLBACK;");
    assert_eq!(sql(data.path(), &[], "INSERT INTO t VALUES ('a-secret')").status.code(), Some(1));
    answer(data.path(), &["-c", "CHECKPOINT"], "");
    let after = get(address, "/metrics");
    let grown = |name: &str| sample(&after, name) - sample(&before, name);
    // CREATE, INSERT, BEGIN, INSERT, ROLLBACK, INSERT, CHECKPOINT; the worker's own calls are in process.
    assert_eq!(grown("tuplix_statements_total"), 7.0);
    assert_eq!(grown("tuplix_commits_total"), 3.0);
    assert_eq!(grown("tuplix_rollbacks_total"), 2.0);
    assert_eq!(grown("tuplix_connections_total"), 4.0);
    assert_eq!(sample(&after, "tuplix_errors_total{class=\"23\"}"), 1.0);
    assert_eq!(grown("tuplix_checkpoints_total"), 1.0);
    assert!(grown("tuplix_log_epochs_total") >= 2.0);
    assert_eq!(sample(&after, "tuplix_log_sync_seconds_count"), sample(&after, "tuplix_log_epochs_total"));
    assert!(sample(&after, "tuplix_memory_limit_bytes") > sample(&after, "tuplix_memory_used_bytes"));
    assert_eq!(sample(&after, "tuplix_workers{status=\"up\"}"), 1.0);
    assert!(!after.contains("a-secret"), "a value of a row is told");
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let data = tempfile::tempdir().unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        tuplix(&["up", "--port", "0", "--http", &address, "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = crate::harness::text(&output.stderr);
    assert!(said.contains(&format!("cannot listen on {address} for HTTP")), "{said}");
}
