//! `now()` and its kin, `make_date`, `make_timestamp`, `make_interval`, `to_timestamp(seconds)`.

use tuplix_types::datetime::{
    DAY_US, SECOND_US, TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, TimeZone, UNIX_EPOCH_US,
    days_from_civil, days_in_month, interval_out_of_range, is_valid_timestamp, timestamp_to_timestamptz,
};
use tuplix_types::{Interval, Result, SqlError, Value, sqlstate};

use super::arithmetic::named_zone;
use super::zone;
use crate::builtin::Scalars;
use crate::builtin::args::{float8, from_interval, int4, text};

fn overflow(message: String) -> SqlError {
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, message)
}

fn make_date(a: &[Value], at: usize) -> Result<i32> {
    let (year, month, day) = (int4(a, at)?, int4(a, at + 1)?, int4(a, at + 2)?);
    let wrong = || overflow(format!("date field value out of range: {year}-{month:02}-{day:02}"));
    // A negative year is one before our era; there is no year 0.
    let astronomical = if year < 0 { i64::from(year) + 1 } else { i64::from(year) };
    if year == 0 || !(1..=12).contains(&month) || day < 1 {
        return Err(wrong());
    }
    if day as u32 > days_in_month(astronomical, month as u32) {
        return Err(wrong());
    }
    let days = days_from_civil(astronomical, month as u32, day as u32);
    let range = i64::from(tuplix_types::datetime::DATE_MIN)..=i64::from(tuplix_types::datetime::DATE_MAX);
    if range.contains(&days) {
        Ok(days as i32)
    } else {
        Err(overflow(format!("date out of range: {year}-{month:02}-{day:02}")))
    }
}

fn shown(value: f64) -> String {
    let mut out = String::new();
    tuplix_types::text_io::format_float8(value, &mut out);
    out
}

/// `hour:minute:seconds` in microseconds; 24:00:00 is allowed.
fn make_time(a: &[Value], at: usize) -> Result<i64> {
    let (hour, minute, seconds) = (int4(a, at)?, int4(a, at + 1)?, float8(a, at + 2)?);
    let micros = (seconds * 1e6).round_ties_even();
    let in_range = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60e6).contains(&micros);
    let total = if in_range {
        (i64::from(hour) * 60 + i64::from(minute)) * 60 * SECOND_US + micros as i64
    } else {
        i64::MAX
    };
    if total > DAY_US {
        let seconds = shown(seconds);
        return Err(overflow(format!("time field value out of range: {hour}:{minute:02}:{seconds:0>2}")));
    }
    Ok(total)
}

fn make_timestamp(a: &[Value]) -> Result<i64> {
    let (day_number, clock) = (make_date(a, 0)?, make_time(a, 3)?);
    let (year, month, day) = (int4(a, 0)?, int4(a, 1)?, int4(a, 2)?);
    let micros = i64::from(day_number).checked_mul(DAY_US).and_then(|days| days.checked_add(clock));
    micros
        .filter(|micros| is_valid_timestamp(*micros))
        .ok_or_else(|| overflow(format!("timestamp out of range: {year}-{month:02}-{day:02}")))
}

fn make_interval(a: &[Value]) -> Result<Value> {
    let seconds = float8(a, 6)?;
    let fields = || {
        let months = int4(a, 0).ok()?.checked_mul(12)?.checked_add(int4(a, 1).ok()?)?;
        let days = int4(a, 2).ok()?.checked_mul(7)?.checked_add(int4(a, 3).ok()?)?;
        let clock = (i64::from(int4(a, 4).ok()?) * 60 + i64::from(int4(a, 5).ok()?)) * 60 * SECOND_US;
        let micros = (seconds * 1e6).round_ties_even();
        let fits = micros.is_finite() && micros.abs() < 9.2e18;
        Some(Interval { months, days, microseconds: fits.then(|| clock.checked_add(micros as i64))?? })
    };
    fields().map(from_interval).ok_or_else(interval_out_of_range)
}

/// `to_timestamp(seconds since 1970)`
fn from_unix(seconds: f64) -> Result<Value> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN".to_owned()));
    }
    if seconds.is_infinite() {
        let infinity = if seconds > 0.0 { TIMESTAMP_INFINITY } else { TIMESTAMP_NEGATIVE_INFINITY };
        return Ok(Value::Timestamptz(infinity));
    }
    let micros = ((seconds - (UNIX_EPOCH_US / SECOND_US) as f64) * 1e6).round_ties_even();
    let valid = micros.abs() < 9.3e18 && is_valid_timestamp(micros as i64);
    if valid {
        Ok(Value::Timestamptz(micros as i64))
    } else {
        Err(overflow(format!("timestamp out of range: \"{}\"", shown(seconds))))
    }
}

/// The zone of `make_timestamptz`: a name, or hours and minutes east of UTC with their sign.
fn written_zone(name: &str) -> Result<TimeZone> {
    let refused = |message: String| SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message);
    let (sign, figures) = match name.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ if name.starts_with(|c: char| c.is_ascii_digit()) => {
            let message = format!("invalid input syntax for type numeric time zone: \"{name}\"");
            return Err(
                refused(message).hint("Numeric time zones must have \"-\" or \"+\" as first character.")
            );
        }
        _ => return named_zone(name),
    };
    let parts: Option<Vec<i32>> = figures
        .split(':')
        .map(|part| if part.is_empty() { Some(0) } else { part.parse().ok().filter(|number| *number >= 0) })
        .collect();
    let (hours, minutes, seconds) = match parts.as_deref() {
        Some([together]) if figures.len() > 2 => (together / 100, together % 100, 0),
        Some([hours]) if !figures.is_empty() => (*hours, 0, 0),
        Some([hours, minutes]) => (*hours, *minutes, 0),
        Some([hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        _ => return Err(refused(format!("time zone \"{name}\" not recognized"))),
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(refused(format!("numeric time zone \"{name}\" out of range")));
    }
    Ok(TimeZone::fixed(sign * (hours * 3600 + minutes * 60 + seconds)))
}

pub(super) const FUNCTIONS: Scalars = &[
    ("now", |ctx, _| Ok(Value::Timestamptz(ctx.moment.now_us()))),
    ("statement_timestamp", |ctx, _| Ok(Value::Timestamptz(ctx.moment.statement_us()))),
    ("clock_timestamp", |ctx, _| Ok(Value::Timestamptz(ctx.session.clock_us()))),
    ("make_date", |_, a| Ok(Value::Date(make_date(a, 0)?))),
    ("make_time", |_, a| Ok(Value::Time(make_time(a, 0)?))),
    ("make_timestamp", |_, a| Ok(Value::Timestamp(make_timestamp(a)?))),
    ("make_timestamptz", |ctx, a| {
        Ok(Value::Timestamptz(timestamp_to_timestamptz(make_timestamp(a)?, zone(ctx))?))
    }),
    ("make_timestamptz_at_timezone", |_, a| {
        let local = make_timestamp(a)?;
        Ok(Value::Timestamptz(timestamp_to_timestamptz(local, written_zone(text(a, 6)?)?)?))
    }),
    ("make_interval", |_, a| make_interval(a)),
    ("float8_timestamptz", |_, a| from_unix(float8(a, 0)?)),
];
