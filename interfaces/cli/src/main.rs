//! The `tuplix` command: one file per command in [`commands`].
//!
//! `up` is a node; everything else that speaks to one is a client of its PostgreSQL socket ([`client`]).

mod client;
mod commands;
mod graph;
mod node;
mod password;
mod render;
mod shell;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;

/// Everything is a tuple: a database operating system.
#[derive(Parser)]
#[command(
    name = "tuplix",
    version,
    about,
    max_term_width = 100,
    after_help = "\
Examples:
  tuplix up                                  start a node on ./tuplix-data
  tuplix put -r texts .                      copy files into it
  tuplix run graph.toml                      run a graph of tasks
  tuplix ps --all                            its tasks
  tuplix sql 'SELECT 1 + 1'                  ask it anything
  tuplix sql --json < queries.sql            ask it from a file, answers as JSON
  tuplix sql --url postgres://ada@db:5433    the node of another machine
  psql -h \"$PWD/tuplix-data\" -p 5433         the same with PostgreSQL's client
  tuplix log dump tuplix-data                what the log holds

Files, tasks and messages are those of the role that a command logs in as: --user, else the user in USER or LOGNAME, else the
account; `tuplix` where that is no name of a user (a to z, 0 to 9, _ . -).

Exit status: 0 done, 1 failed, 2 wrong arguments, 130 ended by Ctrl-C."
)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into())
        .with_env_var("TUPLIX_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match commands::run(Arguments::parse().command) {
        Ok(code) => code,
        // Whoever reads our output has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuplix: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
