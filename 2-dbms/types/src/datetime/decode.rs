//! Reads dates, times and timestamps: `DecodeDateTime` of PostgreSQL's `datetime.c`, rule by rule.

use super::civil::{civil_from_days, days_from_civil, days_in_month};
use super::tokens::{Kind, Token, Word, tokenize};
use super::{DATE_INFINITY, DATE_NEGATIVE_INFINITY, DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeZone};
use super::{TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, UNIX_EPOCH_US};
use crate::error::{Result, SqlError};
use crate::text_io::{DateOrder, IoContext};
use crate::{TypeId, sqlstate};

/// Why a text was refused; the message names the whole text and the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadFormat,
    FieldOverflow,
    MonthDayOverflow,
    IntervalFieldOverflow,
    IntervalOverflow,
    ZoneOverflow,
    UnknownZone(String),
}

impl Refusal {
    pub fn into_error(self, ty: TypeId, text: &str) -> SqlError {
        let overflow = || {
            SqlError::new(
                sqlstate::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        match self {
            Refusal::BadFormat => {
                // PostgreSQL's short names in these messages.
                let name = match ty {
                    TypeId::TIME => "time".to_owned(),
                    TypeId::TIMESTAMP => "timestamp".to_owned(),
                    _ => ty.to_string(),
                };
                SqlError::new(
                    sqlstate::INVALID_DATETIME_FORMAT,
                    format!("invalid input syntax for type {name}: \"{text}\""),
                )
            }
            Refusal::FieldOverflow => overflow(),
            Refusal::MonthDayOverflow => {
                overflow().hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Refusal::IntervalOverflow => super::interval_out_of_range(),
            Refusal::IntervalFieldOverflow => SqlError::new(
                sqlstate::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{text}\""),
            ),
            Refusal::ZoneOverflow => SqlError::new(
                sqlstate::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Refusal::UnknownZone(zone) => SqlError::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("time zone \"{zone}\" not recognized"),
            ),
        }
    }
}

type Step<T = ()> = std::result::Result<T, Refusal>;

const YEAR: u32 = 1;
const MONTH: u32 = 2;
const DAY: u32 = 4;
const TIME: u32 = 8;
const ZONE: u32 = 16;
const DAY_OF_YEAR: u32 = 32;
const DATE: u32 = YEAR | MONTH | DAY;
const AM_PM: u32 = 64;
const ERA: u32 = 128;
const WEEKDAY: u32 = 256;
const RESERVED: u32 = 512;

/// What the text says apart from fields.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Meaning {
    Moment,
    Epoch,
    Infinity,
    NegativeInfinity,
}

/// What the next field must be because of the word before it.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Time,
    JulianDay,
}

struct Decoder<'a> {
    ctx: &'a IoContext,
    time_only: bool,
    seen: u32,
    meaning: Meaning,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    time: i64,
    zone: Option<TimeZone>,
    two_digit_year: bool,
    text_month: bool,
    julian: bool,
    before_christ: bool,
    afternoon: Option<bool>,
    expected: Option<Expected>,
}

fn digits<T: std::str::FromStr>(text: &str) -> Step<T> {
    text.parse().map_err(|_| Refusal::FieldOverflow)
}

/// Microseconds of a fraction that begins with its point; rounded as PostgreSQL rounds.
pub(super) fn fraction_us(text: &str) -> Step<i64> {
    let tail = text.strip_prefix('.').ok_or(Refusal::BadFormat)?;
    if !tail.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::BadFormat);
    }
    if tail.len() <= 6 {
        return Ok(format!("{tail:0<6}").parse().unwrap_or(0));
    }
    let fraction: f64 = format!("0{text}").parse().map_err(|_| Refusal::BadFormat)?;
    Ok((fraction * 1e6).round_ties_even() as i64)
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.ffffff` or `mm:ss.ffffff` as microseconds; parts may be empty.
pub(super) fn clock_us(text: &str) -> Step<i64> {
    let (whole, micros) = match text.find('.') {
        Some(point) => (&text[..point], fraction_us(&text[point..])?),
        None => (text, 0),
    };
    let mut parts = Vec::with_capacity(3);
    for part in whole.split(':') {
        if !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadFormat);
        }
        parts.push(if part.is_empty() { 0 } else { digits::<i64>(part)? });
    }
    let (hour, minute, second) = match parts[..] {
        [minute, second] if text.contains('.') => (0, minute, second),
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(Refusal::BadFormat),
    };
    if minute > 59 || second > 60 {
        return Err(Refusal::FieldOverflow);
    }
    let clock = (hour.checked_mul(HOUR_US)).and_then(|hours| hours.checked_add(minute * MINUTE_US));
    clock.and_then(|us| us.checked_add(second * SECOND_US + micros)).ok_or(Refusal::FieldOverflow)
}

/// `+hh`, `+hhmm`, `+hh:mm` or `+hh:mm:ss`.
fn offset(text: &str) -> Step<TimeZone> {
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(Refusal::BadFormat),
    };
    // The range is checked before what follows.
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (figures, junk) = rest.split_at(end);
    let mut parts = Vec::with_capacity(3);
    for part in figures.split(':') {
        parts.push(
            if part.is_empty() { Ok(0) } else { part.parse::<i32>() }.map_err(|_| Refusal::ZoneOverflow)?,
        );
    }
    let (hour, minute, second) = match parts[..] {
        [run_together] if junk.is_empty() && rest.len() > 2 => (run_together / 100, run_together % 100, 0),
        [hour] => (hour, 0, 0),
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(Refusal::BadFormat),
    };
    if hour > 15 || minute > 59 || second > 59 {
        return Err(Refusal::ZoneOverflow);
    }
    if !junk.is_empty() || figures.is_empty() {
        return Err(Refusal::BadFormat);
    }
    Ok(TimeZone::fixed(sign * (hour * 3600 + minute * 60 + second)))
}

impl Decoder<'_> {
    fn new(ctx: &IoContext, time_only: bool) -> Decoder<'_> {
        Decoder {
            ctx,
            time_only,
            seen: 0,
            meaning: Meaning::Moment,
            year: 0,
            month: 0,
            day: 0,
            day_of_year: 0,
            time: 0,
            zone: None,
            two_digit_year: false,
            text_month: false,
            julian: false,
            before_christ: false,
            afternoon: None,
            expected: None,
        }
    }

    fn has_date(&self) -> bool {
        self.seen & DATE == DATE
    }

    /// Notes that fields were seen; twice is an error.
    fn note(&mut self, fields: u32) -> Step {
        if self.seen & fields != 0 {
            return Err(Refusal::BadFormat);
        }
        self.seen |= fields;
        Ok(())
    }

    fn token(&mut self, tokens: &[Token], at: usize) -> Step {
        let token = &tokens[at];
        match token.kind {
            Kind::Date => self.date_token(tokens, at),
            Kind::Time => {
                self.expect_time()?;
                self.time = clock_us(&token.text)?;
                if self.time > DAY_US {
                    return Err(Refusal::FieldOverflow);
                }
                self.note(TIME)
            }
            Kind::Signed => {
                self.zone = Some(offset(&token.text)?);
                self.note(ZONE)
            }
            Kind::Number => self.number_token(&token.text),
            Kind::Word | Kind::SignedWord => self.word(tokens, at),
        }
    }

    fn expect_time(&mut self) -> Step {
        match self.expected.take() {
            None | Some(Expected::Time) => Ok(()),
            Some(Expected::JulianDay) => Err(Refusal::BadFormat),
        }
    }

    fn date_token(&mut self, tokens: &[Token], at: usize) -> Step {
        let text = tokens[at].text.as_str();
        if self.expected == Some(Expected::JulianDay) {
            return Err(Refusal::BadFormat);
        }
        let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        let date_allowed = !self.time_only
            || (at == 0
                && tokens.len() >= 2
                && (tokens[tokens.len() - 1].kind == Kind::Date || tokens[1].kind == Kind::Time));
        if self.expected.is_none() && self.seen & (MONTH | DAY) != (MONTH | DAY) && date_allowed {
            return self.date(text);
        }
        if !starts_with_digit && self.expected.is_none() {
            self.zone = Some(TimeZone::named(text).ok_or_else(|| Refusal::UnknownZone(text.into()))?);
            return self.note(ZONE);
        }
        // A time run together with its zone: 040506-08.
        self.expect_time()?;
        if self.seen & TIME != 0 {
            return Err(Refusal::BadFormat);
        }
        let (time, zone) = text.split_at(text.find('-').ok_or(Refusal::BadFormat)?);
        self.zone = Some(offset(zone)?);
        self.run_together(time, self.time_only)?;
        self.note(ZONE)
    }

    /// `2023-01-02`, `2-jan-2023`, `1/2/2023`.
    fn date(&mut self, text: &str) -> Step {
        let mut parts = Vec::new();
        let mut rest = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        while let Some(first) = rest.chars().next() {
            let same = |c: char| c.is_ascii_digit() == first.is_ascii_digit() && c.is_ascii_alphanumeric();
            let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
            parts.push(&rest[..end]);
            // One character between parts is thrown away, even a letter, as in PostgreSQL.
            rest =
                rest[end..].get(1..).unwrap_or("").trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        }
        // Names of months first: they decide what the numbers are.
        for part in &parts {
            if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                match Word::find(part) {
                    Some(Word::Filler) => {}
                    Some(Word::Month(month)) => {
                        self.month = i64::from(month);
                        self.text_month = true;
                        self.note(MONTH)?;
                    }
                    _ => return Err(Refusal::BadFormat),
                }
            }
        }
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
            self.number(part)?;
        }
        // A time or weekday before a date in one piece is refused, as in PostgreSQL.
        if self.seen & !(DAY_OF_YEAR | ZONE) == DATE { Ok(()) } else { Err(Refusal::BadFormat) }
    }

    fn number_token(&mut self, text: &str) -> Step {
        match self.expected.take() {
            Some(Expected::Time) => return self.run_together(text, true),
            Some(Expected::JulianDay) => return self.julian_day(text),
            None => {}
        }
        if self.time_only {
            return self.run_together(text, true);
        }
        let point = text.find('.');
        if point.is_some() && self.seen & DATE == 0 {
            return self.date(text);
        }
        if point.is_some_and(|point| point > 2) {
            return self.run_together(text, false);
        }
        if text.len() >= 6 && (self.seen & DATE == 0 || self.seen & TIME == 0) {
            return self.run_together(text, false);
        }
        self.number(text)
    }

    fn julian_day(&mut self, text: &str) -> Step {
        let (whole, fraction) = match text.find('.') {
            Some(point) => (&text[..point], format!("0{}", &text[point..]).parse::<f64>().unwrap_or(0.0)),
            None => (text, 0.0),
        };
        let day: i32 = digits(whole)?;
        (self.year, self.month, self.day) = {
            let (year, month, day) = civil_from_days(i64::from(day) - 2_451_545);
            (year, i64::from(month), i64::from(day))
        };
        self.julian = true;
        self.note(DATE)?;
        if text.contains('.') {
            self.time = (fraction * DAY_US as f64) as i64;
            self.note(TIME)?;
        }
        Ok(())
    }

    /// A number on its own: which part of the date it is depends on what was seen before.
    fn number(&mut self, text: &str) -> Step {
        if let Some(point) = text.find('.') {
            // `2001.360` and such went elsewhere; what is left is a time run together.
            return if point > 2 {
                self.run_together(text, self.has_date())
            } else {
                Err(Refusal::BadFormat)
            };
        }
        let value: i64 = i64::from(digits::<i32>(text)?);
        let length = text.len();
        if length == 3 && self.seen & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return self.note(DAY_OF_YEAR | MONTH | DAY);
        }
        let ymd = self.ctx.date_order == DateOrder::Ymd;
        let field = match self.seen & DATE {
            0 if length >= 3 || ymd => YEAR,
            0 if self.ctx.date_order == DateOrder::Dmy => DAY,
            0 | YEAR | DAY => MONTH,
            MONTH if self.text_month && (length >= 3 || ymd) => YEAR,
            MONTH => DAY,
            both if both == YEAR | MONTH => {
                if self.text_month && length >= 3 && self.two_digit_year {
                    // What was taken for the year was the day.
                    self.day = self.year;
                    self.year = value;
                    self.two_digit_year = false;
                    return self.note(DAY);
                }
                DAY
            }
            both if both == MONTH | DAY => YEAR,
            DATE => return self.run_together(text, true),
            _ => return Err(Refusal::BadFormat),
        };
        match field {
            YEAR => {
                self.year = value;
                self.two_digit_year = length <= 2;
            }
            MONTH => self.month = value,
            _ => self.day = value,
        }
        self.note(field)
    }

    /// `20011223`, `040506`, `0405` or `040506.789`.
    fn run_together(&mut self, text: &str, date_is_known: bool) -> Step {
        let mut whole = text;
        let mut micros = 0;
        if let Some(point) = text.find('.') {
            micros = fraction_us(&text[point..])?;
            whole = &text[..point];
        } else if !date_is_known && !self.has_date() && whole.len() >= 6 {
            let (year, rest) = whole.split_at(whole.len() - 4);
            self.year = i64::from(digits::<i32>(year)?);
            self.month = digits(&rest[..2])?;
            self.day = digits(&rest[2..])?;
            self.two_digit_year = year.len() == 2;
            return self.note(DATE);
        }
        if self.seen & TIME != 0 || !matches!(whole.len(), 4 | 6) {
            return Err(Refusal::BadFormat);
        }
        let part = |from: usize| whole.get(from..from + 2).map_or(Ok(0), digits::<i64>);
        let (hour, minute, second) = (part(0)?, part(2)?, part(4)?);
        self.time = hour * HOUR_US + minute * MINUTE_US + second * SECOND_US + micros;
        if minute > 59 || second > 60 || self.time > DAY_US {
            return Err(Refusal::FieldOverflow);
        }
        self.note(TIME)
    }

    fn today(&mut self, shift: i64) -> Step {
        let local = self.ctx.now + self.ctx.zone.east_us(self.ctx.now);
        let (year, month, day) = civil_from_days(local.div_euclid(DAY_US) + shift);
        (self.year, self.month, self.day) = (year, i64::from(month), i64::from(day));
        // The year is astronomical already.
        self.julian = true;
        self.note(DATE)
    }

    fn word(&mut self, tokens: &[Token], at: usize) -> Step {
        let text = tokens[at].text.as_str();
        if self.expected.is_some() {
            return Err(Refusal::BadFormat);
        }
        match Word::find(text) {
            Some(Word::Filler) => Ok(()),
            Some(Word::Now) => {
                self.today(0)?;
                self.zone = Some(self.ctx.zone);
                self.time = (self.ctx.now + self.ctx.zone.east_us(self.ctx.now)).rem_euclid(DAY_US);
                self.note(TIME | ZONE)
            }
            Some(Word::Today) => self.today(0),
            Some(Word::Tomorrow) => self.today(1),
            Some(Word::Yesterday) => self.today(-1),
            Some(Word::AllBalls) => {
                self.zone = Some(TimeZone::UTC);
                self.note(TIME | ZONE)
            }
            Some(Word::Epoch) => self.reserved(Meaning::Epoch),
            Some(Word::Infinity) => self.reserved(Meaning::Infinity),
            Some(Word::NegativeInfinity) => self.reserved(Meaning::NegativeInfinity),
            Some(Word::Month(_) | Word::Weekday) if self.time_only => Err(Refusal::BadFormat),
            Some(Word::Month(month)) => {
                if self.seen & MONTH != 0
                    && !self.text_month
                    && self.seen & DAY == 0
                    && (1..=31).contains(&self.month)
                {
                    // The number taken for the month was the day.
                    self.day = self.month;
                    self.seen = (self.seen & !MONTH) | DAY;
                }
                self.text_month = true;
                self.month = i64::from(month);
                self.note(MONTH)
            }
            Some(Word::Weekday) => self.note(WEEKDAY),
            Some(Word::Am) => self.meridian(false),
            Some(Word::Pm) => self.meridian(true),
            Some(Word::Ad) => self.note(ERA),
            Some(Word::Bc) => {
                self.before_christ = true;
                self.note(ERA)
            }
            Some(Word::IsoTime) => {
                let next = tokens.get(at + 1).map(|token| token.kind);
                let followed = matches!(next, Some(Kind::Number | Kind::Time | Kind::Date));
                if !(self.time_only || self.has_date()) || !followed {
                    return Err(Refusal::BadFormat);
                }
                self.expected = Some(Expected::Time);
                Ok(())
            }
            Some(Word::Julian) => {
                self.expected = Some(Expected::JulianDay);
                Ok(())
            }
            Some(Word::Unit) => Err(Refusal::BadFormat),
            None => {
                self.zone = Some(TimeZone::named(text).ok_or(Refusal::BadFormat)?);
                self.note(ZONE)
            }
        }
    }

    fn meridian(&mut self, afternoon: bool) -> Step {
        self.afternoon = Some(afternoon);
        self.note(AM_PM)
    }

    fn reserved(&mut self, meaning: Meaning) -> Step {
        // Other fields beside the word are read and forgotten, as in PostgreSQL.
        self.meaning = meaning;
        self.note(RESERVED)
    }

    /// The checks that need all fields.
    fn finish(&mut self) -> Step {
        if self.expected.is_some() {
            return Err(Refusal::BadFormat);
        }
        if self.meaning != Meaning::Moment {
            return Ok(());
        }
        self.validate_date()?;
        if let Some(afternoon) = self.afternoon {
            let hour = self.time / HOUR_US;
            match (afternoon, hour) {
                (_, 13..) => return Err(Refusal::FieldOverflow),
                (false, 12) => self.time -= 12 * HOUR_US,
                (true, 0..=11) => self.time += 12 * HOUR_US,
                _ => {}
            }
        }
        let complete = if self.time_only { self.seen & TIME != 0 } else { self.has_date() };
        if complete { Ok(()) } else { Err(Refusal::BadFormat) }
    }

    fn validate_date(&mut self) -> Step {
        if self.seen & YEAR != 0 && !self.julian {
            if self.two_digit_year && !self.before_christ {
                self.year += match self.year {
                    0..70 => 2000,
                    70..100 => 1900,
                    _ => 0,
                };
            } else if self.year <= 0 {
                return Err(Refusal::FieldOverflow);
            }
            if self.before_christ {
                self.year = 1 - self.year;
            }
        }
        if self.seen & DAY_OF_YEAR != 0 {
            let days = days_from_civil(self.year, 1, 1) + self.day_of_year - 1;
            let (year, month, day) = civil_from_days(days);
            (self.year, self.month, self.day) = (year, i64::from(month), i64::from(day));
        }
        if (self.seen & MONTH != 0 && !(1..=12).contains(&self.month))
            || (self.seen & DAY != 0 && !(1..=31).contains(&self.day))
        {
            return Err(Refusal::MonthDayOverflow);
        }
        if self.has_date() && self.day > i64::from(days_in_month(self.year, self.month as u32)) {
            return Err(Refusal::FieldOverflow);
        }
        Ok(())
    }

    fn days(&self) -> i64 {
        days_from_civil(self.year, self.month as u32, self.day as u32)
    }
}

fn decode<'a>(ty: TypeId, text: &str, ctx: &'a IoContext) -> Result<Decoder<'a>> {
    let mut decoder = Decoder::new(ctx, ty == TypeId::TIME);
    let mut run = || {
        let tokens = tokenize(text).ok_or(Refusal::BadFormat)?;
        (0..tokens.len()).try_for_each(|at| decoder.token(&tokens, at))?;
        decoder.finish()
    };
    match run() {
        Ok(()) => Ok(decoder),
        Err(refusal) => Err(refusal.into_error(ty, text)),
    }
}

fn out_of_range(what: &str, text: &str) -> SqlError {
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, format!("{what} out of range: \"{text}\""))
}

/// The date that `text` spells, in days since 2000-01-01.
///
/// # Errors
/// 22007 for what is no date, 22008 for what is out of range.
pub fn parse_date(text: &str, ctx: &IoContext) -> Result<i32> {
    let decoder = decode(TypeId::DATE, text, ctx)?;
    match decoder.meaning {
        Meaning::Epoch => Ok((-UNIX_EPOCH_US / DAY_US) as i32),
        Meaning::Infinity => Ok(DATE_INFINITY),
        Meaning::NegativeInfinity => Ok(DATE_NEGATIVE_INFINITY),
        Meaning::Moment => i32::try_from(decoder.days())
            .ok()
            .filter(|days| (super::DATE_MIN..=super::DATE_MAX).contains(days))
            .ok_or_else(|| out_of_range("date", text)),
    }
}

/// The time of day that `text` spells, in microseconds, rounded to `typmod` digits.
///
/// # Errors
/// 22007 for what is no time, 22008 for what is out of range.
pub fn parse_time(text: &str, typmod: i32, ctx: &IoContext) -> Result<i64> {
    let decoder = decode(TypeId::TIME, text, ctx)?;
    if decoder.meaning != Meaning::Moment {
        return Err(Refusal::BadFormat.into_error(TypeId::TIME, text));
    }
    Ok(super::round_microseconds(decoder.time, typmod))
}

fn timestamp(ty: TypeId, text: &str, typmod: i32, ctx: &IoContext) -> Result<i64> {
    let decoder = decode(ty, text, ctx)?;
    let micros = match decoder.meaning {
        Meaning::Epoch => -UNIX_EPOCH_US,
        Meaning::Infinity => return Ok(TIMESTAMP_INFINITY),
        Meaning::NegativeInfinity => return Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Meaning::Moment => {
            let zone =
                if ty == TypeId::TIMESTAMPTZ { decoder.zone.unwrap_or(ctx.zone) } else { TimeZone::UTC };
            (decoder.days().checked_mul(DAY_US))
                .and_then(|micros| micros.checked_add(decoder.time))
                .and_then(|micros| micros.checked_sub(zone.east_us_of_local(micros)))
                .filter(|micros| super::is_valid_timestamp(*micros))
                .ok_or_else(|| out_of_range("timestamp", text))?
        }
    };
    let rounded = super::round_microseconds(micros, typmod);
    if super::is_valid_timestamp(rounded) { Ok(rounded) } else { Err(super::timestamp_out_of_range()) }
}

/// The timestamp that `text` spells, in microseconds since 2000-01-01 00:00, rounded to `typmod`
/// digits. A zone in the text is ignored.
///
/// # Errors
/// 22007 for what is no timestamp, 22008 for what is out of range.
pub fn parse_timestamp(text: &str, typmod: i32, ctx: &IoContext) -> Result<i64> {
    timestamp(TypeId::TIMESTAMP, text, typmod, ctx)
}

/// The timestamp that `text` spells, in microseconds since 2000-01-01 00:00 UTC, rounded to `typmod`
/// digits. Without a zone in the text the session's holds.
///
/// # Errors
/// 22007 for what is no timestamp, 22008 for what is out of range.
pub fn parse_timestamptz(text: &str, typmod: i32, ctx: &IoContext) -> Result<i64> {
    timestamp(TypeId::TIMESTAMPTZ, text, typmod, ctx)
}
