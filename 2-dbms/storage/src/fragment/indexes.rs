//! The part of [`Fragment`] that is about indexes.

use std::ops::Bound;
use std::sync::Arc;

use tuplix_types::Value;

use super::Fragment;
use crate::index::Index;
use crate::ordered_index::RangeCursor;
use crate::scan::RowBatch;
use crate::schema::{IndexSchema, MAX_INDEXES, RowId, TooManyIndexes};

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
        let mut index = Index::new(schema, &self.types, self.charge.of_index());
        for column in index.source().columns() {
            self.indexes_of_column[column] |= 1 << number;
        }
        index.build(&self.directory, self.rows);
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

    /// As [`Fragment::lookup`], in a hash index over so many integer columns of any width.
    #[inline]
    pub fn lookup_integers<const N: usize>(&self, index: usize, key: [i64; N]) -> Option<RowId> {
        match self.index(index) {
            Index::Hash(_, hash) => hash.lookup_integers(&self.directory, key),
            Index::Ordered(..) => None,
        }
    }

    /// Appends all rows whose key is `key`. In an ordered index a key may stop short of the last columns.
    pub fn lookup_all(&self, index: usize, key: &[Value], out: &mut Vec<RowId>) {
        self.index(index).lookup_all(&self.directory, key, out);
    }

    /// A live row in the way of a row of these values, one for each column, in a unique index over columns: it has the same
    /// key and is not `except`, the row being changed.
    #[inline]
    pub fn find_conflict(&self, index: usize, values: &[Value], except: Option<RowId>) -> Option<RowId> {
        let index = self.index(index);
        let found = index.lookup_like(&self.directory, values)?;
        if Some(found) != except {
            return Some(found);
        }
        let mut rows = Vec::new();
        index.lookup_all(&self.directory, &index.schema().key_of(values), &mut rows);
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
