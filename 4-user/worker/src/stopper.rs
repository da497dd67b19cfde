//! What ends an attempt, whatever runs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends one attempt, from any thread: before it begins, while it runs; later it does nothing.
#[derive(Clone, Default)]
pub(crate) struct Stopper {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    stopped: bool,
    end: Option<Box<dyn FnMut() + Send>>,
}

impl Stopper {
    /// Ends the attempt. Said twice it is tried twice.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        if let Some(end) = &mut state.end {
            end();
        }
    }

    /// Begins what `end` ends; `None` when the attempt was ended before. Nobody ends it while it begins.
    pub(crate) fn begin<T>(
        &self,
        end: impl FnMut() + Send + 'static,
        begin: impl FnOnce() -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        if state.stopped {
            return None;
        }
        state.end = Some(Box::new(end));
        Some(begin())
    }

    /// What began is over: there is nothing to be ended any more.
    pub(crate) fn over(&self) {
        self.lock().end = None;
    }

    /// Whether the attempt was ended.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn it_ends_what_runs_and_what_has_not_begun_and_nothing_else() {
        let ended = Arc::new(AtomicU32::new(0));
        let end = || {
            let ended = ended.clone();
            move || {
                ended.fetch_add(1, Ordering::Relaxed);
            }
        };
        let stopper = Stopper::default();
        assert_eq!(stopper.begin(end(), || 7), Some(7));
        stopper.over();
        stopper.stop();
        assert_eq!((ended.load(Ordering::Relaxed), stopper.is_stopped()), (0, true));
        assert_eq!(stopper.begin(end(), || 7), None);

        let stopper = Stopper::default();
        stopper.begin(end(), || ()).unwrap();
        stopper.stop();
        stopper.stop();
        assert_eq!(ended.load(Ordering::Relaxed), 2);
    }
}
