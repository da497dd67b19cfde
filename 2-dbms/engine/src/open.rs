//! Opening a node: the directory's lock, recovery, the start of log and checkpoints; and closing it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tuplix_checkpoint::{SegmentFiles, disk_error};
use tuplix_log::{Config, Log};
use tuplix_machine::{Disk, DiskResult, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::checkpoint::{CHECKPOINTS, Checkpointer, Durability, Events};
use crate::directory::{self, IDENTITY};
use crate::history::SEGMENTS;
use crate::node::{Node, Shape};
use crate::recovery::{Recovered, RecoveryReport, Source};

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
/// 55006 when another process has it open; XX001 when checkpoint or log are damaged; 22023 when the shape is not
/// the directory's; I/O errors with path and operation.
pub fn open(machine: &Machine, disk: Arc<dyn Disk>, shape: &Shape, settings: &Durability) -> Result<Opened> {
    directory::refuse_foreign(&*disk)?;
    let lock = directory::lock(&*disk)?;
    let identity = identify(machine, &*disk, shape)?;
    make_folders(&*disk).map_err(|error| disk_error(&error))?;
    let checkpoints = machine.disk(&format!("{}/{CHECKPOINTS}", disk.root()));
    let segments = segment_files(machine, &*disk);
    let source = Source {
        machine,
        checkpoints: &*checkpoints,
        segments: &segments,
        log: machine.disk(&format!("{}/{LOG}", disk.root())),
        config: config(&identity, shape),
        shape,
        events: settings.events.clone(),
    };
    let Recovered { node, log, last_commit, report, damaged } = source.recover()?;
    // What a checkpoint left that was interrupted.
    tuplix_checkpoint::remove_unfinished(&*checkpoints).map_err(|error| disk_error(&error))?;
    let epochs = tuplix_checkpoint::list(&*checkpoints).map_err(|error| disk_error(&error))?;
    let kept = crate::checkpoint::known(&*checkpoints, &epochs, &damaged, identity.node_id)?;
    let wake = log.alarm().clone();
    tuplix_checkpoint::remove_unfinished_segments(&**segments.disk()).map_err(|error| disk_error(&error))?;
    let passed_over = damaged.iter().copied().zip(report.damaged.iter().cloned()).collect();
    let disks = (checkpoints, segments);
    let checkpointer = Checkpointer::new(machine, disks, identity.node_id, settings, kept, passed_over, wake);
    let mut node = node.adopt(log, lock, last_commit);
    node.refusals.keep_in(disk, settings.events.clone());
    let checkpointer = Arc::new(checkpointer);
    node.checkpointer = Some(checkpointer.clone());
    let node = Arc::new(node);
    node.start_log();
    checkpointer.start(&node, report.bytes);
    Ok(Opened { node, report })
}

fn segment_files(machine: &Machine, disk: &dyn Disk) -> Arc<SegmentFiles> {
    SegmentFiles::new(machine, machine.disk(&format!("{}/{SEGMENTS}", disk.root())))
}

/// Makes the folders where they are missing. Files in them are durable only as far as the folders' own names are.
fn make_folders(disk: &dyn Disk) -> DiskResult<()> {
    let mut made = false;
    for folder in [LOG, CHECKPOINTS, SEGMENTS] {
        if !disk.exists(folder)? {
            disk.create_dir(folder)?;
            made = true;
        }
    }
    if made { disk.sync_dir("") } else { Ok(()) }
}

fn config(identity: &Identity, shape: &Shape) -> Config {
    Config { node_id: identity.node_id, segment_bytes: shape.log_segment_bytes, ..Config::default() }
}

/// Reads a data directory into a node in memory; nothing in the directory changes but the process in its lock file.
///
/// # Errors
/// As [`open`], and 55000 when the directory is none of data.
pub fn inspect(machine: &Machine, disk: Arc<dyn Disk>, events: Option<Events>) -> Result<Opened> {
    if !disk.exists(IDENTITY).map_err(|error| disk_error(&error))? {
        let message = format!("\"{}\" is no data directory: it has no \"{IDENTITY}\"", disk.root());
        return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    let lock = directory::lock(&*disk)?;
    let identity = read_identity(&*disk)?;
    let buckets = identity.buckets;
    let partitions = machine.cores().clamp(1, usize::from(buckets).max(1));
    let shape = Shape { partitions, buckets, log_segment_bytes: Config::default().segment_bytes };
    let identity = check_identity(identity, &*disk, &shape)?;
    let checkpoints = machine.disk(&format!("{}/{CHECKPOINTS}", disk.root()));
    let segments = segment_files(machine, &*disk);
    let source = Source {
        machine,
        checkpoints: &*checkpoints,
        segments: &segments,
        log: machine.disk(&format!("{}/{LOG}", disk.root())),
        config: config(&identity, &shape),
        shape: &shape,
        events,
    };
    let (mut node, report) = source.recover_in_memory()?;
    node.directory = Some(lock);
    let node = Arc::new(node);
    node.start_log();
    Ok(Opened { node, report })
}

fn read_identity(disk: &dyn Disk) -> Result<Identity> {
    let bytes = disk.read(IDENTITY).map_err(|error| disk_error(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("\"{}/{IDENTITY}\" is damaged", disk.root());
        SqlError::new(sqlstate::DATA_CORRUPTED, message)
            .detail(error.to_string())
            .hint("Restore the directory from a backup with \"tuplix restore\".")
    })
}

fn identify(machine: &Machine, disk: &dyn Disk, shape: &Shape) -> Result<Identity> {
    if disk.exists(IDENTITY).map_err(|error| disk_error(&error))? {
        return check_identity(read_identity(disk)?, disk, shape);
    }
    directory::refuse_foreign(disk)?;
    let identity =
        Identity { version: DIRECTORY_VERSION, node_id: machine.random_u64(), buckets: shape.buckets };
    let bytes = serde_json::to_vec(&identity).map_err(|error| SqlError::internal(error.to_string()))?;
    disk.write_atomically(IDENTITY, &bytes).map_err(|error| disk_error(&error))?;
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
    node.refusals.stop();
    let stopped = node.checkpointer.as_ref().map_or(Ok(()), |checkpointer| checkpointer.stop());
    node.log.close().and(stopped)
}
