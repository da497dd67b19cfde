//! A chunk: up to [`CHUNK_ROWS`] rows as typed columns, shared with snapshots until it is written again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;
use tuplix_types::{TypeId, Value};

use crate::column::{Column, ColumnData, Columns, OwnColumn, RowBits};
use crate::held::{Held, Left};
use crate::load::BadRow;
use crate::memory::Memory;
use crate::schema::CHUNK_ROWS;

/// Places in a chunk when its first row comes; only a fragment's first chunk starts this small.
const FIRST_CAPACITY: usize = 8;

/// The smallest and the largest value of an integer column, `None` when it has none.
pub(crate) type Bounds = Option<(i64, i64)>;

/// Rows of one table, column by column.
///
/// What each write looks at lies next to the reference counts in front, mostly in one cache line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Chunk {
    /// The columns whose vectors other versions of the chunk may share, a bit each, the last for all from 63 on. Where the
    /// bit is clear, this chunk alone has the vector: only [`Chunk::clone`] makes other references, and sets all bits in both.
    shared: AtomicU64,
    /// Smallest and largest value of each column, computed when first asked for and forgotten at a write.
    bounds: OnceBox<Box<[Bounds]>>,
    capacity: usize,
    /// Which places hold a row.
    pub(crate) live: RowBits,
    columns: Columns,
    /// What only snapshots hold, once the fragment has another version of the chunk or none.
    left: Left,
    /// The version that this one was copied of, to be told of each vector that is its alone.
    before: Option<Arc<Held>>,
}

impl Clone for Chunk {
    /// The copy that a write makes of a chunk that a snapshot holds. It shares the columns' vectors until it writes them.
    fn clone(&self) -> Chunk {
        // Counting a reference waits for its cache line, one after the other; looking at all first, they come together.
        std::hint::black_box(self.columns.iter().map(Column::references).sum::<usize>());
        // Who gets to write this chunk after others have dropped it sees this: their dropping it comes in between.
        self.shared.store(u64::MAX, Ordering::Relaxed);
        Chunk {
            live: self.live,
            columns: self.columns.clone(),
            capacity: self.capacity,
            shared: AtomicU64::new(u64::MAX),
            bounds: OnceBox::new(),
            left: Left::default(),
            before: None,
        }
    }
}

/// The bit of a column in `Chunk::shared`.
#[inline]
fn shared_bit(column: usize) -> u64 {
    1 << column.min(63)
}

impl Chunk {
    /// A chunk without places.
    pub(crate) fn new(types: &[TypeId]) -> Chunk {
        Chunk {
            columns: types.iter().map(|type_id| Column::new(*type_id)).collect(),
            live: RowBits::default(),
            capacity: 0,
            shared: AtomicU64::new(0),
            bounds: OnceBox::new(),
            left: Left::default(),
            before: None,
        }
    }

    /// A chunk of these columns, each with `capacity` places.
    pub(crate) fn loaded(
        live: RowBits,
        columns: impl Iterator<Item = (ColumnData, Option<Box<RowBits>>)>,
        capacity: usize,
    ) -> Chunk {
        let columns = columns.map(|(data, nulls)| Column::loaded(data, nulls)).collect();
        // Whether others have a vector too is looked at before the first write.
        let shared = AtomicU64::new(u64::MAX);
        let (bounds, left) = (OnceBox::new(), Left::default());
        Chunk { columns, live, capacity, shared, bounds, left, before: None }
    }

    /// A copy to write, where this version stays with snapshots: what they alone hold is counted.
    pub(crate) fn copy(&self, memory: &Arc<Memory>) -> Chunk {
        let mut copy = self.clone();
        let held = Held::new(memory, self.before.as_ref(), size_of::<Chunk>());
        if self.left.set(Arc::clone(&held)) {
            copy.before = Some(held);
        }
        copy
    }

    /// The fragment has no version of it any more: all of it is left to snapshots.
    pub(crate) fn leave(&self, memory: &Arc<Memory>) {
        let held = Held::new(memory, self.before.as_ref(), size_of::<Chunk>());
        for column in self.columns.iter() {
            held.add(column.width() * self.capacity, column.references() > 1);
        }
        // A version that was left before is counted already.
        self.left.set(held);
    }

    /// This version gets a vector of its own, or none: the one before it may be the last that has the old one.
    fn tell_before(&self, column: usize) {
        let Some(before) = &self.before else { return };
        let column = &self.columns[column];
        let versions = column.references();
        if versions > 1 {
            before.add(column.width() * self.capacity, versions > 2);
        }
    }

    /// How many places there are.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The columns.
    #[inline]
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// A column for writing: copied first if a version of the chunk in a snapshot shares it.
    #[inline(always)]
    pub(crate) fn own(&mut self, column: usize) -> OwnColumn<'_> {
        if *self.shared.get_mut() & shared_bit(column) != 0 {
            self.make_own(column);
        }
        // SAFETY: the vector was just made the column's own, or its bit says that it is; see the field.
        unsafe { OwnColumn::new(&mut self.columns[column]) }
    }

    /// Writes a value into each column, and says by how much the bytes on the heap change.
    ///
    /// # Panics
    /// If a value is not of its column's type.
    #[inline]
    pub(crate) fn write_row(&mut self, place: usize, values: &[Value]) -> isize {
        if *self.shared.get_mut() != 0 {
            self.make_all_own();
        }
        let columns = &mut self.columns[..];
        let count = columns.len().min(values.len());
        let (columns, values) = (&mut columns[..count], &values[..count]);
        let mut heap = 0;
        // By number: zipped iterators come out as a call.
        for number in 0..count {
            // SAFETY: no bit is set, so each vector is its column's own; see the field.
            heap += unsafe { OwnColumn::new(&mut columns[number]) }.write(place, &values[number]);
        }
        heap
    }

    /// As [`Chunk::write_row`], with values from the front of bytes of [`tuplix_types::encoding`], which are checked.
    ///
    /// # Errors
    /// When one is no value, or not of its column's type.
    #[inline]
    pub(crate) fn load_row(&mut self, place: usize, bytes: &mut &[u8]) -> Result<isize, BadRow> {
        if *self.shared.get_mut() != 0 {
            self.make_all_own();
        }
        let mut heap = 0;
        for (number, column) in self.columns.iter_mut().enumerate() {
            // SAFETY: no bit is set, so each vector is its column's own; see the field.
            let loaded = unsafe { OwnColumn::new(column) }.load(place, bytes)?;
            heap += loaded.ok_or(BadRow::Type(number))?;
        }
        Ok(heap)
    }

    #[cold]
    fn make_all_own(&mut self) {
        for column in 0..self.columns.len() {
            self.tell_before(column);
            self.columns[column].make_own();
        }
        *self.shared.get_mut() = 0;
    }

    #[cold]
    fn make_own(&mut self, column: usize) {
        self.tell_before(column);
        self.columns[column].make_own();
        if column < 63 {
            *self.shared.get_mut() &= !shared_bit(column);
        }
    }

    /// Bytes that a row of these columns takes, without what values have on the heap.
    pub(crate) fn row_bytes(types: &[TypeId]) -> usize {
        types.iter().map(|type_id| Column::new(*type_id).width()).sum()
    }

    /// Adds a column with the same value in all places, and says by how much the bytes on the heap grow.
    pub(crate) fn add_column(&mut self, type_id: TypeId, value: &Value) -> isize {
        let mut column = Column::new(type_id);
        column.resize(self.capacity);
        let mut columns = std::mem::take(&mut self.columns).into_vec();
        columns.push(column);
        self.columns = columns.into_iter().collect();
        self.bounds = OnceBox::new();
        let last = self.columns.len() - 1;
        (0..self.capacity).map(|place| self.own(last).write(place, value)).sum()
    }

    /// Makes `place` exist, and says by how many places the chunk grew.
    #[inline]
    pub(crate) fn ensure_place(
        &mut self,
        place: usize,
        is_first: bool,
        spare: &mut Option<Columns>,
    ) -> usize {
        if place < self.capacity { 0 } else { self.grow(place, is_first, spare) }
    }

    #[cold]
    fn grow(&mut self, place: usize, is_first: bool, spare: &mut Option<Columns>) -> usize {
        debug_assert!(place < CHUNK_ROWS);
        let before = self.capacity;
        if before == 0
            && !is_first
            && let Some(columns) = spare.take()
        {
            self.columns = columns;
            self.capacity = CHUNK_ROWS;
            return CHUNK_ROWS;
        }
        let wanted = (place + 1).next_power_of_two().max(FIRST_CAPACITY);
        self.capacity = if is_first { wanted } else { CHUNK_ROWS };
        for column in self.columns.iter_mut() {
            column.resize(self.capacity);
        }
        self.capacity - before
    }

    /// Whether the chunk has memory for the place.
    pub(crate) fn has_place(&self, place: usize) -> bool {
        place < self.capacity
    }

    /// Whether no place holds a row.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.live == RowBits::default()
    }

    /// Lets go of the memory of an empty chunk, which gets it again with its next row: how many places that was, and the
    /// columns if no other version of the chunk shares them.
    #[cold]
    pub(crate) fn take_columns(&mut self, types: &[TypeId]) -> (usize, Option<Columns>) {
        debug_assert!(self.is_empty());
        (0..self.columns.len()).for_each(|column| self.tell_before(column));
        let columns = std::mem::replace(&mut self.columns, Chunk::new(types).columns);
        let places = std::mem::take(&mut self.capacity);
        let shared = std::mem::take(self.shared.get_mut()) != 0;
        self.bounds = OnceBox::new();
        (places, (!shared && places == CHUNK_ROWS).then_some(columns))
    }

    #[inline]
    pub(crate) fn is_live(&self, place: usize) -> bool {
        self.live[place / 64] >> (place % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn set_live(&mut self, place: usize, live: bool) {
        let bit = 1 << (place % 64);
        if live {
            self.live[place / 64] |= bit;
        } else {
            self.live[place / 64] &= !bit;
        }
    }

    /// Must be called with every write of a value or a live bit.
    #[inline(always)]
    pub(crate) fn forget_bounds(&mut self) {
        if self.bounds.get().is_some() {
            self.bounds = OnceBox::new();
        }
    }

    /// Bytes that the values at a place have on the heap, shared or not.
    pub(crate) fn heap_bytes(&self, place: usize) -> usize {
        self.columns.iter().map(|column| column.heap_bytes(place)).sum()
    }

    /// Smallest and largest value of a column among live rows, `None` when the column holds no integers,
    /// dates, times or oids, or no value.
    pub(crate) fn bounds(&self, column: usize) -> Bounds {
        let compute = || Box::new((0..self.columns.len()).map(|c| self.compute_bounds(c)).collect());
        self.bounds.get_or_init(compute)[column]
    }

    fn compute_bounds(&self, column: usize) -> Bounds {
        let column = &self.columns[column];
        let values = self.live_places().filter_map(|place| column.integer(place));
        values.fold(None, |bounds, v| {
            Some(bounds.map_or((v, v), |(low, high): (i64, i64)| (low.min(v), high.max(v))))
        })
    }

    /// The places that hold a row, ascending.
    pub(crate) fn live_places(&self) -> impl Iterator<Item = usize> {
        self.live.iter().enumerate().flat_map(|(index, word)| Bits(*word).map(move |bit| index * 64 + bit))
    }
}

/// The set bits of a word, lowest first.
pub(crate) struct Bits(pub(crate) u64);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}
