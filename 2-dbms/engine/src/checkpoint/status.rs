//! What SQL shows of checkpoints and of the log's segments: `tuplix.checkpoints`, `tuplix.log_segments`. Nothing is asked of the disk.

use std::collections::BTreeMap;

use tuplix_log::SegmentPlace;

use super::keep::{self, Kept};

/// What began a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// CHECKPOINT, `tuplix checkpoint`, the end of the node.
    Request,
    /// The log had grown by as much as is configured.
    LogSize,
    /// Spooled tables had too much of the memory.
    Memory,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Request => "request",
            Cause::LogSize => "log size",
            Cause::Memory => "memory",
        }
    }
}

/// A checkpoint that this node made since it started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) microseconds: u64,
    pub(super) cause: Cause,
}

/// A checkpoint that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) epoch: u64,
    pub(super) at_us: i64,
    pub(super) cause: Cause,
    pub(super) started_ns: u64,
}

/// The last checkpoint that failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// `None` when not even its moment was found.
    pub(super) epoch: Option<u64>,
    pub(super) at_us: i64,
    pub(super) cause: Cause,
    pub(super) error: String,
}

/// What is told of checkpoints beside what they say of themselves.
#[derive(Debug, Default)]
pub(super) struct History {
    /// By epoch.
    pub(super) made: BTreeMap<u64, Made>,
    pub(super) writing: Option<Writing>,
    pub(super) failed: Option<Failed>,
    /// Those that the start passed over, with what is wrong.
    pub(super) damaged: Vec<(u64, String)>,
}

/// A row of `tuplix.checkpoints`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CheckpointStatus {
    pub(crate) epoch: Option<u64>,
    /// When its epoch was closed, or when it failed.
    pub(crate) at_us: Option<i64>,
    pub(crate) rows: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) microseconds: Option<u64>,
    /// `kept`, `being written`, `failed`, `damaged`
    pub(crate) state: &'static str,
    /// `None` for those of earlier starts.
    pub(crate) cause: Option<&'static str>,
    pub(crate) error: Option<String>,
}

impl History {
    /// A newer checkpoint is there: what was passed over or failed before it, and what is not kept, is not told any more.
    pub(super) fn forget_all_but(&mut self, kept: &[Kept]) {
        self.made.retain(|epoch, _| kept.iter().any(|kept| kept.epoch == *epoch));
        self.failed = None;
        self.damaged.clear();
    }

    pub(super) fn rows(&self, kept: &[Kept], written: u64, now_ns: u64) -> Vec<CheckpointStatus> {
        let mut rows = Vec::new();
        if let Some(writing) = &self.writing {
            rows.push(CheckpointStatus {
                epoch: Some(writing.epoch),
                at_us: Some(writing.at_us),
                bytes: Some(written),
                microseconds: Some(now_ns.saturating_sub(writing.started_ns) / 1000),
                state: "being written",
                cause: Some(writing.cause.name()),
                ..CheckpointStatus::default()
            });
        }
        if let Some(failed) = &self.failed {
            rows.push(CheckpointStatus {
                epoch: failed.epoch,
                at_us: Some(failed.at_us),
                state: "failed",
                cause: Some(failed.cause.name()),
                error: Some(failed.error.clone()),
                ..CheckpointStatus::default()
            });
        }
        rows.extend(self.damaged.iter().map(|(epoch, error)| CheckpointStatus {
            epoch: Some(*epoch),
            state: "damaged",
            error: Some(error.clone()),
            ..CheckpointStatus::default()
        }));
        rows.extend(kept.iter().map(|kept| {
            let made = self.made.get(&kept.epoch);
            CheckpointStatus {
                epoch: Some(kept.epoch),
                at_us: Some(kept.at_us),
                rows: Some(kept.rows),
                bytes: Some(kept.bytes),
                microseconds: made.map(|made| made.microseconds),
                state: "kept",
                cause: made.map(|made| made.cause.name()),
                error: None,
            }
        }));
        rows
    }
}

/// A row of `tuplix.log_segments`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentStatus {
    pub(crate) place: SegmentPlace,
    /// Why it is there.
    pub(crate) kept_for: String,
}

/// Why each segment is kept, by the rule that removes them.
pub(super) fn segments(places: Vec<SegmentPlace>, kept: &[Kept], horizon_us: i64) -> Vec<SegmentStatus> {
    let (stay, log_to) = keep::choose(kept, horizon_us);
    let count = places.len();
    let why = |number: usize, place: &SegmentPlace| match log_to {
        _ if number + 1 == count => "being written".to_owned(),
        None if stay.len() < 2 => "no two checkpoints yet".to_owned(),
        None => "log retention".to_owned(),
        Some(base) if place.last_epoch <= base => "goes with the next checkpoint".to_owned(),
        Some(_) => match stay.get(1).filter(|second| place.last_epoch <= second.epoch) {
            Some(_) => "log retention".to_owned(),
            None => match stay.first().filter(|newest| place.last_epoch <= newest.epoch) {
                Some(newest) => format!("should checkpoint {} be damaged", newest.epoch),
                None => "after the newest checkpoint".to_owned(),
            },
        },
    };
    let row = |(number, place): (usize, SegmentPlace)| SegmentStatus { kept_for: why(number, &place), place };
    places.into_iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_says_why_it_is_kept() {
        let place = |first_epoch: u64, last_epoch| SegmentPlace {
            name: first_epoch.to_string(),
            first_epoch,
            last_epoch,
            bytes: 64,
        };
        let places = || vec![place(1, 9), place(10, 19), place(20, 29), place(30, 39), place(40, 45)];
        let kept = |epoch, at_us| Kept { epoch, at_us, rows: 0, bytes: 0 };
        let told = |kept: &[Kept], horizon_us| -> Vec<String> {
            segments(places(), kept, horizon_us).into_iter().map(|row| row.kept_for).collect()
        };
        let three = [kept(29, 290), kept(19, 190), kept(9, 90)];
        let newest = "should checkpoint 29 be damaged";
        let after = ["after the newest checkpoint", "being written"];
        let expected = |first: [&'static str; 3]| [first.as_slice(), after.as_slice()].concat();
        let gone = "goes with the next checkpoint";
        assert_eq!(told(&three[..2], 1000), expected([gone, gone, newest]));
        assert_eq!(told(&three, 100), expected([gone, "log retention", newest]));
        assert_eq!(told(&three, 10)[0], "log retention");
        assert_eq!(told(&three[..1], 1000)[0], "no two checkpoints yet");
    }
}
