//! Which statements a thread may run that has others to see to: short ones.

use tuplix_sql::plan::{StatementKind, TransactionStatement};

use super::Session;
use crate::statement::{Code, Prepared};

/// The mean time of a statement that is called short.
const SHORT_NS: u64 = 100_000;

/// Changes whose COMMIT is short.
const FEW_CHANGES: usize = 256;

impl Session {
    /// Whether a statement is likely to take no longer than a tenth of a millisecond, waits aside: by how long it took so far, or because
    /// it goes to one row by its key.
    pub fn is_short(&self, statement: &Prepared) -> bool {
        if !self.is_current(statement) {
            return false;
        }
        let inner = &statement.inner;
        match (&inner.bound.code, inner.counter.mean_ns()) {
            (Code::Utility(statement), _) => match &statement.kind {
                StatementKind::Transaction(TransactionStatement::Begin(_)) => true,
                StatementKind::Transaction(_) => self.has_changed_little(),
                _ => false,
            },
            (Code::Copy(_), _) => false,
            (Code::Query(_) | Code::Call(_), Some(mean)) => mean <= SHORT_NS,
            (Code::Query(query), None) => query.is_one_row_by_key(),
            (Code::Call(_), None) => false,
        }
    }

    /// Whether the open transaction, if there is one, has changed so little that its end is short.
    pub fn has_changed_little(&self) -> bool {
        self.block.as_ref().is_none_or(|block| {
            block.interactive.catalog.is_none() && block.interactive.overlay.changes() <= FEW_CHANGES
        })
    }
}
