//! A bound on the memory of a task where the kernel keeps none: the helper looks at the task's processes from time to time.
//!
//! What counts is memory that is theirs alone or shared between them (anonymous, `/tmp`), not mapped files. Between two looks a task
//! can take more than it may; it is ended at the next one.

use std::fs;

/// The processes of a task, which all descend from the helper.
#[derive(Debug)]
pub(super) struct Watch {
    limit: u64,
    peak: u64,
    over: bool,
}

impl Watch {
    /// Milliseconds between two looks.
    pub(super) const EVERY_MS: u64 = 10;

    /// Looks for more bytes than the limit.
    pub(super) fn new(limit: u64) -> Watch {
        Watch { limit, peak: 0, over: false }
    }

    /// Looks at what descends from this process, but for `init`, which is the helper's own; whether it is too much.
    pub(super) fn look(&mut self, init: i32) -> bool {
        let bytes = descendants(std::process::id().cast_signed())
            .into_iter()
            .filter(|process| *process != init)
            .map(resident)
            .fold(0, u64::saturating_add);
        self.peak = self.peak.max(bytes);
        self.over |= bytes > self.limit;
        self.over
    }

    /// Bytes at the peak that was seen.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// Whether it was too much; `largest`: bytes that the largest process had, `failed`: whether the program did.
    pub(super) fn over(&self, largest: u64, failed: bool) -> bool {
        // One that failed between two looks, and was larger than it may be, failed for that.
        self.over || (failed && largest > self.limit)
    }
}

/// The children of a process, of all its threads.
pub(super) fn children(process: i32) -> Vec<i32> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(list.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    found
}

fn descendants(process: i32) -> Vec<i32> {
    let mut found = children(process);
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children(*process));
        next += 1;
    }
    found
}

/// Bytes of a process that no file has.
fn resident(process: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes = status.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let counted = matches!(name, "RssAnon" | "RssShmem");
        counted.then(|| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).flatten()
    });
    kilobytes.sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn grandchildren_are_seen() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let sleep: i32 = line.trim().parse().unwrap();
        let found = descendants(std::process::id().cast_signed());
        assert!(found.contains(&sleep) && found.contains(&shell.id().cast_signed()), "{found:?}");
        assert!(resident(sleep) > 0);
        let mut watch = Watch::new(1);
        assert!(watch.look(shell.id().cast_signed()), "{watch:?}");
        super::super::system::kill(sleep);
        shell.wait().unwrap();
        assert_eq!(resident(shell.id().cast_signed()), 0);
    }

    #[test]
    fn a_failure_beyond_the_limit_is_one_of_memory() {
        let watch = Watch::new(100);
        assert!(watch.over(101, true));
        assert!(!watch.over(101, false) && !watch.over(99, true));
    }
}
