//! Hash index: finds rows by equality of the whole key.
//!
//! Extendible hashing. An entry is one word, 32 bits of the key's hash (the tag) and the row; the key itself
//! is compared where it lies, in the chunks. Entries live in [segments](crate::segment) of 4096 slots; the
//! directory maps the tag's first bits to a segment. A full segment splits in two, so that no insert ever
//! pays for more than one segment (doubling a whole table stalled an insert for 724 ms).
//!
//! ```text
//! directory (by the tag's first `depth` bits)   segments
//!   00 ──────────────────────────────────────▶ [ tag|row  tag|row  ... ]   depth 1
//!   01 ──────────────────────────────────────▶      "
//!   10 ──────────────────────────────────────▶ [ tag|row  tag|LIST|3 ]     depth 2
//!   11 ──────────────────────────────────────▶ [ ... ]                     depth 2
//! ```
//!
//! In an index that is not unique, rows with the same key share one entry: it names a list, an ordered set of
//! rows. So a key with a million rows costs no more to change than any other. A unique index keeps an
//! entry a row and never compares keys when it changes; two rows may have the same key for a moment.

mod build;

use std::collections::BTreeSet;

use tuplix_types::Value;

use crate::directory::Directory;
use crate::key::KeySource;
use crate::memory::Charge;
use crate::schema::{MAX_ROWS, RowId};
use crate::segment::{Segment, tag_of};

/// Bits of the tag that the directory may use; segments of that depth grow instead of splitting. The home in
/// a segment is in the other bits.
const MAX_DEPTH: u32 = 20;

/// Marks an entry that names a list instead of a row.
const LIST: u32 = MAX_ROWS;

/// See the module.
#[derive(Debug)]
pub(crate) struct HashIndex {
    source: KeySource,
    unique: bool,
    depth: u32,
    directory: Vec<u32>,
    segments: Vec<Segment>,
    /// How many first bits of the tag the entries of each segment share.
    depths: Vec<u32>,
    lists: Vec<BTreeSet<u32>>,
    unused_lists: Vec<u32>,
    listed_rows: usize,
    /// Bytes of the segments' slots.
    slot_bytes: usize,
    charge: Charge,
}

/// Where the entry of a row that is not there yet belongs, until the index changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vacancy {
    tag: u32,
    segment: u32,
    slot: u32,
}

/// What [`HashIndex::probe`] finds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Probe {
    /// A row has the key.
    Taken(RowId),
    /// No row has it.
    Vacant(Vacancy),
    /// The key has a NULL: it is in no row's way and in no index.
    NoKey,
}

#[inline]
fn entry(tag: u32, target: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(target)
}

#[inline]
fn target_of(entry: u64) -> u32 {
    entry as u32
}

impl HashIndex {
    pub(crate) fn new(source: KeySource, unique: bool, charge: Charge) -> HashIndex {
        HashIndex {
            source,
            unique,
            depth: 0,
            directory: vec![0],
            segments: vec![Segment::default()],
            depths: vec![0],
            lists: Vec::new(),
            unused_lists: Vec::new(),
            listed_rows: 0,
            slot_bytes: 0,
            charge,
        }
    }

    pub(crate) fn source(&self) -> &KeySource {
        &self.source
    }

    #[inline]
    fn segment_of(&self, tag: u32) -> usize {
        let slot = if self.depth == 0 { 0 } else { tag >> (32 - self.depth) };
        self.directory[slot as usize] as usize
    }

    /// Adds a row that lies in its chunk already.
    #[inline]
    pub(crate) fn insert(&mut self, directory: &Directory, row: RowId) {
        let Some(chunk) = directory.chunk(row) else { return };
        let Some(tag) = self.source.hash_row(chunk, row.place()) else { return };
        self.insert_tagged(directory, tag, row);
    }

    #[inline]
    fn insert_tagged(&mut self, directory: &Directory, tag: u32, row: RowId) {
        if self.unique || !self.join_list(directory, tag, row) {
            self.insert_entry(entry(tag, row.0));
        }
    }

    /// Whether it is [probed](HashIndex::probe): one of columns in which rows do not share entries.
    #[inline]
    pub(crate) fn is_probed(&self) -> bool {
        self.unique && !matches!(self.source, KeySource::Computed(_))
    }

    /// Looks for a row with the key of these values, one for each column of the table.
    #[inline]
    pub(crate) fn probe(&self, directory: &Directory, values: &[Value]) -> Probe {
        let Some(tag) = self.source.hash_values(values) else { return Probe::NoKey };
        let segment = self.segment_of(tag);
        let found = self.segments[segment].probe(tag, |entry| {
            let row = RowId(target_of(entry));
            directory.chunk(row).is_some_and(|chunk| self.source.row_has_values(chunk, row.place(), values))
        });
        match found {
            Ok((_, entry)) => Probe::Taken(RowId(target_of(entry))),
            Err(slot) => Probe::Vacant(Vacancy { tag, segment: segment as u32, slot: slot as u32 }),
        }
    }

    /// Adds a row whose values were probed since the last change: its key is neither hashed nor looked for again.
    #[inline]
    pub(crate) fn fill(&mut self, vacancy: Vacancy, row: RowId) {
        let segment = &mut self.segments[vacancy.segment as usize];
        if segment.is_full() {
            self.insert_entry(entry(vacancy.tag, row.0));
        } else {
            segment.fill(vacancy.slot as usize, entry(vacancy.tag, row.0));
        }
    }

    #[inline]
    fn insert_entry(&mut self, entry: u64) {
        let tag = tag_of(entry);
        let mut number = self.segment_of(tag);
        while self.segments[number].is_full() {
            self.make_room(number);
            number = self.segment_of(tag);
        }
        self.segments[number].insert(entry);
    }

    /// Adds the row to those that have its key already, if there are any.
    fn join_list(&mut self, directory: &Directory, tag: u32, row: RowId) -> bool {
        let number = self.segment_of(tag);
        let found = self.segments[number].find(tag, |entry| {
            let other = first_row(&self.lists, entry);
            other.is_some_and(|other| self.source.rows_agree(directory, other, row))
        });
        let Some((slot, found)) = found else { return false };
        let target = target_of(found);
        if target & LIST != 0 {
            self.lists[(target & !LIST) as usize].insert(row.0);
            self.listed_rows += 1;
        } else {
            let list = self.add_list(BTreeSet::from([target, row.0]));
            self.segments[number].replace(slot, entry(tag, LIST | list));
        }
        true
    }

    #[cold]
    fn make_room(&mut self, number: usize) {
        if !self.segments[number].has_full_size() || !self.split(number) {
            self.slot_bytes -= self.segments[number].memory_bytes();
            self.segments[number].grow();
            self.slot_bytes += self.segments[number].memory_bytes();
        }
        self.charge.tell(self.memory_bytes());
    }

    /// Whether a row of these values takes more memory than there is in its segment. The key must be one of columns.
    pub(crate) fn grows_with(&self, values: &[Value]) -> bool {
        self.source.hash_values(values).is_some_and(|tag| self.segments[self.segment_of(tag)].is_full())
    }

    fn add_list(&mut self, rows: BTreeSet<u32>) -> u32 {
        self.listed_rows += rows.len();
        if let Some(list) = self.unused_lists.pop() {
            self.lists[list as usize] = rows;
            return list;
        }
        self.lists.push(rows);
        (self.lists.len() - 1) as u32
    }

    /// Takes out a row whose key still lies in its chunk.
    #[inline]
    pub(crate) fn remove(&mut self, directory: &Directory, row: RowId) {
        let Some(chunk) = directory.chunk(row) else { return };
        let Some(tag) = self.source.hash_row(chunk, row.place()) else { return };
        let number = self.segment_of(tag);
        let segment = &mut self.segments[number];
        let found = segment.find(tag, |entry| has_row(&self.lists, entry, row));
        let (slot, found) = found.expect("an indexed row has an entry");
        let target = target_of(found);
        if target & LIST == 0 {
            segment.remove(slot);
            return;
        }
        let list = &mut self.lists[(target & !LIST) as usize];
        list.remove(&row.0);
        self.listed_rows -= 1;
        if list.len() == 1
            && let Some(last) = list.pop_first()
        {
            segment.replace(slot, entry(tag, last));
            self.listed_rows -= 1;
            self.unused_lists.push(target & !LIST);
        }
    }

    /// A row with this key.
    #[inline]
    pub(crate) fn lookup(&self, directory: &Directory, key: &[Value]) -> Option<RowId> {
        first_row(&self.lists, self.find(directory, key)?)
    }

    /// A row with this key of integers.
    #[inline]
    pub(crate) fn lookup_integers<const N: usize>(
        &self,
        directory: &Directory,
        key: [i64; N],
    ) -> Option<RowId> {
        let tag = KeySource::hash_integers(key);
        let (_, found) = self.segments[self.segment_of(tag)].find(tag, |entry| {
            let Some(row) = first_row(&self.lists, entry) else { return false };
            directory.chunk(row).is_some_and(|chunk| self.source.row_has_integers(chunk, row.place(), key))
        })?;
        first_row(&self.lists, found)
    }

    /// All rows with this key, ascending.
    pub(crate) fn lookup_all(&self, directory: &Directory, key: &[Value], out: &mut Vec<RowId>) {
        let Some(found) = self.find(directory, key) else { return };
        let target = target_of(found);
        if target & LIST == 0 {
            out.push(RowId(target));
        } else {
            out.extend(self.lists[(target & !LIST) as usize].iter().map(|row| RowId(*row)));
        }
    }

    #[inline]
    fn find(&self, directory: &Directory, key: &[Value]) -> Option<u64> {
        let tag = self.source.hash_key(key)?;
        let found = self.segments[self.segment_of(tag)].find(tag, |entry| {
            first_row(&self.lists, entry).is_some_and(|row| {
                directory.chunk(row).is_some_and(|chunk| self.source.row_has_key(chunk, row.place(), key))
            })
        });
        found.map(|(_, entry)| entry)
    }

    /// Splits a full segment by the next bit of its tags; false if that is no use.
    #[cold]
    fn split(&mut self, number: usize) -> bool {
        let (depth, segment) = (self.depths[number], &self.segments[number]);
        let Some(first) = segment.entries().next().map(tag_of) else { return false };
        if depth == MAX_DEPTH || segment.entries().all(|entry| tag_of(entry) == first) {
            return false;
        }
        let mut halves = [segment.empty_copy(), segment.empty_copy()];
        for entry in segment.entries() {
            let half = tag_of(entry) >> (31 - depth) & 1;
            halves[half as usize].insert(entry);
        }
        let [zeros, ones] = halves;
        self.segments[number] = zeros;
        self.slot_bytes += ones.memory_bytes();
        self.segments.push(ones);
        self.depths[number] = depth + 1;
        self.depths.push(depth + 1);
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|segment| [*segment, *segment]).collect();
            self.depth += 1;
        }
        self.redirect(first, depth, (self.segments.len() - 1) as u32);
        true
    }

    /// Points the upper half of the directory slots that share the first `depth` bits of `tag` to segment `ones`.
    fn redirect(&mut self, tag: u32, depth: u32, ones: u32) {
        let prefix = if depth == 0 { 0 } else { (tag >> (32 - depth)) as usize };
        let half = 1usize << (self.depth - depth - 1);
        let start = (2 * prefix + 1) * half;
        self.directory[start..start + half].fill(ones);
    }

    /// All tags with their rows, sorted: what two indexes over the same rows agree in.
    pub(crate) fn contents(&self) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for entry in self.segments.iter().flat_map(Segment::entries) {
            let (tag, target) = (tag_of(entry), target_of(entry));
            if target & LIST == 0 {
                all.push((tag, target));
            } else {
                all.extend(self.lists[(target & !LIST) as usize].iter().map(|row| (tag, *row)));
            }
        }
        all.sort_unstable();
        all
    }

    /// Forgets all rows.
    pub(crate) fn clear(&mut self) {
        let charge = self.charge.another();
        *self = HashIndex::new(self.source.clone(), self.unique, charge);
    }

    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slot_bytes
            + self.segments.len() * size_of::<Segment>()
            + self.directory.capacity() * 4
            + self.lists.capacity() * 24
            + self.listed_rows * 8
    }
}

/// The row, or the first row of the list, that an entry names.
#[inline]
fn first_row(lists: &[BTreeSet<u32>], entry: u64) -> Option<RowId> {
    let target = target_of(entry);
    if target & LIST == 0 {
        return Some(RowId(target));
    }
    lists[(target & !LIST) as usize].first().map(|row| RowId(*row))
}

#[inline]
fn has_row(lists: &[BTreeSet<u32>], entry: u64, row: RowId) -> bool {
    let target = target_of(entry);
    target == row.0 || target & LIST != 0 && lists[(target & !LIST) as usize].contains(&row.0)
}
