//! `tuplix worker drain`

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use tuplix_services::scheduler::Scheduler;
use tuplix_services::{Bucket, WorkerId, errors};

use crate::commands::counted;
use crate::node::{Target, explain};

/// Arguments of `worker drain`.
#[derive(Args)]
#[command(after_help = "\
What it has not begun goes to others at once, what it runs ends in peace, and then the worker ends. tuplix worker list shows it.")]
pub(crate) struct Drain {
    /// The worker.
    #[arg(value_name = "ID")]
    worker: i64,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(drain: &Drain) -> anyhow::Result<ExitCode> {
    let mut node = drain.target.connect()?;
    let worker = WorkerId(drain.worker);
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    let (mut buckets, mut busy) = (0_u64, 0_u64);
    for bucket in Bucket::all() {
        match scheduler.leave_worker(&mut node.session, bucket, worker) {
            Err(error) if error.sqlstate() == errors::UNKNOWN_WORKER => {}
            left => {
                buckets += 1;
                busy += u64::from(left.map_err(explain)? == "draining");
            }
        }
    }
    if buckets == 0 {
        bail!("no worker {worker} takes tasks\n  Those that do: tuplix worker list");
    }
    node.session.execute(&format!("NOTIFY os_worker_{worker}, 'drain'")).map_err(explain)?;
    let rest = match busy {
        0 => "it runs nothing".to_owned(),
        busy => format!("it still runs tasks of {}", counted(busy, "bucket")),
    };
    writeln!(std::io::stdout(), "worker {worker} takes no more tasks; {rest}")?;
    Ok(ExitCode::SUCCESS)
}
