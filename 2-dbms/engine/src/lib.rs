//! The embedded engine: partitions, transactions, compiled plans and procedures.
//!
//! ```text
//!   session      a client's settings, prepared statements, transaction state
//!   exec         plans and procedures as closures; reads and writes rows through ...
//!   transaction  ... one door: latched partitions, undo, private overlay, locks, redo
//!   domain       rows behind one latch (storage::Fragment per table and bucket): a partition, a table that nobody
//!                distributed, or the reference tables
//!   ddl          changes of the catalogue, and of rows with it
//!   system       pg_catalog, information_schema and the tuplix schema, computed
//!   node         the domains, the catalogue, sequences, the log
//!   checkpoint   all of it in a file, in the background; recovery: file and log back to a node
//! ```

mod advisory;
mod bind;
mod checkpoint;
mod computed_index;
mod damage;
mod ddl;
mod directory;
mod domain;
mod door;
mod engine_functions;
pub mod exec;
mod hash;
mod history;
mod identity;
mod layout;
mod lock_table;
mod mentions;
mod node;
mod notify;
mod open;
pub mod password;
mod plans;
mod portal;
mod procedures;
mod recent_writes;
mod recovery;
mod redo;
mod refusals;
mod rights;
mod search_path;
mod sequences;
mod services;
mod session;
mod session_locks;
mod settings;
mod sleep;
mod snapshot;
mod snapshots;
mod statement;
mod statistics;
mod stop;
mod system;
mod text;
pub mod transaction;
mod user_types;

pub use checkpoint::{CheckpointDone, Durability, Events, NodeEvent};
pub use directory::open_without_log;
pub use door::{Entry, HOST_RULES_MAX};
pub use layout::{Domain, Layout, Placement, TableAccess};
pub use node::{Node, Shape, WAITING_MAX};
pub use notify::{Notification, Waker};
pub use open::{Opened, close, inspect, open, open_in_memory};
pub use recovery::{CheckpointRead, RecoveryReport};
pub use refusals::{REFUSAL_TEXT_MAX, REFUSALS_KEPT, Refusal};
pub use services::Services;
pub use session::{Session, SessionOptions, TransactionStatus};
pub use settings::SERVER_VERSION;
pub use snapshot::Snapshot;
pub use statement::{Commit, Parsed, Prepared};
pub use stop::{Run, Stop};
pub use tuplix_catalog::{BOOTSTRAP_NAME, Caller, LoginMethod, RoleDef, RoleId};
pub use tuplix_log::{CutTail, LogStatistics, SYNC_BOUNDS_US, SyncTimes};
