//! Aggregates over frames.
//!
//! A frame that only grows is one running state. One that also loses rows is followed in one of three ways: by taking rows out
//! of the state ([`Sliding::Remove`]), by a queue of the values that may still become the extreme, or, where PostgreSQL
//! too begins anew, by computing each frame by itself. What EXCLUDE takes out of a frame is removed for the one answer and
//! put back.

use std::collections::VecDeque;
use std::ops::Range;

use tuplix_functions::{Aggregate, AggregateState, RemoveFn, Sliding, sliding};
use tuplix_types::{TypeId, Value, compare_typed};

use super::super::frame::Exec;
use super::super::host::{self, CallTypes};
use super::call::Give;
use super::frame::{Frames, Partition};
use crate::stop::Run;

/// A compiled aggregate call over a window.
pub(super) struct AggregateCode {
    aggregate: &'static Aggregate,
    /// The arguments' places in a kept row.
    arguments: Vec<usize>,
    filter: Option<usize>,
    types: CallTypes,
    sliding: Option<Sliding>,
}

/// A state over the rows from `start` to `end`.
struct Running {
    state: AggregateState,
    start: usize,
    end: usize,
    /// Rows that are in the state: neither filtered out nor NULL.
    live: usize,
}

impl AggregateCode {
    pub(super) fn new(
        aggregate: &'static Aggregate,
        arguments: Vec<usize>,
        filter: Option<usize>,
        types: CallTypes,
    ) -> AggregateCode {
        AggregateCode { aggregate, arguments, filter, types, sliding: sliding(aggregate) }
    }

    pub(super) fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        frames: &Frames,
        give: &mut Give<'_>,
    ) -> Run<()> {
        match self.sliding {
            Some(Sliding::Extreme { greatest }) if !frames.excludes() => {
                self.extremes(partition, frames, greatest, give);
                Ok(())
            }
            _ => self.states(exec, partition, frames, give),
        }
    }

    /// Whether FILTER lets a row in.
    fn passes(&self, partition: &Partition<'_>, position: usize) -> bool {
        self.filter.is_none_or(|at| matches!(partition.value(position, at), Value::Bool(true)))
    }

    /// By states.
    fn states(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        frames: &Frames,
        give: &mut Give<'_>,
    ) -> Run<()> {
        let remove = match self.sliding {
            Some(Sliding::Remove(remove)) => Some(remove),
            _ => None,
        };
        let mut running = self.fresh(0);
        let mut values = Vec::new();
        let mut last: Option<(Range<usize>, Value)> = None;
        for position in 0..partition.len() {
            if position % 64 == 0 {
                exec.check_interrupts()?;
            }
            let frame = frames.whole(position);
            if !frames.excludes()
                && let Some((of, value)) = &last
                && *of == frame
            {
                give(partition.number(position), value.clone());
                continue;
            }
            let value = match (frames.excludes(), remove) {
                (true, None) => {
                    let mut alone = self.fresh(frame.start);
                    for piece in frames.pieces(partition, position) {
                        alone.end = piece.start;
                        self.grow(exec, partition, &mut alone, piece.end, &mut values)?;
                    }
                    self.finish(exec, alone.state)?
                }
                (excludes, remove) => {
                    self.follow(exec, partition, &mut running, &frame, remove, &mut values)?;
                    match (excludes, remove) {
                        (true, Some(remove)) => {
                            self.without(exec, partition, frames, position, &running, remove, &mut values)?
                        }
                        _ => self.finish(exec, running.state.clone())?,
                    }
                }
            };
            give(partition.number(position), value.clone());
            last = Some((frame, value));
        }
        Ok(())
    }

    fn fresh(&self, start: usize) -> Running {
        Running { state: (self.aggregate.init)(), start, end: start, live: 0 }
    }

    fn finish(&self, exec: &mut Exec<'_, '_>, state: AggregateState) -> Run<Value> {
        host::with_context(exec, &self.types, |context| (self.aggregate.finish)(state, context))
    }

    /// The arguments of a row; false when FILTER keeps it out.
    fn arguments(&self, partition: &Partition<'_>, position: usize, values: &mut Vec<Value>) -> bool {
        values.clear();
        if !self.passes(partition, position) {
            return false;
        }
        values.extend(self.arguments.iter().map(|at| partition.value(position, *at).clone()));
        true
    }

    /// Adds rows up to `end`.
    fn grow(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        running: &mut Running,
        end: usize,
        values: &mut Vec<Value>,
    ) -> Run<()> {
        while running.end < end {
            if self.arguments(partition, running.end, values) {
                host::with_context(exec, &self.types, |context| {
                    (self.aggregate.step)(&mut running.state, context, values)
                })?;
                running.live += usize::from(values.first().is_none_or(|first| !first.is_null()));
            }
            running.end += 1;
        }
        Ok(())
    }

    /// Makes the state that of a frame.
    fn follow(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        running: &mut Running,
        frame: &Range<usize>,
        remove: Option<RemoveFn>,
        values: &mut Vec<Value>,
    ) -> Run<()> {
        if frame.start >= running.end {
            *running = self.fresh(frame.start);
        }
        while running.start < frame.start {
            let gone = match remove {
                Some(remove) => self.shrink(partition, running, remove, values)?,
                None => false,
            };
            if !gone {
                *running = self.fresh(frame.start);
            }
        }
        self.grow(exec, partition, running, frame.end, values)
    }

    /// Takes the first row out; false when only starting over helps.
    fn shrink(
        &self,
        partition: &Partition<'_>,
        running: &mut Running,
        remove: RemoveFn,
        values: &mut Vec<Value>,
    ) -> Run<bool> {
        let position = running.start;
        running.start += 1;
        self.take_out(partition, running, position, remove, values)
    }

    fn take_out(
        &self,
        partition: &Partition<'_>,
        running: &mut Running,
        position: usize,
        remove: RemoveFn,
        values: &mut Vec<Value>,
    ) -> Run<bool> {
        let counts = self.arguments(partition, position, values)
            && values.first().is_none_or(|first| !first.is_null());
        if !counts {
            return Ok(true);
        }
        running.live -= 1;
        if running.live == 0 {
            running.state = (self.aggregate.init)();
            return Ok(true);
        }
        Ok(remove(&mut running.state, values)?)
    }

    /// The value of a frame without what EXCLUDE takes out.
    #[allow(clippy::too_many_arguments)]
    fn without(
        &self,
        exec: &mut Exec<'_, '_>,
        partition: &Partition<'_>,
        frames: &Frames,
        position: usize,
        running: &Running,
        remove: RemoveFn,
        values: &mut Vec<Value>,
    ) -> Run<Value> {
        let mut rest = Running { state: running.state.clone(), ..*running };
        let mut exact = true;
        for out in frames.excluded(partition, position) {
            for position in out {
                exact = exact && self.take_out(partition, &mut rest, position, remove, values)?;
            }
        }
        if !exact {
            rest = self.fresh(running.start);
            for piece in frames.pieces(partition, position) {
                rest.end = piece.start;
                self.grow(exec, partition, &mut rest, piece.end, values)?;
            }
        }
        self.finish(exec, rest.state)
    }

    /// The least or greatest value of each frame: a queue of the positions whose value no later one beats.
    fn extremes(&self, partition: &Partition<'_>, frames: &Frames, greatest: bool, give: &mut Give<'_>) {
        let at = self.arguments[0];
        let ty = self.types.arguments.first().copied().unwrap_or(TypeId::TEXT);
        let mut queue: VecDeque<usize> = VecDeque::new();
        let mut end = 0;
        for position in 0..partition.len() {
            let frame = frames.whole(position);
            while end < frame.end {
                let value = partition.value(end, at);
                if !value.is_null() && self.passes(partition, end) {
                    let beaten = |last: &usize| {
                        let order = compare_typed(ty, value, partition.value(*last, at));
                        let order = if greatest { order } else { order.reverse() };
                        // Of equal values the last one counts, but of `char(n)` the first.
                        if ty == TypeId::BPCHAR { order.is_gt() } else { order.is_ge() }
                    };
                    while queue.back().is_some_and(beaten) {
                        queue.pop_back();
                    }
                    queue.push_back(end);
                }
                end += 1;
            }
            while queue.front().is_some_and(|first| *first < frame.start) {
                queue.pop_front();
            }
            let value = match queue.front() {
                Some(first) if *first < frame.end => partition.value(*first, at).clone(),
                _ => Value::Null,
            };
            give(partition.number(position), value);
        }
    }
}
