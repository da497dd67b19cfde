//! Sets: `jsonb_array_elements`, `jsonb_each`, `jsonb_object_keys`.

use std::sync::Arc;

use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Result, Row, SqlError, Value};

use super::{as_text, refused};
use crate::builtin::Sets;
use crate::builtin::args::jsonb;
use crate::builtin::generate::Listed;
use crate::registry::SetRows;

fn wrapped(value: &Jsonb) -> Value {
    Value::Jsonb(Arc::new(value.clone()))
}

fn listed(rows: Vec<Row>) -> Box<dyn SetRows> {
    Box::new(Listed(rows.into_iter()))
}

fn elements(a: &[Value], show: fn(&Jsonb) -> Value) -> Result<Box<dyn SetRows>> {
    match jsonb(a, 0)? {
        Jsonb::Array(items) => Ok(listed(items.iter().map(|item| vec![show(item)]).collect())),
        Jsonb::Object(_) => Err(refused("cannot extract elements from an object")),
        _ => Err(refused("cannot extract elements from a scalar")),
    }
}

fn each(a: &[Value], function: &str, show: fn(&Jsonb) -> Value) -> Result<Box<dyn SetRows>> {
    match jsonb(a, 0)? {
        Jsonb::Object(pairs) => {
            Ok(listed(pairs.iter().map(|(key, value)| vec![Value::Text(key.clone()), show(value)]).collect()))
        }
        _ => Err(refused(&format!("cannot call {function} on a non-object"))),
    }
}

fn keys(a: &[Value]) -> Result<Box<dyn SetRows>> {
    let wrong = |what: &str| -> SqlError { refused(&format!("cannot call jsonb_object_keys on {what}")) };
    match jsonb(a, 0)? {
        Jsonb::Object(pairs) => {
            Ok(listed(pairs.iter().map(|(key, _)| vec![Value::Text(key.clone())]).collect()))
        }
        Jsonb::Array(_) => Err(wrong("an array")),
        _ => Err(wrong("a scalar")),
    }
}

/// The set-returning functions.
pub(crate) const SETS: Sets = &[
    ("jsonb_array_elements", |_, a| elements(a, wrapped)),
    ("jsonb_array_elements_text", |_, a| elements(a, as_text)),
    ("jsonb_each", |_, a| each(a, "jsonb_each", wrapped)),
    ("jsonb_each_text", |_, a| each(a, "jsonb_each_text", as_text)),
    ("jsonb_object_keys", |_, a| keys(a)),
];
