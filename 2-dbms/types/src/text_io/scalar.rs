//! Text forms of the small types: integers, booleans, byte strings, UUIDs, names and texts with a
//! declared length.

use std::fmt::Write as _;
use std::sync::Arc;

use ecow::EcoString;

use crate::error::{Result, SqlError};
use crate::numeric::is_space;
use crate::{TypeId, Value, sqlstate};

/// Most bytes in a `name`.
pub const NAME_LENGTH: usize = 63;

/// 22P02: `invalid input syntax for type integer: "abc"`.
#[cold]
pub fn invalid_syntax(ty: TypeId, text: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {ty}: \"{text}\""),
    )
}

#[cold]
fn out_of_range(ty: TypeId, text: &str) -> SqlError {
    SqlError::new(
        sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {ty}"),
    )
}

/// Without the blanks (C's `isspace`) on both sides.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// The integer of type `ty` (`int2`, `int4`, `int8`) that `text` spells.
pub(super) fn parse_integer<T: TryFrom<i64>>(ty: TypeId, text: &str) -> Result<T> {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    let value: i64 = trimmed.parse().map_err(|_| out_of_range(ty, text))?;
    T::try_from(value).map_err(|_| out_of_range(ty, text))
}

/// An object id; as `strtoul` has it, small negative numbers wrap.
pub(super) fn parse_oid(text: &str) -> Result<u32> {
    let ty = TypeId::OID;
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(ty, text));
    }
    let value: i64 = trimmed.parse().map_err(|_| out_of_range(ty, text))?;
    match (u32::try_from(value), i32::try_from(value)) {
        (Ok(oid), _) => Ok(oid),
        (_, Ok(negative)) => Ok(negative as u32),
        _ => Err(out_of_range(ty, text)),
    }
}

/// The truth value that `text` spells: `true`, `t`, `yes`, `on`, `1` and their like.
pub(super) fn parse_bool(text: &str) -> Result<bool> {
    let word = trim(text).to_ascii_lowercase();
    let starts = |full: &str, least: usize| word.len() >= least && full.starts_with(word.as_str());
    if starts("true", 1) || starts("yes", 1) || starts("on", 2) || word == "1" {
        Ok(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax(TypeId::BOOL, text))
    }
}

fn bad_hex(message: String) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

fn hex_digit(c: char) -> Result<u8> {
    match c.to_digit(16) {
        Some(digit) => Ok(digit as u8),
        None => Err(bad_hex(format!("invalid hexadecimal digit: \"{c}\""))),
    }
}

/// The bytes of a text of hexadecimal digit pairs, blanks between pairs allowed (`decode(.., 'hex')`).
///
/// # Errors
/// 22023 for other characters and an odd number of digits.
pub fn decode_hex(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = hex_digit(c)?;
        let Some(next) = chars.next() else {
            return Err(bad_hex("invalid hexadecimal data: odd number of digits".into()));
        };
        bytes.push(high << 4 | hex_digit(next)?);
    }
    Ok(bytes)
}

/// The bytes of the escape form: `\\` and `\ooo` (`decode(.., 'escape')`); `None` for a bad escape.
pub fn decode_escape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match after {
            [b'\\', ..] => {
                bytes.push(b'\\');
                rest = &after[1..];
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = &after[3..];
            }
            _ => return None,
        }
    }
    Some(bytes)
}

pub(super) fn parse_bytea(text: &str) -> Result<Value> {
    let bytes = match text.strip_prefix("\\x") {
        Some(hex) => decode_hex(hex)?,
        None => decode_escape(text).ok_or_else(|| {
            SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
        })?,
    };
    Ok(Value::bytea(bytes))
}

/// Appends lower-case hexadecimal digits.
pub fn encode_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Appends the escape form: printable ASCII as it is, `\\`, other bytes as `\ooo`.
pub fn encode_escape(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
}

/// The UUID that `text` spells: 32 hexadecimal digits, a hyphen allowed after every four, braces too.
pub(super) fn parse_uuid(text: &str) -> Result<Value> {
    parse_uuid_bytes(text)
        .map(|bytes| Value::Uuid(Arc::new(bytes)))
        .ok_or_else(|| invalid_syntax(TypeId::UUID, text))
}

fn parse_uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let mut rest = match text.strip_prefix('{') {
        Some(inside) => inside.strip_suffix('}')?.as_bytes(),
        None => text.as_bytes(),
    };
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else { return None };
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        rest = after;
        if at % 2 == 1 && at < 15 && rest.first() == Some(&b'-') {
            rest = &rest[1..];
        }
    }
    rest.is_empty().then_some(bytes)
}

/// Appends a UUID in its usual form.
pub(super) fn format_uuid(bytes: &[u8; 16], out: &mut String) {
    for (at, part) in
        [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]].into_iter().enumerate()
    {
        if at > 0 {
            out.push('-');
        }
        encode_hex(part, out);
    }
}

/// A `name`: cut at 63 bytes, never inside a character.
pub fn truncate_name(text: &str) -> &str {
    if text.len() <= NAME_LENGTH {
        return text;
    }
    &text[..text.floor_char_boundary(NAME_LENGTH)]
}

/// A `"char"`: one byte; those above 127 are spelled `\ooo`.
pub(super) fn parse_char(text: &str) -> EcoString {
    if let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] = text.as_bytes() {
        return format_char((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
    }
    text.bytes().next().map_or_else(EcoString::new, format_char)
}

/// The text of a `"char"` that holds `byte`; empty for zero.
pub fn format_char(byte: u8) -> EcoString {
    match byte {
        0 => EcoString::new(),
        1..=127 => EcoString::from(char::from(byte)),
        _ => ecow::eco_format!("\\{byte:03o}"),
    }
}

/// The byte in the text of a `"char"`.
pub fn char_byte(text: &str) -> u8 {
    match text.as_bytes() {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
        }
        [byte, ..] => *byte,
        [] => 0,
    }
}

/// A text as `varchar(n)` or `char(n)` takes it: cut where only blanks are lost (or always, in an
/// explicit cast), and for `char(n)` filled with blanks.
///
/// # Errors
/// 22001 when it is too long and the cast is not explicit.
pub fn fit_length(ty: TypeId, typmod: i32, text: EcoString, explicit: bool) -> Result<EcoString> {
    // A typmod is the declared length plus four bytes of a header that PostgreSQL once stored.
    let Some(limit) = typmod.checked_sub(4).and_then(|limit| usize::try_from(limit).ok()) else {
        return Ok(text);
    };
    if text.len() < limit || (text.len() == limit && text.is_ascii()) {
        return Ok(pad(ty, limit, text));
    }
    match text.char_indices().nth(limit) {
        None => Ok(pad(ty, limit, text)),
        Some((end, _)) if explicit || text[end..].bytes().all(|b| b == b' ') => {
            Ok(EcoString::from(&text[..end]))
        }
        Some(_) => Err(SqlError::new(
            sqlstate::STRING_DATA_RIGHT_TRUNCATION,
            format!("value too long for type {ty}({limit})"),
        )),
    }
}

fn pad(ty: TypeId, limit: usize, mut text: EcoString) -> EcoString {
    if ty == TypeId::BPCHAR {
        for _ in text.chars().count()..limit {
            text.push(' ');
        }
    }
    text
}
