//! Forgetting what is old: received messages, and tasks with their logs.
//!
//! One bucket after the other has its turn, so that all of them have it once in [`crate::WorkerOptions::sweep_every`].

use tuplix::{Result, Session};
use tuplix_services::Bucket;
use tuplix_services::fs::Fs;
use tuplix_services::ipc::Ipc;
use tuplix_services::scheduler::Scheduler;

use crate::logs::logs_of;

/// Tasks that go in one transaction: few, since the bucket's other work waits for it.
const BATCH: i32 = 100;

/// The calls that forget.
pub(crate) struct Sweeper {
    ipc: Ipc,
    fs: Fs,
}

impl Sweeper {
    pub(crate) fn new(session: &mut Session) -> Result<Sweeper> {
        Ok(Sweeper { ipc: Ipc::new(session)?, fs: Fs::new(session)? })
    }

    /// Sweeps a bucket; whether there is more to sweep.
    pub(crate) fn sweep(&self, session: &mut Session, scheduler: &Scheduler, bucket: Bucket) -> Result<bool> {
        self.ipc.sweep(session, bucket)?;
        session.execute("BEGIN")?;
        let swept = self.tasks(session, scheduler, bucket);
        match swept {
            Ok(count) => {
                session.execute("COMMIT")?;
                Ok(count >= BATCH as usize)
            }
            Err(error) => {
                session.execute("ROLLBACK")?;
                Err(error)
            }
        }
    }

    /// Rows and logs of tasks go together.
    fn tasks(&self, session: &mut Session, scheduler: &Scheduler, bucket: Bucket) -> Result<usize> {
        let swept = scheduler.sweep_tasks(session, bucket, BATCH)?;
        for (task, owner) in &swept {
            if let Some(owner) = owner {
                let folder = logs_of(owner, *task);
                let bucket = self.fs.bucket_of(session, &folder)?;
                self.fs.remove_tree(session, bucket, &folder)?;
            }
        }
        Ok(swept.len())
    }
}
