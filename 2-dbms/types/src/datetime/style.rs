//! `DateStyle` and `IntervalStyle`: how dates, timestamps and intervals are written. ISO dates and `postgres` intervals, what everybody
//! has unless told otherwise, are in `format`.

use std::fmt::Write as _;

use super::civil::{Civil, civil_from_days, weekday};
use super::format::{
    format_date, format_interval, format_time, format_timestamp, format_timestamptz, put_fraction,
};
use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeZone,
    is_infinite_timestamp,
};
use crate::Interval;
use crate::text_io::DateOrder;

// Writing to a string cannot fail, so results of `write!` are dropped here.

/// The first half of `DateStyle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DateStyle {
    /// `1997-12-17 07:37:16-08`
    #[default]
    Iso,
    /// `12/17/1997 07:37:16.00 PST`
    Sql,
    /// `Wed Dec 17 07:37:16 1997 PST`
    Postgres,
    /// `17.12.1997 07:37:16.00 PST`
    German,
}

/// `IntervalStyle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl DateStyle {
    /// Style and order as a `DateStyle` setting has them, words that are left out taken from before; `None` for other words.
    pub fn parse(text: &str, before: (DateStyle, DateOrder)) -> Option<(DateStyle, DateOrder)> {
        let (mut style, mut order) = (None, None);
        for word in text.split(',').map(|word| word.trim().trim_matches('"').to_ascii_lowercase()) {
            let chosen = match word.as_str() {
                "iso" => Some(DateStyle::Iso),
                "sql" => Some(DateStyle::Sql),
                "german" => Some(DateStyle::German),
                word if word.starts_with("postgres") => Some(DateStyle::Postgres),
                _ => None,
            };
            if chosen.is_some() {
                if style.is_some_and(|style| Some(style) != chosen) {
                    return None;
                }
                style = chosen;
                continue;
            }
            let chosen = match word.as_str() {
                "ymd" => DateOrder::Ymd,
                "dmy" => DateOrder::Dmy,
                "mdy" | "us" => DateOrder::Mdy,
                "default" => {
                    style = style.or(Some(DateStyle::Iso));
                    DateOrder::Mdy
                }
                word if word.starts_with("euro") => DateOrder::Dmy,
                word if word.starts_with("noneuro") => DateOrder::Mdy,
                _ => return None,
            };
            if order.is_some_and(|order| order != chosen) {
                return None;
            }
            order = Some(chosen);
        }
        if style == Some(DateStyle::German) && order.is_none() {
            order = Some(DateOrder::Dmy);
        }
        Some((style.unwrap_or(before.0), order.unwrap_or(before.1)))
    }

    /// As `SHOW DateStyle` says it.
    pub fn show(self, order: DateOrder) -> String {
        let style = match self {
            DateStyle::Iso => "ISO",
            DateStyle::Sql => "SQL",
            DateStyle::Postgres => "Postgres",
            DateStyle::German => "German",
        };
        let order = match order {
            DateOrder::Mdy => "MDY",
            DateOrder::Dmy => "DMY",
            DateOrder::Ymd => "YMD",
        };
        format!("{style}, {order}")
    }

    /// Appends a date.
    pub fn date(self, days: i32, order: DateOrder, out: &mut String) {
        if self == DateStyle::Iso || days == DATE_INFINITY || days == DATE_NEGATIVE_INFINITY {
            return format_date(days, out);
        }
        let (year, month, day) = civil_from_days(i64::from(days));
        let between = match self {
            DateStyle::Sql => '/',
            DateStyle::German => '.',
            _ => '-',
        };
        self.numbers(month, day, between, order, out);
        let _ = write!(out, "{between}{:04}", called(year));
        era(year, out);
    }

    fn numbers(self, month: u32, day: u32, between: char, order: DateOrder, out: &mut String) {
        let day_first = self == DateStyle::German || order == DateOrder::Dmy;
        let (first, second) = if day_first { (day, month) } else { (month, day) };
        let _ = write!(out, "{first:02}{between}{second:02}");
    }

    /// Appends a timestamp.
    pub fn timestamp(self, micros: i64, order: DateOrder, out: &mut String) {
        if self == DateStyle::Iso || is_infinite_timestamp(micros) {
            return format_timestamp(micros, out);
        }
        self.moment(micros, order, None, out);
    }

    /// Appends a point in time, as a zone's clocks show it.
    pub fn timestamptz(self, micros: i64, zone: TimeZone, order: DateOrder, out: &mut String) {
        if self == DateStyle::Iso || is_infinite_timestamp(micros) {
            return format_timestamptz(micros, zone, out);
        }
        let moment = zone.moment(micros);
        let local = micros.saturating_add(i64::from(moment.east_s) * SECOND_US);
        self.moment(local, order, Some(&moment.abbreviation), out);
    }

    fn moment(self, local: i64, order: DateOrder, zone: Option<&str>, out: &mut String) {
        let civil = Civil::from_micros(local);
        let year = called(civil.year);
        if self == DateStyle::Postgres {
            let weekday = DAYS[weekday(local.div_euclid(DAY_US)) as usize % 7];
            let month = MONTHS[civil.month as usize % 13 - 1];
            let _ = match order {
                DateOrder::Dmy => write!(out, "{weekday} {:02} {month} ", civil.day),
                _ => write!(out, "{weekday} {month} {:02} ", civil.day),
            };
            format_time(civil.time, out);
            let _ = write!(out, " {year:04}");
        } else {
            let between = if self == DateStyle::Sql { '/' } else { '.' };
            self.numbers(civil.month, civil.day, between, order, out);
            let _ = write!(out, "{between}{year:04} ");
            format_time(civil.time, out);
        }
        if let Some(zone) = zone {
            let _ = write!(out, " {zone}");
        }
        era(civil.year, out);
    }
}

/// The year as it is called: there is no year 0.
fn called(year: i64) -> i64 {
    if year > 0 { year } else { 1 - year }
}

fn era(year: i64, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

/// An interval taken apart; all parts of its time have one sign.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    /// Of seconds, in microseconds.
    micros: i64,
}

impl Parts {
    fn of(interval: &Interval) -> Parts {
        Parts {
            year: i64::from(interval.months / 12),
            month: i64::from(interval.months % 12),
            day: i64::from(interval.days),
            hour: interval.microseconds / HOUR_US,
            minute: interval.microseconds / MINUTE_US % 60,
            micros: interval.microseconds % MINUTE_US,
        }
    }

    fn all(&self) -> [i64; 6] {
        [self.year, self.month, self.day, self.hour, self.minute, self.micros]
    }

    fn time(&self) -> bool {
        self.hour != 0 || self.minute != 0 || self.micros != 0
    }
}

/// Seconds without a sign; `wide` writes at least two digits.
fn seconds(micros: i64, wide: bool, out: &mut String) {
    let (whole, fraction) = (micros.abs() / SECOND_US, micros.abs() % SECOND_US);
    let _ = if wide { write!(out, "{whole:02}") } else { write!(out, "{whole}") };
    put_fraction(fraction, out);
}

impl IntervalStyle {
    /// The style of a setting's value.
    pub fn parse(text: &str) -> IntervalStyle {
        match text {
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => IntervalStyle::Postgres,
        }
    }

    /// Appends an interval.
    pub fn interval(self, interval: &Interval, out: &mut String) {
        let parts = Parts::of(interval);
        match self {
            IntervalStyle::Postgres => format_interval(interval, out),
            IntervalStyle::PostgresVerbose => verbose(&parts, out),
            IntervalStyle::SqlStandard => standard(&parts, out),
            IntervalStyle::Iso8601 => iso(&parts, out),
        }
    }
}

/// The sign of the first part that is not 0 becomes `ago`; those of the others are relative to it.
fn verbose(parts: &Parts, out: &mut String) {
    out.push('@');
    let mut ago = None;
    let units = ["year", "mon", "day", "hour", "min"];
    for (value, unit) in parts.all().into_iter().zip(units).filter(|(value, _)| *value != 0) {
        let first = ago.is_none();
        let is_ago = *ago.get_or_insert(value < 0);
        let shown = if first {
            value.abs()
        } else if is_ago {
            -value
        } else {
            value
        };
        let plural = if shown == 1 { "" } else { "s" };
        let _ = write!(out, " {shown} {unit}{plural}");
    }
    if parts.micros != 0 {
        out.push(' ');
        let negative = parts.micros < 0;
        match ago {
            None => ago = Some(negative),
            Some(is_ago) if is_ago != negative => out.push('-'),
            Some(_) => {}
        }
        seconds(parts.micros, false, out);
        out.push_str(if parts.micros.abs() == SECOND_US { " sec" } else { " secs" });
    }
    match ago {
        None => out.push_str(" 0"),
        Some(true) => out.push_str(" ago"),
        Some(false) => {}
    }
}

fn standard(parts: &Parts, out: &mut String) {
    let (negative, positive) =
        (parts.all().iter().any(|part| *part < 0), parts.all().iter().any(|part| *part > 0));
    let months = parts.year != 0 || parts.month != 0;
    let days = parts.day != 0 || parts.time();
    if !negative && !positive {
        out.push('0');
        return;
    }
    let Parts { year, month, day, hour, minute, micros } = parts;
    if (negative && positive) || (months && days) {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let _ = write!(
            out,
            "{}{}-{} {}{} {}{}:{:02}:",
            sign(*year < 0 || *month < 0),
            year.abs(),
            month.abs(),
            sign(*day < 0),
            day.abs(),
            sign(*hour < 0 || *minute < 0 || *micros < 0),
            hour.abs(),
            minute.abs()
        );
        return seconds(*micros, true, out);
    }
    if negative {
        out.push('-');
    }
    if months {
        let _ = write!(out, "{}-{}", year.abs(), month.abs());
        return;
    }
    if *day != 0 {
        let _ = write!(out, "{} ", day.abs());
    }
    let _ = write!(out, "{}:{:02}:", hour.abs(), minute.abs());
    seconds(*micros, true, out);
}

fn iso(parts: &Parts, out: &mut String) {
    out.push('P');
    let put = |value: i64, unit: char, out: &mut String| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    put(parts.year, 'Y', out);
    put(parts.month, 'M', out);
    put(parts.day, 'D', out);
    if parts.time() {
        out.push('T');
        put(parts.hour, 'H', out);
        put(parts.minute, 'M', out);
        if parts.micros != 0 {
            if parts.micros < 0 {
                out.push('-');
            }
            seconds(parts.micros, false, out);
            out.push('S');
        }
    } else if out.ends_with('P') {
        out.push_str("T0S");
    }
}
