//! Level 4: a worker, which runs tasks: Linux processes, and functions in the database.
//!
//! ```text
//! worker        joins, claims, heartbeats; one thread a core runs tasks      room, pulse, task_thread, link, adopt
//! runtime       what runs a kind of task: exec, sql                          ground: the transaction that ends it
//! exec          inputs -> program -> logs and outputs with the task's state  folder, files, environment, outcome
//! runner        a helper process that starts the programs, isolated          memory, orphans
//! ```
//!
//! A worker keeps no state: what it may do stands in the scheduler's tables, under leases, and what an attempt leaves is
//! written in the transaction that ends it. It works in a node's own process, with which it ends, or over a connection: then
//! it connects again when the node was lost, and adopts what it left running when it was killed itself.

mod adopt;
mod environment;
mod errors;
mod files;
mod folder;
mod ground;
mod held;
mod link;
mod logs;
mod options;
mod outcome;
mod pulse;
mod room;
mod runner;
mod runtime;
mod stopper;
mod sweep;
mod task_thread;
mod worker;

pub use errors::WorkerError;
pub use files::{LOG_BYTES_MAX, TASK_FILES_BYTES_MAX};
pub use logs::{Stream, log_path};
pub use options::{Isolation, PROCESSES_MAX, WorkerOptions};
pub use runner::client::RunnerCommand;
pub use runner::run_task_runner;
pub use worker::{Confinement, Watch, Worker};
