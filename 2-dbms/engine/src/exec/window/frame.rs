//! Partitions, peers and frames.
//!
//! A frame is a half-open range of positions in its partition, less what EXCLUDE takes out. From row to row neither of its
//! ends ever goes back, so all frames of a partition are found in one walk.

use std::cell::OnceCell;
use std::ops::Range;

use tuplix_functions::Function;
use tuplix_sql::plan::{Frame, FrameBound, FrameExclusion, FrameMode};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::super::builder::Builder;
use super::super::code::Code;
use super::super::frame::{Exec, RowSet};
use super::super::host::{self, CallTypes};
use super::super::sort::{SortColumn, compare_rows};
use crate::stop::Run;

/// The rows of a partition in order.
pub(super) struct Partition<'r> {
    rows: &'r RowSet,
    /// The number in `rows` of each position.
    order: &'r [usize],
    /// ORDER BY.
    keys: &'r [SortColumn],
    peers: OnceCell<Peers>,
}

/// The groups of equal rows.
pub(super) struct Peers {
    /// The group of each position.
    group: Vec<u32>,
    /// Where each group begins, and where the last one ends.
    starts: Vec<usize>,
}

impl Peers {
    pub(super) fn group(&self, position: usize) -> usize {
        self.group[position] as usize
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where a group begins; the end of the partition for one past the last.
    pub(super) fn start(&self, group: usize) -> usize {
        self.starts[group.min(self.len())]
    }

    /// The positions of a row's group.
    pub(super) fn of(&self, position: usize) -> Range<usize> {
        let group = self.group(position);
        self.starts[group]..self.starts[group + 1]
    }
}

impl<'r> Partition<'r> {
    pub(super) fn new(rows: &'r RowSet, order: &'r [usize], keys: &'r [SortColumn]) -> Partition<'r> {
        Partition { rows, order, keys, peers: OnceCell::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The number of the row at a position.
    pub(super) fn number(&self, position: usize) -> usize {
        self.order[position]
    }

    /// A value of the row at a position.
    pub(super) fn value(&self, position: usize, at: usize) -> &'r Value {
        &self.rows.row(self.order[position])[at]
    }

    pub(super) fn peers(&self) -> &Peers {
        self.peers.get_or_init(|| {
            let mut peers = Peers { group: Vec::with_capacity(self.len()), starts: vec![0] };
            let mut group = 0;
            for position in 0..self.len() {
                if position > 0 && !self.are_peers(position - 1, position) {
                    group += 1;
                    peers.starts.push(position);
                }
                peers.group.push(group);
            }
            peers.starts.push(self.len());
            peers
        })
    }

    fn are_peers(&self, left: usize, right: usize) -> bool {
        let row = |position: usize| self.rows.row(self.order[position]);
        compare_rows(self.keys, row(left), row(right)).is_eq()
    }
}

/// A compiled frame.
pub(super) struct FrameCode {
    mode: FrameMode,
    start: BoundCode,
    end: BoundCode,
    exclude: FrameExclusion,
    /// RANGE with an offset: the key, its `in_range` function and the types of its arguments.
    range: Option<(SortColumn, &'static Function, CallTypes)>,
}

enum BoundCode {
    Unbounded,
    Current,
    Preceding(Code),
    Following(Code),
}

/// The offsets, which are the same for all rows of a run.
pub(super) struct Bounds {
    start: Value,
    end: Value,
}

/// The frames of a partition's rows.
pub(super) struct Frames {
    /// A frame a position, before EXCLUDE; one for all when they are equal.
    ends: Vec<(usize, usize)>,
    exclude: FrameExclusion,
}

impl Frames {
    /// The frame of a row, before EXCLUDE.
    pub(super) fn whole(&self, position: usize) -> Range<usize> {
        let (start, end) = self.ends[position];
        start..end.max(start)
    }

    pub(super) fn excludes(&self) -> bool {
        self.exclude != FrameExclusion::None
    }

    /// What EXCLUDE takes out of a row's frame.
    pub(super) fn excluded(&self, partition: &Partition<'_>, position: usize) -> [Range<usize>; 2] {
        let frame = self.whole(position);
        let cut = |range: Range<usize>| {
            let start = range.start.max(frame.start);
            start..range.end.min(frame.end).max(start)
        };
        let none = frame.start..frame.start;
        match self.exclude {
            FrameExclusion::None => [none.clone(), none],
            FrameExclusion::Current => [cut(position..position + 1), none],
            FrameExclusion::Group => [cut(partition.peers().of(position)), none],
            FrameExclusion::Ties => {
                let peers = partition.peers().of(position);
                [cut(peers.start..position), cut(position + 1..peers.end)]
            }
        }
    }

    /// A row's frame in at most three pieces.
    pub(super) fn pieces(&self, partition: &Partition<'_>, position: usize) -> [Range<usize>; 3] {
        let frame = self.whole(position);
        let [first, second] = self.excluded(partition, position);
        let mut pieces = [0..0, 0..0, 0..0];
        let mut at = frame.start;
        let mut used = 0;
        for out in [first, second] {
            if !out.is_empty() {
                pieces[used] = at..out.start.max(at);
                used += 1;
                at = out.end;
            }
        }
        pieces[used] = at..frame.end.max(at);
        pieces
    }
}

impl Builder<'_> {
    pub(super) fn frame_code(&mut self, frame: &Frame, key: Option<&SortColumn>) -> Result<FrameCode> {
        let mut bound = |bound: &FrameBound| {
            Ok::<_, SqlError>(match bound {
                FrameBound::Unbounded => BoundCode::Unbounded,
                FrameBound::Current => BoundCode::Current,
                FrameBound::Preceding(offset) => BoundCode::Preceding(self.expr(offset)?),
                FrameBound::Following(offset) => BoundCode::Following(self.expr(offset)?),
            })
        };
        let (start, end) = (bound(&frame.start)?, bound(&frame.end)?);
        let range = match (frame.mode, key) {
            (FrameMode::Range(Some(function)), Some(key)) => {
                let types = CallTypes { arguments: function.args.into(), result: TypeId::BOOL };
                Some((key.clone(), function, types))
            }
            _ => None,
        };
        Ok(FrameCode { mode: frame.mode, start, end, exclude: frame.exclude, range })
    }
}

/// One end of the frames under way.
struct Walk<'w> {
    bound: &'w BoundCode,
    offset: &'w Value,
    /// Whether it is the end.
    is_end: bool,
}

impl FrameCode {
    /// Computes the offsets.
    pub(super) fn bounds(&self, exec: &mut Exec<'_, '_>) -> Run<Bounds> {
        let mut offset = |bound: &BoundCode, name: &str| -> Run<Value> {
            match bound {
                BoundCode::Unbounded | BoundCode::Current => Ok(Value::Null),
                BoundCode::Preceding(code) | BoundCode::Following(code) => {
                    let value = code.run(exec)?;
                    if value.is_null() {
                        let message = format!("frame {name} offset must not be null");
                        return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
                    }
                    if self.range.is_none() && value.as_i64().is_some_and(|offset| offset < 0) {
                        let message = format!("frame {name} offset must not be negative");
                        let code = sqlstate::INVALID_PRECEDING_OR_FOLLOWING_SIZE;
                        return Err(SqlError::new(code, message).into());
                    }
                    Ok(value)
                }
            }
        };
        Ok(Bounds { start: offset(&self.start, "starting")?, end: offset(&self.end, "ending")? })
    }

    /// The frames of a partition.
    pub(super) fn frames(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        bounds: &Bounds,
    ) -> Run<Frames> {
        let len = partition.len();
        let mut ends = Vec::with_capacity(len);
        let walks = [
            Walk { bound: &self.start, offset: &bounds.start, is_end: false },
            Walk { bound: &self.end, offset: &bounds.end, is_end: true },
        ];
        let mut at = (0, 0);
        for position in 0..len {
            let start = self.place(exec, partition, position, &walks[0], at.0)?;
            let end = self.place(exec, partition, position, &walks[1], at.1)?;
            at = (start, end);
            ends.push(at);
        }
        Ok(Frames { ends, exclude: self.exclude })
    }

    /// Where an end of a row's frame lies, not before where it lay for the row before.
    fn place(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        position: usize,
        walk: &Walk<'_>,
        before: usize,
    ) -> Run<usize> {
        let len = partition.len();
        let (offset, preceding) = match walk.bound {
            BoundCode::Unbounded => return Ok(if walk.is_end { len } else { 0 }),
            BoundCode::Current => {
                return Ok(match self.mode {
                    FrameMode::Rows => position + usize::from(walk.is_end),
                    FrameMode::Groups | FrameMode::Range(_) => {
                        let peers = partition.peers().of(position);
                        if walk.is_end { peers.end } else { peers.start }
                    }
                });
            }
            BoundCode::Preceding(_) => (walk.offset, true),
            BoundCode::Following(_) => (walk.offset, false),
        };
        let count = usize::try_from(offset.as_i64().unwrap_or_default()).unwrap_or(usize::MAX);
        let shifted = |at: usize| match preceding {
            true => at.checked_sub(count),
            false => Some(at.saturating_add(count)),
        };
        match self.mode {
            FrameMode::Rows => Ok(match shifted(position) {
                Some(row) => row.saturating_add(usize::from(walk.is_end)).min(len),
                None => 0,
            }),
            FrameMode::Groups => {
                let peers = partition.peers();
                Ok(match shifted(peers.group(position)) {
                    Some(group) => peers.start(group.saturating_add(usize::from(walk.is_end))),
                    None => 0,
                })
            }
            FrameMode::Range(_) => self.place_in_range(exec, partition, position, walk, before),
        }
    }

    /// RANGE with an offset: goes on from where the end lay as long as rows are before the limit.
    fn place_in_range(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        position: usize,
        walk: &Walk<'_>,
        before: usize,
    ) -> Run<usize> {
        let Some((key, function, types)) = &self.range else { return Ok(before) };
        let base = partition.value(position, key.at);
        if base.is_null() {
            // NULLs are peers of each other and in no distance of anything.
            let peers = partition.peers().of(position);
            return Ok(if walk.is_end { peers.end } else { peers.start });
        }
        let subtract = matches!(walk.bound, BoundCode::Preceding(_)) != key.descending;
        // A start goes past rows before the limit, an end past rows up to it.
        let less = walk.is_end != key.descending;
        let mut at = before;
        while at < partition.len() {
            let value = partition.value(at, key.at);
            if value.is_null() {
                if !key.nulls_first {
                    break;
                }
                at += 1;
                continue;
            }
            let arguments =
                [value.clone(), base.clone(), walk.offset.clone(), Value::Bool(subtract), Value::Bool(less)];
            let holds = host::call(exec, function, types, &arguments)?;
            // For a start the question is whether the row is in the frame; for an end likewise.
            let inside = matches!(holds, Value::Bool(true));
            if inside != walk.is_end {
                break;
            }
            at += 1;
        }
        Ok(at)
    }
}
