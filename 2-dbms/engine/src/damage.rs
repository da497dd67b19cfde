//! Damage on purpose: so that a test can see that `tuplix check` finds what no test could bring about otherwise.

use tuplix_storage::RowId;

use crate::layout::{Domain, Placement};
use crate::node::Node;

impl Node {
    /// Takes a row out of an index of a table in schema `public`, by the index's number and the row's slot, and leaves the row. False when
    /// there is no such row.
    #[doc(hidden)]
    pub fn forget_in_index(&self, table: &str, bucket: u16, index: usize, slot: u32) -> bool {
        let schema = self.schema();
        let definition = schema.catalog.table_named("public", table);
        let Some(access) = definition.and_then(|definition| schema.layout.table(definition.id)) else {
            return false;
        };
        let domain = match access.placement {
            Placement::Local(domain) => domain,
            Placement::Reference => Domain::REFERENCE,
            Placement::Hash { .. } => self.domain_of_bucket(bucket),
            Placement::Locked(_) => return false,
        };
        let mut guard = self.domain(domain).lock(domain);
        let fragment = guard.fragment_mut(access.slot, bucket);
        let is_there = fragment.is_live(RowId(slot));
        if is_there {
            fragment.forget_in_index(index, RowId(slot));
        }
        is_there
    }
}
