//! Who waits for whom while a transaction changes the catalogue.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tuplix::{Options, Rows, Session, SqlError, Tuplix, sqlstate};

const LONG: Duration = Duration::from_secs(60);

fn node() -> Tuplix {
    let node = Tuplix::open_with(&Options { dir: None, partitions: 2, ..Options::default() }).unwrap();
    let mut session = session(&node);
    session.execute("CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE u (a int PRIMARY KEY)").unwrap();
    session.execute("INSERT INTO t VALUES (1), (2); INSERT INTO u VALUES (1)").unwrap();
    node
}

fn session(node: &Tuplix) -> Session {
    node.session(&Default::default()).unwrap()
}

/// Runs a statement in a thread of its own; the session comes back with what became of it.
fn start(mut session: Session, sql: &'static str) -> Receiver<(Session, Result<Vec<Rows>, SqlError>)> {
    let (sender, receiver) = channel();
    #[allow(clippy::disallowed_methods, reason = "sessions of a node on the real machine, each in a thread")]
    std::thread::spawn(move || {
        let result = session.execute(sql);
        let _ = sender.send((session, result));
    });
    receiver
}

/// Waits until a statement of that session waits.
fn waits<T>(receiver: &Receiver<T>) {
    assert!(receiver.recv_timeout(Duration::from_millis(150)).is_err(), "it does not wait");
}

#[test]
fn others_wait_for_a_changed_table_and_see_it_changed() {
    let node = node();
    let mut ddl = session(&node);
    let mut prepared = session(&node);
    let insert = prepared.prepare("INSERT INTO t (a) VALUES ($1)", &[]).unwrap();
    ddl.execute("BEGIN").unwrap();
    ddl.execute("ALTER TABLE t ADD COLUMN b int DEFAULT 7").unwrap();
    let reader = start(session(&node), "SELECT * FROM t ORDER BY a");
    let writer = start(session(&node), "INSERT INTO t VALUES (3)");
    let other_ddl = start(session(&node), "CREATE TABLE v (a int)");
    waits(&reader);
    waits(&writer);
    waits(&other_ddl);
    // Other tables are nobody's business.
    session(&node).execute("INSERT INTO u VALUES (2)").unwrap();
    session(&node).execute("BEGIN; UPDATE u SET a = 5 WHERE a = 2; COMMIT").unwrap();
    ddl.execute("COMMIT").unwrap();
    let (_, rows) = reader.recv_timeout(LONG).unwrap();
    let rows = rows.unwrap();
    assert_eq!(rows[0].columns.len(), 2);
    assert_eq!(rows[0].get(0, 1).unwrap().as_i64(), Some(7));
    writer.recv_timeout(LONG).unwrap().1.unwrap();
    other_ddl.recv_timeout(LONG).unwrap().1.unwrap();
    let mut out = Rows::new();
    prepared.call(&insert, &[tuplix::Value::Int4(9)], &mut out).unwrap();
    let rows = session(&node).query("SELECT count(*) FROM t WHERE b = 7", &[]).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_i64(), Some(4));
}

#[test]
fn a_change_waits_for_who_has_read_the_table() {
    let node = node();
    let mut reader = session(&node);
    reader.execute("BEGIN; SELECT * FROM t").unwrap();
    let ddl = start(session(&node), "DROP TABLE t");
    waits(&ddl);
    reader.execute("SELECT * FROM t").unwrap();
    reader.execute("COMMIT").unwrap();
    ddl.recv_timeout(LONG).unwrap().1.unwrap();
    assert_eq!(reader.execute("SELECT * FROM t").unwrap_err().sqlstate(), sqlstate::UNDEFINED_TABLE);
}

#[test]
fn two_that_want_to_change_what_both_have_read() {
    let node = node();
    let (mut one, mut two) = (session(&node), session(&node));
    one.execute("BEGIN; SELECT * FROM t").unwrap();
    two.execute("BEGIN; SELECT * FROM t").unwrap();
    let first = start(one, "ALTER TABLE t ADD COLUMN b int");
    waits(&first);
    let error = two.execute("ALTER TABLE t ADD COLUMN c int").unwrap_err();
    assert_eq!(error.sqlstate(), sqlstate::DEADLOCK_DETECTED);
    let (mut one, result) = first.recv_timeout(LONG).unwrap();
    result.unwrap();
    one.execute("COMMIT").unwrap();
    two.execute("ROLLBACK; SELECT b FROM t").unwrap();
}

#[test]
fn waiting_can_be_cancelled_and_leaves_nothing() {
    let node = node();
    let mut ddl = session(&node);
    ddl.execute("BEGIN; TRUNCATE t").unwrap();
    let waiting = session(&node);
    let (id, secret) = (waiting.id(), waiting.secret());
    let reader = start(waiting, "SELECT * FROM t");
    waits(&reader);
    assert!(node.cancel(id, secret));
    let (_, result) = reader.recv_timeout(LONG).unwrap();
    assert_eq!(result.unwrap_err().sqlstate(), sqlstate::QUERY_CANCELED);
    // The session ends in the middle of its transaction.
    drop(ddl);
    let rows = session(&node).query("SELECT count(*) FROM t", &[]).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_i64(), Some(2));
}

#[test]
fn temporary_tables_go_with_their_session() {
    let node = node();
    let mut temporary = session(&node);
    temporary.execute("CREATE TEMP TABLE mine (a int); INSERT INTO mine VALUES (1)").unwrap();
    let count = "SELECT count(*) FROM pg_class WHERE relname = 'mine'";
    let found = |node: &Tuplix| session(node).query(count, &[]).unwrap().get(0, 0).unwrap().as_i64();
    assert_eq!(found(&node), Some(1));
    drop(temporary);
    assert_eq!(found(&node), Some(0));
    // Somebody else is changing the catalogue: the next change takes it along.
    let mut temporary = session(&node);
    temporary.execute("CREATE TEMP TABLE mine (a int)").unwrap();
    let mut ddl = session(&node);
    ddl.execute("BEGIN; CREATE TABLE v (a int)").unwrap();
    drop(temporary);
    assert_eq!(found(&node), Some(1));
    ddl.execute("COMMIT; CREATE TABLE w (a int)").unwrap();
    assert_eq!(found(&node), Some(0));
}

#[test]
fn temporary_tables_are_not_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let node = Tuplix::open(directory.path()).unwrap();
    let mut one = session(&node);
    one.execute("CREATE TABLE t (a int)").unwrap();
    one.execute("CREATE TEMP TABLE mine (a int PRIMARY KEY)").unwrap();
    one.execute("INSERT INTO mine VALUES (1), (2)").unwrap();
    one.execute("BEGIN; INSERT INTO mine VALUES (3); INSERT INTO t SELECT * FROM mine; ALTER TABLE mine ADD b int; COMMIT")
        .unwrap();
    one.execute(
        "UPDATE mine SET b = a; DELETE FROM mine WHERE a = 1; TRUNCATE mine; CREATE TABLE after (a int)",
    )
    .unwrap();
    drop(one);
    node.close().unwrap();
    drop(node);
    for entry in std::fs::read_dir(directory.path().join("log")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for name in ["mine", "pg_temp"] {
            assert!(
                !bytes.windows(name.len()).any(|window| window == name.as_bytes()),
                "{name} is in the log"
            );
        }
    }
    let node = Tuplix::open(directory.path()).unwrap();
    let rows = session(&node).query("SELECT count(*) FROM pg_class WHERE relname IN ('mine', 'after')", &[]);
    assert_eq!(rows.unwrap().get(0, 0).unwrap().as_i64(), Some(1));
    let rows = session(&node).query("SELECT sum(a)::int FROM t", &[]).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_i64(), Some(6));
}
