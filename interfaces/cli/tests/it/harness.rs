//! Processes of the command.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// What would have a command talk to another node, or as somebody else.
const VARIABLES: [&str; 9] = [
    "TUPLIX_DATA",
    "TUPLIX_HOST",
    "TUPLIX_PORT",
    "TUPLIX_URL",
    "TUPLIX_USER",
    "TUPLIX_TASK_ID",
    "PGPASSWORD",
    "PGSSLMODE",
    "PGSSLROOTCERT",
];

/// The command, not yet run.
pub fn tuplix(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tuplix"));
    command.args(arguments);
    as_ada(&mut command);
    command
}

/// In ada's environment, who has no passwords in a file.
pub fn as_ada(command: &mut Command) {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.env("USER", "ada").env("PGPASSFILE", "/nonexistent/pgpass");
}

/// A running node; killed when dropped.
pub struct Node {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it said when it started.
    pub greeting: String,
    /// Its port.
    pub port: u16,
}

impl Node {
    /// Starts a node on a free port and waits until it serves.
    pub fn start(data: &Path) -> Node {
        Node::with(data, &[])
    }

    pub fn with(data: &Path, more: &[&str]) -> Node {
        let mut command = tuplix(&["up", "--port", "0", "--partitions", "2", "--data"]);
        command.arg(data).args(more);
        Node::of(&mut command)
    }

    /// A node that a command starts.
    pub fn of(command: &mut Command) -> Node {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("stop with") {
            let length = output.read_line(&mut greeting).unwrap();
            assert!(length > 0, "the node did not start: {greeting}");
        }
        let port = greeting.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        Node { child, output, greeting, port }
    }

    /// Lets everybody in by TCP from this machine, without a password.
    pub fn trusts(self, data: &Path) -> Node {
        answer(data, &[], tuplix_wire::TRUST_LOOPBACK);
        self
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM, waits, and returns the status and the last words.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends SIGKILL and waits.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs `tuplix sql` with the query on standard input.
pub fn sql(data: &Path, arguments: &[&str], query: &str) -> Output {
    let mut child = tuplix(&["sql", "--data"])
        .arg(data)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(query.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The same, where it has to succeed: what it printed.
pub fn answer(data: &Path, arguments: &[&str], query: &str) -> String {
    let output = sql(data, arguments, query);
    assert!(output.status.success(), "{query}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command on the node of a data directory, as ada.
pub fn command(data: &Path, arguments: &[&str]) -> Output {
    tuplix(arguments).env("TUPLIX_DATA", data).output().unwrap()
}

/// The same, where it has to succeed: what it printed.
pub fn said(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The same, where it has to fail with status 1: what it printed on standard error.
pub fn refused(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

/// Runs a command with something on standard input, where it has to succeed: what it printed.
pub fn fed(data: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = tuplix(arguments)
        .env("TUPLIX_DATA", data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}
