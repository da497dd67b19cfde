//! Memcomparable keys: byte strings whose order is the order of the values, for ordered indexes.
//!
//! ```text
//! null       00 (nulls first) or 02 (nulls last); everything else starts with 01
//! bool       1 byte
//! integers   big endian, sign bit flipped (2, 4 or 8 bytes); oid 4 bytes big endian
//! floats     big endian IEEE bits; sign flipped when positive, all bits flipped when negative
//! date, time, timestamp   as integers;  interval: its span as a 16-byte integer
//! text, bytea             the bytes with 00 written as 00 FF, then 00 01
//! uuid       16 bytes
//! numeric    1 byte class (-Infinity, negative, zero, positive, Infinity, NaN); for finite non-zero
//!            numbers 4 bytes exponent and the digits in pairs + 1, closed by 00; negative: flipped
//! array      per element 01 + value, or 02 for NULL; 00; dimensions, lengths, lower bounds
//! record     per column 01 + value, or 02 for NULL; 00
//! enum       the place in its order, as a float
//! jsonb      1 byte kind, then the scalar, or 4 bytes length and the members
//! ```
//!
//! A descending column flips every byte after the null marker. Keys of several columns are
//! concatenated: no key is a proper prefix of another key of the same type.

use crate::compare::trim_blanks;
use crate::jsonb::Jsonb;
use crate::numeric::Numeric;
use crate::{Array, TypeId, Value};

/// Appends the key of `value` to `key`.
#[inline]
pub fn encode_key(value: &Value, descending: bool, nulls_first: bool, key: &mut Vec<u8>) {
    if value.is_null() {
        key.push(if nulls_first { 0 } else { 2 });
        return;
    }
    key.push(1);
    let start = key.len();
    encode(value, key);
    if descending {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Appends the key of `value` of type `ty`: as [`encode_key`], and `char(n)` loses its trailing blanks.
#[inline]
pub fn encode_key_typed(ty: TypeId, value: &Value, descending: bool, nulls_first: bool, key: &mut Vec<u8>) {
    match value {
        Value::Text(text) if ty == TypeId::BPCHAR && text.ends_with(' ') => {
            encode_key(&Value::text(trim_blanks(text)), descending, nulls_first, key);
        }
        _ => encode_key(value, descending, nulls_first, key),
    }
}

/// Appends the value without a null marker.
fn encode(value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Null => key.push(2),
        Value::Bool(v) => key.push(u8::from(*v)),
        Value::Int2(v) => key.extend_from_slice(&(*v as u16 ^ 0x8000).to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => encode_i32(*v, key),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            key.extend_from_slice(&(*v as u64 ^ (1 << 63)).to_be_bytes());
        }
        Value::Float4(v) => encode_float(f64::from(*v), key),
        Value::Float8(v) => encode_float(*v, key),
        Value::Oid(v) => key.extend_from_slice(&v.to_be_bytes()),
        Value::Interval(v) => key.extend_from_slice(&(v.span() as u128 ^ (1 << 127)).to_be_bytes()),
        Value::Numeric(v) => encode_numeric(v, key),
        Value::Text(v) => encode_bytes(v.as_bytes(), key),
        Value::Bytea(v) => encode_bytes(v, key),
        Value::Uuid(v) => key.extend_from_slice(v.as_slice()),
        Value::Jsonb(v) if v.is_empty_array() => key.push(0),
        Value::Jsonb(v) => encode_jsonb(v, key),
        Value::Array(v) => encode_array(v, key),
        Value::Record(v) => encode_list(TypeId::RECORD, v, key),
        Value::Enum(v) => encode_float(v.order, key),
    }
}

fn encode_i32(value: i32, key: &mut Vec<u8>) {
    key.extend_from_slice(&(value as u32 ^ (1 << 31)).to_be_bytes());
}

fn encode_float(value: f64, key: &mut Vec<u8>) {
    let bits = if value == 0.0 {
        0
    } else if value.is_nan() {
        // The positive quiet NaN, above infinity.
        0x7ff8_0000_0000_0000
    } else {
        value.to_bits()
    };
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    key.extend_from_slice(&ordered.to_be_bytes());
}

fn encode_bytes(bytes: &[u8], key: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == 0) {
        key.extend_from_slice(&rest[..at]);
        key.extend_from_slice(&[0, 0xff]);
        rest = &rest[at + 1..];
    }
    key.extend_from_slice(rest);
    key.extend_from_slice(&[0, 1]);
}

fn encode_numeric(value: &Numeric, key: &mut Vec<u8>) {
    let Some((digits, exponent)) = value.significant_digits() else {
        key.push(match value.signum() {
            Some(-1) => 1,
            Some(_) => 5,
            None => 6,
        });
        return;
    };
    let class = match value.signum() {
        Some(-1) => 2,
        Some(0) => 3,
        _ => 4,
    };
    key.push(class);
    if class == 3 {
        return;
    }
    let start = key.len();
    // Exponents are between -16383 and 131072.
    encode_i32(exponent as i32, key);
    for pair in digits.as_bytes().chunks(2) {
        let low = pair.get(1).map_or(0, |digit| digit - b'0');
        key.push((pair[0] - b'0') * 10 + low + 1);
    }
    key.push(0);
    if class == 2 {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn encode_list(element: TypeId, values: &[Value], key: &mut Vec<u8>) {
    for value in values {
        if value.is_null() {
            key.push(2);
        } else {
            encode_key_typed(element, value, false, false, key);
        }
    }
    key.push(0);
}

fn encode_array(array: &Array, key: &mut Vec<u8>) {
    encode_list(array.element, &array.elements, key);
    key.push(array.dimensions.len() as u8);
    array.dimensions.iter().for_each(|dimension| encode_i32(dimension.length, key));
    array.dimensions.iter().for_each(|dimension| encode_i32(dimension.lower, key));
}

fn encode_jsonb(value: &Jsonb, key: &mut Vec<u8>) {
    match value {
        Jsonb::Null => key.push(1),
        Jsonb::String(text) => {
            key.push(2);
            encode_bytes(text.as_bytes(), key);
        }
        Jsonb::Number(number) => {
            key.push(3);
            encode_numeric(number, key);
        }
        Jsonb::Bool(v) => key.extend_from_slice(&[4, u8::from(*v)]),
        Jsonb::Array(items) => {
            key.push(5);
            key.extend_from_slice(&(items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| encode_jsonb(item, key));
        }
        Jsonb::Object(members) => {
            key.push(6);
            key.extend_from_slice(&(members.len() as u32).to_be_bytes());
            for (name, item) in members {
                encode_bytes(name.as_bytes(), key);
                encode_jsonb(item, key);
            }
        }
    }
}
