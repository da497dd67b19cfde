//! The simulated disk: what programs see, what would survive, and what lies between.
//!
//! A file has its current bytes, its durable bytes and the changes between them in order; the folder tree
//! has the same for names. `sync_data` applies a file's changes to its durable bytes, `sync_dir` a folder's
//! name changes. A power failure draws which of the rest survive. Folders themselves are durable at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::random::Random;
use super::{Core, Faults};
use crate::disk::{DirectoryLock, Disk, DiskResult, File, OpenMode, Operation};

/// All files of a simulated machine that is not running. Paths start with the root that
/// [`crate::Machine::disk`] was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskImage {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
}

impl DiskImage {
    /// Paths of all files, in order.
    pub fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// A file's bytes.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// A file's bytes, to damage them.
    pub fn file_mut(&mut self, path: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(path)
    }

    /// Puts a file there, with the folders that it is in.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) {
        self.folders.insert(String::new());
        self.folders.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        self.files.insert(path.to_owned(), bytes);
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        self.files.remove(path)
    }
}

type Inode = u64;

#[derive(Clone, Default)]
struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Clone)]
enum NameChange {
    Link(String, Inode),
    Unlink(String),
    Rename(String, String),
}

impl NameChange {
    fn is_in(&self, folder: &str) -> bool {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => parent(path) == folder,
            NameChange::Rename(from, to) => parent(from) == folder || parent(to) == folder,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            NameChange::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes: written } => write_into(bytes, *offset, written),
            Change::Resize(len) => bytes.resize(*len, 0),
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn write_into(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// The disk of a running simulated machine.
pub(crate) struct DiskState {
    files: BTreeMap<Inode, FileState>,
    next_inode: Inode,
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    pending_names: Vec<NameChange>,
    folders: BTreeSet<String>,
    locks: BTreeSet<String>,
    faults: Faults,
    random: Random,
    pub(crate) io_count: u64,
    pub(crate) faults_fired: u64,
}

impl DiskState {
    pub(crate) fn new(image: DiskImage, faults: Faults, random: Random) -> DiskState {
        let mut files = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (inode, (path, bytes)) in (1..).zip(image.files) {
            files.insert(inode, FileState { current: bytes.clone(), durable: bytes, pending: Vec::new() });
            names.insert(path, inode);
        }
        DiskState {
            next_inode: files.len() as u64 + 1,
            files,
            durable_names: names.clone(),
            names,
            pending_names: Vec::new(),
            folders: image.folders,
            locks: BTreeSet::new(),
            faults,
            random,
            io_count: 0,
            faults_fired: 0,
        }
    }

    /// What the next machine finds.
    pub(crate) fn image(&self) -> DiskImage {
        let bytes =
            |inode: &Inode| self.files.get(inode).map(|file| file.current.clone()).unwrap_or_default();
        DiskImage {
            files: self.names.iter().map(|(path, inode)| (path.clone(), bytes(inode))).collect(),
            folders: self.folders.clone(),
        }
    }

    /// Counts an operation; true when power fails during it.
    pub(crate) fn counts_to_crash(&mut self) -> bool {
        self.io_count += 1;
        self.faults.crash_at_io == Some(self.io_count)
    }

    /// The error the current operation shall fail with.
    pub(crate) fn injected_fault(&mut self) -> Option<io::Error> {
        let chance = self.faults.fail_one_in;
        let fails = self.faults.fail_io == Some(self.io_count) || (chance > 0 && self.random.one_in(chance));
        fails.then(|| {
            self.faults_fired += 1;
            errno(self.faults.errno)
        })
    }

    /// What an operation that fails may have done before it failed.
    pub(crate) fn fail_partly<R>(
        &mut self,
        operation: Operation,
        act: impl FnOnce(&mut DiskState) -> io::Result<R>,
    ) {
        if operation == Operation::Write && self.random.one_in(2) {
            let _ = act(self);
        }
        if operation == Operation::SyncData {
            // The kernel tried to write the dirty pages and forgot them: some made it, none is dirty.
            for file in self.files.values_mut() {
                let pending = std::mem::take(&mut file.pending);
                for change in pending {
                    if self.random.one_in(2) {
                        change.apply(&mut file.durable);
                    }
                }
            }
        }
    }

    /// Draws what survives of everything that was not synced.
    pub(crate) fn power_loss(&mut self) {
        let names = std::mem::take(&mut self.pending_names);
        let kept = self.random.index(names.len() + 1);
        for change in &names[..kept] {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        for file in self.files.values_mut() {
            let pending = std::mem::take(&mut file.pending);
            if self.faults.reorder {
                survive_reordered(&mut self.random, &pending, &mut file.durable, self.faults.flip_bits);
            } else {
                survive_prefix(&mut self.random, &pending, &mut file.durable);
            }
            file.current = file.durable.clone();
        }
        self.locks.clear();
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|inode| self.files.get(inode))
            .map(|file| file.current.len() as u64)
            .sum()
    }

    /// Refuses growth of a file to `len` beyond the disk's capacity.
    fn room_for(&mut self, inode: Inode, len: usize) -> io::Result<()> {
        let Some(capacity) = self.faults.capacity else { return Ok(()) };
        let has = self.files.get(&inode).map_or(0, |file| file.current.len());
        if len > has && self.used() + (len - has) as u64 > capacity {
            self.faults_fired += 1;
            return Err(errno(libc::ENOSPC));
        }
        Ok(())
    }

    fn change(&mut self, inode: Inode, change: Change) -> io::Result<()> {
        let end = match &change {
            Change::Write { offset, bytes } => offset + bytes.len(),
            Change::Resize(len) => *len,
        };
        self.room_for(inode, end)?;
        let file = self.files.get_mut(&inode).ok_or_else(|| errno(libc::EBADF))?;
        change.apply(&mut file.current);
        file.pending.push(change);
        Ok(())
    }

    fn open(&mut self, path: &str, mode: OpenMode) -> io::Result<Inode> {
        match (self.names.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => Err(errno(libc::EEXIST)),
            (Some(inode), _) => Ok(*inode),
            (None, OpenMode::Read | OpenMode::Write) => Err(errno(libc::ENOENT)),
            (None, _) => {
                if !self.folders.contains(parent(path)) {
                    return Err(errno(libc::ENOENT));
                }
                let inode = self.next_inode;
                self.next_inode += 1;
                self.files.insert(inode, FileState::default());
                self.rename_or_link(NameChange::Link(path.to_owned(), inode));
                Ok(inode)
            }
        }
    }

    fn rename_or_link(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn existing(&self, path: &str) -> io::Result<()> {
        if self.names.contains_key(path) { Ok(()) } else { Err(errno(libc::ENOENT)) }
    }

    fn sync_folder(&mut self, folder: &str) {
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending_names).into_iter().partition(|change| change.is_in(folder));
        for change in synced {
            change.apply(&mut self.durable_names);
        }
        self.pending_names = rest;
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        if !self.folders.contains(folder) {
            return Err(errno(libc::ENOENT));
        }
        let all =
            self.names.keys().chain(&self.folders).filter(|path| !path.is_empty() && parent(path) == folder);
        let names: BTreeSet<String> =
            all.map(|path| path[folder.len()..].trim_start_matches('/').to_owned()).collect();
        Ok(names.into_iter().collect())
    }
}

/// A prefix of the changes survives; the last of them may be torn at a sector.
fn survive_prefix(random: &mut Random, pending: &[Change], durable: &mut Vec<u8>) {
    let kept = random.index(pending.len() + 1);
    for change in &pending[..kept] {
        change.apply(durable);
    }
    if let Some(Change::Write { offset, bytes }) = pending.get(kept) {
        let sector = sector_size(random);
        let sectors = bytes.len().div_ceil(sector);
        let end = (random.index(sectors + 1) * sector).min(bytes.len());
        if end > 0 {
            write_into(durable, *offset, &bytes[..end]);
        }
    }
}

/// Each sector of each write survives or not; lengths survive in order.
fn survive_reordered(random: &mut Random, pending: &[Change], durable: &mut Vec<u8>, flip_bits: bool) {
    let sector = sector_size(random);
    for change in pending {
        match change {
            Change::Resize(len) => {
                if random.one_in(2) {
                    durable.resize(*len, 0);
                }
            }
            Change::Write { offset, bytes } => {
                let mut start = 0;
                while start < bytes.len() {
                    // Sectors lie on the disk, not in the write.
                    let end = bytes.len().min(start + sector - (offset + start) % sector);
                    if random.one_in(2) {
                        write_into(durable, offset + start, &bytes[start..end]);
                        if flip_bits && random.one_in(8) {
                            let at = offset + start + random.index(end - start);
                            durable[at] ^= 1 << random.index(8);
                        }
                    }
                    start = end;
                }
            }
        }
    }
}

fn sector_size(random: &mut Random) -> usize {
    if random.one_in(2) { 512 } else { 4096 }
}

/// The disk of `core` below `root`.
pub(crate) fn disk(core: &Arc<Core>, root: &str) -> Arc<dyn Disk> {
    let disk = SimulatedDisk { core: core.clone(), root: root.trim_end_matches('/').to_owned() };
    // Making the root counts as an operation of the test, not of the program: it never fails.
    core.with_disk(|state| make_folders(state, &disk.root));
    Arc::new(disk)
}

fn make_folders(state: &mut DiskState, path: &str) {
    state.folders.insert(String::new());
    for (end, _) in path.match_indices('/') {
        state.folders.insert(path[..end].to_owned());
    }
    state.folders.insert(path.to_owned());
}

struct SimulatedDisk {
    core: Arc<Core>,
    root: String,
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedDisk({})", self.root)
    }
}

impl SimulatedDisk {
    fn full(&self, path: &str) -> String {
        match (self.root.as_str(), path) {
            (root, "") => root.to_owned(),
            ("", path) => path.to_owned(),
            (root, path) => format!("{root}/{path}"),
        }
    }
}

impl Disk for SimulatedDisk {
    fn root(&self) -> &str {
        &self.root
    }

    fn open(&self, path: &str, mode: OpenMode) -> DiskResult<Box<dyn File>> {
        let path = self.full(path);
        let operation = match mode {
            OpenMode::Read | OpenMode::Write => Operation::Open,
            OpenMode::CreateNew | OpenMode::Create => Operation::Create,
        };
        let inode = self.core.disk_io(operation, &path, 0, |disk| disk.open(&path, mode))?;
        Ok(Box::new(SimulatedFile { core: self.core.clone(), path, inode, writable: mode != OpenMode::Read }))
    }

    fn create_dir(&self, path: &str) -> DiskResult<()> {
        let path = self.full(path);
        self.core.disk_io(Operation::CreateDirectory, &path, 0, |disk| {
            make_folders(disk, &path);
            Ok(())
        })
    }

    fn list(&self, path: &str) -> DiskResult<Vec<String>> {
        let path = self.full(path);
        self.core.disk_io(Operation::List, &path, 0, |disk| disk.list(&path))
    }

    fn rename(&self, from: &str, to: &str) -> DiskResult<()> {
        let (from, to) = (self.full(from), self.full(to));
        self.core.disk_io(Operation::Rename, &from, 0, |disk| {
            disk.existing(&from)?;
            disk.rename_or_link(NameChange::Rename(from.clone(), to));
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> DiskResult<()> {
        let path = self.full(path);
        self.core.disk_io(Operation::Remove, &path, 0, |disk| {
            disk.existing(&path)?;
            disk.rename_or_link(NameChange::Unlink(path.clone()));
            Ok(())
        })
    }

    fn sync_dir(&self, path: &str) -> DiskResult<()> {
        let path = self.full(path);
        self.core.disk_io(Operation::SyncDirectory, &path, 0, |disk| {
            disk.sync_folder(&path);
            Ok(())
        })
    }

    fn lock(&self, path: &str) -> DiskResult<Box<dyn DirectoryLock>> {
        let path = self.full(path);
        self.core.disk_io(Operation::Lock, &path, 0, |disk| {
            if disk.locks.insert(path.clone()) {
                return Ok(());
            }
            Err(io::Error::new(io::ErrorKind::WouldBlock, "it is in use by process 1"))
        })?;
        Ok(Box::new(SimulatedLock { core: self.core.clone(), path }))
    }

    fn exists(&self, path: &str) -> DiskResult<bool> {
        let path = self.full(path);
        self.core.disk_io(Operation::Open, &path, 0, |disk| {
            Ok(disk.names.contains_key(&path) || disk.folders.contains(&path))
        })
    }
}

struct SimulatedLock {
    core: Arc<Core>,
    path: String,
}

impl DirectoryLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.core.with_disk(|disk| disk.locks.remove(&self.path));
    }
}

impl std::fmt::Debug for SimulatedLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedLock({})", self.path)
    }
}

struct SimulatedFile {
    core: Arc<Core>,
    path: String,
    inode: Inode,
    writable: bool,
}

impl std::fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedFile({})", self.path)
    }
}

impl SimulatedFile {
    fn change(&self, operation: Operation, weight: u64, change: impl FnOnce() -> Change) -> DiskResult<()> {
        self.core.disk_io(operation, &self.path, weight, |disk| {
            if !self.writable {
                return Err(errno(libc::EBADF));
            }
            disk.change(self.inode, change())
        })
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl File for SimulatedFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> DiskResult<usize> {
        self.core.disk_io(Operation::Read, &self.path, offset, |disk| {
            let file = disk.files.get(&self.inode).ok_or_else(|| errno(libc::EBADF))?;
            let rest = file.current.get(index(offset)..).unwrap_or_default();
            let count = rest.len().min(bytes.len());
            bytes[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> DiskResult<()> {
        // The bytes go into the trace, so that two runs of a seed are compared by what they write.
        let weight =
            bytes.iter().fold(offset, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
        self.change(Operation::Write, weight, || Change::Write {
            offset: index(offset),
            bytes: bytes.to_vec(),
        })
    }

    fn len(&self) -> DiskResult<u64> {
        self.core.disk_io(Operation::Length, &self.path, 0, |disk| {
            Ok(disk.files.get(&self.inode).map_or(0, |file| file.current.len() as u64))
        })
    }

    fn truncate(&self, len: u64) -> DiskResult<()> {
        self.change(Operation::Truncate, len, || Change::Resize(index(len)))
    }

    fn preallocate(&self, len: u64) -> DiskResult<()> {
        self.core.disk_io(Operation::Preallocate, &self.path, len, |disk| {
            let has = disk.files.get(&self.inode).map_or(0, |file| file.current.len());
            if index(len) <= has {
                return Ok(());
            }
            disk.change(self.inode, Change::Resize(index(len)))
        })
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.core.disk_io(Operation::SyncData, &self.path, 0, |disk| {
            let file = disk.files.get_mut(&self.inode).ok_or_else(|| errno(libc::EBADF))?;
            for change in std::mem::take(&mut file.pending) {
                change.apply(&mut file.durable);
            }
            Ok(())
        })
    }
}
