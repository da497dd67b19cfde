//! Workers in processes of their own: tokens, restarts of the node and of the worker, draining.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Node, answer, command, refused, said, text, tuplix};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A worker; killed when dropped.
pub struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it said when it started.
    pub greeting: String,
}

impl Worker {
    /// Starts a worker by the node's socket.
    pub fn start(data: &Path, folder: &Path, more: &[&str]) -> Worker {
        Worker::begin(data, folder, more).ready()
    }

    /// The same, without waiting for it.
    fn begin(data: &Path, folder: &Path, more: &[&str]) -> Worker {
        Worker::at(&address(data), folder, more)
    }

    fn at(url: &str, folder: &Path, more: &[&str]) -> Worker {
        let mut worker =
            tuplix(&["worker", "--connect", url, "--cores", "2", "--task-memory", "1GiB", "--dir"]);
        worker.arg(folder).args(more).stdout(Stdio::piped()).env("TUPLIX_LOG", "error");
        let mut child = worker.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Worker { child, output, greeting: String::new() }
    }

    fn ready(mut self) -> Worker {
        while !self.greeting.contains("stop with") {
            let length = self.output.read_line(&mut self.greeting).unwrap();
            assert!(length > 0, "the worker did not start: {}", self.greeting);
        }
        self
    }

    /// Its number.
    pub fn id(&self) -> i64 {
        let line = self.greeting.lines().next().unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: its status and its last words.
    fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// Sends SIGTERM and waits.
    pub fn terminate(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends SIGKILL and waits.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A node's socket as an address.
pub fn address(data: &Path) -> String {
    format!("host={} port={} dbname=tuplix user=ada", data.display(), port(data))
}

/// The port in the name of a node's socket.
fn port(data: &Path) -> String {
    let socket = fs::read_dir(data).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_prefix(".s.PGSQL.").map(str::to_owned)
    });
    socket.unwrap()
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !holds() {
        assert!(waited < PATIENCE, "{what} does not come");
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
}

/// Submits a script; its task's number.
fn submit(data: &Path, script: &str) -> String {
    said(data, &["submit", "--", "/bin/sh", "-c", script]).trim().to_owned()
}

/// Submits a script that goes on when a file is there, and waits until it runs.
fn submit_gate(data: &Path, gate: &Path) -> String {
    let (begun, gate) = (gate.with_extension("begun"), gate.display());
    let script = format!(
        "echo begun >> {}; while [ ! -e {gate} ]; do sleep 0.05; done; echo attempt $TUPLIX_TASK_ATTEMPT",
        begun.display()
    );
    let task = submit(data, &script);
    until("the task", || begun.exists());
    task
}

/// A task's attempts.
fn results(data: &Path, task: &str) -> String {
    let query = format!(
        "SELECT attempt, outcome, coalesce(error, '') AS error FROM os.task_result WHERE task_id = {task} ORDER BY 1"
    );
    answer(data, &["--csv"], &query).lines().skip(1).collect::<Vec<_>>().join("\n")
}

/// Without isolation a task sees the files by which tests talk to it.
const OPEN: [&str; 2] = ["--isolation", "off"];

#[test]
fn a_worker_comes_in_by_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = Node::with(&data, &["--no-worker"]);
    let url = format!("postgres://127.0.0.1:{}/tuplix", node.port);
    let token = folder.path().join("token");
    let refusal = |content: &str| {
        fs::write(&token, content).unwrap();
        let worker = tuplix(&["worker", "--connect", &url, "--dir"])
            .arg(folder.path().join("w"))
            .arg("--token-file")
            .arg(&token)
            .output()
            .unwrap();
        assert_eq!(worker.status.code(), Some(1));
        text(&worker.stderr)
    };
    assert!(refusal("builder:guessed").contains("password authentication failed"));
    answer(&data, &[], "CREATE ROLE plain LOGIN PASSWORD 'plain'");
    let error = refusal("plain:plain");
    assert!(error.contains("42501") && error.contains("tuplix worker token"), "{error}");
    fs::write(&token, said(&data, &["worker", "token", "builder", "--runs-as", "ada"])).unwrap();
    let more = ["--token-file", token.to_str().unwrap(), "--id", "77"];
    let worker = Worker::at(&url, &folder.path().join("77"), &more).ready();
    assert!(worker.greeting.contains("worker 77"), "{}", worker.greeting);
    assert!(!worker.greeting.contains(&fs::read_to_string(&token).unwrap()), "{}", worker.greeting);
    let task = submit(&data, "echo from afar");
    said(&data, &["wait", &task]);
    assert_eq!(said(&data, &["logs", "--stdout", &task]), "from afar\n");
    // A function runs as its owner, of whom the worker's role is a member.
    answer(
        &data,
        &[],
        "CREATE FUNCTION who(a int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_user || a; END $$",
    );
    let task = said(&data, &["submit", "--kind", "sql", "--", "who", "41"]).trim().to_owned();
    let ended = said(&data, &["wait", &task]);
    assert!(ended.ends_with("\"ada41\"\n"), "{ended}");
    // Cancelled over the wire.
    answer(
        &data,
        &[],
        "CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1000); END $$",
    );
    let task = said(&data, &["submit", "--kind", "sql", "--", "slow"]).trim().to_owned();
    let state = format!("SELECT state FROM os.task WHERE task_id = {task}");
    until("the function", || answer(&data, &["--csv"], &state).contains("running"));
    said(&data, &["cancel", &task]);
    until("the cancel", || answer(&data, &["--csv"], &state).contains("cancelled"));
    assert!(said(&data, &["worker", "list"]).contains("77"));
    let (status, rest) = worker.terminate();
    assert!(status.success() && rest.contains("stopped"), "{status}: {rest}");
    assert!(!said(&data, &["worker", "list"]).contains("77"));
    said(&data, &["check"]);
}

#[test]
fn what_runs_goes_on_while_the_node_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut node = Node::with(&data, &["--no-worker"]);
    let port = node.port.to_string();
    let worker = Worker::start(&data, &folder.path().join("w"), &OPEN);
    for round in 0..2 {
        let gate = folder.path().join(format!("gate{round}"));
        let task = submit_gate(&data, &gate);
        if round == 0 {
            node.kill();
        } else {
            node.terminate();
        }
        // It ends while nobody is there to be told.
        fs::write(&gate, "").unwrap();
        node = Node::of(
            tuplix(&["up", "--port", &port, "--partitions", "2", "--no-worker", "--data"]).arg(&data),
        );
        said(&data, &["wait", &task]);
        assert_eq!(results(&data, &task), "1,done,");
        assert_eq!(said(&data, &["logs", "--stdout", &task]), "attempt 1\n");
    }
    worker.terminate();
    said(&data, &["check"]);
}

#[test]
fn a_worker_that_was_killed_finds_what_it_ran() {
    let folder = tempfile::tempdir().unwrap();
    let (data, place) = (folder.path().join("data"), folder.path().join("w"));
    let _node = Node::with(&data, &["--no-worker"]);
    let mut worker = Worker::start(&data, &place, &OPEN);
    let number = worker.id();
    for (round, during) in [(0, true), (1, false)] {
        let gate = folder.path().join(format!("gate{round}"));
        let task = submit_gate(&data, &gate);
        worker.kill();
        if during {
            // It ends while its worker is away, and says so when it comes back.
            fs::write(&gate, "").unwrap();
            until("the report", || {
                place.join("work/0/report").exists() || place.join("work/1/report").exists()
            });
            worker = Worker::start(&data, &place, &OPEN);
        } else {
            worker = Worker::start(&data, &place, &OPEN);
            fs::write(&gate, "").unwrap();
        }
        assert_eq!(worker.id(), number);
        said(&data, &["wait", &task]);
        assert_eq!(results(&data, &task), "1,done,", "round {round}");
        assert_eq!(said(&data, &["logs", "--stdout", &task]), "attempt 1\n");
    }
    // One that is adopted can be cancelled.
    let gate = folder.path().join("never");
    let task = submit_gate(&data, &gate);
    worker.kill();
    let worker = Worker::start(&data, &place, &OPEN);
    said(&data, &["cancel", &task]);
    let state = format!("SELECT state FROM os.task WHERE task_id = {task}");
    until("the cancel", || answer(&data, &["--csv"], &state).contains("cancelled"));
    worker.terminate();
    said(&data, &["check"]);
}

/// Nobody renews the lease: the helper ends what it runs by itself, before others begin it.
#[test]
fn what_nobody_counts_on_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (data, place) = (folder.path().join("data"), folder.path().join("w"));
    // The node's own worker finds out that the other one is gone.
    let _node = Node::with(&data, &["--cores", "1", "--isolation", "off"]);
    let blocked = submit_gate(&data, &folder.path().join("first"));
    let more = [&OPEN[..], &["--lease", "2s"]].concat();
    let worker = Worker::start(&data, &place, &more);
    let gate = folder.path().join("gate");
    let task = submit_gate(&data, &gate);
    worker.kill();
    fs::write(folder.path().join("first"), "").unwrap();
    said(&data, &["wait", &blocked]);
    let begun = gate.with_extension("begun");
    until("the second attempt", || fs::read_to_string(&begun).unwrap().lines().count() == 2);
    until("the end of the first", || {
        place.join("work/0/report").exists() || place.join("work/1/report").exists()
    });
    fs::write(&gate, "").unwrap();
    said(&data, &["wait", &task]);
    assert_eq!(said(&data, &["logs", "--stdout", &task]), "attempt 2\n");
    let ended = results(&data, &task);
    assert!(ended.ends_with("2,done,") && ended.contains("1,lost,"), "{ended}");
    // It comes back, and is as new.
    let worker = Worker::start(&data, &place, &more);
    worker.terminate();
    said(&data, &["check"]);
}

#[test]
fn draining_lets_what_runs_come_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _node = Node::with(&data, &["--no-worker"]);
    for from_elsewhere in [true, false] {
        let place = folder.path().join(format!("w{from_elsewhere}"));
        let worker = Worker::start(&data, &place, &OPEN);
        let gate = folder.path().join(format!("gate{from_elsewhere}"));
        let task = submit_gate(&data, &gate);
        let list = ["worker", "list", "--csv"];
        if from_elsewhere {
            let number = worker.id().to_string();
            let told = said(&data, &["worker", "drain", &number]);
            assert!(told.contains("takes no more tasks"), "{told}");
        } else {
            worker.signal(Signal::TERM);
            until("the end of claiming", || {
                let rows = said(&data, &list);
                rows.contains("mixed") || rows.contains("draining")
            });
        }
        let later = submit(&data, "echo later");
        fs::write(&gate, "").unwrap();
        let (status, rest) = worker.wait();
        assert!(status.success() && rest.contains("stopped\n"), "{status}: {rest}");
        assert_eq!(results(&data, &task), "1,done,");
        let state = format!("SELECT state FROM os.task WHERE task_id = {later}");
        assert_eq!(answer(&data, &["--csv"], &state), "state\nqueued\n");
        said(&data, &["cancel", &later]);
    }
    // What takes too long goes back.
    let place = folder.path().join("w");
    let worker = Worker::start(&data, &place, &[&OPEN[..], &["--drain", "100ms"]].concat());
    let task = submit_gate(&data, &folder.path().join("never"));
    let (status, rest) = worker.terminate();
    assert!(status.success() && rest.contains("given back"), "{status}: {rest}");
    assert_eq!(results(&data, &task), "1,lost,its worker stopped");
    assert!(refused(&data, &["worker", "drain", "123456"]).contains("no worker 123456 takes tasks"));
    said(&data, &["check"]);
}

#[test]
fn no_two_workers_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let (data, place) = (folder.path().join("data"), folder.path().join("w"));
    let _node = Node::with(&data, &["--no-worker"]);
    let first = Worker::start(&data, &place, &[]);
    let mut second = Worker::begin(&data, &place, &[]);
    assert_eq!(second.child.wait().unwrap().code(), Some(1));
    // Another directory is another worker.
    let second = Worker::start(&data, &folder.path().join("x"), &[]);
    assert_ne!(first.id(), second.id());
    first.terminate();
    second.terminate();
    let nobody = command(&data, &["worker"]);
    assert!(text(&nobody.stderr).contains("--connect"), "{}", text(&nobody.stderr));
}
