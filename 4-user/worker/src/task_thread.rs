//! A thread that runs one task at a time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tuplix::{Result, Session};
use tuplix_services::errors;
use tuplix_services::fs::Fs;
use tuplix_services::scheduler::Scheduler;

use crate::errors::is_transient;
use crate::folder;
use crate::runner::client::Runner;
use crate::worker::Context;

/// The pause before a helper process that could not be started is tried again.
const PAUSE_NS: u64 = 1_000_000_000;

/// A thread that runs one task at a time.
pub(crate) struct TaskThread {
    pub(crate) context: Arc<Context>,
    pub(crate) session: Session,
    pub(crate) scheduler: Scheduler,
    pub(crate) fs: Fs,
    /// Its helper process; `None` before the first task, and after one that did not survive.
    pub(crate) runner: Option<Runner>,
    /// The private folder of the task that it runs; the next one gets it emptied.
    pub(crate) folder: PathBuf,
    /// Owners whose home directory is there.
    pub(crate) homes: BTreeSet<String>,
}

impl TaskThread {
    /// Until the worker stops.
    pub(crate) fn run(context: &Arc<Context>, number: i32) {
        let worked = TaskThread::new(context.clone(), number).and_then(|mut thread| thread.work());
        if let Err(error) = worked {
            context.give_up(&error);
        }
    }

    fn new(context: Arc<Context>, number: i32) -> Result<TaskThread> {
        let mut session = context.session()?;
        if context.options.dies_with_node {
            session.set("synchronous_commit", "off")?;
        }
        let (scheduler, fs) = (Scheduler::new(&mut session)?, Fs::new(&mut session)?);
        let folder = context.options.work_directory.join(number.to_string());
        Ok(TaskThread { context, session, scheduler, fs, runner: None, folder, homes: BTreeSet::new() })
    }

    fn work(&mut self) -> Result<()> {
        let context = self.context.clone();
        while let Some(bucket) = context.room.next_bucket() {
            let Some(mut runner) = self.runner() else {
                context.room.claimed_nothing();
                context.machine.sleep_until(context.machine.monotonic_ns() + PAUSE_NS);
                context.room.assigned(bucket);
                continue;
            };
            let killer = runner.next_killer();
            let claims = match self.scheduler.claim_tasks(&mut self.session, bucket, context.options.id, 1) {
                Ok(claims) => claims,
                Err(error) => {
                    context.room.claimed_nothing();
                    if is_transient(&error) {
                        context.room.assigned(bucket);
                    } else if error.sqlstate() == errors::UNKNOWN_WORKER {
                        let id = context.options.id;
                        self.session.execute(&format!("NOTIFY os_worker_{id}, 'rejoin {bucket}'"))?;
                    } else {
                        return Err(error);
                    }
                    self.runner = Some(runner);
                    continue;
                }
            };
            let Some(claim) = claims.into_iter().next() else {
                context.room.claimed_nothing();
                self.runner = Some(runner);
                continue;
            };
            let ending = context.room.claimed(&claim, &killer);
            let done = self.attempt(&claim, ending, runner, &killer);
            context.room.over(claim.task);
            done?;
        }
        if let Err(error) = folder::remove(&self.folder) {
            tracing::warn!(event = "folder_not_removed", "cannot remove {}: {error}", self.folder.display());
        }
        Ok(())
    }

    /// Its helper process, started where there is none.
    fn runner(&mut self) -> Option<Runner> {
        if let Some(runner) = self.runner.take() {
            return Some(runner);
        }
        let command = &self.context.options.runner;
        Runner::start(command)
            .inspect_err(|error| {
                tracing::error!(
                    event = "runner_not_started",
                    "cannot start the helper process {}: {error}",
                    command.program.display()
                )
            })
            .ok()
    }
}
