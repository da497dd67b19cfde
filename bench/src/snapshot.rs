//! `snapshot`: what snapshots cost the writers: uniform random updates, alone and with a snapshot every 100 ms that is kept until
//! the next one.

// The benchmark waits in real time, outside the simulation.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tuplix::{LogMode, Options, Rows, SessionOptions, Tuplix, TypeId, Value};

use crate::Plan;
use crate::measure::{Case, Client, Draw, Quantile, measure_quantiles};
use crate::report::Report;

const ROWS_PER_BUCKET: u32 = 16_384;
const BUCKETS: u32 = 64;
const CLIENTS: usize = 2;
const EVERY: Duration = Duration::from_millis(100);
const QUANTILES: &[Quantile] =
    &[("latency_us_p50", 0.5), ("latency_us_p99", 0.99), ("latency_us_p999", 0.999)];

/// Runs the suite.
///
/// # Errors
/// What opening, preparing and calling find.
pub fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&plan.dir)?;
    let node = Tuplix::open_with(&Options {
        dir: Some(folder.path().to_owned()),
        partitions: 2,
        log: LogMode::On,
        ..Options::default()
    })?;
    let mut session = node.session(&SessionOptions::default())?;
    session.execute(&format!(
        "CREATE TABLE item (p_key integer NOT NULL, id integer NOT NULL, value bigint NOT NULL, PRIMARY KEY (p_key, id));
         SELECT create_distributed_table('item', 'p_key');
         INSERT INTO item SELECT p, i, 0 FROM generate_series(0, {}) p, generate_series(0, {}) i",
        BUCKETS - 1,
        ROWS_PER_BUCKET - 1
    ))?;
    for (name, snapshots) in [("alone", false), ("every_100_ms", true)] {
        let case = Case {
            suite: "snapshot",
            case: format!("update/{name}"),
            system: "tuplix",
            log: "async",
            clients: CLIENTS,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let taker = snapshots.then(|| take_snapshots(node.clone(), stop.clone()));
        let outcome = measure_quantiles(plan, report, &case, QUANTILES, || {
            (0..CLIENTS).map(|number| client(&node, number)).collect()
        });
        stop.store(true, Ordering::Relaxed);
        if let Some(taker) = taker {
            anyhow::ensure!(taker.join().is_ok(), "the thread that takes snapshots panicked");
        }
        outcome?;
    }
    Ok(node.close()?)
}

/// Takes one every 100 ms until told to stop.
fn take_snapshots(node: Tuplix, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut kept = None;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(EVERY);
            let newer = node.snapshot();
            drop(std::mem::replace(&mut kept, newer));
        }
    })
}

fn client(node: &Tuplix, number: usize) -> anyhow::Result<Client<'static>> {
    let mut session = node.session(&SessionOptions::default())?;
    session.set("synchronous_commit", "off")?;
    let update = "UPDATE item SET value = value + 1 WHERE p_key = $1 AND id = $2";
    let update = session.prepare(update, &[TypeId::INT4, TypeId::INT4])?;
    let mut rows = Rows::new();
    let mut draw = Draw::new(number as u64 + 1);
    Ok(Box::new(move || {
        let key = [Value::Int4(draw.below(BUCKETS) as i32), Value::Int4(draw.below(ROWS_PER_BUCKET) as i32)];
        session.call(&update, &key, &mut rows)?;
        anyhow::ensure!(rows.tag.rows == Some(1), "a row is gone");
        Ok(())
    }))
}
