//! `count`, `min`, `max`, `bool_and`, `bool_or`, `every`, `bit_and`, `bit_or`, `bit_xor`.

use std::cmp::Ordering;

use tuplix_types::compare::{compare, compare_typed};
use tuplix_types::{Result, TypeId, Value};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;

type Context<'c, 'a> = &'c mut CallContext<'a>;

fn count_all(state: &mut AggregateState, _: Context<'_, '_>, _: &[Value]) -> Result<()> {
    match state {
        AggregateState::Count(count) => *count += 1,
        _ => *state = AggregateState::Count(1),
    }
    Ok(())
}

fn count_values(state: &mut AggregateState, context: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() { Ok(()) } else { count_all(state, context, args) }
}

fn finish_count(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Int8(0)),
        AggregateState::Count(count) => Ok(Value::Int8(count)),
        _ => Err(mixed_up()),
    }
}

/// NULL without rows, the kept value otherwise.
pub(super) fn finish_value(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Value(value) => Ok(value),
        _ => Err(mixed_up()),
    }
}

fn keep(state: &mut AggregateState, value: &Value, better: impl Fn(&Value, &Value) -> bool) -> Result<()> {
    match state {
        _ if value.is_null() => {}
        AggregateState::Empty => *state = AggregateState::Value(value.clone()),
        AggregateState::Value(best) if better(value, best) => *best = value.clone(),
        AggregateState::Value(_) => {}
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn max(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare(new, best) == Ordering::Greater)
}

fn min(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare(new, best) == Ordering::Less)
}

/// Of equal values that look different (`1.0` and `1.00`) the last one counts, as in PostgreSQL.
fn last_max(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare(new, best) != Ordering::Less)
}

fn last_min(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare(new, best) != Ordering::Greater)
}

fn max_bpchar(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare_typed(TypeId::BPCHAR, new, best) == Ordering::Greater)
}

fn min_bpchar(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    keep(state, &args[0], |new, best| compare_typed(TypeId::BPCHAR, new, best) == Ordering::Less)
}

fn combine(
    state: &mut AggregateState,
    value: &Value,
    with: impl Fn(&Value, &Value) -> Option<Value>,
) -> Result<()> {
    match state {
        _ if value.is_null() => {}
        AggregateState::Empty => *state = AggregateState::Value(value.clone()),
        AggregateState::Value(so_far) => *so_far = with(so_far, value).ok_or_else(mixed_up)?,
        _ => return Err(mixed_up()),
    }
    Ok(())
}

macro_rules! bits {
    ($op:tt) => {
        Code {
            step: |state, _, args| {
                combine(state, &args[0], |a, b| match (a, b) {
                    (Value::Int2(a), Value::Int2(b)) => Some(Value::Int2(a $op b)),
                    (Value::Int4(a), Value::Int4(b)) => Some(Value::Int4(a $op b)),
                    (Value::Int8(a), Value::Int8(b)) => Some(Value::Int8(a $op b)),
                    (Value::Bool(a), Value::Bool(b)) => Some(Value::Bool(a $op b)),
                    _ => None,
                })
            },
            finish: finish_value,
        }
    };
}

const BIT_AND: Code = bits!(&);
const BIT_OR: Code = bits!(|);
const BIT_XOR: Code = bits!(^);
const MAX: Code = Code { step: max, finish: finish_value };
const MIN: Code = Code { step: min, finish: finish_value };
const LAST_MAX: Code = Code { step: last_max, finish: finish_value };
const LAST_MIN: Code = Code { step: last_min, finish: finish_value };

pub(super) const AGGREGATES: Table = &[
    ("count", Code { step: count_all, finish: finish_count }),
    ("count_any", Code { step: count_values, finish: finish_count }),
    ("max_anyarray", LAST_MAX),
    ("max_int8", MAX),
    ("max_int4", MAX),
    ("max_int2", MAX),
    ("max_oid", MAX),
    ("max_float4", LAST_MAX),
    ("max_float8", LAST_MAX),
    ("max_date", MAX),
    ("max_time", MAX),
    ("max_timestamp", MAX),
    ("max_timestamptz", MAX),
    ("max_interval", LAST_MAX),
    ("max_text", MAX),
    ("max_numeric", LAST_MAX),
    ("max_bpchar", Code { step: max_bpchar, finish: finish_value }),
    ("max_anyenum", MAX),
    ("min_anyarray", LAST_MIN),
    ("min_int8", MIN),
    ("min_int4", MIN),
    ("min_int2", MIN),
    ("min_oid", MIN),
    ("min_float4", LAST_MIN),
    ("min_float8", LAST_MIN),
    ("min_date", MIN),
    ("min_time", MIN),
    ("min_timestamp", MIN),
    ("min_timestamptz", MIN),
    ("min_interval", LAST_MIN),
    ("min_text", MIN),
    ("min_numeric", LAST_MIN),
    ("min_bpchar", Code { step: min_bpchar, finish: finish_value }),
    ("min_anyenum", MIN),
    ("bool_and_bool", BIT_AND),
    ("every_bool", BIT_AND),
    ("bool_or_bool", BIT_OR),
    ("bit_and_int2", BIT_AND),
    ("bit_and_int4", BIT_AND),
    ("bit_and_int8", BIT_AND),
    ("bit_or_int2", BIT_OR),
    ("bit_or_int4", BIT_OR),
    ("bit_or_int8", BIT_OR),
    ("bit_xor_int2", BIT_XOR),
    ("bit_xor_int4", BIT_XOR),
    ("bit_xor_int8", BIT_XOR),
];
