//! A file that is not there until it is whole: written under a temporary name, then made durable and renamed.

use std::sync::Arc;

use tuplix_machine::{Disk, DiskResult, File, OpenMode};

/// Bytes between two fsyncs: the log's own fsync must not wait for a large one of ours.
const SYNC_BYTES: u64 = 8 << 20;

/// A file that is being written. Dropped before [`NewFile::finish`], it stays under its temporary name.
#[derive(Debug)]
pub(crate) struct NewFile {
    disk: Arc<dyn Disk>,
    file: Box<dyn File>,
    unfinished: String,
    length: u64,
    synced: u64,
}

impl NewFile {
    /// Begins a file under its temporary name, in place of one that was left there.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub(crate) fn create(disk: Arc<dyn Disk>, unfinished: String) -> DiskResult<NewFile> {
        if disk.exists(&unfinished)? {
            disk.remove(&unfinished)?;
        }
        let file = disk.open(&unfinished, OpenMode::CreateNew)?;
        Ok(NewFile { disk, file, unfinished, length: 0, synced: 0 })
    }

    /// Bytes written so far.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> DiskResult<()> {
        self.file.write_at(self.length, bytes)?;
        self.length += bytes.len() as u64;
        if self.length - self.synced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.length;
        }
        Ok(())
    }

    /// Puts the file in place under its name and makes all of that durable; its length.
    ///
    /// # Errors
    /// When the disk fails or is full: the file may or may not be there then, whole or not at all.
    pub(crate) fn finish(self, name: &str) -> DiskResult<u64> {
        self.file.sync_data()?;
        self.disk.rename(&self.unfinished, name)?;
        self.disk.sync_dir("")?;
        Ok(self.length)
    }
}

/// Removes the files in the folder that is `disk`'s root whose names end so, and says how many.
///
/// # Errors
/// When the disk fails.
pub(crate) fn remove_ending(disk: &dyn Disk, ending: &str) -> DiskResult<usize> {
    let names: Vec<String> = disk.list("")?.into_iter().filter(|name| name.ends_with(ending)).collect();
    names.iter().try_for_each(|name| disk.remove(name))?;
    if !names.is_empty() {
        disk.sync_dir("")?;
    }
    Ok(names.len())
}
