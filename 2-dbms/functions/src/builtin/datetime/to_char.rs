//! `to_char` of timestamps: the template patterns of the manual's table 9.27.

use tuplix_types::datetime::{
    self, DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeZone, civil, is_infinite_timestamp,
    timestamptz_to_timestamp,
};
use tuplix_types::{Interval, Result, SqlError, Value, sqlstate};

use super::zone;
use crate::builtin::Scalars;
use crate::builtin::args::{interval, text, timestamp};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Patterns in upper case, each before those that it begins with.
const PATTERNS: [&str; 51] = [
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ", "US",
    "WW", "W", "Y,YYY", "YYYY", "YYY",
];
const SHORT_YEARS: [&str; 2] = ["YY", "Y"];

/// A moment taken apart.
struct Moment {
    year: i64,
    month: u32,
    day: u32,
    days: i64,
    time: i64,
    /// What the zone says; none for a timestamp without a time zone.
    zone: Option<datetime::Moment>,
}

/// What a pattern makes: a number with a width, or text.
enum Piece {
    Number(i64, usize),
    Text(String),
}

fn upper(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

impl Moment {
    fn new(local: i64, zone: Option<datetime::Moment>) -> Moment {
        let days = local.div_euclid(DAY_US);
        let (year, month, day) = civil::civil_from_days(days);
        Moment { year, month, day, days, time: local.rem_euclid(DAY_US), zone }
    }

    /// The year as it is called: there is no year 0.
    fn called(year: i64) -> i64 {
        if year > 0 { year } else { 1 - year }
    }

    fn day_of_year(&self) -> i64 {
        self.days - civil::days_from_civil(self.year, 1, 1) + 1
    }

    fn offset(&self) -> (char, i32, i32) {
        let east = self.zone.as_ref().map_or(0, |zone| zone.east_s);
        (if east < 0 { '-' } else { '+' }, east.abs() / 3600, east.abs() / 60 % 60)
    }

    /// The abbreviation of the zone: `CEST`, or its offset.
    fn zone_name(&self) -> String {
        self.zone.as_ref().map_or_else(String::new, |zone| zone.abbreviation.clone())
    }

    /// The piece of a pattern given in upper case.
    fn piece(&self, pattern: &str, fill: bool) -> Piece {
        use Piece::{Number, Text};
        let (year, iso_year) = (Moment::called(self.year), Moment::called(civil::iso_week(self.days).0));
        let padded = |name: &str| Text(if fill { format!("{name:<9}") } else { name.to_owned() });
        let weekday = i64::from(civil::weekday(self.days));
        let iso_weekday = if weekday == 0 { 7 } else { weekday };
        let hour = self.time / HOUR_US;
        let micros = self.time % SECOND_US;
        let (sign, hours, minutes) = self.offset();
        match pattern {
            "A.M." | "P.M." => upper(if hour < 12 { "A.M." } else { "P.M." }),
            "AM" | "PM" => upper(if hour < 12 { "AM" } else { "PM" }),
            "A.D." | "B.C." => upper(if self.year > 0 { "A.D." } else { "B.C." }),
            "AD" | "BC" => upper(if self.year > 0 { "AD" } else { "BC" }),
            "CC" if self.year > 0 => Number((self.year + 99) / 100, 2),
            "CC" => Number(self.year / 100 - 1, 3),
            "DAY" => padded(DAYS[weekday as usize]),
            "DY" => upper(&DAYS[weekday as usize][..3]),
            "DDD" => Number(self.day_of_year(), 3),
            "DD" => Number(i64::from(self.day), 2),
            "D" => Number(weekday + 1, 1),
            "ID" => Number(iso_weekday, 1),
            "IDDD" => Number((civil::iso_week(self.days).1 - 1) * 7 + iso_weekday, 3),
            "FF1" => Number(micros / 100_000, 1),
            "FF2" => Number(micros / 10_000, 2),
            "FF3" | "MS" => Number(micros / 1000, 3),
            "FF4" => Number(micros / 100, 4),
            "FF5" => Number(micros / 10, 5),
            "FF6" | "US" => Number(micros, 6),
            "HH24" => Number(hour, 2),
            "HH12" | "HH" => Number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            "MI" => Number(self.time / MINUTE_US % 60, 2),
            "SS" => Number(self.time / SECOND_US % 60, 2),
            "SSSS" | "SSSSS" => Number(self.time / SECOND_US, 0),
            "IW" => Number(civil::iso_week(self.days).1, 2),
            "WW" => Number((self.day_of_year() - 1) / 7 + 1, 2),
            "W" => Number((i64::from(self.day) - 1) / 7 + 1, 1),
            "J" => Number(self.days + 2_451_545, 0),
            "MONTH" => padded(MONTHS[self.month as usize - 1]),
            "MON" => upper(&MONTHS[self.month as usize - 1][..3]),
            "MM" => Number(i64::from(self.month), 2),
            "Q" => Number(i64::from((self.month - 1) / 3 + 1), 0),
            "RM" if fill => Text(format!("{:<4}", ROMAN[self.month as usize - 1])),
            "RM" => upper(ROMAN[self.month as usize - 1]),
            "OF" | "TZH" if pattern == "TZH" || minutes == 0 => Text(format!("{sign}{hours:02}")),
            "OF" => Text(format!("{sign}{hours:02}:{minutes:02}")),
            "TZM" => Text(format!("{minutes:02}")),
            "TZ" => Text(self.zone_name()),
            "Y,YYY" => Text(format!("{},{:03}", year / 1000, year % 1000)),
            "YYYY" => Number(year, 4),
            "IYYY" => Number(iso_year, 4),
            "YYY" => Number(year % 1000, 3),
            "IYY" => Number(iso_year % 1000, 3),
            "YY" => Number(year % 100, 2),
            "IY" => Number(iso_year % 100, 2),
            "I" => Number(iso_year % 10, 1),
            _ => Number(year % 10, 1),
        }
    }
}

/// `st`, `nd`, `rd`, `th`
fn ordinal(number: &str) -> &'static str {
    let digits = number.as_bytes();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    match digits.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    }
}

/// The pattern at the start of a template, as it is written there.
pub(super) fn pattern_at(rest: &str) -> Option<(&'static str, &str)> {
    let patterns = PATTERNS.iter().chain(&SHORT_YEARS);
    for pattern in patterns {
        let Some(written) = rest.get(..pattern.len()) else { continue };
        let capitalized = matches!(*pattern, "MONTH" | "MON" | "DAY" | "DY")
            && written.starts_with(|c: char| c.is_ascii_uppercase())
            && written[1..].bytes().all(|b| b.is_ascii_lowercase());
        if written == *pattern
            || written == pattern.to_ascii_lowercase()
            || capitalized && written.eq_ignore_ascii_case(pattern)
        {
            return Some((pattern, written));
        }
    }
    None
}

/// The piece in the case in which its pattern is written.
fn in_case(piece: &str, pattern: &str, written: &str) -> String {
    match pattern {
        "MONTH" | "MON" | "DAY" | "DY" if written.starts_with(pattern) => piece.to_uppercase(),
        "MONTH" | "MON" | "DAY" | "DY" if written.starts_with(|c: char| c.is_ascii_lowercase()) => {
            piece.to_lowercase()
        }
        "MONTH" | "MON" | "DAY" | "DY" => piece.to_owned(),
        _ if written.starts_with(|c: char| c.is_ascii_lowercase()) => piece.to_lowercase(),
        _ => piece.to_owned(),
    }
}

fn format(template: &str, piece: impl Fn(&str, bool) -> Result<Piece>) -> Result<String> {
    let (mut out, mut rest) = (String::with_capacity(template.len() + 8), template);
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            rest = quoted(&rest[1..], &mut out);
            continue;
        }
        if rest.starts_with("\\\"") {
            out.push('"');
            rest = &rest[2..];
            continue;
        }
        let mut fill = true;
        while let Some(after) =
            ["FM", "fm", "FX", "fx", "TM"].iter().find_map(|prefix| rest.strip_prefix(prefix))
        {
            fill &= !rest[..2].eq_ignore_ascii_case("FM");
            rest = after;
        }
        let Some((pattern, written)) = pattern_at(rest) else {
            let Some(c) = rest.chars().next() else { break };
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[written.len()..];
        match piece(pattern, fill)? {
            Piece::Text(piece) => out.push_str(&in_case(&piece, pattern, written)),
            Piece::Number(value, width) => {
                let width = if fill { width } else { 0 };
                let number = format!("{value:0width$}");
                out.push_str(&number);
                if rest.starts_with("TH") {
                    out.push_str(&ordinal(&number).to_uppercase());
                    rest = &rest[2..];
                } else if rest.starts_with("th") {
                    out.push_str(ordinal(&number));
                    rest = &rest[2..];
                }
                if rest.starts_with("SP") {
                    return Err(SqlError::unsupported("the pattern suffix \"SP\" of to_char"));
                }
            }
        }
    }
    Ok(out)
}

/// Copies up to the closing quote; a backslash takes the next character as it is.
fn quoted<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &rest[at + 1..],
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    ""
}

fn to_char(a: &[Value], zone: Option<TimeZone>) -> Result<Value> {
    let (micros, template) = (timestamp(a, 0)?, text(a, 1)?);
    if template.is_empty() || is_infinite_timestamp(micros) {
        return Ok(Value::Null);
    }
    let local = zone.map_or(Ok(micros), |zone| timestamptz_to_timestamp(micros, zone))?;
    let moment = Moment::new(local, zone.map(|zone| zone.moment(micros)));
    format(template, |pattern, fill| Ok(moment.piece(pattern, fill))).map(Value::text)
}

/// The piece of a pattern for a length of time, whose hours and days are not those of a calendar.
fn interval_piece(value: &Interval, pattern: &str) -> Result<Piece> {
    use Piece::{Number, Text};
    let (years, months) = (i64::from(value.months / 12), i64::from(value.months % 12));
    let (days, time) = (i64::from(value.days), value.microseconds);
    let (hours, micros) = (time / HOUR_US, time % SECOND_US);
    let half = if hours % 24 >= 12 { "P.M." } else { "A.M." };
    Ok(match pattern {
        "A.M." | "P.M." => upper(half),
        "AM" | "PM" => Text(half.replace('.', "")),
        // These two make no room for a sign.
        "DDD" | "DD" if days < 0 || value.months < 0 => {
            let (number, width) =
                if pattern == "DD" { (days, 2) } else { (i64::from(value.months) * 30 + days, 3) };
            Text(format!("{number:0width$}"))
        }
        "DDD" => Number(i64::from(value.months) * 30 + days, 3),
        "DD" => Number(days, 2),
        "FF1" => Number(micros / 100_000, 1),
        "FF2" => Number(micros / 10_000, 2),
        "FF3" | "MS" => Number(micros / 1000, 3),
        "FF4" => Number(micros / 100, 4),
        "FF5" => Number(micros / 10, 5),
        "FF6" | "US" => Number(micros, 6),
        "HH24" => Number(hours, 2),
        "HH12" | "HH" => Number(if hours % 12 == 0 { 12 } else { hours % 12 }, 2),
        "MI" => Number(time / MINUTE_US % 60, 2),
        "SS" => Number(time / SECOND_US % 60, 2),
        "SSSS" | "SSSSS" => Number(time / SECOND_US, 0),
        "MM" => Number(months, 2),
        "YYYY" => Number(years, 4),
        "YYY" => Number(years % 1000, 3),
        "YY" => Number(years % 100, 2),
        "Y" => Number(years % 10, 1),
        "A.D." | "B.C." | "AD" | "BC" | "DAY" | "DY" | "D" | "ID" | "OF" | "TZ" | "TZH" | "TZM" => {
            let message = "invalid format specification for an interval value";
            return Err(SqlError::new(sqlstate::INVALID_DATETIME_FORMAT, message)
                .hint("Intervals are not tied to specific calendar dates."));
        }
        other => {
            return Err(SqlError::unsupported(format_args!("the pattern \"{other}\" of to_char(interval)")));
        }
    })
}

fn interval_to_char(a: &[Value]) -> Result<Value> {
    let (value, template) = (interval(a, 0)?, text(a, 1)?);
    if template.is_empty() {
        return Ok(Value::Null);
    }
    let piece = |pattern: &str, _| match interval_piece(value, pattern)? {
        Piece::Number(number, width) if number < 0 => Ok(Piece::Number(number, width + 1)),
        piece => Ok(piece),
    };
    format(template, piece).map(Value::text)
}

pub(super) const FUNCTIONS: Scalars = &[
    ("interval_to_char", |_, a| interval_to_char(a)),
    ("timestamp_to_char", |_, a| to_char(a, None)),
    ("timestamptz_to_char", |ctx, a| to_char(a, Some(zone(ctx)))),
];
