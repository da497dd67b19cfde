//! What was refused: the newest in memory, and written to the data directory beside the log.
//!
//! A refusal is no part of the transaction that it ends, and must not cost a stranger less than the node: it goes into memory at once, and a
//! thread that begins with the first one writes what has come since, at most once in [`PAUSE_NS`] and at most
//! [`BATCH_BYTES_MAX`], the newest first. So whoever is refused as fast as he can neither fills the disk nor slows the log down.
//!
//! ```text
//!   refusals       a line of JSON each, appended; when it has FILE_BYTES_MAX it becomes
//!   refusals.old   which it takes the place of
//! ```

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tuplix_checkpoint::disk_error;
use tuplix_machine::{Disk, DiskResult, Event, JoinHandle, Machine, Mutex, OpenMode};
use tuplix_types::{SqlError, sqlstate};

use crate::checkpoint::{Events, NodeEvent};

/// Refusals that a node remembers; the oldest go first.
pub const REFUSALS_KEPT: usize = 10_000;
/// Characters of each text of a refusal that are remembered.
pub const REFUSAL_TEXT_MAX: usize = 256;
/// Bytes of the file of refusals after which another is begun; there are two.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Bytes that are written at once; what is older is not written any more.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// From the end of one write to the next.
const PAUSE_NS: u64 = 1_000_000_000;

/// The file of the newest refusals, and of those before.
const FILE: &str = "refusals";
const OLD_FILE: &str = "refusals.old";

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// When, `timestamptz` microseconds.
    pub at_us: i64,
    /// `login`, or what else was asked for.
    pub action: Cow<'static, str>,
    /// Who asked, as he called himself.
    pub user: String,
    /// Where from; `None` on the local socket and in the node's own process.
    pub address: Option<String>,
    /// The SQLSTATE that he got.
    pub sqlstate: String,
    /// What he was told.
    pub message: String,
}

/// A refusal with its number since the data directory was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbered {
    refusal: u64,
    #[serde(flatten)]
    what: Refusal,
}

#[derive(Default)]
struct Kept {
    rows: VecDeque<Numbered>,
    last: u64,
    /// The last one that is written.
    written: u64,
    /// Where they are written to; `None` without a data directory, and once that has failed.
    disk: Option<(Arc<dyn Disk>, Option<Events>)>,
    writer: Option<JoinHandle<()>>,
}

/// The refusals that a node remembers.
pub(crate) struct Refusals {
    machine: Machine,
    kept: Mutex<Kept>,
    /// Signalled when there is one to write.
    arrived: Event,
    /// Signalled when the node ends.
    ended: Event,
    ending: AtomicBool,
}

fn cut(text: &str) -> String {
    text.chars().take(REFUSAL_TEXT_MAX).collect()
}

impl Refusals {
    pub(crate) fn new(machine: &Machine) -> Refusals {
        Refusals {
            machine: machine.clone(),
            kept: Mutex::new(machine, Kept::default()),
            arrived: Event::new(machine),
            ended: Event::new(machine),
            ending: AtomicBool::new(false),
        }
    }

    /// Reads those of a data directory, and writes there from now on.
    pub(crate) fn keep_in(&self, disk: Arc<dyn Disk>, events: Option<Events>) {
        let mut rows = VecDeque::new();
        for name in [OLD_FILE, FILE] {
            if let Err(error) = load(&*disk, name, &mut rows) {
                tell(events.as_ref(), error);
            }
        }
        let mut kept = self.kept.lock();
        kept.last = rows.back().map_or(0, |row: &Numbered| row.refusal);
        kept.written = kept.last;
        rows.drain(..rows.len().saturating_sub(REFUSALS_KEPT));
        kept.rows = rows;
        kept.disk = Some((disk, events));
    }

    /// Remembers one.
    pub(crate) fn push(
        self: &Arc<Refusals>,
        action: &'static str,
        user: &str,
        address: Option<String>,
        error: &SqlError,
    ) {
        let what = Refusal {
            at_us: self.machine.now_us(),
            action: Cow::Borrowed(action),
            user: cut(user),
            address,
            sqlstate: error.sqlstate().as_str().to_owned(),
            message: cut(error.message()),
        };
        let mut kept = self.kept.lock();
        if kept.rows.len() == REFUSALS_KEPT {
            kept.rows.pop_front();
        }
        kept.last += 1;
        let refusal = kept.last;
        kept.rows.push_back(Numbered { refusal, what });
        if kept.writer.is_none()
            && !self.ending.load(Ordering::SeqCst)
            && let Some((disk, events)) = kept.disk.clone()
        {
            let me = self.clone();
            kept.writer = Some(self.machine.spawn("refusals", move || me.write(&*disk, events.as_ref())));
        }
        drop(kept);
        self.arrived.signal();
    }

    /// Those that are remembered, the oldest first, each with its number.
    pub(crate) fn all(&self) -> Vec<(u64, Refusal)> {
        self.kept.lock().rows.iter().map(|row| (row.refusal, row.what.clone())).collect()
    }

    /// Writes what is not written yet, and ends the thread.
    pub(crate) fn stop(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.arrived.signal();
        self.ended.signal();
        let writer = self.kept.lock().writer.take();
        // It has said by itself what it could not write.
        drop(writer.map(JoinHandle::join));
    }

    /// What the thread does.
    fn write(&self, disk: &dyn Disk, events: Option<&Events>) {
        loop {
            let (arrived, ended) = (self.arrived.sequence(), self.ended.sequence());
            let ending = self.ending.load(Ordering::SeqCst);
            let (text, last) = self.batch();
            if !text.is_empty() {
                if let Err(error) = append(disk, text.as_bytes()) {
                    tell(events, disk_error(&error));
                    self.kept.lock().disk = None;
                    return;
                }
                self.kept.lock().written = last;
            }
            match ending {
                true => return,
                false if text.is_empty() => drop(self.arrived.wait(arrived, None)),
                false => drop(self.ended.wait(ended, Some(self.machine.monotonic_ns() + PAUSE_NS))),
            }
        }
    }

    /// The lines to write next, and the number of the last one.
    fn batch(&self) -> (String, u64) {
        let kept = self.kept.lock();
        let fresh = kept.rows.iter().rev().take_while(|row| row.refusal > kept.written);
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for row in fresh {
            // A row of texts and numbers is always JSON.
            let Ok(line) = serde_json::to_string(row) else { continue };
            bytes += line.len() + 1;
            if bytes > BATCH_BYTES_MAX {
                break;
            }
            lines.push(line + "\n");
        }
        lines.reverse();
        (lines.concat(), kept.last)
    }
}

fn tell(events: Option<&Events>, error: SqlError) {
    if let Some(events) = events {
        events(&NodeEvent::RefusalsNotKept(error));
    }
}

/// Reads the lines of a file, if it is there. A last one without an end was being written when the node was killed.
fn load(disk: &dyn Disk, name: &str, rows: &mut VecDeque<Numbered>) -> Result<(), SqlError> {
    let read = || Ok(if disk.exists(name)? { disk.read(name)? } else { Vec::new() });
    let bytes = read().map_err(|error| disk_error(&error))?;
    let mut unreadable = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(row) => rows.push_back(row),
            Err(_) if !line.ends_with(b"\n") => {}
            Err(_) => unreadable += 1,
        }
    }
    match unreadable {
        0 => Ok(()),
        lines => {
            let message = format!("{lines} lines of \"{}/{name}\" are damaged", disk.root());
            Err(SqlError::new(sqlstate::DATA_CORRUPTED, message))
        }
    }
}

fn append(disk: &dyn Disk, text: &[u8]) -> DiskResult<()> {
    let mut file = disk.open(FILE, OpenMode::Create)?;
    let mut length = whole_lines(&*file)?;
    if length >= FILE_BYTES_MAX {
        drop(file);
        disk.rename(FILE, OLD_FILE)?;
        file = disk.open(FILE, OpenMode::CreateNew)?;
        length = 0;
    }
    // A line that a kill has cut goes.
    file.truncate(length)?;
    file.write_at(length, text)?;
    file.sync_data()?;
    if length == 0 { disk.sync_dir("") } else { Ok(()) }
}

/// Up to where a file has whole lines.
fn whole_lines(file: &dyn tuplix_machine::File) -> DiskResult<u64> {
    let mut end = file.len()?;
    let mut bytes = [0; 4096];
    while end > 0 {
        let part = &mut bytes[..usize::try_from(end.min(4096)).unwrap_or(4096)];
        let start = end - part.len() as u64;
        file.read_exact_at(start, part)?;
        if let Some(at) = part.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
