//! PostgreSQL's own tools against a node: pgbench's banks, and what pg_dump writes, loaded into PostgreSQL 15 and back.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use tuplix_support::PostgresCluster;

use crate::harness::TestServer;

/// What is dumped: the kinds of objects that both have.
const SCHEMA: &str = include_str!("tools/dumped.sql");

/// A tool on a database of a server.
fn tool(program: &str, port: u16, user: &str, arguments: &[&str]) -> Output {
    let port = port.to_string();
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", user]).args(arguments).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).output().unwrap()
}

/// The same where it has to succeed: what it printed.
fn said(program: &str, port: u16, user: &str, arguments: &[&str]) -> String {
    let output = tool(program, port, user, arguments);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

/// Loads a script with psql, where nothing may go wrong.
fn load(port: u16, user: &str, database: &str, script: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(script.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    said("psql", port, user, &["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", &path]);
}

/// The lines of a dump that say something of the database: not who wrote it, with which version, for whom.
fn essence(dump: &str) -> Vec<String> {
    let about = |line: &&str| {
        !line.is_empty()
            && !line.starts_with("--")
            && !line.starts_with("\\restrict")
            && !line.starts_with("\\unrestrict")
            && !line.contains(" OWNER TO ")
    };
    dump.lines().filter(about).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_keeps_its_books() {
    let node = TestServer::start().await;
    let port = node.address.port();
    let bench = |arguments: &[&str]| said("pgbench", port, "ada", &[arguments, &["test"]].concat());
    bench(&["-i", "-s", "1", "-q"]);
    for mode in ["simple", "extended", "prepared"] {
        let report = bench(&["-c", "4", "-t", "50", "-M", mode]);
        assert!(report.contains("number of transactions actually processed: 200/200"), "{report}");
        assert!(report.contains("number of failed transactions: 0"), "{report}");
    }
    let books = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), \
                 (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers), \
                 (SELECT count(*) FROM pgbench_history)";
    assert_eq!(said("psql", port, "ada", &["-X", "-At", "-d", "test", "-c", books]), "t|t|600\n");
    let mut script = tempfile::NamedTempFile::new().unwrap();
    let text = "\\set aid random(1, 100000)\n\\startpipeline\nSELECT abalance AS balance FROM pgbench_accounts WHERE aid = :aid;\n\
                UPDATE pgbench_accounts SET abalance = abalance WHERE aid = :aid;\n\\endpipeline\n\
                SELECT bbalance FROM pgbench_branches WHERE bid = 1 \\gset\n\\if :bbalance > 2000000000\nDROP TABLE nothing;\n\\endif\n";
    script.write_all(text.as_bytes()).unwrap();
    let path = script.path().to_str().unwrap();
    let report = bench(&["-n", "-c", "2", "-t", "20", "-M", "extended", "-f", path]);
    assert!(report.contains("number of transactions actually processed: 40/40"), "{report}");
    bench(&["-i", "-I", "dtGvpf", "-q"]);
    let report = bench(&["-S", "-c", "2", "-t", "20"]);
    assert!(report.contains("number of transactions actually processed: 40/40"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dumps_load_into_postgresql_and_back() {
    let (node, cluster) = (TestServer::start().await, PostgresCluster::start().unwrap());
    let (ours, theirs) = (node.address.port(), cluster.port());
    load(ours, "ada", "test", SCHEMA);
    let schema = said("pg_dump", ours, "ada", &["--schema-only", "--schema=public", "test"]);
    let data = said("pg_dump", ours, "ada", &["--data-only", "--schema=public", "test"]);
    said(
        "psql",
        theirs,
        "postgres",
        &["-X", "-q", "-d", "postgres", "-c", "CREATE ROLE ada SUPERUSER", "-c", "CREATE DATABASE test"],
    );
    load(theirs, "postgres", "test", &schema.replace("CREATE SCHEMA public;", ""));
    load(theirs, "postgres", "test", &data);
    // PostgreSQL says the same of it.
    for (what, dump) in [("--schema-only", &schema), ("--data-only", &data)] {
        let again = said("pg_dump", theirs, "postgres", &[what, "--schema=public", "test"]);
        assert_eq!(essence(dump), essence(&again), "{what}");
    }
    // And what PostgreSQL wrote loads into an empty node.
    let empty = TestServer::start().await;
    for what in ["--schema-only", "--data-only"] {
        let dump = said("pg_dump", theirs, "postgres", &[what, "--schema=public", "test"]);
        load(empty.address.port(), "ada", "test", &dump.replace("CREATE SCHEMA public;", ""));
        let again = said("pg_dump", empty.address.port(), "ada", &[what, "--schema=public", "test"]);
        assert_eq!(essence(&dump), essence(&again), "{what}");
    }
}
