//! Writing a cut to a file, no faster than allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tuplix_checkpoint::disk_error;
use tuplix_checkpoint::{Header, Summary, Writer};
use tuplix_machine::{Disk, Event, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

use super::cut::Cut;
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

/// Writes the cut; each chunk is let go of as soon as it is written.
pub(super) fn write(disk: Arc<dyn Disk>, node_id: u64, cut: Cut, pace: &Pace<'_>) -> Result<Summary> {
    let Cut { epoch, last_commit, at_us, catalog, tables } = cut;
    let header = Header { node_id, epoch, last_commit, created_us: at_us };
    let write = || -> Result<Summary> {
        let created = Writer::create(pace.machine, disk.clone(), header);
        let mut writer = created.map_err(|error| disk_error(&error))?;
        writer.catalog(&catalog).map_err(|error| disk_error(&error))?;
        for table in tables {
            for (bucket, fragment) in table.fragments {
                for chunk in fragment.into_chunks() {
                    let view = chunk.view();
                    if view.row_count() > 0 {
                        let written = writer.chunk(table.id, bucket, table.columns, &view);
                        written.map_err(|error| disk_error(&error))?;
                    }
                    drop(chunk);
                    pace.keep(writer.bytes())?;
                }
            }
        }
        writer.finish().map_err(|error| disk_error(&error))
    };
    let written = write();
    if written.is_err() {
        // A part of a checkpoint would take the room that the log needs. What cannot be removed now goes at the next start.
        let _ = tuplix_checkpoint::remove_unfinished(&*disk);
    }
    written
}
