//! Values with a part replaced: elements and slices of arrays, fields of rows, members of `jsonb` documents
//! (`array_set_element`, `array_set_slice`, `jsonb_set_element`).

use std::sync::Arc;

use ecow::EcoString;
use tuplix_sql::plan::{Expr, Subscript};
use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Array, ArrayDimension, Result, SqlError, TypeId, Value, sqlstate};

use super::builder::Builder;
use super::code::Code;
use super::frame::Exec;
use crate::stop::Run;

/// Elements that an array may have.
const MAX_ELEMENTS: i64 = 134_217_727;

type Bounds = Vec<(Option<i64>, Option<i64>)>;

impl Builder<'_> {
    pub(crate) fn set_element(
        &mut self,
        array: &Expr,
        subscripts: &[Subscript],
        slice: bool,
        value: &Expr,
    ) -> Result<Code> {
        let element = array.ty.element().unwrap_or(TypeId::UNKNOWN);
        let (array, value) = (self.expr(array)?, self.expr(value)?);
        let mut codes = Vec::with_capacity(subscripts.len());
        for subscript in subscripts {
            let lower = subscript.lower.as_ref().map(|lower| self.expr(lower)).transpose()?;
            let upper = subscript.upper.as_ref().map(|upper| self.expr(upper)).transpose()?;
            codes.push((lower, upper));
        }
        Ok(Code::new(move |exec| {
            let (before, was_null) = match array.run(exec)? {
                Value::Array(array) => (Array::clone(&array), false),
                _ => (Array::from_elements(element, Vec::new()), true),
            };
            let mut bounds: Bounds = Vec::with_capacity(codes.len());
            for (lower, upper) in &codes {
                bounds.push((bound(exec, lower.as_ref())?, bound(exec, upper.as_ref())?));
            }
            let value = value.run(exec)?;
            if !slice {
                return Ok(Value::Array(Arc::new(with_element(before, &bounds, value)?)));
            }
            match value {
                Value::Array(source) => Ok(Value::Array(Arc::new(with_slice(before, &bounds, &source)?))),
                // Nothing is assigned from NULL.
                _ if was_null => Ok(Value::Null),
                _ => Ok(Value::Array(Arc::new(before))),
            }
        }))
    }

    pub(crate) fn set_field(
        &mut self,
        record: &Expr,
        index: usize,
        width: usize,
        value: &Expr,
    ) -> Result<Code> {
        let (record, value) = (self.expr(record)?, self.expr(value)?);
        Ok(Code::new(move |exec| {
            let mut fields = match record.run(exec)? {
                Value::Record(fields) => fields.to_vec(),
                _ => Vec::new(),
            };
            fields.resize(width.max(index + 1), Value::Null);
            fields[index] = value.run(exec)?;
            Ok(Value::Record(fields.into()))
        }))
    }

    pub(crate) fn set_json(&mut self, target: &Expr, path: &[Expr], value: &Expr) -> Result<Code> {
        let (target, path, value) = (self.expr(target)?, self.exprs(path)?, self.expr(value)?);
        Ok(Code::new(move |exec| {
            let before = match target.run(exec)? {
                Value::Jsonb(before) => Some(Jsonb::clone(&before)),
                _ => None,
            };
            let mut keys = Vec::with_capacity(path.len());
            for key in &path {
                let key = key.run(exec)?;
                if key.is_null() {
                    let message = "jsonb subscript in assignment must not be null";
                    return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into());
                }
                keys.push(key);
            }
            let value = match value.run(exec)? {
                Value::Jsonb(value) => Jsonb::clone(&value),
                _ => Jsonb::Null,
            };
            let before = before.unwrap_or(match keys.first() {
                Some(Value::Int4(_)) => Jsonb::Array(Vec::new()),
                _ => Jsonb::Object(Vec::new()),
            });
            Ok(Value::Jsonb(Arc::new(with_member(before, &keys, 0, value)?)))
        }))
    }
}

fn bound(exec: &mut Exec<'_, '_>, code: Option<&Code>) -> Run<Option<i64>> {
    let Some(code) = code else { return Ok(None) };
    match code.run(exec)?.as_i64() {
        Some(bound) => Ok(Some(bound)),
        None => {
            let message = "array subscript in assignment must not be null";
            Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into())
        }
    }
}

fn out_of_range(message: &str) -> SqlError {
    SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message)
}

fn too_large() -> SqlError {
    let message = format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})");
    SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
}

/// Makes a one-dimensional array reach from `first` to `last`, with NULLs where it had nothing.
fn stretch(array: &mut Array, first: i64, last: i64) -> Result<()> {
    let dimension = array.dimensions[0];
    let low = i64::from(dimension.lower);
    let high = low + i64::from(dimension.length) - 1;
    let (new_low, new_high) = (low.min(first), high.max(last));
    let length = new_high - new_low + 1;
    if length > MAX_ELEMENTS || i32::try_from(new_high).is_err() {
        return Err(too_large());
    }
    let mut elements = Vec::with_capacity(length as usize);
    elements.resize((low - new_low) as usize, Value::Null);
    elements.append(&mut array.elements);
    elements.resize(length as usize, Value::Null);
    array.elements = elements;
    array.dimensions[0] = ArrayDimension { length: length as i32, lower: new_low as i32 };
    Ok(())
}

fn with_element(mut array: Array, bounds: &Bounds, value: Value) -> Result<Array> {
    let places: Vec<i64> = bounds.iter().map(|(_, place)| place.unwrap_or_default()).collect();
    if array.dimensions.is_empty() {
        array.dimensions =
            places.iter().map(|place| ArrayDimension { length: 1, lower: *place as i32 }).collect();
        array.elements = vec![value];
        return Ok(array);
    }
    if places.len() != array.dimensions.len() {
        return Err(out_of_range("wrong number of array subscripts"));
    }
    if let [place] = places[..] {
        stretch(&mut array, place, place)?;
    }
    let mut at = 0;
    for (place, dimension) in places.iter().zip(&array.dimensions) {
        let offset = place - i64::from(dimension.lower);
        if offset < 0 || offset >= i64::from(dimension.length) {
            return Err(out_of_range("array subscript out of range"));
        }
        at = at * dimension.length as usize + offset as usize;
    }
    array.elements[at] = value;
    Ok(array)
}

fn with_slice(mut array: Array, bounds: &Bounds, source: &Array) -> Result<Array> {
    if bounds.len() > tuplix_types::MAX_DIMENSIONS {
        return Err(out_of_range("wrong number of array subscripts"));
    }
    if array.dimensions.is_empty() {
        return new_slice(array, bounds, source);
    }
    if bounds.len() > array.dimensions.len() {
        return Err(out_of_range("wrong number of array subscripts"));
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (number, dimension) in array.dimensions.iter().enumerate() {
        let (low, length) = (i64::from(dimension.lower), i64::from(dimension.length));
        let (lower, upper) = bounds.get(number).copied().unwrap_or_default();
        ranges.push((lower.unwrap_or(low), upper.unwrap_or(low + length - 1)));
    }
    if ranges.iter().any(|(lower, upper)| lower > upper) {
        return Err(out_of_range("upper bound cannot be less than lower bound"));
    }
    if let [(lower, upper)] = ranges[..] {
        // What lies between the old array and the slice becomes NULL.
        stretch(&mut array, lower, upper)?;
    }
    let within = |((lower, upper), dimension): (&(i64, i64), &ArrayDimension)| {
        *lower >= i64::from(dimension.lower)
            && *upper < i64::from(dimension.lower) + i64::from(dimension.length)
    };
    if !ranges.iter().zip(&array.dimensions).all(within) {
        return Err(out_of_range("array subscript out of range"));
    }
    let count: i64 = ranges.iter().map(|(lower, upper)| upper - lower + 1).product();
    if (source.elements.len() as i64) < count {
        return Err(out_of_range("source array too small"));
    }
    let mut given = source.elements.iter().cloned();
    let dimensions = array.dimensions.clone();
    put_slice(&mut array.elements, &dimensions, &ranges, 0, 0, &mut given);
    Ok(array)
}

fn new_slice(mut array: Array, bounds: &Bounds, source: &Array) -> Result<Array> {
    let mut count = 1_i64;
    for (lower, upper) in bounds {
        let (Some(lower), Some(upper)) = (lower, upper) else {
            return Err(out_of_range("array slice subscript must provide both boundaries")
                .detail("When assigning to a slice of an empty array value, slice boundaries must be fully specified."));
        };
        if lower > upper {
            return Err(out_of_range("upper bound cannot be less than lower bound"));
        }
        let length = upper - lower + 1;
        count = count.saturating_mul(length);
        if count > MAX_ELEMENTS {
            return Err(too_large());
        }
        array.dimensions.push(ArrayDimension { length: length as i32, lower: *lower as i32 });
    }
    if (source.elements.len() as i64) < count {
        return Err(out_of_range("source array too small"));
    }
    array.elements = source.elements[..count as usize].to_vec();
    Ok(array)
}

fn put_slice(
    elements: &mut [Value],
    dimensions: &[ArrayDimension],
    ranges: &[(i64, i64)],
    depth: usize,
    start: usize,
    given: &mut dyn Iterator<Item = Value>,
) {
    let Some((lower, upper)) = ranges.get(depth) else {
        if let (Some(element), Some(value)) = (elements.get_mut(start), given.next()) {
            *element = value;
        }
        return;
    };
    let below: usize = dimensions[depth + 1..].iter().map(|dimension| dimension.length as usize).product();
    for place in *lower..=*upper {
        let offset = (place - i64::from(dimensions[depth].lower)) as usize;
        put_slice(elements, dimensions, ranges, depth + 1, start + offset * below, given);
    }
}

/// A document with what lies at `keys` replaced; what is missing on the way is made.
fn with_member(before: Jsonb, keys: &[Value], depth: usize, value: Jsonb) -> Result<Jsonb> {
    let Some(key) = keys.get(depth) else { return Ok(value) };
    let fresh = || match keys.get(depth + 1) {
        Some(Value::Int4(_)) => Jsonb::Array(Vec::new()),
        _ => Jsonb::Object(Vec::new()),
    };
    match before {
        Jsonb::Object(mut members) => {
            let name: EcoString = match key {
                Value::Int4(number) => number.to_string().into(),
                key => key.as_str().unwrap_or_default().into(),
            };
            let order = |other: &str| {
                other.len().cmp(&name.len()).then_with(|| other.as_bytes().cmp(name.as_bytes()))
            };
            match members.binary_search_by(|(other, _)| order(other)) {
                Ok(at) => {
                    let old = std::mem::replace(&mut members[at].1, Jsonb::Null);
                    members[at].1 = with_member(old, keys, depth + 1, value)?;
                }
                Err(at) => {
                    let made = with_member(fresh(), keys, depth + 1, value)?;
                    members.insert(at, (name, made));
                }
            }
            Ok(Jsonb::Object(members))
        }
        Jsonb::Array(mut items) => {
            let index = match key {
                Value::Int4(number) => *number,
                key => key.as_str().unwrap_or_default().trim().parse().map_err(|_| {
                    let shown = key.as_str().unwrap_or_default();
                    let message =
                        format!("path element at position {} is not an integer: \"{shown}\"", depth + 1);
                    SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, message)
                })?,
            };
            let place = match usize::try_from(index) {
                Ok(place) => place,
                Err(_) => items.len().checked_sub(index.unsigned_abs() as usize).ok_or_else(|| {
                    let message = format!("path element at position {} is out of range: {index}", depth + 1);
                    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
                })?,
            };
            if place as i64 > MAX_ELEMENTS {
                return Err(too_large());
            }
            match items.get_mut(place) {
                Some(item) => {
                    let old = std::mem::replace(item, Jsonb::Null);
                    *item = with_member(old, keys, depth + 1, value)?;
                }
                None => {
                    let made = with_member(fresh(), keys, depth + 1, value)?;
                    items.resize_with(place, || Jsonb::Null);
                    items.push(made);
                }
            }
            Ok(Jsonb::Array(items))
        }
        _ => Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "cannot replace existing key")
            .detail("The path assumes key is a composite object, but it is a scalar value.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbers(numbers: &[i32]) -> Array {
        Array::from_elements(TypeId::INT4, numbers.iter().map(|number| Value::Int4(*number)).collect())
    }

    fn shown(array: Array) -> String {
        tuplix_types::text_io::to_text(
            TypeId::INT4.array_of().unwrap(),
            &Value::Array(Arc::new(array)),
            &tuplix_types::IoContext::default(),
        )
    }

    #[test]
    fn elements_stretch_the_array() {
        let set =
            |array, place: i64| with_element(array, &vec![(None, Some(place))], Value::Int4(9)).map(shown);
        assert_eq!(set(numbers(&[1, 2]), 2).unwrap(), "{1,9}");
        assert_eq!(set(numbers(&[1, 2]), 4).unwrap(), "{1,2,NULL,9}");
        assert_eq!(set(numbers(&[1, 2]), -1).unwrap(), "[-1:2]={9,NULL,1,2}");
        assert_eq!(set(numbers(&[]), 5).unwrap(), "[5:5]={9}");
        assert!(set(numbers(&[1]), i64::from(i32::MAX)).is_err());
    }

    #[test]
    fn slices_need_enough_elements() {
        let set =
            |array, bounds, source: &[i32]| with_slice(array, &vec![bounds], &numbers(source)).map(shown);
        assert_eq!(set(numbers(&[1, 2, 3]), (Some(1), Some(2)), &[8, 9]).unwrap(), "{8,9,3}");
        assert_eq!(set(numbers(&[1, 2, 3]), (Some(5), Some(6)), &[8, 9]).unwrap(), "{1,2,3,NULL,8,9}");
        assert_eq!(set(numbers(&[1, 2, 3]), (None, Some(2)), &[8, 9, 7]).unwrap(), "{8,9,3}");
        assert_eq!(set(numbers(&[]), (Some(2), Some(3)), &[8, 9]).unwrap(), "[2:3]={8,9}");
        assert!(set(numbers(&[1, 2, 3]), (Some(1), Some(2)), &[8]).is_err());
        assert!(set(numbers(&[1, 2, 3]), (Some(2), Some(1)), &[8]).is_err());
        assert!(set(numbers(&[]), (None, Some(1)), &[8]).is_err());
    }

    #[test]
    fn documents_grow_on_the_way() {
        let set = |text: &str, keys: &[Value]| {
            let one = Jsonb::parse("1").unwrap();
            with_member(Jsonb::parse(text).unwrap(), keys, 0, one).map(|document| {
                let mut text = String::new();
                document.format(&mut text);
                text
            })
        };
        let (a, two) = (Value::text("a"), Value::Int4(2));
        assert_eq!(set("{}", &[a.clone(), two.clone()]).unwrap(), r#"{"a": [null, null, 1]}"#);
        assert_eq!(set(r#"{"a": {"b": 2}}"#, &[a.clone(), Value::text("b")]).unwrap(), r#"{"a": {"b": 1}}"#);
        assert_eq!(set("[0]", &[Value::Int4(-1)]).unwrap(), "[1]");
        assert!(set("[0]", &[Value::Int4(-2)]).is_err());
        assert!(set("[0]", std::slice::from_ref(&a)).is_err());
        assert!(set("5", &[a]).is_err());
    }
}
