//! Where what a task wrote is kept.

use tuplix_services::TaskId;

/// One of the two streams that a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// Its name, in the task's folder and in the path.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// The path in the Tuplix file system of what an attempt of a task wrote: `/home/OWNER/.tasks/TASK/ATTEMPT/stdout`. The file is
/// there once the attempt is over, also when it failed.
pub fn log_path(owner: &str, task: TaskId, attempt: i32, stream: Stream) -> String {
    format!("{}/{attempt}/{}", logs_of(owner, task), stream.name())
}

/// The folder of all that a task wrote.
pub(crate) fn logs_of(owner: &str, task: TaskId) -> String {
    format!("/home/{owner}/.tasks/{task}")
}
