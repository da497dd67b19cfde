//! The moment that a checkpoint shows.
//!
//! All latches are held and the log's epoch is closed under them, so the rows are exactly those of all epochs up to that one: no
//! transaction is in it by halves, and none that the log has later. Interactive transactions that have not committed live elsewhere, in
//! their overlays, private catalogues and locks, of which a crash keeps nothing either. What is temporary is left out, as in the log.

use tuplix_catalog::{Catalog, CatalogChange, Export};
use tuplix_storage::FragmentSnapshot;
use tuplix_types::{Result, SqlError};

use crate::domain::Guard;
use crate::node::{Node, Schema};
use crate::services::TEMPORARY_SCHEMA;
use crate::snapshot::Moment;

/// A table's rows in a checkpoint.
pub(super) struct CutTable {
    pub(super) id: u32,
    pub(super) columns: usize,
    pub(super) fragments: Vec<(u16, FragmentSnapshot)>,
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
                sequences: sequences(snapshot.schema()),
                snapshot,
                last_commit: last_commit.unwrap_or(0),
                at_us: self.machine().now_us(),
            }
        })?;
        let Held { snapshot, last_commit, at_us, sequences } = held;
        let (schema, mut rows) = snapshot.into_parts();
        let Export { next_oid, mut changes } =
            schema.catalog.export(|name| name.starts_with(TEMPORARY_SCHEMA));
        changes.extend(sequences);
        let catalog = serde_json::to_vec(&Export { next_oid, changes })
            .map_err(|error| SqlError::internal(error.to_string()))?;
        let kept = permanent_tables(&schema.catalog).filter_map(|(id, columns)| {
            let fragments = rows.remove(&id)?;
            Some(CutTable { id: id.0, columns, fragments })
        });
        let tables = kept.collect();
        Ok(Cut { epoch, last_commit, at_us, catalog, tables })
    }
}

fn permanent_tables(catalog: &Catalog) -> impl Iterator<Item = (tuplix_catalog::TableId, usize)> {
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
