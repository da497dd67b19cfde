//! Intervals: text input, typmods, arithmetic.

use super::decode::{Refusal, clock_us, fraction_us};
use super::tokens::{Kind, Token, tokenize};
use super::{DAY_US, HOUR_US, MINUTE_US, SECOND_US, interval_out_of_range, round_microseconds};
use crate::error::{Result, SqlError};
use crate::{Interval, TypeId, sqlstate};

type Step<T = ()> = std::result::Result<T, Refusal>;

/// Units of an interval's text, largest number last within a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    /// Months and multiples of a year, in months.
    Months(i64),
    /// No unit: the whole interval is negated; a number before it must have a unit of its own.
    Ago,
}

impl Unit {
    fn find(word: &str) -> Option<Unit> {
        // PostgreSQL looks at the first ten characters only.
        let word = word.get(..10).unwrap_or(word);
        Some(match word {
            "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecon" => Unit::Microsecond,
            "ms" | "msec" | "msecond" | "mseconds" | "msecs" | "millisecon" => Unit::Millisecond,
            "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
            "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
            "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
            "d" | "day" | "days" => Unit::Day,
            "w" | "week" | "weeks" => Unit::Week,
            "mon" | "month" | "months" | "mons" => Unit::Months(1),
            "y" | "year" | "years" | "yr" | "yrs" => Unit::Months(12),
            "dec" | "decade" | "decades" | "decs" => Unit::Months(120),
            "c" | "cent" | "centuries" | "century" => Unit::Months(1200),
            "mil" | "millennia" | "millennium" | "mils" => Unit::Months(12_000),
            "ago" => Unit::Ago,
            _ => return None,
        })
    }

    /// A bit for each unit, to find a unit given twice.
    fn bit(self) -> u32 {
        match self {
            Unit::Microsecond => 1,
            Unit::Millisecond => 2,
            Unit::Second => 4,
            Unit::Minute => 8,
            Unit::Hour => 16,
            Unit::Day => 32,
            Unit::Week => 64,
            Unit::Months(1) => 128,
            Unit::Months(12) => 256,
            Unit::Months(120) => 512,
            Unit::Months(1200) => 1024,
            Unit::Months(_) => 2048,
            Unit::Ago => 0,
        }
    }
}

const ALL_SECONDS: u32 = 1 | 2 | 4;
const CLOCK: u32 = 4 | 8 | 16;

/// The sum under construction, wide enough to overflow only in the end.
#[derive(Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

fn scaled(value: i64, unit: i64) -> Step<i64> {
    value.checked_mul(unit).ok_or(Refusal::FieldOverflow)
}

impl Sum {
    fn add_micros(&mut self, micros: i64) -> Step {
        self.micros = self.micros.checked_add(micros).ok_or(Refusal::FieldOverflow)?;
        Ok(())
    }

    fn add_days(&mut self, days: i64) -> Step {
        self.days = self.days.checked_add(days).ok_or(Refusal::FieldOverflow)?;
        Ok(())
    }

    fn add_months(&mut self, months: i64) -> Step {
        self.months = self.months.checked_add(months).ok_or(Refusal::FieldOverflow)?;
        Ok(())
    }

    fn add_fraction_us(&mut self, fraction: f64, unit: i64) -> Step {
        let exact = fraction * unit as f64;
        let whole = exact.trunc();
        let rest = exact - whole;
        let round = if rest > 0.5 {
            1
        } else if rest < -0.5 {
            -1
        } else {
            0
        };
        self.add_micros(whole as i64 + round)
    }

    fn add_fraction_days(&mut self, fraction: f64, unit: i64) -> Step {
        let exact = fraction * unit as f64;
        self.add_days(exact.trunc() as i64)?;
        self.add_fraction_us(exact - exact.trunc(), DAY_US)
    }

    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Step {
        match unit {
            Unit::Microsecond => {
                self.add_micros(value)?;
                self.add_fraction_us(fraction, 1)
            }
            Unit::Millisecond => self.add_clock(value, fraction, 1000),
            Unit::Second => self.add_clock(value, fraction, SECOND_US),
            Unit::Minute => self.add_clock(value, fraction, MINUTE_US),
            Unit::Hour => self.add_clock(value, fraction, HOUR_US),
            Unit::Day => {
                self.add_days(value)?;
                self.add_fraction_us(fraction, DAY_US)
            }
            Unit::Week => {
                self.add_days(scaled(value, 7)?)?;
                self.add_fraction_days(fraction, 7)
            }
            Unit::Months(1) => {
                self.add_months(value)?;
                self.add_fraction_days(fraction, 30)
            }
            Unit::Months(months) => {
                self.years =
                    (scaled(value, months / 12)?.checked_add(self.years)).ok_or(Refusal::FieldOverflow)?;
                self.add_months((fraction * months as f64).round_ties_even() as i64)
            }
            Unit::Ago => Err(Refusal::BadFormat),
        }
    }

    fn add_clock(&mut self, value: i64, fraction: f64, unit: i64) -> Step {
        self.add_micros(scaled(value, unit)?)?;
        self.add_fraction_us(fraction, unit)
    }

    fn negate(&mut self) -> Step {
        self.months = self.months.checked_neg().ok_or(Refusal::FieldOverflow)?;
        self.years = self.years.checked_neg().ok_or(Refusal::FieldOverflow)?;
        self.days = self.days.checked_neg().ok_or(Refusal::FieldOverflow)?;
        self.micros = self.micros.checked_neg().ok_or(Refusal::FieldOverflow)?;
        Ok(())
    }

    fn finish(self) -> Step<Interval> {
        let part = |value: i64| i32::try_from(value).map_err(|_| Refusal::FieldOverflow);
        let (years, months, days) = (part(self.years)?, part(self.months)?, part(self.days)?);
        let months = i64::from(years) * 12 + i64::from(months);
        let months = i32::try_from(months).map_err(|_| Refusal::IntervalOverflow)?;
        Ok(Interval { months, days, microseconds: self.micros })
    }
}

/// The fields that a typmod keeps: bit numbers of PostgreSQL's `INTERVAL_MASK`.
const MASK_MONTH: i32 = 1 << 1;
const MASK_YEAR: i32 = 1 << 2;
const MASK_DAY: i32 = 1 << 3;
const MASK_HOUR: i32 = 1 << 10;
const MASK_MINUTE: i32 = 1 << 11;
const MASK_SECOND: i32 = 1 << 12;
const FULL_RANGE: i32 = 0x7fff;

fn range_of(typmod: i32) -> i32 {
    if typmod < 0 { FULL_RANGE } else { (typmod >> 16) & FULL_RANGE }
}

/// The unit of a last number without one.
fn default_unit(range: i32) -> Unit {
    if range == FULL_RANGE || range & MASK_SECOND != 0 {
        Unit::Second
    } else if range & MASK_MINUTE != 0 {
        Unit::Minute
    } else if range & MASK_HOUR != 0 {
        Unit::Hour
    } else if range & MASK_DAY != 0 {
        Unit::Day
    } else if range & MASK_MONTH != 0 {
        Unit::Months(1)
    } else if range & MASK_YEAR != 0 {
        Unit::Months(12)
    } else {
        Unit::Second
    }
}

/// `hh:mm[:ss]`; in `interval minute to second`, `mm:ss`.
fn clock(text: &str, range: i32) -> Step<i64> {
    let two_parts = text.matches(':').count() == 1;
    if two_parts && !text.contains('.') && range == MASK_MINUTE | MASK_SECOND {
        return clock_us(&format!("00:{text}"));
    }
    clock_us(text)
}

fn from_tokens(tokens: &[Token], range: i32) -> Step<Interval> {
    let mut sum = Sum::default();
    let mut unit: Option<Unit> = None;
    let mut seen = 0;
    let mut ago = false;
    // From right to left: a unit stands behind its number.
    for token in tokens.iter().rev() {
        let text = token.text.as_str();
        let fields = match token.kind {
            Kind::Time => {
                sum.add_micros(clock(text, range)?)?;
                unit = Some(Unit::Day);
                CLOCK
            }
            Kind::Signed if text.contains(':') && clock(&text[1..], range).is_ok() => {
                let micros = clock(&text[1..], range)?;
                sum.add_micros(if text.starts_with('-') { -micros } else { micros })?;
                unit = Some(Unit::Day);
                CLOCK
            }
            Kind::Signed | Kind::Number | Kind::Date => {
                let given = unit.unwrap_or_else(|| default_unit(range));
                let (used, next) = number(&mut sum, text, given)?;
                unit = Some(next);
                used
            }
            Kind::Word | Kind::SignedWord => {
                let found = Unit::find(text).ok_or(Refusal::BadFormat)?;
                ago |= found == Unit::Ago;
                unit = Some(found);
                0
            }
        };
        if seen & fields != 0 {
            return Err(Refusal::BadFormat);
        }
        seen |= fields;
    }
    if seen == 0 {
        return Err(Refusal::BadFormat);
    }
    if ago {
        sum.negate()?;
    }
    sum.finish()
}

/// Adds a number; the answer is the unit's bits, and the unit of a number before it.
fn number(sum: &mut Sum, text: &str, unit: Unit) -> Step<(u32, Unit)> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(end);
    let whole: i64 =
        if whole.is_empty() { Ok(0) } else { whole.parse() }.map_err(|_| Refusal::FieldOverflow)?;
    let signed = |value: i64| if negative { -value } else { value };
    if let Some(months) = rest.strip_prefix('-') {
        // The standard's years-months.
        let end = months.find(|c: char| !c.is_ascii_digit()).unwrap_or(months.len());
        let (figures, junk) = months.split_at(end);
        let months: i64 =
            if figures.is_empty() { Ok(0) } else { figures.parse() }.map_err(|_| Refusal::FieldOverflow)?;
        if months >= 12 {
            return Err(Refusal::FieldOverflow);
        }
        if !junk.is_empty() {
            return Err(Refusal::BadFormat);
        }
        let total = scaled(whole, 12)?.checked_add(months).ok_or(Refusal::FieldOverflow)?;
        sum.add_months(signed(total))?;
        return Ok((Unit::Months(1).bit(), Unit::Months(1)));
    }
    let mut fraction = 0.0;
    if !rest.is_empty() {
        // Checks the form; six digits are not enough for larger units.
        fraction_us(rest)?;
        fraction = format!("0{rest}").parse::<f64>().map_err(|_| Refusal::BadFormat)?;
    }
    sum.add(unit, signed(whole), if negative { -fraction } else { fraction })?;
    let bits = if unit == Unit::Second && fraction != 0.0 { ALL_SECONDS } else { unit.bit() };
    Ok((bits, unit))
}

/// `P1Y2M3DT4H5M6.7S`, `P1W`, `PT-5M`.
fn from_iso8601(text: &str) -> Step<Interval> {
    let mut rest = text.strip_prefix('P').ok_or(Refusal::BadFormat)?;
    let mut sum = Sum::default();
    let mut in_time = false;
    if rest.is_empty() {
        return Err(Refusal::BadFormat);
    }
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            if in_time {
                return Err(Refusal::BadFormat);
            }
            in_time = true;
            rest = time;
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Refusal::BadFormat)?;
        let (figure, designator) = rest.split_at(end);
        let unit = match (designator.as_bytes()[0], in_time) {
            (b'Y', false) => Unit::Months(12),
            (b'M', false) => Unit::Months(1),
            (b'W', false) => Unit::Week,
            (b'D', false) => Unit::Day,
            (b'H', true) => Unit::Hour,
            (b'M', true) => Unit::Minute,
            (b'S', true) => Unit::Second,
            _ => return Err(Refusal::BadFormat),
        };
        if figure.is_empty() || figure.trim_start_matches(['+', '-']).contains('-') {
            return Err(Refusal::BadFormat);
        }
        number(&mut sum, figure, unit)?;
        rest = &designator[1..];
    }
    sum.finish()
}

/// The interval that `text` spells, fitted to `typmod` (-1: none).
///
/// # Errors
/// 22007 for what is no interval, 22015 and 22008 for what is out of range.
pub fn parse_interval(text: &str, typmod: i32) -> Result<Interval> {
    let range = range_of(typmod);
    let tokens = tokenize(text).ok_or(Refusal::BadFormat);
    let parsed = match tokens.and_then(|tokens| from_tokens(&tokens, range)) {
        Err(Refusal::BadFormat) => from_iso8601(text),
        other => other,
    };
    let interval = parsed.map_err(|refusal| match refusal {
        Refusal::FieldOverflow => Refusal::IntervalFieldOverflow.into_error(TypeId::INTERVAL, text),
        other => other.into_error(TypeId::INTERVAL, text),
    })?;
    Ok(fit_interval(interval, typmod))
}

/// An interval as `interval(p)` or `interval day to minute` keeps it.
pub fn fit_interval(interval: Interval, typmod: i32) -> Interval {
    if typmod < 0 {
        return interval;
    }
    let Interval { mut months, mut days, microseconds: mut micros } = interval;
    let range = range_of(typmod);
    if range != FULL_RANGE {
        if range & (MASK_DAY | MASK_HOUR | MASK_MINUTE | MASK_SECOND) == 0 {
            (days, micros) = (0, 0);
            if range & MASK_MONTH == 0 {
                months = months / 12 * 12;
            }
        } else if range & MASK_SECOND == 0 {
            micros = match range {
                _ if range & MASK_MINUTE != 0 => micros / MINUTE_US * MINUTE_US,
                _ if range & MASK_HOUR != 0 => micros / HOUR_US * HOUR_US,
                _ => 0,
            };
        }
    }
    let precision = typmod & 0xffff;
    Interval { months, days, microseconds: round_microseconds(micros, precision) }
}

/// Rounds to a microsecond what is in seconds or days.
fn round_small(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

impl Interval {
    /// The interval with all parts negated.
    pub fn checked_neg(&self) -> Option<Interval> {
        Some(Interval {
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            microseconds: self.microseconds.checked_neg()?,
        })
    }

    /// The sum, part by part.
    ///
    /// # Errors
    /// 22008 when a part overflows.
    pub fn add(&self, other: &Interval) -> Result<Interval> {
        let sum = || {
            Some(Interval {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                microseconds: self.microseconds.checked_add(other.microseconds)?,
            })
        };
        sum().ok_or_else(interval_out_of_range)
    }

    /// The difference, part by part.
    ///
    /// # Errors
    /// 22008 when a part overflows.
    pub fn subtract(&self, other: &Interval) -> Result<Interval> {
        let difference = || {
            Some(Interval {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                microseconds: self.microseconds.checked_sub(other.microseconds)?,
            })
        };
        difference().ok_or_else(interval_out_of_range)
    }

    /// The interval times a number; fractions of months become days, of days microseconds.
    ///
    /// # Errors
    /// 22008 when a part overflows.
    pub fn multiply(&self, factor: f64) -> Result<Interval> {
        self.scale(|part| part * factor)
    }

    /// The interval divided by a number.
    ///
    /// # Errors
    /// 22012 for zero, 22008 when a part overflows.
    pub fn divide(&self, divisor: f64) -> Result<Interval> {
        if divisor == 0.0 {
            return Err(SqlError::new(sqlstate::DIVISION_BY_ZERO, "division by zero"));
        }
        self.scale(|part| part / divisor)
    }

    fn scale(&self, scaled: impl Fn(f64) -> f64) -> Result<Interval> {
        const DAY_S: f64 = 86_400.0;
        let fits = |value: f64| value >= f64::from(i32::MIN) && value < 2_147_483_648.0;
        let exact_months = scaled(f64::from(self.months));
        let exact_days = scaled(f64::from(self.days));
        if !fits(exact_months) || !fits(exact_days) {
            return Err(interval_out_of_range());
        }
        let (months, mut days) = (exact_months as i32, exact_days as i32);
        let month_rest = round_small((exact_months - f64::from(months)) * 30.0);
        let mut seconds =
            round_small((exact_days - f64::from(days) + month_rest - month_rest.trunc()) * DAY_S);
        if seconds.abs() >= DAY_S {
            let whole = (seconds / DAY_S).trunc();
            days = days.checked_add(whole as i32).ok_or_else(interval_out_of_range)?;
            seconds -= whole * DAY_S;
        }
        days = days.checked_add(month_rest as i32).ok_or_else(interval_out_of_range)?;
        let micros = (scaled(self.microseconds as f64) + seconds * 1e6).round_ties_even();
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
            return Err(interval_out_of_range());
        }
        Ok(Interval { months, days, microseconds: micros as i64 })
    }

    /// `justify_hours`: whole days leave the time.
    ///
    /// # Errors
    /// 22008 when the days overflow.
    pub fn justify_hours(&self) -> Result<Interval> {
        let whole = self.microseconds / DAY_US;
        let mut micros = self.microseconds % DAY_US;
        let mut days = i64::from(self.days) + whole;
        if days > 0 && micros < 0 {
            micros += DAY_US;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= DAY_US;
            days += 1;
        }
        let days = i32::try_from(days).map_err(|_| interval_out_of_range())?;
        Ok(Interval { months: self.months, days, microseconds: micros })
    }

    /// `justify_days`: every 30 days are a month.
    ///
    /// # Errors
    /// 22008 when the months overflow.
    pub fn justify_days(&self) -> Result<Interval> {
        let mut days = self.days % 30;
        let mut months = i64::from(self.months) + i64::from(self.days / 30);
        if months > 0 && days < 0 {
            days += 30;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= 30;
            months += 1;
        }
        let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
        Ok(Interval { months, days, microseconds: self.microseconds })
    }
}
