//! When spooled tables have so much in memory that a checkpoint should take it out.

use crate::node::Node;

/// Bytes of log between two looks at the least.
const STEP_MIN: u64 = 1 << 20;
/// What counts as the limit on memory where there is none, or a larger one.
const LIMIT_MAX: u64 = 8 << 30;

fn limit(node: &Node) -> u64 {
    node.memory().limit().min(LIMIT_MAX)
}

/// Bytes of log after which it is time to look.
pub(crate) fn step(node: &Node) -> u64 {
    (limit(node) / 32).max(STEP_MIN)
}

/// Bytes that spooled tables have in memory.
fn spoolable(node: &Node) -> u64 {
    let schema = node.schema();
    let spooled = schema.catalog.tables().filter(|table| table.spooled);
    spooled.map(|table| node.memory_of(table.id).used()).sum()
}

/// Whether it is time for a checkpoint: spooled tables have an eighth of the memory.
pub(crate) fn is_due(node: &Node) -> bool {
    spoolable(node) >= (limit(node) / 8).max(STEP_MIN)
}

/// Whether a checkpoint would make room, for who would be refused more memory.
pub(crate) fn can_spool(node: &Node) -> bool {
    node.checkpointer.is_some() && spoolable(node) >= limit(node) / 32
}
