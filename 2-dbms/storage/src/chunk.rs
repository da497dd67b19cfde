//! A chunk: up to [`CHUNK_ROWS`] rows as typed columns, shared with snapshots until it is written again.

use std::sync::OnceLock;

use tuplix_types::{TypeId, Value};

use crate::column::{Column, ColumnData, Columns, RowBits};
use crate::schema::CHUNK_ROWS;

/// Places in a chunk when its first row comes; only a fragment's first chunk starts this small.
const FIRST_CAPACITY: usize = 8;

/// The smallest and the largest value of an integer column, `None` when it has none.
pub(crate) type Bounds = Option<(i64, i64)>;

/// Rows of one table, column by column.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) columns: Columns,
    /// Which places hold a row.
    pub(crate) live: RowBits,
    capacity: usize,
    /// Smallest and largest value of each column, computed when first asked for and forgotten at a write.
    bounds: OnceLock<Box<[Bounds]>>,
}

impl Clone for Chunk {
    /// The copy that a write makes of a chunk that a snapshot holds; its bounds are about to change.
    fn clone(&self) -> Chunk {
        Chunk {
            live: self.live,
            columns: self.columns.clone(),
            capacity: self.capacity,
            bounds: OnceLock::new(),
        }
    }
}

impl Chunk {
    /// A chunk without places.
    pub(crate) fn new(types: &[TypeId]) -> Chunk {
        Chunk {
            columns: types.iter().map(|type_id| Column::new(*type_id)).collect(),
            live: RowBits::default(),
            capacity: 0,
            bounds: OnceLock::new(),
        }
    }

    /// A chunk of these columns, each with `capacity` places.
    pub(crate) fn loaded(
        live: RowBits,
        columns: impl Iterator<Item = (ColumnData, Option<Box<RowBits>>)>,
        capacity: usize,
    ) -> Chunk {
        let columns = columns.map(|(data, nulls)| Column::loaded(data, nulls)).collect();
        Chunk { columns, live, capacity, bounds: OnceLock::new() }
    }

    /// How many places there are.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that a row of these columns takes, without what values have on the heap.
    pub(crate) fn row_bytes(types: &[TypeId]) -> usize {
        types.iter().map(|type_id| Column::new(*type_id).width()).sum()
    }

    /// Adds a column with the same value in all places, and says by how much the bytes on the heap grow.
    pub(crate) fn add_column(&mut self, type_id: TypeId, value: &Value) -> isize {
        let mut column = Column::new(type_id);
        column.resize(self.capacity);
        let heap = (0..self.capacity).map(|place| column.write(place, value)).sum();
        self.columns = self.columns.iter().cloned().chain([column]).collect();
        self.bounds = OnceLock::new();
        heap
    }

    /// Makes `place` exist, and says by how many places the chunk grew.
    #[inline]
    pub(crate) fn ensure_place(&mut self, place: usize, is_first: bool) -> usize {
        if place < self.capacity { 0 } else { self.grow(place, is_first) }
    }

    #[cold]
    fn grow(&mut self, place: usize, is_first: bool) -> usize {
        debug_assert!(place < CHUNK_ROWS);
        let before = self.capacity;
        let wanted = (place + 1).next_power_of_two().max(FIRST_CAPACITY);
        self.capacity = if is_first { wanted } else { CHUNK_ROWS };
        for column in self.columns.iter_mut() {
            column.resize(self.capacity);
        }
        self.capacity - before
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
    #[inline]
    pub(crate) fn forget_bounds(&mut self) {
        if self.bounds.get().is_some() {
            self.bounds = OnceLock::new();
        }
    }

    /// Bytes that the values at a place have on the heap, shared or not.
    pub(crate) fn heap_bytes(&self, place: usize) -> usize {
        self.columns.iter().map(|column| column.heap_bytes(place)).sum()
    }

    /// Smallest and largest value of a column among live rows, `None` when the column holds no integers,
    /// dates, times or oids, or no value.
    pub(crate) fn bounds(&self, column: usize) -> Bounds {
        self.bounds.get_or_init(|| (0..self.columns.len()).map(|c| self.compute_bounds(c)).collect())[column]
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
