//! `in_range`: whether a value lies before or after another one plus or minus an offset, what `RANGE` frames ask
//! (manual chapter 38.16.3). Arguments: value, base, offset, whether to subtract, whether "at most" is asked.

use std::cmp::Ordering;

use tuplix_types::compare::compare;
use tuplix_types::datetime::{
    add_interval_to_timestamp, add_interval_to_timestamptz, date_to_timestamp,
    subtract_interval_from_timestamp, subtract_interval_from_timestamptz,
};
use tuplix_types::{Interval, Result, SqlError, Value, sqlstate};

use super::Scalars;
use super::args::{
    boolean, date, float, from_interval, int, interval, numeric, out_of_range, time, timestamp,
};

/// 22013.
fn invalid_offset() -> SqlError {
    let message = "invalid preceding or following size in window function";
    SqlError::new(sqlstate::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message)
}

/// The answer from how the value compares with the limit.
fn answer(order: Ordering, less: bool) -> Result<Value> {
    Ok(Value::Bool(if less { order.is_le() } else { order.is_ge() }))
}

fn integers(args: &[Value]) -> Result<Value> {
    let (value, base, offset) = (int(args, 0)?, int(args, 1)?, int(args, 2)?);
    if offset < 0 {
        return Err(invalid_offset());
    }
    let (base, offset) = (i128::from(base), i128::from(offset));
    let limit = if boolean(args, 3)? { base - offset } else { base + offset };
    answer(i128::from(value).cmp(&limit), boolean(args, 4)?)
}

fn floats(args: &[Value]) -> Result<Value> {
    let (value, base, offset) = (float(args, 0)?, float(args, 1)?, float(args, 2)?);
    let (subtract, less) = (boolean(args, 3)?, boolean(args, 4)?);
    if offset.is_nan() || offset < 0.0 {
        return Err(invalid_offset());
    }
    // NaN is its own peer and above everything.
    if value.is_nan() {
        return Ok(Value::Bool(base.is_nan() || !less));
    }
    if base.is_nan() {
        return Ok(Value::Bool(less));
    }
    // Infinity minus infinity would be NaN: everything is in range then.
    if offset.is_infinite() && base.is_infinite() && (base > 0.0) == subtract {
        return Ok(Value::Bool(true));
    }
    let limit = if subtract { base - offset } else { base + offset };
    Ok(Value::Bool(if less { value <= limit } else { value >= limit }))
}

fn numerics(args: &[Value]) -> Result<Value> {
    let (value, base, offset) = (numeric(args, 0)?, numeric(args, 1)?, numeric(args, 2)?);
    let (subtract, less) = (boolean(args, 3)?, boolean(args, 4)?);
    if offset.is_nan() || offset.signum().is_some_and(|sign| sign < 0) {
        return Err(invalid_offset());
    }
    if value.is_nan() {
        return Ok(Value::Bool(base.is_nan() || !less));
    }
    if base.is_nan() {
        return Ok(Value::Bool(less));
    }
    if offset.is_infinite() && base.is_infinite() && base.signum().is_some_and(|sign| (sign > 0) == subtract)
    {
        return Ok(Value::Bool(true));
    }
    let limit = if subtract { base.sub(offset)? } else { base.add(offset)? };
    answer(value.cmp(&limit), less)
}

/// The offset, which must not be negative.
fn span(args: &[Value]) -> Result<&Interval> {
    let offset = interval(args, 2)?;
    if compare(&args[2], &from_interval(Interval::default())).is_lt() {
        return Err(invalid_offset());
    }
    Ok(offset)
}

fn timestamps(value: i64, base: i64, offset: &Interval, args: &[Value]) -> Result<Value> {
    let limit = match boolean(args, 3)? {
        true => subtract_interval_from_timestamp(base, offset)?,
        false => add_interval_to_timestamp(base, offset)?,
    };
    answer(value.cmp(&limit), boolean(args, 4)?)
}

fn times(args: &[Value]) -> Result<Value> {
    let (value, base, offset) = (time(args, 0)?, time(args, 1)?, interval(args, 2)?.microseconds);
    if offset < 0 {
        return Err(invalid_offset());
    }
    let (subtract, less) = (boolean(args, 3)?, boolean(args, 4)?);
    let limit = if subtract { base.checked_sub(offset) } else { base.checked_add(offset) };
    match limit {
        Some(limit) => answer(value.cmp(&limit), less),
        None => Err(out_of_range("time")),
    }
}

fn intervals(args: &[Value]) -> Result<Value> {
    let (base, offset) = (interval(args, 1)?, span(args)?);
    let limit = if boolean(args, 3)? { base.subtract(offset)? } else { base.add(offset)? };
    answer(compare(&args[0], &from_interval(limit)), boolean(args, 4)?)
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("in_range_int8_int8", |_, a| integers(a)),
    ("in_range_int4_int8", |_, a| integers(a)),
    ("in_range_int4_int4", |_, a| integers(a)),
    ("in_range_int4_int2", |_, a| integers(a)),
    ("in_range_int2_int8", |_, a| integers(a)),
    ("in_range_int2_int4", |_, a| integers(a)),
    ("in_range_int2_int2", |_, a| integers(a)),
    ("in_range_float8_float8", |_, a| floats(a)),
    ("in_range_float4_float8", |_, a| floats(a)),
    ("in_range_numeric_numeric", |_, a| numerics(a)),
    ("in_range_date_interval", |_, a| {
        let (value, base) = (date_to_timestamp(date(a, 0)?)?, date_to_timestamp(date(a, 1)?)?);
        timestamps(value, base, span(a)?, a)
    }),
    ("in_range_timestamp_interval", |_, a| timestamps(timestamp(a, 0)?, timestamp(a, 1)?, span(a)?, a)),
    ("in_range_timestamptz_interval", |ctx, a| {
        let (base, offset, zone) = (timestamp(a, 1)?, span(a)?, ctx.moment.io().zone);
        let limit = match boolean(a, 3)? {
            true => subtract_interval_from_timestamptz(base, offset, zone)?,
            false => add_interval_to_timestamptz(base, offset, zone)?,
        };
        answer(timestamp(a, 0)?.cmp(&limit), boolean(a, 4)?)
    }),
    ("in_range_time_interval", |_, a| times(a)),
    ("in_range_interval_interval", |_, a| intervals(a)),
];
