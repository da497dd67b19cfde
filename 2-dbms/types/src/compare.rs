//! Order, equality and hashing of values, as PostgreSQL's btree and hash operator classes see them
//! under the C collation.
//!
//! - NULL equals NULL and is above everything (`NULLS LAST`); SQL's three-valued `=` is the
//!   executor's business.
//! - NaN equals itself and is above every number; `-0.0 = 0.0`; `1.0 = 1.00`.
//! - Values of different variants never meet in a well-typed plan; they are ordered by variant, so
//!   that the order is total whatever happens.
//! - `char(n)` ignores trailing blanks. That is a matter of the SQL type, which a [`Value`] does not
//!   know: use the `_typed` functions where the type may be `bpchar`.
//!
//! Hashes are the same in every process and on every machine, for ever within one data format, and
//! equal for equal values. Integers of all widths share one hash: it is a fold of one multiplication.

use std::cmp::Ordering;

use crate::jsonb::Jsonb;
use crate::{Array, Interval, TypeId, Value};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0xa076_1d64_78bd_642f;
const SEED_BYTES: u64 = 0xe703_7ed1_a0b4_28db;

/// Mixes a word into a hash: one 64 x 64 multiplication, both halves folded.
#[inline]
pub fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word ^ SEED) * u128::from(word.rotate_left(32) ^ MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of an integer of any width.
#[inline]
pub fn hash_int(value: i64) -> u64 {
    // Multiplying and folding spreads every input bit over all output bits, top and bottom.
    let product = u128::from(value as u64 ^ SEED) * u128::from(MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The product's halves folded.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => 0,
    }
}

/// The hash of a byte string: sixteen bytes a multiplication, in the manner of wyhash.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = SEED_BYTES;
    let mut rest = bytes;
    while rest.len() > 16 {
        hash = fold(word(rest) ^ SEED, word(&rest[8..]) ^ hash);
        rest = &rest[16..];
    }
    let length = rest.len();
    let (first, last) = if length >= 8 {
        (word(rest), word(&rest[length - 8..]))
    } else if let (Some(head), Some(tail)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
    } else if length > 0 {
        (u64::from(rest[0]) << 16 | u64::from(rest[length / 2]) << 8 | u64::from(rest[length - 1]), 0)
    } else {
        (0, 0)
    };
    let total = bytes.len() as u64;
    fold(MULTIPLIER ^ total, fold(first ^ SEED, last ^ hash) ^ SEED_BYTES)
}

#[inline]
fn float_bits(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

/// The order of floats that btree uses: NaN equals NaN and is greatest, `-0.0 = 0.0`.
#[inline]
pub fn compare_float(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

impl Interval {
    /// The length in microseconds with months of 30 days and days of 24 hours, by which intervals
    /// are compared: `1 month = 30 days`.
    pub fn span(&self) -> i128 {
        const DAY: i128 = 86_400_000_000;
        i128::from(self.microseconds) + (i128::from(self.months) * 30 + i128::from(self.days)) * DAY
    }
}

/// Compares two values of one type; see the module for NULL and NaN.
#[inline]
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int8(a), Value::Int8(b)) => a.cmp(b),
        (Value::Int4(a), Value::Int4(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => compare_other(left, right),
    }
}

fn compare_other(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int2(a), Value::Int2(b)) => a.cmp(b),
        (Value::Float4(a), Value::Float4(b)) => compare_float(f64::from(*a), f64::from(*b)),
        (Value::Float8(a), Value::Float8(b)) => compare_float(*a, *b),
        (Value::Oid(a), Value::Oid(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b))
        | (Value::Timestamp(a), Value::Timestamp(b))
        | (Value::Timestamptz(a), Value::Timestamptz(b)) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => a.span().cmp(&b.span()),
        (Value::Numeric(a), Value::Numeric(b)) => a.cmp(b),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Jsonb(a), Value::Jsonb(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_arrays(a, b),
        (Value::Record(a), Value::Record(b)) => compare_rows(a, b),
        (Value::Enum(a), Value::Enum(b)) => compare_float(a.order, b.order),
        _ => match (left.as_i64(), right.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

/// An order of the variants, for values that should never meet.
fn rank(value: &Value) -> u8 {
    match value {
        Value::Bool(_) => 0,
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => 1,
        Value::Float4(_) => 2,
        Value::Float8(_) => 3,
        Value::Oid(_) => 4,
        Value::Date(_) => 5,
        Value::Time(_) => 6,
        Value::Timestamp(_) => 7,
        Value::Timestamptz(_) => 8,
        Value::Interval(_) => 9,
        Value::Numeric(_) => 10,
        Value::Text(_) => 11,
        Value::Bytea(_) => 12,
        Value::Uuid(_) => 13,
        Value::Jsonb(_) => 14,
        Value::Array(_) => 15,
        Value::Record(_) => 16,
        Value::Enum(_) => 17,
        Value::Null => 18,
    }
}

fn compare_arrays(left: &Array, right: &Array) -> Ordering {
    let bpchar = left.element == TypeId::BPCHAR;
    let elements = left.elements.iter().zip(&right.elements);
    for (a, b) in elements {
        let order = if bpchar { compare_typed(TypeId::BPCHAR, a, b) } else { compare(a, b) };
        if order.is_ne() {
            return order;
        }
    }
    let lengths = |array: &Array| array.dimensions.iter().map(|d| d.length).collect::<Vec<_>>();
    let bounds = |array: &Array| array.dimensions.iter().map(|d| d.lower).collect::<Vec<_>>();
    (left.elements.len().cmp(&right.elements.len()))
        .then_with(|| left.dimensions.len().cmp(&right.dimensions.len()))
        .then_with(|| lengths(left).cmp(&lengths(right)))
        .then_with(|| bounds(left).cmp(&bounds(right)))
}

/// Compares rows column by column.
pub fn compare_rows(left: &[Value], right: &[Value]) -> Ordering {
    for (a, b) in left.iter().zip(right) {
        let order = compare(a, b);
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

/// A text without the blanks at its end, which `char(n)` does not count.
#[inline]
pub fn trim_blanks(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// Compares two values of type `ty`.
#[inline]
pub fn compare_typed(ty: TypeId, left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) if ty == TypeId::BPCHAR => {
            trim_blanks(a).as_bytes().cmp(trim_blanks(b).as_bytes())
        }
        _ => compare(left, right),
    }
}

/// Whether two values of one type are equal; NULL equals NULL.
#[inline]
pub fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int8(a), Value::Int8(b)) => a == b,
        (Value::Int4(a), Value::Int4(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        _ => compare_other_equal(left, right),
    }
}

fn compare_other_equal(left: &Value, right: &Value) -> bool {
    compare_other(left, right).is_eq()
}

/// Whether two values of type `ty` are equal; NULL equals NULL.
#[inline]
pub fn equal_typed(ty: TypeId, left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Text(_), Value::Text(_)) if ty == TypeId::BPCHAR => compare_typed(ty, left, right).is_eq(),
        _ => equal(left, right),
    }
}

/// A hash that equal values share.
#[inline]
pub fn hash(value: &Value) -> u64 {
    match value {
        Value::Int8(v) => hash_int(*v),
        Value::Int4(v) => hash_int(i64::from(*v)),
        Value::Text(v) => hash_bytes(v.as_bytes()),
        _ => hash_other(value),
    }
}

fn hash_other(value: &Value) -> u64 {
    match value {
        Value::Null => SEED,
        Value::Bool(v) => hash_int(i64::from(*v)),
        Value::Int2(v) => hash_int(i64::from(*v)),
        Value::Int4(v) => hash_int(i64::from(*v)),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => hash_int(*v),
        Value::Float4(v) => hash_int(float_bits(f64::from(*v)) as i64),
        Value::Float8(v) => hash_int(float_bits(*v) as i64),
        Value::Oid(v) => hash_int(i64::from(*v)),
        Value::Date(v) => hash_int(i64::from(*v)),
        Value::Interval(v) => mix(v.span() as u64, (v.span() >> 64) as u64),
        Value::Numeric(v) => v.hash_word(),
        Value::Text(v) => hash_bytes(v.as_bytes()),
        Value::Bytea(v) => hash_bytes(v),
        Value::Uuid(v) => hash_bytes(v.as_slice()),
        Value::Jsonb(v) => hash_jsonb(v),
        Value::Array(v) => {
            let start = mix(SEED, v.elements.len() as u64);
            v.elements.iter().fold(start, |h, element| mix(h, hash_typed(v.element, element)))
        }
        Value::Record(v) => hash_row(v),
        Value::Enum(v) => hash_int(float_bits(v.order) as i64),
    }
}

fn hash_jsonb(value: &Jsonb) -> u64 {
    match value {
        Jsonb::Null => mix(SEED, 1),
        Jsonb::Bool(v) => mix(SEED, 2 + u64::from(*v)),
        Jsonb::Number(v) => mix(v.hash_word(), 4),
        Jsonb::String(v) => mix(hash_bytes(v.as_bytes()), 5),
        Jsonb::Array(v) => v.iter().fold(mix(SEED, 6), |h, item| mix(h, hash_jsonb(item))),
        Jsonb::Object(v) => v
            .iter()
            .fold(mix(SEED, 7), |h, (key, item)| mix(mix(h, hash_bytes(key.as_bytes())), hash_jsonb(item))),
    }
}

/// A hash that equal values of type `ty` share.
#[inline]
pub fn hash_typed(ty: TypeId, value: &Value) -> u64 {
    match value {
        Value::Text(text) if ty == TypeId::BPCHAR => hash_bytes(trim_blanks(text).as_bytes()),
        _ => hash(value),
    }
}

/// A hash that equal rows share; the hash of a row of one value is not that of the value.
pub fn hash_row(values: &[Value]) -> u64 {
    values.iter().fold(SEED, |h, value| mix(h, hash(value)))
}

/// Equality as [`equal`]: the same as "is not distinct from".
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        equal(self, other)
    }
}

impl Eq for Value {}

/// Order as [`compare`].
impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        compare(self, other)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(hash(self));
    }
}

impl Jsonb {
    fn kind(&self) -> u8 {
        match self {
            Jsonb::Null => 0,
            Jsonb::String(_) => 1,
            Jsonb::Number(_) => 2,
            Jsonb::Bool(_) => 3,
            Jsonb::Array(_) => 4,
            Jsonb::Object(_) => 5,
        }
    }

    fn compare_nested(&self, other: &Jsonb) -> Ordering {
        match (self, other) {
            (Jsonb::String(a), Jsonb::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Jsonb::Number(a), Jsonb::Number(b)) => a.cmp(b),
            (Jsonb::Bool(a), Jsonb::Bool(b)) => a.cmp(b),
            (Jsonb::Array(a), Jsonb::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
                let orders = a.iter().zip(b).map(|(x, y)| x.compare_nested(y));
                orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }),
            (Jsonb::Object(a), Jsonb::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let orders = a.iter().zip(b).map(|((key, x), (other_key, y))| {
                    key.as_bytes().cmp(other_key.as_bytes()).then_with(|| x.compare_nested(y))
                });
                orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            }),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    /// The empty array is below everything when nothing surrounds it (a quirk that PostgreSQL keeps
    /// for the sake of indexes on disk).
    pub(crate) fn is_empty_array(&self) -> bool {
        matches!(self, Jsonb::Array(items) if items.is_empty())
    }
}

impl Ord for Jsonb {
    fn cmp(&self, other: &Jsonb) -> Ordering {
        match (self.is_empty_array(), other.is_empty_array()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare_nested(other),
        }
    }
}

impl PartialOrd for Jsonb {
    fn partial_cmp(&self, other: &Jsonb) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Jsonb {
    fn eq(&self, other: &Jsonb) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Jsonb {}
