//! Prepare, call, execute; tags, errors, notices.

use tuplix_types::{Rows, Severity, TypeId, Value};

use crate::{query, session};

#[test]
fn prepared_once_called_often() {
    let mut session = session("called");
    session.execute("CREATE TABLE worker (p_key int, worker_id int, capacity int NOT NULL, PRIMARY KEY (p_key, worker_id))").unwrap();
    let insert = session.prepare("INSERT INTO worker VALUES ($1, $2, $3)", &[]).unwrap();
    assert_eq!(insert.parameters(), [TypeId::INT4; 3]);
    assert!(insert.columns().is_empty());
    let mut rows = Rows::new();
    for worker in 0..3 {
        session.call(&insert, &[Value::Int4(1), Value::Int4(worker), Value::Int8(10)], &mut rows).unwrap();
        assert_eq!(rows.tag.to_string(), "INSERT 0 1");
    }
    let select =
        session.prepare("SELECT worker_id, capacity FROM worker WHERE p_key = $1 ORDER BY 1", &[]).unwrap();
    assert_eq!(select.columns()[1].name, "capacity");
    session.call(&select.clone(), &[Value::Int4(1)], &mut rows).unwrap();
    let ids: Vec<_> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
    assert_eq!((ids, rows.affected()), (vec![0, 1, 2], 3));
    session.call(&select, &[Value::Int4(2)], &mut rows).unwrap();
    assert!(rows.is_empty());
}

#[test]
fn several_statements_are_one_transaction() {
    let mut session = session("several");
    let results = session.execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL); SELECT a, b FROM t ORDER BY a; ").unwrap();
    let tags: Vec<_> = results.iter().map(|rows| rows.tag.to_string()).collect();
    assert_eq!(tags, ["CREATE TABLE", "INSERT 0 2", "SELECT 2"]);
    assert_eq!(results[2].get(1, 0).unwrap().as_i64(), Some(2));
    assert!(results[2].get(1, 1).unwrap().is_null());
    let error = session.execute("INSERT INTO t VALUES (3, 'y'); SELECT 1 / 0").unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "22012");
    assert_eq!(
        query(&mut session, "SELECT count(*) FROM t", &[]).unwrap().get(0, 0).unwrap().as_i64(),
        Some(2)
    );
    assert!(session.execute("").unwrap().is_empty());
}

#[test]
fn errors_keep_all_their_fields() {
    let mut session = session("errors");
    session.execute("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0))").unwrap();
    let error = session.prepare("SELECT missing FROM t", &[]).unwrap_err();
    assert_eq!((error.sqlstate().as_str(), error.fields().position), ("42703", Some(8)));
    query(&mut session, "INSERT INTO t VALUES (1, 1)", &[]).unwrap();
    let error = query(&mut session, "INSERT INTO t VALUES ($1, 1)", &[Value::Int4(1)]).unwrap_err();
    let fields = error.fields();
    assert_eq!(fields.message, "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(fields.detail.as_deref(), Some("Key (a)=(1) already exists."));
    assert_eq!((fields.schema.as_deref(), fields.table.as_deref()), (Some("errors"), Some("t")));
    assert_eq!(fields.constraint.as_deref(), Some("t_pkey"));
    assert_eq!(query(&mut session, "SELECT 1", &[]).unwrap().len(), 1, "the session goes on");
}

#[test]
fn notices_are_taken_once() {
    let mut session = session("notices");
    session
        .execute(
            "DO $$ BEGIN RAISE NOTICE 'hello %', 7; RAISE WARNING 'careful' USING HINT = 'slow down'; END $$",
        )
        .unwrap();
    let notices = session.take_notices();
    assert_eq!((notices[0].message(), notices[0].fields().severity), ("hello 7", Severity::Notice));
    assert_eq!(
        (notices[1].sqlstate().as_str(), notices[1].fields().hint.as_deref()),
        ("01000", Some("slow down"))
    );
    assert!(session.take_notices().is_empty());
}

#[test]
fn a_dropped_statement_is_closed_at_the_server() {
    let mut session = session("dropped");
    for _ in 0..5 {
        query(&mut session, "SELECT 1", &[]).unwrap();
    }
    let kept = session.prepare("SELECT count(*) FROM pg_prepared_statements", &[]).unwrap();
    let mut rows = Rows::new();
    session.call(&kept, &[], &mut rows).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_i64(), Some(1));
}

#[test]
fn a_failed_transaction_says_so() {
    let mut session = session("failed");
    session.execute("BEGIN").unwrap();
    query(&mut session, "SELECT 1 / 0", &[]).unwrap_err();
    assert_eq!(query(&mut session, "SELECT 1", &[]).unwrap_err().sqlstate().as_str(), "25P02");
    assert_eq!(session.execute("ROLLBACK").unwrap()[0].tag.to_string(), "ROLLBACK");
    query(&mut session, "SELECT 1", &[]).unwrap();
}

#[test]
fn bad_calls_leave_the_session_in_step() {
    let mut session = session("bad_calls");
    let mut other = crate::server().session("", "").unwrap();
    let mut rows = Rows::new();
    let prepared = session.prepare("SELECT $1::bool", &[]).unwrap();
    assert_eq!(session.call(&prepared, &[], &mut rows).unwrap_err().sqlstate().as_str(), "08P01");
    assert_eq!(
        session.call(&prepared, &[Value::Int4(1)], &mut rows).unwrap_err().sqlstate().as_str(),
        "42804"
    );
    assert_eq!(
        other.call(&prepared, &[Value::Bool(true)], &mut rows).unwrap_err().sqlstate().as_str(),
        "XX000"
    );
    assert_eq!(session.prepare("SELECT 1; SELECT 2", &[]).unwrap_err().sqlstate().as_str(), "42601");
    assert_eq!(session.prepare("SELECT '\0'", &[]).unwrap_err().sqlstate().as_str(), "22021");
    assert_eq!(session.execute("SELECT '\0'").unwrap_err().sqlstate().as_str(), "22021");
    assert_eq!(
        session.execute("CREATE TABLE t (a int); COPY t FROM STDIN").unwrap_err().sqlstate().as_str(),
        "0A000"
    );
    assert_eq!(session.execute("COPY (SELECT 1) TO STDOUT").unwrap_err().sqlstate().as_str(), "0A000");
    session.call(&prepared, &[Value::text("yes")], &mut rows).unwrap();
    assert_eq!(rows.get(0, 0).unwrap().as_bool(), Some(true));
}

#[test]
fn notifications_are_waited_for() {
    let (mut listener, mut sender) = (session("listener"), session("sender"));
    listener.execute("LISTEN news").unwrap();
    let long = std::time::Duration::from_secs(60);
    assert_eq!(listener.wait_notifications(std::time::Duration::from_millis(20)).unwrap(), []);
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| listener.wait_notifications(long).unwrap());
        sender.execute("NOTIFY news, 'one'").unwrap();
        waiting.join().unwrap()
    });
    assert_eq!((waiting[0].channel.as_str(), waiting[0].payload.as_str()), ("news", "one"));
    // One that comes with an answer is not lost, and the session stays in step.
    sender.execute("NOTIFY news, 'two'").unwrap();
    query(&mut listener, "SELECT 1", &[]).unwrap();
    assert_eq!(listener.wait_notifications(long).unwrap()[0].payload, "two");
}
