//! A session's time zone: UTC, or a fixed offset from it.

use crate::error::{Result, SqlError};
use crate::sqlstate;

/// A fixed offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TimeZone {
    /// Seconds that local time is ahead of UTC (east is positive).
    pub east_s: i32,
}

impl TimeZone {
    /// UTC.
    pub const UTC: TimeZone = TimeZone { east_s: 0 };

    /// Local time's lead over UTC in microseconds.
    pub fn east_us(self) -> i64 {
        i64::from(self.east_s) * super::SECOND_US
    }

    /// The zone that `SET TimeZone` names: `UTC` and its aliases, a number of hours east
    /// (`2`, `-5.5`), a POSIX name (`<+02>-02`, `EST5`) or offset (`+02:00`, which is west of
    /// Greenwich, as POSIX has it).
    ///
    /// # Errors
    /// 22023 for what is no zone, 0A000 for zones with rules.
    pub fn parse(name: &str) -> Result<TimeZone> {
        let lower = name.trim().to_ascii_lowercase();
        if is_utc_name(&lower) {
            return Ok(TimeZone::UTC);
        }
        if let Ok(hours) = lower.parse::<f64>()
            && hours.is_finite()
            && hours.abs() < 24.0 * 7.0
        {
            return Ok(TimeZone { east_s: (hours * 3600.0).round() as i32 });
        }
        if let Some(zone) = posix(&lower) {
            return Ok(zone);
        }
        if is_ruled_name(&lower) {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                format!("time zone \"{name}\" is not supported"),
            )
            .hint("Use UTC or a fixed offset."));
        }
        Err(SqlError::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"TimeZone\": \"{name}\""),
        ))
    }

    /// The zone of an abbreviation or name inside a timestamp's text, when it has a fixed offset.
    pub(super) fn from_abbreviation(name: &str) -> Option<TimeZone> {
        if is_utc_name(name) {
            return Some(TimeZone::UTC);
        }
        let hours = match name {
            "wet" => 0,
            "bst" | "cet" | "met" | "west" => 1,
            "cest" | "eet" | "ist" | "mest" | "sast" => 2,
            "eest" | "msk" => 3,
            "jst" | "kst" => 9,
            "nzst" => 12,
            "ast" | "edt" => -4,
            "est" | "cdt" => -5,
            "cst" | "mdt" => -6,
            "mst" | "pdt" => -7,
            "pst" | "akdt" => -8,
            "akst" => -9,
            "hst" => -10,
            _ => return None,
        };
        Some(TimeZone { east_s: hours * 3600 })
    }
}

fn is_utc_name(lower: &str) -> bool {
    matches!(
        lower,
        "utc"
            | "gmt"
            | "ut"
            | "uct"
            | "z"
            | "zulu"
            | "universal"
            | "greenwich"
            | "etc/utc"
            | "etc/gmt"
            | "etc/uct"
            | "etc/zulu"
            | "etc/universal"
            | "gmt0"
            | "etc/gmt0"
    )
}

/// Whether a name is of the time zone database's, for a zone whose offset changes or is not known here: by its area, or
/// one of the old names without an area.
fn is_ruled_name(lower: &str) -> bool {
    const AREAS: [&str; 16] = [
        "africa",
        "america",
        "antarctica",
        "arctic",
        "asia",
        "atlantic",
        "australia",
        "brazil",
        "canada",
        "chile",
        "etc",
        "europe",
        "indian",
        "mexico",
        "pacific",
        "us",
    ];
    const ALONE: [&str; 32] = [
        "cet",
        "cst6cdt",
        "cuba",
        "eet",
        "egypt",
        "eire",
        "est",
        "est5edt",
        "gb",
        "gb-eire",
        "hongkong",
        "hst",
        "iceland",
        "iran",
        "israel",
        "jamaica",
        "japan",
        "kwajalein",
        "libya",
        "met",
        "mst",
        "mst7mdt",
        "navajo",
        "nz",
        "poland",
        "portugal",
        "prc",
        "pst8pdt",
        "rok",
        "singapore",
        "turkey",
        "wet",
    ];
    match lower.split_once('/') {
        Some((area, place)) => AREAS.contains(&area) && !place.is_empty(),
        None => ALONE.contains(&lower),
    }
}

/// `<+02>-02`, `est5`, `+02:00`: a name and what must be added to local time to get UTC.
fn posix(text: &str) -> Option<TimeZone> {
    let offset = match text.strip_prefix('<') {
        Some(inside) => inside.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(digits) => (1, digits),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in digits.split(':') {
        if unit == 0 || part.is_empty() || part.len() > 2 {
            return None;
        }
        seconds += part.parse::<u32>().ok()? as i32 * unit;
        unit /= 60;
    }
    (seconds <= 167 * 3600).then_some(TimeZone { east_s: sign * seconds })
}

impl std::fmt::Display for TimeZone {
    /// As `SHOW TimeZone` says it: `UTC`, `<+02>-02`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.east_s == 0 {
            return f.write_str("UTC");
        }
        let seconds = self.east_s.unsigned_abs();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let offset = match (minutes, rest) {
            (0, 0) => format!("{hours:02}"),
            (_, 0) => format!("{hours:02}:{minutes:02}"),
            _ => format!("{hours:02}:{minutes:02}:{rest:02}"),
        };
        let (sign, opposite) = if self.east_s > 0 { ('+', '-') } else { ('-', '+') };
        write!(f, "<{sign}{offset}>{opposite}{offset}")
    }
}
