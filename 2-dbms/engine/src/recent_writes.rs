//! In which epochs the rows of a domain were written, as far as a reply has to know.
//!
//! A reply leaves when every epoch that it could have seen is on disk. Which epochs are in the rows that a statement found by
//! unique keys, and in the absence of others, can be said more exactly than by the domain's last epoch: only a transaction that deletes
//! rows or changes keys makes one absent. Rows share entries, so an entry may name a later epoch than the row's, never an earlier one.

use tuplix_storage::RowId;

/// Entries; a power of two.
const ENTRIES: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub struct RecentWrites {
    /// The last epoch of the rows with this hash; made when the first row is written.
    rows: Option<Box<[u64; ENTRIES]>>,
    /// The last epoch in which a key went: of a deletion, or a change of keys.
    keys_taken: u64,
    /// The last epoch in which any row may have been written, without a list.
    all: u64,
}

impl RecentWrites {
    /// A row was written.
    #[inline(always)]
    pub fn wrote(&mut self, slot: u32, bucket: u16, row: RowId, epoch: u64) {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            none => none.insert(entries()),
        };
        rows[entry(slot, bucket, row)] = epoch;
    }

    /// A row was deleted, or has other keys.
    #[inline]
    pub fn took_keys(&mut self, epoch: u64) {
        self.keys_taken = epoch;
    }

    /// Any row may have been written.
    pub fn wrote_all(&mut self, epoch: u64) {
        self.all = epoch;
    }

    /// The last epoch that a row can have been written in.
    pub fn of_row(&self, slot: u32, bucket: u16, row: RowId) -> u64 {
        self.rows.as_ref().map_or(0, |rows| rows[entry(slot, bucket, row)]).max(self.all)
    }

    /// The last epoch that a key can have gone in.
    pub fn of_absence(&self) -> u64 {
        self.keys_taken.max(self.all)
    }
}

#[cold]
#[inline(never)]
fn entries() -> Box<[u64; ENTRIES]> {
    Box::new([0; ENTRIES])
}

#[inline(always)]
fn entry(slot: u32, bucket: u16, row: RowId) -> usize {
    let place = u64::from(row.0) | u64::from(bucket) << 32 | u64::from(slot) << 48;
    (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ENTRIES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_its_last_epoch_or_a_later_one() {
        let mut recent = RecentWrites::default();
        assert_eq!(recent.of_row(1, 2, RowId(3)), 0);
        let rows: Vec<(u32, u16, RowId)> =
            (0..5_000_u32).map(|n| (n % 7, (n % 64) as u16, RowId(n * 31))).collect();
        for (epoch, (slot, bucket, row)) in rows.iter().enumerate() {
            recent.wrote(*slot, *bucket, *row, epoch as u64 + 1);
        }
        for (epoch, (slot, bucket, row)) in rows.iter().enumerate() {
            assert!(recent.of_row(*slot, *bucket, *row) > epoch as u64);
        }
    }

    #[test]
    fn rows_of_other_entries_keep_their_epochs() {
        let mut recent = RecentWrites::default();
        (0..100).for_each(|n| recent.wrote(0, 0, RowId(n), 1));
        recent.wrote(0, 0, RowId(1_000), 2);
        let later = (0..100).filter(|n| recent.of_row(0, 0, RowId(*n)) == 2).count();
        assert!(later <= 1, "{later} rows share the entry");
        assert_eq!(recent.of_absence(), 0);
        recent.took_keys(3);
        assert_eq!((recent.of_absence(), recent.of_row(0, 0, RowId(1_000))), (3, 2));
        recent.wrote_all(4);
        assert_eq!((recent.of_absence(), recent.of_row(0, 0, RowId(1_000))), (4, 4));
    }
}
