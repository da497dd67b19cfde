//! Snapshots: a fragment as it was, for readers on other threads.

use std::sync::Arc;

use crate::chunk::Chunk;
use crate::column::{ColumnData, RowBits};
use crate::directory::Directory;
use crate::read::RowView;
use crate::scan::{self, RowBatch, ScanCursor, SimplePredicate};
use crate::schema::{CHUNK_ROWS, RowId};

/// The rows of a fragment at one moment. Cloning it is cheap; it shares all chunks with the fragment until
/// those are written again. It has no indexes: readers prune by [`ChunkView::bounds`].
#[derive(Clone, Debug)]
pub struct FragmentSnapshot {
    directory: Directory,
    rows: usize,
    version: u64,
    next_slot: u32,
}

impl FragmentSnapshot {
    pub(crate) fn new(directory: Directory, rows: usize, version: u64, next_slot: u32) -> FragmentSnapshot {
        FragmentSnapshot { directory, rows, version, next_slot }
    }

    /// The first slot that never held a row.
    pub fn next_slot(&self) -> u32 {
        self.next_slot
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How many rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// The fragment's version when the snapshot was taken.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A row, `None` if there is none in this slot.
    pub fn row(&self, row: RowId) -> Option<RowView<'_>> {
        let chunk = self.directory.chunk(row)?;
        chunk.is_live(row.place()).then(|| RowView::new(chunk, row.place()))
    }

    /// All rows, in slot order.
    pub fn rows(&self) -> impl Iterator<Item = (RowId, RowView<'_>)> {
        self.chunks().flat_map(|chunk| chunk.rows())
    }

    /// The chunks that hold rows, in slot order.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkView<'_>> {
        let chunks = self.directory.chunks().enumerate();
        let views = chunks.map(|(number, chunk)| ChunkView::new(chunk, number));
        views.filter(|view| view.row_count() > 0)
    }

    /// Appends the next live rows for which all predicates hold until `out` is full; false at the end.
    pub fn scan_batch(
        &self,
        cursor: &mut ScanCursor,
        predicates: &[SimplePredicate],
        out: &mut RowBatch,
    ) -> bool {
        scan::scan_batch(&self.directory, cursor, predicates, out)
    }

    /// Lets go of the chunks one by one, in order, as a checkpoint does when each is written.
    pub fn into_chunks(self) -> impl Iterator<Item = SharedChunk> + Send {
        let chunks: Vec<Arc<Chunk>> = self.directory.chunks().cloned().collect();
        drop(self.directory);
        let shared = chunks.into_iter().enumerate();
        shared.map(|(number, chunk)| SharedChunk { chunk, first: RowId((number * CHUNK_ROWS) as u32) })
    }
}

/// A chunk that outlives the snapshot it came from.
#[derive(Clone, Debug)]
pub struct SharedChunk {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) first: RowId,
}

impl SharedChunk {
    /// Its rows and columns.
    pub fn view(&self) -> ChunkView<'_> {
        ChunkView { chunk: &self.chunk, first: self.first }
    }
}

/// Up to 512 rows as typed columns.
#[derive(Clone, Copy, Debug)]
pub struct ChunkView<'a> {
    chunk: &'a Chunk,
    first: RowId,
}

impl<'a> ChunkView<'a> {
    /// A chunk of a directory by its number.
    pub(crate) fn new(chunk: &'a Chunk, number: usize) -> ChunkView<'a> {
        ChunkView { chunk, first: RowId((number * CHUNK_ROWS) as u32) }
    }

    /// The slot of the chunk's first place.
    pub fn first_row(&self) -> RowId {
        self.first
    }

    /// A bit for each place that holds a row.
    pub fn live(&self) -> &'a [u64] {
        &self.chunk.live
    }

    /// How many rows.
    pub fn row_count(&self) -> usize {
        self.chunk.live.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The live places for which all predicates hold.
    pub fn select(&self, predicates: &[SimplePredicate]) -> RowBits {
        scan::select(self.chunk, predicates)
    }

    /// A column's values by place. Vectors may be shorter than 512: no place beyond holds a row.
    pub fn column(&self, column: usize) -> &'a ColumnData {
        self.chunk.columns()[column].data()
    }

    /// A bit for each place where the column is NULL, `None` when there is no NULL.
    pub fn nulls(&self, column: usize) -> Option<&'a [u64]> {
        self.chunk.columns()[column].nulls().map(RowBits::as_slice)
    }

    /// Smallest and largest value of an integer, date, time or oid column, computed once a chunk;
    /// `None` for other types and where all are NULL.
    pub fn bounds(&self, column: usize) -> Option<(i64, i64)> {
        self.chunk.bounds(column)
    }

    /// Its rows, in slot order.
    pub fn rows(&self) -> impl Iterator<Item = (RowId, RowView<'a>)> + use<'a> {
        let ChunkView { chunk, first } = *self;
        chunk.live_places().map(move |place| (RowId(first.0 + place as u32), RowView::new(chunk, place)))
    }
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<FragmentSnapshot>();
};
