//! Values as bytes for the redo log and checkpoints.
//!
//! The form stands for itself: a reader needs no schema. One tag byte, then:
//!
//! ```text
//! 00 null        01 false        02 true
//! 03 int2        zigzag varint
//! 04 int4        zigzag varint
//! 05 int8        zigzag varint
//! 06 float4      4 bytes, little endian IEEE
//! 07 float8      8 bytes, little endian IEEE
//! 08 oid         varint
//! 09 date        zigzag varint of days
//! 0a time        8 bytes, little endian microseconds
//! 0b timestamp   8 bytes, little endian microseconds
//! 0c timestamptz 8 bytes, little endian microseconds
//! 0d interval    zigzag varints: months, days, microseconds
//! 0e numeric     varint scale, varint length, the unscaled number in two's complement, little endian
//! 0f numeric     one byte: 0 NaN, 1 Infinity, 2 -Infinity
//! 10 text        varint length, UTF-8
//! 11 bytea       varint length, bytes
//! 12 uuid        16 bytes
//! 13 jsonb       one JSON node
//! 14 array       varint element type, varint number of dimensions, per dimension zigzag varints
//!                length and lower bound, varint number of elements, elements as values
//! 15 record      varint number of columns, columns as values
//! 16 enum        varint type, 8 bytes, little endian IEEE: the place in the type's order
//!
//! JSON node: 00 null, 01 false, 02 true, 03 number (a numeric value with its tag),
//! 04 string (varint length, UTF-8), 05 array (varint count, nodes),
//! 06 object (varint count, per member varint length, key, node)
//!
//! varint: seven bits a byte, lowest first, the high bit set on all but the last (at most 10 bytes).
//! zigzag: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
//! ```
//!
//! Decoding trusts nothing: lengths are checked against what is left, nesting has a limit, and text
//! must be UTF-8.

use std::sync::Arc;

use ecow::EcoString;
use num_bigint::BigInt;

use crate::jsonb::{self, Jsonb};
use crate::numeric::{MAX_SCALE, Numeric};
use crate::value::MAX_DIMENSIONS;
use crate::{Array, ArrayDimension, EnumValue, Interval, TypeId, Value};

/// How deep arrays and records may be nested in one value.
pub const MAX_DEPTH: usize = 64;

/// Why bytes are no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the bytes end in the middle of a value")]
    Truncated,
    /// The tag byte stands for nothing.
    #[error("unknown value tag {0:#04x}")]
    UnknownTag(u8),
    /// A varint is too long, or too large for its type.
    #[error("an integer is out of range")]
    IntegerOutOfRange,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// Values are nested deeper than the limit.
    #[error("values are nested too deeply")]
    TooDeep,
    /// Fields contradict each other.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

type Result<T> = std::result::Result<T, DecodeError>;

/// Appends an unsigned integer, seven bits a byte.
#[inline]
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes an unsigned integer that [`put_varint`] wrote.
///
/// # Errors
/// When the bytes end, or the integer does not fit 64 bits.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64> {
    // Most are one byte long.
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(byte));
    }
    take_long_varint(bytes)
}

fn take_long_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    let mut shift = 0;
    loop {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        if shift == 63 && byte > 1 {
            return Err(DecodeError::IntegerOutOfRange);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
        shift += 7;
        if shift > 63 {
            return Err(DecodeError::IntegerOutOfRange);
        }
    }
}

/// Appends a signed integer; those near zero are short.
#[inline]
pub fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// Takes a signed integer that [`put_zigzag`] wrote.
///
/// # Errors
/// As [`take_varint`].
#[inline]
pub fn take_zigzag(bytes: &mut &[u8]) -> Result<i64> {
    let word = take_varint(bytes)?;
    Ok((word >> 1) as i64 ^ -((word & 1) as i64))
}

/// Appends a length and the bytes.
#[inline]
pub fn put_bytes(data: &[u8], out: &mut Vec<u8>) {
    put_varint(data.len() as u64, out);
    out.extend_from_slice(data);
}

/// Takes bytes that [`put_bytes`] wrote.
///
/// # Errors
/// When the bytes end before their length says so.
#[inline]
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| DecodeError::Truncated)?;
    let (data, rest) = bytes.split_at_checked(length).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(data)
}

/// Takes a text that [`put_bytes`] wrote.
///
/// # Errors
/// As [`take_bytes`], or when it is not UTF-8.
#[inline]
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(take_bytes(bytes)?).map_err(|_| DecodeError::NotUtf8)
}

#[inline]
fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

/// A tag and an integer, written through a buffer so that the vector grows once.
#[inline]
fn put_int(tag: u8, value: i64, out: &mut Vec<u8>) {
    let mut word = ((value << 1) ^ (value >> 63)) as u64;
    if word < 0x80 {
        return out.extend_from_slice(&[tag, word as u8]);
    }
    let mut buffer = [0; 16];
    buffer[0] = tag;
    let mut length = 1;
    while word >= 0x80 {
        buffer[length] = word as u8 | 0x80;
        word >>= 7;
        length += 1;
    }
    buffer[length] = word as u8;
    // A copy of constant size is two instructions, one of variable size a call.
    let end = out.len() + length + 1;
    out.extend_from_slice(&buffer);
    out.truncate(end);
}

/// Appends `value`.
#[inline]
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int4(v) => put_int(4, i64::from(*v), out),
        Value::Int8(v) => put_int(5, *v, out),
        Value::Text(v) => {
            out.push(0x10);
            put_bytes(v.as_bytes(), out);
        }
        _ => encode_other(value, out),
    }
}

fn put_micros(tag: u8, micros: i64, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&micros.to_le_bytes());
}

fn encode_other(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(v) => out.push(1 + u8::from(*v)),
        Value::Int2(v) => put_int(3, i64::from(*v), out),
        Value::Int4(v) => put_int(4, i64::from(*v), out),
        Value::Int8(v) => put_int(5, *v, out),
        Value::Float4(v) => {
            out.push(6);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Value::Float8(v) => {
            out.push(7);
            out.extend_from_slice(&v.to_le_bytes());
        }
        Value::Oid(v) => {
            out.push(8);
            put_varint(u64::from(*v), out);
        }
        Value::Date(v) => put_int(9, i64::from(*v), out),
        Value::Time(v) => put_micros(0x0a, *v, out),
        Value::Timestamp(v) => put_micros(0x0b, *v, out),
        Value::Timestamptz(v) => put_micros(0x0c, *v, out),
        Value::Interval(v) => {
            out.push(0x0d);
            put_zigzag(i64::from(v.months), out);
            put_zigzag(i64::from(v.days), out);
            put_zigzag(v.microseconds, out);
        }
        Value::Numeric(v) => encode_numeric(v, out),
        Value::Text(v) => {
            out.push(0x10);
            put_bytes(v.as_bytes(), out);
        }
        Value::Bytea(v) => {
            out.push(0x11);
            put_bytes(v, out);
        }
        Value::Uuid(v) => {
            out.push(0x12);
            out.extend_from_slice(v.as_slice());
        }
        Value::Jsonb(v) => {
            out.push(0x13);
            encode_jsonb(v, out);
        }
        Value::Array(v) => encode_array(v, out),
        Value::Record(v) => {
            out.push(0x15);
            put_varint(v.len() as u64, out);
            v.iter().for_each(|column| encode(column, out));
        }
        Value::Enum(v) => {
            out.push(0x16);
            put_varint(u64::from(v.ty.0), out);
            out.extend_from_slice(&v.order.to_le_bytes());
        }
    }
}

fn encode_numeric(value: &Numeric, out: &mut Vec<u8>) {
    if let Some((unscaled, scale)) = value.parts() {
        out.push(0x0e);
        put_varint(u64::from(scale), out);
        put_bytes(&unscaled.to_signed_bytes_le(), out);
        return;
    }
    out.push(0x0f);
    out.push(match value.signum() {
        None => 0,
        Some(-1) => 2,
        Some(_) => 1,
    });
}

fn encode_array(array: &Array, out: &mut Vec<u8>) {
    out.push(0x14);
    put_varint(u64::from(array.element.0), out);
    put_varint(array.dimensions.len() as u64, out);
    for dimension in &array.dimensions {
        put_zigzag(i64::from(dimension.length), out);
        put_zigzag(i64::from(dimension.lower), out);
    }
    put_varint(array.elements.len() as u64, out);
    array.elements.iter().for_each(|element| encode(element, out));
}

fn encode_jsonb(value: &Jsonb, out: &mut Vec<u8>) {
    match value {
        Jsonb::Null => out.push(0),
        Jsonb::Bool(v) => out.push(1 + u8::from(*v)),
        Jsonb::Number(v) => {
            out.push(3);
            encode_numeric(v, out);
        }
        Jsonb::String(v) => {
            out.push(4);
            put_bytes(v.as_bytes(), out);
        }
        Jsonb::Array(items) => {
            out.push(5);
            put_varint(items.len() as u64, out);
            items.iter().for_each(|item| encode_jsonb(item, out));
        }
        Jsonb::Object(members) => {
            out.push(6);
            put_varint(members.len() as u64, out);
            for (key, item) in members {
                put_bytes(key.as_bytes(), out);
                encode_jsonb(item, out);
            }
        }
    }
}

/// Takes a value that [`encode`] wrote from the front of `bytes`.
///
/// # Errors
/// [`DecodeError`] when the bytes are no value; `bytes` is then anywhere.
#[inline]
pub fn decode(bytes: &mut &[u8]) -> Result<Value> {
    decode_nested(bytes, 0)
}

/// Takes a value from the front of `bytes` without making it: a reader who looks for what comes behind it. Bytes that are no value may
/// pass; [`decode`] finds them.
///
/// # Errors
/// When the bytes end, or begin with an unknown tag.
#[inline]
pub fn skip(bytes: &mut &[u8]) -> Result<()> {
    let (&tag, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    match tag {
        0..=2 => *bytes = rest,
        3..=5 | 8 | 9 => {
            *bytes = rest;
            take_varint(bytes)?;
        }
        0x0a..=0x0c | 7 => *bytes = rest.get(8..).ok_or(DecodeError::Truncated)?,
        6 => *bytes = rest.get(4..).ok_or(DecodeError::Truncated)?,
        0x10 | 0x11 => {
            *bytes = rest;
            take_bytes(bytes)?;
        }
        // Rare and nested ones.
        _ => {
            decode(bytes)?;
        }
    }
    Ok(())
}

/// What the columns of most tables hold, taken from the front of bytes that [`encode`] wrote without making a [`Value`] of it. `None`:
/// something else lies there, and nothing was taken.
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn take_int4(bytes: &mut &[u8]) -> Result<Option<i32>> {
    take_tagged(4, bytes, |bytes| narrow(take_zigzag(bytes)?))
}

/// As [`take_int4`], for `bigint`.
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn take_int8(bytes: &mut &[u8]) -> Result<Option<i64>> {
    take_tagged(5, bytes, take_zigzag)
}

/// As [`take_int4`], for `timestamptz`.
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn take_timestamptz(bytes: &mut &[u8]) -> Result<Option<i64>> {
    take_tagged(0x0c, bytes, |bytes| Ok(i64::from_le_bytes(take_array(bytes)?)))
}

/// As [`take_int4`], for text.
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn take_text_value<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a str>> {
    take_tagged(0x10, bytes, take_text)
}

#[inline(always)]
fn take_tagged<'a, T>(
    tag: u8,
    bytes: &mut &'a [u8],
    take: impl FnOnce(&mut &'a [u8]) -> Result<T>,
) -> Result<Option<T>> {
    match bytes.split_first() {
        Some((found, rest)) if *found == tag => {
            *bytes = rest;
            take(bytes).map(Some)
        }
        _ => Ok(None),
    }
}

#[inline]
fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| DecodeError::IntegerOutOfRange)
}

fn decode_nested(bytes: &mut &[u8], depth: usize) -> Result<Value> {
    let (&tag, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(match tag {
        0 => Value::Null,
        1 => Value::Bool(false),
        2 => Value::Bool(true),
        3 => Value::Int2(narrow(take_zigzag(bytes)?)?),
        4 => Value::Int4(narrow(take_zigzag(bytes)?)?),
        5 => Value::Int8(take_zigzag(bytes)?),
        6 => Value::Float4(f32::from_le_bytes(take_array(bytes)?)),
        7 => Value::Float8(f64::from_le_bytes(take_array(bytes)?)),
        8 => Value::Oid(u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?),
        9 => Value::Date(narrow(take_zigzag(bytes)?)?),
        0x0a => Value::Time(i64::from_le_bytes(take_array(bytes)?)),
        0x0b => Value::Timestamp(i64::from_le_bytes(take_array(bytes)?)),
        0x0c => Value::Timestamptz(i64::from_le_bytes(take_array(bytes)?)),
        0x0d => Value::Interval(Arc::new(Interval {
            months: narrow(take_zigzag(bytes)?)?,
            days: narrow(take_zigzag(bytes)?)?,
            microseconds: take_zigzag(bytes)?,
        })),
        0x0e | 0x0f => Value::Numeric(Arc::new(decode_numeric(tag, bytes)?)),
        0x10 => Value::Text(EcoString::from(take_text(bytes)?)),
        0x11 => Value::Bytea(Arc::from(take_bytes(bytes)?)),
        0x12 => Value::Uuid(Arc::new(take_array(bytes)?)),
        0x13 => Value::Jsonb(Arc::new(decode_jsonb(bytes, 0)?)),
        0x14 => Value::Array(Arc::new(decode_array(bytes, depth)?)),
        0x15 => {
            let columns = decode_list(bytes, depth)?;
            Value::Record(columns.into())
        }
        0x16 => {
            let ty = u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
            let order = f64::from_le_bytes(take_array(bytes)?);
            if !order.is_finite() {
                return Err(DecodeError::Malformed("enum"));
            }
            Value::Enum(EnumValue { ty: TypeId(ty), order })
        }
        _ => return Err(DecodeError::UnknownTag(tag)),
    })
}

fn decode_numeric(tag: u8, bytes: &mut &[u8]) -> Result<Numeric> {
    if tag == 0x0f {
        let [kind] = take_array(bytes)?;
        return match kind {
            0 => Ok(Numeric::NAN),
            1 => Ok(Numeric::INFINITY),
            2 => Ok(Numeric::NEGATIVE_INFINITY),
            _ => Err(DecodeError::Malformed("numeric")),
        };
    }
    let scale = u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
    if scale > MAX_SCALE {
        return Err(DecodeError::Malformed("numeric"));
    }
    Ok(Numeric::new(BigInt::from_signed_bytes_le(take_bytes(bytes)?), scale))
}

/// A count of things of which each takes at least one byte.
fn take_count(bytes: &mut &[u8]) -> Result<usize> {
    let count = take_varint(bytes)?;
    usize::try_from(count).ok().filter(|count| *count <= bytes.len()).ok_or(DecodeError::Truncated)
}

fn decode_list(bytes: &mut &[u8], depth: usize) -> Result<Vec<Value>> {
    if depth >= MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    let count = take_count(bytes)?;
    (0..count).map(|_| decode_nested(bytes, depth + 1)).collect()
}

fn decode_array(bytes: &mut &[u8], depth: usize) -> Result<Array> {
    let element = u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
    let count = take_count(bytes)?;
    if count > MAX_DIMENSIONS {
        return Err(DecodeError::Malformed("array"));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut size = i64::from(count > 0);
    for _ in 0..count {
        let length: i32 = narrow(take_zigzag(bytes)?)?;
        let lower = narrow(take_zigzag(bytes)?)?;
        size = size
            .checked_mul(i64::from(length))
            .filter(|_| length > 0)
            .ok_or(DecodeError::Malformed("array"))?;
        dimensions.push(ArrayDimension { length, lower });
    }
    let elements = decode_list(bytes, depth)?;
    if elements.len() as i64 != size {
        return Err(DecodeError::Malformed("array"));
    }
    Ok(Array { element: TypeId(element), dimensions, elements })
}

fn decode_jsonb(bytes: &mut &[u8], depth: usize) -> Result<Jsonb> {
    if depth > jsonb::MAX_DEPTH {
        return Err(DecodeError::TooDeep);
    }
    let [tag] = take_array(bytes)?;
    Ok(match tag {
        0 => Jsonb::Null,
        1 => Jsonb::Bool(false),
        2 => Jsonb::Bool(true),
        3 => {
            let [numeric_tag] = take_array(bytes)?;
            if numeric_tag != 0x0e {
                return Err(DecodeError::UnknownTag(numeric_tag));
            }
            Jsonb::Number(decode_numeric(numeric_tag, bytes)?)
        }
        4 => Jsonb::String(take_text(bytes)?.into()),
        5 => {
            let count = take_count(bytes)?;
            Jsonb::Array((0..count).map(|_| decode_jsonb(bytes, depth + 1)).collect::<Result<_>>()?)
        }
        6 => {
            let count = take_count(bytes)?;
            let member = |_| Ok((EcoString::from(take_text(bytes)?), decode_jsonb(bytes, depth + 1)?));
            Jsonb::Object((0..count).map(member).collect::<Result<_>>()?)
        }
        _ => return Err(DecodeError::UnknownTag(tag)),
    })
}
