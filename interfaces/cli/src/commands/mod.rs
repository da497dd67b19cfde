//! The commands, one file each.

mod backup;
mod cancel;
mod check;
mod checkpoint;
mod cron;
mod files;
mod follow;
mod interrupt;
mod log;
mod logs;
mod offer;
mod parked;
mod pause;
mod progress;
mod ps;
mod recovery;
mod recv;
mod restore;
mod retry;
mod run;
mod said;
mod send;
mod sql;
mod submit;
mod task_runner;
mod up;
mod wait;
mod why;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

pub(crate) use files::{absolute, base_name};
pub(crate) use interrupt::INTERRUPTED;

/// A command with its arguments.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a node on a data directory and serve it until SIGTERM or Ctrl-C.
    Up(up::Up),
    /// Submit a graph of tasks and follow it to its end.
    Run(run::Run),
    /// Follow a task or graph that was submitted before.
    Wait(wait::Wait),
    /// Submit one task.
    Submit(submit::Submit),
    /// List tasks.
    Ps(ps::Ps),
    /// Print what a task wrote to standard output and error.
    Logs(logs::Logs),
    /// Cancel a task or a graph.
    Cancel(cancel::Cancel),
    /// Let a failed or cancelled task live again.
    Retry(retry::Retry),
    /// Let a task, a graph or a queue begin nothing more for now.
    Pause(pause::Pause),
    /// Let what was paused begin again.
    Resume(pause::Pause),
    /// Say why a task has not begun.
    Why(why::Why),
    /// Tasks that are submitted by a schedule.
    #[command(subcommand, after_help = cron::EXAMPLES)]
    Cron(cron::Cron),
    /// List a directory.
    Ls(files::ls::Ls),
    /// Print files.
    Cat(files::cat::Cat),
    /// Copy files into Tuplix.
    Put(files::put::Put),
    /// Copy a file or directory out of Tuplix.
    Get(files::get::Get),
    /// Remove files and directories.
    Rm(files::rm::Rm),
    /// Make directories.
    Mkdir(files::mkdir::Mkdir),
    /// Rename a file or directory.
    Mv(files::mv::Mv),
    /// Show what is known of a file.
    Stat(files::stat::Stat),
    /// Send a message.
    Send(send::Send),
    /// Take messages.
    Recv(recv::Recv),
    /// Check files, rows and the services' invariants.
    Check(check::Check),
    /// Write a checkpoint now.
    Checkpoint(checkpoint::Checkpoint),
    /// Copy a data directory while its node runs.
    Backup(backup::Backup),
    /// Make a data directory of a backup.
    Restore(restore::Restore),
    /// Run tasks of a node that runs elsewhere; list, drain and admit such workers.
    Worker(worker::Worker),
    /// Send SQL to a node and print its answers.
    Sql(sql::Sql),
    /// The helper process of a worker.
    #[command(hide = true)]
    TaskRunner(task_runner::TaskRunner),
    /// Look into a node's log.
    #[command(subcommand)]
    Log(log::Log),
}

/// Runs a command; what it returns is the exit status.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(up) => up::run(&up),
        Command::Run(run) => run::run(&run),
        Command::Wait(wait) => wait::run(&wait),
        Command::Submit(submit) => submit::run(&submit),
        Command::Ps(ps) => ps::run(&ps),
        Command::Logs(logs) => logs::run(&logs),
        Command::Cancel(cancel) => cancel::run(&cancel),
        Command::Retry(retry) => retry::run(&retry),
        Command::Pause(pause) => pause::run(&pause, true),
        Command::Resume(pause) => pause::run(&pause, false),
        Command::Why(why) => why::run(&why),
        Command::Cron(cron) => cron::run(&cron),
        Command::Ls(ls) => files::ls::run(&ls),
        Command::Cat(cat) => files::cat::run(&cat),
        Command::Put(put) => files::put::run(&put),
        Command::Get(get) => files::get::run(&get),
        Command::Rm(rm) => files::rm::run(&rm),
        Command::Mkdir(mkdir) => files::mkdir::run(&mkdir),
        Command::Mv(mv) => files::mv::run(&mv),
        Command::Stat(stat) => files::stat::run(&stat),
        Command::Send(send) => send::run(&send),
        Command::Recv(recv) => recv::run(&recv),
        Command::Check(check) => check::run(&check),
        Command::Checkpoint(checkpoint) => checkpoint::run(&checkpoint),
        Command::Backup(backup) => backup::run(&backup),
        Command::Restore(restore) => restore::run(&restore),
        Command::Worker(worker) => worker::run(&worker),
        Command::Sql(sql) => sql::run(&sql),
        Command::TaskRunner(runner) => task_runner::run(&runner),
        Command::Log(log) => log::run(&log),
    }
}

/// Where a node keeps its files, and its socket.
#[derive(Args, Clone)]
pub(crate) struct DataDirectory {
    /// The node's data directory.
    #[arg(long = "data", value_name = "DIR", env = "TUPLIX_DATA", default_value = "tuplix-data")]
    directory: PathBuf,
}

impl DataDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

/// A number with its noun: `1 task`, `2 tasks`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// An SQL error as `anyhow` carries it: message, detail, hint and SQLSTATE, a line each.
pub(crate) fn explain(error: &tuplix_types::SqlError) -> anyhow::Error {
    let fields = error.fields();
    let mut text = fields.message.clone();
    for (label, more) in [("Detail", &fields.detail), ("Hint", &fields.hint)] {
        if let Some(more) = more {
            text.push_str(&format!("\n  {label}: {more}"));
        }
    }
    anyhow::anyhow!("{text}\n  SQLSTATE: {}", fields.sqlstate)
}
