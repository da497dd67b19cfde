//! Building: `to_jsonb`, `jsonb_build_object`, `jsonb_build_array`, `jsonb_object`.

use ecow::EcoString;
use tuplix_types::IoContext;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, Numeric, Result, SqlError, TypeId, Value, sqlstate, text_io};

use super::object;
use crate::CallContext;
use crate::builtin::Scalars;
use crate::builtin::args::{array, from_jsonb, invalid};

/// An SQL value as JSON (`datum_to_jsonb`).
pub(crate) fn to_jsonb(context: &CallContext<'_>, value: &Value, id: TypeId) -> Result<Jsonb> {
    let number = |text: String| Numeric::parse(&text).map(Jsonb::Number);
    Ok(match value {
        Value::Null => Jsonb::Null,
        Value::Bool(v) => Jsonb::Bool(*v),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => {
            number(text_io::to_text(id, value, context.moment.io()))?
        }
        Value::Float4(v) if v.is_finite() => number(text_io::to_text(id, value, context.moment.io()))?,
        Value::Float8(v) if v.is_finite() => number(text_io::to_text(id, value, context.moment.io()))?,
        Value::Numeric(v) if v.is_finite() => Jsonb::Number(v.as_ref().clone()),
        Value::Jsonb(v) => v.as_ref().clone(),
        Value::Text(text) if id == TypeId::JSON => Jsonb::parse(text)?,
        Value::Text(text) => Jsonb::String(text.clone()),
        Value::Array(array) => from_array_value(context, array)?,
        Value::Record(fields) => from_record(context, fields, id)?,
        Value::Date(_) | Value::Timestamp(_) | Value::Timestamptz(_) => {
            Jsonb::String(iso_date_time(context, value, id).into())
        }
        other => Jsonb::String(text_io::to_text(id, other, context.moment.io()).into()),
    })
}

/// A date or timestamp as ISO 8601 has it: `2023-01-02T03:04:05+02:00`.
pub(crate) fn iso_date_time(context: &CallContext<'_>, value: &Value, id: TypeId) -> String {
    let io = IoContext { date_style: Default::default(), ..context.moment.io().clone() };
    let mut text = text_io::to_text(id, value, &io);
    if matches!(value, Value::Date(_)) || !text.contains(':') {
        return text;
    }
    text = text.replacen(' ', "T", 1);
    // An offset of whole hours shows its minutes here.
    let at_zone = text.rfind(['+', '-']).filter(|at| *at > text.find('T').unwrap_or(0));
    if let (Value::Timestamptz(_), Some(at)) = (value, at_zone)
        && text[at + 1..].bytes().take_while(u8::is_ascii_digit).count() == 2
        && !text[at + 1..].contains(':')
    {
        text.insert_str(at + 3, ":00");
    }
    text
}

/// An array as nested JSON arrays.
fn from_array_value(context: &CallContext<'_>, array: &Array) -> Result<Jsonb> {
    fn level(
        context: &CallContext<'_>,
        array: &Array,
        dimension: usize,
        elements: &mut std::slice::Iter<'_, Value>,
    ) -> Result<Jsonb> {
        let length = array.dimensions.get(dimension).map_or(0, |d| d.length);
        let last = dimension + 1 >= array.dimensions.len();
        let mut items = Vec::with_capacity(length as usize);
        for _ in 0..length {
            items.push(match last {
                true => to_jsonb(context, elements.next().unwrap_or(&Value::Null), array.element)?,
                false => level(context, array, dimension + 1, elements)?,
            });
        }
        Ok(Jsonb::Array(items))
    }
    level(context, array, 0, &mut array.elements.iter())
}

/// A row as an object; columns without a name are `f1`, `f2`, ...
fn from_record(context: &CallContext<'_>, fields: &[Value], id: TypeId) -> Result<Jsonb> {
    let columns = context.session.composite_columns(id).unwrap_or_default();
    let mut pairs = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let (name, id) = match columns.get(index) {
            Some((name, id)) => (name.clone(), *id),
            None => (EcoString::from(format!("f{}", index + 1)), crate::builtin::hash::natural_type(field)),
        };
        pairs.push((name, to_jsonb(context, field, id)?));
    }
    Ok(object(pairs))
}

/// The type of an argument.
fn type_of(context: &CallContext<'_>, index: usize, value: &Value) -> TypeId {
    let known =
        context.arg_types.get(index).copied().filter(|id| *id != TypeId::UNKNOWN && *id != TypeId::ANY);
    known.unwrap_or_else(|| crate::builtin::hash::natural_type(value))
}

/// A value as an object's key.
pub(crate) fn key_text(context: &CallContext<'_>, value: &Value, id: TypeId) -> Result<EcoString> {
    match value {
        Value::Array(_) | Value::Record(_) | Value::Jsonb(_) => Err(not_a_key()),
        _ if id == TypeId::JSON => Err(not_a_key()),
        Value::Bool(v) => Ok(if *v { "true" } else { "false" }.into()),
        Value::Date(_) | Value::Timestamp(_) | Value::Timestamptz(_) => {
            Ok(iso_date_time(context, value, id).into())
        }
        _ => Ok(text_io::to_text(id, value, context.moment.io()).into()),
    }
}

fn not_a_key() -> SqlError {
    invalid("key value must be scalar, not array, composite, or json")
}

fn build_object(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    if !a.len().is_multiple_of(2) {
        return Err(invalid("argument list must have even number of elements")
            .hint("The arguments of jsonb_build_object() must consist of alternating keys and values."));
    }
    let mut pairs = Vec::with_capacity(a.len() / 2);
    for (index, pair) in a.chunks(2).enumerate() {
        if pair[0].is_null() {
            return Err(invalid(format!("argument {}: key must not be null", index * 2 + 1)));
        }
        let key = key_text(context, &pair[0], type_of(context, index * 2, &pair[0]))?;
        pairs.push((key, to_jsonb(context, &pair[1], type_of(context, index * 2 + 1, &pair[1]))?));
    }
    Ok(from_jsonb(object(pairs)))
}

fn build_array(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    let items =
        a.iter().enumerate().map(|(index, value)| to_jsonb(context, value, type_of(context, index, value)));
    Ok(from_jsonb(Jsonb::Array(items.collect::<Result<_>>()?)))
}

fn pair(key: &Value, value: &Value) -> Result<(EcoString, Jsonb)> {
    match (key, value) {
        (Value::Text(key), Value::Text(value)) => Ok((key.clone(), Jsonb::String(value.clone()))),
        (Value::Text(key), _) => Ok((key.clone(), Jsonb::Null)),
        _ => Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key")),
    }
}

/// `jsonb_object(text[])`: keys and values in turn, or an array of pairs.
fn object_of_pairs(array: &Array) -> Result<Value> {
    let wrong = |message: &str| Err(SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message));
    match array.dimensions[..] {
        [] => {}
        [_] if !array.elements.len().is_multiple_of(2) => {
            return wrong("array must have even number of elements");
        }
        [_] => {}
        [_, width] if width.length != 2 => return wrong("array must have two columns"),
        [_, _] => {}
        _ => return wrong("wrong number of array subscripts"),
    }
    let pairs = array.elements.chunks(2).map(|two| pair(&two[0], &two[1]));
    Ok(from_jsonb(object(pairs.collect::<Result<_>>()?)))
}

fn object_of_two(keys: &Array, values: &Array) -> Result<Value> {
    if keys.dimensions.len() > 1 || values.dimensions.len() > 1 {
        return Err(SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    if keys.elements.len() != values.elements.len() {
        return Err(SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions"));
    }
    let pairs = keys.elements.iter().zip(&values.elements).map(|(key, value)| pair(key, value));
    Ok(from_jsonb(object(pairs.collect::<Result<_>>()?)))
}

pub(super) const FUNCTIONS: Scalars = &[
    ("to_jsonb", |ctx, a| Ok(from_jsonb(to_jsonb(ctx, &a[0], type_of(ctx, 0, &a[0]))?))),
    ("jsonb_build_object", |ctx, a| build_object(ctx, a)),
    ("jsonb_build_object_noargs", |_, _| Ok(from_jsonb(Jsonb::Object(Vec::new())))),
    ("jsonb_build_array", |ctx, a| build_array(ctx, a)),
    ("jsonb_build_array_noargs", |_, _| Ok(from_jsonb(Jsonb::Array(Vec::new())))),
    ("jsonb_object", |_, a| object_of_pairs(array(a, 0)?)),
    ("jsonb_object_two_arg", |_, a| object_of_two(array(a, 0)?, array(a, 1)?)),
];
