//! `extract` and `date_trunc`.

use super::civil::{Civil, civil_from_days, days_from_civil, iso_week, weekday};
use super::{
    DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeZone, UNIX_EPOCH_US, is_infinite_date, is_infinite_timestamp,
    timestamp_out_of_range,
};
use crate::error::{Result, SqlError};
use crate::numeric::Numeric;
use crate::{Interval, TypeId, sqlstate};

/// A field of a date, time or interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Field {
    /// The field that `extract(NAME from ...)` names, in any case.
    pub fn parse(name: &str) -> Option<Field> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Field::Microseconds,
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Field::Milliseconds,
            "second" | "seconds" | "sec" | "secs" | "s" => Field::Second,
            "minute" | "minutes" | "min" | "mins" | "m" => Field::Minute,
            "hour" | "hours" | "hr" | "hrs" | "h" => Field::Hour,
            "day" | "days" | "d" => Field::Day,
            "week" | "weeks" | "w" => Field::Week,
            "month" | "months" | "mon" | "mons" => Field::Month,
            "quarter" | "qtr" => Field::Quarter,
            "year" | "years" | "yr" | "yrs" | "y" => Field::Year,
            "decade" | "decades" | "dec" | "decs" => Field::Decade,
            "century" | "centuries" | "cent" | "c" => Field::Century,
            "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
            "dow" => Field::DayOfWeek,
            "isodow" => Field::IsoDayOfWeek,
            "doy" => Field::DayOfYear,
            "isoyear" => Field::IsoYear,
            "julian" | "jd" | "j" => Field::Julian,
            "epoch" => Field::Epoch,
            "timezone" => Field::Timezone,
            "timezone_h" | "timezone_hour" => Field::TimezoneHour,
            "timezone_m" | "timezone_minute" => Field::TimezoneMinute,
            _ => return None,
        })
    }

    /// The field as errors name it.
    pub fn name(self) -> &'static str {
        match self {
            Field::Microseconds => "microseconds",
            Field::Milliseconds => "milliseconds",
            Field::Second => "second",
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::Day => "day",
            Field::Week => "week",
            Field::Month => "month",
            Field::Quarter => "quarter",
            Field::Year => "year",
            Field::Decade => "decade",
            Field::Century => "century",
            Field::Millennium => "millennium",
            Field::DayOfWeek => "dow",
            Field::IsoDayOfWeek => "isodow",
            Field::DayOfYear => "doy",
            Field::IsoYear => "isoyear",
            Field::Julian => "julian",
            Field::Epoch => "epoch",
            Field::Timezone => "timezone",
            Field::TimezoneHour => "timezone_hour",
            Field::TimezoneMinute => "timezone_minute",
        }
    }

    /// Whether an infinite date has an infinite value of this field; others are NULL.
    fn grows(self) -> bool {
        matches!(
            self,
            Field::Year
                | Field::Decade
                | Field::Century
                | Field::Millennium
                | Field::Julian
                | Field::IsoYear
                | Field::Epoch
        )
    }
}

/// 0A000: the field is none of the type's (PostgreSQL 15's wording).
fn unsupported(field: Field, ty: TypeId) -> SqlError {
    SqlError::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("unit \"{}\" not supported for type {ty}", field.name()),
    )
}

/// 22023: the field is a word that `date_trunc` does not know.
fn unrecognized(field: Field, ty: TypeId) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("unit \"{}\" not recognized for type {ty}", field.name()),
    )
}

/// Whether `date_trunc` knows the word at all.
fn is_unit(field: Field) -> bool {
    !matches!(
        field,
        Field::DayOfWeek
            | Field::IsoDayOfWeek
            | Field::DayOfYear
            | Field::IsoYear
            | Field::Julian
            | Field::Epoch
    )
}

fn integer(value: i64) -> Numeric {
    Numeric::small(i128::from(value), 0)
}

/// Microseconds shown as seconds (six digits) and milliseconds (three).
fn clock_field(field: Field, time: i64) -> Option<Numeric> {
    let second = i128::from(time % MINUTE_US);
    Some(match field {
        Field::Microseconds => Numeric::small(second, 0),
        Field::Milliseconds => Numeric::small(second, 3),
        Field::Second => Numeric::small(second, 6),
        Field::Minute => integer(time / MINUTE_US % 60),
        Field::Hour => integer(time / HOUR_US),
        _ => return None,
    })
}

/// Fields of the calendar.
fn calendar_field(field: Field, days: i64) -> Option<Numeric> {
    let (year, month, day) = civil_from_days(days);
    Some(integer(match field {
        Field::Day => i64::from(day),
        Field::Month => i64::from(month),
        Field::Quarter => i64::from((month - 1) / 3 + 1),
        Field::Week => iso_week(days).1,
        // There is no year 0: 1 BC is -1.
        Field::Year => {
            if year > 0 {
                year
            } else {
                year - 1
            }
        }
        Field::IsoYear => {
            let iso = iso_week(days).0;
            if iso > 0 { iso } else { iso - 1 }
        }
        Field::Decade => year.div_euclid(10),
        Field::Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        Field::Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        Field::DayOfWeek => i64::from(weekday(days)),
        Field::IsoDayOfWeek => match weekday(days) {
            0 => 7,
            day => i64::from(day),
        },
        Field::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        _ => return None,
    }))
}

fn infinite(field: Field, positive: bool) -> Option<Numeric> {
    if field.grows() {
        return Some(if positive { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY });
    }
    None
}

/// Seconds since 1970.
fn epoch(micros: i64) -> Result<Numeric> {
    match micros.checked_add(UNIX_EPOCH_US) {
        Some(micros) => Ok(Numeric::small(i128::from(micros), 6)),
        // Far in the future PostgreSQL goes through a quotient, which rounds.
        None => {
            let exact = Numeric::small(i128::from(micros) + i128::from(UNIX_EPOCH_US), 0);
            exact.div(&integer(SECOND_US))?.round(6)
        }
    }
}

/// The Julian day with the time as its fraction, as exact as PostgreSQL has it.
fn julian(micros: i64) -> Result<Numeric> {
    let day = integer(micros.div_euclid(DAY_US) + 2_451_545);
    let fraction = Numeric::small(i128::from(micros.rem_euclid(DAY_US)), 0).div(&integer(DAY_US))?;
    day.add(&fraction)
}

/// `extract(field from timestamp)`; `None` is NULL (a field that infinity has not).
///
/// # Errors
/// 0A000 when timestamps have no such field.
pub fn extract_timestamp(field: Field, micros: i64) -> Result<Option<Numeric>> {
    let ty = TypeId::TIMESTAMP;
    if is_infinite_timestamp(micros) {
        return Ok(infinite(field, micros > 0));
    }
    let time = micros.rem_euclid(DAY_US);
    let found = clock_field(field, time).or_else(|| calendar_field(field, micros.div_euclid(DAY_US)));
    match (found, field) {
        (Some(value), _) => Ok(Some(value)),
        (None, Field::Epoch) => epoch(micros).map(Some),
        (None, Field::Julian) => julian(micros).map(Some),
        _ => Err(unsupported(field, ty)),
    }
}

/// `extract(field from timestamptz)` in a session's zone; `None` is NULL.
///
/// # Errors
/// 0A000 when timestamps have no such field.
pub fn extract_timestamptz(field: Field, micros: i64, zone: TimeZone) -> Result<Option<Numeric>> {
    if is_infinite_timestamp(micros) {
        return Ok(infinite(field, micros > 0));
    }
    let east = i64::from(zone.east_s(micros));
    match field {
        Field::Timezone => Ok(Some(integer(east))),
        Field::TimezoneHour => Ok(Some(integer(east / 3600))),
        Field::TimezoneMinute => Ok(Some(integer(east / 60 % 60))),
        Field::Epoch => extract_timestamp(field, micros),
        _ => extract_timestamp(field, micros.saturating_add(east * SECOND_US)),
    }
}

/// `extract(field from date)`; `None` is NULL.
///
/// # Errors
/// 0A000 when dates have no such field.
pub fn extract_date(field: Field, days: i32) -> Result<Option<Numeric>> {
    let clock = clock_field(field, 0).is_some()
        || matches!(field, Field::Timezone | Field::TimezoneHour | Field::TimezoneMinute);
    if clock {
        return Err(unsupported(field, TypeId::DATE));
    }
    if is_infinite_date(days) {
        return Ok(infinite(field, days > 0));
    }
    let days = i64::from(days);
    Ok(Some(match field {
        Field::Epoch => integer(days * 86_400 + UNIX_EPOCH_US / SECOND_US),
        Field::Julian => integer(days + 2_451_545),
        _ => calendar_field(field, days).ok_or_else(|| unsupported(field, TypeId::DATE))?,
    }))
}

/// `extract(field from time)`.
///
/// # Errors
/// 0A000 when times have no such field.
pub fn extract_time(field: Field, micros: i64) -> Result<Numeric> {
    match field {
        Field::Epoch => Ok(Numeric::small(i128::from(micros), 6)),
        _ => clock_field(field, micros).ok_or_else(|| unsupported(field, TypeId::TIME)),
    }
}

/// `extract(field from interval)`.
///
/// # Errors
/// 0A000 when intervals have no such field.
pub fn extract_interval(field: Field, interval: &Interval) -> Result<Numeric> {
    if let Some(value) = clock_field(field, interval.microseconds) {
        return Ok(value);
    }
    let (years, months) = (i64::from(interval.months / 12), i64::from(interval.months % 12));
    Ok(match field {
        Field::Day => integer(i64::from(interval.days)),
        Field::Month => integer(months),
        Field::Quarter => integer(months / 3 + 1),
        Field::Year => integer(years),
        Field::Decade => integer(years / 10),
        Field::Century => integer(years / 100),
        Field::Millennium => integer(years / 1000),
        Field::Epoch => {
            // A year counts as 365.25 days, a month as 30.
            let days_x4 =
                i128::from(years) * 1461 + (i128::from(months) * 30 + i128::from(interval.days)) * 4;
            Numeric::small(days_x4 * i128::from(DAY_US / 4) + i128::from(interval.microseconds), 6)
        }
        _ => return Err(unsupported(field, TypeId::INTERVAL)),
    })
}

/// The first year of the decade, century or millennium; years are astronomical.
fn first_year(field: Field, year: i64) -> i64 {
    match field {
        Field::Millennium => (year - 1).div_euclid(1000) * 1000 + 1,
        Field::Century => (year - 1).div_euclid(100) * 100 + 1,
        Field::Decade => year.div_euclid(10) * 10,
        _ => year,
    }
}

/// `date_trunc(field, timestamp)`.
///
/// # Errors
/// 0A000 when timestamps cannot be cut there, 22008 when the answer is out of range.
pub fn date_trunc(field: Field, micros: i64) -> Result<i64> {
    let unit = match field {
        Field::Microseconds => Some(1),
        Field::Milliseconds => Some(1000),
        Field::Second => Some(SECOND_US),
        Field::Minute => Some(MINUTE_US),
        Field::Hour => Some(HOUR_US),
        Field::Day => Some(DAY_US),
        _ => None,
    };
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    if unit.is_none() && !is_unit(field) {
        return Err(unrecognized(field, TypeId::TIMESTAMP));
    }
    if let Some(unit) = unit {
        return Ok(micros - micros.rem_euclid(unit));
    }
    let days = micros.div_euclid(DAY_US);
    let civil = Civil::from_micros(micros);
    let start = match field {
        Field::Week => days - (i64::from(weekday(days)) + 6) % 7,
        Field::Month => days_from_civil(civil.year, civil.month, 1),
        Field::Quarter => days_from_civil(civil.year, (civil.month - 1) / 3 * 3 + 1, 1),
        Field::Year | Field::Decade | Field::Century | Field::Millennium => {
            days_from_civil(first_year(field, civil.year), 1, 1)
        }
        _ => return Err(unsupported(field, TypeId::TIMESTAMP)),
    };
    (start.checked_mul(DAY_US))
        .filter(|cut| super::is_valid_timestamp(*cut))
        .ok_or_else(timestamp_out_of_range)
}

/// `date_trunc(field, interval)`.
///
/// # Errors
/// 0A000 when intervals cannot be cut there.
pub fn date_trunc_interval(field: Field, interval: &Interval) -> Result<Interval> {
    let Interval { months, days, microseconds: micros } = *interval;
    let cut = |unit: i64| Interval { months, days, microseconds: micros / unit * unit };
    let only_months = |unit: i32| Interval { months: months / unit * unit, days: 0, microseconds: 0 };
    Ok(match field {
        Field::Microseconds => *interval,
        Field::Milliseconds => cut(1000),
        Field::Second => cut(SECOND_US),
        Field::Minute => cut(MINUTE_US),
        Field::Hour => cut(HOUR_US),
        Field::Day => Interval { months, days, microseconds: 0 },
        Field::Month => only_months(1),
        Field::Quarter => only_months(3),
        Field::Year => only_months(12),
        Field::Decade => only_months(120),
        Field::Century => only_months(1200),
        Field::Millennium => only_months(12_000),
        _ if !is_unit(field) => return Err(unrecognized(field, TypeId::INTERVAL)),
        _ => {
            let mut error = unsupported(field, TypeId::INTERVAL);
            if field == Field::Week {
                error = error.detail("Months usually have fractional weeks.");
            }
            return Err(error);
        }
    })
}
