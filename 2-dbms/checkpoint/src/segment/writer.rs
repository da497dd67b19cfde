//! Writes a segment: block after block under a temporary name; the footer, an fsync and a rename make it one.

use std::sync::Arc;

use tuplix_machine::{Disk, DiskResult, Machine};
use tuplix_storage::SharedChunk;

use super::column;
use super::folder::{SegmentName, segment_file_name, unfinished_name};
use super::format::{BLOCK_HEADER, BlockInfo, Bounds, Footer, SegmentHeader, encode_block};
use super::references::SegmentRef;
use crate::new_file::NewFile;

/// Chunks of a block at most.
pub const SEGMENT_BLOCK_CHUNKS: usize = 16;

/// A segment that is being written. Dropped before [`SegmentWriter::finish`], it leaves a file that
/// [`remove_unfinished_segments`](super::remove_unfinished_segments) removes.
#[derive(Debug)]
pub struct SegmentWriter {
    file: NewFile,
    header: SegmentHeader,
    salt: u32,
    footer: Footer,
}

impl SegmentWriter {
    /// Begins a segment in the folder that is `disk`'s root, in place of one of the same name that no checkpoint came to refer to.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn create(
        machine: &Machine,
        disk: Arc<dyn Disk>,
        header: SegmentHeader,
    ) -> DiskResult<SegmentWriter> {
        let name = unfinished_name(SegmentName { table: header.table, epoch: header.epoch });
        let mut file = NewFile::create(disk, name)?;
        let salt = (machine.random_u64() >> 32) as u32;
        file.append(&header.encode(salt))?;
        Ok(SegmentWriter { file, header, salt, footer: Footer::default() })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.file.length()
    }

    /// How many blocks.
    pub fn blocks(&self) -> u32 {
        self.footer.blocks.len() as u32
    }

    /// Adds a block of full chunks of a bucket.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn block(&mut self, bucket: u16, chunks: &[SharedChunk]) -> DiskResult<()> {
        let columns = self.header.columns as usize;
        let mut bytes = vec![0; BLOCK_HEADER];
        bytes.extend((chunks.len() as u32).to_le_bytes());
        chunks.iter().for_each(|chunk| bytes.extend(chunk.view().first_row().0.to_le_bytes()));
        let lengths_at = bytes.len();
        bytes.resize(lengths_at + 4 * columns, 0);
        let mut bounds: Vec<Bounds> = Vec::with_capacity(columns);
        for column in 0..columns {
            let start = bytes.len();
            let of_chunks = chunks.iter().map(|chunk| {
                let view = chunk.view();
                column::encode(view.column(column), view.nulls(column), &mut bytes)
            });
            bounds.push(of_chunks.flatten().reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))));
            let length = (bytes.len() - start) as u32;
            bytes[lengths_at + 4 * column..][..4].copy_from_slice(&length.to_le_bytes());
        }
        let has_no_null = |column: usize| {
            let mut nulls = chunks.iter().filter_map(|chunk| chunk.view().nulls(column));
            nulls.all(|nulls| nulls.iter().all(|word| *word == 0))
        };
        let payload = &bytes[BLOCK_HEADER..];
        let header = encode_block(self.salt, self.blocks(), bucket, payload);
        let rows: usize = chunks.iter().map(|chunk| chunk.view().row_count()).sum();
        let info = BlockInfo {
            bucket,
            rows: rows as u32,
            length: payload.len() as u32,
            slots: chunks.iter().map(|chunk| chunk.view().first_row().0).collect(),
            bounds: bounds.into(),
            complete: (0..columns).map(has_no_null).collect(),
            offset: self.file.length() + BLOCK_HEADER as u64,
        };
        bytes[..BLOCK_HEADER].copy_from_slice(&header);
        self.file.append(&bytes)?;
        self.footer.rows += rows as u64;
        self.footer.blocks.push(info);
        Ok(())
    }

    /// Ends the file, puts it in place and makes all of that durable.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn finish(mut self) -> DiskResult<SegmentRef> {
        let bytes = self.footer.encode(self.salt, self.header.columns, self.file.length());
        self.file.append(&bytes)?;
        let name = SegmentName { table: self.header.table, epoch: self.header.epoch };
        Ok(SegmentRef {
            epoch: self.header.epoch,
            bytes: self.file.finish(&segment_file_name(name))?,
            rows: self.footer.rows,
            checksum: self.footer.checksum,
        })
    }
}
