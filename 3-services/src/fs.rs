//! Files: a tree of names in each user's home bucket, blocks beside them.
//!
//! `/home/NAME` stands in NAME's home bucket, everything else in bucket 0: [`Fs::bucket_of`] says which, and the calls by path
//! take it. Calls by [`FileId`] need no path and no walk. There is nothing to open or close.

use std::sync::Arc;

use tuplix::{Result, Session, Value};

use crate::ids::{Bucket, FileId, TaskId, Timestamp};
use crate::procedure::{Fields, Procedure, bytea_array, int8_array, or_null, text};
use crate::service::{Service, service};

/// The files' SQL.
pub const SERVICE: Service = service!(
    "fs",
    1,
    [
        "path_bucket",
        "resolve_path",
        "find_file",
        "add_entry",
        "create_file",
        "make_directory",
        "cut_blocks",
        "drop_entry",
        "check_home",
        "remove_file",
        "remove_directory",
        "rename_file",
        "stat_file",
        "list_directory",
        "list_tree",
        "remove_tree",
        "touch_file",
        "write_blocks",
        "read_blocks",
        "read_many_blocks",
        "block_prefix",
        "split_blocks",
        "write_file",
        "read_file",
        "truncate_file",
        "put_file",
        "get_file",
        "add_user",
    ]
);

/// Who writes: noted in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer<'a> {
    /// The user.
    pub user: &'a str,
    /// The task that writes for the user.
    pub task: Option<TaskId>,
}

impl<'a> Writer<'a> {
    /// A user without a task.
    pub fn user(user: &'a str) -> Writer<'a> {
        Writer { user, task: None }
    }

    /// A task of a user.
    pub fn task(user: &'a str, task: TaskId) -> Writer<'a> {
        Writer { user, task: Some(task) }
    }

    fn values(self) -> [Value; 2] {
        [text(self.user), or_null(self.task, TaskId::value)]
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
    /// A path; no procedure makes one yet.
    Symlink,
}

impl Kind {
    fn read(name: &str) -> Kind {
        match name {
            "directory" => Kind::Directory,
            "symlink" => Kind::Symlink,
            _ => Kind::File,
        }
    }
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The file.
    pub file: FileId,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: i64,
    /// Bytes of a block.
    pub block_size: i32,
    /// Counts its writes.
    pub version: i64,
    /// Permission bits.
    pub mode: i32,
    /// Whose it is.
    pub owner: String,
    /// How many names it has.
    pub links: i32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its bytes or entries changed.
    pub modified_at: Timestamp,
    /// When anything of it changed.
    pub changed_at: Timestamp,
    /// The task that wrote this version.
    pub writer_task: Option<TaskId>,
    /// The user who wrote this version.
    pub writer: String,
}

/// A file by its name in a directory, or by its path in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, or the path.
    pub name: String,
    /// The file; in another bucket at a mount point.
    pub file: FileId,
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: i64,
    /// Counts its writes.
    pub version: i64,
    /// Whose it is.
    pub owner: String,
    /// When its bytes or entries changed; `None` at a mount point.
    pub modified_at: Option<Timestamp>,
    /// The task that wrote this version.
    pub writer_task: Option<TaskId>,
    /// The user who wrote this version.
    pub writer: String,
}

impl Entry {
    fn read(row: Fields<'_>) -> Result<Entry> {
        Ok(Entry {
            name: row.text(0)?,
            file: FileId(row.int(1)?),
            kind: Kind::read(&row.text(2)?),
            size: row.int(3)?,
            version: row.int(4)?,
            owner: row.text(5)?,
            modified_at: row.time_or_null(6),
            writer_task: row.int_or_null(7).map(TaskId),
            writer: row.text(8)?,
        })
    }
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The file.
    pub file: FileId,
    /// The version that was read.
    pub version: i64,
    /// Its bytes.
    pub data: Arc<[u8]>,
}

/// The files' calls, prepared in one session; every call takes that session.
#[derive(Debug)]
pub struct Fs {
    path_bucket: Procedure,
    add_user: Procedure,
    create: Procedure,
    make_directory: Procedure,
    remove_file: Procedure,
    remove_directory: Procedure,
    remove_tree: Procedure,
    rename: Procedure,
    stat: Procedure,
    list: Procedure,
    tree: Procedure,
    write_blocks: Procedure,
    read_blocks: Procedure,
    read_many_blocks: Procedure,
    write: Procedure,
    read: Procedure,
    truncate: Procedure,
    put: Procedure,
    get: Procedure,
}

impl Fs {
    /// Prepares the calls.
    ///
    /// # Errors
    /// 42883 where the services are not installed.
    pub fn new(session: &mut Session) -> Result<Fs> {
        let mut prepare = |sql| Procedure::new(session, sql);
        Ok(Fs {
            path_bucket: prepare("SELECT os.path_bucket($1)")?,
            add_user: prepare("SELECT os.add_user($1, $2)")?,
            create: prepare("SELECT os.create_file($1, $2, $3, $4, $5, $6, $7)")?,
            make_directory: prepare("SELECT os.make_directory($1, $2, $3, $4, $5, $6)")?,
            remove_file: prepare("SELECT os.remove_file($1, $2)")?,
            remove_directory: prepare("SELECT os.remove_directory($1, $2)")?,
            remove_tree: prepare("SELECT os.remove_tree($1, $2)")?,
            rename: prepare("SELECT os.rename_file($1, $2, $3)")?,
            stat: prepare(
                "SELECT file_id, kind, f_size, block_size, version, mode, f_owner, links, created_at, modified_at, changed_at,
                        writer_task_id, writer
                   FROM os.stat_file($1, $2)",
            )?,
            list: prepare(
                "SELECT d_name, file_id, kind, f_size, version, f_owner, modified_at, writer_task_id, writer
                   FROM os.list_directory($1, $2)",
            )?,
            tree: prepare(
                "SELECT f_name, file_id, kind, f_size, version, f_owner, modified_at, writer_task_id, writer
                   FROM os.list_tree($1, $2)",
            )?,
            write_blocks: prepare("SELECT os.write_blocks($1, $2, $3, $4, $5, $6, $7)")?,
            read_blocks: prepare("SELECT block_no, bytes FROM os.read_blocks($1, $2, $3)")?,
            read_many_blocks: prepare("SELECT file_id, block_no, bytes FROM os.read_many_blocks($1, $2, $3)")?,
            write: prepare("SELECT os.write_file($1, $2, $3, $4, $5, $6)")?,
            read: prepare("SELECT os.read_file($1, $2, $3, $4)")?,
            truncate: prepare("SELECT os.truncate_file($1, $2, $3, $4, $5)")?,
            put: prepare("SELECT file, new_version FROM os.put_file($1, $2, $3, $4, $5)")?,
            get: prepare("SELECT file, at_version, data FROM os.get_file($1, $2)")?,
        })
    }

    /// The bucket in which a path's file stands.
    ///
    /// # Errors
    /// The database's.
    pub fn bucket_of(&self, session: &mut Session, path: &str) -> Result<Bucket> {
        self.path_bucket.call_row(session, &[text(path)], |row| Ok(Bucket(row.int4(0)?)))
    }

    /// Adds a user with a home directory, in the bucket of the name unless another one is given; the home bucket.
    ///
    /// # Errors
    /// `TXO02` for a name or bucket that no user can have.
    pub fn add_user(&self, session: &mut Session, name: &str, bucket: Option<Bucket>) -> Result<Bucket> {
        let arguments = [text(name), or_null(bucket, Bucket::value)];
        self.add_user.call_row(session, &arguments, |row| Ok(Bucket(row.int4(0)?)))
    }

    /// Makes an empty file. One that is there already is refused when `exclusive`, and returned otherwise.
    ///
    /// # Errors
    /// `TXF17`, `TXF21`, those of walking a path (`TXF02`, `TXF18`, `TXF20`, `TXF22`, `TXF36`).
    #[allow(clippy::too_many_arguments)]
    pub fn create(
        &self,
        session: &mut Session,
        bucket: Bucket,
        path: &str,
        writer: Writer<'_>,
        mode: i32,
        exclusive: bool,
        block_size: Option<i32>,
    ) -> Result<FileId> {
        let [user, task] = writer.values();
        let (mode, exclusive) = (Value::Int4(mode), Value::Bool(exclusive));
        let block_size = or_null(block_size, Value::Int4);
        let arguments = [bucket.value(), text(path), user, mode, exclusive, block_size, task];
        self.create.call_row(session, &arguments, |row| Ok(FileId(row.int(0)?)))
    }

    /// Makes a directory; with `parents` also those above it, and one that is there already is no error.
    ///
    /// # Errors
    /// `TXF17`, those of walking a path.
    pub fn make_directory(
        &self,
        session: &mut Session,
        bucket: Bucket,
        path: &str,
        writer: Writer<'_>,
        parents: bool,
    ) -> Result<FileId> {
        let [user, task] = writer.values();
        let arguments = [bucket.value(), text(path), user, Value::Int4(0o755), Value::Bool(parents), task];
        self.make_directory.call_row(session, &arguments, |row| Ok(FileId(row.int(0)?)))
    }

    /// Removes a file's name; the file goes with its last name.
    ///
    /// # Errors
    /// `TXF21` for a directory, those of walking a path.
    pub fn remove_file(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<()> {
        self.remove_file.call(session, &[bucket.value(), text(path)]).map(drop)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `TXF39` when it is not empty, those of walking a path.
    pub fn remove_directory(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<()> {
        self.remove_directory.call(session, &[bucket.value(), text(path)]).map(drop)
    }

    /// Removes a file, or a directory with all below it; how many names. Nothing there is no error.
    ///
    /// # Errors
    /// `TXF22` for the root and home directories, those of walking a path but `TXF02` and `TXF20`.
    pub fn remove_tree(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<i64> {
        self.remove_tree.call_row(session, &[bucket.value(), text(path)], |row| row.int(0))
    }

    /// Renames a file, or a directory with all below it, over what has the new name, at once for everybody.
    ///
    /// # Errors
    /// `TXF20`, `TXF21`, `TXF22`, `TXF39` as rename(2), those of walking a path.
    pub fn rename(&self, session: &mut Session, bucket: Bucket, old: &str, new: &str) -> Result<()> {
        self.rename.call(session, &[bucket.value(), text(old), text(new)]).map(drop)
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// Those of walking a path.
    pub fn stat(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<Stat> {
        self.stat.call_row(session, &[bucket.value(), text(path)], |row| {
            Ok(Stat {
                file: FileId(row.int(0)?),
                kind: Kind::read(&row.text(1)?),
                size: row.int(2)?,
                block_size: row.int4(3)?,
                version: row.int(4)?,
                mode: row.int4(5)?,
                owner: row.text(6)?,
                links: row.int4(7)?,
                created_at: row.time(8)?,
                modified_at: row.time(9)?,
                changed_at: row.time(10)?,
                writer_task: row.int_or_null(11).map(TaskId),
                writer: row.text(12)?,
            })
        })
    }

    /// The entries of a directory by name.
    ///
    /// # Errors
    /// Those of walking a path.
    pub fn list(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<Vec<Entry>> {
        self.list.call_rows(session, &[bucket.value(), text(path)], Entry::read)
    }

    /// Everything below a directory, by path.
    ///
    /// # Errors
    /// Those of walking a path.
    pub fn tree(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<Vec<Entry>> {
        self.tree.call_rows(session, &[bucket.value(), text(path)], Entry::read)
    }

    /// Writes whole blocks in one call; the file's new version. `size` is its size then, else the end of the last block
    /// written where that lies beyond.
    ///
    /// # Errors
    /// `TXF22` for a block that is too long or beyond `size`, `TXF02` for an unknown file.
    pub fn write_blocks<T: AsRef<[u8]>>(
        &self,
        session: &mut Session,
        file: FileId,
        numbers: &[i64],
        blocks: &[T],
        writer: Writer<'_>,
        size: Option<i64>,
    ) -> Result<i64> {
        let [user, task] = writer.values();
        let (numbers, blocks) = (int8_array(numbers.iter().copied()), bytea_array(blocks));
        let size = or_null(size, Value::Int8);
        let arguments = [file.bucket().value(), file.value(), numbers, blocks, user, task, size];
        self.write_blocks.call_row(session, &arguments, |row| row.int(0))
    }

    /// Reads blocks in one call, by number. Blocks that were never written are not among them.
    ///
    /// # Errors
    /// `TXF02` for an unknown file.
    pub fn read_blocks(
        &self,
        session: &mut Session,
        file: FileId,
        numbers: &[i64],
    ) -> Result<Vec<(i64, Arc<[u8]>)>> {
        let arguments = [file.bucket().value(), file.value(), int8_array(numbers.iter().copied())];
        self.read_blocks.call_rows(session, &arguments, |row| Ok((row.int(0)?, row.bytes(1)?)))
    }

    /// Reads one block of each of many files of a bucket in one call, in the order asked for; `None` for a block that was
    /// never written.
    ///
    /// # Errors
    /// The database's.
    pub fn read_many_blocks(
        &self,
        session: &mut Session,
        bucket: Bucket,
        blocks: &[(FileId, i64)],
    ) -> Result<Vec<Option<Arc<[u8]>>>> {
        let files = int8_array(blocks.iter().map(|(file, _)| file.0));
        let numbers = int8_array(blocks.iter().map(|(_, number)| *number));
        let arguments = [bucket.value(), files, numbers];
        self.read_many_blocks.call_rows(session, &arguments, |row| Ok(row.bytes(2).ok()))
    }

    /// Writes bytes at any place of a file (`None`: at its end); its new version.
    ///
    /// # Errors
    /// `TXF02` for an unknown file, `TXF21` for a directory, `TXF27` for more than one call may write.
    pub fn write(
        &self,
        session: &mut Session,
        file: FileId,
        at: Option<i64>,
        data: &[u8],
        writer: Writer<'_>,
    ) -> Result<i64> {
        let [user, task] = writer.values();
        let (at, data) = (or_null(at, Value::Int8), Value::bytea(data));
        let arguments = [file.bucket().value(), file.value(), at, data, user, task];
        self.write.call_row(session, &arguments, |row| row.int(0))
    }

    /// Reads bytes at any place of a file; fewer at its end.
    ///
    /// # Errors
    /// `TXF02` for an unknown file, `TXF27` for more than one call may read.
    pub fn read(&self, session: &mut Session, file: FileId, at: i64, count: i32) -> Result<Arc<[u8]>> {
        let arguments = [file.bucket().value(), file.value(), Value::Int8(at), Value::Int4(count)];
        self.read.call_row(session, &arguments, |row| row.bytes(0))
    }

    /// Gives a file another size; its new version.
    ///
    /// # Errors
    /// `TXF02` for an unknown file, `TXF22` for a size that no file has.
    pub fn truncate(
        &self,
        session: &mut Session,
        file: FileId,
        size: i64,
        writer: Writer<'_>,
    ) -> Result<i64> {
        let [user, task] = writer.values();
        let arguments = [file.bucket().value(), file.value(), Value::Int8(size), user, task];
        self.truncate.call_row(session, &arguments, |row| row.int(0))
    }

    /// Writes a whole file, made when it is missing: readers see the old bytes or the new. The file and its new version.
    ///
    /// # Errors
    /// `TXF27` for more than one call may write, `TXF21` for a directory, those of walking a path.
    pub fn put(
        &self,
        session: &mut Session,
        bucket: Bucket,
        path: &str,
        data: &[u8],
        writer: Writer<'_>,
    ) -> Result<(FileId, i64)> {
        let [user, task] = writer.values();
        let arguments = [bucket.value(), text(path), Value::bytea(data), user, task];
        self.put.call_row(session, &arguments, |row| Ok((FileId(row.int(0)?), row.int(1)?)))
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// `TXF27` for more than one call may read, `TXF21` for a directory, those of walking a path.
    pub fn get(&self, session: &mut Session, bucket: Bucket, path: &str) -> Result<Content> {
        self.get.call_row(session, &[bucket.value(), text(path)], |row| {
            Ok(Content { file: FileId(row.int(0)?), version: row.int(1)?, data: row.bytes(2)? })
        })
    }
}
