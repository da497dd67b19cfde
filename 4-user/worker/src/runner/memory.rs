//! Control groups: bounds on the memory and the number of all processes of a task together, and the memory's peak.
//!
//! Version 1 and 2 are used where a group can be made below the node's own and processes can be put there. Where not, the
//! helper looks at the processes from time to time ([`super::watch`]). In version 1 processes are counted in a hierarchy of their own,
//! where a helper has one group for all its tasks, one after the other ([`Counted`]).

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
    counted: Option<Counted>,
    made: u64,
}

/// The group of one task; removed when dropped.
#[derive(Debug)]
pub(super) struct Group {
    version: Version,
    folder: PathBuf,
    counted: Option<Counted>,
    /// How often more processes were wanted than there may be, before this task.
    refused_before: u64,
}

/// A group that counts processes.
#[derive(Clone, Debug)]
struct Counted {
    folder: PathBuf,
    most: Option<u64>,
}

impl Counted {
    /// In version 1: a group of the helper's own. None where there is no such hierarchy, or none may be made.
    fn make(own: &str, mounts: &str) -> Option<Counted> {
        let parent = folder_of(Version::One, "cgroup", "pids", own, mounts)?;
        sweep(&parent);
        let folder = parent.join(format!("{PREFIX}{}-0", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(Counted { folder, most: None })
    }

    fn bound(&mut self, most: u64) -> io::Result<()> {
        if self.most != Some(most) {
            let text = if most == 0 { "max".to_owned() } else { most.to_string() };
            fs::write(self.folder.join("pids.max"), text)?;
            self.most = Some(most);
        }
        Ok(())
    }

    /// How often somebody wanted one more than there may be.
    fn refused(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join("pids.events")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("max ")?.trim().parse().ok()).unwrap_or_default()
    }
}

impl Groups {
    /// Where this process may make groups; `None` where it may not.
    pub(super) fn find() -> Option<Groups> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let candidates = [(Version::One, "cgroup"), (Version::Two, "cgroup2")];
        candidates.into_iter().find_map(|(version, kind)| {
            let parent = folder_of(version, kind, "memory", &own, &mounts)?;
            if version == Version::Two {
                // Works where no process stands in the group itself, for example in a container's root.
                for controller in ["+memory", "+pids"] {
                    let _ = fs::write(parent.join("cgroup.subtree_control"), controller);
                }
            }
            let mut groups = Groups { version, parent, counted: None, made: 0 };
            groups.try_out().ok()?;
            if version == Version::One {
                groups.counted = Counted::make(&own, &mounts);
            }
            Some(groups)
        })
    }

    /// Makes a group, goes there and comes back.
    fn try_out(&mut self) -> io::Result<()> {
        let group = self.make(None, 0)?;
        let own = std::process::id().cast_signed();
        group.add(own)?;
        fs::write(self.parent.join(PROCESSES), own.to_string())
    }

    /// Removes the groups of helpers that were killed.
    pub(super) fn sweep(&self) {
        sweep(&self.parent);
    }

    /// Makes a group with a bound on memory, and one on the number of processes and threads (0: none).
    pub(super) fn make(&mut self, bytes: Option<u64>, processes: u64) -> io::Result<Group> {
        self.made += 1;
        let folder = self.parent.join(format!("{PREFIX}{}-{}", std::process::id(), self.made));
        fs::create_dir(&folder)?;
        let mut group = Group { version: self.version, folder, counted: None, refused_before: 0 };
        group.bound(bytes)?;
        let counted = match self.version {
            Version::One => self.counted.as_mut(),
            Version::Two => {
                let has_controller = group.folder.join("pids.max").exists();
                group.counted = has_controller.then(|| Counted { folder: group.folder.clone(), most: None });
                group.counted.as_mut()
            }
        };
        if let Some(counted) = counted {
            counted.bound(processes)?;
            group.refused_before = counted.refused();
            group.counted = Some(counted.clone());
        }
        Ok(group)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if let Some(counted) = &self.counted {
            remove(&counted.folder);
        }
    }
}

/// Removes groups of helpers that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let helper =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if helper.is_some_and(|helper| !lives(helper)) {
            // One in which a process still ends stays until the next time.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The folder of the own group in the hierarchy that has a controller.
fn folder_of(version: Version, kind: &str, controller: &str, own: &str, mounts: &str) -> Option<PathBuf> {
    let mut own = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let (_, path) = own.find(|(controllers, _)| match version {
        Version::One => controllers.split(',').any(|one| one == controller),
        Version::Two => controllers.is_empty(),
    })?;
    // 36 35 98:0 /root /mount/point options - type source super,options
    let (root, point) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let (mut before, mut after) = (before.split(' ').skip(3), after.split(' '));
        let (root, point) = (before.next()?, before.next()?);
        let has_kind = after.next()? == kind;
        let options = after.nth(1).unwrap_or_default();
        let has_it = version == Version::Two || options.split(',').any(|option| option == controller);
        (has_kind && has_it).then_some((root, point))
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
        if let Some(counted) = self.counted.as_ref().filter(|counted| counted.folder != self.folder) {
            fs::write(counted.folder.join(PROCESSES), process.to_string())?;
        }
        fs::write(self.folder.join(PROCESSES), process.to_string())
    }

    /// Whether processes are counted.
    pub(super) fn counts(&self) -> bool {
        self.counted.is_some()
    }

    /// How many processes and threads there may be, when one more was wanted.
    pub(super) fn processes_over(&self) -> Option<u64> {
        let counted = self.counted.as_ref()?;
        (counted.refused() > self.refused_before).then_some(counted.most?)
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
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    for _ in 0..REMOVALS {
        match fs::remove_dir(folder) {
            // SAFETY: takes a number only.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => unsafe {
                libc::usleep(PAUSE_US);
            },
            // Removed; or it stays behind, empty, until the next start sweeps it.
            _ => return,
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
        let one = folder_of(Version::One, "cgroup", "memory", own, mounts).unwrap();
        assert_eq!(one, Path::new("/sys/fs/cgroup/memory/node/a"));
        let two = folder_of(Version::Two, "cgroup2", "memory", own, mounts).unwrap();
        assert_eq!(two, Path::new("/sys/fs/cgroup/unified/user/b"));
        assert_eq!(folder_of(Version::One, "cgroup", "memory", "0::/x\n", mounts), None);
    }
}
