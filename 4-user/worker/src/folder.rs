//! A task's private folder: made once, emptied after each task, because the next one is soon there.
//!
//! ```text
//! files/             the working directory
//! stdout, stderr     what the program writes
//! process            its first process, for a start after a crash
//! attempt, report    of a worker that adopts what it left: what runs, and how it went
//! root/              where an isolated task's root is mounted, for that task alone
//! tmp/, tools/       without isolation: TMPDIR, and links to the tools
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Makes a folder for tasks, or takes the one that is there, emptied.
pub(crate) fn make(folder: &Path, tools: &[PathBuf], isolated: bool) -> io::Result<()> {
    empty(folder)?;
    fs::create_dir_all(folder.join("files"))?;
    if isolated {
        return Ok(());
    }
    fs::create_dir_all(folder.join("tmp"))?;
    let links = folder.join("tools");
    // Nobody keeps a task without isolation from changing it.
    remove(&links)?;
    fs::create_dir(&links)?;
    for tool in tools {
        if let Some(name) = tool.file_name() {
            symlink(tool, links.join(name))?;
        }
    }
    Ok(())
}

/// Removes what a task wrote.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    for name in [crate::adopt::ATTEMPT, crate::runner::REPORT] {
        remove(&folder.join(name))?;
    }
    for name in ["stdout", "stderr"] {
        match fs::OpenOptions::new().write(true).truncate(true).open(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    for name in ["files", "tmp"] {
        let inside = folder.join(name);
        if !fs::symlink_metadata(&inside).is_ok_and(|found| found.is_dir()) {
            remove(&inside)?;
            continue;
        }
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755))?;
        for entry in fs::read_dir(&inside)? {
            remove(&entry?.path())?;
        }
    }
    Ok(())
}

/// Removes a file or folder, also what a task made unreadable in it; nothing where there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) => Err(error),
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        Ok(_) => match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_folders(path)?;
                fs::remove_dir_all(path)
            }
            removed => removed,
        },
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn open_folders(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_of_a_task_stays_for_the_next() {
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join("0");
        for isolated in [true, false] {
            make(&folder, &["/bin/true".into()], isolated).unwrap();
            let files = folder.join("files");
            assert_eq!(fs::read_dir(&files).unwrap().count(), 0);
            fs::create_dir_all(files.join("a/b")).unwrap();
            fs::write(files.join("a/b/c"), "c").unwrap();
            fs::write(folder.join("stdout"), "said").unwrap();
            symlink("/usr", files.join("link")).unwrap();
            fs::set_permissions(files.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
            fs::set_permissions(&files, fs::Permissions::from_mode(0o000)).unwrap();
            empty(&folder).unwrap();
            assert_eq!(fs::read_dir(&files).unwrap().count(), 0);
            assert_eq!(fs::read(folder.join("stdout")).unwrap(), b"");
        }
        assert!(folder.join("tools/true").exists() && Path::new("/usr").exists());
        // A task without isolation can do worse.
        fs::remove_dir_all(folder.join("files")).unwrap();
        symlink("/usr/lib", folder.join("files")).unwrap();
        make(&folder, &[], false).unwrap();
        assert!(fs::symlink_metadata(folder.join("files")).unwrap().is_dir());
        assert!(Path::new("/usr/lib").exists());
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
