//! Dates, times, timestamps and intervals: calendar arithmetic, text, fields.
//!
//! Everything is microseconds or days since 2000-01-01, as in [`Value`](crate::Value). The calendar is
//! the proleptic Gregorian one. A session's time zone is UTC, a fixed offset or one of the time zone
//! database (`Europe/Berlin`).
//!
//! [`civil`] converts between days and dates; `tokens` and `decode` read text as PostgreSQL's
//! `datetime.c` does; `format` and `style` write it; `zone` knows what clocks show where; `interval` and `arithmetic` compute; `fields` answers
//! `extract` and `date_trunc`.

use crate::error::SqlError;
use crate::sqlstate;

pub mod abbreviation;
mod arithmetic;
pub mod civil;
mod decode;
mod fields;
mod format;
mod interval;
mod style;
mod tokens;
mod zone;

pub use arithmetic::{
    add_interval_to_time, add_interval_to_timestamp, add_interval_to_timestamptz, age, date_from_parts,
    date_plus_days, date_to_timestamp, interval_between, round_microseconds,
    subtract_interval_from_timestamp, subtract_interval_from_timestamptz, timestamp_to_date,
    timestamp_to_timestamptz, timestamptz_to_timestamp,
};
pub use civil::{Civil, days_from_civil, days_in_month};
pub use decode::{parse_date, parse_time, parse_timestamp, parse_timestamptz};
pub use fields::{
    Field, date_trunc, date_trunc_interval, extract_date, extract_interval, extract_time, extract_timestamp,
    extract_timestamptz,
};
pub use format::{format_date, format_interval, format_time, format_timestamp, format_timestamptz};
pub use interval::{fit_interval, parse_interval};
pub use style::{DateStyle, IntervalStyle};
pub use zone::{Moment, TimeZone};

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE_US: i64 = 60 * SECOND_US;
/// Microseconds in an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;
/// Microseconds in a day.
pub const DAY_US: i64 = 24 * HOUR_US;

/// `-infinity` as a date.
pub const DATE_NEGATIVE_INFINITY: i32 = i32::MIN;
/// `infinity` as a date.
pub const DATE_INFINITY: i32 = i32::MAX;
/// `-infinity` as a timestamp.
pub const TIMESTAMP_NEGATIVE_INFINITY: i64 = i64::MIN;
/// `infinity` as a timestamp.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;

/// The first date, 4714-11-24 BC.
pub const DATE_MIN: i32 = -2_451_545;
/// The last date, 5874897-12-31.
pub const DATE_MAX: i32 = 2_145_031_948;
/// The first timestamp, 4714-11-24 00:00:00 BC.
pub const TIMESTAMP_MIN: i64 = -211_813_488_000_000_000;
/// What is after the last timestamp, 294276-12-31 23:59:59.999999.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;

/// Microseconds from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_US: i64 = 946_684_800 * SECOND_US;

/// 22008: `timestamp out of range`.
#[cold]
pub fn timestamp_out_of_range() -> SqlError {
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// 22008: `date out of range`.
#[cold]
pub fn date_out_of_range() -> SqlError {
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// 22008: `interval out of range`.
#[cold]
pub fn interval_out_of_range() -> SqlError {
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// Whether a timestamp is one that the type has.
pub fn is_valid_timestamp(micros: i64) -> bool {
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&micros)
}

/// Whether a timestamp is an infinity.
pub fn is_infinite_timestamp(micros: i64) -> bool {
    micros == TIMESTAMP_INFINITY || micros == TIMESTAMP_NEGATIVE_INFINITY
}

/// Whether a date is an infinity.
pub fn is_infinite_date(days: i32) -> bool {
    days == DATE_INFINITY || days == DATE_NEGATIVE_INFINITY
}
