//! Changes of the log made real.

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_log::{ChangeHead, RecordReader, RowPlace};
use tuplix_storage::{BadRow, Fragment, RowId};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::domain::Guard;
use crate::layout::{Domain, Placement, TableAccess};
use crate::node::{Node, Schema};
use crate::redo::CATALOG_CHANGE;

/// Makes changes real: values go from the log's bytes into the columns. Nobody else touches the domains of the rows meanwhile,
/// so the latch of the last one is kept.
pub(super) struct Applier<'n> {
    node: &'n Node,
    schema: &'n Schema,
    held: Option<Guard<'n>>,
}

impl<'n> Applier<'n> {
    pub(super) fn new(node: &'n Node, schema: &'n Schema) -> Applier<'n> {
        Applier { node, schema, held: None }
    }

    /// Makes the changes in `bytes` real.
    ///
    /// # Errors
    /// XX001 when they do not fit what is there.
    pub(super) fn apply<'b>(&mut self, changes: &mut RecordReader<'b>, bytes: &'b [u8]) -> Result<()> {
        changes.reset(bytes);
        while let Some(head) = changes.head().map_err(|error| unreadable(&error.to_string()))? {
            match head {
                ChangeHead::Insert(place, count) => {
                    let (fragment, row) = self.fragment(place)?;
                    if count != fragment.column_types().len() {
                        return Err(unreadable(&format!("a row of {count} columns")));
                    }
                    fragment.load_row(row, changes.values()).map_err(misfit)?;
                }
                ChangeHead::Update(place) => {
                    let (fragment, row) = self.fragment(place)?;
                    let (columns, values) = changes.update();
                    let columns = columns.iter().map(|column| usize::from(*column));
                    fragment.load_changes(row, columns, values).map_err(misfit)?;
                }
                ChangeHead::Delete(place, count) => {
                    changes.skip(count).map_err(|error| unreadable(&error.to_string()))?;
                    let (fragment, row) = self.fragment(place)?;
                    if !fragment.is_live(row) {
                        return Err(unreadable(&format!("row slot {} has no row", row.0)));
                    }
                    fragment.delete(row);
                    fragment.release_deleted();
                }
                ChangeHead::Catalog(kind, json) => self.change_catalog(kind, json)?,
            }
        }
        Ok(())
    }

    fn change_catalog(&mut self, kind: u32, json: &[u8]) -> Result<()> {
        // It may change the tables of any domain.
        self.held = None;
        if kind != CATALOG_CHANGE {
            return Err(unreadable(&format!("catalogue change of unknown kind {kind}")));
        }
        let change: CatalogChange =
            serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))?;
        self.node.replay(change)
    }

    /// Where a row belongs, with its slot.
    #[inline]
    fn fragment(&mut self, place: RowPlace) -> Result<(&mut Fragment, RowId)> {
        let RowPlace { table, bucket, slot } = place;
        let Some(access) = self.schema.layout.table(TableId(table)) else {
            return Err(unreadable(&format!("table {table} does not exist")));
        };
        if bucket >= access.buckets {
            return Err(unreadable(&format!("bucket {bucket} of table {}", access.table.qualified_name())));
        }
        let row = u32::try_from(slot).map(RowId).map_err(|_| unreadable(&format!("row slot {slot}")))?;
        let domain = home(self.node, access, bucket);
        if self.held.as_ref().is_none_or(|held| held.domain != domain) {
            self.held = None;
            self.held = Some(self.node.domain(domain).lock(domain));
        }
        match &mut self.held {
            Some(held) => Ok((held.fragment_mut(access.slot, bucket), row)),
            None => unreachable!("the latch was just taken"),
        }
    }
}

#[cold]
fn misfit(bad: BadRow) -> SqlError {
    unreadable(&bad.to_string())
}

pub(super) fn unreadable(what: &str) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, format!("the log does not fit the data: {what}"))
        .hint("Restore the data directory from a backup.")
}

/// The domain of a table's bucket.
pub(crate) fn home(node: &Node, access: &TableAccess, bucket: u16) -> Domain {
    match access.placement {
        Placement::Local(domain) => domain,
        Placement::Reference => Domain::REFERENCE,
        Placement::Hash { .. } => node.domain_of_bucket(bucket),
        Placement::Locked(_) => unreachable!("nobody locks tables during recovery"),
    }
}
