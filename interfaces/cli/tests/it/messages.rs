//! `tuplix send` and `tuplix recv`.

use crate::harness::{Node, answer, command, fed, refused, said, text, tuplix};

#[test]
fn messages_come_once_and_in_order() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::start(data.path());
    let path = data.path();
    for number in 1..=3 {
        assert_eq!(
            said(path, &["send", "bob", &format!("text {number}")]),
            format!("message {number} of bob\n")
        );
    }
    // What waits is there after a crash.
    node.kill();
    let _node = Node::start(path);
    assert_eq!(said(path, &["recv", "--raw", "bob"]), "text 1");
    let rest = said(path, &["recv", "--all", "--csv", "bob"]);
    let texts: Vec<&str> = rest.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(texts, ["text", "text 2", "text 3"]);
    assert!(refused(path, &["recv", "bob"]).contains("no message waits for bob"));
    said(path, &["check"]);
}

#[test]
fn users_are_shown_by_name() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    said(data, &["ls"]);
    said(data, &["send", "bob", "from a user"]);
    said(data, &["send", "--from", "4711", "bob", "from a task"]);
    let received = said(data, &["recv", "--all", "--csv", "bob"]);
    assert_eq!(received, "message,sender,text\n1,ada,from a user\n2,4711,from a task\n");
    let output = command(data, &["send", "", "to nobody"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_key_makes_a_message_one() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    for _ in 0..2 {
        assert_eq!(said(data, &["send", "--key", "report-7", "bob", "done"]), "message 1 of bob\n");
    }
    said(data, &["recv", "bob"]);
    assert_eq!(said(data, &["send", "--key", "report-7", "bob", "done"]), "message 1 of bob\n");
    assert!(refused(data, &["recv", "bob"]).contains("no message"));
}

#[test]
fn bytes_and_sql_are_the_same_messages() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    let bytes: Vec<u8> = (0..=255).collect();
    fed(data, &["send", "--from", "4711", "bob", "-"], &bytes);
    let output = command(data, &["recv", "--raw", "--from", "4711", "bob"]);
    assert_eq!(output.stdout, bytes);
    answer(data, &[], "SELECT os.send('carol', 'bob', 'from SQL')");
    assert_eq!(said(data, &["recv", "--raw", "bob"]), "from SQL");
    said(data, &["send", "bob", "from the command"]);
    let received = answer(data, &["--csv"], "SELECT * FROM os.receive('bob')");
    assert!(received.contains("from the command"), "{received}");
    let large = vec![b'x'; (1 << 20) + 1];
    let mut child = tuplix(&["send", "bob", "-"])
        .env("TUPLIX_DATA", data)
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &large).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("TXM02"), "{}", text(&output.stderr));
}

/// A receiver that waits is woken; one whose time is over says so.
#[test]
fn a_receiver_waits_for_a_message() {
    let data = tempfile::tempdir().unwrap();
    let _node = Node::start(data.path());
    let data = data.path();
    assert!(refused(data, &["recv", "--wait", "10ms", "bob"]).contains("no message"));
    let waiting = tuplix(&["recv", "--wait", "60s", "--raw", "--from", "dora", "bob"])
        .env("TUPLIX_DATA", data)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    said(data, &["send", "--from", "carol", "bob", "not this one"]);
    said(data, &["send", "--from", "dora", "bob", "at last"]);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), "at last");
}
