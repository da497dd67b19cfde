//! The moment that a checkpoint shows.
//!
//! All latches are held and the log's epoch is closed under them, so the rows are exactly those of all epochs up to that one: no
//! transaction is in it by halves, and none that the log has later. Interactive transactions that have not committed live elsewhere, in
//! their overlays, private catalogues and locks, of which a crash keeps nothing either. What is temporary is left out, as in the log.

use std::collections::BTreeMap;

use tuplix_catalog::{Catalog, CatalogChange, Export, TableId};
use tuplix_storage::FragmentSnapshot;
use tuplix_types::{Result, SqlError};

use crate::domain::Guard;
use crate::history::{ColdList, Plan};
use crate::node::{Node, Schema};
use crate::services::TEMPORARY_SCHEMA;
use crate::snapshot::Moment;

/// A table's rows in a checkpoint.
pub(super) struct CutTable {
    pub(super) id: u32,
    pub(super) columns: usize,
    pub(super) fragments: Vec<(u16, FragmentSnapshot)>,
    /// Of a spooled table.
    pub(super) spool: Option<Plan>,
}

/// What a checkpoint writes.
pub(super) struct Cut {
    pub(super) epoch: u64,
    pub(super) last_commit: u64,
    /// When it was.
    pub(super) at_us: i64,
    /// The catalogue's bytes.
    pub(super) catalog: Vec<u8>,
    pub(super) tables: Vec<CutTable>,
}

/// What is taken under the latches.
struct Held {
    snapshot: Moment,
    /// Of spooled tables.
    cold: BTreeMap<TableId, BTreeMap<u16, ColdList>>,
    last_commit: u64,
    at_us: i64,
    sequences: Vec<CatalogChange>,
}

impl Node {
    /// Takes the rows as they are and closes the log's epoch at the same moment; the epoch is on disk when it returns.
    pub(super) fn cut(&self) -> Result<Cut> {
        let (epoch, held) = self.log.at_boundary(|closing| {
            let mut guards: Vec<Guard<'_>> = self.hold_all_domains();
            // Nothing is logged of a sequence while its lane is held.
            let mut sequence_lane = self.sequence_lane();
            closing.close();
            for guard in guards.iter_mut().chain([&mut sequence_lane]) {
                closing.take(&mut guard.lane);
            }
            let last_commit = guards.iter().chain([&sequence_lane]).map(|guard| guard.last_commit).max();
            let snapshot = self.snapshot_under(&guards);
            Held {
                cold: self.cold_under(&snapshot.schema().catalog, &guards),
                sequences: sequences(snapshot.schema()),
                snapshot,
                last_commit: last_commit.unwrap_or(0),
                at_us: self.machine().now_us(),
            }
        })?;
        let Held { snapshot, mut cold, last_commit, at_us, sequences } = held;
        let (schema, mut rows) = snapshot.into_parts();
        let Export { next_oid, mut changes } =
            schema.catalog.export(|name| name.starts_with(TEMPORARY_SCHEMA));
        changes.extend(sequences);
        let catalog = serde_json::to_vec(&Export { next_oid, changes })
            .map_err(|error| SqlError::internal(error.to_string()))?;
        let kept = permanent_tables(&schema.catalog).filter_map(|(id, columns)| {
            let fragments = rows.remove(&id)?;
            let cold = cold.remove(&id);
            let spool = cold.map(|cold| Plan { table: id.0, columns, cold });
            Some(CutTable { id: id.0, columns, fragments, spool })
        });
        let tables = kept.collect();
        Ok(Cut { epoch, last_commit, at_us, catalog, tables })
    }
}

impl Node {
    /// What has left memory of the spooled tables, under all latches.
    fn cold_under(
        &self,
        catalog: &Catalog,
        guards: &[Guard<'_>],
    ) -> BTreeMap<TableId, BTreeMap<u16, ColdList>> {
        let mut spooled = catalog.tables().filter(|table| table.spooled).peekable();
        if spooled.peek().is_none() {
            return BTreeMap::new();
        }
        let homes = self.homes();
        let of = |table: TableId| -> BTreeMap<u16, ColdList> {
            let Some(home) = homes.get(&table) else { return BTreeMap::new() };
            let lists = (0..self.fragments_of(&home.distribution) as u16).filter_map(|bucket| {
                let domain = self.domain_of(home, bucket);
                let data = guards.get(domain.0 as usize)?.table(home.slot)?;
                Some((bucket, data.cold(bucket)?.clone()))
            });
            lists.collect()
        };
        spooled.map(|table| (table.id, of(table.id))).collect()
    }
}

fn permanent_tables(catalog: &Catalog) -> impl Iterator<Item = (TableId, usize)> {
    let tables = catalog.tables().filter(|table| table.view.is_none() && table.temporary.is_none());
    tables.map(|table| (table.id, table.columns.len()))
}

/// How far the log says that each sequence may have gone.
fn sequences(schema: &Schema) -> Vec<CatalogChange> {
    let permanent =
        schema.layout.sequences().filter(|access| !access.def.schema.starts_with(TEMPORARY_SCHEMA));
    let change = |access: &crate::sequences::SequenceAccess| {
        let (value, called) = access.state.logged();
        CatalogChange::SetSequence { id: access.def.id, value, called }
    };
    permanent.map(change).collect()
}
