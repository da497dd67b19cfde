//! The thread that makes checkpoints. It knows the node only while it takes a cut, so that it keeps none alive.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tuplix_machine::{Disk, DiskResult, Event, JoinHandle, Machine, Mutex};
use tuplix_types::{Result, SqlError};

use super::keep::{self, Kept, Segments};
use super::status::{Cause, CheckpointStatus, Failed, History, Made, SegmentStatus, Writing};
use super::write::{Pace, Target, Written, ending, write};
use tuplix_checkpoint::{SegmentFiles, SegmentName, disk_error};

use super::{CheckpointDone, Durability, NodeEvent};
use crate::history;
use crate::node::Node;

thread_local! {
    /// Whether this is the thread that makes checkpoints: it may be the last one that knows the node, and cannot wait for itself.
    static IS_CHECKPOINTER: Cell<bool> = const { Cell::new(false) };
}

/// Makes a node's checkpoints, one at a time.
pub(crate) struct Checkpointer {
    machine: Machine,
    disk: Arc<dyn Disk>,
    segments: Arc<SegmentFiles>,
    node_id: u64,
    settings: Durability,
    state: Mutex<State>,
    /// The log's alarm: enough was written, somebody asks, the node ends.
    wake: Arc<Event>,
    /// Signalled when a request was served.
    served: Event,
    hurry: AtomicBool,
    ending: AtomicBool,
    /// Bytes of the checkpoint that is being written.
    written: AtomicU64,
    /// What `tuplix.checkpoints` tells beside what is kept.
    history: Mutex<History>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    /// How often somebody asked.
    requested: u64,
    /// Up to which request everybody has an answer.
    answered: u64,
    answer: Result<CheckpointDone>,
    /// Bytes of log after which the next checkpoint begins.
    due_at: u64,
    /// Bytes of log before which spooled tables are no reason for another.
    spool_from: u64,
    /// Checkpoints that are there, the newest first.
    kept: Vec<Kept>,
    /// Which segments each of them refers to.
    referred: BTreeMap<u64, Segments>,
}

impl Checkpointer {
    pub(crate) fn new(
        machine: &Machine,
        (disk, segments): (Arc<dyn Disk>, Arc<SegmentFiles>),
        node_id: u64,
        settings: &Durability,
        (kept, referred): (Vec<Kept>, BTreeMap<u64, Segments>),
        damaged: Vec<(u64, String)>,
        wake: Arc<Event>,
    ) -> Checkpointer {
        let state = State {
            requested: 0,
            answered: 0,
            answer: Ok(CheckpointDone::default()),
            due_at: u64::MAX,
            spool_from: 0,
            kept,
            referred,
        };
        Checkpointer {
            machine: machine.clone(),
            disk,
            segments,
            node_id,
            settings: settings.clone(),
            state: Mutex::new(machine, state),
            wake,
            served: Event::new(machine),
            hurry: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            written: AtomicU64::new(0),
            history: Mutex::new(machine, History { damaged, ..History::default() }),
            thread: Mutex::new(machine, None),
        }
    }

    /// Starts the thread. `replayed` bytes of log came after the last checkpoint: they count for the next.
    pub(crate) fn start(self: &Arc<Checkpointer>, node: &Arc<Node>, replayed: u64) {
        let first = self.settings.checkpoint_log_bytes.saturating_sub(replayed).max(1);
        self.due_at(node, if self.settings.checkpoint_log_bytes == 0 { u64::MAX } else { first });
        let (me, node) = (self.clone(), Arc::downgrade(node));
        let handle = self.machine.spawn("checkpoint", move || {
            IS_CHECKPOINTER.set(true);
            me.run(&node);
        });
        *self.thread.lock() = Some(handle);
    }

    fn due_at(&self, node: &Node, bytes: u64) {
        self.state.lock().due_at = bytes;
        self.look_again(node, bytes);
    }

    /// Has the log wake the thread when a checkpoint is due, or when it is time to look at the memory of spooled tables.
    fn look_again(&self, node: &Node, due_at: u64) {
        let look = node.log.statistics().bytes.saturating_add(history::step(node));
        node.log.alarm_at(due_at.min(look));
    }

    /// Asks for a checkpoint of everything committed by now and waits for it.
    pub(super) fn request(&self) -> Result<CheckpointDone> {
        let number = {
            let mut state = self.state.lock();
            state.requested += 1;
            state.requested
        };
        self.hurry.store(true, Ordering::SeqCst);
        self.wake.signal();
        loop {
            let seen = self.served.sequence();
            {
                let state = self.state.lock();
                if state.answered >= number {
                    return state.answer.clone();
                }
            }
            if self.ending.load(Ordering::SeqCst) {
                return Err(ending());
            }
            self.served.wait(seen, None);
        }
    }

    /// Ends the thread: a checkpoint under way is given up.
    pub(crate) fn stop(&self) -> Result<()> {
        self.ending.store(true, Ordering::SeqCst);
        self.wake.signal();
        self.served.signal();
        let thread = self.thread.lock().take();
        match thread.filter(|_| !IS_CHECKPOINTER.get()) {
            Some(thread) => thread.join().map_err(|panic| SqlError::internal(panic.to_string())),
            None => Ok(()),
        }
    }

    fn run(&self, node: &Weak<Node>) {
        loop {
            let seen = self.wake.sequence();
            if self.ending.load(Ordering::SeqCst) {
                break;
            }
            let Some(live) = node.upgrade() else { break };
            live.snapshots.relieve();
            let (cause, serving, due_at) = {
                let state = self.state.lock();
                let written = live.log.statistics().bytes;
                let cause = if state.requested > state.answered {
                    Some(Cause::Request)
                } else if written >= state.due_at {
                    Some(Cause::LogSize)
                } else {
                    (written >= state.spool_from && history::is_due(&live)).then_some(Cause::Memory)
                };
                (cause, state.requested, state.due_at)
            };
            if cause == Some(Cause::Memory) {
                // Whoever writes to spooled tables will wait for it soon.
                self.hurry.store(true, Ordering::SeqCst);
            }
            let Some(cause) = cause else {
                self.look_again(&live, due_at);
                drop(live);
                self.wake.wait(seen, None);
                continue;
            };
            let outcome = self.make(live, node, cause);
            let writing = self.history.lock().writing.take();
            if let Err(error) = &outcome {
                self.remember_failure(writing, cause, error);
            }
            if let Some(live) = node.upgrade() {
                // What has to stay in memory is no reason for one checkpoint after the other.
                let next = live.log.statistics().bytes.saturating_add(history::step(&live));
                self.state.lock().spool_from = next;
            }
            self.answer(node, serving, outcome);
        }
        self.served.signal();
    }

    fn remember_failure(&self, writing: Option<Writing>, cause: Cause, error: &SqlError) {
        let failed = Failed {
            epoch: writing.map(|writing| writing.epoch),
            at_us: self.machine.now_us(),
            cause,
            error: error.message().to_owned(),
        };
        self.history.lock().failed = Some(failed);
    }

    /// The checkpoints that there are, the newest first, and those that came to nothing.
    pub(crate) fn status(&self) -> Vec<CheckpointStatus> {
        let kept = self.state.lock().kept.clone();
        let written = self.written.load(Ordering::Relaxed);
        self.history.lock().rows(&kept, written, self.machine.monotonic_ns())
    }

    /// The segments of the log, each with why it is kept.
    pub(crate) fn segments(&self, log: &tuplix_log::Log) -> Vec<SegmentStatus> {
        let kept = self.state.lock().kept.clone();
        let horizon_us = self.machine.now_us().saturating_sub(self.settings.log_retention_us);
        super::status::segments(log.segments(), &kept, horizon_us)
    }

    /// One checkpoint, from the cut to the removal of what it makes superfluous.
    fn make(&self, live: Arc<Node>, node: &Weak<Node>, cause: Cause) -> Result<CheckpointDone> {
        let started_ns = self.machine.monotonic_ns();
        let cut = live.cut();
        let snapshots = live.snapshots.clone();
        drop(live);
        let cut = cut?;
        let (epoch, at_us) = (cut.epoch, cut.at_us);
        let before = self.state.lock().kept.clone();
        let newest = before.first().map_or(0, |kept| kept.epoch);
        if epoch == newest {
            return Ok(CheckpointDone { epoch, ..CheckpointDone::default() });
        }
        self.written.store(0, Ordering::Relaxed);
        self.history.lock().writing = Some(Writing { epoch, at_us, cause, started_ns });
        let pace = Pace {
            machine: &self.machine,
            written: &self.written,
            snapshots: &snapshots,
            bytes_per_second: self.settings.checkpoint_bytes_per_second,
            hurry: &self.hurry,
            ending: &self.ending,
            changed: &self.wake,
            started_ns,
        };
        let target = Target {
            checkpoints: &self.disk,
            segments: &self.segments,
            node_id: self.node_id,
            least_chunks: self.settings.spool_chunks,
            not_removed: &|error| self.tell(&NodeEvent::NotRemoved(error)),
        };
        let Written { summary, spooled, segments, segment_bytes } = write(&target, cut, &pace)?;
        self.state.lock().referred.insert(epoch, segments);
        history::adopt(node, spooled);
        let microseconds = (self.machine.monotonic_ns() - started_ns) / 1000;
        self.history.lock().made.insert(epoch, Made { microseconds, cause });
        let newest = Kept { epoch, at_us, rows: summary.rows, bytes: summary.bytes };
        let all: Vec<Kept> = [newest].into_iter().chain(before).collect();
        let segments_removed = self.remove_unneeded(&all, node);
        let bytes = summary.bytes + segment_bytes;
        Ok(CheckpointDone { epoch, rows: summary.rows, bytes, microseconds, segments_removed })
    }

    /// Removes what is not kept any more, and says how many segments of the log. What cannot be removed is tried again next time.
    fn remove_unneeded(&self, all: &[Kept], node: &Weak<Node>) -> u64 {
        let horizon_us = self.machine.now_us().saturating_sub(self.settings.log_retention_us);
        let (stay, log_to) = keep::choose(all, horizon_us);
        self.state.lock().kept = stay.clone();
        self.history.lock().forget_all_but(&stay);
        let remove = || {
            let mut go = tuplix_checkpoint::list(&*self.disk)?;
            go.retain(|epoch| !stay.iter().any(|kept| kept.epoch == *epoch));
            tuplix_checkpoint::remove(&*self.disk, &go)?;
            self.remove_segments(&stay)
        };
        if let Err(error) = remove() {
            self.tell(&NodeEvent::NotRemoved(disk_error(&error)));
        }
        let (Some(live), Some(epoch)) = (node.upgrade(), log_to) else { return 0 };
        live.log.remove_before(epoch + 1).unwrap_or_else(|error| {
            self.tell(&NodeEvent::NotRemoved(error));
            0
        })
    }

    /// The segments that the newest checkpoint refers to.
    pub(crate) fn segments_of_history(&self) -> Segments {
        self.state.lock().referred.last_key_value().map(|(_, segments)| segments.clone()).unwrap_or_default()
    }

    /// Removes segments that no checkpoint refers to any more. One that somebody still reads goes after a later checkpoint.
    fn remove_segments(&self, stay: &[Kept]) -> DiskResult<()> {
        let mut state = self.state.lock();
        state.referred.retain(|epoch, _| stay.iter().any(|kept| kept.epoch == *epoch));
        let needed: BTreeSet<SegmentName> =
            state.referred.values().flat_map(Segments::keys).copied().collect();
        drop(state);
        let mut removed = false;
        for name in tuplix_checkpoint::list_segments(&**self.segments.disk())? {
            if !needed.contains(&name) && !self.segments.is_in_use(name) {
                self.segments.remove(name)?;
                removed = true;
            }
        }
        if removed { self.segments.disk().sync_dir("") } else { Ok(()) }
    }

    fn answer(&self, node: &Weak<Node>, serving: u64, outcome: Result<CheckpointDone>) {
        let every = self.settings.checkpoint_log_bytes;
        if let Some(live) = node.upgrade()
            && every > 0
        {
            // After a failure the next one is tried sooner, but not at once.
            let wait = if outcome.is_ok() { every } else { every.div_ceil(4) };
            self.due_at(&live, live.log.statistics().bytes.saturating_add(wait));
        }
        match &outcome {
            Ok(done) if done.bytes > 0 => self.tell(&NodeEvent::Checkpoint(*done)),
            Ok(_) => {}
            Err(error) => self.tell(&NodeEvent::CheckpointFailed(error.clone())),
        }
        let mut state = self.state.lock();
        (state.answered, state.answer) = (serving, outcome);
        if state.requested == serving {
            self.hurry.store(false, Ordering::SeqCst);
        }
        drop(state);
        self.served.signal();
    }

    fn tell(&self, event: &NodeEvent) {
        if let Some(events) = &self.settings.events {
            events(event);
        }
    }
}

impl std::fmt::Debug for Checkpointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checkpointer({:?})", self.settings)
    }
}
