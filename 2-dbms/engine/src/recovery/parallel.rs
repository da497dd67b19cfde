//! Work that many threads share.

use std::collections::VecDeque;
use std::sync::Arc;

use tuplix_machine::{Machine, Mutex};
use tuplix_types::{Result, SqlError};

struct Shared<J, R> {
    jobs: Mutex<VecDeque<J>>,
    results: Mutex<Vec<R>>,
    failed: Mutex<Option<SqlError>>,
}

/// Does all jobs on so many threads; results come in any order.
///
/// # Errors
/// The first error of a job; those that have not begun then are left out.
pub(crate) fn in_parallel<J, R>(
    machine: &Machine,
    threads: usize,
    jobs: Vec<J>,
    work: impl Fn(J) -> Result<R> + Send + Sync + 'static,
) -> Result<Vec<R>>
where
    J: Send + 'static,
    R: Send + 'static,
{
    if threads < 2 || jobs.len() < 2 {
        return jobs.into_iter().map(work).collect();
    }
    let count = threads.min(jobs.len());
    let shared = Arc::new(Shared {
        jobs: Mutex::new(machine, jobs.into()),
        results: Mutex::new(machine, Vec::new()),
        failed: Mutex::new(machine, None),
    });
    let work = Arc::new(work);
    let workers: Vec<_> = (0..count)
        .map(|_| {
            let (shared, work) = (shared.clone(), work.clone());
            machine.spawn("recovery", move || run(&shared, &*work))
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|panic| SqlError::internal(panic.to_string()))?;
    }
    let failed = shared.failed.lock().take();
    match failed {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut *shared.results.lock())),
    }
}

fn run<J, R>(shared: &Shared<J, R>, work: &impl Fn(J) -> Result<R>) {
    loop {
        let job = shared.jobs.lock().pop_front();
        let Some(job) = job else { return };
        match work(job) {
            Ok(result) => shared.results.lock().push(result),
            Err(error) => {
                shared.jobs.lock().clear();
                shared.failed.lock().get_or_insert(error);
            }
        }
    }
}
