//! A task's files: inputs before it runs, logs and outputs after.
//!
//! An input is a path of the Tuplix file system, or `{"path": ..., "as": name in the working directory}`; a directory comes with
//! all below it. An output is a path, or `{"path": ..., "from": name in the working directory}`. Without a name it is the
//! last one of the path. A path without a leading `/` begins at the owner's home.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde_json::Value as Json;
use tuplix::{Session, SqlError};
use tuplix_services::fs::{Fs, Kind, Writer};
use tuplix_services::{Bucket, errors};

use crate::errors::text_of;

/// Bytes that one call moves.
const PIECE_BYTES: usize = 8 << 20;

/// Bytes of all inputs of a task, and of all its outputs.
pub const TASK_FILES_BYTES_MAX: u64 = 1 << 30;

/// Bytes kept of each of stdout and stderr: the first half and the last.
pub const LOG_BYTES_MAX: u64 = 16 << 20;

/// Times that a file which is written meanwhile is read anew.
const READS: u32 = 5;

/// Directories below an output.
const DEPTH_MAX: u32 = 64;

/// Why files of a task cannot be moved.
#[derive(Debug)]
pub(crate) enum FilesError {
    /// The task's own fault, or its owner's.
    Task(String),
    /// The database's.
    Database(SqlError),
}

impl From<SqlError> for FilesError {
    /// What the file system refuses is a matter of the task's paths.
    fn from(error: SqlError) -> FilesError {
        if error.sqlstate().as_str().starts_with("TXF") {
            FilesError::Task(text_of(&error))
        } else {
            FilesError::Database(error)
        }
    }
}

type Result<T> = std::result::Result<T, FilesError>;

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(FilesError::Task(text.into()))
}

/// A file of the task: its path, and its name in the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) path: String,
    pub(crate) name: PathBuf,
}

/// Reads what a task declares; `key` is how its objects call the name.
pub(crate) fn declared(list: &Json, key: &str, owner: &str) -> Result<Vec<Declared>> {
    let Json::Array(items) = list else {
        return refuse(format!("its files are {list}, not a list of paths"));
    };
    items.iter().map(|item| declared_one(item, key, owner)).collect()
}

fn declared_one(item: &Json, key: &str, owner: &str) -> Result<Declared> {
    let (path, name) = match item {
        Json::String(path) => (path.as_str(), None),
        Json::Object(fields) => {
            let unknown = fields.keys().find(|field| *field != "path" && field != &key);
            let name = fields.get(key).map(Json::as_str);
            match (fields.get("path").and_then(Json::as_str), unknown, name) {
                (Some(path), None, None) => (path, None),
                (Some(path), None, Some(Some(name))) => (path, Some(name)),
                _ => return refuse(format!("a file is {item}, not {{\"path\": ..., \"{key}\": ...}}")),
            }
        }
        _ => return refuse(format!("a file is {item}, not a path")),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/home/{owner}/{path}") };
    let last = path.rsplit('/').find(|name| !name.is_empty()).unwrap_or_default();
    let name = PathBuf::from(name.unwrap_or(last));
    let normal = name.components().all(|part| matches!(part, Component::Normal(_)));
    if name.as_os_str().is_empty() || !normal {
        return refuse(format!("the name \"{}\" does not stay in the working directory", name.display()));
    }
    Ok(Declared { path, name })
}

/// Copies files between the Tuplix file system and a task's folder.
pub(crate) struct Files<'a> {
    session: &'a mut Session,
    fs: &'a Fs,
    /// Bytes moved so far.
    bytes: u64,
    /// A directory that is there.
    made: Option<String>,
}

impl<'a> Files<'a> {
    /// For one task, and one transaction where it writes.
    pub(crate) fn new(session: &'a mut Session, fs: &'a Fs) -> Files<'a> {
        Files { session, fs, bytes: 0, made: None }
    }

    /// Puts an input into the working directory.
    pub(crate) fn stage(&mut self, input: &Declared, folder: &Path) -> Result<()> {
        let target = folder.join(&input.name);
        if target.exists() {
            return refuse(format!(
                "two of its inputs are called \"{}\"; name one by {{\"path\": ..., \"as\": ...}}",
                input.name.display()
            ));
        }
        let bucket = self.fs.bucket_of(self.session, &input.path)?;
        let found = match self.fs.stat(self.session, bucket, &input.path) {
            Err(error) if error.sqlstate() == errors::NO_ENTRY => {
                return refuse(format!("there is no input file {}", input.path));
            }
            found => found?,
        };
        if let Some(parent) = target.parent() {
            local(fs::create_dir_all(parent), parent)?;
        }
        if found.kind != Kind::Directory {
            return self.stage_file(bucket, &input.path, &target);
        }
        local(fs::create_dir(&target), &target)?;
        for entry in self.fs.tree(self.session, bucket, &input.path)? {
            let Some(below) = entry.name.strip_prefix(input.path.trim_end_matches('/')) else { continue };
            let target = target.join(below.trim_start_matches('/'));
            match entry.kind {
                Kind::Directory => local(fs::create_dir_all(&target), &target)?,
                _ => self.stage_file(bucket, &entry.name, &target)?,
            }
        }
        Ok(())
    }

    fn stage_file(&mut self, bucket: Bucket, path: &str, target: &Path) -> Result<()> {
        for _ in 0..READS {
            let stat = self.fs.stat(self.session, bucket, path)?;
            self.bytes = self.bytes.saturating_add(stat.size.unsigned_abs());
            if self.bytes > TASK_FILES_BYTES_MAX {
                return refuse(format!("its inputs have more than {TASK_FILES_BYTES_MAX} bytes"));
            }
            let mut file = local(File::create(target), target)?;
            let (mut at, mut executable) = (0, false);
            while at < stat.size {
                let piece = self.fs.read(self.session, stat.file, at, PIECE_BYTES as i32)?;
                if piece.is_empty() {
                    break;
                }
                executable |= at == 0 && is_program(&piece);
                local(io::Write::write_all(&mut file, &piece), target)?;
                at += piece.len() as i64;
            }
            if executable {
                let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
                local(file.set_permissions(mode), target)?;
            }
            let small = stat.size <= PIECE_BYTES as i64 && at == stat.size;
            if small || self.fs.stat(self.session, bucket, path)?.version == stat.version {
                return Ok(());
            }
        }
        refuse(format!("its input {path} is being written all the time"))
    }

    /// Keeps what a task wrote to stdout or stderr.
    pub(crate) fn keep_log(&mut self, log: &Path, path: &str, writer: Writer<'_>) -> Result<()> {
        let mut file = local(File::open(log), log)?;
        let length = local(file.metadata(), log)?.len();
        if length <= LOG_BYTES_MAX {
            return self.store(&mut file, path, writer);
        }
        let half = LOG_BYTES_MAX / 2;
        let mut tail = local(File::open(log), log)?;
        local(tail.seek(SeekFrom::Start(length - half)), log)?;
        let left_out = format!("\n... {} bytes left out ...\n", length - LOG_BYTES_MAX);
        self.store(&mut file.take(half).chain(left_out.as_bytes()).chain(tail.take(half)), path, writer)
    }

    /// Collects an output.
    pub(crate) fn collect(&mut self, output: &Declared, folder: &Path, writer: Writer<'_>) -> Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = local(rustix::fs::open(folder, flags, Mode::empty()).map_err(Into::into), folder)?;
        // Links of the task lead nowhere outside its folder.
        let found = open_below(&root, &output.name, ResolveFlags::BENEATH);
        let file = match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse(format!(
                    "it wrote no file \"{}\" for its output {}",
                    output.name.display(),
                    output.path
                ));
            }
            found => local(found, &output.name)?,
        };
        if local(file.metadata(), &output.name)?.is_dir() {
            self.collect_folder(&file, &output.path, writer, DEPTH_MAX)
        } else {
            self.collect_file(file, &output.path, writer)
        }
    }

    fn collect_folder(&mut self, folder: &File, path: &str, writer: Writer<'_>, depth: u32) -> Result<()> {
        if depth == 0 {
            return refuse(format!("its output {path} has more than {DEPTH_MAX} directories in each other"));
        }
        let bucket = self.fs.bucket_of(self.session, path)?;
        self.fs.make_directory(self.session, bucket, path, writer, true)?;
        let place = Path::new(path);
        let mut names = Vec::new();
        for entry in local(rustix::fs::Dir::read_from(folder).map_err(Into::into), place)? {
            let entry = local(entry.map_err(Into::into), place)?;
            let Ok(name) = entry.file_name().to_str() else {
                return refuse(format!("a file below its output {path} has a name that is no UTF-8"));
            };
            names.extend((name != "." && name != "..").then(|| name.to_owned()));
        }
        names.sort();
        for name in names {
            let flags = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let file = local(open_below(folder, Path::new(&name), flags), &place.join(&name))?;
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            if local(file.metadata(), Path::new(&name))?.is_dir() {
                self.collect_folder(&file, &path, writer, depth - 1)?;
            } else {
                self.collect_file(file, &path, writer)?;
            }
        }
        Ok(())
    }

    fn collect_file(&mut self, mut file: File, path: &str, writer: Writer<'_>) -> Result<()> {
        let what = local(file.metadata(), Path::new(path))?;
        if !what.is_file() {
            return refuse(format!("its output {path} is neither a file nor a directory"));
        }
        self.bytes = self.bytes.saturating_add(what.len());
        if self.bytes > TASK_FILES_BYTES_MAX {
            return refuse(format!("its outputs have more than {TASK_FILES_BYTES_MAX} bytes"));
        }
        self.store(&mut file, path, writer)
    }

    /// Writes a whole file, with the directories above it.
    fn store(&mut self, from: &mut impl Read, path: &str, writer: Writer<'_>) -> Result<()> {
        let bucket = self.fs.bucket_of(self.session, path)?;
        if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty())
            && self.made.as_deref() != Some(parent)
        {
            self.fs.make_directory(self.session, bucket, parent, writer, true)?;
            self.made = Some(parent.to_owned());
        }
        let mut piece = Vec::new();
        let mut next = |piece: &mut Vec<u8>| {
            piece.clear();
            local(from.by_ref().take(PIECE_BYTES as u64).read_to_end(piece), Path::new(path))
        };
        next(&mut piece)?;
        let (file, _) = self.fs.put(self.session, bucket, path, &piece, writer)?;
        while piece.len() == PIECE_BYTES && next(&mut piece)? > 0 {
            self.fs.write(self.session, file, None, &piece, writer)?;
        }
        Ok(())
    }
}

/// Opens a file without leaving a folder.
fn open_below(folder: &impl std::os::fd::AsFd, name: &Path, resolve: ResolveFlags) -> io::Result<File> {
    // Opening a pipe must not wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve)?.into())
}

/// Whether a file begins as a program does; the Tuplix file system tells nobody yet.
fn is_program(data: &[u8]) -> bool {
    data.starts_with(b"#!") || data.starts_with(b"\x7fELF")
}

fn local<T>(result: io::Result<T>, path: &Path) -> Result<T> {
    result.map_err(|error| FilesError::Task(format!("its file {} cannot be used: {error}", path.display())))
}

/// The last line that a program wrote to a log, shortened.
pub(crate) fn last_line(log: &Path) -> Option<String> {
    /// Bytes looked at.
    const TAIL_BYTES: u64 = 400;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn refused(list: &Json) -> String {
        match declared(list, "as", "alice") {
            Err(FilesError::Task(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn declarations_are_paths_or_objects() {
        let list = json!(["/a/b.txt", "c/d", {"path": "/e", "as": "f/g"}]);
        let declared = declared(&list, "as", "alice").unwrap();
        let pairs: Vec<_> =
            declared.iter().map(|file| (file.path.as_str(), file.name.to_str().unwrap())).collect();
        assert_eq!(pairs, [("/a/b.txt", "b.txt"), ("/home/alice/c/d", "d"), ("/e", "f/g")]);
    }

    #[test]
    fn names_stay_in_the_working_directory() {
        for name in ["../x", "/etc/passwd", "a/../../b", ""] {
            assert!(refused(&json!([{"path": "/e", "as": name}])).contains("working directory"), "{name}");
        }
        assert!(refused(&json!(["/"])).contains("working directory"));
        assert!(refused(&json!([7])).contains("not a path"));
        assert!(refused(&json!([{"path": "/e", "to": "x"}])).contains("\"as\""));
        assert!(refused(&json!({})).contains("not a list"));
    }
}
