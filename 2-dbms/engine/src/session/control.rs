//! Transaction blocks: BEGIN, COMMIT, ROLLBACK, savepoints, and the implicit block around several statements.

use tuplix_sql::plan::{Isolation, TransactionModes, TransactionStatement};
use tuplix_types::{Result, Rows, Severity, SqlError, Tag, sqlstate};

use super::{Block, Savepoint, Session};
use crate::redo::Origin;
use crate::session_locks::SessionLock;
use crate::statement::Commit;
use crate::stop::Stop;
use crate::transaction::{Interactive, PrivateCatalog, RestartCause, Start, Transaction};

/// Savepoints of one transaction.
const MAX_SAVEPOINTS: usize = 10_000;

impl Session {
    pub(super) fn control(&mut self, statement: &TransactionStatement, out: &mut Rows) -> Result<u64> {
        use TransactionStatement as T;
        let mut epoch = 0;
        let command = match statement {
            T::Begin(modes) => self.begin(*modes)?,
            T::Commit { chain } => {
                let modes = self.current_modes();
                let (tag, committed) = self.commit()?;
                epoch = committed;
                self.chain(*chain, modes)?;
                tag
            }
            T::Rollback { chain } => {
                let modes = self.current_modes();
                if self.block.as_ref().is_none_or(|block| block.implicit) {
                    self.warn(sqlstate::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                }
                self.roll_back_block();
                self.chain(*chain, modes)?;
                "ROLLBACK"
            }
            T::Savepoint(name) => self.savepoint(name)?,
            T::Release(name) => self.release(name)?,
            T::RollbackTo(name) => self.rollback_to(name)?,
            T::SetTransaction(modes) => self.set_transaction(*modes)?,
        };
        out.columns = std::sync::Arc::default();
        out.tag = Tag { command, rows: None };
        Ok(epoch)
    }

    fn warn(&mut self, sqlstate: tuplix_types::SqlState, message: &str) {
        self.notices.push(SqlError::new(sqlstate, message).severity(Severity::Warning));
    }

    fn begin(&mut self, modes: TransactionModes) -> Result<&'static str> {
        match &mut self.block {
            Some(block) if block.implicit => block.implicit = false,
            Some(_) => {
                self.warn(sqlstate::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
                return Ok("BEGIN");
            }
            None => self.open_block(false),
        }
        self.set_modes(modes)?;
        Ok("BEGIN")
    }

    fn open_block(&mut self, implicit: bool) {
        *self.services.constraint_modes.borrow_mut() = crate::exec::ConstraintModes::default();
        let settings = self.services.settings.borrow();
        let isolation = settings.default_isolation();
        let read_only = settings.get("default_transaction_read_only") == Some("on");
        drop(settings);
        self.block = Some(Block {
            interactive: Interactive::new(self.node.waits.begin(self.services.session_id), isolation),
            failed: false,
            implicit,
            own: false,
            read_only,
            used: false,
            now_us: self.node.machine().now_us(),
            savepoints: Vec::new(),
            notifications: Vec::new(),
        });
    }

    fn current_modes(&self) -> TransactionModes {
        match &self.block {
            Some(block) => TransactionModes {
                isolation: Some(block.interactive.isolation),
                read_only: Some(block.read_only),
                deferrable: None,
            },
            None => TransactionModes::default(),
        }
    }

    fn chain(&mut self, chain: bool, modes: TransactionModes) -> Result<()> {
        if chain {
            self.open_block(false);
            self.set_modes(modes)?;
        }
        Ok(())
    }

    fn set_transaction(&mut self, modes: TransactionModes) -> Result<&'static str> {
        if self.block.is_none() {
            self.warn(
                sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
            return Ok("SET");
        }
        self.set_modes(modes)?;
        Ok("SET")
    }

    fn set_modes(&mut self, modes: TransactionModes) -> Result<()> {
        let Some(block) = &mut self.block else { return Ok(()) };
        if let Some(isolation) = modes.isolation {
            if block.used && isolation != block.interactive.isolation {
                let message = "SET TRANSACTION ISOLATION LEVEL must be called before any query";
                return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
            }
            block.interactive.isolation = isolation;
        }
        if let Some(read_only) = modes.read_only {
            if block.used && block.read_only && !read_only {
                let message = "transaction read-write mode must be set before any query";
                return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
            }
            block.read_only = read_only;
        }
        let name = match block.interactive.isolation {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        };
        let read_only = if block.read_only { "on" } else { "off" };
        let mut settings = self.services.settings.borrow_mut();
        settings.set("transaction_isolation", name, true, true)?;
        settings.set("transaction_read_only", read_only, true, true)
    }

    /// COMMIT: the tag (ROLLBACK when the block had failed) and the epoch to wait for.
    fn commit(&mut self) -> Result<(&'static str, u64)> {
        match &self.block {
            None => {
                self.warn(sqlstate::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                Ok(("COMMIT", 0))
            }
            Some(block) if block.failed => {
                self.roll_back_block();
                Ok(("ROLLBACK", 0))
            }
            Some(_) => Ok(("COMMIT", self.commit_block()?)),
        }
    }

    /// Puts the block's changes in place. It ends whatever happens.
    fn commit_block(&mut self) -> Result<u64> {
        if let Err(error) = self.check_deferred().and_then(|()| self.drop_on_commit()) {
            self.roll_back_block();
            return Err(error);
        }
        let Some(mut block) = self.block.take() else { return Ok(0) };
        let outcome = loop {
            match self.try_commit(&mut block.interactive) {
                Ok(epoch) => break Ok(epoch),
                Err(Stop::Error(error)) => break Err(error),
                Err(Stop::Restart) => {}
            }
        };
        if outcome.is_err() {
            self.release_everything(&mut block.interactive);
        }
        self.node.waits.end(block.interactive.id);
        self.services.settings.borrow_mut().end_transaction(outcome.is_ok());
        self.services.portals.borrow_mut().end_transaction(outcome.is_ok());
        self.refresh_settings();
        if outcome.is_ok() && !block.notifications.is_empty() {
            self.node.listeners.deliver(self.services.session_id, block.notifications.into_iter());
        }
        outcome
    }

    fn try_commit(&mut self, interactive: &mut Interactive) -> Result<u64, Stop> {
        let touched = interactive.overlay.fragments().map(|(key, _)| key.domain);
        let locked = interactive.locks.iter().map(|(domain, _)| *domain);
        let read = interactive.reads.keys().map(|key| key.domain);
        let mut domains: Vec<_> = touched.chain(locked).chain(read).collect();
        if interactive.catalog.is_some() {
            domains = self.node.all_domains();
        }
        self.scratch.want(domains.into_iter());
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        let mut tx = Transaction::start(self.lone_start());
        let outcome = tx
            .log_catalog(interactive)
            .and_then(|()| tx.apply(interactive))
            .and_then(|()| tx.hold_lock_domains(interactive))
            .and_then(|()| tx.commit_keeping_latches(&origin));
        match outcome {
            Ok(committed) => {
                tx.publish_catalog(interactive);
                tx.free_locks(interactive);
                Ok(committed.epoch)
            }
            Err(stop) => {
                let cause = tx.take_cause_and_abandon();
                drop(tx);
                if let Stop::Restart = stop {
                    self.wait_before_restart(cause)?;
                }
                Err(stop)
            }
        }
    }

    /// A run of our own that compiles nothing: the catalogue may be at any version.
    fn lone_start(&mut self) -> Start<'_> {
        Start {
            node: &self.node,
            services: &self.services,
            scratch: &mut self.scratch,
            interactive: None,
            catalog_version: self.node.catalog_version(),
            block_us: None,
            random_seed: 0,
            read_only: false,
        }
    }

    /// Ends the block, if there is one, without a trace.
    pub(super) fn roll_back_block(&mut self) {
        let Some(mut block) = self.block.take() else { return };
        self.release_everything(&mut block.interactive);
        self.node.waits.end(block.interactive.id);
        self.services.settings.borrow_mut().end_transaction(false);
        self.services.portals.borrow_mut().end_transaction(false);
        self.refresh_settings();
    }

    /// The block accepts nothing but its end from now on. Unless a savepoint may bring it back, its changes and
    /// locks are gone at once: others need not wait until its client says ROLLBACK.
    pub(super) fn fail_block(&mut self) {
        let Some(mut block) = self.block.take() else { return };
        block.failed = true;
        let holds = !block.interactive.locks.is_empty() || block.interactive.catalog.is_some();
        if block.savepoints.is_empty() && holds {
            block.interactive.overlay.rollback_to(0);
            self.release_everything(&mut block.interactive);
            self.node.waits.wake_all();
        }
        self.block = Some(block);
    }

    /// Gives back the locks of a transaction that does not commit, and what it did to the catalogue.
    fn release_everything(&mut self, interactive: &mut Interactive) {
        if interactive.locks.is_empty() && interactive.catalog.is_none() {
            return;
        }
        loop {
            let mut domains: Vec<_> = interactive.locks.iter().map(|(domain, _)| *domain).collect();
            if interactive.catalog.is_some() {
                domains = self.node.all_domains();
            }
            self.scratch.want(domains.into_iter());
            let mut tx = Transaction::start(self.lone_start());
            let released = tx.hold_lock_domains(interactive).and_then(|()| tx.forget_catalog(interactive));
            if released.is_ok() {
                tx.free_locks(interactive);
                return;
            }
            let cause = tx.take_cause_and_abandon();
            debug_assert!(matches!(cause, RestartCause::Latch | RestartCause::Catalog));
        }
    }

    /// Ends what a run did to the session's own locks, or puts it back for a run that starts again.
    #[inline(always)]
    pub(super) fn settle_session_locks(&mut self, starts_again: bool) {
        if self.services.session_locks.get_mut().has_changed() {
            let free = self.services.session_locks.get_mut().settle(starts_again);
            self.free_session_locks(&free);
        }
    }

    /// Gives back all locks of the session itself.
    pub(super) fn free_all_session_locks(&mut self) {
        self.services.session_locks.get_mut().give_back_all();
        self.settle_session_locks(false);
    }

    #[cold]
    fn free_session_locks(&mut self, locks: &[SessionLock]) {
        if locks.is_empty() {
            return;
        }
        // A run that starts again has left there what it needs.
        let wanted = std::mem::take(&mut self.scratch.wanted);
        self.scratch.want(locks.iter().map(|lock| lock.domain));
        Transaction::start(self.lone_start()).free_session_locks(locks);
        self.scratch.wanted = wanted;
        locks.iter().for_each(|lock| self.node.waits.end(lock.owner));
    }

    fn block_for(&mut self, verb: &str) -> Result<&mut Block> {
        match &mut self.block {
            Some(block) if !block.implicit => Ok(block),
            _ => {
                let message = format!("{verb} can only be used in transaction blocks");
                Err(SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message))
            }
        }
    }

    fn savepoint(&mut self, name: &str) -> Result<&'static str> {
        let portals = self.services.portals.borrow().mark();
        let constraints = self.services.constraint_modes.borrow().clone();
        let block = self.block_for("SAVEPOINT")?;
        if block.savepoints.len() >= MAX_SAVEPOINTS {
            let message = format!("a transaction cannot have more than {MAX_SAVEPOINTS} savepoints");
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let undo_len = block.interactive.overlay.undo_len();
        let catalog = block.interactive.catalog.as_deref().map_or(0, PrivateCatalog::changes);
        let notifications = block.notifications.len();
        let name = name.to_owned();
        let savepoint = Savepoint { name, undo_len, catalog, notifications, portals, constraints };
        block.savepoints.push(savepoint);
        Ok("SAVEPOINT")
    }

    fn find_savepoint(&mut self, verb: &str, name: &str) -> Result<usize> {
        let block = self.block_for(verb)?;
        block.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            SqlError::new(sqlstate::INVALID_SAVEPOINT_SPECIFICATION, message)
        })
    }

    fn release(&mut self, name: &str) -> Result<&'static str> {
        let position = self.find_savepoint("RELEASE SAVEPOINT", name)?;
        self.block_for("RELEASE SAVEPOINT")?.savepoints.truncate(position);
        Ok("RELEASE")
    }

    fn rollback_to(&mut self, name: &str) -> Result<&'static str> {
        let position = self.find_savepoint("ROLLBACK TO SAVEPOINT", name)?;
        let block = self.block_for("ROLLBACK TO SAVEPOINT")?;
        let Savepoint { undo_len, catalog, notifications, portals, .. } = block.savepoints[position];
        let constraints = block.savepoints[position].constraints.clone();
        block.notifications.truncate(notifications);
        block.savepoints.truncate(position + 1);
        block.interactive.overlay.rollback_to(undo_len);
        block.failed = false;
        let private = block.interactive.catalog.as_deref_mut().map(|private| {
            private.rollback_to(catalog);
            private.state.schema.clone()
        });
        if let Some(schema) = private {
            self.services.show_private(schema);
        }
        self.services.portals.borrow_mut().rollback_to(portals);
        *self.services.constraint_modes.borrow_mut() = constraints;
        Ok("ROLLBACK")
    }

    /// Opens the block that the protocol puts around several statements.
    pub fn begin_implicit(&mut self) {
        if self.block.is_none() {
            self.open_block(true);
        }
    }

    /// Ends it, unless BEGIN made it a block of the client's. A failed one is rolled back.
    ///
    /// # Errors
    /// What committing finds, for example 40001.
    pub fn end_implicit(&mut self) -> Result<Commit<'_>> {
        let mut epoch = 0;
        match &self.block {
            Some(block) if block.implicit && block.failed => self.roll_back_block(),
            Some(block) if block.implicit => epoch = self.commit_block()?,
            _ => {}
        }
        self.seen_epoch = self.seen_epoch.max(epoch);
        Ok(Commit { log: &self.node.log, epoch: if self.synchronous { epoch } else { 0 } })
    }

    /// Opens the block that a single statement gets that changes the catalogue.
    pub(super) fn open_own_block(&mut self) {
        self.open_block(true);
        if let Some(block) = &mut self.block {
            block.own = true;
        }
    }

    /// Ends it with its statement.
    pub(super) fn end_own_block(&mut self, outcome: Result<u64>) -> Result<u64> {
        match outcome {
            Ok(epoch) => Ok(self.commit_block()?.max(epoch)),
            Err(error) => {
                self.roll_back_block();
                Err(error)
            }
        }
    }
}
