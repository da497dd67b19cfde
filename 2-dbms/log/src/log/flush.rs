//! Writing epochs: what lanes have is taken under their latches, then written and synced with none held.

use std::sync::atomic::Ordering;

use tuplix_machine::MutexGuard;
use tuplix_types::{Result, SqlError};

use super::Inner;
use crate::error;
use crate::lane::{Lane, Shared};
use crate::writer::Writer;

/// An epoch that is being closed while one thread has all latches; see [`super::Log::at_boundary`].
#[derive(Debug)]
pub struct Closing<'w> {
    shared: &'w Shared,
    /// `None` when the log is off.
    writer: Option<&'w mut Writer>,
    epoch: Option<u64>,
}

impl Closing<'_> {
    /// From here on commits join the next epoch. All latches are held.
    pub fn close(&mut self) {
        assert!(self.epoch.is_none(), "an epoch is closed once");
        let epoch = self.shared.epoch.load(Ordering::SeqCst);
        self.shared.announced.store(false, Ordering::SeqCst);
        self.shared.epoch.store(epoch + 1, Ordering::SeqCst);
        self.epoch = Some(epoch);
    }

    /// Takes the records of a lane, whose latch is held.
    pub fn take(&mut self, lane: &mut Lane) {
        let Some(epoch) = self.epoch else { panic!("the epoch is closed before lanes are taken") };
        if let Some(writer) = &mut self.writer {
            writer.take(lane, epoch);
        }
    }
}

impl Inner {
    /// The flusher's thread.
    pub(super) fn run(&self) {
        let mut deadline = None;
        loop {
            let seen = self.shared.work.sequence();
            if self.closing.load(Ordering::SeqCst) {
                // What is left is written by `close`.
                break;
            }
            let wanted = self.wanted.load(Ordering::SeqCst) >= self.shared.epoch.load(Ordering::SeqCst);
            let large = self.shared.buffered.load(Ordering::SeqCst) >= self.config.flush_bytes;
            let announced = self.shared.announced.load(Ordering::SeqCst);
            if announced && deadline.is_none() {
                deadline = Some(self.machine.monotonic_ns() + self.config.interval_ns);
            }
            let due = deadline.is_some_and(|deadline| self.machine.monotonic_ns() >= deadline);
            if wanted || large || due {
                deadline = None;
                if self.flush().is_err() {
                    break;
                }
                continue;
            }
            self.shared.work.wait(seen, deadline);
        }
    }

    pub(super) fn flush(&self) -> Result<()> {
        match &self.writer {
            Some(writer) => self.flush_with(writer.lock()),
            None => Ok(()),
        }
    }

    pub(super) fn flush_with(&self, mut writer: MutexGuard<'_, Writer>) -> Result<()> {
        let Some(lanes) = self.lanes.get() else { return Ok(()) };
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(self.error());
        }
        let guard = UnwindGuard(self);
        let epoch = self.shared.epoch.load(Ordering::SeqCst);
        // Both before the first visit, in this order: who appends after a visit announces itself anew.
        self.shared.announced.store(false, Ordering::SeqCst);
        self.shared.epoch.store(epoch + 1, Ordering::SeqCst);
        self.machine.yield_point("epoch closes");
        lanes.visit(&mut |lane| writer.take(lane, epoch));
        self.write_taken(writer, epoch, guard)
    }

    pub(super) fn at_boundary<T>(&self, hold: impl FnOnce(&mut Closing<'_>) -> T) -> Result<(u64, T)> {
        let Some(writer) = &self.writer else {
            let mut closing = Closing { shared: &self.shared, writer: None, epoch: None };
            return Ok((0, hold(&mut closing)));
        };
        // Before the latches, as the flusher does: nobody waits for the disk behind them.
        let mut writer = writer.lock();
        if self.shared.stopped.load(Ordering::SeqCst) {
            return Err(self.error());
        }
        let guard = UnwindGuard(self);
        let mut closing = Closing { shared: &self.shared, writer: Some(&mut *writer), epoch: None };
        let value = hold(&mut closing);
        let Some(epoch) = closing.epoch else { panic!("the epoch was not closed") };
        self.take_retired(&mut writer, epoch);
        let last = if writer.has_taken() { epoch } else { writer.previous_epoch() };
        self.write_taken(writer, epoch, guard)?;
        Ok((last, value))
    }

    /// Writes what was taken of `epoch`, and lets everybody know.
    fn write_taken(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        epoch: u64,
        guard: UnwindGuard<'_>,
    ) -> Result<()> {
        self.take_retired(&mut writer, epoch);
        if writer.has_taken() {
            let started = self.machine.monotonic_ns();
            match writer.write(epoch, &self.dictionary) {
                Ok(written) => {
                    self.times.add((self.machine.monotonic_ns() - started) / 1000);
                    self.count_segment(&written);
                    self.epochs.fetch_add(1, Ordering::Relaxed);
                    self.records.fetch_add(written.records, Ordering::Relaxed);
                    let before = self.bytes.fetch_add(written.bytes, Ordering::SeqCst);
                    self.shared.buffered.fetch_sub(written.reported, Ordering::SeqCst);
                    let alarm_at = self.alarm_at.load(Ordering::SeqCst);
                    if before < alarm_at && before + written.bytes >= alarm_at {
                        self.alarm.signal();
                    }
                }
                Err(error) => {
                    self.refuse(error::stopped(&error));
                    std::mem::forget(guard);
                    drop(writer);
                    self.tell_stopped();
                    return Err(self.error());
                }
            }
        }
        self.shared.durable.store(epoch, Ordering::SeqCst);
        std::mem::forget(guard);
        drop(writer);
        self.durable_event.signal();
        self.room.signal();
        self.call_back();
        Ok(())
    }

    fn take_retired(&self, writer: &mut Writer, epoch: u64) {
        let mut retired = self.retired.lock();
        let mut index = 0;
        while index < retired.len() {
            if retired[index].1.epoch <= epoch {
                let (lane, buffer) = retired.swap_remove(index);
                writer.take_retired(lane, buffer);
            } else {
                index += 1;
            }
        }
    }
}

/// Stops the log when a panic, of the engine's latches for instance, leaves an epoch half taken: what follows must not be
/// written as if it were whole.
struct UnwindGuard<'a>(&'a Inner);

impl Drop for UnwindGuard<'_> {
    fn drop(&mut self) {
        self.0.refuse(SqlError::internal("the log has stopped: writing an epoch panicked"));
        self.0.tell_stopped();
    }
}
