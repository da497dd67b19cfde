//! The log's segments, as far as it knows them, and the removal of those that nobody needs.

use std::sync::atomic::Ordering;

use tuplix_types::Result;

use super::{Inner, Log};
use crate::error;
use crate::format::{parse_segment_name, segment_name};
use crate::writer::Written;

/// A segment that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlace {
    /// Its file's name.
    pub name: String,
    /// The epoch that it is named by: none in it is before this one.
    pub first_epoch: u64,
    /// None in it is after this one: the one before the next segment's first, or the last that is on disk.
    pub last_epoch: u64,
    /// Bytes of it that are written.
    pub bytes: u64,
}

impl Log {
    /// The segments, the oldest first, as far as this log knows; no disk is asked.
    pub fn segments(&self) -> Vec<SegmentPlace> {
        let inner = &self.inner;
        let all = inner.segments.lock().clone();
        let place = |(number, (first_epoch, bytes)): (usize, &(u64, u64))| {
            let next = all.get(number + 1);
            SegmentPlace {
                name: segment_name(*first_epoch),
                first_epoch: *first_epoch,
                last_epoch: next.map_or_else(|| self.durable_epoch(), |(next, _)| next - 1),
                bytes: next.map_or_else(|| inner.segment_bytes.load(Ordering::Relaxed), |_| *bytes),
            }
        };
        all.iter().enumerate().map(place).collect()
    }
}

impl Inner {
    pub(super) fn count_segment(&self, written: &Written) {
        if let Some(first) = written.started {
            let mut segments = self.segments.lock();
            if let Some((_, bytes)) = segments.last_mut() {
                *bytes = self.segment_bytes.load(Ordering::Relaxed);
            }
            segments.push((first, 0));
        }
        self.segment_bytes.store(written.segment_bytes, Ordering::Relaxed);
    }

    pub(super) fn remove_before(&self, epoch: u64) -> Result<u64> {
        let Some(disk) = &self.disk else { return Ok(0) };
        // Segments that are made meanwhile are behind all of these, so nobody who commits has to wait.
        let remove = || {
            let mut names = disk.list("")?;
            names.retain(|name| parse_segment_name(name).is_some());
            let mut removed = 0;
            // The oldest first, so that what is left has no gap. The next one's first epoch bounds a segment's last.
            for pair in names.windows(2) {
                if parse_segment_name(&pair[1]).is_none_or(|next| next > epoch) {
                    break;
                }
                disk.remove(&pair[0])?;
                self.segments.lock().retain(|(first, _)| parse_segment_name(&pair[0]) != Some(*first));
                removed += 1;
            }
            if removed > 0 {
                disk.sync_dir("")?;
            }
            Ok(removed)
        };
        remove().map_err(|error| error::disk(&error))
    }
}
