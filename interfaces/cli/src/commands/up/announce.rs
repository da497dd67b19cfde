//! What a node says of itself when it has started.

use std::io::Write as _;
use std::path::Path;

use tuplix::{MemoryUse, RecoveryReport, Tuplix};
use tuplix_http::Monitor;
use tuplix_services::Installed;
use tuplix_wire::Server;
use tuplix_worker::Worker;

use super::super::counted;
use super::{Log, Up};

/// A node that has started.
#[derive(Clone, Copy)]
pub(super) struct Started<'a> {
    pub(super) directory: &'a Path,
    pub(super) node: &'a Tuplix,
    pub(super) server: &'a Server,
    pub(super) services: &'a Installed,
    pub(super) worker: Option<&'a Worker>,
    pub(super) monitor: Option<&'a Monitor>,
}

/// Says what was recovered, what listens where and how to get in.
pub(super) fn announce(up: &Up, started: &Started<'_>) -> anyhow::Result<()> {
    let Started { directory, node, server, services, worker, monitor } = *started;
    let mut out = std::io::stdout().lock();
    writeln!(out, "Tuplix {} on {}", env!("CARGO_PKG_VERSION"), directory.display())?;
    if up.log == Log::Off {
        writeln!(out, "  log       off: everything is gone when the node ends")?;
    } else {
        let report = node.recovery_report();
        writeln!(out, "  recovered {}", recovered(&report))?;
        for what in &report.damaged {
            writeln!(out, "  damaged   {what}")?;
            writeln!(out, "            an older one and the log since then were read in its place")?;
        }
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
        let reach = if address.ip().is_loopback() { "this machine only" } else { "by host rules" };
        let tls = if server.encrypts() { ", TLS" } else { "" };
        writeln!(out, "  listening {address} ({reach}, with passwords{tls})")?;
    }
    if let Some(path) = server.socket_path() {
        let port = path.extension().map(|port| port.to_string_lossy()).unwrap_or_default();
        writeln!(out, "  socket    {}", path.display())?;
        writeln!(out, "            psql -h {} -p {port}", directory.display())?;
        writeln!(out, "            tuplix sql --data {} 'SELECT 1'", directory.display())?;
    }
    if let Some(monitor) = monitor {
        writeln!(out, "  http      http://{0}/metrics, /healthz, /readyz", monitor.address())?;
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

/// What the start-up read.
fn recovered(report: &RecoveryReport) -> String {
    let log = match report.epochs {
        0 => None,
        epochs => Some(format!(
            "{} in {}, {} bytes of log",
            counted(report.records, "transaction"),
            counted(epochs, "epoch"),
            report.bytes
        )),
    };
    let checkpoint = report.checkpoint.map(|checkpoint| {
        format!("{} of a checkpoint of {} bytes", counted(checkpoint.rows, "row"), checkpoint.bytes)
    });
    match (checkpoint, log) {
        (None, None) => "nothing, the log is empty".to_owned(),
        (Some(all), None) | (None, Some(all)) => format!("{all}, in {} ms", report.microseconds / 1000),
        (Some(checkpoint), Some(log)) => {
            format!("{checkpoint}, then {log}, in {} ms", report.microseconds / 1000)
        }
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
pub(in crate::commands) fn announce_worker(
    out: &mut impl std::io::Write,
    worker: &Worker,
) -> std::io::Result<()> {
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
    if options.processes_max > 0 && !confinement.processes_by_kernel {
        writeln!(out, "            nothing here bounds how many processes a task has")?;
    }
    Ok(())
}
