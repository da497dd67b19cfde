//! Reads a log epoch by epoch: recovery, `tuplix log dump`, later change capture and replicas.
//!
//! Every checksum is checked and every epoch must name the one before it, so nothing is skipped unnoticed. Where the
//! last segment ends in something that is no whole epoch, and no whole epoch follows, the log ends: a write was interrupted
//! and nobody was told that it had succeeded. Anything else that is not as written is damage, and an error.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use tuplix_machine::{Disk, DiskResult, File, OpenMode};
use tuplix_types::encoding::DecodeError;
use tuplix_types::{Result, SqlError};

use crate::context::{self, SessionContext};
use crate::error;
use crate::format::{
    DEFINITIONS, FRAME_HEADER, FRAME_MAGIC, FrameHeader, SECTION_HEADER, SEGMENT_HEADER, SegmentHeader,
    decode_frame, parse_segment_name, segment_name, u32_at, u64_at,
};
use crate::record::{Record, RecordHeader};

/// The interrupted write at a log's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutTail {
    /// The segment's file name.
    pub segment: String,
    /// Where the last whole epoch ends.
    pub offset: u64,
    /// How many bytes were written after it; zeros to the segment's end are not counted.
    pub bytes: u64,
    /// What is wrong with them.
    pub reason: String,
}

impl std::fmt::Display for CutTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CutTail { segment, offset, bytes, reason } = self;
        write!(
            f,
            "log segment \"{segment}\" ends in an interrupted write at byte {offset} ({bytes} bytes): {reason}"
        )
    }
}

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: String,
    path: String,
    pub(crate) header: SegmentHeader,
    /// Shared with who applies records on other threads.
    bytes: Arc<Vec<u8>>,
    /// Where the next frame begins.
    pub(crate) offset: usize,
    is_last: bool,
    contexts: BTreeMap<u32, SessionContext>,
}

/// Reads the epochs of a log in order.
#[derive(Debug)]
pub struct LogReader {
    disk: Arc<dyn Disk>,
    names: Vec<String>,
    next: usize,
    /// The memory of segments before, to be filled again when nobody applies their records any more.
    spares: Vec<Arc<Vec<u8>>>,
    /// The segment that is read next, once the disk was told.
    ahead: Option<Box<dyn File>>,
    pub(crate) segment: Option<Segment>,
    /// Where the epoch handed out last lies.
    frame: (FrameHeader, std::ops::Range<usize>),
    after: u64,
    node_id: Option<u64>,
    pub(crate) last_epoch: u64,
    pub(crate) cut: Option<CutTail>,
    ended: bool,
    is_first: bool,
}

impl LogReader {
    /// The log in the folder that is `disk`'s root, from the first epoch after `after` on. `node_id` refuses segments of
    /// other nodes.
    ///
    /// # Errors
    /// 58030 when the folder cannot be read.
    pub fn open(disk: Arc<dyn Disk>, after: u64, node_id: Option<u64>) -> Result<LogReader> {
        let mut names = disk.list("").map_err(|error| error::disk(&error))?;
        names.retain(|name| parse_segment_name(name).is_some());
        names.sort();
        Ok(LogReader {
            next: first_needed(&names, after),
            disk,
            names,
            spares: Vec::new(),
            ahead: None,
            segment: None,
            frame: (
                FrameHeader {
                    epoch: 0,
                    previous_epoch: 0,
                    closed_us: 0,
                    payload: 0,
                    records: 0,
                    sections: 0,
                },
                0..0,
            ),
            after,
            node_id,
            last_epoch: after,
            cut: None,
            ended: false,
            is_first: true,
        })
    }

    /// The next epoch, `None` at the log's end.
    ///
    /// # Errors
    /// XX001 when a segment is damaged or missing, 0A000 for another format version, 55000 for another node's,
    /// 58030 when the disk fails.
    pub fn next_epoch(&mut self) -> Result<Option<Epoch<'_>>> {
        loop {
            if self.segment.is_none() && !self.load_next()? {
                return Ok(None);
            }
            if !self.find_frame()? {
                if self.ended {
                    return Ok(None);
                }
                self.spares.extend(self.segment.take().map(|segment| segment.bytes));
                continue;
            }
            // A checkpoint has these already; their definitions of contexts still count.
            let wanted = self.frame.0.epoch > self.after;
            self.define_contexts()?;
            if wanted {
                break;
            }
        }
        self.epoch().map(Some)
    }

    /// Bytes of all segments from the first one to be read on, as they are on the disk.
    ///
    /// # Errors
    /// 58030 when the disk fails.
    pub fn total_bytes(&self) -> Result<u64> {
        let length = |name: &String| self.disk.open(name, OpenMode::Read)?.len();
        let first = self.next.min(self.names.len());
        self.names[first..].iter().map(length).sum::<DiskResult<u64>>().map_err(|error| error::disk(&error))
    }

    /// How many segments the folder has.
    pub fn segment_count(&self) -> usize {
        self.names.len()
    }

    /// The interrupted write that the log ends in, known once [`LogReader::next_epoch`] has returned `None`.
    pub fn cut(&self) -> Option<&CutTail> {
        self.cut.as_ref()
    }

    /// Whether the last segment, now loaded, holds no epoch; its name.
    pub(crate) fn empty_last(&self) -> Option<&str> {
        let segment = self.segment.as_ref()?;
        (segment.offset == SEGMENT_HEADER).then_some(segment.name.as_str())
    }

    /// The last segment and its end, when zeros follow there.
    pub(crate) fn unused_tail(&self) -> Option<(&str, u64)> {
        let segment = self.segment.as_ref().filter(|_| self.cut.is_none())?;
        (segment.offset < segment.bytes.len()).then_some((segment.name.as_str(), segment.offset as u64))
    }

    fn load_next(&mut self) -> Result<bool> {
        if self.ended || self.next == self.names.len() {
            self.ended = true;
            return Ok(false);
        }
        let name = self.names[self.next].clone();
        self.next += 1;
        let is_last = self.next == self.names.len();
        let bytes = self.read_ahead(&name).map_err(|error| error::disk(&error))?;
        let path = join(self.disk.root(), &name);
        let Some(header) = SegmentHeader::decode(&bytes, &path)? else {
            return self.no_header(name, &path, &bytes, is_last);
        };
        if self.node_id.is_some_and(|node| node != header.node_id) {
            return Err(error::other_node(&path, header.node_id, self.node_id.unwrap_or(0)));
        }
        self.node_id = Some(header.node_id);
        if segment_name(header.first_epoch) != name {
            let reason = format!("its name does not fit its first epoch {}", header.first_epoch);
            return Err(error::damaged(&path, 24, reason));
        }
        // The first one read may begin before what the caller wants; the others continue without a gap.
        let continues = if self.is_first {
            header.previous_epoch <= self.after
        } else {
            header.previous_epoch == self.last_epoch
        };
        if !continues {
            return Err(error::missing(&path, self.last_epoch, header.previous_epoch));
        }
        self.is_first = false;
        let contexts = BTreeMap::new();
        self.last_epoch = header.previous_epoch;
        let bytes = Arc::new(bytes);
        self.segment = Some(Segment { name, path, header, bytes, offset: SEGMENT_HEADER, is_last, contexts });
        Ok(true)
    }

    /// A segment's bytes, in memory of one before, if there is any that only the reader still has. The disk reads the next one while
    /// this one is replayed.
    fn read_ahead(&mut self, name: &str) -> DiskResult<Vec<u8>> {
        let free = self.spares.iter_mut().position(|bytes| Arc::get_mut(bytes).is_some());
        let spare = free.and_then(|free| Arc::into_inner(self.spares.swap_remove(free)));
        let file = match self.ahead.take() {
            Some(file) => file,
            None => self.disk.open(name, OpenMode::Read)?,
        };
        if let Some(next) = self.names.get(self.next) {
            let next = self.disk.open(next, OpenMode::Read)?;
            next.will_be_read();
            self.ahead = Some(next);
        }
        let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = match spare {
            Some(spare) if spare.capacity() >= length => spare,
            // The kernel's zeros need not be written again.
            _ => vec![0; length],
        };
        bytes.resize(length, 0);
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// A segment without an intact header: the interrupted making of the last one, or damage.
    fn no_header(&mut self, name: String, path: &str, bytes: &[u8], is_last: bool) -> Result<bool> {
        // Frames come only after the header is durable, and each makes the file longer than a header.
        let has_frames = bytes.get(SEGMENT_HEADER..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0));
        if !is_last || has_frames {
            return Err(error::damaged(path, 0, "its header is missing or damaged"));
        }
        self.cut = Some(CutTail {
            segment: name,
            offset: 0,
            bytes: written(bytes),
            reason: "the segment's header is incomplete".to_owned(),
        });
        self.ended = true;
        Ok(false)
    }

    /// Finds the frame at the current offset; false at the end of the segment.
    fn find_frame(&mut self) -> Result<bool> {
        let Some(segment) = &mut self.segment else { return Ok(false) };
        let rest = &segment.bytes[segment.offset..];
        if rest.iter().all(|byte| *byte == 0) {
            self.ended = segment.is_last;
            return Ok(false);
        }
        let salt = segment.header.salt;
        let reason = match decode_frame(rest, salt) {
            Ok((header, _, total))
                if header.previous_epoch == self.last_epoch && header.epoch > self.last_epoch =>
            {
                let payload =
                    segment.offset + FRAME_HEADER..segment.offset + FRAME_HEADER + header.payload as usize;
                self.frame = (header, payload);
                self.last_epoch = header.epoch;
                segment.offset += total;
                return Ok(true);
            }
            Ok((header, _, _)) => {
                let reason = crate::format::BadFrame::Order { found_previous: header.previous_epoch };
                return Err(error::damaged(&segment.path, segment.offset as u64, reason));
            }
            Err(reason) => reason,
        };
        if !segment.is_last || whole_frame_follows(&rest[1..], salt) {
            return Err(error::damaged(&segment.path, segment.offset as u64, reason));
        }
        self.cut = Some(CutTail {
            segment: segment.name.clone(),
            offset: segment.offset as u64,
            bytes: written(rest),
            reason: reason.to_string(),
        });
        self.ended = true;
        Ok(false)
    }

    fn malformed(
        segment: &Segment,
        payload: &std::ops::Range<usize>,
        reason: impl std::fmt::Display,
    ) -> SqlError {
        error::damaged(&segment.path, (payload.start - FRAME_HEADER) as u64, reason)
    }

    fn define_contexts(&mut self) -> Result<()> {
        let (header, payload) = &self.frame;
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let mut rest = &segment.bytes[payload.clone()];
        for _ in 0..header.sections {
            let section =
                take_section(&mut rest).map_err(|reason| Self::malformed(segment, payload, reason))?;
            if section.lane != DEFINITIONS {
                continue;
            }
            let mut definitions = section.bytes;
            while !definitions.is_empty() {
                let (id, context) = context::decode(&mut definitions)
                    .map_err(|reason| error::damaged(&segment.path, payload.start as u64, reason))?;
                segment.contexts.insert(id, context);
            }
        }
        Ok(())
    }

    fn epoch(&self) -> Result<Epoch<'_>> {
        let (header, payload) = &self.frame;
        let Some(segment) = &self.segment else { unreachable!("a frame was found in a segment") };
        let mut rest = &segment.bytes[payload.clone()];
        let mut sections = Vec::new();
        for _ in 0..header.sections {
            let section =
                take_section(&mut rest).map_err(|reason| Self::malformed(segment, payload, reason))?;
            if section.lane != DEFINITIONS {
                sections.push(section);
            }
        }
        if !rest.is_empty() {
            return Err(Self::malformed(segment, payload, "bytes follow the epoch's last section"));
        }
        Ok(Epoch { header: *header, segment, offset: (payload.start - FRAME_HEADER) as u64, sections })
    }
}

fn join(root: &str, name: &str) -> String {
    if root.is_empty() { name.to_owned() } else { format!("{root}/{name}") }
}

/// Segments before the last one that begins at or before `after` + 1 hold nothing of interest.
fn first_needed(names: &[String], after: u64) -> usize {
    let needed =
        names.iter().rposition(|name| parse_segment_name(name).is_some_and(|first| first <= after + 1));
    needed.unwrap_or(0)
}

/// The length without the zeros at the end: segments are made at their full size.
fn written(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

pub(crate) fn whole_frame_follows(bytes: &[u8], salt: u32) -> bool {
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| *byte == FRAME_MAGIC[0]) {
        let at = from + found;
        if bytes[at..].starts_with(&FRAME_MAGIC) && decode_frame(&bytes[at..], salt).is_ok() {
            return true;
        }
        from = at + 1;
    }
    false
}

#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    lane: u32,
    records: u32,
    bytes: &'a [u8],
}

fn take_section<'a>(bytes: &mut &'a [u8]) -> Result<Section<'a>, DecodeError> {
    let (lane, records) = (u32_at(bytes, 0), u32_at(bytes, 4));
    let (Some(lane), Some(records), Some(length)) = (lane, records, u64_at(bytes, 8)) else {
        return Err(DecodeError::Truncated);
    };
    let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
    let (section, rest) = bytes[SECTION_HEADER..].split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(Section { lane, records, bytes: section })
}

/// An epoch: transactions that became durable together.
#[derive(Debug)]
pub struct Epoch<'a> {
    header: FrameHeader,
    segment: &'a Segment,
    offset: u64,
    sections: Vec<Section<'a>>,
}

impl<'a> Epoch<'a> {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.header.epoch
    }

    /// When it was closed, in microseconds since 2000-01-01 UTC.
    pub fn closed_us(&self) -> i64 {
        self.header.closed_us
    }

    /// How many records it has.
    pub fn record_count(&self) -> u64 {
        self.header.records
    }

    /// The file name of its segment, and where in it the epoch begins.
    pub fn position(&self) -> (&'a str, u64) {
        (&self.segment.name, self.offset)
    }

    /// Its length in the file.
    pub fn length(&self) -> u64 {
        self.header.payload + (FRAME_HEADER + crate::format::FRAME_FOOTER) as u64
    }

    /// The context that records of this epoch name by `id`.
    pub fn context(&self, id: u32) -> Option<&'a SessionContext> {
        self.segment.contexts.get(&id)
    }

    /// The bytes of its segment, which other threads may share.
    pub fn segment_bytes(&self) -> &'a Arc<Vec<u8>> {
        &self.segment.bytes
    }

    /// Where bytes of one of its records lie in [`Epoch::segment_bytes`].
    ///
    /// # Panics
    /// When they are not of this epoch.
    pub fn range_of(&self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = bytes.as_ptr().addr().wrapping_sub(self.segment.bytes.as_ptr().addr());
        let end = start.saturating_add(bytes.len());
        assert!(end <= self.segment.bytes.len(), "the bytes are of this epoch's segment");
        start..end
    }

    /// Its records by commit timestamp and lane: an order in which the transactions ran.
    pub fn records(&self) -> Records<'a> {
        let mut records = Records {
            path: &self.segment.path,
            offset: self.offset,
            rest: self.sections.clone(),
            heads: BinaryHeap::with_capacity(self.sections.len()),
            failed: None,
        };
        for section in 0..records.rest.len() {
            if let Some(record) = records.take_record(section) {
                records.heads.push(Reverse(Head { section, record }));
            }
        }
        records
    }
}

/// Iterates over the records of an [`Epoch`].
#[derive(Debug)]
pub struct Records<'a> {
    path: &'a str,
    offset: u64,
    rest: Vec<Section<'a>>,
    heads: BinaryHeap<Reverse<Head<'a>>>,
    failed: Option<SqlError>,
}

/// A lane's first record, ordered by timestamp, then lane.
#[derive(Debug)]
struct Head<'a> {
    section: usize,
    record: Record<'a>,
}

impl Head<'_> {
    fn key(&self) -> (u64, u32) {
        let RecordHeader { commit_ts, .. } = self.record.header;
        (commit_ts, self.record.lane)
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<'a> Records<'a> {
    /// The next record of a lane, `None` when there is none.
    fn take_record(&mut self, section: usize) -> Option<Record<'a>> {
        let Section { lane, records, bytes } = &mut self.rest[section];
        let problem = match (*records, bytes.is_empty()) {
            (0, true) => return None,
            (0, false) => "bytes follow a lane's last record".to_owned(),
            _ => match Record::take(*lane, bytes) {
                Ok(record) => {
                    *records -= 1;
                    return Some(record);
                }
                Err(reason) => format!("a record of lane {lane}: {reason}"),
            },
        };
        self.failed.get_or_insert_with(|| error::damaged(self.path, self.offset, problem));
        None
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>>;

    fn next(&mut self) -> Option<Result<Record<'a>>> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        let section = self.heads.peek()?.0.section;
        let following = self.take_record(section);
        // The lane's next record takes its place in the heap; often it stays on top.
        let mut top = self.heads.peek_mut()?;
        let record = match following {
            Some(following) => std::mem::replace(&mut top.0.record, following),
            None => PeekMut::pop(top).0.record,
        };
        Some(Ok(record))
    }
}
