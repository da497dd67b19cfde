//! `to_date` and `to_timestamp` by a template (`formatting.c`, `DCH_from_char`).
//!
//! A field reads as many digits as it can when something other than a digit follows in the template, else as many as it
//! is wide. A separator in the template matches one in the text, or nothing.

use tuplix_types::datetime::{DAY_US, HOUR_US, MINUTE_US, SECOND_US, civil, timestamp_to_timestamptz};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::to_char::{MONTHS, pattern_at};
use super::zone;
use crate::builtin::Scalars;
use crate::builtin::args::text;

/// What a text says.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// PM, when said.
    afternoon: Option<bool>,
    twelve_hours: bool,
    before_christ: bool,
}

fn malformed(message: String) -> SqlError {
    SqlError::new(sqlstate::INVALID_DATETIME_FORMAT, message)
}

fn out_of_range(input: &str) -> SqlError {
    let message = format!("date/time field value out of range: \"{input}\"");
    SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, message)
}

/// The input from where it was read to.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) -> usize {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        before - self.rest.len()
    }

    fn skip_character(&mut self) {
        let mut rest = self.rest.chars();
        rest.next();
        self.rest = rest.as_str();
    }

    /// The number of a field; its digits and how many they are.
    fn number(&mut self, field: &str, width: usize, greedy: bool) -> Result<(i64, usize)> {
        self.skip_blanks();
        let limit = if greedy { self.rest.len() } else { self.end_of(width) };
        let shown = &self.rest[..self.end_of(width)];
        let signed = usize::from(self.rest.starts_with(['-', '+']));
        let digits = self.rest[signed..].bytes().take_while(u8::is_ascii_digit).count();
        let end = (signed + digits).min(limit);
        let invalid =
            |detail: String| malformed(format!("invalid value \"{shown}\" for \"{field}\"")).detail(detail);
        if digits == 0 {
            return Err(invalid("Value must be an integer.".to_owned()));
        }
        if !greedy && end < width {
            if self.rest.len() < width {
                let detail =
                    format!("Field requires {width} characters, but only {} remain.", self.rest.len());
                let message = format!("source string too short for \"{field}\" formatting field");
                return Err(malformed(message)
                    .detail(detail)
                    .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
            }
            let detail = format!("Field requires {width} characters, but only {end} could be parsed.");
            return Err(invalid(detail)
                .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
        }
        let number = self.rest[..end].parse::<i32>().map_err(|_| {
            SqlError::new(
                sqlstate::DATETIME_FIELD_OVERFLOW,
                format!("value for \"{field}\" in source string is out of range"),
            )
        })?;
        self.rest = &self.rest[end..];
        Ok((i64::from(number), end - signed))
    }

    fn end_of(&self, width: usize) -> usize {
        self.rest.char_indices().nth(width).map_or(self.rest.len(), |(at, _)| at)
    }

    /// Which of the words comes next, in any case.
    fn word(&mut self, field: &str, words: &[&str]) -> Result<usize> {
        let is_next =
            |word: &&str| self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        match words.iter().position(is_next) {
            Some(found) => {
                self.rest = &self.rest[words[found].len()..];
                Ok(found)
            }
            None => {
                let end = self.rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(self.rest.len());
                let message = format!("invalid value \"{}\" for \"{field}\"", &self.rest[..end]);
                Err(malformed(message)
                    .detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }
}

/// Whether a template's rest begins with something that is no digit, so that the field before may be of any width.
fn ends_number(rest: &str) -> bool {
    match pattern_at(rest) {
        Some((pattern, _)) => matches!(
            pattern,
            "A.D."
                | "A.M."
                | "AD"
                | "AM"
                | "B.C."
                | "BC"
                | "DAY"
                | "DY"
                | "MONTH"
                | "MON"
                | "P.M."
                | "PM"
                | "RM"
        ),
        None => !rest.starts_with(|c: char| c.is_ascii_digit()),
    }
}

impl Fields {
    fn read(input: &str, template: &str) -> Result<Fields> {
        let mut fields = Fields::default();
        let mut reader = Reader { rest: input };
        let mut template = template;
        let mut extra = reader.skip_blanks();
        while let Some(c) = template.chars().next() {
            let mut greedy = false;
            while let Some(after) = ["FM", "fm", "TM"].iter().find_map(|prefix| template.strip_prefix(prefix))
            {
                greedy |= template[..2].eq_ignore_ascii_case("FM");
                template = after;
            }
            if let Some((pattern, written)) = pattern_at(template) {
                template = &template[written.len()..];
                extra = reader.skip_blanks();
                if reader.rest.is_empty() {
                    break;
                }
                let ordinal = template.strip_prefix("TH").or_else(|| template.strip_prefix("th"));
                greedy |= ordinal.is_some() || ends_number(template);
                fields.field(&mut reader, pattern, written, greedy)?;
                if let Some(after) = ordinal {
                    // The letters of `5th`, whatever they are.
                    reader.skip_character();
                    reader.skip_character();
                    template = after;
                }
                continue;
            }
            if reader.rest.is_empty() {
                break;
            }
            if c == '"' || c == '\\' || template.starts_with("FX") {
                return Err(SqlError::unsupported(
                    "quoted text and FX in the template of to_date and to_timestamp",
                ));
            }
            template = &template[c.len_utf8()..];
            let separates = |c: char| c.is_ascii_whitespace() || c.is_ascii_punctuation();
            if separates(c) {
                if reader.rest.starts_with(separates) {
                    reader.skip_character();
                } else {
                    extra = extra.saturating_sub(1);
                }
            } else if extra > 0 {
                extra -= 1;
            } else {
                reader.skip_character();
            }
        }
        Ok(fields)
    }

    fn field(&mut self, reader: &mut Reader<'_>, pattern: &str, written: &str, greedy: bool) -> Result<()> {
        let mut number = |width: usize| reader.number(written, width, greedy);
        match pattern {
            "YYYY" => self.year = Some(number(4)?.0),
            "YYY" | "YY" | "Y" => {
                let (year, digits) = number(pattern.len())?;
                self.year = Some(if digits < 4 { full_year(year) } else { year });
            }
            "MM" => self.month = Some(number(2)?.0),
            "DD" => self.day = Some(number(2)?.0),
            "DDD" => self.day_of_year = Some(number(3)?.0),
            "HH24" => self.hour = number(2)?.0,
            "HH12" | "HH" => {
                self.hour = number(2)?.0;
                self.twelve_hours = true;
            }
            "MI" => self.minute = number(2)?.0,
            "SS" => self.second = number(2)?.0,
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match pattern {
                    "FF1" => 1,
                    "FF2" => 2,
                    "FF3" | "MS" => 3,
                    "FF4" => 4,
                    "FF5" => 5,
                    _ => 6,
                };
                // What follows the point: 5 is half a second.
                let (value, digits) = number(width)?;
                let places = u32::try_from(digits.min(6)).unwrap_or(6);
                self.micros = value * 10_i64.pow(6 - places);
            }
            "MONTH" => self.month = Some(reader.word(written, &MONTHS)? as i64 + 1),
            "MON" => {
                let short = MONTHS.map(|month| &month[..3]);
                self.month = Some(reader.word(written, &short)? as i64 + 1);
            }
            "AM" | "PM" => self.half(reader.word(written, &["AM", "PM"])?),
            "A.M." | "P.M." => self.half(reader.word(written, &["A.M.", "P.M."])?),
            "AD" | "BC" => self.before_christ = reader.word(written, &["AD", "BC"])? == 1,
            "A.D." | "B.C." => self.before_christ = reader.word(written, &["A.D.", "B.C."])? == 1,
            other => {
                return Err(SqlError::unsupported(format_args!(
                    "the pattern \"{other}\" of to_date and to_timestamp"
                )));
            }
        }
        Ok(())
    }

    fn half(&mut self, word: usize) {
        self.afternoon = Some(word == 1);
        self.twelve_hours = true;
    }

    /// Days since 2000-01-01.
    fn days(&self, input: &str) -> Result<i64> {
        let year = match self.year {
            // Without a year it is the year 0, which is 1 BC.
            None | Some(0) => 0,
            Some(year) if self.before_christ => 1 - year,
            Some(year) if year < 0 => year + 1,
            Some(year) => year,
        };
        if year.abs() > 300_000 {
            return Err(out_of_range(input));
        }
        if let (None, None, Some(number)) = (self.month, self.day, self.day_of_year) {
            let days = civil::days_from_civil(year, 1, 1) + number - 1;
            let in_year = number >= 1 && days < civil::days_from_civil(year + 1, 1, 1);
            return if in_year { Ok(days) } else { Err(out_of_range(input)) };
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let length = match (month, u32::try_from(month)) {
            (1..=11, Ok(month)) => {
                civil::days_from_civil(year, month + 1, 1) - civil::days_from_civil(year, month, 1)
            }
            (12, _) => 31,
            _ => return Err(out_of_range(input)),
        };
        if !(1..=length).contains(&day) {
            return Err(out_of_range(input));
        }
        Ok(civil::days_from_civil(year, month as u32, day as u32))
    }

    /// Microseconds since midnight.
    fn time(&self, input: &str) -> Result<i64> {
        let mut hour = self.hour;
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(
                    malformed(message).hint("Use the 24-hour clock, or give an hour between 1 and 12.")
                );
            }
            hour = match self.afternoon {
                Some(true) => hour % 12 + 12,
                Some(false) => hour % 12,
                None => hour,
            };
        }
        let fits =
            (0..24).contains(&hour) && (0..60).contains(&self.minute) && (0..60).contains(&self.second);
        if !fits {
            return Err(out_of_range(input));
        }
        Ok(hour * HOUR_US + self.minute * MINUTE_US + self.second * SECOND_US + self.micros)
    }
}

/// A year of fewer than four digits is the one nearest to 2020.
fn full_year(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

fn to_date(a: &[Value]) -> Result<Value> {
    let input = text(a, 0)?;
    let days = Fields::read(input, text(a, 1)?)?.days(input)?;
    i32::try_from(days).map(Value::Date).map_err(|_| out_of_range(input))
}

pub(super) const FUNCTIONS: Scalars = &[
    ("to_date", |_, a| to_date(a)),
    ("to_timestamp", |context, a| {
        let input = text(a, 0)?;
        let fields = Fields::read(input, text(a, 1)?)?;
        let local = fields.days(input)? * DAY_US + fields.time(input)?;
        Ok(Value::Timestamptz(timestamp_to_timestamptz(local, zone(context))?))
    }),
];
