//! What a plan was made for: the sizes of the tables about which there was a choice.

use crate::layout::{Layout, TableAccess};
use crate::statistics::Size;

/// A plan is not looked at again before this time.
const REST_NS: u64 = 100_000_000;
/// Nor for the sake of values that others have replaced, with as many rows as before.
const REST_OF_VALUES_NS: u64 = 60_000_000_000;
/// Below so many rows all sizes are alike.
const ROWS_ALIKE: u64 = 1_000;

/// See the module. Most statements have no choice, and nothing here.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    tables: Vec<(TableAccess, Size)>,
    at_ns: u64,
}

impl Planned {
    /// For tables of a layout, now.
    pub(super) fn new(layout: &Layout, accesses: Vec<TableAccess>) -> Planned {
        let Some(live) = layout.live().filter(|_| !accesses.is_empty()) else { return Planned::default() };
        let size = |access: TableAccess| {
            let size = live.size(&access).unwrap_or_default();
            (access, size)
        };
        Planned { tables: accesses.into_iter().map(size).collect(), at_ns: live.now_ns() }
    }

    /// Whether a table is twice or half as large as it was then, or has other rows altogether: another plan may be better.
    pub(crate) fn is_outgrown(&self, layout: &Layout, now_ns: u64) -> bool {
        let age = now_ns.saturating_sub(self.at_ns);
        if self.tables.is_empty() || age < REST_NS {
            return false;
        }
        let Some(live) = layout.live() else { return false };
        self.tables.iter().any(|(access, then)| {
            let Some(now) = live.size(access) else { return false };
            let (before, after) = (then.rows.max(ROWS_ALIKE), now.rows.max(ROWS_ALIKE));
            let replaced = then.changes.abs_diff(now.changes) > before && age >= REST_OF_VALUES_NS;
            before.max(after) >= 2 * before.min(after) || replaced
        })
    }
}
