//! What the scheduler's calls take and give.

use std::collections::BTreeMap;

use tuplix::{Result, Value};

use crate::ids::{GraphId, ReceiverId, TaskId, Timestamp};
use crate::procedure::{Fields, or_null};
use crate::scheduler::options::TaskOptions;

/// Who gets a task: the paper's three schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The first worker with room (Figure 2).
    Fifo,
    /// As FIFO in the bucket of the home directory; where none has room the task waits there (Figure 3).
    Locality,
    /// The worker with most room (Figure 4).
    LeastLoaded,
}

/// A task, as it is submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// Who it belongs to.
    pub owner: String,
    /// Its name, for people; 1 to 200 characters.
    pub name: String,
    /// What runs it; `exec`: a Linux process.
    pub kind: String,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Files that it reads; what a worker makes of them is the worker's.
    pub inputs: serde_json::Value,
    /// Files that it writes.
    pub outputs: serde_json::Value,
    /// Cores that it takes.
    pub cores: i32,
    /// Bytes of memory that it takes.
    pub memory: i64,
    /// Higher ones run first.
    pub priority: i32,
    /// Who places it: `fifo`, `locality`, `least_loaded`, `best_fit`, `ageing`, `fair`, NAME for a procedure `os.schedule_NAME`, `@NAME` for
    /// what the class NAME of `os.task_class` has.
    pub policy: String,
    /// Failures after which it fails for good.
    pub max_attempts: i32,
    /// Pause after the first failure; it doubles with each.
    pub backoff_ms: i32,
    /// How long an attempt may take.
    pub timeout_ms: Option<i32>,
    /// Who gets a message when it ends; stands in the task's bucket.
    pub reply_to: Option<ReceiverId>,
    /// How long it waits at least.
    pub delay_ms: i32,
    /// What few tasks ask for.
    pub options: TaskOptions,
}

impl TaskSpec {
    /// A task of one core that is tried once.
    pub fn new(owner: &str, name: &str, program: &str) -> TaskSpec {
        TaskSpec {
            owner: owner.to_owned(),
            name: name.to_owned(),
            kind: "exec".to_owned(),
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            inputs: serde_json::json!([]),
            outputs: serde_json::json!([]),
            cores: 1,
            memory: 0,
            priority: 0,
            policy: "fifo".to_owned(),
            max_attempts: 1,
            backoff_ms: 1000,
            timeout_ms: None,
            reply_to: None,
            delay_ms: 0,
            options: TaskOptions::default(),
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> TaskSpec {
        self.arguments.push(argument.to_owned());
        self
    }
}

/// A task that a worker begins: everything that running it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The task.
    pub task: TaskId,
    /// Its attempt: heartbeat, output and end carry both.
    pub attempt: i32,
    /// Until when it is the worker's.
    pub lease_until: Timestamp,
    /// Its graph.
    pub graph: Option<GraphId>,
    /// Who it belongs to.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// What runs it.
    pub kind: String,
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Files that it reads.
    pub inputs: serde_json::Value,
    /// Files that it writes.
    pub outputs: serde_json::Value,
    /// Cores that it takes.
    pub cores: i32,
    /// Bytes of memory that it takes.
    pub memory: i64,
    /// How long it may take.
    pub timeout_ms: Option<i64>,
    /// The results of the tasks that it needs, by their names.
    pub needs: serde_json::Value,
    /// Its options, with `saved` where it has slept; null for most.
    pub options: serde_json::Value,
}

impl Claim {
    /// A row of `os.claim_tasks`.
    pub(super) fn read(row: Fields<'_>) -> Result<Claim> {
        let mut environment = BTreeMap::new();
        if let serde_json::Value::Object(variables) = row.json(9)? {
            for (name, value) in variables {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                environment.insert(name, value);
            }
        }
        Ok(Claim {
            task: TaskId(row.int(0)?),
            attempt: row.int4(1)?,
            lease_until: row.time(2)?,
            graph: row.int_or_null(3).map(GraphId),
            owner: row.text(4)?,
            name: row.text(5)?,
            kind: row.text(6)?,
            program: row.text(7)?,
            arguments: row.texts(8)?,
            environment,
            inputs: row.json(10)?,
            outputs: row.json(11)?,
            cores: row.int4(12)?,
            memory: row.int(13)?,
            timeout_ms: row.int_or_null(14),
            needs: row.json(15)?,
            options: row.json_or_null(16)?,
        })
    }
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Microseconds of processor time in the program.
    pub user_time_us: Option<i64>,
    /// Microseconds of processor time in the kernel.
    pub system_time_us: Option<i64>,
    /// Bytes of memory at the peak.
    pub peak_memory: Option<i64>,
}

impl Usage {
    pub(super) fn values(&self) -> [Value; 3] {
        [self.user_time_us, self.system_time_us, self.peak_memory].map(|value| or_null(value, Value::Int8))
    }
}

/// What a worker offers to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOffer {
    /// Cores.
    pub cores: i32,
    /// Bytes of memory.
    pub memory: i64,
    /// Where it runs, for people.
    pub host: String,
    /// How long it may be silent before it counts as lost.
    pub lease_ms: i32,
    /// Its machine, whose status it follows.
    pub machine: Option<String>,
    /// Named resources, as in `{"gpu": 2}`.
    pub resources: BTreeMap<String, i64>,
}

impl Default for WorkerOffer {
    fn default() -> WorkerOffer {
        WorkerOffer {
            cores: 1,
            memory: 1 << 30,
            host: String::new(),
            lease_ms: 30_000,
            machine: None,
            resources: BTreeMap::new(),
        }
    }
}

/// The answer to a task's heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Until when the attempt is the worker's.
    pub lease_until: Timestamp,
    /// Its process is to be ended and reported by [`fail_task`](super::Scheduler::fail_task).
    pub cancelling: bool,
}
