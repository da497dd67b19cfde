//! Sessions: the contract, by enum over the engines.

use std::sync::Arc;
use std::time::Duration;

use tuplix_engine::{Notification, TransactionStatus, Waker};
use tuplix_machine::Event;
use tuplix_types::copy::CopyRows;
use tuplix_types::{OutputColumn, Result, Rows, SqlError, TypeId, Value};

use crate::commit::Commit;

/// One client's session: settings, prepared statements, a transaction.
#[derive(Debug)]
pub struct Session {
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Embedded(Box<tuplix_engine::Session>),
    Postgres(Box<tuplix_postgres::Session>),
}

/// One statement of a text, parsed.
#[derive(Clone, Debug)]
pub struct Parsed {
    kind: ParsedKind,
}

#[derive(Clone, Debug)]
enum ParsedKind {
    Embedded(tuplix_engine::Parsed),
    /// PostgreSQL parses for itself.
    Postgres(Arc<str>),
}

/// A prepared statement of the session that prepared it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Prepared {
    kind: PreparedKind,
}

#[derive(Clone, Debug)]
enum PreparedKind {
    Embedded(tuplix_engine::Prepared),
    Postgres(tuplix_postgres::Prepared),
}

impl Parsed {
    /// The statement's text.
    pub fn text(&self) -> &str {
        match &self.kind {
            ParsedKind::Embedded(parsed) => parsed.text(),
            ParsedKind::Postgres(text) => text,
        }
    }
}

impl Prepared {
    /// The parameters' types.
    pub fn parameters(&self) -> &[TypeId] {
        match &self.kind {
            PreparedKind::Embedded(prepared) => prepared.parameters(),
            PreparedKind::Postgres(prepared) => prepared.parameters(),
        }
    }

    /// The result's columns; none when it gives no rows.
    pub fn columns(&self) -> &[OutputColumn] {
        match &self.kind {
            PreparedKind::Embedded(prepared) => prepared.columns(),
            PreparedKind::Postgres(prepared) => prepared.columns(),
        }
    }

    /// The statement's text.
    pub fn text(&self) -> &str {
        match &self.kind {
            PreparedKind::Embedded(prepared) => prepared.text(),
            PreparedKind::Postgres(prepared) => prepared.text(),
        }
    }

    /// Which way the rows of COPY go, in which format, and of which columns; `None` for other statements, and on PostgreSQL,
    /// whose sessions do not copy.
    pub fn copy(&self) -> Option<&CopyRows> {
        match &self.kind {
            PreparedKind::Embedded(prepared) => prepared.copy(),
            PreparedKind::Postgres(_) => None,
        }
    }

    /// Whether it is COMMIT, ROLLBACK or their kin, accepted in a failed transaction.
    pub fn ends_transaction(&self) -> bool {
        match &self.kind {
            PreparedKind::Embedded(prepared) => prepared.ends_transaction(),
            PreparedKind::Postgres(_) => false,
        }
    }
}

fn notification(came: tuplix_postgres::Notification) -> Notification {
    Notification { channel: came.channel, payload: came.payload, session_id: came.session_id }
}

fn foreign() -> SqlError {
    SqlError::internal("a statement was prepared by a session of another engine")
}

impl Session {
    pub(crate) fn embedded(session: tuplix_engine::Session) -> Session {
        Session { engine: Engine::Embedded(Box::new(session)) }
    }

    pub(crate) fn postgres(session: tuplix_postgres::Session) -> Session {
        Session { engine: Engine::Postgres(Box::new(session)) }
    }

    /// Its number: what clients see as the server process's id.
    pub fn id(&self) -> u32 {
        match &self.engine {
            Engine::Embedded(session) => session.id(),
            Engine::Postgres(session) => session.id(),
        }
    }

    /// Whether a statement is likely to take no longer than a tenth of a millisecond, waits aside: a thread that serves others, too, may
    /// run it itself. Never on PostgreSQL, where each statement waits for the server.
    pub fn is_short(&self, statement: &Prepared) -> bool {
        match (&self.engine, &statement.kind) {
            (Engine::Embedded(session), PreparedKind::Embedded(statement)) => session.is_short(statement),
            _ => false,
        }
    }

    /// Whether the open transaction, if there is one, has changed so little that its end is as short.
    pub fn has_changed_little(&self) -> bool {
        match &self.engine {
            Engine::Embedded(session) => session.has_changed_little(),
            Engine::Postgres(_) => false,
        }
    }

    /// The name behind a value of `regclass` or its kin, as its text form shows it; `None` when there is no such object.
    pub fn object_name(&self, reg_type: TypeId, oid: u32) -> Option<String> {
        match &self.engine {
            Engine::Embedded(session) => session.object_name(reg_type, oid),
            Engine::Postgres(_) => None,
        }
    }

    /// The object that a text of `regclass` or its kin names.
    ///
    /// # Errors
    /// 42P01 and its kin when there is none; 0A000 on PostgreSQL, which reads such texts itself.
    pub fn object_id(&self, reg_type: TypeId, text: &str) -> Result<u32> {
        match &self.engine {
            Engine::Embedded(session) => session.object_id(reg_type, text),
            Engine::Postgres(_) => Err(SqlError::unsupported("reading a name outside of the server")),
        }
    }

    /// The columns of a cursor that DECLARE has opened; `None` when there is none of this name, and on PostgreSQL.
    pub fn cursor_columns(&self, name: &str) -> Option<Arc<[OutputColumn]>> {
        match &self.engine {
            Engine::Embedded(session) => session.cursor_columns(name),
            Engine::Postgres(_) => None,
        }
    }

    /// What a cancel request has to know.
    pub fn secret(&self) -> i32 {
        match &self.engine {
            Engine::Embedded(session) => session.secret(),
            Engine::Postgres(session) => session.secret(),
        }
    }

    /// Parses a text of any number of statements.
    ///
    /// # Errors
    /// A syntax error anywhere is one for the whole text.
    pub fn parse(&mut self, sql: &str) -> Result<Vec<Parsed>> {
        Ok(match &mut self.engine {
            Engine::Embedded(session) => {
                let parsed = session.parse(sql)?.into_iter();
                parsed.map(|parsed| Parsed { kind: ParsedKind::Embedded(parsed) }).collect()
            }
            Engine::Postgres(_) => vec![Parsed { kind: ParsedKind::Postgres(sql.into()) }],
        })
    }

    /// Prepares one statement. Types that are missing or 0 are inferred.
    ///
    /// # Errors
    /// What parsing, analysing and compiling find.
    pub fn prepare(&mut self, sql: &str, parameter_types: &[TypeId]) -> Result<Prepared> {
        let kind = match &mut self.engine {
            Engine::Embedded(session) => PreparedKind::Embedded(session.prepare(sql, parameter_types)?),
            Engine::Postgres(session) => PreparedKind::Postgres(session.prepare(sql, parameter_types)?),
        };
        Ok(Prepared { kind })
    }

    /// Prepares a statement that [`Session::parse`] gave.
    ///
    /// # Errors
    /// What analysing and compiling find.
    pub fn prepare_parsed(&mut self, parsed: &Parsed, parameter_types: &[TypeId]) -> Result<Prepared> {
        let kind = match (&mut self.engine, &parsed.kind) {
            (Engine::Embedded(session), ParsedKind::Embedded(parsed)) => {
                PreparedKind::Embedded(session.prepare_parsed(parsed, parameter_types)?)
            }
            (Engine::Postgres(session), ParsedKind::Postgres(text)) => {
                PreparedKind::Postgres(session.prepare(text, parameter_types)?)
            }
            _ => return Err(foreign()),
        };
        Ok(Prepared { kind })
    }

    /// Executes a prepared statement: its rows and tag go into `out`, in place of what was there. The commit may still
    /// be on its way to the disk.
    ///
    /// # Errors
    /// The statement's; nothing of it remains then.
    pub fn call(&mut self, statement: &Prepared, arguments: &[Value], out: &mut Rows) -> Result<Commit> {
        match (&mut self.engine, &statement.kind) {
            (Engine::Embedded(session), PreparedKind::Embedded(statement)) => {
                let epoch = session.call(statement, arguments, out)?.epoch();
                Ok(Commit::embedded(session.node(), epoch))
            }
            (Engine::Postgres(session), PreparedKind::Postgres(statement)) => {
                session.call(statement, arguments, out)?;
                Ok(Commit::done())
            }
            _ => Err(foreign()),
        }
    }

    /// Executes COPY ... FROM STDIN with all of its data, in the statement's format. The commit may still be on its way to the
    /// disk.
    ///
    /// # Errors
    /// 22P04 and the types' own errors for what cannot be read, with its line as context; those of INSERT. Nothing of it
    /// remains then. 0A000 on PostgreSQL.
    pub fn copy_in(&mut self, statement: &Prepared, data: &[u8], out: &mut Rows) -> Result<Commit> {
        match (&mut self.engine, &statement.kind) {
            (Engine::Embedded(session), PreparedKind::Embedded(statement)) => {
                let epoch = session.copy_in(statement, data, out)?.epoch();
                Ok(Commit::embedded(session.node(), epoch))
            }
            (Engine::Postgres(_), PreparedKind::Postgres(_)) => {
                Err(SqlError::unsupported("COPY through a session of PostgreSQL"))
            }
            _ => Err(foreign()),
        }
    }

    /// Fails the open transaction, if there is one: the data of its COPY will not come.
    pub fn fail_transaction(&mut self) {
        if let Engine::Embedded(session) = &mut self.engine {
            session.fail_transaction();
        }
    }

    /// Executes all statements of a text and waits for their commits; several are one transaction, as in PostgreSQL's
    /// simple protocol.
    ///
    /// # Errors
    /// That of the first statement that fails; later ones are not tried.
    pub fn execute(&mut self, sql: &str) -> Result<Vec<Rows>> {
        match &mut self.engine {
            Engine::Embedded(session) => session.execute(sql),
            Engine::Postgres(session) => session.execute(sql),
        }
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

    /// Opens the transaction that the protocol puts around several statements.
    pub fn begin_implicit(&mut self) {
        if let Engine::Embedded(session) = &mut self.engine {
            session.begin_implicit();
        }
    }

    /// Ends it, unless BEGIN made it the client's own.
    ///
    /// # Errors
    /// What committing finds, for example 40001.
    pub fn end_implicit(&mut self) -> Result<Commit> {
        match &mut self.engine {
            Engine::Embedded(session) => {
                let epoch = session.end_implicit()?.epoch();
                Ok(Commit::embedded(session.node(), epoch))
            }
            Engine::Postgres(_) => Ok(Commit::done()),
        }
    }

    /// Whether a transaction is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        match &self.engine {
            Engine::Embedded(session) => session.transaction_status(),
            Engine::Postgres(_) => TransactionStatus::Idle,
        }
    }

    /// Takes the notices since the last call.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        match &mut self.engine {
            Engine::Embedded(session) => session.take_notices(),
            Engine::Postgres(session) => session.take_notices(),
        }
    }

    /// Takes the notifications that wait.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        match &mut self.engine {
            Engine::Embedded(session) => session.take_notifications(),
            Engine::Postgres(session) => session.take_notifications().into_iter().map(notification).collect(),
        }
    }

    /// Waits until a notification has come or the time is over, and takes what came. On the embedded engine it takes the
    /// place of what [`Session::on_notification`] was given.
    ///
    /// # Errors
    /// 08006 when the connection to PostgreSQL is lost.
    pub fn wait_notifications(&mut self, timeout: Duration) -> Result<Vec<Notification>> {
        let session = match &mut self.engine {
            Engine::Embedded(session) => session,
            Engine::Postgres(session) => {
                return Ok(session.wait_notifications(timeout)?.into_iter().map(notification).collect());
            }
        };
        let machine = session.node().machine().clone();
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline = machine.monotonic_ns().saturating_add(nanoseconds);
        let event = Arc::new(Event::new(&machine));
        let signalled = event.clone();
        session.on_notification(Arc::new(move || signalled.signal()));
        loop {
            let seen = event.sequence();
            let came = session.take_notifications();
            if !came.is_empty() || !event.wait(seen, Some(deadline)) {
                return Ok(came);
            }
        }
    }

    /// Has `waker` called whenever a notification comes.
    pub fn on_notification(&mut self, waker: Waker) {
        if let Engine::Embedded(session) = &mut self.engine {
            session.on_notification(waker);
        }
    }

    /// A setting's value.
    pub fn setting(&self, name: &str) -> Option<String> {
        match &self.engine {
            Engine::Embedded(session) => session.setting(name),
            Engine::Postgres(_) => None,
        }
    }

    /// How long its client may say nothing now, in nanoseconds: `idle_session_timeout`, or
    /// `idle_in_transaction_session_timeout`. PostgreSQL minds its own.
    pub fn idle_limit_ns(&self) -> Option<u64> {
        match &self.engine {
            Engine::Embedded(session) => session.idle_limit_ns(),
            Engine::Postgres(_) => None,
        }
    }

    /// What a client is told that has said nothing for longer.
    pub fn idle_too_long(&self) -> SqlError {
        match &self.engine {
            Engine::Embedded(session) => session.idle_too_long(),
            Engine::Postgres(_) => SqlError::internal("a session on PostgreSQL has no limit here"),
        }
    }

    /// Sets a setting for the session, as start-up options do.
    ///
    /// # Errors
    /// 42704 for an unknown setting, 22023 for a value that does not fit.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match &mut self.engine {
            Engine::Embedded(session) => session.set(name, value),
            Engine::Postgres(session) => {
                let (name, value) = (name.replace('"', "\"\""), value.replace('\'', "''"));
                session.execute(&format!("SET \"{name}\" = '{value}'")).map(|_| ())
            }
        }
    }

    /// All settings that clients are told of when they connect.
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        match &self.engine {
            Engine::Embedded(session) => session.reported_settings(),
            Engine::Postgres(_) => Vec::new(),
        }
    }

    /// Those of them that changed since the last call.
    pub fn take_changed_settings(&mut self) -> Vec<(String, String)> {
        match &mut self.engine {
            Engine::Embedded(session) => session.take_changed_settings(),
            Engine::Postgres(_) => Vec::new(),
        }
    }
}
