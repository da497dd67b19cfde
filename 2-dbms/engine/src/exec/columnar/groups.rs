//! Groups by an integer column: an open hash table from key to group, and totals by group.

use tuplix_storage::{ColumnData, RowBits};

use super::totals::{Operation, Total, for_each_bit, with_integers};

/// Rows of a chunk.
const ROWS: usize = size_of::<RowBits>() * 8;
/// A slot without a group.
const FREE: u32 = u32::MAX;
/// Slots at first; a power of two.
const FIRST_SLOTS: usize = 64;

/// The selected rows of a chunk with the groups that they belong to.
pub(super) struct Places {
    len: usize,
    place: [u16; ROWS],
    group: [u32; ROWS],
}

/// The groups so far, in the order in which they first came.
pub(super) struct Groups {
    /// Key and group, open addressing; a power of two, at most half full.
    slots: Vec<(i64, u32)>,
    /// The key of each group, `None` for NULL.
    keys: Vec<Option<i64>>,
    /// The group of NULL.
    null: Option<u32>,
    /// As many as there are calls a group.
    totals: Vec<Total>,
    calls: usize,
}

impl Groups {
    /// No groups, for so many calls.
    pub(super) fn new(calls: usize) -> Groups {
        Groups {
            slots: vec![(0, FREE); FIRST_SLOTS],
            keys: Vec::new(),
            null: None,
            totals: Vec::new(),
            calls,
        }
    }

    /// Makes the one group of an aggregate without keys.
    pub(super) fn only(&mut self) {
        self.begin(None);
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of a group.
    pub(super) fn key(&self, group: usize) -> Option<i64> {
        self.keys[group]
    }

    /// The totals of a group, one a call.
    pub(super) fn totals_mut(&mut self, group: usize) -> &mut [Total] {
        &mut self.totals[group * self.calls..][..self.calls]
    }

    fn begin(&mut self, key: Option<i64>) -> u32 {
        self.keys.push(key);
        self.totals.resize(self.keys.len() * self.calls, Total::default());
        (self.keys.len() - 1) as u32
    }

    /// The groups of the selected rows of a chunk, whose key column is given.
    pub(super) fn find(&mut self, data: &ColumnData, nulls: Option<&[u64]>, selected: &RowBits) -> Places {
        let mut places = Places { len: 0, place: [0; ROWS], group: [0; ROWS] };
        with_integers!(data, values => self.find_all(values, nulls, selected, &mut places));
        places
    }

    #[inline]
    fn find_all<T: Copy + Into<i64>>(
        &mut self,
        values: &[T],
        nulls: Option<&[u64]>,
        selected: &RowBits,
        places: &mut Places,
    ) {
        for (word, bits) in selected.iter().enumerate() {
            let nulls = nulls.map_or(0, |nulls| nulls[word]);
            for_each_bit(*bits, |bit| {
                let place = word * 64 + bit;
                let group = match nulls >> bit & 1 {
                    0 => self.group_of(values[place].into()),
                    _ => self.group_of_null(),
                };
                places.place[places.len] = place as u16;
                places.group[places.len] = group;
                places.len += 1;
            });
        }
    }

    #[inline]
    fn group_of(&mut self, key: i64) -> u32 {
        let mut slot = self.slot_of(key);
        loop {
            let (found, group) = self.slots[slot];
            if group == FREE {
                return self.add_key(slot, key);
            }
            if found == key {
                return group;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// Where the search for a key begins: Fibonacci hashing, the product's high bits.
    #[inline]
    fn slot_of(&self, key: i64) -> usize {
        let hash = key.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[cold]
    fn add_key(&mut self, slot: usize, key: i64) -> u32 {
        let group = self.begin(Some(key));
        self.slots[slot] = (key, group);
        if self.keys.len() * 2 > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![(0, FREE); old.len() * 2];
            for (key, group) in old.into_iter().filter(|(_, group)| *group != FREE) {
                let mut slot = self.slot_of(key);
                while self.slots[slot].1 != FREE {
                    slot = (slot + 1) & (self.slots.len() - 1);
                }
                self.slots[slot] = (key, group);
            }
        }
        group
    }

    #[cold]
    fn group_of_null(&mut self) -> u32 {
        match self.null {
            Some(group) => group,
            None => {
                let group = self.begin(None);
                self.null = Some(group);
                group
            }
        }
    }

    /// Adds a call's column, with its NULLs, of the rows to their groups; a column only where the call has one.
    pub(super) fn add(
        &mut self,
        call: usize,
        operation: Operation,
        column: Option<(&ColumnData, Option<&[u64]>)>,
        places: &Places,
    ) {
        let Some((data, nulls)) = column else {
            for group in &places.group[..places.len] {
                self.totals[*group as usize * self.calls + call].count += 1;
            }
            return;
        };
        match operation {
            Operation::Rows | Operation::Values => self.add_all(call, operation, places, nulls, |_| 0),
            _ => {
                with_integers!(data, values => self.add_all(call, operation, places, nulls, |place| read(values, place)));
            }
        }
    }

    #[inline]
    fn add_all(
        &mut self,
        call: usize,
        operation: Operation,
        places: &Places,
        nulls: Option<&[u64]>,
        value: impl Fn(usize) -> i64,
    ) {
        let rows = places.place[..places.len].iter().zip(&places.group[..places.len]);
        for (place, group) in rows {
            let place = usize::from(*place);
            if nulls.is_none_or(|nulls| nulls[place / 64] >> (place % 64) & 1 == 0) {
                self.totals[*group as usize * self.calls + call].add_value(operation, value(place));
            }
        }
    }
}

#[inline]
fn read<T: Copy + Into<i64>>(values: &[T], place: usize) -> i64 {
    values[place].into()
}
