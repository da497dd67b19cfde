//! What an attempt stands on: a folder, a session, and the transaction that ends it.
//!
//! Logs and outputs are written in the transaction that sets the task's state, so that they are visible with it or not at all;
//! a stale attempt is refused there, and nothing of it stays.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tuplix::{Result, SqlError};
use tuplix_services::errors;
use tuplix_services::fs::Writer;

use crate::errors::{is_lost, is_transient, text_of};
use crate::files::{Files, FilesError, declared};
use crate::held::Held;
use crate::link::Link;
use crate::logs::{Stream, log_path};
use crate::outcome::{Failure, Verdict};
use crate::worker::Context;

/// Times that something is tried where it meets other transactions, and the pause between them.
pub(crate) const TRIES: u32 = 200;
const PAUSE_NS: u64 = 2_000_000;

/// What a thread has to run attempts with.
pub(crate) struct Ground {
    pub(crate) context: Arc<Context>,
    pub(crate) link: Link,
    /// The private folder of the task that it runs; the next one gets it emptied.
    pub(crate) folder: PathBuf,
    /// Owners whose home directory is there.
    pub(crate) homes: BTreeSet<String>,
}

impl Ground {
    /// A short pause.
    pub(crate) fn pause(&self) {
        let machine = &self.context.machine;
        machine.sleep_until(machine.monotonic_ns() + PAUSE_NS);
    }

    /// Says how it ended, with all that it leaves, in one transaction. A connection that is lost is made anew for it.
    ///
    /// # Errors
    /// The database's, where the worker cannot go on.
    pub(crate) fn settle(&mut self, held: &Held, mut verdict: Verdict) -> Result<()> {
        let mut keep_logs = self.homes.contains(&held.owner);
        let mut tries = 0;
        while tries < TRIES {
            tries += 1;
            let error = match self.try_settle(held, &verdict, keep_logs) {
                Ok(()) => return Ok(()),
                Err(FilesError::Database(error)) if is_lost(&error) && self.context.keeps() => {
                    if !self.link.again(&self.context) {
                        return Err(error);
                    }
                    // Whether it was committed is found out by the next try.
                    tries = 0;
                    continue;
                }
                Err(error) => error,
            };
            self.link.roll_back();
            match error {
                FilesError::Task(error) => {
                    // What cannot be kept must not keep the task from ending.
                    keep_logs = matches!(verdict, Verdict::Done(_));
                    let usage = match verdict {
                        Verdict::Done(usage) | Verdict::Cancelled(usage) => usage,
                        Verdict::Failed(ref failure) => failure.usage,
                        _ => Default::default(),
                    };
                    if !matches!(verdict, Verdict::Failed(_) | Verdict::Cancelled(_)) {
                        verdict = Verdict::Failed(Failure::of(error, usage));
                    }
                }
                FilesError::Database(error) => match self.refused(held, &verdict, error)? {
                    Some(other) => verdict = other,
                    None => return Ok(()),
                },
            }
        }
        Err(SqlError::internal(format!(
            "the end of task {} meets other transactions all the time",
            held.task()
        )))
    }

    /// What to do where the database refuses the end of an attempt; `None`: nothing more.
    fn refused(&mut self, held: &Held, verdict: &Verdict, error: SqlError) -> Result<Option<Verdict>> {
        if is_transient(&error) {
            self.pause();
            return Ok(Some(verdict.clone()));
        }
        if error.sqlstate() == errors::STALE_ATTEMPT || error.sqlstate() == errors::UNKNOWN_TASK {
            let link = &mut self.link;
            let beaten = link.scheduler.heartbeat_task(&mut link.session, held.task(), held.attempt);
            return Ok(match (beaten, verdict) {
                (Ok(beaten), Verdict::Done(usage)) if beaten.cancelling => Some(Verdict::Cancelled(*usage)),
                _ => None,
            });
        }
        if is_lost(&error) {
            return Err(error);
        }
        match verdict {
            // What it wrote is more than the database takes.
            Verdict::Done(usage) => Ok(Some(Verdict::Failed(Failure::of(text_of(&error), *usage)))),
            _ => Err(error),
        }
    }

    fn try_settle(
        &mut self,
        held: &Held,
        verdict: &Verdict,
        keep_logs: bool,
    ) -> std::result::Result<(), FilesError> {
        if *verdict == Verdict::Stale {
            return Ok(());
        }
        self.link.session.execute("BEGIN")?;
        if keep_logs && *verdict != Verdict::Returned {
            self.keep_logs(held)?;
        }
        if matches!(verdict, Verdict::Done(_)) {
            self.collect(held)?;
        }
        self.say(held, verdict)?;
        self.link.session.execute("COMMIT")?;
        Ok(())
    }

    /// Tells the scheduler.
    fn say(&mut self, held: &Held, verdict: &Verdict) -> Result<()> {
        let Link { session, scheduler, .. } = &mut self.link;
        let (task, attempt) = (held.task(), held.attempt);
        match verdict {
            Verdict::Done(usage) => scheduler.finish_task(session, task, attempt, 0, usage)?,
            Verdict::Failed(failure) => {
                let Failure { error, exit_code, usage, may_retry } = failure;
                scheduler.fail_task(session, task, attempt, error, *exit_code, usage, *may_retry)?;
            }
            Verdict::Cancelled(usage) => {
                scheduler.fail_task(session, task, attempt, "it was cancelled", None, usage, false)?;
            }
            Verdict::Returned => scheduler.return_task(session, task, attempt, "its worker stopped")?,
            Verdict::Stale => {}
        }
        Ok(())
    }

    fn keep_logs(&mut self, held: &Held) -> std::result::Result<(), FilesError> {
        let mut mover = Files::new(&mut self.link.session, &self.link.fs);
        for stream in Stream::ALL {
            let log = self.folder.join(stream.name());
            if log.exists() {
                let path = log_path(&held.owner, held.task(), held.attempt, stream);
                mover.keep_log(&log, &path, Writer::task(&held.owner, held.task()))?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, held: &Held) -> std::result::Result<(), FilesError> {
        let outputs = declared(&held.outputs, "from", &held.owner)?;
        let mut mover = Files::new(&mut self.link.session, &self.link.fs);
        for output in &outputs {
            mover.collect(output, &self.folder.join("files"), Writer::task(&held.owner, held.task()))?;
        }
        Ok(())
    }
}
