//! Set-returning functions over numbers and arrays: `generate_series`, `generate_subscripts`, `unnest`.

use std::sync::Arc;

use tuplix_types::{Array, Result, Row, SqlError, Value, sqlstate};

use super::Sets;
use super::args::{array, boolean, int};
use crate::registry::SetRows;

/// A series of integers of one width.
struct Integers {
    next: Option<i64>,
    stop: i64,
    step: i64,
    wrap: fn(i64) -> Value,
}

impl SetRows for Integers {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        let Some(current) =
            self.next.filter(|at| if self.step > 0 { *at <= self.stop } else { *at >= self.stop })
        else {
            return Ok(false);
        };
        // Past the type's end the series is over; it is no error.
        self.next = current.checked_add(self.step);
        row.clear();
        row.push((self.wrap)(current));
        Ok(true)
    }
}

fn integers(a: &[Value], wrap: fn(i64) -> Value) -> Result<Box<dyn SetRows>> {
    let step = if a.len() > 2 { int(a, 2)? } else { 1 };
    if step == 0 {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Integers { next: Some(int(a, 0)?), stop: int(a, 1)?, step, wrap }))
}

/// Values that are there already.
pub(crate) struct Listed<I: Iterator<Item = Row> + Send>(pub I);

impl<I: Iterator<Item = Row> + Send> SetRows for Listed<I> {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        match self.0.next() {
            Some(next) => {
                *row = next;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// The rows of a set of single values.
pub(crate) fn single_column(values: impl Iterator<Item = Value> + Send + 'static) -> Box<dyn SetRows> {
    Box::new(Listed(values.map(|value| vec![value])))
}

/// The elements of an array; a composite element becomes one column here.
/// `information_schema._pg_expandarray`: each element with its number.
fn expand_array(a: &[Value]) -> Result<Box<dyn SetRows>> {
    let Value::Array(array) = &a[0] else { return Ok(single_column(std::iter::empty())) };
    let elements = array.elements.clone().into_iter().zip(1..);
    Ok(Box::new(Listed(elements.map(|(element, number)| vec![element, Value::Int4(number)]))))
}

fn unnest(a: &[Value]) -> Result<Box<dyn SetRows>> {
    let Value::Array(array) = &a[0] else { return Ok(single_column(std::iter::empty())) };
    let array: Arc<Array> = Arc::clone(array);
    let length = array.elements.len();
    Ok(single_column((0..length).map(move |index| array.elements[index].clone())))
}

fn subscripts(a: &[Value]) -> Result<Box<dyn SetRows>> {
    let (array, dimension) = (array(a, 0)?, int(a, 1)?);
    let reverse = a.len() > 2 && boolean(a, 2)?;
    let found = usize::try_from(dimension - 1).ok().and_then(|index| array.dimensions.get(index));
    let Some(found) = found else { return Ok(single_column(std::iter::empty())) };
    let (first, last) = (i64::from(found.lower), i64::from(found.lower) + i64::from(found.length) - 1);
    let (next, stop, step) = if reverse { (last, first, -1) } else { (first, last, 1) };
    Ok(Box::new(Integers { next: Some(next), stop, step, wrap: |v| Value::Int4(v as i32) }))
}

pub(crate) const SETS: Sets = &[
    ("generate_series_int4", |_, a| integers(a, |v| Value::Int4(v as i32))),
    ("generate_series_step_int4", |_, a| integers(a, |v| Value::Int4(v as i32))),
    ("generate_series_int8", |_, a| integers(a, Value::Int8)),
    ("generate_series_step_int8", |_, a| integers(a, Value::Int8)),
    ("generate_subscripts", |_, a| subscripts(a)),
    ("generate_subscripts_nodir", |_, a| subscripts(a)),
    ("array_unnest", |_, a| unnest(a)),
    ("_pg_expandarray", |_, a| expand_array(a)),
];
