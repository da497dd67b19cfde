//! A checkpoint into a node without tables: the catalogue first, then fragments on all threads, without indexes.

use std::sync::Arc;

use tuplix_catalog::{Export, TableId};
use tuplix_checkpoint::{FragmentBlocks, Reader};
use tuplix_machine::Machine;
use tuplix_storage::{Fragment, FragmentSchema};
use tuplix_types::{Result, SqlError, sqlstate};

use super::parallel::in_parallel;
use super::progress::Progress;
use crate::checkpoint::{Events, NodeEvent};
use crate::domain::bare_fragment;
use crate::layout::Domain;
use crate::node::Node;

/// Where a fragment belongs.
#[derive(Clone, Copy)]
struct Place {
    domain: Domain,
    slot: u32,
    bucket: u16,
}

/// Puts a checkpoint's catalogue and rows into `node`.
///
/// # Errors
/// XX001 when it is damaged or does not fit itself; the node is then of no use.
pub(super) fn load(node: &Arc<Node>, reader: Reader, threads: usize, events: Option<Events>) -> Result<()> {
    let export: Export = serde_json::from_slice(&reader.catalog()?)
        .map_err(|error| unreadable(&reader, &format!("its catalogue cannot be read: {error}")))?;
    node.install_catalog(&export)?;
    let mut jobs = Vec::new();
    for fragment in reader.fragments()? {
        jobs.push((place(node, &reader, &fragment)?, fragment));
    }
    // The largest first, so that no thread ends long after the others.
    jobs.sort_by_key(|(_, fragment)| std::cmp::Reverse(size(fragment)));
    let jobs: Vec<_> = jobs.into_iter().map(|((place, schema), blocks)| (place, schema, blocks)).collect();
    let progress = Progress::new(node.machine(), events, "checkpoint", reader.bytes());
    let reader = Arc::new(reader);
    let (shared, to) = (reader.clone(), node.clone());
    let rows = in_parallel(node.machine(), threads, jobs, move |(place, schema, blocks)| {
        let fragment = load_fragment(&shared, &schema, &blocks, &progress)?;
        let rows = fragment.row_count() as u64;
        with_place(&to, place, |slot| *slot = Some(Box::new(fragment)));
        Ok(rows)
    })?;
    reader.check_rows(rows.into_iter().sum())
}

fn size(fragment: &FragmentBlocks) -> u64 {
    fragment.blocks.iter().map(tuplix_checkpoint::Block::length).sum()
}

fn unreadable(reader: &Reader, what: &str) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, format!("checkpoint \"{}\" is damaged: {what}", reader.path()))
}

fn place(node: &Node, reader: &Reader, fragment: &FragmentBlocks) -> Result<(Place, Arc<FragmentSchema>)> {
    let schema = node.schema();
    let access = schema.layout.table(TableId(fragment.table));
    let Some(access) = access.filter(|access| fragment.bucket < access.buckets) else {
        let what = format!("bucket {} of table {} does not exist", fragment.bucket, fragment.table);
        return Err(unreadable(reader, &what));
    };
    let domain = super::apply::home(node, access, fragment.bucket);
    let guard = node.domain(domain).lock(domain);
    let Some(table) = guard.table(access.slot) else {
        return Err(unreadable(reader, &format!("table {} has no place", fragment.table)));
    };
    let place = Place { domain, slot: access.slot, bucket: fragment.bucket };
    Ok((place, table.schema.clone()))
}

fn with_place<T>(node: &Node, place: Place, change: impl FnOnce(&mut Option<Box<Fragment>>) -> T) -> T {
    let mut guard = node.domain(place.domain).lock(place.domain);
    match guard.tables.get_mut(place.slot as usize) {
        Some(Some(table)) => change(&mut table.fragments[usize::from(place.bucket)]),
        _ => panic!("slot {} has no table in this domain", place.slot),
    }
}

fn load_fragment(
    reader: &Reader,
    schema: &FragmentSchema,
    blocks: &FragmentBlocks,
    progress: &Progress,
) -> Result<Fragment> {
    let mut fragment = bare_fragment(schema);
    let mut payload = Vec::new();
    for block in &blocks.blocks {
        let mut add = |chunk| fragment.load_chunk(chunk).map_err(|bad| bad.to_string());
        reader.chunks(block, &mut payload, &mut add)?;
        progress.add(block.length());
    }
    Ok(fragment)
}

/// Builds the indexes of all fragments, when all rows are there.
///
/// # Errors
/// XX000 when a thread panics.
pub(super) fn build_indexes(node: &Arc<Node>, threads: usize, events: Option<&Events>) -> Result<()> {
    let mut jobs = Vec::new();
    for home in node.homes().values() {
        for domain in node.domains_of(home) {
            let mut guard = node.domain(domain).lock(domain);
            let Some(Some(table)) = guard.tables.get_mut(home.slot as usize) else { continue };
            table.bare = false;
            let schema = table.schema.clone();
            for (bucket, fragment) in (0u16..).zip(&mut table.fragments) {
                let place = Place { domain, slot: home.slot, bucket };
                jobs.extend(fragment.take().map(|fragment| (place, schema.clone(), fragment)));
            }
        }
    }
    if let Some(events) = events.filter(|_| !jobs.is_empty()) {
        events(&NodeEvent::BuildingIndexes(jobs.len()));
    }
    jobs.sort_by_key(|(_, _, fragment)| std::cmp::Reverse(fragment.row_count()));
    let (machine, to): (Machine, Arc<Node>) = (node.machine().clone(), node.clone());
    in_parallel(&machine, threads, jobs, move |(place, schema, mut fragment)| {
        for (number, index) in schema.indexes.iter().enumerate() {
            let added = fragment.add_index(index.clone());
            assert_eq!(added.ok(), Some(number), "DDL keeps the number of indexes in bounds");
        }
        with_place(&to, place, |slot| *slot = Some(fragment));
        Ok(())
    })?;
    Ok(())
}
