//! `extract`, `date_part`, `date_trunc`.

use tuplix_types::datetime::{
    Field, TimeZone, date_to_timestamp, date_trunc, date_trunc_interval, extract_date, extract_interval,
    extract_time, extract_timestamp, extract_timestamptz, is_infinite_timestamp, timestamp_to_timestamptz,
    timestamptz_to_timestamp,
};
use tuplix_types::{Numeric, Result, SqlError, TypeId, Value, sqlstate};

use super::arithmetic::named_zone;
use super::zone;
use crate::builtin::Scalars;
use crate::builtin::args::{date, from_interval, from_numeric, interval, text, time, timestamp};

/// The field that the first argument names.
fn field(a: &[Value], id: TypeId) -> Result<Field> {
    let name = text(a, 0)?;
    Field::parse(name).ok_or_else(|| {
        let message = format!("unit \"{}\" not recognized for type {id}", name.to_lowercase());
        SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
    })
}

fn as_numeric(value: Option<Numeric>) -> Value {
    value.map_or(Value::Null, from_numeric)
}

/// `date_part` gives the double next to `extract`'s number.
fn as_float(value: Option<Numeric>) -> Result<Value> {
    match value {
        None => Ok(Value::Null),
        Some(number) => tuplix_types::text_io::parse_float8(&number.to_string()).map(Value::Float8),
    }
}

fn truncate(a: &[Value], micros: i64) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    date_trunc(field(a, TypeId::TIMESTAMP)?, micros)
}

/// Truncation of a `timestamptz` happens in local time.
fn truncate_in(a: &[Value], micros: i64, zone: TimeZone) -> Result<Value> {
    // What has no end is not truncated by anything, as PostgreSQL 15 sees it.
    if is_infinite_timestamp(micros) {
        return Ok(Value::Timestamptz(micros));
    }
    let field = field(a, TypeId::TIMESTAMPTZ)?;
    let before = timestamptz_to_timestamp(micros, zone)?;
    let local = date_trunc(field, before).map_err(|error| rename(error, TypeId::TIMESTAMPTZ))?;
    // Below a day the offset of the moment stays.
    let fine = [Field::Microseconds, Field::Milliseconds, Field::Second, Field::Minute, Field::Hour];
    if fine.contains(&field) {
        return Ok(Value::Timestamptz(micros - (before - local)));
    }
    Ok(Value::Timestamptz(timestamp_to_timestamptz(local, zone)?))
}

/// The same error about the other timestamp type.
fn rename(mut error: SqlError, id: TypeId) -> SqlError {
    let message = &mut error.fields_mut().message;
    *message = message.replace(&TypeId::TIMESTAMP.to_string(), &id.to_string());
    error
}

pub(super) const FUNCTIONS: Scalars = &[
    ("extract_date", |_, a| Ok(as_numeric(extract_date(field(a, TypeId::DATE)?, date(a, 1)?)?))),
    ("extract_time", |_, a| Ok(from_numeric(extract_time(field(a, TypeId::TIME)?, time(a, 1)?)?))),
    ("extract_timestamp", |_, a| {
        Ok(as_numeric(extract_timestamp(field(a, TypeId::TIMESTAMP)?, timestamp(a, 1)?)?))
    }),
    ("extract_timestamptz", |ctx, a| {
        Ok(as_numeric(extract_timestamptz(field(a, TypeId::TIMESTAMPTZ)?, timestamp(a, 1)?, zone(ctx))?))
    }),
    ("extract_interval", |_, a| {
        Ok(from_numeric(extract_interval(field(a, TypeId::INTERVAL)?, interval(a, 1)?)?))
    }),
    // `date_part` of a date goes through a timestamp.
    ("date_part_text_date", |_, a| {
        as_float(extract_timestamp(field(a, TypeId::TIMESTAMP)?, date_to_timestamp(date(a, 1)?)?)?)
    }),
    ("time_part", |_, a| as_float(Some(extract_time(field(a, TypeId::TIME)?, time(a, 1)?)?))),
    ("timestamp_part", |_, a| as_float(extract_timestamp(field(a, TypeId::TIMESTAMP)?, timestamp(a, 1)?)?)),
    ("timestamptz_part", |ctx, a| {
        as_float(extract_timestamptz(field(a, TypeId::TIMESTAMPTZ)?, timestamp(a, 1)?, zone(ctx))?)
    }),
    ("interval_part", |_, a| as_float(Some(extract_interval(field(a, TypeId::INTERVAL)?, interval(a, 1)?)?))),
    ("timestamp_trunc", |_, a| Ok(Value::Timestamp(truncate(a, timestamp(a, 1)?)?))),
    ("timestamptz_trunc", |ctx, a| truncate_in(a, timestamp(a, 1)?, zone(ctx))),
    ("timestamptz_trunc_zone", |_, a| {
        let moment = timestamp(a, 1)?;
        truncate_in(a, moment, named_zone(text(a, 2)?)?)
    }),
    ("interval_trunc", |_, a| {
        Ok(from_interval(date_trunc_interval(field(a, TypeId::INTERVAL)?, interval(a, 1)?)?))
    }),
];
