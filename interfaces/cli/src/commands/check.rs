//! `tuplix check`: the invariants of all services.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use crate::node::{Target, explain};

/// Arguments of `check`.
#[derive(Args)]
#[command(after_help = "\
Each service has invariants: queries that find a row only where something is wrong. Exit status 1 and a
line for each finding when they do.

Examples:
  tuplix check
  tuplix check --data /srv/tuplix")]
pub(crate) struct Check {
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(check: &Check) -> anyhow::Result<ExitCode> {
    let mut node = check.target.connect()?;
    let violations = tuplix_services::check(&mut node.session).map_err(explain)?;
    let mut out = std::io::stdout().lock();
    for violation in &violations {
        writeln!(out, "{violation}")?;
    }
    if violations.is_empty() {
        let services: Vec<&str> = tuplix_services::SERVICES.iter().map(|service| service.name).collect();
        writeln!(out, "all invariants hold: {}", services.join(", "))?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tuplix: {} of the services' invariants are broken", violations.len());
    Ok(ExitCode::FAILURE)
}
