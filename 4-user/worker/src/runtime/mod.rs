//! What runs attempts: a runtime for each kind of task.
//!
//! | kind | runs | ends |
//! |---|---|---|
//! | `exec` | a Linux process, by a helper process ([`exec`]) | at least once; its status and files in one transaction |
//! | `sql` | a function or procedure in the database ([`sql`]) | exactly once, in the transaction that finishes the task |
//!
//! Another kind is another [`Runtime`] in [`all`], and nothing else: claiming, room, leases, cancelling and ending are the
//! thread's. A runtime arms the attempt's [`Stopper`] with what ends it, and says how it went.

pub(crate) mod exec;
pub(crate) mod sql;

use tuplix::Result;
use tuplix_services::scheduler::Claim;

use crate::ground::Ground;
use crate::outcome::Verdict;
use crate::stopper::Stopper;

/// A task that begins: what was claimed, and what it got.
pub(crate) struct Begun<'a> {
    pub(crate) claim: &'a Claim,
    /// The cores that are its own, by the kernel's numbers; none: any.
    pub(crate) processors: &'a [usize],
    pub(crate) stopper: &'a Stopper,
}

/// How a runtime leaves an attempt.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// This is to be said of it, with the files in its folder.
    Ended(Verdict),
    /// Its end is committed already.
    Settled,
}

/// Runs attempts of one kind, on one thread.
pub(crate) trait Runtime {
    /// The kind, as `os.task_spec` has it.
    fn kind(&self) -> &'static str;

    /// Runs an attempt to its end.
    ///
    /// # Errors
    /// The database's. After a connection was lost the attempt is run once more, if it is still the running one: only what has no
    /// effect may have happened.
    fn run(&mut self, ground: &mut Ground, begun: &Begun<'_>) -> Result<Outcome>;
}

/// One of each, for a thread.
pub(crate) fn all() -> Vec<Box<dyn Runtime>> {
    vec![Box::<exec::Exec>::default(), Box::<sql::Sql>::default()]
}

/// What is said of a task of a kind that none of these runs.
pub(crate) fn unknown(kind: &str, runtimes: &[Box<dyn Runtime>]) -> String {
    let known: Vec<&str> = runtimes.iter().map(|runtime| runtime.kind()).collect();
    format!("there is no runtime of kind \"{kind}\" here; this worker has {}", known.join(", "))
}
