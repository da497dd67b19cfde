//! What is kept: the two newest checkpoints, one from before the retention's beginning, and the log after the oldest of these.
//!
//! A checkpoint takes the place of the log before it. If the newest turns out to be damaged when it is needed, the one before it and the
//! log since then are all there still. With one checkpoint alone the log is kept from its first epoch on, for the same reason
//! (docs/adr/0008).

use std::collections::BTreeMap;

use tuplix_checkpoint::{Reader, SegmentName, SegmentRef, SpooledTable};
use tuplix_machine::Disk;
use tuplix_types::{Result, sqlstate};

/// A checkpoint that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Its epoch.
    pub(crate) epoch: u64,
    /// When that was closed.
    pub(crate) at_us: i64,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
}

/// Segments by name.
pub(crate) type Segments = BTreeMap<SegmentName, SegmentRef>;

/// The checkpoints in a folder, the newest first, without those that are damaged, and the segments that each of them refers to.
///
/// # Errors
/// When the disk fails: of a checkpoint that cannot be read now it is not known what it needs.
pub(crate) fn known(
    disk: &dyn Disk,
    epochs: &[u64],
    damaged: &[u64],
    node_id: u64,
) -> Result<(Vec<Kept>, BTreeMap<u64, Segments>)> {
    let (mut kept, mut referred) = (Vec::new(), BTreeMap::new());
    for epoch in epochs.iter().filter(|epoch| !damaged.contains(epoch)) {
        let opened = Reader::open(disk, *epoch, Some(node_id));
        match opened.and_then(|reader| Ok((reader.segments()?, reader))) {
            Ok((tables, reader)) => {
                let at_us = reader.header().created_us;
                kept.push(Kept { epoch: *epoch, at_us, rows: reader.rows(), bytes: reader.bytes() });
                referred.insert(*epoch, tables.iter().flat_map(SpooledTable::named).collect());
            }
            Err(error) if error.sqlstate() == sqlstate::IO_ERROR => return Err(error),
            // One that no start can use.
            Err(_) => {}
        }
    }
    Ok((kept, referred))
}

/// Which of the checkpoints, the newest first, stay, and up to which epoch the log may go. `horizon_us` is where the retention begins.
pub(crate) fn choose(all: &[Kept], horizon_us: i64) -> (Vec<Kept>, Option<u64>) {
    let reaches_back = all.iter().find(|kept| kept.at_us <= horizon_us);
    let base = reaches_back.or(all.last());
    let stay = |(index, kept): (usize, &Kept)| (index < 2 || Some(kept) == base).then_some(*kept);
    let stay: Vec<Kept> = all.iter().enumerate().filter_map(stay).collect();
    let needed = stay.last().filter(|_| stay.len() >= 2 && reaches_back.is_some());
    let log_to = needed.map(|kept| kept.epoch);
    (stay, log_to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(list: &[(u64, i64)]) -> Vec<Kept> {
        list.iter().map(|(epoch, at_us)| Kept { epoch: *epoch, at_us: *at_us, rows: 1, bytes: 100 }).collect()
    }

    #[test]
    fn two_and_what_the_retention_needs() {
        let all = kept(&[(90, 900), (80, 800), (70, 700), (60, 600)]);
        assert_eq!(choose(&all, 1000), (all[..2].to_vec(), Some(80)));
        let three = kept(&[(90, 900), (80, 800), (60, 600)]);
        assert_eq!(choose(&all, 650), (three.clone(), Some(60)));
        // The retention began before the first checkpoint: all log stays, and the oldest.
        assert_eq!(choose(&all, 10), (three, None));
    }

    #[test]
    fn one_alone_keeps_the_whole_log() {
        let one = kept(&[(5, 50)]);
        assert_eq!(choose(&one, 1000), (one, None));
        assert_eq!(choose(&[], 0), (vec![], None));
    }
}
