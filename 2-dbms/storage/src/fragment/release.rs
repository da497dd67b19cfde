//! What deleted rows give back: slots, long values, the memory of chunks that have become empty.

use super::{CLEARED, Fragment};
use crate::chunk::Chunk;
use crate::schema::{CHUNK_ROWS, RowId};

impl Fragment {
    /// Gives back the slots and long values of deleted rows. Each transaction ends with it, committed or undone.
    #[inline]
    pub fn release_deleted(&mut self) {
        if !self.deleted.is_empty() {
            self.release_all();
        }
    }

    fn release_all(&mut self) {
        let mut deleted = std::mem::take(&mut self.deleted);
        for row in &deleted {
            // A row may have been restored or its slot filled by number since.
            if !self.is_live(*row) {
                self.release(*row);
            }
        }
        if self.rows == 0 && self.next_slot >= CLEARED {
            self.clear();
        }
        deleted.drain(..).for_each(|row| self.give_back(row));
        self.deleted = deleted;
    }

    pub(super) fn release(&mut self, row: RowId) {
        self.free.insert(row.0);
        let has_heap = self.directory.chunk(row).is_some_and(|chunk| chunk.heap_bytes(row.place()) > 0);
        if has_heap && let Some(chunk) = self.directory.chunk_mut(row) {
            for column in 0..self.types.len() {
                let bytes = chunk.columns()[column].heap_bytes(row.place());
                if bytes > 0 {
                    self.heap_bytes -= bytes;
                    chunk.own(column).drop_value(row.place());
                }
            }
            self.settle();
        }
    }

    /// Lets go of the memory of the row's chunk if it is empty, and no row in it can come back. One such memory is kept: a
    /// queue empties and begins chunks in turn.
    #[inline]
    pub(super) fn give_back(&mut self, row: RowId) {
        let empty = |chunk: &Chunk| chunk.is_empty() && chunk.has_place(row.place());
        if row.chunk() != 0
            && self.directory.chunk(row).is_some_and(empty)
            && self.free.len() >= 2 * CHUNK_ROWS
        {
            self.take_chunk(row);
        }
    }

    #[cold]
    fn take_chunk(&mut self, row: RowId) {
        let Some(chunk) = self.directory.chunk_mut(row) else { return };
        let (places, columns) = chunk.take_columns(&self.types);
        self.chunk_bytes -= places * self.row_bytes;
        self.spare = self.spare.take().or(columns);
        self.settle();
    }
}
