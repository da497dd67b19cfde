//! `real` and `double precision`: arithmetic with PostgreSQL's overflow and underflow errors, mathematics, conversions.

use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use super::Scalars;
use super::args::{division_by_zero, float, float8, int, out_of_range};

fn overflow() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn error(state: SqlState, message: &str) -> SqlError {
    SqlError::new(state, message)
}

/// An infinity that no operand was is an overflow.
fn no_overflow(result: f64, operands: &[f64]) -> Result<f64> {
    if result.is_infinite() && !operands.iter().any(|v| v.is_infinite()) {
        Err(overflow())
    } else {
        Ok(result)
    }
}

/// A result in the narrower type, with its own overflow and underflow.
fn narrow(result: f64) -> Result<Value> {
    let narrowed = result as f32;
    if narrowed.is_infinite() && !result.is_infinite() {
        return Err(overflow());
    }
    if narrowed == 0.0 && result != 0.0 {
        return Err(underflow());
    }
    Ok(Value::Float4(narrowed))
}

fn wide(result: f64) -> Result<Value> {
    Ok(Value::Float8(result))
}

fn add(a: &[Value]) -> Result<f64> {
    let (x, y) = (float(a, 0)?, float(a, 1)?);
    no_overflow(x + y, &[x, y])
}

fn subtract(a: &[Value]) -> Result<f64> {
    let (x, y) = (float(a, 0)?, float(a, 1)?);
    no_overflow(x - y, &[x, y])
}

fn multiply(a: &[Value]) -> Result<f64> {
    let (x, y) = (float(a, 0)?, float(a, 1)?);
    let result = no_overflow(x * y, &[x, y])?;
    if result == 0.0 && x != 0.0 && y != 0.0 { Err(underflow()) } else { Ok(result) }
}

fn divide(a: &[Value]) -> Result<f64> {
    let (x, y) = (float(a, 0)?, float(a, 1)?);
    if y == 0.0 && !x.is_nan() {
        return Err(division_by_zero());
    }
    let result = no_overflow(x / y, &[x])?;
    if result == 0.0 && x != 0.0 && !y.is_infinite() { Err(underflow()) } else { Ok(result) }
}

/// `real` with `real` rounds once, from the exact sum or product: `f64` holds those of two `f32` closely enough
/// that rounding twice gives the same.
macro_rules! arithmetic {
    ($prefix:literal, $finish:ident) => {
        [
            (concat!($prefix, "pl"), |_, a| $finish(add(a)?)),
            (concat!($prefix, "mi"), |_, a| $finish(subtract(a)?)),
            (concat!($prefix, "mul"), |_, a| $finish(multiply(a)?)),
            (concat!($prefix, "div"), |_, a| $finish(divide(a)?)),
        ]
    };
}

pub(crate) const FLOAT4: [(&str, crate::registry::ScalarFn); 4] = arithmetic!("float4", narrow);
pub(crate) const FLOAT8: [(&str, crate::registry::ScalarFn); 4] = arithmetic!("float8", wide);
pub(crate) const FLOAT48: [(&str, crate::registry::ScalarFn); 4] = arithmetic!("float48", wide);
pub(crate) const FLOAT84: [(&str, crate::registry::ScalarFn); 4] = arithmetic!("float84", wide);

fn power(x: f64, y: f64) -> Result<f64> {
    if x.is_nan() || y.is_nan() {
        return Ok(if y == 0.0 || x == 1.0 { 1.0 } else { f64::NAN });
    }
    if x == 0.0 && y < 0.0 {
        let message = "zero raised to a negative power is undefined";
        return Err(error(sqlstate::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    if x < 0.0 && y.is_finite() && y.floor() != y {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(error(sqlstate::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    let result = x.powf(y);
    if result.is_infinite() && x.is_finite() && y.is_finite() {
        return Err(overflow());
    }
    if result == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
        return Err(underflow());
    }
    Ok(result)
}

fn logarithm(x: f64, log: fn(f64) -> f64) -> Result<Value> {
    if x == 0.0 {
        return Err(error(sqlstate::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero"));
    }
    if x < 0.0 {
        return Err(error(
            sqlstate::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of a negative number",
        ));
    }
    wide(log(x))
}

fn square_root(x: f64) -> Result<Value> {
    if x < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(error(sqlstate::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    wide(x.sqrt())
}

fn exponential(x: f64) -> Result<Value> {
    let result = x.exp();
    if result.is_infinite() && x.is_finite() {
        return Err(overflow());
    }
    if result == 0.0 && x.is_finite() {
        return Err(underflow());
    }
    wide(result)
}

fn input_out_of_range() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// A function that is defined for finite numbers only.
fn finite_only(x: f64, f: fn(f64) -> f64) -> Result<Value> {
    if x.is_infinite() { Err(input_out_of_range()) } else { wide(f(x)) }
}

/// A function that is defined between two bounds.
fn between(x: f64, low: f64, high: f64, f: fn(f64) -> f64) -> Result<Value> {
    if x < low || x > high { Err(input_out_of_range()) } else { wide(f(x)) }
}

fn growing(x: f64, f: fn(f64) -> f64) -> Result<Value> {
    wide(no_overflow(f(x), &[x])?)
}

fn to_int(x: f64, low: f64, high: f64, type_name: &str) -> Result<i64> {
    let rounded = x.round_ties_even();
    // `high` is a power of two and not itself in range.
    if rounded >= low && rounded < high { Ok(rounded as i64) } else { Err(out_of_range(type_name)) }
}

fn to_int2(x: f64) -> Result<Value> {
    Ok(Value::Int2(to_int(x, -32_768.0, 32_768.0, "smallint")? as i16))
}

fn to_int4(x: f64) -> Result<Value> {
    Ok(Value::Int4(to_int(x, -2_147_483_648.0, 2_147_483_648.0, "integer")? as i32))
}

fn to_int8(x: f64) -> Result<Value> {
    Ok(Value::Int8(to_int(x, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, "bigint")?))
}

fn width_bucket(a: &[Value]) -> Result<Value> {
    let (operand, low, high, count) = (float8(a, 0)?, float8(a, 1)?, float8(a, 2)?, int(a, 3)?);
    let fail = |message: &str| Err(error(WIDTH_BUCKET, message));
    if count <= 0 {
        return fail("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return fail("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return fail("lower and upper bounds must be finite");
    }
    if low == high {
        return fail("lower bound cannot equal upper bound");
    }
    let (from, to, at) = if low < high { (low, high, operand) } else { (-low, -high, -operand) };
    let bucket = if at < from {
        0
    } else if at >= to {
        count + 1
    } else {
        ((count as f64 * ((at - from) / (to - from))) as i64).min(count - 1) + 1
    };
    i32::try_from(bucket).map(Value::Int4).map_err(|_| out_of_range("integer"))
}

const WIDTH_BUCKET: SqlState = SqlState(*b"2201G");

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("float4um", |_, a| Ok(Value::Float4(-super::args::float4(a, 0)?))),
    ("float8um", |_, a| wide(-float8(a, 0)?)),
    ("float4up", |_, a| Ok(a[0].clone())),
    ("float8up", |_, a| Ok(a[0].clone())),
    ("float4abs", |_, a| Ok(Value::Float4(super::args::float4(a, 0)?.abs()))),
    ("float8abs", |_, a| wide(float8(a, 0)?.abs())),
    ("dround", |_, a| wide(float8(a, 0)?.round_ties_even())),
    ("dtrunc", |_, a| wide(float8(a, 0)?.trunc())),
    ("dceil", |_, a| wide(float8(a, 0)?.ceil())),
    ("dfloor", |_, a| wide(float8(a, 0)?.floor())),
    ("dsign", |_, a| wide(sign(float8(a, 0)?))),
    ("dsqrt", |_, a| square_root(float8(a, 0)?)),
    ("dcbrt", |_, a| wide(float8(a, 0)?.cbrt())),
    ("dpow", |_, a| wide(power(float8(a, 0)?, float8(a, 1)?)?)),
    ("dexp", |_, a| exponential(float8(a, 0)?)),
    ("dlog1", |_, a| logarithm(float8(a, 0)?, f64::ln)),
    ("dlog10", |_, a| logarithm(float8(a, 0)?, f64::log10)),
    ("dsin", |_, a| finite_only(float8(a, 0)?, f64::sin)),
    ("dcos", |_, a| finite_only(float8(a, 0)?, f64::cos)),
    ("dtan", |_, a| finite_only(float8(a, 0)?, f64::tan)),
    ("dcot", |_, a| finite_only(float8(a, 0)?, |x| 1.0 / x.tan())),
    ("dasin", |_, a| between(float8(a, 0)?, -1.0, 1.0, f64::asin)),
    ("dacos", |_, a| between(float8(a, 0)?, -1.0, 1.0, f64::acos)),
    ("datan", |_, a| wide(float8(a, 0)?.atan())),
    ("datan2", |_, a| wide(float8(a, 0)?.atan2(float8(a, 1)?))),
    ("dsinh", |_, a| wide(float8(a, 0)?.sinh())),
    ("dcosh", |_, a| wide(float8(a, 0)?.cosh())),
    ("dtanh", |_, a| wide(float8(a, 0)?.tanh())),
    ("dasinh", |_, a| wide(float8(a, 0)?.asinh())),
    ("dacosh", |_, a| between(float8(a, 0)?, 1.0, f64::INFINITY, f64::acosh)),
    ("datanh", |_, a| between(float8(a, 0)?, -1.0, 1.0, f64::atanh)),
    ("degrees", |_, a| growing(float8(a, 0)?, |x| x / (std::f64::consts::PI / 180.0))),
    ("radians", |_, a| growing(float8(a, 0)?, |x| x * (std::f64::consts::PI / 180.0))),
    ("dpi", |_, _| wide(std::f64::consts::PI)),
    ("drandom", |ctx, _| wide(ctx.moment.random().wrapping_shr(11) as f64 / 9_007_199_254_740_992.0)),
    ("width_bucket_float8", |_, a| width_bucket(a)),
    ("i2tod", |_, a| wide(int(a, 0)? as f64)),
    ("i4tod", |_, a| wide(int(a, 0)? as f64)),
    ("i8tod", |_, a| wide(int(a, 0)? as f64)),
    ("i2tof", |_, a| Ok(Value::Float4(int(a, 0)? as f32))),
    ("i4tof", |_, a| Ok(Value::Float4(int(a, 0)? as f32))),
    ("i8tof", |_, a| Ok(Value::Float4(int(a, 0)? as f32))),
    ("dtoi2", |_, a| to_int2(float(a, 0)?)),
    ("ftoi2", |_, a| to_int2(float(a, 0)?)),
    ("dtoi4", |_, a| to_int4(float(a, 0)?)),
    ("ftoi4", |_, a| to_int4(float(a, 0)?)),
    ("dtoi8", |_, a| to_int8(float(a, 0)?)),
    ("ftoi8", |_, a| to_int8(float(a, 0)?)),
    ("ftod", |_, a| wide(float(a, 0)?)),
    ("dtof", |_, a| narrow(float8(a, 0)?)),
];
