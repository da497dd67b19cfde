//! PostgreSQL's own tools against a node: pgbench's banks.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::harness::TestServer;

/// A tool on a database of a server.
fn tool(program: &str, port: u16, user: &str, arguments: &[&str]) -> Output {
    let port = port.to_string();
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", user]).args(arguments).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).output().unwrap()
}

/// The same where it has to succeed: what it printed.
pub(crate) fn said(program: &str, port: u16, user: &str, arguments: &[&str]) -> String {
    let output = tool(program, port, user, arguments);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaints}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_keeps_its_books() {
    let node = TestServer::start().await;
    let port = node.address.port();
    let bench = |arguments: &[&str]| said("pgbench", port, "ada", &[arguments, &["test"]].concat());
    bench(&["-i", "-s", "1", "-q"]);
    for mode in ["simple", "extended", "prepared"] {
        // Without -n it would empty the history first.
        let report = bench(&["-n", "-c", "4", "-t", "50", "-M", mode]);
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
