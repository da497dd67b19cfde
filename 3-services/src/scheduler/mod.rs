//! Workers, tasks and graphs.
//!
//! A task is submitted to its owner's home bucket, assigned to a worker there by a policy, claimed by that worker, and ended
//! by it. Everything after the claim carries (task, attempt): a worker that lost its lease is refused and leaves no effect.
//!
//! Wake-ups, by LISTEN: `os_worker_ID` (payload: the bucket in which tasks were assigned, or `cancel TASK`), `os_graph_ID`
//! (payload: a task and its final state, or `cancelled`), `os_task_ID` (a task without a graph; payload: its final state) and `os_timer`
//! (payload: a bucket whose [`Scheduler::tick`] has something due).

mod control;
mod options;
mod sql;
mod types;

use tuplix::{Result, Session, Value};

use crate::ids::{Bucket, GraphId, ReceiverId, TaskId, Timestamp, WorkerId};
use crate::procedure::{Fields, Procedure, or_null, text, text_array};
use options::resources_value;

pub use control::{Cron, Pending, Queue, Spawn};
pub use options::TaskOptions;
pub use sql::SERVICE;
pub use types::{Claim, Heartbeat, Policy, TaskSpec, Usage, WorkerOffer};

/// The columns of a claim.
const CLAIM: &str = "SELECT task_id, attempt, lease_until, graph_id, owner, name, kind, program, arguments, environment::text,
       inputs::text, outputs::text, cores, memory, timeout_ms, needs::text, options::text FROM";

/// The scheduler's calls, prepared in one session; every call takes that session.
#[derive(Debug)]
pub struct Scheduler {
    schedule_fifo: Procedure,
    schedule_locality: Procedure,
    schedule_least_loaded: Procedure,
    submit_task: Procedure,
    submit_graph: Procedure,
    drain_queue: Procedure,
    claim_tasks: Procedure,
    heartbeat_worker: Procedure,
    heartbeat_task: Procedure,
    running_tasks: Procedure,
    finish_task: Procedure,
    finish_task_with: Procedure,
    spawn_task: Procedure,
    sleep_task: Procedure,
    run_sql_task: Procedure,
    fail_task: Procedure,
    return_task: Procedure,
    retry_task: Procedure,
    cancel_task: Procedure,
    cancel_graph: Procedure,
    join_worker: Procedure,
    leave_worker: Procedure,
    tick: Procedure,
    sweep_tasks: Procedure,
}

impl Scheduler {
    /// Prepares the calls.
    ///
    /// # Errors
    /// 42883 where the services are not installed.
    pub fn new(session: &mut Session) -> Result<Scheduler> {
        let mut prepare = |sql| Procedure::new(session, sql);
        Ok(Scheduler {
            schedule_fifo: prepare("SELECT os.schedule_fifo($1, $2, $3, $4)")?,
            schedule_locality: prepare("SELECT os.schedule_locality($1, $2, $3, $4)")?,
            schedule_least_loaded: prepare("SELECT os.schedule_least_loaded($1, $2, $3, $4)")?,
            submit_task: prepare(
                "SELECT os.submit_task($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8::text::jsonb, $9, $10, $11, $12,
                                       $13, $14, $15, $16, $17, $18, $19::text::jsonb)",
            )?,
            submit_graph: prepare("SELECT os.submit_graph($1, $2, $3::text::jsonb, $4)")?,
            drain_queue: prepare("SELECT os.drain_queue($1)")?,
            claim_tasks: prepare(&format!("{CLAIM} os.claim_tasks($1, $2, $3)"))?,
            running_tasks: prepare(&format!("{CLAIM} os.running_tasks($1, $2)"))?,
            finish_task_with: prepare("SELECT os.finish_task($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)")?,
            spawn_task: prepare(
                "SELECT os.spawn_task($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::jsonb, $9::text::jsonb, $10, $11,
                                      $12::text::jsonb, $13, $14)",
            )?,
            sleep_task: prepare("SELECT os.sleep_task($1, $2, $3, $4, $5::text::jsonb)")?,
            run_sql_task: prepare("SELECT os.run_sql_task($1, $2, $3)")?,
            heartbeat_worker: prepare("SELECT os.heartbeat_worker($1, $2)")?,
            heartbeat_task: prepare("SELECT until, cancelling FROM os.heartbeat_task($1, $2, $3)")?,
            finish_task: prepare("SELECT os.finish_task($1, $2, $3, $4, $5, $6, $7)")?,
            fail_task: prepare("SELECT os.fail_task($1, $2, $3, $4, $5, $6, $7, $8, $9)")?,
            return_task: prepare("SELECT os.return_task($1, $2, $3, $4)")?,
            retry_task: prepare("SELECT os.retry_task($1, $2)")?,
            cancel_task: prepare("SELECT os.cancel_task($1, $2, $3)")?,
            cancel_graph: prepare("SELECT os.cancel_graph($1, $2, $3)")?,
            join_worker: prepare("SELECT os.join_worker($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)")?,
            leave_worker: prepare("SELECT os.leave_worker($1, $2)")?,
            tick: prepare("SELECT os.tick_scheduler($1)")?,
            sweep_tasks: prepare("SELECT task_id, owner FROM os.sweep_tasks($1, $2)")?,
        })
    }

    /// The paper's schedulers: gives a task to a worker of a bucket that has room for it; `None` where none has, then the
    /// caller tries another bucket (FIFO, least loaded) or the task waits in this one (locality).
    ///
    /// # Errors
    /// The database's.
    pub fn schedule(
        &self,
        session: &mut Session,
        policy: Policy,
        bucket: Bucket,
        task: TaskId,
        cores: i32,
        memory: i64,
    ) -> Result<Option<WorkerId>> {
        let procedure = match policy {
            Policy::Fifo => &self.schedule_fifo,
            Policy::Locality => &self.schedule_locality,
            Policy::LeastLoaded => &self.schedule_least_loaded,
        };
        let arguments = [bucket.value(), task.value(), Value::Int4(cores), Value::Int8(memory)];
        procedure.call_row(session, &arguments, |row| Ok(row.int_or_null(0).map(WorkerId)))
    }

    /// Submits a task to a bucket, its owner's home.
    ///
    /// # Errors
    /// `TXS07` for a specification that no task can have, `TXS08` when the queue is full.
    pub fn submit_task(&self, session: &mut Session, bucket: Bucket, spec: &TaskSpec) -> Result<TaskId> {
        self.submit_task.call_row(session, &spec.arguments_of_submit(bucket), |row| Ok(TaskId(row.int(0)?)))
    }

    /// Submits a graph: `{"name": ..., "tasks": [{"name": ..., "program": ..., "after": [...], ...}]}`; the scheduler's README
    /// has all keys. `reply_to` gets a message for each task that ends.
    ///
    /// # Errors
    /// `TXS04` to `TXS07` for a graph with a cycle, an unknown or duplicate name or a wrong shape; `TXS08` when the queue is full.
    pub fn submit_graph(
        &self,
        session: &mut Session,
        bucket: Bucket,
        owner: &str,
        description: &serde_json::Value,
        reply_to: Option<ReceiverId>,
    ) -> Result<GraphId> {
        let description = text(&description.to_string());
        let arguments = [bucket.value(), text(owner), description, or_null(reply_to, ReceiverId::value)];
        self.submit_graph.call_row(session, &arguments, |row| Ok(GraphId(row.int(0)?)))
    }

    /// Gives queued tasks of a bucket to workers that have room; how many. The other calls do it by themselves.
    ///
    /// # Errors
    /// The database's.
    pub fn drain_queue(&self, session: &mut Session, bucket: Bucket) -> Result<i32> {
        self.drain_queue.call_row(session, &[bucket.value()], |row| row.int4(0))
    }

    /// Begins up to `count` tasks that are assigned to a worker.
    ///
    /// # Errors
    /// `TXS03` when the worker does not work in the bucket.
    pub fn claim_tasks(
        &self,
        session: &mut Session,
        bucket: Bucket,
        worker: WorkerId,
        count: i32,
    ) -> Result<Vec<Claim>> {
        self.claim_tasks.call_rows(
            session,
            &[bucket.value(), worker.value(), Value::Int4(count)],
            Claim::read,
        )
    }

    /// Renews the leases of a worker and of all that it runs in a bucket; until when.
    ///
    /// # Errors
    /// `TXS03` when it does not work there (any more): it ends its tasks and joins again.
    pub fn heartbeat_worker(
        &self,
        session: &mut Session,
        bucket: Bucket,
        worker: WorkerId,
    ) -> Result<Timestamp> {
        self.heartbeat_worker.call_row(session, &[bucket.value(), worker.value()], |row| row.time(0))
    }

    /// Renews the lease of one attempt.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` when it is not the running one.
    pub fn heartbeat_task(&self, session: &mut Session, task: TaskId, attempt: i32) -> Result<Heartbeat> {
        let arguments = [task.bucket().value(), task.value(), Value::Int4(attempt)];
        let read = |row: Fields<'_>| Ok(Heartbeat { lease_until: row.time(0)?, cancelling: row.bool(1)? });
        self.heartbeat_task.call_row(session, &arguments, read)
    }

    /// Ends an attempt that succeeded. In a transaction with what the task wrote, both become visible at once.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` when it is not the running one, or is being cancelled.
    pub fn finish_task(
        &self,
        session: &mut Session,
        task: TaskId,
        attempt: i32,
        exit_code: i32,
        usage: &Usage,
    ) -> Result<()> {
        let [user, system, memory] = usage.values();
        let (task_id, attempt, exit_code) = (task.value(), Value::Int4(attempt), Value::Int4(exit_code));
        let arguments = [task.bucket().value(), task_id, attempt, exit_code, user, system, memory];
        self.finish_task.call(session, &arguments).map(drop)
    }

    /// Ends an attempt that failed; the task's new state: `delayed`, `failed` or `cancelled`. It is tried again while its
    /// specification allows it and `may_retry` says so.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` when it is not the running one.
    #[allow(clippy::too_many_arguments)]
    pub fn fail_task(
        &self,
        session: &mut Session,
        task: TaskId,
        attempt: i32,
        error: &str,
        exit_code: Option<i32>,
        usage: &Usage,
        may_retry: bool,
    ) -> Result<String> {
        let [user, system, memory] = usage.values();
        let exit_code = or_null(exit_code, Value::Int4);
        let (task_id, attempt, retry) = (task.value(), Value::Int4(attempt), Value::Bool(may_retry));
        let arguments =
            [task.bucket().value(), task_id, attempt, text(error), exit_code, user, system, memory, retry];
        self.fail_task.call_row(session, &arguments, |row| row.text(0))
    }

    /// Gives back an attempt that a stopping worker began; the task is queued again. Neither a failure nor a loss.
    ///
    /// # Errors
    /// `TXS01` and `TXS02` when it is not the running one.
    pub fn return_task(&self, session: &mut Session, task: TaskId, attempt: i32, why: &str) -> Result<()> {
        let arguments = [task.bucket().value(), task.value(), Value::Int4(attempt), text(why)];
        self.return_task.call(session, &arguments).map(drop)
    }

    /// Lets a failed or cancelled task live again, and those that were cancelled because of it; its new state.
    ///
    /// # Errors
    /// `TXS01` for an unknown task, `TXS10` for one in another state.
    pub fn retry_task(&self, session: &mut Session, task: TaskId) -> Result<String> {
        self.retry_task.call_row(session, &[task.bucket().value(), task.value()], |row| row.text(0))
    }

    /// Cancels a task and those that need it; `cancelled`, or `cancelling` while its worker ends its process.
    ///
    /// # Errors
    /// `TXS01` for an unknown task, `TXS10` for one that is over.
    pub fn cancel_task(&self, session: &mut Session, task: TaskId, why: &str) -> Result<String> {
        let arguments = [task.bucket().value(), task.value(), text(why)];
        self.cancel_task.call_row(session, &arguments, |row| row.text(0))
    }

    /// Cancels all tasks of a graph that are not over; how many.
    ///
    /// # Errors
    /// `TXS11` for an unknown graph.
    pub fn cancel_graph(&self, session: &mut Session, graph: GraphId, why: &str) -> Result<i32> {
        let arguments = [graph.bucket().value(), graph.value(), text(why)];
        self.cancel_graph.call_row(session, &arguments, |row| row.int4(0))
    }

    /// Forgets tasks and graphs of a bucket that ended longer ago than the setting `scheduler.history_ms`, about `count` of them: the
    /// tasks and their owners, for those of the caller that it keeps beside them.
    ///
    /// # Errors
    /// The database's.
    pub fn sweep_tasks(
        &self,
        session: &mut Session,
        bucket: Bucket,
        count: i32,
    ) -> Result<Vec<(TaskId, Option<String>)>> {
        self.sweep_tasks.call_rows(session, &[bucket.value(), Value::Int4(count)], |row| {
            Ok((TaskId(row.int(0)?), row.text_or_null(1)))
        })
    }

    /// A worker begins, or begins anew, to serve a bucket; until when its lease holds. What it held there before is lost.
    ///
    /// # Errors
    /// `TXS09` for an offer of nothing, `TXO01` for a bucket that is none.
    pub fn join_worker(
        &self,
        session: &mut Session,
        bucket: Bucket,
        worker: WorkerId,
        offer: &WorkerOffer,
    ) -> Result<Timestamp> {
        let (cores, memory) = (Value::Int4(offer.cores), Value::Int8(offer.memory));
        let (host, lease) = (text(&offer.host), Value::Int4(offer.lease_ms));
        let machine = or_null(offer.machine.as_deref(), text);
        let resources = resources_value(&offer.resources);
        let arguments = [bucket.value(), worker.value(), cores, memory, host, lease, machine, resources];
        self.join_worker.call_row(session, &arguments, |row| row.time(0))
    }

    /// A worker takes no more tasks of a bucket; `left`, or `draining` while it still runs some.
    ///
    /// # Errors
    /// `TXS03` when it does not work there.
    pub fn leave_worker(&self, session: &mut Session, bucket: Bucket, worker: WorkerId) -> Result<String> {
        self.leave_worker.call_row(session, &[bucket.value(), worker.value()], |row| row.text(0))
    }

    /// Does what is due in a bucket: delayed tasks run, workers and attempts whose lease ended are lost. When to come again;
    /// `None` while nothing waits for time.
    ///
    /// # Errors
    /// The database's.
    pub fn tick(&self, session: &mut Session, bucket: Bucket) -> Result<Option<Timestamp>> {
        self.tick.call_row(session, &[bucket.value()], |row| Ok(row.time_or_null(0)))
    }
}

/// The arguments of `os.submit_task`, in its order.
impl TaskSpec {
    fn arguments_of_submit(&self, bucket: Bucket) -> [Value; 19] {
        let environment = serde_json::Value::Object(
            self.environment.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
        );
        [
            bucket.value(),
            text(&self.owner),
            text(&self.name),
            text(&self.program),
            text_array(&self.arguments),
            text(&environment.to_string()),
            text(&self.inputs.to_string()),
            text(&self.outputs.to_string()),
            Value::Int4(self.cores),
            Value::Int8(self.memory),
            Value::Int4(self.priority),
            text(&self.policy),
            Value::Int4(self.max_attempts),
            Value::Int4(self.backoff_ms),
            or_null(self.timeout_ms, Value::Int4),
            or_null(self.reply_to, ReceiverId::value),
            text(&self.kind),
            Value::Int4(self.delay_ms),
            self.options.value(),
        ]
    }
}
