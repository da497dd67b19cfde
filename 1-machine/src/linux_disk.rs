//! Linux: files below a folder.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::{Advice, FallocateFlags, FlockOperation};

use crate::disk::{DirectoryLock, Disk, DiskError, DiskResult, File, OpenMode, Operation};

/// The name of the lock file in a locked folder.
const LOCK_FILE: &str = "lock";

#[derive(Debug)]
pub(crate) struct LinuxDisk {
    root: String,
}

impl LinuxDisk {
    pub(crate) fn new(root: &str) -> LinuxDisk {
        LinuxDisk { root: root.to_owned() }
    }

    fn full(&self, path: &str) -> PathBuf {
        let mut full = PathBuf::from(&self.root);
        if !path.is_empty() {
            full.push(path);
        }
        full
    }

    fn error(&self, operation: Operation, path: &str) -> impl FnOnce(io::Error) -> DiskError {
        let path = self.full(path).to_string_lossy().into_owned();
        move |source| DiskError { operation, path, source }
    }
}

impl Disk for LinuxDisk {
    fn root(&self) -> &str {
        &self.root
    }

    fn open(&self, path: &str, mode: OpenMode) -> DiskResult<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        // Passwords and rights count for nothing to who can read the files.
        options.read(true).mode(0o600);
        let operation = match mode {
            OpenMode::Read => Operation::Open,
            OpenMode::Write => {
                options.write(true);
                Operation::Open
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
                Operation::Create
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(false);
                Operation::Create
            }
        };
        let full = self.full(path);
        let file = options.open(&full).map_err(self.error(operation, path))?;
        Ok(Box::new(LinuxFile { path: full.to_string_lossy().into_owned(), file }))
    }

    fn create_dir(&self, path: &str) -> DiskResult<()> {
        fs::create_dir_all(self.full(path)).map_err(self.error(Operation::CreateDirectory, path))
    }

    fn list(&self, path: &str) -> DiskResult<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.full(path))? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        };
        read().map_err(self.error(Operation::List, path))
    }

    fn rename(&self, from: &str, to: &str) -> DiskResult<()> {
        fs::rename(self.full(from), self.full(to)).map_err(self.error(Operation::Rename, from))
    }

    fn remove(&self, path: &str) -> DiskResult<()> {
        fs::remove_file(self.full(path)).map_err(self.error(Operation::Remove, path))
    }

    fn sync_dir(&self, path: &str) -> DiskResult<()> {
        fs::File::open(self.full(path))
            .and_then(|folder| folder.sync_all())
            .map_err(self.error(Operation::SyncDirectory, path))
    }

    fn lock(&self, path: &str) -> DiskResult<Box<dyn DirectoryLock>> {
        let lock_path = self.full(path).join(LOCK_FILE);
        let take = || -> io::Result<fs::File> {
            let mut file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&lock_path)?;
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    pid => format!("process {pid}"),
                };
                return Err(io::Error::new(io::ErrorKind::WouldBlock, format!("it is in use by {holder}")));
            }
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())?;
            Ok(file)
        };
        let file = take().map_err(self.error(Operation::Lock, path))?;
        Ok(Box::new(LinuxLock { _file: file }))
    }

    fn exists(&self, path: &str) -> DiskResult<bool> {
        self.full(path).try_exists().map_err(self.error(Operation::Open, path))
    }
}

/// The kernel gives the lock back when the file is closed, also when the process is killed.
#[derive(Debug)]
struct LinuxLock {
    _file: fs::File,
}

impl DirectoryLock for LinuxLock {}

#[derive(Debug)]
struct LinuxFile {
    path: String,
    file: fs::File,
}

impl LinuxFile {
    fn error(&self, operation: Operation) -> impl FnOnce(io::Error) -> DiskError + '_ {
        move |source| DiskError { operation, path: self.path.clone(), source }
    }
}

impl File for LinuxFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> DiskResult<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Operation::Read)(error)),
            }
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> DiskResult<()> {
        self.file.write_all_at(bytes, offset).map_err(self.error(Operation::Write))
    }

    fn len(&self) -> DiskResult<u64> {
        Ok(self.file.metadata().map_err(self.error(Operation::Length))?.len())
    }

    fn truncate(&self, len: u64) -> DiskResult<()> {
        self.file.set_len(len).map_err(self.error(Operation::Truncate))
    }

    fn preallocate(&self, len: u64) -> DiskResult<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // A file system without fallocate: a sparse file does.
            Err(rustix::io::Errno::OPNOTSUPP) => {
                if self.len()? < len {
                    self.truncate(len)?;
                }
                Ok(())
            }
            Err(error) => Err(self.error(Operation::Preallocate)(error.into())),
        }
    }

    fn sync_data(&self) -> DiskResult<()> {
        self.file.sync_data().map_err(self.error(Operation::SyncData))
    }

    fn will_be_read(&self) {
        // An advice: a file system that does not take it reads later what it would have read now.
        rustix::fs::fadvise(&self.file, 0, None, Advice::WillNeed).ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn disk() -> (tempfile::TempDir, LinuxDisk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = LinuxDisk::new(folder.path().to_str().unwrap());
        (folder, disk)
    }

    #[test]
    fn files_are_written_read_renamed_and_removed() {
        let (_folder, disk) = disk();
        disk.create_dir("a/b").unwrap();
        let file = disk.open("a/b/f", OpenMode::CreateNew).unwrap();
        file.preallocate(100).unwrap();
        file.write_at(2, b"xy").unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 100);
        file.truncate(4).unwrap();
        disk.rename("a/b/f", "a/g").unwrap();
        disk.sync_dir("a").unwrap();
        assert_eq!(disk.read("a/g").unwrap(), b"\0\0xy");
        assert_eq!(disk.list("a").unwrap(), ["b", "g"]);
        disk.write_atomically("a/g", b"new").unwrap();
        assert_eq!(disk.read("a/g").unwrap(), b"new");
        assert!(file.read_exact_at(3, &mut [0; 2]).unwrap_err().to_string().contains("file ends at 4"));
        disk.remove("a/g").unwrap();
        assert!(!disk.exists("a/g").unwrap());
        assert!(disk.open("a/g", OpenMode::Read).unwrap_err().is_not_found());
    }

    #[test]
    fn a_locked_folder_says_who_holds_it() {
        let (_folder, disk) = disk();
        let lock = disk.lock("").unwrap();
        let error = disk.lock("").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(lock);
        disk.lock("").unwrap();
    }
}
