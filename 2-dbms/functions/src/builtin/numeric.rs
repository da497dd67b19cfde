//! `numeric`: arithmetic, rounding, conversions from and to the other numbers, `generate_series`.

use num_bigint::BigInt;
use tuplix_types::{Numeric, Result, Row, SqlError, Value, sqlstate};

use super::args::{from_numeric, int4, numeric, out_of_range};
use super::{Scalars, Sets};
use crate::registry::SetRows;

/// A number as an integer of a type, rounded half away from zero.
fn to_integer(value: &Numeric, type_name: &str) -> Result<BigInt> {
    let cannot = |what: &str| {
        let message = format!("cannot convert {what} to {type_name}");
        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
    };
    if value.is_nan() {
        return Err(cannot("NaN"));
    }
    match value.round(0)?.parts() {
        Some((integer, _)) => Ok(integer),
        None => Err(cannot("infinity")),
    }
}

fn to_int8(value: &Numeric) -> Result<Value> {
    let integer = to_integer(value, "bigint")?;
    i64::try_from(integer).map(Value::Int8).map_err(|_| out_of_range("bigint"))
}

fn to_int4(value: &Numeric) -> Result<Value> {
    let integer = to_integer(value, "integer")?;
    i32::try_from(integer).map(Value::Int4).map_err(|_| out_of_range("integer"))
}

fn to_int2(value: &Numeric) -> Result<Value> {
    let integer = to_integer(value, "smallint")?;
    i16::try_from(integer).map(Value::Int2).map_err(|_| out_of_range("smallint"))
}

/// The number that a float shows with this many significant digits, as C's `%.15g` does.
pub(crate) fn from_float(value: f64, digits: usize) -> Result<Numeric> {
    if value.is_nan() {
        return Ok(Numeric::NAN);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY });
    }
    let shown = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    Numeric::parse(&format!("{mantissa}e{exponent}"))
}

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

fn with_typmod(value: &Numeric, typmod: i32) -> Result<Value> {
    Ok(from_numeric(if typmod < 0 { value.clone() } else { value.with_typmod(typmod)? }))
}

fn integer(a: &[Value]) -> Result<Value> {
    Ok(from_numeric(from_i128(i128::from(super::args::int(a, 0)?))))
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
    ("numeric_scale", |_, a| Ok(numeric(a, 0)?.scale().map_or(Value::Null, |scale| Value::Int4(scale as i32)))),
    ("numeric_min_scale", |_, a| Ok(numeric(a, 0)?.min_scale().map_or(Value::Null, |s| Value::Int4(s as i32)))),
    ("numeric_trim_scale", |_, a| Ok(from_numeric(numeric(a, 0)?.trim_scale()?))),
    ("numeric", |_, a| with_typmod(numeric(a, 0)?, int4(a, 1)?)),
    ("numeric_int2", |_, a| to_int2(numeric(a, 0)?)),
    ("numeric_int4", |_, a| to_int4(numeric(a, 0)?)),
    ("numeric_int8", |_, a| to_int8(numeric(a, 0)?)),
    ("numeric_float8", |_, a| tuplix_types::text_io::parse_float8(&numeric(a, 0)?.to_string()).map(Value::Float8)),
    ("numeric_float4", |_, a| tuplix_types::text_io::parse_float4(&numeric(a, 0)?.to_string()).map(Value::Float4)),
    ("int2_numeric", |_, a| integer(a)),
    ("int4_numeric", |_, a| integer(a)),
    ("int8_numeric", |_, a| integer(a)),
    ("float8_numeric", |_, a| Ok(from_numeric(from_float(super::args::float8(a, 0)?, 15)?))),
    ("float4_numeric", |_, a| Ok(from_numeric(from_float(f64::from(super::args::float4(a, 0)?), 6)?))),
];

pub(crate) const SETS: Sets = &[
    ("generate_series_numeric", |_, a| series(a)),
    ("generate_series_step_numeric", |_, a| series(a)),
];
