//! A seeded simulation of the whole machine: same seed, same run, to the byte.
//!
//! Simulated threads are operating-system threads of which exactly one runs at a time: the one that holds
//! the baton. At each yield point the seeded scheduler may pass it on. Virtual time advances by a tick at
//! each yield point, and to the next timer when nobody is runnable. When nobody is runnable and no timer is set,
//! the run fails with a report of who waits for what. The disk loses what was not synced when the
//! machine crashes, and fails as [`Faults`] says.
//!
//! ```
//! use tuplix_machine::{Faults, OpenMode, Simulation};
//!
//! let before = Simulation::new(7, Faults::harsh()).run(|machine| {
//!     let disk = machine.disk("data");
//!     let file = disk.open("a", OpenMode::CreateNew).unwrap();
//!     file.write_at(0, b"kept").unwrap();
//!     file.sync_data().unwrap();
//!     disk.sync_dir("").unwrap();
//!     file.write_at(4, b" or lost").unwrap();
//!     machine.crash();
//! });
//! assert!(before.crashed());
//! let after = Simulation::new(8, Faults::none())
//!     .with_disk(before.disk)
//!     .run(|machine| machine.disk("data").read("a").unwrap());
//! assert!(after.value.unwrap().starts_with(b"kept"));
//! ```

mod disk;
pub(crate) mod random;
mod scheduler;

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::thread::{ResultSlot, panic_message};
use crate::{Kind, Machine};

pub use disk::DiskImage;
pub(crate) use disk::disk;
pub(crate) use scheduler::{Core, Key, Woken};

/// How a simulated machine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// The body returned; threads still there were ended, what they wrote stays.
    Exit,
    /// As `kill -9`: all threads ended, what was written stays.
    Kill,
    /// All threads ended, what was not synced is lost, torn or kept.
    PowerLoss,
}

/// What goes wrong in a simulation besides the order in which threads run.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Power fails during the Nth disk operation (from 1).
    pub crash_at_io: Option<u64>,
    /// The Nth disk operation (from 1) fails with [`Faults::errno`]. A failed write may have written a
    /// part; after a failed fsync some of the data is lost although later ones succeed.
    pub fail_io: Option<u64>,
    /// One in this many disk operations fails with [`Faults::errno`], at random; 0: none.
    pub fail_one_in: u64,
    /// The error of failing operations: `libc::EIO` unless changed.
    pub errno: i32,
    /// Bytes of all files together above which writing fails with ENOSPC.
    pub capacity: Option<u64>,
    /// At a power failure any subset of the unsynced sectors (512 bytes or 4 KiB) survives, instead of a prefix
    /// of the writes with the last one torn at a sector.
    pub reorder: bool,
    /// At a power failure a bit of an unsynced sector that survives may be flipped.
    pub flip_bits: bool,
    /// Writes and syncs take up to this long in virtual time; 0: none.
    pub latency_ns: u64,
    /// The baton passes at one in this many yield points; 0: the seed chooses.
    pub switch_one_in: u64,
    /// A run that has more yield points than this fails: it hangs busily.
    pub max_steps: u64,
}

impl Faults {
    /// A disk that works; power failures, when asked for, keep a prefix of the unsynced writes.
    pub fn none() -> Faults {
        Faults {
            crash_at_io: None,
            fail_io: None,
            fail_one_in: 0,
            errno: libc::EIO,
            capacity: None,
            reorder: false,
            flip_bits: false,
            latency_ns: 0,
            switch_one_in: 0,
            max_steps: 20_000_000,
        }
    }

    /// A disk that works but takes time, and whose power failures lose, tear and reorder.
    pub fn harsh() -> Faults {
        Faults { reorder: true, latency_ns: 2_000_000, ..Faults::none() }
    }
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::none()
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Outcome<R> {
    /// What the body returned; `None` when the machine crashed under it.
    pub value: Option<R>,
    /// The disk as the next machine finds it.
    pub disk: DiskImage,
    /// How it ended.
    pub ended: CrashKind,
    /// A hash over every event of the run: equal seeds give equal hashes.
    pub trace: u64,
    /// Yield points passed.
    pub steps: u64,
    /// Disk operations attempted.
    pub io_count: u64,
    /// Disk operations that failed because [`Faults`] wanted it (ENOSPC included).
    pub faults_fired: u64,
    /// Virtual time at the end.
    pub now_ns: u64,
}

impl<R> Outcome<R> {
    /// Whether the machine ended before the body returned.
    pub fn crashed(&self) -> bool {
        self.ended != CrashKind::Exit
    }
}

/// One simulated machine from start to end.
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    faults: Faults,
    image: DiskImage,
    start_ns: u64,
}

impl Simulation {
    /// A machine with an empty disk.
    pub fn new(seed: u64, faults: Faults) -> Simulation {
        Simulation { seed, faults, image: DiskImage::default(), start_ns: 0 }
    }

    /// With what an earlier machine left.
    #[must_use]
    pub fn with_disk(mut self, image: DiskImage) -> Simulation {
        self.image = image;
        self
    }

    /// With a clock that goes on where an earlier machine's ended.
    #[must_use]
    pub fn starting_at(mut self, now_ns: u64) -> Simulation {
        self.start_ns = now_ns;
        self
    }

    /// Runs `body` as the first simulated thread. When it returns, threads still there are ended.
    ///
    /// # Panics
    /// When a simulated thread panics, when all wait for each other, and when the run does not end; the message
    /// names the seed.
    pub fn run<R: Send>(self, body: impl FnOnce(Machine) -> R + Send) -> Outcome<R> {
        let seed = self.seed;
        let core = Core::new(seed, self.faults, self.image, self.start_ns);
        let machine = Machine { kind: Kind::Simulated(core.clone()) };
        let value = std::thread::scope(|scope| {
            let slot: Arc<ResultSlot<R>> = Arc::new(ResultSlot::new(None));
            let main = core.register("main");
            let started = std::thread::Builder::new().name(format!("sim-{seed}-main")).spawn_scoped(scope, {
                let (core, slot) = (core.clone(), slot.clone());
                move || enter(&core, main, move || body(machine), slot)
            });
            let handle = started.unwrap_or_else(|error| panic!("could not start a thread: {error}"));
            core.set_handle(main, handle.thread().clone());
            core.start(main);
            // `enter` catches every panic of the body.
            let _ = handle.join();
            core.join_all();
            let mut slot = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            slot.take().and_then(Result::ok)
        });
        let end = core.take_end();
        if let Some(failure) = end.failure {
            panic!("simulation with seed {seed} failed: {failure}");
        }
        Outcome {
            value,
            disk: end.disk,
            ended: end.ended,
            trace: end.trace,
            steps: end.steps,
            io_count: end.io_count,
            faults_fired: end.faults_fired,
            now_ns: end.now_ns,
        }
    }
}

/// Whether a caught panic is the end of the simulated machine, to be passed on with `resume_unwind`.
pub fn is_crash(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Crash>()
}

/// What threads of an ending machine unwind with.
struct Crash;

thread_local! {
    static CURRENT: RefCell<Option<(Arc<Core>, usize)>> = const { RefCell::new(None) };
}

/// The machine and number of the simulated thread that this is.
fn current() -> Option<(Arc<Core>, usize)> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// A thread's life: wait for the baton, run, hand the baton on.
fn enter<T>(core: &Arc<Core>, thread: usize, body: impl FnOnce() -> T, slot: Arc<ResultSlot<T>>) {
    CURRENT.set(Some((core.clone(), thread)));
    core.wait_for_baton(thread);
    let result = catch_unwind(AssertUnwindSafe(|| {
        core.unwind_if_ending();
        body()
    }));
    let failure = match &result {
        Err(payload) if !is_crash(&**payload) => Some(panic_message(&**payload)),
        _ => None,
    };
    *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
    drop(slot);
    CURRENT.set(None);
    core.finish(thread, failure);
}

/// Starts a simulated thread, runnable.
pub(crate) fn spawn<T, F>(core: &Arc<Core>, name: &str, body: F, slot: Arc<ResultSlot<T>>) -> usize
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    yield_point("spawn");
    let thread = core.register(name);
    let started = std::thread::Builder::new().name(format!("sim-{name}")).spawn({
        let core = core.clone();
        move || enter(&core, thread, body, slot)
    });
    match started {
        Ok(handle) => core.add_handle(thread, handle),
        Err(error) => panic!("could not start thread \"{name}\": {error}"),
    }
    switch_point("spawned");
    thread
}

/// A point at which another thread may run, and at which the end of the machine is noticed.
#[cold]
pub(crate) fn yield_point(reason: &'static str) {
    if let Some((core, thread)) = current() {
        core.step(thread, reason);
        core.unwind_if_ending();
    }
}

/// A point at which another thread may run, but that never unwinds: for releases in destructors.
#[cold]
pub(crate) fn switch_point(reason: &'static str) {
    if let Some((core, thread)) = current() {
        core.step(thread, reason);
    }
}

/// Waits for [`wake`] with this key or for the deadline.
pub(crate) fn block(key: Key, deadline_ns: Option<u64>, reason: &'static str) -> Woken {
    match current() {
        Some((core, thread)) => {
            let woken = core.block(thread, key, deadline_ns, reason);
            core.unwind_if_ending();
            woken
        }
        None => panic!("a thread outside the simulation would wait for {reason} inside"),
    }
}

/// Makes up to `count` threads that wait for the key runnable.
pub(crate) fn wake(key: Key, count: usize) {
    if let Some((core, _)) = current() {
        core.wake(key, count);
    }
}

#[cfg(test)]
mod tests;
