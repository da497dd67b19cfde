//! Text in `DateStyle` ISO and `IntervalStyle` postgres.

use std::fmt::Write as _;

use super::civil::{Civil, civil_from_days};
use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, HOUR_US, MINUTE_US, SECOND_US, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, TimeZone,
};
use crate::Interval;

// Writing to a string cannot fail, so results of `write!` are dropped here.

fn put_two(value: u32, out: &mut String) {
    out.push(char::from(b'0' + (value / 10 % 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// `2023-01-02`, the year without its era.
fn put_date(year: i64, month: u32, day: u32, out: &mut String) {
    let shown = if year > 0 { year } else { 1 - year };
    let _ = write!(out, "{shown:04}-");
    put_two(month, out);
    out.push('-');
    put_two(day, out);
}

fn put_era(year: i64, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

pub(super) fn put_fraction(micros: i64, out: &mut String) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// Appends `12:34:56.789`.
pub fn format_time(micros: i64, out: &mut String) {
    put_two((micros / HOUR_US) as u32, out);
    out.push(':');
    put_two((micros / MINUTE_US % 60) as u32, out);
    out.push(':');
    put_two((micros / SECOND_US % 60) as u32, out);
    put_fraction(micros % SECOND_US, out);
}

/// Appends `2023-01-02`, `0044-03-15 BC` or `infinity`.
pub fn format_date(days: i32, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEGATIVE_INFINITY => out.push_str("-infinity"),
        _ => {
            let (year, month, day) = civil_from_days(i64::from(days));
            put_date(year, month, day, out);
            put_era(year, out);
        }
    }
}

fn infinity(micros: i64) -> Option<&'static str> {
    match micros {
        TIMESTAMP_INFINITY => Some("infinity"),
        TIMESTAMP_NEGATIVE_INFINITY => Some("-infinity"),
        _ => None,
    }
}

fn put_timestamp(micros: i64, east_s: Option<i32>, out: &mut String) {
    let civil = Civil::from_micros(micros);
    put_date(civil.year, civil.month, civil.day, out);
    out.push(' ');
    format_time(civil.time, out);
    if let Some(east_s) = east_s {
        let seconds = east_s.unsigned_abs();
        out.push(if east_s < 0 { '-' } else { '+' });
        let _ = write!(out, "{:02}", seconds / 3600);
        if seconds % 3600 != 0 {
            let _ = write!(out, ":{:02}", seconds / 60 % 60);
        }
        if seconds % 60 != 0 {
            let _ = write!(out, ":{:02}", seconds % 60);
        }
    }
    put_era(civil.year, out);
}

/// Appends `2023-01-02 03:04:05.6`.
pub fn format_timestamp(micros: i64, out: &mut String) {
    match infinity(micros) {
        Some(text) => out.push_str(text),
        None => put_timestamp(micros, None, out),
    }
}

/// Appends `2023-01-02 03:04:05.6+02`.
pub fn format_timestamptz(micros: i64, zone: TimeZone, out: &mut String) {
    match infinity(micros) {
        Some(text) => out.push_str(text),
        None => {
            let east_s = zone.east_s(micros);
            put_timestamp(micros.saturating_add(i64::from(east_s) * SECOND_US), Some(east_s), out);
        }
    }
}

/// Appends `1 year 2 mons 3 days 04:05:06`, `-1 days +02:03:00` or `00:00:00`.
pub fn format_interval(interval: &Interval, out: &mut String) {
    let mut first = true;
    let mut negative_before = false;
    let parts = [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let space = if first { "" } else { " " };
        let plus = if negative_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        negative_before = value < 0;
        first = false;
    }
    if !first && interval.microseconds == 0 {
        return;
    }
    if !first {
        out.push(' ');
    }
    if interval.microseconds < 0 {
        out.push('-');
    } else if negative_before {
        out.push('+');
    }
    let micros = interval.microseconds.unsigned_abs();
    let hours = micros / HOUR_US as u64;
    let _ =
        write!(out, "{hours:02}:{:02}:{:02}", micros / MINUTE_US as u64 % 60, micros / SECOND_US as u64 % 60);
    put_fraction((micros % SECOND_US as u64) as i64, out);
}
