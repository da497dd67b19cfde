//! A client: one session that runs random transactions and records what it did and saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix::{
    Commit, Machine, Prepared, Result, Rows, Session, SessionOptions, SqlError, SqlState, Tuplix, Value,
    sqlstate,
};

use crate::history::{Event, IDS, Id, Level, Outcome};
use crate::random::Random;

/// Where events go.
pub trait Recorder: Send + Sync {
    /// Adds an event.
    fn record(&self, event: Event);
    /// The number of the next transaction.
    fn next_number(&self) -> u64;
}

/// Why a client stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The node's log has stopped, or the node is closing.
    Node(String),
    /// A reply that must not be.
    Wrong(String),
}

/// What a client may do besides.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Whether its replies wait for the disk.
    pub synchronous: bool,
    /// Sets `lock_timeout`.
    pub lock_timeout: bool,
    /// Makes and drops indexes meanwhile.
    pub changes_schema: bool,
    /// Asks for checkpoints meanwhile.
    pub checkpoints: bool,
    /// Disk operations fail: a checkpoint may.
    pub disk_fails: bool,
}

/// A client of a node.
pub struct Client {
    /// Its number.
    pub index: u32,
    pub(crate) node: Tuplix,
    pub(crate) machine: Machine,
    pub(crate) session: Session,
    pub(crate) random: Random,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) habits: Habits,
    /// Tasks it has scheduled: partition key and task.
    pub(crate) tasks: Vec<(i32, i64)>,
    statements: BTreeMap<String, Prepared>,
}

/// The transaction that is running.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) number: u64,
    pub(crate) level: Level,
    next: u64,
    /// A transfer may overdraw.
    pub(crate) may_overdraw: bool,
}

impl Running {
    /// How many ids it has used.
    pub(crate) fn written(&self) -> u64 {
        self.next
    }
}

/// A statement's failure, before it is known whether that is all right.
pub(crate) enum Failure {
    /// The statement's own error.
    Sql(SqlError),
    /// The commit's way to the disk failed.
    Wait(SqlError),
    /// The reply is wrong.
    Wrong(String),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Failure {
        Failure::Sql(error)
    }
}

/// The outcome of a step inside a transaction.
pub(crate) type Step<T = ()> = std::result::Result<T, Failure>;

/// An integer argument.
pub(crate) fn int(value: i32) -> Value {
    Value::Int4(value)
}

/// A bigint argument.
pub(crate) fn big(value: i64) -> Value {
    Value::Int8(value)
}

/// An id as argument.
pub(crate) fn id_value(id: Id) -> Value {
    Value::Int8(id as i64)
}

/// Whether the node said that it has stopped.
pub fn is_stop(state: SqlState) -> bool {
    [sqlstate::IO_ERROR, sqlstate::DISK_FULL, sqlstate::ADMIN_SHUTDOWN].contains(&state)
}

impl Client {
    /// A client with a session of its own.
    ///
    /// # Errors
    /// The engine's.
    pub fn new(
        index: u32,
        node: &Tuplix,
        machine: &Machine,
        random: Random,
        recorder: Arc<dyn Recorder>,
        habits: Habits,
    ) -> Result<Client> {
        let session = new_session(node, index, habits)?;
        Ok(Client {
            index,
            node: node.clone(),
            machine: machine.clone(),
            session,
            random,
            recorder,
            habits,
            tasks: Vec::new(),
            statements: BTreeMap::new(),
        })
    }

    /// Runs one random transaction.
    ///
    /// # Errors
    /// When the node has stopped, or a reply was wrong.
    pub fn run_one(&mut self) -> std::result::Result<(), Stop> {
        self.pause(4);
        match self.random.below(20) {
            0..=9 => self.one_shot(),
            10 => self.two_statements(),
            11 if self.habits.changes_schema => self.change_schema(),
            12 if self.habits.checkpoints => self.checkpoint(),
            _ => self.interactive(),
        }
    }

    /// Ends the session and begins another.
    pub(crate) fn reconnect(&mut self) -> Result<()> {
        self.statements.clear();
        self.session = new_session(&self.node, self.index, self.habits)?;
        Ok(())
    }

    /// Thinks for a moment, once in so many times.
    pub(crate) fn pause(&mut self, one_in: u64) {
        if self.machine.is_simulated() && self.random.chance(1, one_in) {
            let nanoseconds = self.random.below(3_000_000);
            self.machine.sleep_until(self.machine.monotonic_ns() + nanoseconds);
        }
    }

    pub(crate) fn note(&self, text: String) {
        self.recorder.record(Event::Note { client: self.index, text });
    }

    pub(crate) fn begin(&mut self, level: Level) -> Running {
        let number = self.recorder.next_number();
        self.recorder.record(Event::Begin { number, client: self.index, level });
        Running { number, level, next: 0, may_overdraw: false }
    }

    /// An id for a write that is about to be sent.
    pub(crate) fn fresh(&mut self, running: &mut Running) -> Id {
        assert!(running.next < IDS, "a transaction has at most {IDS} writes");
        let id = running.number * IDS + running.next;
        running.next += 1;
        self.recorder.record(Event::Write { id });
        id
    }

    pub(crate) fn end(&mut self, running: &Running, outcome: Outcome) {
        let durable = outcome == Outcome::Committed && self.habits.synchronous;
        self.recorder.record(Event::End { number: running.number, outcome, durable });
    }

    /// A prepared statement's reply, waited for when the session is synchronous.
    pub(crate) fn ask(&mut self, sql: &str, arguments: &[Value]) -> Step<Rows> {
        let prepared = prepared(&mut self.session, &mut self.statements, sql)?;
        let mut rows = Rows::new();
        let commit = self.session.call(&prepared, arguments, &mut rows);
        self.still_alive();
        let shown = match &commit {
            Ok(_) => format!("{} {:?}", rows.tag, rows.iter().collect::<Vec<_>>()),
            Err(error) => error.to_string(),
        };
        self.note(format!("{sql} {arguments:?} -> {shown}"));
        self.wait(commit?)?;
        Ok(rows)
    }

    fn wait(&mut self, commit: Commit) -> Step {
        let outcome = if self.habits.synchronous { commit.wait().map_err(Failure::Wait) } else { Ok(()) };
        self.still_alive();
        outcome
    }

    /// Ends this thread if its machine has ended meanwhile: what it was told after that, nobody was told.
    pub(crate) fn still_alive(&self) {
        self.machine.yield_point("reply");
    }

    /// Judges the failure of a transaction that is over, and records its end.
    pub(crate) fn failed(&mut self, running: &Running, failure: Failure) -> std::result::Result<(), Stop> {
        match failure {
            Failure::Wrong(what) => {
                self.end(running, Outcome::Unknown);
                Err(Stop::Wrong(format!("client {}, transaction {}: {what}", self.index, running.number)))
            }
            Failure::Sql(error) | Failure::Wait(error) if is_stop(error.sqlstate()) => {
                self.note(format!("stopped: {error}"));
                self.end(running, Outcome::Unknown);
                Err(Stop::Node(error.to_string()))
            }
            Failure::Sql(error) if self.is_expected(running, error.sqlstate()) => {
                self.end(running, Outcome::Aborted);
                Ok(())
            }
            Failure::Sql(error) | Failure::Wait(error) => {
                self.end(running, Outcome::Unknown);
                let number = running.number;
                Err(Stop::Wrong(format!(
                    "client {}, transaction {number}: unexpected error: {error:?}",
                    self.index
                )))
            }
        }
    }

    /// Errors that a correct engine gives to correct clients.
    fn is_expected(&self, running: &Running, state: SqlState) -> bool {
        match state {
            sqlstate::CHECK_VIOLATION => running.may_overdraw,
            sqlstate::LOCK_NOT_AVAILABLE => self.habits.lock_timeout,
            sqlstate::DEADLOCK_DETECTED => running.level != Level::OneShot,
            sqlstate::SERIALIZATION_FAILURE => {
                matches!(running.level, Level::RepeatableRead | Level::Serializable)
            }
            _ => false,
        }
    }

    /// One that fails does no harm: whether the node goes on shows with the next transaction.
    fn checkpoint(&mut self) -> std::result::Result<(), Stop> {
        let outcome = self.session.execute("CHECKPOINT");
        self.still_alive();
        self.note(format!("CHECKPOINT -> {:?}", outcome.as_ref().err().map(ToString::to_string)));
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if self.habits.disk_fails && is_stop(error.sqlstate()) => Ok(()),
            Err(error) => Err(Stop::Wrong(format!("client {}: CHECKPOINT: {error:?}", self.index))),
        }
    }

    fn change_schema(&mut self) -> std::result::Result<(), Stop> {
        let statements = [
            "CREATE INDEX item_by_id ON item (id)",
            "DROP INDEX item_by_id",
            "CREATE INDEX past_by_id ON past (id)",
            "DROP INDEX past_by_id",
            "CREATE INDEX local_item_by_pos ON local_item (pos, id)",
            "DROP INDEX local_item_by_pos",
        ];
        let sql = self.random.pick(&statements);
        let outcome = self.session.execute(sql);
        self.still_alive();
        self.note(format!("{sql} -> {:?}", outcome.as_ref().err().map(ToString::to_string)));
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if is_stop(error.sqlstate()) => Err(Stop::Node(error.to_string())),
            Err(error)
                if [sqlstate::DUPLICATE_TABLE, sqlstate::UNDEFINED_OBJECT].contains(&error.sqlstate())
                    || (self.habits.lock_timeout && error.sqlstate() == sqlstate::LOCK_NOT_AVAILABLE) =>
            {
                Ok(())
            }
            Err(error) => Err(Stop::Wrong(format!("client {}: {sql}: {error:?}", self.index))),
        }
    }
}

fn new_session(node: &Tuplix, index: u32, habits: Habits) -> Result<Session> {
    let options = SessionOptions { application_name: format!("client {index}"), ..SessionOptions::default() };
    let mut session = node.session(&options)?;
    session.set("synchronous_commit", if habits.synchronous { "on" } else { "off" })?;
    if habits.lock_timeout {
        session.set("lock_timeout", "4ms")?;
    }
    Ok(session)
}

/// The statement of a text, prepared when it is first asked for.
pub(crate) fn prepared(
    session: &mut Session,
    statements: &mut BTreeMap<String, Prepared>,
    sql: &str,
) -> tuplix::Result<Prepared> {
    if let Some(prepared) = statements.get(sql) {
        return Ok(prepared.clone());
    }
    let prepared = session.prepare(sql, &[])?;
    statements.insert(sql.to_owned(), prepared.clone());
    Ok(prepared)
}
