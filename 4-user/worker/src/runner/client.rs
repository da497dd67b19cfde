//! The worker's side of a helper process.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PARENT;
use super::protocol::{self, Report, Request};

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
    input: Arc<Mutex<ChildStdin>>,
    output: ChildStdout,
    requests: u64,
}

/// Ends one request, from any thread: before it is sent, while it runs; later it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Killer {
    input: Arc<Mutex<ChildStdin>>,
    number: u64,
    killed: Arc<AtomicBool>,
}

impl Killer {
    /// Ends the request.
    pub(crate) fn kill(&self) {
        let mut input = lock(&self.input);
        self.killed.store(true, Ordering::Relaxed);
        // A helper that is gone has taken its task along.
        let _ = protocol::send(&mut *input, &protocol::Command::Kill(self.number));
    }
}

fn lock(input: &Mutex<ChildStdin>) -> MutexGuard<'_, ChildStdin> {
    input.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    /// Starts a helper.
    pub(crate) fn start(command: &RunnerCommand) -> io::Result<Runner> {
        let mut process = Command::new(&command.program)
            .args(&command.arguments)
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
        Ok(Runner { process, input: Arc::new(Mutex::new(input)), output, requests: 0 })
    }

    /// What ends the next request.
    pub(crate) fn next_killer(&mut self) -> Killer {
        self.requests += 1;
        Killer { input: self.input.clone(), number: self.requests, killed: Arc::default() }
    }

    /// Runs the request of a killer to its end; `None` when it was killed before it began.
    pub(crate) fn run(&mut self, killer: &Killer, mut request: Request) -> io::Result<Option<Report>> {
        request.number = killer.number;
        {
            let mut input = lock(&self.input);
            if killer.killed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            protocol::send(&mut *input, &protocol::Command::Run(Box::new(request)))?;
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
