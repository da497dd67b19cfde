//! A full disk: said where, and what to do; what was acknowledged before is there when the node has room again.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Node, fed, refused, said, text};

/// A shell as root of a mount namespace of its own.
fn apart() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "/bin/sh", "-euc"]);
    command
}

#[test]
fn a_full_disk_is_said_with_what_to_do() {
    let possible = apart().arg("mount -t tmpfs none /mnt").output().unwrap();
    if !possible.status.success() {
        // Nothing smaller than the machine's own disk can be filled up then.
        eprintln!("this machine permits no mount namespaces: {}", text(&possible.stderr));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    // The disk goes with its namespace, so what is on it is copied when the node has ended.
    let script = "mount -t tmpfs -o size=80m none \"$1\"
                  \"$0\" up --port 0 --partitions 2 --no-worker --data \"$1\" || true
                  cp -a \"$1\"/. \"$2\"";
    let rescued = folder.path().join("rescued");
    fs::create_dir(&rescued).unwrap();
    let mut command = apart();
    command.arg(script).arg(env!("CARGO_BIN_EXE_tuplix")).arg(&data).arg(&rescued).env("USER", "ada");
    let node = Node::of(&mut command);
    // Its folder is seen by nobody else, so its socket is not either.
    let port = node.port.to_string();
    let process = node.greeting.rsplit("kill ").next().unwrap().trim().to_owned();
    let mut inside = Command::new("nsenter");
    inside.args(["--preserve-credentials", "--user", "--mount", "--target", &process]);
    inside.arg(env!("CARGO_BIN_EXE_tuplix")).args(["sql", "--data"]).arg(&data);
    let trusting = inside.arg(tuplix_wire::TRUST_LOOPBACK).env("USER", "ada").output().unwrap();
    assert!(trusting.status.success(), "{}", text(&trusting.stderr));
    fed(&data, &["put", "--port", &port, "-", "small"], b"kept");
    let large = folder.path().join("large");
    fs::write(&large, vec![b'x'; 80 << 20]).unwrap();
    let large = large.to_str().unwrap();
    for arguments in [
        &["put", "--port", &port, large][..],
        &["submit", "--port", &port, "/bin/true"],
        &["sql", "--port", &port, "CREATE TABLE t (a int)"],
    ] {
        let said_no = refused(&data, arguments);
        assert!(
            said_no.contains("53100") && said_no.contains("Free space on the disk"),
            "{arguments:?}: {said_no}"
        );
    }
    let process = Pid::from_raw(process.parse().unwrap()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
    assert!(node.wait().success());
    let _node = Node::start(&rescued);
    assert_eq!(said(&rescued, &["cat", "small"]), "kept");
    said(&rescued, &["check"]);
}

/// Also where not even the first file fits.
#[test]
fn a_start_on_a_full_disk_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for size in ["4k", "64k", "1m"] {
        let script = format!(
            "mount -t tmpfs -o size={size} none \"$1\"; exec \"$0\" up --port 0 --no-worker --data \"$1\"/data"
        );
        let output =
            apart().arg(script).arg(env!("CARGO_BIN_EXE_tuplix")).arg(folder.path()).output().unwrap();
        let said = text(&output.stderr);
        if said.contains("unshare") || said.contains("mount:") {
            eprintln!("this machine permits no mount namespaces: {said}");
            return;
        }
        assert_eq!(output.status.code(), Some(1), "{size}: {said}");
        assert!(said.contains("Free space on the disk"), "{size}: {said}");
    }
}
