//! Sums and differences of dates, timestamps and intervals, and conversions between the types.
//!
//! Infinite timestamps absorb finite intervals, as in PostgreSQL.

use super::civil::{Civil, days_from_civil, days_in_month};
use super::{
    DATE_INFINITY, DATE_MAX, DATE_MIN, DATE_NEGATIVE_INFINITY, DAY_US, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, TimeZone, date_out_of_range, is_infinite_date, is_infinite_timestamp,
    is_valid_timestamp, timestamp_out_of_range,
};
use crate::Interval;
use crate::error::{Result, SqlError};
use crate::sqlstate;

/// Rounds to `digits` digits of a second; -1 and 6 leave the value as it is.
pub fn round_microseconds(micros: i64, digits: i32) -> i64 {
    if !(0..6).contains(&digits) || is_infinite_timestamp(micros) {
        return micros;
    }
    let unit = 10i64.pow(6 - digits as u32);
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        -((-micros).saturating_add(half) / unit * unit)
    }
}

/// A local timestamp moved by an interval: months first (a day that the month lacks becomes its last
/// day), then days, then microseconds.
///
/// # Errors
/// 22008 when the sum is out of range.
pub fn add_interval_to_timestamp(micros: i64, interval: &Interval) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let mut sum = micros;
    if interval.months != 0 {
        let civil = Civil::from_micros(sum);
        let months = civil.year * 12 + i64::from(civil.month) - 1 + i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        let day = civil.day.min(days_in_month(year, month));
        sum = Civil { year, month, day, time: civil.time }.to_micros().ok_or_else(timestamp_out_of_range)?;
    }
    if interval.days != 0 {
        sum = (i64::from(interval.days).checked_mul(DAY_US))
            .and_then(|days| sum.checked_add(days))
            .filter(|sum| is_valid_timestamp(*sum))
            .ok_or_else(timestamp_out_of_range)?;
    }
    sum.checked_add(interval.microseconds)
        .filter(|sum| is_valid_timestamp(*sum))
        .ok_or_else(timestamp_out_of_range)
}

/// As [`add_interval_to_timestamp`], with the interval's parts negated.
///
/// # Errors
/// 22008 when the difference is out of range.
pub fn subtract_interval_from_timestamp(micros: i64, interval: &Interval) -> Result<i64> {
    // `i64::MIN` microseconds have no negative; no timestamp survives them.
    let negated = interval.checked_neg().ok_or_else(timestamp_out_of_range)?;
    add_interval_to_timestamp(micros, &negated)
}

/// A point in time moved by an interval; months and days count in the zone's calendar.
///
/// # Errors
/// 22008 when the sum is out of range.
pub fn add_interval_to_timestamptz(micros: i64, interval: &Interval, zone: TimeZone) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let mut sum = micros;
    let (months, days) = (
        Interval { months: interval.months, ..Interval::default() },
        Interval { days: interval.days, ..Interval::default() },
    );
    // Each step ends at what the clocks show then.
    for step in [months, days] {
        if step != Interval::default() {
            let local = add_interval_to_timestamp(timestamptz_to_timestamp(sum, zone)?, &step)?;
            sum = timestamp_to_timestamptz(local, zone)?;
        }
    }
    let sum = sum.checked_add(interval.microseconds).filter(|sum| is_valid_timestamp(*sum));
    sum.ok_or_else(timestamp_out_of_range)
}

/// As [`add_interval_to_timestamptz`], with the interval's parts negated.
///
/// # Errors
/// 22008 when the difference is out of range.
pub fn subtract_interval_from_timestamptz(micros: i64, interval: &Interval, zone: TimeZone) -> Result<i64> {
    let negated = interval.checked_neg().ok_or_else(timestamp_out_of_range)?;
    add_interval_to_timestamptz(micros, &negated, zone)
}

/// A time of day moved by an interval's microseconds, around midnight if need be.
pub fn add_interval_to_time(time: i64, interval: &Interval) -> i64 {
    (time + interval.microseconds % DAY_US).rem_euclid(DAY_US)
}

/// `left - right` of two timestamps of one kind: whole days and the rest.
///
/// # Errors
/// 22008 when one is infinite or the difference is too large.
pub fn interval_between(left: i64, right: i64) -> Result<Interval> {
    if is_infinite_timestamp(left) || is_infinite_timestamp(right) {
        return Err(SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let micros = left.checked_sub(right).ok_or_else(super::interval_out_of_range)?;
    Ok(Interval { months: 0, days: (micros / DAY_US) as i32, microseconds: micros % DAY_US })
}

/// `age(left, right)` of two local timestamps: years, months and days as people count them.
///
/// # Errors
/// 22008 when one is infinite.
pub fn age(left: i64, right: i64) -> Result<Interval> {
    if is_infinite_timestamp(left) || is_infinite_timestamp(right) {
        return Err(timestamp_out_of_range());
    }
    let (later, earlier, sign) = if left >= right { (left, right, 1) } else { (right, left, -1) };
    let (a, b) = (Civil::from_micros(later), Civil::from_micros(earlier));
    let mut time = a.time - b.time;
    let mut days = i64::from(a.day) - i64::from(b.day);
    let mut months = (a.year - b.year) * 12 + i64::from(a.month) - i64::from(b.month);
    if time < 0 {
        time += DAY_US;
        days -= 1;
    }
    while days < 0 {
        // The month borrowed is that of the earlier moment.
        days += i64::from(days_in_month(b.year, b.month));
        months -= 1;
    }
    Ok(Interval { months: (sign * months) as i32, days: (sign * days) as i32, microseconds: sign * time })
}

/// A date moved by days.
///
/// # Errors
/// 22008 when the sum is out of range.
pub fn date_plus_days(date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    (date.checked_add(days)).filter(|sum| (DATE_MIN..=DATE_MAX).contains(sum)).ok_or_else(date_out_of_range)
}

/// Midnight of a date.
///
/// # Errors
/// 22008 when timestamps do not reach so far.
pub fn date_to_timestamp(date: i32) -> Result<i64> {
    match date {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        _ => (i64::from(date).checked_mul(DAY_US)).filter(|micros| is_valid_timestamp(*micros)).ok_or_else(
            || SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp"),
        ),
    }
}

/// The date of a local timestamp.
pub fn timestamp_to_date(micros: i64) -> i32 {
    match micros {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEGATIVE_INFINITY => DATE_NEGATIVE_INFINITY,
        // A timestamp's days fit 32 bits by far.
        _ => micros.div_euclid(DAY_US) as i32,
    }
}

/// The point in time of a local timestamp.
///
/// # Errors
/// 22008 when it is out of range.
pub fn timestamp_to_timestamptz(micros: i64, zone: TimeZone) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let shifted =
        micros.checked_sub(zone.east_us_of_local(micros)).filter(|shifted| is_valid_timestamp(*shifted));
    shifted.ok_or_else(timestamp_out_of_range)
}

/// The local timestamp of a point in time.
///
/// # Errors
/// 22008 when it is out of range.
pub fn timestamptz_to_timestamp(micros: i64, zone: TimeZone) -> Result<i64> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let shifted = micros.checked_add(zone.east_us(micros)).filter(|shifted| is_valid_timestamp(*shifted));
    shifted.ok_or_else(timestamp_out_of_range)
}

/// The date of a year (astronomical), month and day; `None` when there is no such date.
pub fn date_from_parts(year: i64, month: u32, day: u32) -> Option<i32> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let days = i32::try_from(days_from_civil(year, month, day)).ok()?;
    (DATE_MIN..=DATE_MAX).contains(&days).then_some(days)
}
