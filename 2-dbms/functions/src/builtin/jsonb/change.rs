//! Changing: `||`, `-`, `#-`, `jsonb_set`, `jsonb_insert`.

use ecow::EcoString;
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::{is_scalar, object, path, place, refused};
use crate::builtin::Scalars;
use crate::builtin::args::{boolean, from_jsonb, int4, invalid, jsonb, text};

fn concat(left: &Jsonb, right: &Jsonb) -> Jsonb {
    match (left, right) {
        (Jsonb::Object(a), Jsonb::Object(b)) => object(a.iter().chain(b).cloned().collect()),
        _ => {
            let items = |value: &Jsonb| match value {
                Jsonb::Array(items) => items.clone(),
                other => vec![other.clone()],
            };
            Jsonb::Array([items(left), items(right)].concat())
        }
    }
}

/// `jsonb - text[]`: without these keys, or these strings of an array.
fn delete_keys(value: &Jsonb, keys: &[&str]) -> Result<Jsonb> {
    match value {
        Jsonb::Object(pairs) => Ok(Jsonb::Object(
            pairs.iter().filter(|(key, _)| !keys.contains(&key.as_str())).cloned().collect(),
        )),
        Jsonb::Array(items) => {
            let named = |item: &&Jsonb| !matches!(item, Jsonb::String(text) if keys.contains(&text.as_str()));
            Ok(Jsonb::Array(items.iter().filter(named).cloned().collect()))
        }
        _ => Err(refused("cannot delete from scalar")),
    }
}

fn delete_index(value: &Jsonb, index: i32) -> Result<Jsonb> {
    match value {
        Jsonb::Array(items) => {
            let mut items = items.clone();
            if let Some(at) = place(index, items.len()) {
                items.remove(at);
            }
            Ok(Jsonb::Array(items))
        }
        Jsonb::Object(_) => Err(refused("cannot delete from object using integer index")),
        _ => Err(refused("cannot delete from scalar")),
    }
}

/// What to do at the end of a path.
#[derive(Clone, Copy)]
enum Change<'j> {
    Delete,
    Set { new: &'j Jsonb, create: bool },
    Insert { new: &'j Jsonb, after: bool },
}

/// The value with a change at the end of a path (`setPath` of `jsonfuncs.c`).
fn at_path(value: &Jsonb, path: &[Option<&str>], level: usize, change: Change<'_>) -> Result<Jsonb> {
    let Some(step) = path.get(level) else { return Ok(value.clone()) };
    let null = || {
        let message = format!("path element at position {} is null", level + 1);
        SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message)
    };
    // Also where there is nothing to step into.
    let step = step.ok_or_else(null)?;
    match value {
        Jsonb::Object(pairs) => object_at_path(pairs, step, path, level, change),
        Jsonb::Array(items) => {
            let index = step.trim().parse::<i32>().map_err(|_| {
                let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
                SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message)
            })?;
            array_at_path(items, index, path, level, change)
        }
        scalar => Ok(scalar.clone()),
    }
}

type Pairs = [(EcoString, Jsonb)];

fn object_at_path(
    pairs: &Pairs,
    key: &str,
    path: &[Option<&str>],
    level: usize,
    change: Change<'_>,
) -> Result<Jsonb> {
    let mut pairs = pairs.to_vec();
    let found = pairs.iter().position(|(k, _)| k == key);
    let last = level + 1 == path.len();
    match (found, change) {
        (Some(at), _) if !last => pairs[at].1 = at_path(&pairs[at].1, path, level + 1, change)?,
        (None, _) if !last => {}
        (Some(at), Change::Delete) => drop(pairs.remove(at)),
        (Some(at), Change::Set { new, .. }) => pairs[at].1 = new.clone(),
        (Some(_), Change::Insert { .. }) => {
            return Err(invalid("cannot replace existing key")
                .hint("Try using the function jsonb_set to replace key value."));
        }
        (None, Change::Set { new, create: true } | Change::Insert { new, .. }) => {
            pairs.push((key.into(), new.clone()))
        }
        (None, _) => {}
    }
    Ok(object(pairs))
}

fn array_at_path(
    items: &[Jsonb],
    index: i32,
    path: &[Option<&str>],
    level: usize,
    change: Change<'_>,
) -> Result<Jsonb> {
    let mut items = items.to_vec();
    let last = level + 1 == path.len();
    let found = place(index, items.len());
    match (found, change) {
        (Some(at), _) if !last => items[at] = at_path(&items[at], path, level + 1, change)?,
        (None, _) if !last => {}
        (Some(at), Change::Delete) => drop(items.remove(at)),
        (Some(at), Change::Set { new, .. }) => items[at] = new.clone(),
        (Some(at), Change::Insert { new, after }) => items.insert(at + usize::from(after), new.clone()),
        (None, Change::Set { new, create: true } | Change::Insert { new, .. }) => {
            // Beyond either end means at that end.
            let at = if index < 0 { 0 } else { items.len() };
            items.insert(at, new.clone());
        }
        (None, _) => {}
    }
    Ok(Jsonb::Array(items))
}

fn set(a: &[Value], new: &Jsonb, create: bool) -> Result<Value> {
    let target = jsonb(a, 0)?;
    if is_scalar(target) {
        return Err(refused("cannot set path in scalar"));
    }
    Ok(from_jsonb(at_path(target, &path(a, 1)?, 0, Change::Set { new, create })?))
}

fn insert(a: &[Value]) -> Result<Value> {
    let target = jsonb(a, 0)?;
    if is_scalar(target) {
        return Err(refused("cannot set path in scalar"));
    }
    let change = Change::Insert { new: jsonb(a, 2)?, after: boolean(a, 3)? };
    Ok(from_jsonb(at_path(target, &path(a, 1)?, 0, change)?))
}

fn delete_path(a: &[Value]) -> Result<Value> {
    let (target, path) = (jsonb(a, 0)?, path(a, 1)?);
    if is_scalar(target) {
        return Err(refused("cannot delete path in scalar"));
    }
    // Nothing is in it, so the path is not looked at.
    if matches!(target, Jsonb::Object(pairs) if pairs.is_empty())
        || matches!(target, Jsonb::Array(items) if items.is_empty())
    {
        return Ok(a[0].clone());
    }
    Ok(from_jsonb(at_path(target, &path, 0, Change::Delete)?))
}

/// `jsonb_set_lax`: as `jsonb_set`, with a choice of what a NULL as new value means.
fn set_lax(a: &[Value]) -> Result<Value> {
    if a[0].is_null() || a[1].is_null() || a[3].is_null() {
        return Ok(Value::Null);
    }
    if a[4].is_null() {
        return Err(invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        ));
    }
    if !a[2].is_null() {
        return set(a, jsonb(a, 2)?, boolean(a, 3)?);
    }
    match text(a, 4)?.as_str() {
        "raise_exception" => Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
        "use_json_null" => set(a, &Jsonb::Null, boolean(a, 3)?),
        "delete_key" => delete_path(a),
        "return_target" => Ok(a[0].clone()),
        _ => Err(invalid("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")),
    }
}

pub(super) const FUNCTIONS: Scalars = &[
    ("jsonb_concat", |_, a| Ok(from_jsonb(concat(jsonb(a, 0)?, jsonb(a, 1)?)))),
    ("jsonb_delete", |_, a| Ok(from_jsonb(delete_keys(jsonb(a, 0)?, &[text(a, 1)?])?))),
    ("jsonb_delete_array", |_, a| {
        let keys: Vec<&str> = path(a, 1)?.into_iter().flatten().collect();
        Ok(from_jsonb(delete_keys(jsonb(a, 0)?, &keys)?))
    }),
    ("jsonb_delete_idx", |_, a| Ok(from_jsonb(delete_index(jsonb(a, 0)?, int4(a, 1)?)?))),
    ("jsonb_delete_path", |_, a| delete_path(a)),
    ("jsonb_set", |_, a| set(a, jsonb(a, 2)?, boolean(a, 3)?)),
    ("jsonb_set_lax", |_, a| set_lax(a)),
    ("jsonb_insert", |_, a| insert(a)),
];
