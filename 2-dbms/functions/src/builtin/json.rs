//! `json`: text that stays as it was written, with access by key and path, and construction.

use ecow::EcoString;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, Result, Row, SqlError, TypeId, Value, text_io};

use super::args::{array, boolean, int4, invalid, text};
use super::generate::Listed;
use super::hash::natural_type;
use super::jsonb::{as_text, iso_date_time, key_text};
use super::{Scalars, Sets};
use crate::CallContext;
use crate::registry::SetRows;

/// Appends a text as a JSON string.
pub(crate) fn push_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends an SQL value as JSON text (`datum_to_json`).
pub(crate) fn json_text(
    context: &CallContext<'_>,
    value: &Value,
    id: TypeId,
    out: &mut String,
) -> Result<()> {
    json_text_spaced(context, value, id, false, out)
}

fn json_text_spaced(
    context: &CallContext<'_>,
    value: &Value,
    id: TypeId,
    lines: bool,
    out: &mut String,
) -> Result<()> {
    let shown = || text_io::to_text(id, value, context.moment.io());
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) | Value::Jsonb(_) => out.push_str(&shown()),
        Value::Float4(v) if v.is_finite() => out.push_str(&shown()),
        Value::Float8(v) if v.is_finite() => out.push_str(&shown()),
        Value::Numeric(v) if v.is_finite() => out.push_str(&shown()),
        Value::Text(text) if id == TypeId::JSON => out.push_str(text),
        Value::Text(text) => push_json_string(text, out),
        Value::Date(_) | Value::Timestamp(_) | Value::Timestamptz(_) => {
            push_json_string(&iso_date_time(context, value, id), out);
        }
        Value::Array(array) => push_array(context, array, 0, lines, &mut array.elements.iter(), out)?,
        Value::Record(fields) => push_record(context, fields, id, lines, out)?,
        _ => push_json_string(&shown(), out),
    }
    Ok(())
}

fn push_array(
    context: &CallContext<'_>,
    array: &Array,
    dimension: usize,
    lines: bool,
    elements: &mut std::slice::Iter<'_, Value>,
    out: &mut String,
) -> Result<()> {
    let length = array.dimensions.get(dimension).map_or(0, |d| d.length);
    out.push('[');
    for index in 0..length {
        if index > 0 {
            // Only the outermost level is broken into lines.
            out.push_str(if lines { ",\n " } else { "," });
        }
        if dimension + 1 < array.dimensions.len() {
            push_array(context, array, dimension + 1, false, elements, out)?;
        } else {
            json_text(context, elements.next().unwrap_or(&Value::Null), array.element, out)?;
        }
    }
    out.push(']');
    Ok(())
}

fn push_record(
    context: &CallContext<'_>,
    fields: &[Value],
    id: TypeId,
    lines: bool,
    out: &mut String,
) -> Result<()> {
    let columns = context.session.composite_columns(id).unwrap_or_default();
    out.push('{');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push_str(if lines { ",\n " } else { "," });
        }
        let (name, id) = match columns.get(index) {
            Some((name, id)) => (name.clone(), *id),
            None => (EcoString::from(format!("f{}", index + 1)), natural_type(field)),
        };
        push_json_string(&name, out);
        out.push(':');
        json_text(context, field, id, out)?;
    }
    out.push('}');
    Ok(())
}

/// A JSON text's outermost structure, its parts as they were written.
enum Parts<'t> {
    Array(Vec<&'t str>),
    Object(Vec<(EcoString, &'t str)>),
    Scalar,
}

/// Where the value at the start of a valid JSON text ends.
fn value_end(text: &str) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, b) in text.bytes().enumerate() {
        if in_string {
            in_string = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
            if !in_string && depth == 0 {
                return at + 1;
            }
            continue;
        }
        match b {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return at,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn parts(text: &str) -> Result<Parts<'_>> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let is_object = text.starts_with('{');
    if !is_object && !text.starts_with('[') {
        return Ok(Parts::Scalar);
    }
    let (mut items, mut pairs) = (Vec::new(), Vec::new());
    let skip = |rest: &'_ str| -> usize {
        rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']).len()
    };
    let mut at = 1;
    loop {
        at += skip(&text[at..]);
        if matches!(text.as_bytes().get(at), None | Some(b']' | b'}')) {
            break;
        }
        let end = at + value_end(&text[at..]);
        let part = &text[at..end];
        at = end;
        if is_object {
            let Jsonb::String(key) = Jsonb::parse(part)? else {
                return Err(SqlError::internal("a json key is no string"));
            };
            at += skip(&text[at..]);
            let end = at + value_end(&text[at..]);
            pairs.push((key, &text[at..end]));
            at = end;
        } else {
            items.push(part);
        }
    }
    Ok(if is_object { Parts::Object(pairs) } else { Parts::Array(items) })
}

fn raw(part: &str) -> Value {
    Value::text(part)
}

/// A part as `->>` shows it.
fn plain(part: &str) -> Value {
    match part.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b'"') => Jsonb::parse(part).map_or(Value::Null, |string| as_text(&string)),
        _ => Value::text(part),
    }
}

fn child<'t>(text: &'t str, step: &str) -> Result<Option<&'t str>> {
    Ok(match parts(text)? {
        Parts::Object(pairs) => pairs.iter().rev().find(|(key, _)| key == step).map(|(_, part)| *part),
        Parts::Array(items) => step.trim_start().parse().ok().and_then(|index| element(&items, index)),
        Parts::Scalar => None,
    })
}

fn element<'t>(items: &[&'t str], index: i32) -> Option<&'t str> {
    let at = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => items.len().checked_sub(index.unsigned_abs() as usize)?,
    };
    items.get(at).copied()
}

fn field(a: &[Value], show: fn(&str) -> Value) -> Result<Value> {
    let Parts::Object(pairs) = parts(text(a, 0)?)? else { return Ok(Value::Null) };
    let key = text(a, 1)?;
    Ok(pairs.iter().rev().find(|(k, _)| k == key).map_or(Value::Null, |(_, part)| show(part)))
}

fn item(a: &[Value], show: fn(&str) -> Value) -> Result<Value> {
    let Parts::Array(items) = parts(text(a, 0)?)? else { return Ok(Value::Null) };
    Ok(element(&items, int4(a, 1)?).map_or(Value::Null, show))
}

fn at_path(a: &[Value], show: fn(&str) -> Value) -> Result<Value> {
    let mut here = text(a, 0)?.as_str();
    for step in &array(a, 1)?.elements {
        let Some(next) = step.as_str().map_or(Ok(None), |step| child(here, step))? else {
            return Ok(Value::Null);
        };
        here = next;
    }
    Ok(show(here))
}

fn array_length(a: &[Value]) -> Result<Value> {
    match parts(text(a, 0)?)? {
        Parts::Array(items) => Ok(Value::Int4(items.len() as i32)),
        Parts::Object(_) => Err(invalid("cannot get array length of a non-array")),
        Parts::Scalar => Err(invalid("cannot get array length of a scalar")),
    }
}

fn type_of_json(text: &str) -> &'static str {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

fn type_of(context: &CallContext<'_>, index: usize, value: &Value) -> TypeId {
    let known =
        context.arg_types.get(index).copied().filter(|id| *id != TypeId::UNKNOWN && *id != TypeId::ANY);
    known.unwrap_or_else(|| natural_type(value))
}

fn to_json(context: &CallContext<'_>, value: &Value, lines: bool) -> Result<Value> {
    let mut out = String::new();
    json_text_spaced(context, value, type_of(context, 0, value), lines, &mut out)?;
    Ok(Value::text(out))
}

fn build_object(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    if !a.len().is_multiple_of(2) {
        return Err(invalid("argument list must have even number of elements")
            .hint("The arguments of json_build_object() must consist of alternating keys and values."));
    }
    let mut out = String::from("{");
    for (index, pair) in a.chunks(2).enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        if pair[0].is_null() {
            return Err(invalid(format!("argument {} cannot be null", index * 2 + 1))
                .hint("Object keys should be text."));
        }
        push_json_string(&key_text(context, &pair[0], type_of(context, index * 2, &pair[0]))?, &mut out);
        out.push_str(" : ");
        json_text(context, &pair[1], type_of(context, index * 2 + 1, &pair[1]), &mut out)?;
    }
    out.push('}');
    Ok(Value::text(out))
}

fn build_array(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    let mut out = String::from("[");
    for (index, value) in a.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        json_text(context, value, type_of(context, index, value), &mut out)?;
    }
    out.push(']');
    Ok(Value::text(out))
}

fn elements(a: &[Value], function: &str, show: fn(&str) -> Value) -> Result<Box<dyn SetRows>> {
    match parts(text(a, 0)?)? {
        Parts::Array(items) => {
            let rows: Vec<Row> = items.into_iter().map(|part| vec![show(part)]).collect();
            Ok(Box::new(Listed(rows.into_iter())))
        }
        Parts::Object(_) => Err(invalid(format!("cannot call {function} on a non-array"))),
        Parts::Scalar => Err(invalid(format!("cannot call {function} on a scalar"))),
    }
}

fn each(a: &[Value], function: &str, show: Option<fn(&str) -> Value>) -> Result<Box<dyn SetRows>> {
    match parts(text(a, 0)?)? {
        Parts::Object(pairs) => {
            let row = |(key, part): (EcoString, &str)| -> Row {
                std::iter::once(Value::Text(key)).chain(show.map(|show| show(part))).collect()
            };
            let rows: Vec<Row> = pairs.into_iter().map(row).collect();
            Ok(Box::new(Listed(rows.into_iter())))
        }
        Parts::Array(_) if show.is_some() => Err(invalid("cannot deconstruct an array as an object")),
        Parts::Array(_) => Err(invalid(format!("cannot call {function} on an array"))),
        Parts::Scalar if show.is_some() => Err(invalid("cannot deconstruct a scalar")),
        Parts::Scalar => Err(invalid(format!("cannot call {function} on a scalar"))),
    }
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("json_object_field", |_, a| field(a, raw)),
    ("json_object_field_text", |_, a| field(a, plain)),
    ("json_array_element", |_, a| item(a, raw)),
    ("json_array_element_text", |_, a| item(a, plain)),
    ("json_extract_path", |_, a| at_path(a, raw)),
    ("json_extract_path_text", |_, a| at_path(a, plain)),
    ("json_array_length", |_, a| array_length(a)),
    ("json_typeof", |_, a| Ok(Value::text(type_of_json(text(a, 0)?)))),
    ("to_json", |ctx, a| to_json(ctx, &a[0], false)),
    ("row_to_json", |ctx, a| to_json(ctx, &a[0], false)),
    ("row_to_json_pretty", |ctx, a| to_json(ctx, &a[0], boolean(a, 1)?)),
    ("array_to_json", |ctx, a| to_json(ctx, &a[0], false)),
    ("array_to_json_pretty", |ctx, a| to_json(ctx, &a[0], boolean(a, 1)?)),
    ("json_build_object", |ctx, a| build_object(ctx, a)),
    ("json_build_object_noargs", |_, _| Ok(Value::text("{}"))),
    ("json_build_array", |ctx, a| build_array(ctx, a)),
    ("json_build_array_noargs", |_, _| Ok(Value::text("[]"))),
];

pub(crate) const SETS: Sets = &[
    ("json_array_elements", |_, a| elements(a, "json_array_elements", raw)),
    ("json_array_elements_text", |_, a| elements(a, "json_array_elements_text", plain)),
    ("json_each", |_, a| each(a, "json_each", Some(raw))),
    ("json_each_text", |_, a| each(a, "json_each_text", Some(plain))),
    ("json_object_keys", |_, a| each(a, "json_object_keys", None)),
];
