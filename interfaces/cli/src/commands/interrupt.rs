//! Ctrl-C while a graph is followed: cancels the graph; a second one leaves at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tuplix_services::GraphId;
use tuplix_services::scheduler::Scheduler;

use crate::node::{Target, explain};

/// The status of a command that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Takes Ctrl-C from its making on, so that none between submitting and following is lost.
pub(super) struct Interrupts {
    runtime: Runtime,
    signal: Signal,
}

/// Whether there was one; ends the watching when dropped.
pub(super) struct Watch {
    runtime: Option<Runtime>,
    seen: Arc<AtomicBool>,
}

impl Interrupts {
    pub(super) fn take() -> anyhow::Result<Interrupts> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let guard = runtime.enter();
        let signal = signal(SignalKind::interrupt())?;
        drop(guard);
        Ok(Interrupts { runtime, signal })
    }

    /// From now on Ctrl-C cancels the graph, over a session of its own.
    pub(super) fn cancel(self, target: &Target, graph: GraphId, bar: ProgressBar) -> Watch {
        let seen = Arc::new(AtomicBool::new(false));
        self.runtime.spawn(watch(self.signal, target.clone(), graph, seen.clone(), bar));
        Watch { runtime: Some(self.runtime), seen }
    }
}

impl Watch {
    pub(super) fn seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn watch(mut signal: Signal, target: Target, graph: GraphId, seen: Arc<AtomicBool>, bar: ProgressBar) {
    while signal.recv().await.is_some() {
        if seen.swap(true, Ordering::Relaxed) {
            bar.finish_and_clear();
            eprintln!("tuplix: left graph {graph}; its end: tuplix wait --graph {graph}");
            std::process::exit(INTERRUPTED.into());
        }
        let (target, bar) = (target.clone(), bar.clone());
        // Not waited for here: a node that hangs must not keep the second Ctrl-C from leaving.
        tokio::task::spawn_blocking(move || match cancel(&target, graph) {
            Ok(count) => {
                let tasks = super::counted(count.unsigned_abs().into(), "task");
                bar.suspend(|| eprintln!("tuplix: cancelling {tasks}; Ctrl-C again leaves at once"));
            }
            Err(error) => bar.suspend(|| eprintln!("tuplix: could not cancel: {error:#}")),
        });
    }
}

fn cancel(target: &Target, graph: GraphId) -> anyhow::Result<i32> {
    let mut node = target.connect()?;
    let scheduler = Scheduler::new(&mut node.session).map_err(explain)?;
    scheduler.cancel_graph(&mut node.session, graph, "Ctrl-C").map_err(explain)
}
