//! The log that commits go to: epochs, group commit, waiting, stopping.
//!
//! ```text
//! commits  --append-->  lanes (one per latched domain, two buffers each)
//!                         |  flusher: epoch += 1, visit every lane under its latch
//! flusher  --frame-->   segment, fsync, durable = old epoch, wake
//! ```
//!
//! A transaction that latches a lane after the flusher has visited it finds the new epoch number, since the flusher wrote it
//! before it took that latch. So when all lanes are visited, nobody can commit into the old epoch any more.
//!
//! A failed write or fsync stops the log for good: memory is ahead of the disk, so commits and reads are refused
//! until the node restarts and recovers. Nothing is tried twice, as the second attempt would prove nothing.

mod flush;
mod segments;
mod wait;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tuplix_machine::{Disk, Event, JoinHandle, Machine, Mutex};
use tuplix_types::{Result, SqlError};

use crate::context::{Context, Dictionary, SessionContext};
use crate::error;
use crate::lane::{Buffer, Lane, Shared};
use crate::times::{SyncTimes, Times};
use crate::writer::Writer;

pub use flush::Closing;
pub use segments::SegmentPlace;

/// How a log works.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's number, part of its data directory; another node's segments are refused.
    pub node_id: u64,
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes: u64,
    /// Whether a segment's space is reserved when it is made: an fsync takes a third less time (measured on ext4).
    pub preallocate: bool,
    /// The longest time from a commit to its write when nobody waits for it.
    pub interval_ns: u64,
    /// More buffered bytes than this are written without waiting for the interval's end.
    pub flush_bytes: u64,
    /// More buffered bytes than this make commits wait.
    pub buffer_bytes: u64,
    /// Epochs up to this one are in a checkpoint: recovery begins after it.
    pub recover_after: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            node_id: 0,
            segment_bytes: 64 << 20,
            preallocate: true,
            interval_ns: 5_000_000,
            flush_bytes: 4 << 20,
            buffer_bytes: 256 << 20,
            recover_after: 0,
        }
    }
}

/// The engine's lanes, as the flusher sees them.
pub trait Lanes: Send + Sync {
    /// Calls `visit` with every lane, holding its latch and no other.
    ///
    /// A lane that is created while this runs may be left out; whoever creates one reads the epoch for its first commit after
    /// it is in the list that this walks. A lane that goes away: [`Log::retire`] first, then out of the list.
    fn visit(&self, visit: &mut dyn FnMut(&mut Lane));
}

/// What [`Log::on_durable`] calls.
pub type DurableCallback = Box<dyn FnOnce(Result<()>) + Send>;

/// Counts since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStatistics {
    /// Epochs written, each with one fsync.
    pub epochs: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How long their writes and fsyncs took.
    pub sync: SyncTimes,
}

/// A node's log. Dropping it closes it.
#[derive(Debug)]
pub struct Log {
    inner: Arc<Inner>,
    flusher: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    shared: Arc<Shared>,
    machine: Machine,
    config: Config,
    /// `None` when the log is off.
    writer: Option<Mutex<Writer>>,
    disk: Option<Arc<dyn Disk>>,
    lanes: OnceLock<Arc<dyn Lanes>>,
    dictionary: Mutex<Dictionary>,
    retired: Mutex<Vec<(u32, Buffer)>>,
    callbacks: Mutex<BTreeMap<u64, Vec<DurableCallback>>>,
    /// An epoch that somebody waits for.
    wanted: AtomicU64,
    /// Whether a thread flushes; otherwise who finds no room does.
    has_flusher: AtomicBool,
    closing: AtomicBool,
    error: OnceLock<SqlError>,
    /// Signalled when `durable` grows or the log stops.
    durable_event: Event,
    /// Signalled when there is room in the buffer again.
    room: Event,
    epochs: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    times: Times,
    /// First epochs and bytes of the segments, the oldest first; what the last one has is in `segment_bytes`.
    segments: Mutex<Vec<(u64, u64)>>,
    /// Bytes of the segment that is written to.
    segment_bytes: AtomicU64,
    /// When this many bytes were written, `alarm` is signalled.
    alarm_at: AtomicU64,
    alarm: Arc<Event>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn new(
        machine: &Machine,
        disk: Arc<dyn Disk>,
        config: Config,
        last_epoch: u64,
        writer: Writer,
        segments: Vec<(u64, u64)>,
    ) -> Log {
        Log::build(machine, config, last_epoch, Some((disk, writer)), segments)
    }

    /// A log that keeps nothing: every epoch counts as durable at once.
    pub fn off(machine: &Machine) -> Log {
        Log::build(machine, Config::default(), 0, None, Vec::new())
    }

    fn build(
        machine: &Machine,
        config: Config,
        last_epoch: u64,
        end: Option<(Arc<dyn Disk>, Writer)>,
        segments: Vec<(u64, u64)>,
    ) -> Log {
        let shared = Shared::new(machine, last_epoch, config.buffer_bytes, config.flush_bytes);
        let (disk, writer) = match end {
            Some((disk, writer)) => (Some(disk), Some(Mutex::new(machine, writer))),
            None => (None, None),
        };
        if writer.is_none() {
            shared.durable.store(u64::MAX, Ordering::Relaxed);
        }
        let inner = Inner {
            shared: Arc::new(shared),
            machine: machine.clone(),
            config,
            writer,
            disk,
            lanes: OnceLock::new(),
            dictionary: Mutex::new(machine, Dictionary::default()),
            retired: Mutex::new(machine, Vec::new()),
            callbacks: Mutex::new(machine, BTreeMap::new()),
            wanted: AtomicU64::new(0),
            has_flusher: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            error: OnceLock::new(),
            durable_event: Event::new(machine),
            room: Event::new(machine),
            epochs: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            times: Times::default(),
            segment_bytes: AtomicU64::new(segments.last().map_or(0, |(_, bytes)| *bytes)),
            segments: Mutex::new(machine, segments),
            alarm_at: AtomicU64::new(u64::MAX),
            alarm: Arc::new(Event::new(machine)),
        };
        Log { inner: Arc::new(inner), flusher: Mutex::new(machine, None) }
    }

    /// A new lane. Numbers order records with equal timestamps; equal numbers must not live at the same time.
    pub fn lane(&self, id: u32) -> Lane {
        Lane::new(id, self.is_on().then(|| self.inner.shared.clone()))
    }

    /// Whether commits are kept on disk.
    pub fn is_on(&self) -> bool {
        self.inner.writer.is_some()
    }

    /// Names the lanes that flushes visit, once, and with `flusher` starts the thread that flushes what nobody waits for on
    /// a thread of their own. Without it only [`Log::wait_durable`] and [`Log::flush`] write.
    pub fn start(&self, lanes: Arc<dyn Lanes>, flusher: bool) {
        let named = self.inner.lanes.set(lanes).is_ok();
        assert!(named, "a log is started once");
        if flusher && self.is_on() {
            self.inner.has_flusher.store(true, Ordering::SeqCst);
            let inner = self.inner.clone();
            *self.flusher.lock() = Some(self.inner.machine.spawn("log", move || inner.run()));
        }
    }

    /// The epoch that commits join now. Read it after the last latch is taken and use it before the first is released.
    #[inline]
    pub fn current_epoch(&self) -> u64 {
        self.inner.shared.epoch.load(Ordering::Acquire)
    }

    /// The last epoch on disk.
    #[inline]
    pub fn durable_epoch(&self) -> u64 {
        self.inner.shared.durable.load(Ordering::Acquire)
    }

    /// One load: whether commits and reads may go on.
    ///
    /// # Errors
    /// 58030 or 53100 once a write has failed, 57P01 once the log is closed.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.inner.shared.stopped.load(Ordering::Relaxed) { Err(self.inner.error()) } else { Ok(()) }
    }

    /// The number under which records name `session`. Sessions keep it as long as they may commit.
    pub fn intern(&self, session: &SessionContext) -> Context {
        self.inner.dictionary.lock().intern(session)
    }

    /// Takes over the records of a lane that goes away; the caller holds its latch.
    pub fn retire(&self, lane: Lane) {
        let (id, buffers) = lane.into_buffers();
        let left = buffers.into_iter().filter(|buffer| buffer.records > 0);
        self.inner.retired.lock().extend(left.map(|buffer| (id, buffer)));
    }

    /// Waits until `epoch` is on disk: writes it on this thread, or waits for who is writing now. The caller holds no latch
    /// of a lane.
    ///
    /// # Errors
    /// As [`Log::check`]: whether the epoch's transactions survive is then unknown until the node has recovered.
    #[inline]
    pub fn wait_durable(&self, epoch: u64) -> Result<()> {
        if self.durable_epoch() >= epoch { Ok(()) } else { self.inner.wait_durable(epoch) }
    }

    /// Calls `callback` once `epoch` is on disk or the log has stopped: at once here, or later on the flusher's
    /// thread, which it must not block.
    pub fn on_durable(&self, epoch: u64, callback: DurableCallback) {
        self.inner.on_durable(epoch, callback);
    }

    /// Waits until lanes have room again, at most until `deadline_ns`; the caller holds no latch.
    ///
    /// # Errors
    /// 53300 when the buffer is still full at the deadline; as [`Log::check`] otherwise.
    pub fn wait_for_room(&self, deadline_ns: u64) -> Result<()> {
        self.inner.wait_for_room(deadline_ns)
    }

    /// Closes the current epoch and writes it, on this thread; the caller holds no latch of a lane.
    ///
    /// # Errors
    /// As [`Log::check`].
    pub fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    /// Closes the current epoch at one moment at which `hold` has every lane's latch, writes it, and returns what `hold` did with the
    /// last epoch that was ever written: what lies behind the latches at that moment is exactly what all epochs up to that one say.
    ///
    /// `hold` takes all latches, calls [`Closing::close`] once, then [`Closing::take`] for every lane, and may do more before it releases
    /// them.
    ///
    /// # Errors
    /// As [`Log::check`].
    pub fn at_boundary<T>(&self, hold: impl FnOnce(&mut Closing<'_>) -> T) -> Result<(u64, T)> {
        self.inner.at_boundary(hold)
    }

    /// Signals [`Log::alarm`] once so many bytes were written since the log was opened; replaces the number before.
    pub fn alarm_at(&self, bytes: u64) {
        self.inner.alarm_at.store(bytes, Ordering::SeqCst);
        if self.inner.bytes.load(Ordering::SeqCst) >= bytes {
            self.inner.alarm.signal();
        }
    }

    /// Signalled as [`Log::alarm_at`] says, and when the log stops.
    pub fn alarm(&self) -> &Arc<Event> {
        &self.inner.alarm
    }

    /// Removes segments whose every epoch is before `epoch`: a checkpoint has them, retention allows it.
    ///
    /// # Errors
    /// 58030 when the disk fails; the log goes on, what could not be removed is removed next time.
    pub fn remove_before(&self, epoch: u64) -> Result<u64> {
        self.inner.remove_before(epoch)
    }

    /// Counts since the log was opened.
    pub fn statistics(&self) -> LogStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStatistics {
            epochs: read(&self.inner.epochs),
            records: read(&self.inner.records),
            bytes: read(&self.inner.bytes),
            sync: self.inner.times.read(),
        }
    }

    /// Writes what is left and ends the flusher; later commits are refused. Closing twice does nothing.
    ///
    /// # Errors
    /// As [`Log::check`], when not everything could be written.
    pub fn close(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.closing.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        inner.shared.work.signal();
        let flusher = self.flusher.lock().take();
        if let Some(flusher) = flusher {
            flusher.join().map_err(|panic| SqlError::internal(panic.to_string()))?;
        }
        let last = if inner.lanes.get().is_some() { inner.flush() } else { Ok(()) };
        inner.stop(error::closed());
        last
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Who wants to know whether the last epoch was written calls `close`; nobody was told that it is.
        let _ = self.close();
    }
}

impl Inner {
    #[cold]
    fn error(&self) -> SqlError {
        self.error.get().cloned().unwrap_or_else(error::closed)
    }

    /// Ends commits, reads and waiting. The first reason stays.
    fn stop(&self, reason: SqlError) {
        self.refuse(reason);
        self.tell_stopped();
    }

    /// From here on nothing is written and nobody commits. Whose write failed calls it before giving the writer back.
    fn refuse(&self, reason: SqlError) {
        // Another reason may have come first.
        let _ = self.error.set(reason);
        self.shared.stopped.store(true, Ordering::SeqCst);
    }

    fn tell_stopped(&self) {
        self.durable_event.signal();
        self.room.signal();
        self.alarm.signal();
        self.call_back();
    }
}
