//! `numeric`: arithmetic, rounding, conversions from and to the other numbers, `generate_series`.

use tuplix_types::{Numeric, Result, Row, SqlError, SqlState, Value, sqlstate};

use super::args::{from_numeric, int, int4, numeric};
use super::{Scalars, Sets};
use crate::registry::SetRows;

/// A whole number as `numeric`.
pub(crate) fn from_i128(value: i128) -> Numeric {
    Numeric::small(value, 0)
}

struct Series {
    next: Numeric,
    stop: Numeric,
    step: Numeric,
}

impl SetRows for Series {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        let past = if self.step > Numeric::ZERO { self.next > self.stop } else { self.next < self.stop };
        if past {
            return Ok(false);
        }
        let following = self.next.add(&self.step)?;
        row.clear();
        row.push(from_numeric(std::mem::replace(&mut self.next, following)));
        Ok(true)
    }
}

fn series(a: &[Value]) -> Result<Box<dyn SetRows>> {
    let (start, stop) = (numeric(a, 0)?.clone(), numeric(a, 1)?.clone());
    let step = if a.len() > 2 { numeric(a, 2)?.clone() } else { Numeric::ONE };
    for (value, name) in [(&start, "start"), (&stop, "stop"), (&step, "step size")] {
        let what = if value.is_nan() { "NaN" } else { "infinity" };
        if !value.is_finite() {
            let name = if name == "step size" { name.to_owned() } else { format!("{name} value") };
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, format!("{name} cannot be {what}")));
        }
    }
    if step.is_zero() {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Series { next: start, stop, step }))
}

fn gcd(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if !left.is_finite() || !right.is_finite() {
        return Ok(Numeric::NAN);
    }
    let (mut x, mut y) = (left.abs(), right.abs());
    while !y.is_zero() {
        (x, y) = (y.clone(), x.rem(&y)?);
    }
    with_scale(x, left, right)
}

fn lcm(left: &Numeric, right: &Numeric) -> Result<Numeric> {
    if !left.is_finite() || !right.is_finite() {
        return Ok(Numeric::NAN);
    }
    if left.is_zero() || right.is_zero() {
        return with_scale(Numeric::ZERO, left, right);
    }
    with_scale(left.div_trunc(&gcd(left, right)?)?.mul(right)?.abs(), left, right)
}

/// The number shown to the larger scale of two.
fn with_scale(value: Numeric, left: &Numeric, right: &Numeric) -> Result<Numeric> {
    value.round(left.scale().max(right.scale()).map_or(0, |scale| scale as i32))
}

fn with_typmod(value: &Numeric, typmod: i32) -> Result<Value> {
    Ok(from_numeric(if typmod < 0 { value.clone() } else { value.with_typmod(typmod)? }))
}

fn integer(a: &[Value]) -> Result<Value> {
    Ok(from_numeric(from_i128(i128::from(super::args::int(a, 0)?))))
}

/// `factorial`, which PostgreSQL bounds by what fits `numeric`.
fn factorial(number: i64) -> Result<Numeric> {
    let refuse = |message: &str| Err(SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message));
    if number < 0 {
        return refuse("factorial of a negative number is undefined");
    }
    if number > 32_177 {
        return refuse("value overflows numeric format");
    }
    (2..=number).try_fold(Numeric::ONE, |product, factor| product.mul(&from_i128(i128::from(factor))))
}

const INVALID_WIDTH_BUCKET: SqlState = SqlState(*b"2201G");

/// What `width_bucket` refuses before it looks at the numbers.
fn check_buckets(count: i32, any_nan: bool, infinite_bound: bool, same: bool) -> Result<i32> {
    let refuse = |message: &str| Err(SqlError::new(INVALID_WIDTH_BUCKET, message));
    if count <= 0 {
        return refuse("count must be greater than zero");
    }
    if any_nan {
        return refuse("operand, lower bound, and upper bound cannot be NaN");
    }
    if infinite_bound {
        return refuse("lower and upper bounds must be finite");
    }
    if same {
        return refuse("lower bound cannot equal upper bound");
    }
    count.checked_add(1).ok_or_else(|| super::args::out_of_range("integer"))
}

/// The bucket of a number, of `count` of the same width between two bounds, which may be in any order.
fn width_bucket(a: &[Value]) -> Result<Value> {
    let (value, from, to, count) = (numeric(a, 0)?, numeric(a, 1)?, numeric(a, 2)?, int4(a, 3)?);
    let any_nan = value.is_nan() || from.is_nan() || to.is_nan();
    let above = check_buckets(count, any_nan, !from.is_finite() || !to.is_finite(), from == to)?;
    let (before, after, distance, width) = if from < to {
        (value < from, value >= to, value.sub(from)?, to.sub(from)?)
    } else {
        (value > from, value <= to, from.sub(value)?, from.sub(to)?)
    };
    if before || after {
        return Ok(Value::Int4(if before { 0 } else { above }));
    }
    let bucket = distance.mul(&from_i128(i128::from(count)))?.div_trunc(&width)?.to_i32()?;
    Ok(Value::Int4(bucket.min(count - 1) + 1))
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("numeric_add", |_, a| Ok(from_numeric(numeric(a, 0)?.add(numeric(a, 1)?)?))),
    ("numeric_sub", |_, a| Ok(from_numeric(numeric(a, 0)?.sub(numeric(a, 1)?)?))),
    ("numeric_mul", |_, a| Ok(from_numeric(numeric(a, 0)?.mul(numeric(a, 1)?)?))),
    ("numeric_div", |_, a| Ok(from_numeric(numeric(a, 0)?.div(numeric(a, 1)?)?))),
    ("numeric_div_trunc", |_, a| Ok(from_numeric(numeric(a, 0)?.div_trunc(numeric(a, 1)?)?))),
    ("numeric_mod", |_, a| Ok(from_numeric(numeric(a, 0)?.rem(numeric(a, 1)?)?))),
    ("numeric_uminus", |_, a| Ok(from_numeric(numeric(a, 0)?.neg()))),
    ("numeric_uplus", |_, a| Ok(a[0].clone())),
    ("numeric_inc", |_, a| Ok(from_numeric(numeric(a, 0)?.add(&Numeric::ONE)?))),
    ("numeric_abs", |_, a| Ok(from_numeric(numeric(a, 0)?.abs()))),
    ("numeric_sign", |_, a| Ok(from_numeric(numeric(a, 0)?.sign()))),
    ("numeric_round", |_, a| Ok(from_numeric(numeric(a, 0)?.round(int4(a, 1)?)?))),
    ("round_numeric", |_, a| Ok(from_numeric(numeric(a, 0)?.round(0)?))),
    ("numeric_trunc", |_, a| Ok(from_numeric(numeric(a, 0)?.trunc(int4(a, 1)?)?))),
    ("trunc_numeric", |_, a| Ok(from_numeric(numeric(a, 0)?.trunc(0)?))),
    ("numeric_ceil", |_, a| Ok(from_numeric(numeric(a, 0)?.ceil()?))),
    ("numeric_floor", |_, a| Ok(from_numeric(numeric(a, 0)?.floor()?))),
    ("numeric_scale", |_, a| {
        Ok(numeric(a, 0)?.scale().map_or(Value::Null, |scale| Value::Int4(scale as i32)))
    }),
    ("numeric_min_scale", |_, a| {
        Ok(numeric(a, 0)?.min_scale().map_or(Value::Null, |s| Value::Int4(s as i32)))
    }),
    ("numeric_trim_scale", |_, a| Ok(from_numeric(numeric(a, 0)?.trim_scale()?))),
    ("numeric_sqrt", |_, a| Ok(from_numeric(numeric(a, 0)?.sqrt()?))),
    ("numeric_exp", |_, a| Ok(from_numeric(numeric(a, 0)?.exp()?))),
    ("numeric_ln", |_, a| Ok(from_numeric(numeric(a, 0)?.ln()?))),
    ("numeric_log", |_, a| Ok(from_numeric(Numeric::log(numeric(a, 0)?, numeric(a, 1)?)?))),
    ("log_numeric", |_, a| Ok(from_numeric(Numeric::log(&from_i128(10), numeric(a, 0)?)?))),
    ("log10_numeric", |_, a| Ok(from_numeric(Numeric::log(&from_i128(10), numeric(a, 0)?)?))),
    ("numeric_power", |_, a| Ok(from_numeric(numeric(a, 0)?.power(numeric(a, 1)?)?))),
    ("numeric_fac", |_, a| Ok(from_numeric(factorial(int(a, 0)?)?))),
    ("width_bucket_numeric", |_, a| width_bucket(a)),
    ("numeric_gcd", |_, a| gcd(numeric(a, 0)?, numeric(a, 1)?).map(from_numeric)),
    ("numeric_lcm", |_, a| lcm(numeric(a, 0)?, numeric(a, 1)?).map(from_numeric)),
    ("numeric", |_, a| with_typmod(numeric(a, 0)?, int4(a, 1)?)),
    ("numeric_int2", |_, a| numeric(a, 0)?.to_i16().map(Value::Int2)),
    ("numeric_int4", |_, a| numeric(a, 0)?.to_i32().map(Value::Int4)),
    ("numeric_int8", |_, a| numeric(a, 0)?.to_i64().map(Value::Int8)),
    ("numeric_float8", |_, a| numeric(a, 0)?.to_f64().map(Value::Float8)),
    ("numeric_float4", |_, a| numeric(a, 0)?.to_f32().map(Value::Float4)),
    ("int2_numeric", |_, a| integer(a)),
    ("int4_numeric", |_, a| integer(a)),
    ("int8_numeric", |_, a| integer(a)),
    ("float8_numeric", |_, a| Ok(from_numeric(Numeric::from_f64(super::args::float8(a, 0)?)?))),
    ("float4_numeric", |_, a| Ok(from_numeric(Numeric::from_f32(super::args::float4(a, 0)?)?))),
];

pub(crate) const SETS: Sets =
    &[("generate_series_numeric", |_, a| series(a)), ("generate_series_step_numeric", |_, a| series(a))];
