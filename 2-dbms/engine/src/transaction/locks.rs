//! All locks of the node, for `pg_locks`.

use super::Transaction;
use crate::stop::Run;
use crate::system::HeldLock;

impl Transaction<'_> {
    /// Notes who holds what, under all latches: they are let go again when nothing else was held.
    pub(crate) fn look_at_locks(&mut self) -> Run<()> {
        let nested = self.held.len() > 0;
        self.hold_all()?;
        let mut seen = Vec::new();
        for guard in self.held.iter() {
            let locks = guard.locks.iter();
            seen.extend(locks.map(|(key, holder, strength)| HeldLock { key, holder, strength }));
        }
        if !nested {
            self.held.release();
        }
        seen.sort_by_key(|lock| (lock.holder, format!("{:?}", lock.key)));
        self.services.seen_locks.replace(seen);
        Ok(())
    }
}
