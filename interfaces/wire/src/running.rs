//! The sessions that are being served, so that a shutdown can cancel them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Ids and secrets of the sessions being served.
#[derive(Default)]
pub(crate) struct Running(Mutex<BTreeMap<u32, i32>>);

impl Running {
    /// Lists a session until the returned guard is dropped.
    pub(crate) fn register(&self, id: u32, secret: i32) -> Registered<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, secret);
        Registered { running: self, id }
    }

    /// All that are listed.
    pub(crate) fn sessions(&self) -> Vec<(u32, i32)> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().map(|(id, secret)| (*id, *secret)).collect()
    }
}

/// Keeps a session listed.
pub(crate) struct Registered<'a> {
    running: &'a Running,
    id: u32,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
