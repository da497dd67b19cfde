//! A hash index over rows that are all there, as after recovery: sized once, and filled a segment at a time.
//!
//! Entries are brought into the order of the segments first, so that a segment is in the cache while it is filled, and none
//! ever grows or splits for want of room known before.

use std::collections::BTreeSet;

use super::{HashIndex, LIST, MAX_DEPTH, entry, target_of};
use crate::directory::Directory;
use crate::schema::RowId;
use crate::segment::{SEGMENT_SLOTS, Segment, tag_of};

/// Entries of a segment that was just built, on average at most: some more come before it splits.
const BUILT: usize = SEGMENT_SLOTS * 5 / 8;

impl HashIndex {
    /// Adds all live rows of a fragment, about `rows`, to an empty index.
    pub(crate) fn build(&mut self, directory: &Directory, rows: usize) {
        let mut entries = Vec::with_capacity(rows);
        for (row, chunk, place) in directory.live_rows() {
            entries.extend(self.source.hash_row(chunk, place).map(|tag| entry(tag, row.0)));
        }
        if entries.is_empty() {
            return;
        }
        if self.unique {
            self.make_segments(entries.len());
            for entry in in_order(entries, self.depth) {
                self.insert_entry(entry);
            }
        } else {
            // Sorted, rows that may share an entry are neighbours.
            entries.sort_unstable();
            let same_tag = |a: &u64, b: &u64| tag_of(*a) == tag_of(*b);
            self.make_segments(entries.chunk_by(same_tag).count());
            entries.chunk_by(same_tag).for_each(|rows| self.add_all(directory, rows));
        }
        self.charge.tell(self.memory_bytes());
    }

    /// Segments for so many entries.
    fn make_segments(&mut self, entries: usize) {
        let depth = entries.div_ceil(BUILT).next_power_of_two().trailing_zeros();
        self.depth = if entries * 10 < SEGMENT_SLOTS * 7 { 0 } else { depth.min(MAX_DEPTH) };
        let count = 1 << self.depth;
        let each = if count == 1 { entries } else { SEGMENT_SLOTS };
        self.segments = (0..count).map(|_| Segment::for_entries(each)).collect();
        self.depths = vec![self.depth; count];
        self.directory = (0..count as u32).collect();
        self.slot_bytes = self.segments.iter().map(Segment::memory_bytes).sum();
    }

    /// Adds rows of one tag, in rising order. Those with the key of the first get its list at once.
    fn add_all(&mut self, directory: &Directory, entries: &[u64]) {
        let [first, rest @ ..] = entries else { return };
        let tag = tag_of(*first);
        let row_of = |entry: &u64| RowId(target_of(*entry));
        let agrees = |entry: &u64| self.source.rows_agree(directory, row_of(first), row_of(entry));
        let (same, others): (Vec<u64>, Vec<u64>) = rest.iter().partition(|entry| agrees(entry));
        if same.is_empty() {
            self.insert_entry(*first);
        } else {
            let rows: BTreeSet<u32> = [*first].into_iter().chain(same).map(target_of).collect();
            let list = self.add_list(rows);
            self.insert_entry(entry(tag, LIST | list));
        }
        others.iter().for_each(|entry| self.insert_tagged(directory, tag, row_of(entry)));
    }
}

/// The entries by the first `depth` bits of their tags.
fn in_order(entries: Vec<u64>, depth: u32) -> Vec<u64> {
    if depth == 0 {
        return entries;
    }
    let part = |entry: u64| (entry >> (64 - depth)) as usize;
    let mut next = vec![0usize; 1 << depth];
    entries.iter().for_each(|entry| next[part(*entry)] += 1);
    let mut start = 0;
    for count in &mut next {
        start += std::mem::replace(count, start);
    }
    let mut ordered = vec![0; entries.len()];
    for entry in entries {
        let place = &mut next[part(entry)];
        ordered[*place] = entry;
        *place += 1;
    }
    ordered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use tuplix_types::{TypeId, Value};

    use crate::fragment::Fragment;
    use crate::schema::{FragmentSchema, IndexSchema, RowId};

    /// Built over the rows or grown with them, an index finds the same, keeps finding it when it changes, and takes about as much
    /// memory.
    #[test]
    fn built_and_grown_agree() {
        for rows in [0, 1, 5, 2867, 2868, 9000, 60_000] {
            let columns = vec![TypeId::INT4, TypeId::INT8, TypeId::TEXT];
            let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
            for number in 0..rows {
                let text =
                    if number % 5 == 0 { Value::Null } else { Value::text(format!("{}", number % 700)) };
                let row = [Value::Int4(number % 3), Value::Int8(i64::from(number) * 7), text];
                fragment.insert(&row).unwrap();
            }
            let indexes = [(true, vec![0, 1]), (true, vec![1, 2]), (false, vec![2]), (false, vec![0])];
            let mut grown = Fragment::new(&FragmentSchema {
                columns: fragment.column_types().to_vec(),
                indexes: indexes
                    .iter()
                    .map(|(unique, key)| Arc::new(IndexSchema::hash(*unique, key)))
                    .collect(),
                ..FragmentSchema::default()
            });
            for (_, row) in fragment.snapshot().rows() {
                grown.insert(&row.values().collect::<Vec<_>>()).unwrap();
            }
            for (unique, key) in &indexes {
                fragment.add_index(Arc::new(IndexSchema::hash(*unique, key))).unwrap();
            }
            // The check compares what was grown with what is built.
            assert_eq!(grown.damaged_indexes(), Vec::<usize>::new(), "{rows} rows");
            for number in 0..indexes.len() {
                let (built, grown) = (fragment.index_bytes(number), grown.index_bytes(number));
                assert!(built <= grown * 2 + 1024, "{rows} rows, index {number}: {built} bytes, not {grown}");
            }
            for number in (0..rows).step_by(3) {
                fragment.delete(RowId(number as u32));
            }
            fragment.release_deleted();
            for number in 0..rows {
                let row = [Value::Int4(9), Value::Int8(-1 - i64::from(number)), Value::text("new")];
                fragment.insert(&row).unwrap();
            }
            assert_eq!(fragment.damaged_indexes(), Vec::<usize>::new(), "{rows} rows, changed");
        }
    }
}
