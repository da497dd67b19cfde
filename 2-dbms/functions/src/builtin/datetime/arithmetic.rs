//! Sums and differences of dates, times and intervals, and conversions among them.

use tuplix_types::datetime::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_US, TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, TimeZone,
    add_interval_to_time, add_interval_to_timestamp, add_interval_to_timestamptz, age, date_out_of_range,
    date_plus_days, date_to_timestamp, fit_interval, interval_between, interval_out_of_range,
    is_infinite_date, is_infinite_timestamp, round_microseconds, subtract_interval_from_timestamp,
    subtract_interval_from_timestamptz, timestamp_out_of_range, timestamp_to_date, timestamp_to_timestamptz,
    timestamptz_to_timestamp,
};
use tuplix_types::{Interval, Result, SqlError, Value, sqlstate};

use super::zone;
use crate::CallContext;
use crate::builtin::Scalars;
use crate::builtin::args::{date, float8, from_interval, int4, interval, invalid, text, time, timestamp};

/// `date + time`
fn date_and_time(day: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(day)?;
    if is_infinite_timestamp(midnight) {
        Ok(midnight)
    } else {
        midnight.checked_add(time).ok_or_else(timestamp_out_of_range)
    }
}

fn days_between(a: &[Value]) -> Result<Value> {
    let (left, right) = (date(a, 0)?, date(a, 1)?);
    if is_infinite_date(left) || is_infinite_date(right) {
        return Err(SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    Ok(Value::Int4(left - right))
}

fn minus_days(day: i32, days: i32) -> Result<Value> {
    Ok(Value::Date(date_plus_days(day, days.checked_neg().ok_or_else(date_out_of_range)?)?))
}

fn negated(value: &Interval) -> Result<Interval> {
    value.checked_neg().ok_or_else(interval_out_of_range)
}

fn to_local(context: &CallContext<'_>, micros: i64) -> Result<i64> {
    timestamptz_to_timestamp(micros, zone(context))
}

fn to_universal(context: &CallContext<'_>, micros: i64) -> Result<i64> {
    timestamp_to_timestamptz(micros, zone(context))
}

/// The time of day of a local timestamp; infinities have none.
fn time_of_day(micros: i64) -> Value {
    if is_infinite_timestamp(micros) { Value::Null } else { Value::Time(micros.rem_euclid(DAY_US)) }
}

fn midnight_today(context: &CallContext<'_>) -> Result<i64> {
    date_to_timestamp(timestamp_to_date(to_local(context, context.moment.now_us())?))
}

/// The zone of `AT TIME ZONE`, by name.
pub(super) fn named_zone(name: &str) -> Result<TimeZone> {
    TimeZone::named(name).ok_or_else(|| invalid(format!("time zone \"{name}\" not recognized")))
}

/// The zone of `AT TIME ZONE`, by an interval.
fn interval_zone(value: &Interval) -> Result<TimeZone> {
    if value.months != 0 || value.days != 0 {
        let mut shown = String::new();
        tuplix_types::datetime::format_interval(value, &mut shown);
        return Err(invalid(format!("interval time zone \"{shown}\" must not include months or days")));
    }
    Ok(TimeZone::fixed((value.microseconds / 1_000_000) as i32))
}

fn age_since(context: &CallContext<'_>, moment: i64, local: bool) -> Result<Value> {
    let today = midnight_today(context)?;
    let moment = if local { moment } else { to_local(context, moment)? };
    Ok(from_interval(age(today, moment)?))
}

/// `(start, end) OVERLAPS (start, end)` with NULLs as SQL has them.
fn overlaps(a: &[Value]) -> Result<Value> {
    use std::cmp::Ordering::{Equal, Greater};
    let compare = tuplix_types::compare;
    // NULL ends are moved behind; a period whose both ends are NULL is unknown.
    let ordered = |start: &Value, end: &Value| match (start.is_null(), end.is_null()) {
        (true, true) => None,
        (true, false) => Some((end.clone(), Value::Null)),
        (false, false) if compare(start, end) == Greater => Some((end.clone(), start.clone())),
        _ => Some((start.clone(), end.clone())),
    };
    let (Some((s1, e1)), Some((s2, e2))) = (ordered(&a[0], &a[1]), ordered(&a[2], &a[3])) else {
        return Ok(Value::Null);
    };
    let (first_end, later_start, later_end) = match compare(&s1, &s2) {
        Greater => (&e2, &s1, &e1),
        Equal if e1.is_null() || e2.is_null() => return Ok(Value::Null),
        Equal => return Ok(Value::Bool(true)),
        _ => (&e1, &s2, &e2),
    };
    if first_end.is_null() {
        return Ok(Value::Null);
    }
    if compare(later_start, first_end).is_lt() {
        return Ok(Value::Bool(true));
    }
    Ok(if later_end.is_null() { Value::Null } else { Value::Bool(false) })
}

fn bin(stride: &Interval, source: i64, origin: i64) -> Result<i64> {
    if is_infinite_timestamp(source) {
        return Ok(source);
    }
    if is_infinite_timestamp(origin) {
        return Err(SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::new(
            sqlstate::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride =
        i64::from(stride.days).checked_mul(DAY_US).and_then(|days| days.checked_add(stride.microseconds));
    let stride = stride.ok_or_else(interval_out_of_range)?;
    if stride <= 0 {
        return Err(SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "stride must be greater than zero"));
    }
    let distance = source.checked_sub(origin).ok_or_else(interval_out_of_range)?;
    Ok(origin + distance.div_euclid(stride) * stride)
}

/// Days from hours and months from days, with one sign throughout.
fn justify(value: &Interval) -> Result<Interval> {
    let (mut days, mut micros) =
        (i64::from(value.days) + value.microseconds / DAY_US, value.microseconds % DAY_US);
    let mut months = i64::from(value.months) + days / 30;
    days %= 30;
    let borrow = |high: i64, low: i64, lower: i64| match high.signum() {
        0 => 0,
        sign if low.signum() == -sign || low == 0 && lower.signum() == -sign => sign,
        _ => 0,
    };
    let month = borrow(months, days, micros);
    (months, days) = (months - month, days + 30 * month);
    let day = if days.signum() == -micros.signum() { days.signum() } else { 0 };
    (days, micros) = (days - day, micros + DAY_US * day);
    let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
    Ok(Interval { months, days: days as i32, microseconds: micros })
}

/// The digits of a second in a type modifier.
fn digits(typmod: i32) -> i32 {
    if (0..=6).contains(&typmod) { typmod } else { 6 }
}

fn rounded(micros: i64, typmod: i32) -> i64 {
    if is_infinite_timestamp(micros) { micros } else { round_microseconds(micros, digits(typmod)) }
}

fn date_as_timestamp(day: i32) -> Result<i64> {
    match day {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        _ => date_to_timestamp(day),
    }
}

pub(super) const FUNCTIONS: Scalars = &[
    ("date_mi", |_, a| days_between(a)),
    ("date_pli", |_, a| Ok(Value::Date(date_plus_days(date(a, 0)?, int4(a, 1)?)?))),
    ("integer_pl_date_int4_date", |_, a| Ok(Value::Date(date_plus_days(date(a, 1)?, int4(a, 0)?)?))),
    ("date_mii", |_, a| minus_days(date(a, 0)?, int4(a, 1)?)),
    ("date_pl_interval", |_, a| {
        Ok(Value::Timestamp(add_interval_to_timestamp(date_as_timestamp(date(a, 0)?)?, interval(a, 1)?)?))
    }),
    ("interval_pl_date_interval_date", |_, a| {
        Ok(Value::Timestamp(add_interval_to_timestamp(date_as_timestamp(date(a, 1)?)?, interval(a, 0)?)?))
    }),
    ("date_mi_interval", |_, a| {
        Ok(Value::Timestamp(subtract_interval_from_timestamp(
            date_as_timestamp(date(a, 0)?)?,
            interval(a, 1)?,
        )?))
    }),
    ("datetime_timestamp", |_, a| Ok(Value::Timestamp(date_and_time(date(a, 0)?, time(a, 1)?)?))),
    ("timedate_pl_time_date", |_, a| Ok(Value::Timestamp(date_and_time(date(a, 1)?, time(a, 0)?)?))),
    ("timestamptz_date_time", |ctx, a| {
        Ok(Value::Timestamptz(to_universal(ctx, date_and_time(date(a, 0)?, time(a, 1)?)?)?))
    }),
    ("interval_um", |_, a| Ok(from_interval(negated(interval(a, 0)?)?))),
    ("interval_pl", |_, a| Ok(from_interval(interval(a, 0)?.add(interval(a, 1)?)?))),
    ("interval_mi", |_, a| Ok(from_interval(interval(a, 0)?.subtract(interval(a, 1)?)?))),
    ("interval_mul", |_, a| Ok(from_interval(interval(a, 0)?.multiply(float8(a, 1)?)?))),
    ("mul_d_interval", |_, a| Ok(from_interval(interval(a, 1)?.multiply(float8(a, 0)?)?))),
    ("interval_div", |_, a| Ok(from_interval(interval(a, 0)?.divide(float8(a, 1)?)?))),
    ("interval_justify_hours", |_, a| Ok(from_interval(interval(a, 0)?.justify_hours()?))),
    ("interval_justify_days", |_, a| Ok(from_interval(interval(a, 0)?.justify_days()?))),
    ("interval_justify_interval", |_, a| Ok(from_interval(justify(interval(a, 0)?)?))),
    ("timestamp_mi", |_, a| Ok(from_interval(interval_between(timestamp(a, 0)?, timestamp(a, 1)?)?))),
    ("timestamp_pl_interval", |_, a| {
        Ok(Value::Timestamp(add_interval_to_timestamp(timestamp(a, 0)?, interval(a, 1)?)?))
    }),
    ("interval_pl_timestamp_interval_timestamp", |_, a| {
        Ok(Value::Timestamp(add_interval_to_timestamp(timestamp(a, 1)?, interval(a, 0)?)?))
    }),
    ("timestamp_mi_interval", |_, a| {
        Ok(Value::Timestamp(subtract_interval_from_timestamp(timestamp(a, 0)?, interval(a, 1)?)?))
    }),
    ("timestamptz_pl_interval", |ctx, a| {
        Ok(Value::Timestamptz(add_interval_to_timestamptz(timestamp(a, 0)?, interval(a, 1)?, zone(ctx))?))
    }),
    ("interval_pl_timestamptz_interval_timestamptz", |ctx, a| {
        Ok(Value::Timestamptz(add_interval_to_timestamptz(timestamp(a, 1)?, interval(a, 0)?, zone(ctx))?))
    }),
    ("timestamptz_mi_interval", |ctx, a| {
        Ok(Value::Timestamptz(subtract_interval_from_timestamptz(
            timestamp(a, 0)?,
            interval(a, 1)?,
            zone(ctx),
        )?))
    }),
    ("time_mi_time", |_, a| {
        Ok(from_interval(Interval { microseconds: time(a, 0)? - time(a, 1)?, ..Interval::default() }))
    }),
    ("time_pl_interval", |_, a| Ok(Value::Time(add_interval_to_time(time(a, 0)?, interval(a, 1)?)))),
    ("interval_pl_time_interval_time", |_, a| {
        Ok(Value::Time(add_interval_to_time(time(a, 1)?, interval(a, 0)?)))
    }),
    ("time_mi_interval", |_, a| {
        let back = Interval { microseconds: -(interval(a, 1)?.microseconds % DAY_US), ..Interval::default() };
        Ok(Value::Time(add_interval_to_time(time(a, 0)?, &back)))
    }),
    ("timestamp_age", |_, a| Ok(from_interval(age(timestamp(a, 0)?, timestamp(a, 1)?)?))),
    ("timestamptz_age", |ctx, a| {
        Ok(from_interval(age(to_local(ctx, timestamp(a, 0)?)?, to_local(ctx, timestamp(a, 1)?)?)?))
    }),
    ("age_timestamp", |ctx, a| age_since(ctx, timestamp(a, 0)?, true)),
    ("age_timestamptz", |ctx, a| age_since(ctx, timestamp(a, 0)?, false)),
    ("overlaps_timestamp", |_, a| overlaps(a)),
    ("overlaps_time", |_, a| overlaps(a)),
    ("date_finite", |_, a| Ok(Value::Bool(!is_infinite_date(date(a, 0)?)))),
    ("timestamp_finite", |_, a| Ok(Value::Bool(!is_infinite_timestamp(timestamp(a, 0)?)))),
    ("interval_finite", |_, _| Ok(Value::Bool(true))),
    ("timestamp_bin", |_, a| Ok(Value::Timestamp(bin(interval(a, 0)?, timestamp(a, 1)?, timestamp(a, 2)?)?))),
    ("timestamptz_bin", |_, a| {
        Ok(Value::Timestamptz(bin(interval(a, 0)?, timestamp(a, 1)?, timestamp(a, 2)?)?))
    }),
    // Conversions.
    ("date_timestamp", |_, a| Ok(Value::Timestamp(date_as_timestamp(date(a, 0)?)?))),
    ("date_timestamptz", |ctx, a| {
        Ok(Value::Timestamptz(to_universal(ctx, date_as_timestamp(date(a, 0)?)?)?))
    }),
    ("timestamp_date", |_, a| Ok(Value::Date(timestamp_to_date(timestamp(a, 0)?)))),
    ("timestamptz_date", |ctx, a| Ok(Value::Date(timestamp_to_date(to_local(ctx, timestamp(a, 0)?)?)))),
    ("timestamp_timestamptz", |ctx, a| Ok(Value::Timestamptz(to_universal(ctx, timestamp(a, 0)?)?))),
    ("timestamptz_timestamp", |ctx, a| Ok(Value::Timestamp(to_local(ctx, timestamp(a, 0)?)?))),
    ("timestamp_time", |_, a| Ok(time_of_day(timestamp(a, 0)?))),
    ("timestamptz_time", |ctx, a| Ok(time_of_day(to_local(ctx, timestamp(a, 0)?)?))),
    ("time_interval", |_, a| {
        Ok(from_interval(Interval { microseconds: time(a, 0)?, ..Interval::default() }))
    }),
    ("interval_time", |_, a| Ok(Value::Time(interval(a, 0)?.microseconds.rem_euclid(DAY_US)))),
    ("timestamp_scale", |_, a| Ok(Value::Timestamp(rounded(timestamp(a, 0)?, int4(a, 1)?)))),
    ("timestamptz_scale", |_, a| Ok(Value::Timestamptz(rounded(timestamp(a, 0)?, int4(a, 1)?)))),
    ("time_scale", |_, a| Ok(Value::Time(round_microseconds(time(a, 0)?, digits(int4(a, 1)?))))),
    ("interval_scale", |_, a| Ok(from_interval(fit_interval(*interval(a, 0)?, int4(a, 1)?)))),
    ("timestamptz_zone", |_, a| {
        let moment = timestamp(a, 1)?;
        Ok(Value::Timestamp(timestamptz_to_timestamp(moment, named_zone(text(a, 0)?)?)?))
    }),
    ("timestamp_zone", |_, a| {
        let moment = timestamp(a, 1)?;
        Ok(Value::Timestamptz(timestamp_to_timestamptz(moment, named_zone(text(a, 0)?)?)?))
    }),
    ("timestamptz_izone", |_, a| {
        Ok(Value::Timestamp(timestamptz_to_timestamp(timestamp(a, 1)?, interval_zone(interval(a, 0)?)?)?))
    }),
    ("timestamp_izone", |_, a| {
        Ok(Value::Timestamptz(timestamp_to_timestamptz(timestamp(a, 1)?, interval_zone(interval(a, 0)?)?)?))
    }),
];
