//! The log after the checkpoint, on all threads.
//!
//! One thread reads: it finds where each change begins, without making its values, and hands it to the thread that has the change's
//! domain. So all changes of a row are made by one thread, in the log's order, and those of different domains at once. A change of the
//! catalogue waits until everything before it is done. Epochs are whole or not there at all, so no order between domains is needed.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use tuplix_catalog::TableId;
use tuplix_log::{ChangeHead, RawChanges, RecordReader, Recovery};
use tuplix_machine::{Condvar, JoinHandle, Machine, Mutex};
use tuplix_types::{Result, SqlError};

use super::apply::{Applier, home, unreadable};
use super::progress::Progress;
use crate::node::{Node, Schema};

/// Bytes of changes that a thread gets at once.
const JOB_BYTES: usize = 256 << 10;
/// Jobs that wait for a thread at most.
const WAITING_JOBS: usize = 8;

/// Changes of one segment.
struct Job {
    schema: Arc<Schema>,
    segment: Arc<Vec<u8>>,
    changes: Vec<Range<usize>>,
}

impl Job {
    fn apply(&self, node: &Node) -> Result<()> {
        let mut applier = Applier::new(node, &self.schema);
        let mut changes = RecordReader::default();
        self.changes.iter().try_for_each(|range| applier.apply(&mut changes, &self.segment[range.clone()]))
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    busy: bool,
    ended: bool,
    error: Option<SqlError>,
}

struct Lane {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Worker {
    lane: Arc<Lane>,
    thread: Option<JoinHandle<()>>,
    /// What is gathered for its next job.
    changes: Vec<Range<usize>>,
    bytes: usize,
}

/// Replays the log to its end, and says what the last commit's timestamp was.
///
/// # Errors
/// XX001 when the log is damaged or does not fit the rows.
pub(super) fn replay(
    node: &Arc<Node>,
    recovery: &mut Recovery,
    threads: usize,
    progress: &Progress,
) -> Result<u64> {
    let mut replay = Replay::start(node, threads);
    let replayed = replay.run(recovery, progress);
    // The threads end in any case.
    let ended = replay.end();
    let last_commit = replayed?;
    ended.map(|()| last_commit)
}

struct Replay {
    node: Arc<Node>,
    schema: Arc<Schema>,
    workers: Vec<Worker>,
    /// Whom the place seen last belongs to.
    known: Option<((u32, u16), usize)>,
}

impl Replay {
    fn start(node: &Arc<Node>, threads: usize) -> Replay {
        let machine = node.machine();
        let worker = |_| {
            let lane = Lane { queue: Mutex::new(machine, Queue::default()), changed: Condvar::new(machine) };
            let lane = Arc::new(lane);
            let (inside, node) = (lane.clone(), node.clone());
            let thread = machine.spawn("replay", move || work(&inside, &node));
            Worker { lane, thread: Some(thread), changes: Vec::new(), bytes: 0 }
        };
        let workers = (0..threads.max(1)).map(worker).collect();
        Replay { node: node.clone(), schema: node.schema(), workers, known: None }
    }

    fn run(&mut self, recovery: &mut Recovery, progress: &Progress) -> Result<u64> {
        let mut last_commit = 0;
        let mut segment: Option<Arc<Vec<u8>>> = None;
        while let Some(epoch) = recovery.next_epoch()? {
            if segment.as_ref().is_none_or(|segment| !Arc::ptr_eq(segment, epoch.segment_bytes())) {
                if let Some(segment) = segment.take() {
                    self.send_all(&segment)?;
                }
                segment = Some(epoch.segment_bytes().clone());
            }
            let Some(bytes) = &segment else { continue };
            // They come in the order of their timestamps, in which their transactions depended on each other.
            for record in epoch.records() {
                let record = record?;
                last_commit = last_commit.max(record.header.commit_ts);
                let mut raw = RawChanges::new(record.bytes());
                while let Some(change) = raw.next().map_err(|error| unreadable(&error.to_string()))? {
                    let range = epoch.range_of(change.bytes);
                    match change.place {
                        Some(place) => self.add(place, range, bytes)?,
                        None => self.change_catalog(bytes, range)?,
                    }
                }
            }
            progress.add(epoch.length());
        }
        if let Some(segment) = segment {
            self.send_all(&segment)?;
        }
        self.wait_all()?;
        Ok(last_commit)
    }

    fn add(&mut self, place: (u32, u16), range: Range<usize>, segment: &Arc<Vec<u8>>) -> Result<()> {
        let index = match self.known {
            Some((known, index)) if known == place => index,
            _ => self.worker_of(place),
        };
        self.known = Some((place, index));
        let worker = &mut self.workers[index];
        worker.bytes += range.len();
        match worker.changes.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => worker.changes.push(range),
        }
        if worker.bytes < JOB_BYTES { Ok(()) } else { self.send(index, segment) }
    }

    fn worker_of(&self, (table, bucket): (u32, u16)) -> usize {
        let access = self.schema.layout.table(TableId(table)).filter(|access| bucket < access.buckets);
        // Whoever gets a change of what is not there says so.
        access.map_or(0, |access| home(&self.node, access, bucket).0 as usize % self.workers.len())
    }

    /// Everything before it is done first, unless it only says where a sequence stands.
    fn change_catalog(&mut self, segment: &Arc<Vec<u8>>, range: Range<usize>) -> Result<()> {
        if is_of_sequence(&segment[range.clone()])? {
            return self.apply(&segment[range]);
        }
        self.send_all(segment)?;
        self.wait_all()?;
        self.apply(&segment[range])?;
        self.schema = self.node.schema();
        self.known = None;
        Ok(())
    }

    fn apply(&self, bytes: &[u8]) -> Result<()> {
        Applier::new(&self.node, &self.schema).apply(&mut RecordReader::default(), bytes)
    }

    fn send_all(&mut self, segment: &Arc<Vec<u8>>) -> Result<()> {
        (0..self.workers.len()).try_for_each(|index| self.send(index, segment))
    }

    fn send(&mut self, index: usize, segment: &Arc<Vec<u8>>) -> Result<()> {
        let worker = &mut self.workers[index];
        let changes = std::mem::take(&mut worker.changes);
        worker.bytes = 0;
        if changes.is_empty() {
            return Ok(());
        }
        let job = Job { schema: self.schema.clone(), segment: segment.clone(), changes };
        let mut queue = worker.lane.queue.lock();
        while queue.jobs.len() >= WAITING_JOBS && queue.error.is_none() {
            worker.lane.changed.wait(&mut queue);
        }
        if let Some(error) = &queue.error {
            return Err(error.clone());
        }
        queue.jobs.push_back(job);
        drop(queue);
        worker.lane.changed.notify_all();
        Ok(())
    }

    fn wait_all(&self) -> Result<()> {
        for worker in &self.workers {
            let mut queue = worker.lane.queue.lock();
            while (queue.busy || !queue.jobs.is_empty()) && queue.error.is_none() {
                worker.lane.changed.wait(&mut queue);
            }
            if let Some(error) = &queue.error {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        for worker in &self.workers {
            worker.lane.queue.lock().ended = true;
            worker.lane.changed.notify_all();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                thread.join().map_err(|panic| SqlError::internal(panic.to_string()))?;
            }
        }
        Ok(())
    }
}

fn is_of_sequence(bytes: &[u8]) -> Result<bool> {
    let head = RecordReader::new(bytes).head().map_err(|error| unreadable(&error.to_string()))?;
    Ok(matches!(head, Some(ChangeHead::Catalog(_, json)) if json.starts_with(br#"{"set_sequence""#)))
}

fn work(lane: &Lane, node: &Node) {
    let mut queue = lane.queue.lock();
    loop {
        let Some(job) = queue.jobs.pop_front() else {
            queue.busy = false;
            lane.changed.notify_all();
            if queue.ended {
                return;
            }
            lane.changed.wait(&mut queue);
            continue;
        };
        queue.busy = true;
        drop(queue);
        lane.changed.notify_all();
        let done = job.apply(node);
        drop(job);
        queue = lane.queue.lock();
        if let Err(error) = done {
            queue.error = Some(error);
            queue.jobs.clear();
            queue.busy = false;
            lane.changed.notify_all();
            return;
        }
    }
}

/// How many threads a recovery uses.
pub(super) fn threads(machine: &Machine) -> usize {
    machine.cores().clamp(1, 16)
}
