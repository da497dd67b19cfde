//! How an attempt ended, in the words that its owner reads.

use crate::room::Ending;
use tuplix_services::scheduler::Usage;

use crate::runner::protocol::{Bound, End, Report};

/// What is said to the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It succeeded.
    Done(Usage),
    /// It failed.
    Failed(Failure),
    /// It was ended because the task was cancelled.
    Cancelled(Usage),
    /// It was ended because the worker stops.
    Returned,
    /// Another attempt has taken over: nothing is said.
    Stale,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) usage: Usage,
    /// Whether another attempt could do better.
    pub(crate) may_retry: bool,
}

impl Failure {
    /// Before or beside its program.
    pub(crate) fn of(error: impl Into<String>, usage: Usage) -> Failure {
        Failure { error: error.into(), exit_code: None, usage, may_retry: true }
    }
}

/// What a program used.
pub(crate) fn usage(report: &Report) -> Usage {
    Usage {
        user_time_us: Some(report.user_time_us),
        system_time_us: Some(report.system_time_us),
        peak_memory: Some(report.peak_memory),
    }
}

/// What a program's end means; `timeout_ms`: how long it might take, `memory`: the bytes that it was bound to, `last_line`: the
/// last that it wrote to stderr.
pub(crate) fn verdict(
    timeout_ms: Option<i64>,
    report: &Report,
    memory: Option<u64>,
    last_line: impl FnOnce() -> Option<String>,
) -> Verdict {
    let usage = usage(report);
    let fail =
        |error: String, exit_code| Verdict::Failed(Failure { error, exit_code, usage, may_retry: true });
    let over_memory =
        memory.filter(|_| report.out_of_memory && report.bound != Bound::None).map(too_much_memory);
    match (&report.end, over_memory) {
        (End::Exited(1..) | End::Signalled(_), None) if report.processes_over.is_some() => {
            let most = report.processes_over.unwrap_or_default();
            let code = match report.end {
                End::Signalled(signal) => 128 + signal,
                End::Exited(code) => code,
                _ => 1,
            };
            fail(format!("it had its {most} processes and threads, and started one more"), Some(code))
        }
        (End::Exited(0), None) => Verdict::Done(usage),
        // Also with status 0: the shell of `a | b` does not tell that `a` was ended, and what it wrote is cut.
        (End::Exited(code), Some(error)) => fail(error, Some(*code)),
        (End::Signalled(signal), Some(error)) => fail(error, Some(128 + signal)),
        (End::Exited(code), None) => {
            let said = last_line().map(|line| format!(": {line}")).unwrap_or_default();
            fail(format!("it ended with exit code {code}{said}"), Some(*code))
        }
        (End::Signalled(signal), None) => fail(signalled(*signal), Some(128 + signal)),
        (End::TimedOut, _) => {
            let limit = timeout_ms.unwrap_or_default();
            fail(format!("it ran longer than its {limit} ms: raise `timeout`"), None)
        }
        (End::NotStarted(why), _) => {
            Verdict::Failed(Failure { error: why.clone(), exit_code: None, usage, may_retry: false })
        }
        // Whoever killed it says why.
        (End::Killed, _) => Verdict::Stale,
        // Where nobody else has taken the task yet it goes back to the queue.
        (End::LeaseEnded, _) => Verdict::Returned,
    }
}

fn too_much_memory(bytes: u64) -> String {
    format!("it used more than its {} of memory: raise `memory`", size(bytes))
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

fn signalled(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL, an instruction that this processor lacks",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT, it gave up",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE, a division by zero perhaps",
        libc::SIGKILL => "SIGKILL, perhaps because the machine had no memory left: declare `memory`",
        libc::SIGSEGV => "SIGSEGV, a wrong address",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXFSZ => "SIGXFSZ, a file of more than 1 GiB",
        _ => return format!("it was ended by signal {signal}"),
    };
    format!("it was ended by signal {signal} ({name})")
}

impl Ending {
    /// What is said of an attempt that was ended.
    pub(crate) fn verdict(self, usage: Usage) -> Verdict {
        match self {
            Ending::Cancelled => Verdict::Cancelled(usage),
            Ending::Lost => Verdict::Stale,
            Ending::Stopping => Verdict::Returned,
        }
    }
}
