//! What a node takes for its data directory.
//!
//! A node that keeps a log makes a directory its own with `node.json`. One that keeps none has nothing there but its lock, and what the
//! program around it puts beside it: the socket, the folders of tasks. Both lock it, so that no second node disturbs these.

use std::sync::Arc;

use tuplix_checkpoint::disk_error;
use tuplix_log::Log;
use tuplix_machine::{DirectoryLock, Disk, Machine};
use tuplix_types::{Result, SqlError, sqlstate};

use crate::node::{Node, Shape};

/// The file that says what the directory is.
pub(crate) const IDENTITY: &str = "node.json";

/// The file that `Disk::lock` makes in the directory it locks.
const LOCK: &str = "lock";

/// What a node without a log leaves beside its lock: the folder of its tasks, and names of sockets.
const TASKS: &str = "work";
const SOCKETS: &str = ".s.PGSQL.";

/// Opens a node that keeps everything in memory and has a directory for what is no data.
///
/// # Errors
/// 55006 when another process has it; 55000 when there is a database in it, or something foreign.
pub fn open_without_log(machine: &Machine, disk: &dyn Disk, shape: &Shape) -> Result<Arc<Node>> {
    refuse_foreign(disk)?;
    let lock = lock(disk)?;
    if disk.exists(IDENTITY).map_err(|error| disk_error(&error))? {
        let message = format!("data directory \"{}\" has a database", disk.root());
        return Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .detail("A node without a log would begin empty, and keep nothing.")
            .hint("Start it with its log, or use another directory."));
    }
    let node = Arc::new(Node::new(machine.clone(), shape, Log::off(machine), Some(lock))?);
    node.start_log();
    Ok(node)
}

/// Locks a directory until the lock is dropped.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn DirectoryLock>> {
    disk.lock("").map_err(|error| {
        if error.kind() != std::io::ErrorKind::WouldBlock {
            return disk_error(&error);
        }
        let message = format!("data directory \"{}\" is in use", disk.root());
        SqlError::new(sqlstate::OBJECT_IN_USE, message)
            .detail(error.to_string())
            .hint("Stop the other node first, or use another directory.")
    })
}

/// Refuses a directory that has something and is no data directory. It leaves nothing there.
pub(crate) fn refuse_foreign(disk: &dyn Disk) -> Result<()> {
    let names = disk.list("").map_err(|error| disk_error(&error))?;
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has(IDENTITY) {
        return Ok(());
    }
    let locked = has(LOCK);
    let ours = |name: &str| {
        let of_a_node = name == TASKS || name.starts_with(SOCKETS);
        // A first start that was cut short leaves its half of a file.
        name == LOCK || name == format!("{IDENTITY}.new") || (locked && of_a_node)
    };
    let Some(foreign) = names.iter().find(|name| !ours(name)) else { return Ok(()) };
    let message = format!("directory \"{}\" is neither empty nor a Tuplix data directory", disk.root());
    Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .detail(format!("It has \"{foreign}\" but no \"{IDENTITY}\"."))
        .hint("Name a directory that is empty, or not there yet."))
}
