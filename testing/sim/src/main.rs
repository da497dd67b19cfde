//! `tuplix-sim`: runs seeds of the simulator, and kills real processes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tuplix_sim::serial::run::{Levels, Settings, check, run, simulate};
use tuplix_sim::{kill, run as seed_run};

/// Runs the whole node on a simulated machine with a faulty disk, and checks what it answers and recovers.
///
/// Examples:
///   tuplix-sim --seed 7 --trace            one seed, with what its clients did
///   tuplix-sim --seed 1000 --seeds 500     many seeds
///   tuplix-sim kill --rounds 20            kill -9 of real processes
///   tuplix-sim fuzz --seconds 60           bytes and SQL that nobody wrote
///   tuplix-sim fixture testing/fixtures/1  a data directory to be kept
///   tuplix-sim histories --minutes 10      histories of many threads, checked for strict serializability
#[derive(Debug, Parser)]
#[command(name = "tuplix-sim", version, verbatim_doc_comment, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Machines with faults for each seed
    #[arg(long, default_value_t = seed_run::ROUNDS)]
    rounds: u64,
    /// When a seed fails, show all events of the failing machine instead of the last ones
    #[arg(long)]
    trace: bool,
    /// Run each seed once instead of twice
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills a process that works on a directory, and checks what is left
    Kill {
        /// An empty or missing directory; one in the system's temporary folder if not given
        #[arg(long)]
        directory: Option<PathBuf>,
        /// When to kill
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// How often
        #[arg(long, default_value_t = 20)]
        rounds: u64,
    },
    /// Changes files and SQL texts at random: nothing may panic
    Fuzz {
        /// Seconds for each of log, checkpoint and SQL
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The first case
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// One case of each, the first
        #[arg(long)]
        one: bool,
    },
    /// Concurrent histories, replayed in their commit order and shown to adya
    Histories {
        /// The first seed
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// For how long
        #[arg(long, default_value_t = 1.0)]
        minutes: f64,
        /// Threads
        #[arg(long, default_value_t = 8)]
        clients: u64,
        /// Transactions of a history
        #[arg(long, default_value_t = 5000)]
        transactions: u64,
    },
    /// Makes a data directory that is kept: of the make.sql and look.sql in a folder of testing/fixtures
    Fixture {
        /// The folder
        folder: PathBuf,
    },
    /// Works on a directory until killed
    #[command(hide = true)]
    Child {
        directory: PathBuf,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        first: u64,
    },
}

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "tuplix-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> Result<bool> {
    match &arguments.command {
        None => seeds(arguments),
        Some(Command::Child { directory, seed, first }) => {
            kill::child(directory, *seed, *first).map(|()| true)
        }
        Some(Command::Fixture { folder }) => tuplix_sim::fixture::make(folder).map(|()| true),
        Some(Command::Fuzz { seconds, seed, one }) => fuzz(*seconds, *seed, *one),
        Some(Command::Histories { seed, minutes, clients, transactions }) => {
            histories(*seed, *minutes, *clients, *transactions)
        }
        Some(Command::Kill { directory, seed, rounds }) => {
            let program = std::env::current_exe().context("where is this program?")?;
            let given = directory.clone();
            let folder = given
                .clone()
                .unwrap_or_else(|| std::env::temp_dir().join(format!("tuplix-kill-{}", std::process::id())));
            let summary = kill::kill_rounds(&program, &folder, *seed, *rounds)?;
            writeln!(std::io::stdout(), "{summary:?}")?;
            if given.is_none() {
                std::fs::remove_dir_all(&folder)?;
            }
            Ok(true)
        }
    }
}

fn fuzz(seconds: u64, seed: u64, one: bool) -> Result<bool> {
    let machine = tuplix::Machine::linux();
    for target in tuplix_sim::fuzz::TARGETS {
        let end = machine.monotonic_ns() + seconds * 1_000_000_000;
        let more = |summary: &tuplix_sim::fuzz::Summary| match one {
            true => summary.cases == 0,
            false => machine.monotonic_ns() < end,
        };
        let summary = tuplix_sim::fuzz::run(target, seed, more)?;
        writeln!(std::io::stdout(), "{target:?}: {} cases, {} accepted", summary.cases, summary.accepted)?;
    }
    Ok(true)
}

/// Each seed on real threads with a log and on simulated ones, at all levels and at the serializable ones.
fn histories(first: u64, minutes: f64, clients: u64, transactions: u64) -> Result<bool> {
    let machine = tuplix::Machine::linux();
    let end = machine.monotonic_ns() + (minutes * 60e9) as u64;
    let directory = std::env::temp_dir().join(format!("tuplix-histories-{}", std::process::id()));
    for seed in first.. {
        if seed > first && machine.monotonic_ns() > end {
            break;
        }
        for levels in [Levels::Serializable, Levels::All, Levels::ReadCommitted] {
            let partitions = 1 + (seed % 5) as usize;
            let dir = Some(directory.clone());
            let real = Settings { seed, clients, transactions, partitions, levels, dir };
            let simulated = Settings { dir: None, transactions: transactions / 10, ..real.clone() };
            for (kind, history) in [("real", run(&real)), ("simulated", simulate(&simulated))] {
                match history.and_then(|history| check(&history, levels)) {
                    Ok(summary) => {
                        writeln!(std::io::stdout(), "seed {seed}, {kind}, {levels:?}: {summary:?}")?
                    }
                    Err(what) => {
                        writeln!(std::io::stdout(), "FAILED seed {seed}, {kind}, {levels:?}: {what}")?;
                        return Ok(false);
                    }
                }
            }
            std::fs::remove_dir_all(&directory)?;
        }
    }
    Ok(true)
}

fn seeds(arguments: &Arguments) -> Result<bool> {
    let lines = if arguments.trace { usize::MAX } else { 60 };
    let mut all_right = true;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let run = if arguments.once { seed_run::run_seed } else { seed_run::check_seed };
        match run(seed, arguments.rounds, lines) {
            Ok(report) => writeln!(std::io::stdout(), "{}", report.line())?,
            Err(failure) => {
                all_right = false;
                writeln!(std::io::stdout(), "FAILED {failure}")?;
            }
        }
    }
    Ok(all_right)
}
