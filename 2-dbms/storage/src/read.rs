//! Reading a row where it lies.

use tuplix_types::Value;

use crate::chunk::Chunk;
use crate::column::ColumnData;

/// A row in its chunk. Finding the chunk is paid once for all its columns.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    chunk: &'a Chunk,
    place: usize,
}

impl<'a> RowView<'a> {
    pub(crate) fn new(chunk: &'a Chunk, place: usize) -> RowView<'a> {
        RowView { chunk, place }
    }

    /// A column's value.
    ///
    /// # Panics
    /// Here and below: if there is no such column.
    #[inline]
    pub fn value(&self, column: usize) -> Value {
        self.chunk.columns()[column].read(self.place)
    }

    /// Whether a column is NULL.
    #[inline]
    pub fn is_null(&self, column: usize) -> bool {
        self.chunk.columns()[column].is_null(self.place)
    }

    /// An integer, date, time or oid of any width; `None` for NULL and for columns of other types.
    #[inline]
    pub fn integer(&self, column: usize) -> Option<i64> {
        self.chunk.columns()[column].integer(self.place)
    }

    /// The text of a text column, without a copy; `None` for NULL and for columns of other types.
    #[inline]
    pub fn text(&self, column: usize) -> Option<&'a str> {
        let column = &self.chunk.columns()[column];
        match column.data() {
            ColumnData::Text(v) if !column.is_null(self.place) => Some(&v[self.place]),
            _ => None,
        }
    }

    /// The bytes of a `bytea` column, without a copy; `None` for NULL and for columns of other types.
    #[inline]
    pub fn bytes(&self, column: usize) -> Option<&'a [u8]> {
        let column = &self.chunk.columns()[column];
        match column.data() {
            ColumnData::Bytea(v) if !column.is_null(self.place) => v[self.place].as_deref(),
            _ => None,
        }
    }

    /// All columns.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<'a> {
        let place = self.place;
        self.chunk.columns().iter().map(move |column| column.read(place))
    }
}
