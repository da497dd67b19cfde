//! [`Fragment`]: what is written and how indexes follow.

use std::ops::Bound;
use std::sync::Arc;

use tuplix_types::{TypeId, Value, equal};

use crate::chunk::Chunk;
use crate::directory::Directory;
use crate::free_slots::FreeSlots;
use crate::index::Index;
use crate::ordered_index::RangeCursor;
use crate::read::RowView;
use crate::scan::{self, RowBatch, ScanCursor, SimplePredicate};
use crate::schema::{
    CHUNK_ROWS, FragmentSchema, Full, IndexSchema, MAX_INDEXES, MAX_ROWS, RowId, TooManyIndexes,
};
use crate::snapshot::FragmentSnapshot;

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
}

impl Fragment {
    /// An empty fragment. It takes next to no memory.
    ///
    /// # Panics
    /// If the schema has more than [`MAX_INDEXES`] indexes or an index names a column that is not there.
    pub fn new(schema: &FragmentSchema) -> Fragment {
        let types: Arc<[TypeId]> = schema.columns.as_slice().into();
        let row_bytes = Chunk::new(&types).columns.iter().map(|column| column.width()).sum();
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
        };
        for index in &schema.indexes {
            let added = fragment.add_index(Arc::clone(index));
            assert!(added.is_ok(), "a table has at most {MAX_INDEXES} indexes");
        }
        fragment
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
        let chunks = self.directory.len() * (size_of::<Chunk>() + 48 * self.types.len());
        let slots = self.free.memory_bytes() + self.directory.memory_bytes();
        size_of::<Fragment>() + chunks + self.chunk_bytes + self.heap_bytes + indexes + slots
    }

    /// The rows as they are now. Costs one pointer for each 131,072 rows.
    pub fn snapshot(&self) -> FragmentSnapshot {
        FragmentSnapshot::new(self.directory.clone(), self.rows, self.version)
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
        if row.0 >= MAX_ROWS {
            return Err(Full);
        }
        assert_eq!(values.len(), self.types.len(), "a row has a value for each column");
        if row.chunk() >= self.directory.len() {
            self.directory.grow(row.chunk() + 1, &self.types);
        }
        let Some(chunk) = self.directory.chunk_mut(row) else { return Err(Full) };
        let place = row.place();
        assert!(!chunk.is_live(place), "the slot is free");
        let new_places = chunk.ensure_place(place, row.chunk() == 0);
        let mut heap = 0;
        for (column, value) in values.iter().enumerate() {
            heap += chunk.columns[column].write(place, value);
        }
        chunk.set_live(place, true);
        chunk.forget_bounds();
        self.chunk_bytes += new_places * self.row_bytes;
        self.heap_bytes = self.heap_bytes.wrapping_add_signed(heap);
        self.take_slot(row);
        self.add_to_indexes(row, u64::MAX);
        Ok(())
    }

    /// Books a slot as taken.
    #[inline]
    fn take_slot(&mut self, row: RowId) {
        if row.0 < self.next_slot {
            self.free.remove(row.0);
        } else {
            for slot in self.next_slot..row.0 {
                self.free.insert(slot);
            }
            self.next_slot = row.0 + 1;
        }
        self.rows += 1;
        self.version += 1;
    }

    /// Changes columns of a row. Only indexes over columns whose values change are touched.
    #[inline]
    pub fn update(&mut self, row: RowId, changes: &[(usize, Value)]) {
        let indexes = self.indexes_changed(row, changes);
        self.remove_from_indexes(row, indexes);
        let chunk = self.live_chunk_mut(row);
        let mut heap = 0;
        for (column, value) in changes {
            heap += chunk.columns[*column].write(row.place(), value);
        }
        self.written(heap);
        self.add_to_indexes(row, indexes);
    }

    /// Changes columns of a row and leaves the old values in `changes`: calling it again undoes it.
    #[inline]
    pub fn exchange(&mut self, row: RowId, changes: &mut [(usize, Value)]) {
        let indexes = self.indexes_changed(row, changes);
        self.remove_from_indexes(row, indexes);
        let chunk = self.live_chunk_mut(row);
        let mut heap = 0;
        for (column, value) in changes {
            let column = &mut chunk.columns[*column];
            let old = column.read(row.place());
            heap += column.write(row.place(), value);
            *value = old;
        }
        self.written(heap);
        self.add_to_indexes(row, indexes);
    }

    /// Checks changes and returns the indexes whose keys may change by them.
    #[inline]
    fn indexes_changed(&self, row: RowId, changes: &[(usize, Value)]) -> u64 {
        let chunk = self.live_chunk(row);
        let mut indexes = 0;
        for (column, value) in changes {
            chunk.columns[*column].check(value);
            let depending = self.indexes_of_column[*column];
            if depending & !indexes != 0 && !equal(&chunk.columns[*column].read(row.place()), value) {
                indexes |= depending;
            }
        }
        indexes
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

    /// Gives back the slots and long values of deleted rows. Each transaction ends with it, committed or undone.
    #[inline]
    pub fn release_deleted(&mut self) {
        if !self.deleted.is_empty() {
            let mut deleted = std::mem::take(&mut self.deleted);
            for row in deleted.drain(..) {
                // A row may have been restored or its slot filled by number since.
                if !self.is_live(row) {
                    self.release(row);
                }
            }
            self.deleted = deleted;
        }
    }

    fn release(&mut self, row: RowId) {
        self.free.insert(row.0);
        let has_heap = self.directory.chunk(row).is_some_and(|chunk| chunk.heap_bytes(row.place()) > 0);
        if has_heap && let Some(chunk) = self.directory.chunk_mut(row) {
            self.heap_bytes -= chunk.heap_bytes(row.place());
            chunk.columns.iter_mut().for_each(|column| column.drop_value(row.place()));
        }
    }

    /// Removes all rows at once, past undoing.
    pub fn clear(&mut self) {
        self.directory = Directory::default();
        self.free.clear();
        self.deleted.clear();
        self.indexes.iter_mut().flatten().for_each(Index::clear);
        (self.rows, self.next_slot, self.chunk_bytes, self.heap_bytes) = (0, 0, 0, 0);
        self.version += 1;
    }

    #[inline]
    fn written(&mut self, heap: isize) {
        self.heap_bytes = self.heap_bytes.wrapping_add_signed(heap);
        self.version += 1;
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
            for (number, index) in self.indexes.iter_mut().enumerate() {
                if which >> number & 1 == 1
                    && let Some(index) = index
                {
                    index.insert(&self.directory, row);
                }
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
        self.live_chunk(row).columns[column].read(row.place())
    }

    /// An integer, date, time or oid of a row; `None` for NULL and columns of other types.
    #[inline]
    pub fn read_integer(&self, row: RowId, column: usize) -> Option<i64> {
        self.live_chunk(row).columns[column].integer(row.place())
    }

    /// Some columns of a row, `out[i]` becoming the value of `columns[i]`.
    #[inline]
    pub fn read_columns(&self, row: RowId, columns: &[usize], out: &mut [Value]) {
        let chunk = self.live_chunk(row);
        for (column, out) in columns.iter().zip(out) {
            *out = chunk.columns[*column].read(row.place());
        }
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
}

/// Indexes.
impl Fragment {
    /// Adds an index over the rows that are there, and returns its number: the lowest unused one.
    ///
    /// # Errors
    /// [`TooManyIndexes`].
    ///
    /// # Panics
    /// If the index names a column that is not there.
    pub fn add_index(&mut self, schema: Arc<IndexSchema>) -> Result<usize, TooManyIndexes> {
        let number = self.indexes.iter().position(Option::is_none).unwrap_or(self.indexes.len());
        if number == MAX_INDEXES {
            return Err(TooManyIndexes);
        }
        let mut index = Index::new(schema, &self.types);
        for column in index.source().columns() {
            self.indexes_of_column[column] |= 1 << number;
        }
        for (chunk, base) in self.directory.chunks().zip((0..).step_by(CHUNK_ROWS)) {
            chunk.live_places().for_each(|place| index.insert(&self.directory, RowId(base + place as u32)));
        }
        if number == self.indexes.len() {
            self.indexes.push(None);
        }
        self.indexes[number] = Some(index);
        Ok(number)
    }

    /// Drops an index; the others keep their numbers.
    pub fn drop_index(&mut self, number: usize) {
        if let Some(index) = self.indexes.get_mut(number) {
            *index = None;
            self.indexes_of_column.iter_mut().for_each(|indexes| *indexes &= !(1 << number));
        }
    }

    /// An index's schema, `None` if no index has this number.
    pub fn index_schema(&self, number: usize) -> Option<&Arc<IndexSchema>> {
        Some(self.indexes.get(number)?.as_ref()?.schema())
    }

    /// A row whose key is `key`, of the same types as the index's columns. None has a key with a NULL.
    ///
    /// # Panics
    /// Here and below: if no index has this number.
    #[inline]
    pub fn lookup(&self, index: usize, key: &[Value]) -> Option<RowId> {
        self.index(index).lookup(&self.directory, key)
    }

    /// Appends all rows whose key is `key`. In an ordered index a key may stop short of the last columns.
    pub fn lookup_all(&self, index: usize, key: &[Value], out: &mut Vec<RowId>) {
        self.index(index).lookup_all(&self.directory, key, out);
    }

    /// A live row that has the key of this unique index, other than `except`: the row being changed.
    pub fn find_conflict(&self, index: usize, key: &[Value], except: Option<RowId>) -> Option<RowId> {
        let found = self.lookup(index, key)?;
        if Some(found) != except {
            return Some(found);
        }
        let mut rows = Vec::new();
        self.lookup_all(index, key, &mut rows);
        rows.into_iter().find(|row| Some(*row) != except)
    }

    /// A range of an ordered index: the rows whose keys begin with values between the bounds, in the index's
    /// order. So for a `DESC` column the larger value is the lower bound, and a bound that leaves out NULLs
    /// is `Excluded` with [`Value::Null`]. An index of another kind yields nothing.
    pub fn range(
        &self,
        index: usize,
        lower: Bound<&[Value]>,
        upper: Bound<&[Value]>,
        reverse: bool,
    ) -> Option<RangeCursor> {
        match self.index(index) {
            Index::Ordered(_, ordered) => Some(ordered.range(lower, upper, reverse)),
            Index::Hash(..) => None,
        }
    }

    /// Appends up to `limit` rows of a range, those that follow in it. Rows may be written between batches:
    /// the cursor stands between two keys.
    pub fn range_batch(&self, index: usize, cursor: &mut RangeCursor, limit: usize, out: &mut RowBatch) {
        if let Index::Ordered(_, ordered) = self.index(index) {
            ordered.range_batch(cursor, limit, out);
        }
    }

    #[inline]
    fn index(&self, number: usize) -> &Index {
        self.indexes[number].as_ref().expect("an index has this number")
    }
}
