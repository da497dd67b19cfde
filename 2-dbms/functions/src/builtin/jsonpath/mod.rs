//! `jsonb_path_query` and its kin, `@?`, `@@` (`jsonpath_exec.c`).

mod condition;
mod evaluate;
mod number;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use tuplix_types::jsonb::Jsonb;
use tuplix_types::jsonpath::JsonPath;
use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use self::evaluate::{Evaluation, Stop};
use super::args::{from_jsonb, jsonb, text};
use super::generate::Listed;
use super::{Scalars, Sets};

/// How many paths a thread keeps.
const CACHED: usize = 64;

thread_local! {
    /// The paths used last, the latest at the end. It only saves time, it decides nothing.
    static PARSED: RefCell<Vec<(String, Arc<JsonPath>)>> = const { RefCell::new(Vec::new()) };
}

static NO_VARIABLES: Jsonb = Jsonb::Object(Vec::new());

/// 22038
const SINGLETON_REQUIRED: SqlState = SqlState(*b"22038");

fn parsed(text: &str) -> Result<Arc<JsonPath>> {
    PARSED.with_borrow_mut(|cache| {
        if let Some((_, path)) = cache.iter().find(|(known, _)| known == text) {
            return Ok(path.clone());
        }
        let path = Arc::new(JsonPath::parse(text)?);
        if cache.len() >= CACHED {
            cache.remove(0);
        }
        cache.push((text.to_owned(), path.clone()));
        Ok(path)
    })
}

/// What a path finds; errors that a path can suppress are in the second part.
type Found<'a> = (Vec<Cow<'a, Jsonb>>, Option<SqlError>);

fn find<'a>(a: &'a [Value], path: &'a JsonPath, exists: bool) -> Result<Found<'a>> {
    let vars = if a.len() > 2 { jsonb(a, 2)? } else { &NO_VARIABLES };
    if !matches!(vars, Jsonb::Object(_)) {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "\"vars\" argument is not an object")
            .detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
    }
    let mut found = Vec::new();
    let outcome = Evaluation::new(path, jsonb(a, 0)?, vars).run(exists, &mut found);
    match outcome {
        Ok(()) => Ok((found, None)),
        Err(Stop::Soft(error)) => Ok((found, Some(error))),
        Err(Stop::Hard(error)) => Err(error),
    }
}

/// The argument `silent`, which the operators are.
fn is_silent(a: &[Value]) -> bool {
    a.get(3).is_none_or(|silent| silent.as_bool() == Some(true))
}

/// What a path finds, with its error unless the call is silent.
fn all<'a>(a: &'a [Value], path: &'a JsonPath) -> Result<Vec<Cow<'a, Jsonb>>> {
    match find(a, path, false)? {
        (_, Some(error)) if !is_silent(a) => Err(error),
        (found, _) => Ok(found),
    }
}

fn exists(a: &[Value]) -> Result<Value> {
    let path = parsed(text(a, 1)?)?;
    Ok(match find(a, &path, true)? {
        // In lax mode the first item is enough.
        (found, Some(_)) if !found.is_empty() && !path.strict => Value::Bool(true),
        (_, Some(error)) if !is_silent(a) => return Err(error),
        (_, Some(_)) => Value::Null,
        (found, None) => Value::Bool(!found.is_empty()),
    })
}

fn matches(a: &[Value]) -> Result<Value> {
    let path = parsed(text(a, 1)?)?;
    let found = all(a, &path)?;
    match &found[..] {
        [item] if let Jsonb::Bool(value) = &**item => Ok(Value::Bool(*value)),
        [item] if let Jsonb::Null = &**item => Ok(Value::Null),
        _ if is_silent(a) => Ok(Value::Null),
        _ => Err(SqlError::new(SINGLETON_REQUIRED, "single boolean result is expected")),
    }
}

fn query_array(a: &[Value]) -> Result<Value> {
    let path = parsed(text(a, 1)?)?;
    let found = all(a, &path)?;
    Ok(from_jsonb(Jsonb::Array(found.into_iter().map(Cow::into_owned).collect())))
}

fn query_first(a: &[Value]) -> Result<Value> {
    let path = parsed(text(a, 1)?)?;
    let found = all(a, &path)?;
    Ok(found.into_iter().next().map_or(Value::Null, |item| from_jsonb(item.into_owned())))
}

/// The functions of single values. Without `datetime()` those with time zones are no others.
pub(crate) const FUNCTIONS: Scalars = &[
    ("jsonb_path_exists", |_, a| exists(a)),
    ("jsonb_path_exists_tz", |_, a| exists(a)),
    ("jsonb_path_exists_opr", |_, a| exists(a)),
    ("jsonb_path_match", |_, a| matches(a)),
    ("jsonb_path_match_tz", |_, a| matches(a)),
    ("jsonb_path_match_opr", |_, a| matches(a)),
    ("jsonb_path_query_array", |_, a| query_array(a)),
    ("jsonb_path_query_array_tz", |_, a| query_array(a)),
    ("jsonb_path_query_first", |_, a| query_first(a)),
    ("jsonb_path_query_first_tz", |_, a| query_first(a)),
];

fn query(a: &[Value]) -> Result<Box<dyn crate::registry::SetRows>> {
    let path = parsed(text(a, 1)?)?;
    let rows: Vec<_> = all(a, &path)?.into_iter().map(|item| vec![from_jsonb(item.into_owned())]).collect();
    Ok(Box::new(Listed(rows.into_iter())))
}

/// The set-returning functions.
pub(crate) const SETS: Sets =
    &[("jsonb_path_query", |_, a| query(a)), ("jsonb_path_query_tz", |_, a| query(a))];
