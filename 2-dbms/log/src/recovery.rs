//! Opening a log: its epochs are streamed to the engine, its end is put in order, then it takes commits again.
//!
//! ```text
//! Recovery::start -> next_epoch ... next_epoch = None -> finish -> (Log, RecoveryReport)
//! ```

use std::sync::Arc;

use tuplix_machine::{Disk, Machine, OpenMode};
use tuplix_types::Result;

use crate::error;
use crate::format::{SEGMENT_HEADER, parse_segment_name};
use crate::log::{Config, Log};
use crate::reader::{CutTail, Epoch, LogReader};
use crate::writer::Writer;

/// What a recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Epochs handed out.
    pub epochs: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The last epoch of the log; commits continue with the next.
    pub last_epoch: u64,
    /// The interrupted write that was cut off the end, to be shown to whoever started the node.
    pub cut: Option<CutTail>,
}

/// A log that is being opened.
#[derive(Debug)]
pub struct Recovery {
    machine: Machine,
    disk: Arc<dyn Disk>,
    config: Config,
    reader: LogReader,
    report: RecoveryReport,
}

impl Recovery {
    /// Opens the log in the folder that is `disk`'s root, reading from the first epoch after
    /// [`Config::recover_after`] on. The caller has locked the data directory.
    ///
    /// # Errors
    /// 58030 when the folder cannot be read.
    pub fn start(machine: &Machine, disk: Arc<dyn Disk>, config: Config) -> Result<Recovery> {
        let reader = LogReader::open(disk.clone(), config.recover_after, Some(config.node_id))?;
        Ok(Recovery { machine: machine.clone(), disk, config, reader, report: RecoveryReport::default() })
    }

    /// What is being read.
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// The next whole epoch, `None` at the log's end.
    ///
    /// # Errors
    /// As [`LogReader::next_epoch`]. Nothing was changed on disk.
    pub fn next_epoch(&mut self) -> Result<Option<Epoch<'_>>> {
        let next = self.reader.next_epoch()?;
        if let Some(epoch) = &next {
            self.report.epochs += 1;
            self.report.records += epoch.record_count();
            self.report.bytes += epoch.length();
        }
        Ok(next)
    }

    /// What was found, once [`Recovery::next_epoch`] has returned `None`.
    pub fn found(&self) -> RecoveryReport {
        RecoveryReport {
            last_epoch: self.reader.last_epoch.max(self.config.recover_after),
            cut: self.reader.cut().cloned(),
            ..self.report.clone()
        }
    }

    /// Reads what was not read yet, cuts an interrupted write off the end, and opens the log for commits, in a segment of
    /// its own.
    ///
    /// # Errors
    /// As [`Recovery::next_epoch`], and 58030 or 53100 when the disk fails; opening again is safe.
    pub fn finish(mut self) -> Result<(Log, RecoveryReport)> {
        while self.next_epoch()?.is_some() {}
        self.report = self.found();
        self.put_end_in_order().map_err(|error| error::disk(&error))?;
        let mut writer =
            Writer::new(&self.machine, self.disk.clone(), self.config.clone(), self.report.last_epoch);
        let mut segments = self.segments().map_err(|error| error::disk(&error))?;
        let first = self.report.last_epoch + 1;
        writer.start_segment(first).map_err(|error| error::disk(&error))?;
        segments.push((first, SEGMENT_HEADER as u64));
        let log = Log::new(&self.machine, self.disk, self.config, self.report.last_epoch, writer, segments);
        Ok((log, self.report))
    }

    /// First epochs and lengths of the segments that are there, the oldest first.
    fn segments(&self) -> tuplix_machine::DiskResult<Vec<(u64, u64)>> {
        let mut segments = Vec::new();
        for name in self.disk.list("")? {
            if let Some(first) = parse_segment_name(&name) {
                segments.push((first, self.disk.open(&name, OpenMode::Read)?.len()?));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// After this the last segment ends with its last whole epoch, durably; one without any is gone.
    fn put_end_in_order(&self) -> tuplix_machine::DiskResult<()> {
        let without_epoch = match (&self.report.cut, self.reader.empty_last()) {
            (Some(cut), _) if cut.offset == 0 => Some(cut.segment.as_str()),
            (_, empty) => empty,
        };
        if let Some(name) = without_epoch {
            self.disk.remove(name)?;
            return self.disk.sync_dir("");
        }
        if let Some((name, end)) = self.reader.unused_tail() {
            // Reserved space that will not be used. Zeros do no harm, so this need not be durable.
            self.disk.open(name, OpenMode::Write)?.truncate(end)?;
        }
        if let Some(cut) = &self.report.cut {
            let file = self.disk.open(&cut.segment, OpenMode::Write)?;
            file.truncate(cut.offset)?;
            file.sync_data()?;
        }
        Ok(())
    }
}
