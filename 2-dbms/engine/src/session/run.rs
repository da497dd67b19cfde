//! Running code under the restart rule.

use std::sync::atomic::Ordering;

use tuplix_types::{Result, Rows, SqlError, Tag, Value, sqlstate};

use super::Session;
use super::bind::in_failed_block;
use crate::exec::{Exec, FrameStack, discard};
use crate::lock_table::{TransactionId, WaitEnd};
use crate::redo::Origin;
use crate::statement::{Bound, Code, Prepared};
use crate::stop::{Run, Stop};
use crate::transaction::{Committed, PrivateCatalog, RestartCause, Start, Transaction};

/// How long a commit waits for room in the log's buffer before it is refused.
const LOG_ROOM_NS: u64 = 10_000_000_000;

impl Session {
    pub(super) fn call_statement(
        &mut self,
        statement: &Prepared,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        self.node.log.check()?;
        let bound = &statement.inner.bound;
        let outcome = if self.is_current(statement) {
            self.call_bound(statement, bound, arguments, out)
        } else {
            let bound = self.current(statement)?;
            self.call_bound(statement, &bound, arguments, out)
        };
        self.end_if_own(outcome)
    }

    /// Whether a statement's code may run as it was prepared.
    #[inline(always)]
    pub(super) fn is_current(&self, statement: &Prepared) -> bool {
        let inner = &statement.inner;
        inner.version.load(Ordering::Relaxed) == self.services.current_version()
            && self.services.fits(inner.bound.bound_to)
    }

    /// Ends the block that a statement has opened around itself, if it has.
    #[inline(always)]
    pub(super) fn end_if_own(&mut self, outcome: Result<u64>) -> Result<u64> {
        if self.block.as_ref().is_some_and(|block| block.own) { self.end_own_block(outcome) } else { outcome }
    }

    #[inline(always)]
    fn call_bound(
        &mut self,
        statement: &Prepared,
        bound: &Bound,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        if arguments.len() != bound.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement requires {}",
                arguments.len(),
                bound.parameters.len()
            );
            return Err(SqlError::new(sqlstate::PROTOCOL_VIOLATION, message));
        }
        if let Code::Utility(utility) = &bound.code {
            let outcome = self.call_utility(statement, &utility.clone(), bound.version, arguments, out);
            self.services.sleeps.end();
            return outcome;
        }
        if self.block.as_ref().is_some_and(|block| block.failed) {
            return Err(in_failed_block());
        }
        if !std::sync::Arc::ptr_eq(&out.columns, &bound.columns) {
            out.columns = bound.columns.clone();
        }
        if statement.inner.counter.count() {
            return self.run_timed(statement, bound, arguments, out);
        }
        self.run_code(statement, bound, arguments, out)
    }

    /// One call in a while is timed, for `tuplix.plans`.
    #[cold]
    fn run_timed(
        &mut self,
        statement: &Prepared,
        bound: &Bound,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        let start = self.node.machine().monotonic_ns();
        let better = self.outgrown(statement, bound, start)?;
        let outcome = self.run_code(statement, better.as_ref().unwrap_or(bound), arguments, out);
        statement.inner.counter.add(self.node.machine().monotonic_ns() - start);
        outcome
    }

    #[inline(always)]
    fn run_code(
        &mut self,
        statement: &Prepared,
        bound: &Bound,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        match self.try_code(bound, arguments, out) {
            Err(Stop::Restart) => self.run_again(statement, bound, arguments, out),
            Ok(epoch) => Ok(epoch),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// One run of it.
    #[inline(always)]
    fn try_code(&mut self, bound: &Bound, arguments: &[Value], out: &mut Rows) -> Run<u64> {
        let origin = self.origin(&bound.code);
        let body = |exec: &mut Exec<'_, '_>, rows: &mut Rows| execute(bound, exec, arguments, rows);
        let (tag, committed) = self.run_once(bound.version, &origin, body, out)?;
        out.tag = tag;
        Ok(committed.epoch)
    }

    /// Runs it until it is not asked to restart, with code for the catalogue as it is then.
    #[cold]
    fn run_again(
        &mut self,
        statement: &Prepared,
        bound: &Bound,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        let outcome = self.run_until_done(statement, bound, arguments, out);
        self.services.sleeps.end();
        outcome
    }

    fn run_until_done(
        &mut self,
        statement: &Prepared,
        bound: &Bound,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        let mut rebound: Option<Bound> = None;
        loop {
            out.clear();
            let version = rebound.as_ref().unwrap_or(bound).version;
            if self.services.current_version() != version {
                self.services.refresh();
                rebound = Some(self.current(statement)?);
            }
            match self.try_code(rebound.as_ref().unwrap_or(bound), arguments, out) {
                Ok(epoch) => return Ok(epoch),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }

    #[inline(always)]
    fn origin(&self, code: &Code) -> Origin {
        let (procedure, version) = match code {
            Code::Call(call) => (call.function, call.function_version),
            _ => (0, 0),
        };
        Origin { context: self.context.id(), procedure, version }
    }

    /// One run: a one-shot with its commit, or one statement of the open block. A restart has been waited for when it
    /// returns [`Stop::Restart`].
    #[inline(always)]
    pub(super) fn run_once<T>(
        &mut self,
        version: u64,
        origin: &Origin,
        body: impl FnOnce(&mut Exec<'_, '_>, &mut Rows) -> Run<T>,
        out: &mut Rows,
    ) -> Run<(T, Committed)> {
        let in_block = self.block.is_some();
        self.start_deadline();
        let random_seed = self.next_random();
        let (outcome, cause) = {
            let start = self.start_of_run(version, random_seed);
            let mut tx = Transaction::new(start.0);
            let outcome = run_and_commit(&mut tx, start.1, in_block, origin, |exec| body(exec, out));
            let cause = outcome.is_err().then(|| tx.take_cause_and_abandon());
            (outcome, cause)
        };
        if let Some(cause) = cause {
            self.end_run_of_cursors(false, in_block);
            self.settle_session_locks(matches!(outcome, Err(Stop::Restart)));
            return match outcome {
                Err(Stop::Restart) => match self.wait_before_restart(cause) {
                    Ok(()) => outcome,
                    Err(error) => {
                        self.scratch.forget_history();
                        Err(error.into())
                    }
                },
                _ => {
                    self.scratch.forget_history();
                    outcome
                }
            };
        }
        self.after_run();
        self.end_run_of_cursors(true, in_block);
        self.settle_session_locks(false);
        self.scratch.forget_history();
        outcome
    }

    #[inline(always)]
    fn start_of_run(&mut self, version: u64, random_seed: u64) -> (Start<'_>, &mut FrameStack) {
        let Session { node, services, scratch, frames, block, .. } = self;
        let read_only = block.as_ref().is_some_and(|block| block.read_only);
        let block_us = block.as_ref().map(|block| block.now_us);
        let interactive = block.as_mut().map(|block| {
            block.used = true;
            block.interactive.statement_start = block.interactive.overlay.undo_len();
            block.interactive.statement_catalog =
                block.interactive.catalog.as_deref().map_or(0, PrivateCatalog::changes);
            if block.interactive.validates_reads() {
                scratch.want(block.interactive.reads.keys().map(|key| key.domain));
            }
            &mut block.interactive
        });
        let start = Start {
            node,
            services,
            scratch,
            interactive,
            catalog_version: services.base_of(version),
            block_us,
            random_seed,
            read_only,
        };
        (start, frames)
    }

    /// Moves what a run said to the session: notices, and notifications to where they wait for the commit.
    #[inline(always)]
    fn after_run(&mut self) {
        if !self.scratch.notices.is_empty() {
            self.notices.append(&mut self.scratch.notices);
        }
        if !self.scratch.notifications.is_empty() {
            self.notify();
        }
    }

    #[cold]
    fn notify(&mut self) {
        match &mut self.block {
            Some(block) => block.notifications.append(&mut self.scratch.notifications),
            None => {
                let sent = std::mem::take(&mut self.scratch.notifications);
                self.node.listeners.deliver(self.services.session_id, sent.into_iter());
            }
        }
    }

    #[inline(always)]
    pub(super) fn start_deadline(&mut self) {
        let deadline = self.statement_limit_ns.map(|limit| self.node.machine().monotonic_ns() + limit);
        self.services.deadline_ns.set(deadline);
    }

    #[inline(always)]
    pub(super) fn next_random(&mut self) -> u64 {
        self.random_state =
            self.random_state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random_state
    }

    pub(super) fn wait_before_restart(&mut self, cause: RestartCause) -> Result<()> {
        self.services.sleeps.restart(matches!(cause, RestartCause::Sleep(_)));
        match cause {
            RestartCause::Sleep(until_ns) => crate::sleep::sleep(&self.services, until_ns),
            RestartCause::Latch | RestartCause::Catalog => Ok(()),
            RestartCause::LogFull => {
                let deadline = self.node.machine().monotonic_ns() + LOG_ROOM_NS;
                self.node.log.wait_for_room(deadline)
            }
            RestartCause::Lock(holder) => self.wait_for_lock(holder),
            RestartCause::Fetch(blocks) => {
                for block in blocks {
                    let read = block.read()?;
                    self.scratch.fetched.push((block, read));
                }
                Ok(())
            }
            RestartCause::MemoryFull(error) => self.make_room(error),
            RestartCause::NeedsBlock => {
                self.open_own_block();
                Ok(())
            }
        }
    }

    /// Lets a checkpoint take rows of spooled tables out of memory, where that helps.
    #[cold]
    fn make_room(&mut self, error: SqlError) -> Result<()> {
        if !crate::history::can_spool(&self.node) {
            return Err(error);
        }
        self.scratch.made_room += 1;
        self.node.checkpoint().map(|_| ())
    }

    pub(super) fn wait_for_lock(&mut self, holder: TransactionId) -> Result<()> {
        let transaction = self.block.as_ref().map(|block| block.interactive.id);
        let me: Vec<_> = self.services.session_locks.borrow().owners().chain(transaction).collect();
        let now = self.node.machine().monotonic_ns();
        let lock_limit = self.services.settings.borrow().nanoseconds("lock_timeout").map(|limit| now + limit);
        let statement_limit = self.services.deadline_ns.get();
        let deadline = match (lock_limit, statement_limit) {
            (Some(lock), Some(statement)) => Some(lock.min(statement)),
            (lock, statement) => lock.or(statement),
        };
        let flags = self.services.flags.clone();
        let cancelled = move || flags.cancel.load(Ordering::Relaxed);
        match self.node.waits.wait(&me, holder, deadline, &cancelled)? {
            WaitEnd::HolderEnded => Ok(()),
            WaitEnd::Cancelled => {
                let message = "canceling statement due to user request";
                Err(SqlError::new(sqlstate::QUERY_CANCELED, message))
            }
            WaitEnd::TimedOut if statement_limit.is_some_and(|limit| deadline == Some(limit)) => {
                Err(crate::services::timed_out())
            }
            WaitEnd::TimedOut => {
                let message = "canceling statement due to lock timeout";
                Err(SqlError::new(sqlstate::LOCK_NOT_AVAILABLE, message))
            }
        }
    }
}

/// Runs `body` in a transaction, and ends it.
#[inline(always)]
fn run_and_commit<'n, T>(
    tx: &mut Transaction<'n>,
    frames: &mut FrameStack,
    in_block: bool,
    origin: &Origin,
    body: impl FnOnce(&mut Exec<'_, 'n>) -> Run<T>,
) -> Run<(T, Committed)> {
    tx.check_start()?;
    if in_block {
        tx.validate_own_reads()?;
    }
    // It ends where it lies: `drop` would have it copied first.
    let value = {
        let mut exec = Exec::new(tx, frames);
        let value = body(&mut exec)?;
        if exec.tx.has_deferred() {
            crate::exec::check_deferred(&mut exec)?;
        }
        value
    };
    let committed = if in_block { tx.finish_statement()? } else { tx.commit(origin)? };
    Ok((value, committed))
}

/// Executes compiled code in a run.
#[inline(always)]
fn execute(bound: &Bound, exec: &mut Exec<'_, '_>, arguments: &[Value], out: &mut Rows) -> Run<Tag> {
    if !bound.user_parameters && !bound.user_columns {
        return execute_code(&bound.code, exec, arguments, out);
    }
    execute_between_types(bound, exec, arguments, out)
}

/// Executes it with values of users' types, which clients give and get as texts.
#[inline(never)]
fn execute_between_types(
    bound: &Bound,
    exec: &mut Exec<'_, '_>,
    arguments: &[Value],
    out: &mut Rows,
) -> Run<Tag> {
    let given = arguments.iter().zip(&*bound.parameters);
    let inside: Run<Vec<Value>> = given.map(|(value, ty)| crate::exec::argument(exec, *ty, value)).collect();
    let tag = execute_code(&bound.code, exec, &inside?, out)?;
    exec.services.with_catalog(|catalog| label_rows(catalog, out));
    Ok(tag)
}

/// Puts labels in the place of enum values.
pub(super) fn label_rows(catalog: &tuplix_catalog::Catalog, rows: &mut Rows) {
    rows.change_values(&mut |value| {
        if let Some(labelled) = crate::user_types::labelled(catalog, value) {
            *value = labelled;
        }
    });
}

#[inline(always)]
fn execute_code(code: &Code, exec: &mut Exec<'_, '_>, arguments: &[Value], out: &mut Rows) -> Run<Tag> {
    match code {
        Code::Call(call) => {
            if let Some(rights) = &call.rights {
                rights.check(exec)?;
            }
            let value = call.procedure.call_scalar(exec, arguments)?;
            out.push(std::slice::from_ref(&value));
            discard(value);
            Ok(Tag { command: "SELECT", rows: Some(1) })
        }
        Code::Query(query) => {
            if query.is_by_keys() {
                exec.tx.read_by_keys();
            }
            let outcome = query.run(exec, arguments, &mut |row| {
                out.push(row);
                Ok(())
            })?;
            Ok(Tag { command: outcome.tag.command(), rows: Some(outcome.rows) })
        }
        Code::Copy(copy) => copy.run(exec, arguments, out),
        Code::Utility(_) => Err(SqlError::internal("a utility statement is not code").into()),
    }
}
