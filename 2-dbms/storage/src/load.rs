//! Rows by the chunk, as a checkpoint has them, and from bytes value by value, as the log has them: into a fragment without indexes, which are built
//! afterwards.

use tuplix_types::TypeId;
use tuplix_types::encoding::DecodeError;

use crate::chunk::Chunk;
use crate::column::{ColumnData, RowBits};
use crate::fragment::Fragment;
use crate::schema::{CHUNK_ROWS, Full, MAX_ROWS, RowId};

/// A column of a [`LoadedChunk`].
#[derive(Clone, Debug)]
pub struct LoadedColumn {
    /// Values by place, as many as [`LoadedChunk::places`] says; anything where there is NULL or no row.
    pub data: ColumnData,
    /// A bit for each place where the column is NULL.
    pub nulls: Option<Box<RowBits>>,
}

/// Up to [`CHUNK_ROWS`] rows from elsewhere.
#[derive(Clone, Debug)]
pub struct LoadedChunk {
    /// The slot of the chunk's first place, a multiple of [`CHUNK_ROWS`].
    pub first: RowId,
    /// A bit for each place that holds a row.
    pub live: RowBits,
    /// The columns.
    pub columns: Vec<LoadedColumn>,
}

impl LoadedChunk {
    /// How many places a chunk with these rows has: places behind the last row are left out.
    pub fn places(live: &RowBits) -> usize {
        let last = live.iter().enumerate().rev().find(|(_, word)| **word != 0);
        last.map_or(0, |(index, word)| index * 64 + 64 - word.leading_zeros() as usize)
    }
}

/// Why rows cannot be put into a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    /// Its place is not one of a chunk, or too far, or not behind the chunks that are there.
    #[error("a chunk begins at row slot {0}")]
    Place(u32),
    /// The columns are not those of the table.
    #[error("a chunk has {found} columns, the table has {wanted}")]
    Columns {
        /// Of the chunk.
        found: usize,
        /// Of the table.
        wanted: usize,
    },
    /// A column's values are of another type, or not as many as there are places.
    #[error("column {0} of a chunk has values that are not its own")]
    Column(usize),
}

/// Why a row cannot be put into a fragment or changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// The slot is beyond the last one, or has a row already, or should have one and has none.
    #[error(
        "row slot {0} is beyond the last one, taken where it should be free, or free where it should be taken"
    )]
    Slot(u32),
    /// The table has no such column, or a value is not of its column's type.
    #[error("a value of column {0} is not one of the table's")]
    Type(usize),
    /// The bytes are no value.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
}

impl Fragment {
    /// Puts a row into this slot, its values taken from the front of bytes of [`tuplix_types::encoding`], one for each column. An error
    /// may leave the row's values behind, not the row.
    ///
    /// # Errors
    /// [`BadRow`].
    ///
    /// # Panics
    /// When the fragment has an index: build indexes when all rows are there.
    #[inline]
    pub fn load_row(&mut self, row: RowId, bytes: &mut &[u8]) -> Result<(), BadRow> {
        assert!(self.index_count() == 0, "indexes are built when all rows are there");
        if row.0 >= MAX_ROWS || self.is_live(row) {
            return Err(BadRow::Slot(row.0));
        }
        self.put_with(row, |chunk, place| chunk.load_row(place, bytes).map_err(Stopped::By)).map_err(
            |stopped| match stopped {
                Stopped::By(error) => error,
                Stopped::Full => BadRow::Slot(row.0),
            },
        )
    }

    /// Changes columns of the row in this slot, their values taken from the front of bytes. An error may leave some of them changed.
    ///
    /// # Errors
    /// [`BadRow`].
    ///
    /// # Panics
    /// When the fragment has an index.
    #[inline]
    pub fn load_changes(
        &mut self,
        row: RowId,
        columns: impl IntoIterator<Item = usize>,
        bytes: &mut &[u8],
    ) -> Result<(), BadRow> {
        assert!(self.index_count() == 0, "indexes are built when all rows are there");
        if !self.is_live(row) {
            return Err(BadRow::Slot(row.0));
        }
        self.change_each(row, columns, bytes)
    }

    /// Puts rows in place. Chunks come in the order of their slots; slots that they leave out are free.
    ///
    /// # Errors
    /// [`BadChunk`] when they do not fit; nothing has changed then.
    ///
    /// # Panics
    /// When the fragment has an index: build indexes when all rows are there.
    pub fn load_chunk(&mut self, loaded: LoadedChunk) -> Result<(), BadChunk> {
        let LoadedChunk { first, live, columns } = loaded;
        let number = first.chunk();
        let places = LoadedChunk::places(&live);
        let is_behind = first.place() == 0 && first.0 >= self.next_free_slot();
        if !is_behind || first.0 > MAX_ROWS - CHUNK_ROWS as u32 {
            return Err(BadChunk::Place(first.0));
        }
        check_columns(&columns, self.column_types(), &[], places)?;
        if places > 0 {
            let columns = columns.into_iter().map(|column| (column.data, column.nulls));
            self.put_chunk(number, Chunk::loaded(live, columns, places));
        }
        Ok(())
    }
}

/// Checks that columns are of these types, those beyond `present` and those of which it says so.
pub(crate) fn check_columns(
    columns: &[LoadedColumn],
    types: &[TypeId],
    present: &[bool],
    places: usize,
) -> Result<(), BadChunk> {
    if columns.len() != types.len() {
        return Err(BadChunk::Columns { found: columns.len(), wanted: types.len() });
    }
    for (index, (column, type_id)) in columns.iter().zip(types).enumerate() {
        let is_present = present.get(index).copied().unwrap_or(true);
        if is_present && !column.data.fits(&ColumnData::new(*type_id), places) {
            return Err(BadChunk::Column(index));
        }
    }
    Ok(())
}

/// Why a row was not written.
enum Stopped {
    Full,
    By(BadRow),
}

impl From<Full> for Stopped {
    fn from(_: Full) -> Stopped {
        Stopped::Full
    }
}

impl ColumnData {
    /// Whether this is a vector of the same kind as `other` for so many places.
    fn fits(&self, other: &ColumnData, places: usize) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.places() == places
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_types::{TypeId, Value};

    use super::*;
    use crate::schema::FragmentSchema;
    use crate::snapshot::ChunkView;

    fn schema() -> FragmentSchema {
        FragmentSchema { columns: vec![TypeId::INT4, TypeId::TEXT], ..FragmentSchema::default() }
    }

    fn copy(view: &ChunkView<'_>) -> LoadedChunk {
        let live: RowBits = view.live().try_into().unwrap();
        let places = LoadedChunk::places(&live);
        let (mut numbers, mut texts) = (vec![0; places], vec![ecow::EcoString::new(); places]);
        let mut nulls = [0u64; CHUNK_ROWS / 64];
        for (row, columns) in view.rows() {
            numbers[row.place()] = columns.integer(0).unwrap() as i32;
            match columns.text(1) {
                Some(text) => texts[row.place()] = text.into(),
                None => nulls[row.place() / 64] |= 1 << (row.place() % 64),
            }
        }
        let columns = vec![
            LoadedColumn { data: ColumnData::Int4(numbers.into()), nulls: None },
            LoadedColumn { data: ColumnData::Text(texts.into()), nulls: Some(Box::new(nulls)) },
        ];
        LoadedChunk { first: view.first_row(), live, columns }
    }

    /// Rows, free slots and what is counted are those of the fragment that the chunks came from.
    #[test]
    fn a_fragment_comes_back() {
        let mut fragment = Fragment::new(&schema());
        for number in 0..1500 {
            let text =
                if number % 7 == 0 { Value::Null } else { Value::text(format!("the text of row {number}")) };
            fragment.insert(&[Value::Int4(number), text]).unwrap();
        }
        for row in (3..1490).filter(|row| row % 5 == 0 || (512..1024).contains(row)) {
            fragment.delete(RowId(row));
        }
        fragment.release_deleted();
        let mut loaded = Fragment::new(&schema());
        for chunk in fragment.snapshot().chunks() {
            loaded.load_chunk(copy(&chunk)).unwrap();
        }
        assert_eq!(loaded.row_count(), fragment.row_count());
        let rows = |fragment: &Fragment| -> Vec<_> {
            let snapshot = fragment.snapshot();
            snapshot.rows().map(|(row, view)| (row, view.values().collect::<Vec<_>>())).collect()
        };
        assert_eq!(rows(&loaded), rows(&fragment));
        // Later rows go where they would have gone.
        for number in 0..700 {
            let row = [Value::Int4(number), Value::Null];
            assert_eq!(loaded.insert(&row).unwrap(), fragment.insert(&row).unwrap());
        }
        for fragment in [&mut loaded, &mut fragment] {
            let all: Vec<RowId> = rows(fragment).into_iter().map(|(row, _)| row).collect();
            all.into_iter().for_each(|row| fragment.delete(row));
            fragment.release_deleted();
        }
        assert_eq!((loaded.heap_bytes(), fragment.heap_bytes()), (0, 0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut fragment = Fragment::new(&schema());
        fragment.insert(&[Value::Int4(1), Value::Null]).unwrap();
        let snapshot = fragment.snapshot();
        let chunk = copy(&snapshot.chunks().next().unwrap());
        assert_eq!(fragment.load_chunk(chunk.clone()), Err(BadChunk::Place(0)), "its slots are taken");
        let mut loaded = Fragment::new(&schema());
        let elsewhere = LoadedChunk { first: RowId(7), ..chunk.clone() };
        assert_eq!(loaded.load_chunk(elsewhere), Err(BadChunk::Place(7)));
        let far = LoadedChunk { first: RowId(MAX_ROWS), ..chunk.clone() };
        assert_eq!(loaded.load_chunk(far), Err(BadChunk::Place(MAX_ROWS)));
        let mut swapped = chunk.clone();
        swapped.columns.reverse();
        assert_eq!(loaded.load_chunk(swapped), Err(BadChunk::Column(0)));
        let mut short = chunk.clone();
        short.columns.pop();
        assert_eq!(loaded.load_chunk(short), Err(BadChunk::Columns { found: 1, wanted: 2 }));
        let mut wide = chunk;
        wide.live[0] = 0b111;
        assert_eq!(loaded.load_chunk(wide), Err(BadChunk::Column(0)));
        assert_eq!(loaded.row_count(), 0);
    }
}
