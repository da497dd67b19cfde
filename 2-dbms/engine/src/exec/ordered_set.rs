//! Ordered-set and hypothetical-set aggregates over a group's sorted rows (manual chapter 9.21).

use std::cmp::Ordering;
use std::sync::Arc;

use tuplix_functions::{Function, ordered_set};
use tuplix_types::{Array, Interval, SqlError, TypeId, Value, compare_typed, sqlstate};

use super::code::{Code, run_all};
use super::frame::{Exec, RowSet};
use super::sort::SortColumn;
use crate::stop::Run;

/// A compiled ordered-set aggregate.
pub(crate) struct OrderedSetCode {
    kind: Kind,
    /// The arguments before WITHIN GROUP, computed once a group.
    direct: Vec<Code>,
    element: TypeId,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mode,
    Continuous,
    Discrete,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
}

/// A group's rows in order.
struct Sorted<'r> {
    rows: &'r RowSet,
    order: Vec<usize>,
    columns: &'r [SortColumn],
}

impl Sorted<'_> {
    fn row(&self, at: usize) -> &[Value] {
        self.rows.row(self.order[at])
    }

    fn value(&self, at: usize) -> &Value {
        &self.row(at)[0]
    }
}

impl OrderedSetCode {
    /// The code of an aggregate that is one of these.
    pub(crate) fn of(function: &Function, direct: Vec<Code>) -> Option<OrderedSetCode> {
        ordered_set(function)?;
        let kind = match function.name {
            "mode" => Kind::Mode,
            "percentile_cont" => Kind::Continuous,
            "percentile_disc" => Kind::Discrete,
            "rank" => Kind::Rank,
            "dense_rank" => Kind::DenseRank,
            "percent_rank" => Kind::PercentRank,
            _ => Kind::CumeDist,
        };
        let element = function.args.last().copied().unwrap_or(TypeId::ANY);
        Some(OrderedSetCode { kind, direct, element })
    }

    /// The value of a group.
    pub(crate) fn finish(
        &self,
        exec: &mut Exec<'_, '_>,
        rows: &RowSet,
        order: &[usize],
        columns: &[SortColumn],
    ) -> Run<Value> {
        let mut direct = Vec::with_capacity(self.direct.len());
        run_all(&self.direct, exec, &mut direct)?;
        let hypothetical =
            matches!(self.kind, Kind::Rank | Kind::DenseRank | Kind::PercentRank | Kind::CumeDist);
        if hypothetical {
            let sorted = Sorted { rows, order: order.to_vec(), columns };
            return Ok(self.hypothetical(&sorted, &direct));
        }
        // NULLs are no part of the set.
        let order = order.iter().copied().filter(|row| !rows.row(*row)[0].is_null()).collect();
        let sorted = Sorted { rows, order, columns };
        if sorted.order.is_empty() {
            return Ok(Value::Null);
        }
        if self.kind == Kind::Mode {
            return Ok(mode(&sorted));
        }
        match direct.first() {
            Some(Value::Array(fractions)) => {
                let values = fractions.elements.iter().map(|fraction| self.percentile(&sorted, fraction));
                let elements = values.collect::<Result<Vec<Value>, SqlError>>()?;
                let element = match self.element {
                    TypeId::ANYELEMENT => columns.first().map_or(TypeId::TEXT, |column| column.ty),
                    element => element,
                };
                let dimensions = fractions.dimensions.clone();
                Ok(Value::Array(Arc::new(Array { element, dimensions, elements })))
            }
            Some(fraction) => Ok(self.percentile(&sorted, fraction)?),
            None => Ok(Value::Null),
        }
    }

    fn percentile(&self, sorted: &Sorted<'_>, fraction: &Value) -> Result<Value, SqlError> {
        let Value::Float8(fraction) = *fraction else { return Ok(Value::Null) };
        if fraction.is_nan() || !(0.0..=1.0).contains(&fraction) {
            let shown = tuplix_types::text_io::to_text(
                TypeId::FLOAT8,
                &Value::Float8(fraction),
                &tuplix_types::text_io::IoContext::default(),
            );
            let message = format!("percentile value {shown} is not between 0 and 1");
            return Err(SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        let count = sorted.order.len();
        if self.kind == Kind::Discrete {
            let row = (fraction * count as f64).ceil() as usize;
            return Ok(sorted.value(row.max(1) - 1).clone());
        }
        let place = fraction * (count - 1) as f64;
        let (first, second) = (place.floor() as usize, place.ceil() as usize);
        if first == second {
            return Ok(sorted.value(first).clone());
        }
        between(sorted.value(first), sorted.value(second), place - first as f64)
    }

    /// How a row that might be there would rank.
    fn hypothetical(&self, sorted: &Sorted<'_>, wanted: &[Value]) -> Value {
        let compare = |row: &[Value]| {
            let columns = sorted.columns.iter().zip(wanted);
            let mut orders = columns.map(|(column, wanted)| column.compare(&row[column.at], wanted));
            orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let count = sorted.order.len();
        let before = sorted.order.partition_point(|row| compare(sorted.rows.row(*row)).is_lt());
        match self.kind {
            Kind::DenseRank => {
                let distinct = (0..before).filter(|at| {
                    *at == 0 || {
                        let (row, last) = (sorted.row(*at), sorted.row(at - 1));
                        super::sort::compare_rows(sorted.columns, row, last).is_ne()
                    }
                });
                Value::Int8(distinct.count() as i64 + 1)
            }
            Kind::PercentRank if count == 0 => Value::Float8(0.0),
            Kind::PercentRank => Value::Float8(before as f64 / count as f64),
            Kind::CumeDist => {
                let up_to = sorted.order.partition_point(|row| compare(sorted.rows.row(*row)).is_le());
                Value::Float8((up_to + 1) as f64 / (count + 1) as f64)
            }
            _ => Value::Int8(before as i64 + 1),
        }
    }
}

/// The most frequent value; the first of several in order.
fn mode(sorted: &Sorted<'_>) -> Value {
    let ty = sorted.columns.first().map_or(TypeId::TEXT, |column| column.ty);
    let (mut best, mut most, mut first) = (0, 0, 0);
    for at in 0..=sorted.order.len() {
        let ends =
            at == sorted.order.len() || compare_typed(ty, sorted.value(first), sorted.value(at)).is_ne();
        if ends {
            if at - first > most {
                (best, most) = (first, at - first);
            }
            first = at;
        }
    }
    sorted.value(best).clone()
}

/// The value some part of the way between two.
fn between(low: &Value, high: &Value, part: f64) -> Result<Value, SqlError> {
    match (low, high) {
        (Value::Float8(low), Value::Float8(high)) => Ok(Value::Float8(low + part * (high - low))),
        (Value::Interval(low), Value::Interval(high)) => {
            let difference: Interval = high.subtract(low)?;
            Ok(Value::Interval(Arc::new(difference.multiply(part)?.add(low)?)))
        }
        _ => Err(SqlError::internal("percentile_cont between values that have none")),
    }
}
