//! Makes a data directory of a backup, of now or of a moment in its log.
//!
//! The files come first, each checked against the manifest, then the log is cut after the wanted epoch and checkpoints that are newer go. Last
//! comes the file that makes the folder a data directory: a restore that was interrupted leaves none.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use tuplix_checkpoint::{Reader, parse_name};
use tuplix_log::{SEGMENT_HEADER_BYTES, SegmentScan, scan_segment, segments_after};
use tuplix_machine::{Disk, Machine, OpenMode};
use tuplix_types::text_io::{IoContext, to_text};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use crate::manifest::{FileEntry, MANIFEST, Manifest, Reach};
use crate::sink::{DirectorySink, FileStream, Sink};
use crate::source::{Scope, check_empty, copy, node_id};
use crate::{CHECKPOINTS, HISTORY, IDENTITY, LOG, damaged, disk_error, io};

/// The longest manifest and identity that a restore reads.
const SMALL_FILE_BYTES: u64 = 64 << 20;

/// Up to where a restore goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything.
    End,
    /// The last epoch that was closed by this moment, in microseconds since 2000-01-01 UTC.
    Time(i64),
    /// This epoch: the log's position.
    Epoch(u64),
}

/// A restore that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup reached.
    pub reach: Reach,
    /// The last epoch of the new data directory.
    pub epoch: u64,
    /// When it was closed.
    pub epoch_us: i64,
}

/// Restores from a directory, a backup or a data directory, into the folder that is `to`'s root, which must be empty.
///
/// # Errors
/// 55000 when `from` is neither or `to` is not empty, 22023 when the backup does not reach the wanted moment, XX001 when something is
/// damaged, 58030 and 53100 of the disk.
pub fn restore_directory(
    machine: &Machine,
    from: &Arc<dyn Disk>,
    to: &Arc<dyn Disk>,
    until: Until,
) -> Result<Restored> {
    check_empty(&**to)?;
    let mut sink = HeldBack::new(to.clone());
    if !from.exists(MANIFEST).map_err(|error| disk_error(&error))? {
        let manifest = copy(machine, from, &mut sink, Scope::Kept)?;
        return settle(machine, to, sink, &manifest, until);
    }
    let manifest = Manifest::from_bytes(&from.read(MANIFEST).map_err(|error| disk_error(&error))?)?;
    for entry in &manifest.files {
        let file = from.open(&entry.path, OpenMode::Read).map_err(|error| disk_error(&error))?;
        let length = file.len().map_err(|error| disk_error(&error))?;
        if length != entry.bytes {
            return Err(differs(entry, &format!("it has {length} bytes, not {}", entry.bytes)));
        }
        let mut stream = FileStream::new(&*file);
        sink.put(&entry.path, entry.bytes, &mut stream)?;
        check_sum(entry, stream.checksum)?;
    }
    settle(machine, to, sink, &manifest, until)
}

/// Restores from a tar stream, as [`restore_directory`].
///
/// # Errors
/// As [`restore_directory`].
pub fn restore_tar(machine: &Machine, from: impl Read, to: &Arc<dyn Disk>, until: Until) -> Result<Restored> {
    check_empty(&**to)?;
    let unreadable = |error: std::io::Error| io("could not read the tar stream", &error);
    let mut sink = HeldBack::new(to.clone());
    let mut found: BTreeMap<String, (u64, u32)> = BTreeMap::new();
    let mut manifest = None;
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path().map_err(unreadable)?.to_string_lossy().into_owned();
        let length = entry.header().size().map_err(unreadable)?;
        if path == MANIFEST {
            manifest = Some(Manifest::from_bytes(&read_small(&mut entry, length, &path)?)?);
            continue;
        }
        check_path(&path)?;
        let mut summed = Summed { from: &mut entry, checksum: 0 };
        sink.put(&path, length, &mut summed)?;
        found.insert(path, (length, summed.checksum));
    }
    let Some(manifest) = manifest else {
        return Err(damaged(format!(
            "the tar stream is no whole backup: it has no \"{MANIFEST}\" at its end"
        )));
    };
    for entry in &manifest.files {
        match found.remove(&entry.path) {
            Some((length, _)) if length != entry.bytes => {
                return Err(differs(entry, &format!("it has {length} bytes, not {}", entry.bytes)));
            }
            Some((_, checksum)) => check_sum(entry, checksum)?,
            None => return Err(differs(entry, "it is not there")),
        }
    }
    settle(machine, to, sink, &manifest, until)
}

/// Only what a backup has, and nowhere else.
fn check_path(path: &str) -> Result<()> {
    let known = path == IDENTITY
        || [LOG, CHECKPOINTS, HISTORY].iter().any(|folder| {
            let name = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
            name.is_some_and(|name| !name.is_empty() && name.bytes().all(fits))
        });
    if known {
        Ok(())
    } else {
        Err(damaged(format!("the tar stream is no backup: it has a file \"{path}\"")))
    }
}

fn read_small(from: &mut dyn Read, length: u64, path: &str) -> Result<Vec<u8>> {
    if length > SMALL_FILE_BYTES {
        return Err(damaged(format!("the backup's \"{path}\" has {length} bytes")));
    }
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(|error| io(&format!("could not read {path}"), &error))?;
    Ok(bytes)
}

struct Summed<'r> {
    from: &'r mut dyn Read,
    checksum: u32,
}

impl Read for Summed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(bytes)?;
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes[..count]);
        Ok(count)
    }
}

fn check_sum(entry: &FileEntry, checksum: u32) -> Result<()> {
    if checksum == entry.crc32c { Ok(()) } else { Err(differs(entry, "its checksum does not fit its bytes")) }
}

fn differs(entry: &FileEntry, what: &str) -> SqlError {
    damaged(format!("the backup is damaged: file \"{}\": {what}", entry.path))
        .hint("Nothing was restored: remove the new directory and use another backup.")
}

/// Puts files in place but the one that makes a folder a data directory, and the manifest.
struct HeldBack {
    inner: DirectorySink,
    identity: Vec<u8>,
}

impl HeldBack {
    fn new(to: Arc<dyn Disk>) -> HeldBack {
        HeldBack { inner: DirectorySink::new(to), identity: Vec::new() }
    }
}

impl Sink for HeldBack {
    fn put(&mut self, path: &str, length: u64, from: &mut dyn Read) -> Result<()> {
        match path {
            IDENTITY => {
                self.identity = read_small(&mut from.take(length), length, path)?;
                Ok(())
            }
            MANIFEST => read_small(from, length, path).map(|_| ()),
            _ => self.inner.put(path, length, from),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.inner.finish()
    }
}

/// Cuts what was copied at the wanted moment and makes it a data directory.
fn settle(
    machine: &Machine,
    to: &Arc<dyn Disk>,
    mut sink: HeldBack,
    manifest: &Manifest,
    until: Until,
) -> Result<Restored> {
    let reach = manifest.reach;
    check_reach(reach, until)?;
    let id = node_id(&sink.identity, to.root())?;
    if id != manifest.node_id {
        return Err(damaged("the backup is damaged: its files are of another node than its manifest says"));
    }
    for folder in [LOG, CHECKPOINTS, HISTORY] {
        to.create_dir(folder).map_err(|error| disk_error(&error))?;
    }
    let base = choose_checkpoint(machine, to, id, until)?;
    let (epoch, epoch_us) = cut_log(to, base, until)?;
    sink.finish()?;
    for folder in [LOG, CHECKPOINTS, HISTORY] {
        to.sync_dir(folder).map_err(|error| disk_error(&error))?;
    }
    to.write_atomically(IDENTITY, &sink.identity).map_err(|error| disk_error(&error))?;
    Ok(Restored { reach, epoch, epoch_us })
}

fn check_reach(reach: Reach, until: Until) -> Result<()> {
    let outside = |what: String| {
        let from = if reach.first_epoch == 0 {
            "the node's beginning".to_owned()
        } else {
            format!("epoch {} of {}", reach.first_epoch, time(reach.first_us))
        };
        let message = format!("the backup does not reach {what}");
        let detail =
            format!("It reaches from {from} to epoch {} of {}.", reach.last_epoch, time(reach.last_us));
        Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message).detail(detail))
    };
    match until {
        Until::Epoch(epoch) if epoch < reach.first_epoch || epoch > reach.last_epoch => {
            outside(format!("epoch {epoch}"))
        }
        Until::Time(us) if us < reach.first_us || us > reach.last_us => outside(time(us)),
        _ => Ok(()),
    }
}

fn time(us: i64) -> String {
    to_text(TypeId::TIMESTAMPTZ, &Value::Timestamptz(us), &IoContext::default())
}

/// The newest checkpoint that is not after the wanted moment; newer ones go. Gives its epoch and time.
fn choose_checkpoint(
    machine: &Machine,
    to: &Arc<dyn Disk>,
    node_id: u64,
    until: Until,
) -> Result<Option<(u64, i64)>> {
    let folder = machine.disk(&format!("{}/{CHECKPOINTS}", to.root()));
    let mut base = None;
    for name in folder.list("").map_err(|error| disk_error(&error))? {
        let Some(epoch) = parse_name(&name) else {
            return Err(damaged(format!(
                "the backup has a file \"{CHECKPOINTS}/{name}\" that is no checkpoint"
            )));
        };
        let header = *Reader::open(&*folder, epoch, Some(node_id))?.header();
        let is_wanted = match until {
            Until::End => true,
            Until::Epoch(last) => epoch <= last,
            Until::Time(us) => header.created_us <= us,
        };
        if is_wanted {
            base = Some((epoch, header.created_us));
        } else {
            folder.remove(&name).map_err(|error| disk_error(&error))?;
        }
    }
    Ok(base)
}

/// Cuts the log after the wanted moment, and gives the last epoch and when it was closed.
fn cut_log(to: &Arc<dyn Disk>, base: Option<(u64, i64)>, until: Until) -> Result<(u64, i64)> {
    let mut last = base.unwrap_or((0, i64::MIN));
    let names = segments_after(to.list(LOG).map_err(|error| disk_error(&error))?, 0);
    let needed = segments_after(names.clone(), last.0).len();
    let first_needed = names.len().saturating_sub(needed);
    for (number, name) in names.into_iter().enumerate() {
        let path = format!("{LOG}/{name}");
        let bytes = to.read(&path).map_err(|error| disk_error(&error))?;
        let scan = scan_segment(&bytes, &path)?;
        let Some(SegmentScan { header, epochs, problem: None, .. }) = scan else {
            return Err(damaged(format!("the backup's log segment \"{name}\" is damaged")));
        };
        let wanted = |closed_us: i64, number: u64| match until {
            Until::End => true,
            Until::Epoch(last) => number <= last,
            Until::Time(us) => closed_us <= us,
        };
        let kept = epochs.iter().take_while(|epoch| wanted(epoch.closed_us, epoch.number)).count();
        // Without any epoch of its own a segment says where the log goes on.
        let is_needed = kept > 0 || number <= first_needed && header.previous_epoch <= last.0;
        if !is_needed {
            to.remove(&path).map_err(|error| disk_error(&error))?;
            continue;
        }
        if let Some(epoch) = epochs[..kept].last().filter(|epoch| epoch.number > last.0) {
            last = (epoch.number, epoch.closed_us);
        }
        if kept < epochs.len() {
            let end = epochs[..kept].last().map_or(SEGMENT_HEADER_BYTES, |epoch| epoch.end);
            let file = to.open(&path, OpenMode::Write).map_err(|error| disk_error(&error))?;
            file.truncate(end).map_err(|error| disk_error(&error))?;
            file.sync_data().map_err(|error| disk_error(&error))?;
        }
    }
    Ok(last)
}
