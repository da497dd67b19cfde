//! Writes epochs to segments. One thread at a time is here: the flusher, or who calls `flush`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_machine::{Disk, DiskResult, File, Machine, Mutex, OpenMode};

use crate::context::Dictionary;
use crate::format::{
    DEFINITIONS, FRAME_HEADER, FrameHeader, SEGMENT_HEADER, SegmentHeader, encode_footer, encode_section,
    segment_name,
};
use crate::lane::{Buffer, Lane};
use crate::log::Config;

/// Sections below this size are copied together, larger ones written from where they are.
const COPY_BYTES: usize = 64 << 10;
/// Buffers of lanes with nothing to write now that are kept for them.
const KEEP_BUFFERS: usize = 256;

/// The segment that is written to.
#[derive(Debug)]
struct Segment {
    file: Box<dyn File>,
    salt: u32,
    /// Where the next frame goes.
    offset: u64,
}

/// The writing end of a log.
#[derive(Debug)]
pub(crate) struct Writer {
    machine: Machine,
    disk: Arc<dyn Disk>,
    config: Config,
    segment: Option<Segment>,
    previous_epoch: u64,
    taken: Vec<(u32, Buffer)>,
    spares: BTreeMap<u32, Buffer>,
    scratch: Vec<u8>,
    definitions: Vec<u8>,
}

/// What one epoch came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// What the lanes had reported as buffered.
    pub(crate) reported: u64,
    /// The first epoch of the segment that was begun for it.
    pub(crate) started: Option<u64>,
    /// Bytes of the segment that it is in.
    pub(crate) segment_bytes: u64,
}

impl Writer {
    pub(crate) fn new(machine: &Machine, disk: Arc<dyn Disk>, config: Config, previous_epoch: u64) -> Writer {
        Writer {
            machine: machine.clone(),
            disk,
            config,
            segment: None,
            previous_epoch,
            taken: Vec::new(),
            spares: BTreeMap::new(),
            scratch: Vec::new(),
            definitions: Vec::new(),
        }
    }

    /// Takes a lane's records of `epoch`; the caller holds the lane's latch.
    pub(crate) fn take(&mut self, lane: &mut Lane, epoch: u64) {
        if !lane.has(epoch) {
            return;
        }
        let mut buffer = self.spares.remove(&lane.id()).unwrap_or_default();
        if lane.take(epoch, &mut buffer) {
            self.taken.push((lane.id(), buffer));
        }
    }

    /// Takes the records of a lane that went away.
    pub(crate) fn take_retired(&mut self, lane: u32, buffer: Buffer) {
        self.taken.push((lane, buffer));
    }

    /// The last epoch that was written, 0 for none.
    pub(crate) fn previous_epoch(&self) -> u64 {
        self.previous_epoch
    }

    /// Whether there is anything to write.
    pub(crate) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Writes what was taken as `epoch` and makes it durable.
    ///
    /// # Errors
    /// When the disk fails: the log must stop, what is on disk is unknown.
    pub(crate) fn write(&mut self, epoch: u64, dictionary: &Mutex<Dictionary>) -> DiskResult<Written> {
        // Lanes are visited in any order; a frame has them in one.
        self.taken.sort_by_key(|(lane, _)| *lane);
        let payload: usize = self.taken.iter().map(|(_, buffer)| buffer.bytes.len()).sum();
        let begins = self.segment.as_ref().is_none_or(|segment| self.is_full(segment, payload as u64));
        if begins {
            self.start_segment(epoch)?;
            dictionary.lock().new_segment(epoch);
        }
        self.definitions.clear();
        // After the records were taken: whatever they name was interned before.
        let defined = dictionary.lock().define(&mut self.definitions);
        let mut written = self.write_frame(epoch, defined)?;
        written.started = begins.then_some(epoch);
        self.previous_epoch = epoch;
        self.recycle();
        Ok(written)
    }

    fn is_full(&self, segment: &Segment, payload: u64) -> bool {
        segment.offset > SEGMENT_HEADER as u64 && segment.offset + payload > self.config.segment_bytes
    }

    /// Makes the segment that begins with `epoch`, durable under its name before anything is written to it.
    pub(crate) fn start_segment(&mut self, epoch: u64) -> DiskResult<()> {
        if let Some(old) = self.segment.take()
            && self.config.preallocate
        {
            old.file.truncate(old.offset)?;
            old.file.sync_data()?;
        }
        let header = SegmentHeader {
            node_id: self.config.node_id,
            first_epoch: epoch,
            previous_epoch: self.previous_epoch,
            created_us: self.machine.now_us(),
            salt: (self.machine.random_u64() >> 32) as u32,
        };
        let file = self.disk.open(&segment_name(epoch), OpenMode::CreateNew)?;
        if self.config.preallocate {
            file.preallocate(self.config.segment_bytes)?;
        }
        file.write_at(0, &header.encode())?;
        file.sync_data()?;
        self.disk.sync_dir("")?;
        self.segment = Some(Segment { file, salt: header.salt, offset: SEGMENT_HEADER as u64 });
        Ok(())
    }

    fn write_frame(&mut self, epoch: u64, defined: u32) -> DiskResult<Written> {
        let Some(segment) = &mut self.segment else { unreachable!("a segment was started") };
        let mut written = Written::default();
        let mut length = 0;
        for (_, buffer) in &self.taken {
            written.records += u64::from(buffer.records);
            written.reported += buffer.reported as u64;
            length += crate::format::SECTION_HEADER + buffer.bytes.len();
        }
        if defined > 0 {
            length += crate::format::SECTION_HEADER + self.definitions.len();
        }
        let header = FrameHeader {
            epoch,
            previous_epoch: self.previous_epoch,
            closed_us: self.machine.now_us(),
            payload: length as u64,
            records: written.records,
            sections: (self.taken.len() + usize::from(defined > 0)) as u32,
        };
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.extend_from_slice(&header.encode(segment.salt));
        // The payload's checksum starts after the header; bytes of `scratch` before `summed` are in it.
        let mut checksum = segment.salt;
        let mut summed = FRAME_HEADER;
        let mut offset = segment.offset;
        if defined > 0 {
            scratch.extend_from_slice(&encode_section(DEFINITIONS, defined, self.definitions.len()));
            scratch.extend_from_slice(&self.definitions);
        }
        for (lane, buffer) in &self.taken {
            scratch.extend_from_slice(&encode_section(*lane, buffer.records, buffer.bytes.len()));
            if buffer.bytes.len() < COPY_BYTES {
                scratch.extend_from_slice(&buffer.bytes);
                continue;
            }
            checksum = crc32c::crc32c_append(checksum, &scratch[summed..]);
            segment.file.write_at(offset, scratch)?;
            offset += scratch.len() as u64;
            scratch.clear();
            summed = 0;
            checksum = crc32c::crc32c_append(checksum, &buffer.bytes);
            segment.file.write_at(offset, &buffer.bytes)?;
            offset += buffer.bytes.len() as u64;
        }
        checksum = crc32c::crc32c_append(checksum, &scratch[summed..]);
        scratch.extend_from_slice(&encode_footer(epoch, checksum));
        segment.file.write_at(offset, scratch)?;
        offset += scratch.len() as u64;
        segment.file.sync_data()?;
        written.bytes = offset - segment.offset;
        segment.offset = offset;
        written.segment_bytes = offset;
        Ok(written)
    }

    fn recycle(&mut self) {
        for (lane, mut buffer) in self.taken.drain(..) {
            if self.spares.len() < KEEP_BUFFERS {
                buffer.recycle();
                self.spares.insert(lane, buffer);
            }
        }
    }
}
