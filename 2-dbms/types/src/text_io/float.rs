//! `real` and `double precision` as text: the shortest digits that read back as the same number.

use std::fmt::{LowerExp, Write as _};
use std::str::FromStr;

use crate::TypeId;
use crate::error::{Result, SqlError};
use crate::numeric::is_space;
use crate::sqlstate;

/// What the two widths have in common.
trait Float: Copy + LowerExp + FromStr + PartialEq {
    /// Decimal exponents from here on are written out.
    const SCIENTIFIC_FROM: i32;
    /// Numbers below this can be no neighbour's midpoint in decimal.
    fn has_exact_midpoints(self) -> bool;
    /// The number in the wider type.
    fn widen(self) -> f64;
}

impl Float for f64 {
    const SCIENTIFIC_FROM: i32 = 15;
    fn has_exact_midpoints(self) -> bool {
        self.abs() >= 9_007_199_254_740_992.0
    }
    fn widen(self) -> f64 {
        self
    }
}

impl Float for f32 {
    const SCIENTIFIC_FROM: i32 = 6;
    fn has_exact_midpoints(self) -> bool {
        self.abs() >= 16_777_216.0
    }
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

/// Appends a `double precision` as PostgreSQL shows it with `extra_float_digits` above 0.
pub fn format_float8(value: f64, out: &mut String) {
    match special(value) {
        Some(text) => out.push_str(text),
        None => format_finite(value, out),
    }
}

/// Appends a `real` as PostgreSQL shows it with `extra_float_digits` above 0.
pub fn format_float4(value: f32, out: &mut String) {
    match special(f64::from(value)) {
        Some(text) => out.push_str(text),
        None => format_finite(value, out),
    }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("Infinity")
    } else if value == f64::NEG_INFINITY {
        Some("-Infinity")
    } else {
        None
    }
}

fn format_finite<F: Float>(value: F, out: &mut String) {
    let mut text = ecow::EcoString::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{value:e}");
    if value.has_exact_midpoints() && !strictly_inside(&text, value) {
        // PostgreSQL does not accept a decimal half way between two floats, although rounding to
        // even would read it back: 1e23 is shown as 9.999999999999999e+22.
        let digits = text.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
        for precision in digits..18 {
            let longer = ecow::eco_format!("{value:.precision$e}");
            if strictly_inside(&longer, value) {
                text = longer;
                break;
            }
        }
    }
    if let Some(even) = even_tie(&text, value) {
        text = even;
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.push_str(sign);
    if exponent < -4 || exponent >= F::SCIENTIFIC_FROM {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    let (first, rest) = mantissa.split_at(1);
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    if exponent < 0 {
        let zeros = exponent.unsigned_abs() as usize - 1;
        let _ = write!(out, "0.{:0>zeros$}{first}{rest}", "");
        return;
    }
    let integer = exponent as usize;
    out.push_str(first);
    if rest.len() <= integer {
        let _ = write!(out, "{rest:0<integer$}");
    } else {
        let _ = write!(out, "{}.{}", &rest[..integer], &rest[integer..]);
    }
}

/// Whether the decimal `text` lies inside the interval that rounds to `value`, not on its border:
/// then what is a hair above and below it rounds to `value` too.
fn strictly_inside<F: Float>(text: &str, value: F) -> bool {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let point = if mantissa.contains('.') { "" } else { "." };
    let above = format!("{mantissa}{point}0000000000000000000000001e{exponent}");
    let digits = mantissa.trim_start_matches('-').replace('.', "");
    let last = digits.len() as i64 - 1;
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let below = match digits.parse::<u64>() {
        Ok(digits) if digits > 0 => {
            format!("{sign}{}.9999999999999999999999999e{}", digits - 1, exponent - last)
        }
        _ => return true,
    };
    let reads_back = |text: &str| text.parse::<F>().is_ok_and(|back| back == value);
    reads_back(&above) && reads_back(&below)
}

/// Where the number lies exactly between two texts of the same length, PostgreSQL takes the one with
/// an even last digit, and the standard library the larger one.
fn even_tie<F: Float>(text: &str, value: F) -> Option<ecow::EcoString> {
    // Such a number has at most 18 digits, so not more than 18 bits after the point.
    let wide = value.widen();
    if wide.abs() >= 1e19 || (wide * 262_144.0).fract() != 0.0 {
        return None;
    }
    let (mantissa, exponent) = text.split_once('e')?;
    let last = mantissa.bytes().next_back().filter(|digit| digit.is_ascii_digit() && digit % 2 == 1)?;
    let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let exact = format!("{value:.30e}");
    let even = format!("{}{}", &mantissa[..mantissa.len() - 1], char::from(last - 1));
    let point = if digits == 0 { "." } else { "" };
    let zeros = 30 - digits - 1;
    (exact == format!("{even}{point}5{:0<zeros$}e{exponent}", ""))
        .then(|| ecow::eco_format!("{even}e{exponent}"))
}

/// How many bytes at the front of `text` spell a number in the syntax of C's `strtod`
/// (hexadecimal floats excepted).
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    for word in ["infinity", "inf", "nan"] {
        if text.get(sign..sign + word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) {
            return sign + word.len();
        }
    }
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let integer = digits(sign);
    let mut at = sign + integer;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        at += 1 + fraction;
    }
    if integer + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = bytes
            .get(at + 1 + sign..)
            .map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

fn invalid(ty: TypeId, text: &str) -> SqlError {
    super::invalid_syntax(ty, text)
}

/// The text from the number on, and the number.
fn split(ty: TypeId, text: &str) -> Result<(&str, &str)> {
    let start = text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
    let length = number_length(start);
    if length == 0 {
        return Err(invalid(ty, text));
    }
    Ok((start, &start[..length]))
}

/// Nothing but blanks may follow the number; its range was checked before that.
fn check_rest(ty: TypeId, text: &str, start: &str, number: &str) -> Result<()> {
    if start[number.len()..].bytes().all(is_space) { Ok(()) } else { Err(invalid(ty, text)) }
}

fn out_of_range(ty: TypeId, text: &str) -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("\"{text}\" is out of range for type {ty}"))
}

fn lost(number: &str, is_infinite: bool, is_zero: bool) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    (is_infinite && !number.contains(['f', 'F']))
        || (is_zero && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b)))
}

/// The `double precision` that `text` spells.
///
/// # Errors
/// 22P02 for what is no number, 22003 for what overflows or underflows.
pub fn parse_float8(text: &str) -> Result<f64> {
    let (start, number) = split(TypeId::FLOAT8, text)?;
    let value: f64 = number.parse().map_err(|_| out_of_range(TypeId::FLOAT8, number))?;
    if lost(number, value.is_infinite(), value == 0.0) {
        return Err(out_of_range(TypeId::FLOAT8, number));
    }
    check_rest(TypeId::FLOAT8, text, start, number)?;
    Ok(value)
}

/// The `real` that `text` spells.
///
/// # Errors
/// 22P02 for what is no number, 22003 for what overflows or underflows.
pub fn parse_float4(text: &str) -> Result<f32> {
    let (start, number) = split(TypeId::FLOAT4, text)?;
    let value: f32 = number.parse().map_err(|_| out_of_range(TypeId::FLOAT4, start))?;
    if lost(number, value.is_infinite(), value == 0.0) {
        return Err(out_of_range(TypeId::FLOAT4, start));
    }
    check_rest(TypeId::FLOAT4, text, start, number)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    // Halfway cases are written with all their digits.
    #![allow(clippy::unwrap_used, clippy::excessive_precision)]
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        format_float8(value, &mut out);
        out
    }

    fn real(value: f32) -> String {
        let mut out = String::new();
        format_float4(value, &mut out);
        out
    }

    /// Expected texts are PostgreSQL 15's.
    #[test]
    fn doubles_are_shown_as_postgresql_shows_them() {
        for (value, expected) in [
            (1e23, "9.999999999999999e+22"),
            (2e23, "1.9999999999999998e+23"),
            (4e23, "3.9999999999999997e+23"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (999_999_999_999_999.0, "999999999999999"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.00012345, "0.00012345"),
            (1.5e300, "1.5e+300"),
            (-0.0, "-0"),
            (0.0, "0"),
            (123_456.789, "123456.789"),
            (-1.5, "-1.5"),
            (-145_360_241_606_786.125, "-145360241606786.12"),
            (578_075_984_725_227.25, "578075984725227.2"),
            (1_072_012_167_405_248.25, "1.0720121674052482e+15"),
            (2f64.powi(60), "1.152921504606847e+18"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double(value), expected);
        }
    }

    #[test]
    fn reals_are_shown_as_postgresql_shows_them() {
        for (value, expected) in [
            (1e5, "100000"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (33_554_432.0, "3.3554432e+07"),
            (0.1, "0.1"),
            (3.4e38, "3.4e+38"),
            (1e-45, "1e-45"),
            (2f32.powi(33), "8.589935e+09"),
            (2f32.powi(86), "7.7371252e+25"),
        ] {
            assert_eq!(real(value), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(
            parse_float8("1e400").unwrap_err().message(),
            "\"1e400\" is out of range for type double precision"
        );
        assert_eq!(
            parse_float8("1e-400").unwrap_err().message(),
            "\"1e-400\" is out of range for type double precision"
        );
        assert_eq!(parse_float4("1e40").unwrap_err().message(), "\"1e40\" is out of range for type real");
        assert_eq!(
            parse_float8("").unwrap_err().message(),
            "invalid input syntax for type double precision: \"\""
        );
        assert_eq!(
            parse_float8("1 2").unwrap_err().message(),
            "invalid input syntax for type double precision: \"1 2\""
        );
        assert_eq!(parse_float8(" 12.5e1 ").unwrap(), 125.0);
        assert_eq!(parse_float8("-inf").unwrap(), f64::NEG_INFINITY);
        assert_eq!(parse_float8("0e999").unwrap(), 0.0);
        assert!(parse_float8("NaN").unwrap().is_nan());
    }
}
