//! Full chunks of spooled tables to segments, and out of memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use tuplix_catalog::TableId;
use tuplix_checkpoint::{
    Part, SEGMENT_BLOCK_CHUNKS, SegmentFiles, SegmentHeader, SegmentName, SegmentRef, SegmentWriter,
    SpooledFragment, SpooledTable, disk_error,
};
use tuplix_machine::Machine;
use tuplix_storage::{FragmentSnapshot, SharedChunk};
use tuplix_types::Result;

use super::{ColdList, ColdPart, ColdSegment};
use crate::domain::DomainState;
use crate::node::Node;

/// What a cut has of a spooled table.
pub(crate) struct Plan {
    pub(crate) table: u32,
    pub(crate) columns: usize,
    /// What has left memory before, by bucket.
    pub(crate) cold: BTreeMap<u16, ColdList>,
}

/// Chunks that lie in a block now.
struct Block {
    bucket: u16,
    number: u32,
    chunks: Vec<(SharedChunk, usize)>,
}

/// A table of which a checkpoint has written a segment.
pub(crate) struct Spooled {
    table: u32,
    segment: SegmentRef,
    /// The segment, read back.
    opened: Arc<ColdSegment>,
    blocks: Vec<Block>,
}

impl Spooled {
    /// The table's number.
    pub(crate) fn table(&self) -> u32 {
        self.table
    }

    /// Its segment's name.
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { table: self.table, epoch: self.segment.epoch }
    }

    /// Bytes of its segment.
    pub(crate) fn bytes(&self) -> u64 {
        self.segment.bytes
    }
}

impl Plan {
    /// Writes the full chunks of the fragments to a segment, unless they are fewer than `least`, and opens it again; what of them is
    /// written is let go of when its rows have left memory.
    ///
    /// # Errors
    /// When the disk fails or is full, and when what was just written cannot be read: no checkpoint may refer to it then.
    pub(crate) fn write(
        &self,
        (machine, files, node_id): (&Machine, &Arc<SegmentFiles>, u64),
        epoch: u64,
        fragments: &[(u16, FragmentSnapshot)],
        least: usize,
        keep_pace: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Option<Spooled>> {
        let full: Vec<(u16, Vec<SharedChunk>)> =
            fragments.iter().map(|(bucket, fragment)| (*bucket, fragment.full_chunks().collect())).collect();
        if full.iter().map(|(_, chunks)| chunks.len()).sum::<usize>() < least.max(1) {
            return Ok(None);
        }
        let header = SegmentHeader { node_id, table: self.table, columns: self.columns as u32, epoch };
        let writer = SegmentWriter::create(machine, files.disk().clone(), header);
        let mut writer = writer.map_err(|error| disk_error(&error))?;
        let mut blocks = Vec::new();
        let mut all = || -> Result<()> {
            for (bucket, chunks) in &full {
                for chunks in chunks.chunks(SEGMENT_BLOCK_CHUNKS) {
                    let number = writer.blocks();
                    writer.block(*bucket, chunks).map_err(|error| disk_error(&error))?;
                    let chunks = chunks.iter().map(|chunk| (chunk.clone(), chunk.heap_bytes())).collect();
                    blocks.push(Block { bucket: *bucket, number, chunks });
                    keep_pace(writer.bytes())?;
                }
            }
            Ok(())
        };
        all()?;
        let segment = writer.finish().map_err(|error| disk_error(&error))?;
        let name = SegmentName { table: self.table, epoch };
        let opened = Arc::new(ColdSegment::open(files, name, node_id, segment));
        opened.segment()?;
        Ok(Some(Spooled { table: self.table, segment, opened, blocks }))
    }

    /// What the checkpoint says of the table.
    pub(crate) fn reference(
        &self,
        fragments: &[(u16, FragmentSnapshot)],
        spooled: Option<&Spooled>,
    ) -> SpooledTable {
        let mut segments: BTreeMap<u64, SegmentRef> = BTreeMap::new();
        let mut of = |bucket: u16, next_slot: u32| {
            let mut parts = Vec::new();
            for part in self.cold.get(&bucket).into_iter().flat_map(|list| list.iter()) {
                let reference = part.segment.reference;
                segments.insert(reference.epoch, reference);
                parts.push(Part { epoch: reference.epoch, first: part.first, blocks: part.blocks });
            }
            if let Some(spooled) = spooled {
                let own = spooled.blocks.iter().filter(|block| block.bucket == bucket);
                let (first, blocks) =
                    own.fold((u32::MAX, 0), |(first, count), block| (first.min(block.number), count + 1));
                if blocks > 0 {
                    segments.insert(spooled.segment.epoch, spooled.segment);
                    parts.push(Part { epoch: spooled.segment.epoch, first, blocks });
                }
            }
            SpooledFragment { bucket, next_slot, parts }
        };
        let fragments =
            fragments.iter().map(|(bucket, fragment)| of(*bucket, fragment.next_slot())).collect();
        SpooledTable { table: self.table, segments: segments.into_values().collect(), fragments }
    }
}

/// Takes what a checkpoint has written out of memory. A chunk that is not as it was when it was written, because its table was
/// changed, emptied or dropped meanwhile, stays, and its block is nobody's.
pub(crate) fn adopt(node: &Weak<Node>, spooled: Vec<Spooled>) {
    for Spooled { table, opened, blocks, .. } in spooled {
        for block in blocks {
            let Some(node) = node.upgrade() else { return };
            let Some(home) = node.homes().get(&TableId(table)).cloned() else { break };
            let domain = node.domain_of(&home, block.bucket);
            let mut state = node.domain(domain).lock(domain);
            evict(&mut state, home.slot, &block, &opened);
            drop(state);
            // The chunks go here, with no latch held.
            drop(block);
        }
    }
}

fn evict(state: &mut DomainState, slot: u32, block: &Block, segment: &Arc<ColdSegment>) {
    let Some(Some(table)) = state.tables.get_mut(slot as usize) else { return };
    let fragment = table.fragments.get_mut(usize::from(block.bucket)).and_then(Option::as_mut);
    let Some(fragment) = fragment else { return };
    if !block.chunks.iter().all(|(chunk, _)| fragment.has_chunk(chunk)) {
        return;
    }
    block.chunks.iter().for_each(|(chunk, heap_bytes)| fragment.evict(chunk, *heap_bytes));
    table.add_cold(block.bucket, ColdPart { segment: segment.clone(), first: block.number, blocks: 1 });
}
