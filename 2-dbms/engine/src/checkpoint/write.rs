//! Writing a cut to a file, no faster than allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tuplix_checkpoint::disk_error;
use tuplix_checkpoint::{Header, SegmentFiles, SegmentName, SpooledTable, Summary, Writer};
use tuplix_machine::{Disk, DiskResult, Event, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

use super::cut::Cut;
use super::keep::Segments;
use crate::history::Spooled;
use crate::snapshots::Snapshots;

/// How fast, and who may interrupt.
pub(super) struct Pace<'a> {
    pub(super) machine: &'a Machine,
    /// Told how many bytes were written.
    pub(super) written: &'a AtomicU64,
    /// What only they hold, this checkpoint with them, is not to grow without end.
    pub(super) snapshots: &'a Snapshots,
    /// 0: as fast as it goes.
    pub(super) bytes_per_second: u64,
    /// Somebody waits.
    pub(super) hurry: &'a AtomicBool,
    /// The node ends.
    pub(super) ending: &'a AtomicBool,
    /// Signalled when one of these changes.
    pub(super) changed: &'a Event,
    pub(super) started_ns: u64,
}

impl Pace<'_> {
    /// Waits until so many bytes may have been written.
    fn keep(&self, bytes: u64) -> Result<()> {
        self.written.store(bytes, Ordering::Relaxed);
        loop {
            let seen = self.changed.sequence();
            if self.ending.load(Ordering::SeqCst) {
                return Err(ending());
            }
            self.snapshots.relieve();
            let hurry = self.hurry.load(Ordering::SeqCst) || self.snapshots.hold_much();
            if self.bytes_per_second == 0 || hurry {
                return Ok(());
            }
            let needed = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
            let due = self.started_ns.saturating_add(u64::try_from(needed).unwrap_or(u64::MAX));
            if self.machine.monotonic_ns() >= due {
                return Ok(());
            }
            self.changed.wait(seen, Some(due));
        }
    }
}

pub(super) fn ending() -> SqlError {
    SqlError::new(sqlstate::ADMIN_SHUTDOWN, "the node is closing: the checkpoint was given up")
}

/// Where a checkpoint is written to.
pub(super) struct Target<'a> {
    pub(super) checkpoints: &'a Arc<dyn Disk>,
    pub(super) segments: &'a Arc<SegmentFiles>,
    pub(super) node_id: u64,
    /// Full chunks of a table below which no segment is begun.
    pub(super) least_chunks: usize,
    /// Told why something stays that is of no use: what is left of a checkpoint that came to nothing goes with the next one, or at
    /// the next start.
    pub(super) not_removed: &'a dyn Fn(SqlError),
}

impl Target<'_> {
    fn tell(&self, removed: DiskResult<()>) {
        if let Err(error) = removed {
            (self.not_removed)(disk_error(&error));
        }
    }

    /// Removes segments that no checkpoint refers to, and the one that was begun.
    fn remove_segments(&self, names: impl Iterator<Item = SegmentName>) {
        self.tell(tuplix_checkpoint::remove_unfinished_segments(&**self.segments.disk()));
        for name in names {
            self.tell(self.segments.remove(name));
        }
    }

    /// Makes sure that there is no checkpoint of this epoch, durably: a failed one may have got its name and refer to segments.
    fn remove_checkpoint(&self, epoch: u64) -> DiskResult<()> {
        let name = tuplix_checkpoint::file_name(epoch);
        if self.checkpoints.exists(&name)? {
            self.checkpoints.remove(&name)?;
            self.checkpoints.sync_dir("")?;
        }
        Ok(())
    }
}

/// A checkpoint that was written.
pub(super) struct Written {
    pub(super) summary: Summary,
    /// What may leave memory now.
    pub(super) spooled: Vec<Spooled>,
    /// The segments that it refers to.
    pub(super) segments: Segments,
    /// Bytes of segments beside the checkpoint's own.
    pub(super) segment_bytes: u64,
}

/// Writes the segments of the cut.
fn write_segments(cut: &Cut, target: &Target<'_>, pace: &Pace<'_>) -> Result<Vec<Spooled>> {
    let mut spooled: Vec<Spooled> = Vec::new();
    for table in &cut.tables {
        let Some(plan) = &table.spool else { continue };
        let before: u64 = spooled.iter().map(Spooled::bytes).sum();
        let mut keep_pace = |bytes| pace.keep(before + bytes);
        let to = (pace.machine, target.segments, target.node_id);
        match plan.write(to, cut.epoch, &table.fragments, target.least_chunks, &mut keep_pace) {
            Ok(written) => spooled.extend(written),
            Err(error) => {
                // This table's may have its name already.
                let last = SegmentName { table: table.id, epoch: cut.epoch };
                target.remove_segments(spooled.iter().map(Spooled::name).chain([last]));
                return Err(error);
            }
        }
    }
    Ok(spooled)
}

/// Writes the cut; each chunk is let go of as soon as it is written, those in segments when their rows have left memory.
pub(super) fn write(target: &Target<'_>, cut: Cut, pace: &Pace<'_>) -> Result<Written> {
    // One of the same epoch that failed must not come to refer to what is written now.
    target.remove_checkpoint(cut.epoch).map_err(|error| disk_error(&error))?;
    let spooled = write_segments(&cut, target, pace)?;
    let segment_bytes = spooled.iter().map(Spooled::bytes).sum();
    let Cut { epoch, last_commit, at_us, catalog, tables } = cut;
    let of = |id: u32| spooled.iter().find(|spooled| spooled.table() == id);
    let references = tables.iter().filter_map(|table| {
        let plan = table.spool.as_ref()?;
        Some(plan.reference(&table.fragments, of(table.id)))
    });
    let references: Vec<SpooledTable> = references.collect();
    let has_segments = !references.is_empty();
    let header = Header { node_id: target.node_id, epoch, last_commit, created_us: at_us, has_segments };
    let write = || -> Result<Summary> {
        let created = Writer::create(pace.machine, target.checkpoints.clone(), header);
        let mut writer = created.map_err(|error| disk_error(&error))?;
        writer.catalog(&catalog).map_err(|error| disk_error(&error))?;
        if has_segments {
            writer.segments(&references).map_err(|error| disk_error(&error))?;
        }
        for table in tables {
            let in_segment = of(table.id).is_some();
            for (bucket, fragment) in table.fragments {
                for chunk in fragment.into_chunks() {
                    let view = chunk.view();
                    if view.row_count() > 0 && !(in_segment && view.is_full()) {
                        let written = writer.chunk(table.id, bucket, table.columns, &view);
                        written.map_err(|error| disk_error(&error))?;
                    }
                    drop(chunk);
                    pace.keep(segment_bytes + writer.bytes())?;
                }
            }
        }
        writer.finish().map_err(|error| disk_error(&error))
    };
    match write() {
        Ok(summary) => {
            let segments = references.iter().flat_map(SpooledTable::named).collect();
            Ok(Written { summary, spooled, segments, segment_bytes })
        }
        Err(error) => {
            // A part of a checkpoint would take the room that the log needs.
            target.tell(tuplix_checkpoint::remove_unfinished(&**target.checkpoints).map(drop));
            // It may have its name all the same. As long as it may be there, so are its segments.
            let removed = target.remove_checkpoint(epoch);
            if removed.is_ok() {
                target.remove_segments(spooled.iter().map(Spooled::name));
            }
            target.tell(removed);
            Err(error)
        }
    }
}
