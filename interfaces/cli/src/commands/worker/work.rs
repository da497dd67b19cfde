//! `tuplix worker --connect`: a worker in a process of its own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tuplix::{Tuplix, sqlstate};
use tuplix_worker::{Worker, WorkerError, WorkerOptions};

use super::place;
use crate::commands::explain;
use crate::commands::offer::Offer;
use crate::commands::up::announce_worker;
use crate::graph::units::time;

/// Arguments of a worker.
#[derive(Args)]
pub(super) struct Work {
    /// The node: postgres://HOST:PORT/tuplix, or 'host=DIR port=N' for the socket in its data directory.
    #[arg(long, value_name = "URL")]
    connect: Option<String>,
    /// The file with the token of its role; else TUPLIX_WORKER_TOKEN has it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Its number, which no other worker of the node has; drawn and kept in --dir if left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(2..))]
    id: Option<i64>,
    /// Its directory, for its number and the folders of its tasks.
    #[arg(long, value_name = "DIR", default_value = "tuplix-worker")]
    dir: PathBuf,
    /// How long the node may hear nothing of it before its tasks are given to others.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    lease: i64,
    /// How long what runs may go on after SIGTERM.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    drain: i64,
    #[command(flatten)]
    offer: Offer,
}

pub(super) fn run(work: &Work) -> anyhow::Result<ExitCode> {
    let Some(url) = &work.connect else {
        bail!("a worker needs a node: tuplix worker --connect postgres://HOST:PORT/tuplix");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(work, url))
}

fn options(work: &Work, url: &str) -> anyhow::Result<WorkerOptions> {
    let directory = place::prepare(&work.dir)?;
    let mut options = WorkerOptions::new(place::number(&directory, work.id)?, directory.join("work"));
    work.offer.apply(&mut options)?;
    options.lease = Duration::from_millis(work.lease.unsigned_abs());
    options.socket = place::socket(url);
    options.hidden = vec![directory];
    Ok(options)
}

async fn serve(work: &Work, url: &str) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = place::token(work.token_file.as_deref(), std::env::var("TUPLIX_WORKER_TOKEN").ok())?;
    let options = options(work, url)?;
    let address = place::with_token(url, token.as_deref())?;
    let worker = spawn_blocking(move || start(&address, options)).await??;
    announce(url, &worker)?;
    let watch = worker.watch();
    let ended = spawn_blocking(move || watch.wait());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = ended => {
            if !worker.is_draining() {
                bail!("the worker gave up; TUPLIX_LOG=error says why");
            }
        }
    }
    let limit = Duration::from_millis(work.drain.unsigned_abs());
    let drained = spawn_blocking(move || worker.drain(limit));
    let all = tokio::select! {
        drained = drained => drained??,
        // Its tasks end with their leases, or go on where it starts again.
        _ = terminate.recv() => bail!("ended before what it runs"),
        _ = interrupt.recv() => bail!("ended before what it runs"),
    };
    let rest = if all { "" } else { "; what ran for too long was given back" };
    writeln!(std::io::stdout(), "tuplix worker: stopped{rest}")?;
    Ok(ExitCode::SUCCESS)
}

fn start(address: &str, options: WorkerOptions) -> anyhow::Result<Worker> {
    let node = Tuplix::at(address).map_err(|error| explain(&error))?;
    let started = Worker::start(&node, options);
    started.map_err(|error| match &error {
        WorkerError::Database(said) => {
            let hint = match said.sqlstate() {
                sqlstate::INSUFFICIENT_PRIVILEGE => {
                    "\n  Its role gets its rights by: tuplix worker token ROLE"
                }
                sqlstate::UNDEFINED_FUNCTION | sqlstate::INVALID_SCHEMA_NAME => {
                    "\n  The services are not installed there."
                }
                _ => "",
            };
            anyhow::anyhow!("{:#}{hint}", explain(said)).context("the worker cannot join")
        }
        _ => error.into(),
    })
}

fn announce(url: &str, worker: &Worker) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let options = worker.options();
    writeln!(out, "Tuplix {} worker {}", env!("CARGO_PKG_VERSION"), options.id)?;
    let place = url.rsplit_once('@').map_or(url, |(_, place)| place);
    writeln!(out, "  node      {place}")?;
    announce_worker(&mut out, worker)?;
    writeln!(out, "  work      {}", options.work_directory.display())?;
    writeln!(out, "  stop with Ctrl-C or: kill {}", std::process::id())?;
    out.flush().context("cannot say that it runs")
}
