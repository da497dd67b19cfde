//! The system calls of the helper process, with errors that say what failed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as the kernel takes it.
pub(super) fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::other("a name with a zero byte"))
}

pub(super) fn c_text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::other("a text with a zero byte"))
}

/// The error of a call that returned -1.
pub(super) fn check(result: i64) -> io::Result<i64> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Adds to an error what was tried.
pub(super) fn tried<T>(result: io::Result<T>, what: impl FnOnce() -> String) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", what())))
}

/// A pipe that no program inherits: reading end, writing end.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: both were just made and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// fork(2), into new namespaces: 0 in the child. Only for a process of one thread.
pub(super) fn fork_into(namespaces: i32) -> io::Result<i32> {
    let flags = i64::from(namespaces | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with no stack this is fork(2); the helper has one thread, so its child may do anything.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    check(child).map(|child| i32::try_from(child).unwrap_or(-1))
}

/// The child gets SIGKILL when its parent ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }.into()).map(drop)
}

/// Descendants whose parent ends become children of this process.
pub(super) fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }.into()).map(drop)
}

/// Milliseconds since the machine was started, the same for all processes.
pub(crate) fn boot_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call. Linux has had this clock since 2.6.39.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// Until when a worker's leases hold, in [`boot_ms`], as its file says.
pub(super) fn lease(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Bytes of a signal that [`terminations`] gives.
pub(super) const SIGNAL_BYTES: usize = size_of::<libc::signalfd_siginfo>();

/// SIGTERM as something to read, in place of an end.
pub(super) fn terminations() -> io::Result<OwnedFd> {
    // SAFETY: all zeros is a value of this plain struct.
    let mut signals: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the calls, and this process has one thread.
    let descriptor = unsafe {
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGTERM);
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut()).into())?;
        check(libc::signalfd(-1, &raw const signals, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?
    };
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    // SAFETY: it was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Blocks no signal, as programs expect it.
pub(super) fn unblock_signals() -> io::Result<()> {
    // SAFETY: all zeros is a value of this plain struct.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the calls, and this process has one thread.
    let done = unsafe {
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    check(done.into()).map(drop)
}

/// Has this process and its descendants run on these processors alone.
pub(super) fn run_on(processors: &[usize]) -> io::Result<()> {
    // SAFETY: all zeros is a value of this plain struct, the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in processors {
        // SAFETY: the macro checks the number against the set's size.
        unsafe { libc::CPU_SET(*processor, &mut set) };
    }
    // SAFETY: the set of the given size outlives the call.
    let done = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    tried(check(done.into()).map(drop), || format!("cannot run on the processors {processors:?}"))
}

/// The processors that this process may run on.
pub(crate) fn own_processors() -> Vec<usize> {
    // SAFETY: all zeros is a value of this plain struct.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set of the given size outlives the call; a call that fails leaves it empty.
    let _ = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or_default();
    // SAFETY: the numbers are below the set's size.
    (0..most).filter(|processor| unsafe { libc::CPU_ISSET(*processor, &set) }).collect()
}

/// Sends SIGKILL; a process that is gone is as good.
pub(super) fn kill(process: i32) {
    // SAFETY: takes numbers only.
    let _ = unsafe { libc::kill(process, libc::SIGKILL) };
}

/// Waits for a child (-1: any); its number and status.
pub(super) fn wait(process: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        match check(unsafe { libc::waitpid(process, &raw mut status, 0) }.into()) {
            Ok(ended) => return Ok((i32::try_from(ended).unwrap_or(-1), status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits for a child; what it and its own children used.
pub(super) fn wait_usage(process: i32) -> io::Result<libc::rusage> {
    let mut status = 0;
    // SAFETY: all zeros is a value of this plain struct.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both outlive the call.
        match check(unsafe { libc::wait4(process, &raw mut status, 0, &raw mut usage) }.into()) {
            Ok(_) => return Ok(usage),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// mount(2).
pub(super) fn mount(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
    data: Option<&str>,
) -> io::Result<()> {
    let source = source.map(c_path).transpose()?;
    let kind = kind.map(c_text).transpose()?;
    let data = data.map(c_text).transpose()?;
    let place = c_path(target)?;
    let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
    // SAFETY: every pointer is null or a text that ends in zero and outlives the call.
    let mounted = unsafe {
        libc::mount(pointer(&source), place.as_ptr(), pointer(&kind), flags, pointer(&data).cast())
    };
    tried(check(mounted.into()).map(drop), || format!("cannot mount {}", target.display()))
}

/// Makes a mount read-only, and those below it when `all`.
pub(super) fn make_read_only(target: &Path, all: bool) -> io::Result<()> {
    let place = c_path(target)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if all { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path and the struct of the given size outlive the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            place.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    tried(check(done).map(drop), || format!("cannot make {} read-only", target.display()))
}

/// Lets programs of a new network namespace talk to themselves, by 127.0.0.1 and ::1.
pub(super) fn start_loopback() -> io::Result<()> {
    // SAFETY: takes numbers only.
    let socket =
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    let socket = i32::try_from(socket).map_err(io::Error::other)?;
    // SAFETY: it was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: all zeros is a value of this plain struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = byte.cast_signed();
    }
    // IFF_UP is 1.
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the struct outlives the call, which reads it.
    let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    tried(check(set.into()).map(drop), || "cannot start its loopback interface".to_owned())
}

/// Makes a folder the root and forgets the old one.
pub(super) fn change_root(folder: &Path) -> io::Result<()> {
    std::env::set_current_dir(folder)?;
    let here = c_text(".")?;
    // SAFETY: both paths outlive the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) })?;
    // The old root now lies over the new one.
    // SAFETY: the path outlives the call.
    check(unsafe { libc::umount2(here.as_ptr(), libc::MNT_DETACH) }.into())?;
    std::env::set_current_dir("/")
}

/// setrlimit(2), both bounds.
pub(super) fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }.into()).map(drop)
}

/// Gives up every capability for good, also for a user 0.
pub(super) fn drop_capabilities() -> io::Result<()> {
    /// Capabilities that any kernel could know of.
    const CAPABILITIES: libc::c_ulong = 64;
    /// SECBIT_NOROOT and SECBIT_NO_SETUID_FIXUP with their locks: user 0 is a user as others are.
    const SECURE_BITS: libc::c_ulong = 0b1111;
    /// `_LINUX_CAPABILITY_VERSION_3`
    const VERSION: u32 = 0x2008_0522;
    for capability in 0..CAPABILITIES {
        // SAFETY: takes numbers only. Refused past the last capability that the kernel knows.
        let _ = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) }.into())?;
    let header = [VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: version 3 has a header of two and data of six numbers.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })?;
    no_new_privileges()
}

/// No program that is executed gains anything.
pub(super) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into()).map(drop)
}
