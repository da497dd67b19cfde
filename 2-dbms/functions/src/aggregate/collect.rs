//! `array_agg`, `string_agg`, `jsonb_agg`, `jsonb_object_agg`, `json_agg`, `json_object_agg`.

use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, ArrayDimension, Result, SqlError, TypeId, Value, sqlstate};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;
use crate::builtin::args::{bytea, from_array, from_jsonb, invalid, text};
use crate::builtin::hash::natural_type;
use crate::builtin::json::{json_text, push_json_string};
use crate::builtin::jsonb::{key_text, object, to_jsonb};

type Context<'c, 'a> = &'c mut CallContext<'a>;

fn push_value(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    match state {
        AggregateState::Values(values) => values.push(args[0].clone()),
        _ => *state = AggregateState::Values(vec![args[0].clone()]),
    }
    Ok(())
}

/// NULL without rows, unlike an empty array.
fn finish_array(state: AggregateState, context: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Values(values) => {
            let sample = values.iter().find(|value| !value.is_null()).map_or(TypeId::TEXT, natural_type);
            let element =
                context.arg_types.first().copied().filter(|id| *id != TypeId::UNKNOWN).unwrap_or(sample);
            Ok(from_array(Array::from_elements(element, values)))
        }
        _ => Err(mixed_up()),
    }
}

/// Arrays of one shape become slices of an array with one dimension more.
fn finish_array_of_arrays(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    let values = match state {
        AggregateState::Empty => return Ok(Value::Null),
        AggregateState::Values(values) => values,
        _ => return Err(mixed_up()),
    };
    let wrong = |message: &str| SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message);
    let mut joined: Option<Array> = None;
    let count = values.len() as i32;
    for value in &values {
        let Value::Array(slice) = value else {
            return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays"));
        };
        match &mut joined {
            None => {
                if slice.dimensions.is_empty() {
                    return Err(wrong("cannot accumulate empty arrays"));
                }
                let mut dimensions = vec![ArrayDimension { length: count, lower: 1 }];
                dimensions.extend(&slice.dimensions);
                joined = Some(Array { element: slice.element, dimensions, elements: slice.elements.clone() });
            }
            Some(joined) if joined.dimensions[1..] == slice.dimensions => {
                joined.elements.extend_from_slice(&slice.elements)
            }
            Some(_) => return Err(wrong("cannot accumulate arrays of different dimensionality")),
        }
    }
    Ok(joined.map_or(Value::Null, from_array))
}

fn push_text(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() {
        return Ok(());
    }
    match state {
        // The first value's separator is not used.
        AggregateState::Empty => *state = AggregateState::Text(text(args, 0)?.to_string()),
        AggregateState::Text(joined) => {
            joined.push_str(args[1].as_str().unwrap_or(""));
            joined.push_str(text(args, 0)?);
        }
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn push_bytes(state: &mut AggregateState, _: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() {
        return Ok(());
    }
    match state {
        AggregateState::Empty => *state = AggregateState::Bytes(bytea(args, 0)?.to_vec()),
        AggregateState::Bytes(joined) => {
            if !args[1].is_null() {
                joined.extend_from_slice(bytea(args, 1)?);
            }
            joined.extend_from_slice(bytea(args, 0)?);
        }
        _ => return Err(mixed_up()),
    }
    Ok(())
}

fn finish_text(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Text(text) => Ok(Value::text(text)),
        AggregateState::Bytes(bytes) => Ok(Value::bytea(bytes)),
        _ => Err(mixed_up()),
    }
}

fn type_of(context: &CallContext<'_>, index: usize, value: &Value) -> TypeId {
    let known =
        context.arg_types.get(index).copied().filter(|id| *id != TypeId::UNKNOWN && *id != TypeId::ANY);
    known.unwrap_or_else(|| natural_type(value))
}

fn push_item(state: &mut AggregateState, context: Context<'_, '_>, args: &[Value]) -> Result<()> {
    let item = to_jsonb(context, &args[0], type_of(context, 0, &args[0]))?;
    match state {
        AggregateState::Items(items) => items.push(item),
        _ => *state = AggregateState::Items(vec![item]),
    }
    Ok(())
}

fn push_pair(state: &mut AggregateState, context: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() {
        return Err(invalid("field name must not be null"));
    }
    let key = key_text(context, &args[0], type_of(context, 0, &args[0]))?;
    let pair = (key, to_jsonb(context, &args[1], type_of(context, 1, &args[1]))?);
    match state {
        AggregateState::Pairs(pairs) => pairs.push(pair),
        _ => *state = AggregateState::Pairs(vec![pair]),
    }
    Ok(())
}

fn finish_jsonb(state: AggregateState, _: Context<'_, '_>) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Items(items) => Ok(from_jsonb(Jsonb::Array(items))),
        AggregateState::Pairs(pairs) => Ok(from_jsonb(object(pairs))),
        _ => Err(mixed_up()),
    }
}

/// `json_agg` writes rows and arrays on lines of their own.
fn push_json_item(state: &mut AggregateState, context: Context<'_, '_>, args: &[Value]) -> Result<()> {
    let mut joined = match std::mem::take(state) {
        AggregateState::Empty => String::from("["),
        AggregateState::Text(joined) => joined + ", ",
        _ => return Err(mixed_up()),
    };
    if joined.len() > 1 && matches!(args[0], Value::Array(_) | Value::Record(_)) {
        joined.push_str("\n ");
    }
    json_text(context, &args[0], type_of(context, 0, &args[0]), &mut joined)?;
    *state = AggregateState::Text(joined);
    Ok(())
}

fn push_json_pair(state: &mut AggregateState, context: Context<'_, '_>, args: &[Value]) -> Result<()> {
    if args[0].is_null() {
        return Err(invalid("field name must not be null"));
    }
    let mut joined = match std::mem::take(state) {
        AggregateState::Empty => String::from("{ "),
        AggregateState::Text(joined) => joined + ", ",
        _ => return Err(mixed_up()),
    };
    push_json_string(&key_text(context, &args[0], type_of(context, 0, &args[0]))?, &mut joined);
    joined.push_str(" : ");
    json_text(context, &args[1], type_of(context, 1, &args[1]), &mut joined)?;
    *state = AggregateState::Text(joined);
    Ok(())
}

fn finish_closed(state: AggregateState, close: &str) -> Result<Value> {
    match state {
        AggregateState::Empty => Ok(Value::Null),
        AggregateState::Text(joined) => Ok(Value::text(joined + close)),
        _ => Err(mixed_up()),
    }
}

pub(super) const AGGREGATES: Table = &[
    ("array_agg_anynonarray", Code { step: push_value, finish: finish_array }),
    ("array_agg_anyarray", Code { step: push_value, finish: finish_array_of_arrays }),
    ("string_agg_text_text", Code { step: push_text, finish: finish_text }),
    ("string_agg_bytea_bytea", Code { step: push_bytes, finish: finish_text }),
    ("jsonb_agg_anyelement", Code { step: push_item, finish: finish_jsonb }),
    ("jsonb_object_agg_any_any", Code { step: push_pair, finish: finish_jsonb }),
    ("json_agg_anyelement", Code { step: push_json_item, finish: |state, _| finish_closed(state, "]") }),
    ("json_object_agg_any_any", Code { step: push_json_pair, finish: |state, _| finish_closed(state, " }") }),
];
