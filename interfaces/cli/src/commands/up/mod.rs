//! `tuplix up`: a node on a data directory, served until it is told to stop.

mod announce;
mod door;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tuplix::{Durability, LogMode, Options, Tuplix, sqlstate};
use tuplix_http::{Checkpoints, Metrics, Monitor, State};
use tuplix_services::{Installed, WorkerId};
use tuplix_wire::limits::CONNECTIONS_RESERVED;
use tuplix_wire::{BindError, Server, ServerOptions, Tls};
use tuplix_worker::{Worker, WorkerOptions};

pub(super) use self::announce::announce_worker;
use self::announce::{Started, announce};
use self::door::{Door, first_user};
use super::offer::Offer;
use super::{DataDirectory, explain};
use crate::graph::units::{size, time};

/// Ports looked at when the wanted one is taken.
const PORTS_TRIED: u16 = 100;

/// The node's own worker; it is the same one after a restart, so that what it held before is known to be lost.
const WORKER: WorkerId = WorkerId(1);

/// It ends with the node, which says so when it starts again; the lease is for one that hangs.
const LEASE: Duration = Duration::from_secs(300);

/// Where tasks have their private folders, in the data directory.
const WORK_FOLDER: &str = "work";

/// What to do about a full disk.
const FREE_SPACE: &str = "Free space on the disk of the data directory, then start the node again.";

/// Arguments of `up`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix up                                 data in ./tuplix-data, port 5433
  tuplix up --data /srv/tuplix --port 6000
  tuplix up --memory 8GiB                   rows and indexes take no more than this
  tuplix up --cores 1 --task-memory 2GiB    nor do its worker's tasks
  tuplix up --log off                       memory only: everything is gone at the end
  tuplix up --http 127.0.0.1:9433           metrics for Prometheus (docs/metrics.md)
  tuplix up --listen 0.0.0.0                from other machines too, with TLS (docs/security.md)
  tuplix up --rescue                        let me in, whatever roles and host rules say

Tasks run in namespaces of their own: without network, without the data directory, with their own folder, the system's
programs and the node's socket. Where this machine does not permit that, the start says so.

SIGTERM or Ctrl-C gives running tasks back to the queue, lets running statements finish, writes a checkpoint and exits 0.")]
pub(crate) struct Up {
    #[command(flatten)]
    data: DataDirectory,
    #[command(flatten)]
    door: Door,
    /// Port for TCP, also in the local socket's name; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = tuplix_wire::DEFAULT_PORT)]
    port: u16,
    /// Answer /metrics, /healthz and /readyz by HTTP on this address, as 127.0.0.1:9433; there is no password on it.
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Partitions that run transactions side by side; 0 takes one for each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    partitions: usize,
    /// Whether changes are logged to disk; off begins empty, and is refused on a directory that has a database.
    #[arg(long, value_enum, default_value_t = Log::On)]
    log: Log,
    /// Write a checkpoint when the log has grown by so much; 0: only when asked to, and at the end.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    checkpoint_log_size: i64,
    /// Write checkpoints no faster than so much a second; 0: as fast as the disk goes.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    checkpoint_rate: i64,
    /// Keep the log so far back, as 12h, so that tuplix restore can go to any moment since.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = time)]
    log_retention: i64,
    /// Memory for rows and indexes, as 8GiB; two thirds of this machine's, or of its control group's, if left out. What would
    /// grow beyond is refused (53200).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<i64>,
    /// Calls that may wait for one partition; one more is refused (53300).
    #[arg(long, value_name = "N", default_value_t = Options::default().waiting_max)]
    waiting_calls: u64,
    /// Run no tasks.
    #[arg(long, conflicts_with_all = Offer::NAMES)]
    no_worker: bool,
    #[command(flatten)]
    offer: Offer,
}

/// `--log`
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    On,
    Off,
}

pub(super) fn run(up: &Up) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(up))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(up: &Up) -> anyhow::Result<()> {
    // From here on a signal is an orderly end, also while the log is replayed.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let directory = prepare(up.data.path())?;
    // Before the log is read: who watches sees a node that starts.
    let monitor = match up.http {
        Some(address) => Some(Monitor::start(address).await?),
        None => None,
    };
    let checkpoints = Arc::new(Checkpoints::default());
    let node = open(up, &directory, &checkpoints)?;
    let services = install(&node)?;
    first_user(&node)?;
    let tls = up.door.tls(&directory)?;
    let server = bind(up, &directory, tls.clone()).await?;
    let worker = start_worker(up, &directory, &node, &server)?;
    if let Some(monitor) = &monitor {
        monitor.ready(Metrics::new(&node, server.statistics(), checkpoints));
    }
    let started = Started {
        directory: &directory,
        node: &node,
        server: &server,
        services: &services,
        worker: worker.as_ref(),
        monitor: monitor.as_ref(),
    };
    announce(up, &started)?;
    if let Some(tls) = tls {
        door::reload_on_hangup(tls)?;
    }
    let stop = async {
        stopped(&mut terminate, &mut interrupt).await;
        tracing::info!(event = "node_stopping");
        if let Some(monitor) = &monitor {
            monitor.enter(State::Stopping);
        }
        // Its tasks talk to the node until they are ended.
        match tokio::task::spawn_blocking(move || worker.map_or(Ok(()), Worker::stop)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("tuplix: the worker could not leave: {error}"),
            Err(error) => eprintln!("tuplix: the worker could not leave: {error}"),
        }
    };
    server.serve(node.clone(), stop).await;
    let checkpoint = {
        let node = node.clone();
        tokio::task::spawn_blocking(move || node.checkpoint()).await?
    };
    if let Err(error) = checkpoint {
        // The log has everything: the next start takes longer, that is all.
        eprintln!("tuplix: the last checkpoint could not be written: {error}");
    }
    node.close().map_err(|error| explain(&error)).context("the log could not be written out")?;
    writeln!(std::io::stdout(), "tuplix: stopped")?;
    Ok(())
}

/// Makes the services' tables and procedures where they are missing or older.
fn install(node: &Tuplix) -> anyhow::Result<Installed> {
    let installed =
        node.session(&Default::default()).and_then(|mut session| tuplix_services::install(&mut session));
    installed.map_err(|error| explain(&error)).context("cannot install the services")
}

/// Starts the node's own worker, or says that it is gone.
fn start_worker(up: &Up, directory: &Path, node: &Tuplix, server: &Server) -> anyhow::Result<Option<Worker>> {
    let mut options = WorkerOptions::new(WORKER, directory.join(WORK_FOLDER));
    if up.no_worker {
        Worker::retire(node, &options)?;
        return Ok(None);
    }
    up.offer.apply(&mut options)?;
    options.lease = LEASE;
    options.dies_with_node = true;
    options.hidden = vec![directory.to_owned()];
    options.socket = server.socket_path().map(Path::to_owned);
    match Worker::start(node, options) {
        Ok(worker) => Ok(Some(worker)),
        // Somebody has to come in and delete.
        Err(error) if node.memory().is_some_and(|memory| memory.used >= memory.limit) => {
            eprintln!("tuplix: no worker while memory is full: {error}");
            Ok(None)
        }
        Err(error) => Err(error).context("cannot run tasks (--no-worker starts the node without)"),
    }
}

/// Makes the data directory and returns its absolute path.
fn prepare(directory: &Path) -> anyhow::Result<PathBuf> {
    let made = match directory.is_dir() {
        true => Ok(()),
        // What is in it is nobody else's: passwords count for nothing to who reads the files.
        false => std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory),
    };
    made.and_then(|()| directory.canonicalize()).map_err(|error| {
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        let hint = if full { format!("\n  {FREE_SPACE}") } else { String::new() };
        anyhow::anyhow!("cannot use {} as data directory: {error}{hint}", directory.display())
    })
}

fn open(up: &Up, directory: &Path, checkpoints: &Arc<Checkpoints>) -> anyhow::Result<Tuplix> {
    let (report, counted) = (super::recovery::reporter(), Arc::clone(checkpoints));
    let options = Options {
        dir: Some(directory.to_owned()),
        partitions: up.partitions,
        log: match up.log {
            Log::On => LogMode::On,
            Log::Off => LogMode::Off,
        },
        durability: Durability {
            checkpoint_log_bytes: up.checkpoint_log_size.unsigned_abs(),
            checkpoint_bytes_per_second: up.checkpoint_rate.unsigned_abs(),
            log_retention_us: up.log_retention.saturating_mul(1000),
            events: Some(Arc::new(move |event| {
                counted.take(event);
                report(event);
            })),
            ..Durability::default()
        },
        memory: up.memory.map(i64::unsigned_abs),
        waiting_max: up.waiting_calls,
        ..Options::default()
    };
    Tuplix::open_with(&options)
        .map_err(|error| match (error.sqlstate(), &error.fields().hint) {
            (sqlstate::DISK_FULL, None) => explain(&error.hint(FREE_SPACE)),
            _ => explain(&error),
        })
        .with_context(|| format!("cannot open the data directory {}", directory.display()))
}

/// Listens on TCP and the local socket. A path too long for a socket is said and done without.
async fn bind(up: &Up, directory: &Path, tls: Option<Arc<Tls>>) -> anyhow::Result<Server> {
    let mut options = ServerOptions {
        tcp: Some(SocketAddr::from((up.door.listen, up.port))),
        socket_directory: Some(directory.to_owned()),
        connections_max: up.door.connections as usize,
        connections_reserved: CONNECTIONS_RESERVED.min(up.door.connections as usize - 1),
        tls,
        rescue: up.door.rescue,
        ..ServerOptions::default()
    };
    let mut bound = Server::bind(options.clone()).await;
    if let Err(error @ BindError::SocketPathTooLong(_)) = &bound {
        eprintln!("tuplix: {error}; clients can only use TCP");
        options.socket_directory = None;
        bound = Server::bind(options).await;
    }
    bound.map_err(|error| match error {
        BindError::AddressInUse(address) => anyhow::anyhow!("{}", in_use(address)),
        other => other.into(),
    })
}

fn in_use(address: SocketAddr) -> String {
    let mut text = format!("port {} is in use by another program", address.port());
    let first = address.port().saturating_add(1);
    let free = |port: &u16| TcpListener::bind((address.ip(), *port)).is_ok();
    if let Some(port) = (first..first.saturating_add(PORTS_TRIED)).find(free) {
        let again = again(std::env::args().skip(1), port);
        text.push_str(&format!("\n  The next free one is {port}: tuplix {again}"));
    }
    text
}

/// The same arguments with another port, as a shell takes them.
fn again(arguments: impl Iterator<Item = String>, port: u16) -> String {
    let mut words = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        if argument == "--port" {
            // Its number goes too.
            arguments.next();
        } else if !argument.starts_with("--port=") {
            words.push(quoted(argument));
        }
    }
    words.push(format!("--port {port}"));
    words.join(" ")
}

/// A word that a shell reads as this text.
fn quoted(text: String) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Completes at the first SIGTERM or SIGINT.
async fn stopped(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_port_in_use_names_the_next_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let text = in_use(taken.local_addr().unwrap());
        assert!(text.contains("is in use"), "{text}");
        assert!(text.contains(" --port "), "{text}");
    }

    /// Without the data directory it would be another node.
    #[test]
    fn another_port_keeps_all_other_options() {
        for (given, expected) in [
            ("up", "up --port 7"),
            ("up --port 5433 --data /srv/t", "up --data /srv/t --port 7"),
            ("up --port=5433 --log off", "up --log off --port 7"),
        ] {
            assert_eq!(again(given.split(' ').map(str::to_owned), 7), expected);
        }
        assert_eq!(
            again(["up", "--data", "a 'b"].map(str::to_owned).into_iter(), 7),
            "up --data 'a '\\''b' --port 7"
        );
    }
}
