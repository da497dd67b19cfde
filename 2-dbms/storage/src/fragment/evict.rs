//! Chunks that leave memory: their rows lie in a file from then on, and nobody gets their slots again.

use std::sync::Arc;

use tuplix_types::TypeId;

use super::Fragment;
use crate::chunk::Chunk;
use crate::load::{BadChunk, LoadedChunk, check_columns};
use crate::schema::{CHUNK_ROWS, MAX_ROWS, RowId};
use crate::snapshot::{ChunkView, FragmentSnapshot, SharedChunk};

impl SharedChunk {
    /// Rows from elsewhere that belong to no fragment, to be read as those of one. Only the columns of which `present` has a
    /// bit have to be there.
    ///
    /// # Errors
    /// [`BadChunk`] when the columns are not of these types.
    pub fn loaded(loaded: LoadedChunk, types: &[TypeId], present: &[bool]) -> Result<SharedChunk, BadChunk> {
        let LoadedChunk { first, live, columns } = loaded;
        let places = LoadedChunk::places(&live);
        check_columns(&columns, types, present, places)?;
        let columns = columns.into_iter().map(|column| (column.data, column.nulls));
        Ok(SharedChunk { chunk: Arc::new(Chunk::loaded(live, columns, places)), first })
    }

    /// Bytes that its long values have.
    pub fn heap_bytes(&self) -> usize {
        self.chunk.live_places().map(|place| self.chunk.heap_bytes(place)).sum()
    }
}

impl ChunkView<'_> {
    /// Whether every place holds a row. Where rows are only ever added, it then stays as it is.
    pub fn is_full(&self) -> bool {
        self.live().iter().all(|word| *word == u64::MAX)
    }
}

impl FragmentSnapshot {
    /// The chunks in which every place holds a row, by themselves, in slot order.
    pub fn full_chunks(&self) -> impl Iterator<Item = SharedChunk> {
        let shared = self.directory().chunks().enumerate();
        let shared = shared.map(|(number, chunk)| SharedChunk {
            chunk: Arc::clone(chunk),
            first: RowId((number * CHUNK_ROWS) as u32),
        });
        shared.filter(|chunk| chunk.view().is_full())
    }
}

impl Fragment {
    /// Whether the fragment still has this chunk as it is.
    pub fn has_chunk(&self, chunk: &SharedChunk) -> bool {
        let own = self.directory.shared_at(chunk.first.chunk());
        own.is_some_and(|own| Arc::ptr_eq(own, &chunk.chunk))
    }

    /// Lets go of a chunk whose rows lie elsewhere now; `heap_bytes` is what its long values have. The chunk is the caller's then,
    /// who may drop it where nobody waits. Its rows are counted here no more: the owner counts them as rows elsewhere. The version stays, for
    /// what a reader of both places sees has not changed.
    ///
    /// # Panics
    /// If the fragment does not have the chunk.
    pub fn evict(&mut self, chunk: &SharedChunk, heap_bytes: usize) {
        assert!(self.has_chunk(chunk), "a chunk that leaves is there");
        let rows = chunk.view().row_count();
        if !self.indexes.iter().all(Option::is_none) {
            for (row, _) in chunk.view().rows() {
                self.remove_from_indexes(row, u64::MAX);
            }
        }
        let empty = self.empty_chunk();
        self.directory.replace(chunk.first.chunk(), empty);
        self.evicted += 1;
        self.rows -= rows;
        self.chunk_bytes -= chunk.chunk.capacity() * self.row_bytes;
        self.heap_bytes -= heap_bytes;
        self.settle();
    }

    /// Forgets the rows of a chunk in which every place holds one, as if they had left before; nothing when there is no such chunk. For
    /// who replays what became of rows that had left memory, and has them in memory.
    pub fn forget_full(&mut self, first: RowId) {
        let Some(own) = self.directory.shared_at(first.chunk()) else { return };
        let chunk = SharedChunk { chunk: Arc::clone(own), first };
        if chunk.view().is_full() {
            self.evict(&chunk, chunk.heap_bytes());
        }
    }

    /// How many rows lie elsewhere: what its owner said last.
    pub fn rows_elsewhere(&self) -> u64 {
        self.rows_elsewhere
    }

    /// Says how many rows lie elsewhere.
    pub fn set_rows_elsewhere(&mut self, rows: u64) {
        self.rows_elsewhere = rows;
    }

    /// All chunks that have left share one without places.
    fn empty_chunk(&mut self) -> Arc<Chunk> {
        let types = &self.types;
        self.empty.get_or_insert_with(|| Arc::new(Chunk::new(types))).clone()
    }

    /// Says that slots below `next` that hold no row, in chunks that hold none at all, have been used up: their rows lie elsewhere.
    /// Those of the last chunk, where `next` lies inside of it, are free. For a fragment that recovery fills, before rows come beyond.
    ///
    /// # Errors
    /// [`BadChunk`] when there cannot be so many.
    pub fn use_up(&mut self, next: u32) -> Result<(), BadChunk> {
        if next > MAX_ROWS {
            return Err(BadChunk::Place(next));
        }
        let chunks = (next as usize).div_ceil(CHUNK_ROWS);
        // A chunk leaves when it is full: one that was never filled is still here, and only its rows are gone.
        let whole = next as usize / CHUNK_ROWS;
        while self.directory.len() < chunks {
            if self.directory.len() < whole {
                let empty = self.empty_chunk();
                self.directory.push_shared(empty);
            } else {
                self.directory.push(Chunk::new(&self.types));
            }
        }
        let emptied: Vec<usize> = (0..whole)
            .filter(|number| self.directory.chunk_at(*number).is_some_and(Chunk::is_empty))
            .collect();
        for number in emptied {
            let first = (number * CHUNK_ROWS) as u32;
            (first..first + CHUNK_ROWS as u32).for_each(|slot| {
                self.free.remove(slot);
            });
            let empty = self.empty_chunk();
            self.directory.replace(number, empty);
        }
        let empty = self.empty_chunk();
        self.evicted = self.directory.chunks().filter(|chunk| Arc::ptr_eq(chunk, &empty)).count();
        if next > self.next_slot {
            // What is left of a chunk that has rows is free, as in a fragment that was filled row by row.
            let partly = self.next_slot.next_multiple_of(CHUNK_ROWS as u32).min(next);
            let last = ((whole * CHUNK_ROWS) as u32).max(partly);
            (self.next_slot..partly).chain(last..next).for_each(|slot| self.free.insert(slot));
            self.next_slot = next;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use tuplix_types::Value;

    use super::*;
    use crate::memory::Memory;
    use crate::schema::{FragmentSchema, IndexSchema};

    fn fragment(memory: &Arc<Memory>) -> Fragment {
        Fragment::new(&FragmentSchema {
            columns: vec![TypeId::INT4, TypeId::TEXT],
            indexes: vec![Arc::new(IndexSchema::hash(false, &[0]))],
            memory: Arc::clone(memory),
        })
    }

    fn fill(fragment: &mut Fragment, rows: std::ops::Range<i32>) {
        for number in rows {
            let text = Value::text(format!("a text longer than fifteen bytes {number}"));
            fragment.insert(&[Value::Int4(number), text]).unwrap();
        }
    }

    #[test]
    fn what_has_left_takes_no_memory_and_its_slots_are_not_given_again() {
        let memory = Arc::default();
        let mut fragment = fragment(&memory);
        fill(&mut fragment, 0..2000);
        let before = memory.used();
        let snapshot = fragment.snapshot();
        let full: Vec<SharedChunk> = snapshot.full_chunks().collect();
        assert_eq!(full.len(), 3);
        drop(snapshot);
        for chunk in &full {
            fragment.evict(chunk, chunk.heap_bytes());
            assert!(!fragment.has_chunk(chunk));
        }
        assert_eq!(fragment.row_count(), 2000 - 3 * 512);
        assert!(memory.used() < before / 2, "{} of {before}", memory.used());
        assert_eq!(fragment.lookup(0, &[Value::Int4(100)]), None);
        assert_eq!(fragment.lookup(0, &[Value::Int4(1999)]), Some(RowId(1999)));
        assert_eq!(fragment.damaged_indexes(), Vec::<usize>::new());
        fill(&mut fragment, 2000..2001);
        assert_eq!(fragment.lookup(0, &[Value::Int4(2000)]), Some(RowId(2000)));
    }

    #[test]
    fn a_chunk_that_was_written_since_stays() {
        let memory = Arc::default();
        let mut fragment = fragment(&memory);
        fill(&mut fragment, 0..600);
        let snapshot = fragment.snapshot();
        let full: Vec<SharedChunk> = snapshot.full_chunks().collect();
        fragment.update(RowId(3), &[(0, Value::Int4(-3))]);
        assert_eq!((full.len(), fragment.has_chunk(&full[0])), (1, false));
    }

    /// A fragment filled from a checkpoint goes on where the one went on that had evicted.
    #[test]
    fn used_up_slots_stay_used_up() {
        let memory = Arc::default();
        let mut fragment = fragment(&memory);
        fill(&mut fragment, 0..1300);
        for chunk in fragment.snapshot().full_chunks().collect::<Vec<_>>() {
            fragment.evict(&chunk, chunk.heap_bytes());
        }
        let mut loaded = Fragment::new(&FragmentSchema {
            columns: vec![TypeId::INT4, TypeId::TEXT],
            ..FragmentSchema::default()
        });
        // The rows of the third chunk come as log records do.
        for (row, view) in fragment.snapshot().rows() {
            loaded.insert_at(row, &view.values().collect::<Vec<_>>()).unwrap();
        }
        loaded.use_up(1300).unwrap();
        assert_eq!(loaded.insert(&[Value::Int4(1), Value::Null]).unwrap(), RowId(1300));
        let mut empty =
            Fragment::new(&FragmentSchema { columns: vec![TypeId::INT4], ..FragmentSchema::default() });
        empty.use_up(1024).unwrap();
        assert_eq!(empty.insert(&[Value::Int4(1)]).unwrap(), RowId(1024));
        assert_eq!(empty.use_up(MAX_ROWS + 1), Err(BadChunk::Place(MAX_ROWS + 1)));
    }

    /// All rows of the last chunk were taken back: it fills up, and can leave.
    #[test]
    fn the_last_chunk_without_rows_is_not_used_up() {
        let schema = FragmentSchema { columns: vec![TypeId::INT4], ..FragmentSchema::default() };
        let mut fragment = Fragment::new(&schema);
        fragment.use_up(1300).unwrap();
        for number in 0..512 {
            fragment.insert(&[Value::Int4(number)]).unwrap();
        }
        let full: Vec<RowId> = fragment.snapshot().full_chunks().map(|chunk| chunk.first).collect();
        assert_eq!(full, [RowId(1024)]);
        assert_eq!(fragment.insert(&[Value::Int4(1)]).unwrap(), RowId(1536));
    }

    /// A new column's copies of chunks that a snapshot has are counted as held by it.
    #[test]
    fn a_new_column_beside_a_snapshot_is_counted() {
        let memory = Arc::default();
        let mut fragment = fragment(&memory);
        fill(&mut fragment, 0..2000);
        let snapshot = fragment.snapshot();
        fragment.add_column(TypeId::INT8, &Value::Int8(1));
        assert!(memory.held() > 0);
        drop(snapshot);
        assert_eq!(memory.held(), 0);
    }
}
