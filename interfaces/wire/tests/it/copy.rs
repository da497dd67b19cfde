//! COPY through psql beside PostgreSQL, and through a driver.

use std::fs;
use std::process::Command;

use futures::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;
use tuplix_support::PostgresCluster;

use crate::harness::{TestServer, sqlstate};

/// What psql says to the script on this server, in a folder of its own.
fn psql(port: u16) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("copy.sql"), include_str!("psql/copy.sql")).unwrap();
    let output = Command::new("psql")
        .args(["-X", "-q", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-p", &port.to_string()])
        .args(["-f", "copy.sql"])
        .env_remove("PGOPTIONS")
        .env("LC_ALL", "C.UTF-8")
        .env("PGTZ", "UTC")
        .current_dir(folder.path())
        .output()
        .expect("psql is installed: scripts/install-dependencies.sh");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_as_on_postgresql() {
    let node = TestServer::start().await;
    let cluster = PostgresCluster::start().unwrap();
    let (ours, theirs) = (psql(node.address.port()), psql(cluster.port()));
    assert!(theirs.contains("bolt\t2.35"), "{theirs}");
    assert!(theirs == ours, "{}", difference(&theirs, &ours));
}

/// What diff(1) says of the two.
fn difference(theirs: &str, ours: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("PostgreSQL"), theirs).unwrap();
    fs::write(folder.path().join("Tuplix"), ours).unwrap();
    let output = Command::new("diff")
        .args(["-u", "PostgreSQL", "Tuplix"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_copies_in_both_formats() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    client.batch_execute("CREATE TABLE pair (a integer PRIMARY KEY, b text)").await.unwrap();

    let sink = client.copy_in("COPY pair FROM STDIN").await.unwrap();
    pin_mut!(sink);
    // A row may be cut anywhere.
    for part in ["1\tone\n2", "\t\\N\n", "3\tthr", "ee\n"] {
        sink.send(bytes::Bytes::from(part)).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 3);

    let sink = client.copy_in("COPY pair FROM STDIN BINARY").await.unwrap();
    let writer = BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]);
    pin_mut!(writer);
    for number in 4..1000 {
        writer.as_mut().write(&[&number, &Some(format!("number {number}"))]).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), 996);

    let out = client.copy_out("COPY (SELECT * FROM pair ORDER BY a LIMIT 3) TO STDOUT").await.unwrap();
    let text = out.try_fold(Vec::new(), |mut text, part| async move {
        text.extend_from_slice(&part);
        Ok(text)
    });
    assert_eq!(text.await.unwrap(), b"1\tone\n2\t\\N\n3\tthree\n");

    let out = client.copy_out("COPY pair TO STDOUT BINARY").await.unwrap();
    let rows = BinaryCopyOutStream::new(out, &[Type::INT4, Type::TEXT]);
    pin_mut!(rows);
    let mut count = 0;
    while let Some(row) = rows.next().await {
        let row = row.unwrap();
        let (number, text): (i32, Option<&str>) = (row.get(0), row.get(1));
        assert!(number < 4 || text == Some(&format!("number {number}")));
        count += 1;
    }
    assert_eq!(count, 999);

    // In a transaction, beside other statements, and undone with it.
    let transaction = client.transaction().await.unwrap();
    let sink = transaction.copy_in("COPY pair FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(bytes::Bytes::from("5000\tnew\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 1);
    let row = transaction.query_one("SELECT b FROM pair WHERE a = 5000", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "new");
    transaction.rollback().await.unwrap();
    let row = client.query_one("SELECT count(*) FROM pair", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_copy_leaves_nothing_and_the_connection_goes_on() {
    let server = TestServer::start().await;
    let client = server.client().await;
    client.batch_execute("CREATE TABLE pair (a integer PRIMARY KEY, b text)").await.unwrap();
    let data_and_code =
        [("1\tone\n1\tagain\n", "23505"), ("1\n", "22P04"), ("x\ty\n", "22P02"), ("\\N\ty\n", "23502")];
    for (data, code) in data_and_code {
        let sink = client.copy_in("COPY pair FROM STDIN").await.unwrap();
        pin_mut!(sink);
        sink.send(bytes::Bytes::from(data)).await.unwrap();
        assert_eq!(sqlstate(&sink.finish().await.unwrap_err()), code, "{data:?}");
    }
    {
        // A sink that is dropped sends CopyFail.
        let sink = client.copy_in("COPY pair FROM STDIN").await.unwrap();
        pin_mut!(sink);
        sink.send(bytes::Bytes::from("1\tone\n")).await.unwrap();
    }
    let row = client.query_one("SELECT count(*) FROM pair", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    client.batch_execute("CREATE VIEW firsts AS SELECT a FROM pair").await.unwrap();
    let error = client.copy_in::<_, bytes::Bytes>("COPY firsts FROM STDIN").await.map(|_| ()).unwrap_err();
    assert_eq!(sqlstate(&error), "42809");
}
