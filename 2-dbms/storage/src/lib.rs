//! Rows in typed column chunks copied on write, and the indexes over them (docs/adr/0002).
//!
//! A [`Fragment`] holds the rows of one table in one bucket:
//!
//! ```text
//! Fragment
//!   directory ── nodes ── chunks of 512 rows ── a typed vector a column     shared with snapshots
//!   free slots, rows deleted and not released                               live state only
//!   indexes: hash (tag, row) and ordered (encoded key, row)                 live state only
//! ```
//!
//! It knows no transactions. The engine latches it, looks for conflicts, writes, and undoes by the same
//! calls; chunks hold what was written last.
//!
//! | to | call |
//! |---|---|
//! | make one | [`Fragment::new`] with a [`FragmentSchema`]; [`add_index`](Fragment::add_index), [`drop_index`](Fragment::drop_index), [`add_column`](Fragment::add_column), [`clear`](Fragment::clear) |
//! | write | [`insert`](Fragment::insert), [`insert_unless_taken`](Fragment::insert_unless_taken), [`update`](Fragment::update), [`exchange`](Fragment::exchange) (leaves the old values), [`delete`](Fragment::delete) |
//! | end a transaction | [`release_deleted`](Fragment::release_deleted): slots of its deleted rows become free |
//! | undo | [`exchange`](Fragment::exchange) again, [`undo_insert`](Fragment::undo_insert), [`undelete`](Fragment::undelete), in reverse order |
//! | recover | [`load_chunk`](Fragment::load_chunk) of a checkpoint, then [`load_row`](Fragment::load_row) and [`load_changes`](Fragment::load_changes) of the log |
//! | read a row | [`read`](Fragment::read), [`read_integer`](Fragment::read_integer), [`read_columns`](Fragment::read_columns), [`row`](Fragment::row) for a [`RowView`] |
//! | count and bound memory | [`Memory`], [`memory_bytes`](Fragment::memory_bytes), [`grows_with`](Fragment::grows_with), [`grows_by`](Fragment::grows_by) |
//! | find by key | [`find_conflict`](Fragment::find_conflict), [`lookup`](Fragment::lookup), [`lookup_all`](Fragment::lookup_all) |
//! | find by order | [`range`](Fragment::range), then [`range_batch`](Fragment::range_batch) until [`RangeCursor::is_done`] |
//! | find by scanning | [`scan_batch`](Fragment::scan_batch), [`next_match`](Fragment::next_match) for a few, with [`SimplePredicate`]s |
//! | check | [`damaged_indexes`](Fragment::damaged_indexes) |
//! | share | [`snapshot`](Fragment::snapshot): a [`FragmentSnapshot`] of [`ChunkView`]s |
//!
//! ```
//! use std::sync::Arc;
//! use tuplix_storage::{Fragment, FragmentSchema, IndexSchema};
//! use tuplix_types::{TypeId, Value};
//!
//! # fn main() -> Result<(), tuplix_storage::Full> {
//! let schema = FragmentSchema {
//!     columns: vec![TypeId::INT4, TypeId::TEXT],
//!     indexes: vec![Arc::new(IndexSchema::hash(true, &[0]))],
//!     ..FragmentSchema::default()
//! };
//! let mut fragment = Fragment::new(&schema);
//! let row = fragment.insert(&[Value::Int4(7), Value::text("seven")])?;
//! assert_eq!(fragment.lookup(0, &[Value::Int4(7)]), Some(row));
//! let snapshot = fragment.snapshot();
//! fragment.update(row, &[(1, Value::text("sieben"))]);
//! assert_eq!(fragment.read(row, 1).as_str(), Some("sieben"));
//! assert_eq!(snapshot.row(row).and_then(|row| row.text(1)), Some("seven"));
//! # Ok(())
//! # }
//! ```

mod check;
mod chunk;
mod column;
mod directory;
mod fragment;
mod free_slots;
mod hash_index;
mod held;
mod index;
mod key;
mod load;
mod memory;
mod ordered_index;
mod read;
mod scan;
mod schema;
mod segment;
mod snapshot;
mod vector;

pub use column::{ColumnData, RowBits};
pub use fragment::Fragment;
pub use load::{BadChunk, BadRow, LoadedChunk, LoadedColumn};
pub use memory::Memory;
pub use ordered_index::RangeCursor;
pub use read::RowView;
pub use scan::{BATCH_ROWS, Comparison, RowBatch, ScanCursor, SimplePredicate, Test};
pub use schema::{
    CHUNK_ROWS, FragmentSchema, Full, IndexColumn, IndexKeys, IndexKind, IndexSchema, MAX_INDEXES, MAX_ROWS,
    Refused, RowId, TooManyIndexes,
};
pub use snapshot::{ChunkView, FragmentSnapshot, SharedChunk};
pub use vector::Vector;
