//! Who gets into a node that `tuplix up` has started: over a kill, by password, and by the way back in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Node, answer, command, said, sql, text, tuplix};

/// psql by TCP as bob.
fn psql(port: u16, sslmode: &str, password: &str) -> Output {
    let connection = format!("host=127.0.0.1 port={port} user=bob dbname=tuplix sslmode={sslmode}");
    let query =
        "SELECT concat_ws(' ', session_user, pg_has_role('staff', 'MEMBER'), current_setting('work_mem'))";
    let mut psql = Command::new("psql");
    psql.args(["-X", "-At", "-d", &connection, "-c", query]).env("PGPASSWORD", password).output().unwrap()
}

/// Roles, memberships, settings, passwords and host rules are as durable as rows.
#[test]
fn a_kill_changes_nothing_of_who_may_come_in() {
    let data = tempfile::tempdir().unwrap();
    let with = ["--tls", "--no-worker"];
    let mut node = Node::with(data.path(), &with);
    answer(
        data.path(),
        &[],
        "CREATE ROLE staff; CREATE ROLE bob LOGIN PASSWORD 'b' IN ROLE staff; ALTER ROLE bob SET work_mem = '1MB';
         SELECT set_host_rule(150, 'hostnossl', 'all', 'bob', 'all', 'reject')",
    );
    for ending in ["killed", "checkpointed"] {
        if ending == "checkpointed" {
            answer(data.path(), &["CHECKPOINT"], "");
        }
        node.kill();
        node = Node::with(data.path(), &with);
        let let_in = psql(node.port, "require", "b");
        assert_eq!(text(&let_in.stdout), "bob t 1MB\n", "{ending}: {}", text(&let_in.stderr));
        let refused = text(&psql(node.port, "require", "c").stderr);
        assert!(refused.contains("password authentication failed for user \"bob\""), "{ending}: {refused}");
        let refused = text(&psql(node.port, "disable", "b").stderr);
        assert!(refused.contains("a host rule rejects connection"), "{ending}: {refused}");
    }
    let refused = "SELECT user_name, sqlstate FROM tuplix.refusals ORDER BY refusal";
    assert!(answer(data.path(), &["--csv"], refused).ends_with("bob,28P01\nbob,28000\n"));
    // An orderly end writes all of them.
    assert!(node.terminate().0.success());
    let _node = Node::with(data.path(), &with);
    let kept = answer(data.path(), &["--csv"], refused);
    assert!(kept.starts_with("user_name,sqlstate\nbob,28P01\n"), "{kept}");
    assert!(kept.ends_with("bob,28P01\nbob,28000\n"), "{kept}");
}

/// Over TCP the command needs what everybody needs; its user is a superuser without a password at first.
#[test]
fn the_command_gives_a_password_by_tcp() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--no-worker"]);
    let port = node.port.to_string();
    let by_tcp = |arguments: &[&str], password: Option<&str>| {
        let mut command = tuplix(arguments);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        command.args(["--port", &port]).output().unwrap()
    };
    let none = text(&by_tcp(&["sql", "SELECT 1"], None).stderr);
    assert!(none.contains("asks for a password of user \"ada\"") && none.contains("PGPASSWORD"), "{none}");
    for attempt in ["", "guess"] {
        let wrong = text(&by_tcp(&["sql", "SELECT 1"], Some(attempt)).stderr);
        assert!(wrong.contains("password authentication failed for user \"ada\""), "{wrong}");
    }
    said(data.path(), &["sql", "ALTER ROLE ada PASSWORD 'word'"]);
    let answered = by_tcp(&["sql", "--csv", "SELECT current_user"], Some("word"));
    assert_eq!(text(&answered.stdout), "current_user\nada\n", "{}", text(&answered.stderr));
    let listed = by_tcp(&["ps"], Some("word"));
    assert!(listed.status.success(), "{}", text(&listed.stderr));
}

#[test]
fn a_lock_out_ends_with_a_rescue() {
    let data = tempfile::tempdir().unwrap();
    let node = Node::with(data.path(), &["--no-worker"]);
    said(data.path(), &["sql", "SELECT drop_host_rule(line_number) FROM pg_hba_file_rules"]);
    let refused = command(data.path(), &["sql", "SELECT 1"]);
    assert!(text(&refused.stderr).contains("no host rule for host \"[local]\""), "{}", text(&refused.stderr));
    assert!(node.terminate().0.success());
    let node = Node::with(data.path(), &["--no-worker", "--rescue"]);
    said(data.path(), &["sql", "SELECT set_host_rule(100, 'local', 'all', 'all', NULL, 'peer')"]);
    assert!(node.terminate().0.success());
    let _node = Node::with(data.path(), &["--no-worker"]);
    assert!(sql(data.path(), &["SELECT 1"], "").status.success());
}

/// Who can read the files needs no password.
#[test]
fn the_data_directory_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _node = Node::with(&data, &["--no-worker", "--tls"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("server.key")), 0o600);
    for segment in std::fs::read_dir(data.join("log")).unwrap() {
        assert_eq!(mode(&segment.unwrap().path()) & 0o077, 0);
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_before_anybody_connects() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("nothing.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let output = tuplix(&["up", "--port", "0", "--no-worker", "--data"])
        .arg(data.path().join("data"))
        .arg("--tls-cert")
        .arg(&file)
        .arg("--tls-key")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nothing.pem"), "{}", text(&output.stderr));
}
