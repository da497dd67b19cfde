//! What a task sees of the machine, and what not.

use std::net::TcpListener;

use tuplix_services::scheduler::TaskSpec;
use tuplix_worker::Isolation;

use crate::harness::{Node, OWNER, shell};

#[test]
fn a_task_sees_no_other_processes() {
    let mut node = Node::start();
    if node.is_isolated() {
        // Its init, the shell, ls.
        let seen = node
            .output_of(&shell("ls /proc | grep -c '^[0-9]'; kill -0 1 && echo init; kill -9 1; echo alive"));
        assert!(seen.starts_with('3') || seen.starts_with('4'), "{seen}");
        assert!(seen.ends_with("alive\n"), "{seen}");
    }
}

#[test]
fn a_task_sees_its_folder_and_the_system() {
    let mut node = Node::start();
    if !node.is_isolated() {
        return;
    }
    std::fs::write(node.data().join("secret"), "secret").unwrap();
    let data = node.data().display().to_string();
    let seen = node.output_of(&shell(&format!(
        "ls -A {data} /root /home /var /etc/shadow 2>/dev/null; pwd; ls -A; ls -A /tmp; echo own > /tmp/own; cat /tmp/own"
    )));
    assert_eq!(seen, "/task\nown\n");
    for (write, said) in
        [("/usr/x", "Read-only"), ("/x", "Read-only"), ("/etc/passwd", "Read-only"), ("/dev/x", "")]
    {
        let ended = node.run(&shell(&format!("echo > {write}")));
        ended.failed(said);
    }
    node.run(&shell("mount -t tmpfs none /mnt 2>&1 || mount -o remount,rw / ")).failed("");
    let devices = node.output_of(&shell("ls /dev; head -c 3 /dev/zero | wc -c; echo gone > /dev/null"));
    assert_eq!(devices, "fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n3\n");
}

#[test]
fn a_task_has_no_network_unless_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = shell("grep -c : /proc/net/dev");
    // Bash alone can connect without further programs.
    let connect = TaskSpec::new(OWNER, "connect", "/bin/bash")
        .argument("-c")
        .argument(&format!("exec 3<>/dev/tcp/127.0.0.1/{port}"));
    let mut node = Node::start();
    if !node.is_isolated() {
        return;
    }
    assert_eq!(node.output_of(&count), "1\n");
    // Its own loopback interface is up, and nothing listens there.
    node.run(&connect).failed("Connection refused");
    let mut node = Node::with(|options| options.network = true);
    node.run(&connect).done();
}

#[test]
fn a_task_has_no_capabilities() {
    let mut node = Node::start();
    if node.is_isolated() {
        let sets = node.output_of(&shell(
            "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status | tr -d '\\t'",
        ));
        let none = "0".repeat(16);
        let expected: String =
            ["Inh", "Prm", "Eff", "Bnd", "Amb"].iter().map(|set| format!("Cap{set}:{none}\n")).collect();
        assert_eq!(sets, format!("{expected}NoNewPrivs:1\n"));
    }
}

#[test]
fn readable_folders_are_read_only_and_the_hidden_stay_hidden() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("hidden")).unwrap();
    std::fs::write(folder.path().join("hidden/secret"), "secret").unwrap();
    std::fs::write(folder.path().join("open"), "open").unwrap();
    let path = folder.path().display().to_string();
    let mut node = Node::with(|options| {
        options.readable = vec![folder.path().to_owned()];
        options.hidden = vec![folder.path().join("hidden")];
    });
    if !node.is_isolated() {
        return;
    }
    let seen = node.output_of(&shell(&format!(
        "cat {path}/open; ls {path}/hidden; cat {path}/hidden/secret; echo x > {path}/new; true"
    )));
    assert_eq!(seen, "open");
    assert!(!folder.path().join("new").exists());
}

#[test]
fn isolation_can_be_switched_off() {
    let mut node = Node::with(|options| options.isolation = Isolation::Off);
    let confinement = node.worker.as_ref().unwrap().confinement();
    assert_eq!(confinement.not_isolated.as_deref(), Some("it is switched off"));
    let data = node.data().display().to_string();
    let seen = node
        .output_of(&shell(&format!("ls -d {data}; pwd; echo $HOME; echo > \"$TMPDIR/x\" && echo written")));
    let expected = [0, 1].map(|folder| {
        let files = node.work().join(folder.to_string()).join("files");
        format!("{data}\n{0}\n{0}\nwritten\n", files.display())
    });
    assert!(expected.contains(&seen), "{seen}");
}

#[test]
fn tools_are_in_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("greet");
    std::fs::write(&tool, "#!/bin/sh\necho hello\n").unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&tool, mode).unwrap();
    for isolation in [Isolation::Auto, Isolation::Off] {
        let mut node = Node::with(|options| {
            options.isolation = isolation;
            options.tools = vec![tool.clone()];
        });
        assert_eq!(node.output_of(&TaskSpec::new(OWNER, "greet", "greet")), "hello\n");
    }
}
