//! One task's processes: an init of its own namespace, and the program below it.
//!
//! ```text
//! helper --clone(namespaces)--> init --fork--> program --fork--> ...
//!    |  <----- how the program ended ----/
//!    +-- kill init: the kernel ends all processes of its namespace
//! ```
//!
//! init waits until the helper has put it into its control group and written down its number, so that nothing runs that a
//! later start could not find. It dies with the helper, and the helper with the node.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::isolation::{self, WORKING_FOLDER, find_program};
use super::memory::{Group, Groups};
use super::protocol::{Bound, End, Report, Request};
use super::system;
use super::watch::{self, Watch};

/// How much more likely than others a task is ended where memory runs out, of 1000.
const OUT_OF_MEMORY_FIRST: &str = "500";

/// How much more than its memory a process may ask for where the helper looks at it from time to time: twice, and so many bytes.
const DATA_BYTES_MORE: u64 = 32 << 20;

/// What setrlimit(2) bounds.
#[derive(Clone, Copy)]
struct Limits {
    file_bytes: u64,
    /// What a process may ask for, where the kernel does not bound the memory of all together: nobody outruns the looks.
    data_bytes: Option<u64>,
    /// Where the kernel does not count the processes of all groups; it counts those of the task's own namespace then.
    processes: Option<u64>,
    /// Whether one of the two bounds their number.
    counted: bool,
}

impl Limits {
    fn of(request: &Request, group: Option<&Group>) -> Limits {
        let memory = request.memory.filter(|_| group.is_none());
        let counts = group.is_some_and(Group::counts);
        let most =
            Some(request.processes_max).filter(|most| *most > 0 && !counts && request.isolation.is_some());
        Limits {
            file_bytes: request.file_bytes_max,
            data_bytes: memory.map(|bytes| bytes.saturating_mul(2).saturating_add(DATA_BYTES_MORE)),
            processes: most,
            // The machine's user 0 is bound to no number.
            counted: counts || (most.is_some() && !rustix::process::getuid().is_root()),
        }
    }
}

/// What init says at the end: a wait status, or why nothing ran.
const ENDED: u8 = b'E';
const NOT_STARTED: u8 = b'N';

/// A task that runs.
pub(super) struct Running {
    init: i32,
    isolated: bool,
    group: Option<Group>,
    watch: Option<Watch>,
    counted: bool,
    said: File,
    heard: Vec<u8>,
}

impl Running {
    /// Starts a task.
    pub(super) fn start(request: &Request, groups: Option<&mut Groups>) -> io::Result<Running> {
        // Opened here: the files are out of the program's reach.
        let output = File::create(request.folder.join("stdout"))?;
        let errors = File::create(request.folder.join("stderr"))?;
        fs::create_dir_all(request.folder.join("root"))?;
        let most = request.processes_max;
        let group = groups.map(|groups| groups.make(request.memory, most)).transpose()?;
        let limits = Limits::of(request, group.as_ref());
        let watch = request.memory.filter(|_| group.is_none()).map(Watch::new);
        let (said, saying) = system::pipe()?;
        let (waited_for, go) = system::pipe()?;
        let namespaces = request.isolation.as_ref().map_or(0, isolation::namespaces);
        let init = system::tried(system::fork_into(namespaces), || {
            "cannot make a process and its namespaces".to_owned()
        })?;
        if init == 0 {
            drop((said, go));
            run_init(request, limits, waited_for.into(), saying.into(), output, errors);
        }
        drop((saying, waited_for));
        let isolated = namespaces != 0;
        let counted = limits.counted;
        let running = Running { init, isolated, group, watch, counted, said: said.into(), heard: Vec::new() };
        if let Err(error) = running.release(request, go) {
            running.kill();
            system::wait(init)?;
            return Err(error);
        }
        Ok(running)
    }

    /// Lets init go on once everything about it is in place.
    fn release(&self, request: &Request, go: OwnedFd) -> io::Result<()> {
        if self.isolated {
            isolation::map_user(self.init)?;
        }
        if let Some(group) = &self.group {
            system::tried(group.add(self.init), || "cannot use a control group".to_owned())?;
        }
        fs::write(request.folder.join("process"), super::orphans::name_of(self.init)?)?;
        File::from(go).write_all(b"!")
    }

    /// What to poll: readable when the task has something to say or is over.
    pub(super) fn descriptor(&self) -> RawFd {
        self.said.as_raw_fd()
    }

    /// Reads what came; false at the end.
    pub(super) fn hear(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let length = self.said.read(&mut bytes)?;
        self.heard.extend_from_slice(&bytes[..length]);
        Ok(length > 0)
    }

    /// Milliseconds until [`Running::look`] wants to be called; `None` when the kernel looks.
    pub(super) fn look_in_ms(&self) -> Option<u64> {
        self.watch.as_ref().map(|_| Watch::EVERY_MS)
    }

    /// Looks at its memory, and ends it when that is too much.
    pub(super) fn look(&mut self) {
        if self.watch.as_mut().is_some_and(|watch| watch.look(self.init)) {
            self.kill();
        }
    }

    /// Ends all its processes.
    pub(super) fn kill(&self) {
        // init leads a process group of its own; without a namespace that is all that can be reached.
        system::kill(-self.init);
        system::kill(self.init);
    }

    /// After the end: how it went.
    pub(super) fn report(self, ended_by: Option<End>) -> io::Result<Report> {
        let usage = system::wait_usage(self.init)?;
        if !self.isolated {
            // What the program left behind.
            system::kill(-self.init);
            end_children();
        }
        // Without a word from init somebody killed it, the kernel for its memory perhaps.
        let end = ended_by.or_else(|| said(&self.heard)).unwrap_or(End::Signalled(libc::SIGKILL));
        let microseconds = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        let largest = usage.ru_maxrss * 1024;
        let failed = end != End::Exited(0);
        let (bound, peak, out_of_memory) = match (&self.group, &self.watch) {
            (Some(group), _) => (Bound::Group, group.peak().unwrap_or(largest), group.out_of_memory()),
            (None, Some(watch)) => {
                let peak = largest.max(i64::try_from(watch.peak()).unwrap_or(i64::MAX));
                (Bound::Watched, peak, watch.over(largest.unsigned_abs(), failed))
            }
            (None, None) => (Bound::None, largest, false),
        };
        let processes_over = self.group.as_ref().and_then(Group::processes_over);
        Ok(Report {
            end,
            counted: self.counted,
            processes_over,
            user_time_us: microseconds(usage.ru_utime),
            system_time_us: microseconds(usage.ru_stime),
            peak_memory: peak,
            out_of_memory,
            bound,
        })
    }
}

/// Ends what an unisolated program left behind: its orphans are the helper's children.
fn end_children() {
    loop {
        let children = watch::children(std::process::id().cast_signed());
        if children.is_empty() {
            return;
        }
        for child in children {
            system::kill(child);
            // Fails where it was waited for already.
            let _ = system::wait(child);
        }
    }
}

/// What init said.
fn said(heard: &[u8]) -> Option<End> {
    match heard {
        [ENDED, status @ ..] => {
            let status = i32::from_le_bytes(status.try_into().ok()?);
            Some(if libc::WIFSIGNALED(status) {
                End::Signalled(libc::WTERMSIG(status))
            } else {
                End::Exited(libc::WEXITSTATUS(status))
            })
        }
        [NOT_STARTED, why @ ..] => Some(End::NotStarted(String::from_utf8_lossy(why).into_owned())),
        _ => None,
    }
}

/// The first process of the task; never returns.
fn run_init(
    request: &Request,
    limits: Limits,
    mut wait: File,
    mut say: File,
    output: File,
    errors: File,
) -> ! {
    let message = match be_init(request, limits, &mut wait, output, errors) {
        Ok(Some(status)) => [&[ENDED][..], &status.to_le_bytes()].concat(),
        // The helper is gone, nobody listens.
        Ok(None) => Vec::new(),
        Err(error) => [&[NOT_STARTED][..], error.to_string().as_bytes()].concat(),
    };
    let sent = say.write_all(&message);
    // SAFETY: ends this process at once; nothing of the helper's is to be dropped here.
    unsafe { libc::_exit(i32::from(sent.is_err())) }
}

/// The program's wait status; `None` when the helper ended first.
fn be_init(
    request: &Request,
    limits: Limits,
    wait: &mut File,
    output: File,
    errors: File,
) -> io::Result<Option<i32>> {
    system::die_with_parent()?;
    // Read only after the line above, so that a helper that ended before it is noticed too.
    if wait.read(&mut [0])? == 0 {
        return Ok(None);
    }
    // SAFETY: takes nothing.
    system::check(unsafe { libc::setsid() }.into())?;
    // When the machine runs out of memory, the kernel ends tasks before the node. Not there on every kernel.
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_FIRST);
    if !request.processors.is_empty() {
        system::run_on(&request.processors)?;
    }
    let folder = match &request.isolation {
        Some(view) => {
            isolation::enter(request, view)?;
            Path::new(WORKING_FOLDER).to_owned()
        }
        None => request.folder.join("files"),
    };
    if request.program.is_empty() {
        return Ok(Some(0));
    }
    std::env::set_current_dir(&folder)?;
    let search_path = request.environment.get("PATH").map_or("", String::as_str);
    let path = find_program(&request.program, search_path).map_err(io::Error::other)?;
    let mut command = Command::new(&path);
    command.arg0(&request.program).args(&request.arguments).env_clear().envs(&request.environment);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let isolated = request.isolation.is_some();
    // SAFETY: this process has one thread, so its child may do anything.
    unsafe { command.pre_exec(move || restrict(isolated, limits)) };
    let program = command.spawn().map_err(|error| not_executed(&path, &error))?;
    let program = i32::try_from(program.id()).map_err(io::Error::other)?;
    // In a namespace of its own it inherits orphans.
    loop {
        let (ended, status) = system::wait(-1)?;
        if ended == program {
            return Ok(Some(status));
        }
    }
}

/// In the program's process, before it becomes the program.
fn restrict(isolated: bool, limits: Limits) -> io::Result<()> {
    system::unblock_signals()?;
    system::limit(libc::RLIMIT_CORE, 0)?;
    system::limit(libc::RLIMIT_FSIZE, limits.file_bytes)?;
    if let Some(most) = limits.data_bytes {
        system::limit(libc::RLIMIT_DATA, most)?;
    }
    if let Some(most) = limits.processes {
        system::limit(libc::RLIMIT_NPROC, most)?;
    }
    if isolated {
        return system::drop_capabilities();
    }
    // Without a namespace that ends with init.
    system::die_with_parent()?;
    system::no_new_privileges()
}

fn not_executed(path: &Path, error: &io::Error) -> io::Error {
    let path = path.display();
    let text = match error.raw_os_error() {
        Some(libc::ENOENT) => format!("the program {path} is there, but not the interpreter that it names"),
        Some(libc::EACCES) => format!("the program {path} may not be executed: {error}"),
        Some(libc::ENOEXEC) => {
            format!("the program {path} is no executable file: a script begins with #! and its interpreter")
        }
        Some(libc::E2BIG) => format!("the arguments and environment of {path} are too long"),
        Some(libc::ENOMEM) => format!("the program {path} does not fit into the memory of the task"),
        _ => format!("the program {path} cannot be executed: {error}"),
    };
    io::Error::other(text)
}
