//! `sum` and `avg`, `variance` and `stddev` in their forms.
//!
//! Integers are summed in 128 bits and exact numbers exactly, so the order of rows does not matter; floats
//! are summed in the order of rows by Youngs and Cramer's method, as PostgreSQL does.

use num_bigint::BigInt;
use tuplix_types::{Numeric, Result, SqlError, Value, sqlstate};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;
use crate::builtin::args::{float, from_interval, from_numeric, interval, numeric, out_of_range};
use crate::builtin::numeric::from_i128;

type Context<'c, 'a> = &'c mut CallContext<'a>;

/// `sum(smallint)` and `sum(integer)` are `bigint`.
fn sum_to_int8(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    let Some(value) = args[0].as_i64() else { return Ok(()) };
    match state {
        AggregateState::Empty => *state = AggregateState::Count(value),
        AggregateState::Count(sum) => *sum = sum.checked_add(value).ok_or_else(|| out_of_range("bigint"))?,
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn finish_int8(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Count(sum) => Ok(Value::Int8(sum)),
        _ => Err(mixed_up()),
    }
}

fn add_integer(state: &mut AggregateState, args: &[Value], with_squares: bool) -> Result<()> {
    let Some(value) = args[0].as_i64() else { return Ok(()) };
    if matches!(state, AggregateState::Empty) {
        *state = AggregateState::Integers { sum: 0, squares: with_squares.then(BigInt::default), count: 0 };
    }
    let AggregateState::Integers { sum, squares, count } = state else { return Err(mixed_up()) };
    // 2^63 rows of 2^63 stay below 2^127.
    *sum += i128::from(value);
    *count += 1;
    if let Some(squares) = squares {
        *squares += i128::from(value) * i128::from(value);
    }
    Ok(())
}

fn add_numeric(state: &mut AggregateState, args: &[Value], with_squares: bool) -> Result<()> {
    if args[0].is_null() {
        return Ok(());
    }
    let value = numeric(args, 0)?;
    if matches!(state, AggregateState::Empty) {
        let squares = with_squares.then_some(Numeric::ZERO);
        *state = AggregateState::Numerics { sum: Numeric::ZERO, squares, count: 0, of_scale: 0 };
    }
    let AggregateState::Numerics { sum, squares, count, of_scale } = state else { return Err(mixed_up()) };
    match value.scale().cmp(&sum.scale()) {
        std::cmp::Ordering::Greater => *of_scale = 1,
        std::cmp::Ordering::Equal => *of_scale += 1,
        std::cmp::Ordering::Less => {}
    }
    *sum = sum.add(value)?;
    *count += 1;
    if let Some(squares) = squares {
        *squares = squares.add(&value.mul(value)?)?;
    }
    Ok(())
}

/// What was summed, exactly: the sum, the sum of squares, the number of values.
fn exact(state: AggregateState) -> Result<Option<(Numeric, Numeric, i64)>> {
    match state {
        AggregateState::Empty => Ok(None),
        AggregateState::Integers { sum, squares, count } => {
            Ok(Some((from_i128(sum), Numeric::new(squares.unwrap_or_default(), 0), count)))
        }
        AggregateState::Numerics { sum, squares, count, .. } => {
            Ok(Some((sum, squares.unwrap_or(Numeric::ZERO), count)))
        }
        _ => Err(mixed_up()),
    }
}

fn finish_sum(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    Ok(exact(state)?.map_or(Value::Null, |(sum, ..)| from_numeric(sum)))
}

fn finish_average(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match exact(state)? {
        None => Ok(Value::Null),
        Some((sum, _, count)) => Ok(from_numeric(sum.div(&from_i128(i128::from(count)))?)),
    }
}

/// Which statistic of the squared differences.
#[derive(Clone, Copy)]
struct Spread {
    sample: bool,
    root: bool,
}

fn finish_exact_spread(state: AggregateState, spread: Spread) -> Result<Value> {
    let Some((sum, squares, count)) = exact(state)? else { return Ok(Value::Null) };
    if spread.sample && count <= 1 {
        return Ok(Value::Null);
    }
    if !sum.is_finite() {
        return Ok(from_numeric(Numeric::NAN));
    }
    let rows = from_i128(i128::from(count));
    let difference = squares.mul(&rows)?.sub(&sum.mul(&sum)?)?;
    if difference <= Numeric::ZERO {
        return Ok(from_numeric(Numeric::ZERO));
    }
    let others = if spread.sample { from_i128(i128::from(count) - 1) } else { rows.clone() };
    let variance = difference.div(&rows.mul(&others)?)?;
    if spread.root { root(&variance).map(from_numeric) } else { Ok(from_numeric(variance)) }
}

/// The square root to the number's own scale, which the division has chosen.
fn root(value: &Numeric) -> Result<Numeric> {
    let Some((unscaled, scale)) = value.parts() else { return Ok(Numeric::NAN) };
    // floor(sqrt(u * 10^(2s+2-s))) has one digit more than shown, so that it rounds right.
    let shifted = unscaled * BigInt::from(10).pow(scale + 2);
    Numeric::new(shifted.sqrt(), scale + 1).round(scale as i32)
}

fn float_overflow() -> SqlError {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn add_float(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() {
        return Ok(());
    }
    let value = float(args, 0)?;
    if matches!(state, AggregateState::Empty) {
        *state = AggregateState::Floats { count: 0.0, sum: 0.0, squares: 0.0 };
    }
    let AggregateState::Floats { count, sum, squares } = state else { return Err(mixed_up()) };
    let before = *sum;
    *count += 1.0;
    *sum += value;
    if *count > 1.0 {
        let difference = value * *count - *sum;
        *squares += difference * difference / (*count * (*count - 1.0));
        if sum.is_infinite() || squares.is_infinite() {
            if !before.is_infinite() && !value.is_infinite() {
                return Err(float_overflow());
            }
            *squares = f64::NAN;
        }
    } else if !value.is_finite() {
        *squares = f64::NAN;
    }
    Ok(())
}

fn floats(state: AggregateState) -> Result<Option<(f64, f64, f64)>> {
    match state {
        AggregateState::Empty => Ok(None),
        AggregateState::Floats { count, sum, squares } => Ok(Some((count, sum, squares))),
        _ => Err(mixed_up()),
    }
}

fn finish_float_average(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    Ok(floats(state)?.map_or(Value::Null, |(count, sum, _)| Value::Float8(sum / count)))
}

fn finish_float_spread(state: AggregateState, spread: Spread) -> Result<Value> {
    let Some((count, _, squares)) = floats(state)? else { return Ok(Value::Null) };
    let rows = if spread.sample { count - 1.0 } else { count };
    if rows <= 0.0 {
        return Ok(Value::Null);
    }
    let variance = squares / rows;
    Ok(Value::Float8(if spread.root { variance.sqrt() } else { variance }))
}

/// Adds with an operator's function and keeps the sum in the argument's type.
fn add_with(
    state: &mut AggregateState,
    args: &[Value],
    add: impl Fn(&Value, &Value) -> Result<Value>,
) -> Result<()> {
    match state {
        _ if args[0].is_null() => {}
        AggregateState::Empty => *state = AggregateState::Counted(args[0].clone(), 1),
        AggregateState::Counted(sum, count) => {
            *sum = add(sum, &args[0])?;
            *count += 1;
        }
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn sum_float4(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    add_with(state, args, |sum, value| match (sum, value) {
        (Value::Float4(a), Value::Float4(b)) if (a + b).is_infinite() && a.is_finite() && b.is_finite() => {
            Err(float_overflow())
        }
        (Value::Float4(a), Value::Float4(b)) => Ok(Value::Float4(a + b)),
        _ => Err(mixed_up()),
    })
}

fn sum_float8(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    add_with(state, args, |sum, value| match (sum, value) {
        (Value::Float8(a), Value::Float8(b)) if (a + b).is_infinite() && a.is_finite() && b.is_finite() => {
            Err(float_overflow())
        }
        (Value::Float8(a), Value::Float8(b)) => Ok(Value::Float8(a + b)),
        _ => Err(mixed_up()),
    })
}

fn sum_interval(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    add_with(state, args, |sum, value| {
        let both = [sum.clone(), value.clone()];
        Ok(from_interval(interval(&both, 0)?.add(interval(&both, 1)?)?))
    })
}

fn finish_counted(state: AggregateState, average: bool) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Counted(Value::Interval(sum), count) if average => {
            Ok(from_interval(sum.divide(count as f64)?))
        }
        AggregateState::Counted(sum, _) => Ok(sum),
        _ => Err(mixed_up()),
    }
}

const INTEGER_AVERAGE: Code = Code { step: |s, _, a| add_integer(s, a, false), finish: finish_average };
const NUMERIC_AVERAGE: Code = Code { step: |s, _, a| add_numeric(s, a, false), finish: finish_average };
const FLOAT_AVERAGE: Code = Code { step: add_float, finish: finish_float_average };

/// A statistic over the six number types.
macro_rules! spread {
    ($name:literal, $sample:literal, $root:literal) => {{
        const SPREAD: Spread = Spread { sample: $sample, root: $root };
        const INTEGER: Code =
            Code { step: |s, _, a| add_integer(s, a, true), finish: |s, _| finish_exact_spread(s, SPREAD) };
        const EXACT: Code =
            Code { step: |s, _, a| add_numeric(s, a, true), finish: |s, _| finish_exact_spread(s, SPREAD) };
        const FLOAT: Code = Code { step: add_float, finish: |s, _| finish_float_spread(s, SPREAD) };
        [
            (concat!($name, "_int2"), INTEGER),
            (concat!($name, "_int4"), INTEGER),
            (concat!($name, "_int8"), INTEGER),
            (concat!($name, "_numeric"), EXACT),
            (concat!($name, "_float4"), FLOAT),
            (concat!($name, "_float8"), FLOAT),
        ]
    }};
}

const SPREADS: [[(&str, Code); 6]; 6] = [
    spread!("variance", true, false),
    spread!("var_samp", true, false),
    spread!("var_pop", false, false),
    spread!("stddev", true, true),
    spread!("stddev_samp", true, true),
    spread!("stddev_pop", false, true),
];

pub(super) const STATISTICS: Table = SPREADS.as_flattened();

pub(super) const AGGREGATES: Table = &[
    ("sum_int2", Code { step: sum_to_int8, finish: finish_int8 }),
    ("sum_int4", Code { step: sum_to_int8, finish: finish_int8 }),
    ("sum_int8", Code { step: |s, _, a| add_integer(s, a, false), finish: finish_sum }),
    ("sum_numeric", Code { step: |s, _, a| add_numeric(s, a, false), finish: finish_sum }),
    ("sum_float4", Code { step: sum_float4, finish: |s, _| finish_counted(s, false) }),
    ("sum_float8", Code { step: sum_float8, finish: |s, _| finish_counted(s, false) }),
    ("sum_interval", Code { step: sum_interval, finish: |s, _| finish_counted(s, false) }),
    ("avg_int2", INTEGER_AVERAGE),
    ("avg_int4", INTEGER_AVERAGE),
    ("avg_int8", INTEGER_AVERAGE),
    ("avg_numeric", NUMERIC_AVERAGE),
    ("avg_float4", FLOAT_AVERAGE),
    ("avg_float8", FLOAT_AVERAGE),
    ("avg_interval", Code { step: sum_interval, finish: |s, _| finish_counted(s, true) }),
];
