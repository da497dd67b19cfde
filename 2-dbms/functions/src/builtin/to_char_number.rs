//! `to_char` of numbers: the template patterns of the manual's table 9.28, after `formatting.c`.
//!
//! A template is read into elements first; then the number, rounded to the places that the template has after its point,
//! is written element by element.

use tuplix_types::{Numeric, Result, SqlError, Value, sqlstate};

use super::Scalars;
use super::args::{float4, float8, int, numeric, text};

/// A part of a template.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Element {
    Nine,
    Zero,
    Point,
    Comma,
    Minus,
    /// `S` and `PR` only say how the sign is written.
    Silent,
    Other(char),
}

/// Where `S` puts the sign.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Plain,
    Before,
    After,
    Brackets,
    /// `MI` writes it.
    Minus,
}

/// A template.
pub(super) struct Template {
    pub elements: Vec<Element>,
    pub before: usize,
    pub after: usize,
    pub point: bool,
    /// Place of the first `0`, from 0.
    zero_start: Option<usize>,
    zero_end: usize,
    pub fill: bool,
    pub sign: Sign,
    /// Digits before an `S` that stands before the point.
    sign_at: usize,
}

fn syntax(message: &str) -> SqlError {
    SqlError::new(sqlstate::SYNTAX_ERROR, message)
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Template> {
        let mut template = Template {
            elements: Vec::with_capacity(text.len()),
            before: 0,
            after: 0,
            point: false,
            zero_start: None,
            zero_end: 0,
            fill: true,
            sign: Sign::Plain,
            sign_at: 0,
        };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let word = rest.get(..2).unwrap_or_default().to_ascii_uppercase();
            let long = rest.get(..4).unwrap_or_default().to_ascii_uppercase();
            if matches!(word.as_str(), "PL" | "SG" | "RN" | "TH" | "SP") || long == "EEEE" {
                let what = if long == "EEEE" { long } else { word };
                return Err(unsupported(&what));
            }
            let length = match word.as_str() {
                "FM" | "MI" | "PR" => 2,
                _ => c.len_utf8(),
            };
            match word.as_str() {
                "FM" => template.fill = false,
                "MI" => template.minus()?,
                "PR" => template.brackets()?,
                _ if c == '"' => {
                    rest = template.quoted(&rest[1..]);
                    continue;
                }
                _ => template.character(c)?,
            }
            rest = &rest[length..];
        }
        Ok(template)
    }

    fn quoted<'t>(&mut self, rest: &'t str) -> &'t str {
        let (inside, after) = rest.split_once('"').unwrap_or((rest, ""));
        self.elements.extend(inside.chars().map(Element::Other));
        after
    }

    fn minus(&mut self) -> Result<()> {
        if matches!(self.sign, Sign::Before | Sign::After) {
            return Err(syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        self.sign = Sign::Minus;
        self.elements.push(Element::Minus);
        Ok(())
    }

    fn brackets(&mut self) -> Result<()> {
        if self.sign != Sign::Plain {
            return Err(syntax("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
        }
        self.sign = Sign::Brackets;
        self.elements.push(Element::Silent);
        Ok(())
    }

    fn character(&mut self, c: char) -> Result<()> {
        let element = match c.to_ascii_uppercase() {
            '9' | '0' if self.sign == Sign::Brackets => {
                return Err(syntax(&format!("\"{c}\" must be ahead of \"PR\"")));
            }
            '9' => {
                *self.digits() += 1;
                Element::Nine
            }
            '0' => {
                if self.zero_start.is_none() && !self.point {
                    self.zero_start = Some(self.before);
                }
                *self.digits() += 1;
                self.zero_end = self.before + self.after;
                Element::Zero
            }
            '.' | 'D' if self.point => return Err(syntax("multiple decimal points")),
            '.' | 'D' => {
                self.point = true;
                Element::Point
            }
            ',' | 'G' => Element::Comma,
            'S' if self.sign != Sign::Plain => {
                return Err(syntax("cannot use \"S\" twice"));
            }
            'S' => {
                self.sign = if self.point { Sign::After } else { Sign::Before };
                self.sign_at = self.before;
                Element::Silent
            }
            'V' | 'L' | 'C' | 'B' => return Err(unsupported(&c.to_ascii_uppercase().to_string())),
            _ => Element::Other(c),
        };
        self.elements.push(element);
        Ok(())
    }

    fn digits(&mut self) -> &mut usize {
        if self.point { &mut self.after } else { &mut self.before }
    }
}

fn unsupported(pattern: &str) -> SqlError {
    SqlError::unsupported(format_args!("the pattern \"{pattern}\" of to_char"))
}

/// A number being written (`NUMProc`).
struct Writer<'t> {
    template: &'t Template,
    digits: Vec<char>,
    /// The next digit.
    next: usize,
    negative: bool,
    sign: Sign,
    sign_written: bool,
    any_digit: bool,
    /// The place in the template, counting digits and the point.
    place: usize,
    /// How many places before the point the number leaves empty.
    blanks: usize,
    /// The last digit that `FM` does not drop.
    last: Option<usize>,
    places: usize,
    out: String,
}

impl Writer<'_> {
    fn new<'t>(template: &'t Template, number: &str) -> Writer<'t> {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let before = digits.find('.').unwrap_or(digits.len());
        let (blanks, digits) = if before <= template.before {
            (template.before - before, digits.chars().collect())
        } else {
            let overflow: String = "#".repeat(template.before) + "." + &"#".repeat(template.after);
            (0, overflow.chars().collect())
        };
        let mut sign = template.sign;
        if sign == Sign::Brackets && !negative && !template.fill {
            sign = Sign::Plain;
        }
        let sign_written = sign == Sign::Minus || (sign == Sign::Plain && !negative && !template.fill);
        if sign == Sign::Before && template.before == template.sign_at {
            sign = Sign::After;
        }
        let mut writer = Writer {
            template,
            digits,
            next: 0,
            negative,
            sign,
            sign_written,
            any_digit: false,
            place: 0,
            blanks,
            last: None,
            places: (template.before + template.after).saturating_sub(1),
            out: String::new(),
        };
        if !template.fill && template.point {
            writer.last = writer.last_relevant();
        }
        if !sign_written && blanks == 0 {
            writer.places += 1;
        }
        writer
    }

    /// The last digit after the point that is not 0 or that a `0` keeps; the point when there is none.
    fn last_relevant(&self) -> Option<usize> {
        let point = self.digits.iter().position(|c| *c == '.')?;
        let last = self.digits.iter().rposition(|c| *c != '0').map_or(point, |last| last.max(point));
        if self.template.zero_end <= self.blanks {
            return Some(last);
        }
        Some(last.max((self.template.zero_end - self.blanks).min(self.digits.len() - 1)))
    }

    /// A 0 before the point that a template of nines leaves out: `.5`.
    fn leading_zero(&self) -> bool {
        self.template.zero_start.is_none()
            && self.next == 0
            && self.digits.first() == Some(&'0')
            && self.template.after != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last.is_some_and(|last| self.digits[last] == '.')
    }

    fn write(mut self) -> String {
        for element in &self.template.elements {
            match *element {
                Element::Nine | Element::Zero | Element::Point => self.digit(*element),
                Element::Comma if self.any_digit => self.out.push(','),
                Element::Comma | Element::Minus if self.template.fill => {
                    let negative = *element == Element::Minus && self.negative;
                    self.out.push(if negative { '-' } else { ' ' });
                }
                Element::Minus if self.negative => self.out.push('-'),
                Element::Comma | Element::Minus | Element::Silent => {}
                Element::Other(c) => self.out.push(c),
            }
        }
        self.out
    }

    fn digit(&mut self, element: Element) {
        self.sign_before();
        let zero_from = self.template.zero_start.unwrap_or(usize::MAX);
        if self.place < self.blanks {
            if zero_from > self.place {
                if self.template.fill {
                    self.out.push(' ');
                }
            } else {
                self.out.push('0');
                self.any_digit = true;
            }
        } else {
            self.number_character(element);
            if self.next < self.digits.len() {
                self.next += 1;
            }
        }
        let mut end = self.places + usize::from(self.blanks > 0) + usize::from(self.template.point);
        if self.last == Some(self.next) {
            end = self.place;
        }
        if self.place + 1 == end {
            match self.sign {
                Sign::Brackets if self.sign_written => self.out.push(if self.negative { '>' } else { ' ' }),
                Sign::After => self.out.push(if self.negative { '-' } else { '+' }),
                _ => {}
            }
        }
        self.place += 1;
    }

    /// The sign, once the next character is one of the number.
    fn sign_before(&mut self) {
        let due = !self.sign_written
            && (self.place >= self.blanks || self.template.zero_start == Some(self.place))
            && (!self.leading_zero() || self.ends_at_point());
        if !due {
            return;
        }
        match (self.sign, self.negative) {
            (Sign::After | Sign::Minus, _) => return,
            (Sign::Before, negative) => self.out.push(if negative { '-' } else { '+' }),
            (Sign::Brackets, negative) => self.out.push(if negative { '<' } else { ' ' }),
            (Sign::Plain, true) => self.out.push('-'),
            (Sign::Plain, false) if self.template.fill => self.out.push(' '),
            (Sign::Plain, false) => {}
        }
        self.sign_written = true;
    }

    fn number_character(&mut self, element: Element) {
        match self.digits.get(self.next) {
            Some('.') => self.out.push('.'),
            _ if element != Element::Zero && self.last.is_some_and(|last| self.next > last) => {}
            _ if self.leading_zero() => {
                if self.template.fill {
                    self.out.push(' ');
                } else if self.ends_at_point() {
                    self.out.push('0');
                }
            }
            Some(c) => {
                self.out.push(*c);
                self.any_digit = true;
            }
            None => {}
        }
    }
}

fn format(template: &str, digits: impl FnOnce(usize, usize) -> Result<String>) -> Result<Value> {
    if template.is_empty() {
        return Ok(Value::text(""));
    }
    let template = Template::parse(template)?;
    let number = digits(template.after, template.before)?;
    Ok(Value::text(Writer::new(&template, &number).write()))
}

fn of_numeric(value: &Numeric, template: &str) -> Result<Value> {
    if !value.is_finite() {
        return Err(SqlError::unsupported("to_char of NaN and infinity"));
    }
    format(template, |after, _| Ok(value.round(after as i32)?.to_string()))
}

/// A float shows no more digits than its type has.
fn of_float(value: f64, precision: usize, template: &str) -> Result<Value> {
    if !value.is_finite() {
        return Err(SqlError::unsupported("to_char of NaN and infinity"));
    }
    format(template, |after, _| {
        let whole = format!("{:.0}", value.abs()).len();
        let shown = after.min(precision.saturating_sub(whole));
        let mut digits = format!("{value:.shown$}");
        if shown < after && shown == 0 {
            digits.push('.');
        }
        Ok(digits + &"0".repeat(after - shown))
    })
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("numeric_to_char", |_, a| of_numeric(numeric(a, 0)?, text(a, 1)?)),
    ("int4_to_char", |_, a| of_numeric(&super::numeric::from_i128(i128::from(int(a, 0)?)), text(a, 1)?)),
    ("int8_to_char", |_, a| of_numeric(&super::numeric::from_i128(i128::from(int(a, 0)?)), text(a, 1)?)),
    ("float4_to_char", |_, a| of_float(f64::from(float4(a, 0)?), 6, text(a, 1)?)),
    ("float8_to_char", |_, a| of_float(float8(a, 0)?, 15, text(a, 1)?)),
];
