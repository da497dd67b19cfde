//! What an earlier start of a worker left: attempts whose helper processes outlived it are adopted, the rest is ended.
//!
//! ```text
//! WORK/lease            until when the worker's leases hold, by the machine's steady clock; helpers read it
//! WORK/NUMBER/attempt   the attempt that runs in this folder, and its helper process
//! WORK/NUMBER/report    how it went, where nobody was there to be told
//! ```
//!
//! An attempt is adopted when its bucket still counts on this worker: the lease holds. Else it is ended before the worker joins anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tuplix::{Result, Value};
use tuplix_services::{Bucket, TaskId, errors};

use crate::errors::is_lost;
use crate::folder;
use crate::ground::Ground;
use crate::held::Held;
use crate::runner::helper::Helper;
use crate::runner::protocol::Report;
use crate::runtime::exec::helper_lost;
use crate::stopper::Stopper;

/// The file of a folder that says what runs in it.
pub(crate) const ATTEMPT: &str = "attempt";

/// What stands in it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    held: Held,
    /// The helper's number and start ([`Helper::name`]).
    helper: String,
    processors: Vec<usize>,
    memory: Option<u64>,
}

/// An attempt that goes on.
pub(crate) struct Adopted {
    pub(crate) held: Held,
    pub(crate) stopper: Stopper,
    pub(crate) folder: PathBuf,
    pub(crate) processors: Vec<usize>,
    helper: Option<Helper>,
    memory: Option<u64>,
}

/// Notes what a helper is about to run.
pub(crate) fn note(
    folder: &Path,
    held: &Held,
    helper: String,
    processors: &[usize],
    memory: Option<u64>,
) -> io::Result<()> {
    let record = Record { held: held.clone(), helper, processors: processors.to_vec(), memory };
    match fs::remove_file(folder.join(crate::runner::REPORT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(folder.join(ATTEMPT), serde_json::to_vec(&record)?)
}

impl Adopted {
    /// What runs, or ran to its end, in a folder; `None`: nothing that can be gone on with.
    pub(crate) fn find(folder: &Path) -> Option<Adopted> {
        let record: Record = serde_json::from_slice(&fs::read(folder.join(ATTEMPT)).ok()?).ok()?;
        let helper = Helper::open(&record.helper);
        if helper.is_none() && report(folder).is_none() {
            return None;
        }
        Some(Adopted {
            held: record.held,
            stopper: Stopper::default(),
            folder: folder.to_owned(),
            processors: record.processors,
            helper,
            memory: record.memory,
        })
    }

    /// Which of the worker's folders that is.
    pub(crate) fn number(&self) -> Option<i32> {
        self.folder.file_name()?.to_str()?.parse().ok()
    }

    /// Ends it and all that it runs; false when it does not end.
    pub(crate) fn end(self) -> io::Result<bool> {
        if let Some(helper) = &self.helper {
            helper.kill();
        }
        let ended = crate::runner::end_orphans(&self.folder);
        folder::remove(&self.folder)?;
        Ok(ended)
    }

    /// Waits for its end. `None`: its helper is gone, and did not say how it went.
    fn wait(&self) -> Option<Report> {
        if let Some(helper) = &self.helper {
            let asked = helper.clone();
            let waited = self.stopper.begin(move || asked.ask_to_end(), || ());
            if waited.is_none() {
                helper.ask_to_end();
            }
            helper.wait();
        }
        self.stopper.over();
        report(&self.folder)
    }
}

fn report(folder: &Path) -> Option<Report> {
    serde_json::from_slice(&fs::read(folder.join(crate::runner::REPORT)).ok()?).ok()
}

impl Ground {
    /// Waits for an adopted attempt and ends it in the database.
    pub(crate) fn go_on(&mut self, adopted: Adopted) -> Result<()> {
        self.homes.insert(adopted.held.owner.clone());
        let verdict = match adopted.wait() {
            Some(report) => self.verdict(&adopted.held, Some(report), adopted.memory),
            None => helper_lost(self, &adopted.held, "it ended while the worker was away"),
        };
        let settled = self.settle(&adopted.held, verdict);
        self.clear();
        self.context.room.over(adopted.held.task());
        settled
    }

    /// Makes the folder ready for the next attempt.
    pub(crate) fn clear(&self) {
        if let Err(error) = folder::empty(&self.folder) {
            let folder = self.folder.display();
            tracing::warn!(event = "folder_not_emptied", "cannot empty {folder}: {error}");
        }
    }

    /// Whether an attempt is still this worker's to run.
    pub(crate) fn holds(&mut self, task: TaskId, attempt: i32) -> Result<bool> {
        let link = &mut self.link;
        match link.scheduler.heartbeat_task(&mut link.session, task, attempt) {
            Ok(_) => Ok(true),
            Err(error) if [errors::STALE_ATTEMPT, errors::UNKNOWN_TASK].contains(&error.sqlstate()) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives back what the bucket thinks that this worker runs, and it does not.
    pub(crate) fn give_back_unknown(&mut self, bucket: Bucket) -> Result<()> {
        let running = self.context.room.running(bucket);
        let link = &mut self.link;
        for (task, attempt) in leased(&mut link.session, bucket, self.context.options.id)? {
            if running.contains(&(task, attempt)) {
                continue;
            }
            let why = "its worker lost the connection while it began";
            match link.scheduler.return_task(&mut link.session, task, attempt, why) {
                Err(error) if error.sqlstate() == errors::STALE_ATTEMPT && !is_lost(&error) => {}
                returned => returned?,
            }
        }
        Ok(())
    }
}

/// Attempts that a worker runs in a bucket, as the bucket has it.
pub(crate) fn leased(
    session: &mut tuplix::Session,
    bucket: Bucket,
    worker: tuplix_services::WorkerId,
) -> Result<Vec<(TaskId, i32)>> {
    let held = "SELECT l.task_id, l.attempt FROM os.task_lease l
                 WHERE l.p_key = $1 AND l.worker_id = $2 AND l.attempt > 0 ORDER BY l.task_id";
    let rows = session.query(held, &[Value::Int4(bucket.0), Value::Int8(worker.0)])?;
    let number = |value: &Value| value.as_i64().unwrap_or_default();
    Ok(rows
        .iter()
        .map(|row| (TaskId(number(&row[0])), i32::try_from(number(&row[1])).unwrap_or(0)))
        .collect())
}
