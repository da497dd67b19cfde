//! The baton and who gets it next.
//!
//! All state sits behind one operating-system mutex that is held only for moments; `running` names the
//! thread with the baton, the others are parked. A thread is runnable, blocked (on a key, perhaps with a
//! deadline) or finished.
//!
//! When the machine ends (body returned, crash, failure) all blocked threads become runnable and each, when it
//! gets the baton, unwinds. Destructors that run then may still take latches: a wait that nobody can end
//! any more returns [`Woken::Ending`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use super::disk::{DiskImage, DiskState};
use super::random::{Random, mix};
use super::{Crash, CrashKind, Faults};
use crate::disk::{DiskError, DiskResult, Operation};

/// Virtual time that a yield point takes, so that a busy loop meets its deadline too.
const TICK_NS: u64 = 100;
/// The wall clock at virtual time 0: 2026-01-01 in microseconds since 2000-01-01.
const START_US: i64 = 820_540_800_000_000;
/// Events shown in a failure's report.
const REPORTED_EVENTS: usize = 40;
/// What the seed draws the inverse switch probability from.
const SWITCH_ONE_IN: [u64; 4] = [1, 3, 12, 60];

/// What a blocked thread waits for. Addresses are compared only, never ordered or hashed into the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Address(usize),
    Join(usize),
    Timer,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    Notified,
    TimedOut,
    Ending,
}

impl Woken {
    /// Whether the machine goes on.
    pub(crate) fn is_normal(self) -> bool {
        self != Woken::Ending
    }
}

enum Status {
    Runnable,
    Blocked { key: Key, deadline_ns: Option<u64>, reason: &'static str },
    Finished,
}

struct SimThread {
    name: String,
    status: Status,
    woken: Woken,
    handle: Option<Thread>,
}

/// What a run left, inside.
pub(crate) struct End {
    pub(crate) failure: Option<String>,
    pub(crate) disk: DiskImage,
    pub(crate) ended: CrashKind,
    pub(crate) trace: u64,
    pub(crate) steps: u64,
    pub(crate) io_count: u64,
    pub(crate) faults_fired: u64,
    pub(crate) now_ns: u64,
}

struct State {
    threads: Vec<SimThread>,
    now_ns: u64,
    schedule: Random,
    program: Random,
    switch_one_in: u64,
    steps: u64,
    trace: u64,
    recent: VecDeque<(u64, usize, &'static str, u64)>,
    ending: Option<CrashKind>,
    failure: Option<String>,
    disk: DiskState,
    max_steps: u64,
    latency_ns: u64,
}

/// The simulated machine.
pub(crate) struct Core {
    state: Mutex<State>,
    running: AtomicUsize,
    handles: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

impl Core {
    pub(crate) fn new(seed: u64, faults: Faults, image: DiskImage, start_ns: u64) -> Arc<Core> {
        let mut schedule = Random::new(seed, 1);
        let switch_one_in = match faults.switch_one_in {
            0 => SWITCH_ONE_IN[schedule.index(SWITCH_ONE_IN.len())],
            chosen => chosen,
        };
        let state = State {
            threads: Vec::new(),
            now_ns: start_ns,
            schedule,
            program: Random::new(seed, 2),
            switch_one_in,
            steps: 0,
            trace: mix(seed),
            recent: VecDeque::new(),
            ending: None,
            failure: None,
            max_steps: faults.max_steps,
            latency_ns: faults.latency_ns,
            disk: DiskState::new(image, faults, Random::new(seed, 3)),
        };
        Arc::new(Core {
            state: Mutex::new(state),
            running: AtomicUsize::new(usize::MAX),
            handles: Mutex::new(Vec::new()),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(&self, name: &str) -> usize {
        let mut state = self.state();
        let thread = state.threads.len();
        state.threads.push(SimThread {
            name: name.to_owned(),
            status: Status::Runnable,
            woken: Woken::Notified,
            handle: None,
        });
        state.record(thread, "thread", 0);
        thread
    }

    pub(crate) fn set_handle(&self, thread: usize, handle: Thread) {
        self.state().threads[thread].handle = Some(handle);
    }

    pub(crate) fn add_handle(&self, thread: usize, handle: std::thread::JoinHandle<()>) {
        self.set_handle(thread, handle.thread().clone());
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    /// Gives the baton to the first thread.
    pub(crate) fn start(&self, thread: usize) {
        let state = self.state();
        self.pass(state, thread);
    }

    /// Waits for the operating-system threads, after the first one has ended.
    pub(crate) fn join_all(&self) {
        loop {
            let next = self.handles.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match next {
                // Panics were caught and reported by the thread itself.
                Some(handle) => drop(handle.join()),
                None => return,
            }
        }
    }

    pub(crate) fn take_end(&self) -> End {
        let mut state = self.state();
        End {
            failure: state.failure.take(),
            ended: state.ending.unwrap_or(CrashKind::Exit),
            trace: state.trace,
            steps: state.steps,
            io_count: state.disk.io_count,
            faults_fired: state.disk.faults_fired,
            now_ns: state.now_ns,
            disk: state.disk.image(),
        }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.state().now_ns
    }

    pub(crate) fn now_us(&self) -> i64 {
        START_US + i64::try_from(self.now_ns() / 1000).unwrap_or(i64::MAX - START_US)
    }

    pub(crate) fn random_u64(&self) -> u64 {
        self.state().program.next()
    }

    pub(crate) fn cores(&self) -> usize {
        2
    }

    pub(crate) fn is_finished(&self, thread: usize) -> bool {
        matches!(self.state().threads[thread].status, Status::Finished)
    }

    pub(crate) fn wait_for_baton(&self, thread: usize) {
        while self.running.load(Ordering::Acquire) != thread {
            std::thread::park();
        }
    }

    /// Names the next holder and wakes it.
    fn pass(&self, state: MutexGuard<'_, State>, next: usize) {
        let handle = state.threads[next].handle.clone();
        drop(state);
        self.running.store(next, Ordering::Release);
        if let Some(handle) = handle {
            handle.unpark();
        }
    }

    /// A yield point: time ticks, timers fire, the baton may go away and come back.
    pub(crate) fn step(&self, thread: usize, reason: &'static str) {
        let mut state = self.state();
        if state.ending.is_some() {
            return;
        }
        state.steps += 1;
        state.now_ns += TICK_NS;
        state.record(thread, reason, 0);
        if state.steps > state.max_steps {
            let report = format!("no end after {} yield points\n{}", state.max_steps, state.report());
            state.fail(report);
            return;
        }
        state.fire_timers();
        let chance = state.switch_one_in;
        if state.schedule.one_in(chance)
            && let Some(next) = state.pick()
            && next != thread
        {
            self.pass(state, next);
            self.wait_for_baton(thread);
        }
    }

    /// Waits until woken, until the deadline, or until the machine ends and nobody else can run.
    pub(crate) fn block(
        &self,
        thread: usize,
        key: Key,
        deadline_ns: Option<u64>,
        reason: &'static str,
    ) -> Woken {
        let mut state = self.state();
        if state.ending.is_some() && !std::thread::panicking() {
            return Woken::Ending;
        }
        state.record(thread, reason, 1);
        state.threads[thread].status = Status::Blocked { key, deadline_ns, reason };
        match state.pick() {
            Some(next) if next != thread => {
                self.pass(state, next);
                self.wait_for_baton(thread);
                self.state().threads[thread].woken
            }
            _ => {
                state.threads[thread].status = Status::Runnable;
                state.threads[thread].woken
            }
        }
    }

    pub(crate) fn wake(&self, key: Key, count: usize) {
        self.state().wake(key, count);
    }

    pub(crate) fn sleep_until(&self, deadline_ns: u64) {
        super::yield_point("sleep");
        while self.now_ns() < deadline_ns {
            if super::block(Key::Timer, Some(deadline_ns), "sleep") == Woken::Ending {
                return;
            }
        }
    }

    pub(crate) fn join(&self, thread: usize) {
        super::yield_point("join");
        while !self.is_finished(thread) {
            if super::block(Key::Join(thread), None, "join") == Woken::Ending {
                return;
            }
        }
    }

    /// Unwinds this thread when the machine is ending, unless it unwinds already.
    pub(crate) fn unwind_if_ending(&self) {
        if !std::thread::panicking() && self.state().ending.is_some() {
            std::panic::resume_unwind(Box::new(Crash));
        }
    }

    pub(crate) fn crash(&self, kind: CrashKind) -> ! {
        self.state().end(kind);
        std::panic::resume_unwind(Box::new(Crash))
    }

    /// The end of a thread: its joiners wake, the baton goes on.
    pub(crate) fn finish(&self, thread: usize, failure: Option<String>) {
        let mut state = self.state();
        state.record(thread, "finish", 0);
        state.threads[thread].status = Status::Finished;
        if let Some(message) = failure {
            let report =
                format!("thread \"{}\" panicked: {message}\n{}", state.threads[thread].name, state.report());
            state.fail(report);
        }
        if thread == 0 {
            state.end(CrashKind::Exit);
        }
        state.wake(Key::Join(thread), usize::MAX);
        if let Some(next) = state.pick() {
            self.pass(state, next);
        }
    }

    /// A disk operation: a yield point, time, faults, then the operation itself.
    pub(crate) fn disk_io<R>(
        &self,
        operation: Operation,
        path: &str,
        weight: u64,
        act: impl FnOnce(&mut DiskState) -> std::io::Result<R>,
    ) -> DiskResult<R> {
        let error = |source: std::io::Error| DiskError::new(operation, path, source);
        let Some((_, thread)) = super::current() else {
            return Err(error(std::io::Error::other("used outside the simulation")));
        };
        super::yield_point(operation.verb());
        let latency = self.draw_latency(operation);
        if latency > 0 {
            let until = self.now_ns() + latency;
            self.sleep_until(until);
        }
        let mut state = self.state();
        if state.ending.is_some() {
            return Err(error(std::io::Error::other("the simulated machine has ended")));
        }
        state.record(thread, operation.verb(), mix(weight));
        if state.disk.counts_to_crash() {
            if operation == Operation::Write {
                // It was under way: a part of it may be on the disk.
                let _ = act(&mut state.disk);
            }
            state.end(CrashKind::PowerLoss);
            drop(state);
            std::panic::resume_unwind(Box::new(Crash));
        }
        let injected = state.disk.injected_fault();
        let result = match injected {
            Some(fault) => {
                state.disk.fail_partly(operation, act);
                Err(fault)
            }
            None => act(&mut state.disk),
        };
        state.record(thread, "result", u64::from(result.is_ok()));
        result.map_err(error)
    }

    /// The disk as it is, outside of any operation.
    pub(crate) fn with_disk<R>(&self, act: impl FnOnce(&mut DiskState) -> R) -> R {
        act(&mut self.state().disk)
    }

    fn draw_latency(&self, operation: Operation) -> u64 {
        let mut state = self.state();
        let most = state.latency_ns;
        match operation {
            _ if most == 0 || state.ending.is_some() => 0,
            Operation::SyncData | Operation::SyncDirectory => state.schedule.below(most),
            Operation::Write => state.schedule.below(most) / 10,
            _ => 0,
        }
    }
}

impl State {
    fn record(&mut self, thread: usize, what: &'static str, value: u64) {
        let mut hash = mix(self.trace ^ mix(self.now_ns) ^ (thread as u64) << 48 ^ value);
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self.trace = hash;
        if self.recent.len() == REPORTED_EVENTS {
            self.recent.pop_front();
        }
        self.recent.push_back((self.now_ns, thread, what, value));
    }

    fn wake(&mut self, key: Key, count: usize) {
        let mut waiting: Vec<usize> = Vec::new();
        for (index, thread) in self.threads.iter().enumerate() {
            if matches!(thread.status, Status::Blocked { key: waits_for, .. } if waits_for == key) {
                waiting.push(index);
            }
        }
        for _ in 0..count.min(waiting.len()) {
            let chosen = waiting.swap_remove(if count == 1 { self.schedule.index(waiting.len()) } else { 0 });
            self.make_runnable(chosen, Woken::Notified);
        }
    }

    fn make_runnable(&mut self, thread: usize, woken: Woken) {
        self.threads[thread].status = Status::Runnable;
        self.threads[thread].woken = woken;
    }

    fn fire_timers(&mut self) {
        for index in 0..self.threads.len() {
            if let Status::Blocked { deadline_ns: Some(deadline), .. } = self.threads[index].status
                && deadline <= self.now_ns
            {
                self.make_runnable(index, Woken::TimedOut);
            }
        }
    }

    /// Who gets the baton: a runnable thread, else the one whose timer is next, else it is a deadlock.
    /// `None` when all have finished.
    fn pick(&mut self) -> Option<usize> {
        loop {
            let runnable = self.threads.iter().filter(|t| matches!(t.status, Status::Runnable)).count();
            if runnable > 0 {
                let chosen = self.schedule.index(runnable);
                return (0..self.threads.len())
                    .filter(|index| matches!(self.threads[*index].status, Status::Runnable))
                    .nth(chosen);
            }
            let blocked = self.threads.iter().position(|t| matches!(t.status, Status::Blocked { .. }))?;
            if self.ending.is_some() {
                self.make_runnable(blocked, Woken::Ending);
            } else if let Some(deadline) = self.next_deadline() {
                self.now_ns = self.now_ns.max(deadline);
                self.fire_timers();
            } else {
                let report = format!("deadlock: nobody can run and no timer is set\n{}", self.report());
                self.fail(report);
            }
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let deadlines = self.threads.iter().filter_map(|thread| match thread.status {
            Status::Blocked { deadline_ns, .. } => deadline_ns,
            _ => None,
        });
        deadlines.min()
    }

    fn fail(&mut self, message: String) {
        self.failure.get_or_insert(message);
        self.end(CrashKind::Kill);
    }

    /// Ends the machine, once: the disk is as it is now, everybody wakes to unwind.
    fn end(&mut self, kind: CrashKind) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(kind);
        if kind == CrashKind::PowerLoss {
            self.disk.power_loss();
        }
        for index in 0..self.threads.len() {
            if matches!(self.threads[index].status, Status::Blocked { .. }) {
                self.make_runnable(index, Woken::Ending);
            }
        }
    }

    fn report(&self) -> String {
        let mut report = format!("virtual time {} ns; threads:\n", self.now_ns);
        for (index, thread) in self.threads.iter().enumerate() {
            let status = match &thread.status {
                Status::Runnable => "runnable".to_owned(),
                Status::Finished => "finished".to_owned(),
                Status::Blocked { reason, deadline_ns: Some(at), .. } => {
                    format!("waits for {reason} until {at} ns")
                }
                Status::Blocked { reason, key: Key::Join(other), .. } => {
                    format!("waits for {reason} of {other}")
                }
                Status::Blocked { reason, .. } => format!("waits for {reason}"),
            };
            report.push_str(&format!("  {index} \"{}\": {status}\n", thread.name));
        }
        report.push_str("last events (ns, thread, what):\n");
        for (now, thread, what, _) in &self.recent {
            report.push_str(&format!("  {now} {thread} {what}\n"));
        }
        report
    }
}
