//! A thread that runs one task at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix::{Result, SqlError};
use tuplix_services::scheduler::Claim;
use tuplix_services::{Bucket, errors};

use crate::adopt::Adopted;
use crate::errors::{is_lost, is_transient};
use crate::folder;
use crate::ground::Ground;
use crate::held::Held;
use crate::link::Link;
use crate::outcome::{Failure, Verdict};
use crate::room::Ending;
use crate::runtime::{self, Begun, Outcome, Runtime};
use crate::stopper::Stopper;
use crate::worker::Context;

/// A thread that runs one task at a time.
pub(crate) struct TaskThread {
    ground: Ground,
    runtimes: Vec<Box<dyn Runtime>>,
}

impl TaskThread {
    /// Until the worker stops.
    pub(crate) fn run(context: &Arc<Context>, number: i32, adopted: Option<Adopted>) {
        let worked = TaskThread::new(context.clone(), number).and_then(|mut thread| {
            if let Some(adopted) = adopted {
                thread.ground.go_on(adopted)?;
            }
            thread.work()
        });
        if let Err(error) = worked {
            context.give_up(&error);
        }
    }

    fn new(context: Arc<Context>, number: i32) -> Result<TaskThread> {
        let link = match Link::open(&context, 0) {
            Err(error) if is_lost(&error) && context.keeps() => {
                context.insist(|| Link::open(&context, 0)).ok_or(error)?
            }
            link => link?,
        };
        let folder = context.options.work_directory.join(number.to_string());
        let ground = Ground { context, link, folder, homes: BTreeSet::new() };
        Ok(TaskThread { ground, runtimes: runtime::all() })
    }

    fn work(&mut self) -> Result<()> {
        let context = self.ground.context.clone();
        while let Some(bucket) = context.room.next_bucket() {
            let Some(claim) = self.claim(bucket)? else { continue };
            let (held, stopper) = (Held::from(&claim), Stopper::default());
            let placed = context.room.claimed(&held, &stopper);
            let done = self.attempt(&claim, &held, placed, &stopper);
            context.room.over(claim.task);
            done?;
        }
        if let Err(error) = folder::remove(&self.ground.folder) {
            let folder = self.ground.folder.display();
            tracing::warn!(event = "folder_not_removed", "cannot remove {folder}: {error}");
        }
        Ok(())
    }

    /// A task of a bucket; none where there is none, and where claiming it has to wait.
    fn claim(&mut self, bucket: Bucket) -> Result<Option<Claim>> {
        let context = self.ground.context.clone();
        let (room, id) = (&context.room, context.options.id);
        let Link { session, scheduler, .. } = &mut self.ground.link;
        let error = match scheduler.claim_tasks(session, bucket, id, 1) {
            Ok(claims) => {
                let claim = claims.into_iter().next();
                if claim.is_none() {
                    room.claimed_nothing();
                }
                return Ok(claim);
            }
            Err(error) => error,
        };
        if is_lost(&error) && context.keeps() {
            // Before anybody else claims: what this claim brought, if it was committed, nobody here knows of.
            let found = self.connect(|ground| ground.give_back_unknown(bucket), error);
            room.claimed_nothing();
            room.assigned(bucket);
            return found.map(|()| None);
        }
        room.claimed_nothing();
        if is_transient(&error) {
            room.assigned(bucket);
        } else if error.sqlstate() == errors::UNKNOWN_WORKER {
            session.execute(&format!("NOTIFY os_worker_{id}, 'rejoin {bucket}'"))?;
        } else {
            return Err(error);
        }
        Ok(None)
    }

    /// Connects anew, and does something then, as often as the connection is lost again.
    fn connect(
        &mut self,
        mut then: impl FnMut(&mut Ground) -> Result<()>,
        mut error: SqlError,
    ) -> Result<()> {
        let context = self.ground.context.clone();
        while is_lost(&error) && self.ground.link.again(&context) {
            match then(&mut self.ground) {
                Ok(()) => return Ok(()),
                Err(again) if is_transient(&again) => self.ground.pause(),
                Err(again) => error = again,
            }
        }
        if context.room.is_stopping() { Ok(()) } else { Err(error) }
    }

    /// Runs an attempt to its end.
    fn attempt(
        &mut self,
        claim: &Claim,
        held: &Held,
        placed: std::result::Result<Vec<usize>, Ending>,
        stopper: &Stopper,
    ) -> Result<()> {
        let outcome = match placed {
            Err(ending) => Outcome::Ended(ending.verdict(Default::default())),
            Ok(processors) => self.run_claim(&Begun { claim, processors: &processors, stopper })?,
        };
        let settled = match outcome {
            Outcome::Ended(verdict) => self.ground.settle(held, verdict),
            Outcome::Settled => Ok(()),
        };
        self.ground.clear();
        settled
    }

    fn run_claim(&mut self, begun: &Begun<'_>) -> Result<Outcome> {
        let kind = begun.claim.kind.as_str();
        let Some(place) = self.runtimes.iter().position(|runtime| runtime.kind() == kind) else {
            let error = runtime::unknown(kind, &self.runtimes);
            let failure = Failure { may_retry: false, ..Failure::of(error, Default::default()) };
            return Ok(Outcome::Ended(Verdict::Failed(failure)));
        };
        loop {
            let error = match self.runtimes[place].run(&mut self.ground, begun) {
                Err(error) if is_lost(&error) && self.ground.context.keeps() => error,
                outcome => return outcome,
            };
            let (task, attempt) = (begun.claim.task, begun.claim.attempt);
            let mut is_held = false;
            let look = |ground: &mut Ground| {
                is_held = ground.holds(task, attempt)?;
                Ok(())
            };
            self.connect(look, error)?;
            if !is_held {
                return Ok(Outcome::Settled);
            }
        }
    }
}
