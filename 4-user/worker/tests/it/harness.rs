//! A node in a folder of its own, and a worker on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tuplix::{Session, Tuplix, Value};
use tuplix_services::fs::{Fs, Writer};
use tuplix_services::scheduler::{Scheduler, TaskSpec};
use tuplix_services::{Bucket, TaskId, WorkerId};
use tuplix_worker::{RunnerCommand, Stream, Worker, WorkerOptions, log_path};

/// Whose tasks they are.
pub const OWNER: &str = "ada";

/// The worker's identifier.
pub const WORKER: WorkerId = WorkerId(1);

/// Longer than anything here takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node with a worker, which stops with it.
pub struct Node {
    pub node: Tuplix,
    pub session: Session,
    pub scheduler: Scheduler,
    pub fs: Fs,
    pub worker: Option<Worker>,
    folder: tempfile::TempDir,
}

/// How the last attempt of a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub state: String,
    pub attempt: i32,
    pub outcome: String,
    pub exit_code: Option<i64>,
    pub error: String,
    pub cpu_us: i64,
    pub peak_memory: i64,
}

impl Ended {
    /// Asserts that it is done.
    #[track_caller]
    pub fn done(self) -> Ended {
        assert_eq!((self.state.as_str(), self.outcome.as_str()), ("done", "done"), "{self:?}");
        self
    }

    /// Asserts that it failed, with this in its error.
    #[track_caller]
    pub fn failed(self, said: &str) -> Ended {
        assert_eq!((self.state.as_str(), self.outcome.as_str()), ("failed", "failed"), "{self:?}");
        assert!(self.error.contains(said), "{self:?}");
        self
    }
}

/// A shell script as a task.
pub fn shell(script: &str) -> TaskSpec {
    TaskSpec::new(OWNER, "script", "/bin/sh").argument("-c").argument(script)
}

impl Node {
    /// A node whose worker has two cores and a gigabyte.
    pub fn start() -> Node {
        Node::with(|_| {})
    }

    /// The same, set up otherwise.
    pub fn with(change: impl FnOnce(&mut WorkerOptions)) -> Node {
        let mut node = Node::without_worker();
        node.join(change);
        node
    }

    /// A node that runs nothing.
    pub fn without_worker() -> Node {
        let folder = tempfile::tempdir().unwrap();
        let node = Tuplix::open(folder.path().join("data")).unwrap();
        let mut session = node.session(&Default::default()).unwrap();
        tuplix_services::install(&mut session).unwrap();
        let (scheduler, fs) = (Scheduler::new(&mut session).unwrap(), Fs::new(&mut session).unwrap());
        fs.add_user(&mut session, OWNER, None).unwrap();
        Node { node, session, scheduler, fs, worker: None, folder }
    }

    /// Starts a worker.
    pub fn join(&mut self, change: impl FnOnce(&mut WorkerOptions)) {
        let mut options = WorkerOptions::new(WORKER, self.work());
        options.runner = runner(&[]);
        (options.cores, options.memory) = (2, 1 << 30);
        options.hidden = vec![self.data()];
        change(&mut options);
        self.worker = Some(Worker::start(&self.node, options).unwrap());
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where its tasks have their folders.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("data/work")
    }

    /// The tasks' bucket.
    pub fn home() -> Bucket {
        Bucket::of_name(OWNER)
    }

    /// Whether tasks are isolated here; where the machine does not permit it, the worker has to say why.
    pub fn is_isolated(&self) -> bool {
        let not_isolated = &self.worker.as_ref().unwrap().confinement().not_isolated;
        if let Some(why) = not_isolated {
            assert!(!why.is_empty());
            eprintln!("not isolated on this machine: {why}");
        }
        not_isolated.is_none()
    }

    pub fn submit(&mut self, spec: &TaskSpec) -> TaskId {
        self.scheduler.submit_task(&mut self.session, Node::home(), spec).unwrap()
    }

    /// Submits a task and waits for its end.
    pub fn run(&mut self, spec: &TaskSpec) -> Ended {
        let task = self.submit(spec);
        self.wait(task)
    }

    /// Waits for a task's end.
    pub fn wait(&mut self, task: TaskId) -> Ended {
        self.wait_for(task, &["done", "failed", "cancelled"]);
        self.ended(task)
    }

    /// Waits until a task is in one of these states. Its program may be a moment away from running then.
    pub fn wait_for(&mut self, task: TaskId, states: &[&str]) {
        self.session.execute(&format!("LISTEN os_task_{task}; LISTEN os_worker_{WORKER}")).unwrap();
        let state = "SELECT state FROM os.task WHERE p_key = os.bucket($1::bigint) AND task_id = $1";
        self.until(|node| {
            let rows = node.session.query(state, &[Value::Int8(task.0)]).unwrap();
            let state = rows.get(0, 0).and_then(Value::as_str).unwrap();
            states.contains(&state)
        });
        self.session.execute("UNLISTEN *").unwrap();
    }

    /// Waits until something holds, looking whenever there is news, and now and then where nothing tells.
    pub fn until(&mut self, mut holds: impl FnMut(&mut Node) -> bool) {
        /// Claims are not announced, nor is what a program does.
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        while !holds(self) {
            assert!(waited < PATIENCE, "it does not come");
            if self.session.wait_notifications(LOOK_EVERY).unwrap().is_empty() {
                waited += LOOK_EVERY;
            }
        }
    }

    /// How the last attempt of a task ended.
    pub fn ended(&mut self, task: TaskId) -> Ended {
        let sql = "SELECT t.state, t.attempt, r.outcome, r.exit_code, r.error, r.user_time_us + r.system_time_us, r.peak_memory
                     FROM os.task t
                     LEFT JOIN os.task_result r ON r.p_key = t.p_key AND r.task_id = t.task_id AND r.attempt = t.attempt
                    WHERE t.p_key = os.bucket($1::bigint) AND t.task_id = $1";
        let rows = self.session.query(sql, &[Value::Int8(task.0)]).unwrap();
        let number = |column| rows.get(0, column).and_then(Value::as_i64);
        let text = |column| rows.get(0, column).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ended {
            state: text(0),
            attempt: i32::try_from(number(1).unwrap()).unwrap(),
            outcome: text(2),
            exit_code: number(3),
            error: text(4),
            cpu_us: number(5).unwrap_or(-1),
            peak_memory: number(6).unwrap_or(-1),
        }
    }

    /// The results of a task: attempt, outcome and error, joined by `|`.
    pub fn results(&mut self, task: TaskId) -> Vec<String> {
        let sql = "SELECT attempt::text || '|' || outcome || '|' || coalesce(error, '') FROM os.task_result
                    WHERE p_key = os.bucket($1::bigint) AND task_id = $1 ORDER BY attempt";
        let rows = self.session.query(sql, &[Value::Int8(task.0)]).unwrap();
        rows.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
    }

    /// What a task's first attempt wrote.
    pub fn output(&mut self, task: TaskId) -> String {
        self.log(task, 1, Stream::Stdout).unwrap()
    }

    /// What an attempt wrote; `None` where nothing was kept.
    pub fn log(&mut self, task: TaskId, attempt: i32, stream: Stream) -> Option<String> {
        self.get(&log_path(OWNER, task, attempt, stream))
    }

    /// Submits a task, which has to succeed; what it wrote to standard output.
    pub fn output_of(&mut self, spec: &TaskSpec) -> String {
        let task = self.submit(spec);
        self.wait(task).done();
        self.output(task)
    }

    pub fn put(&mut self, path: &str, data: &[u8]) {
        let bucket = self.fs.bucket_of(&mut self.session, path).unwrap();
        if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            self.fs.make_directory(&mut self.session, bucket, parent, Writer::user(OWNER), true).unwrap();
        }
        self.fs.put(&mut self.session, bucket, path, data, Writer::user(OWNER)).unwrap();
    }

    /// A file's text; `None` where there is none.
    pub fn get(&mut self, path: &str) -> Option<String> {
        let bucket = self.fs.bucket_of(&mut self.session, path).unwrap();
        let found = self.fs.get(&mut self.session, bucket, path);
        found.ok().map(|content| String::from_utf8_lossy(&content.data).into_owned())
    }

    /// The task that was submitted last.
    pub fn last_task(&mut self) -> i64 {
        let rows = self.session.query("SELECT max(task_id) FROM os.task", &[]).unwrap();
        rows.get(0, 0).and_then(Value::as_i64).unwrap()
    }
}

/// What starts a helper process of the tests.
pub fn runner(arguments: &[&str]) -> RunnerCommand {
    RunnerCommand {
        program: Path::new(env!("CARGO_BIN_EXE_tuplix-task-runner")).to_owned(),
        arguments: arguments.iter().map(Into::into).collect(),
    }
}

/// The process of this command line.
pub fn find(wanted: &[&str]) -> Option<i32> {
    let wanted = wanted.join("\0") + "\0";
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let found = line == wanted.as_bytes();
        found.then(|| entry.file_name().to_str().unwrap().parse().ok()).flatten()
    })
}

/// A time to sleep that no other process sleeps.
pub fn unique(number: u32) -> String {
    format!("{}{number:02}", std::process::id())
}

impl Drop for Node {
    fn drop(&mut self) {
        let stopped = self.worker.take().map_or(Ok(()), Worker::stop);
        if std::thread::panicking() {
            return;
        }
        stopped.unwrap();
        let violations = tuplix_services::check(&mut self.session).unwrap();
        assert_eq!(violations, []);
        let left: Vec<_> = std::fs::read_dir(self.work()).map_or_else(|_| Vec::new(), |list| list.collect());
        assert!(left.is_empty(), "tasks left their folders: {left:?}");
    }
}
