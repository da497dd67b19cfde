//! Ordered index: rows in the order of their keys.
//!
//! A key is its memcomparable encoding ([`tuplix_types::key`]) followed by the row, so equal keys are
//! different entries and one comparison of bytes decides, whatever the types and directions. The entries
//! are a B-tree. Keys of at most 24 bytes, that is of fixed-width columns, lie in the tree's nodes; of
//! longer ones the first 16 bytes do.

use std::collections::BTreeSet;
use std::ops::Bound;

use tuplix_types::{TypeId, Value};

use crate::directory::Directory;
use crate::key::{KeySource, OrderColumn, encode_values};
use crate::memory::Charge;
use crate::scan::RowBatch;
use crate::schema::{IndexSchema, RowId};

/// The longest key that a [`ShortKey`] holds.
const SHORT_BYTES: usize = 24;

trait TreeKey: Ord + Clone {
    /// The key for these bytes; a shorter string is as if followed by zeros, below all that it begins.
    fn new(bytes: &[u8], row: RowId) -> Self;
    fn row(&self) -> RowId;
    fn heap_bytes(&self) -> usize;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ShortKey {
    head: [u64; SHORT_BYTES / 8],
    row: RowId,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LongKey {
    head: [u64; 2],
    rest: Box<[u8]>,
    row: RowId,
}

/// The first bytes as big-endian words, zeros after the end.
#[inline]
fn head<const WORDS: usize>(bytes: &[u8]) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_be_bytes(padded);
    }
    words
}

impl TreeKey for ShortKey {
    #[inline]
    fn new(bytes: &[u8], row: RowId) -> ShortKey {
        debug_assert!(bytes.len() <= SHORT_BYTES);
        ShortKey { head: head(bytes), row }
    }

    fn row(&self) -> RowId {
        self.row
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl TreeKey for LongKey {
    fn new(bytes: &[u8], row: RowId) -> LongKey {
        LongKey { head: head(bytes), rest: bytes.get(16..).unwrap_or_default().into(), row }
    }

    fn row(&self) -> RowId {
        self.row
    }

    fn heap_bytes(&self) -> usize {
        if self.rest.is_empty() { 0 } else { self.rest.len() + 16 }
    }
}

#[derive(Clone, Debug)]
enum Tree {
    Short(BTreeSet<ShortKey>),
    Long(BTreeSet<LongKey>),
}

/// Where a range scan is. It stays valid whatever happens to the index between batches.
#[derive(Clone, Debug)]
pub struct RangeCursor {
    range: RangeOf,
    reverse: bool,
    done: bool,
}

#[derive(Clone, Debug)]
enum RangeOf {
    Short(Range<ShortKey>),
    Long(Range<LongKey>),
}

/// The keys from `start` to before `end`, after (or in reverse before) `last`.
#[derive(Clone, Debug)]
struct Range<K> {
    start: K,
    end: Option<K>,
    last: Option<K>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OrderedIndex {
    source: KeySource,
    order: Box<[OrderColumn]>,
    tree: Tree,
    heap_bytes: usize,
    scratch: Vec<u8>,
    charge: Charge,
}

impl OrderedIndex {
    /// Whether both have the same keys and rows.
    pub(crate) fn has_the_entries_of(&self, other: &OrderedIndex) -> bool {
        match (&self.tree, &other.tree) {
            (Tree::Short(own), Tree::Short(other)) => own == other,
            (Tree::Long(own), Tree::Long(other)) => own == other,
            _ => false,
        }
    }

    pub(crate) fn new(
        source: KeySource,
        schema: &IndexSchema,
        types: &[TypeId],
        charge: Charge,
    ) -> OrderedIndex {
        let is_computed = schema.computed.is_some();
        let order: Box<[_]> =
            schema.columns.iter().map(|key| OrderColumn::new(key, is_computed, types)).collect();
        let longest: Option<usize> = order.iter().map(OrderColumn::longest).sum();
        let tree = match longest {
            Some(bytes) if bytes <= SHORT_BYTES => Tree::Short(BTreeSet::new()),
            _ => Tree::Long(BTreeSet::new()),
        };
        OrderedIndex { source, order, tree, heap_bytes: 0, scratch: Vec::new(), charge }
    }

    pub(crate) fn source(&self) -> &KeySource {
        &self.source
    }

    /// Adds a row that lies in its chunk already.
    pub(crate) fn insert(&mut self, directory: &Directory, row: RowId) {
        if !self.encode(directory, row) {
            return;
        }
        match &mut self.tree {
            Tree::Short(tree) => {
                tree.insert(ShortKey::new(&self.scratch, row));
            }
            Tree::Long(tree) => {
                let key = LongKey::new(&self.scratch, row);
                self.heap_bytes += key.heap_bytes();
                tree.insert(key);
            }
        }
        self.charge.set(self.memory_bytes());
    }

    /// Adds all live rows of a fragment to an empty index: the keys are sorted, the tree's nodes are then filled in a row.
    pub(crate) fn build(&mut self, directory: &Directory, rows: usize) {
        self.tree = match self.tree {
            Tree::Short(_) => Tree::Short(self.keys(directory, rows).into_iter().collect()),
            Tree::Long(_) => Tree::Long(self.keys(directory, rows).into_iter().collect()),
        };
        self.charge.set(self.memory_bytes());
    }

    /// The keys of all live rows, in the order of the rows.
    fn keys<K: TreeKey>(&mut self, directory: &Directory, rows: usize) -> Vec<K> {
        let mut keys = Vec::with_capacity(rows);
        for (row, chunk, place) in directory.live_rows() {
            self.scratch.clear();
            if self.source.encode_row(&self.order, chunk, place, &mut self.scratch) {
                let key = K::new(&self.scratch, row);
                self.heap_bytes += key.heap_bytes();
                keys.push(key);
            }
        }
        keys
    }

    /// Takes out a row whose key still lies in its chunk.
    pub(crate) fn remove(&mut self, directory: &Directory, row: RowId) {
        if !self.encode(directory, row) {
            return;
        }
        let removed = match &mut self.tree {
            Tree::Short(tree) => tree.remove(&ShortKey::new(&self.scratch, row)),
            Tree::Long(tree) => {
                let key = LongKey::new(&self.scratch, row);
                self.heap_bytes -= key.heap_bytes();
                tree.remove(&key)
            }
        };
        assert!(removed, "an indexed row has an entry");
        self.charge.set(self.memory_bytes());
    }

    /// Encodes a row's key into the scratch buffer; false if the row is not in the index.
    fn encode(&mut self, directory: &Directory, row: RowId) -> bool {
        self.scratch.clear();
        let Some(chunk) = directory.chunk(row) else { return false };
        self.source.encode_row(&self.order, chunk, row.place(), &mut self.scratch)
    }

    /// A range over the rows whose keys begin with values between the bounds, in the index's order.
    pub(crate) fn range(&self, lower: Bound<&[Value]>, upper: Bound<&[Value]>, reverse: bool) -> RangeCursor {
        let (range, done) = match self.tree {
            Tree::Short(_) => {
                let (range, done) = self.keys_between(lower, upper);
                (RangeOf::Short(range), done)
            }
            Tree::Long(_) => {
                let (range, done) = self.keys_between(lower, upper);
                (RangeOf::Long(range), done)
            }
        };
        RangeCursor { range, reverse, done }
    }

    /// The first key between the bounds and the first one after them, and whether nothing can be between.
    fn keys_between<K: TreeKey>(&self, lower: Bound<&[Value]>, upper: Bound<&[Value]>) -> (Range<K>, bool) {
        let mut bytes = Vec::with_capacity(64);
        let mut done = false;
        if let Bound::Included(key) | Bound::Excluded(key) = lower {
            encode_values(&self.order, key, &mut bytes);
            done = matches!(lower, Bound::Excluded(_)) && !step_over_prefix(&mut bytes);
        }
        let start = K::new(&bytes, RowId(0));
        bytes.clear();
        let mut has_end = false;
        if let Bound::Included(key) | Bound::Excluded(key) = upper {
            encode_values(&self.order, key, &mut bytes);
            has_end = matches!(upper, Bound::Excluded(_)) || step_over_prefix(&mut bytes);
        }
        let end = has_end.then(|| K::new(&bytes, RowId(0)));
        (Range { start, end, last: None }, done)
    }

    /// Appends up to `limit` next rows of the range; see [`Fragment::range_batch`](crate::Fragment::range_batch).
    pub(crate) fn range_batch(&self, cursor: &mut RangeCursor, limit: usize, out: &mut RowBatch) {
        if cursor.done {
            return;
        }
        let limit = limit.min(out.remaining_capacity());
        let taken = match (&self.tree, &mut cursor.range) {
            (Tree::Short(tree), RangeOf::Short(range)) => range.next(tree, cursor.reverse, limit, out),
            (Tree::Long(tree), RangeOf::Long(range)) => range.next(tree, cursor.reverse, limit, out),
            // A cursor of another index.
            _ => 0,
        };
        cursor.done = taken < limit;
    }

    /// The first row whose key begins with these values, `None` when one of them is NULL.
    pub(crate) fn lookup(&self, key: &[Value]) -> Option<RowId> {
        if key.iter().any(Value::is_null) {
            return None;
        }
        let mut batch = RowBatch::new();
        self.range_batch(&mut self.range(Bound::Included(key), Bound::Included(key), false), 1, &mut batch);
        batch.first().copied()
    }

    /// All rows whose keys begin with these values, none when one of them is NULL.
    pub(crate) fn lookup_all(&self, key: &[Value], out: &mut Vec<RowId>) {
        if key.iter().any(Value::is_null) {
            return;
        }
        let mut cursor = self.range(Bound::Included(key), Bound::Included(key), false);
        while !cursor.done {
            let mut batch = RowBatch::new();
            self.range_batch(&mut cursor, batch.capacity(), &mut batch);
            out.extend_from_slice(&batch);
        }
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        match &mut self.tree {
            Tree::Short(tree) => tree.clear(),
            Tree::Long(tree) => tree.clear(),
        }
        self.heap_bytes = 0;
        self.charge.set(0);
    }

    /// Bytes on the heap; B-tree nodes are taken to be three quarters full.
    pub(crate) fn memory_bytes(&self) -> usize {
        let entries = match &self.tree {
            Tree::Short(tree) => tree.len() * size_of::<ShortKey>(),
            Tree::Long(tree) => tree.len() * size_of::<LongKey>(),
        };
        entries * 4 / 3 + self.heap_bytes
    }
}

impl<K: TreeKey> Range<K> {
    /// Appends the next rows, and says how many there were.
    fn next(&mut self, tree: &BTreeSet<K>, reverse: bool, limit: usize, out: &mut RowBatch) -> usize {
        let before = out.len();
        // The far bound is compared key by key: the tree would descend a second time to find it.
        let last = if reverse {
            let upper = self.last.as_ref().or(self.end.as_ref()).map_or(Bound::Unbounded, Bound::Excluded);
            let keys = tree.range((Bound::Unbounded, upper)).rev().take_while(|key| **key >= self.start);
            keys.take(limit).inspect(|key| out.push(key.row())).last()
        } else {
            let lower = self.last.as_ref().map_or(Bound::Included(&self.start), Bound::Excluded);
            let keys = tree.range((lower, Bound::Unbounded));
            let keys = keys.take_while(|key| self.end.as_ref().is_none_or(|end| *key < end));
            keys.take(limit).inspect(|key| out.push(key.row())).last()
        };
        if let Some(last) = last {
            self.last = Some(last.clone());
        }
        out.len() - before
    }
}

impl RangeCursor {
    /// Whether the last batch reached the end of the range.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

/// Makes the bytes the shortest string above all that begin with them; false when there is none.
fn step_over_prefix(bytes: &mut Vec<u8>) -> bool {
    while let Some(last) = bytes.pop() {
        if last < 0xFF {
            bytes.push(last + 1);
            return true;
        }
    }
    false
}
