//! Writes a checkpoint: block after block under a temporary name; the end block, an fsync and a rename make it one.

use std::sync::Arc;

use tuplix_machine::{Disk, DiskResult, Machine};
use tuplix_storage::ChunkView;

use crate::chunk;
use crate::folder::{file_name, unfinished_name};
use crate::format::{BLOCK_HEADER, BlockHeader, Header, Kind, Totals};
use crate::new_file::NewFile;
use crate::segment::{SpooledTable, references};

/// Chunks of a fragment are put together until a block has this many bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// What a finished checkpoint came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Length of the file.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
}

/// A checkpoint that is being written. Dropped before [`Writer::finish`], it leaves a file that
/// [`remove_unfinished`](crate::remove_unfinished) removes.
#[derive(Debug)]
pub struct Writer {
    file: NewFile,
    header: Header,
    salt: u32,
    totals: Totals,
    /// The block that is being filled: room for its header, then its payload.
    block: Vec<u8>,
    /// Table, bucket and columns of the rows in it.
    rows_of: Option<(u32, u16, usize)>,
}

impl Writer {
    /// Begins a checkpoint in the folder that is `disk`'s root.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn create(machine: &Machine, disk: Arc<dyn Disk>, header: Header) -> DiskResult<Writer> {
        let mut file = NewFile::create(disk, unfinished_name(header.epoch))?;
        let salt = (machine.random_u64() >> 32) as u32;
        file.append(&header.encode(salt))?;
        Ok(Writer {
            file,
            header,
            salt,
            totals: Totals::default(),
            block: vec![0; BLOCK_HEADER],
            rows_of: None,
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.file.length()
    }

    /// Writes the catalogue, which comes before all rows.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn catalog(&mut self, bytes: &[u8]) -> DiskResult<()> {
        self.block.extend_from_slice(bytes);
        self.write_block(Kind::Catalog, 0, 0)
    }

    /// Writes which segments it refers to, after the catalogue and before all rows; only where the header says that it does.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn segments(&mut self, tables: &[SpooledTable]) -> DiskResult<()> {
        self.block.extend(references::encode(tables));
        self.write_block(Kind::Segments, 0, 0)
    }

    /// Adds a chunk of a fragment; the chunks of a fragment come together, in the order of their slots.
    ///
    /// # Errors
    /// When the disk fails or is full.
    pub fn chunk(&mut self, table: u32, bucket: u16, columns: usize, view: &ChunkView<'_>) -> DiskResult<()> {
        if self.rows_of.is_some_and(|rows_of| rows_of != (table, bucket, columns)) {
            self.end_rows()?;
        }
        if self.rows_of.is_none() {
            self.rows_of = Some((table, bucket, columns));
            self.block.extend_from_slice(&(columns as u32).to_le_bytes());
        }
        self.totals.rows += chunk::encode(view, columns, &mut self.block) as u64;
        if self.block.len() >= BLOCK_BYTES {
            self.end_rows()?;
        }
        Ok(())
    }

    fn end_rows(&mut self) -> DiskResult<()> {
        match self.rows_of.take() {
            Some((table, bucket, _)) => self.write_block(Kind::Rows, table, u32::from(bucket)),
            None => Ok(()),
        }
    }

    fn write_block(&mut self, kind: Kind, table: u32, bucket: u32) -> DiskResult<()> {
        let payload = &self.block[BLOCK_HEADER..];
        let header = BlockHeader {
            kind,
            number: self.totals.blocks,
            length: payload.len() as u64,
            table,
            bucket,
            checksum: crc32c::crc32c_append(self.salt, payload),
        };
        let header = header.encode(self.salt);
        self.block[..BLOCK_HEADER].copy_from_slice(&header);
        self.file.append(&self.block)?;
        self.totals.add(&header);
        self.block.truncate(BLOCK_HEADER);
        Ok(())
    }

    /// Ends the file, puts it in place and makes all of that durable.
    ///
    /// # Errors
    /// When the disk fails or is full: the checkpoint may or may not be there then, whole or not at all.
    pub fn finish(mut self) -> DiskResult<Summary> {
        self.end_rows()?;
        let totals = self.totals;
        self.block.extend_from_slice(&totals.encode());
        self.write_block(Kind::End, 0, 0)?;
        let bytes = self.file.finish(&file_name(self.header.epoch))?;
        Ok(Summary { bytes, rows: totals.rows })
    }
}
