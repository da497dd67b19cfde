//! Level 3: the operating system's services, written as tables and stored procedures.
//!
//! ```text
//! os          buckets, users, settings, counters, what is installed
//! scheduler   workers, tasks, graphs: submit, claim, finish, fail, retry, cancel; gangs, queues, schedules, resources, forks
//! ipc         messages: send, receive, history
//! fs          files: directories, blocks, rename
//! ```
//!
//! Each service is a folder beside `src`: `schema.sql`, `procedures/`, `invariants.sql` and a README with signatures, errors
//! and costs. The SQL is one text for the embedded engine, PostgreSQL and Citus, and anybody may call it from any client. The
//! Rust here is thin: it prepares the calls once and gives their arguments and results types.
//!
//! ```
//! use tuplix::{Options, Tuplix};
//! use tuplix_services::{Bucket, WorkerId, scheduler::{Scheduler, TaskSpec, Usage}};
//!
//! # fn main() -> tuplix::Result<()> {
//! let node = Tuplix::open_with(&Options::default())?;
//! let mut session = node.session(&Default::default())?;
//! tuplix_services::install(&mut session)?;
//!
//! let scheduler = Scheduler::new(&mut session)?;
//! let (home, worker) = (Bucket::of_name("alice"), WorkerId(1));
//! scheduler.join_worker(&mut session, home, worker, &Default::default())?;
//! let task = scheduler.submit_task(&mut session, home, &TaskSpec::new("alice", "greet", "/bin/echo").argument("hello"))?;
//! let claims = scheduler.claim_tasks(&mut session, home, worker, 1)?;
//! assert_eq!(claims[0].task, task);
//! scheduler.finish_task(&mut session, task, claims[0].attempt, 0, &Usage::default())?;
//! assert!(tuplix_services::check(&mut session)?.is_empty());
//! # Ok(())
//! # }
//! ```

mod check;
mod ids;
mod install;
mod procedure;
mod service;

pub mod errors;
pub mod fs;
pub mod ipc;
pub mod os;
pub mod scheduler;

pub use check::{Violation, check};
pub use ids::{Bucket, FileId, GraphId, ReceiverId, TaskId, Timestamp, WorkerId};
pub use install::{Installed, install};
pub use service::{SERVICES, Service};
