//! Commits on their way to the disk.

use std::sync::Arc;

use tuplix_types::Result;

/// A commit that may still be on its way to the disk. It may be dropped: the commit goes on.
#[derive(Clone, Debug)]
pub struct Commit {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Nothing to wait for.
    Done,
    Embedded {
        node: Arc<tuplix_engine::Node>,
        epoch: u64,
    },
}

impl Commit {
    /// A commit that is where it has to be.
    pub(crate) fn done() -> Commit {
        Commit { kind: Kind::Done }
    }

    pub(crate) fn embedded(node: &Arc<tuplix_engine::Node>, epoch: u64) -> Commit {
        if epoch <= node.durable_epoch() {
            return Commit::done();
        }
        Commit { kind: Kind::Embedded { node: node.clone(), epoch } }
    }

    /// Whether it is on disk, or need not be.
    pub fn is_durable(&self) -> bool {
        match &self.kind {
            Kind::Done => true,
            Kind::Embedded { node, epoch } => *epoch <= node.durable_epoch(),
        }
    }

    /// Waits until it is on disk.
    ///
    /// # Errors
    /// The log's error when it stopped: whether the transaction survives is unknown until the node has recovered.
    pub fn wait(&self) -> Result<()> {
        match &self.kind {
            Kind::Done => Ok(()),
            Kind::Embedded { node, epoch } => node.wait_durable(*epoch),
        }
    }

    /// Calls `callback` once it is on disk or the log has stopped; at once when that is so already.
    pub fn on_durable(&self, callback: impl FnOnce(Result<()>) + Send + 'static) {
        match &self.kind {
            Kind::Done => callback(Ok(())),
            Kind::Embedded { node, epoch } => node.on_durable(*epoch, Box::new(callback)),
        }
    }
}
