//! The conversation with one client: its messages in, answers out.
//!
//! Everything here is blocking code on the session's own state; [`crate::connection`] runs it and moves
//! the bytes. [`simple`] answers `Query`, [`extended`] answers `Parse` to `Sync`.

mod copy;
mod extended;
mod simple;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tuplix::{Prepared, Rows, Session, TransactionStatus, Waker};
use tuplix_types::{Result, Severity, SqlError, Tag, Value, sqlstate};

use crate::backend;
use crate::connection::apart;
use crate::frontend::{Frame, Message, first_frame};
use crate::output::Output;
use crate::statistics::{Statistics, Tally};
use crate::values::Formatter;
use copy::CopyIn;
use extended::{Portal, Statement};

/// Why [`Protocol::handle`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The rest of the input is no whole message.
    NeedsInput,
    /// Too much output waits; call again with the same input once some has left.
    OutputFull,
    /// The client said goodbye.
    Terminated,
}

/// The protocol's state of one session.
pub(crate) struct Protocol {
    session: Session,
    statements: BTreeMap<String, Statement>,
    portals: BTreeMap<String, Portal>,
    /// After an error in the extended protocol: everything up to `Sync` is skipped.
    skips_to_sync: bool,
    /// The COPY FROM whose data are awaited.
    copy_in: Option<CopyIn>,
    /// Whether an implicit transaction block is open (several statements before one `Sync`, or in one text).
    implicit: bool,
    rows: Rows,
    formatter: Formatter,
    /// Settings that the client has to be told of at the end of the answer.
    changed_settings: Vec<(String, String)>,
    /// What was done since the server's counters were told.
    pub(crate) tally: Tally,
    statistics: Arc<Statistics>,
}

impl Drop for Protocol {
    fn drop(&mut self) {
        self.count();
    }
}

impl Protocol {
    /// The conversation of a session that has been greeted.
    ///
    /// # Errors
    /// None for a session whose settings were checked when they were set.
    pub(crate) fn new(session: Session, statistics: Arc<Statistics>) -> Result<Protocol> {
        let formatter = Formatter::new(&session)?;
        Ok(Protocol {
            session,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            skips_to_sync: false,
            copy_in: None,
            implicit: false,
            rows: Rows::default(),
            formatter,
            changed_settings: Vec::new(),
            tally: Tally::default(),
            statistics,
        })
    }

    /// Adds what was done to the server's counters.
    pub(crate) fn count(&mut self) {
        self.statistics.add(&mut self.tally);
    }

    /// Counts an error that a client is sent.
    pub(crate) fn count_error(&self, error: &SqlError) {
        self.statistics.error(error.sqlstate().as_str());
    }

    /// Counts a statement, and the transaction that it ended. `before`: whether one was open before it.
    fn count_statement(&mut self, before: TransactionStatus, outcome: Option<Tag>) {
        self.tally.statements += 1;
        let after = self.session.transaction_status();
        let rolled_back = outcome.is_none_or(|tag| tag.command == "ROLLBACK");
        match (before, after, rolled_back) {
            (TransactionStatus::Idle, TransactionStatus::Idle, false) if !self.implicit => {
                self.tally.commits += 1
            }
            (TransactionStatus::Idle, TransactionStatus::Idle, true) if !self.implicit => {
                self.tally.rollbacks += 1
            }
            (TransactionStatus::InTransaction, TransactionStatus::Idle, false) => self.tally.commits += 1,
            (TransactionStatus::InTransaction | TransactionStatus::Failed, TransactionStatus::Idle, _) => {
                self.tally.rollbacks += 1;
            }
            _ => {}
        }
    }

    /// How long the client may say nothing now.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        self.session.idle_limit_ns().map(Duration::from_nanos)
    }

    /// Why a client goes that has said nothing for longer.
    pub(crate) fn idle_too_long(&self) -> SqlError {
        self.session.idle_too_long()
    }

    /// Has `waker` called whenever a notification comes.
    pub(crate) fn on_notification(&mut self, waker: Waker) {
        self.session.on_notification(waker);
    }

    /// Sends the notifications that have come while nothing else happens.
    ///
    /// # Errors
    /// None that a client can cause.
    pub(crate) fn notifications(&mut self, output: &mut Output) -> Result<()> {
        if self.session.transaction_status() == TransactionStatus::Idle {
            for notification in self.session.take_notifications() {
                backend::notification(output.buffer(), notification)?;
            }
        }
        Ok(())
    }

    /// Runs a prepared statement. What is answered from now on waits for its commit.
    fn call(
        &mut self,
        prepared: &Prepared,
        arguments: &[Value],
        rows: &mut Rows,
        output: &mut Output,
    ) -> Result<()> {
        rows.clear();
        let before = self.session.transaction_status();
        let called = self.session.call(prepared, arguments, rows);
        self.count_statement(before, called.is_ok().then_some(rows.tag));
        output.gate(&called?);
        let changed = self.session.take_changed_settings();
        if !changed.is_empty() {
            self.formatter.settings_changed(&self.session)?;
            self.changed_settings.extend(changed);
        }
        self.notices(output)
    }

    /// Answers the whole messages in `input` and takes them out of it.
    ///
    /// # Errors
    /// An error that ends the connection; everything else is an answer.
    pub(crate) fn handle(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step> {
        let mut at = 0;
        let step = loop {
            if output.is_full() {
                break Ok(Step::OutputFull);
            }
            let frame = match first_frame(&input[at..]) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(Step::NeedsInput),
                Err(error) => break Err(error),
            };
            // Whether Execute is a transaction of its own shows in what follows it, and a client that
            // wants its answer always sends something: Sync, Flush or the next of a pipeline.
            let follower = input.get(at + frame.length()).copied();
            let waits = frame.kind == b'E' && follower.is_none() && !self.skips_to_sync;
            if waits && !self.executes_copy_in(frame) {
                break Ok(Step::NeedsInput);
            }
            at += frame.length();
            match self.message(frame, follower, output) {
                Ok(true) => {}
                Ok(false) => break Ok(Step::Terminated),
                Err(error) => break Err(error),
            }
        };
        input.advance(at);
        step
    }

    /// Answers one message; false when it was the last.
    fn message(&mut self, frame: Frame<'_>, follower: Option<u8>, output: &mut Output) -> Result<bool> {
        if self.copy_in.is_some() {
            return self.copy_message(frame, output);
        }
        if self.skips_to_sync && !matches!(frame.kind, b'S' | b'X') {
            return Ok(true);
        }
        let answered = Message::decode(frame).and_then(|message| match message {
            Message::Terminate => Ok(false),
            message => self.answer(message, follower, output).map(|()| true),
        });
        match answered {
            Err(error) if matches!(error.fields().severity, Severity::Fatal | Severity::Panic) => Err(error),
            Err(error) => {
                self.fail(&error, output)?;
                match frame.kind {
                    // These are answered with ReadyForQuery also when they fail.
                    b'Q' | b'F' => self.ready(output)?,
                    b'S' => self.sync_done(output)?,
                    _ => self.skips_to_sync = true,
                }
                Ok(true)
            }
            other => other,
        }
    }

    fn answer(&mut self, message: Message<'_>, follower: Option<u8>, output: &mut Output) -> Result<()> {
        match message {
            Message::Query(text) => self.query(text, output),
            Message::Parse { name, query, parameter_types } => {
                self.parse(name, query, &parameter_types, output)
            }
            Message::Bind(bind) => self.bind(&bind, output),
            Message::Describe(target) => self.describe(target, output),
            Message::Execute { portal, rows_max } => {
                self.execute(portal, rows_max, follower == Some(b'S'), output)
            }
            Message::Close(target) => self.close(target, output),
            Message::Sync => self.sync(output),
            // Answers leave as soon as they may, so there is nothing to flush.
            Message::Flush | Message::Terminate => Ok(()),
            // What still comes of a COPY that has failed is skipped, as PostgreSQL does.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
            Message::FunctionCall => {
                Err(SqlError::unsupported("the function call sub-protocol")
                    .hint("Call the function by SELECT."))
            }
            Message::Password => {
                Err(SqlError::new(sqlstate::PROTOCOL_VIOLATION, "a password arrived, but none was asked for"))
            }
        }
    }

    /// Sends the session's notices and `error`.
    fn fail(&mut self, error: &SqlError, output: &mut Output) -> Result<()> {
        self.notices(output)?;
        self.count_error(error);
        backend::error(output.buffer(), error)
    }

    /// Sends what the statements said beside their results.
    fn notices(&mut self, output: &mut Output) -> Result<()> {
        for notice in self.session.take_notices() {
            backend::notice(output.buffer(), &notice)?;
        }
        Ok(())
    }

    /// Opens the implicit transaction block unless one, or the client's own, is open.
    fn open_implicit(&mut self) {
        if !self.implicit && self.session.transaction_status() == TransactionStatus::Idle {
            self.session.begin_implicit();
            self.implicit = true;
        }
    }

    /// Commits the implicit transaction block if one is open; what is answered next waits for it.
    fn close_implicit(&mut self, output: &mut Output) -> Result<()> {
        if std::mem::take(&mut self.implicit) {
            let short = self.session.has_changed_little();
            let ended = apart(short, || self.session.end_implicit());
            let commit = ended.inspect_err(|_| self.tally.rollbacks += 1)?;
            self.tally.commits += 1;
            output.gate(&commit);
        }
        Ok(())
    }

    /// Rolls the implicit transaction block back after an error, be it the session's or the protocol's.
    fn abandon_implicit(&mut self, output: &mut Output) -> Result<()> {
        if std::mem::take(&mut self.implicit) {
            self.tally.rollbacks += 1;
            self.notices(output)?;
            self.session.execute("ROLLBACK")?;
            // The warning that there may be nothing to roll back any more is not the client's.
            drop(self.session.take_notices());
        }
        Ok(())
    }

    /// Ends the answer to a `Query` or `Sync`: changed settings, notifications, the transaction's state.
    fn ready(&mut self, output: &mut Output) -> Result<()> {
        self.changed_settings.extend(self.session.take_changed_settings());
        for (name, value) in self.changed_settings.drain(..) {
            backend::parameter_status(output.buffer(), name, value)?;
        }
        let status = self.session.transaction_status();
        if status == TransactionStatus::Idle {
            self.portals.clear();
            self.notifications(output)?;
        }
        backend::ready(output.buffer(), status)
    }
}
