//! `jsonb`: access by key and path, containment, change, construction, sets.

mod build;
mod change;
mod read;
mod sets;

pub(crate) use build::{iso_date_time, key_text, to_jsonb};
pub(crate) use sets::SETS;

use std::cmp::Ordering;

use ecow::EcoString;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::Scalars;
use super::args::{array, invalid};

/// The topic's tables.
pub(crate) const FUNCTIONS: [Scalars; 3] = [read::FUNCTIONS, change::FUNCTIONS, build::FUNCTIONS];

/// The order in which an object keeps its keys.
fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// An object of pairs in any order; of equal keys the last one stays.
pub(crate) fn object(mut pairs: Vec<(EcoString, Jsonb)>) -> Jsonb {
    pairs.reverse();
    pairs.sort_by(|(a, _), (b, _)| key_order(a, b));
    pairs.dedup_by(|(a, _), (b, _)| a == b);
    Jsonb::Object(pairs)
}

/// The value of a key.
fn get<'j>(pairs: &'j [(EcoString, Jsonb)], key: &str) -> Option<&'j Jsonb> {
    pairs.binary_search_by(|(k, _)| key_order(k, key)).ok().map(|at| &pairs[at].1)
}

/// Whether the value is neither an array nor an object.
fn is_scalar(value: &Jsonb) -> bool {
    !matches!(value, Jsonb::Array(_) | Jsonb::Object(_))
}

/// The place of an index that may count from the end.
fn place(index: i32, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index).filter(|index| *index < length),
        Err(_) => length.checked_sub(index.unsigned_abs() as usize),
    }
}

/// A value as `->>` shows it: NULL for null, a string without its quotes.
pub(crate) fn as_text(value: &Jsonb) -> Value {
    match value {
        Jsonb::Null => Value::Null,
        Jsonb::String(text) => Value::Text(text.clone()),
        other => Value::text(shown(other)),
    }
}

/// A value's text.
pub(crate) fn shown(value: &Jsonb) -> String {
    let mut out = String::new();
    value.format(&mut out);
    out
}

/// The texts of an argument of any dimensions, NULLs as they are.
fn texts(args: &[Value], at: usize) -> Result<Vec<Option<&str>>> {
    Ok(array(args, at)?.elements.iter().map(Value::as_str).collect())
}

/// The texts of a path along which something changes.
fn path(args: &[Value], at: usize) -> Result<Vec<Option<&str>>> {
    if array(args, at)?.dimensions.len() > 1 {
        return Err(SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    texts(args, at)
}

fn type_name(value: &Jsonb) -> &'static str {
    match value {
        Jsonb::Null => "null",
        Jsonb::Bool(_) => "boolean",
        Jsonb::Number(_) => "number",
        Jsonb::String(_) => "string",
        Jsonb::Array(_) => "array",
        Jsonb::Object(_) => "object",
    }
}

fn refused(message: &str) -> SqlError {
    invalid(message)
}
