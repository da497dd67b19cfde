//! Where tables live, and how a changed catalogue becomes everybody's.
//!
//! A table's [`Home`] is a slot in its domains. A transaction that changes a table's shape builds the changed rows in a
//! second home, which nobody else knows, and puts it in the old one's place when it commits (docs/adr/0005).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tuplix_catalog::{Catalog, CatalogChange, Distribution, Export, TableDef, TableId};
use tuplix_types::Result;

use super::{Node, Schema, Slots};
use crate::computed_index::computed_of;
use crate::domain::{DomainState, TableData};
use crate::layout::{Domain, Layout, Placement};
use crate::lock_table::TransactionId;
use crate::transaction::fragment_schema;

/// A slot for a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    /// Which slot of its domains.
    pub slot: u32,
    /// The domain of an undistributed table; otherwise what its distribution says.
    pub domain: Domain,
    /// How its rows are spread.
    pub distribution: Distribution,
}

/// Every table's home.
pub(crate) type Homes = BTreeMap<TableId, Home>;

/// How storage is reached: through a transaction's latches, or by latching each domain.
pub(crate) trait StorageAccess {
    /// Calls `change` with the state of `domain`.
    fn with(&mut self, domain: Domain, change: &mut dyn FnMut(&mut DomainState), node: &Node);
}

/// Latches each domain for itself: for who is alone on the node.
pub(crate) struct Alone;

impl StorageAccess for Alone {
    fn with(&mut self, domain: Domain, change: &mut dyn FnMut(&mut DomainState), node: &Node) {
        change(&mut node.domain(domain).lock(domain));
    }
}

/// The catalogue lock: who changes the catalogue, and what others see meanwhile.
impl Node {
    /// Makes `me` the one transaction that may change the catalogue.
    ///
    /// # Errors
    /// Whoever it is now.
    pub(crate) fn take_catalog(&self, me: TransactionId) -> Result<(), TransactionId> {
        let mut owner = self.catalog_owner.lock();
        match *owner {
            Some(other) if other != me => Err(other),
            _ => {
                *owner = Some(me);
                Ok(())
            }
        }
    }

    /// Lets others change the catalogue.
    pub(crate) fn give_catalog(&self, me: TransactionId) {
        let mut owner = self.catalog_owner.lock();
        assert_eq!(*owner, Some(me), "only the owner of the catalogue gives it back");
        *owner = None;
    }

    /// A version for a private catalogue, which no other has had.
    pub(crate) fn private_version(&self) -> u64 {
        self.next_private_version.fetch_add(1, Ordering::Relaxed)
    }

    /// Every table's home.
    pub(crate) fn homes(&self) -> Homes {
        self.slots.lock().of.clone()
    }

    /// Where the tables of a catalogue lie, given their homes.
    ///
    /// # Panics
    /// When a table has no home, a bug.
    ///
    /// # Errors
    /// What binding the expressions of indexes finds.
    pub(crate) fn layout(&self, catalog: &Catalog, homes: &Homes, before: &Layout) -> Result<Layout> {
        Layout::new(catalog, before, self.buckets(), &self.machine, |table| match homes.get(&table.id) {
            Some(home) => (home.slot, home.domain),
            None => panic!("table {} has no home", table.qualified_name()),
        })
    }

    /// Shows everybody that these tables wait for `by`. The caller owns the catalogue and holds all latches. Gives the
    /// version under which that is so.
    pub(crate) fn publish_locked(&self, tables: &[TableId], by: TransactionId) -> u64 {
        let before = self.schema();
        let mut layout = before.layout.clone();
        tables.iter().for_each(|table| layout.place(*table, Placement::Locked(by)));
        self.publish_schema(before.catalog.clone(), layout)
    }

    /// Makes a catalogue everybody's, with the rows in their homes; homes that it does not use are freed. The caller owns
    /// the catalogue and holds all latches.
    pub(crate) fn publish_catalog(
        &self,
        schema: &Schema,
        homes: &Homes,
        made: &[(TableId, Home)],
        storage: &mut dyn StorageAccess,
    ) -> u64 {
        let shared = self.schema();
        for access in schema.layout.sequences() {
            access.state.publish();
            let known = shared.layout.sequence(access.def.id);
            if known.is_some_and(|known| !Arc::ptr_eq(&known.def, &access.def)) {
                access.state.forget_log();
            }
        }
        let mut slots = self.slots.lock();
        let before = std::mem::replace(&mut slots.of, homes.clone());
        let made = made.iter().map(|(id, home)| (id, home));
        for (_, home) in before.iter().chain(made).filter(|(id, home)| homes.get(id) != Some(home)) {
            self.free_home(&mut slots, home, storage);
        }
        drop(slots);
        self.publish_schema(schema.catalog.clone(), schema.layout.clone())
    }

    /// Takes back what a transaction made that does not commit; tables that it had locked are free again. The caller
    /// owns the catalogue and holds all latches.
    pub(crate) fn forget_catalog(
        &self,
        made: &[(TableId, Home)],
        locked: bool,
        storage: &mut dyn StorageAccess,
    ) {
        let mut slots = self.slots.lock();
        made.iter().for_each(|(_, home)| self.free_home(&mut slots, home, storage));
        let homes = slots.of.clone();
        drop(slots);
        if locked {
            let shared = self.schema();
            let layout = self.layout(&shared.catalog, &homes, &shared.layout);
            let layout = layout.expect("invariant: nothing is bound that was not bound before");
            self.publish_schema(shared.catalog.clone(), layout);
        }
    }

    fn publish_schema(&self, catalog: Catalog, layout: Layout) -> u64 {
        if let Some(live) = layout.live() {
            live.keep(|id| catalog.table(id).is_some());
        }
        let version = self.catalog_version() + 1;
        *self.schema.lock() = Arc::new(Schema { catalog, layout, version });
        self.version.store(version, Ordering::Release);
        version
    }

    /// The domains of a home.
    pub(crate) fn domains_of(&self, home: &Home) -> Vec<Domain> {
        match home.distribution {
            Distribution::Hash { .. } => self.bucket_domains().collect(),
            Distribution::Reference | Distribution::Local => vec![home.domain],
        }
    }

    /// The domain of a bucket of a home.
    pub(crate) fn domain_of(&self, home: &Home, bucket: u16) -> Domain {
        match home.distribution {
            Distribution::Hash { .. } => self.domain_of_bucket(bucket),
            Distribution::Reference | Distribution::Local => home.domain,
        }
    }

    /// A home for rows, besides the one that the table may have.
    ///
    /// # Errors
    /// 54000 when there are too many tables.
    pub(crate) fn make_home(&self, distribution: &Distribution, old: Option<&Home>) -> Result<Home> {
        self.take_home(&mut self.slots.lock(), distribution, old)
    }

    fn take_home(&self, slots: &mut Slots, distribution: &Distribution, old: Option<&Home>) -> Result<Home> {
        let (slot, domain) = match distribution {
            Distribution::Hash { .. } => (take_free(&mut slots.hash), Domain(1)),
            Distribution::Reference => (take_free(&mut slots.reference), Domain::REFERENCE),
            Distribution::Local => {
                let beside = old.filter(|old| old.distribution == Distribution::Local);
                let domain = match (beside, slots.free_domains.pop()) {
                    (Some(old), free) => {
                        slots.free_domains.extend(free);
                        old.domain
                    }
                    (None, Some(domain)) => domain,
                    (None, None) => self.add_domain()?,
                };
                (take_free(slots.local.entry(domain).or_default()), domain)
            }
        };
        Ok(Home { slot, domain, distribution: distribution.clone() })
    }

    fn free_home(&self, slots: &mut Slots, home: &Home, storage: &mut dyn StorageAccess) {
        for domain in self.domains_of(home) {
            storage.with(
                domain,
                &mut |state| {
                    if let Some(place) = state.tables.get_mut(home.slot as usize) {
                        *place = None;
                    }
                },
                self,
            );
        }
        match home.distribution {
            Distribution::Hash { .. } => slots.hash[home.slot as usize] = false,
            Distribution::Reference => slots.reference[home.slot as usize] = false,
            Distribution::Local => {
                let taken = slots.local.entry(home.domain).or_default();
                taken[home.slot as usize] = false;
                if taken.iter().all(|taken| !taken) {
                    slots.local.remove(&home.domain);
                    slots.free_domains.push(home.domain);
                }
            }
        }
    }

    /// Fragments that a home has room for, over all its domains.
    pub(crate) fn fragments_of(&self, distribution: &Distribution) -> usize {
        match distribution {
            Distribution::Hash { .. } => usize::from(self.buckets()),
            Distribution::Reference | Distribution::Local => 1,
        }
    }
}

/// Recovery: changes of the log become real one by one.
impl Node {
    /// Makes a change of the log real, with the storage that goes with it.
    ///
    /// # Errors
    /// 54000 when there are too many tables; nothing is changed then.
    pub(crate) fn replay(&self, change: CatalogChange) -> Result<()> {
        let shared = self.schema();
        if let CatalogChange::SetSequence { id, value, called } = change {
            // One that is not there was never committed.
            if let Some(access) = shared.layout.sequence(id) {
                access.state.set(value, called);
            }
            return Ok(());
        }
        if let Some(table) = crate::history::forgets(&change) {
            if let Some(home) = self.homes().get(&table) {
                crate::history::forget(self, home, &change, &mut Alone);
            }
            return Ok(());
        }
        let mut catalog = shared.catalog.clone();
        catalog.apply(change.clone());
        let mut slots = self.slots.lock();
        match &change {
            // A view has no rows.
            CatalogChange::PutTable(table) if table.view.is_some() => {}
            CatalogChange::PutTable(table) => self.replay_table(&catalog, &mut slots, table, false)?,
            CatalogChange::RewriteTable(table) => self.replay_table(&catalog, &mut slots, table, true)?,
            CatalogChange::DropTable(id) => {
                if let Some(home) = slots.of.remove(id) {
                    self.free_home(&mut slots, &home, &mut Alone);
                }
            }
            CatalogChange::TruncateTable(id) => {
                if let Some(home) = slots.of.get(id) {
                    self.clear(home, &mut Alone);
                }
            }
            _ => {}
        }
        let layout = self.layout(&catalog, &slots.of, &shared.layout)?;
        layout.sequences().for_each(|access| access.state.publish());
        drop(slots);
        self.publish_schema(catalog, layout);
        Ok(())
    }

    fn replay_table(
        &self,
        catalog: &Catalog,
        slots: &mut Slots,
        table: &TableDef,
        rewritten: bool,
    ) -> Result<()> {
        let schema = fragment_schema(table, &computed_of(catalog, table)?, self);
        let old = slots.of.get(&table.id).cloned();
        if let Some(home) = &old
            && !rewritten
            && home.distribution == table.distribution
        {
            let change = &mut |state: &mut DomainState| {
                if let Some(Some(data)) = state.tables.get_mut(home.slot as usize) {
                    data.change_schema(schema.clone());
                }
            };
            self.domains_of(home).into_iter().for_each(|domain| Alone.with(domain, change, self));
            return Ok(());
        }
        let home = self.take_home(slots, &table.distribution, None)?;
        if let Some(old) = &old {
            self.free_home(slots, old, &mut Alone);
        }
        let fragments = self.fragments_of(&table.distribution);
        for domain in self.domains_of(&home) {
            let data = TableData::bare(schema.clone(), fragments);
            self.domain(domain).lock(domain).put_table(home.slot, data);
        }
        slots.of.insert(table.id, home);
        Ok(())
    }

    /// Makes a checkpoint's catalogue everybody's, with storage for its tables, on a node that has none.
    ///
    /// # Errors
    /// 54000 when there are too many tables; what binding the expressions of indexes finds.
    pub(crate) fn install_catalog(&self, export: &Export) -> Result<()> {
        let shared = self.schema();
        let catalog = Catalog::import(export);
        let mut slots = self.slots.lock();
        for table in catalog.tables().filter(|table| table.view.is_none()) {
            self.replay_table(&catalog, &mut slots, table, false)?;
        }
        let layout = self.layout(&catalog, &slots.of, &shared.layout)?;
        drop(slots);
        layout.sequences().for_each(|access| access.state.publish());
        for change in &export.changes {
            if let CatalogChange::SetSequence { id, value, called } = change
                && let Some(access) = layout.sequence(*id)
            {
                access.state.set(*value, *called);
            }
        }
        self.publish_schema(catalog, layout);
        Ok(())
    }

    /// Takes all rows out of a home.
    pub(crate) fn clear(&self, home: &Home, storage: &mut dyn StorageAccess) {
        let clear = &mut |state: &mut DomainState| {
            if let Some(Some(table)) = state.tables.get_mut(home.slot as usize) {
                table.fragments.iter_mut().flatten().for_each(|fragment| fragment.clear());
                table.clear_cold();
            }
        };
        self.domains_of(home).into_iter().for_each(|domain| storage.with(domain, clear, self));
    }
}

fn take_free(taken: &mut Vec<bool>) -> u32 {
    let free = taken.iter().position(|taken| !taken).unwrap_or_else(|| {
        taken.push(false);
        taken.len() - 1
    });
    taken[free] = true;
    free as u32
}
