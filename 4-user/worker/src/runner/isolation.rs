//! What an isolated task sees: a root of its own.
//!
//! ```text
//! /usr /bin /sbin /lib* /opt and some of /etc     the machine's, read-only
//! /task                                            the private folder, the working directory
//! /tmp /dev/shm                                    empty, in memory, no larger than the task's
//! /proc                                            of its own processes
//! /dev                                             null, zero, full, random, urandom
//! /run/tuplix/.s.PGSQL.PORT                        the node's socket
//! /run/tuplix/bin                                  tools, the command `tuplix` among them
//! the program, readable folders                    at their own paths, read-only
//! ```
//!
//! Namespaces: user, mount, process, IPC; network, with its own loopback alone, unless granted. Inside it is the user that it was outside, without any
//! capability.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::protocol::{Request, View};
use super::system::{change_root, make_read_only, mount, start_loopback, tried};

/// Where a task finds the node's socket.
pub(crate) const SOCKET_FOLDER: &str = "/run/tuplix";

/// Where a task finds the tools that its worker gives it.
pub(crate) const TOOLS_FOLDER: &str = "/run/tuplix/bin";

/// Where a task finds its own folder.
pub(crate) const WORKING_FOLDER: &str = "/task";

/// The system's programs and libraries.
const SYSTEM: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"];

/// What of `/etc` programs need and everybody may know.
const SETTINGS: [&str; 16] = [
    "alternatives",
    "ca-certificates",
    "fonts",
    "group",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "passwd",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
];

const DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];

/// The namespaces to make.
pub(super) fn namespaces(view: &View) -> i32 {
    let network = if view.network { 0 } else { libc::CLONE_NEWNET };
    libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | network
}

/// From outside: the new user namespace has one user and one group, who are who they were.
pub(super) fn map_user(process: i32) -> io::Result<()> {
    let own = fs::metadata("/proc/self")?;
    let folder = PathBuf::from(format!("/proc/{process}"));
    for (name, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{0} {0} 1", own.uid())),
        ("gid_map", format!("{0} {0} 1", own.gid())),
    ] {
        tried(fs::write(folder.join(name), text), || format!("cannot write {name} of a user namespace"))?;
    }
    Ok(())
}

/// From inside: builds the root and goes there.
pub(super) fn enter(request: &Request, view: &View) -> io::Result<()> {
    if !view.network {
        start_loopback()?;
    }
    let root = request.folder.join("root");
    mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_PRIVATE, None)?;
    tmpfs(&root, "mode=755")?;
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    for folder in SYSTEM {
        show(Path::new(folder), &inside(Path::new(folder)), true)?;
    }
    fs::create_dir(root.join("etc"))?;
    for name in SETTINGS {
        let path = Path::new("/etc").join(name);
        show(&path, &inside(&path), true)?;
    }
    make_devices(&root)?;
    for folder in ["tmp", "dev/shm"] {
        make_folder(&root.join(folder))?;
        let size = request.memory.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
        tmpfs(&root.join(folder), &format!("mode=1777{size}"))?;
    }
    make_folder(&root.join("proc"))?;
    tried(
        mount(
            Some(Path::new("proc")),
            &root.join("proc"),
            Some("proc"),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            None,
        ),
        || "its /proc".to_owned(),
    )?;
    for path in &view.readable {
        show(path, &inside(path), true)?;
    }
    let program = Path::new(&request.program);
    if program.is_absolute()
        && !SYSTEM.iter().any(|folder| program.starts_with(folder))
        && !inside(program).exists()
    {
        show(program, &inside(program), true)?;
    }
    for path in &view.hidden {
        if inside(path).exists() {
            tmpfs(&inside(path), "mode=000,size=4k")?;
        }
    }
    for tool in &view.tools {
        if let Some(name) = tool.file_name() {
            show(tool, &inside(Path::new(TOOLS_FOLDER)).join(name), true)?;
        }
    }
    if let Some(socket) = &view.socket
        && let Some(name) = socket.file_name()
    {
        show(socket, &inside(Path::new(SOCKET_FOLDER)).join(name), false)?;
    }
    show(&request.folder.join("files"), &inside(Path::new(WORKING_FOLDER)), false)?;
    tried(change_root(&root), || "cannot change the root".to_owned())?;
    make_read_only(Path::new("/"), false)
}

fn tmpfs(target: &Path, options: &str) -> io::Result<()> {
    mount(Some(Path::new("tmpfs")), target, Some("tmpfs"), libc::MS_NOSUID | libc::MS_NODEV, Some(options))
}

/// Shows a file, folder or link of the machine at a place; nothing where there is none.
fn show(path: &Path, place: &Path, read_only: bool) -> io::Result<()> {
    let Ok(what) = fs::symlink_metadata(path) else { return Ok(()) };
    if let Some(parent) = place.parent() {
        make_folder(parent)?;
    }
    if what.file_type().is_symlink() && !path.is_dir() && fs::metadata(path).is_err() {
        return Ok(());
    }
    if what.file_type().is_symlink() && path.parent() == Some(Path::new("/")) {
        // /bin -> usr/bin
        return symlink(fs::read_link(path)?, place);
    }
    if fs::metadata(path)?.is_dir() {
        make_folder(place)?;
    } else if !place.exists() {
        fs::OpenOptions::new().create(true).append(true).mode(0o600).open(place)?;
    }
    mount(Some(path), place, None, libc::MS_BIND | libc::MS_REC, None)?;
    if read_only { make_read_only(place, true) } else { Ok(()) }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

fn make_devices(root: &Path) -> io::Result<()> {
    make_folder(&root.join("dev"))?;
    for name in DEVICES {
        let path = Path::new("/dev").join(name);
        show(&path, &root.join("dev").join(name), false)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, root.join("dev").join(name))?;
    }
    Ok(())
}

/// Where a program is: itself when it has a slash, else the first of that name in a search path.
pub(super) fn find_program(name: &str, search_path: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match fs::metadata(name) {
            Ok(found) if found.is_dir() => Err(format!("the program {name} is a directory")),
            Ok(_) => Ok(PathBuf::from(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with('/') => {
                Err(format!("there is no program {name}"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "there is no program {name}\n  A path without a leading / begins in the task's working directory, where its inputs are."
            )),
            Err(error) => Err(format!("the program {name} cannot be used: {error}")),
        };
    }
    let usable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut places = search_path.split(':').filter(|folder| !folder.is_empty());
    places.find_map(|folder| Some(Path::new(folder).join(name)).filter(usable)).ok_or_else(|| {
        format!("there is no program \"{name}\" in {search_path}\n  Name it by its path, or set PATH in the task's environment.")
    })
}
