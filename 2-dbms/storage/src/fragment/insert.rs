//! The part of [`Fragment`] that adds rows: the keys are looked for, the row is written, the index entries follow.

use tuplix_types::Value;

use super::Fragment;
use crate::chunk::Chunk;
use crate::hash_index::{Probe, Vacancy};
use crate::index::Index;
use crate::schema::{Full, MAX_ROWS, Refused, RowId};

/// Indexes, the first ones of a table, whose keys an insert hashes once where they are unique and hashed; the others are looked
/// into and written one after the other.
const PROBED: usize = 4;

/// Where the entries of a new row belong, by the number of the index.
type Vacancies = [Option<Vacancy>; PROBED];

impl Fragment {
    /// As [`Fragment::insert`], unless a live row has its key in a unique index over columns. Each key is hashed once for
    /// looking and inserting. Unique indexes with computed keys are not looked into.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    #[inline]
    pub fn insert_unless_taken(&mut self, values: &[Value]) -> Result<RowId, Refused> {
        let mut vacancies: Vacancies = [None; PROBED];
        let mut others = 0;
        for (number, index) in self.indexes.iter().enumerate() {
            if let Some(Index::Hash(_, hash)) = index
                && number < PROBED
                && hash.is_probed()
            {
                match hash.probe(&self.directory, values) {
                    Probe::Taken(row) => return Err(Refused::Taken { index: number, row }),
                    Probe::NoKey => {}
                    Probe::Vacant(vacancy) => vacancies[number] = Some(vacancy),
                }
            } else {
                others |= 1 << number;
                if let Some(row) = self.taken_in(number, values) {
                    return Err(Refused::Taken { index: number, row });
                }
            }
        }
        let row = RowId(self.free.first().unwrap_or(self.next_slot));
        self.put(row, values).map_err(Refused::Full)?;
        for (number, vacancy) in vacancies.into_iter().enumerate().take(self.indexes.len()) {
            if let (Some(vacancy), Some(Index::Hash(_, hash))) = (vacancy, &mut self.indexes[number]) {
                hash.fill(vacancy, row);
            }
        }
        self.add_to_indexes(row, others);
        Ok(row)
    }

    /// The row that has the key of these values in an index that is not probed, if that one is unique.
    #[inline(never)]
    fn taken_in(&self, number: usize, values: &[Value]) -> Option<RowId> {
        let index = self.index_at(number).filter(|index| index.is_unique_of_columns())?;
        index.lookup_like(&self.directory, values)
    }

    /// Writes a row into a free slot, without its index entries.
    #[inline]
    pub(super) fn put(&mut self, row: RowId, values: &[Value]) -> Result<(), Full> {
        assert_eq!(values.len(), self.types.len(), "a row has a value for each column");
        self.put_with(row, |chunk, place| Ok(chunk.write_row(place, values)))
    }

    /// As [`Fragment::put`], with what writes the row and says by how much the bytes on the heap change. The row is not there
    /// where that fails.
    #[inline]
    pub(crate) fn put_with<E: From<Full>>(
        &mut self,
        row: RowId,
        write: impl FnOnce(&mut Chunk, usize) -> Result<isize, E>,
    ) -> Result<(), E> {
        if row.0 >= MAX_ROWS {
            return Err(Full.into());
        }
        if row.chunk() >= self.directory.len() {
            self.directory.grow(row.chunk() + 1, &self.types);
        }
        let place = row.place();
        let Some(chunk) = self.directory.chunk_mut(row) else { return Err(Full.into()) };
        assert!(!chunk.is_live(place), "the slot is free");
        let new_places = chunk.ensure_place(place, row.chunk() == 0, &mut self.spare);
        if new_places != 0 {
            self.chunk_bytes += new_places * self.row_bytes;
        }
        let heap = write(chunk, place)?;
        chunk.set_live(place, true);
        chunk.forget_bounds();
        self.take_slot(row);
        if heap != 0 {
            self.heap_bytes = self.heap_bytes.wrapping_add_signed(heap);
            self.settle();
        }
        if new_places != 0 {
            self.tell_places();
        }
        Ok(())
    }

    #[cold]
    fn tell_places(&mut self) {
        let bytes = self.charged_bytes();
        self.charge.tell(bytes);
    }

    /// Books a slot as taken.
    #[inline]
    pub(super) fn take_slot(&mut self, row: RowId) {
        if row.0 == self.next_slot {
            self.next_slot += 1;
        } else {
            self.take_slot_elsewhere(row);
        }
        self.rows += 1;
        self.version += 1;
    }

    #[inline(never)]
    fn take_slot_elsewhere(&mut self, row: RowId) {
        if row.0 < self.next_slot {
            self.free.remove(row.0);
            return;
        }
        for slot in self.next_slot..row.0 {
            self.free.insert(slot);
        }
        self.next_slot = row.0 + 1;
    }
}
