//! Waiting until an epoch is on disk, by a thread or by a callback, and for room in the buffer.

use std::sync::atomic::Ordering;

use tuplix_machine::Mutex;
use tuplix_types::Result;

use super::{DurableCallback, Inner};
use crate::error;

impl Inner {
    /// Runs the callbacks whose time has come.
    pub(super) fn call_back(&self) {
        let mut due = Vec::new();
        let result = {
            let mut callbacks = self.callbacks.lock();
            let stopped = self.shared.stopped.load(Ordering::SeqCst);
            let durable = self.shared.durable.load(Ordering::SeqCst);
            while let Some(first) = callbacks.first_entry() {
                if *first.key() > durable && !stopped {
                    break;
                }
                let (epoch, list) = first.remove_entry();
                due.extend(list.into_iter().map(|callback| (epoch, callback)));
            }
            durable
        };
        for (epoch, callback) in due {
            callback(if epoch <= result { Ok(()) } else { Err(self.error()) });
        }
    }

    pub(super) fn on_durable(&self, epoch: u64, callback: DurableCallback) {
        {
            let mut callbacks = self.callbacks.lock();
            let durable = self.shared.durable.load(Ordering::SeqCst);
            if durable < epoch && !self.shared.stopped.load(Ordering::SeqCst) {
                callbacks.entry(epoch).or_default().push(callback);
                drop(callbacks);
                self.want(epoch);
                return;
            }
        }
        let is_durable = self.shared.durable.load(Ordering::SeqCst) >= epoch;
        callback(if is_durable { Ok(()) } else { Err(self.error()) });
    }

    /// Lets the flusher know that somebody waits for `epoch`.
    fn want(&self, epoch: u64) {
        if self.wanted.fetch_max(epoch, Ordering::SeqCst) < epoch {
            self.shared.work.signal();
        }
    }

    #[cold]
    pub(super) fn wait_durable(&self, epoch: u64) -> Result<()> {
        debug_assert!(epoch <= self.shared.epoch.load(Ordering::SeqCst), "epoch {epoch} has not begun");
        loop {
            let seen = self.durable_event.sequence();
            if self.shared.durable.load(Ordering::SeqCst) >= epoch {
                return Ok(());
            }
            if self.shared.stopped.load(Ordering::SeqCst) {
                return Err(self.error());
            }
            // Whoever waits first writes for all, without waking another thread; the others have joined the next epoch
            // by then, and one of them goes on.
            match self.writer.as_ref().and_then(Mutex::try_lock) {
                Some(writer) => self.flush_with(writer)?,
                None => {
                    self.durable_event.wait(seen, None);
                }
            }
        }
    }

    pub(super) fn wait_for_room(&self, deadline_ns: u64) -> Result<()> {
        loop {
            let seen = self.room.sequence();
            if self.shared.stopped.load(Ordering::SeqCst) {
                return Err(self.error());
            }
            if self.shared.buffered.load(Ordering::SeqCst) < self.config.buffer_bytes {
                return Ok(());
            }
            if !self.has_flusher.load(Ordering::SeqCst) {
                self.flush()?;
            } else if !self.room.wait(seen, Some(deadline_ns)) {
                return Err(error::full(self.config.buffer_bytes));
            }
        }
    }
}
