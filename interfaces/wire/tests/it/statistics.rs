//! What a server counts: each error that a client is told, and each transaction that came to nothing, once.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tuplix_wire::Counts;

use crate::harness::{TestServer, sqlstate};

fn errors(counts: &Counts, class: &str) -> u64 {
    counts.errors.get(class).copied().unwrap_or(0)
}

/// A connection that the server ends is told why, and that is an error like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_connection_is_counted_once() {
    let mut server = TestServer::start().await;
    let (idle, mut told) = server.listener().await;
    idle.batch_execute("SET idle_session_timeout = 50").await.unwrap();
    while told.recv().await.is_some() {}
    assert_eq!(errors(&server.statistics.read(), "57"), 1);
    // A message of no kind that there is.
    let address = server.address;
    let ended = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"\0\0\0\x12\0\x03\0\0user\0ada\0\0").unwrap();
        let mut greeting = Vec::new();
        let mut bytes = [0; 256];
        while !greeting.ends_with(b"Z\0\0\0\x05I") {
            let length = stream.read(&mut bytes).unwrap();
            greeting.extend_from_slice(&bytes[..length]);
        }
        stream.write_all(b"?\0\0\0\x04").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).contains("08P01")
    });
    assert!(ended.await.unwrap());
    assert_eq!(errors(&server.statistics.read(), "08"), 1);
    // And what the server's own end says.
    let (_open, mut told) = server.listener().await;
    let statistics = server.statistics.clone();
    server.stop();
    server.stopped().await;
    while told.recv().await.is_some() {}
    let counts = statistics.read();
    assert_eq!((errors(&counts, "57"), errors(&counts, "08")), (2, 1));
}

/// The commit of a text's implicit transaction can fail: what was deferred is looked at there.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_a_rollback() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute("CREATE TABLE one (id int PRIMARY KEY)").await.unwrap();
    let deferred = "CREATE TABLE many (one int REFERENCES one DEFERRABLE INITIALLY DEFERRED)";
    client.batch_execute(deferred).await.unwrap();
    let before = server.statistics.read();
    let text = "INSERT INTO many VALUES (1); INSERT INTO many VALUES (2)";
    let error = client.batch_execute(text).await.unwrap_err();
    assert_eq!(sqlstate(&error), "23503");
    let after = server.statistics.read();
    assert_eq!((after.commits - before.commits, after.rollbacks - before.rollbacks), (0, 1));
    assert_eq!(errors(&after, "23") - errors(&before, "23"), 1);
}
