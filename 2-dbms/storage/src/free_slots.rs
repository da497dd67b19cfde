//! The set of free row slots: a bitmap with summaries, so that the lowest free slot is found in a few steps.
//!
//! Level 0 has a bit for each slot; a bit of level n+1 says that a word of level n is not zero. Lowest
//! first keeps a table dense, and membership is exact, which undo and recovery need.

/// A set of slot numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct FreeSlots {
    levels: Vec<Vec<u64>>,
    count: usize,
}

impl FreeSlots {
    /// How many slots are in the set.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether the slot is in the set.
    pub(crate) fn contains(&self, slot: u32) -> bool {
        let words = self.levels.first().map_or(&[][..], |level| level);
        words.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Adds the slot.
    pub(crate) fn insert(&mut self, slot: u32) {
        if self.contains(slot) {
            return;
        }
        self.count += 1;
        let mut index = slot as usize;
        let mut depth = 0;
        loop {
            let added = depth == self.levels.len();
            if added {
                self.add_level();
            }
            let level = &mut self.levels[depth];
            if level.len() <= index / 64 {
                level.resize(index / 64 + 1, 0);
            }
            let word = &mut level[index / 64];
            let was_empty = *word == 0;
            *word |= 1 << (index % 64);
            index /= 64;
            depth += 1;
            if (!was_empty && !added) || (index == 0 && depth == self.levels.len()) {
                return;
            }
        }
    }

    /// A level above the top one, summing up what is there.
    fn add_level(&mut self) {
        let summary = match self.levels.last() {
            None => Vec::new(),
            Some(below) => {
                let mut words = vec![0u64; below.len().div_ceil(64)];
                for (index, _) in below.iter().enumerate().filter(|(_, word)| **word != 0) {
                    words[index / 64] |= 1 << (index % 64);
                }
                words
            }
        };
        self.levels.push(summary);
    }

    /// Takes the slot out, and says whether it was in.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        if !self.contains(slot) {
            return false;
        }
        self.count -= 1;
        let mut index = slot as usize;
        for level in &mut self.levels {
            let word = &mut level[index / 64];
            *word &= !(1 << (index % 64));
            if *word != 0 {
                break;
            }
            index /= 64;
        }
        true
    }

    /// The lowest slot in the set.
    #[inline]
    pub(crate) fn first(&self) -> Option<u32> {
        if self.count == 0 { None } else { self.lowest() }
    }

    fn lowest(&self) -> Option<u32> {
        let top = self.levels.last()?;
        let mut index = top.iter().position(|word| *word != 0)?;
        for level in self.levels.iter().rev() {
            index = index * 64 + level[index].trailing_zeros() as usize;
        }
        u32::try_from(index).ok()
    }

    /// Empties the set.
    pub(crate) fn clear(&mut self) {
        *self = FreeSlots::default();
    }

    /// Bytes on the heap.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.levels.iter().map(|level| level.capacity() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lowest_first_across_levels() {
        let mut free = FreeSlots::default();
        let slots = [5u32, 70, 4096, 262_144, 300_000, 20_000_000, 63, 64];
        for slot in slots {
            free.insert(slot);
            free.insert(slot);
            assert!(free.contains(slot));
        }
        assert_eq!(free.len(), slots.len());
        let mut sorted = slots;
        sorted.sort_unstable();
        for slot in sorted {
            assert_eq!(free.first(), Some(slot));
            assert!(free.remove(slot));
            assert!(!free.remove(slot));
        }
        assert_eq!(free.first(), None);
    }

    #[test]
    fn grows_a_level_over_what_is_there() {
        let mut free = FreeSlots::default();
        for slot in (0..100_000).rev() {
            free.insert(slot);
        }
        for slot in 0..100_000 {
            assert_eq!(free.first(), Some(slot));
            free.remove(slot);
        }
        free.insert(99_999);
        free.insert(3);
        assert_eq!(free.first(), Some(3));
    }
}
