//! `tuplix up`: a node on a data directory, served until it is told to stop.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tuplix::{LogMode, Options, RecoveryReport, Tuplix};
use tuplix_wire::{BindError, Server, ServerOptions};

use super::{DataDirectory, explain};

/// Ports looked at when the wanted one is taken.
const PORTS_TRIED: u16 = 100;

/// Arguments of `up`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tuplix up                                 data in ./tuplix-data, port 5433
  tuplix up --data /srv/tuplix --port 6000
  tuplix up --log off                       memory only: everything is gone at the end

SIGTERM or Ctrl-C lets running statements finish, writes the log out and exits 0.")]
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
    let server = bind(up.port, &directory).await?;
    announce(up, &directory, &node, &server)?;
    server.serve(node.clone(), stopped(&mut terminate, &mut interrupt)).await;
    node.close().map_err(|error| explain(&error)).context("the log could not be written out")?;
    writeln!(std::io::stdout(), "tuplix: stopped")?;
    Ok(())
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
fn announce(up: &Up, directory: &Path, node: &Tuplix, server: &Server) -> anyhow::Result<()> {
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
