//! Comparison of `date`, `timestamp` and `timestamptz` with one another.

use std::cmp::Ordering;

use tuplix_types::datetime::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, TimeZone,
    date_to_timestamp, timestamp_to_timestamptz,
};
use tuplix_types::{Result, SqlError, Value};

use super::zone;
use crate::CallContext;
use crate::registry::ScalarFn;

/// A moment to compare by: local for `date` and `timestamp`, made universal when the other side is.
fn moment(value: &Value, universal: bool, zone: TimeZone) -> Result<i64> {
    let local = match value {
        Value::Timestamptz(micros) => return Ok(*micros),
        Value::Timestamp(micros) => *micros,
        Value::Date(DATE_INFINITY) => TIMESTAMP_INFINITY,
        Value::Date(DATE_NEGATIVE_INFINITY) => TIMESTAMP_NEGATIVE_INFINITY,
        // A date beyond all timestamps is just below infinity.
        Value::Date(days) => date_to_timestamp(*days).unwrap_or(TIMESTAMP_INFINITY - 1),
        other => return Err(SqlError::internal(format!("{other:?} is not a date or timestamp"))),
    };
    let finite = !matches!(local, TIMESTAMP_INFINITY | TIMESTAMP_NEGATIVE_INFINITY);
    Ok(if universal && finite { timestamp_to_timestamptz(local, zone).unwrap_or(local) } else { local })
}

fn order(context: &CallContext<'_>, a: &[Value]) -> Result<Ordering> {
    let universal = a.iter().any(|value| matches!(value, Value::Timestamptz(_)));
    Ok(moment(&a[0], universal, zone(context))?.cmp(&moment(&a[1], universal, zone(context))?))
}

macro_rules! seven {
    ($left:literal, $right:literal) => {
        [
            (concat!($left, "_eq_", $right), (|ctx, a| Ok(Value::Bool(order(ctx, a)?.is_eq()))) as ScalarFn),
            (concat!($left, "_ne_", $right), |ctx, a| Ok(Value::Bool(order(ctx, a)?.is_ne()))),
            (concat!($left, "_lt_", $right), |ctx, a| Ok(Value::Bool(order(ctx, a)?.is_lt()))),
            (concat!($left, "_le_", $right), |ctx, a| Ok(Value::Bool(order(ctx, a)?.is_le()))),
            (concat!($left, "_gt_", $right), |ctx, a| Ok(Value::Bool(order(ctx, a)?.is_gt()))),
            (concat!($left, "_ge_", $right), |ctx, a| Ok(Value::Bool(order(ctx, a)?.is_ge()))),
            (concat!($left, "_cmp_", $right), |ctx, a| Ok(Value::Int4(order(ctx, a)? as i32))),
        ]
    };
}

/// A table for each pair of types.
pub(super) const FUNCTIONS: &[[(&str, ScalarFn); 7]] = &[
    seven!("date", "timestamp"),
    seven!("date", "timestamptz"),
    seven!("timestamp", "date"),
    seven!("timestamptz", "date"),
    seven!("timestamp", "timestamptz"),
    seven!("timestamptz", "timestamp"),
];
