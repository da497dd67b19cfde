//! Files of Tuplix: paths, moving bytes in and out, and the commands on them.

pub(crate) mod cat;
pub(crate) mod get;
pub(crate) mod ls;
pub(crate) mod mkdir;
pub(crate) mod mv;
pub(crate) mod put;
pub(crate) mod rm;
pub(crate) mod stat;

use std::io::{Read, Write};

use anyhow::{Context as _, bail};
use tuplix::Value;
use tuplix_services::Bucket;
use tuplix_services::errors::NO_ENTRY;
use tuplix_services::fs::{Fs, Kind, Stat, Writer};

use crate::node::{Node, Target, explain};

const USERS: &str = include_str!("home.sql");

/// Bytes that one call moves: far below what the service and the protocol allow.
const PIECE: usize = 4 << 20;

/// A node's files, with the user's home directory made.
pub(crate) struct Files {
    pub(crate) node: Node,
    pub(crate) fs: Fs,
}

impl Files {
    pub(crate) fn open(target: &Target) -> anyhow::Result<Files> {
        let mut node = target.connect()?;
        let fs = node.fs()?;
        node.home()?;
        Ok(Files { node, fs })
    }

    /// The absolute path: one that does not begin with / is below the user's home directory.
    pub(crate) fn path(&self, given: &str) -> String {
        absolute(&self.node.user, given)
    }

    /// The bucket in which a path's file stands.
    pub(crate) fn bucket(&mut self, path: &str) -> anyhow::Result<Bucket> {
        self.fs.bucket_of(&mut self.node.session, path).map_err(explain)
    }

    /// What is known of a path.
    pub(crate) fn stat(&mut self, path: &str) -> anyhow::Result<Stat> {
        let bucket = self.bucket(path)?;
        match self.fs.stat(&mut self.node.session, bucket, path) {
            Err(error) if error.sqlstate() == NO_ENTRY => {
                self.owner_exists(path)?;
                Err(explain(error))
            }
            found => found.map_err(explain),
        }
    }

    /// Refuses a path in the home directory of nobody: it would be seen in no list of homes.
    fn owner_exists(&mut self, path: &str) -> anyhow::Result<()> {
        let Some(owner) = home_of(path).filter(|owner| *owner != self.node.user) else { return Ok(()) };
        let known = self.node.session.query(USERS, &[Value::text(owner)]).map_err(explain)?;
        if known.get(0, 0).and_then(Value::as_i64) == Some(0) {
            // Tasks of somebody who never used a command leave their logs there.
            let home = format!("/home/{owner}");
            let bucket = self.bucket(&home)?;
            match self.fs.stat(&mut self.node.session, bucket, &home) {
                Err(error) if error.sqlstate() == NO_ENTRY => {
                    bail!(
                        "there is no user \"{owner}\"\n  Those that there are: tuplix ls /home\n  SQLSTATE: {NO_ENTRY}"
                    )
                }
                found => drop(found.map_err(explain)?),
            }
        }
        Ok(())
    }

    /// The same, `None` where there is nothing.
    pub(crate) fn stat_if_there(&mut self, path: &str) -> anyhow::Result<Option<Stat>> {
        let bucket = self.bucket(path)?;
        match self.fs.stat(&mut self.node.session, bucket, path) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.sqlstate() == NO_ENTRY => Ok(None),
            Err(error) => Err(explain(error)),
        }
    }

    /// Makes a directory and those above it.
    pub(crate) fn make_directories(&mut self, path: &str) -> anyhow::Result<()> {
        self.owner_exists(path)?;
        let bucket = self.bucket(path)?;
        let writer = Writer::user(&self.node.user);
        self.fs.make_directory(&mut self.node.session, bucket, path, writer, true).map_err(explain)?;
        Ok(())
    }

    /// Copies a whole file out.
    pub(crate) fn read(&mut self, path: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        let stat = self.stat(path)?;
        self.read_from(path, &stat, 0, out)
    }

    /// Copies a file out from a place on. A file that is written meanwhile is refused: half old, half new is no file.
    pub(crate) fn read_from(
        &mut self,
        path: &str,
        stat: &Stat,
        at: i64,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        if stat.kind == Kind::Directory {
            bail!("{path} is a directory\n  List it with: tuplix ls {path}");
        }
        let mut at = at;
        while at < stat.size {
            let count = i32::try_from((stat.size - at).min(PIECE as i64)).unwrap_or(i32::MAX);
            let bytes = self.fs.read(&mut self.node.session, stat.file, at, count).map_err(explain)?;
            if bytes.is_empty() {
                break;
            }
            out.write_all(&bytes)?;
            at += bytes.len() as i64;
        }
        if stat.size > PIECE as i64 && self.stat(path)?.version != stat.version {
            bail!("{path} was written while it was read\n  Read it again.");
        }
        Ok(())
    }

    /// Writes a whole file, at once for its readers; how many bytes.
    pub(crate) fn write(&mut self, path: &str, from: &mut dyn Read) -> anyhow::Result<u64> {
        self.owner_exists(path)?;
        let bucket = self.bucket(path)?;
        let Files { node, fs } = self;
        let Node { session, user } = node;
        let writer = Writer::user(user);
        let mut piece = read_piece(from)?;
        if piece.len() < PIECE {
            fs.put(session, bucket, path, &piece, writer).map_err(explain)?;
            return Ok(piece.len() as u64);
        }
        // A large file gets its name when it is complete.
        let part = format!("{path}.part-{}", std::process::id());
        let file = fs.create(session, bucket, &part, writer, 0o644, true, None).map_err(explain)?;
        let mut written = 0;
        let mut fill = || -> anyhow::Result<()> {
            while !piece.is_empty() {
                fs.write(session, file, Some(written), &piece, writer).map_err(explain)?;
                written += piece.len() as i64;
                piece = read_piece(from)?;
            }
            fs.rename(session, bucket, &part, path).map_err(explain)
        };
        if let Err(error) = fill() {
            let removed = fs.remove_file(session, bucket, &part);
            return Err(if removed.is_ok() {
                error
            } else {
                error.context(format!("{part} may stay behind"))
            });
        }
        Ok(written.unsigned_abs())
    }
}

/// In whose home directory a path is; `None`: in nobody's, or it takes a way that only the node can follow.
fn home_of(path: &str) -> Option<&str> {
    let mut names = path.split('/').filter(|name| !name.is_empty() && *name != ".");
    if path.split('/').any(|name| name == "..") || names.next() != Some("home") {
        return None;
    }
    names.next()
}

/// Up to [`PIECE`] bytes; fewer only at the end.
fn read_piece(from: &mut dyn Read) -> anyhow::Result<Vec<u8>> {
    let mut piece = Vec::new();
    let mut limited = from.take(PIECE as u64);
    limited.read_to_end(&mut piece).context("cannot read")?;
    Ok(piece)
}

/// A path below `user`'s home unless it begins with /.
pub(crate) fn absolute(user: &str, given: &str) -> String {
    let joined = match given {
        "" | "." => format!("/home/{user}"),
        given if given.starts_with('/') => given.to_owned(),
        given => format!("/home/{user}/{}", given.trim_start_matches("./")),
    };
    let trimmed = joined.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

/// The last name of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Permission bits and kind as `ls -l` writes them.
pub(crate) fn mode(kind: Kind, mode: i32) -> String {
    let mut text = String::from(match kind {
        Kind::Directory => "d",
        Kind::Symlink => "l",
        Kind::File => "-",
    });
    for bit in (0..9).rev() {
        let letter = ['x', 'w', 'r'][bit % 3];
        text.push(if mode >> bit & 1 == 1 { letter } else { '-' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_home() {
        for (given, expected) in [
            ("", "/home/ada"),
            (".", "/home/ada"),
            ("a/b", "/home/ada/a/b"),
            ("./a", "/home/ada/a"),
            ("/tmp/", "/tmp"),
            ("/", "/"),
        ] {
            assert_eq!(absolute("ada", given), expected);
        }
    }

    #[test]
    fn homes_are_known() {
        for (path, owner) in [
            ("/home/bob/x", Some("bob")),
            ("//home/./bob", Some("bob")),
            ("/home", None),
            ("/tmp/home/bob", None),
            ("/home/../etc/x", None),
        ] {
            assert_eq!(home_of(path), owner, "{path}");
        }
    }

    #[test]
    fn modes_read_as_ls_writes_them() {
        assert_eq!(mode(Kind::Directory, 0o755), "drwxr-xr-x");
        assert_eq!(mode(Kind::File, 0o640), "-rw-r-----");
    }
}
