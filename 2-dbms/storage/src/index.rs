//! An index of either kind.

use std::sync::Arc;

use tuplix_types::{TypeId, Value};

use crate::directory::Directory;
use crate::hash_index::HashIndex;
use crate::key::KeySource;
use crate::memory::Charge;
use crate::ordered_index::OrderedIndex;
use crate::schema::{IndexKind, IndexSchema, RowId};

/// An index with its schema.
#[derive(Debug)]
pub(crate) enum Index {
    Hash(Arc<IndexSchema>, HashIndex),
    Ordered(Arc<IndexSchema>, OrderedIndex),
}

impl Index {
    pub(crate) fn new(schema: Arc<IndexSchema>, types: &[TypeId], charge: Charge) -> Index {
        let source = KeySource::new(&schema, types);
        match schema.kind {
            IndexKind::Hash => {
                let index = HashIndex::new(source, schema.unique, charge);
                Index::Hash(schema, index)
            }
            IndexKind::Ordered => {
                let index = OrderedIndex::new(source, &schema, types, charge);
                Index::Ordered(schema, index)
            }
        }
    }

    pub(crate) fn schema(&self) -> &Arc<IndexSchema> {
        match self {
            Index::Hash(schema, _) | Index::Ordered(schema, _) => schema,
        }
    }

    pub(crate) fn source(&self) -> &KeySource {
        match self {
            Index::Hash(_, index) => index.source(),
            Index::Ordered(_, index) => index.source(),
        }
    }

    /// Adds a row that lies in its chunk already.
    #[inline]
    pub(crate) fn insert(&mut self, directory: &Directory, row: RowId) {
        match self {
            Index::Hash(_, index) => index.insert(directory, row),
            Index::Ordered(_, index) => index.insert(directory, row),
        }
    }

    /// Adds all live rows of a fragment to an empty index.
    pub(crate) fn build(&mut self, directory: &Directory, rows: usize) {
        match self {
            Index::Hash(_, index) => index.build(directory, rows),
            Index::Ordered(_, index) => index.build(directory, rows),
        }
    }

    /// Takes out a row whose key still lies in its chunk.
    #[inline]
    pub(crate) fn remove(&mut self, directory: &Directory, row: RowId) {
        match self {
            Index::Hash(_, index) => index.remove(directory, row),
            Index::Ordered(_, index) => index.remove(directory, row),
        }
    }

    /// A row with this key.
    #[inline]
    pub(crate) fn lookup(&self, directory: &Directory, key: &[Value]) -> Option<RowId> {
        match self {
            Index::Hash(_, index) => index.lookup(directory, key),
            Index::Ordered(_, index) => index.lookup(key),
        }
    }

    /// Whether no two rows may have the same key, which is one of columns.
    #[inline]
    pub(crate) fn is_unique_of_columns(&self) -> bool {
        let schema = self.schema();
        schema.unique && schema.computed.is_none()
    }

    /// A row with the key of the row of these values, one for each column of the table; none where it has a NULL.
    #[inline]
    pub(crate) fn lookup_like(&self, directory: &Directory, values: &[Value]) -> Option<RowId> {
        let copied;
        let key = match self.source() {
            KeySource::Integer(a) => std::slice::from_ref(&values[*a]),
            KeySource::IntegerPair(a, b) if *b == *a + 1 => &values[*a..=*b],
            _ => {
                copied = self.schema().key_of(values);
                &copied[..]
            }
        };
        if key.iter().any(Value::is_null) { None } else { self.lookup(directory, key) }
    }

    /// Appends all rows with this key.
    pub(crate) fn lookup_all(&self, directory: &Directory, key: &[Value], out: &mut Vec<RowId>) {
        match self {
            Index::Hash(_, index) => index.lookup_all(directory, key, out),
            Index::Ordered(_, index) => index.lookup_all(key, out),
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        match self {
            Index::Hash(_, index) => index.clear(),
            Index::Ordered(_, index) => index.clear(),
        }
    }

    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Index::Hash(_, index) => index.memory_bytes(),
            Index::Ordered(_, index) => index.memory_bytes(),
        }
    }
}
