//! What a fragment is told about its table: column types, indexes, and how rows are named.

use std::sync::Arc;

use tuplix_types::{SqlError, SqlState, TypeId, Value};

use crate::memory::Memory;
use crate::read::RowView;

/// Rows in a chunk.
pub const CHUNK_ROWS: usize = 512;

/// Row slots in a fragment; the top bit of a slot number tells a hash index's lists from rows.
pub const MAX_ROWS: u32 = 1 << 31;

/// Indexes of a fragment: a set of them is one word.
pub const MAX_INDEXES: usize = 64;

/// A row's slot in its fragment: chunk `slot / 512`, place `slot % 512`.
///
/// It names the row until the row is deleted and its slot released; then another row may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub u32);

impl RowId {
    /// Which chunk.
    #[inline]
    pub(crate) fn chunk(self) -> usize {
        self.0 as usize / CHUNK_ROWS
    }

    /// Which place in the chunk.
    #[inline]
    pub(crate) fn place(self) -> usize {
        self.0 as usize % CHUNK_ROWS
    }
}

/// The columns and first indexes of a fragment.
#[derive(Clone, Debug, Default)]
pub struct FragmentSchema {
    /// The columns' types. A domain is given as its base type and an enum as `text`; a type that
    /// storage has no vector for is kept as a vector of [`Value`].
    pub columns: Vec<TypeId>,
    /// The indexes that [`Fragment::new`](crate::Fragment::new) starts with, numbered from 0.
    pub indexes: Vec<Arc<IndexSchema>>,
    /// Where the memory of its fragments is counted.
    pub memory: Arc<Memory>,
}

/// How an index finds rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// By equality of the whole key. Rows with a NULL in the key are not in it.
    Hash,
    /// In the key's order. All rows are in it.
    Ordered,
}

/// One column of an index key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexColumn {
    /// Which table column; the number is ignored when the index has computed keys.
    pub column: usize,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST` (PostgreSQL's default is first for `DESC`, last otherwise).
    pub nulls_first: bool,
}

impl IndexColumn {
    /// The column ascending, NULLs last.
    pub fn ascending(column: usize) -> IndexColumn {
        IndexColumn { column, descending: false, nulls_first: false }
    }

    /// The column descending, NULLs first.
    pub fn descending(column: usize) -> IndexColumn {
        IndexColumn { column, descending: true, nulls_first: true }
    }
}

/// An index.
#[derive(Clone, Debug)]
pub struct IndexSchema {
    /// How it finds rows.
    pub kind: IndexKind,
    /// Whether two live rows may not have the same key. Storage only uses this to keep the index small and
    /// to answer [`Fragment::find_conflict`](crate::Fragment::find_conflict); the caller checks.
    pub unique: bool,
    /// The key.
    pub columns: Vec<IndexColumn>,
    /// For partial and expression indexes: who says what a row's key is.
    pub computed: Option<Arc<dyn IndexKeys>>,
}

impl IndexSchema {
    /// A hash index over table columns.
    pub fn hash(unique: bool, columns: &[usize]) -> IndexSchema {
        IndexSchema {
            kind: IndexKind::Hash,
            unique,
            columns: columns.iter().map(|&column| IndexColumn::ascending(column)).collect(),
            computed: None,
        }
    }

    /// An ordered index over table columns.
    pub fn ordered(unique: bool, columns: Vec<IndexColumn>) -> IndexSchema {
        IndexSchema { kind: IndexKind::Ordered, unique, columns, computed: None }
    }

    /// The key that a row of these values has in an index over table columns.
    pub(crate) fn key_of(&self, values: &[Value]) -> Vec<Value> {
        assert!(self.computed.is_none(), "a computed key is not taken from columns");
        self.columns.iter().map(|key| values[key.column].clone()).collect()
    }
}

/// Computes the keys of a partial or expression index from a row.
///
/// It must be a pure function of the columns it names. A failing expression has to be found by the
/// caller before the write, when it looks for conflicts; here it can only leave the row out.
pub trait IndexKeys: Send + Sync + std::fmt::Debug {
    /// The table columns that keys are computed from.
    fn columns(&self) -> &[usize];

    /// Appends the row's key to `key` and says whether the row is in the index at all.
    fn key(&self, row: RowView<'_>, key: &mut Vec<Value>) -> bool;
}

/// The fragment has no free slot left: it holds [`MAX_ROWS`] rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a bucket of a table cannot have more than {MAX_ROWS} rows")
    }
}

impl std::error::Error for Full {}

impl From<Full> for SqlError {
    fn from(full: Full) -> SqlError {
        SqlError::new(SqlState(*b"54000"), full.to_string())
    }
}

/// Why a row was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No slot is left.
    Full(Full),
    /// A row has its key.
    Taken {
        /// In the index of this number.
        index: usize,
        /// The row.
        row: RowId,
    },
}

/// The table has [`MAX_INDEXES`] indexes already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyIndexes;

impl std::fmt::Display for TooManyIndexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a table cannot have more than {MAX_INDEXES} indexes")
    }
}

impl std::error::Error for TooManyIndexes {}

impl From<TooManyIndexes> for SqlError {
    fn from(error: TooManyIndexes) -> SqlError {
        SqlError::new(SqlState(*b"54000"), error.to_string())
    }
}
