//! `tuplix sql` as a shell: at a terminal, and its files and backslash commands without one.

use std::time::Duration;

use crate::harness::{Node, answer, command, sql, text, tuplix};
use crate::terminal::Terminal;

const SCHEMA: &str = "
    CREATE TABLE account (id integer PRIMARY KEY, owner text NOT NULL, balance numeric DEFAULT 0 CHECK (balance >= 0));
    CREATE TABLE entry (id bigint PRIMARY KEY, account integer REFERENCES account, at timestamptz);
    CREATE INDEX entry_by_account ON entry (account);
    CREATE VIEW rich AS SELECT owner FROM account WHERE balance > 1000;
    CREATE SEQUENCE numbers;
    CREATE FUNCTION twice(i integer) RETURNS integer LANGUAGE sql AS 'SELECT i * 2';
    INSERT INTO account VALUES (1, 'ada', 100), (2, 'bob', NULL);
";

/// A node that has the schema.
fn with_schema() -> (tempfile::TempDir, Node) {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    answer(data.path(), &[], SCHEMA);
    (data, node)
}

fn terminal(data: &std::path::Path) -> Terminal {
    let mut terminal = Terminal::tuplix("sql", data, &data.join("typed"));
    terminal.reads("tuplix=# ");
    terminal
}

#[test]
fn a_person_types_statements() {
    let (data, _node) = with_schema();
    let mut shell = terminal(data.path());
    shell.types("SELECT id,\n");
    shell.reads("tuplix-# ");
    shell.types("balance FROM account ORDER BY id;\n");
    let said = shell.reads("(2 rows)");
    assert!(said.contains("  1 |     100\n  2 |    NULL\n"), "{said:?}");
    shell.reads("tuplix=# ");
    shell.types("SELECT 'a\n");
    shell.reads("tuplix'# ");
    // Ctrl-C forgets it.
    shell.types("\u{3}");
    shell.reads("tuplix=# ");
    // The transaction's state is in the prompt.
    shell.types("BEGIN;\n");
    shell.reads("tuplix=*# ");
    shell.types("SELECT nothing;\n");
    let said = shell.reads("tuplix=!# ");
    assert!(said.contains("LINE 1: SELECT nothing\n               ^\n"), "{said:?}");
    shell.types("ROLLBACK;\n");
    shell.reads("ROLLBACK\n");
    shell.reads("tuplix=# ");
    shell.types("\\q\n");
    assert_eq!(shell.ends(), Some(0));
    let history = std::fs::read_to_string(data.path().join("typed")).unwrap();
    assert!(history.contains("balance FROM account ORDER BY id;"), "{history}");
}

#[test]
fn tab_completes_and_arrows_find_what_was_typed() {
    let (data, _node) = with_schema();
    let mut shell = terminal(data.path());
    shell.types("sel\t count(*) FROM acc\t;\n");
    shell.reads("(1 row)");
    shell.reads("tuplix=# ");
    shell.types("SELECT * FROM account a WHERE a.ow\t = 'ada';\n");
    let said = shell.reads("(1 row)");
    assert!(said.contains("ada"), "{said:?}");
    shell.reads("tuplix=# ");
    // Up twice: the first statement again.
    shell.types("\u{1b}[A\u{1b}[A\n");
    let said = shell.reads("(1 row)");
    assert!(said.contains("count"), "{said:?}");
    shell.reads("tuplix=# ");
    shell.types("\u{4}");
    assert_eq!(shell.ends(), Some(0));
}

#[test]
fn ctrl_c_cancels_what_runs_and_the_shell_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let mut shell = terminal(data.path());
    shell.types("SELECT count(*) FROM generate_series(1, 100000000000);\n");
    // The editor has given the terminal back when the line's end is there.
    shell.reads("generate_series(1, 100000000000);\n");
    // A Ctrl-C that is there before the statement has reached the node cancels nothing, so it is pressed until one does.
    let canceled = |shell: &mut Terminal| {
        shell.try_reads("canceling statement due to user request", Duration::from_millis(300)).is_some()
    };
    let pressed = (0..200).find(|_| {
        let done = canceled(&mut shell);
        if !done {
            shell.types("\u{3}");
        }
        done
    });
    assert!(pressed.is_some(), "Ctrl-C cancels nothing");
    shell.reads("tuplix=# ");
    shell.types("SELECT 1 AS one \\watch 0.1\n");
    shell.reads("(every 0.1s)");
    shell.reads("(every 0.1s)");
    shell.types("\u{3}");
    shell.reads("tuplix=# ");
    shell.types("\\q\n");
    assert_eq!(shell.ends(), Some(0));
}

#[test]
fn a_node_that_restarts_is_found_again() {
    let (data, node) = with_schema();
    let mut shell = terminal(data.path());
    shell.types("BEGIN; DELETE FROM entry; DELETE FROM account;\n");
    shell.reads("tuplix=*# ");
    node.kill();
    let node = Node::start(data.path());
    shell.types("COMMIT;\n");
    let said = shell.reads("tuplix=# ");
    assert!(said.contains("connected again") && said.contains("rolled back"), "{said:?}");
    shell.types("SELECT count(*) FROM account;\n");
    let said = shell.reads("(1 row)");
    assert!(said.contains("     2\n"), "{said:?}");
    shell.reads("tuplix=# ");
    node.terminate();
    let _node = Node::start(data.path());
    shell.types("SELECT 40 + 2;\n");
    shell.reads("connected again");
    shell.reads("       42\n");
    shell.reads("tuplix=# ");
    shell.types("\\q\n");
    assert_eq!(shell.ends(), Some(0));
}

#[test]
fn backslash_commands_describe() {
    let (data, _node) = with_schema();
    let said = answer(data.path(), &["\\d account"], "");
    let expected = "               Table \"public.account\"
 Column  |  Type   | Collation | Nullable | Default
---------+---------+-----------+----------+---------
 id      | integer |           | not null |
 owner   | text    |           | not null |
 balance | numeric |           |          | 0
Indexes:
    \"account_pkey\" PRIMARY KEY, hash (id)
Check constraints:
    \"account_balance_check\" CHECK (balance >= 0::numeric)
Referenced by:
    TABLE \"entry\" CONSTRAINT \"entry_account_fkey\" FOREIGN KEY (account) REFERENCES account(id)

";
    let trimmed: Vec<&str> = said.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>(), "{said}");
    for (command, expected) in [
        ("\\d", "public | account | table "),
        ("\\dt", "public | entry"),
        ("\\dv", "public | rich | view"),
        ("\\di", "entry_by_account"),
        ("\\ds", "numbers | sequence"),
        ("\\df", "twice | integer"),
        ("\\df os.submit_task", "os     | submit_task"),
        ("\\dt os.*", "os     | task "),
        ("\\dn", "os "),
        ("\\l", "UTF8"),
        ("\\du", "ada"),
        ("\\d numbers", "Sequence \"public.numbers\""),
        ("\\d entry_by_account", "btree, for table \"public.entry\""),
        ("\\d+ rich", "View definition:"),
        ("\\conninfo", "session"),
        ("\\?", "\\watch [SECONDS]"),
    ] {
        let said = answer(data.path(), &[command], "");
        assert!(said.contains(expected), "{command}: {said}");
    }
    let json = answer(data.path(), &["--json", "\\dt"], "");
    assert!(json.contains("\"Name\": \"account\""), "{json}");
    for wrong in
        ["\\d nothing", "\\nothing", "\\i /nowhere", "\\copy account", "\\pset colour red", "\\x maybe"]
    {
        let output = sql(data.path(), &[wrong], "");
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(text(&output.stderr).starts_with("tuplix: "), "{wrong}: {}", text(&output.stderr));
    }
}

#[test]
fn files_run_statement_by_statement_up_to_the_first_error() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let (first, second) = (data.path().join("first.sql"), data.path().join("second.sql"));
    std::fs::write(&first, "CREATE TABLE t (a int);\n\\ir second.sql\nINSERT INTO t\n  VALUES (1), (x);\nINSERT INTO t VALUES (9);\n")
        .unwrap();
    std::fs::write(&second, "COPY t FROM STDIN;\n1\n2\n\\.\n\\echo 'two rows'\n\\q\nDROP TABLE t;\n")
        .unwrap();
    let first = first.to_str().unwrap();
    let output = sql(data.path(), &["-f", first], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "CREATE TABLE\nCOPY 2\ntwo rows\n");
    let said = text(&output.stderr);
    assert!(
        said.starts_with(&format!(
            "{first}:3: ERROR:  column \"x\" does not exist\nLINE 4:   VALUES (1), (x)\n"
        )),
        "{said}"
    );
    // The statements before the error are done, those behind it only when they are wanted.
    assert_eq!(answer(data.path(), &["--csv"], "SELECT sum(a) FROM t"), "sum\n3\n");
    let output = sql(data.path(), &["--keep-going"], "SELECT nothing;\nINSERT INTO t VALUES (4);");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "INSERT 0 1\n".to_owned()));
    // A dump lets no command through that its data may hold.
    let dump = "\\restrict key\n\\echo one\n\\unrestrict other\nSELECT 1;\n\\unrestrict key\n\\echo two\n";
    let output = sql(data.path(), &["--csv", "--keep-going"], dump);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), "?column?\n1\ntwo\n".to_owned()));
    // The statements of an argument are one transaction.
    assert_eq!(sql(data.path(), &["INSERT INTO t VALUES (100); SELECT 1/0"], "").status.code(), Some(1));
    assert_eq!(answer(data.path(), &["--csv"], "SELECT sum(a) FROM t"), "sum\n7\n");
}

#[test]
fn copies_go_through_files_programs_and_pipes() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let file = data.path().join("rows.csv");
    let file = file.to_str().unwrap();
    answer(data.path(), &["CREATE TABLE t (a int, b text)"], "");
    assert_eq!(
        answer(data.path(), &["COPY t FROM STDIN (FORMAT csv)"], "1,one\n2,\"two, too\"\n"),
        "COPY 2\n"
    );
    assert_eq!(answer(data.path(), &[&format!("\\copy t to '{file}' csv header")], ""), "COPY 2\n");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a,b\n1,one\n2,\"two, too\"\n");
    assert_eq!(
        answer(data.path(), &[&format!("\\copy t from program 'tail -n +2 {file}' csv")], ""),
        "COPY 2\n"
    );
    assert_eq!(answer(data.path(), &["COPY (SELECT count(*) FROM t) TO STDOUT"], ""), "4\n");
    assert_eq!(answer(data.path(), &["\\copy (select b from t order by a limit 1) to stdout"], ""), "one\n");
    let output = sql(data.path(), &["COPY t FROM STDIN (FORMAT csv)"], "1,one\nx,two\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("CONTEXT:  COPY t, line 2, column a"), "{}", text(&output.stderr));
}

/// psql prints the same, where it asks the same.
#[test]
fn tables_look_as_psql_prints_them() {
    let (data, node) = with_schema();
    let node = node.trusts(data.path());
    for query in [
        "SELECT * FROM account ORDER BY id",
        "SELECT 'a' || chr(10) || 'long' AS \"two lines\", 1.5 AS n, NULL AS nothing, true",
        "SELECT 1 WHERE false",
        "SELECT 'é' AS \"größe\", '日本' AS wide, ARRAY[1,2], '{\"a\": 1}'::jsonb",
        "INSERT INTO entry SELECT i FROM generate_series(1, 3) i",
        "\\dt",
        "\\dv",
        "\\ds",
        "\\d account",
        "\\d entry",
        "\\d rich",
        "\\d numbers",
    ] {
        for expanded in [false, true] {
            let flags: &[&str] = if expanded { &["-x"] } else { &[] };
            let ours = command(data.path(), &[&["sql"], flags, &[query]].concat());
            answer(data.path(), &["DELETE FROM entry"], "");
            let theirs = std::process::Command::new("psql")
                .args(["-X", "-h", "127.0.0.1", "-U", "ada", "-d", "tuplix", "-p", &node.port.to_string()])
                .args(flags)
                .args(["-c", query])
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap();
            answer(data.path(), &["DELETE FROM entry"], "");
            let lines =
                |bytes: &[u8]| text(bytes).lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            assert_eq!(
                lines(&ours.stdout),
                lines(&theirs.stdout),
                "{query} {flags:?}: {}",
                text(&ours.stderr)
            );
        }
    }
}

#[test]
fn wrong_arguments_are_said() {
    let data = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (&["sql", "--json", "--csv", "SELECT 1"][..], 2),
        (&["sql", "-f", "a.sql", "SELECT 1"], 2),
        (&["sql", "SELECT 1"], 1),
    ] {
        let output = tuplix(arguments).env("TUPLIX_DATA", data.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
    }
}
