//! The disk: a folder of files, and what can go wrong with it.
//!
//! Paths are relative to the disk's root, `/` between the parts. Durability is the caller's business:
//! written bytes survive a power failure after [`File::sync_data`], names after [`Disk::sync_dir`].

use std::io;

/// The result of a disk operation.
pub type DiskResult<T> = Result<T, DiskError>;

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operation {
    Open,
    Create,
    Read,
    Write,
    Length,
    Truncate,
    Preallocate,
    SyncData,
    SyncDirectory,
    CreateDirectory,
    Rename,
    Remove,
    List,
    Lock,
}

impl Operation {
    /// The operation as a verb for messages: `could not open file ...`.
    pub fn verb(self) -> &'static str {
        match self {
            Operation::Open => "open",
            Operation::Create => "create",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Length => "get the length of",
            Operation::Truncate => "truncate",
            Operation::Preallocate => "preallocate",
            Operation::SyncData => "fsync",
            Operation::SyncDirectory => "fsync directory",
            Operation::CreateDirectory => "create directory",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::List => "list directory",
            Operation::Lock => "lock directory",
        }
    }
}

/// A disk operation that failed: which, on what, why.
#[derive(Debug, thiserror::Error)]
#[error("could not {} \"{path}\": {source}", operation.verb())]
pub struct DiskError {
    /// What was attempted.
    pub operation: Operation,
    /// On which file, root included.
    pub path: String,
    /// What the operating system said.
    pub source: io::Error,
}

impl DiskError {
    /// An error from the operating system.
    pub fn new(operation: Operation, path: impl Into<String>, source: impl Into<io::Error>) -> DiskError {
        DiskError { operation, path: path.into(), source: source.into() }
    }

    /// What kind of error, in std's words.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the disk or a quota is full: freeing space helps.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether the file was not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> io::Error {
        io::Error::new(error.kind(), error.to_string())
    }
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; an error when the name is taken.
    CreateNew,
    /// An existing or a new file, for reading and writing.
    Create,
}

/// A folder of files.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Where the root is, for messages.
    fn root(&self) -> &str;

    /// Opens a file.
    ///
    /// # Errors
    /// When it is missing, taken ([`OpenMode::CreateNew`]) or unreadable.
    fn open(&self, path: &str, mode: OpenMode) -> DiskResult<Box<dyn File>>;

    /// Makes a folder and those above it; nothing when it exists.
    ///
    /// # Errors
    /// When the operating system fails.
    fn create_dir(&self, path: &str) -> DiskResult<()>;

    /// Names in a folder, sorted; `""` is the root.
    ///
    /// # Errors
    /// When the folder is missing or unreadable.
    fn list(&self, path: &str) -> DiskResult<Vec<String>>;

    /// Gives a file another name in place of whatever has it; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// When it is missing or the operating system fails.
    fn rename(&self, from: &str, to: &str) -> DiskResult<()>;

    /// Removes a file; durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// When it is missing or the operating system fails.
    fn remove(&self, path: &str) -> DiskResult<()>;

    /// Makes the names in a folder durable: what was created, renamed and removed.
    ///
    /// # Errors
    /// When the disk fails; what is durable is then unknown.
    fn sync_dir(&self, path: &str) -> DiskResult<()>;

    /// Takes the folder for this process until the lock is dropped.
    ///
    /// # Errors
    /// Kind `WouldBlock` naming the holder's process id when somebody has it.
    fn lock(&self, path: &str) -> DiskResult<Box<dyn DirectoryLock>>;

    /// Whether a file or folder is there.
    ///
    /// # Errors
    /// When the operating system fails.
    fn exists(&self, path: &str) -> DiskResult<bool>;

    /// Reads a whole file.
    ///
    /// # Errors
    /// As [`Disk::open`] and [`File::read_at`].
    fn read(&self, path: &str) -> DiskResult<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Puts a whole file in place, durably and at once: written beside, synced, renamed, folder synced.
    ///
    /// # Errors
    /// When any step fails; the old content is then still there, or the new.
    fn write_atomically(&self, path: &str, bytes: &[u8]) -> DiskResult<()> {
        let beside = format!("{path}.new");
        if self.exists(&beside)? {
            self.remove(&beside)?;
        }
        let file = self.open(&beside, OpenMode::CreateNew)?;
        file.write_at(0, bytes)?;
        file.sync_data()?;
        self.rename(&beside, path)?;
        self.sync_dir(path.rsplit_once('/').map_or("", |(folder, _)| folder))
    }
}

/// An open file.
pub trait File: Send + Sync + std::fmt::Debug {
    /// Its path with the disk's root, for messages.
    fn path(&self) -> &str;

    /// Reads at `offset`; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// When the disk fails.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> DiskResult<usize>;

    /// Writes all of `bytes` at `offset`, growing the file.
    ///
    /// # Errors
    /// When the disk fails or is full; a part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> DiskResult<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// When the disk fails.
    fn len(&self) -> DiskResult<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// As [`File::len`].
    fn is_empty(&self) -> DiskResult<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// When the disk fails.
    fn truncate(&self, len: u64) -> DiskResult<()>;

    /// Reserves space up to `len` and grows the file to it, with zeros.
    ///
    /// # Errors
    /// When the disk fails or is full.
    fn preallocate(&self, len: u64) -> DiskResult<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// When the disk fails. What is durable is then unknown and a second attempt proves nothing
    /// (Linux drops the dirty pages): never retry, stop and recover.
    fn sync_data(&self) -> DiskResult<()>;

    /// Says that all of it will be read soon, so that a slow disk can begin. Nothing depends on it.
    fn will_be_read(&self) {}

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// Kind `UnexpectedEof` when the file ends before.
    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> DiskResult<()> {
        let read = self.read_at(offset, bytes)?;
        if read < bytes.len() {
            let why = format!(
                "file ends at {}, wanted up to {}",
                offset + read as u64,
                offset + bytes.len() as u64
            );
            return Err(DiskError::new(
                Operation::Read,
                self.path(),
                io::Error::new(io::ErrorKind::UnexpectedEof, why),
            ));
        }
        Ok(())
    }
}

/// A folder taken for this process; dropping it gives it back.
pub trait DirectoryLock: Send + Sync + std::fmt::Debug {}
