//! A helper process that an earlier start of the worker began: known by a descriptor, so that no other process is ever meant.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::orphans::name_of;

/// A helper process.
#[derive(Clone, Debug)]
pub(crate) struct Helper {
    process: Arc<OwnedFd>,
}

impl Helper {
    /// The process of this name ([`name_of`]: number and start), if it still runs.
    pub(crate) fn open(name: &str) -> Option<Helper> {
        let number: i32 = name.split_once(' ')?.0.parse().ok()?;
        let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: the descriptor stays this process's.
        (name_of(number).ok()? == name).then(|| Helper { process: Arc::new(process) })
    }

    /// Asks it to end what it runs and to say so.
    pub(crate) fn ask_to_end(&self) {
        // Fails when it has ended, which is as good.
        let _ = pidfd_send_signal(&self.process, Signal::TERM);
    }

    /// Ends it.
    pub(crate) fn kill(&self) {
        // As above.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self) {
        loop {
            let mut ended = [PollFd::new(&*self.process, PollFlags::IN)];
            match poll(&mut ended, None) {
                Err(rustix::io::Errno::INTR) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_number_alone_is_not_enough() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let number = child.id().cast_signed();
        assert!(Helper::open(&format!("{number} 1")).is_none());
        let helper = Helper::open(&name_of(number).unwrap()).unwrap();
        helper.ask_to_end();
        helper.wait();
        child.wait().unwrap();
        assert!(Helper::open("no process").is_none());
    }
}
