//! Changes of rows that are there.

use tuplix_types::{Value, equal};

use super::Fragment;
use crate::load::BadRow;
use crate::read::RowView;
use crate::schema::RowId;

impl Fragment {
    /// Changes columns of a row. Only indexes over columns whose values change are touched.
    #[inline]
    pub fn update(&mut self, row: RowId, changes: &[(usize, Value)]) {
        let indexes = self.indexes_changed(row, changes);
        self.remove_from_indexes(row, indexes);
        let chunk = self.live_chunk_mut(row);
        let mut heap = 0;
        for (column, value) in changes {
            heap += chunk.own(*column).write(row.place(), value);
        }
        self.written(heap);
        self.add_to_indexes(row, indexes);
    }

    /// Changes columns of a live row that no index depends on; see [`Fragment::load_changes`].
    #[inline]
    pub(crate) fn change_each(
        &mut self,
        row: RowId,
        columns: impl IntoIterator<Item = usize>,
        bytes: &mut &[u8],
    ) -> Result<(), BadRow> {
        let width = self.types.len();
        let chunk = self.live_chunk_mut(row);
        let mut heap = 0;
        for column in columns {
            if column >= width {
                return Err(BadRow::Type(column));
            }
            heap += chunk.own(column).load(row.place(), bytes)?.ok_or(BadRow::Type(column))?;
        }
        self.written(heap);
        Ok(())
    }

    /// Changes columns of a row and leaves the old values in `changes`: calling it again undoes it.
    #[inline]
    pub fn exchange(&mut self, row: RowId, changes: &mut [(usize, Value)]) {
        self.exchange_then(row, changes, |_| ());
    }

    /// As [`Fragment::exchange`]; `then` gets the row as it is now, without its being looked for again.
    #[inline(always)]
    pub fn exchange_then(
        &mut self,
        row: RowId,
        changes: &mut [(usize, Value)],
        then: impl FnOnce(RowView<'_>),
    ) {
        let mut depending = 0;
        for (column, _) in changes.iter() {
            depending |= self.indexes_of_column[*column];
        }
        if depending == 0 {
            return self.exchange_beside_indexes(row, changes, then);
        }
        self.exchange_with_indexes(row, changes);
        then(RowView::new(self.live_chunk(row), row.place()));
    }

    #[inline(never)]
    fn exchange_with_indexes(&mut self, row: RowId, changes: &mut [(usize, Value)]) {
        let indexes = self.indexes_changed(row, changes);
        self.remove_from_indexes(row, indexes);
        let chunk = self.live_chunk_mut(row);
        let mut heap = 0;
        for (column, value) in changes {
            heap += chunk.own(*column).exchange(row.place(), value);
        }
        self.written(heap);
        self.add_to_indexes(row, indexes);
    }

    /// As [`Fragment::exchange_then`], of columns that no index depends on: the chunk is looked up once.
    #[inline(always)]
    fn exchange_beside_indexes(
        &mut self,
        row: RowId,
        changes: &mut [(usize, Value)],
        then: impl FnOnce(RowView<'_>),
    ) {
        let place = row.place();
        let chunk = match self.directory.chunk_mut(row) {
            Some(chunk) if chunk.is_live(place) => chunk,
            _ => panic!("a live row has the slot"),
        };
        if changes.len() > 1 {
            // One alone is checked where it is written.
            changes.iter().for_each(|(column, value)| chunk.columns()[*column].check(value));
        }
        chunk.forget_bounds();
        let mut heap = 0;
        for (column, value) in changes {
            heap += chunk.own(*column).exchange(place, value);
        }
        then(RowView::new(chunk, place));
        self.written(heap);
    }

    /// Checks changes and returns the indexes whose keys may change by them.
    #[inline]
    fn indexes_changed(&self, row: RowId, changes: &[(usize, Value)]) -> u64 {
        let chunk = self.live_chunk(row);
        let mut indexes = 0;
        for (column, value) in changes {
            chunk.columns()[*column].check(value);
            let depending = self.indexes_of_column[*column];
            if depending & !indexes != 0 && !equal(&chunk.columns()[*column].read(row.place()), value) {
                indexes |= depending;
            }
        }
        indexes
    }
}
