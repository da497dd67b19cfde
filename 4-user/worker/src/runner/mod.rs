//! The helper process: `tuplix task-runner`, one thread, which starts the programs so that the node never forks.
//!
//! Its standard input brings commands, its standard output takes reports ([`protocol`]). It ends when its input does, and
//! whatever runs ends with it; one that [`OUTLIVES`] its worker lets it go on until the worker's leases end, and leaves its report
//! beside the folder's other files, for the worker that starts again.

pub(crate) mod client;
pub(crate) mod helper;
mod isolation;
mod memory;
mod orphans;
mod process;
pub(crate) mod protocol;
pub(crate) mod system;
mod watch;

use std::fs::{self, File};
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

/// The helper's argument: go on without the worker.
const OUTLIVES: &str = "--outlives";

/// How an attempt went, in its folder, by a helper that outlives its worker.
pub(crate) const REPORT: &str = "report";

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

/// Who tells the helper what to do.
struct Commands {
    /// Standard input; `None` when the worker is gone.
    input: Option<ManuallyDrop<File>>,
    /// SIGTERM, of one that outlives its worker.
    signals: Option<File>,
}

/// What was told.
enum Told {
    Nothing,
    End,
    /// The worker is gone.
    Gone,
}

fn serve() -> io::Result<()> {
    let outlives = std::env::args().any(|argument| argument == OUTLIVES);
    if !outlives {
        system::die_with_parent()?;
    }
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
    let input = ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
    let signals = if outlives { Some(system::terminations()?.into()) } else { None };
    let mut commands = Commands { input: Some(input), signals };
    let mut output = io::stdout();
    while let Some(request) = commands.next()? {
        let report = match run(&request, groups.as_mut(), &mut commands) {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(()),
            Err(error) => not_started(error.to_string()),
        };
        if outlives {
            keep(&request, &report)?;
        }
        if commands.input.is_some() {
            match send(&mut output, &report) {
                Err(error) if outlives && error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                sent => sent?,
            }
        }
    }
    Ok(())
}

/// Leaves a report where a worker that starts again finds it, whole or not at all.
fn keep(request: &Request, report: &Report) -> io::Result<()> {
    let (new, place) = (request.folder.join("report.new"), request.folder.join(REPORT));
    fs::write(&new, serde_json::to_vec(report)?)?;
    fs::rename(new, place)
}

pub(crate) fn not_started(why: String) -> Report {
    Report {
        end: End::NotStarted(why),
        user_time_us: 0,
        system_time_us: 0,
        peak_memory: 0,
        out_of_memory: false,
        bound: Bound::None,
        counted: false,
        processes_over: None,
    }
}

impl Commands {
    /// The next program to run; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Box<Request>>> {
        let Some(input) = &mut self.input else { return Ok(None) };
        loop {
            match receive(&mut **input)? {
                Some(Command::Run(request)) => return Ok(Some(request)),
                // A kill that comes late means a task that is over.
                Some(Command::Kill(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits until something is told, `said` can be read, or the milliseconds are over; what was told, and whether it can be read.
    fn wait(&mut self, request: &Request, said: i32, pause: Option<u64>) -> io::Result<(Told, bool)> {
        let input = self.input.as_ref().map_or(-1, |input| input.as_raw_fd());
        let signals = self.signals.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let [commanded, said, signalled] = poll([input, said, signals], pause)?;
        if signalled && let Some(signals) = &mut self.signals {
            io::Read::read(signals, &mut [0; system::SIGNAL_BYTES])?;
            return Ok((Told::End, said));
        }
        let Some(input) = self.input.as_mut().filter(|_| commanded) else { return Ok((Told::Nothing, said)) };
        let told = match receive::<Command>(&mut **input) {
            Ok(Some(Command::Kill(number))) if number == request.number => Told::End,
            // It came late, for the one before.
            Ok(Some(Command::Kill(_))) => Told::Nothing,
            Ok(Some(Command::Run(_)) | None) | Err(_) => {
                self.input = None;
                Told::Gone
            }
        };
        Ok((told, said))
    }
}

/// Runs one task; `None` when the worker is gone and it went with it.
fn run(
    request: &Request,
    groups: Option<&mut Groups>,
    commands: &mut Commands,
) -> io::Result<Option<Report>> {
    let mut running = Running::start(request, groups)?;
    let deadline = request.timeout_ms.map(|timeout| system::boot_ms().saturating_add(timeout));
    let mut lease = request.lease.as_deref().and_then(system::lease);
    let mut ended_by = None;
    loop {
        let now = system::boot_ms();
        let left =
            |until: Option<u64>| until.filter(|_| ended_by.is_none()).map(|until| until.saturating_sub(now));
        let pause = left(deadline).into_iter().chain(left(lease)).chain(running.look_in_ms()).min();
        let (told, said) = commands.wait(request, running.descriptor(), pause)?;
        if said && !running.hear()? {
            return running.report(ended_by).map(Some);
        }
        running.look();
        let now = system::boot_ms();
        let mut end = match told {
            Told::End => Some(End::Killed),
            Told::Gone if commands.signals.is_none() => {
                running.kill();
                return Ok(None);
            }
            Told::Gone | Told::Nothing => None,
        };
        if deadline.is_some_and(|deadline| now >= deadline) {
            end = end.or(Some(End::TimedOut));
        }
        if lease.is_some_and(|until| now >= until) {
            // A file that is being replaced, or is gone, is no lease.
            lease = request.lease.as_deref().and_then(system::lease).or(lease);
            if lease.is_some_and(|until| now >= until) {
                end = end.or(Some(End::LeaseEnded));
            }
        }
        if ended_by.is_none() && end.is_some() && !said {
            ended_by = end;
            running.kill();
        }
    }
}

/// Waits until one of the descriptors (-1: none) can be read, or the milliseconds are over.
fn poll(descriptors: [i32; 3], milliseconds: Option<u64>) -> io::Result<[bool; 3]> {
    let mut watched = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = milliseconds.map_or(-1, |left| i32::try_from(left).unwrap_or(i32::MAX));
    // SAFETY: the pointer and count name `watched`, which outlives the call.
    match system::check(unsafe { libc::poll(watched.as_mut_ptr(), 3, timeout) }.into()) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => Ok([false; 3]),
        Ok(_) => Ok(watched.map(|one| one.revents != 0)),
    }
}
