//! SQL values in transit between storage, the executor and the client.

use std::sync::Arc;

use ecow::EcoString;

use crate::{EnumValue, TypeId};

/// One SQL value.
///
/// The variant is the value's representation, not its SQL type: `text`, `varchar`, `char(n)`, `name` and
/// `json` are all [`Value::Text`]; `oid` and its `reg...` aliases are [`Value::Oid`].
/// The plan knows the SQL type. Cloning never copies a long text or byte string.
#[derive(Debug, Default)]
pub enum Value {
    /// NULL of any type.
    #[default]
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// `oid`, `regclass`, `regtype`, ...
    Oid(u32),
    /// `date`: days since 2000-01-01; `i32::MIN`/`MAX` are -infinity and infinity.
    Date(i32),
    /// `time`: microseconds since midnight.
    Time(i64),
    /// `timestamp`: microseconds since 2000-01-01 00:00; `i64::MIN`/`MAX` are -infinity and infinity.
    Timestamp(i64),
    /// `timestamptz`: microseconds since 2000-01-01 00:00 UTC; `i64::MIN`/`MAX` are -infinity and infinity.
    Timestamptz(i64),
    /// a label of an enum. So far all lie in their own words, see [`Value::is_plain`]; those that follow own something.
    Enum(EnumValue),
    /// `interval`
    Interval(Arc<Interval>),
    /// `numeric`
    Numeric(Arc<crate::numeric::Numeric>),
    /// `text` and everything kept as text
    Text(EcoString),
    /// `bytea`
    Bytea(Arc<[u8]>),
    /// `uuid`
    Uuid(Arc<[u8; 16]>),
    /// `jsonb`
    Jsonb(Arc<crate::jsonb::Jsonb>),
    /// any array
    Array(Arc<Array>),
    /// a row value
    Record(Arc<[Value]>),
}

const _: () = assert!(size_of::<Value>() <= 24, "a value is three words");

/// A row of values in column order.
pub type Row = Vec<Value>;

/// `interval`, kept in the three fields that PostgreSQL keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Interval {
    /// Months, of any sign.
    pub months: i32,
    /// Days, of any sign.
    pub days: i32,
    /// Microseconds, of any sign.
    pub microseconds: i64,
}

/// An array of any number of dimensions; empty arrays have none.
#[derive(Clone, Debug)]
pub struct Array {
    /// The elements' type.
    pub element: TypeId,
    /// Length and lower bound of each dimension, outermost first.
    pub dimensions: Vec<ArrayDimension>,
    /// The elements, last dimension fastest.
    pub elements: Vec<Value>,
}

/// Most dimensions that an array has.
pub const MAX_DIMENSIONS: usize = 6;

/// One dimension of an [`Array`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayDimension {
    /// How many elements.
    pub length: i32,
    /// The first subscript, 1 unless said otherwise.
    pub lower: i32,
}

impl Array {
    /// A one-dimensional array with lower bound 1.
    pub fn from_elements(element: TypeId, elements: Vec<Value>) -> Array {
        let dimensions = match i32::try_from(elements.len()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(length) => vec![ArrayDimension { length, lower: 1 }],
        };
        Array { element, dimensions, elements }
    }

    /// An `int2vector` or `oidvector`: its first subscript is 0.
    pub fn vector(element: TypeId, elements: Vec<Value>) -> Array {
        let mut array = Array::from_elements(element, elements);
        array.dimensions.iter_mut().for_each(|dimension| dimension.lower = 0);
        array
    }
}

impl Clone for Value {
    /// Plain values, what hot code is made of, are copied as words; the rest costs a call.
    #[inline]
    fn clone(&self) -> Value {
        if self.is_plain() {
            // SAFETY: a plain value owns nothing, so a copy of its words is a value like it.
            return unsafe { std::ptr::read(self) };
        }
        clone_other(self)
    }
}

#[inline(never)]
fn clone_other(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(v) => Value::Bool(*v),
        Value::Int2(v) => Value::Int2(*v),
        Value::Int4(v) => Value::Int4(*v),
        Value::Int8(v) => Value::Int8(*v),
        Value::Float4(v) => Value::Float4(*v),
        Value::Float8(v) => Value::Float8(*v),
        Value::Oid(v) => Value::Oid(*v),
        Value::Date(v) => Value::Date(*v),
        Value::Time(v) => Value::Time(*v),
        Value::Timestamp(v) => Value::Timestamp(*v),
        Value::Timestamptz(v) => Value::Timestamptz(*v),
        Value::Interval(v) => Value::Interval(v.clone()),
        Value::Numeric(v) => Value::Numeric(v.clone()),
        Value::Text(v) => Value::Text(v.clone()),
        Value::Bytea(v) => Value::Bytea(v.clone()),
        Value::Uuid(v) => Value::Uuid(v.clone()),
        Value::Jsonb(v) => Value::Jsonb(v.clone()),
        Value::Array(v) => Value::Array(v.clone()),
        Value::Record(v) => Value::Record(v.clone()),
        Value::Enum(v) => Value::Enum(*v),
    }
}

impl Value {
    /// Whether this is NULL.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it lies in its own words wholly, so that it needs no drop.
    #[inline]
    pub fn is_plain(&self) -> bool {
        matches!(
            self,
            Value::Null
                | Value::Bool(_)
                | Value::Int2(_)
                | Value::Int4(_)
                | Value::Int8(_)
                | Value::Float4(_)
                | Value::Float8(_)
                | Value::Oid(_)
                | Value::Date(_)
                | Value::Time(_)
                | Value::Timestamp(_)
                | Value::Timestamptz(_)
                | Value::Enum(_)
        )
    }

    /// A text value.
    pub fn text(text: impl Into<EcoString>) -> Value {
        Value::Text(text.into())
    }

    /// A byte string.
    pub fn bytea(bytes: impl Into<Arc<[u8]>>) -> Value {
        Value::Bytea(bytes.into())
    }

    /// The integer in an `int2`, `int4` or `int8`.
    #[inline]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int2(v) => Some(i64::from(*v)),
            Value::Int4(v) => Some(i64::from(*v)),
            Value::Int8(v) => Some(*v),
            _ => None,
        }
    }

    /// The text in a text-like value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, `None` for NULL and for other types.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(v) => Some(*v),
            _ => None,
        }
    }
}
