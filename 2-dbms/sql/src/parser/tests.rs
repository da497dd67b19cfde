#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use super::*;

fn error(sql: &str) -> String {
    let error = parse(sql).unwrap_err();
    let position = error.fields().position.map_or(String::from("-"), |position| position.to_string());
    format!("{} {} {}", error.sqlstate(), position, error.message())
}

#[test]
fn statements_have_their_text_and_place() {
    let sql = "  SELECT 'é;' ;; -- nothing\n INSERT INTO t VALUES (1); /* c */ ";
    let statements = parse(sql).unwrap();
    let shown: Vec<(&str, usize)> = statements.iter().map(|s| (s.text.as_str(), s.offset)).collect();
    assert_eq!(shown, [("SELECT 'é;'", 2), ("INSERT INTO t VALUES (1)", 30)]);
    for statement in &statements {
        assert!(sql[statement.offset..].starts_with(&statement.text));
    }
    assert!(matches!(statements[1].node, NodeEnum::InsertStmt(_)));
    assert!(parse("").unwrap().is_empty());
    assert!(parse(" ; -- x").unwrap().is_empty());
}

#[test]
fn errors_are_postgresql_15s() {
    // (statement, what PostgreSQL 15.18 answers: SQLSTATE, position, message)
    let cases = [
        ("select 'é' from from", "42601 17 syntax error at or near \"from\""),
        ("select", ""),
        ("selec 1", "42601 1 syntax error at or near \"selec\""),
        ("select (1", "42601 10 syntax error at end of input"),
        ("select e'\\u12g', 1", "22025 10 invalid Unicode escape"),
        ("select U&'\\12g', 1", "42601 11 invalid Unicode escape"),
        ("select 'é', e'a\\ud800'", "42601 22 invalid Unicode surrogate pair at or near \"'\""),
        ("select 1a", "42601 8 trailing junk after numeric literal at or near \"1a\""),
        ("select $1a", "42601 8 trailing junk after parameter at or near \"$1a\""),
        ("select 1 limit 1,2", "42601 10 LIMIT #,# syntax is not supported"),
        ("select \"\"", "42601 8 zero-length delimited identifier at or near \"\"\"\""),
        ("select 'abc", "42601 8 unterminated quoted string at or near \"'abc\""),
        ("select \"abc", "42601 8 unterminated quoted identifier at or near \"\"abc\""),
        ("/* abc", "42601 1 unterminated /* comment at or near \"/* abc\""),
        ("select $$a", "42601 8 unterminated dollar-quoted string at or near \"$$a\""),
        ("select 1::float(99)", "22023 17 precision for type float must be less than 54 bits"),
        ("create table t (a int references u match partial)", "0A000 36 MATCH PARTIAL not yet implemented"),
    ];
    for (sql, expected) in cases {
        if expected.is_empty() {
            assert_eq!(parse(sql).unwrap().len(), 1, "{sql}");
        } else {
            assert_eq!(error(sql), expected, "{sql}");
        }
    }
}

#[test]
fn nul_bytes_are_refused() {
    assert_eq!(error("select '\0'"), "22021 9 invalid byte sequence for encoding \"UTF8\": 0x00");
}

#[test]
fn what_is_newer_than_postgresql_15_is_refused() {
    let cases = [
        ("select * from (select 1)", "42601 15 subquery in FROM must have an alias"),
        ("select * from a, lateral (values (1))", "42601 26 VALUES in FROM must have an alias"),
        ("select 0x10", "42601 8 trailing junk after numeric literal at or near \"0x10\""),
        ("select 1_000", "42601 8 trailing junk after numeric literal at or near \"1_000\""),
        (
            "select json_object('a': 1)",
            "0A000 8 JSON_OBJECT() with SQL/JSON syntax, which is newer than PostgreSQL 15, is not supported",
        ),
        ("select json_array(1)", "0A000 8 JSON_ARRAY(), which is newer than PostgreSQL 15, is not supported"),
        ("select a is json from t", "0A000 8 IS JSON, which is newer than PostgreSQL 15, is not supported"),
        (
            "select * from json_table('[]', '$[*]' columns (a int)) t",
            "0A000 15 JSON_TABLE, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "select json_value('1', '$')",
            "0A000 8 an SQL/JSON query function, which is newer than PostgreSQL 15, is not supported",
        ),
        ("select now() at local", "0A000 8 AT LOCAL, which is newer than PostgreSQL 15, is not supported"),
        ("select system_user", "0A000 8 SYSTEM_USER, which is newer than PostgreSQL 15, is not supported"),
        (
            "delete from t returning with (old as o) *",
            "0A000 31 RETURNING WITH, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "merge into t using s on true when matched then delete returning *",
            "0A000 65 MERGE ... RETURNING, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "merge into t using s on t.a = s.a when not matched by source then delete",
            "0A000 12 WHEN NOT MATCHED BY SOURCE, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "create table t (a int, b int generated always as (a))",
            "0A000 30 GENERATED ALWAYS AS without STORED, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "create table t (a int4range, primary key (a without overlaps))",
            "0A000 30 WITHOUT OVERLAPS, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "create table t (a int check (a > 0) not enforced)",
            "0A000 37 ENFORCED, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "create table t (a int, constraint c not null a)",
            "0A000 24 NOT NULL as a table constraint, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "create table t (a text storage plain)",
            "0A000 17 STORAGE in CREATE TABLE, which is newer than PostgreSQL 15, is not supported",
        ),
        (
            "alter table t alter a set expression as (1)",
            "0A000 42 SET EXPRESSION, which is newer than PostgreSQL 15, is not supported",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(parse(sql).map(|_| ()).map_err(|_| error(sql)), Err(expected.to_owned()), "{sql}");
    }
}

#[test]
fn what_postgresql_15_takes_is_taken() {
    for sql in [
        "select '0x10', 'a 1_000', a_1, $$1_0$$, \"0x1\", b1_0 from (values (1)) v(a), (select 1) as s",
        "create table t (a int check (a > 0), b int references u, c int not null, unique (a), \
         constraint f foreign key (b) references u (x) on delete cascade deferrable initially deferred, \
         d int generated always as (a + 1) stored, e int generated by default as identity, primary key (a))",
        "alter table t add constraint c check (a > 0) not valid",
        "alter table t add constraint c foreign key (a) references u (b)",
        "merge into t using s on t.a = s.a when matched and t.b then update set b = false \
         when not matched then insert values (1) when matched then do nothing",
        "select now() at time zone 'UTC', timezone('UTC', now()), extract(epoch from now()), position('a' in 'b')",
        "insert into t values (1) on conflict (a) do update set b = excluded.b returning *",
        "with recursive x as materialized (select 1) search depth first by a set o select * from x",
        "grant select on t to public; set local a.b = 'c'; listen x; copy t from stdin with (format csv)",
        "create function f(a int default 1, variadic b text[]) returns table (x int) language plpgsql as $$ begin end $$",
        "create procedure p() language sql begin atomic select 1; select 2; end",
    ] {
        assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&deep(1000)).is_ok(), "parentheses alone make no tree");
    // PostgreSQL 15 says the same: the parser's own stack ends first.
    assert!(error(&deep(100_000)).starts_with("42601"), "{}", error(&deep(100_000)));
    let chain = |terms: usize| format!("select {}a", "a+".repeat(terms));
    assert!(parse(&chain(NESTING_MAX - 10)).is_ok());
    for terms in [NESTING_MAX, 1000, 4000, 100_000] {
        assert_eq!(error(&chain(terms)), "54001 - stack depth limit exceeded", "{terms}");
    }
    let calls = |depth: usize| format!("select {}1{}", "f(".repeat(depth), ")".repeat(depth));
    assert!(parse(&calls(200)).is_ok());
    assert!(error(&calls(3_000)).starts_with("54001"));
    let unions = |count: usize| format!("select 1{}", " union all select 1".repeat(count));
    assert!(parse(&unions(NESTING_MAX - 10)).is_ok());
    assert!(error(&unions(100_000)).starts_with("54001"));
    let subqueries = |depth: usize| format!("select {}1{}", "(select ".repeat(depth), ")".repeat(depth));
    assert!(parse(&subqueries(100)).is_ok());
    assert!(error(&subqueries(3_000)).starts_with("54001"));
    let wide = format!("select a in ({}0) and {} true", "1,".repeat(50_000), "a or b and ".repeat(20_000));
    assert!(parse(&wide).is_ok());
}

#[test]
fn expressions_assignments_and_types() {
    assert_eq!(parse_expression("a + 1").unwrap().target_list.len(), 1);
    assert_eq!(parse_expression("x FROM t WHERE a = 1").unwrap().from_clause.len(), 1);
    assert_eq!(parse_expression("a +").unwrap_err().message(), "syntax error at end of input");
    assert_eq!(parse_expression("a ; b").unwrap_err().message(), "syntax error at or near \";\"");
    let assignment = parse_assignment("a.b[1].c := 1", 1).unwrap();
    assert_eq!((assignment.name.as_str(), assignment.indirection.len()), ("a", 3));
    let assignment = parse_assignment("a.b = 1", 2).unwrap();
    assert_eq!((assignment.name.as_str(), assignment.nnames), ("a", 2));
    assert_eq!(parse_assignment("a.b := 1", 4).unwrap_err().sqlstate(), sqlstate::INTERNAL_ERROR);

    let numeric = parse_type_name("numeric(10,2)").unwrap();
    assert_eq!(numeric.typmods.len(), 2);
    assert_eq!(parse_type_name("text[][3]").unwrap().array_bounds.len(), 2);
    assert!(parse_type_name("setof os.task").unwrap().setof);
    assert_eq!(parse_type_name("interval hour to minute").unwrap().typmods.len(), 1);
    assert_eq!(parse_type_name("character varying(3) -- x").unwrap().typmods.len(), 1);
    let refused = |text: &str| {
        let error = parse_type_name(text).unwrap_err();
        format!("{:?} {}", error.fields().position, error.message())
    };
    assert_eq!(refused("int4 from x"), "Some(6) syntax error at or near \"from\"");
    assert_eq!(refused("int) + (1"), "Some(4) syntax error at or near \")\"");
    assert_eq!(refused(""), "Some(1) syntax error at end of input");
    assert_eq!(refused("numeric(10"), "Some(11) syntax error at end of input");
}

#[test]
fn every_thread_may_parse() {
    let threads: Vec<_> = (0..8)
        .map(|n| {
            std::thread::spawn(move || (0..200).all(|i| parse(&format!("select {n}, {i} from 'é'")).is_err()))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
}

#[test]
fn quoting() {
    let identifiers = [
        ("abc", "abc"),
        ("a_1", "a_1"),
        ("_x", "_x"),
        ("1a", "\"1a\""),
        ("Abc", "\"Abc\""),
        ("a b", "\"a b\""),
        ("a\"b", "\"a\"\"b\""),
        ("select", "\"select\""),
        ("left", "\"left\""),
        ("int", "\"int\""),
        ("name", "name"),
        ("", "\"\""),
        ("é", "\"é\""),
        ("a$b", "\"a$b\""),
    ];
    for (name, quoted) in identifiers {
        assert_eq!(quote_ident(name), quoted);
    }
    for (text, quoted) in [("a'b", "'a''b'"), ("a\\b", "E'a\\\\b'"), ("", "''"), ("é", "'é'")] {
        assert_eq!(quote_literal(text), quoted);
    }
}

#[test]
fn positions_count_characters() {
    assert_eq!(
        (position("aé→b", 0), position("aé→b", 3), position("aé→b", 6), position("aé", 99)),
        (1, 3, 4, 3)
    );
    assert_eq!((line("a\nb\n", 0), line("a\nb\n", 2), line("a\nb\n", 4)), (1, 2, 3));
}
