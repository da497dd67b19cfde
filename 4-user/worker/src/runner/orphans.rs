//! Processes of tasks whose node was killed: they die with it, and this makes sure before another attempt starts.

use std::fs;
use std::io;
use std::path::Path;

use super::system;

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
    let Ok(name) = fs::read_to_string(folder.join("process")) else { return true };
    let Some((process, start)) = name.split_once(' ') else { return true };
    let Ok(process) = process.parse::<i32>() else { return true };
    for _ in 0..LOOKS {
        if started(process).as_deref() != Some(start) {
            return true;
        }
        system::kill(-process);
        system::kill(process);
        // SAFETY: takes a number only.
        unsafe { libc::usleep(LOOK_EVERY_US) };
    }
    false
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
}
