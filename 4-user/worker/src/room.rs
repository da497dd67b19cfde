//! What the threads of a worker share: the room that is left, the buckets that have tasks for it, the attempts that run.
//!
//! One thread claims at a time. A task that is claimed and does not fit yet waits here for room, and nobody claims before it has
//! it: else small tasks would pass a large one for ever.

use std::collections::{BTreeMap, BTreeSet};

use tuplix_machine::{Condvar, Machine, Mutex, MutexGuard};
use tuplix_services::scheduler::Claim;
use tuplix_services::{Bucket, TaskId};

use crate::runner::client::Killer;

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
    killer: Killer,
    ending: Option<Ending>,
    cores: i32,
    memory: i64,
    /// Whether its room is taken.
    placed: bool,
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
    stopping: bool,
}

/// The room of a worker.
pub(crate) struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

impl Room {
    /// All room is left, nothing runs.
    pub(crate) fn new(machine: &Machine, cores: i32, memory: i64) -> Room {
        let state = State {
            cores,
            memory,
            buckets: BTreeSet::new(),
            last: Bucket(-1),
            claiming: false,
            early: BTreeSet::new(),
            running: BTreeMap::new(),
            stopping: false,
        };
        Room { state: Mutex::new(machine, state), changed: Condvar::new(machine) }
    }

    /// A bucket has, or may have, tasks for this worker.
    pub(crate) fn assigned(&self, bucket: Bucket) {
        self.state.lock().buckets.insert(bucket);
        self.changed.notify_all();
    }

    /// Waits until there is room and a bucket to claim from, which the caller does next; `None` when the worker stops.
    /// [`Room::claimed`] or [`Room::claimed_nothing`] follows.
    pub(crate) fn next_bucket(&self) -> Option<Bucket> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
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

    /// The claim brought a task. Waits until it has its room; a reason when it is not to run at all. [`Room::over`] follows.
    pub(crate) fn claimed(&self, claim: &Claim, killer: &Killer) -> Option<Ending> {
        let task = claim.task;
        let mut state = self.state.lock();
        let ending = match (state.stopping, state.early.contains(&task)) {
            (true, _) => Some(Ending::Stopping),
            (_, true) => Some(Ending::Cancelled),
            _ => None,
        };
        let (attempt, killer) = (claim.attempt, killer.clone());
        let (cores, memory) = (claim.cores, claim.memory);
        state.running.insert(task, Running { attempt, killer, ending, cores, memory, placed: false });
        state.early.clear();
        state.buckets.insert(task.bucket());
        let ending = loop {
            let ending = state.running.get(&task).and_then(|running| running.ending);
            if ending.is_some() || (state.cores >= cores && state.memory >= memory) {
                break ending;
            }
            self.changed.wait(&mut state);
        };
        if ending.is_none() {
            state.take(task, cores, memory);
        }
        state.claiming = false;
        drop(state);
        self.changed.notify_all();
        ending
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
        self.end(self.state.lock(), ending, |task, _| task.bucket() == bucket);
        let mut state = self.state.lock();
        while state.running.keys().any(|task| task.bucket() == bucket) {
            self.changed.wait(&mut state);
        }
    }

    /// Ends everything; nothing begins any more.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        self.end(state, Ending::Stopping, |_, _| true);
    }

    /// Whether the worker stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    fn end(
        &self,
        mut state: MutexGuard<'_, State>,
        ending: Ending,
        which: impl Fn(TaskId, &Running) -> bool,
    ) {
        let mut killers = Vec::new();
        for (task, running) in &mut state.running {
            if running.ending.is_none() && which(*task, running) {
                running.ending = Some(ending);
                killers.push(running.killer.clone());
            }
        }
        // Telling a helper may wait for it.
        drop(state);
        self.changed.notify_all();
        for killer in killers {
            killer.kill();
        }
    }
}

impl State {
    fn take(&mut self, task: TaskId, cores: i32, memory: i64) {
        self.cores -= cores;
        self.memory -= memory;
        if let Some(running) = self.running.get_mut(&task) {
            running.placed = true;
        }
    }
}
