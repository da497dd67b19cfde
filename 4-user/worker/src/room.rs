//! What the threads of a worker share: the room that is left, the buckets that have tasks for it, the attempts that run.
//!
//! One thread claims at a time. A task that is claimed and does not fit yet waits here for room, and nobody claims before it has
//! it: else small tasks would pass a large one for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tuplix_machine::{Condvar, Machine, Mutex, MutexGuard};
use tuplix_services::{Bucket, TaskId};

use crate::held::Held;
use crate::options::WorkerOptions;
use crate::stopper::Stopper;

/// Nanoseconds after which what does not end is told once more: a cancel can meet the moment between two statements.
pub(crate) const AGAIN_NS: u64 = 100_000_000;

/// Why an attempt is ended before its program ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Somebody cancelled the task.
    Cancelled,
    /// Its bucket does not count on this worker any more: what it does has no effect.
    Lost,
    /// The worker stops; the task goes back to the queue.
    Stopping,
}

/// An attempt that is claimed.
struct Running {
    attempt: i32,
    stopper: Stopper,
    ending: Option<Ending>,
    cores: i32,
    memory: i64,
    /// Whether its room is taken, and which processors are its own.
    placed: bool,
    processors: Vec<usize>,
}

struct State {
    cores: i32,
    memory: i64,
    /// Buckets that may have assigned tasks.
    buckets: BTreeSet<Bucket>,
    /// Where the last claim was, so that all buckets have their turn.
    last: Bucket,
    claiming: bool,
    /// Cancelled tasks that nobody here runs, since the claim that is under way began: it may bring one of them.
    early: BTreeSet<TaskId>,
    running: BTreeMap<TaskId, Running>,
    /// Processors that tasks get for themselves; none where tasks are not pinned.
    processors: Vec<usize>,
    /// Nothing is claimed any more; what runs goes on.
    draining: bool,
    stopping: bool,
}

/// The room of a worker.
pub(crate) struct Room {
    machine: Machine,
    state: Mutex<State>,
    changed: Condvar,
}

impl Room {
    /// All room is left, nothing runs.
    pub(crate) fn new(machine: &Machine, options: &WorkerOptions) -> Room {
        let state = State {
            cores: options.cores,
            memory: options.memory,
            buckets: BTreeSet::new(),
            last: Bucket(-1),
            claiming: false,
            early: BTreeSet::new(),
            running: BTreeMap::new(),
            processors: options.processors.clone(),
            draining: false,
            stopping: false,
        };
        let (state, changed) = (Mutex::new(machine, state), Condvar::new(machine));
        Room { machine: machine.clone(), state, changed }
    }

    /// A bucket has, or may have, tasks for this worker.
    pub(crate) fn assigned(&self, bucket: Bucket) {
        self.state.lock().buckets.insert(bucket);
        self.changed.notify_all();
    }

    /// Waits until there is room and a bucket to claim from, which the caller does next; `None` when the worker stops or drains.
    /// [`Room::claimed`] or [`Room::claimed_nothing`] follows.
    pub(crate) fn next_bucket(&self) -> Option<Bucket> {
        let mut state = self.state.lock();
        loop {
            if state.stopping || state.draining {
                return None;
            }
            if !state.claiming && state.cores > 0 {
                let after = state.buckets.range(Bucket(state.last.0 + 1)..).next();
                if let Some(bucket) = after.or(state.buckets.first()).copied() {
                    // Taken out before the claim: an assignment that comes after it puts it back.
                    state.buckets.remove(&bucket);
                    state.last = bucket;
                    state.claiming = true;
                    return Some(bucket);
                }
            }
            self.changed.wait(&mut state);
        }
    }

    /// The claim brought nothing.
    pub(crate) fn claimed_nothing(&self) {
        let mut state = self.state.lock();
        state.claiming = false;
        state.early.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// The claim brought a task. Waits until it has its room, and gives the processors that are its own; a reason when it is not
    /// to run at all. [`Room::over`] follows.
    pub(crate) fn claimed(&self, held: &Held, stopper: &Stopper) -> Result<Vec<usize>, Ending> {
        let task = held.task();
        let mut state = self.state.lock();
        let ending = match (state.stopping, state.early.contains(&task)) {
            (true, _) => Some(Ending::Stopping),
            (_, true) => Some(Ending::Cancelled),
            _ => None,
        };
        state.running.insert(task, Running::new(held, stopper, ending));
        state.early.clear();
        state.buckets.insert(task.bucket());
        let ending = loop {
            let ending = state.running.get(&task).and_then(|running| running.ending);
            if ending.is_some() || (state.cores >= held.cores && state.memory >= held.memory) {
                break ending;
            }
            self.changed.wait(&mut state);
        };
        let placed = match ending {
            None => Ok(state.take(held, &[])),
            Some(ending) => Err(ending),
        };
        state.claiming = false;
        drop(state);
        self.changed.notify_all();
        placed
    }

    /// An attempt goes on that an earlier start of this worker began.
    pub(crate) fn adopted(&self, held: &Held, stopper: &Stopper, processors: &[usize]) {
        let mut state = self.state.lock();
        state.running.insert(held.task(), Running::new(held, stopper, None));
        state.take(held, processors);
    }

    /// Tasks of a bucket that run, with their attempts.
    pub(crate) fn running(&self, bucket: Bucket) -> Vec<(TaskId, i32)> {
        let state = self.state.lock();
        let running = state.running.iter().filter(|(task, _)| task.bucket() == bucket);
        running.map(|(task, running)| (*task, running.attempt)).collect()
    }

    /// Why an attempt was ended, if it was.
    pub(crate) fn ending(&self, task: TaskId) -> Option<Ending> {
        self.state.lock().running.get(&task).and_then(|running| running.ending)
    }

    /// An attempt is over: its room is free.
    pub(crate) fn over(&self, task: TaskId) {
        let mut state = self.state.lock();
        if let Some(running) = state.running.remove(&task)
            && running.placed
        {
            state.cores += running.cores;
            state.memory += running.memory;
            state.processors.extend(running.processors);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Ends what runs of a task.
    pub(crate) fn end_task(&self, task: TaskId, ending: Ending) {
        let mut state = self.state.lock();
        if state.claiming && !state.running.contains_key(&task) {
            state.early.insert(task);
        }
        self.end(state, ending, |other, _| other == task);
    }

    /// Ends an attempt that is not the running one any more.
    pub(crate) fn end_attempt(&self, task: TaskId, attempt: i32) {
        self.end(self.state.lock(), Ending::Lost, |other, running| {
            other == task && running.attempt == attempt
        });
    }

    /// Ends all that runs for a bucket, and waits for it.
    pub(crate) fn end_bucket(&self, bucket: Bucket, ending: Ending) {
        self.end_and_wait(ending, |task| task.bucket() == bucket);
    }

    /// Ends everything; nothing begins any more.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        self.end(state, Ending::Stopping, |_, _| true);
    }

    /// The same, and waits until everything has ended.
    pub(crate) fn stop_and_wait(&self) {
        self.stop();
        self.end_and_wait(Ending::Stopping, |_| true);
    }

    /// Nothing is claimed any more; what runs goes on.
    pub(crate) fn drain(&self) {
        self.state.lock().draining = true;
        self.changed.notify_all();
    }

    /// Waits until nothing runs and nothing is claimed any more, or a time is over; whether that is so.
    pub(crate) fn wait_until_idle(&self, limit: Option<Duration>) -> bool {
        let limit = limit.map(|limit| self.deadline(limit));
        let mut state = self.state.lock();
        loop {
            let over = state.stopping || state.draining;
            if over && !state.claiming && state.running.is_empty() {
                return true;
            }
            match limit {
                None => self.changed.wait(&mut state),
                Some(limit) => {
                    if !self.changed.wait_until(&mut state, limit) {
                        return false;
                    }
                }
            }
        }
    }

    /// Waits for so long, or until the worker stops.
    pub(crate) fn wait_for_stop(&self, pause: Duration) {
        let deadline = self.deadline(pause);
        let mut state = self.state.lock();
        while !state.stopping && self.changed.wait_until(&mut state, deadline) {}
    }

    /// Whether the worker stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    /// Whether nothing is claimed any more.
    pub(crate) fn is_draining(&self) -> bool {
        let state = self.state.lock();
        state.draining || state.stopping
    }

    /// Tells what was told to end, and has not, once more; whether there is any.
    pub(crate) fn end_again(&self) -> bool {
        let state = self.state.lock();
        let ending = state.running.values().filter(|running| running.ending.is_some());
        let stoppers: Vec<Stopper> = ending.map(|running| running.stopper.clone()).collect();
        drop(state);
        stoppers.iter().for_each(Stopper::stop);
        !stoppers.is_empty()
    }

    fn end_and_wait(&self, ending: Ending, which: impl Fn(TaskId) -> bool) {
        loop {
            self.end(self.state.lock(), ending, |task, _| which(task));
            let again = self.machine.monotonic_ns().saturating_add(AGAIN_NS);
            let mut state = self.state.lock();
            loop {
                if !state.running.keys().any(|task| which(*task)) {
                    return;
                }
                if !self.changed.wait_until(&mut state, again) {
                    break;
                }
            }
        }
    }

    fn deadline(&self, pause: Duration) -> u64 {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.machine.monotonic_ns().saturating_add(pause)
    }

    /// Ends some of what runs; what was ended before is told once more.
    fn end(
        &self,
        mut state: MutexGuard<'_, State>,
        ending: Ending,
        which: impl Fn(TaskId, &Running) -> bool,
    ) {
        let mut stoppers = Vec::new();
        for (task, running) in &mut state.running {
            if which(*task, running) {
                running.ending.get_or_insert(ending);
                stoppers.push(running.stopper.clone());
            }
        }
        // Telling a helper may wait for it.
        drop(state);
        self.changed.notify_all();
        for stopper in stoppers {
            stopper.stop();
        }
    }
}

impl Running {
    fn new(held: &Held, stopper: &Stopper, ending: Option<Ending>) -> Running {
        Running {
            attempt: held.attempt,
            stopper: stopper.clone(),
            ending,
            cores: held.cores,
            memory: held.memory,
            placed: false,
            processors: Vec::new(),
        }
    }
}

impl State {
    /// Takes a task's room: its cores, its memory, as many processors as it has cores, or those that it has already.
    fn take(&mut self, held: &Held, had: &[usize]) -> Vec<usize> {
        self.cores -= held.cores;
        self.memory -= held.memory;
        let cores = usize::try_from(held.cores).unwrap_or_default();
        let processors = if had.is_empty() {
            // More cores may be offered than there are processors; who gets none of his own may use all.
            let first = self.processors.len().saturating_sub(cores);
            self.processors.split_off(first)
        } else {
            self.processors.retain(|processor| !had.contains(processor));
            had.to_vec()
        };
        if let Some(running) = self.running.get_mut(&held.task()) {
            running.placed = true;
            running.processors.clone_from(&processors);
        }
        processors
    }
}
