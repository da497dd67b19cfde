//! Segments: rows of one table that have left memory, in a file that never changes (`docs/formats/segment.md`).
//!
//! A checkpoint refers to the segments that its rows are in. They are written before it, a file for each table, block by block; a block
//! has chunks of one bucket, column after column. The footer has the place of each block and the smallest and largest values of its
//! columns: a reader leaves out blocks that can have no row it looks for, and decodes the columns it needs.
//!
//! ```text
//! writer   full chunks to blocks, under a temporary name until all is on disk
//! reader   the footer, then blocks by number, by any thread; every checksum is checked
//! column   512 values as few bytes     format   header, block header, footer
//! references   which segments a checkpoint has
//! files    those that are open, few of many
//! ```

mod column;
mod files;
mod folder;
mod format;
mod reader;
pub(crate) mod references;
mod writer;

pub use files::{OPEN_SEGMENTS_MAX, SegmentFiles};
pub use folder::{SegmentName, list_segments, remove_unfinished_segments, segment_file_name};
pub use format::{BlockInfo, Bounds, SegmentHeader};
pub use reader::{Segment, SegmentBlock};
pub use references::{Part, SegmentRef, SpooledFragment, SpooledTable};
pub use writer::{SEGMENT_BLOCK_CHUNKS, SegmentWriter};
