//! Row changes in the log's form.

use arrayvec::ArrayVec;
use tuplix_catalog::{CatalogChange, TableId};
use tuplix_log::RecordWriter;
use tuplix_storage::{Fragment, RowId};
use tuplix_types::{Result, SqlError, Value};

use crate::layout::TableAccess;
use crate::transaction::RowRef;

/// Who changes rows: a procedure, or a statement by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// The session's context in the log.
    pub context: u32,
    /// The procedure's object id, 0 for a statement.
    pub procedure: u32,
    /// The procedure's version.
    pub version: u32,
}

/// The kind number of a catalogue change in the log; its bytes are JSON.
pub const CATALOG_CHANGE: u32 = 1;

/// Columns named on the stack; a wider update pays for a vector.
const INLINE_COLUMNS: usize = 32;

/// A row came.
#[inline]
pub fn insert(redo: &mut Vec<u8>, table: TableId, bucket: u16, row: RowId, values: &[Value]) {
    RecordWriter::new(redo).insert(table.0, bucket, u64::from(row.0), values);
}

/// Columns of a row changed. The record has the key's columns too, so that readers of the log know the row.
pub fn update(
    redo: &mut Vec<u8>,
    access: &TableAccess,
    fragment: &Fragment,
    row: RowRef,
    changes: &[(usize, Value)],
) {
    let key = access.table.primary_key().map_or(&[][..], |key| &key.columns);
    if changes.len() + key.len() > INLINE_COLUMNS {
        return update_wide(redo, access, fragment, row, changes);
    }
    let mut columns: ArrayVec<u16, INLINE_COLUMNS> =
        changes.iter().map(|(column, _)| *column as u16).collect();
    for column in key.iter().map(|column| column.column as u16) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns.sort_unstable();
    let values: ArrayVec<Value, INLINE_COLUMNS> =
        columns.iter().map(|column| fragment.read(row.row, usize::from(*column))).collect();
    RecordWriter::new(redo).update(access.table.id.0, row.bucket, u64::from(row.row.0), &columns, &values);
}

fn update_wide(
    redo: &mut Vec<u8>,
    access: &TableAccess,
    fragment: &Fragment,
    row: RowRef,
    changes: &[(usize, Value)],
) {
    let key = access.table.primary_key().map_or(&[][..], |key| &key.columns);
    let mut columns: Vec<u16> = changes.iter().map(|(column, _)| *column as u16).collect();
    columns.extend(key.iter().map(|column| column.column as u16));
    columns.sort_unstable();
    columns.dedup();
    let values: Vec<Value> =
        columns.iter().map(|column| fragment.read(row.row, usize::from(*column))).collect();
    RecordWriter::new(redo).update(access.table.id.0, row.bucket, u64::from(row.row.0), &columns, &values);
}

/// A row goes; it is still there.
pub fn delete(redo: &mut Vec<u8>, access: &TableAccess, fragment: &Fragment, row: RowRef) {
    let key = access.table.primary_key().map_or(&[][..], |key| &key.columns);
    let key: Vec<Value> = key.iter().map(|column| fragment.read(row.row, column.column)).collect();
    RecordWriter::new(redo).delete(access.table.id.0, row.bucket, u64::from(row.row.0), &key);
}

/// The catalogue changes.
///
/// # Errors
/// XX000 when the change has no JSON form, a bug.
pub fn catalog(redo: &mut Vec<u8>, change: &CatalogChange) -> Result<()> {
    let json = serde_json::to_vec(change).map_err(|error| SqlError::internal(error.to_string()))?;
    RecordWriter::new(redo).catalog(CATALOG_CHANGE, &json);
    Ok(())
}
