//! Generations: the rows of a table in a new shape, beside the old ones.

use std::sync::Arc;

use tuplix_storage::{Fragment, FragmentSchema, RowId};

use super::commit::live_rows;
use super::{FragmentKey, RowRef, Transaction, fragment_schema};
use crate::domain::TableData;
use crate::layout::{Domain, Placement, TableAccess};
use crate::node::Home;
use crate::redo;
use crate::stop::Run;

/// Fragments by bucket.
pub(crate) type Fragments = Vec<Option<Box<Fragment>>>;

impl Transaction<'_> {
    fn domain_of(&self, access: &TableAccess, bucket: u16) -> Domain {
        match access.placement {
            Placement::Local(domain) => domain,
            Placement::Hash { .. } => self.node.domain_of_bucket(bucket),
            Placement::Reference | Placement::Locked(_) => Domain::REFERENCE,
        }
    }

    /// The rows of a bucket as this transaction sees them, in the same slots and without indexes; what its overlay adds to
    /// the committed ones goes to `redo` as well. Chunks are shared: it costs next to nothing.
    pub(crate) fn fork_bucket(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        redo: &mut Vec<u8>,
    ) -> Run<Option<Box<Fragment>>> {
        let domain = self.domain_of(access, bucket);
        let base = self.in_domain(domain, |state| {
            let there = state.fragment(access.slot, bucket).is_some();
            there.then(|| Box::new(state.fragment_mut(access.slot, bucket).fork()))
        })?;
        let key = FragmentKey { domain, slot: access.slot, bucket };
        let overlay = self.overlay().filter(|overlay| overlay.touches(key));
        let Some((_, private)) =
            overlay.and_then(|overlay| overlay.fragments().find(|(other, _)| **other == key))
        else {
            return Ok(base);
        };
        let mut bare = FragmentSchema::clone(&fragment_schema(&access.table, &access.computed, self.node));
        bare.indexes.clear();
        let mut fork = base.unwrap_or_else(|| Box::new(Fragment::new(&bare)));
        let at = |row: RowId| RowRef { slot: access.slot, bucket, held: 0, private: false, row };
        let columns = fork.column_types().len();
        for (base, _) in private.hidden.iter().filter(|(_, version)| version.is_none()) {
            redo::delete(redo, access, &fork, at(*base));
            fork.delete(*base);
        }
        for (base, version) in private.hidden.iter().filter_map(|(base, version)| Some((*base, (*version)?)))
        {
            let changes: Vec<_> =
                (0..columns).map(|column| (column, private.fragment.read(version, column))).collect();
            fork.update(base, &changes);
            let logged = redo::update_columns(access, 0..columns);
            let Some(view) = fork.row(base) else { panic!("the changed row is not there: {base:?}") };
            redo::update(redo, access, view, at(base), &logged);
        }
        for version in live_rows(private).filter(|version| !private.origin.contains_key(version)) {
            let values: Vec<_> = (0..columns).map(|column| private.fragment.read(version, column)).collect();
            let row = fork.insert(&values).map_err(tuplix_types::SqlError::from)?;
            redo::insert(redo, access.table.id, bucket, row, &values);
        }
        fork.release_deleted();
        Ok(Some(fork))
    }

    /// Puts rows into a home that nobody else knows.
    pub(crate) fn fill_home(
        &mut self,
        home: &Home,
        schema: &Arc<FragmentSchema>,
        mut fragments: Fragments,
    ) -> Run<()> {
        let node = self.node;
        for domain in node.domains_of(home) {
            let mut data = TableData::new(schema.clone(), fragments.len());
            let here = |bucket: usize| match fragments.len() {
                1 => true,
                _ => node.domain_of_bucket(bucket as u16) == domain,
            };
            for bucket in (0..fragments.len()).filter(|bucket| here(*bucket)).collect::<Vec<_>>() {
                data.fragments[bucket] = fragments[bucket].take();
            }
            self.in_domain(domain, |state| state.put_table(home.slot, data))?;
        }
        Ok(())
    }
}
