//! The executor through a session: statements with what PostgreSQL 15 answers, as psql prints it.
//!
//! A file of `testdata` is a list of cases between lines of `====`: a statement, `----`, the answer.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use tuplix_machine::Machine;
use tuplix_types::{IoContext, Rows, SqlError, Value, text_io};

use crate::{Session, SessionOptions, Shape, open_in_memory};

fn session() -> Session {
    let node = open_in_memory(
        &Machine::linux_seeded(1),
        &Shape { partitions: 2, buckets: 64, log_segment_bytes: 64 << 20 },
    )
    .unwrap();
    Session::new(&node, &SessionOptions::default()).unwrap()
}

fn show_error(error: &SqlError, out: &mut String) {
    let fields = error.fields();
    writeln!(out, "ERROR:  {}", fields.message).unwrap();
    let more = [("DETAIL", &fields.detail), ("HINT", &fields.hint), ("CONTEXT", &fields.context)];
    for (label, text) in more {
        if let Some(text) = text {
            writeln!(out, "{label}:  {text}").unwrap();
        }
    }
}

fn show_rows(rows: &Rows, out: &mut String) {
    for row in rows.iter() {
        let fields = row.iter().zip(rows.columns.iter());
        let fields: Vec<String> =
            fields.map(|(value, column)| text_io::to_text(column.ty, value, &IoContext::default())).collect();
        writeln!(out, "{}", fields.join("|")).unwrap();
    }
    // psql says nothing of a SELECT, nor of the CALL that gave a row.
    if rows.tag.command == "SELECT" || (rows.tag.command == "CALL" && !rows.columns.is_empty()) {
        return;
    }
    let oid = if rows.tag.command == "INSERT" { " 0" } else { "" };
    match rows.tag.rows {
        Some(count) => writeln!(out, "{}{oid} {count}", rows.tag.command).unwrap(),
        None => writeln!(out, "{}", rows.tag.command).unwrap(),
    }
}

fn answer(session: &mut Session, statement: &str) -> String {
    let mut out = String::new();
    let result = session.execute(statement);
    for notice in session.take_notices() {
        let severity = format!("{:?}", notice.fields().severity).to_uppercase();
        writeln!(out, "{severity}:  {}", notice.message()).unwrap();
    }
    match result {
        Ok(results) => results.iter().for_each(|rows| show_rows(rows, &mut out)),
        Err(error) => show_error(&error, &mut out),
    }
    out
}

fn check(cases: &str) {
    let mut session = session();
    let mut wrong = String::new();
    for case in cases.trim_end_matches('\n').split("\n====\n") {
        let (statement, expected) = case.split_once("\n----").unwrap();
        let actual = answer(&mut session, statement);
        if actual.trim_end_matches('\n') != expected.strip_prefix('\n').unwrap_or_default() {
            writeln!(wrong, "{statement}\n---- is\n{actual}---- should be{expected}\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn statements() {
    check(include_str!("testdata/statements.txt"));
}

#[test]
fn joins_and_subqueries() {
    check(include_str!("testdata/joins.txt"));
}

#[test]
fn access_paths() {
    check(include_str!("testdata/paths.txt"));
}

#[test]
fn procedures() {
    check(include_str!("testdata/procedures.txt"));
}

#[test]
fn types() {
    check(include_str!("testdata/types.txt"));
}

/// Types and their values are there again when the node is opened again.
#[test]
fn types_survive() {
    let folder = std::env::temp_dir().join(format!("tuplix-types-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let shape = Shape { partitions: 1, buckets: 8, log_segment_bytes: 1 << 20 };
    let machine = Machine::linux_seeded(1);
    let open = || {
        crate::open(&machine, machine.disk(folder.to_str().unwrap()), &shape, &crate::Durability::default())
            .unwrap()
            .node
    };
    let run = |node: &std::sync::Arc<crate::Node>, sql: &str| {
        answer(&mut Session::new(node, &SessionOptions::default()).unwrap(), sql)
    };
    let node = open();
    run(
        &node,
        "create type mood as enum ('sad', 'happy'); alter type mood add value 'ok' before 'happy';
         create domain few as int check (value < 10); create type pair as (m mood, n few);
         create table t (m mood primary key, n few, p pair, a mood[]);
         insert into t values ('happy', 1, row('ok', 2), '{ok,sad}'), ('ok', 3, null, null);
         alter type mood rename value 'ok' to 'fine'",
    );
    crate::close(&node).unwrap();
    drop(node);
    let node = open();
    assert_eq!(run(&node, "select * from t order by m"), "fine|3||\nhappy|1|(fine,2)|{fine,sad}\n");
    assert_eq!(run(&node, "select (p).n from t where m = 'happy'"), "2\n");
    assert!(run(&node, "insert into t values ('sad', 10)").starts_with("ERROR"));
    crate::close(&node).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The same answers when tables are spread over buckets, where a scan goes over all of them.
#[test]
fn distributed_tables() {
    let mut session = session();
    let run = |session: &mut Session, sql: &str| answer(session, sql);
    run(&mut session, "create table w (p int, id bigint, free int, primary key (p, id))");
    run(&mut session, "create index w_order on w (p, id)");
    run(&mut session, "select create_distributed_table('w', 'p')");
    run(&mut session, "insert into w select g % 100, g, g % 7 from generate_series(1, 500) g");
    assert_eq!(run(&mut session, "select count(*), sum(id) from w"), "500|125250\n");
    assert_eq!(run(&mut session, "select id from w where p = 64 order by id limit 2"), "64\n164\n");
    assert_eq!(run(&mut session, "select id from w where p = 64 order by id desc limit 2"), "464\n364\n");
    assert_eq!(
        run(&mut session, "select count(*) from w a join w b on a.p = b.p and a.id = b.id + 100"),
        "400\n"
    );
    assert_eq!(run(&mut session, "update w set free = 0 where p = 3"), "UPDATE 5\n");
    assert_eq!(run(&mut session, "delete from w where id % 2 = 0"), "DELETE 250\n");
}

fn plan(session: &mut Session, statement: &str) -> Vec<String> {
    let rows = session.query(&format!("explain (costs off) {statement}"), &[]).unwrap();
    rows.iter().filter_map(|row| row[0].as_str().map(str::to_owned)).collect()
}

/// EXPLAIN says which index, which bucket, and whether rows are sorted.
#[test]
fn explain_names_paths() {
    let mut session = session();
    session.execute("create table w (p int, id bigint, free int, primary key (p, id))").unwrap();
    session.query("select create_distributed_table('w', 'p')", &[]).unwrap();
    let found = plan(&mut session, "update w set free = 1 where p = 3 and id = 4");
    assert_eq!(
        found,
        [
            "Update on w",
            "  ->  Index Scan using w_pkey on w",
            "        Bucket: of 3",
            "        Index Cond: (p = 3) AND (id = 4)",
        ]
    );
    let first = "select id from w where p = 3 and free > 0 order by id limit 1";
    assert!(plan(&mut session, first).iter().any(|line| line.contains("Sort Key: id")));
    session.execute("create index w_order on w (p, id)").unwrap();
    assert!(!plan(&mut session, first).iter().any(|line| line.contains("Sort")));
    assert!(plan(&mut session, "select * from w").iter().any(|line| line.contains("Buckets: all 64")));
}

/// Nested calls end in an error, not in a crash.
#[test]
fn recursion_is_bounded() {
    let mut session = session();
    let body = "create function f(i int) returns int language plpgsql as $$ begin return f(i + 1); end $$";
    session.execute(body).unwrap();
    let error = session.execute("select f(1)").unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "54001");
}

/// A procedure runs any number of times; its prepared call takes parameters of the declared types.
#[test]
fn prepared_calls() {
    let mut session = session();
    session.execute("create table t (a int primary key, n int)").unwrap();
    let body = "create function bump(k int) returns int language plpgsql as $$ declare r int; begin
        insert into t values (k, 1) on conflict (a) do update set n = t.n + 1 returning n into r; return r; end $$";
    session.execute(body).unwrap();
    let call = session.prepare("select bump($1)", &[]).unwrap();
    let mut rows = Rows::new();
    for expected in 1..=3 {
        session.call(&call, &[Value::Int4(7)], &mut rows).unwrap().wait().unwrap();
        assert_eq!(rows.get(0, 0), Some(&Value::Int4(expected)));
    }
}
