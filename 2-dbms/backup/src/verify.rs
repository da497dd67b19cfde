//! Every checksum of a data directory, read as it is, whether its node runs or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_checkpoint::{Reader, Segment, SegmentName, SpooledTable, segment_file_name};
use tuplix_machine::{Disk, Machine, OpenMode};
use tuplix_types::Result;

use crate::source::{node_id, read_segment};
use crate::{CHECKPOINTS, HISTORY, IDENTITY, LOG, disk_error, refused};

/// What was read, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Checkpoints.
    pub checkpoints: usize,
    /// Segments of the log.
    pub segments: usize,
    /// Files of rows that have left memory.
    pub history: usize,
    /// What is wrong.
    pub findings: Vec<String>,
}

/// Reads and checks all checkpoints and the whole log of the data directory that is `from`'s root. What a running node removes
/// meanwhile is left out; a file that cannot be read is a finding like one that is damaged.
///
/// # Errors
/// 55000 when it is no data directory, 58030 when its folders cannot be listed.
pub fn verify(machine: &Machine, from: &Arc<dyn Disk>) -> Result<Verified> {
    if !from.exists(IDENTITY).map_err(|error| disk_error(&error))? {
        return Err(refused(format!("\"{}\" is no data directory: it has no \"{IDENTITY}\"", from.root())));
    }
    let mut verified = Verified::default();
    let identity = from.read(IDENTITY).map_err(|error| disk_error(&error))?;
    let id = match node_id(&identity, from.root()) {
        Ok(id) => id,
        Err(error) => {
            verified.findings.push(error.message().to_owned());
            return Ok(verified);
        }
    };
    checkpoints(machine, from, id, &mut verified)?;
    history(machine, from, id, &mut verified)?;
    segments(from, id, &mut verified)?;
    Ok(verified)
}

fn checkpoints(machine: &Machine, from: &Arc<dyn Disk>, id: u64, verified: &mut Verified) -> Result<()> {
    if !from.exists(CHECKPOINTS).map_err(|error| disk_error(&error))? {
        return Ok(());
    }
    let folder = machine.disk(&format!("{}/{CHECKPOINTS}", from.root()));
    for epoch in tuplix_checkpoint::list(&*folder).map_err(|error| disk_error(&error))? {
        let read = Reader::open(&*folder, epoch, Some(id)).and_then(|reader| reader.verify());
        let is_gone =
            !folder.exists(&tuplix_checkpoint::file_name(epoch)).map_err(|error| disk_error(&error))?;
        match read {
            Ok(()) => verified.checkpoints += 1,
            Err(_) if is_gone => {}
            Err(error) => verified.findings.push(error.message().to_owned()),
        }
    }
    Ok(())
}

/// The segments that checkpoints refer to; one that none does is removed with the next checkpoint.
fn history(machine: &Machine, from: &Arc<dyn Disk>, id: u64, verified: &mut Verified) -> Result<()> {
    if !from.exists(HISTORY).map_err(|error| disk_error(&error))? {
        return Ok(());
    }
    let folder = machine.disk(&format!("{}/{HISTORY}", from.root()));
    let checkpoints = machine.disk(&format!("{}/{CHECKPOINTS}", from.root()));
    for name in referred(&*checkpoints, id)? {
        let read = Segment::open(&*folder, name, id).and_then(|segment| segment.verify());
        match read {
            Ok(()) => verified.history += 1,
            Err(error) => {
                let file_name = segment_file_name(name);
                let is_there = folder.exists(&file_name).map_err(|error| disk_error(&error))?;
                // The node removes a segment after the last checkpoint that refers to it.
                if is_there || referred(&*checkpoints, id)?.contains(&name) {
                    verified.findings.push(error.message().to_owned());
                }
            }
        }
    }
    Ok(())
}

/// Which segments the checkpoints refer to that are there now. What is wrong with a checkpoint itself has been said.
fn referred(checkpoints: &dyn Disk, id: u64) -> Result<BTreeSet<SegmentName>> {
    let mut names = BTreeSet::new();
    for epoch in tuplix_checkpoint::list(checkpoints).map_err(|error| disk_error(&error))? {
        let tables = Reader::open(checkpoints, epoch, Some(id)).and_then(|reader| reader.segments());
        names.extend(tables.unwrap_or_default().iter().flat_map(SpooledTable::names));
    }
    Ok(names)
}

fn segments(from: &Arc<dyn Disk>, id: u64, verified: &mut Verified) -> Result<()> {
    let names = tuplix_log::segments_after(from.list(LOG).map_err(|error| disk_error(&error))?, 0);
    let count = names.len();
    let mut previous = None;
    for (number, name) in names.iter().enumerate() {
        let file = match from.open(&format!("{LOG}/{name}"), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(disk_error(&error)),
        };
        let scan = match read_segment(name, &*file, number + 1 == count) {
            Ok(Some((_, scan))) => scan,
            Ok(None) => continue,
            Err(error) => {
                verified.findings.push(error.message().to_owned());
                previous = None;
                continue;
            }
        };
        verified.segments += 1;
        let header = scan.header;
        if header.node_id != id {
            verified.findings.push(format!("log segment \"{name}\" belongs to another node"));
        }
        if previous.is_some_and(|previous| previous != header.previous_epoch) {
            let wanted = header.previous_epoch;
            verified
                .findings
                .push(format!("the log before segment \"{name}\" does not end at epoch {wanted}"));
        }
        previous = Some(scan.epochs.last().map_or(header.previous_epoch, |epoch| epoch.number));
    }
    Ok(())
}
