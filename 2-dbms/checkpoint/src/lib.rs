//! Checkpoints: a file with the catalogue and all committed rows as they were when an epoch of the log closed.
//!
//! Loading one and replaying the log's later epochs gives what replaying the whole log gives, in less time. The file knows tables
//! by number and columns by the kind of their vectors; what the catalogue's bytes mean is the engine's. `docs/formats/checkpoint.md`
//! describes every byte.
//!
//! ```text
//! writer  chunks of a snapshot to blocks, under a temporary name until all is on disk
//! reader  blocks back to chunks, by many threads at once; every checksum is checked
//! chunk   columns as bytes        format  headers and checksums
//! folder  which checkpoints there are
//! segment rows that have left memory, in files of their own to which checkpoints refer
//! ```

mod chunk;
mod error;
mod folder;
mod format;
mod new_file;
mod reader;
mod segment;
mod writer;

pub use error::disk_error;
pub use folder::{file_name, list, parse_name, remove, remove_unfinished};
pub use format::{FORMAT_VERSION, Header};
pub use reader::{Block, FragmentBlocks, Reader};
pub use segment::{
    BlockInfo, Bounds, OPEN_SEGMENTS_MAX, Part, SEGMENT_BLOCK_CHUNKS, Segment, SegmentBlock, SegmentFiles,
    SegmentHeader, SegmentName, SegmentRef, SegmentWriter, SpooledFragment, SpooledTable, list_segments,
    remove_unfinished_segments, segment_file_name,
};
pub use writer::{Summary, Writer};
