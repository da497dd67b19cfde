//! `bytea` and `uuid`: parts, bits, `encode`, `decode`, digests.

use sha2::Digest as _;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Scalars;
use super::args::{bytea, int4, int8, invalid, text};
use crate::{CallContext, Moment};

fn out_of_bounds(index: i64, last: i64) -> SqlError {
    let message = format!("index {index} out of valid range, 0..{last}");
    SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message)
}

fn byte_index(bytes: &[u8], index: i32) -> Result<usize> {
    let found = usize::try_from(index).ok().filter(|index| *index < bytes.len());
    found.ok_or_else(|| out_of_bounds(i64::from(index), bytes.len() as i64 - 1))
}

fn bit_index(bytes: &[u8], index: i64) -> Result<(usize, u32)> {
    if index < 0 || index >= bytes.len() as i64 * 8 {
        return Err(out_of_bounds(index, bytes.len() as i64 * 8 - 1));
    }
    Ok(((index / 8) as usize, (index % 8) as u32))
}

fn set_byte(bytes: &[u8], index: i32, new: i32) -> Result<Value> {
    let at = byte_index(bytes, index)?;
    let mut changed = bytes.to_vec();
    changed[at] = new as u8;
    Ok(Value::bytea(changed))
}

fn set_bit(bytes: &[u8], index: i64, new: i32) -> Result<Value> {
    let (at, bit) = bit_index(bytes, index)?;
    if !matches!(new, 0 | 1) {
        return Err(invalid("new bit must be 0 or 1"));
    }
    let mut changed = bytes.to_vec();
    changed[at] = changed[at] & !(1 << bit) | (new as u8) << bit;
    Ok(Value::bytea(changed))
}

/// The bytes from `start` (counted from 1, may be below) for `length`, to the end when there is none.
fn substring(bytes: &[u8], start: i32, length: Option<i32>) -> Result<&[u8]> {
    let start = i64::from(start);
    let end = match length {
        None => i64::MAX,
        Some(length) if length < 0 => {
            return Err(SqlError::new(sqlstate::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start + i64::from(length),
    };
    let clamp = |at: i64| at.clamp(1, bytes.len() as i64 + 1) as usize - 1;
    Ok(bytes.get(clamp(start)..clamp(end)).unwrap_or(&[]))
}

fn overlay(bytes: &[u8], new: &[u8], start: i32, length: i32) -> Result<Value> {
    if start <= 0 {
        return Err(SqlError::new(sqlstate::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start.checked_add(length).ok_or_else(|| super::args::out_of_range("integer"))?;
    Ok(Value::bytea([substring(bytes, 1, Some(start - 1))?, new, substring(bytes, after, None)?].concat()))
}

fn position(bytes: &[u8], part: &[u8]) -> i32 {
    if part.is_empty() {
        return 1;
    }
    bytes.windows(part.len()).position(|w| w == part).map_or(0, |at| at as i32 + 1)
}

fn trim<'b>(mut bytes: &'b [u8], set: &[u8], left: bool, right: bool) -> &'b [u8] {
    while let [first, rest @ ..] = bytes
        && left
        && set.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && right
        && set.contains(last)
    {
        bytes = rest;
    }
    bytes
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in lines of 76 characters, as PostgreSQL breaks them.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + bytes.len() / 57 + 4);
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.push('\n');
        }
        let word = chunk.iter().fold(0u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = BASE64[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn un_base64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut place, mut padding) = (0u32, 0, 0);
    for c in text.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let digit = if c == '=' {
            if padding == 0 {
                padding = match place {
                    2 => 1,
                    3 => 2,
                    _ => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
                };
            }
            0
        } else {
            match BASE64.iter().position(|digit| char::from(*digit) == c).filter(|_| padding == 0) {
                Some(digit) => digit as u32,
                None => {
                    let message = format!("invalid symbol \"{c}\" found while decoding base64 sequence");
                    return Err(invalid(message));
                }
            }
        };
        word = word << 6 | digit;
        place += 1;
        if place == 4 {
            let bytes = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
            out.extend_from_slice(
                &bytes[..match padding {
                    0 => 3,
                    1 => 1,
                    _ => 2,
                }],
            );
            (word, place) = (0, 0);
        }
    }
    if place != 0 {
        return Err(invalid("invalid base64 end sequence")
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn un_hex(text: &str) -> Result<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c.to_digit(16) {
            Some(digit) => digits.push(digit as u8),
            None if matches!(c, ' ' | '\t' | '\n' | '\r') && digits.len() % 2 == 0 => {}
            None => return Err(invalid(format!("invalid hexadecimal digit: \"{c}\""))),
        }
    }
    if digits.len() % 2 != 0 {
        return Err(invalid("invalid hexadecimal data: odd number of digits"));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{b:03o}")),
            _ => out.push(char::from(b)),
        }
    }
    out
}

fn un_escape(text: &str) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match bytes[at..] {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            [b'\\', b'\\', ..] => {
                out.push(b'\\');
                at += 2;
            }
            [b'\\', ..] => {
                let message = "invalid input syntax for type bytea";
                return Err(SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message));
            }
            [b, ..] => {
                out.push(b);
                at += 1;
            }
            [] => break,
        }
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> SqlError {
    invalid(format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], name: &str) -> Result<Value> {
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Value::text(hex(bytes))),
        "base64" => Ok(Value::text(base64(bytes))),
        "escape" => Ok(Value::text(escape(bytes))),
        _ => Err(unknown_encoding(name)),
    }
}

fn decode(text: &str, name: &str) -> Result<Value> {
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Value::bytea(un_hex(text)?)),
        "base64" => Ok(Value::bytea(un_base64(text)?)),
        "escape" => Ok(Value::bytea(un_escape(text)?)),
        _ => Err(unknown_encoding(name)),
    }
}

fn is_utf8(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "utf8" | "unicode" | "sqlascii")
}

fn convert_from(bytes: &[u8], name: &str) -> Result<Value> {
    if !is_utf8(name) {
        return Err(SqlError::unsupported(format_args!("encoding \"{name}\"")));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Value::text(text)),
        Ok(_) => Err(SqlError::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        Err(error) => {
            let bad = &bytes[error.valid_up_to()..];
            let shown: Vec<String> = bad
                .iter()
                .take(error.error_len().unwrap_or(bad.len()))
                .map(|b| format!("0x{b:02x}"))
                .collect();
            let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
            Err(SqlError::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, message))
        }
    }
}

fn convert_to(text: &str, name: &str) -> Result<Value> {
    if !is_utf8(name) {
        return Err(SqlError::unsupported(format_args!("encoding \"{name}\"")));
    }
    Ok(Value::bytea(text.as_bytes()))
}

fn random_uuid(moment: &dyn Moment) -> Value {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&moment.random().to_be_bytes());
    bytes[8..].copy_from_slice(&moment.random().to_be_bytes());
    // Version 4, variant 1 of RFC 4122.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Value::Uuid(std::sync::Arc::new(bytes))
}

/// A value's binary form, as the protocol sends it.
fn sent(context: &CallContext<'_>, a: &[Value]) -> Value {
    let mut out = Vec::new();
    tuplix_types::binary_io::send(
        context.arg_types.first().copied().unwrap_or(TypeId::BYTEA),
        &a[0],
        &mut out,
    );
    Value::bytea(out.as_slice())
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("byteacat", |_, a| Ok(Value::bytea([bytea(a, 0)?.as_ref(), bytea(a, 1)?].concat()))),
    ("byteaoctetlen", |_, a| Ok(Value::Int4(bytea(a, 0)?.len() as i32))),
    ("bit_length_bytea", |_, a| Ok(Value::Int4(bytea(a, 0)?.len() as i32 * 8))),
    ("bytea_bit_count", |_, a| Ok(Value::Int8(bytea(a, 0)?.iter().map(|b| i64::from(b.count_ones())).sum()))),
    ("byteaGetByte", |_, a| {
        let bytes = bytea(a, 0)?;
        Ok(Value::Int4(i32::from(bytes[byte_index(bytes, int4(a, 1)?)?])))
    }),
    ("byteaSetByte", |_, a| set_byte(bytea(a, 0)?, int4(a, 1)?, int4(a, 2)?)),
    ("byteaGetBit", |_, a| {
        let bytes = bytea(a, 0)?;
        let (at, bit) = bit_index(bytes, int8(a, 1)?)?;
        Ok(Value::Int4(i32::from(bytes[at] >> bit & 1)))
    }),
    ("byteaSetBit", |_, a| set_bit(bytea(a, 0)?, int8(a, 1)?, int4(a, 2)?)),
    ("bytea_substr", |_, a| Ok(Value::bytea(substring(bytea(a, 0)?, int4(a, 1)?, Some(int4(a, 2)?))?))),
    ("bytea_substr_no_len", |_, a| Ok(Value::bytea(substring(bytea(a, 0)?, int4(a, 1)?, None)?))),
    ("byteaoverlay", |_, a| overlay(bytea(a, 0)?, bytea(a, 1)?, int4(a, 2)?, int4(a, 3)?)),
    ("byteaoverlay_no_len", |_, a| {
        overlay(bytea(a, 0)?, bytea(a, 1)?, int4(a, 2)?, bytea(a, 1)?.len() as i32)
    }),
    ("byteapos", |_, a| Ok(Value::Int4(position(bytea(a, 0)?, bytea(a, 1)?)))),
    ("byteatrim", |_, a| Ok(Value::bytea(trim(bytea(a, 0)?, bytea(a, 1)?, true, true)))),
    ("bytealtrim", |_, a| Ok(Value::bytea(trim(bytea(a, 0)?, bytea(a, 1)?, true, false)))),
    ("byteartrim", |_, a| Ok(Value::bytea(trim(bytea(a, 0)?, bytea(a, 1)?, false, true)))),
    ("binary_encode", |_, a| encode(bytea(a, 0)?, text(a, 1)?)),
    ("binary_decode", |_, a| decode(text(a, 0)?, text(a, 1)?)),
    ("pg_convert_from", |_, a| convert_from(bytea(a, 0)?, text(a, 1)?)),
    ("pg_convert_to", |_, a| convert_to(text(a, 0)?, text(a, 1)?)),
    ("md5_text", |_, a| Ok(Value::text(hex(&md5::Md5::digest(text(a, 0)?.as_bytes()))))),
    ("md5_bytea", |_, a| Ok(Value::text(hex(&md5::Md5::digest(bytea(a, 0)?))))),
    ("sha224_bytea", |_, a| Ok(Value::bytea(sha2::Sha224::digest(bytea(a, 0)?).as_slice()))),
    ("sha256_bytea", |_, a| Ok(Value::bytea(sha2::Sha256::digest(bytea(a, 0)?).as_slice()))),
    ("sha384_bytea", |_, a| Ok(Value::bytea(sha2::Sha384::digest(bytea(a, 0)?).as_slice()))),
    ("sha512_bytea", |_, a| Ok(Value::bytea(sha2::Sha512::digest(bytea(a, 0)?).as_slice()))),
    ("gen_random_uuid", |ctx, _| Ok(random_uuid(ctx.moment))),
    ("int2send", |ctx, a| Ok(sent(ctx, a))),
    ("int4send", |ctx, a| Ok(sent(ctx, a))),
    ("int8send", |ctx, a| Ok(sent(ctx, a))),
    ("byteasend", |ctx, a| Ok(sent(ctx, a))),
    ("textsend", |ctx, a| Ok(sent(ctx, a))),
    ("oidsend", |ctx, a| Ok(sent(ctx, a))),
    ("namesend", |ctx, a| Ok(sent(ctx, a))),
    ("float4send", |ctx, a| Ok(sent(ctx, a))),
    ("float8send", |ctx, a| Ok(sent(ctx, a))),
    ("bpcharsend", |ctx, a| Ok(sent(ctx, a))),
    ("varcharsend", |ctx, a| Ok(sent(ctx, a))),
    ("charsend", |ctx, a| Ok(sent(ctx, a))),
    ("boolsend", |ctx, a| Ok(sent(ctx, a))),
    ("numeric_send", |ctx, a| Ok(sent(ctx, a))),
    ("date_send", |ctx, a| Ok(sent(ctx, a))),
    ("time_send", |ctx, a| Ok(sent(ctx, a))),
    ("timestamp_send", |ctx, a| Ok(sent(ctx, a))),
    ("timestamptz_send", |ctx, a| Ok(sent(ctx, a))),
    ("interval_send", |ctx, a| Ok(sent(ctx, a))),
    ("uuid_send", |ctx, a| Ok(sent(ctx, a))),
    ("json_send", |ctx, a| Ok(sent(ctx, a))),
    ("jsonb_send", |ctx, a| Ok(sent(ctx, a))),
];
