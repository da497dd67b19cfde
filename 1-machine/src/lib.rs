//! Level 1: what a database needs from below - clock, randomness, threads, waiting, disk.
//!
//! Everything above receives a [`Machine`] and takes all of it from there, so that a whole node runs
//! either on Linux or, unchanged, inside a seeded [`Simulation`] that repeats a run byte for byte.
//!
//! ```text
//!            Machine
//!     clock  random  threads  latches  events  disk
//!        |                                  |
//!      Linux                            Simulation
//!   futex, fsync, flock          one baton, virtual time,
//!                                a disk that loses and tears
//! ```
//!
//! The rule that makes the simulation work: outside this crate nobody reads a clock, spawns a thread,
//! blocks or touches a file but through these types. Every place where a thread can wait ([`Latch`],
//! [`Condvar`], [`Event`], [`Machine::sleep_until`], [`JoinHandle::join`], every disk operation) is a
//! point at which the simulation may switch to another thread.

mod disk;
mod hand_off;
mod latch;
mod linux;
mod linux_disk;
mod memory;
mod region;
pub mod simulation;
mod thread;
mod wait;

use std::sync::Arc;

pub use disk::{DirectoryLock, Disk, DiskError, DiskResult, File, OpenMode, Operation};
pub use hand_off::{HandOff, with_hand_off};
pub use latch::{Latch, Mutex, MutexGuard};
pub use region::{REGION_BYTES, map_region, unmap_region};
pub use simulation::{CrashKind, DiskImage, Faults, Outcome, Simulation, is_crash};
pub use thread::{JoinHandle, ThreadPanic};
pub use wait::{Condvar, Event};

/// The machine a node runs on. Cloning it is cheap and names the same machine.
#[derive(Clone)]
pub struct Machine {
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Linux(Arc<linux::Linux>),
    Simulated(Arc<simulation::Core>),
}

impl Machine {
    /// This computer, with randomness from the kernel.
    pub fn linux() -> Machine {
        Machine { kind: Kind::Linux(Arc::new(linux::Linux::new(None))) }
    }

    /// This computer, but [`Machine::random_u64`] follows from `seed`.
    pub fn linux_seeded(seed: u64) -> Machine {
        Machine { kind: Kind::Linux(Arc::new(linux::Linux::new(Some(seed)))) }
    }

    /// Whether this is a simulation.
    #[inline]
    pub fn is_simulated(&self) -> bool {
        matches!(self.kind, Kind::Simulated(_))
    }

    /// The wall clock, in microseconds since 2000-01-01 00:00 UTC (SQL's `timestamptz`).
    #[inline]
    pub fn now_us(&self) -> i64 {
        match &self.kind {
            Kind::Linux(_) => linux::now_us(),
            Kind::Simulated(core) => core.now_us(),
        }
    }

    /// Nanoseconds since some moment before; never goes back.
    #[inline]
    pub fn monotonic_ns(&self) -> u64 {
        match &self.kind {
            Kind::Linux(_) => linux::monotonic_ns(),
            Kind::Simulated(core) => core.now_ns(),
        }
    }

    /// Waits until [`Machine::monotonic_ns`] has reached `deadline_ns`.
    pub fn sleep_until(&self, deadline_ns: u64) {
        match &self.kind {
            Kind::Linux(_) => linux::sleep_until(deadline_ns),
            Kind::Simulated(core) => core.sleep_until(deadline_ns),
        }
    }

    /// A random number: from the kernel, unless the machine was given a seed. Not for hot paths.
    pub fn random_u64(&self) -> u64 {
        match &self.kind {
            Kind::Linux(linux) => linux.random_u64(),
            Kind::Simulated(core) => core.random_u64(),
        }
    }

    /// Fills `bytes` at random, as [`Machine::random_u64`].
    pub fn random_bytes(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.random_u64().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    /// How many threads can run at once.
    pub fn cores(&self) -> usize {
        match &self.kind {
            Kind::Linux(_) => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            Kind::Simulated(core) => core.cores(),
        }
    }

    /// Bytes of memory that this process may use: the machine's, or less where control groups say so. `None` where the
    /// system does not say, and in a simulation.
    pub fn memory_bytes(&self) -> Option<u64> {
        match &self.kind {
            Kind::Linux(_) => memory::bytes(),
            Kind::Simulated(_) => None,
        }
    }

    /// The process id: what a directory lock says who holds it.
    pub fn process_id(&self) -> u32 {
        match &self.kind {
            Kind::Linux(_) => std::process::id(),
            Kind::Simulated(_) => 1,
        }
    }

    /// Starts a thread; `name` shows in debuggers and in the simulation's reports.
    ///
    /// # Panics
    /// When the operating system has no thread left.
    pub fn spawn<T, F>(&self, name: &str, body: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        JoinHandle::spawn(self, name, body)
    }

    /// Lets others run: a bounded wait's step, and a point at which the simulation may switch.
    #[inline]
    pub fn yield_now(&self) {
        match &self.kind {
            Kind::Linux(_) => std::thread::yield_now(),
            Kind::Simulated(_) => simulation::yield_point("yield"),
        }
    }

    /// A point at which the simulation may switch threads or end them; nothing on Linux.
    #[inline]
    pub fn yield_point(&self, reason: &'static str) {
        if let Kind::Simulated(_) = &self.kind {
            simulation::yield_point(reason);
        }
    }

    /// The disk as seen from the folder `root`, which must exist (simulated: is made).
    pub fn disk(&self, root: &str) -> Arc<dyn Disk> {
        match &self.kind {
            Kind::Linux(_) => Arc::new(linux_disk::LinuxDisk::new(root)),
            Kind::Simulated(core) => simulation::disk(core, root),
        }
    }

    /// Ends the simulated machine as a power failure does: every simulated thread unwinds at its next
    /// yield point, and what was not synced is lost, torn or kept as [`Faults`] says.
    ///
    /// # Panics
    /// Always: it unwinds the caller. On Linux with a message, as nothing there may call it.
    pub fn crash(&self) -> ! {
        self.end(CrashKind::PowerLoss)
    }

    /// Ends the simulated machine as `kill -9` does: as [`Machine::crash`], but what was written stays.
    ///
    /// # Panics
    /// Always, as [`Machine::crash`].
    pub fn kill(&self) -> ! {
        self.end(CrashKind::Kill)
    }

    fn end(&self, kind: CrashKind) -> ! {
        match &self.kind {
            Kind::Linux(_) => panic!("only a simulated machine can be crashed"),
            Kind::Simulated(core) => core.crash(kind),
        }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.kind {
            Kind::Linux(_) => "Machine::Linux",
            Kind::Simulated(_) => "Machine::Simulated",
        })
    }
}
