//! Window functions: rows are kept, sorted once for all windows with the same order, and given on with the calls' values.
//!
//! Each row's arguments and keys are computed as it comes. A *pass* is one order of the rows (partition keys, then
//! ORDER BY) and all windows that it serves: the windows with the longest keys come first, so that one whose keys are a
//! prefix of the pass before needs no sort. Within a partition a window's frames are two ends that only move on
//! (`frame`), so every call is O(n) but for those aggregates that must begin anew when a frame loses rows (`slide`).

mod call;
mod frame;
mod slide;

use std::collections::BTreeSet;

use tuplix_sql::plan::{ExprKind, Select, SortTarget, Window};
use tuplix_types::{Result, SqlError, TypeId, Value};

use super::builder::{Builder, GroupScope};
use super::code::{Code, run_all};
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet};
use super::from::visible;
use super::rows::{Next, Rows, RowsBox};
use super::sort::{SortColumn, compare_rows};
use super::walk;
use crate::stop::Run;
use call::CallCode;
use frame::{FrameCode, Partition};

/// All windows of a SELECT.
struct WindowRows {
    source: RowsBox,
    /// Slots that are put back when a row is given on.
    saved: Vec<usize>,
    /// Arguments and keys, computed for each row; they lie behind the saved slots.
    inputs: Vec<Code>,
    windows: Vec<WindowCode>,
    /// The slot of each call's value.
    results: Vec<usize>,
}

/// One window and its calls.
struct WindowCode {
    /// Partition keys, then ORDER BY.
    keys: Vec<SortColumn>,
    /// How many of them are partition keys.
    partition: usize,
    frame: FrameCode,
    /// The calls with their places among the results.
    calls: Vec<(usize, CallCode)>,
}

/// Computes inputs once each.
#[derive(Default)]
struct Inputs {
    codes: Vec<Code>,
    /// Slots whose value is already an input.
    slots: Vec<(usize, usize)>,
    first: usize,
}

impl Inputs {
    /// The place in a kept row of what `code` computes.
    fn add(&mut self, code: Code) -> usize {
        if let Code::Slot(slot) = code
            && let Some((_, at)) = self.slots.iter().find(|(known, _)| *known == slot)
        {
            return *at;
        }
        let at = self.first + self.codes.len();
        if let Code::Slot(slot) = code {
            self.slots.push((slot, at));
        }
        self.codes.push(code);
        at
    }
}

impl Builder<'_> {
    /// Computes the window calls of a SELECT over its rows or groups; `scope` gets their slots.
    pub(crate) fn window_rows(
        &mut self,
        source: RowsBox,
        select: &Select,
        scope: &mut GroupScope,
    ) -> Result<RowsBox> {
        let saved = self.window_saved(select, scope);
        let mut inputs = Inputs {
            codes: Vec::new(),
            slots: saved.iter().copied().enumerate().map(|(at, slot)| (slot, at)).collect(),
            first: saved.len(),
        };
        self.groups.push(scope.clone());
        let windows = self.window_codes(select, &mut inputs);
        self.groups.pop();
        let first = self.slots(select.windows.len());
        scope.windows = (first..first + select.windows.len()).collect();
        let results = scope.windows.clone();
        Ok(self.operator(WindowRows { source, saved, inputs: inputs.codes, windows: windows?, results }))
    }

    /// The slots that the select list reads.
    fn window_saved(&self, select: &Select, scope: &GroupScope) -> Vec<usize> {
        let mut relations = Vec::new();
        select.from.iter().for_each(|from| visible(from, &mut relations));
        let mut slots: BTreeSet<usize> = scope.keys.iter().chain(&scope.aggregates).copied().collect();
        let mut whole = Vec::new();
        walk::exprs(&select.targets, &mut |node| {
            let walk::Node::Expr(node) = node else { return };
            match &node.kind {
                ExprKind::Column { relation, column } if relations.contains(relation) => {
                    slots.extend(self.column(*relation, *column).ok());
                }
                ExprKind::WholeRow(relation) if relations.contains(relation) => whole.push(*relation),
                _ => {}
            }
        });
        for relation in whole {
            if let Some(relation) = self.relations.get(&relation) {
                slots.extend(relation.columns.iter().flatten().chain(&relation.present));
            }
        }
        slots.into_iter().collect()
    }

    /// The windows, those with the most keys first.
    fn window_codes(&mut self, select: &Select, inputs: &mut Inputs) -> Result<Vec<WindowCode>> {
        let mut windows = Vec::new();
        for (number, window) in select.window_definitions.iter().enumerate() {
            let called = select.windows.iter().enumerate().filter(|(_, call)| call.window == number);
            let mut calls = Vec::new();
            for (place, call) in called {
                calls.push((place, self.window_call_code(call, inputs)?));
            }
            if !calls.is_empty() {
                windows.push(self.window_code(window, calls, inputs)?);
            }
        }
        windows.sort_by(compare_windows);
        Ok(windows)
    }

    fn window_code(
        &mut self,
        window: &Window,
        calls: Vec<(usize, CallCode)>,
        inputs: &mut Inputs,
    ) -> Result<WindowCode> {
        let mut keys = Vec::new();
        for key in &window.partition_by {
            let at = inputs.add(self.expr(key)?);
            keys.push(SortColumn { at, ty: key.ty, descending: false, nulls_first: false });
        }
        let partition = keys.len();
        for key in &window.order_by {
            let SortTarget::Expr(node) = &key.key else {
                return Err(SqlError::internal("a window's ORDER BY names a target"));
            };
            let at = inputs.add(self.expr(node)?);
            let (descending, nulls_first) = (key.descending, key.nulls_first);
            keys.push(SortColumn { at, ty: node.ty, descending, nulls_first });
        }
        let frame = self.frame_code(&window.frame, keys.get(partition))?;
        Ok(WindowCode { keys, partition, frame, calls })
    }
}

/// PostgreSQL's order of windows (`common_prefix_cmp`): by keys, and of two with a common prefix the longer one first.
fn compare_windows(left: &WindowCode, right: &WindowCode) -> std::cmp::Ordering {
    let key = |column: &SortColumn| (column.at, column.descending, column.nulls_first);
    for (left, right) in left.keys.iter().zip(&right.keys) {
        let order = key(right).cmp(&key(left));
        if order.is_ne() {
            return order;
        }
    }
    right.keys.len().cmp(&left.keys.len())
}

fn same_key(left: &SortColumn, right: &SortColumn) -> bool {
    (left.at, left.descending, left.nulls_first) == (right.at, right.descending, right.nulls_first)
}

impl WindowCode {
    /// Whether rows in the order of `keys` are in this window's order too.
    fn is_sorted_by(&self, keys: &[SortColumn]) -> bool {
        self.keys.len() <= keys.len() && self.keys.iter().zip(keys).all(|(a, b)| same_key(a, b))
    }

    /// Computes the calls for rows in order.
    fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        rows: &RowSet,
        order: &[usize],
        results: &mut [Value],
        width: usize,
    ) -> Run<()> {
        let bounds = self.frame.bounds(exec)?;
        let partition_keys = &self.keys[..self.partition];
        let mut first = 0;
        while first < order.len() {
            exec.check_interrupts()?;
            let head = rows.row(order[first]);
            let same = |row: &&usize| compare_rows(partition_keys, head, rows.row(**row)).is_eq();
            let len = order[first..].iter().take_while(same).count();
            let partition = Partition::new(rows, &order[first..first + len], &self.keys[self.partition..]);
            let mut frames = None;
            for (place, call) in &self.calls {
                if call.reads_frame() && frames.is_none() {
                    frames = Some(self.frame.frames(exec, &partition, &bounds)?);
                }
                call.run(exec, &partition, frames.as_ref(), &mut |row, value| {
                    results[row * width + place] = value;
                })?;
            }
            first += len;
        }
        Ok(())
    }
}

impl Rows for WindowRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut rows = RowSet::new(self.saved.len() + self.inputs.len());
        self.source.run(exec, &mut |exec| {
            exec.gather(&self.saved, &mut rows.values);
            run_all(&self.inputs, exec, &mut rows.values)?;
            rows.len += 1;
            Ok(Flow::Continue)
        })?;
        if rows.len == 0 {
            return Ok(Flow::Continue);
        }
        let width = self.results.len();
        let mut results = vec![Value::Null; rows.len * width];
        let mut order: Vec<usize> = (0..rows.len).collect();
        let mut sorted: &[SortColumn] = &[];
        for window in &self.windows {
            if !window.is_sorted_by(sorted) {
                order.sort_by(|a, b| compare_rows(&window.keys, rows.row(*a), rows.row(*b)));
                sorted = &window.keys;
            }
            window.run(exec, &rows, &order, &mut results, width)?;
        }
        for row in order {
            exec.scatter(&self.saved, &rows.row(row)[..self.saved.len()]);
            for (place, slot) in self.results.iter().enumerate() {
                exec.set(*slot, std::mem::take(&mut results[row * width + place]));
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        for _ in &self.windows {
            out.line("WindowAgg");
        }
        out.child(&*self.source);
    }
}

/// The types of arguments and result.
fn call_types(call: &tuplix_sql::plan::WindowCall) -> super::host::CallTypes {
    let arguments: Box<[TypeId]> = call.arguments.iter().map(|argument| argument.ty).collect();
    super::host::CallTypes { arguments, result: call.ty }
}
