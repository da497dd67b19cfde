//! ORDER BY, LIMIT, DISTINCT and row locks: operators over the finished select list.

use std::cmp::Ordering;

use tuplix_sql::plan::{LockStrength, LockWait};
use tuplix_types::{SqlError, SqlState, TypeId, Value, compare_typed, sqlstate};

use super::code::Code;
use super::explain::Explain;
use super::frame::{Exec, Flow, RowSet, pack_row, unpack_row};
use super::hash_table::Keys;
use super::rows::{Next, Rows, RowsBox, Yield};
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};

/// A key to sort by.
#[derive(Clone, Debug)]
pub(crate) struct SortColumn {
    /// Its place in the saved rows.
    pub at: usize,
    pub ty: TypeId,
    pub descending: bool,
    pub nulls_first: bool,
}

impl SortColumn {
    /// The order of two values.
    #[inline]
    pub(crate) fn compare(&self, left: &Value, right: &Value) -> Ordering {
        match (left.is_null(), right.is_null()) {
            (false, false) => {
                let order = compare_typed(self.ty, left, right);
                if self.descending { order.reverse() } else { order }
            }
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if self.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
        }
    }
}

/// The order of two saved rows.
#[inline]
pub(crate) fn compare_rows(columns: &[SortColumn], left: &[Value], right: &[Value]) -> Ordering {
    for column in columns {
        let order = column.compare(&left[column.at], &right[column.at]);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// How many rows LIMIT and OFFSET let through.
pub(crate) struct Bounds {
    pub limit: Option<Code>,
    pub offset: Option<Code>,
}

impl Bounds {
    /// Rows that are asked for at most, where the text says how many and they are few.
    pub(crate) fn few(&self) -> Option<usize> {
        const FEW: i64 = 64;
        match (&self.limit, &self.offset) {
            (Some(Code::Constant(Value::Int8(rows))), None) if (1..FEW).contains(rows) => {
                usize::try_from(*rows).ok()
            }
            _ => None,
        }
    }

    /// How many to skip, and how many to give then.
    #[inline]
    fn run(&self, exec: &mut Exec<'_, '_>) -> Run<(u64, Option<u64>)> {
        let offset = match &self.offset {
            Some(code) => number(exec, code, *b"2201X", "OFFSET")?.unwrap_or(0),
            None => 0,
        };
        let limit = match &self.limit {
            Some(code) => number(exec, code, *b"2201W", "LIMIT")?,
            None => None,
        };
        Ok((offset, limit))
    }
}

#[inline]
fn number(exec: &mut Exec<'_, '_>, code: &Code, sqlstate: [u8; 5], clause: &str) -> Run<Option<u64>> {
    if let Code::Constant(Value::Int8(number)) = code
        && let Ok(number) = u64::try_from(*number)
    {
        return Ok(Some(number));
    }
    let Some(number) = code.run(exec)?.as_i64() else { return Ok(None) };
    match u64::try_from(number) {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(SqlError::new(SqlState(sqlstate), format!("{clause} must not be negative")).into()),
    }
}

/// ORDER BY, stable. When only the first rows are wanted, no more than twice as many are kept.
pub(crate) struct Sort {
    pub source: RowsBox,
    /// Slots whose values are saved and put back.
    pub saved: Vec<usize>,
    pub columns: Vec<SortColumn>,
    /// LIMIT and OFFSET above.
    pub bounds: Option<std::sync::Arc<Bounds>>,
    pub text: String,
}

/// Fewer rows than this are kept whatever the limit.
const KEPT_ROWS: usize = 64;

impl Sort {
    fn sort(&self, rows: &RowSet, order: &mut [usize]) {
        order.sort_by(|a, b| compare_rows(&self.columns, rows.row(*a), rows.row(*b)));
    }

    /// Keeps the first `most` rows in order.
    fn cut(&self, rows: &mut RowSet, most: usize) {
        let mut order: Vec<usize> = (0..rows.len).collect();
        self.sort(rows, &mut order);
        order.truncate(most);
        let mut kept = RowSet::new(rows.width);
        order.iter().for_each(|row| kept.push(rows.row(*row)));
        *rows = kept;
    }

    /// Only the first row is wanted: it lies in a buffer, and a row that is not before it costs one comparison.
    fn run_first(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        if let Some(flow) = self.source.run_first(exec, &self.columns, &self.saved, next) {
            return flow;
        }
        let mut best = exec.take_buffer();
        let flow = self.source.run(exec, &mut |exec| {
            let is_before = best.is_empty()
                || self.columns.iter().find_map(|column| {
                    let order = column.compare(exec.get(self.saved[column.at]), &best[column.at]);
                    order.is_ne().then_some(order)
                }) == Some(Ordering::Less);
            if is_before {
                best.clear();
                exec.gather(&self.saved, &mut best);
            }
            Ok(Flow::Continue)
        })?;
        debug_assert_eq!(flow, Flow::Continue);
        if best.is_empty() {
            exec.give_buffer(best);
            return Ok(Flow::Continue);
        }
        exec.scatter(&self.saved, &best);
        exec.give_buffer(best);
        next(exec)
    }
}

impl Rows for Sort {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let most = match &self.bounds {
            Some(bounds) => {
                let (offset, limit) = bounds.run(exec)?;
                limit.map(|limit| usize::try_from(limit.saturating_add(offset)).unwrap_or(usize::MAX))
            }
            None => None,
        };
        match most {
            Some(0) => return Ok(Flow::Continue),
            Some(1) => return self.run_first(exec, next),
            _ => {}
        }
        let mut rows = RowSet { width: self.saved.len(), values: exec.take_buffer(), len: 0 };
        self.source.run(exec, &mut |exec| {
            exec.gather(&self.saved, &mut rows.values);
            rows.len += 1;
            if let Some(most) = most
                && rows.len >= most.saturating_mul(2).max(KEPT_ROWS)
            {
                self.cut(&mut rows, most);
            }
            Ok(Flow::Continue)
        })?;
        let mut order: Vec<usize> = (0..rows.len).collect();
        self.sort(&rows, &mut order);
        order.truncate(most.unwrap_or(usize::MAX));
        let mut flow = Flow::Continue;
        for row in order {
            exec.scatter(&self.saved, rows.row(row));
            if next(exec)? == Flow::Stop {
                flow = Flow::Stop;
                break;
            }
        }
        exec.give_buffer(rows.values);
        Ok(flow)
    }

    fn yields(&self) -> Yield {
        let one = self.bounds.as_ref().is_some_and(|bounds| bounds.few() == Some(1));
        if one { Yield::One } else { Yield::Many }
    }

    fn explain(&self, out: &mut Explain) {
        out.line(if self.bounds.is_some() { "Top-N Sort" } else { "Sort" });
        out.note(format_args!("Sort Key: {}", self.text));
        out.child(&*self.source);
    }
}

/// LIMIT and OFFSET.
pub(crate) struct Limit {
    pub source: RowsBox,
    pub bounds: std::sync::Arc<Bounds>,
    /// WITH TIES: the sort columns, `at` being slots here.
    pub ties: Option<Vec<SortColumn>>,
}

impl Rows for Limit {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let (mut skip, limit) = self.bounds.run(exec)?;
        let mut left = limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Ok(Flow::Continue);
        }
        let mut stopped = Flow::Continue;
        let mut last: Vec<Value> = Vec::new();
        self.source.run(exec, &mut |exec| {
            if skip > 0 {
                skip -= 1;
                return Ok(Flow::Continue);
            }
            if let Some(ties) = &self.ties {
                let same = |(column, value): (&SortColumn, &Value)| {
                    column.compare(exec.get(column.at), value).is_eq()
                };
                if left == 0 && !ties.iter().zip(&last).all(same) {
                    return Ok(Flow::Stop);
                }
                left = left.saturating_sub(1);
                if left == 0 && last.is_empty() {
                    last = ties.iter().map(|column| exec.get(column.at).clone()).collect();
                }
                stopped = next(exec)?;
                return Ok(stopped);
            }
            left -= 1;
            stopped = next(exec)?;
            Ok(if left == 0 { Flow::Stop } else { stopped })
        })?;
        Ok(stopped)
    }

    fn yields(&self) -> Yield {
        let first =
            self.bounds.few() == Some(1) && self.ties.is_none() && self.source.yields() != Yield::Many;
        if first { Yield::One } else { Yield::Many }
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        self.source.one(exec)
    }

    fn explain(&self, out: &mut Explain) {
        out.line("Limit");
        out.child(&*self.source);
    }
}

/// DISTINCT and DISTINCT ON: the first row of each key, in the order in which they come.
pub(crate) struct Distinct {
    pub source: RowsBox,
    pub slots: Vec<usize>,
    pub types: Vec<TypeId>,
}

impl Rows for Distinct {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut seen = Keys::new(&self.types);
        let mut key = Vec::new();
        self.source.run(exec, &mut |exec| {
            key.clear();
            exec.gather(&self.slots, &mut key);
            if seen.insert(&key).1 { next(exec) } else { Ok(Flow::Continue) }
        })
    }

    fn explain(&self, out: &mut Explain) {
        out.line("Unique");
        out.child(&*self.source);
    }
}

/// FOR UPDATE and its kin over one table.
pub(crate) struct LockRows {
    pub source: RowsBox,
    pub access: TableAccess,
    /// The slot that says which row.
    pub row: usize,
    pub strength: LockStrength,
    pub wait: LockWait,
    /// There is a row for sure, no outer join may have made it up, and its locks are those of the domains held.
    pub certain: bool,
}

impl LockRows {
    /// Locks the row in the slots; false when it is to be skipped.
    #[inline]
    fn lock(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let Some(row) = unpack_row(self.access.slot, exec.get(self.row)) else {
            return Err(self.nothing_to_lock());
        };
        let Some(locked) = exec.tx.lock_row(&self.access, row, self.strength, self.wait)? else {
            return Ok(false);
        };
        if locked.held != row.held {
            exec.set(self.row, pack_row(locked));
        }
        Ok(true)
    }

    /// A row that is skipped may be followed by one that is not.
    #[cold]
    fn after_skipping(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let mut found = false;
        if self.source.yields() != Yield::One {
            self.run(exec, &mut |_| {
                found = true;
                Ok(Flow::Stop)
            })?;
        }
        Ok(found)
    }

    #[cold]
    fn nothing_to_lock(&self) -> Stop {
        let message =
            format!("{} cannot be applied to the nullable side of an outer join", clause(self.strength));
        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message).into()
    }
}

impl Rows for LockRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| if self.lock(exec)? { next(exec) } else { Ok(Flow::Continue) })
    }

    fn yields(&self) -> Yield {
        self.source.yields()
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        if !self.source.one(exec)? {
            return Ok(false);
        }
        if (self.certain && exec.tx.is_without_locks()) || self.lock(exec)? {
            return Ok(true);
        }
        self.after_skipping(exec)
    }

    fn expect_few(&mut self, rows: usize) {
        self.source.expect_few(rows);
    }

    fn explain(&self, out: &mut Explain) {
        out.line("LockRows");
        out.child(&*self.source);
    }
}

fn clause(strength: LockStrength) -> &'static str {
    match strength {
        LockStrength::KeyShare => "FOR KEY SHARE",
        LockStrength::Share => "FOR SHARE",
        LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        LockStrength::Update => "FOR UPDATE",
    }
}
