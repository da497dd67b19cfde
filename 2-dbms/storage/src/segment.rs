//! A segment of a hash index: words in open addressing with linear probing, a cache line at a time.
//!
//! A word is an entry (see [`hash_index`](crate::hash_index)). Its home is in the last bits of its tag, so a
//! lookup touches one cache line most of the time; there is nothing beside the words. Removing an entry moves
//! those behind it up, so that there are no tombstones.

/// Marks a slot without an entry.
const EMPTY: u64 = u64::MAX;

/// Slots of a cache line.
const LINE_SLOTS: usize = 8;

/// Slots of a segment that splits rather than grows.
pub(crate) const SEGMENT_SLOTS: usize = 4096;

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([u64; LINE_SLOTS]);

/// A table of entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    lines: Box<[Line]>,
    len: usize,
}

#[inline]
pub(crate) fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

impl Segment {
    /// An empty segment of the same size.
    pub(crate) fn empty_copy(&self) -> Segment {
        Segment::with_slots(self.slots())
    }

    /// An empty segment for so many entries and a few more, of [`SEGMENT_SLOTS`] at most.
    pub(crate) fn for_entries(entries: usize) -> Segment {
        let slots = (entries * 10 / 7 + 1).next_power_of_two();
        Segment::with_slots(slots.clamp(LINE_SLOTS, SEGMENT_SLOTS))
    }

    fn with_slots(slots: usize) -> Segment {
        Segment { lines: vec![Line([EMPTY; LINE_SLOTS]); slots / LINE_SLOTS].into(), len: 0 }
    }

    fn slots(&self) -> usize {
        self.lines.len() * LINE_SLOTS
    }

    /// Whether another entry would make probing slow.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        // 7/10: probing for what is not there looks at 5 slots.
        self.len * 10 >= self.slots() * 7
    }

    /// Whether a full segment should split; a smaller one doubles.
    pub(crate) fn has_full_size(&self) -> bool {
        self.slots() >= SEGMENT_SLOTS
    }

    #[inline]
    fn slot(&self, slot: usize) -> u64 {
        self.lines[slot / LINE_SLOTS].0[slot % LINE_SLOTS]
    }

    #[inline]
    fn set(&mut self, slot: usize, entry: u64) {
        self.lines[slot / LINE_SLOTS].0[slot % LINE_SLOTS] = entry;
    }

    /// The first entry with this tag for which `is_it`, with its slot.
    #[inline]
    pub(crate) fn find(&self, tag: u32, is_it: impl FnMut(u64) -> bool) -> Option<(usize, u64)> {
        self.probe(tag, is_it).ok()
    }

    /// As [`Segment::find`]; if there is none, the slot in which another entry with this tag belongs.
    #[inline]
    pub(crate) fn probe(&self, tag: u32, mut is_it: impl FnMut(u64) -> bool) -> Result<(usize, u64), usize> {
        if self.lines.is_empty() {
            return Err(0);
        }
        let mask = self.slots() - 1;
        let mut slot = tag as usize & mask;
        loop {
            let entry = self.slot(slot);
            if tag_of(entry) == tag && entry != EMPTY && is_it(entry) {
                return Ok((slot, entry));
            }
            if entry == EMPTY {
                return Err(slot);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Puts an entry into the slot that [`Segment::probe`] gave; the segment must not be full.
    #[inline]
    pub(crate) fn fill(&mut self, slot: usize, entry: u64) {
        debug_assert!(!self.is_full() && self.slot(slot) == EMPTY);
        self.set(slot, entry);
        self.len += 1;
    }

    /// Adds an entry; the segment must not be full.
    #[inline]
    pub(crate) fn insert(&mut self, entry: u64) {
        let mask = self.slots() - 1;
        let mut slot = tag_of(entry) as usize & mask;
        while self.slot(slot) != EMPTY {
            slot = (slot + 1) & mask;
        }
        self.set(slot, entry);
        self.len += 1;
    }

    /// Puts another target into an entry that [`Segment::find`] found.
    pub(crate) fn replace(&mut self, slot: usize, entry: u64) {
        debug_assert_eq!(tag_of(self.slot(slot)), tag_of(entry));
        self.set(slot, entry);
    }

    /// Takes out the entry that [`Segment::find`] found in a slot.
    #[inline]
    pub(crate) fn remove(&mut self, slot: usize) {
        let mask = self.slots() - 1;
        let mut hole = slot;
        let mut next = slot;
        loop {
            next = (next + 1) & mask;
            let entry = self.slot(next);
            if entry == EMPTY {
                break;
            }
            // An entry may move up to the hole unless its home lies behind it.
            let home = tag_of(entry) as usize & mask;
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.set(hole, entry);
                hole = next;
            }
        }
        self.set(hole, EMPTY);
        self.len -= 1;
    }

    /// Doubles the segment.
    #[cold]
    pub(crate) fn grow(&mut self) {
        let mut larger = Segment::with_slots((self.slots() * 2).max(LINE_SLOTS));
        self.entries().for_each(|entry| larger.insert(entry));
        *self = larger;
    }

    /// All entries, in no order that means anything.
    pub(crate) fn entries(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().flat_map(|line| line.0).filter(|entry| *entry != EMPTY)
    }

    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removing keeps every other entry findable, also across the segment's end.
    #[test]
    fn removal_moves_entries_up() {
        let mut segment = Segment::with_slots(16);
        let entries: Vec<u64> =
            [14u64, 14, 15, 15, 0, 14, 2, 1].iter().zip(0..).map(|(tag, row)| tag << 32 | row).collect();
        for first in 0..entries.len() {
            for entry in &entries {
                segment.insert(*entry);
            }
            let mut order = entries.clone();
            order.rotate_left(first);
            while let Some(entry) = order.pop() {
                let found = segment.find(tag_of(entry), |found| found == entry);
                assert!(found.is_some_and(|(slot, _)| {
                    segment.remove(slot);
                    true
                }));
                for rest in &order {
                    assert!(segment.find(tag_of(*rest), |found| found == *rest).is_some());
                }
                assert_eq!(segment.entries().count(), order.len());
            }
        }
    }

    #[test]
    fn grows_and_finds_nothing_in_an_empty_one() {
        let mut segment = Segment::default();
        assert_eq!(segment.find(5, |_| true), None);
        for row in 0..1000u64 {
            if segment.is_full() {
                segment.grow();
            }
            segment.insert((row * 77) << 32 | row);
        }
        for row in 0..1000u64 {
            assert!(segment.find(row as u32 * 77, |entry| entry as u32 == row as u32).is_some());
        }
        assert_eq!(segment.find(u32::MAX, |_| true), None);
    }
}
