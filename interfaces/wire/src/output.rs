//! Answers on their way out: none leaves before the commits that it depends on are on disk.
//!
//! ```text
//!   ready bytes | gate(commit 7) bytes | gate(commit 8) bytes ... <- answers are appended here
//!   ^ written to the client now          ^ wait for the log's epoch
//! ```
//! The session goes on with the next request meanwhile, so that many commits of a connection, and of
//! thousands of them, share one fsync. Gates open in order.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use tokio::sync::Notify;
use tuplix::Commit;
use tuplix_types::Result;

use crate::limits::{PENDING_BYTES_MAX, PENDING_COMMITS_MAX};

/// The answers of one connection that the client has not been sent yet.
#[derive(Default)]
pub(crate) struct Output {
    /// What may be written now.
    pub ready: BytesMut,
    gates: VecDeque<Gate>,
    /// Woken when any gate's commit is decided.
    decided: Arc<Notify>,
}

/// Answers behind a commit.
struct Gate {
    commit: Arc<OnceLock<Result<()>>>,
    bytes: BytesMut,
}

impl Output {
    /// Where the next answer is appended.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        match self.gates.back_mut() {
            Some(gate) => &mut gate.bytes,
            None => &mut self.ready,
        }
    }

    /// Holds back everything appended from now on until `commit` is durable.
    pub(crate) fn gate(&mut self, commit: &Commit) {
        if commit.is_durable() {
            return;
        }
        let decision = Arc::new(OnceLock::new());
        let (told, decided) = (Arc::clone(&decision), Arc::clone(&self.decided));
        commit.on_durable(move |result| {
            // Called once for each commit, so the lock is empty and setting it can't fail.
            told.get_or_init(|| result);
            decided.notify_one();
        });
        self.gates.push_back(Gate { commit: decision, bytes: BytesMut::new() });
    }

    /// Moves the answers whose commits are durable to `ready`.
    ///
    /// # Errors
    /// The log's error when a commit failed: what was answered behind it must not be sent.
    pub(crate) fn release(&mut self) -> Result<()> {
        while let Some(decision) = self.gates.front().and_then(|gate| gate.commit.get()) {
            if let Err(error) = decision {
                let error = error.clone();
                self.gates.clear();
                return Err(error);
            }
            if let Some(gate) = self.gates.pop_front() {
                if self.ready.is_empty() {
                    self.ready = gate.bytes;
                } else {
                    self.ready.extend_from_slice(&gate.bytes);
                }
            }
        }
        Ok(())
    }

    /// Whether answers wait for their commits.
    pub(crate) fn waits(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Completes when a commit was decided since the last call; [`Output::release`] then finds it.
    pub(crate) fn decided(&self) -> impl Future<Output = ()> + use<> {
        let decided = Arc::clone(&self.decided);
        async move { decided.notified().await }
    }

    /// Whether no more requests should be read for now.
    pub(crate) fn is_full(&self) -> bool {
        self.gates.len() >= PENDING_COMMITS_MAX
            || self.ready.len() + self.gates.iter().map(|gate| gate.bytes.len()).sum::<usize>()
                >= PENDING_BYTES_MAX
    }
}
