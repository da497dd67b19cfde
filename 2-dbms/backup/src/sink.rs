//! Where the files of a backup go: a directory, or a tar stream.

use std::io::{Read, Write};
use std::sync::Arc;

use tuplix_machine::{Disk, File, OpenMode};
use tuplix_types::Result;

use crate::manifest::FileEntry;
use crate::{disk_error, io};

/// Bytes read and written at once.
const PIECE: usize = 1 << 20;

/// Takes files one after the other.
pub(crate) trait Sink {
    /// Takes a file of this length.
    fn put(&mut self, path: &str, length: u64, from: &mut dyn Read) -> Result<()>;
    /// Everything is there: make it durable.
    fn finish(&mut self) -> Result<()>;
}

/// Files below a folder.
pub(crate) struct DirectorySink {
    disk: Arc<dyn Disk>,
    folders: Vec<String>,
}

impl DirectorySink {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> DirectorySink {
        DirectorySink { disk, folders: Vec::new() }
    }
}

impl Sink for DirectorySink {
    fn put(&mut self, path: &str, length: u64, from: &mut dyn Read) -> Result<()> {
        if let Some((folder, _)) = path.rsplit_once('/')
            && !self.folders.iter().any(|known| known == folder)
        {
            self.disk.create_dir(folder).map_err(|error| disk_error(&error))?;
            self.folders.push(folder.to_owned());
        }
        let file = self.disk.open(path, OpenMode::CreateNew).map_err(|error| disk_error(&error))?;
        let mut offset = 0;
        let mut piece = vec![0; PIECE];
        while offset < length {
            let wanted = piece.len().min(usize::try_from(length - offset).unwrap_or(PIECE));
            from.read_exact(&mut piece[..wanted])
                .map_err(|error| io(&format!("could not read {path}"), &error))?;
            file.write_at(offset, &piece[..wanted]).map_err(|error| disk_error(&error))?;
            offset += wanted as u64;
        }
        file.sync_data().map_err(|error| disk_error(&error))
    }

    fn finish(&mut self) -> Result<()> {
        for folder in self.folders.iter().map(String::as_str).chain([""]) {
            self.disk.sync_dir(folder).map_err(|error| disk_error(&error))?;
        }
        Ok(())
    }
}

/// A tar stream.
pub(crate) struct TarSink<W: Write> {
    builder: tar::Builder<W>,
    /// Seconds since 1970.
    made: u64,
}

impl<W: Write> TarSink<W> {
    pub(crate) fn new(to: W, made_us: i64) -> TarSink<W> {
        /// From 1970 to 2000.
        const EPOCH_SECONDS: i64 = 946_684_800;
        let made = u64::try_from(made_us / 1_000_000 + EPOCH_SECONDS).unwrap_or(0);
        TarSink { builder: tar::Builder::new(to), made }
    }
}

impl<W: Write> Sink for TarSink<W> {
    fn put(&mut self, path: &str, length: u64, from: &mut dyn Read) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.made);
        let written = self.builder.append_data(&mut header, path, from);
        written.map_err(|error| io(&format!("could not write \"{path}\" to the tar stream"), &error))
    }

    fn finish(&mut self) -> Result<()> {
        self.builder.finish().map_err(|error| io("could not end the tar stream", &error))?;
        self.builder.get_mut().flush().map_err(|error| io("could not end the tar stream", &error))
    }
}

/// A file as a stream, checksummed on the way.
pub(crate) struct FileStream<'f> {
    pub(crate) file: &'f dyn File,
    pub(crate) offset: u64,
    pub(crate) checksum: u32,
}

impl<'f> FileStream<'f> {
    pub(crate) fn new(file: &'f dyn File) -> FileStream<'f> {
        FileStream { file, offset: 0, checksum: 0 }
    }
}

impl Read for FileStream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(self.offset, bytes)?;
        self.offset += count as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes[..count]);
        Ok(count)
    }
}

/// Puts a file that is in memory and says what the manifest says of it.
pub(crate) fn put_bytes(sink: &mut dyn Sink, path: &str, bytes: &[u8]) -> Result<FileEntry> {
    sink.put(path, bytes.len() as u64, &mut &bytes[..])?;
    Ok(FileEntry { path: path.to_owned(), bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) })
}
