//! How commands reach a node by TCP: passwords, TLS, addresses, and what they say when there is no way in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::harness::{Node, said, text, tuplix};
use crate::terminal::Terminal;

const WHO: &str = "\\conninfo";

/// A node with TLS on which bob may log in with the password "b".
fn node(data: &Path, with: &[&str]) -> Node {
    let node = Node::with(data, with);
    said(data, &["sql", "CREATE ROLE bob LOGIN PASSWORD 'b'"]);
    node
}

/// `tuplix sql` with these options; the password is bob's.
fn asked(options: &[&str], variables: &[(&str, &str)], query: &str) -> Output {
    let mut command = tuplix(&["sql", "--csv"]);
    command.args(options).arg(query).env("PGPASSWORD", "b").envs(variables.iter().copied()).output().unwrap()
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

/// Asserts that bob is in, encrypted or not.
fn is_bob(output: &Output, encrypted: bool) {
    let (said, complaint) = (text(&output.stdout), text(&output.stderr));
    let how = if encrypted { "TLSv1.3" } else { "no encryption" };
    assert!(said.contains(&format!("as \"bob\", {how}, session")), "{said}{complaint}");
}

#[test]
fn connections_are_encrypted_as_far_as_they_want() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path(), &["--tls", "--no-worker"]);
    let port = node.port.to_string();
    let certificate = data.path().join("server.crt");
    let certificate = certificate.to_str().unwrap();
    let at = |host: &'static str, mode: &'static str| ["--host", host, "--sslmode", mode];
    let who = |options: &[&str]| asked(&[options, &["-U", "bob", "--port", &port]].concat(), &[], WHO);
    for (mode, encrypted) in [("disable", false), ("prefer", true), ("require", true)] {
        is_bob(&who(&at("127.0.0.1", mode)), encrypted);
    }
    let with_root = |host, mode| who(&[&at(host, mode)[..], &["--sslrootcert", certificate]].concat());
    is_bob(&with_root("localhost", "verify-full"), true);
    is_bob(&with_root("127.0.0.1", "verify-ca"), true);
    // The certificate is made for localhost.
    let wrong_name = complaint(&with_root("127.0.0.1", "verify-full"));
    assert!(wrong_name.contains("not valid for name") && wrong_name.contains("08001"), "{wrong_name}");
    let other = tempfile::tempdir().unwrap();
    tuplix_wire::TlsFiles::of_directory(other.path()).unwrap();
    let other = other.path().join("server.crt");
    let untrusted =
        who(&[&at("localhost", "verify-ca")[..], &["--sslrootcert", other.to_str().unwrap()]].concat());
    assert!(complaint(&untrusted).contains("invalid peer certificate"), "{}", text(&untrusted.stderr));
    let missing =
        complaint(&who(&[&at("localhost", "verify-full")[..], &["--sslrootcert", "/nowhere"]].concat()));
    assert!(missing.contains("root certificates cannot be read from /nowhere"), "{missing}");
    // The same by URL, by libpq's words and by its variables; every command connects so.
    let url = format!("postgres://bob@localhost:{port}/tuplix?sslmode=verify-full&sslrootcert={certificate}");
    is_bob(&asked(&["--url", &url], &[], WHO), true);
    let words = format!("host=localhost port={port} user=bob sslmode=disable");
    is_bob(&asked(&["--url", &words], &[], WHO), false);
    is_bob(&asked(&["--url", &words], &[("PGSSLMODE", "require")], WHO), true);
    let listed = tuplix(&["ls", "--url", &url]).env("PGPASSWORD", "b").output().unwrap();
    assert!(text(&listed.stderr).contains("permission denied for schema os"), "{}", text(&listed.stderr));
    let bound = format!("{words} channel_binding=require");
    let unbound = complaint(&asked(&["--url", &bound], &[], WHO));
    assert!(unbound.contains("channel binding is required"), "{unbound}");
    is_bob(&asked(&["--url", &bound], &[("PGSSLMODE", "require")], WHO), true);
}

#[test]
fn there_is_a_reason_when_nobody_gets_in() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path(), &["--no-worker"]);
    let port = node.port.to_string();
    let at = ["-U", "bob", "--port", &port];
    let tls = complaint(&asked(&[&at[..], &["--sslmode", "require"]].concat(), &[], WHO));
    assert!(tls.contains("offers no TLS") && tls.contains("--tls"), "{tls}");
    let wrong = complaint(&asked(&at, &[("PGPASSWORD", "c")], WHO));
    assert!(wrong.contains("password authentication failed for user \"bob\"\n  SQLSTATE: 28P01"), "{wrong}");
    let unknown = complaint(&asked(&["--host", "nobody.invalid"], &[], WHO));
    assert!(unknown.contains("the host \"nobody.invalid\" is not known"), "{unknown}");
    let silent = complaint(&asked(&["--port", "1"], &[], WHO));
    assert!(silent.contains("no node answers at 127.0.0.1:1: Connection refused"), "{silent}");
    for options in [&["--sslmode", "maybe"][..], &["--url", "nonsense"], &["--url", "host=h", "--host", "h"]]
    {
        let output = asked(options, &[], WHO);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {}", text(&output.stderr));
    }
}

#[test]
fn a_password_is_read_from_a_file_that_is_private() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path(), &["--no-worker"]);
    let file = data.path().join("passwords");
    let port = node.port.to_string();
    let ask = || {
        let mut command = tuplix(&["sql", "--csv", "--url", &format!("postgres://bob@127.0.0.1:{port}")]);
        command.env("PGPASSFILE", &file).arg(WHO).output().unwrap()
    };
    assert!(complaint(&ask()).contains("asks for a password of user \"bob\""));
    std::fs::write(&file, format!("127.0.0.1:1:*:*:wrong\n127.0.0.1:{port}:tuplix:bob:b\n")).unwrap();
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(complaint(&ask()).contains("others can read it"));
    mode(0o600);
    is_bob(&ask(), false);
}

#[test]
fn a_password_is_asked_for_at_a_terminal_and_not_shown() {
    let data = tempfile::tempdir().unwrap();
    let node = node(data.path(), &["--no-worker"]);
    let arguments = format!("sql -U bob --port {}", node.port);
    let history = data.path().join("history");
    let mut wrong = Terminal::tuplix(&arguments, data.path(), &history);
    wrong.reads("Password for user bob: ");
    wrong.types("c\n");
    wrong.reads("password authentication failed");
    assert_eq!(wrong.ends(), Some(1));
    let mut left = Terminal::tuplix(&arguments, data.path(), &history);
    left.reads("Password for user bob: ");
    left.types("\u{3}");
    assert_eq!(left.ends(), Some(130));
    let mut right = Terminal::tuplix(&arguments, data.path(), &history);
    right.reads("Password for user bob: ");
    right.types("xyz\u{15}wb\u{7f}\u{7f}b\n");
    let shown = right.reads("=> ");
    assert!(!shown.contains("xyz") && !shown.contains("wb"), "{shown}");
    right.types("SELECT 'I am ' || current_user;\n");
    right.reads("I am bob");
    right.types("\\conninfo\n");
    right.reads("as \"bob\", no encryption");
    right.types("\\q\n");
    assert_eq!(right.ends(), Some(0));
}
