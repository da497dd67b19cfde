//! `tuplix-generate`: random statements on the engine and on PostgreSQL.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tuplix_generate::engines::Engines;
use tuplix_generate::program::Program;
use tuplix_generate::run::{self, Summary};

/// Compares the engine with PostgreSQL by random statements; prints each difference as an slt file, shrunk.
///
/// Examples:
///   tuplix-generate --minutes 10          as many seeds as ten minutes hold
///   tuplix-generate --seed 7 --show       what a seed says
#[derive(Debug, Parser)]
#[command(name = "tuplix-generate", version, verbatim_doc_comment)]
struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds; 1 unless --minutes says how long
    #[arg(long)]
    seeds: Option<u64>,
    /// How long to go on
    #[arg(long)]
    minutes: Option<f64>,
    /// End after this many differences
    #[arg(long, default_value_t = 1000)]
    differences: usize,
    /// Only print the statements
    #[arg(long)]
    show: bool,
}

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "tuplix-generate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "how long to go on is the user's time, no seed depends on it")]
fn execute(arguments: &Arguments) -> Result<bool> {
    let mut out = std::io::stdout();
    let seeds = arguments.seeds.unwrap_or(if arguments.minutes.is_some() { u64::MAX } else { 1 });
    let all = arguments.seed..arguments.seed.saturating_add(seeds);
    if arguments.show {
        for seed in all {
            for (number, statement) in Program::of(seed).statements.iter().enumerate() {
                for sql in statement.texts(number, false) {
                    writeln!(out, "{sql};")?;
                }
            }
        }
        return Ok(true);
    }
    let began = std::time::Instant::now();
    let mut engines = Engines::start()?;
    let mut summary = Summary::default();
    let mut count = 0;
    for seed in all {
        let seconds = began.elapsed().as_secs_f64();
        if arguments.minutes.is_some_and(|minutes| seconds > minutes * 60.0) || count >= arguments.differences
        {
            break;
        }
        for finding in run::seed(&mut engines, seed, &mut summary)? {
            count += 1;
            writeln!(out, "{}\n", finding.file)?;
        }
    }
    writeln!(out, "{}", summary.text())?;
    Ok(count == 0)
}
