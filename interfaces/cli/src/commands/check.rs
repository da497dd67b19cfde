//! `tuplix check`: files, rows and services, of a node that runs or of a data directory.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tuplix::{Session, Tuplix};
use tuplix_machine::Machine;

use super::backup::disk;
use crate::node::{Target, explain};

/// Arguments of `check`.
#[derive(Args)]
#[command(after_help = "\
Checked are: every checksum of checkpoints and log (where the data directory is on this machine), indexes against rows, NOT NULL, CHECK,
unique and foreign keys of all tables, and each service's invariants: queries that find a row only where something is wrong. A node that
runs goes on meanwhile; each question holds up the partitions of its table. Without a running node the data directory is read into memory;
nothing in it changes. Exit status 1 and a line for each finding when something is wrong.

Examples:
  tuplix check
  tuplix check --data /srv/tuplix")]
pub(crate) struct Check {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(check: &Check) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let mut checked = Vec::new();
    let directory = check.target.directory();
    if let Some(directory) = directory {
        let machine = Machine::linux();
        let files = tuplix_backup::verify(&machine, &disk(&machine, directory)?)
            .map_err(|error| super::explain(&error))?;
        checked.push(format!(
            "all checksums fit: {} checkpoints, {} segments of the log",
            files.checkpoints, files.segments
        ));
        findings.extend(files.findings);
    }
    match directory.filter(|directory| !is_running(directory)) {
        None => {
            let mut node = check.target.connect()?;
            rows(&mut node.session, &mut checked, &mut findings)?;
        }
        // What cannot be read was found already.
        Some(_) if !findings.is_empty() => {}
        Some(directory) => {
            let node = Tuplix::inspect(directory, None)
                .map_err(|error| super::explain(&error))
                .with_context(|| format!("cannot read the data directory {}", directory.display()))?;
            let mut session = node.session(&Default::default()).map_err(explain)?;
            rows(&mut session, &mut checked, &mut findings)?;
        }
    }
    report(&checked, &findings)
}

fn is_running(directory: &Path) -> bool {
    crate::node::running(directory).is_some()
}

/// Indexes, constraints and services.
fn rows(session: &mut Session, checked: &mut Vec<String>, findings: &mut Vec<String>) -> anyhow::Result<()> {
    let tables = tuplix::check::check(session, true).map_err(explain)?;
    checked.push(format!(
        "all rows are right: {} tables, {} indexes, {} constraints",
        tables.tables, tables.indexes, tables.constraints
    ));
    findings.extend(tables.findings.iter().map(ToString::to_string));
    let installed = session.query("SELECT 1 FROM pg_namespace WHERE nspname = 'os'", &[]).map_err(explain)?;
    if !installed.is_empty() {
        let violations = tuplix_services::check(session).map_err(explain)?;
        findings.extend(violations.iter().map(ToString::to_string));
        let services: Vec<&str> = tuplix_services::SERVICES.iter().map(|service| service.name).collect();
        checked.push(format!("all invariants hold: {}", services.join(", ")));
    }
    Ok(())
}

fn report(checked: &[String], findings: &[String]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        for what in checked {
            writeln!(out, "{what}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let plural = if findings.len() == 1 { "thing is" } else { "things are" };
    eprintln!("tuplix: {} {plural} wrong", findings.len());
    Ok(ExitCode::FAILURE)
}
