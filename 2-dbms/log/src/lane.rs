//! Lanes: where commits leave their records until the flusher takes them.
//!
//! A lane belongs to one latched domain of rows. Committing costs no lock and no atomic write: the epoch number
//! is one load, the record is appended to a vector that only the latch's holder touches. There are two vectors, one
//! for epochs of each parity: commits fill the new epoch's while the flusher has not yet taken the old one's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tuplix_machine::{Event, Machine};
use tuplix_types::Result;

use crate::error;
use crate::record::{RecordHeader, RecordWriter, finish_record, put_record};

/// The largest record, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 30;
/// A lane tells the others how much it buffers in steps of this many bytes.
const REPORT_BYTES: usize = 64 << 10;

/// A buffer up to this size is kept after use in any case.
const KEEP_BYTES: usize = 1 << 20;

/// What commits read and the flusher writes, a few hundred times a second.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shared {
    /// The epoch that commits join now.
    pub(crate) epoch: AtomicU64,
    /// Every epoch up to this one is on disk.
    pub(crate) durable: AtomicU64,
    /// Whether the flusher knows that there is something to write.
    pub(crate) announced: AtomicBool,
    /// Whether the log has stopped.
    pub(crate) stopped: AtomicBool,
    /// Bytes reported by lanes and not yet written.
    pub(crate) buffered: AtomicU64,
    /// More than this makes commits wait.
    pub(crate) buffer_limit: u64,
    /// More than this is written without waiting for the interval's end.
    pub(crate) flush_bytes: u64,
    /// Wakes the flusher.
    pub(crate) work: Event,
}

impl Shared {
    pub(crate) fn new(machine: &Machine, last_epoch: u64, buffer_limit: u64, flush_bytes: u64) -> Shared {
        Shared {
            epoch: AtomicU64::new(last_epoch + 1),
            durable: AtomicU64::new(last_epoch),
            announced: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            buffered: AtomicU64::new(0),
            buffer_limit,
            flush_bytes,
            work: Event::new(machine),
        }
    }

    #[cold]
    fn announce(&self) {
        if !self.announced.swap(true, Ordering::SeqCst) {
            self.work.signal();
        }
    }

    #[cold]
    fn report(&self, bytes: u64) {
        let before = self.buffered.fetch_add(bytes, Ordering::SeqCst);
        if before < self.flush_bytes && before + bytes >= self.flush_bytes {
            self.work.signal();
        }
    }
}

/// Records of one epoch in one lane.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: u32,
    /// The epoch of the records; meaningless without any.
    pub(crate) epoch: u64,
    /// How many of the bytes [`Shared::buffered`] counts.
    pub(crate) reported: usize,
    last_ts: u64,
}

/// A latched domain's way into the log. The domain's latch guards it.
#[derive(Debug)]
pub struct Lane {
    id: u32,
    /// `None` when the log is off.
    shared: Option<Arc<Shared>>,
    buffers: [Buffer; 2],
}

impl Lane {
    pub(crate) fn new(id: u32, shared: Option<Arc<Shared>>) -> Lane {
        Lane { id, shared, buffers: Default::default() }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether records are kept; with the log off there is no need to make any.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether a commit may begin; otherwise release all latches and [`crate::Log::wait_for_room`].
    #[inline]
    pub fn has_room(&self) -> bool {
        match &self.shared {
            Some(shared) => shared.buffered.load(Ordering::Relaxed) < shared.buffer_limit,
            None => true,
        }
    }

    /// Appends a transaction's record to `epoch`, which the caller read from [`crate::Log::current_epoch`] since it
    /// took the last of its latches. Records of a lane come with rising `commit_ts`.
    ///
    /// A transaction over several domains has one record, in any lane it holds the latch of.
    ///
    /// # Errors
    /// 54000 when the record is over [`MAX_RECORD_BYTES`]; nothing was appended.
    #[inline]
    pub fn append(
        &mut self,
        epoch: u64,
        header: &RecordHeader,
        write: impl FnOnce(&mut RecordWriter<'_>),
    ) -> Result<()> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let buffer = &mut self.buffers[(epoch & 1) as usize];
        debug_assert!(buffer.records == 0 || buffer.epoch == epoch, "epoch {} was not taken", buffer.epoch);
        debug_assert!(
            buffer.records == 0 || buffer.last_ts < header.commit_ts,
            "commit timestamps of a lane rise"
        );
        let length = put_record(&mut buffer.bytes, header, write);
        if length > MAX_RECORD_BYTES {
            buffer.bytes.truncate(buffer.bytes.len() - length);
            return Err(error::too_large(length, MAX_RECORD_BYTES));
        }
        finish_record(&mut buffer.bytes, length);
        buffer.records += 1;
        buffer.epoch = epoch;
        buffer.last_ts = header.commit_ts;
        if buffer.bytes.len() - buffer.reported >= REPORT_BYTES {
            shared.report((buffer.bytes.len() - buffer.reported) as u64);
            buffer.reported = buffer.bytes.len();
        }
        if !shared.announced.load(Ordering::Relaxed) {
            shared.announce();
        }
        Ok(())
    }

    /// Whether nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.buffers.iter().all(|buffer| buffer.records == 0)
    }

    /// Takes the records of `epoch`, leaving `spare` to be filled.
    pub(crate) fn take(&mut self, epoch: u64, spare: &mut Buffer) -> bool {
        let buffer = &mut self.buffers[(epoch & 1) as usize];
        if buffer.records == 0 {
            return false;
        }
        assert!(
            buffer.epoch == epoch,
            "lane {} has records of epoch {} in epoch {epoch}",
            self.id,
            buffer.epoch
        );
        std::mem::swap(buffer, spare);
        true
    }

    /// Whether records of `epoch` wait to be taken.
    pub(crate) fn has(&self, epoch: u64) -> bool {
        let buffer = &self.buffers[(epoch & 1) as usize];
        buffer.records > 0 && buffer.epoch == epoch
    }

    /// Takes everything, for a lane that goes away.
    pub(crate) fn into_buffers(self) -> (u32, [Buffer; 2]) {
        (self.id, self.buffers)
    }
}

impl Buffer {
    /// Empty again. Memory is kept, unless the buffer is large and was mostly unused: fresh pages cost a fault each.
    pub(crate) fn recycle(&mut self) {
        let capacity = self.bytes.capacity();
        if capacity > KEEP_BYTES && self.bytes.len() < capacity / 8 {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.records = 0;
        self.reported = 0;
        self.last_ts = 0;
    }
}
