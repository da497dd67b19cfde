//! Reads a checkpoint: opening walks over the blocks' headers and checks them all; payloads are read and checked one by one, by any
//! thread.

use tuplix_machine::{Disk, File, OpenMode};
use tuplix_storage::LoadedChunk;
use tuplix_types::Result;

use crate::chunk;
use crate::error;
use crate::folder::file_name;
use crate::format::{
    BLOCK_HEADER, BlockHeader, END_PAYLOAD, HEADER, Header, Kind, MAX_PAYLOAD, Totals, u32_at,
};
use crate::segment::{SpooledTable, references};

/// Where a block lies.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    header: BlockHeader,
    /// Where its payload begins.
    offset: u64,
}

impl Block {
    /// Length of its payload.
    pub fn length(&self) -> u64 {
        self.header.length
    }
}

/// The blocks of a fragment, in the order of their rows.
#[derive(Clone, Debug)]
pub struct FragmentBlocks {
    /// The table's number.
    pub table: u32,
    /// The bucket.
    pub bucket: u16,
    /// Its blocks.
    pub blocks: Vec<Block>,
}

/// A checkpoint that is open.
#[derive(Debug)]
pub struct Reader {
    file: Box<dyn File>,
    path: String,
    header: Header,
    salt: u32,
    length: u64,
    blocks: Vec<Block>,
    totals: Totals,
}

impl Reader {
    /// Opens the checkpoint of `epoch` in the folder that is `disk`'s root. `node_id` refuses those of other nodes.
    ///
    /// # Errors
    /// XX001 when the file is damaged anywhere but in the payloads, 0A000 for another format version, 55000 for another node's,
    /// 58030 when the disk fails.
    pub fn open(disk: &dyn Disk, epoch: u64, node_id: Option<u64>) -> Result<Reader> {
        let file = disk.open(&file_name(epoch), OpenMode::Read).map_err(|error| error::disk_error(&error))?;
        let path = file.path().to_owned();
        let length = file.len().map_err(|error| error::disk_error(&error))?;
        let mut bytes = [0; HEADER];
        let count = file.read_at(0, &mut bytes).map_err(|error| error::disk_error(&error))?;
        let (header, salt) = Header::decode(&bytes[..count], &path)?;
        if let Some(wanted) = node_id.filter(|wanted| *wanted != header.node_id) {
            return Err(error::other_node(&path, header.node_id, wanted));
        }
        if header.epoch != epoch {
            let reason = format!("its name does not fit its epoch {}", header.epoch);
            return Err(error::damaged(&path, 24, reason));
        }
        let mut reader =
            Reader { file, path, header, salt, length, blocks: Vec::new(), totals: Totals::default() };
        reader.find_blocks()?;
        Ok(reader)
    }

    fn find_blocks(&mut self) -> Result<()> {
        let mut totals = Totals::default();
        let mut offset = HEADER as u64;
        loop {
            let mut bytes = [0; BLOCK_HEADER];
            let count = self.file.read_at(offset, &mut bytes).map_err(|error| error::disk_error(&error))?;
            let Some(header) = BlockHeader::decode(&bytes[..count], self.salt) else {
                return Err(self.damaged(offset, "a block's header is missing or damaged"));
            };
            if header.number != totals.blocks {
                let reason = format!("block {} lies where block {} should be", header.number, totals.blocks);
                return Err(self.damaged(offset, reason));
            }
            let start = offset + BLOCK_HEADER as u64;
            let end = start.checked_add(header.length).filter(|_| header.length <= MAX_PAYLOAD);
            let Some(end) = end.filter(|end| *end <= self.length) else {
                return Err(self.damaged(offset, "the file ends inside a block"));
            };
            let block = Block { header, offset: start };
            let is_first = totals.blocks == 0;
            match header.kind {
                Kind::Catalog if is_first => {}
                Kind::Segments if totals.blocks == 1 && self.header.has_segments => {}
                Kind::Rows if !is_first && u16::try_from(header.bucket).is_ok() => {}
                Kind::End if !is_first => return self.end(&block, end, totals),
                _ => return Err(self.damaged(offset, "a block is not of a kind that may be here")),
            }
            self.blocks.push(block);
            totals.add(&bytes);
            offset = end;
        }
    }

    fn end(&mut self, block: &Block, end: u64, counted: Totals) -> Result<()> {
        let said = Totals::decode(&self.payload(block)?);
        let fits =
            said.is_some_and(|said| (said.blocks, said.checksum) == (counted.blocks, counted.checksum));
        if block.header.length != END_PAYLOAD as u64 || !fits {
            return Err(self.damaged(block.offset, "the end does not fit the blocks before it"));
        }
        if end != self.length {
            return Err(self.damaged(end, "bytes follow the end"));
        }
        self.totals = said.unwrap_or_default();
        Ok(())
    }

    /// What the checkpoint says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file's path, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.totals.rows
    }

    /// The catalogue's bytes.
    ///
    /// # Errors
    /// XX001 when they are damaged, 58030 when the disk fails.
    pub fn catalog(&self) -> Result<Vec<u8>> {
        match self.blocks.first() {
            Some(block) => self.payload(block),
            None => Err(self.damaged(HEADER as u64, "there is no catalogue")),
        }
    }

    /// Which segments it refers to, and which of their blocks are whose.
    ///
    /// # Errors
    /// XX001 when that is damaged, 58030 when the disk fails.
    pub fn segments(&self) -> Result<Vec<SpooledTable>> {
        let block = self.blocks.get(1).filter(|block| block.header.kind == Kind::Segments);
        let Some(block) = block else { return Ok(Vec::new()) };
        references::decode(&self.payload(block)?)
            .ok_or_else(|| self.damaged(block.offset, "the list of segments is malformed"))
    }

    /// The fragments, in the order of the file.
    ///
    /// # Errors
    /// XX001 when blocks of a fragment do not lie together.
    pub fn fragments(&self) -> Result<Vec<FragmentBlocks>> {
        let mut fragments: Vec<FragmentBlocks> = Vec::new();
        for block in self.blocks.iter().filter(|block| block.header.kind == Kind::Rows) {
            let (table, bucket) = (block.header.table, block.header.bucket as u16);
            match fragments.last_mut() {
                Some(last) if (last.table, last.bucket) == (table, bucket) => last.blocks.push(*block),
                Some(last) if (last.table, last.bucket) > (table, bucket) => {
                    return Err(self.damaged(block.offset, "fragments are not in order"));
                }
                _ => fragments.push(FragmentBlocks { table, bucket, blocks: vec![*block] }),
            }
        }
        Ok(fragments)
    }

    /// Hands the chunks of a block of rows to `each`, which may stop it with a reason. `payload` is memory for the block's bytes.
    ///
    /// # Errors
    /// XX001 when the block is damaged or `each` has a reason, 58030 when the disk fails.
    pub fn chunks(
        &self,
        block: &Block,
        payload: &mut Vec<u8>,
        each: &mut dyn FnMut(LoadedChunk) -> std::result::Result<(), String>,
    ) -> Result<()> {
        self.read_payload(block, payload)?;
        let malformed = |reason: String| self.damaged(block.offset, reason);
        let columns = u32_at(payload, 0).ok_or_else(|| malformed("a block of rows is empty".to_owned()))?;
        let mut rest = &payload[4..];
        while !rest.is_empty() {
            let chunk =
                chunk::decode(&mut rest, columns as usize).map_err(|reason| malformed(reason.to_string()))?;
            each(chunk).map_err(malformed)?;
        }
        Ok(())
    }

    /// Reads everything and checks it: every checksum, that all rows can be decoded, and their number.
    ///
    /// # Errors
    /// As [`Reader::chunks`].
    pub fn verify(&self) -> Result<()> {
        self.catalog()?;
        self.segments()?;
        let (mut rows, mut payload) = (0, Vec::new());
        for fragment in self.fragments()? {
            for block in &fragment.blocks {
                self.chunks(block, &mut payload, &mut |chunk| {
                    rows += chunk.live.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
                    Ok(())
                })?;
            }
        }
        self.check_rows(rows)
    }

    /// Compares a number of rows with what the end says.
    ///
    /// # Errors
    /// XX001 when they differ.
    pub fn check_rows(&self, rows: u64) -> Result<()> {
        if rows == self.totals.rows {
            return Ok(());
        }
        let reason = format!("it has {rows} rows, its end says {}", self.totals.rows);
        Err(self.damaged(self.length, reason))
    }

    fn payload(&self, block: &Block) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_payload(block, &mut bytes)?;
        Ok(bytes)
    }

    fn read_payload(&self, block: &Block, bytes: &mut Vec<u8>) -> Result<()> {
        let length = usize::try_from(block.header.length);
        bytes.resize(length.map_err(|_| self.damaged(block.offset, "a block is too long"))?, 0);
        match self.file.read_exact_at(block.offset, bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(block.offset, "the file ends inside a block"));
            }
            Err(error) => return Err(error::disk_error(&error)),
        }
        if crc32c::crc32c_append(self.salt, bytes) != block.header.checksum {
            return Err(self.damaged(block.offset, "a block's checksum does not fit its bytes"));
        }
        Ok(())
    }

    fn damaged(&self, offset: u64, reason: impl std::fmt::Display) -> tuplix_types::SqlError {
        error::damaged(&self.path, offset, reason)
    }
}
