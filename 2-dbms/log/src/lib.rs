//! The redo log (docs/formats/log.md): one per node, cut into epochs.
//!
//! Commits append records to their partition's [`Lane`] under the latches they hold anyway. A flusher closes the epoch
//! every few milliseconds, or at once when somebody waits, and writes it as one checksummed frame with one fsync. A reply
//! leaves the node when every epoch it could have seen is on disk ([`Log::wait_durable`]). After a crash [`Recovery`]
//! hands out whole epochs only. `docs/formats/log.md` describes every byte.
//!
//! ```text
//! lane    commits append here         record   redo record: writer and reader
//! log     epochs, waiting, stopping   context  who a record is of
//! writer  frames to segments          format   headers and checksums
//! reader  frames from segments        recovery opening     dump  for people
//! ```
//!
//! # Opening
//! ```no_run
//! # use tuplix_log::{Config, Recovery};
//! # fn f() -> tuplix_types::Result<()> {
//! let machine = tuplix_machine::Machine::linux();
//! let mut recovery = Recovery::start(&machine, machine.disk("data/log"), Config::default())?;
//! while let Some(epoch) = recovery.next_epoch()? {
//!     for record in epoch.records() {
//!         let mut changes = record?.changes();
//!         while let Some(_change) = changes.next().map_err(|e| tuplix_types::SqlError::internal(e.to_string()))? {}
//!     }
//! }
//! let (log, report) = recovery.finish()?;
//! # Ok(()) }
//! ```
//!
//! # Committing, with all latches held
//! ```no_run
//! # use tuplix_log::{Lane, Log, RecordHeader};
//! # use tuplix_types::Value;
//! # fn f(log: &Log, lane: &mut Lane, row: &[Value]) -> tuplix_types::Result<()> {
//! log.check()?;
//! let epoch = log.current_epoch();
//! let header = RecordHeader { commit_ts: 7, context: 1, procedure: 20_001, version: 3 };
//! lane.append(epoch, &header, |record| record.insert(16_384, 5, 0, row))?;
//! // ... release the latches, then, if the session waits for the disk:
//! log.wait_durable(epoch)?;
//! # Ok(()) }
//! ```

mod changes;
mod context;
mod dump;
mod error;
mod format;
mod lane;
mod log;
mod reader;
mod record;
mod recovery;
mod scan;
mod writer;

pub use changes::{Change, ChangeHead, RawChange, RawChanges, RecordReader, RowPlace};
pub use context::{Context, SessionContext};
pub use dump::dump;
pub use format::{FORMAT_VERSION, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
pub use lane::{Lane, MAX_RECORD_BYTES};
pub use log::{Closing, Config, DurableCallback, Lanes, Log, LogStatistics, SegmentPlace};
pub use reader::{CutTail, Epoch, LogReader, Records};
pub use record::{MAX_COLUMNS, Record, RecordHeader, RecordWriter};
pub use recovery::{Recovery, RecoveryReport};
pub use scan::{EpochPlace, SegmentScan, scan_segment, segments_after};
