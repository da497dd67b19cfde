//! Opening a node: the directory's lock, recovery from the log, the log's start; and closing it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tuplix_catalog::{CatalogChange, TableId};
use tuplix_log::{Change, Config, Log, Record, Recovery, RecoveryReport};
use tuplix_machine::{Disk, Machine};
use tuplix_storage::RowId;
use tuplix_types::{Result, SqlError, sqlstate};

use crate::directory::{self, IDENTITY};
use crate::layout::{Placement, TableAccess};
use crate::node::{Node, Schema, Shape};
use crate::redo::CATALOG_CHANGE;

/// The folder of the log.
const LOG: &str = "log";
/// The version of the directory's layout.
const DIRECTORY_VERSION: u32 = 1;

/// What a data directory says of itself.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Identity {
    version: u32,
    node_id: u64,
    buckets: u16,
}

/// A node and what its recovery found.
pub struct Opened {
    /// The node.
    pub node: Arc<Node>,
    /// What was replayed and cut.
    pub report: RecoveryReport,
}

/// Opens a node that keeps everything in memory: nothing survives it.
///
/// # Errors
/// 22023 for a shape out of bounds.
pub fn open_in_memory(machine: &Machine, shape: &Shape) -> Result<Arc<Node>> {
    let node = Arc::new(Node::new(machine.clone(), shape, Log::off(machine), None)?);
    node.start_log();
    Ok(node)
}

/// Opens the node in a directory, which is made a data directory when it is empty.
///
/// # Errors
/// 55006 when another process has it open; XX001 when the log is damaged in the middle; 22023 when the shape is not
/// the directory's; I/O errors with path and operation.
pub fn open(machine: &Machine, disk: Arc<dyn Disk>, shape: &Shape) -> Result<Opened> {
    directory::refuse_foreign(&*disk)?;
    let lock = directory::lock(&*disk)?;
    let identity = identify(machine, &*disk, shape)?;
    let config =
        Config { node_id: identity.node_id, segment_bytes: shape.log_segment_bytes, ..Config::default() };
    disk.create_dir(LOG).map_err(|error| io_error(&error))?;
    let log_disk = machine.disk(&format!("{}/{LOG}", disk.root()));
    let mut recovery = Recovery::start(machine, log_disk, config)?;
    let replay = Node::new(machine.clone(), shape, Log::off(machine), None)?;
    let mut last_commit = 0;
    while let Some(epoch) = recovery.next_epoch()? {
        // They come in the order of their timestamps, in which their transactions depended on each other.
        for record in epoch.records() {
            let record = record?;
            last_commit = last_commit.max(record.header.commit_ts);
            apply(&replay, &record)?;
        }
    }
    let (log, report) = recovery.finish()?;
    let node = replay.adopt(log, lock, last_commit);
    let node = Arc::new(node);
    node.start_log();
    Ok(Opened { node, report })
}

fn io_error(error: &tuplix_machine::DiskError) -> SqlError {
    let state = if error.is_disk_full() { sqlstate::DISK_FULL } else { sqlstate::IO_ERROR };
    SqlError::new(state, error.to_string())
}

fn identify(machine: &Machine, disk: &dyn Disk, shape: &Shape) -> Result<Identity> {
    let damaged = |detail: String| {
        let message = format!("\"{}/{IDENTITY}\" is damaged", disk.root());
        SqlError::new(sqlstate::DATA_CORRUPTED, message)
            .detail(detail)
            .hint("Restore the directory from a backup.")
    };
    if disk.exists(IDENTITY).map_err(|error| io_error(&error))? {
        let bytes = disk.read(IDENTITY).map_err(|error| io_error(&error))?;
        let identity: Identity =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        return check_identity(identity, disk, shape);
    }
    directory::refuse_foreign(disk)?;
    let identity =
        Identity { version: DIRECTORY_VERSION, node_id: machine.random_u64(), buckets: shape.buckets };
    let bytes = serde_json::to_vec(&identity).map_err(|error| SqlError::internal(error.to_string()))?;
    disk.write_atomically(IDENTITY, &bytes).map_err(|error| io_error(&error))?;
    Ok(identity)
}

fn check_identity(identity: Identity, disk: &dyn Disk, shape: &Shape) -> Result<Identity> {
    if identity.version != DIRECTORY_VERSION {
        let message = format!("data directory \"{}\" has format version {}", disk.root(), identity.version);
        let detail = format!("This program reads version {DIRECTORY_VERSION}.");
        return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message).detail(detail));
    }
    if identity.buckets != shape.buckets {
        let message = format!(
            "data directory \"{}\" has {} buckets, not {}",
            disk.root(),
            identity.buckets,
            shape.buckets
        );
        let hint = "The number of buckets is fixed when a directory is made.";
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message).hint(hint));
    }
    Ok(identity)
}

fn apply(node: &Node, record: &Record<'_>) -> Result<()> {
    let mut changes = record.changes();
    while let Some(change) = changes.next().map_err(|error| unreadable(&error.to_string()))? {
        match change {
            Change::Catalog { kind: CATALOG_CHANGE, json } => {
                let change: CatalogChange =
                    serde_json::from_slice(json).map_err(|error| unreadable(&error.to_string()))?;
                node.replay(change)?;
            }
            Change::Catalog { kind, .. } => {
                return Err(unreadable(&format!("catalogue change of unknown kind {kind}")));
            }
            Change::Insert { table, bucket, slot, values } => {
                with_fragment(node, table, bucket, |fragment| {
                    check_width(fragment, values.len())?;
                    let row = row_id(slot)?;
                    if fragment.is_live(row) {
                        return Err(unreadable(&format!("row slot {slot} has a row already")));
                    }
                    fragment.insert_at(row, values).map_err(SqlError::from)
                })?
            }
            Change::Update { table, bucket, slot, columns, values } => {
                with_fragment(node, table, bucket, |fragment| {
                    check_width(fragment, columns.last().map_or(0, |last| usize::from(*last) + 1))?;
                    let changes: Vec<_> =
                        columns.iter().map(|column| usize::from(*column)).zip(values.drain(..)).collect();
                    fragment.update(live(fragment, row_id(slot)?)?, &changes);
                    Ok(())
                })?
            }
            Change::Delete { table, bucket, slot, .. } => with_fragment(node, table, bucket, |fragment| {
                fragment.delete(live(fragment, row_id(slot)?)?);
                fragment.release_deleted();
                Ok(())
            })?,
        }
    }
    Ok(())
}

/// An insert has all columns, an update none beyond the last.
fn check_width(fragment: &tuplix_storage::Fragment, columns: usize) -> Result<()> {
    if columns > fragment.column_types().len() {
        return Err(unreadable(&format!("a row of {columns} columns")));
    }
    Ok(())
}

fn row_id(slot: u64) -> Result<RowId> {
    u32::try_from(slot).map(RowId).map_err(|_| unreadable(&format!("row slot {slot}")))
}

fn live(fragment: &tuplix_storage::Fragment, row: RowId) -> Result<RowId> {
    if fragment.is_live(row) { Ok(row) } else { Err(unreadable(&format!("row slot {} has no row", row.0))) }
}

fn unreadable(what: &str) -> SqlError {
    SqlError::new(sqlstate::DATA_CORRUPTED, format!("the log does not fit the data: {what}"))
        .hint("Restore the data directory from a backup.")
}

fn with_fragment(
    node: &Node,
    table: u32,
    bucket: u16,
    change: impl FnOnce(&mut tuplix_storage::Fragment) -> Result<()>,
) -> Result<()> {
    let schema: Arc<Schema> = node.schema();
    let Some(access) = schema.layout.table(TableId(table)) else {
        return Err(unreadable(&format!("table {table} does not exist")));
    };
    if bucket >= access.buckets {
        return Err(unreadable(&format!("bucket {bucket} of table {}", access.table.qualified_name())));
    }
    let domain = home(node, access, bucket);
    change(node.domain(domain).lock(domain).fragment_mut(access.slot, bucket))
}

fn home(node: &Node, access: &TableAccess, bucket: u16) -> crate::layout::Domain {
    match access.placement {
        Placement::Local(domain) => domain,
        Placement::Reference => crate::layout::Domain::REFERENCE,
        Placement::Hash { .. } => node.domain_of_bucket(bucket),
        Placement::Locked(_) => unreachable!("nobody locks tables during recovery"),
    }
}

/// Ends a node: no new sessions, everything committed goes to disk.
///
/// # Errors
/// The log's.
pub fn close(node: &Node) -> Result<()> {
    node.closing.store(true, Ordering::Release);
    for flags in node.sessions.lock().values() {
        flags.cancel.store(true, Ordering::Relaxed);
    }
    node.waits.wake_all();
    node.log.close()
}
