//! The worker's side of a helper process.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::orphans::name_of;
use super::protocol::{self, Report, Request};
use super::{OUTLIVES, PARENT};
use crate::adopt::note;
use crate::held::Held;
use crate::stopper::Stopper;

/// How to start a helper: a program that calls [`run_task_runner`](crate::run_task_runner).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Default for RunnerCommand {
    /// This very program, also when its file was replaced, as `tuplix task-runner`.
    fn default() -> RunnerCommand {
        RunnerCommand { program: "/proc/self/exe".into(), arguments: vec!["task-runner".into()] }
    }
}

/// A helper process; killed with all that it runs when dropped.
#[derive(Debug)]
pub(crate) struct Runner {
    process: Child,
    /// Its number and start.
    name: String,
    /// It goes on without its worker.
    outlives: bool,
    input: Arc<Mutex<ChildStdin>>,
    output: ChildStdout,
    requests: u64,
}

fn lock(input: &Mutex<ChildStdin>) -> MutexGuard<'_, ChildStdin> {
    input.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    /// Starts a helper; one that `outlives` its worker ends what it runs in peace when the worker is killed.
    pub(crate) fn start(command: &RunnerCommand, outlives: bool) -> io::Result<Runner> {
        let mut process = Command::new(&command.program)
            .args(&command.arguments)
            .args(outlives.then_some(OUTLIVES))
            .arg(PARENT)
            .arg(std::process::id().to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("a helper process without pipes"));
        };
        let name = name_of(process.id().cast_signed())?;
        let input = Arc::new(Mutex::new(input));
        Ok(Runner { process, name, outlives, input, output, requests: 0 })
    }

    /// Runs a request to its end, or to that of its stopper; `None` when it was stopped before it began.
    pub(crate) fn run(
        &mut self,
        stopper: &Stopper,
        held: Option<&Held>,
        mut request: Request,
    ) -> io::Result<Option<Report>> {
        self.requests += 1;
        request.number = self.requests;
        if let Some(held) = held.filter(|_| self.outlives) {
            note(&request.folder, held, self.name.clone(), &request.processors, request.memory)?;
        }
        let (number, input) = (request.number, self.input.clone());
        let kill = move || {
            // A helper that is gone has taken its task along.
            let _ = protocol::send(&mut *lock(&input), &protocol::Command::Kill(number));
        };
        let run = protocol::Command::Run(Box::new(request));
        match stopper.begin(kill, || protocol::send(&mut *lock(&self.input), &run)) {
            None => return Ok(None),
            Some(sent) => sent?,
        }
        let report = protocol::receive(&mut self.output)?;
        report.map(Some).ok_or_else(|| io::Error::other("the helper process ended"))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Fails when it has ended, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
