//! How long epochs take to reach the disk: a histogram of fixed bounds, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets, microseconds; one more bucket has what took longer.
pub const SYNC_BOUNDS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Epochs by the time that their write and fsync took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncTimes {
    /// Epochs in each bucket of [`SYNC_BOUNDS_US`], and above the last bound.
    pub counts: [u64; SYNC_BOUNDS_US.len() + 1],
    /// All of it, microseconds.
    pub total_us: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Times {
    counts: [AtomicU64; SYNC_BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

impl Times {
    /// Counts one epoch.
    pub(crate) fn add(&self, microseconds: u64) {
        let bucket = SYNC_BOUNDS_US.partition_point(|bound| *bound < microseconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> SyncTimes {
        SyncTimes {
            counts: std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed)),
            total_us: self.total_us.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let times = Times::default();
        for microseconds in [0, 100, 101, 1_000_000, 1_000_001] {
            times.add(microseconds);
        }
        let read = times.read();
        assert_eq!((read.counts[0], read.counts[1], read.counts[11], read.counts[12]), (2, 1, 1, 1));
        assert_eq!(read.total_us, 2_000_202);
    }
}
