//! Reading rows: committed ones in place, an interactive transaction's own versions from its overlay.

use std::ops::Bound;

use tuplix_storage::{
    ChunkView, Fragment, RangeCursor, RowBatch as IdBatch, RowId, RowView, ScanCursor, SimplePredicate,
};
use tuplix_types::Value;

use super::{RowBatch, RowRef, Transaction};
use crate::layout::TableAccess;
use crate::stop::Run;

/// Where a scan of one bucket is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    cursor: ScanCursor,
    base_done: bool,
}

/// Where a range scan of one bucket is.
#[derive(Clone, Debug, Default)]
pub enum RangeScan {
    /// Not begun.
    #[default]
    Start,
    /// Over the committed rows alone.
    Base(RangeCursor),
    /// Over committed and own rows, merged; the next one is at the position.
    Merged(Vec<RowRef>, usize),
}

/// A range of an ordered index. Bounds hold values of a prefix of the index's columns.
#[derive(Clone, Debug)]
pub struct KeyRange {
    /// Where it begins in the index's order.
    pub lower: Bound<Vec<Value>>,
    /// Where it ends in the index's order.
    pub upper: Bound<Vec<Value>>,
    /// From the end to the beginning.
    pub reverse: bool,
}

fn slice(bound: &Bound<Vec<Value>>) -> Bound<&[Value]> {
    match bound {
        Bound::Included(values) => Bound::Included(values),
        Bound::Excluded(values) => Bound::Excluded(values),
        Bound::Unbounded => Bound::Unbounded,
    }
}

impl Scan {
    /// The start of a bucket, in batches of so many rows.
    #[inline]
    pub(crate) fn few(rows: usize) -> Scan {
        Scan { cursor: ScanCursor::few(rows), base_done: false }
    }
}

impl Transaction<'_> {
    /// The fragment that a row lies in, for reading.
    #[inline]
    pub(crate) fn fragment_of(&self, row: RowRef) -> &Fragment {
        let fragment = if row.private {
            let key = self.fragment_key(row.held, row.slot, row.bucket);
            self.overlay().and_then(|overlay| overlay.fragment(key))
        } else {
            self.domain_state(row.held).fragment(row.slot, row.bucket)
        };
        match fragment {
            Some(fragment) => fragment,
            None => panic!("a row reference without its fragment: {row:?}"),
        }
    }

    /// Gives the next rows of a bucket for which all predicates hold, up to 64; false when there are no more after them.
    pub fn scan(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        scan: &mut Scan,
        predicates: &[SimplePredicate],
        out: &mut RowBatch,
    ) -> Run<bool> {
        out.clear();
        let held = self.place(access, bucket)?;
        self.track_read(held, access, bucket)?;
        let key = self.fragment_key(held, access.slot, bucket);
        let overlay = self.overlay().filter(|overlay| overlay.touches(key));
        let mut ids = IdBatch::new();
        let row = |private, row| RowRef { slot: access.slot, bucket, held, private, row };
        while !scan.base_done {
            let Some(fragment) = self.domain_state(held).fragment(access.slot, bucket) else {
                scan.base_done = true;
                break;
            };
            ids.clear();
            scan.base_done = !fragment.scan_batch(&mut scan.cursor, predicates, &mut ids);
            match overlay {
                None => ids.iter().for_each(|id| out.push(row(false, *id))),
                Some(overlay) => {
                    out.extend(ids.iter().filter(|id| !overlay.hides(key, **id)).map(|id| row(false, *id)));
                }
            }
            if scan.base_done {
                scan.cursor = scan.cursor.restarted();
            }
            if !out.is_empty() {
                return Ok(!scan.base_done || overlay.is_some());
            }
        }
        let Some(fragment) = overlay.and_then(|overlay| overlay.fragment(key)) else { return Ok(false) };
        ids.clear();
        let more = fragment.scan_batch(&mut scan.cursor, predicates, &mut ids);
        out.extend(ids.iter().map(|id| row(true, *id)));
        Ok(more)
    }

    /// Calls `visit` with each chunk of a bucket's rows, for a one-shot that computes column by column.
    pub(crate) fn visit_chunks(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        columns: &[usize],
        visit: &mut dyn FnMut(&ChunkView<'_>),
    ) -> Run<()> {
        debug_assert!(!self.is_interactive(), "an interactive transaction looks into its overlay too");
        let held = self.place(access, bucket)?;
        let services = self.services();
        let fragment = self.domain_state(held).fragment(access.slot, bucket);
        for chunk in fragment.into_iter().flat_map(|fragment| fragment.chunks(columns)) {
            services.check_interrupts()?;
            visit(&chunk);
        }
        Ok(())
    }

    /// The next row of a bucket, from slot `from` on, for which all predicates hold, for a one-shot that reads a few.
    #[inline(always)]
    pub(crate) fn next_match(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        from: &mut u64,
        predicates: &[SimplePredicate],
    ) -> Run<Option<(RowRef, RowView<'_>)>> {
        debug_assert!(!self.is_interactive(), "an interactive transaction looks into its overlay too");
        let held = self.place(access, bucket)?;
        let Some(fragment) = self.domain_state(held).fragment(access.slot, bucket) else { return Ok(None) };
        let Some((row, view)) = fragment.next_match(from, predicates) else { return Ok(None) };
        Ok(Some((RowRef { slot: access.slot, bucket, held, private: false, row }, view)))
    }

    /// Appends the rows of a bucket whose key in the index is `key` (in an ordered index: begins with it).
    pub fn lookup(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        key: &[Value],
        out: &mut Vec<RowRef>,
    ) -> Run<()> {
        let held = self.place(access, bucket)?;
        self.track_read(held, access, bucket)?;
        let fragment_key = self.fragment_key(held, access.slot, bucket);
        let mut ids = std::mem::take(&mut self.scratch.rows);
        ids.clear();
        let row = |private, row| RowRef { slot: access.slot, bucket, held, private, row };
        if let Some(fragment) = self.domain_state(held).fragment(access.slot, bucket) {
            fragment.lookup_all(index, key, &mut ids);
        }
        let overlay = self.overlay().filter(|overlay| overlay.touches(fragment_key));
        match overlay {
            None => out.extend(ids.iter().map(|id| row(false, *id))),
            Some(overlay) => {
                out.extend(
                    ids.iter().filter(|id| !overlay.hides(fragment_key, **id)).map(|id| row(false, *id)),
                );
                if let Some(fragment) = overlay.fragment(fragment_key) {
                    ids.clear();
                    fragment.lookup_all(index, key, &mut ids);
                    out.extend(ids.iter().map(|id| row(true, *id)));
                }
            }
        }
        ids.clear();
        self.scratch.rows = ids;
        Ok(())
    }

    /// The row of a bucket whose key in the unique index is `key`.
    #[inline(always)]
    pub fn lookup_unique(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        key: &[Value],
    ) -> Run<Option<RowRef>> {
        let held = self.place(access, bucket)?;
        let found = if self.is_interactive() {
            self.track_read(held, access, bucket)?;
            self.find_key(held, access, bucket, index, key)
        } else {
            let fragment = self.domain_state(held).fragment(access.slot, bucket);
            let found = fragment.and_then(|fragment| fragment.lookup(index, key));
            found.map(|row| RowRef { slot: access.slot, bucket, held, private: false, row })
        };
        self.saw_key(held, found);
        Ok(found)
    }

    /// As [`Transaction::lookup_unique`], for a one-shot, in a hash index over so many columns of integers.
    #[inline(always)]
    pub(crate) fn lookup_integers<const N: usize>(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        key: [i64; N],
    ) -> Run<Option<RowRef>> {
        debug_assert!(!self.is_interactive(), "an interactive transaction looks into its overlay too");
        let held = self.place(access, bucket)?;
        let fragment = self.domain_state(held).fragment(access.slot, bucket);
        let found = fragment.and_then(|fragment| fragment.lookup_integers(index, key));
        let found = found.map(|row| RowRef { slot: access.slot, bucket, held, private: false, row });
        self.saw_key(held, found);
        Ok(found)
    }

    /// As [`Transaction::lookup_unique`], in a place already latched.
    pub(super) fn find_key(
        &self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        key: &[Value],
    ) -> Option<RowRef> {
        let row = |private, row| RowRef { slot: access.slot, bucket, held, private, row };
        let base = self.domain_state(held).fragment(access.slot, bucket).and_then(|f| f.lookup(index, key));
        let Some(overlay) = self.overlay() else { return base.map(|id| row(false, id)) };
        let fragment_key = self.fragment_key(held, access.slot, bucket);
        let base = base.filter(|id| !overlay.hides(fragment_key, *id));
        base.map(|id| row(false, id)).or_else(|| {
            overlay
                .fragment(fragment_key)
                .and_then(|fragment| fragment.lookup(index, key))
                .map(|id| row(true, id))
        })
    }

    /// Gives the next rows of a range of an ordered index, up to 64; false when there are no more after them.
    pub fn range(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        range: &KeyRange,
        scan: &mut RangeScan,
        out: &mut RowBatch,
    ) -> Run<bool> {
        out.clear();
        let held = self.place(access, bucket)?;
        self.track_read(held, access, bucket)?;
        if let RangeScan::Start = scan {
            *scan = self.start_range(held, access, bucket, index, range);
        }
        match scan {
            RangeScan::Start => Ok(false),
            RangeScan::Base(cursor) => {
                let Some(fragment) = self.domain_state(held).fragment(access.slot, bucket) else {
                    return Ok(false);
                };
                let mut ids = IdBatch::new();
                fragment.range_batch(index, cursor, ids.capacity(), &mut ids);
                out.extend(ids.iter().map(|id| RowRef {
                    slot: access.slot,
                    bucket,
                    held,
                    private: false,
                    row: *id,
                }));
                Ok(!cursor.is_done())
            }
            RangeScan::Merged(rows, next) => {
                let end = rows.len().min(*next + out.capacity());
                out.extend(rows[*next..end].iter().map(|row| RowRef { held, ..*row }));
                *next = end;
                Ok(end < rows.len())
            }
        }
    }

    fn start_range(
        &self,
        held: u16,
        access: &TableAccess,
        bucket: u16,
        index: usize,
        range: &KeyRange,
    ) -> RangeScan {
        let key = self.fragment_key(held, access.slot, bucket);
        let base = self.domain_state(held).fragment(access.slot, bucket);
        let cursor = |fragment: &Fragment| {
            fragment.range(index, slice(&range.lower), slice(&range.upper), range.reverse)
        };
        let Some(overlay) = self.overlay().filter(|overlay| overlay.touches(key)) else {
            return base.and_then(cursor).map_or(RangeScan::Merged(Vec::new(), 0), RangeScan::Base);
        };
        let mut rows: Vec<(Vec<u8>, RowRef)> = Vec::new();
        let mut collect = |fragment: &Fragment, private: bool| {
            let Some(mut cursor) = cursor(fragment) else { return };
            let mut ids = IdBatch::new();
            while !cursor.is_done() {
                ids.clear();
                fragment.range_batch(index, &mut cursor, ids.capacity(), &mut ids);
                for id in ids.iter().filter(|id| private || !overlay.hides(key, **id)) {
                    let row = RowRef { slot: access.slot, bucket, held, private, row: *id };
                    rows.push((encoded_key(access, index, fragment, *id), row));
                }
            }
        };
        if let Some(fragment) = base {
            collect(fragment, false);
        }
        if let Some(fragment) = overlay.fragment(key) {
            collect(fragment, true);
        }
        rows.sort();
        if range.reverse {
            rows.reverse();
        }
        RangeScan::Merged(rows.into_iter().map(|(_, row)| row).collect(), 0)
    }

    /// One column of a row.
    #[inline]
    pub fn read(&self, row: RowRef, column: usize) -> Value {
        self.fragment_of(row).read(row.row, column)
    }

    /// Some columns of a row: `(column, slot)` puts the column into `frame[slot]`.
    #[inline]
    pub fn read_into(&self, row: RowRef, columns: &[(usize, usize)], frame: &mut [Value]) {
        let fragment = self.fragment_of(row);
        for &(column, slot) in columns {
            frame[slot] = fragment.read(row.row, column);
        }
    }

    /// All columns of a row.
    pub fn read_row(&self, row: RowRef) -> Vec<Value> {
        let fragment = self.fragment_of(row);
        (0..fragment.column_types().len()).map(|column| fragment.read(row.row, column)).collect()
    }

    /// Whether the row is still there: a function called for an earlier row may have deleted it.
    #[inline]
    pub fn is_live(&self, row: RowRef) -> bool {
        if !self.fragment_of(row).is_live(row.row) {
            return false;
        }
        if row.private {
            return true;
        }
        let key = self.fragment_key(row.held, row.slot, row.bucket);
        !self.overlay().is_some_and(|overlay| overlay.hides(key, row.row))
    }

    /// How many committed rows this table has, in memory and out of it, where latched: the planner's guess.
    pub fn row_count(&mut self, access: &TableAccess) -> Run<u64> {
        self.require_all(access)?;
        let mut count = 0;
        for bucket in 0..access.buckets {
            let held = self.place(access, bucket)?;
            let fragment = self.domain_state(held).fragment(access.slot, bucket);
            count += fragment.map_or(0, |fragment| fragment.row_count() as u64 + fragment.rows_elsewhere());
        }
        Ok(count)
    }
}

impl Transaction<'_> {
    /// Bytes of the table's committed rows and indexes.
    pub(crate) fn memory_bytes(&mut self, access: &TableAccess) -> Run<usize> {
        self.bytes_of(access, Fragment::memory_bytes)
    }

    /// Bytes of one of the table's indexes.
    pub(crate) fn index_bytes(&mut self, access: &TableAccess, index: usize) -> Run<usize> {
        self.bytes_of(access, |fragment| fragment.index_bytes(index))
    }

    fn bytes_of(&mut self, access: &TableAccess, bytes: impl Fn(&Fragment) -> usize) -> Run<usize> {
        self.require_all(access)?;
        let mut sum = 0;
        for bucket in 0..access.buckets {
            let held = self.place(access, bucket)?;
            sum += self.domain_state(held).fragment(access.slot, bucket).map_or(0, &bytes);
        }
        Ok(sum)
    }

    /// The numbers of the table's indexes whose entries are not those of its committed rows.
    pub(crate) fn damaged_indexes(&mut self, access: &TableAccess) -> Run<Vec<usize>> {
        self.require_all(access)?;
        let mut damaged = Vec::new();
        for bucket in 0..access.buckets {
            let held = self.place(access, bucket)?;
            let fragment = self.domain_state(held).fragment(access.slot, bucket);
            damaged.extend(fragment.map(Fragment::damaged_indexes).unwrap_or_default());
        }
        damaged.sort_unstable();
        damaged.dedup();
        Ok(damaged)
    }

    /// Whether any row has NULL in the column.
    pub(crate) fn has_null(&mut self, access: &TableAccess, column: usize) -> Run<bool> {
        self.require_all(access)?;
        let is_null = [SimplePredicate { column, test: tuplix_storage::Test::IsNull }];
        let mut batch = RowBatch::new();
        for bucket in 0..access.buckets {
            self.scan(access, bucket, &mut Scan::default(), &is_null, &mut batch)?;
            if !batch.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn encoded_key(access: &TableAccess, index: usize, fragment: &Fragment, row: RowId) -> Vec<u8> {
    let mut bytes = Vec::new();
    let computed = access.computed.get(index).and_then(Option::as_ref).and_then(|keys| {
        let values: Vec<Value> =
            (0..fragment.column_types().len()).map(|column| fragment.read(row, column)).collect();
        keys.key_of(&values).ok().flatten()
    });
    for (number, key) in access.table.indexes[index].columns.iter().enumerate() {
        let value = match &computed {
            Some(values) => values[number].clone(),
            None => fragment.read(row, key.column),
        };
        tuplix_types::encode_key(&value, key.descending, key.nulls_first, &mut bytes);
    }
    bytes
}
