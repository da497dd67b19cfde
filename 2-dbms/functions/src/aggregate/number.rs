//! `sum` and `avg`, `variance` and `stddev`.

use tuplix_types::{Result, Value};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;
use crate::builtin::args::out_of_range;

/// `sum(smallint)` and `sum(integer)` are `bigint`.
fn sum_to_int8(state: &mut AggregateState, _: &mut CallContext<'_>, args: &[Value]) -> Result<()> {
    let Some(value) = args[0].as_i64() else { return Ok(()) };
    match state {
        AggregateState::Empty => *state = AggregateState::Count(value),
        AggregateState::Count(sum) => *sum = sum.checked_add(value).ok_or_else(|| out_of_range("bigint"))?,
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn finish_int8(state: AggregateState, _: &mut CallContext<'_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Count(sum) => Ok(Value::Int8(sum)),
        _ => Err(mixed_up()),
    }
}

pub(super) const AGGREGATES: Table = &[
    ("sum_int2", Code { step: sum_to_int8, finish: finish_int8 }),
    ("sum_int4", Code { step: sum_to_int8, finish: finish_int8 }),
];
