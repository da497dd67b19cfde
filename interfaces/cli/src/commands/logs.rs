//! `tuplix logs`: what a task wrote to standard output and error.
//!
//! The worker keeps both as files of the task's owner when an attempt ends, in the transaction that says how it ended.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tuplix::{Rows, Value};
use tuplix_services::TaskId;
use tuplix_worker::{Stream, log_path};

use super::files::Files;
use crate::node::{Node, Target, explain};

const TASK: &str = include_str!("logs.sql");

/// How long to wait for a word before looking again: a node that hangs is noticed by the query.
const SILENCE: Duration = Duration::from_secs(60);

/// Arguments of `logs`.
#[derive(Args)]
#[command(after_help = "\
Standard output goes to standard output, standard error to standard error. They are kept when an attempt ends.

Examples:
  tuplix logs 1067
  tuplix logs -f 1067                    waits until the task is over
  tuplix logs --attempt 1 1067           of an attempt that was not the last
  tuplix logs --stderr 1067 | grep -i error")]
pub(crate) struct Logs {
    /// The task.
    #[arg(value_name = "TASK")]
    task: i64,
    /// Wait until the task is over.
    #[arg(short, long)]
    follow: bool,
    /// The attempt; the last one if left out.
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    attempt: Option<i32>,
    /// Print standard output alone.
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// Print standard error alone, to standard output.
    #[arg(long)]
    stderr: bool,
    #[command(flatten)]
    target: Target,
}

/// What the tables say of a task and an attempt.
struct Task {
    owner: String,
    state: String,
    attempt: i32,
    graph: Option<i64>,
    outcome: Option<String>,
    error: String,
    last_attempt: i32,
}

impl Task {
    fn read(node: &mut Node, task: TaskId, attempt: Option<i32>) -> anyhow::Result<Task> {
        let attempt = attempt.map_or(Value::Null, Value::Int4);
        let rows = node
            .session
            .query(TASK, &[Value::Int4(task.bucket().0), Value::Int8(task.0), attempt])
            .map_err(explain)?;
        if rows.is_empty() {
            bail!("there is no task {task}\n  Those that there are: tuplix ps --all");
        }
        Ok(Task {
            owner: text(&rows, 0),
            state: text(&rows, 2),
            attempt: small(&rows, 3),
            graph: rows.get(0, 4).and_then(Value::as_i64),
            outcome: rows.get(0, 5).and_then(Value::as_str).map(str::to_owned),
            error: text(&rows, 6),
            last_attempt: small(&rows, 7),
        })
    }

    fn is_over(&self) -> bool {
        ["done", "failed", "cancelled"].contains(&self.state.as_str())
    }
}

fn text(rows: &Rows, column: usize) -> String {
    rows.get(0, column).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn small(rows: &Rows, column: usize) -> i32 {
    rows.get(0, column)
        .and_then(Value::as_i64)
        .and_then(|number| i32::try_from(number).ok())
        .unwrap_or_default()
}

pub(super) fn run(logs: &Logs) -> anyhow::Result<ExitCode> {
    let id = TaskId(logs.task);
    let mut files = Files::open(&logs.target)?;
    let task = if logs.follow {
        until_over(&mut files.node, id)?
    } else {
        Task::read(&mut files.node, id, logs.attempt)?
    };
    check(id, &task, logs.attempt)?;
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut kept = false;
    if !logs.stderr {
        kept |= print(&mut files, &task, id, Stream::Stdout, &mut out)?;
    }
    if logs.stderr {
        kept |= print(&mut files, &task, id, Stream::Stderr, &mut out)?;
    } else if !logs.stdout {
        kept |= print(&mut files, &task, id, Stream::Stderr, &mut err)?;
    }
    out.flush()?;
    if !kept {
        let why = if task.error.is_empty() {
            String::new()
        } else {
            format!("\n  It is said to have ended so: {}", task.error)
        };
        bail!("attempt {} of task {id} left no logs{why}", task.attempt);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the attempt can have left something.
fn check(id: TaskId, task: &Task, wanted: Option<i32>) -> anyhow::Result<()> {
    if wanted.is_some_and(|attempt| attempt < 1 || attempt > task.last_attempt) {
        bail!("task {id} has had {} attempts, and {} is none of them", task.last_attempt, task.attempt);
    }
    if task.last_attempt == 0 {
        let why = if task.error.is_empty() { String::new() } else { format!(": {}", task.error) };
        bail!("task {id} is {} and never ran{why}", task.state);
    }
    if task.outcome.is_none() {
        bail!(
            "attempt {} of task {id} is {}; its logs are kept when it ends\n  Wait for them: tuplix logs -f {id}",
            task.attempt,
            task.state
        );
    }
    Ok(())
}

fn until_over(node: &mut Node, id: TaskId) -> anyhow::Result<Task> {
    let first = Task::read(node, id, None)?;
    let channel = first.graph.map_or_else(|| format!("os_task_{id}"), |graph| format!("os_graph_{graph}"));
    node.session.execute(&format!("LISTEN {channel}")).map_err(explain)?;
    loop {
        // Looked at after listening, so that no end is missed.
        let task = Task::read(node, id, None)?;
        if task.is_over() {
            return Ok(task);
        }
        node.session.wait_notifications(SILENCE).map_err(explain)?;
    }
}

/// Prints one of the two; false when it was not kept.
fn print(
    files: &mut Files,
    task: &Task,
    id: TaskId,
    stream: Stream,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let path = log_path(&task.owner, id, task.attempt, stream);
    let Some(stat) = files.stat_if_there(&path)? else { return Ok(false) };
    files.read_from(&path, &stat, 0, out)?;
    Ok(true)
}

/// Bytes of standard error that [`tail`] looks at.
const TAIL_BYTES: i64 = 16 << 10;

/// The last lines that an attempt wrote to standard error.
pub(super) fn tail(
    files: &mut Files,
    owner: &str,
    task: TaskId,
    attempt: i32,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let path = log_path(owner, task, attempt, Stream::Stderr);
    let Some(stat) = files.stat_if_there(&path)? else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    files.read_from(&path, &stat, (stat.size - TAIL_BYTES).max(0), &mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect())
}
