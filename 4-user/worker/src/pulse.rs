//! A worker's pulse: it listens for what happens, says that it lives, and does what is due.
//!
//! Channels: `os_worker_ID` (a bucket with assigned tasks, `cancel TASK`, `drain`; and from its own threads `rejoin BUCKET` and `stop`),
//! `os_timer` (a bucket with something due). Between them it sleeps until the next heartbeat or the next time due. A heartbeat looks
//! at everything again, should a notification be lost. A worker that does not die with its node connects again when it is lost,
//! and begins with a heartbeat: where the bucket still counts on it, what runs goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tuplix::{Notification, Result, Session, Value};
use tuplix_services::scheduler::Scheduler;
use tuplix_services::{Bucket, TaskId, Timestamp, errors};

use crate::adopt::{Adopted, leased};
use crate::errors::{WorkerError, is_lost, is_transient, text_of};
use crate::options::WorkerOptions;
use crate::room::{AGAIN_NS, Ending};
use crate::runner::system::{boot_ms, own_processors};
use crate::sweep::Sweeper;
use crate::worker::{Context, offer};

/// Heartbeats in the time of a lease.
const BEATS: u32 = 3;

/// The longest time between two, however long the lease is: others' leases may be shorter.
const BEAT_MAX: Duration = Duration::from_secs(20);

/// The pause before something that is due at once is looked at again.
const PAUSE_NS: u64 = 10_000_000;

/// The time between 1970 and 2000, where the machine's clock begins.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

const TIMER: &str = "os_timer";

/// The pulse of one worker.
pub(crate) struct Pulse {
    context: Arc<Context>,
    session: Session,
    scheduler: Scheduler,
    sweeper: Sweeper,
    /// When each bucket has something due, in [`tuplix_machine::Machine::monotonic_ns`].
    due: BTreeMap<Bucket, u64>,
    next_beat: u64,
    /// When the next bucket is swept, and which of the worker's buckets that is.
    next_sweep: u64,
    swept: usize,
}

impl Pulse {
    /// Listens, then joins all buckets: from here on the worker is known. What an earlier start left goes on where its bucket still
    /// counts on this worker, which those that are returned are.
    pub(crate) fn join(
        context: &Arc<Context>,
        mut left: Vec<Adopted>,
    ) -> std::result::Result<(Pulse, Vec<Adopted>), WorkerError> {
        let (mut session, scheduler, sweeper) = open(context)?;
        if let Some(machine) = &context.options.machine {
            let parts = parts(&context.options);
            retried(|| scheduler.register_machine(&mut session, machine, &context.options.host, &parts))?;
        }
        let mut pulse = Pulse {
            context: context.clone(),
            session,
            scheduler,
            sweeper,
            due: BTreeMap::new(),
            next_beat: 0,
            next_sweep: 0,
            swept: 0,
        };
        let began = boot_ms();
        let mut adopted = Vec::new();
        for bucket in &context.options.buckets {
            let here = left.extract_if(.., |one| one.held.task().bucket() == *bucket).collect::<Vec<_>>();
            if here.is_empty() {
                pulse.join_bucket(*bucket)?;
            } else {
                adopted.extend(pulse.resume(*bucket, here)?);
            }
        }
        end_all(left)?;
        context.renewed(began);
        pulse.next_beat = pulse.now() + pulse.beat_every();
        pulse.next_sweep = pulse.now() + pulse.sweep_pause();
        Ok((pulse, adopted))
    }

    /// Goes on with attempts of a bucket that still counts on this worker; else ends them and joins anew.
    fn resume(
        &mut self,
        bucket: Bucket,
        mut here: Vec<Adopted>,
    ) -> std::result::Result<Vec<Adopted>, WorkerError> {
        let id = self.context.options.id;
        if !self.is_as_before(bucket)? || !self.is_counted_on(bucket)? {
            end_all(here)?;
            self.join_bucket(bucket)?;
            return Ok(Vec::new());
        }
        let held = leased(&mut self.session, bucket, id)?;
        let cores = self.context.options.cores;
        let is_held = |one: &mut Adopted| {
            let attempt = (one.held.task(), one.held.attempt);
            one.number().is_some_and(|number| number < cores) && held.contains(&attempt)
        };
        let kept: Vec<Adopted> = here.extract_if(.., is_held).collect();
        end_all(here)?;
        for (task, attempt) in held {
            if kept.iter().all(|one| one.held.task() != task) {
                let session = &mut self.session;
                let why = "its worker began anew";
                retried(|| self.scheduler.return_task(session, task, attempt, why))?;
            }
        }
        for one in &kept {
            self.context.room.adopted(&one.held, &one.stopper, &one.processors);
        }
        self.context.room.assigned(bucket);
        self.tick(bucket)?;
        Ok(kept)
    }

    /// Whether the bucket knows this worker with what it offers now.
    fn is_as_before(&mut self, bucket: Bucket) -> Result<bool> {
        let options = &self.context.options;
        let known = "SELECT 1 FROM os.worker w WHERE w.p_key = $1 AND w.worker_id = $2 AND w.status = 'up'
                        AND w.capacity = $3 AND w.memory = $4";
        let arguments = [
            Value::Int4(bucket.0),
            Value::Int8(options.id.0),
            Value::Int4(options.cores),
            Value::Int8(options.memory),
        ];
        Ok(!self.session.query(known, &arguments)?.is_empty())
    }

    /// Whether the bucket still counts on this worker: its lease is renewed then.
    fn is_counted_on(&mut self, bucket: Bucket) -> Result<bool> {
        let (id, session) = (self.context.options.id, &mut self.session);
        match retried(|| self.scheduler.heartbeat_worker(session, bucket, id)) {
            Err(error) if error.sqlstate() == errors::UNKNOWN_WORKER => Ok(false),
            beaten => beaten.map(|_| true),
        }
    }

    /// Until the worker stops.
    pub(crate) fn beat(mut self) {
        while !self.context.room.is_stopping() {
            let Err(error) = self.once() else { continue };
            if !is_lost(&error) || !self.context.keeps() {
                self.context.give_up(&error);
                continue;
            }
            tracing::warn!(event = "node_lost", "the node was lost: {}", text_of(&error));
            let context = self.context.clone();
            if let Some(opened) = context.insist(|| open(&context)) {
                (self.session, self.scheduler, self.sweeper) = opened;
                self.next_beat = 0;
            }
        }
    }

    fn once(&mut self) -> Result<()> {
        let now = self.now();
        if now >= self.next_beat {
            let began = boot_ms();
            for bucket in self.context.options.buckets.clone() {
                self.heartbeat(bucket)?;
                self.look_again(bucket)?;
                // Finds out who else was lost: who joined after the last look has another lease.
                self.tick(bucket)?;
            }
            self.context.renewed(began);
            self.next_beat = now + self.beat_every();
        }
        let due: Vec<Bucket> =
            self.due.iter().filter(|(_, due)| **due <= now).map(|(bucket, _)| *bucket).collect();
        for bucket in due {
            self.live_and_tick(bucket)?;
        }
        if now >= self.next_sweep {
            self.sweep();
        }
        let again = self.context.room.end_again().then(|| self.now() + AGAIN_NS);
        let next = self
            .due
            .values()
            .copied()
            .chain([self.next_beat, self.next_sweep])
            .chain(again)
            .min()
            .unwrap_or(self.next_beat);
        let pause = Duration::from_nanos(next.saturating_sub(self.now()));
        for notification in self.session.wait_notifications(pause)? {
            self.heard(&notification)?;
        }
        Ok(())
    }

    fn heard(&mut self, notification: &Notification) -> Result<()> {
        let payload = notification.payload.as_str();
        let bucket = |text: &str| {
            let bucket = Bucket(text.parse().ok()?);
            self.context.options.buckets.contains(&bucket).then_some(bucket)
        };
        if notification.channel == TIMER {
            return bucket(payload).map_or(Ok(()), |bucket| self.live_and_tick(bucket));
        }
        match payload.split_once(' ') {
            Some(("cancel", task)) => {
                if let Ok(task) = task.parse() {
                    self.context.room.end_task(TaskId(task), Ending::Cancelled);
                }
            }
            Some(("rejoin", text)) => {
                if let Some(bucket) = bucket(text) {
                    self.rejoin(bucket)?;
                }
            }
            None if payload == "drain" => self.context.room.drain(),
            _ => {
                if let Some(bucket) = bucket(payload) {
                    self.context.room.assigned(bucket);
                }
            }
        }
        Ok(())
    }

    fn join_bucket(&mut self, bucket: Bucket) -> Result<()> {
        let (context, session) = (&self.context, &mut self.session);
        let offer = offer(&context.options);
        retried(|| self.scheduler.join_worker(session, bucket, context.options.id, &offer))?;
        context.room.assigned(bucket);
        self.tick(bucket)
    }

    /// The bucket gave up on this worker: so does the worker on what it runs for the bucket, and begins anew. One that was drained has
    /// left, and stays away.
    fn rejoin(&mut self, bucket: Bucket) -> Result<()> {
        if self.context.room.is_draining() {
            return Ok(());
        }
        let status = "SELECT w.status FROM os.worker w WHERE w.p_key = $1 AND w.worker_id = $2";
        let key = [Value::Int4(bucket.0), Value::Int8(self.context.options.id.0)];
        let rows = self.session.query(status, &key)?;
        if rows.get(0, 0).and_then(Value::as_str) == Some("left") {
            tracing::info!(event = "worker_drained", "bucket {bucket} was told that this worker leaves");
            self.context.room.drain();
            return Ok(());
        }
        tracing::warn!(
            event = "bucket_lost",
            "bucket {bucket} has lost this worker; it ends its tasks there and joins again"
        );
        self.context.room.end_bucket(bucket, Ending::Lost);
        self.join_bucket(bucket)
    }

    fn heartbeat(&mut self, bucket: Bucket) -> Result<()> {
        if self.is_counted_on(bucket)? { Ok(()) } else { self.rejoin(bucket) }
    }

    /// Finds what a notification that was lost would have told.
    fn look_again(&mut self, bucket: Bucket) -> Result<()> {
        let room = &self.context.room;
        room.assigned(bucket);
        for (task, attempt) in room.running(bucket) {
            let session = &mut self.session;
            match retried(|| self.scheduler.heartbeat_task(session, task, attempt)) {
                Ok(held) if held.cancelling => room.end_task(task, Ending::Cancelled),
                Err(error) if [errors::STALE_ATTEMPT, errors::UNKNOWN_TASK].contains(&error.sqlstate()) => {
                    room.end_attempt(task, attempt);
                }
                held => drop(held?),
            }
        }
        Ok(())
    }

    /// Does what is due in a bucket; first it says that it lives, lest a machine that slept takes its own worker for lost.
    fn live_and_tick(&mut self, bucket: Bucket) -> Result<()> {
        self.heartbeat(bucket)?;
        self.tick(bucket)
    }

    fn tick(&mut self, bucket: Bucket) -> Result<()> {
        let session = &mut self.session;
        let due = retried(|| self.scheduler.tick(session, bucket))?;
        match due {
            Some(due) => self.due.insert(bucket, self.moment(due)),
            None => self.due.remove(&bucket),
        };
        Ok(())
    }

    /// Forgets what is old in the bucket whose turn it is. It can wait: what is in the way is said, and tried again in the next round.
    fn sweep(&mut self) {
        let buckets = &self.context.options.buckets;
        let Some(bucket) = buckets.get(self.swept % buckets.len().max(1)).copied() else { return };
        let swept = self.sweeper.sweep(&mut self.session, &self.scheduler, bucket);
        if matches!(swept, Ok(true)) {
            // Once more, after what is due meanwhile.
            self.next_sweep = self.now() + PAUSE_NS;
            return;
        }
        if let Err(error) = swept
            && !is_transient(&error)
        {
            tracing::warn!(
                event = "history_not_forgotten",
                "cannot forget old tasks and messages of bucket {bucket}: {}",
                text_of(&error)
            );
        }
        self.swept += 1;
        self.next_sweep = self.now() + self.sweep_pause();
    }

    /// A time of the database by this machine's steady clock; later than now.
    fn moment(&self, time: Timestamp) -> u64 {
        let machine = &self.context.machine;
        let left_us = (time.0 - EPOCH_2000_US).saturating_sub(machine.now_us());
        self.now() + (left_us.max(0).unsigned_abs().saturating_mul(1000)).max(PAUSE_NS)
    }

    fn now(&self) -> u64 {
        self.context.machine.monotonic_ns()
    }

    fn sweep_pause(&self) -> u64 {
        let buckets = u32::try_from(self.context.options.buckets.len()).unwrap_or(u32::MAX).max(1);
        u64::try_from((self.context.options.sweep_every / buckets).as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn beat_every(&self) -> u64 {
        let beat = (self.context.options.lease / BEATS).min(BEAT_MAX);
        u64::try_from(beat.as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

/// What a machine is made of, as far as its worker knows.
fn parts(options: &WorkerOptions) -> serde_json::Value {
    let cores = own_processors().into_iter().map(|number| json!({"kind": "core", "number": number}));
    let memory = json!({"kind": "memory", "number": 0, "amount": options.memory});
    let resources =
        options.resources.iter().map(|(kind, amount)| json!({"kind": kind, "number": 0, "amount": amount}));
    cores.chain([memory]).chain(resources).collect()
}

/// Listens, in a session of its own.
fn open(context: &Context) -> Result<(Session, Scheduler, Sweeper)> {
    let mut session = context.session()?;
    let scheduler = Scheduler::new(&mut session)?;
    session.execute(&format!("LISTEN os_worker_{}; LISTEN {TIMER}", context.options.id))?;
    // A lease that is forgotten by a crash is one that a crash ends.
    session.set("synchronous_commit", "off")?;
    let sweeper = Sweeper::new(&mut session)?;
    Ok((session, scheduler, sweeper))
}

/// Ends attempts of an earlier start.
fn end_all(left: Vec<Adopted>) -> std::result::Result<(), WorkerError> {
    for one in left {
        let folder = one.folder.clone();
        match one.end() {
            Ok(true) => {}
            Ok(false) => return Err(WorkerError::Orphan(folder)),
            Err(error) => return Err(WorkerError::WorkDirectory(folder, error)),
        }
    }
    Ok(())
}

/// Tries again what met another transaction.
fn retried<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    /// Tries; more of them in a row mean that something else is wrong.
    const TRIES: u32 = 100;
    for _ in 1..TRIES {
        match call() {
            Err(error) if is_transient(&error) => {}
            done => return done,
        }
    }
    call()
}
