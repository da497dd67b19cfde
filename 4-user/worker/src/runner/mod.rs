//! The helper process: `tuplix task-runner`, one thread, which starts the programs so that the node never forks.
//!
//! Its standard input brings commands, its standard output takes reports ([`protocol`]). It ends when its input does, and
//! whatever runs ends with it.

pub(crate) mod client;
mod isolation;
mod memory;
mod orphans;
mod process;
pub(crate) mod protocol;
mod system;
mod watch;

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;

pub(crate) use isolation::{SOCKET_FOLDER, TOOLS_FOLDER, WORKING_FOLDER};
pub(crate) use orphans::{FOLDER_VARIABLE, end_orphans};

use memory::Groups;
use process::Running;
use protocol::{Bound, Command, End, Report, Request, receive, send};

/// The helper's argument: the process that it dies with.
const PARENT: &str = "--parent";

/// The helper's argument: do without control groups, as where there are none.
pub(crate) const NO_CONTROL_GROUPS: &str = "--no-control-groups";

/// The helper's whole life, until its input ends.
pub fn run_task_runner() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuplix task-runner: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    system::die_with_parent()?;
    let mut arguments = std::env::args().skip_while(|argument| argument != PARENT).skip(1);
    let parent = arguments.next().and_then(|parent| parent.parse::<u32>().ok());
    if parent != Some(std::os::unix::process::parent_id()) {
        return Err(io::Error::other("it is started by a worker, which is not there"));
    }
    // A Ctrl-C in the terminal is the node's to handle.
    // SAFETY: makes this process leader of a session; takes nothing.
    let _ = unsafe { libc::setsid() };
    system::adopt_orphans()?;
    let without = std::env::args().any(|argument| argument == NO_CONTROL_GROUPS);
    let mut groups = if without { None } else { Groups::find() };
    if let Some(groups) = &groups {
        groups.sweep();
    }
    // Not `io::stdin()`, whose buffer would hide a command from poll(2).
    // SAFETY: descriptor 0 is open as long as the process lives, and never closed here.
    let mut input = ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
    let mut output = io::stdout();
    while let Some(command) = receive(&mut *input)? {
        // A kill that comes late means a task that is over.
        let Command::Run(request) = command else { continue };
        let report = match run(&request, groups.as_mut(), &mut input) {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(()),
            Err(error) => not_started(error.to_string()),
        };
        send(&mut output, &report)?;
    }
    Ok(())
}

pub(crate) fn not_started(why: String) -> Report {
    Report {
        end: End::NotStarted(why),
        user_time_us: 0,
        system_time_us: 0,
        peak_memory: 0,
        out_of_memory: false,
        bound: Bound::None,
    }
}

/// Runs one task; `None` when the worker is gone.
fn run(request: &Request, groups: Option<&mut Groups>, input: &mut File) -> io::Result<Option<Report>> {
    let mut running = Running::start(request, groups)?;
    let deadline = request.timeout_ms.map(|timeout| monotonic_ms().saturating_add(timeout));
    let mut ended_by = None;
    loop {
        let left =
            deadline.filter(|_| ended_by.is_none()).map(|deadline| deadline.saturating_sub(monotonic_ms()));
        let pause = left.into_iter().chain(running.look_in_ms()).min();
        let (commanded, said) = poll(input.as_raw_fd(), running.descriptor(), pause)?;
        if said && !running.hear()? {
            return running.report(ended_by).map(Some);
        }
        running.look();
        if commanded {
            match receive::<Command>(input) {
                Ok(Some(Command::Kill(number))) if number == request.number => {
                    ended_by = ended_by.or(Some(End::Killed));
                    running.kill();
                }
                // It came late, for the one before.
                Ok(Some(Command::Kill(_))) => {}
                Ok(Some(Command::Run(_)) | None) | Err(_) => {
                    running.kill();
                    return Ok(None);
                }
            }
        }
        if left == Some(0) && !said && !commanded {
            ended_by = Some(End::TimedOut);
            running.kill();
        }
    }
}

/// Waits until one of two descriptors can be read, or the milliseconds are over.
fn poll(first: i32, second: i32, milliseconds: Option<u64>) -> io::Result<(bool, bool)> {
    let watched = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut both = [watched(first), watched(second)];
    let timeout = milliseconds.map_or(-1, |left| i32::try_from(left).unwrap_or(i32::MAX));
    // SAFETY: the pointer and count name `both`, which outlives the call.
    match system::check(unsafe { libc::poll(both.as_mut_ptr(), 2, timeout) }.into()) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => Ok((false, false)),
        Ok(_) => Ok((both[0].revents != 0, both[1].revents != 0)),
    }
}

/// This process has nothing of the simulated machine.
#[allow(clippy::disallowed_methods)]
fn monotonic_ms() -> u64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
