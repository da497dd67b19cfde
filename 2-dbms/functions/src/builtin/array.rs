//! Arrays: joining, searching, sizes, containment.

use tuplix_types::compare::equal_typed;
use tuplix_types::{Array, ArrayDimension, MAX_DIMENSIONS, Result, SqlError, TypeId, Value, sqlstate};

use super::Scalars;
use super::args::{array, from_array, int, int4, out_of_range};
use super::hash::natural_type;
use crate::CallContext;

fn subscript_error(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message)
}

fn incompatible(detail: &str) -> SqlError {
    subscript_error("cannot concatenate incompatible arrays").detail(detail)
}

/// The array at a place that may be NULL.
fn maybe_array(args: &[Value], at: usize) -> Result<Option<&Array>> {
    if args[at].is_null() { Ok(None) } else { array(args, at).map(Some) }
}

/// The element type of a result that is an array, where there is no array to take it from.
fn element_type(context: &CallContext<'_>, sample: &Value) -> TypeId {
    context.result_type.element().unwrap_or_else(|| natural_type(sample))
}

/// `array || element` and `element || array`.
fn add_element(
    context: &CallContext<'_>,
    array: Option<&Array>,
    element: &Value,
    at_end: bool,
) -> Result<Value> {
    let Some(array) = array.filter(|array| !array.elements.is_empty()) else {
        let id = array.map_or_else(|| element_type(context, element), |array| array.element);
        return Ok(from_array(Array::from_elements(id, vec![element.clone()])));
    };
    let [dimension] = array.dimensions[..] else {
        let message = "argument must be empty or one-dimensional array";
        return Err(SqlError::new(sqlstate::DATA_EXCEPTION, message));
    };
    let mut elements = Vec::with_capacity(array.elements.len() + 1);
    if !at_end {
        elements.push(element.clone());
    }
    elements.extend_from_slice(&array.elements);
    if at_end {
        elements.push(element.clone());
    }
    // Appending and prepending both keep the lower bound.
    let length = dimension.length.checked_add(1).ok_or_else(|| out_of_range("integer"))?;
    let dimensions = vec![ArrayDimension { length, lower: dimension.lower }];
    Ok(from_array(Array { element: array.element, dimensions, elements }))
}

/// `array || array`: side by side when they have as many dimensions, as a new slice when one has one less.
fn concat(a: &[Value]) -> Result<Value> {
    let (Some(left), Some(right)) = (maybe_array(a, 0)?, maybe_array(a, 1)?) else {
        return Ok(a[usize::from(a[0].is_null())].clone());
    };
    if left.dimensions.is_empty() {
        return Ok(a[1].clone());
    }
    if right.dimensions.is_empty() {
        return Ok(a[0].clone());
    }
    let lengths = |array: &Array| array.dimensions.iter().map(|d| d.length).collect::<Vec<_>>();
    let (wide, narrow) = (lengths(left), lengths(right));
    let mut dimensions;
    if wide.len() == narrow.len() {
        if wide[1..] != narrow[1..] {
            return Err(incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.",
            ));
        }
        dimensions = left.dimensions.clone();
        dimensions[0].length = wide[0].checked_add(narrow[0]).ok_or_else(|| out_of_range("integer"))?;
    } else if wide.len() == narrow.len() + 1 || wide.len() + 1 == narrow.len() {
        let (outer, inner) = if wide.len() > narrow.len() { (left, &narrow) } else { (right, &wide) };
        dimensions = outer.dimensions.clone();
        if dimensions[1..].iter().map(|d| d.length).ne(inner.iter().copied()) {
            return Err(incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.",
            ));
        }
        dimensions[0].length += 1;
    } else {
        let detail = format!(
            "Arrays of {} and {} dimensions are not compatible for concatenation.",
            wide.len(),
            narrow.len()
        );
        return Err(incompatible(&detail));
    }
    let elements = left.elements.iter().chain(&right.elements).cloned().collect();
    Ok(from_array(Array { element: left.element, dimensions, elements }))
}

fn dimension(a: &[Value]) -> Result<Option<ArrayDimension>> {
    let index = usize::try_from(int4(a, 1)? - 1).ok();
    Ok(index.and_then(|index| array(a, 0).ok()?.dimensions.get(index).copied()))
}

fn optional(value: Option<i32>) -> Value {
    value.map_or(Value::Null, Value::Int4)
}

fn dims(array: &Array) -> Value {
    if array.dimensions.is_empty() {
        return Value::Null;
    }
    let shown = array
        .dimensions
        .iter()
        .map(|d| format!("[{}:{}]", d.lower, i64::from(d.lower) + i64::from(d.length) - 1));
    Value::text(shown.collect::<String>())
}

fn only_one_dimension(array: &Array, what: &str) -> Result<()> {
    if array.dimensions.len() > 1 {
        let message = format!("{what} multidimensional arrays is not supported");
        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
    }
    Ok(())
}

/// The subscripts at which an element is found, NULL equal to NULL.
fn positions<'v>(array: &'v Array, element: &'v Value) -> impl Iterator<Item = i32> + use<'v> {
    let lower = array.dimensions.first().map_or(1, |d| d.lower);
    let found = array.elements.iter().enumerate().filter(|(_, e)| equal_typed(array.element, e, element));
    found.map(move |(index, _)| lower + index as i32)
}

fn position(a: &[Value]) -> Result<Value> {
    let Some(array) = maybe_array(a, 0)? else { return Ok(Value::Null) };
    only_one_dimension(array, "searching for elements in")?;
    let start = match a.get(2) {
        None => i64::MIN,
        Some(Value::Null) => {
            return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "initial position must not be null"));
        }
        Some(_) => int(a, 2)?,
    };
    Ok(optional(positions(array, &a[1]).find(|at| i64::from(*at) >= start)))
}

fn all_positions(a: &[Value]) -> Result<Value> {
    let Some(array) = maybe_array(a, 0)? else { return Ok(Value::Null) };
    only_one_dimension(array, "searching for elements in")?;
    Ok(from_array(Array::from_elements(TypeId::INT4, positions(array, &a[1]).map(Value::Int4).collect())))
}

fn remove(a: &[Value]) -> Result<Value> {
    let Some(array) = maybe_array(a, 0)? else { return Ok(Value::Null) };
    only_one_dimension(array, "removing elements from")?;
    let keep = |element: &&Value| !equal_typed(array.element, element, &a[1]);
    let elements: Vec<Value> = array.elements.iter().filter(keep).cloned().collect();
    let mut kept = Array::from_elements(array.element, elements);
    if let (Some(new), Some(old)) = (kept.dimensions.first_mut(), array.dimensions.first()) {
        new.lower = old.lower;
    }
    Ok(from_array(kept))
}

fn replace(a: &[Value]) -> Result<Value> {
    let Some(array) = maybe_array(a, 0)? else { return Ok(Value::Null) };
    let swap =
        |element: &Value| if equal_typed(array.element, element, &a[1]) { &a[2] } else { element }.clone();
    let elements = array.elements.iter().map(swap).collect();
    Ok(from_array(Array { element: array.element, dimensions: array.dimensions.clone(), elements }))
}

/// Whether every element of `part` is in `whole`; a NULL is in nothing.
fn contains(whole: &Array, part: &Array) -> bool {
    part.elements.iter().all(|wanted| holds(whole, wanted))
}

fn holds(array: &Array, wanted: &Value) -> bool {
    !wanted.is_null() && array.elements.iter().any(|element| equal_typed(array.element, element, wanted))
}

fn trim(array: &Array, count: i32) -> Result<Value> {
    let length = array.dimensions.first().map_or(0, |d| d.length);
    if count < 0 || count > length {
        return Err(subscript_error(format!("number of elements to trim must be between 0 and {length}")));
    }
    let Some(first) = array.dimensions.first() else { return Ok(from_array(array.clone())) };
    let slice = array.elements.len() / first.length as usize;
    let kept = (length - count) as usize;
    if kept == 0 {
        return Ok(from_array(Array::from_elements(array.element, Vec::new())));
    }
    let mut dimensions = array.dimensions.clone();
    dimensions[0] = ArrayDimension { length: kept as i32, lower: 1 };
    dimensions[1..].iter_mut().for_each(|d| d.lower = 1);
    Ok(from_array(Array {
        element: array.element,
        dimensions,
        elements: array.elements[..kept * slice].to_vec(),
    }))
}

fn fill(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    let bounds =
        |at: usize, what: &str| -> Result<Vec<i32>> {
            let Some(given) = maybe_array(a, at)? else {
                let message = "dimension array or low bound array cannot be null";
                return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message));
            };
            if given.dimensions.len() > 1 {
                return Err(subscript_error("wrong number of array subscripts")
                    .detail(format!("{what} array must be one dimensional.")));
            }
            given.elements.iter().map(|v| v.as_i64().map(|v| v as i32)).collect::<Option<_>>().ok_or_else(
                || SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null"),
            )
        };
    let lengths = bounds(1, "Dimension")?;
    let lowers = if a.len() > 2 { bounds(2, "Low bound")? } else { vec![1; lengths.len()] };
    if lengths.len() > MAX_DIMENSIONS {
        let message = format!(
            "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})",
            lengths.len()
        );
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
    }
    if lowers.len() != lengths.len() {
        return Err(subscript_error("wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let total = lengths.iter().try_fold(1usize, |total, l| total.checked_mul(usize::try_from(*l).ok()?));
    let Some(total) = total.filter(|total| *total <= MAX_ELEMENTS) else {
        let message = format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})");
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
    };
    let element = element_type(context, &a[0]);
    if total == 0 || lengths.is_empty() {
        return Ok(from_array(Array::from_elements(element, Vec::new())));
    }
    let dimensions =
        lengths.iter().zip(lowers).map(|(&length, lower)| ArrayDimension { length, lower }).collect();
    Ok(from_array(Array { element, dimensions, elements: vec![a[0].clone(); total] }))
}

/// PostgreSQL's `MaxArraySize`.
const MAX_ELEMENTS: usize = 134_217_727;

pub(crate) const FUNCTIONS: Scalars = &[
    ("array_append", |ctx, a| add_element(ctx, maybe_array(a, 0)?, &a[1], true)),
    ("array_prepend", |ctx, a| add_element(ctx, maybe_array(a, 1)?, &a[0], false)),
    ("array_cat", |_, a| concat(a)),
    ("array_length", |_, a| Ok(optional(dimension(a)?.map(|d| d.length)))),
    ("array_lower", |_, a| Ok(optional(dimension(a)?.map(|d| d.lower)))),
    ("array_upper", |_, a| Ok(optional(dimension(a)?.map(|d| d.lower + d.length - 1)))),
    ("array_ndims", |_, a| {
        let dimensions = array(a, 0)?.dimensions.len() as i32;
        Ok(optional(Some(dimensions).filter(|count| *count > 0)))
    }),
    ("array_dims", |_, a| Ok(dims(array(a, 0)?))),
    ("array_cardinality", |_, a| Ok(Value::Int4(array(a, 0)?.elements.len() as i32))),
    ("array_position", |_, a| position(a)),
    ("array_position_start", |_, a| position(a)),
    ("array_positions", |_, a| all_positions(a)),
    ("array_remove", |_, a| remove(a)),
    ("array_replace", |_, a| replace(a)),
    ("arraycontains", |_, a| Ok(Value::Bool(contains(array(a, 0)?, array(a, 1)?)))),
    ("arraycontained", |_, a| Ok(Value::Bool(contains(array(a, 1)?, array(a, 0)?)))),
    ("arrayoverlap", |_, a| {
        let (left, right) = (array(a, 0)?, array(a, 1)?);
        Ok(Value::Bool(right.elements.iter().any(|element| holds(left, element))))
    }),
    ("trim_array", |_, a| trim(array(a, 0)?, int4(a, 1)?)),
    ("array_fill", |ctx, a| fill(ctx, a)),
    ("array_fill_with_lower_bounds", |ctx, a| fill(ctx, a)),
];
