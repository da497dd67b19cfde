//! PostgreSQL's hash functions, bit for bit: Bob Jenkins' lookup3 as `common/hashfn.c` has it.
//!
//! `os.bucket(owner)` is SQL over these and must give the same bucket on every engine.

use tuplix_types::compare::trim_blanks;
use tuplix_types::{Array, Interval, Numeric, Result, SqlError, TypeId, Value};

use super::Scalars;
use super::args::{array, bytea, float, int, int8, interval, numeric, oid, text, time, timestamp, uuid};

const START: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

fn mix(s: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *s;
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    *s = [a, b, c];
}

fn finish(s: [u32; 3]) -> u64 {
    let [mut a, mut b, mut c] = s;
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    u64::from(b) << 32 | u64::from(c)
}

fn start(length: usize, seed: u64) -> [u32; 3] {
    let word = START.wrapping_add(length as u32);
    let mut state = [word; 3];
    if seed != 0 {
        state[0] = state[0].wrapping_add((seed >> 32) as u32);
        state[1] = state[1].wrapping_add(seed as u32);
        mix(&mut state);
    }
    state
}

/// `hash_bytes_extended`; its low half is `hash_bytes` when the seed is 0.
pub fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut state = start(bytes.len(), seed);
    let (chunks, rest) = bytes.as_chunks::<12>();
    let word = |b: &[u8]| b.iter().rev().fold(0u32, |word, b| word << 8 | u32::from(*b));
    for chunk in chunks {
        for (place, part) in chunk.chunks(4).enumerate() {
            state[place] = state[place].wrapping_add(word(part));
        }
        mix(&mut state);
    }
    for (place, part) in rest.chunks(4).enumerate() {
        // The lowest byte of the third word is the length's.
        let shift = if place == 2 { 8 } else { 0 };
        state[place] = state[place].wrapping_add(word(part) << shift);
    }
    finish(state)
}

/// `hash_bytes_uint32_extended`; its low half is `hash_bytes_uint32` when the seed is 0.
pub fn hash_word(word: u32, seed: u64) -> u64 {
    let mut state = start(4, seed);
    state[0] = state[0].wrapping_add(word);
    finish(state)
}

/// `hashint8`: equal to `hashint4` for values that fit it.
fn hash_int8(value: i64, seed: u64) -> u64 {
    let high = (value >> 32) as u32;
    hash_word(value as u32 ^ if value >= 0 { high } else { !high }, seed)
}

fn hash_float(value: f64, seed: u64) -> u64 {
    if value == 0.0 {
        return seed;
    }
    let value = if value.is_nan() { f64::NAN } else { value };
    hash_bytes(&value.to_le_bytes(), seed)
}

fn hash_interval(value: &Interval, seed: u64) -> u64 {
    hash_int8(value.span() as i64, seed)
}

/// The digits to base 10000 and the weight of the first, without zeros at either end.
fn base_10000(value: &Numeric) -> Option<(Vec<u16>, i32)> {
    let (unscaled, scale) = value.parts()?;
    let mut digits = unscaled.magnitude().to_string();
    // Line the decimal point up with a digit to base 10000.
    let missing = (4 - scale % 4) % 4;
    digits.push_str(&"0".repeat(missing as usize));
    let groups_after_point = (scale + missing) / 4;
    let lead = (4 - digits.len() % 4) % 4;
    let digits = format!("{}{digits}", "0".repeat(lead));
    let mut groups: Vec<u16> =
        digits.as_bytes().chunks(4).map(|d| d.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'))).collect();
    let mut weight = groups.len() as i32 - 1 - groups_after_point as i32;
    let zeros = groups.iter().take_while(|g| **g == 0).count();
    groups.drain(..zeros);
    weight -= zeros as i32;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    Some((groups, weight))
}

fn hash_numeric(value: &Numeric, seed: u64) -> u64 {
    let Some((groups, weight)) = base_10000(value) else { return seed };
    if groups.is_empty() {
        return seed.wrapping_sub(1);
    }
    let bytes: Vec<u8> = groups.iter().flat_map(|g| g.to_le_bytes()).collect();
    // The weight is xored in as a sign-extended integer.
    hash_bytes(&bytes, seed) ^ i64::from(weight) as u64
}

fn hash_array(value: &Array, seed: Option<u64>) -> Result<u64> {
    let mut result = 1u64;
    for element in &value.elements {
        let hash = if element.is_null() { 0 } else { hash_of(value.element, element, seed)? };
        result = (result << 5).wrapping_sub(result).wrapping_add(hash);
        if seed.is_none() {
            result &= 0xffff_ffff;
        }
    }
    Ok(result)
}

fn hash_record(fields: &[Value], types: &[TypeId], seed: Option<u64>) -> Result<u64> {
    let mut result = 0u64;
    for (index, field) in fields.iter().enumerate() {
        let id = types.get(index).copied().unwrap_or_else(|| natural_type(field));
        let hash = if field.is_null() { 0 } else { hash_of(id, field, seed)? };
        result = (result << 5).wrapping_sub(result).wrapping_add(hash);
        if seed.is_none() {
            result &= 0xffff_ffff;
        }
    }
    Ok(result)
}

/// The type that a value most likely is, where nobody says.
pub(crate) fn natural_type(value: &Value) -> TypeId {
    match value {
        Value::Null | Value::Text(_) => TypeId::TEXT,
        Value::Bool(_) => TypeId::BOOL,
        Value::Int2(_) => TypeId::INT2,
        Value::Int4(_) => TypeId::INT4,
        Value::Int8(_) => TypeId::INT8,
        Value::Float4(_) => TypeId::FLOAT4,
        Value::Float8(_) => TypeId::FLOAT8,
        Value::Oid(_) => TypeId::OID,
        Value::Date(_) => TypeId::DATE,
        Value::Time(_) => TypeId::TIME,
        Value::Timestamp(_) => TypeId::TIMESTAMP,
        Value::Timestamptz(_) => TypeId::TIMESTAMPTZ,
        Value::Interval(_) => TypeId::INTERVAL,
        Value::Numeric(_) => TypeId::NUMERIC,
        Value::Bytea(_) => TypeId::BYTEA,
        Value::Uuid(_) => TypeId::UUID,
        Value::Jsonb(_) => TypeId::JSONB,
        Value::Array(array) => array.element.array_of().unwrap_or(TypeId::ANYARRAY),
        Value::Record(_) => TypeId::RECORD,
        Value::Enum(value) => value.ty,
    }
}

/// The hash that a type's default hash operator class gives, 32 bits without a seed and 64 with one.
///
/// # Errors
/// 0A000 for `jsonb`, whose hash is not implemented.
pub fn hash_of(id: TypeId, value: &Value, seed: Option<u64>) -> Result<u64> {
    let start = seed.unwrap_or(0);
    let hash = match value {
        Value::Null => start,
        Value::Bool(v) => hash_word(u32::from(*v), start),
        Value::Int2(v) => hash_word(i32::from(*v) as u32, start),
        Value::Int4(v) | Value::Date(v) => hash_word(*v as u32, start),
        Value::Oid(v) => hash_word(*v, start),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => hash_int8(*v, start),
        Value::Float4(v) => hash_float(f64::from(*v), start),
        Value::Float8(v) => hash_float(*v, start),
        Value::Interval(v) => hash_interval(v, start),
        Value::Numeric(v) => hash_numeric(v, start),
        Value::Text(v) if id == TypeId::BPCHAR => hash_bytes(trim_blanks(v).as_bytes(), start),
        Value::Text(v) if id == TypeId::CHAR => {
            hash_word(v.bytes().next().map_or(0, |b| b as i8 as i32 as u32), start)
        }
        Value::Text(v) => hash_bytes(v.as_bytes(), start),
        Value::Bytea(v) => hash_bytes(v, start),
        Value::Uuid(v) => hash_bytes(v.as_slice(), start),
        Value::Array(v) => hash_array(v, seed)?,
        Value::Record(v) => hash_record(v, &[], seed)?,
        Value::Enum(v) => hash_float(v.order, start),
        Value::Jsonb(_) => return Err(SqlError::unsupported("the hash of a jsonb value")),
    };
    Ok(if seed.is_none() { hash & 0xffff_ffff } else { hash })
}

fn narrow(hash: u64) -> Result<Value> {
    Ok(Value::Int4(hash as u32 as i32))
}

fn wide(hash: u64) -> Result<Value> {
    Ok(Value::Int8(hash as i64))
}

fn seed(a: &[Value]) -> Result<u64> {
    Ok(int8(a, 1)? as u64)
}

/// A hash function and its `extended` twin with a seed.
macro_rules! both {
    ($name:literal, $extended:literal, |$a:ident, $seed:ident| $hash:expr) => {
        [
            (
                $name,
                (|_, $a| {
                    let $seed = 0;
                    narrow($hash)
                }) as crate::registry::ScalarFn,
            ),
            ($extended, |_, $a| {
                let $seed = seed($a)?;
                wide($hash)
            }),
        ]
    };
}

type Pair = [(&'static str, crate::registry::ScalarFn); 2];

pub(crate) const PAIRS: [Pair; 16] = [
    both!("hashint2", "hashint2extended", |a, s| hash_word(int(a, 0)? as u32, s)),
    both!("hashint4", "hashint4extended", |a, s| hash_word(int(a, 0)? as u32, s)),
    both!("hashint8", "hashint8extended", |a, s| hash_int8(int(a, 0)?, s)),
    both!("hashoid", "hashoidextended", |a, s| hash_word(oid(a, 0)?, s)),
    both!("hashtext", "hashtextextended", |a, s| hash_bytes(text(a, 0)?.as_bytes(), s)),
    both!("hashname", "hashnameextended", |a, s| hash_bytes(text(a, 0)?.as_bytes(), s)),
    both!("hashbpchar", "hashbpcharextended", |a, s| hash_bytes(trim_blanks(text(a, 0)?).as_bytes(), s)),
    both!("hashvarlena", "hashvarlenaextended", |a, s| hash_bytes(bytea(a, 0)?, s)),
    both!("hashfloat4", "hashfloat4extended", |a, s| hash_float(float(a, 0)?, s)),
    both!("hashfloat8", "hashfloat8extended", |a, s| hash_float(float(a, 0)?, s)),
    both!("hash_numeric", "hash_numeric_extended", |a, s| hash_numeric(numeric(a, 0)?, s)),
    both!("timestamp_hash", "timestamp_hash_extended", |a, s| hash_int8(timestamp(a, 0)?, s)),
    both!("time_hash", "time_hash_extended", |a, s| hash_int8(time(a, 0)?, s)),
    both!("interval_hash", "interval_hash_extended", |a, s| hash_interval(interval(a, 0)?, s)),
    both!("uuid_hash", "uuid_hash_extended", |a, s| hash_bytes(uuid(a, 0)?.as_slice(), s)),
    both!("hashchar", "hashcharextended", |a, s| hash_word(
        text(a, 0)?.bytes().next().map_or(0, |b| b as i8 as i32 as u32),
        s
    )),
];

pub(crate) const FUNCTIONS: Scalars = &[
    ("hash_array", |_, a| narrow(hash_array(array(a, 0)?, None)?)),
    ("hash_array_extended", |_, a| wide(hash_array(array(a, 0)?, Some(seed(a)?))?)),
];
