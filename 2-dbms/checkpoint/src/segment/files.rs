//! The files of segments that are open: few of many.
//!
//! A node has as many segments as it made checkpoints, a process has a limit on open files. So blocks are read through here: a file is
//! opened when somebody reads it, and the one that nobody has read for longest is closed for it. A segment that somebody may still read
//! keeps its name, for the file has to be found again; see [`SegmentFiles::is_in_use`].

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Weak};

use tuplix_machine::{Disk, DiskError, DiskResult, File, Machine, Mutex, OpenMode, Operation};

use super::folder::{SegmentName, segment_file_name};

/// Files of segments that a node has open at most, beside those that are just being read.
pub const OPEN_SEGMENTS_MAX: usize = 64;

/// The folder of segments, with those of its files that are open.
#[derive(Debug)]
pub struct SegmentFiles {
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Goes up with each use.
    clock: u64,
    /// When each was used last.
    open: BTreeMap<SegmentName, (u64, Arc<dyn File>)>,
    /// Who may read a segment, whether its file is open or not.
    users: BTreeMap<SegmentName, Weak<()>>,
}

impl SegmentFiles {
    /// The folder that is `disk`'s root.
    pub fn new(machine: &Machine, disk: Arc<dyn Disk>) -> Arc<SegmentFiles> {
        Arc::new(SegmentFiles { disk, state: Mutex::new(machine, State::default()) })
    }

    /// The folder.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// A segment's file, for reading. It is opened when it is read, and again after it was closed for others; so is one that could not be
    /// opened or read before.
    pub fn file(self: &Arc<Self>, name: SegmentName) -> Box<dyn File> {
        let mut state = self.state.lock();
        let user = state.users.get(&name).and_then(Weak::upgrade).unwrap_or_default();
        state.users.insert(name, Arc::downgrade(&user));
        drop(state);
        let path = format!("{}/{}", self.disk.root(), segment_file_name(name));
        Box::new(SharedFile { files: self.clone(), name, path, _user: user })
    }

    /// Whether somebody may still read the segment: it has to stay then.
    pub fn is_in_use(&self, name: SegmentName) -> bool {
        self.state.lock().users.get(&name).is_some_and(|user| user.strong_count() > 0)
    }

    /// Removes a segment's file, when it is there; durable once the folder is synced. Nobody uses it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, name: SegmentName) -> DiskResult<()> {
        self.close(name);
        self.state.lock().users.remove(&name);
        let file = segment_file_name(name);
        if self.disk.exists(&file)? { self.disk.remove(&file) } else { Ok(()) }
    }

    /// Lets go of a file that is open: who reads it next finds what has the name then.
    pub fn close(&self, name: SegmentName) {
        let closed = self.state.lock().open.remove(&name);
        // With no lock held, as everything that goes to the disk.
        drop(closed);
    }

    fn open(&self, name: SegmentName) -> DiskResult<Arc<dyn File>> {
        if let Some(file) = self.state.lock().known(name) {
            return Ok(file);
        }
        let file: Arc<dyn File> = self.disk.open(&segment_file_name(name), OpenMode::Read)?.into();
        let closed = self.state.lock().keep(name, file.clone());
        drop(closed);
        Ok(file)
    }
}

impl State {
    fn known(&mut self, name: SegmentName) -> Option<Arc<dyn File>> {
        self.clock += 1;
        let (used, file) = self.open.get_mut(&name)?;
        *used = self.clock;
        Some(file.clone())
    }

    /// Keeps a file open, and gives back what is to be closed for it.
    fn keep(&mut self, name: SegmentName, file: Arc<dyn File>) -> Option<Arc<dyn File>> {
        let before = self.open.insert(name, (self.clock, file)).map(|(_, file)| file);
        if self.open.len() <= OPEN_SEGMENTS_MAX {
            return before;
        }
        let others = self.open.iter().filter(|(other, _)| **other != name);
        let oldest = others.min_by_key(|(_, (used, _))| *used).map(|(name, _)| *name);
        oldest.and_then(|oldest| self.open.remove(&oldest)).map(|(_, file)| file)
    }
}

/// A file that is open while it is read.
#[derive(Debug)]
struct SharedFile {
    files: Arc<SegmentFiles>,
    name: SegmentName,
    path: String,
    _user: Arc<()>,
}

impl SharedFile {
    fn with<R>(&self, read: impl FnOnce(&dyn File) -> DiskResult<R>) -> DiskResult<R> {
        let outcome = read(&*self.files.open(self.name)?);
        if outcome.is_err() {
            // The next reader may find another one in its place.
            self.files.close(self.name);
        }
        outcome
    }

    fn refuse(&self, operation: Operation) -> DiskResult<()> {
        Err(DiskError::new(operation, &self.path, ErrorKind::ReadOnlyFilesystem))
    }
}

impl File for SharedFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> DiskResult<usize> {
        self.with(|file| file.read_at(offset, bytes))
    }

    fn len(&self) -> DiskResult<u64> {
        self.with(|file| file.len())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> DiskResult<()> {
        self.refuse(Operation::Write)
    }

    fn truncate(&self, _: u64) -> DiskResult<()> {
        self.refuse(Operation::Truncate)
    }

    fn preallocate(&self, _: u64) -> DiskResult<()> {
        self.refuse(Operation::Preallocate)
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.refuse(Operation::SyncData)
    }
}
