//! Workers, the node and tasks are killed at random under load: nothing is lost, capacity is exact, what runs exactly once has run
//! once, graphs come to their end.
//!
//! `TUPLIX_FAULT_SECONDS` says for how long (CI: a minute), `TUPLIX_FAULT_SEED` which faults.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tuplix::{Session, Tuplix};
use tuplix_services::Bucket;
use tuplix_services::fs::Fs;
use tuplix_services::scheduler::{Scheduler, TaskSpec};

use crate::harness::{Node, answer, said, tuplix};
use crate::workers::{Worker, address, until};

const OWNER: &str = "ada";
const SECONDS: u64 = 15;
const WORKERS: usize = 2;
/// Shorter than the time between some faults, longer than that between others.
const LEASE: &str = "3s";
/// The pause between two submissions.
const PACE: Duration = Duration::from_millis(40);

/// What was submitted, by its number: acknowledged, or perhaps.
#[derive(Default)]
struct Submitted {
    acknowledged: BTreeSet<i32>,
    perhaps: BTreeSet<i32>,
}

/// A small generator, so that a seed names a run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The number as a function, which counts it; as a program, which writes it; as a graph of both.
fn submit(session: &mut Session, scheduler: &Scheduler, number: i32) -> tuplix::Result<()> {
    let home = Bucket::of_name(OWNER);
    let counts = |name: &str, number: i32| {
        json!({"name": name, "kind": "sql", "program": "count_once", "arguments": [number.to_string()], "max_attempts": 100,
               "backoff_ms": 10})
    };
    match number % 3 {
        0 => {
            let mut spec = TaskSpec::new(OWNER, "count", "count_once").argument(&number.to_string());
            (spec.kind, spec.max_attempts, spec.backoff_ms) = ("sql".to_owned(), 100, 10);
            scheduler.submit_task(session, home, &spec).map(drop)
        }
        1 => {
            let mut spec = TaskSpec::new(OWNER, "write", "/bin/sh").argument("-c");
            spec = spec.argument(&format!("echo {number} > out; sleep 0.3"));
            (spec.max_attempts, spec.backoff_ms) = (100, 10);
            spec.outputs = json!([{"path": format!("/home/{OWNER}/faults/{number}"), "from": "out"}]);
            scheduler.submit_task(session, home, &spec).map(drop)
        }
        _ => {
            let shell = json!({"name": "run", "program": "/bin/sh", "arguments": ["-c", "sleep 0.05"], "max_attempts": 100,
                               "backoff_ms": 10, "after": ["first"]});
            let mut last = counts("last", number);
            last["after"] = json!(["run", "first"]);
            let graph = json!({"name": "graph", "tasks": [counts("first", -number), shell, last]});
            scheduler.submit_graph(session, home, OWNER, &graph, None).map(drop)
        }
    }
}

/// Submits until it is told to stop.
fn load(url: &str, stop: &AtomicBool) -> Submitted {
    let mut submitted = Submitted::default();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let opened =
            Tuplix::at(url).and_then(|node| node.session(&Default::default())).and_then(|mut session| {
                let scheduler = Scheduler::new(&mut session)?;
                Ok((session, scheduler))
            });
        let Ok((mut session, scheduler)) = opened else {
            thread::sleep(PACE);
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            if submit(&mut session, &scheduler, number).is_err() {
                submitted.perhaps.insert(number);
                break;
            }
            submitted.acknowledged.insert(number);
            thread::sleep(PACE);
        }
    }
    submitted
}

/// Processes of tasks below a folder.
fn tasks_below(folder: &Path) -> Vec<i32> {
    let marked = format!("TUPLIX_TASK_FOLDER={}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_task =
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(marked.as_bytes()));
        if is_task {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()));
        }
    }
    found
}

/// A node and workers that are killed.
struct Cluster {
    data: PathBuf,
    folder: PathBuf,
    port: String,
    node: Option<Node>,
    workers: Vec<Option<Worker>>,
    draw: Draw,
}

impl Cluster {
    fn start_node(&mut self) {
        let mut up = tuplix(&["up", "--partitions", "2", "--no-worker", "--port", &self.port, "--data"]);
        let node = Node::of(up.arg(&self.data));
        self.port = node.port.to_string();
        self.node = Some(node);
    }

    fn start_worker(&mut self, number: usize) {
        let place = self.folder.join(format!("worker-{number}"));
        let more = ["--isolation", "off", "--lease", LEASE];
        self.workers[number] = Some(Worker::start(&self.data, &place, &more));
    }

    fn pause(&mut self, milliseconds: u64) {
        thread::sleep(Duration::from_millis(self.draw.below(milliseconds)));
    }

    fn fault(&mut self) {
        let number = self.draw.below(WORKERS as u64) as usize;
        match self.draw.below(10) {
            0..4 => {
                self.workers[number].take().unwrap().kill();
                // Sometimes for longer than its lease.
                let away = if self.draw.below(4) == 0 { 5000 } else { 300 };
                self.pause(away);
                self.start_worker(number);
            }
            4..6 => {
                self.node.take().unwrap().kill();
                self.pause(500);
                self.start_node();
            }
            6 => {
                self.workers[number].take().unwrap().kill();
                self.node.take().unwrap().kill();
                self.start_node();
                self.start_worker(number);
            }
            7 => {
                let (status, rest) = self.workers[number].take().unwrap().terminate();
                assert!(status.success(), "{rest}");
                self.start_worker(number);
            }
            _ => {
                let tasks = tasks_below(&self.folder);
                if !tasks.is_empty() {
                    let one = tasks[self.draw.below(tasks.len() as u64) as usize];
                    // It may have ended meanwhile.
                    let _ = kill_process(Pid::from_raw(one).unwrap(), Signal::KILL);
                }
            }
        }
    }
}

fn column(data: &Path, query: &str) -> Vec<i32> {
    answer(data, &["--csv"], query).lines().skip(1).map(|line| line.parse().unwrap()).collect()
}

#[test]
fn whatever_is_killed_everything_comes_to_its_end_once() {
    let folder = tempfile::tempdir().unwrap();
    let (seconds, seed) = (setting("TUPLIX_FAULT_SECONDS", SECONDS), setting("TUPLIX_FAULT_SEED", 1));
    eprintln!("{seconds} s of faults, seed {seed}");
    let data = folder.path().join("data");
    let workers = (0..WORKERS).map(|_| None).collect();
    let (folder_path, port) = (folder.path().to_owned(), "0".to_owned());
    let mut cluster =
        Cluster { data: data.clone(), folder: folder_path, port, node: None, workers, draw: Draw(seed) };
    cluster.start_node();
    answer(
        &data,
        &[],
        "CREATE TABLE counted (number int NOT NULL);
         CREATE FUNCTION count_once(number int) RETURNS void LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO counted VALUES (number); END $$;
         SELECT os.set_setting('scheduler.losses_max', 1000000)",
    );
    (0..WORKERS).for_each(|number| cluster.start_worker(number));
    let url = address(&data);
    let stop = Arc::new(AtomicBool::new(false));
    let submitting = thread::spawn({
        let stop = stop.clone();
        move || load(&url, &stop)
    });
    let machine = tuplix_machine::Machine::linux();
    let end = machine.monotonic_ns() + seconds * 1_000_000_000;
    while machine.monotonic_ns() < end {
        cluster.pause(600);
        cluster.fault();
    }
    stop.store(true, Ordering::Relaxed);
    let submitted = submitting.join().unwrap();
    eprintln!("{} acknowledged, {} perhaps", submitted.acknowledged.len(), submitted.perhaps.len());
    let open = "SELECT count(*)::int FROM os.task WHERE state NOT IN ('done', 'failed', 'cancelled')";
    until("the end of all tasks", || column(&data, open) == [0]);
    cluster.workers.drain(..).for_each(|worker| assert!(worker.unwrap().terminate().0.success()));
    check(&data, &submitted);
    assert_eq!(tasks_below(folder.path()), Vec::<i32>::new(), "processes live on");
}

/// All of it is there, once.
fn check(data: &Path, submitted: &Submitted) {
    let not_done = "SELECT t.task_id, s.name, t.state, r.error FROM os.task t JOIN os.task_spec s USING (p_key, task_id)
                      LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
                     WHERE t.state <> 'done'";
    assert_eq!(answer(data, &["--csv"], not_done).lines().count(), 1, "{}", answer(data, &[], not_done));
    let graphs = "SELECT count(*)::int FROM os.graph WHERE state <> 'done'";
    assert_eq!(column(data, graphs), [0]);
    let twice = column(data, "SELECT number FROM counted GROUP BY number HAVING count(*) > 1");
    assert_eq!(twice, Vec::<i32>::new(), "ran more than once");
    let counted: BTreeSet<i32> = column(data, "SELECT number FROM counted").into_iter().collect();
    let mut session = Tuplix::at(&address(data)).unwrap().session(&Default::default()).unwrap();
    let fs = Fs::new(&mut session).unwrap();
    let home = Bucket::of_name(OWNER);
    for number in &submitted.acknowledged {
        let there = match number % 3 {
            0 => counted.contains(number),
            1 => {
                let path = format!("/home/{OWNER}/faults/{number}");
                let written = fs.get(&mut session, home, &path).unwrap();
                written.data[..] == *format!("{number}\n").as_bytes()
            }
            _ => counted.contains(number) && counted.contains(&-number),
        };
        assert!(there, "{number} was acknowledged and is lost");
    }
    let known = |number: &i32| {
        let number = number.abs();
        submitted.acknowledged.contains(&number) || submitted.perhaps.contains(&number)
    };
    assert!(counted.iter().all(known), "something ran that nobody submitted");
    // Capacity, leases, queues and the rest: the services' invariants.
    said(data, &["check"]);
}
