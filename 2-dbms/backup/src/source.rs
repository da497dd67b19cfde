//! Copies a data directory, whether its node runs or not.
//!
//! All files are opened first: the node may remove an old segment meanwhile, an open file stays. The checkpoint is verified before it is
//! copied, and each segment while it is: a backup of damaged files would be found out too late.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use tuplix_checkpoint::{Reader, Segment, SpooledTable, segment_file_name};
use tuplix_log::{SegmentScan, scan_segment, segment_name, segments_after};
use tuplix_machine::{Disk, DiskResult, File, Machine, OpenMode};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::manifest::{FileEntry, MANIFEST, Manifest, Reach};
use crate::sink::{DirectorySink, FileStream, Sink, TarSink, put_bytes};
use crate::{CHECKPOINTS, HISTORY, IDENTITY, LOG, damaged, disk_error, refused};

/// How often the files are looked for again when the node has removed one meanwhile.
const ATTEMPTS: usize = 20;

/// How much of a data directory is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The newest checkpoint and the log after it: the rows of now.
    Newest,
    /// The oldest checkpoint that is kept, the newest one, and all log after the oldest: any moment in it.
    Kept,
}

/// Copies the data directory that is `from`'s root into the folder that is `to`'s root, which must be empty.
///
/// # Errors
/// 55000 when `from` is no data directory or `to` is not empty, XX001 when something is damaged, 58030 and 53100 of the disk.
pub fn backup_to_directory(
    machine: &Machine,
    from: &Arc<dyn Disk>,
    to: Arc<dyn Disk>,
    scope: Scope,
) -> Result<Manifest> {
    check_empty(&*to)?;
    copy(machine, from, &mut DirectorySink::new(to), scope)
}

/// Writes the data directory that is `from`'s root as a tar stream.
///
/// # Errors
/// As [`backup_to_directory`].
pub fn backup_to_tar(
    machine: &Machine,
    from: &Arc<dyn Disk>,
    to: impl Write,
    scope: Scope,
) -> Result<Manifest> {
    let mut sink = TarSink::new(to, machine.now_us());
    copy(machine, from, &mut sink, scope)
}

/// Refuses a folder with anything in it.
pub(crate) fn check_empty(to: &dyn Disk) -> Result<()> {
    let names = to.list("").map_err(|error| disk_error(&error))?;
    let Some(name) = names.first() else { return Ok(()) };
    Err(refused(format!("directory \"{}\" is not empty: it has \"{name}\"", to.root()))
        .hint("Name a directory that does not exist yet, or an empty one."))
}

/// A checkpoint that is open.
struct OpenCheckpoint {
    name: String,
    file: Box<dyn File>,
    reader: Reader,
}

/// Rows that have left memory, in a file that is open.
struct OpenHistory {
    name: String,
    segment: Segment,
}

/// Everything that is copied.
struct OpenFiles {
    /// What the checkpoints refer to.
    history: Vec<OpenHistory>,
    /// The newest first.
    checkpoints: Vec<OpenCheckpoint>,
    segments: Vec<(String, Box<dyn File>)>,
    /// The segments are those since the node's first epoch.
    from_the_beginning: bool,
}

#[derive(serde::Deserialize)]
struct Identity {
    node_id: u64,
}

pub(crate) fn node_id(identity: &[u8], root: &str) -> Result<u64> {
    let parsed: std::result::Result<Identity, _> = serde_json::from_slice(identity);
    parsed
        .map(|identity| identity.node_id)
        .map_err(|error| damaged(format!("\"{root}/{IDENTITY}\" is damaged: {error}")))
}

pub(crate) fn copy(
    machine: &Machine,
    from: &Arc<dyn Disk>,
    sink: &mut dyn Sink,
    scope: Scope,
) -> Result<Manifest> {
    if !from.exists(IDENTITY).map_err(|error| disk_error(&error))? {
        return Err(refused(format!("\"{}\" is no data directory: it has no \"{IDENTITY}\"", from.root()))
            .hint("Name the node's data directory with --data."));
    }
    let identity = from.read(IDENTITY).map_err(|error| disk_error(&error))?;
    let node_id = node_id(&identity, from.root())?;
    let open = open_files(machine, &**from, node_id, scope)?;
    let mut files = Vec::new();
    for checkpoint in &open.checkpoints {
        files.push(copy_checkpoint(checkpoint, sink)?);
    }
    for history in &open.history {
        files.push(copy_history(history, sink)?);
    }
    let oldest = open.checkpoints.last().filter(|_| !open.from_the_beginning);
    let oldest = oldest.map(|checkpoint| *checkpoint.reader.header());
    let mut reach = Reach {
        first_epoch: oldest.map_or(0, |header| header.epoch),
        first_us: oldest.map_or(i64::MIN, |header| header.created_us),
        last_epoch: 0,
        last_us: 0,
    };
    let newest = open.checkpoints.first().map(|checkpoint| *checkpoint.reader.header());
    (reach.last_epoch, reach.last_us) =
        newest.map_or((0, i64::MIN), |header| (header.epoch, header.created_us));
    let count = open.segments.len();
    let mut previous = None;
    for (number, (name, file)) in open.segments.iter().enumerate() {
        let Some((bytes, scan)) = read_segment(name, &**file, number + 1 == count)? else { continue };
        check_chain(name, &scan, previous, reach.first_epoch)?;
        previous = Some(scan.epochs.last().map_or(scan.header.previous_epoch, |epoch| epoch.number));
        if let Some(last) = scan.epochs.last().filter(|last| last.number > reach.last_epoch) {
            (reach.last_epoch, reach.last_us) = (last.number, last.closed_us);
        }
        files.push(put_bytes(sink, &format!("{LOG}/{name}"), &bytes)?);
    }
    files.push(put_bytes(sink, IDENTITY, &identity)?);
    let manifest = Manifest::new(node_id, machine.now_us(), reach, files);
    put_bytes(sink, MANIFEST, &manifest.to_bytes()?)?;
    sink.finish()?;
    Ok(manifest)
}

fn open_files(machine: &Machine, from: &dyn Disk, node_id: u64, scope: Scope) -> Result<OpenFiles> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match try_open(machine, from, node_id, scope)? {
            Ok(open) => return Ok(open),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| SqlError::internal("no attempt was made")))
}

/// Opens everything; the inner error is of a file that went away meanwhile.
fn try_open(
    machine: &Machine,
    from: &dyn Disk,
    node_id: u64,
    scope: Scope,
) -> Result<std::result::Result<OpenFiles, SqlError>> {
    let folder = machine.disk(&format!("{}/{CHECKPOINTS}", from.root()));
    let list = || -> DiskResult<Vec<u64>> {
        if from.exists(CHECKPOINTS)? { tuplix_checkpoint::list(&*folder) } else { Ok(Vec::new()) }
    };
    let mut epochs = list().map_err(|error| disk_error(&error))?;
    match scope {
        Scope::Newest => epochs.truncate(1),
        Scope::Kept if epochs.len() > 2 => {
            epochs.drain(1..epochs.len() - 1);
        }
        Scope::Kept => {}
    }
    let mut checkpoints = Vec::new();
    for epoch in epochs {
        let name = tuplix_checkpoint::file_name(epoch);
        let file = match folder.open(&name, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(Err(disk_error(&error))),
            Err(error) => return Err(disk_error(&error)),
        };
        let reader = match Reader::open(&*folder, epoch, Some(node_id)) {
            Ok(reader) => reader,
            Err(error) if !folder.exists(&name).map_err(|error| disk_error(&error))? => {
                return Ok(Err(error));
            }
            Err(error) => return Err(error),
        };
        checkpoints.push(OpenCheckpoint { name, file, reader });
    }
    let history = match open_history(machine, from, node_id, &checkpoints)? {
        Ok(history) => history,
        Err(gone) => return Ok(Err(gone)),
    };
    let oldest = checkpoints.last().map_or(0, |checkpoint| checkpoint.reader.header().epoch);
    // Looked at once: segments may go between two looks.
    let names = from.list(LOG).map_err(|error| disk_error(&error))?;
    // A log that begins with the node's first epoch reaches further back than any checkpoint.
    let from_the_beginning = scope == Scope::Kept
        && segments_after(names.clone(), 0).first().is_some_and(|name| *name == segment_name(1));
    // A checkpoint goes before the segments that it needs: while it is there, all of these were.
    let now = list().map_err(|error| disk_error(&error))?;
    let stays = |checkpoint: &OpenCheckpoint| now.contains(&checkpoint.reader.header().epoch);
    let moved_on = !checkpoints.iter().all(stays) || checkpoints.is_empty() && !now.is_empty();
    if moved_on && !from_the_beginning {
        return Ok(Err(SqlError::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the node makes checkpoints faster than a backup can open them",
        )));
    }
    let after = if from_the_beginning { 0 } else { oldest };
    let open_segments = || -> DiskResult<Vec<(String, Box<dyn File>)>> {
        let names = segments_after(names, after);
        names
            .into_iter()
            .map(|name| Ok((name.clone(), from.open(&format!("{LOG}/{name}"), OpenMode::Read)?)))
            .collect()
    };
    match open_segments() {
        Ok(segments) => Ok(Ok(OpenFiles { history, checkpoints, segments, from_the_beginning })),
        Err(error) if error.is_not_found() => Ok(Err(disk_error(&error))),
        Err(error) => Err(disk_error(&error)),
    }
}

/// Opens the segments that the checkpoints refer to; the inner error is of one that went away with its checkpoint.
fn open_history(
    machine: &Machine,
    from: &dyn Disk,
    node_id: u64,
    checkpoints: &[OpenCheckpoint],
) -> Result<std::result::Result<Vec<OpenHistory>, SqlError>> {
    let folder = machine.disk(&format!("{}/{HISTORY}", from.root()));
    let mut names = BTreeSet::new();
    for checkpoint in checkpoints {
        names.extend(checkpoint.reader.segments()?.iter().flat_map(SpooledTable::names));
    }
    let mut history = Vec::new();
    for name in names {
        let file_name = segment_file_name(name);
        let file = match folder.open(&file_name, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(Err(disk_error(&error))),
            Err(error) => return Err(disk_error(&error)),
        };
        // Of the same file, which stays though the node may remove its name now.
        let segment = Segment::from_file(file, name, node_id)?;
        history.push(OpenHistory { name: file_name, segment });
    }
    Ok(Ok(history))
}

fn copy_history(history: &OpenHistory, sink: &mut dyn Sink) -> Result<FileEntry> {
    history.segment.verify()?;
    let path = format!("{HISTORY}/{}", history.name);
    let bytes = history.segment.reference().bytes;
    let mut stream = FileStream::new(history.segment.file());
    sink.put(&path, bytes, &mut stream)?;
    Ok(FileEntry { path, bytes, crc32c: stream.checksum })
}

fn copy_checkpoint(checkpoint: &OpenCheckpoint, sink: &mut dyn Sink) -> Result<FileEntry> {
    checkpoint.reader.verify()?;
    let path = format!("{CHECKPOINTS}/{}", checkpoint.name);
    let bytes = checkpoint.reader.bytes();
    let mut stream = FileStream::new(&*checkpoint.file);
    sink.put(&path, bytes, &mut stream)?;
    Ok(FileEntry { path, bytes, crc32c: stream.checksum })
}

/// A segment's bytes up to its last whole epoch. The last segment may be one that is being made, or written to.
pub(crate) fn read_segment(
    name: &str,
    file: &dyn File,
    is_last: bool,
) -> Result<Option<(Vec<u8>, SegmentScan)>> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let length = file.len().map_err(|error| disk_error(&error))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        // Cut to its end when the node moved on to the next one meanwhile.
        let count = file.read_at(0, &mut bytes).map_err(|error| disk_error(&error))?;
        bytes.truncate(count);
        let Some(scan) = scan_segment(&bytes, file.path())? else {
            return if is_last {
                Ok(None)
            } else {
                Err(damaged(format!("log segment \"{name}\" has no header")))
            };
        };
        // Of a segment that is being written an earlier part may be older than a later one.
        if scan.is_damaged && is_last && attempt < ATTEMPTS {
            continue;
        }
        if let Some(problem) = scan.problem.as_ref().filter(|_| !is_last || scan.is_damaged) {
            return Err(damaged(format!("log segment \"{}\" is damaged {problem}", file.path())));
        }
        bytes.truncate(usize::try_from(scan.end()).unwrap_or(usize::MAX));
        return Ok(Some((bytes, scan)));
    }
}

fn check_chain(name: &str, scan: &SegmentScan, previous: Option<u64>, first_epoch: u64) -> Result<()> {
    let found = scan.header.previous_epoch;
    let continues = previous.map_or(found <= first_epoch, |previous| previous == found);
    if continues {
        return Ok(());
    }
    let wanted = previous.unwrap_or(first_epoch);
    Err(damaged(format!(
        "log segment \"{name}\" continues after epoch {found}, the log before it ends at epoch {wanted}"
    )))
}
