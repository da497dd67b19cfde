//! Taking arguments out of [`Value`]s. A value of the wrong variant is a bug of the plan, told as XX000.

use std::sync::Arc;

use ecow::EcoString;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, Interval, Numeric, Result, SqlError, Value, sqlstate};

#[cold]
fn wrong(value: &Value, at: usize, wanted: &str) -> SqlError {
    SqlError::internal(format!("argument {} of a function is {value:?} and not of type {wanted}", at + 1))
}

macro_rules! takers {
    ($($name:ident, $variant:ident, $type:ty, $wanted:literal;)*) => {
        $(
            #[doc = concat!("The `", $wanted, "` argument at a place.")]
            #[inline]
            pub(crate) fn $name(args: &[Value], at: usize) -> Result<$type> {
                match &args[at] {
                    Value::$variant(value) => Ok(*value),
                    other => Err(wrong(other, at, $wanted)),
                }
            }
        )*
    };
}

takers! {
    boolean, Bool, bool, "boolean";
    int4, Int4, i32, "integer";
    int8, Int8, i64, "bigint";
    float4, Float4, f32, "real";
    float8, Float8, f64, "double precision";
    oid, Oid, u32, "oid";
    date, Date, i32, "date";
    time, Time, i64, "time";
}

macro_rules! borrowers {
    ($($name:ident, $variant:ident, $type:ty, $wanted:literal;)*) => {
        $(
            #[doc = concat!("The `", $wanted, "` argument at a place.")]
            #[inline]
            pub(crate) fn $name(args: &[Value], at: usize) -> Result<&$type> {
                match &args[at] {
                    Value::$variant(value) => Ok(value),
                    other => Err(wrong(other, at, $wanted)),
                }
            }
        )*
    };
}

borrowers! {
    text, Text, EcoString, "text";
    bytea, Bytea, Arc<[u8]>, "bytea";
    numeric, Numeric, Numeric, "numeric";
    interval, Interval, Interval, "interval";
    uuid, Uuid, [u8; 16], "uuid";
    jsonb, Jsonb, Jsonb, "jsonb";
    array, Array, Array, "an array";
}

/// The integer argument of any width at a place.
#[inline]
pub(crate) fn int(args: &[Value], at: usize) -> Result<i64> {
    args[at].as_i64().ok_or_else(|| wrong(&args[at], at, "integer"))
}

/// The `timestamp` or `timestamptz` argument at a place; several functions serve both.
#[inline]
pub(crate) fn timestamp(args: &[Value], at: usize) -> Result<i64> {
    match &args[at] {
        Value::Timestamp(value) | Value::Timestamptz(value) => Ok(*value),
        other => Err(wrong(other, at, "timestamp")),
    }
}

/// The float argument of either width at a place.
#[inline]
pub(crate) fn float(args: &[Value], at: usize) -> Result<f64> {
    match &args[at] {
        Value::Float8(value) => Ok(*value),
        Value::Float4(value) => Ok(f64::from(*value)),
        other => Err(wrong(other, at, "double precision")),
    }
}

/// An error of class 22.
#[cold]
pub(crate) fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

/// 22003.
#[cold]
pub(crate) fn out_of_range(type_name: &str) -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
}

/// 22012.
#[cold]
pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(sqlstate::DIVISION_BY_ZERO, "division by zero")
}

/// A `numeric` value.
pub(crate) fn from_numeric(value: Numeric) -> Value {
    Value::Numeric(Arc::new(value))
}

/// An `interval` value.
pub(crate) fn from_interval(value: Interval) -> Value {
    Value::Interval(Arc::new(value))
}

/// A `jsonb` value.
pub(crate) fn from_jsonb(value: Jsonb) -> Value {
    Value::Jsonb(Arc::new(value))
}

/// An array value.
pub(crate) fn from_array(value: Array) -> Value {
    Value::Array(Arc::new(value))
}
