//! Ctrl-C: cancels the statement that runs, by a cancel request over another connection, as psql does.
//!
//! At the prompt the line editor takes it; while nothing runs in a script, or a second time, it ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::client::CancelKey;
use crate::commands::INTERRUPTED;

/// Takes Ctrl-C from its making on.
pub(super) struct Interrupts {
    runtime: Runtime,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What runs.
    running: Mutex<Option<CancelKey>>,
    /// There was one since the last [`Interrupts::forget`].
    seen: AtomicBool,
    happened: Notify,
    interactive: bool,
}

impl Interrupts {
    /// `interactive`: Ctrl-C never ends the program by itself.
    ///
    /// # Errors
    /// When the system has no thread or signal left.
    pub(super) fn take(interactive: bool) -> anyhow::Result<Interrupts> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let state = Arc::new(State { interactive, ..State::default() });
        let guard = runtime.enter();
        let signal = signal(SignalKind::interrupt())?;
        drop(guard);
        runtime.spawn(watch(signal, Arc::clone(&state)));
        Ok(Interrupts { runtime, state })
    }

    /// From now on Ctrl-C cancels this, until [`Interrupts::done`].
    pub(super) fn runs(&self, key: CancelKey) {
        *self.state.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Nothing runs any more.
    pub(super) fn done(&self) {
        *self.state.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there was a Ctrl-C since [`Interrupts::forget`].
    pub(super) fn seen(&self) -> bool {
        self.state.seen.load(Ordering::Relaxed)
    }

    /// Begins something that Ctrl-C is to end.
    pub(super) fn forget(&self) {
        self.state.seen.store(false, Ordering::Relaxed);
    }

    /// Waits so long, or for Ctrl-C; whether that came.
    pub(super) fn wait(&self, time: Duration) -> bool {
        self.runtime.block_on(async {
            let happened = self.state.happened.notified();
            if !self.seen() {
                // Late is as good: `seen` says what happened.
                drop(tokio::time::timeout(time, happened).await);
            }
        });
        self.seen()
    }
}

async fn watch(mut signal: Signal, state: Arc<State>) {
    while signal.recv().await.is_some() {
        let again = state.seen.swap(true, Ordering::Relaxed);
        state.happened.notify_waiters();
        let running = state.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match running {
            Some(key) if state.interactive || !again => {
                tokio::task::spawn_blocking(move || match key.cancel() {
                    Ok(()) => {}
                    Err(error) => eprintln!("tuplix: could not cancel: {error}"),
                });
            }
            _ if state.interactive => {}
            _ => std::process::exit(INTERRUPTED.into()),
        }
    }
}
