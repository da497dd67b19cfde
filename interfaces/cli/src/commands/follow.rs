//! Following a graph to its end: progress, Ctrl-C, and what failed.
//!
//! The graph's notifications say when something changed; then its one row is read. Ctrl-C cancels the graph over a
//! session of its own, and the end comes as a notification like any other.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tuplix::{Rows, SqlError, Value, sqlstate};
use tuplix_services::scheduler::Scheduler;
use tuplix_services::{GraphId, TaskId};

use super::files::Files;
use super::logs;
use crate::node::{Node, Target, explain};

const GRAPH: &str = include_str!("graph.sql");
const FAILURES: &str = include_str!("failures.sql");

/// How long to wait for a word before looking again: a node that hangs is noticed by the query.
const SILENCE: Duration = Duration::from_secs(60);

/// Failed tasks that are shown, and lines of each one's standard error.
const FAILURES_SHOWN: usize = 10;
const LINES_SHOWN: usize = 10;

/// The status of a command that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// A graph's row.
struct State {
    name: String,
    state: String,
    tasks: i64,
    done: i64,
    failed: i64,
    cancelled: i64,
    running: i64,
    elapsed_ms: i64,
}

impl State {
    fn read(node: &mut Node, graph: GraphId) -> Result<Option<State>, SqlError> {
        let rows = node.session.query(GRAPH, &key(graph))?;
        if rows.is_empty() {
            return Ok(None);
        }
        Ok(Some(State {
            name: text(&rows, 0, 0),
            state: text(&rows, 0, 1),
            tasks: number(&rows, 0, 2),
            done: number(&rows, 0, 3),
            failed: number(&rows, 0, 4),
            cancelled: number(&rows, 0, 5),
            running: number(&rows, 0, 6),
            elapsed_ms: number(&rows, 0, 7),
        }))
    }

    fn over(&self) -> i64 {
        self.done + self.failed + self.cancelled
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

/// Follows a graph; the exit status says whether all of it is done.
pub(super) fn graph(node: &mut Node, target: &Target, graph: GraphId) -> anyhow::Result<ExitCode> {
    let followed = until_over(node, target, graph);
    let (state, interrupted) = match followed {
        Ok(followed) => followed,
        Err(error) => {
            let lost = error.downcast_ref::<Lost>().is_some();
            return if lost {
                Err(error).with_context(|| {
                    format!("graph {graph} goes on when the node runs again; then: tuplix wait {graph}")
                })
            } else {
                Err(error)
            };
        }
    };
    let mut out = std::io::stdout();
    let seconds = state.elapsed_ms as f64 / 1000.0;
    writeln!(out, "graph {graph} {}: {} after {seconds:.2} s, {}", state.name, state.state, counts(&state))?;
    if state.state == "done" {
        return Ok(ExitCode::SUCCESS);
    }
    failures(node, target, graph)?;
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE })
}

/// The node went away.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the node was lost: {0}")]
struct Lost(String);

fn trouble(error: SqlError) -> anyhow::Error {
    let gone = [sqlstate::CONNECTION_FAILURE, sqlstate::ADMIN_SHUTDOWN];
    if gone.contains(&error.sqlstate()) {
        Lost(error.fields().message.clone()).into()
    } else {
        explain(error)
    }
}

fn counts(state: &State) -> String {
    let mut text = format!("{} of {} tasks done", state.done, state.tasks);
    for (count, what) in [(state.failed, "failed"), (state.cancelled, "cancelled")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

fn until_over(node: &mut Node, target: &Target, graph: GraphId) -> anyhow::Result<(State, bool)> {
    // Listening comes first: what happens after the first look is not missed.
    node.session.execute(&format!("LISTEN os_graph_{graph}")).map_err(trouble)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let bar = ProgressBar::new(0);
    let style = "{spinner} {elapsed_precise} [{bar:40}] {pos}/{len} {msg}";
    bar.set_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    // Ends with this function; a cancellation that is under way is waited for by the loop below.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(cancel_at_interrupt(target.clone(), graph, interrupted.clone(), bar.clone()));
    loop {
        let Some(state) = State::read(node, graph).map_err(trouble)? else {
            bail!(
                "there is no graph {graph}\n  Those that there are: tuplix sql 'SELECT graph_id, name, state FROM os.graph'"
            );
        };
        bar.set_length(state.tasks.unsigned_abs());
        bar.set_position(state.over().unsigned_abs());
        let failed = if state.failed > 0 { format!(", {} failed", state.failed) } else { String::new() };
        bar.set_message(format!("{} running{failed}", state.running));
        if state.state != "running" {
            bar.finish_and_clear();
            runtime.shutdown_background();
            return Ok((state, interrupted.load(Ordering::Relaxed)));
        }
        node.session.wait_notifications(SILENCE).map_err(trouble)?;
    }
}

/// Waits for Ctrl-C and cancels the graph; the second one leaves at once.
async fn cancel_at_interrupt(target: Target, graph: GraphId, interrupted: Arc<AtomicBool>, bar: ProgressBar) {
    while let Ok(()) = tokio::signal::ctrl_c().await {
        if interrupted.swap(true, Ordering::Relaxed) {
            bar.finish_and_clear();
            eprintln!("tuplix: left graph {graph}; its end: tuplix wait {graph}");
            std::process::exit(INTERRUPTED.into());
        }
        let target = target.clone();
        let cancelled = tokio::task::spawn_blocking(move || cancel(&target, graph)).await;
        match cancelled {
            Ok(Ok(count)) => {
                bar.suspend(|| eprintln!("tuplix: cancelling {count} tasks; Ctrl-C again leaves at once"))
            }
            Ok(Err(error)) => bar.suspend(|| eprintln!("tuplix: could not cancel: {error:#}")),
            Err(error) => bar.suspend(|| eprintln!("tuplix: could not cancel: {error}")),
        }
    }
}

fn cancel(target: &Target, graph: GraphId) -> anyhow::Result<i32> {
    let mut node = target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    scheduler.cancel_graph(&mut node.session, graph, "Ctrl-C").map_err(explain)
}

/// Says which tasks failed, why, and what they wrote last to standard error.
fn failures(node: &mut Node, target: &Target, graph: GraphId) -> anyhow::Result<()> {
    let rows = node.session.query(FAILURES, &key(graph)).map_err(explain)?;
    let mut files = Files::open(target)?;
    for row in 0..rows.len().min(FAILURES_SHOWN) {
        let task = TaskId(number(&rows, row, 0));
        eprintln!("\ntask {task} {} failed: {}", text(&rows, row, 1), text(&rows, row, 5));
        let attempt = i32::try_from(number(&rows, row, 3)).unwrap_or_default();
        for line in logs::tail(&mut files, &text(&rows, row, 2), task, attempt, LINES_SHOWN)? {
            eprintln!("  stderr: {line}");
        }
        eprintln!("  All it wrote: tuplix logs {task}");
    }
    if rows.len() > FAILURES_SHOWN {
        eprintln!("\nand {} more: tuplix ps --graph {graph} --state failed", rows.len() - FAILURES_SHOWN);
    }
    Ok(())
}
