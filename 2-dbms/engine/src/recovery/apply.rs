//! A change of the log made real.

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_log::{Change, RecordReader};
use tuplix_storage::RowId;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::layout::{Domain, Placement, TableAccess};
use crate::node::{Node, Schema};
use crate::redo::CATALOG_CHANGE;

/// Makes the changes in `bytes` real.
///
/// # Errors
/// XX001 when they do not fit what is there.
pub(super) fn apply(node: &Node, schema: &Schema, bytes: &[u8]) -> Result<()> {
    let mut changes = RecordReader::new(bytes);
    while let Some(change) = changes.next().map_err(|error| unreadable(&error.to_string()))? {
        match change {
            Change::Catalog { kind: CATALOG_CHANGE, json } => {
                let change: CatalogChange =
                    serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))?;
                node.replay(change)?;
            }
            Change::Catalog { kind, .. } => {
                return Err(unreadable(&format!("catalogue change of unknown kind {kind}")));
            }
            Change::Insert { table, bucket, slot, values } => {
                with_fragment(node, schema, table, bucket, |fragment| {
                    check_width(fragment, values.len())?;
                    let row = row_id(slot)?;
                    if fragment.is_live(row) {
                        return Err(unreadable(&format!("row slot {slot} has a row already")));
                    }
                    fragment.insert_at(row, values).map_err(SqlError::from)
                })?
            }
            Change::Update { table, bucket, slot, columns, values } => {
                with_fragment(node, schema, table, bucket, |fragment| {
                    check_width(fragment, columns.last().map_or(0, |last| usize::from(*last) + 1))?;
                    let changes: Vec<_> =
                        columns.iter().map(|column| usize::from(*column)).zip(values.drain(..)).collect();
                    fragment.update(live(fragment, row_id(slot)?)?, &changes);
                    Ok(())
                })?
            }
            Change::Delete { table, bucket, slot, .. } => {
                with_fragment(node, schema, table, bucket, |fragment| {
                    fragment.delete(live(fragment, row_id(slot)?)?);
                    fragment.release_deleted();
                    Ok(())
                })?
            }
        }
    }
    Ok(())
}

/// An insert has all columns, an update none beyond the last.
fn check_width(fragment: &tuplix_storage::Fragment, columns: usize) -> Result<()> {
    if columns > fragment.column_types().len() {
        return Err(unreadable(&format!("a row of {columns} columns")));
    }
    Ok(())
}

fn row_id(slot: u64) -> Result<RowId> {
    u32::try_from(slot).map(RowId).map_err(|_| unreadable(&format!("row slot {slot}")))
}

fn live(fragment: &tuplix_storage::Fragment, row: RowId) -> Result<RowId> {
    if fragment.is_live(row) { Ok(row) } else { Err(unreadable(&format!("row slot {} has no row", row.0))) }
}

pub(super) fn unreadable(what: &str) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, format!("the log does not fit the data: {what}"))
        .hint("Restore the data directory from a backup.")
}

fn with_fragment(
    node: &Node,
    schema: &Schema,
    table: u32,
    bucket: u16,
    change: impl FnOnce(&mut tuplix_storage::Fragment) -> Result<()>,
) -> Result<()> {
    let Some(access) = schema.layout.table(TableId(table)) else {
        return Err(unreadable(&format!("table {table} does not exist")));
    };
    if bucket >= access.buckets {
        return Err(unreadable(&format!("bucket {bucket} of table {}", access.table.qualified_name())));
    }
    let domain = home(node, access, bucket);
    change(node.domain(domain).lock(domain).fragment_mut(access.slot, bucket))
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
