//! The catalogue as one transaction has changed it: names and rows that nobody else knows until it commits.
//!
//! See docs/adr/0005. A table that others know is locked before it is changed: a catalogue is published in which it lies
//! nowhere. Rows whose shape changes get a second home, a generation; the commit puts the last one in the old one's place.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_catalog::{CatalogChange, OnCommit, TableId};
use tuplix_sql::plan::LockStrength;
use tuplix_types::{SqlError, sqlstate};

use super::{Held, Interactive, RestartCause, Transaction};
use crate::domain::DomainState;
use crate::layout::{Domain, TableAccess};
use crate::lock_table::LockKey;
use crate::node::{Home, Homes, Node, Schema, StorageAccess};
use crate::redo;
use crate::stop::{Run, Stop};

/// What a transaction's catalogue is at one moment. A copy is cheap: it shares what it can.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Names and places.
    pub schema: Arc<Schema>,
    /// Every table's home.
    pub homes: Arc<Homes>,
    /// Tables whose rows the log does not have: new, rewritten or emptied ones.
    pub fresh: Arc<BTreeSet<TableId>>,
    /// How many entries there are for the log.
    pub entries: usize,
}

/// A part of the transaction's record in the log, in order.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Row changes that a generation of the same rows took over, in the log's form.
    Rows(Vec<u8>),
    /// A change of the catalogue.
    Change(Box<CatalogChange>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct PrivateCatalog {
    /// Now.
    pub state: State,
    /// Before each change.
    history: Vec<State>,
    /// For the log.
    pub entries: Vec<Entry>,
    /// Every home made, whether it is still in use or not.
    pub made: Vec<(TableId, Home)>,
    /// Tables that others wait for.
    locked: BTreeSet<TableId>,
    /// Tables that others know.
    known: Arc<Homes>,
}

impl PrivateCatalog {
    fn new(node: &Node) -> PrivateCatalog {
        let shared = node.schema();
        let homes = Arc::new(node.homes());
        let schema = Schema {
            catalog: shared.catalog.clone(),
            layout: shared.layout.clone(),
            version: node.private_version(),
        };
        let state =
            State { schema: Arc::new(schema), homes: homes.clone(), fresh: Arc::default(), entries: 0 };
        PrivateCatalog {
            state,
            history: Vec::new(),
            entries: Vec::new(),
            made: Vec::new(),
            locked: BTreeSet::new(),
            known: homes,
        }
    }

    /// Whether a table's rows are still where `access` says.
    pub(crate) fn is_current(&self, access: &TableAccess) -> bool {
        let now = self.state.schema.layout.table(access.table.id);
        now.is_some_and(|now| now.slot == access.slot && now.placement == access.placement)
    }

    /// Whether anything has changed.
    pub(crate) fn is_changed(&self) -> bool {
        !self.history.is_empty()
    }

    /// How many changes there were: a place to roll back to.
    pub(crate) fn changes(&self) -> usize {
        self.history.len()
    }

    /// Undoes the changes after the first `changes`.
    pub(crate) fn rollback_to(&mut self, changes: usize) {
        if changes < self.history.len() {
            self.state = self.history.swap_remove(changes);
            self.history.truncate(changes);
        }
        self.entries.truncate(self.state.entries);
    }
}

impl<'n> Transaction<'n> {
    /// Makes this transaction the one that may change the catalogue.
    ///
    /// # Errors
    /// A restart, after the one that may now; 25006 in a read-only transaction.
    pub(crate) fn begin_ddl(&mut self) -> Run<()> {
        let Some(me) = self.id() else {
            self.cause = RestartCause::NeedsBlock;
            return Err(Stop::Restart);
        };
        if self.read_only {
            let message = "cannot change the catalogue in a read-only transaction";
            return Err(SqlError::new(sqlstate::READ_ONLY_SQL_TRANSACTION, message).into());
        }
        if self.private_catalog().is_some() {
            return Ok(());
        }
        self.node.take_catalog(me).map_err(|holder| self.restart_after(holder))?;
        if self.node.catalog_version() != self.catalog_version {
            // What runs was bound to an older catalogue; it keeps the lock for its next run.
            self.cause = RestartCause::Catalog;
            self.start_private_catalog();
            return Err(Stop::Restart);
        }
        self.start_private_catalog();
        Ok(())
    }

    fn start_private_catalog(&mut self) {
        let catalog = PrivateCatalog::new(self.node);
        self.services.use_private(catalog.state.schema.clone(), self.node.catalog_version());
        if let Some(interactive) = self.interactive.as_deref_mut() {
            interactive.catalog = Some(Box::new(catalog));
        }
    }

    /// The catalogue as this transaction has changed it.
    pub(crate) fn private_catalog(&self) -> Option<&PrivateCatalog> {
        self.interactive.as_deref()?.catalog.as_deref()
    }

    /// The same, to be changed.
    ///
    /// # Panics
    /// Before [`Transaction::begin_ddl`].
    pub(crate) fn private_catalog_mut(&mut self) -> &mut PrivateCatalog {
        match self.interactive.as_deref_mut().and_then(|interactive| interactive.catalog.as_deref_mut()) {
            Some(catalog) => catalog,
            None => panic!("DDL begins with the catalogue lock"),
        }
    }

    /// How many changes of the catalogue there were.
    pub(super) fn catalog_changes(&self) -> usize {
        self.private_catalog().map_or(0, PrivateCatalog::changes)
    }

    /// Undoes later changes of the catalogue.
    pub(super) fn undo_catalog(&mut self, changes: usize) {
        let Some(interactive) = self.interactive.as_deref_mut() else { return };
        if let Some(catalog) = &mut interactive.catalog {
            catalog.rollback_to(changes);
            self.services.show_private(catalog.state.schema.clone());
        }
    }

    /// Makes `state` what this transaction sees.
    pub(crate) fn install_catalog(&mut self, state: State) {
        self.services.show_private(state.schema.clone());
        let catalog = self.private_catalog_mut();
        let before = std::mem::replace(&mut catalog.state, state);
        catalog.history.push(before);
    }

    /// Keeps everybody else off tables until this transaction ends.
    ///
    /// # Errors
    /// A restart, after a transaction that has used one of them.
    pub(crate) fn lock_for_ddl(&mut self, tables: &[TableId]) -> Run<()> {
        let catalog = self.private_catalog_mut();
        let (known, locked) = (catalog.known.clone(), &catalog.locked);
        let wanted: Vec<TableId> =
            tables.iter().copied().filter(|id| known.contains_key(id) && !locked.contains(id)).collect();
        let (Some(me), false) = (self.id(), wanted.is_empty()) else { return Ok(()) };
        let nested = self.held.len() > 0;
        self.hold_all()?;
        let holder = self.held.iter().find_map(|guard| {
            let conflict = |id: &TableId| {
                guard.locks.conflict(&LockKey::Table { id: *id }, Some(me), LockStrength::Update)
            };
            wanted.iter().find_map(conflict)
        });
        if let Some(holder) = holder {
            return Err(self.restart_after(holder));
        }
        self.catalog_version = self.node.publish_locked(&wanted, me);
        self.services.rebase_private(self.catalog_version);
        self.private_catalog_mut().locked.extend(wanted);
        if !nested {
            self.held.release();
        }
        Ok(())
    }

    /// Refuses to write to rows that this transaction has replaced while a statement was working on them.
    #[inline]
    pub(super) fn refuse_old_generation(&self, access: &TableAccess) -> Run<()> {
        match self.private_catalog() {
            Some(catalog) if !catalog.is_current(access) => {
                let name = &access.table.name;
                let message = format!(
                    "cannot change \"{name}\" because it is being used by active queries in this session"
                );
                Err(SqlError::new(sqlstate::OBJECT_IN_USE, message).into())
            }
            _ => Ok(()),
        }
    }

    /// Calls `change` with a domain's state: through a latch in hand, or for a moment with that latch alone.
    ///
    /// # Errors
    /// A restart, when other latches are in hand and this one is not free.
    pub(crate) fn in_domain<T>(
        &mut self,
        domain: Domain,
        change: impl FnOnce(&mut DomainState) -> T,
    ) -> Run<T> {
        if self.held.len() == 0 && domain != Domain::REFERENCE {
            return Ok(change(&mut self.node.domain(domain).lock(domain)));
        }
        let nested = self.held.len() > 0;
        if domain == Domain::REFERENCE {
            self.hold_all()?;
        }
        let held = self.hold(domain)?;
        let value = change(self.held.get_mut(held));
        if !nested {
            self.held.release();
        }
        Ok(value)
    }

    /// Whether the run holds latches: it is in the middle of something that needs them.
    pub(crate) fn holds_latches(&self) -> bool {
        self.held.len() > 0
    }

    /// Lets go of all latches: the caller knows that nothing needs them.
    pub(crate) fn release_latches(&mut self) {
        self.held.release();
    }

    /// Puts the transaction's part of the log's record that comes before its overlay into the redo: changes of the
    /// catalogue, and the rows of tables that the log does not have.
    pub(crate) fn log_catalog(&mut self, interactive: &Interactive) -> Run<()> {
        let Some(catalog) = interactive.catalog.as_deref().filter(|catalog| catalog.is_changed()) else {
            return Ok(());
        };
        self.hold_all()?;
        for entry in &catalog.entries {
            match entry {
                Entry::Rows(rows) => self.scratch.redo.extend_from_slice(rows),
                Entry::Change(change) => redo::catalog(&mut self.scratch.redo, change)?,
            }
        }
        if !self.logs {
            return Ok(());
        }
        self.logs_catalog = true;
        let shared = self.node.schema();
        for access in catalog.state.schema.layout.sequences() {
            let known = shared.layout.sequence(access.def.id);
            let is_temporary = access.def.schema.starts_with(crate::services::TEMPORARY_SCHEMA);
            if !is_temporary && known.is_none_or(|known| !Arc::ptr_eq(&known.state, &access.state)) {
                let place = access.state.place();
                let (id, value, called) = (access.def.id, place.last, place.called);
                redo::catalog(&mut self.scratch.redo, &CatalogChange::SetSequence { id, value, called })?;
            }
        }
        for id in catalog.state.fresh.iter() {
            if let Some(access) = catalog.state.schema.layout.table(*id).filter(|access| !access.temporary) {
                self.log_rows(access)?;
            }
        }
        Ok(())
    }

    fn log_rows(&mut self, access: &TableAccess) -> Run<()> {
        for bucket in 0..access.buckets {
            let held = self.place(access, bucket)?;
            let Transaction { held: latches, scratch, .. } = self;
            let Some(fragment) = latches.get(held).fragment(access.slot, bucket) else { continue };
            for (row, view) in fragment.snapshot().rows() {
                let values: Vec<_> =
                    (0..fragment.column_types().len()).map(|column| view.value(column)).collect();
                redo::insert(&mut scratch.redo, access.table.id, bucket, row, &values);
            }
        }
        Ok(())
    }

    /// Makes the transaction's catalogue everybody's, after its record is in the log's lane. Nothing can fail any more.
    pub(crate) fn publish_catalog(&mut self, interactive: &mut Interactive) {
        let Some(catalog) = interactive.catalog.take() else { return };
        let State { schema, homes, .. } = &catalog.state;
        if catalog.is_changed() {
            self.node.publish_catalog(schema, homes, &catalog.made, &mut Latched(&mut self.held));
            let emptied = |id: &TableId| {
                schema.catalog.table(*id).is_some_and(|table| table.temporary == Some(OnCommit::Delete))
            };
            for entry in &catalog.entries {
                let Entry::Change(change) = entry else { continue };
                if let Some(table) = crate::history::forgets(change)
                    && let Some(home) = homes.get(&table)
                {
                    crate::history::forget(self.node, home, change, &mut Latched(&mut self.held));
                }
            }
            for (id, home) in catalog.made.iter().filter(|(id, home)| homes.get(id) == Some(home)) {
                if emptied(id) {
                    self.node.clear(home, &mut Latched(&mut self.held));
                }
            }
        } else {
            let locked = !catalog.locked.is_empty();
            self.node.forget_catalog(&catalog.made, locked, &mut Latched(&mut self.held));
        }
        self.services.use_shared();
        self.node.give_catalog(interactive.id);
    }

    /// Takes everything back that the transaction did to the catalogue.
    ///
    /// # Errors
    /// A restart when not all latches can be had.
    pub(crate) fn forget_catalog(&mut self, interactive: &mut Interactive) -> Run<()> {
        if interactive.catalog.is_none() {
            return Ok(());
        }
        self.hold_all()?;
        if let Some(catalog) = interactive.catalog.take() {
            let locked = !catalog.locked.is_empty();
            self.node.forget_catalog(&catalog.made, locked, &mut Latched(&mut self.held));
            self.services.use_shared();
            self.node.give_catalog(interactive.id);
        }
        Ok(())
    }
}

/// Reaches domains through the latches of a run that holds them all.
struct Latched<'h, 'n>(&'h mut Held<'n>);

impl StorageAccess for Latched<'_, '_> {
    fn with(&mut self, domain: Domain, change: &mut dyn FnMut(&mut DomainState), node: &Node) {
        match self.0.position(domain) {
            Some(held) => change(self.0.get_mut(held)),
            // A domain made a moment ago for a new table: nobody else knows it.
            None => change(&mut node.domain(domain).lock(domain)),
        }
    }
}
