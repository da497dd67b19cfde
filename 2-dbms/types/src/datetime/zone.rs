//! Time zones: fixed offsets, zones of the time zone database, and abbreviations.
//!
//! The database is the one that the crate `jiff` has inside, so that a statement answers the same on every machine. A zone is a small
//! value: those of the database are named by their place in a table that is made once and stays.
//!
//! A local time that a zone skips (spring) counts with the offset before the gap, one that it has twice (autumn) with the
//! offset after it, as in PostgreSQL.

use std::sync::LazyLock;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset};

use super::civil::Civil;
use super::{DAY_US, SECOND_US, UNIX_EPOCH_US, abbreviation};
use crate::error::{Result, SqlError};
use crate::sqlstate;

/// A time zone. The default is UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Seconds that local time is ahead of UTC (east is positive).
    Fixed(i32),
    /// A zone of the database.
    Ruled(usize),
    /// An abbreviation whose offset has changed in its zone's history.
    Historic(usize, &'static str),
}

/// What a zone says of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds that local time is ahead of UTC.
    pub east_s: i32,
    /// `CEST`; for a fixed offset its sign and hours, `UTC` for none.
    pub abbreviation: String,
    /// Whether daylight saving time is in force.
    pub is_dst: bool,
}

struct Named {
    name: String,
    zone: OnceLock<Option<jiff::tz::TimeZone>>,
}

/// All zones of the database, by their names in lower case.
static ZONES: LazyLock<Vec<(String, Named)>> = LazyLock::new(|| {
    let names = jiff::tz::TimeZoneDatabase::bundled();
    let mut zones: Vec<(String, Named)> = names
        .available()
        .map(|name| {
            let name = name.as_str().to_owned();
            (name.to_ascii_lowercase(), Named { name, zone: OnceLock::new() })
        })
        .collect();
    zones.sort_by(|(one, _), (other, _)| one.cmp(other));
    zones
});

/// Years after which calendars repeat, weekdays included.
const CYCLE_YEARS: i64 = 400;
const CYCLE_US: i64 = 146_097 * DAY_US;

impl Default for TimeZone {
    fn default() -> TimeZone {
        TimeZone::UTC
    }
}

fn database(index: usize) -> Option<&'static jiff::tz::TimeZone> {
    let named = &ZONES.get(index)?.1;
    named.zone.get_or_init(|| jiff::tz::TimeZoneDatabase::bundled().get(&named.name).ok()).as_ref()
}

fn index_of(name: &str) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    ZONES.binary_search_by(|(known, _)| known.as_str().cmp(&lower)).ok()
}

/// The moment in jiff's words; those after its last year are told from the same day of an earlier cycle.
fn moment_of(utc_us: i64) -> Timestamp {
    let mut unix = utc_us.saturating_add(UNIX_EPOCH_US);
    while unix > Timestamp::MAX.as_microsecond() {
        unix -= CYCLE_US;
    }
    Timestamp::from_microsecond(unix).unwrap_or(Timestamp::MIN)
}

impl TimeZone {
    /// UTC.
    pub const UTC: TimeZone = TimeZone::fixed(0);

    /// A fixed offset: seconds that local time is ahead of UTC.
    pub const fn fixed(east_s: i32) -> TimeZone {
        TimeZone { kind: Kind::Fixed(east_s) }
    }

    /// Local time's lead over UTC at a moment, in seconds.
    pub fn east_s(self, utc_us: i64) -> i32 {
        match self.kind {
            Kind::Fixed(east_s) => east_s,
            Kind::Ruled(index) => {
                database(index).map_or(0, |zone| zone.to_offset(moment_of(utc_us)).seconds())
            }
            Kind::Historic(index, name) => {
                database(index).map_or(0, |zone| historic(zone, name, moment_of(utc_us)).seconds())
            }
        }
    }

    /// Local time's lead over UTC at a moment, in microseconds.
    pub fn east_us(self, utc_us: i64) -> i64 {
        i64::from(self.east_s(utc_us)) * SECOND_US
    }

    /// Local time's lead over UTC when the clocks of the zone show a time, in microseconds.
    pub fn east_us_of_local(self, local_us: i64) -> i64 {
        let seconds = match self.kind {
            Kind::Fixed(east_s) => east_s,
            Kind::Ruled(index) => database(index).map_or(0, |zone| local_offset(zone, local_us).seconds()),
            Kind::Historic(index, name) => database(index).map_or(0, |zone| {
                let utc =
                    local_us.saturating_sub(i64::from(local_offset(zone, local_us).seconds()) * SECOND_US);
                historic(zone, name, moment_of(utc)).seconds()
            }),
        };
        i64::from(seconds) * SECOND_US
    }

    /// Offset, abbreviation and daylight saving time at a moment.
    pub fn moment(self, utc_us: i64) -> Moment {
        match self.kind {
            Kind::Ruled(index) if let Some(zone) = database(index) => {
                let info = zone.to_offset_info(moment_of(utc_us));
                let abbreviation = info.abbreviation().to_owned();
                Moment { east_s: info.offset().seconds(), abbreviation, is_dst: info.dst().is_dst() }
            }
            Kind::Historic(_, name) => {
                Moment { east_s: self.east_s(utc_us), abbreviation: name.to_owned(), is_dst: false }
            }
            _ => {
                let east_s = self.east_s(utc_us);
                let minutes = east_s.abs() / 60 % 60;
                let sign = if east_s < 0 { '-' } else { '+' };
                let abbreviation = match (east_s, minutes) {
                    (0, _) => "UTC".to_owned(),
                    (_, 0) => format!("{sign}{:02}", east_s.abs() / 3600),
                    _ => format!("{sign}{:02}:{minutes:02}", east_s.abs() / 3600),
                };
                Moment { east_s, abbreviation, is_dst: false }
            }
        }
    }

    /// All zones of the database: names as they are written.
    pub fn names() -> impl Iterator<Item = (&'static str, TimeZone)> {
        ZONES
            .iter()
            .enumerate()
            .map(|(index, (_, named))| (named.name.as_str(), TimeZone { kind: Kind::Ruled(index) }))
    }

    /// The zone that `SET TimeZone` names: one of the database (`Europe/Berlin`), a number of hours east (`2`, `-5.5`), a POSIX name
    /// (`<+02>-02`, `XYZ5`) or offset (`+02:00`, which is west of Greenwich, as POSIX has it).
    ///
    /// # Errors
    /// 22023 for what is no zone, 0A000 for POSIX names with rules.
    pub fn parse(name: &str) -> Result<TimeZone> {
        let trimmed = name.trim();
        if let Ok(hours) = trimmed.parse::<f64>()
            && hours.is_finite()
            && hours.abs() < 24.0 * 7.0
        {
            return Ok(TimeZone::fixed((hours * 3600.0).round() as i32));
        }
        if let Some(zone) = TimeZone::by_name(trimmed) {
            return Ok(zone);
        }
        if trimmed.contains(',') && jiff::tz::TimeZone::posix(trimmed).is_ok() {
            return Err(SqlError::unsupported(format!("time zone \"{name}\""))
                .hint("Name a zone, such as Europe/Berlin."));
        }
        let message = format!("invalid value for parameter \"TimeZone\": \"{name}\"");
        Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message))
    }

    /// A zone of the database or a POSIX name without rules.
    pub fn by_name(name: &str) -> Option<TimeZone> {
        match index_of(name) {
            // Its clocks have never been set otherwise.
            Some(index) if is_utc(&ZONES[index].0) => Some(TimeZone::UTC),
            Some(index) => Some(TimeZone { kind: Kind::Ruled(index) }),
            None if is_utc(&name.to_ascii_lowercase()) => Some(TimeZone::UTC),
            None => posix(name),
        }
    }

    /// The zone that a text names: an abbreviation, or as [`TimeZone::by_name`].
    pub fn named(name: &str) -> Option<TimeZone> {
        TimeZone::from_abbreviation(name).or_else(|| TimeZone::by_name(name))
    }

    /// The zone of an abbreviation.
    pub fn from_abbreviation(name: &str) -> Option<TimeZone> {
        match abbreviation::find(name)? {
            abbreviation::Meaning::Offset { east_s, .. } => Some(TimeZone::fixed(east_s)),
            abbreviation::Meaning::Zone(zone) => {
                Some(TimeZone { kind: Kind::Historic(index_of(zone)?, abbreviation::upper(name)?) })
            }
        }
    }
}

/// Names of UTC; `SHOW TimeZone` and output say `UTC` for all of them.
fn is_utc(lower: &str) -> bool {
    matches!(lower, "utc" | "etc/utc" | "z" | "ut")
}

/// The offset that holds when a zone's clocks show a time.
fn local_offset(zone: &jiff::tz::TimeZone, local_us: i64) -> Offset {
    let mut civil = Civil::from_micros(local_us);
    while civil.year > 9998 {
        civil.year -= CYCLE_YEARS;
    }
    let (seconds, year) = (civil.time / SECOND_US, civil.year.max(-9998));
    let date = jiff::civil::Date::new(year as i16, civil.month as i8, civil.day as i8);
    let time = jiff::civil::Time::new(
        (seconds / 3600 % 24) as i8,
        (seconds / 60 % 60) as i8,
        (seconds % 60) as i8,
        (civil.time % SECOND_US * 1000) as i32,
    );
    let (Ok(date), Ok(time)) = (date, time) else { return Offset::UTC };
    match zone.to_ambiguous_timestamp(date.to_datetime(time)).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    }
}

/// The offset that an abbreviation stood for: the last time before the moment, else the first time after it.
fn historic(zone: &jiff::tz::TimeZone, name: &str, moment: Timestamp) -> Offset {
    let now = zone.to_offset_info(moment);
    if now.abbreviation() == name {
        return now.offset();
    }
    let before = zone.preceding(moment).take(1000).find(|change| change.abbreviation() == name);
    let found =
        before.or_else(|| zone.following(moment).take(1000).find(|change| change.abbreviation() == name));
    found.map_or(now.offset(), |change| change.offset())
}

/// `<+02>-02`, `xyz5`, `+02:00`: a name and what must be added to local time to get UTC.
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
    (seconds <= 167 * 3600).then_some(TimeZone::fixed(sign * seconds))
}

impl std::fmt::Display for TimeZone {
    /// As `SHOW TimeZone` says it: `UTC`, `Europe/Berlin`, `<+02>-02`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let east_s = match self.kind {
            Kind::Fixed(0) => return f.write_str("UTC"),
            Kind::Fixed(east_s) => east_s,
            Kind::Ruled(index) => {
                return f.write_str(ZONES.get(index).map_or("UTC", |(_, named)| &named.name));
            }
            Kind::Historic(_, name) => return f.write_str(name),
        };
        let seconds = east_s.unsigned_abs();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let offset = match (minutes, rest) {
            (0, 0) => format!("{hours:02}"),
            (_, 0) => format!("{hours:02}:{minutes:02}"),
            _ => format!("{hours:02}:{minutes:02}:{rest:02}"),
        };
        let (sign, opposite) = if east_s > 0 { ('+', '-') } else { ('-', '+') };
        write!(f, "<{sign}{offset}>{opposite}{offset}")
    }
}
