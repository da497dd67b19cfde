//! `tuplix worker list`

use std::process::ExitCode;

use clap::Args;

use crate::node::Target;
use crate::render::{Format, show};

const WORKERS: &str = include_str!("list.sql");

/// Arguments of `worker list`.
#[derive(Args)]
#[command(after_help = "\
busy_cores and tasks are what it holds now. status: up; draining, it takes no more; left; dead, its lease ended; closed,
somebody's UPDATE; mixed, not the same in all buckets. lease_s: how long it may be silent from now on.")]
pub(crate) struct List {
    /// Also workers that left or were lost.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(list: &List) -> anyhow::Result<ExitCode> {
    let parameters = [Some(list.all.to_string())];
    let mut client = list.target.client()?;
    show(&list.format, WORKERS, |each| client.query_with(WORKERS, &parameters, each))
}
