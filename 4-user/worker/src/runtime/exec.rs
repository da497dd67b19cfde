//! Kind `exec`: a Linux process, isolated, by the thread's helper process.

use std::time::Duration;

use tuplix::Result;
use tuplix_services::errors;

use super::{Begun, Outcome, Runtime};
use crate::environment::environment;
use crate::errors::{is_lost, is_transient, text_of};
use crate::files::{Files, FilesError, TASK_FILES_BYTES_MAX, declared, last_line};
use crate::folder;
use crate::ground::{Ground, TRIES};
use crate::held::Held;
use crate::logs::Stream;
use crate::outcome::{Failure, Verdict, usage, verdict};
use crate::runner::client::Runner;
use crate::runner::end_orphans;
use crate::runner::protocol::{End, Report, Request};

/// The pause after a helper process could not be started.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs programs.
#[derive(Default)]
pub(crate) struct Exec {
    /// Its helper process; `None` before the first task, and after one that did not survive.
    runner: Option<Runner>,
}

impl Runtime for Exec {
    fn kind(&self) -> &'static str {
        "exec"
    }

    fn run(&mut self, ground: &mut Ground, begun: &Begun<'_>) -> Result<Outcome> {
        let held = Held::from(begun.claim);
        let request = match prepared(ground, begun)? {
            Ok(request) => request,
            Err(error) => {
                return Ok(Outcome::Ended(Verdict::Failed(Failure::of(error, Default::default()))));
            }
        };
        let memory = request.memory;
        let runner = match self.runner.take() {
            Some(runner) => Ok(runner),
            None => Runner::start(&ground.context.options.runner, ground.context.keeps()),
        };
        let report = match runner {
            Ok(mut runner) => {
                runner.run(begun.stopper, Some(&held), request).inspect(|_| self.runner = Some(runner))
            }
            Err(error) => {
                let program = ground.context.options.runner.program.display();
                tracing::error!(
                    event = "runner_not_started",
                    "cannot start the helper process {program}: {error}"
                );
                // Not the task's fault: it goes back, and perhaps to a worker that can.
                ground.context.room.wait_for_stop(PAUSE);
                return Ok(Outcome::Ended(Verdict::Returned));
            }
        };
        begun.stopper.over();
        Ok(Outcome::Ended(match report {
            Ok(report) => ground.verdict(&held, report, memory),
            Err(error) => helper_lost(ground, &held, &error.to_string()),
        }))
    }
}

/// What is said when the helper process is gone. Its task ended with it, and another attempt does not begin before that.
pub(crate) fn helper_lost(ground: &Ground, held: &Held, why: &str) -> Verdict {
    if !end_orphans(&ground.folder) {
        tracing::error!(event = "processes_not_ended", "processes of task {} cannot be ended", held.task());
    }
    Verdict::Failed(Failure::of(format!("its helper process was lost: {why}"), Default::default()))
}

impl Ground {
    /// What a program's end means; `None`: it did not begin.
    pub(crate) fn verdict(&self, held: &Held, report: Option<Report>, memory: Option<u64>) -> Verdict {
        let ending = self.context.room.ending(held.task());
        match (report, ending) {
            (Some(report), Some(ending)) if report.end == End::Killed => ending.verdict(usage(&report)),
            (Some(report), _) => {
                let last_line = || last_line(&self.folder.join(Stream::Stderr.name()));
                verdict(held.timeout_ms, &report, memory, last_line)
            }
            (None, ending) => ending.map_or(Verdict::Returned, |ending| ending.verdict(Default::default())),
        }
    }
}

/// [`prepare`], again where it meets other transactions; inside: what is wrong with the task.
fn prepared(ground: &mut Ground, begun: &Begun<'_>) -> Result<std::result::Result<Request, String>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match prepare(ground, begun) {
            Ok(request) => return Ok(Ok(request)),
            Err(FilesError::Task(error)) => return Ok(Err(error)),
            Err(FilesError::Database(error)) if is_transient(&error) && tries < TRIES => ground.pause(),
            Err(FilesError::Database(error)) if is_lost(&error) => return Err(error),
            Err(FilesError::Database(error)) => return Ok(Err(text_of(&error))),
        }
    }
}

/// Makes the private folder with the inputs in it.
fn prepare(ground: &mut Ground, begun: &Begun<'_>) -> std::result::Result<Request, FilesError> {
    let claim = begun.claim;
    ground.make_home(&claim.owner)?;
    let inputs = declared(&claim.inputs, "as", &claim.owner)?;
    declared(&claim.outputs, "from", &claim.owner)?;
    let files = ground.folder.join("files");
    let context = ground.context.clone();
    folder::make(&ground.folder, &context.options.tools, context.view().is_some()).map_err(|error| {
        FilesError::Task(format!("its folder {} cannot be made: {error}", ground.folder.display()))
    })?;
    let mut mover = Files::new(&mut ground.link.session, &ground.link.fs);
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
        environment: environment(&context.options, claim, &ground.folder, isolation.is_some(), &token),
        folder: ground.folder.clone(),
        memory: (declared_memory > 0).then_some(declared_memory),
        file_bytes_max: TASK_FILES_BYTES_MAX,
        processes_max: context.options.processes_max,
        processors: begun.processors.to_vec(),
        timeout_ms: claim.timeout_ms.and_then(|timeout| u64::try_from(timeout).ok()),
        isolation,
        lease: context.lease_file(),
    })
}

impl Ground {
    /// An owner's home directory is where the logs go.
    pub(crate) fn make_home(&mut self, owner: &str) -> std::result::Result<(), FilesError> {
        if self.homes.contains(owner) {
            return Ok(());
        }
        match self.link.fs.add_user(&mut self.link.session, owner, None) {
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
}
