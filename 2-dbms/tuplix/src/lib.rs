//! Tuplix: a database operating system. Everything is a tuple.
//!
//! This crate is the way in for programs: a node in the same process, a function call away.
//!
//! ```
//! use tuplix::{Tuplix, Value};
//!
//! # fn main() -> Result<(), tuplix::SqlError> {
//! # let dir = std::env::temp_dir().join(format!("tuplix-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir).expect("a folder");
//! let node = Tuplix::open(&dir)?;
//! let mut session = node.session(&Default::default())?;
//! session.execute("CREATE TABLE worker (p_key int, worker_id int, unused_capacity int NOT NULL,
//!                                       PRIMARY KEY (p_key, worker_id));
//!                  SELECT create_distributed_table('worker', 'p_key');
//!                  INSERT INTO worker VALUES (1, 1, 10), (1, 2, 0)")?;
//! let rows = session.query("SELECT worker_id FROM worker WHERE p_key = $1 AND unused_capacity > 0", &[Value::Int4(1)])?;
//! assert_eq!(rows.get(0, 0).and_then(Value::as_i64), Some(1));
//! # drop(session);
//! # node.close()?;
//! # std::fs::remove_dir_all(&dir).expect("the folder");
//! # Ok(())
//! # }
//! ```
//!
//! A statement that runs often is prepared once and called: [`Session::call`] neither parses nor plans. The call
//! returns before the commit is on disk; [`Commit::wait`] waits for it, so that thousands of callers share one fsync.
//!
//! [`Tuplix::connect`] reaches a PostgreSQL server through the same interface; the services run unchanged on it.

pub mod check;
mod commit;
mod options;
mod session;

use std::path::Path;
use std::sync::Arc;

pub use commit::Commit;
pub use options::{LogMode, Options};
pub use session::{Parsed, Prepared, Session};
use tuplix_engine::BOOTSTRAP_NAME;
pub use tuplix_engine::password;
pub use tuplix_engine::{
    Caller, CheckpointDone, CheckpointRead, CutTail, Durability, Entry, Events, LogStatistics, LoginMethod,
    NodeEvent, Notification, RecoveryReport, Refusal, RoleDef, RoleId, SERVER_VERSION, SYNC_BOUNDS_US,
    SessionOptions, Snapshot, SyncTimes, TransactionStatus, Waker,
};
pub use tuplix_machine::{HandOff, Machine, with_hand_off};
pub use tuplix_postgres::{Address, SslMode};
pub use tuplix_types::{
    Array, ArrayDimension, Interval, OutputColumn, Result, Row, Rows, Severity, SqlError, SqlState, Tag,
    TypeId, Value, sqlstate,
};

/// Bytes of memory for rows and indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// In use.
    pub used: u64,
    /// What would grow beyond is refused; `u64::MAX` for no limit.
    pub limit: u64,
}

/// A node, embedded in this process or a PostgreSQL server. Cloning it is cheap and names the same node.
#[derive(Clone)]
pub struct Tuplix {
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Embedded { node: Arc<tuplix_engine::Node>, report: Arc<RecoveryReport> },
    Postgres(tuplix_postgres::Server),
}

impl Tuplix {
    /// Opens the node whose data directory is `dir`, which is made when it does not exist.
    ///
    /// # Errors
    /// As [`Tuplix::open_with`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Tuplix> {
        Tuplix::open_with(&Options { dir: Some(dir.as_ref().to_owned()), ..Options::default() })
    }

    /// Opens a node.
    ///
    /// # Errors
    /// 55006 when another process has the directory open; 55000 when it is none of data, or has a database that is to be opened
    /// without its log; XX001 when its checkpoints and log are damaged; 22023 when the
    /// options are out of bounds or not the directory's; 58030 and 53100 when the disk fails or is full.
    pub fn open_with(options: &Options) -> Result<Tuplix> {
        let machine = options.machine.clone().unwrap_or_else(Machine::linux);
        let shape = options.shape(&machine);
        let in_memory = options.dir.is_none() || options.log == LogMode::Off;
        if in_memory {
            let node = match &options.dir {
                Some(dir) => {
                    tuplix_engine::open_without_log(&machine, &*options.disk(&machine, dir)?, &shape)?
                }
                None => tuplix_engine::open_in_memory(&machine, &shape)?,
            };
            options.limit(&node, &machine);
            return Ok(Tuplix { engine: Engine::Embedded { node, report: Arc::default() } });
        }
        let dir = options.dir.as_deref().unwrap_or(Path::new("."));
        let disk = options.disk(&machine, dir)?;
        let opened = tuplix_engine::open(&machine, disk, &shape, &options.durability)?;
        options.limit(&opened.node, &machine);
        Ok(Tuplix { engine: Engine::Embedded { node: opened.node, report: Arc::new(opened.report) } })
    }

    /// Reads the data directory of a node that does not run into memory, to look at it: nothing in it changes, and nothing that is
    /// written to this node is kept.
    ///
    /// # Errors
    /// As [`Tuplix::open_with`]; 55000 when `dir` is no data directory.
    pub fn inspect(dir: impl AsRef<Path>, events: Option<Events>) -> Result<Tuplix> {
        let machine = Machine::linux();
        let name = dir.as_ref().to_str().ok_or_else(|| {
            let message = format!("the path {} is not UTF-8", dir.as_ref().display());
            SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        })?;
        let opened = tuplix_engine::inspect(&machine, machine.disk(name), events)?;
        Ok(Tuplix { engine: Engine::Embedded { node: opened.node, report: Arc::new(opened.report) } })
    }

    /// Reaches a PostgreSQL server (alone, or a Citus coordinator): `postgres://user@host:port/database`.
    ///
    /// # Errors
    /// 08006 when it cannot be reached, 28000 and 28P01 when it does not let us in.
    pub fn connect(url: &str) -> Result<Tuplix> {
        Ok(Tuplix { engine: Engine::Postgres(tuplix_postgres::Server::connect(url)?) })
    }

    /// Reaches a node in another process by its socket, as [`Tuplix::connect`] reaches a PostgreSQL server, but without
    /// looking for Citus's functions, which every node has. `host=/data/directory port=5433 user=ada` names its socket.
    ///
    /// # Errors
    /// 22023 for what is no address; the first session finds out whether a node answers there.
    pub fn at(url: &str) -> Result<Tuplix> {
        Ok(Tuplix { engine: Engine::Postgres(tuplix_postgres::Server::at(url)?) })
    }

    /// The same by an address that says more than a text, as which user and how encrypted.
    pub fn at_address(address: Address) -> Tuplix {
        Tuplix { engine: Engine::Postgres(tuplix_postgres::Server::of(address)) }
    }

    /// A new session.
    ///
    /// # Errors
    /// 57P01 while the node closes; what connecting finds on PostgreSQL.
    pub fn session(&self, options: &SessionOptions) -> Result<Session> {
        Ok(match &self.engine {
            Engine::Embedded { node, .. } => Session::embedded(tuplix_engine::Session::new(node, options)?),
            Engine::Postgres(server) => {
                let user = if options.user.is_empty() { BOOTSTRAP_NAME } else { &options.user };
                Session::postgres(server.session(user, &options.application_name)?)
            }
        })
    }

    /// All committed rows as they are now, for a reader that nobody waits for; `None` on PostgreSQL.
    pub fn snapshot(&self) -> Option<Snapshot> {
        match &self.engine {
            Engine::Embedded { node, .. } => Some(node.snapshot()),
            Engine::Postgres(_) => None,
        }
    }

    /// Damages an index of an embedded node, for tests of `check`.
    #[doc(hidden)]
    pub fn forget_in_index(&self, table: &str, bucket: u16, index: usize, slot: u32) -> bool {
        match &self.engine {
            Engine::Embedded { node, .. } => node.forget_in_index(table, bucket, index, slot),
            Engine::Postgres(_) => false,
        }
    }

    /// What rows and indexes take, and may take; `None` on PostgreSQL.
    pub fn memory(&self) -> Option<MemoryUse> {
        match &self.engine {
            Engine::Embedded { node, .. } => {
                Some(MemoryUse { used: node.memory().used(), limit: node.memory().limit() })
            }
            Engine::Postgres(_) => None,
        }
    }

    /// What recovery replayed, and what it cut from the log's end; empty on PostgreSQL.
    pub fn recovery_report(&self) -> RecoveryReport {
        match &self.engine {
            Engine::Embedded { report, .. } => RecoveryReport::clone(report),
            Engine::Postgres(_) => RecoveryReport::default(),
        }
    }

    /// The host rule and the role for somebody who wants to come in; nobody comes in by way of PostgreSQL.
    pub fn entry(&self, caller: &Caller<'_>) -> Entry {
        match &self.engine {
            Engine::Embedded { node, .. } => node.entry(caller),
            Engine::Postgres(_) => Entry { method: None, role: None, expired: false },
        }
    }

    /// Remembers a refusal, for `tuplix.refusals`; PostgreSQL has a log of its own.
    pub fn refuse(&self, action: &'static str, user: &str, address: Option<String>, error: &SqlError) {
        match &self.engine {
            Engine::Embedded { node, .. } => node.refuse(action, user, address, error),
            Engine::Postgres(_) => {}
        }
    }

    /// Cancels the running statement of a session; false when there is no such session or the secret is wrong, on PostgreSQL, which does
    /// not tell, when it cannot be reached.
    pub fn cancel(&self, session_id: u32, secret: i32) -> bool {
        match &self.engine {
            Engine::Embedded { node, .. } => node.cancel(session_id, secret),
            Engine::Postgres(server) => server.cancel(session_id, secret).is_ok(),
        }
    }

    /// Partitions of the buckets; 1 on PostgreSQL.
    pub fn partitions(&self) -> usize {
        match &self.engine {
            Engine::Embedded { node, .. } => node.partitions(),
            Engine::Postgres(_) => 1,
        }
    }

    /// The epoch up to which everything is on disk; 0 on PostgreSQL.
    pub fn durable_epoch(&self) -> u64 {
        match &self.engine {
            Engine::Embedded { node, .. } => node.durable_epoch(),
            Engine::Postgres(_) => 0,
        }
    }

    /// What was written to the log since the node was opened; `None` on PostgreSQL.
    pub fn log_statistics(&self) -> Option<LogStatistics> {
        match &self.engine {
            Engine::Embedded { node, .. } => Some(node.log_statistics()),
            Engine::Postgres(_) => None,
        }
    }

    /// Whether commits and reads go on. A server of PostgreSQL is not asked.
    ///
    /// # Errors
    /// Why they have ended: a failed fsync, or the node's end.
    pub fn health(&self) -> Result<()> {
        match &self.engine {
            Engine::Embedded { node, .. } => node.check(),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Writes a checkpoint and waits for it, so that a start replays only the log that comes after. A node without a log has nothing to
    /// write; PostgreSQL makes one of its own.
    ///
    /// # Errors
    /// 58030 or 53100 when the disk fails or is full: earlier checkpoints and the log are as they were, and the node goes on.
    pub fn checkpoint(&self) -> Result<CheckpointDone> {
        match &self.engine {
            Engine::Embedded { node, .. } => node.checkpoint(),
            Engine::Postgres(_) => {
                self.session(&SessionOptions::default())?.execute("CHECKPOINT")?;
                Ok(CheckpointDone::default())
            }
        }
    }

    /// Ends the node: running statements are cancelled, everything committed goes to disk.
    ///
    /// # Errors
    /// The log's: what was acknowledged with `synchronous_commit` off may be lost then.
    pub fn close(&self) -> Result<()> {
        match &self.engine {
            Engine::Embedded { node, .. } => tuplix_engine::close(node),
            Engine::Postgres(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Tuplix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.engine {
            Engine::Embedded { node, .. } => write!(f, "Tuplix({node:?})"),
            Engine::Postgres(_) => f.write_str("Tuplix(PostgreSQL)"),
        }
    }
}
