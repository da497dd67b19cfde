//! Calls beside a task's plain life: gangs, spawned tasks, sleep, pause, fork, queues, schedules, copies, reasons.

use serde_json::json;
use tuplix::{Result, Rows, Session, SqlError, Value};

use crate::ids::{Bucket, GraphId, TaskId, Timestamp, WorkerId};
use crate::procedure::{Fields, int8_array, or_null, text, text_array};
use crate::scheduler::{Claim, Scheduler, TaskSpec, Usage};

/// A task that a running attempt adds.
#[derive(Clone, Debug)]
pub struct Spawn<'a> {
    /// What it is; its owner is the parent's, and its delay and mailbox are not looked at.
    pub spec: &'a TaskSpec,
    /// Tasks of the graph that it comes after.
    pub needs: &'a [TaskId],
    /// Whether what needs the parent needs it as well.
    pub hold: bool,
}

/// Limits of a queue; `None`: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many of its tasks have a worker at a time.
    pub concurrency: Option<i32>,
    /// How many begin in `rate_ms`.
    pub rate: Option<i32>,
    /// The time of `rate`.
    pub rate_ms: i32,
    /// Queues of higher priority go first.
    pub priority: i32,
    /// Its share among those of its priority.
    pub weight: i32,
    /// How many may wait in it.
    pub queued_max: Option<i32>,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { concurrency: None, rate: None, rate_ms: 1000, priority: 0, weight: 1, queued_max: None }
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron<'a> {
    /// Five fields: minute, hour, day of month, month, day of week.
    pub schedule: &'a str,
    /// Whose clock.
    pub time_zone: &'a str,
    /// What becomes of times that passed while nobody looked: `skip`, `once` or `all`.
    pub missed: &'a str,
    /// A task as a graph describes it, or a graph.
    pub task: &'a serde_json::Value,
}

/// A reason why a task has not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// In a word.
    pub reason: String,
    /// In a sentence.
    pub detail: String,
    /// What would let it begin.
    pub unblocked_by: String,
}

fn one_row<T>(rows: &Rows, read: impl FnOnce(Fields<'_>) -> Result<T>) -> Result<T> {
    match rows.len() {
        1 => read(Fields(rows.row(0))),
        count => Err(SqlError::internal(format!("a procedure of the scheduler gave {count} rows"))),
    }
}

fn json_or_null(value: Option<&serde_json::Value>) -> Value {
    value.map_or(Value::Null, |value| text(&value.to_string()))
}

impl Scheduler {
    /// Submits a gang: its tasks begin together or wait together; its graph.
    ///
    /// # Errors
    /// As [`Scheduler::submit_graph`].
    pub fn submit_gang(
        &self,
        session: &mut Session,
        bucket: Bucket,
        owner: &str,
        description: &serde_json::Value,
    ) -> Result<GraphId> {
        let arguments = [bucket.value(), text(owner), text(&description.to_string())];
        let rows = session.query("SELECT os.submit_gang($1, $2, $3::text::jsonb)", &arguments)?;
        one_row(&rows, |row| Ok(GraphId(row.int(0)?)))
    }

    /// Submits a gang over all buckets where it has room at once, or not at all; its tasks.
    ///
    /// # Errors
    /// `TXS12` where it has not.
    pub fn submit_gang_anywhere(
        &self,
        session: &mut Session,
        owner: &str,
        description: &serde_json::Value,
    ) -> Result<Vec<TaskId>> {
        let arguments = [text(owner), text(&description.to_string())];
        let rows = session.query("SELECT * FROM os.submit_gang_anywhere($1, $2::text::jsonb)", &arguments)?;
        rows.iter().map(|row| Ok(TaskId(Fields(row).int(0)?))).collect()
    }

    /// Submits a task where most room is, over all buckets; its delay, mailbox, files and attempts are not looked at.
    ///
    /// # Errors
    /// As [`Scheduler::submit_task`].
    pub fn submit_anywhere(&self, session: &mut Session, spec: &TaskSpec) -> Result<TaskId> {
        let arguments = [
            text(&spec.owner),
            text(&spec.name),
            text(&spec.program),
            text_array(&spec.arguments),
            text(&json!(spec.environment).to_string()),
            Value::Int4(spec.cores),
            Value::Int8(spec.memory),
            spec.options.value(),
        ];
        let sql = "SELECT os.submit_anywhere($1, $2, $3, $4, $5::text::jsonb, $6, $7, $8::text::jsonb)";
        one_row(&session.query(sql, &arguments)?, |row| Ok(TaskId(row.int(0)?)))
    }

    /// What a worker runs in a bucket: one that restarts takes it over, instead of joining.
    ///
    /// # Errors
    /// The database's.
    pub fn running_tasks(
        &self,
        session: &mut Session,
        bucket: Bucket,
        worker: WorkerId,
    ) -> Result<Vec<Claim>> {
        self.running_tasks.call_rows(session, &[bucket.value(), worker.value()], Claim::read)
    }

    /// As [`Scheduler::finish_task`], with a result that the tasks which need it are given.
    ///
    /// # Errors
    /// As [`Scheduler::finish_task`]; `TXS07` for a result of more than `scheduler.result_bytes_max`.
    pub fn finish_task_with(
        &self,
        session: &mut Session,
        task: TaskId,
        attempt: i32,
        exit_code: i32,
        usage: &Usage,
        result: &serde_json::Value,
    ) -> Result<()> {
        let [user, system, memory] = usage.values();
        let (attempt, exit_code) = (Value::Int4(attempt), Value::Int4(exit_code));
        let result = text(&result.to_string());
        let arguments =
            [task.bucket().value(), task.value(), attempt, exit_code, user, system, memory, result];
        self.finish_task_with.call(session, &arguments).map(drop)
    }

    /// A running attempt adds a task; the same parent and name give the same task again.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` for an attempt that is not the running one, `TXS05` and `TXS07` for a wrong task.
    pub fn spawn_task(
        &self,
        session: &mut Session,
        parent: TaskId,
        attempt: i32,
        spawn: &Spawn<'_>,
    ) -> Result<TaskId> {
        let spec = spawn.spec;
        let mut options = spec.options.json().unwrap_or_else(|| json!({}));
        options["kind"] = json!(spec.kind);
        options["policy"] = json!(spec.policy);
        options["priority"] = json!(spec.priority);
        options["max_attempts"] = json!(spec.max_attempts);
        options["backoff_ms"] = json!(spec.backoff_ms);
        if let Some(timeout) = spec.timeout_ms {
            options["timeout_ms"] = json!(timeout);
        }
        let arguments = [
            parent.bucket().value(),
            parent.value(),
            Value::Int4(attempt),
            text(&spec.name),
            text(&spec.program),
            text_array(&spec.arguments),
            text(&json!(spec.environment).to_string()),
            text(&spec.inputs.to_string()),
            text(&spec.outputs.to_string()),
            Value::Int4(spec.cores),
            Value::Int8(spec.memory),
            text(&options.to_string()),
            int8_array(spawn.needs.iter().map(|task| task.0)),
            Value::Bool(spawn.hold),
        ];
        self.spawn_task.call_row(session, &arguments, |row| Ok(TaskId(row.int(0)?)))
    }

    /// Ends a running attempt; the next one begins after a time, and finds what was saved in its options.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` for an attempt that is not the running one.
    pub fn sleep_task(
        &self,
        session: &mut Session,
        task: TaskId,
        attempt: i32,
        how_long_ms: i64,
        saved: Option<&serde_json::Value>,
    ) -> Result<Timestamp> {
        let (number, pause) = (Value::Int4(attempt), Value::Int8(how_long_ms));
        let arguments = [task.bucket().value(), task.value(), number, pause, json_or_null(saved)];
        self.sleep_task.call_row(session, &arguments, |row| row.time(0))
    }

    /// Runs a task of kind `sql` and ends it, in one transaction; its new state.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` for an attempt that is not the running one, `TXS10` for another kind of task.
    pub fn run_sql_task(&self, session: &mut Session, task: TaskId, attempt: i32) -> Result<String> {
        let arguments = [task.bucket().value(), task.value(), Value::Int4(attempt)];
        self.run_sql_task.call_row(session, &arguments, |row| row.text(0))
    }

    /// A task begins only after [`Scheduler::resume_task`]; its state.
    ///
    /// # Errors
    /// `TXS01` for an unknown task, `TXS10` for one that is over.
    pub fn pause_task(&self, session: &mut Session, task: TaskId) -> Result<String> {
        let rows = session.query("SELECT os.pause_task($1, $2)", &[task.bucket().value(), task.value()])?;
        one_row(&rows, |row| row.text(0))
    }

    /// A paused task may begin; its state.
    ///
    /// # Errors
    /// `TXS01` for an unknown task.
    pub fn resume_task(&self, session: &mut Session, task: TaskId) -> Result<String> {
        let rows = session.query("SELECT os.resume_task($1, $2)", &[task.bucket().value(), task.value()])?;
        one_row(&rows, |row| row.text(0))
    }

    /// No task of a graph begins until [`Scheduler::resume_graph`].
    ///
    /// # Errors
    /// `TXS11` for an unknown graph, `TXS10` for one that is over.
    pub fn pause_graph(&self, session: &mut Session, graph: GraphId) -> Result<()> {
        session.query("SELECT os.pause_graph($1, $2)", &[graph.bucket().value(), graph.value()]).map(drop)
    }

    /// The tasks of a paused graph may begin.
    ///
    /// # Errors
    /// As [`Scheduler::pause_graph`].
    pub fn resume_graph(&self, session: &mut Session, graph: GraphId) -> Result<()> {
        session.query("SELECT os.resume_graph($1, $2)", &[graph.bucket().value(), graph.value()]).map(drop)
    }

    /// Cancels a task, all that need it and all that these have spawned; how many.
    ///
    /// # Errors
    /// `TXS01` for an unknown task.
    pub fn cancel_tree(&self, session: &mut Session, task: TaskId, why: &str) -> Result<i32> {
        let arguments = [task.bucket().value(), task.value(), text(why)];
        let rows = session.query("SELECT os.cancel_tree($1, $2, $3)", &arguments)?;
        one_row(&rows, |row| row.int4(0))
    }

    /// A new graph from one that there is: what is done before a task of this name is kept, the rest runs anew.
    ///
    /// # Errors
    /// `TXS11` for an unknown graph, `TXS01` where it has no such task.
    pub fn fork_graph(&self, session: &mut Session, graph: GraphId, from: &str) -> Result<GraphId> {
        let arguments = [graph.bucket().value(), graph.value(), text(from)];
        let rows = session.query("SELECT os.fork_graph($1, $2, $3)", &arguments)?;
        one_row(&rows, |row| Ok(GraphId(row.int(0)?)))
    }

    /// Begins a second copy of a running task on another worker: the first to finish wins.
    ///
    /// # Errors
    /// `TXS01`, `TXS10` for a task that does not run or has a copy, `TXS12` where no other worker has room.
    pub fn backup_task(&self, session: &mut Session, task: TaskId) -> Result<TaskId> {
        let rows = session.query("SELECT os.backup_task($1, $2)", &[task.bucket().value(), task.value()])?;
        one_row(&rows, |row| Ok(TaskId(row.int(0)?)))
    }

    /// Makes a queue with limits in a bucket, or changes one.
    ///
    /// # Errors
    /// `TXS07` for limits that none can have.
    pub fn make_queue(&self, session: &mut Session, bucket: Bucket, name: &str, queue: &Queue) -> Result<()> {
        let limit = |limit| or_null(limit, Value::Int4);
        let arguments = [
            bucket.value(),
            text(name),
            limit(queue.concurrency),
            limit(queue.rate),
            Value::Int4(queue.rate_ms),
            Value::Int4(queue.priority),
            Value::Int4(queue.weight),
            limit(queue.queued_max),
        ];
        session.query("SELECT os.make_queue($1, $2, $3, $4, $5, $6, $7, $8)", &arguments).map(drop)
    }

    /// No task of a queue begins until [`Scheduler::resume_queue`].
    ///
    /// # Errors
    /// `TXS14` for an unknown queue.
    pub fn pause_queue(&self, session: &mut Session, bucket: Bucket, name: &str) -> Result<()> {
        session.query("SELECT os.pause_queue($1, $2)", &[bucket.value(), text(name)]).map(drop)
    }

    /// The tasks of a paused queue may begin.
    ///
    /// # Errors
    /// `TXS14` for an unknown queue.
    pub fn resume_queue(&self, session: &mut Session, bucket: Bucket, name: &str) -> Result<()> {
        session.query("SELECT os.resume_queue($1, $2)", &[bucket.value(), text(name)]).map(drop)
    }

    /// Submits something whenever a schedule is due; when that is first.
    ///
    /// # Errors
    /// `TXS16` for a schedule that is none, the errors of [`Scheduler::submit_graph`] for what it submits.
    pub fn make_cron(
        &self,
        session: &mut Session,
        bucket: Bucket,
        name: &str,
        owner: &str,
        cron: &Cron<'_>,
    ) -> Result<Timestamp> {
        let arguments = [
            bucket.value(),
            text(name),
            text(owner),
            text(cron.schedule),
            text(&cron.task.to_string()),
            text(cron.time_zone),
            text(cron.missed),
        ];
        let sql = "SELECT os.make_cron($1, $2, $3, $4, $5::text::jsonb, $6, $7)";
        one_row(&session.query(sql, &arguments)?, |row| row.time(0))
    }

    /// A schedule submits nothing more; whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub fn drop_cron(&self, session: &mut Session, bucket: Bucket, name: &str) -> Result<bool> {
        let rows = session.query("SELECT os.drop_cron($1, $2)", &[bucket.value(), text(name)])?;
        one_row(&rows, |row| row.bool(0))
    }

    /// Why a task has not begun, and what would let it.
    ///
    /// # Errors
    /// `TXS01` for an unknown task.
    pub fn why_pending(&self, session: &mut Session, task: TaskId) -> Result<Vec<Pending>> {
        let sql = "SELECT reason, detail, unblocked_by FROM os.why_pending($1, $2)";
        let rows = session.query(sql, &[task.bucket().value(), task.value()])?;
        let read = |row: Fields<'_>| {
            Ok(Pending { reason: row.text(0)?, detail: row.text(1)?, unblocked_by: row.text(2)? })
        };
        rows.iter().map(Fields).map(read).collect()
    }

    /// Notes a machine and what it is made of, as `os.register_machine` describes.
    ///
    /// # Errors
    /// `TXS09` for parts that none has.
    pub fn register_machine(
        &self,
        session: &mut Session,
        machine: &str,
        host: &str,
        parts: &serde_json::Value,
    ) -> Result<()> {
        let arguments = [text(machine), text(host), text(&parts.to_string())];
        session.query("SELECT os.register_machine($1, $2, $3::text::jsonb)", &arguments).map(drop)
    }
}
