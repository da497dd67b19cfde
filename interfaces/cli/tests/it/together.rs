//! docs/tour/transaction.md: a row, a file, a message and a task are one transaction in psql, also when the node is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Node, answer, text};

/// Kills, at moments spread over the transactions.
const ROUNDS: usize = 12;
/// Transactions that psql is given for a round, more than are done before the kill.
const TRANSACTIONS: usize = 400;
/// The four of them: kind and number.
const ALL: &str = "SELECT 'row', id FROM mine
    UNION ALL SELECT 'line', line::int FROM regexp_split_to_table(
        convert_from((os.get_file(os.home('ada'), '/home/ada/notes')).data, 'UTF8'), ' ') line WHERE line <> ''
    UNION ALL SELECT 'message', convert_from(data, 'UTF8')::int FROM os.message
    UNION ALL SELECT 'task', name::int FROM os.task_spec ORDER BY 1, 2";

/// psql by the node's socket, as ada. It writes each line when it has it.
fn psql(data: &Path, port: u16) -> Command {
    let mut psql = Command::new("stdbuf");
    psql.args([
        "-oL",
        "psql",
        "-X",
        "-U",
        "ada",
        "-d",
        "tuplix",
        "-p",
        &port.to_string(),
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
    ]);
    psql.arg(data)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    psql
}

/// What psql prints for a text.
fn said(data: &Path, port: u16, options: &[&str], input: &str) -> String {
    let mut psql = psql(data, port).args(options).spawn().unwrap();
    psql.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = psql.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The fenced blocks of the document.
fn blocks(language: &str) -> Vec<&'static str> {
    let document = include_str!("../../../../docs/tour/transaction.md");
    let fence = format!("```{language}\n");
    document.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_session_of_the_document_is_what_psql_says() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--no-worker"]);
    let [prepared, changed] = blocks("sql")[..] else { panic!("two blocks of SQL") };
    let [shown] = blocks("text")[..] else { panic!("one answer") };
    let quiet = ["-q", "-P", "footer=off"];
    let session = format!("{prepared}{changed}");
    let printed = said(data.path(), node.port, &quiet, &session);
    // What the procedures return stands between.
    for table in shown.split("\n\n") {
        assert!(printed.contains(table.trim_end()), "{printed}");
    }
    assert!(printed.trim_end().ends_with("0 |     0 |        0 |     0"), "{printed}");
    let committed =
        changed.replace("CREATE VIEW all_four AS", "CREATE VIEW again AS").replace("ROLLBACK", "COMMIT");
    let again = prepared.split_once("SELECT os.create_file").unwrap().0.split_once(";\n").unwrap().1;
    let notes = "SELECT os.find_file(:home, '/home/ada/notes') AS notes \\gset\n";
    let printed = said(data.path(), node.port, &quiet, &format!("{again}{notes}{committed}"));
    assert!(printed.trim_end().ends_with("1 |     6 |        1 |     1"), "{printed}");
}

/// One transaction of the four, as a person types it.
fn transaction(number: usize) -> String {
    format!(
        "BEGIN;
         INSERT INTO mine VALUES ({number}, 'a row');
         SELECT os.write_file(:home, :notes, NULL, '{number} ', 'ada');
         SELECT os.send_message(os.bucket(os.address('bob')), os.address('ada'), os.address('bob'), '{number}');
         SELECT os.submit_task(:home, 'ada', '{number}', '/bin/true');
         COMMIT;\n"
    )
}

/// Gives psql transactions, kills the node behind the `until`th COMMIT that it tells of, and returns how many it told of.
fn kill_under_psql(data: &Path, node: Node, first: usize, until: usize) -> usize {
    let mut child = psql(data, node.port).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut script = "SELECT os.home('ada') AS home \\gset\nSELECT os.find_file(:home, '/home/ada/notes') AS notes \\gset\n".to_owned();
    script.extend((first..first + TRANSACTIONS).map(transaction));
    // It is not read to its end.
    let writer = std::thread::spawn(move || drop(input.write_all(script.as_bytes())));
    let mut committed = 0;
    let mut node = Some(node);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        committed += usize::from(line.unwrap() == "COMMIT");
        if committed == until
            && let Some(node) = node.take()
        {
            node.kill();
        }
    }
    assert!(node.is_none(), "psql ended behind {committed} transactions");
    child.wait().unwrap();
    writer.join().unwrap();
    committed
}

#[test]
fn a_kill_leaves_all_four_or_none() {
    let data = tempfile::tempdir().unwrap();
    // Checkpoints as well, so that some kills meet one.
    let with = ["--no-worker", "--checkpoint-log-size", "20KB", "--checkpoint-rate", "4MB"];
    let mut node = Node::with(data.path(), &with);
    said(data.path(), node.port, &[], blocks("sql")[0]);
    let mut done = 0;
    for round in 0..ROUNDS {
        let committed = kill_under_psql(data.path(), node, done + 1, round * 7 % 23 + 1);
        node = Node::with(data.path(), &with);
        let rows = answer(data.path(), &["--csv"], ALL);
        let numbers = |kind: &str| -> Vec<usize> {
            let fields = rows.lines().filter_map(|line| line.split_once(','));
            fields.filter(|(found, _)| *found == kind).map(|(_, number)| number.parse().unwrap()).collect()
        };
        let found = numbers("row");
        assert_eq!(found, (1..=found.len()).collect::<Vec<_>>(), "round {round}");
        for kind in ["line", "message", "task"] {
            assert_eq!(numbers(kind), found, "round {round}: {kind}");
        }
        assert!(found.len() >= done + committed, "round {round}: acknowledged and lost");
        done = found.len();
    }
    let checked = crate::harness::said(data.path(), &["check"]);
    assert!(!checked.is_empty());
}
