//! What a checkpoint says of spooled tables, made real at a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::TableId;
use tuplix_checkpoint::{SegmentFiles, SegmentName, SpooledTable};
use tuplix_types::{Result, SqlError, sqlstate};

use super::{ColdPart, ColdSegment};
use crate::node::Node;

/// Puts the lists of segments beside the rows that were loaded. A damaged segment does not keep the node from starting.
///
/// # Errors
/// XX001 when the lists do not fit the catalogue.
pub(crate) fn load(
    node: &Node,
    files: &Arc<SegmentFiles>,
    node_id: u64,
    tables: &[SpooledTable],
) -> Result<()> {
    let schema = node.schema();
    for table in tables {
        let misfit = |what: &str| {
            let message = format!(
                "the checkpoint's list of segments does not fit the data: table {} {what}",
                table.table
            );
            SqlError::new(sqlstate::DATA_CORRUPTED, message)
        };
        let Some(access) = schema.layout.table(TableId(table.table)) else {
            return Err(misfit("does not exist"));
        };
        let segments: BTreeMap<u64, Arc<ColdSegment>> = table
            .segments
            .iter()
            .map(|reference| {
                let name = SegmentName { table: table.table, epoch: reference.epoch };
                (reference.epoch, Arc::new(ColdSegment::open(files, name, node_id, *reference)))
            })
            .collect();
        for fragment in &table.fragments {
            if fragment.bucket >= access.buckets {
                return Err(misfit(&format!("has no bucket {}", fragment.bucket)));
            }
            let domain = crate::recovery::home(node, access, fragment.bucket);
            let mut state = node.domain(domain).lock(domain);
            let rows = state.fragment_mut(access.slot, fragment.bucket);
            rows.use_up(fragment.next_slot).map_err(|bad| misfit(&bad.to_string()))?;
            let Some(Some(data)) = state.tables.get_mut(access.slot as usize) else { continue };
            for part in &fragment.parts {
                let Some(segment) = segments.get(&part.epoch) else {
                    return Err(misfit(&format!("has no segment {}", part.epoch)));
                };
                let blocks = part.first.checked_add(part.blocks);
                let is_there = |segment: &tuplix_checkpoint::Segment| {
                    blocks.is_some_and(|end| end as usize <= segment.blocks().len())
                };
                if !segment.segment().is_ok_and(is_there) && segment.segment().is_ok() {
                    return Err(misfit(&format!("has no block {} in segment {}", part.first, part.epoch)));
                }
                let part = ColdPart { segment: segment.clone(), first: part.first, blocks: part.blocks };
                data.add_cold(fragment.bucket, part);
            }
        }
    }
    Ok(())
}
