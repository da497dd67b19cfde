//! A way to the database: a session with the services' calls prepared in it, made anew when it was lost.

use std::time::Duration;

use tuplix::{Result, Session};
use tuplix_services::fs::Fs;
use tuplix_services::scheduler::Scheduler;

use crate::errors::text_of;
use crate::worker::Context;

/// The pause before a connection that failed is tried again: at first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A session of a thread.
pub(crate) struct Link {
    pub(crate) session: Session,
    pub(crate) scheduler: Scheduler,
    pub(crate) fs: Fs,
    /// Counts the sessions: what was prepared in one is of no use in the next.
    pub(crate) number: u64,
}

impl Link {
    /// Opens a session.
    pub(crate) fn open(context: &Context, number: u64) -> Result<Link> {
        let mut session = context.session()?;
        if context.options.dies_with_node {
            session.set("synchronous_commit", "off")?;
        }
        let (scheduler, fs) = (Scheduler::new(&mut session)?, Fs::new(&mut session)?);
        Ok(Link { session, scheduler, fs, number })
    }

    /// Opens another session in place of one that was lost; false when the worker stops first.
    pub(crate) fn again(&mut self, context: &Context) -> bool {
        let number = self.number + 1;
        match context.insist(|| Link::open(context, number)) {
            Some(link) => *self = link,
            None => return false,
        }
        true
    }

    /// Undoes the open transaction, if there is one.
    pub(crate) fn roll_back(&mut self) {
        // Fails where no transaction is open, which is as good.
        let _ = self.session.execute("ROLLBACK");
        self.session.take_notices();
    }
}

impl Context {
    /// Tries to connect until it works, less and less often; `None` when the worker stops first.
    pub(crate) fn insist<T>(&self, mut connect: impl FnMut() -> Result<T>) -> Option<T> {
        let mut pause = PAUSE_FIRST;
        while !self.room.is_stopping() {
            match connect() {
                Ok(connected) => return Some(connected),
                Err(error) => {
                    tracing::warn!(event = "node_not_reached", "cannot reach the node: {}", text_of(&error));
                }
            }
            self.room.wait_for_stop(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        None
    }
}
