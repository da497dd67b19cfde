//! Following a graph or a task to its end, and what failed.
//!
//! Notifications say when something changed; then the row is read.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use tuplix::{Rows, SqlError, Value, sqlstate};
use tuplix_services::{GraphId, TaskId, errors};

use super::files::Files;
use super::interrupt::{INTERRUPTED, Interrupts};
use super::logs;
use super::parked::Parked;
use super::progress::{Counts, Progress};
use crate::node::{Node, Target, explain};

const GRAPH: &str = include_str!("graph.sql");
const FAILURES: &str = include_str!("failures.sql");
const TASK: &str = include_str!("task.sql");

/// What to do about a number that is nobody's.
const TASKS: &str = "Those that there are: tuplix ps --all";
const GRAPHS: &str = "Those that there are: tuplix sql 'SELECT graph_id, name, state FROM os.graph'";

/// How long to wait for a word before looking again: a node that hangs is noticed by the query.
const SILENCE: Duration = Duration::from_secs(60);

/// From one task of a graph to the next.
const TASK_STEP: i64 = 64;

/// Failed tasks that are shown, and lines of each one's standard error.
const FAILURES_SHOWN: usize = 10;
const LINES_SHOWN: usize = 10;

/// A graph's row.
struct State {
    name: String,
    state: String,
    done: i64,
    cancelled: i64,
    counts: Counts,
    elapsed_ms: i64,
    first_task: TaskId,
}

impl State {
    fn read(node: &mut Node, graph: GraphId) -> anyhow::Result<State> {
        let rows = node.session.query(GRAPH, &key(graph)).map_err(trouble)?;
        if rows.is_empty() {
            bail!("there is no graph {graph}\n  {GRAPHS}");
        }
        let (done, failed, cancelled) = (number(&rows, 0, 3), number(&rows, 0, 4), number(&rows, 0, 5));
        let over = done + failed + cancelled;
        Ok(State {
            name: text(&rows, 0, 0),
            state: text(&rows, 0, 1),
            done,
            cancelled,
            counts: Counts { tasks: number(&rows, 0, 2), over, failed, running: number(&rows, 0, 6) },
            elapsed_ms: number(&rows, 0, 7),
            first_task: TaskId(number(&rows, 0, 8)),
        })
    }

    /// The counts as a sentence has them.
    fn summary(&self) -> String {
        let tasks = super::counted(self.counts.tasks.unsigned_abs(), "task");
        let mut text = format!("{} of {tasks} done", self.done);
        for (count, what) in [(self.counts.failed, "failed"), (self.cancelled, "cancelled")] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

fn key(graph: GraphId) -> [Value; 2] {
    [Value::Int4(graph.bucket().0), Value::Int8(graph.0)]
}

fn text(rows: &Rows, row: usize, column: usize) -> String {
    rows.get(row, column).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(rows: &Rows, row: usize, column: usize) -> i64 {
    rows.get(row, column).and_then(Value::as_i64).unwrap_or_default()
}

/// The node went away.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the node was lost: {0}")]
struct Lost(String);

fn trouble(error: SqlError) -> anyhow::Error {
    let gone = [sqlstate::CONNECTION_FAILURE, sqlstate::ADMIN_SHUTDOWN];
    if gone.contains(&error.sqlstate()) {
        // "the connection to the server was lost: why"
        let said = &error.fields().message;
        Lost(said.rsplit_once(": ").map_or(said.as_str(), |(_, why)| why).to_owned()).into()
    } else {
        explain(error)
    }
}

/// An error of a call that takes the number of a task or graph.
pub(super) fn unknown_explained(error: SqlError) -> anyhow::Error {
    let hint = match error.sqlstate() {
        errors::UNKNOWN_TASK => TASKS,
        errors::UNKNOWN_GRAPH => GRAPHS,
        _ => return explain(error),
    };
    anyhow::anyhow!("{}\n  {hint}", error.message())
}

/// Adds how to go on when the node went away.
fn resumable<T>(result: anyhow::Result<T>, what: &str, command: &str) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is::<Lost>() => Err(anyhow::anyhow!(
            "{error}\n  {what} goes on when the node runs again; follow it with: {command}"
        )),
        other => other,
    }
}

/// Follows a graph; the exit status says whether all of it is done. With `interrupts` Ctrl-C cancels it.
pub(super) fn graph(
    node: &mut Node,
    target: &Target,
    graph: GraphId,
    interrupts: Option<Interrupts>,
) -> anyhow::Result<ExitCode> {
    let followed = until_over(node, target, graph, interrupts);
    let (state, interrupted) =
        resumable(followed, &format!("graph {graph}"), &format!("tuplix wait --graph {graph}"))?;
    let seconds = state.elapsed_ms as f64 / 1000.0;
    writeln!(
        std::io::stdout(),
        "graph {graph} {}: {} after {seconds:.2} s, {}",
        state.name,
        state.state,
        state.summary()
    )?;
    if state.state == "done" {
        return Ok(ExitCode::SUCCESS);
    }
    failures(node, target, graph)?;
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE })
}

fn until_over(
    node: &mut Node,
    target: &Target,
    graph: GraphId,
    interrupts: Option<Interrupts>,
) -> anyhow::Result<(State, bool)> {
    let mut progress = Progress::begin()?;
    let watch = interrupts.map(|interrupts| interrupts.cancel(target, graph, progress.bar()));
    // Listening comes first: what happens after the first look is not missed.
    node.session.execute(&format!("LISTEN os_graph_{graph}")).map_err(trouble)?;
    let mut parked = Parked::default();
    loop {
        let state = State::read(node, graph)?;
        progress.show(state.counts);
        let last = TaskId(state.first_task.0 + (state.counts.tasks - 1) * TASK_STEP);
        for line in parked.look(node, state.first_task, last).map_err(trouble)? {
            progress.bar().suspend(|| eprintln!("{line}"));
        }
        if state.state != "running" {
            progress.end();
            return Ok((state, watch.is_some_and(|watch| watch.seen())));
        }
        node.session.wait_notifications(SILENCE).map_err(trouble)?;
    }
}

/// Follows one task; the exit status says whether it is done.
pub(super) fn task(node: &mut Node, target: &Target, task: TaskId) -> anyhow::Result<ExitCode> {
    let followed = task_until_over(node, task);
    let rows = resumable(followed, &format!("task {task}"), &format!("tuplix wait {task}"))?;
    let (name, state) = (text(&rows, 0, 0), text(&rows, 0, 1));
    let seconds = number(&rows, 0, 7) as f64 / 1000.0;
    writeln!(std::io::stdout(), "task {task} {name}: {state} after {seconds:.2} s")?;
    if state == "done" {
        if let Some(result) = rows.get(0, 8).and_then(Value::as_str) {
            writeln!(std::io::stdout(), "{result}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("  {}", text(&rows, 0, 5));
    last_words(&mut Files::open(target)?, &rows, 0, task)?;
    Ok(ExitCode::FAILURE)
}

fn task_until_over(node: &mut Node, task: TaskId) -> anyhow::Result<Rows> {
    let mut listening = false;
    let mut parked = Parked::default();
    loop {
        let key = [Value::Int4(task.bucket().0), Value::Int8(task.0)];
        let rows = node.session.query(TASK, &key).map_err(trouble)?;
        if rows.is_empty() {
            bail!("there is no task {task}\n  {TASKS}");
        }
        if ["done", "failed", "cancelled"].contains(&text(&rows, 0, 1).as_str()) {
            return Ok(rows);
        }
        for line in parked.look(node, task, task).map_err(trouble)? {
            eprintln!("{line}");
        }
        if listening {
            node.session.wait_notifications(SILENCE).map_err(trouble)?;
            continue;
        }
        // Looked at once more after this, so that no end is missed.
        let channel = text(&rows, 0, 6);
        node.session.execute(&format!("LISTEN {channel}")).map_err(trouble)?;
        listening = true;
    }
}

/// Says which tasks failed, why, and what they wrote last to standard error.
fn failures(node: &mut Node, target: &Target, graph: GraphId) -> anyhow::Result<()> {
    let rows = node.session.query(FAILURES, &key(graph)).map_err(explain)?;
    let mut files = Files::open(target)?;
    for row in 0..rows.len().min(FAILURES_SHOWN) {
        let task = TaskId(number(&rows, row, 2));
        eprintln!("\ntask {task} {} failed: {}", text(&rows, row, 0), text(&rows, row, 5));
        last_words(&mut files, &rows, row, task)?;
    }
    if rows.len() > FAILURES_SHOWN {
        eprintln!("\nand {} more: tuplix ps --graph {graph} --state failed", rows.len() - FAILURES_SHOWN);
    }
    Ok(())
}

/// What one of them wrote last; rows have the columns of task.sql.
fn last_words(files: &mut Files, rows: &Rows, row: usize, task: TaskId) -> anyhow::Result<()> {
    let attempt = i32::try_from(number(rows, row, 4)).unwrap_or_default();
    let lines = logs::tail(files, &text(rows, row, 3), task, attempt, LINES_SHOWN)?;
    for line in &lines {
        eprintln!("  stderr: {line}");
    }
    if !lines.is_empty() {
        eprintln!("  All it wrote: tuplix logs {task}");
    }
    Ok(())
}
