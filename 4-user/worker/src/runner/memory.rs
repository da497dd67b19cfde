//! Control groups: a bound on the memory of all processes of a task together, and its peak.
//!
//! Version 1 and 2 are used where a group can be made below the node's own and processes can be put there. Where not, the
//! helper looks at the processes from time to time ([`super::watch`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::orphans::lives;

/// Times that removing a group is tried, and the pause between them: the kernel takes a moment after its last process.
const REMOVALS: u32 = 1000;
const PAUSE_US: u32 = 1000;

/// The file of a group that lists its processes.
const PROCESSES: &str = "cgroup.procs";

/// Groups of helper processes, by the name.
const PREFIX: &str = "tuplix-";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where groups can be made.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    version: Version,
    parent: PathBuf,
    made: u64,
}

/// The group of one task; removed when dropped.
#[derive(Debug)]
pub(super) struct Group {
    version: Version,
    folder: PathBuf,
}

impl Groups {
    /// Where this process may make groups; `None` where it may not.
    pub(super) fn find() -> Option<Groups> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let candidates = [(Version::One, "cgroup"), (Version::Two, "cgroup2")];
        candidates.into_iter().find_map(|(version, kind)| {
            let parent = folder_of(version, kind, &own, &mounts)?;
            if version == Version::Two {
                // Works where no process stands in the group itself, for example in a container's root.
                let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory");
            }
            let mut groups = Groups { version, parent, made: 0 };
            groups.try_out().ok().map(|()| groups)
        })
    }

    /// Makes a group, goes there and comes back.
    fn try_out(&mut self) -> io::Result<()> {
        let group = self.make(None)?;
        let own = std::process::id().cast_signed();
        group.add(own)?;
        fs::write(self.parent.join(PROCESSES), own.to_string())
    }

    /// Removes the groups of helpers that were killed.
    pub(super) fn sweep(&self) {
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let helper =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
            if helper.is_some_and(|helper| !lives(helper)) {
                // One in which a process still ends stays until the next time.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Makes a group with a bound.
    pub(super) fn make(&mut self, bytes: Option<u64>) -> io::Result<Group> {
        self.made += 1;
        let folder = self.parent.join(format!("{PREFIX}{}-{}", std::process::id(), self.made));
        fs::create_dir(&folder)?;
        let group = Group { version: self.version, folder };
        group.bound(bytes)?;
        Ok(group)
    }
}

/// The folder of the own group in the hierarchy that has the memory controller.
fn folder_of(version: Version, kind: &str, own: &str, mounts: &str) -> Option<PathBuf> {
    let mut own = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let (_, path) = own.find(|(controllers, _)| match version {
        Version::One => controllers.split(',').any(|controller| controller == "memory"),
        Version::Two => controllers.is_empty(),
    })?;
    // 36 35 98:0 /root /mount/point options - type source super,options
    let (root, point) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let (mut before, mut after) = (before.split(' ').skip(3), after.split(' '));
        let (root, point) = (before.next()?, before.next()?);
        let has_kind = after.next()? == kind;
        let options = after.nth(1).unwrap_or_default();
        let has_memory = version == Version::Two || options.split(',').any(|option| option == "memory");
        (has_kind && has_memory).then_some((root, point))
    })?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

impl Group {
    fn bound(&self, bytes: Option<u64>) -> io::Result<()> {
        let (limit, with_swap) = match self.version {
            Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            Version::Two => ("memory.max", "memory.swap.max"),
        };
        let Some(bytes) = bytes else {
            // A group without the controller has no such file.
            return fs::metadata(self.folder.join(limit)).map(drop);
        };
        fs::write(self.folder.join(limit), bytes.to_string())?;
        let swap = if self.version == Version::One { bytes } else { 0 };
        // Not there on a kernel that does not account swap.
        let _ = fs::write(self.folder.join(with_swap), swap.to_string());
        Ok(())
    }

    /// Puts a process into the group; its children follow.
    pub(super) fn add(&self, process: i32) -> io::Result<()> {
        fs::write(self.folder.join(PROCESSES), process.to_string())
    }

    /// Bytes at the peak.
    pub(super) fn peak(&self) -> Option<i64> {
        let name = match self.version {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        };
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }

    /// Whether the kernel ended a process of the group for its memory.
    pub(super) fn out_of_memory(&self) -> bool {
        let name = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            match fs::remove_dir(&self.folder) {
                // SAFETY: takes a number only.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => unsafe {
                    libc::usleep(PAUSE_US);
                },
                // Removed; or it stays behind, empty, until the next start sweeps it.
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_own_group_is_found_in_both_versions() {
        let own = "5:devices:/\n4:memory:/node/a\n0::/user/b\n";
        let mounts = "30 20 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 none rw\n";
        let one = folder_of(Version::One, "cgroup", own, mounts).unwrap();
        assert_eq!(one, Path::new("/sys/fs/cgroup/memory/node/a"));
        let two = folder_of(Version::Two, "cgroup2", own, mounts).unwrap();
        assert_eq!(two, Path::new("/sys/fs/cgroup/unified/user/b"));
        assert_eq!(folder_of(Version::One, "cgroup", "0::/x\n", mounts), None);
    }
}
