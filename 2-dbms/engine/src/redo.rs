//! Row changes in the log's form.

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_log::RecordWriter;
use tuplix_storage::{Fragment, RowId, RowView};
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

/// A row came.
#[inline]
pub fn insert(redo: &mut Vec<u8>, table: TableId, bucket: u16, row: RowId, values: &[Value]) {
    RecordWriter::new(redo).insert(table.0, bucket, u64::from(row.0), values);
}

/// The columns that the record of a change of `changed` columns has, in rising order: the key's too, so that readers of
/// the log know the row.
pub fn update_columns(access: &TableAccess, changed: impl Iterator<Item = usize>) -> Vec<u16> {
    let key = access.table.primary_key().map_or(&[][..], |key| &key.columns);
    let mut columns: Vec<u16> =
        changed.chain(key.iter().map(|column| column.column)).map(|column| column as u16).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Columns of a row changed: those of [`update_columns`], as they are now.
#[inline]
pub fn update(redo: &mut Vec<u8>, access: &TableAccess, view: RowView<'_>, row: RowRef, columns: &[u16]) {
    let value = |number: usize| view.value(usize::from(columns[number]));
    RecordWriter::new(redo).update(access.table.id.0, row.bucket, u64::from(row.row.0), columns, value);
}

/// A row goes; it is still there.
pub fn delete(redo: &mut Vec<u8>, access: &TableAccess, fragment: &Fragment, row: RowRef) {
    let key = access.table.primary_key().map_or(&[][..], |key| &key.columns);
    let Some(view) = fragment.row(row.row) else { panic!("the row to delete is not there: {row:?}") };
    let value = |number: usize| view.value(key[number].column);
    RecordWriter::new(redo).delete(access.table.id.0, row.bucket, u64::from(row.row.0), key.len(), value);
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
