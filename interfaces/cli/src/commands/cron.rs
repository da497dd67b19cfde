//! `tuplix cron`: tasks that are submitted by a schedule.

use std::process::ExitCode;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::json;
use tuplix_services::scheduler::{Cron as Schedule, Scheduler};

use super::base_name;
use super::said::Said;
use crate::graph::{Graph, KINDS};
use crate::node::{Target, explain};
use crate::render::{Format, show};

const CRONS: &str = include_str!("cron.sql");

/// What is said after the help.
pub(super) const EXAMPLES: &str = "\
A schedule has five fields: minute, hour, day of the month, month, day of the week.

Examples:
  tuplix cron add nightly '30 2 * * *' /usr/bin/backup --all
  tuplix cron add close '0 0 1 * *' --kind sql --time-zone Europe/Berlin app.close_month
  tuplix cron add report '*/15 * * * *' --graph report.toml --missed skip";

/// What to do with schedules.
#[derive(Subcommand)]
pub(crate) enum Cron {
    /// Submit a program, a function or a graph whenever a schedule is due; the same name again replaces it.
    Add(Add),
    /// List schedules.
    List(List),
    /// Submit nothing more; what was submitted goes on.
    Drop(Drop),
}

/// Arguments of `cron add`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Add {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// When.
    #[arg(value_name = "SCHEDULE")]
    schedule: String,
    /// The program, or the function.
    #[arg(value_name = "PROGRAM", required_unless_present = "graph", conflicts_with = "graph")]
    program: Option<String>,
    /// Its arguments.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// A graph in place of one program.
    #[arg(long, value_name = "GRAPH.toml")]
    graph: Option<std::path::PathBuf>,
    /// What runs the program: exec, a Linux process; sql, a function in the database.
    #[arg(long, value_name = "KIND", default_value = KINDS[0], value_parser = PossibleValuesParser::new(KINDS))]
    kind: String,
    /// Whose clock.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// What becomes of times that passed while the node was away.
    #[arg(long, value_name = "HOW", default_value = "once", value_parser = PossibleValuesParser::new(["once", "skip", "all"]))]
    missed: String,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `cron list`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

/// Arguments of `cron drop`.
#[derive(Args)]
pub(crate) struct Drop {
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(cron: &Cron) -> anyhow::Result<ExitCode> {
    match cron {
        Cron::Add(add) => run_add(add),
        Cron::List(list) => {
            let mut client = list.target.client()?;
            show(&list.format, CRONS, |each| client.query_with(CRONS, &[], each))
        }
        Cron::Drop(drop) => run_drop(drop),
    }
}

fn run_add(add: &Add) -> anyhow::Result<ExitCode> {
    let task = match (&add.graph, &add.program) {
        (Some(file), _) => Graph::read(file, &crate::node::user())?.description,
        (None, program) => {
            let program = program.as_deref().unwrap_or_default();
            json!({"name": base_name(program), "program": program, "arguments": add.arguments, "kind": add.kind})
        }
    };
    let mut node = add.target.connect()?;
    let home = node.home()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let schedule =
        Schedule { schedule: &add.schedule, time_zone: &add.time_zone, missed: &add.missed, task: &task };
    let next =
        scheduler.make_cron(&mut node.session, home, &add.name, &node.user, &schedule).map_err(explain)?;
    let next = jiff::Timestamp::from_microsecond(next.0)?;
    add.said.print(
        format_args!("{}: first at {next}", add.name),
        &json!({"cron": add.name, "next_at": next.to_string()}),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn run_drop(drop: &Drop) -> anyhow::Result<ExitCode> {
    let mut node = drop.target.connect()?;
    let home = node.home()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    if !scheduler.drop_cron(&mut node.session, home, &drop.name).map_err(explain)? {
        bail!("there is no schedule \"{}\"\n  Those that there are: tuplix cron list", drop.name);
    }
    drop.said.print(format_args!("{} submits nothing more", drop.name), &json!({"cron": drop.name}))?;
    Ok(ExitCode::SUCCESS)
}
