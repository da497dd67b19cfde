//! One attempt of a task: its folder, its inputs, its program, what it leaves.
//!
//! Logs and outputs are written in the transaction that sets the task's state, so that they are visible with it or not at all;
//! a stale attempt is refused there, and nothing of it stays.

use std::path::Path;

use tuplix::{Result, SqlError};
use tuplix_services::errors;
use tuplix_services::fs::Writer;
use tuplix_services::scheduler::Claim;

use crate::environment::environment;
use crate::errors::{is_lost, is_transient, text_of};
use crate::files::{Files, FilesError, TASK_FILES_BYTES_MAX, declared, last_line};
use crate::folder;
use crate::logs::{Stream, log_path};
use crate::outcome::{Failure, Verdict, usage, verdict};
use crate::room::Ending;
use crate::runner::client::{Killer, Runner};
use crate::runner::end_orphans;
use crate::runner::protocol::{End, Request};
use crate::task_thread::TaskThread;

/// What runs as a Linux process.
const KIND: &str = "exec";

/// Times that the end of an attempt is tried where it meets other transactions, and the pause between them.
const TRIES: u32 = 200;
const PAUSE_NS: u64 = 2_000_000;

impl TaskThread {
    /// Runs an attempt to its end. `ending`: it is over before it began.
    ///
    /// # Errors
    /// The database's, where the worker cannot go on.
    pub(crate) fn attempt(
        &mut self,
        claim: &Claim,
        ending: Option<Ending>,
        runner: Runner,
        killer: &Killer,
    ) -> Result<()> {
        let folder = self.folder.clone();
        let verdict = match ending {
            Some(ending) => {
                self.runner = Some(runner);
                ended(ending, Default::default())
            }
            None => self.run_program(claim, &folder, runner, killer)?,
        };
        let settled = self.settle(claim, &folder, verdict);
        if let Err(error) = folder::empty(&folder) {
            tracing::warn!(event = "folder_not_emptied", "cannot empty {}: {error}", folder.display());
        }
        settled
    }

    fn run_program(
        &mut self,
        claim: &Claim,
        folder: &Path,
        mut runner: Runner,
        killer: &Killer,
    ) -> Result<Verdict> {
        let request = match self.prepared(claim, folder)? {
            Ok(request) => request,
            Err(error) => {
                self.runner = Some(runner);
                return Ok(Verdict::Failed(Failure::of(error, Default::default())));
            }
        };
        let memory = request.memory;
        let report = match runner.run(killer, request) {
            Ok(report) => report,
            Err(error) => {
                // Its task ends with it, and another attempt does not begin before that.
                drop(runner);
                if !end_orphans(folder) {
                    tracing::error!(
                        event = "processes_not_ended",
                        "processes of task {} cannot be ended",
                        claim.task
                    );
                }
                let error = format!("its helper process was lost: {error}");
                return Ok(Verdict::Failed(Failure::of(error, Default::default())));
            }
        };
        self.runner = Some(runner);
        let ending = self.context.room.ending(claim.task);
        Ok(match (report, ending) {
            (Some(report), Some(ending)) if report.end == End::Killed => ended(ending, usage(&report)),
            (Some(report), _) => {
                verdict(claim, &report, memory, || last_line(&folder.join(Stream::Stderr.name())))
            }
            (None, ending) => ended(ending.unwrap_or(Ending::Stopping), Default::default()),
        })
    }

    /// [`TaskThread::prepare`], again where it meets other transactions; inside: what is wrong with the task.
    fn prepared(&mut self, claim: &Claim, folder: &Path) -> Result<std::result::Result<Request, String>> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.prepare(claim, folder) {
                Ok(request) => return Ok(Ok(request)),
                Err(FilesError::Task(error)) => return Ok(Err(error)),
                Err(FilesError::Database(error)) if is_transient(&error) && tries < TRIES => self.pause(),
                Err(FilesError::Database(error)) if is_lost(&error) => return Err(error),
                Err(FilesError::Database(error)) => return Ok(Err(text_of(&error))),
            }
        }
    }

    fn pause(&self) {
        let machine = &self.context.machine;
        machine.sleep_until(machine.monotonic_ns() + PAUSE_NS);
    }

    /// Makes the private folder with the inputs in it.
    fn prepare(&mut self, claim: &Claim, folder: &Path) -> std::result::Result<Request, FilesError> {
        self.make_home(&claim.owner)?;
        if claim.kind != KIND {
            let error =
                format!("this worker runs tasks of kind \"{KIND}\", and it is of kind \"{}\"", claim.kind);
            return Err(FilesError::Task(error));
        }
        let inputs = declared(&claim.inputs, "as", &claim.owner)?;
        declared(&claim.outputs, "from", &claim.owner)?;
        let files = folder.join("files");
        let context = self.context.clone();
        folder::make(folder, &context.options.tools, context.view().is_some()).map_err(|error| {
            FilesError::Task(format!("its folder {} cannot be made: {error}", folder.display()))
        })?;
        let mut mover = Files::new(&mut self.session, &self.fs);
        for input in &inputs {
            mover.stage(input, &files)?;
        }
        let isolation = context.view();
        let token = format!("{:016x}{:016x}", context.machine.random_u64(), context.machine.random_u64());
        let declared_memory = u64::try_from(claim.memory).unwrap_or_default();
        Ok(Request {
            number: 0,
            program: claim.program.clone(),
            arguments: claim.arguments.clone(),
            environment: environment(&context.options, claim, folder, isolation.is_some(), &token),
            folder: folder.to_owned(),
            memory: (declared_memory > 0).then_some(declared_memory),
            file_bytes_max: TASK_FILES_BYTES_MAX,
            timeout_ms: claim.timeout_ms.and_then(|timeout| u64::try_from(timeout).ok()),
            isolation,
        })
    }

    /// An owner's home directory is where the logs go.
    fn make_home(&mut self, owner: &str) -> std::result::Result<(), FilesError> {
        if self.homes.contains(owner) {
            return Ok(());
        }
        match self.fs.add_user(&mut self.session, owner, None) {
            Ok(_) => drop(self.homes.insert(owner.to_owned())),
            Err(error) if error.sqlstate() == errors::INVALID_USER => {
                return Err(FilesError::Task(format!(
                    "its owner \"{owner}\" can have no files: {}",
                    text_of(&error)
                )));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Says how it ended, with all that it leaves, in one transaction.
    fn settle(&mut self, claim: &Claim, folder: &Path, mut verdict: Verdict) -> Result<()> {
        let mut keep_logs = self.homes.contains(&claim.owner);
        for _ in 0..TRIES {
            let error = match self.try_settle(claim, folder, &verdict, keep_logs) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Fails where no transaction is open, which is as good.
            let _ = self.session.execute("ROLLBACK");
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
                FilesError::Database(error) => match self.refused(claim, &verdict, error)? {
                    Some(other) => verdict = other,
                    None => return Ok(()),
                },
            }
        }
        Err(SqlError::internal(format!(
            "the end of task {} meets other transactions all the time",
            claim.task
        )))
    }

    /// What to do where the database refuses the end of an attempt; `None`: nothing more.
    fn refused(&mut self, claim: &Claim, verdict: &Verdict, error: SqlError) -> Result<Option<Verdict>> {
        if is_transient(&error) {
            self.pause();
            return Ok(Some(verdict.clone()));
        }
        if error.sqlstate() == errors::STALE_ATTEMPT || error.sqlstate() == errors::UNKNOWN_TASK {
            let held = self.scheduler.heartbeat_task(&mut self.session, claim.task, claim.attempt);
            return Ok(match (held, verdict) {
                (Ok(held), Verdict::Done(usage)) if held.cancelling => Some(Verdict::Cancelled(*usage)),
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
        claim: &Claim,
        folder: &Path,
        verdict: &Verdict,
        keep_logs: bool,
    ) -> std::result::Result<(), FilesError> {
        if *verdict == Verdict::Stale {
            return Ok(());
        }
        self.session.execute("BEGIN")?;
        if keep_logs && *verdict != Verdict::Returned {
            self.keep_logs(claim, folder)?;
        }
        let (task, attempt) = (claim.task, claim.attempt);
        match verdict {
            Verdict::Done(usage) => {
                self.collect(claim, folder)?;
                self.scheduler.finish_task(&mut self.session, task, attempt, 0, usage)?;
            }
            Verdict::Failed(failure) => {
                let Failure { error, exit_code, usage, may_retry } = failure;
                self.scheduler.fail_task(
                    &mut self.session,
                    task,
                    attempt,
                    error,
                    *exit_code,
                    usage,
                    *may_retry,
                )?;
            }
            Verdict::Cancelled(usage) => {
                let error = "it was cancelled";
                self.scheduler.fail_task(&mut self.session, task, attempt, error, None, usage, false)?;
            }
            Verdict::Returned => {
                self.scheduler.return_task(&mut self.session, task, attempt, "its worker stopped")?;
            }
            Verdict::Stale => {}
        }
        self.session.execute("COMMIT")?;
        Ok(())
    }

    fn keep_logs(&mut self, claim: &Claim, folder: &Path) -> std::result::Result<(), FilesError> {
        let mut mover = Files::new(&mut self.session, &self.fs);
        for stream in Stream::ALL {
            let log = folder.join(stream.name());
            if log.exists() {
                let path = log_path(&claim.owner, claim.task, claim.attempt, stream);
                mover.keep_log(&log, &path, Writer::task(&claim.owner, claim.task))?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, claim: &Claim, folder: &Path) -> std::result::Result<(), FilesError> {
        let outputs = declared(&claim.outputs, "from", &claim.owner)?;
        let mut mover = Files::new(&mut self.session, &self.fs);
        for output in &outputs {
            mover.collect(output, &folder.join("files"), Writer::task(&claim.owner, claim.task))?;
        }
        Ok(())
    }
}

fn ended(ending: Ending, usage: tuplix_services::scheduler::Usage) -> Verdict {
    match ending {
        Ending::Cancelled => Verdict::Cancelled(usage),
        Ending::Lost => Verdict::Stale,
        Ending::Stopping => Verdict::Returned,
    }
}
