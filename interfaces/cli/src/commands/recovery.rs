//! What a node says of itself while it starts and runs: progress of a recovery, checkpoints.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use tuplix::{Events, NodeEvent};

/// Prints progress to standard error: one line that changes on a terminal, a line for each tenth elsewhere.
pub(super) fn reporter() -> Events {
    let is_terminal = std::io::stderr().is_terminal();
    let last = std::sync::Mutex::new(("", u64::MAX));
    Arc::new(move |event| {
        let mut err = std::io::stderr().lock();
        // Whoever closed standard error does not want to know.
        let _ = match event {
            NodeEvent::Recovering { what, done, total } => {
                let percent = if *total == 0 { 100 } else { done * 100 / total };
                let text = format!("tuplix: reading the {what}: {percent} %, {done} of {total} bytes");
                let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let is_new = *last != (*what, percent / 10);
                *last = (*what, percent / 10);
                match (is_terminal, is_new) {
                    (true, _) => write!(err, "\r\x1b[K{text}").and_then(|()| err.flush()),
                    (false, true) => writeln!(err, "{text}"),
                    (false, false) => Ok(()),
                }
            }
            NodeEvent::BuildingIndexes(_) if is_terminal => {
                write!(err, "\r\x1b[Ktuplix: building indexes\r\x1b[K").and_then(|()| err.flush())
            }
            NodeEvent::BuildingIndexes(_) | NodeEvent::Checkpoint(_) => Ok(()),
            NodeEvent::CheckpointFailed(error) => {
                writeln!(err, "tuplix: a checkpoint failed, the ones before are as they were: {error}")
            }
            NodeEvent::RefusalsNotKept(error) => {
                writeln!(err, "tuplix: not all refusals are kept: {error}")
            }
            NodeEvent::NotRemoved(error) => {
                writeln!(err, "tuplix: old checkpoints or log could not be removed: {error}")
            }
        };
    })
}
