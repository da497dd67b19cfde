//! The text form of `numeric`: `12.50`, `-1e-7` (input only), `NaN`, `Infinity`.

use std::fmt::Write as _;

use num_bigint::BigInt;

use super::{MAX_INTEGER_DIGITS, MAX_SCALE, Numeric, Repr};
use crate::error::{Result, SqlError};
use crate::sqlstate;

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Repr::Small { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Repr::Small { unscaled, scale } => {
                // The scale may exceed the digits; a stack buffer saves the allocation of the usual case.
                let mut digits = StackText { bytes: [0; 39], length: 0 };
                write!(digits, "{}", unscaled.unsigned_abs())?;
                write_scaled(f, *unscaled < 0, digits.as_str(), *scale as usize)
            }
            Repr::Big { unscaled, scale } => {
                let negative = unscaled.sign() == num_bigint::Sign::Minus;
                write_scaled(f, negative, &unscaled.magnitude().to_string(), *scale as usize)
            }
            Repr::NaN => f.write_str("NaN"),
            Repr::Infinity => f.write_str("Infinity"),
            Repr::NegativeInfinity => f.write_str("-Infinity"),
        }
    }
}

/// Room for the 39 digits of 128 bits.
struct StackText {
    bytes: [u8; 39],
    length: usize,
}

impl StackText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl std::fmt::Write for StackText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

fn write_scaled(
    f: &mut std::fmt::Formatter<'_>,
    negative: bool,
    digits: &str,
    scale: usize,
) -> std::fmt::Result {
    if negative {
        f.write_char('-')?;
    }
    if scale == 0 {
        return f.write_str(digits);
    }
    match digits.len().checked_sub(scale) {
        Some(0) | None => write!(f, "0.{digits:0>scale$}"),
        Some(point) => write!(f, "{}.{}", &digits[..point], &digits[point..]),
    }
}

/// What may surround a value in C: the characters of `isspace`.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn invalid(text: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type numeric: \"{text}\""),
    )
}

pub(crate) fn overflow() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl Numeric {
    /// The number that `text` spells in PostgreSQL's input syntax, blanks around it allowed.
    ///
    /// # Errors
    /// 22P02 for what is no number, 22003 for more digits than the type has.
    pub fn parse(text: &str) -> Result<Numeric> {
        let trimmed = text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
        match trimmed.as_bytes().first() {
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'n' | b'N' | b'i' | b'I') => {}
            _ => return Err(invalid(text)),
        }
        if trimmed.eq_ignore_ascii_case("nan") {
            return Ok(Numeric::NAN);
        }
        let (negative, rest) = match trimmed.as_bytes()[0] {
            b'-' => (true, &trimmed[1..]),
            b'+' => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        if rest.eq_ignore_ascii_case("infinity") || rest.eq_ignore_ascii_case("inf") {
            return Ok(if negative { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY });
        }
        let literal = split(rest).ok_or_else(|| invalid(text))?;
        literal.number(negative)
    }
}

/// The pieces of `12.5e-3`.
struct Literal<'a> {
    integer: &'a str,
    fraction: &'a str,
    exponent: i64,
}

fn split(text: &str) -> Option<Literal<'_>> {
    let digits_end =
        |from: usize| from + text.as_bytes()[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let integer_end = digits_end(0);
    let integer = &text[..integer_end];
    let mut at = integer_end;
    let mut fraction = "";
    if text.as_bytes().get(at) == Some(&b'.') {
        let end = digits_end(at + 1);
        fraction = &text[at + 1..end];
        at = end;
    }
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut exponent = 0;
    if matches!(text.as_bytes().get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.as_bytes().get(at + 1), Some(b'+' | b'-')));
        let start = at + 1 + sign;
        let end = if start <= text.len() { digits_end(start) } else { start };
        if end == start || end > text.len() {
            return None;
        }
        // What does not even fit 64 bits is out of range by any measure.
        let magnitude: i64 = text[start..end].parse().unwrap_or(i64::from(i32::MAX));
        exponent = if sign == 1 && text.as_bytes()[at + 1] == b'-' { -magnitude } else { magnitude };
        at = end;
    }
    (at == text.len()).then_some(Literal { integer, fraction, exponent })
}

impl Literal<'_> {
    fn number(&self, negative: bool) -> Result<Numeric> {
        // PostgreSQL refuses exponents beyond INT_MAX / 2 whatever the digits are.
        if self.exponent.unsigned_abs() >= u64::from(i32::MAX as u32 / 2) {
            return Err(overflow());
        }
        let scale = (self.fraction.len() as i64 - self.exponent).max(0);
        let all = format!("{}{}", self.integer, self.fraction);
        let digits = all.trim_start_matches('0');
        let integer_digits = digits.len() as i64 - self.fraction.len() as i64 + self.exponent;
        if scale > i64::from(MAX_SCALE)
            || (!digits.is_empty() && integer_digits > i64::from(MAX_INTEGER_DIGITS))
        {
            return Err(overflow());
        }
        let scale = scale as u32;
        if digits.is_empty() {
            return Ok(Numeric::small(0, scale));
        }
        let zeros = (self.exponent - self.fraction.len() as i64).max(0) as u32;
        if let Some(unscaled) = digits
            .parse::<i128>()
            .ok()
            .and_then(|n| super::pow10_i128(zeros).and_then(|power| n.checked_mul(power)))
        {
            return Ok(Numeric::small(if negative { -unscaled } else { unscaled }, scale));
        }
        let magnitude =
            BigInt::parse_bytes(digits.as_bytes(), 10).ok_or_else(overflow)? * super::pow10(zeros);
        Ok(Numeric::new(if negative { -magnitude } else { magnitude }, scale))
    }
}

impl std::str::FromStr for Numeric {
    type Err = SqlError;

    fn from_str(text: &str) -> Result<Numeric> {
        Numeric::parse(text)
    }
}
