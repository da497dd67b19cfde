//! A worker: joins, claims, runs, ends.
//!
//! ```text
//! pulse thread     listens: tasks assigned, tasks cancelled, times due; heartbeats, ticks
//!    | room: buckets with tasks, cores and memory left, what runs
//! task threads     one a core: claim -> stage -> run in a helper process -> keep logs and outputs, finish or fail
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tuplix::{Session, SessionOptions, SqlError, Tuplix};
use tuplix_machine::{JoinHandle, Machine};
use tuplix_services::errors;
use tuplix_services::scheduler::{Scheduler, WorkerOffer};

use crate::adopt::Adopted;
use crate::errors::WorkerError;
use crate::folder::remove;
use crate::options::{Isolation, WorkerOptions};
use crate::pulse::Pulse;
use crate::room::Room;
use crate::runner::client::Runner;
use crate::runner::end_orphans;
use crate::runner::protocol::{Bound, End, Report, Request, View};
use crate::stopper::Stopper;
use crate::task_thread::TaskThread;

/// The file of a working directory that says until when the worker's leases hold, for its helper processes.
const LEASE: &str = "lease";

/// Bytes that the program which tries the isolation may take; it is none, so any will do.
const PROBE_MEMORY: u64 = 64 << 20;

/// How tasks are kept apart here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Why they see what the node sees; `None`: they run in namespaces of their own.
    pub not_isolated: Option<String>,
    /// Whether the kernel counts and bounds the memory of a task's processes together (control groups); otherwise the helper
    /// process looks at it from time to time.
    pub memory_by_kernel: bool,
    /// Whether the kernel bounds how many processes a task has; otherwise nobody does.
    pub processes_by_kernel: bool,
}

/// What the threads of a worker have in common.
pub(crate) struct Context {
    pub(crate) node: Tuplix,
    pub(crate) machine: Machine,
    pub(crate) options: WorkerOptions,
    pub(crate) confinement: Confinement,
    pub(crate) room: Room,
    /// The working directory, locked: no two workers have the same.
    _lock: File,
}

/// A working directory that is this worker's own.
struct Place {
    folder: PathBuf,
    lock: File,
    adopted: Vec<Adopted>,
}

/// A worker at work. Dropping it does not stop it: [`Worker::stop`] does.
pub struct Worker {
    context: Arc<Context>,
    threads: Vec<JoinHandle<()>>,
}

/// Waits for the end of a worker.
pub struct Watch(Arc<Context>);

impl Watch {
    /// Waits until it runs nothing and claims nothing any more: it was drained, or gave up.
    pub fn wait(&self) {
        self.0.room.wait_until_idle(None);
    }
}

impl Worker {
    /// Joins all its buckets and begins to claim. The services have to be installed.
    ///
    /// What a worker of the same identifier held is lost at once and runs again: first, processes that it left behind in the
    /// same working directory are ended. A worker that does not die with its node adopts those whose leases still hold.
    ///
    /// # Errors
    /// [`WorkerError`] says what is in the way.
    pub fn start(node: &Tuplix, mut options: WorkerOptions) -> Result<Worker, WorkerError> {
        if options.cores < 1 || options.buckets.is_empty() {
            return Err(WorkerError::Nothing);
        }
        let place = prepare(&options.work_directory, !options.dies_with_node)?;
        options.work_directory = place.folder;
        let confinement = probe(&options)?;
        let machine = Machine::linux();
        let room = Room::new(&machine, &options);
        let (node, _lock) = (node.clone(), place.lock);
        let context = Arc::new(Context { node, machine, options, confinement, room, _lock });
        let (pulse, mut adopted) = Pulse::join(&context, place.adopted)?;
        let mut worker = Worker { threads: Vec::new(), context };
        let mut spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            worker.threads.push(worker.context.machine.spawn(name, body));
        };
        spawn("worker-pulse", Box::new(move || pulse.beat()));
        for number in 0..worker.context.options.cores {
            let context = worker.context.clone();
            let found = adopted.iter().position(|adopted| adopted.number() == Some(number));
            let found = found.map(|place| adopted.swap_remove(place));
            spawn(
                &format!("worker-task-{number}"),
                Box::new(move || TaskThread::run(&context, number, found)),
            );
        }
        Ok(worker)
    }

    /// For a node that starts without its worker: what the worker of an earlier start held is queued again for others.
    ///
    /// # Errors
    /// As [`Worker::start`].
    pub fn retire(node: &Tuplix, options: &WorkerOptions) -> Result<(), WorkerError> {
        prepare(&options.work_directory, false)?;
        let mut session = node.session(&SessionOptions::default())?;
        let scheduler = Scheduler::new(&mut session)?;
        for bucket in &options.buckets {
            let left = scheduler.leave_worker(&mut session, *bucket, options.id);
            match left {
                Err(error) if error.sqlstate() == errors::UNKNOWN_WORKER => {}
                // It held tasks that had begun: who joins anew has lost them.
                Ok(status) if status == "draining" => {
                    scheduler.join_worker(&mut session, *bucket, options.id, &offer(options))?;
                    scheduler.leave_worker(&mut session, *bucket, options.id)?;
                }
                left => drop(left?),
            }
        }
        Ok(())
    }

    /// What it offers and how.
    pub fn options(&self) -> &WorkerOptions {
        &self.context.options
    }

    /// How tasks are kept apart.
    pub fn confinement(&self) -> &Confinement {
        &self.context.confinement
    }

    /// What waits for its end, from another thread.
    pub fn watch(&self) -> Watch {
        Watch(self.context.clone())
    }

    /// Whether it was told from elsewhere to take no more tasks.
    pub fn is_draining(&self) -> bool {
        self.context.room.is_draining() && !self.context.room.is_stopping()
    }

    /// Takes no more tasks, lets what runs come to its end for so long, and stops; whether all of it came there.
    ///
    /// # Errors
    /// As [`Worker::stop`].
    pub fn drain(self, limit: Duration) -> Result<bool, WorkerError> {
        self.context.room.drain();
        // What it has not begun is for others at once. A node that cannot be reached finds out by the leases.
        if let Err(error) =
            self.context.session().map_err(WorkerError::from).and_then(|mut session| self.leave(&mut session))
        {
            tracing::warn!(event = "worker_not_left", "{error}");
        }
        let all = self.context.room.wait_until_idle(Some(limit));
        self.stop()?;
        Ok(all)
    }

    /// Ends what runs, gives it and what was not begun back to the queue, and leaves.
    ///
    /// # Errors
    /// The database's; the next start under the same identifier sets it right.
    pub fn stop(mut self) -> Result<(), WorkerError> {
        self.context.room.stop_and_wait();
        let session = self.context.session().and_then(|mut session| {
            session.execute(&format!("NOTIFY os_worker_{}, 'stop'", self.context.options.id))?;
            Ok(session)
        });
        // Without a node the pulse notices by itself.
        for thread in std::mem::take(&mut self.threads) {
            if let Err(panic) = thread.join() {
                tracing::error!(event = "worker_panicked", "{panic}");
            }
        }
        if let Err(error) = crate::folder::remove(&self.context.options.work_directory.join(LEASE)) {
            tracing::warn!(event = "lease_not_removed", "cannot remove the file of the lease: {error}");
        }
        self.leave(&mut session?)
    }

    /// Leaves all buckets; `draining` while it still runs something there.
    fn leave(&self, session: &mut Session) -> Result<(), WorkerError> {
        let scheduler = Scheduler::new(session)?;
        for bucket in &self.context.options.buckets {
            match scheduler.leave_worker(session, *bucket, self.context.options.id) {
                // The bucket has given it up.
                Err(error) if error.sqlstate() == errors::UNKNOWN_WORKER => {}
                left => drop(left?),
            }
        }
        Ok(())
    }
}

impl Context {
    /// A session of the worker's own.
    pub(crate) fn session(&self) -> Result<Session, SqlError> {
        let application_name = format!("worker {}", self.options.id);
        self.node.session(&SessionOptions { application_name, ..SessionOptions::default() })
    }

    /// What a task sees of the machine; `None`: everything.
    pub(crate) fn view(&self) -> Option<View> {
        self.confinement.not_isolated.is_none().then(|| view(&self.options))
    }

    /// Whether it goes on without its node, and what it runs goes on without it, until the leases end.
    pub(crate) fn keeps(&self) -> bool {
        !self.options.dies_with_node
    }

    /// The file that says until when the leases hold, where that matters.
    pub(crate) fn lease_file(&self) -> Option<PathBuf> {
        self.keeps().then(|| self.options.work_directory.join(LEASE))
    }

    /// All leases were renewed by calls that began at this time, in milliseconds since the machine's start.
    pub(crate) fn renewed(&self, began_ms: u64) {
        let Some(file) = self.lease_file() else { return };
        let new = file.with_extension("new");
        let lease = u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX);
        let until = began_ms.saturating_add(lease).to_string();
        if let Err(error) = fs::write(&new, until).and_then(|()| fs::rename(&new, &file)) {
            tracing::error!(event = "lease_not_noted", "cannot write {}: {error}", file.display());
        }
    }

    /// The worker cannot go on.
    pub(crate) fn give_up(&self, error: &SqlError) {
        if !self.room.is_stopping() {
            tracing::error!(event = "worker_ended", "the worker ends: {}", crate::errors::text_of(error));
        }
        self.room.stop();
    }
}

/// What a worker offers to each bucket.
pub(crate) fn offer(options: &WorkerOptions) -> WorkerOffer {
    let lease_ms = i32::try_from(options.lease.as_millis()).unwrap_or(i32::MAX);
    WorkerOffer {
        cores: options.cores,
        memory: options.memory,
        host: options.host.clone(),
        lease_ms,
        machine: options.machine.clone(),
        resources: options.resources.clone(),
    }
}

fn view(options: &WorkerOptions) -> View {
    View {
        network: options.network,
        readable: options.readable.clone(),
        hidden: options.hidden.clone(),
        tools: options.tools.clone(),
        socket: options.socket.clone(),
    }
}

/// Makes the working directory, locks it, and ends what a start before this one left in it and is not adopted.
fn prepare(folder: &Path, adopts: bool) -> Result<Place, WorkerError> {
    let unusable = |error| WorkerError::WorkDirectory(folder.to_owned(), error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let folder = folder.canonicalize().map_err(unusable)?;
    let lock = File::open(&folder).map_err(unusable)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(WorkerError::InUse(folder)),
        locked => locked.map_err(|error| unusable(error.into()))?,
    }
    let mut adopted = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unusable)? {
        let left = entry.map_err(unusable)?.path();
        if adopts && left.ends_with(LEASE) {
            // Its helpers still look at it.
            continue;
        }
        match Adopted::find(&left).filter(|_| adopts) {
            Some(found) => adopted.push(found),
            None => {
                if !end_orphans(&left) {
                    return Err(WorkerError::Orphan(left));
                }
                remove(&left).map_err(unusable)?;
            }
        }
    }
    Ok(Place { folder, lock, adopted })
}

/// Finds out what this machine permits.
fn probe(options: &WorkerOptions) -> Result<Confinement, WorkerError> {
    let isolated = match options.isolation {
        Isolation::Off => return try_out(options, None, Some("it is switched off".to_owned())),
        Isolation::Auto => try_out(options, Some(view(options)), None)?,
    };
    match isolated.not_isolated {
        Some(why) => try_out(options, None, Some(why)),
        None => Ok(isolated),
    }
}

/// Runs no program, in the way in which tasks are to run.
fn try_out(
    options: &WorkerOptions,
    isolation: Option<View>,
    why_not: Option<String>,
) -> Result<Confinement, WorkerError> {
    let isolated = isolation.is_some();
    let folder = options.work_directory.join("probe");
    let unusable = |error| WorkerError::WorkDirectory(folder.clone(), error);
    fs::create_dir_all(folder.join("files")).map_err(unusable)?;
    let request = Request {
        folder: folder.clone(),
        memory: Some(PROBE_MEMORY),
        processes_max: options.processes_max,
        isolation,
        ..Request::default()
    };
    let report = ask(options, request);
    remove(&folder).map_err(unusable)?;
    let failed = |error| WorkerError::Runner(options.runner.program.clone(), error);
    let report = report.map_err(failed)?;
    let (memory_by_kernel, processes_by_kernel) = (report.bound == Bound::Group, report.counted);
    match report.end {
        End::Exited(0) => Ok(Confinement { not_isolated: why_not, memory_by_kernel, processes_by_kernel }),
        End::NotStarted(why) if isolated => {
            Ok(Confinement { not_isolated: Some(why), memory_by_kernel, processes_by_kernel })
        }
        end => Err(failed(io::Error::other(format!("it cannot start a program: {end:?}")))),
    }
}

/// One request to a helper of its own.
fn ask(options: &WorkerOptions, request: Request) -> io::Result<Report> {
    let mut runner = Runner::start(&options.runner, false)?;
    runner.run(&Stopper::default(), None, request)?.ok_or_else(|| io::Error::other("it was not asked"))
}
