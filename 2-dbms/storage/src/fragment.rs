//! [`Fragment`]: what is written and how indexes follow.

mod evict;
mod indexes;
mod insert;
mod release;
mod update;

use std::sync::Arc;

use tuplix_types::{TypeId, Value};

use crate::chunk::Chunk;
use crate::column::{Columns, value_heap_bytes};
use crate::directory::Directory;
use crate::free_slots::FreeSlots;
use crate::index::Index;
use crate::memory::Charge;
use crate::read::RowView;
use crate::scan::{self, RowBatch, ScanCursor, SimplePredicate};
use crate::schema::{CHUNK_ROWS, FragmentSchema, Full, MAX_INDEXES, RowId};
use crate::snapshot::{ChunkView, FragmentSnapshot};

/// A fragment that loses its last row after it had this many slots begins anew, indexes and all.
const CLEARED: u32 = 8 * CHUNK_ROWS as u32;

/// The rows of one table in one bucket, with their indexes.
///
/// One thread at a time uses it, under the engine's latch; snapshots of it are for any thread.
///
/// Methods that take a [`RowId`] panic when no live row has it and methods that take values panic when a
/// value is not of its column's type: the engine names rows that it found under the same latch, and its
/// plans are typed. No row has changed when they panic.
#[derive(Debug)]
pub struct Fragment {
    types: Arc<[TypeId]>,
    directory: Directory,
    rows: usize,
    version: u64,
    /// Slots from here on never held a row.
    next_slot: u32,
    free: FreeSlots,
    /// Rows deleted and not yet released: their values still lie in their slots.
    deleted: Vec<RowId>,
    indexes: Vec<Option<Index>>,
    /// For each column the set of indexes whose keys depend on it.
    indexes_of_column: Vec<u64>,
    row_bytes: usize,
    chunk_bytes: usize,
    heap_bytes: usize,
    /// What chunks and long values have in use, beside what is frozen.
    charge: Charge,
    /// What had been charged when the fragment was forked: the forks share it.
    frozen: Vec<Arc<Charge>>,
    /// The columns of a chunk that was emptied, for the next one that begins.
    spare: Option<Columns>,
    /// What lies in the place of chunks that have left memory.
    empty: Option<Arc<Chunk>>,
    /// How many have.
    evicted: usize,
    /// Rows that lie elsewhere, as its owner says.
    rows_elsewhere: u64,
}

impl Fragment {
    /// An empty fragment. It takes next to no memory.
    ///
    /// # Panics
    /// If the schema has more than [`MAX_INDEXES`] indexes or an index names a column that is not there.
    pub fn new(schema: &FragmentSchema) -> Fragment {
        let types: Arc<[TypeId]> = schema.columns.as_slice().into();
        let row_bytes = Chunk::row_bytes(&types);
        let mut fragment = Fragment {
            indexes_of_column: vec![0; types.len()],
            types,
            directory: Directory::default(),
            rows: 0,
            version: 0,
            next_slot: 0,
            free: FreeSlots::default(),
            deleted: Vec::new(),
            indexes: Vec::new(),
            row_bytes,
            chunk_bytes: 0,
            heap_bytes: 0,
            charge: Charge::new(Arc::clone(&schema.memory)),
            frozen: Vec::new(),
            spare: None,
            empty: None,
            evicted: 0,
            rows_elsewhere: 0,
        };
        fragment.directory.count_left(Some(&schema.memory));
        for index in &schema.indexes {
            let added = fragment.add_index(Arc::clone(index));
            assert!(added.is_ok(), "a table has at most {MAX_INDEXES} indexes");
        }
        fragment
    }

    /// The same rows in the same slots, sharing all chunks until one of the two writes, without indexes. Memory counts what
    /// they share once.
    pub fn fork(&mut self) -> Fragment {
        let another = self.charge.another();
        self.frozen.push(Arc::new(std::mem::replace(&mut self.charge, another)));
        // What one of the two leaves behind is the other's.
        self.directory.count_left(None);
        Fragment {
            types: Arc::clone(&self.types),
            directory: self.directory.clone(),
            rows: self.rows,
            version: self.version,
            next_slot: self.next_slot,
            free: self.free.clone(),
            deleted: self.deleted.clone(),
            indexes: Vec::new(),
            indexes_of_column: vec![0; self.types.len()],
            row_bytes: self.row_bytes,
            chunk_bytes: self.chunk_bytes,
            heap_bytes: self.heap_bytes,
            charge: self.charge.another(),
            frozen: self.frozen.clone(),
            spare: None,
            empty: self.empty.clone(),
            evicted: self.evicted,
            rows_elsewhere: self.rows_elsewhere,
        }
    }

    /// The columns' types.
    pub fn column_types(&self) -> &[TypeId] {
        &self.types
    }

    /// How many live rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// Goes up with each write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Bytes of rows, long values and indexes, without what only snapshots hold. Long values count as often as
    /// they are referred to.
    pub fn memory_bytes(&self) -> usize {
        let indexes: usize = self.indexes.iter().flatten().map(Index::memory_bytes).sum();
        let chunks = (self.directory.len() - self.evicted) * (size_of::<Chunk>() + 16 * self.types.len());
        let slots = self.free.memory_bytes() + self.directory.memory_bytes();
        size_of::<Fragment>() + chunks + self.chunk_bytes + self.heap_bytes + indexes + slots
    }

    /// Tells how much chunks and long values have in use.
    #[inline]
    fn settle(&mut self) {
        let bytes = self.charged_bytes();
        self.charge.set(bytes);
    }

    /// Chunks and long values, but for what other forks share the charge of.
    #[inline]
    fn charged_bytes(&mut self) -> usize {
        if !self.frozen.is_empty() {
            self.frozen.retain(|charge| Arc::strong_count(charge) > 1);
            if self.frozen.is_empty() {
                self.directory.count_left(Some(self.charge.memory()));
            }
        }
        let frozen: usize = self.frozen.iter().map(|charge| charge.told()).sum();
        let chunks = self.directory.len() - self.evicted;
        let bytes = self.chunk_bytes + self.heap_bytes + chunks * size_of::<Chunk>();
        bytes.saturating_sub(frozen)
    }

    /// Whether a row of these values, one for each column, would need more memory than the fragment has: a slot that was
    /// never used or has lost its chunk, long values, an entry in a full segment of an index.
    pub fn grows_with(&self, values: &[Value]) -> bool {
        let reused = self.free.first();
        let row = RowId(reused.unwrap_or(self.next_slot));
        !self.directory.chunk(row).is_some_and(|chunk| chunk.has_place(row.place()))
            || values.iter().any(|value| value_heap_bytes(value) > 0)
            || self.indexes.iter().flatten().any(|index| match index {
                Index::Hash(_, hash) => hash.grows_with(values),
                Index::Ordered(..) => reused.is_none(),
            })
    }

    /// Whether a row's long values would take more memory with these changes.
    pub fn grows_by(&self, row: RowId, changes: &[(usize, Value)]) -> bool {
        let columns = self.live_chunk(row).columns();
        let before: usize = changes.iter().map(|(column, _)| columns[*column].heap_bytes(row.place())).sum();
        changes.iter().map(|(_, value)| value_heap_bytes(value)).sum::<usize>() > before
    }

    /// Bytes of the index of this number; 0 when there is none.
    pub fn index_bytes(&self, number: usize) -> usize {
        self.indexes.get(number).and_then(Option::as_ref).map_or(0, Index::memory_bytes)
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether an index depends on the column.
    pub fn is_indexed(&self, column: usize) -> bool {
        self.indexes_of_column[column] != 0
    }

    /// How many numbers indexes have.
    pub(crate) fn index_count(&self) -> usize {
        self.indexes.len()
    }

    /// The index of this number.
    pub(crate) fn index_at(&self, number: usize) -> Option<&Index> {
        self.indexes.get(number)?.as_ref()
    }

    /// Damages an index, for tests: takes a row out of it and leaves the row. No feature: the crates above would be built twice.
    #[doc(hidden)]
    pub fn forget_in_index(&mut self, number: usize, row: RowId) {
        if let Some(Some(index)) = self.indexes.get_mut(number) {
            index.remove(&self.directory, row);
        }
    }

    /// Slots from here on never held a row.
    pub(crate) fn next_free_slot(&self) -> u32 {
        self.next_slot
    }

    /// Bytes that values have on the heap.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Puts a chunk behind all others. Nobody has its slots, and there are no indexes.
    pub(crate) fn put_chunk(&mut self, number: usize, chunk: Chunk) {
        assert!(self.indexes.is_empty(), "indexes are built when all rows are there");
        let first = (number * CHUNK_ROWS) as u32;
        self.directory.grow(number, &self.types);
        self.chunk_bytes += chunk.capacity() * self.row_bytes;
        for place in chunk.live_places() {
            self.heap_bytes += chunk.heap_bytes(place);
            self.take_slot(RowId(first + place as u32));
        }
        self.directory.push(chunk);
        self.settle();
    }

    /// The rows as they are now. Costs one pointer for each 131,072 rows.
    pub fn snapshot(&self) -> FragmentSnapshot {
        FragmentSnapshot::new(self.directory.clone(), self.rows, self.version, self.next_slot)
    }
}

/// Writing rows.
impl Fragment {
    /// Adds a row in the lowest free slot. Constraints are the caller's business.
    ///
    /// # Errors
    /// [`Full`] when there is no free slot.
    #[inline]
    pub fn insert(&mut self, values: &[Value]) -> Result<RowId, Full> {
        let row = RowId(self.free.first().unwrap_or(self.next_slot));
        self.insert_at(row, values)?;
        Ok(row)
    }

    /// Adds a row in this slot, as recovery does.
    ///
    /// # Errors
    /// [`Full`] when the slot is beyond the last one.
    ///
    /// # Panics
    /// If a live row has the slot.
    pub fn insert_at(&mut self, row: RowId, values: &[Value]) -> Result<(), Full> {
        self.put(row, values)?;
        self.add_to_indexes(row, u64::MAX);
        Ok(())
    }

    /// Removes a row. Its slot and values are kept until [`Fragment::release_deleted`].
    pub fn delete(&mut self, row: RowId) {
        self.live_chunk(row);
        self.remove_from_indexes(row, u64::MAX);
        self.live_chunk_mut(row).set_live(row.place(), false);
        self.deleted.push(row);
        self.rows -= 1;
        self.written(0);
    }

    /// Undoes a deletion that was not released.
    ///
    /// # Panics
    /// If the slot holds a live row, was released or never held one.
    pub fn undelete(&mut self, row: RowId) {
        assert!(row.0 < self.next_slot && !self.free.contains(row.0), "the deletion was not released");
        let Some(chunk) = self.directory.chunk_mut(row) else { return };
        assert!(!chunk.is_live(row.place()), "the row was deleted");
        chunk.set_live(row.place(), true);
        chunk.forget_bounds();
        if self.deleted.last() == Some(&row) {
            self.deleted.pop();
        }
        self.rows += 1;
        self.version += 1;
        self.add_to_indexes(row, u64::MAX);
    }

    /// Undoes an insert: removes the row and gives its slot back at once.
    pub fn undo_insert(&mut self, row: RowId) {
        self.delete(row);
        self.deleted.pop();
        self.release(row);
    }

    /// Adds a column behind the others, `value` in all rows, past undoing. Every chunk is copied that a snapshot holds.
    ///
    /// # Panics
    /// If the value is not of the type.
    pub fn add_column(&mut self, type_id: TypeId, value: &Value) {
        let mut heap = 0;
        self.directory.for_each_mut(|chunk| heap += chunk.add_column(type_id, value));
        self.types = self.types.iter().copied().chain([type_id]).collect();
        self.indexes_of_column.push(0);
        let row_bytes = Chunk::row_bytes(&self.types);
        self.chunk_bytes = self.chunk_bytes / self.row_bytes.max(1) * row_bytes;
        self.row_bytes = row_bytes;
        self.spare = None;
        (self.empty, self.evicted) = (None, 0);
        self.written(heap);
        self.settle();
    }

    /// Removes all rows at once, past undoing.
    pub fn clear(&mut self) {
        let mut emptied = Directory::default();
        emptied.count_left(self.frozen.is_empty().then_some(self.charge.memory()));
        self.directory = emptied;
        self.free.clear();
        self.deleted.clear();
        self.indexes.iter_mut().flatten().for_each(Index::clear);
        (self.rows, self.next_slot, self.chunk_bytes, self.heap_bytes) = (0, 0, 0, 0);
        self.evicted = 0;
        self.frozen.clear();
        self.spare = None;
        self.settle();
        self.version += 1;
    }

    #[inline(always)]
    fn written(&mut self, heap: isize) {
        self.version += 1;
        if heap != 0 {
            self.heap_bytes = self.heap_bytes.wrapping_add_signed(heap);
            self.settle();
        }
    }

    #[inline]
    fn live_chunk(&self, row: RowId) -> &Chunk {
        let chunk = self.directory.chunk(row).filter(|chunk| chunk.is_live(row.place()));
        chunk.expect("a live row has the slot")
    }

    /// The chunk of a row that [`Fragment::live_chunk`] has found, for writing.
    #[inline]
    fn live_chunk_mut(&mut self, row: RowId) -> &mut Chunk {
        let chunk = self.directory.chunk_mut(row).expect("a live row has a chunk");
        chunk.forget_bounds();
        chunk
    }

    #[inline]
    fn add_to_indexes(&mut self, row: RowId, which: u64) {
        if which != 0 {
            self.add_to_some(row, which);
        }
    }

    #[inline(never)]
    fn add_to_some(&mut self, row: RowId, which: u64) {
        for (number, index) in self.indexes.iter_mut().enumerate() {
            if which >> number & 1 == 1
                && let Some(index) = index
            {
                index.insert(&self.directory, row);
            }
        }
    }

    #[inline]
    fn remove_from_indexes(&mut self, row: RowId, which: u64) {
        if which != 0 {
            for (number, index) in self.indexes.iter_mut().enumerate() {
                if which >> number & 1 == 1
                    && let Some(index) = index
                {
                    index.remove(&self.directory, row);
                }
            }
        }
    }
}

/// Reading rows.
impl Fragment {
    /// Whether a live row has the slot.
    #[inline]
    pub fn is_live(&self, row: RowId) -> bool {
        self.directory.chunk(row).is_some_and(|chunk| chunk.is_live(row.place()))
    }

    /// A row, `None` if there is none in this slot.
    #[inline]
    pub fn row(&self, row: RowId) -> Option<RowView<'_>> {
        let chunk = self.directory.chunk(row)?;
        chunk.is_live(row.place()).then(|| RowView::new(chunk, row.place()))
    }

    /// One column of a row.
    #[inline]
    pub fn read(&self, row: RowId, column: usize) -> Value {
        self.live_chunk(row).columns()[column].read(row.place())
    }

    /// An integer, date, time or oid of a row; `None` for NULL and columns of other types.
    #[inline]
    pub fn read_integer(&self, row: RowId, column: usize) -> Option<i64> {
        self.live_chunk(row).columns()[column].integer(row.place())
    }

    /// Some columns of a row, `out[i]` becoming the value of `columns[i]`.
    #[inline]
    pub fn read_columns(&self, row: RowId, columns: &[usize], out: &mut [Value]) {
        let chunk = self.live_chunk(row);
        for (column, out) in columns.iter().zip(out) {
            *out = chunk.columns()[*column].read(row.place());
        }
    }

    /// All chunks, in slot order, with those that hold no row, for who reads these columns of each.
    pub fn chunks<'f>(&'f self, columns: &'f [usize]) -> impl Iterator<Item = ChunkView<'f>> {
        let chunks = self.directory.chunks_ahead(columns).enumerate();
        chunks.map(|(number, chunk)| ChunkView::new(chunk, number))
    }

    /// Appends the next live rows for which all predicates hold, in slot order, until `out` is full; false when
    /// the end was reached. Rows may be written between batches: one written behind the cursor is not seen again,
    /// one ahead of it is seen as it is then.
    pub fn scan_batch(
        &self,
        cursor: &mut ScanCursor,
        predicates: &[SimplePredicate],
        out: &mut RowBatch,
    ) -> bool {
        scan::scan_batch(&self.directory, cursor, predicates, out)
    }

    /// The next live row from slot `from` on for which all predicates hold; `from` goes behind it. Cheaper than a batch for
    /// a reader of a few rows.
    #[inline]
    pub fn next_match(&self, from: &mut u64, predicates: &[SimplePredicate]) -> Option<(RowId, RowView<'_>)> {
        let (row, chunk) = scan::next_match(&self.directory, from, predicates)?;
        Some((row, RowView::new(chunk, row.place())))
    }
}

const _: () = {
    const fn goes_from_thread_to_thread<T: Send>() {}
    goes_from_thread_to_thread::<Fragment>();
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fork_lives_for_itself() {
        let schema = FragmentSchema { columns: vec![TypeId::INT4], ..FragmentSchema::default() };
        let mut fragment = Fragment::new(&schema);
        let rows: Vec<RowId> = (0..3).map(|n| fragment.insert(&[Value::Int4(n)]).unwrap()).collect();
        fragment.delete(rows[1]);
        fragment.release_deleted();
        let mut fork = fragment.fork();
        assert_eq!(fork.insert(&[Value::Int4(7)]).unwrap(), rows[1]);
        fork.update(rows[0], &[(0, Value::Int4(9))]);
        assert_eq!((fragment.row_count(), fork.row_count()), (2, 3));
        assert!(!fragment.is_live(rows[1]));
        assert_eq!(fragment.read_integer(rows[0], 0), Some(0));
        assert_eq!(fork.read_integer(rows[0], 0), Some(9));
    }

    fn row(text: &str, bytes: usize) -> [Value; 3] {
        [Value::text(text), Value::bytea(vec![1; bytes]), Value::Uuid(Arc::new([1; 16]))]
    }

    /// Whatever way a long value goes, what is counted for it is taken off again.
    #[test]
    fn heap_bytes_are_balanced() {
        let columns = vec![TypeId::TEXT, TypeId::BYTEA, TypeId::UUID];
        let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
        let long = "a text that is longer than fifteen bytes";
        let a = fragment.insert(&row(long, 100)).unwrap();
        assert_eq!(fragment.heap_bytes, long.len() + 16 + 100 + 16 + 32);
        fragment.update(a, &[(0, Value::text("short")), (1, Value::Null)]);
        assert_eq!(fragment.heap_bytes, 32);
        let mut changes = [(0, Value::text(long)), (2, Value::Null)];
        fragment.exchange(a, &mut changes);
        fragment.exchange(a, &mut changes);
        assert_eq!(fragment.heap_bytes, 32);
        let b = fragment.insert(&row(long, 5)).unwrap();
        fragment.undo_insert(b);
        assert_eq!(fragment.heap_bytes, 32);
        fragment.delete(a);
        fragment.undelete(a);
        fragment.delete(a);
        fragment.insert_at(a, &row("", 1000)).unwrap();
        fragment.release_deleted();
        assert_eq!(fragment.heap_bytes, 1000 + 16 + 32);
        fragment.delete(a);
        fragment.release_deleted();
        assert_eq!(fragment.heap_bytes, 0);
    }
}
