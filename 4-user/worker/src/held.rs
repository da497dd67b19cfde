//! What ending an attempt needs to know of it: kept beside its folder too, so that a worker that starts again can end it.

use serde::{Deserialize, Serialize};
use tuplix_services::TaskId;
use tuplix_services::scheduler::Claim;

/// An attempt that this worker holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    task: i64,
    /// Its attempt.
    pub(crate) attempt: i32,
    /// Who the task belongs to.
    pub(crate) owner: String,
    /// Files that it writes.
    pub(crate) outputs: serde_json::Value,
    /// Cores that it takes.
    pub(crate) cores: i32,
    /// Bytes of memory that it takes.
    pub(crate) memory: i64,
    /// How long it may take.
    pub(crate) timeout_ms: Option<i64>,
}

impl Held {
    /// The task.
    pub(crate) fn task(&self) -> TaskId {
        TaskId(self.task)
    }
}

impl From<&Claim> for Held {
    fn from(claim: &Claim) -> Held {
        Held {
            task: claim.task.0,
            attempt: claim.attempt,
            owner: claim.owner.clone(),
            outputs: claim.outputs.clone(),
            cores: claim.cores,
            memory: claim.memory,
            timeout_ms: claim.timeout_ms,
        }
    }
}
