//! Processes of tasks whose node was killed: they die with it, and this makes sure before another attempt starts.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::system;

/// The variable that names a task's working directory, by which its processes are known.
pub(crate) const FOLDER_VARIABLE: &str = "TUPLIX_TASK_FOLDER";

/// Microseconds between two looks at a process that is being killed.
const LOOK_EVERY_US: u32 = 1000;

/// Looks until a process counts as one that cannot be killed: 10 s.
const LOOKS: u32 = 10_000;

/// A process's number and the moment of its start, which together are never used twice.
pub(super) fn name_of(process: i32) -> io::Result<String> {
    let started = started(process).ok_or_else(|| io::Error::other("the process ended"))?;
    Ok(format!("{process} {started}"))
}

/// The start of a process in ticks since boot; `None` when it is gone or only waits to be waited for.
fn started(process: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may have spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| start.to_owned())
}

/// Whether a process of this number runs.
pub(super) fn lives(process: i32) -> bool {
    started(process).is_some()
}

/// Ends the processes of an attempt whose folder was left behind; false when they do not end.
pub(crate) fn end_orphans(folder: &Path) -> bool {
    ends(|| first_process(folder).into_iter().flat_map(|init| [-init, init]).collect())
        && ends(|| processes_of(folder))
}

/// Kills what is found until nothing is found any more; false when that does not come.
fn ends(find: impl Fn() -> Vec<i32>) -> bool {
    for _ in 0..LOOKS {
        let found = find();
        if found.is_empty() {
            return true;
        }
        found.into_iter().for_each(system::kill);
        // SAFETY: takes a number only.
        unsafe { libc::usleep(LOOK_EVERY_US) };
    }
    false
}

/// The init of the attempt, when it still runs.
fn first_process(folder: &Path) -> Option<i32> {
    let name = fs::read_to_string(folder.join("process")).ok()?;
    let (process, start) = name.split_once(' ')?;
    let process = process.parse().ok()?;
    (started(process)? == start).then_some(process)
}

/// Processes that have the folder in their environment: those of an attempt without isolation, whose init is gone.
fn processes_of(folder: &Path) -> Vec<i32> {
    let marked = [FOLDER_VARIABLE.as_bytes(), b"=", folder.as_os_str().as_bytes(), b"/files"].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if let Some(process) = process.filter(|process| lives(*process))
            && environment.split(|byte| *byte == 0).any(|variable| variable == marked)
        {
            found.push(process);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn an_orphan_is_killed_and_a_stranger_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let process = child.id().cast_signed();
        let name = name_of(process).unwrap();
        // Another process that got the same number.
        fs::write(folder.path().join("process"), format!("{process} 1")).unwrap();
        assert!(end_orphans(folder.path()));
        assert!(started(process).is_some());
        fs::write(folder.path().join("process"), name).unwrap();
        assert!(end_orphans(folder.path()));
        assert!(started(process).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn orphans_whose_init_is_gone_are_found_by_their_environment() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("files");
        let mut child =
            std::process::Command::new("sleep").arg("1000").env(FOLDER_VARIABLE, &home).spawn().unwrap();
        let mut stranger = std::process::Command::new("sleep")
            .arg("1000")
            .env(FOLDER_VARIABLE, home.join("x"))
            .spawn()
            .unwrap();
        assert!(end_orphans(folder.path()));
        assert!(started(child.id().cast_signed()).is_none());
        assert!(started(stranger.id().cast_signed()).is_some());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        child.wait().unwrap();
    }
}
