//! `tuplix up`: a node on a data directory, served until it is told to stop.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tuplix::{LogMode, MemoryUse, Options, RecoveryReport, Tuplix};
use tuplix_services::{Installed, WorkerId};
use tuplix_wire::{BindError, Server, ServerOptions};
use tuplix_worker::{Isolation, Worker, WorkerOptions};

use super::{DataDirectory, explain};
use crate::graph::units::size;

/// Ports looked at when the wanted one is taken.
const PORTS_TRIED: u16 = 100;

/// The node's own worker; it is the same one after a restart, so that what it held before is known to be lost.
const WORKER: WorkerId = WorkerId(1);

/// It ends with the node, which says so when it starts again; the lease is for one that hangs.
const LEASE: Duration = Duration::from_secs(300);

/// Where tasks have their private folders, in the data directory.
const WORK_FOLDER: &str = "work";

/// Arguments of `up`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix up                                 data in ./tuplix-data, port 5433
  tuplix up --data /srv/tuplix --port 6000
  tuplix up --memory 8GiB                   rows and indexes take no more than this
  tuplix up --cores 1 --task-memory 2GiB    nor do its worker's tasks
  tuplix up --log off                       memory only: everything is gone at the end

Tasks run in namespaces of their own: without network, without the data directory, with their own folder, the system's
programs and the node's socket. Where this machine does not permit that, the start says so.

SIGTERM or Ctrl-C gives running tasks back to the queue, lets running statements finish, writes the log out and exits 0.")]
pub(crate) struct Up {
    #[command(flatten)]
    data: DataDirectory,
    /// Port on 127.0.0.1, also in the local socket's name; 0 takes a free one.
    #[arg(long, value_name = "N", default_value_t = tuplix_wire::DEFAULT_PORT)]
    port: u16,
    /// Partitions that run transactions side by side; 0 takes one for each core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    partitions: usize,
    /// Whether changes are logged to disk.
    #[arg(long, value_enum, default_value_t = Log::On)]
    log: Log,
    /// Memory for rows and indexes, as 8GiB; two thirds of this machine's, or of its control group's, if left out. What would
    /// grow beyond is refused (53200).
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<i64>,
    /// Calls that may wait for one partition; one more is refused (53300).
    #[arg(long, value_name = "N", default_value_t = Options::default().waiting_max)]
    waiting_calls: u64,
    /// Run no tasks.
    #[arg(long)]
    no_worker: bool,
    /// Cores that the worker offers to tasks; all if left out.
    #[arg(long, value_name = "N", conflicts_with = "no_worker", value_parser = clap::value_parser!(i32).range(1..=4096))]
    cores: Option<i32>,
    /// Memory that the worker offers to tasks, as 2GiB; all if left out.
    #[arg(long, value_name = "SIZE", conflicts_with = "no_worker", value_parser = size)]
    task_memory: Option<i64>,
    /// Whether tasks run in namespaces of their own.
    #[arg(long, value_enum, default_value_t = Isolated::Auto, conflicts_with = "no_worker")]
    isolation: Isolated,
    /// Isolated tasks reach the network.
    #[arg(long, conflicts_with = "no_worker")]
    network: bool,
    /// A folder or file of this machine that isolated tasks may read, beside the system's; as often as needed.
    #[arg(long, value_name = "PATH", conflicts_with = "no_worker")]
    readable: Vec<PathBuf>,
}

/// `--isolation`
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Isolated {
    /// Where this machine permits it.
    Auto,
    /// Never.
    Off,
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
    let node = open(up, &directory)?;
    let services = install(&node)?;
    let server = bind(up.port, &directory).await?;
    let worker = start_worker(up, &directory, &node, &server)?;
    announce(up, &directory, &node, &server, &services, worker.as_ref())?;
    let stop = async {
        stopped(&mut terminate, &mut interrupt).await;
        // Its tasks talk to the node until they are ended.
        match tokio::task::spawn_blocking(move || worker.map_or(Ok(()), Worker::stop)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("tuplix: the worker could not leave: {error}"),
            Err(error) => eprintln!("tuplix: the worker could not leave: {error}"),
        }
    };
    server.serve(node.clone(), stop).await;
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
    options.cores = up.cores.unwrap_or(options.cores);
    options.memory = up.task_memory.unwrap_or(options.memory);
    options.lease = LEASE;
    options.dies_with_node = true;
    options.isolation = match up.isolation {
        Isolated::Auto => Isolation::Auto,
        Isolated::Off => Isolation::Off,
    };
    options.network = up.network;
    options.hidden = vec![directory.to_owned()];
    options.socket = server.socket_path().map(Path::to_owned);
    // Gone when it was replaced since; then tasks do without.
    options.tools = std::env::current_exe().ok().filter(|program| program.exists()).into_iter().collect();
    for path in &up.readable {
        let found =
            path.canonicalize().with_context(|| format!("--readable {} cannot be used", path.display()))?;
        options.readable.push(found);
    }
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
    std::fs::create_dir_all(directory)
        .and_then(|()| directory.canonicalize())
        .with_context(|| format!("cannot use {} as data directory", directory.display()))
}

fn open(up: &Up, directory: &Path) -> anyhow::Result<Tuplix> {
    let options = Options {
        dir: Some(directory.to_owned()),
        partitions: up.partitions,
        log: match up.log {
            Log::On => LogMode::On,
            Log::Off => LogMode::Off,
        },
        memory: up.memory.map(i64::unsigned_abs),
        waiting_max: up.waiting_calls,
        ..Options::default()
    };
    Tuplix::open_with(&options)
        .map_err(|error| explain(&error))
        .with_context(|| format!("cannot open the data directory {}", directory.display()))
}

/// Listens on TCP and the local socket. A path too long for a socket is said and done without.
async fn bind(port: u16, directory: &Path) -> anyhow::Result<Server> {
    let tcp = SocketAddr::from(([127, 0, 0, 1], port));
    let mut options = ServerOptions {
        tcp: Some(tcp),
        socket_directory: Some(directory.to_owned()),
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
        text.push_str(&format!("\n  The next free one is {port}: tuplix up --port {port}"));
    }
    text
}

/// Says what was recovered, what listens where and how to get in.
fn announce(
    up: &Up,
    directory: &Path,
    node: &Tuplix,
    server: &Server,
    services: &Installed,
    worker: Option<&Worker>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Tuplix {} on {}", env!("CARGO_PKG_VERSION"), directory.display())?;
    if up.log == Log::Off {
        writeln!(out, "  log       off: everything is gone when the node ends")?;
    } else {
        let report = node.recovery_report();
        writeln!(out, "  recovered {}", recovered(&report))?;
        if let Some(cut) = &report.cut {
            writeln!(out, "  cut       {cut}")?;
            writeln!(out, "            nothing in it was acknowledged")?;
        }
    }
    writeln!(out, "  running   {}", counted(node.partitions() as u64, "partition"))?;
    if let Some(memory) = node.memory() {
        announce_memory(&mut out, memory)?;
    }
    writeln!(out, "  services  {}", installed(services))?;
    match worker {
        Some(worker) => announce_worker(&mut out, worker)?,
        None => writeln!(out, "  worker    none: tasks wait in their queues")?,
    }
    if let Some(address) = server.tcp_address() {
        writeln!(out, "  listening {address} (this machine only, no password yet)")?;
        writeln!(out, "            psql -h {} -p {}", address.ip(), address.port())?;
    }
    if let Some(path) = server.socket_path() {
        let port = path.extension().map(|port| port.to_string_lossy()).unwrap_or_default();
        writeln!(out, "  socket    {}", path.display())?;
        writeln!(out, "            psql -h {} -p {port}", directory.display())?;
        writeln!(out, "            tuplix sql --data {} 'SELECT 1'", directory.display())?;
    }
    writeln!(out, "  stop with Ctrl-C or: kill {}", std::process::id())?;
    Ok(out.flush()?)
}

/// How much memory the rows have, and that there is none left.
fn announce_memory(out: &mut impl std::io::Write, memory: MemoryUse) -> std::io::Result<()> {
    if memory.limit == u64::MAX {
        return Ok(());
    }
    writeln!(out, "  memory    {} of {} MiB for rows and indexes", memory.used >> 20, memory.limit >> 20)?;
    if memory.used >= memory.limit {
        writeln!(
            out,
            "            full: what would grow is refused; delete rows or start with more --memory"
        )?;
    }
    Ok(())
}

/// What the start-up replayed.
fn recovered(report: &RecoveryReport) -> String {
    match report.epochs {
        0 => "nothing, the log is empty".to_owned(),
        epochs => format!(
            "{} in {}, {} bytes of log",
            counted(report.records, "transaction"),
            counted(epochs, "epoch"),
            report.bytes
        ),
    }
}

/// What the start did to the services.
fn installed(services: &Installed) -> String {
    let parts = [
        ("made", &services.created),
        ("upgraded", &services.upgraded),
        ("procedures replaced in", &services.replaced),
    ];
    let mut done: Vec<&str> = Vec::new();
    let mut said = Vec::new();
    for (what, names) in parts {
        let names: Vec<&str> = names.iter().copied().filter(|name| !done.contains(name)).collect();
        if !names.is_empty() {
            said.push(format!("{what} {}", names.join(", ")));
            done.extend(names);
        }
    }
    if said.is_empty() { "up to date".to_owned() } else { said.join("; ") }
}

/// Says what the worker offers, and how tasks are kept apart.
fn announce_worker(out: &mut impl std::io::Write, worker: &Worker) -> std::io::Result<()> {
    let (options, confinement) = (worker.options(), worker.confinement());
    let memory = options.memory >> 20;
    let cores = counted(options.cores.unsigned_abs().into(), "core");
    writeln!(out, "  worker    {cores}, {memory} MiB of memory for tasks")?;
    match &confinement.not_isolated {
        None if options.network => writeln!(out, "            tasks are isolated, but for the network")?,
        None => writeln!(out, "            tasks are isolated")?,
        Some(why) => writeln!(out, "            tasks are not isolated, they see what the node sees: {why}")?,
    }
    if !confinement.memory_by_kernel {
        writeln!(
            out,
            "            no control groups here: a task's memory is looked at every few milliseconds"
        )?;
    }
    Ok(())
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
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
        assert!(text.contains("tuplix up --port"), "{text}");
    }
}
