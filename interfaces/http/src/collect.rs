//! What is told: read when somebody asks, kept nowhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tuplix::{
    CheckpointDone, Machine, NodeEvent, RecoveryReport, Result, SYNC_BOUNDS_US, Session, SessionOptions,
    Tuplix, Value,
};
use tuplix_wire::Statistics;

use crate::text::{Kind, Text};

/// The clock of the machine begins in 2000.
const UNIX_EPOCH_US: i64 = 946_684_800_000_000;

/// Tasks are counted by reading all of them; that is not done again before so many times as long has passed.
const PAUSE: u64 = 20;

const TASKS: &str = "SELECT state, count(*) FROM os.task GROUP BY state";
const WORKERS: &str = "SELECT status, count(DISTINCT worker_id) FROM os.worker GROUP BY status";

/// Checkpoints since the node was started, as its events tell of them.
#[derive(Debug, Default)]
pub struct Checkpoints {
    done: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    microseconds: AtomicU64,
    epoch: AtomicU64,
}

impl Checkpoints {
    /// Takes an event of the node.
    pub fn take(&self, event: &NodeEvent) {
        match event {
            NodeEvent::Checkpoint(CheckpointDone { bytes, microseconds, epoch, .. }) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                self.bytes.store(*bytes, Ordering::Relaxed);
                self.microseconds.store(*microseconds, Ordering::Relaxed);
                self.epoch.store(*epoch, Ordering::Relaxed);
            }
            NodeEvent::CheckpointFailed(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            NodeEvent::Recovering { .. }
            | NodeEvent::BuildingIndexes(_)
            | NodeEvent::NotRemoved(_)
            | NodeEvent::RefusalsNotKept(_) => {}
        }
    }
}

/// A node that is served, and what is told of it.
pub struct Metrics {
    node: Tuplix,
    wire: Arc<Statistics>,
    checkpoints: Arc<Checkpoints>,
    recovery: RecoveryReport,
    machine: Machine,
    started_us: i64,
    counted: Mutex<Counted>,
}

/// What SQL counted, and when it may count again.
#[derive(Default)]
struct Counted {
    session: Option<Session>,
    tasks: BTreeMap<String, i64>,
    workers: BTreeMap<String, i64>,
    next_ns: u64,
}

impl Metrics {
    /// The metrics of a node and its server.
    pub fn new(node: &Tuplix, wire: Arc<Statistics>, checkpoints: Arc<Checkpoints>) -> Metrics {
        let machine = Machine::linux();
        Metrics {
            node: node.clone(),
            wire,
            checkpoints,
            recovery: node.recovery_report(),
            started_us: machine.now_us() + UNIX_EPOCH_US,
            machine,
            counted: Mutex::default(),
        }
    }

    /// Whether the node answers.
    ///
    /// # Errors
    /// Why it does not any more.
    pub(crate) fn health(&self) -> Result<()> {
        self.node.health()
    }

    /// All of them. Blocks: tasks are counted by SQL.
    pub(crate) fn text(&self) -> String {
        let mut text = Text::default();
        self.node(&mut text);
        self.wire(&mut text);
        self.log(&mut text);
        self.disk(&mut text);
        self.services(&mut text);
        text.finish()
    }

    fn node(&self, text: &mut Text) {
        let version = [(env!("CARGO_PKG_VERSION"), 1.0)];
        text.labelled(Kind::Gauge, "tuplix_build_info", "Its label is the version.", "version", version);
        text.one(
            Kind::Gauge,
            "tuplix_start_time_seconds",
            "When the node began to serve, in seconds since 1970.",
            self.started_us as f64 / 1e6,
        );
        text.gauge("tuplix_partitions", "Partitions that run transactions.", self.node.partitions() as u64);
        if let Some(memory) = self.node.memory() {
            text.gauge("tuplix_memory_used_bytes", "Memory of rows and indexes.", memory.used);
            if memory.limit != u64::MAX {
                text.gauge(
                    "tuplix_memory_limit_bytes",
                    "What would grow beyond is refused (53200); absent without a limit.",
                    memory.limit,
                );
            }
        }
    }

    fn wire(&self, text: &mut Text) {
        let counts = self.wire.read();
        text.one(Kind::Gauge, "tuplix_connections", "Sessions that are open.", counts.connections as f64);
        text.counter("tuplix_connections_total", "Sessions that were opened.", counts.connections_accepted);
        text.counter(
            "tuplix_connections_refused_total",
            "Connections not let in.",
            counts.connections_refused,
        );
        text.counter("tuplix_cancel_requests_total", "Cancel requests of clients.", counts.cancel_requests);
        text.counter("tuplix_statements_total", "Statements run, failed ones too.", counts.statements);
        text.counter("tuplix_commits_total", "Transactions committed.", counts.commits);
        text.counter("tuplix_rollbacks_total", "Transactions rolled back.", counts.rollbacks);
        text.counter("tuplix_received_bytes_total", "Bytes from clients.", counts.bytes_received);
        text.counter("tuplix_sent_bytes_total", "Bytes to clients.", counts.bytes_sent);
        let errors = counts.errors.iter().map(|(class, count)| (class.as_str(), *count as f64));
        let help = "Errors sent to clients, by the class of their SQLSTATE.";
        text.labelled(Kind::Counter, "tuplix_errors_total", help, "class", errors);
    }

    fn log(&self, text: &mut Text) {
        let Some(log) = self.node.log_statistics() else { return };
        text.counter("tuplix_log_bytes_total", "Bytes written to the log.", log.bytes);
        text.counter("tuplix_log_records_total", "Transactions written to the log.", log.records);
        text.counter("tuplix_log_epochs_total", "Epochs written, each with one fsync.", log.epochs);
        let durable = self.node.durable_epoch();
        text.gauge("tuplix_log_durable_epoch", "The epoch up to which everything is on disk.", durable);
        let bounds = SYNC_BOUNDS_US.map(|bound| bound as f64 / 1e6);
        let total = log.sync.total_us as f64 / 1e6;
        let help = "How long the write and fsync of an epoch took.";
        text.histogram("tuplix_log_sync_seconds", help, &bounds, &log.sync.counts, total);
        let stopped = f64::from(u8::from(self.health().is_err()));
        text.one(Kind::Gauge, "tuplix_log_stopped", "1 when the log has failed: nothing commits.", stopped);
    }

    fn disk(&self, text: &mut Text) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let checkpoints = &*self.checkpoints;
        text.counter("tuplix_checkpoints_total", "Checkpoints written.", read(&checkpoints.done));
        text.counter(
            "tuplix_checkpoints_failed_total",
            "Checkpoints that failed.",
            read(&checkpoints.failed),
        );
        text.gauge("tuplix_checkpoint_bytes", "Bytes of the last checkpoint.", read(&checkpoints.bytes));
        text.gauge("tuplix_checkpoint_epoch", "The last epoch in it.", read(&checkpoints.epoch));
        text.one(
            Kind::Gauge,
            "tuplix_checkpoint_seconds",
            "How long the last checkpoint took.",
            read(&checkpoints.microseconds) as f64 / 1e6,
        );
        let recovery = &self.recovery;
        text.one(
            Kind::Gauge,
            "tuplix_recovery_seconds",
            "How long the start read checkpoint and log.",
            recovery.microseconds as f64 / 1e6,
        );
        text.gauge("tuplix_recovery_log_bytes", "Bytes of log that the start read.", recovery.bytes);
        text.gauge("tuplix_recovery_transactions", "Transactions that it replayed.", recovery.records);
        let rows = recovery.checkpoint.map_or(0, |checkpoint| checkpoint.rows);
        text.gauge("tuplix_recovery_checkpoint_rows", "Rows of the checkpoint that it read.", rows);
    }

    /// Tasks and workers. Where the services are not installed, or the node is ending, what was counted last is told.
    fn services(&self, text: &mut Text) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.machine.monotonic_ns();
        if now >= counted.next_ns {
            if let Err(error) = counted.count(&self.node) {
                tracing::debug!(event = "metrics_not_counted", sqlstate = %error.sqlstate());
                counted.session = None;
            }
            let took = self.machine.monotonic_ns() - now;
            counted.next_ns = now + took * PAUSE;
        }
        let help = "Tasks that are remembered, by state.";
        text.labelled(Kind::Gauge, "tuplix_tasks", help, "state", samples(&counted.tasks));
        text.labelled(
            Kind::Gauge,
            "tuplix_workers",
            "Workers, by status.",
            "status",
            samples(&counted.workers),
        );
    }
}

fn samples(counts: &BTreeMap<String, i64>) -> impl Iterator<Item = (&str, f64)> {
    counts.iter().map(|(state, count)| (state.as_str(), *count as f64))
}

impl Counted {
    fn count(&mut self, node: &Tuplix) -> Result<()> {
        if self.session.is_none() {
            let options =
                SessionOptions { application_name: "metrics".to_owned(), ..SessionOptions::default() };
            self.session = Some(node.session(&options)?);
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        for (sql, counts) in [(TASKS, &mut self.tasks), (WORKERS, &mut self.workers)] {
            let rows = session.query(sql, &[])?;
            let pair = |row: &[Value]| {
                let [state, count] = row else { return None };
                Some((state.as_str()?.to_owned(), count.as_i64()?))
            };
            *counts = rows.iter().filter_map(pair).collect();
        }
        Ok(())
    }
}
