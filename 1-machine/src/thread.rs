//! Threads: started and joined through the machine, so that the simulation can schedule them.

use std::any::Any;
use std::sync::Arc;

use crate::simulation::{self, Core};
use crate::{Kind, Machine};

/// A thread that ended by a panic.
#[derive(Clone, Debug, thiserror::Error)]
#[error("thread \"{name}\" panicked: {message}")]
pub struct ThreadPanic {
    /// The thread's name.
    pub name: String,
    /// What it said.
    pub message: String,
}

/// A started thread. Dropping it lets the thread run on.
pub struct JoinHandle<T> {
    name: String,
    inner: Inner<T>,
}

enum Inner<T> {
    Linux(std::thread::JoinHandle<T>),
    Simulated { core: Arc<Core>, thread: usize, result: Arc<ResultSlot<T>> },
}

pub(crate) type ResultSlot<T> = std::sync::Mutex<Option<std::thread::Result<T>>>;

impl<T: Send + 'static> JoinHandle<T> {
    pub(crate) fn spawn<F>(machine: &Machine, name: &str, body: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let inner = match &machine.kind {
            Kind::Linux(_) => {
                let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
                match started {
                    Ok(handle) => Inner::Linux(handle),
                    Err(error) => panic!("could not start thread \"{name}\": {error}"),
                }
            }
            Kind::Simulated(core) => {
                let result = Arc::new(ResultSlot::new(None));
                let thread = simulation::spawn(core, name, body, result.clone());
                Inner::Simulated { core: core.clone(), thread, result }
            }
        };
        JoinHandle { name: name.to_owned(), inner }
    }
}

impl<T> JoinHandle<T> {
    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        match &self.inner {
            Inner::Linux(handle) => handle.is_finished(),
            Inner::Simulated { core, thread, .. } => core.is_finished(*thread),
        }
    }

    /// Waits for the thread's end.
    ///
    /// # Errors
    /// When it panicked.
    pub fn join(self) -> Result<T, ThreadPanic> {
        let result = match self.inner {
            Inner::Linux(handle) => handle.join(),
            Inner::Simulated { core, thread, result } => {
                core.join(thread);
                let mut slot = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                slot.take().unwrap_or_else(|| Err(Box::new("the simulated machine ended")))
            }
        };
        result.map_err(|payload| ThreadPanic { name: self.name, message: panic_message(&*payload) })
    }
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinHandle({})", self.name)
    }
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "the simulated machine ended".to_owned()
    }
}
