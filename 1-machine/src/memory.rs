//! How much memory this process may use: the machine's, or less where control groups say so.

use std::path::{Path, PathBuf};

/// Bytes of memory; `None` where `/proc` does not say.
pub(crate) fn bytes() -> Option<u64> {
    let machine = total(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups, Path::new("/sys/fs/cgroup"));
    let limits = limits.iter().filter_map(|file| limit(&std::fs::read_to_string(file).ok()?));
    Some(limits.fold(machine, u64::min))
}

/// `MemTotal` of proc(5)'s `meminfo`, which is in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The limit that a control group's file holds; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The files with the limits of a process's groups and of those around them, by its `/proc/self/cgroup` (cgroups(7)).
fn limit_files(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, name) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = mount.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|group| group.starts_with(&mount));
        files.extend(groups.map(|group| group.join(name)));
    }
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_knows_this_machine() {
        assert!(bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn meminfo_and_limits_are_read() {
        let meminfo = "MemTotal:       16384 kB\nMemFree:         1 kB\n";
        assert_eq!(total(meminfo), Some(16 << 20));
        assert_eq!(total("no such line"), None);
        assert_eq!((limit("1048576\n"), limit("max\n")), (Some(1 << 20), None));
    }

    #[test]
    fn both_versions_of_control_groups_are_looked_at_up_to_the_root() {
        let files = limit_files("4:cpu,memory:/a/b\n2:cpu:/c\n0::/d\nnonsense\n", Path::new("/g"));
        let wanted = [
            "/g/memory/a/b/memory.limit_in_bytes",
            "/g/memory/a/memory.limit_in_bytes",
            "/g/memory/memory.limit_in_bytes",
            "/g/d/memory.max",
            "/g/memory.max",
        ];
        assert_eq!(files, wanted.map(PathBuf::from));
    }
}
