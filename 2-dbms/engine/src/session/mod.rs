//! A session: one client's settings, prepared statements and transaction.
//!
//! [`Session::call`] is the hot path: it looks at one number to know that the compiled code is still good, starts a run,
//! and commits. The restart rule lives in [`run`], transaction control in [`control`].

mod bind;
mod constraints;
mod control;
mod copy;
mod cursors;
mod explain;
mod plan_text;
mod run;
mod short;
mod temporary;
mod utility;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tuplix_catalog::{Catalog, RoleId};
use tuplix_log::{Context, SessionContext};
use tuplix_sql::parser;
use tuplix_types::{OutputColumn, Result, Rows, Severity, SqlError, TypeId, Value, sqlstate};

use crate::exec::FrameStack;
use crate::identity::admit;
use crate::node::{Node, SessionFlags};
use crate::notify::{Notification, Waker};
use crate::services::Services;
use crate::statement::{Bound, Commit, Parsed, Prepared};
use crate::transaction::{Interactive, Scratch};
pub(crate) use copy::{CopyCode, CopyProgress, no_data as no_copy_data};

/// Who connects, and as what.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// User. Empty: the bootstrap superuser, whatever it is called; in a node's own process nobody proves who he is.
    pub user: String,
    /// Database; any name is the one database there is.
    pub database: String,
    /// `application_name`
    pub application_name: String,
}

impl Default for SessionOptions {
    fn default() -> SessionOptions {
        SessionOptions { user: String::new(), database: "tuplix".to_owned(), application_name: String::new() }
    }
}

/// What a session may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    InTransaction,
    /// In a transaction block that has failed: only its end is accepted.
    Failed,
}

/// A transaction block.
#[derive(Debug)]
struct Block {
    interactive: Interactive,
    failed: bool,
    /// Begun by the protocol around several statements rather than by BEGIN.
    implicit: bool,
    /// Around a single statement that changes the catalogue: ends with it.
    own: bool,
    read_only: bool,
    /// A statement has run: isolation can no longer change.
    used: bool,
    now_us: i64,
    savepoints: Vec<Savepoint>,
    /// To be delivered once it commits.
    notifications: Vec<(String, String)>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    undo_len: usize,
    /// How many changes of the catalogue there were.
    catalog: usize,
    notifications: usize,
    /// Cursors opened before.
    portals: u64,
    /// What SET CONSTRAINTS had said.
    constraints: crate::exec::ConstraintModes,
}

/// One client's session. See the module.
pub struct Session {
    node: Arc<Node>,
    services: Services,
    scratch: Scratch,
    frames: FrameStack,
    block: Option<Block>,
    /// Statements prepared by PREPARE.
    named: BTreeMap<String, Prepared>,
    /// Prepared statements bound again after the catalogue changed, by their id.
    rebound: BTreeMap<u64, Bound>,
    next_prepared: u64,
    context: Context,
    /// The role that `context` names.
    context_role: RoleId,
    /// The newest epoch that this session has seen: what an error's reply waits for.
    seen_epoch: u64,
    random_state: u64,
    notices: Vec<SqlError>,
    /// `synchronous_commit`
    synchronous: bool,
    /// `statement_timeout`
    statement_limit_ns: Option<u64>,
    /// `idle_session_timeout`
    idle_limit_ns: Option<u64>,
    /// `idle_in_transaction_session_timeout`
    idle_transaction_limit_ns: Option<u64>,
}

impl Session {
    /// A new session of a node.
    ///
    /// # Errors
    /// 57P01 while the node closes.
    pub fn new(node: &Arc<Node>, options: &SessionOptions) -> Result<Session> {
        if node.closing.load(Ordering::Acquire) {
            return Err(SqlError::new(sqlstate::ADMIN_SHUTDOWN, "the node is shutting down"));
        }
        let id = node.new_session_id();
        let random_state = node.machine().random_u64();
        let schema = node.schema();
        let mut sessions = node.sessions.lock();
        let of_role = |role| sessions.values().filter(|other| other.role == Some(role)).count();
        let user = match options.user.as_str() {
            "" => schema.catalog.role_name(RoleId::BOOTSTRAP),
            name => name.to_owned(),
        };
        let role = admit(&schema.catalog, &user, of_role)?;
        crate::rights::check_connect(&schema.catalog, role, &options.database)?;
        let flags = Arc::new(SessionFlags {
            secret: random_state as i32,
            user: user.clone(),
            role: Some(role),
            database: options.database.clone(),
            application_name: options.application_name.clone(),
            started_us: node.machine().now_us(),
            ..SessionFlags::default()
        });
        sessions.insert(id, flags.clone());
        drop(sessions);
        let services = Services::new(node.clone(), id, role, options.database.clone(), flags);
        let notices = start_settings(&services, &schema.catalog, &user, &options.application_name)?;
        let context = node.log.intern(&SessionContext { role: user, ..SessionContext::default() });
        let mut session = Session {
            node: node.clone(),
            context_role: services.current_role(),
            services,
            scratch: Scratch::default(),
            frames: FrameStack::default(),
            block: None,
            named: BTreeMap::new(),
            rebound: BTreeMap::new(),
            next_prepared: 0,
            context,
            seen_epoch: 0,
            random_state,
            notices,
            synchronous: true,
            statement_limit_ns: None,
            idle_limit_ns: None,
            idle_transaction_limit_ns: None,
        };
        session.refresh_settings();
        Ok(session)
    }

    /// Its number, what clients see as the server process's id.
    pub fn id(&self) -> u32 {
        self.services.session_id
    }

    /// The name behind a value of `regclass` or its kin, as its text form shows it.
    pub fn object_name(&self, reg_type: TypeId, oid: u32) -> Option<String> {
        self.services.refresh();
        crate::system::object_name(&self.services, reg_type, oid)
    }

    /// The object that a text of `regclass` or its kin names.
    ///
    /// # Errors
    /// 42P01 and its kin when there is none.
    pub fn object_id(&self, reg_type: TypeId, text: &str) -> Result<u32> {
        self.services.refresh();
        crate::system::object_id(&self.services, reg_type, text)
    }

    /// The columns of a cursor that DECLARE has opened; `None` when there is none of this name.
    pub fn cursor_columns(&self, name: &str) -> Option<Arc<[OutputColumn]>> {
        self.services.portals.borrow().get(name).ok().map(|portal| portal.columns.clone())
    }

    /// What a cancel request has to know.
    pub fn secret(&self) -> i32 {
        self.services.flags.secret
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Parses a text of any number of statements.
    ///
    /// # Errors
    /// A syntax error anywhere is one for the whole text, as in PostgreSQL.
    pub fn parse(&mut self, sql: &str) -> Result<Vec<Parsed>> {
        let statements = parser::parse(sql)?;
        let parsed = statements.into_iter().map(|statement| Parsed {
            first_character: sql[..statement.offset].chars().count() as u32,
            statement: Arc::new(statement),
        });
        Ok(parsed.collect())
    }

    /// Prepares the one statement in `sql`. Types that are missing or [`TypeId::UNKNOWN`] are inferred.
    ///
    /// # Errors
    /// 42601 for more than one statement; what parsing, analysing and compiling find.
    pub fn prepare(&mut self, sql: &str, types: &[TypeId]) -> Result<Prepared> {
        let mut parsed = self.parse(sql)?;
        match (parsed.pop(), parsed.is_empty()) {
            (Some(one), true) => self.prepare_parsed(&one, types),
            (None, _) => Err(SqlError::new(sqlstate::SYNTAX_ERROR, "the query is empty")),
            (Some(_), false) => {
                let message = "cannot insert multiple commands into a prepared statement";
                Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
            }
        }
    }

    /// Executes a prepared statement: its rows and tag go into `out`, in place of what was there. The commit is not yet
    /// waited for, unless the statement fails.
    ///
    /// # Errors
    /// The statement's; nothing of it remains then, and a transaction block has failed.
    pub fn call(&mut self, statement: &Prepared, arguments: &[Value], out: &mut Rows) -> Result<Commit<'_>> {
        out.clear();
        let outcome = self.call_statement(statement, arguments, out);
        self.answered(outcome, statement)
    }

    /// A statement's commit, not yet waited for, or its error when everything that it could have seen is on disk.
    #[inline]
    fn answered(&mut self, outcome: Result<u64>, statement: &Prepared) -> Result<Commit<'_>> {
        match outcome {
            Ok(epoch) => {
                self.seen_epoch = self.seen_epoch.max(epoch);
                let epoch = if self.synchronous { epoch } else { 0 };
                Ok(Commit { log: &self.node.log, epoch })
            }
            Err(error) => Err(self.fail(error, &statement.inner.parsed)),
        }
    }

    /// Executes all statements of a text and waits for their commits. Several statements are one transaction, as in
    /// PostgreSQL's simple protocol, unless the text controls transactions itself.
    ///
    /// # Errors
    /// That of the first statement that fails; later ones are not tried.
    pub fn execute(&mut self, sql: &str) -> Result<Vec<Rows>> {
        let parsed = self.parse(sql)?;
        let implicit = parsed.len() > 1;
        if implicit {
            self.begin_implicit();
        }
        let mut results = Vec::with_capacity(parsed.len());
        let outcome = parsed.iter().try_for_each(|one| {
            let prepared = self.prepare_parsed(one, &[])?;
            let mut rows = Rows::new();
            self.call(&prepared, &[], &mut rows)?.wait()?;
            results.push(rows);
            Ok(())
        });
        let ended = if implicit { self.end_implicit().and_then(|commit| commit.wait()) } else { Ok(()) };
        outcome.and(ended)?;
        Ok(results)
    }

    /// Prepares and executes one statement, and waits for its commit.
    ///
    /// # Errors
    /// As [`Session::prepare`] and [`Session::call`].
    pub fn query(&mut self, sql: &str, arguments: &[Value]) -> Result<Rows> {
        let prepared = self.prepare(sql, &[])?;
        let mut rows = Rows::new();
        self.call(&prepared, arguments, &mut rows)?.wait()?;
        Ok(rows)
    }

    /// An error's reply, too, leaves only after what it could have seen is on disk.
    fn fail(&mut self, error: SqlError, parsed: &Parsed) -> SqlError {
        self.fail_block();
        self.services.flags.cancel.store(false, Ordering::Relaxed);
        if self.synchronous
            && let Err(stopped) = self.node.log.wait_durable(self.seen_epoch)
        {
            return stopped;
        }
        shift_position(self.services.named(error), parsed.first_character)
    }

    /// Whether a transaction is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        match &self.block {
            None => TransactionStatus::Idle,
            Some(block) if block.failed => TransactionStatus::Failed,
            Some(block) if block.implicit => TransactionStatus::Idle,
            Some(_) => TransactionStatus::InTransaction,
        }
    }

    /// Takes the notices of the statements since the last call.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        let notices = std::mem::take(&mut self.notices).into_iter();
        notices.map(|notice| self.services.named(notice)).collect()
    }

    /// Takes the notifications that wait for this session.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.node.listeners.take(self.id())
    }

    /// Has `waker` called whenever a notification comes.
    pub fn on_notification(&mut self, waker: Waker) {
        self.node.listeners.set_waker(self.id(), waker);
    }

    /// A setting's value.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.services.settings.borrow().get(name).map(str::to_owned)
    }

    /// Sets a setting for the session.
    ///
    /// # Errors
    /// 42704 for an unknown setting, 22023 for a value that does not fit.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        self.services.assign(name, Some(value), false, false)?;
        self.refresh_settings();
        Ok(())
    }

    /// All settings that clients are told of when they connect.
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        self.services.settings.borrow().reported()
    }

    /// Those of them that changed since the last call.
    pub fn take_changed_settings(&mut self) -> Vec<(String, String)> {
        self.services.settings.borrow_mut().take_changed()
    }

    /// How long its client may say nothing now, in nanoseconds.
    #[inline]
    pub fn idle_limit_ns(&self) -> Option<u64> {
        match self.transaction_status() {
            TransactionStatus::Idle => self.idle_limit_ns,
            TransactionStatus::InTransaction | TransactionStatus::Failed => self.idle_transaction_limit_ns,
        }
    }

    /// What a client is told that has said nothing for longer.
    pub fn idle_too_long(&self) -> SqlError {
        let (state, what) = match self.transaction_status() {
            TransactionStatus::Idle => (sqlstate::IDLE_SESSION_TIMEOUT, "idle-session"),
            _ => (sqlstate::IDLE_IN_TRANSACTION_SESSION_TIMEOUT, "idle-in-transaction"),
        };
        SqlError::new(state, format!("terminating connection due to {what} timeout"))
            .severity(Severity::Fatal)
    }

    fn refresh_settings(&mut self) {
        self.services.settle_identity();
        if self.services.current_role() != self.context_role {
            self.context_role = self.services.current_role();
            let role = self.services.role_name(self.context_role);
            self.context = self.node.log.intern(&SessionContext { role, ..SessionContext::default() });
        }
        let settings = self.services.settings.borrow();
        self.synchronous = settings.synchronous_commit();
        self.statement_limit_ns = settings.nanoseconds("statement_timeout");
        self.idle_limit_ns = settings.nanoseconds("idle_session_timeout");
        self.idle_transaction_limit_ns = settings.nanoseconds("idle_in_transaction_session_timeout");
    }
}

/// The settings that a session begins with; warnings for those of its role that are not possible any more.
fn start_settings(
    services: &Services,
    catalog: &Catalog,
    user: &str,
    application_name: &str,
) -> Result<Vec<SqlError>> {
    let mut settings = services.settings.borrow_mut();
    settings.start_with("session_authorization", user)?;
    let role = services.current_role();
    settings.force("is_superuser", if catalog.is_superuser(role) { "on" } else { "off" });
    let mut warnings = Vec::new();
    for (name, value) in catalog.settings_of_role(role) {
        if let Err(error) = settings.start_with(name, value) {
            warnings.push(error.severity(Severity::Warning));
        }
    }
    // An empty one leaves that of the role.
    if !application_name.is_empty() {
        settings.set("application_name", application_name, false, false)?;
    }
    Ok(warnings)
}

impl Drop for Session {
    fn drop(&mut self) {
        self.roll_back_block();
        self.free_all_session_locks();
        self.leave_temporary();
        self.node.listeners.forget(self.id());
        self.node.sessions.lock().remove(&self.id());
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {:?})", self.id(), self.transaction_status())
    }
}

/// Positions are in the whole text that the client sent.
fn shift_position(mut error: SqlError, by: u32) -> SqlError {
    if by > 0
        && let Some(position) = &mut error.fields_mut().position
    {
        *position += by;
    }
    error
}
