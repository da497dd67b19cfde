//! Aggregates column by column: where a plain scan of a table feeds nothing but counts, sums, averages and extremes of integer
//! columns, with at most one integer column as key, values go from the chunks' vectors into totals and no row is ever made.
//!
//! The answer is that of [`GroupRows`], group for group and in its order. An interactive transaction, whose own writes lie in
//! an overlay, takes that way.

mod groups;
mod totals;

use tuplix_functions::{Aggregate, AggregateState};
use tuplix_storage::{ChunkView, RowBits};
use tuplix_types::{SqlError, TypeId, Value, sqlstate};

use super::aggregate::GroupRows;
use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::host::{self, CallTypes};
use super::rows::{Next, Rows, RowsBox};
use super::scan::TableScan;
use crate::stop::Run;
use groups::Groups;
use totals::{Operation, Total};

/// Boxes a grouping, to be computed column by column where it can be.
pub(super) fn boxed(rows: GroupRows) -> RowsBox {
    // Grouping sets take each row into several groups.
    if rows.set_slot.is_some() {
        return Box::new(rows);
    }
    match plan(&rows) {
        Some((key, calls)) => Box::new(ColumnGroups { general: rows, key, calls }),
        None => Box::new(rows),
    }
}

/// An aggregate over a column.
struct ColumnCall {
    operation: Operation,
    /// The column; `None` for `count(*)`.
    column: Option<usize>,
    ty: TypeId,
    aggregate: &'static Aggregate,
    types: CallTypes,
}

/// See the module.
struct ColumnGroups {
    general: GroupRows,
    /// The key's column and type.
    key: Option<(usize, TypeId)>,
    calls: Vec<ColumnCall>,
}

/// The key and calls of a grouping that can be computed by column.
#[allow(clippy::type_complexity)]
fn plan(rows: &GroupRows) -> Option<(Option<(usize, TypeId)>, Vec<ColumnCall>)> {
    let scan = rows.source.table_scan().filter(|scan| scan.goes_by_chunk())?;
    if !rows.carried.is_empty() {
        return None;
    }
    let key = match &rows.keys[..] {
        [] => None,
        [key] => Some(column_of(scan, key.slot()?).filter(|(_, ty)| is_counted(*ty))?),
        _ => return None,
    };
    let call = |call: &super::aggregate::CallCode| {
        if call.collects || call.filter.is_some() {
            return None;
        }
        let operation = Operation::of(call.aggregate.function.symbol)?;
        let (column, ty) = match (&call.arguments[..], operation) {
            ([], Operation::Rows) => (None, TypeId::INT8),
            ([argument], _) => {
                let (column, ty) = column_of(scan, argument.slot()?)?;
                (Some(column), ty)
            }
            _ => return None,
        };
        let readable = matches!(operation, Operation::Rows | Operation::Values) || is_counted(ty);
        let (aggregate, types) = (call.aggregate, call.types.clone());
        readable.then_some(ColumnCall { operation, column, ty, aggregate, types })
    };
    let calls = rows.calls.iter().map(call).collect::<Option<Vec<_>>>()?;
    Some((key, calls))
}

/// The column of the table that is read into a slot, with its type.
fn column_of(scan: &TableScan, slot: usize) -> Option<(usize, TypeId)> {
    let (column, _) = scan.columns.iter().find(|(_, into)| *into == slot)?;
    Some((*column, scan.access.table.columns[*column].ty))
}

/// Whether values of the type are integers in their chunk.
fn is_counted(ty: TypeId) -> bool {
    matches!(
        ty,
        TypeId::INT2
            | TypeId::INT4
            | TypeId::INT8
            | TypeId::DATE
            | TypeId::TIME
            | TypeId::TIMESTAMP
            | TypeId::TIMESTAMPTZ
    )
}

/// An integer as a value of such a type.
fn value_of(ty: TypeId, integer: i64) -> Value {
    match ty {
        TypeId::INT2 => Value::Int2(integer as i16),
        TypeId::INT4 => Value::Int4(integer as i32),
        TypeId::DATE => Value::Date(integer as i32),
        TypeId::TIME => Value::Time(integer),
        TypeId::TIMESTAMP => Value::Timestamp(integer),
        TypeId::TIMESTAMPTZ => Value::Timestamptz(integer),
        _ => Value::Int8(integer),
    }
}

impl ColumnCall {
    /// Adds what passes in a chunk to a total.
    fn add(&self, total: &mut Total, chunk: &ChunkView<'_>, selected: &RowBits) {
        match self.column {
            None => total.add_rows(selected),
            Some(column) => {
                let selected = without(selected, chunk.nulls(column));
                total.add_column(self.operation, chunk.column(column), &selected);
            }
        }
    }

    /// The call's value for a group.
    fn finish(&self, exec: &mut Exec<'_, '_>, total: &Total) -> Run<Value> {
        let state = match self.operation {
            Operation::Rows | Operation::Values => AggregateState::Count(total.count),
            _ if total.count == 0 => AggregateState::Empty,
            Operation::Sum if self.types.result == TypeId::INT8 => {
                let sum = i64::try_from(total.sum).map_err(|_| out_of_range())?;
                AggregateState::Count(sum)
            }
            Operation::Sum => AggregateState::Integers { sum: total.sum, squares: None, count: total.count },
            Operation::Least | Operation::Greatest => AggregateState::Value(value_of(self.ty, total.extreme)),
        };
        host::with_context(exec, &self.types, |context| (self.aggregate.finish)(state, context))
    }
}

#[cold]
fn out_of_range() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
}

/// The selected places that are not NULL.
fn without(selected: &RowBits, nulls: Option<&[u64]>) -> RowBits {
    let mut left = *selected;
    for (word, nulls) in left.iter_mut().zip(nulls.into_iter().flatten()) {
        *word &= !nulls;
    }
    left
}

impl ColumnGroups {
    fn collect(&self, exec: &mut Exec<'_, '_>, scan: &TableScan) -> Run<(Groups, u64)> {
        let mut groups = Groups::new(self.calls.len());
        let mut rows = 0;
        let Some((key, _)) = self.key else {
            groups.only();
            scan.chunks(exec, &mut |chunk, selected| {
                rows += totals::count(selected) as u64;
                for (call, total) in self.calls.iter().zip(groups.totals_mut(0)) {
                    call.add(total, chunk, selected);
                }
            })?;
            return Ok((groups, rows));
        };
        scan.chunks(exec, &mut |chunk, selected| {
            rows += totals::count(selected) as u64;
            let places = groups.find(chunk.column(key), chunk.nulls(key), selected);
            for (number, call) in self.calls.iter().enumerate() {
                let column = call.column.map(|column| (chunk.column(column), chunk.nulls(column)));
                groups.add(number, call.operation, column, &places);
            }
        })?;
        Ok((groups, rows))
    }
}

impl Rows for ColumnGroups {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let scan = match self.general.source.table_scan() {
            Some(scan) if !exec.tx.is_interactive() => scan,
            _ => return self.general.run(exec, next),
        };
        let machine = exec.services.node.machine();
        let start = machine.monotonic_ns();
        let (mut groups, rows) = self.collect(exec, scan)?;
        self.general.source.read_by_column(rows, machine.monotonic_ns() - start);
        for number in 0..groups.len() {
            if let Some((_, ty)) = self.key {
                let key = groups.key(number).map_or(Value::Null, |key| value_of(ty, key));
                exec.set(self.general.first_key, key);
            }
            for (place, call) in self.calls.iter().enumerate() {
                let value = call.finish(exec, &groups.totals_mut(number)[place])?;
                exec.set(self.general.first_aggregate + place, value);
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        self.general.explain(out);
        out.note("Computed: by column");
    }
}
