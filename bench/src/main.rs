//! `tuplix-bench SUITE`: Tuplix beside its peers, all in one run on this machine.
//!
//! Each result is a row of fixed fields ([`report::Figure`]); `--json` prints one JSON object a line. Every case runs
//! several times after a warm-up and prints the minimum, median and maximum of the runs.

mod decisions;
mod fifo;
mod growth;
mod history;
mod measure;
mod overload;
mod procedure;
mod recovery;
mod report;
mod scan;
mod scheduler;
mod snapshot;
mod wire;
mod ycsb;

use std::time::Duration;

use clap::{Parser, Subcommand};

use report::Report;

/// Measures Tuplix beside its peers, all in one run.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Examples:\n  tuplix-bench fifo --seconds 30\n  tuplix-bench procedure --json"
)]
struct Arguments {
    #[command(subcommand)]
    suite: Suite,
    /// Seconds of each run.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
    /// Runs of each case; the median is the one to quote.
    #[arg(long, global = true, default_value_t = 3)]
    runs: usize,
    /// Clients of Tuplix in `fifo` and `ycsb`, each with a core of its own; fifo goes there from 1 by doubling.
    #[arg(long, global = true, default_value_t = 2)]
    clients: usize,
    /// One JSON object a line.
    #[arg(long, global = true)]
    json: bool,
    /// Folder for data directories; a folder on the disk to be measured.
    #[arg(long, global = true)]
    dir: Option<std::path::PathBuf>,
    /// Only cases of this system, for example tuplix.
    #[arg(long, global = true)]
    system: Option<String>,
    /// Only cases with this text in their name, and this log mode if it follows after a colon: paper/2:async.
    #[arg(long, global = true, value_name = "NAME[:LOG]")]
    case: Option<String>,
}

/// Both suites have 64 buckets; each client of `fifo` wants one of its own.
const CLIENTS_MAX: usize = 64;

#[derive(Subcommand)]
enum Suite {
    /// The papers' FIFO scheduler (VLDB 2022, figure 2), beside SQLite in memory and PostgreSQL.
    Fifo,
    /// The papers' policies on the real task table, closed loop and by the clock, with finite workers and completion, beside PostgreSQL.
    Decisions,
    /// An empty call, a point read, an update and an insert, in process.
    Procedure,
    /// YCSB's workloads A, B, C and F beside SQLite in memory and PostgreSQL; transactions over two partitions.
    Ycsb {
        /// Records of about 1 KB.
        #[arg(long, default_value_t = 100_000)]
        records: u64,
    },
    /// Sums over a table, beside SQLite in memory and DuckDB (pip install duckdb).
    Scan {
        /// Rows of the table.
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
    },
    /// Random updates with a snapshot every 100 ms, beside the same without.
    Snapshot,
    /// A point select, the FIFO scheduler and a transaction of three statements over the PostgreSQL protocol, beside PostgreSQL
    /// through the same driver, 1 to 64 connections; the select under 0 to 100 row-level security policies.
    Wire,
    /// Ten times the calls that the node can take.
    Overload,
    /// Random updates with one checkpoint after the other, beside the same without.
    Checkpoint,
    /// A start with so many bytes of checkpoint, of log, of both.
    Recovery {
        /// Bytes of log that the rows come to.
        #[arg(long, default_value_t = 1 << 30)]
        bytes: u64,
    },
    /// Tasks that are executed: functions and processes, beside xargs; how soon they begin; waiting workers; a graph.
    Scheduler,
    /// The helper process of its worker.
    #[command(hide = true)]
    TaskRunner {
        #[arg(long)]
        parent: Option<u32>,
    },
    /// What `recovery` runs for each start, in a process of its own.
    #[command(hide = true)]
    Start {
        /// The data directory.
        folder: std::path::PathBuf,
    },
    /// Task-like and message-like rows through a limit on memory: what stays in memory, and what asking the history costs.
    History {
        /// Rows of each of the two tables.
        #[arg(long, default_value_t = 50_000_000)]
        rows: u64,
        /// The limit on memory, in bytes.
        #[arg(long, default_value_t = 2 << 30)]
        memory: u64,
    },
    /// A transaction's cost and a row's memory as a table grows tenfold from 10,000 rows on.
    Growth {
        /// Rows to grow to; 100,000,000 need 16 GB.
        #[arg(long, default_value_t = 10_000_000)]
        rows: u64,
    },
}

/// How long and how often.
pub struct Plan {
    /// Length of a run.
    pub run: Duration,
    /// Number of runs.
    pub runs: usize,
    /// Clients of Tuplix at most.
    pub clients: usize,
    /// Where data directories go.
    pub dir: std::path::PathBuf,
    system: Option<String>,
    case: Option<String>,
}

impl Plan {
    /// Whether this case is to run.
    pub fn wants_case(&self, name: &str, log: &str) -> bool {
        let Some(wanted) = &self.case else { return true };
        match wanted.split_once(':') {
            Some((wanted, wanted_log)) => name.contains(wanted) && log == wanted_log,
            None => name.contains(wanted.as_str()),
        }
    }

    /// Says what the figures lack.
    ///
    /// # Errors
    /// None; so that it can end what it speaks of.
    #[allow(clippy::print_stderr, clippy::unnecessary_wraps)]
    pub fn note(&self, text: &str) -> anyhow::Result<()> {
        eprintln!("{text}");
        Ok(())
    }

    /// Whether cases of this system are to run.
    pub fn wants(&self, system: &str) -> bool {
        self.system.as_deref().is_none_or(|wanted| wanted == system)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(
        arguments.seconds > 0.0 && arguments.seconds.is_finite(),
        "--seconds must be more than 0"
    );
    anyhow::ensure!(arguments.runs > 0, "--runs must be more than 0");
    anyhow::ensure!(
        (1..=CLIENTS_MAX).contains(&arguments.clients),
        "--clients must be between 1 and {CLIENTS_MAX}"
    );
    match &arguments.suite {
        Suite::Start { folder } => return recovery::start(folder),
        Suite::TaskRunner { .. } => {
            tuplix_worker::run_task_runner();
            return Ok(());
        }
        _ => {}
    }
    let plan = Plan {
        run: Duration::from_secs_f64(arguments.seconds),
        runs: arguments.runs,
        clients: arguments.clients,
        dir: arguments.dir.unwrap_or_else(std::env::temp_dir),
        system: arguments.system,
        case: arguments.case,
    };
    let mut report = Report::new(arguments.json);
    match arguments.suite {
        Suite::Fifo => fifo::run(&plan, &mut report)?,
        Suite::Decisions => decisions::run(&plan, &mut report)?,
        Suite::Procedure => procedure::run(&plan, &mut report)?,
        Suite::Ycsb { records } => ycsb::run(&plan, &mut report, records)?,
        Suite::Scan { rows } => scan::run(&plan, &mut report, rows)?,
        Suite::Snapshot => snapshot::run(&plan, &mut report)?,
        Suite::Wire => wire::run(&plan, &mut report)?,
        Suite::Overload => overload::run(&plan, &mut report)?,
        Suite::Checkpoint => recovery::run_checkpoint(&plan, &mut report)?,
        Suite::Recovery { bytes } => recovery::run(&plan, &mut report, bytes)?,
        Suite::Scheduler => scheduler::run(&plan, &mut report)?,
        Suite::Start { .. } | Suite::TaskRunner { .. } => {}
        Suite::Growth { rows } => growth::run(&plan, &mut report, rows)?,
        Suite::History { rows, memory } => history::run(&plan, &mut report, rows, memory)?,
    }
    anyhow::ensure!(!report.is_empty(), "no case has this name: leave --case and --system out to see all");
    report.ratios();
    Ok(())
}
