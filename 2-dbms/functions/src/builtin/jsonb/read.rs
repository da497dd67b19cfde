//! Reading: `->`, `->>`, `#>`, `#>>`, `@>`, `?`, casts to SQL types.

use std::sync::Arc;

use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Result, Value};

use super::{as_text, get, is_scalar, place, refused, texts, type_name};
use crate::CallContext;
use crate::builtin::Scalars;
use crate::builtin::args::{from_jsonb, int4, invalid, jsonb, text};
use crate::registry::lookup_symbol;

fn found(value: Option<&Jsonb>) -> Value {
    value.map_or(Value::Null, |value| Value::Jsonb(Arc::new(value.clone())))
}

fn found_text(value: Option<&Jsonb>) -> Value {
    value.map_or(Value::Null, as_text)
}

fn field<'j>(value: &'j Jsonb, key: &str) -> Option<&'j Jsonb> {
    match value {
        Jsonb::Object(pairs) => get(pairs, key),
        _ => None,
    }
}

fn element(value: &Jsonb, index: i32) -> Option<&Jsonb> {
    match value {
        Jsonb::Array(items) => place(index, items.len()).map(|at| &items[at]),
        Jsonb::Object(_) => None,
        // A bare scalar is an array of one inside PostgreSQL, and here it shows.
        scalar => matches!(index, 0 | -1).then_some(scalar),
    }
}

/// Follows a path; a step into an array must be an integer, anything else finds nothing.
fn follow<'j>(value: &'j Jsonb, path: &[Option<&str>]) -> Option<&'j Jsonb> {
    path.iter().try_fold(value, |value, step| match (value, (*step)?) {
        (Jsonb::Object(pairs), key) => get(pairs, key),
        (Jsonb::Array(items), index) => {
            place(index.trim_start().parse().ok()?, items.len()).map(|at| &items[at])
        }
        _ => None,
    })
}

/// Whether `whole` contains `part`: keys with contained values, elements in any order.
fn contains(whole: &Jsonb, part: &Jsonb) -> bool {
    match (whole, part) {
        (Jsonb::Object(whole), Jsonb::Object(part)) => {
            whole.len() >= part.len()
                && part
                    .iter()
                    .all(|(key, wanted)| get(whole, key).is_some_and(|value| contains(value, wanted)))
        }
        (Jsonb::Array(whole), Jsonb::Array(part)) => part.iter().all(|wanted| {
            whole
                .iter()
                .any(|value| if is_scalar(wanted) { value == wanted } else { contains(value, wanted) })
        }),
        (whole, part) => {
            is_scalar(whole) && is_scalar(part) && type_name(whole) == type_name(part) && whole == part
        }
    }
}

/// Containment at the top, where an array may contain a bare scalar.
fn contains_at_top(whole: &Jsonb, part: &Jsonb) -> bool {
    match whole {
        Jsonb::Array(items) if is_scalar(part) => items.contains(part),
        _ => contains(whole, part),
    }
}

/// Whether a text is a key of the object or a string of the array.
fn exists(value: &Jsonb, key: &str) -> bool {
    let is_key = |value: &Jsonb| matches!(value, Jsonb::String(text) if text == key);
    match value {
        Jsonb::Object(pairs) => get(pairs, key).is_some(),
        Jsonb::Array(items) => items.iter().any(is_key),
        scalar => is_key(scalar),
    }
}

fn array_length(value: &Jsonb) -> Result<Value> {
    match value {
        Jsonb::Array(items) => Ok(Value::Int4(items.len() as i32)),
        Jsonb::Object(_) => Err(refused("cannot get array length of a non-array")),
        _ => Err(refused("cannot get array length of a scalar")),
    }
}

/// A cast to a number through `numeric` and the numeric cast with this symbol.
fn to_number(
    context: &mut CallContext<'_>,
    value: &Jsonb,
    type_name: &str,
    symbol: Option<&str>,
) -> Result<Value> {
    let Jsonb::Number(number) = value else { return Err(cannot_cast(value, type_name)) };
    let number = crate::builtin::args::from_numeric(number.clone());
    match symbol {
        None => Ok(number),
        Some(symbol) => (lookup_symbol(symbol).call)(context, &[number]),
    }
}

fn cannot_cast(value: &Jsonb, to: &str) -> tuplix_types::SqlError {
    let what = match value {
        Jsonb::Number(_) => "numeric",
        other => type_name(other),
    };
    invalid(format!("cannot cast jsonb {what} to type {to}"))
}

pub(super) const FUNCTIONS: Scalars = &[
    ("jsonb_object_field", |_, a| Ok(found(field(jsonb(a, 0)?, text(a, 1)?)))),
    ("jsonb_object_field_text", |_, a| Ok(found_text(field(jsonb(a, 0)?, text(a, 1)?)))),
    ("jsonb_array_element", |_, a| Ok(found(element(jsonb(a, 0)?, int4(a, 1)?)))),
    ("jsonb_array_element_text", |_, a| Ok(found_text(element(jsonb(a, 0)?, int4(a, 1)?)))),
    ("jsonb_extract_path", |_, a| Ok(found(follow(jsonb(a, 0)?, &texts(a, 1)?)))),
    ("jsonb_extract_path_text", |_, a| Ok(found_text(follow(jsonb(a, 0)?, &texts(a, 1)?)))),
    ("jsonb_contains", |_, a| Ok(Value::Bool(contains_at_top(jsonb(a, 0)?, jsonb(a, 1)?)))),
    ("jsonb_contained", |_, a| Ok(Value::Bool(contains_at_top(jsonb(a, 1)?, jsonb(a, 0)?)))),
    ("jsonb_exists", |_, a| Ok(Value::Bool(exists(jsonb(a, 0)?, text(a, 1)?)))),
    ("jsonb_exists_any", |_, a| {
        let value = jsonb(a, 0)?;
        Ok(Value::Bool(texts(a, 1)?.into_iter().flatten().any(|key| exists(value, key))))
    }),
    ("jsonb_exists_all", |_, a| {
        let value = jsonb(a, 0)?;
        Ok(Value::Bool(texts(a, 1)?.into_iter().flatten().all(|key| exists(value, key))))
    }),
    ("jsonb_typeof", |_, a| Ok(Value::text(type_name(jsonb(a, 0)?)))),
    ("jsonb_array_length", |_, a| array_length(jsonb(a, 0)?)),
    ("jsonb_bool", |_, a| match jsonb(a, 0)? {
        Jsonb::Bool(value) => Ok(Value::Bool(*value)),
        other => Err(cannot_cast(other, "boolean")),
    }),
    ("jsonb_numeric", |ctx, a| to_number(ctx, jsonb(a, 0)?, "numeric", None)),
    ("jsonb_int2", |ctx, a| to_number(ctx, jsonb(a, 0)?, "smallint", Some("numeric_int2"))),
    ("jsonb_int4", |ctx, a| to_number(ctx, jsonb(a, 0)?, "integer", Some("numeric_int4"))),
    ("jsonb_int8", |ctx, a| to_number(ctx, jsonb(a, 0)?, "bigint", Some("numeric_int8"))),
    ("jsonb_float4", |ctx, a| to_number(ctx, jsonb(a, 0)?, "real", Some("numeric_float4"))),
    ("jsonb_float8", |ctx, a| to_number(ctx, jsonb(a, 0)?, "double precision", Some("numeric_float8"))),
    ("jsonb_strip_nulls", |_, a| Ok(from_jsonb(without_nulls(jsonb(a, 0)?)))),
    ("jsonb_pretty", |_, a| {
        let mut out = String::new();
        pretty(jsonb(a, 0)?, 0, &mut out);
        Ok(Value::text(out))
    }),
];

/// Without the object fields that are null, at every depth; array elements stay.
fn without_nulls(value: &Jsonb) -> Jsonb {
    match value {
        Jsonb::Object(pairs) => {
            let kept = pairs.iter().filter(|(_, v)| !matches!(v, Jsonb::Null));
            Jsonb::Object(kept.map(|(k, v)| (k.clone(), without_nulls(v))).collect())
        }
        Jsonb::Array(items) => Jsonb::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// One item a line, four blanks a level.
fn pretty(value: &Jsonb, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        out.push_str(&"    ".repeat(level));
    };
    match value {
        Jsonb::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, level + 1);
                pretty(item, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Jsonb::Object(pairs) => {
            out.push('{');
            for (index, (key, item)) in pairs.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                line(out, level + 1);
                Jsonb::String(key.clone()).format(out);
                out.push_str(": ");
                pretty(item, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        scalar => scalar.format(out),
    }
}
