//! Expressions as closures: arrays, records, casts through text, calls of the catalogue's functions.

use std::sync::Arc;

use tuplix_catalog::FunctionId;
use tuplix_functions::Function;
use tuplix_sql::plan::{Expr, ExprKind, RelationId, Subscript};
use tuplix_storage::Comparison;
use tuplix_types::{
    Array, ArrayDimension, Result, SqlError, TypeId, Value, compare_typed, sqlstate, text_io,
};

use super::builder::Builder;
use super::code::{Code, run_all};
use super::compare::{comparison_of, holds};
use super::frame::Exec;
use super::host::{self, CallTypes};
use super::procedure::Source;
use crate::stop::Run;

impl Builder<'_> {
    /// The kinds that [`Builder::expr`] leaves to this file.
    pub(crate) fn expr_more(&mut self, node: &Expr) -> Result<Code> {
        match &node.kind {
            ExprKind::WholeRow(relation) => self.whole_row(*relation),
            ExprKind::Place { relation, keys } => self.place(*relation, keys),
            ExprKind::UserCall { function, arguments } => {
                self.reads_more = true;
                self.user_call(*function, arguments)
            }
            ExprKind::CastViaText(inner) => {
                let (from, to, typmod) = (inner.ty, node.ty, node.typmod);
                let inner = self.expr(inner)?;
                Ok(Code::new(move |exec| {
                    let value = inner.run(exec)?;
                    host::via_text(exec, &value, from, to, typmod)
                }))
            }
            ExprKind::Domain { argument, not_null, checks } => {
                self.domain(node.ty, argument, *not_null, checks)
            }
            ExprKind::DomainValue => match self.domain_values.last() {
                Some(slot) => Ok(Code::Slot(*slot)),
                None => Err(SqlError::internal("VALUE outside of a domain's CHECK")),
            },
            ExprKind::CastElements { array, element } => self.cast_elements(array, element),
            ExprKind::NullIf { left, equal } => {
                let (left, equal) = (self.expr(left)?, self.test(equal)?);
                Ok(Code::new(move |exec| {
                    let value = left.run(exec)?;
                    Ok(if equal(exec)? { Value::Null } else { value })
                }))
            }
            ExprKind::MinMax { greatest, arguments } => self.min_max(*greatest, arguments, node.ty),
            ExprKind::Array { elements, multidimensional } => self.array(node, elements, *multidimensional),
            ExprKind::Subscript { array, subscripts, slice } => self.subscript(array, subscripts, *slice),
            ExprKind::SetElement { array, subscripts, slice, value } => {
                self.set_element(array, subscripts, *slice, value)
            }
            ExprKind::SetField { record, index, width, value } => {
                self.set_field(record, *index, *width, value)
            }
            ExprKind::SetJson { target, path, value } => self.set_json(target, path, value),
            ExprKind::Populate { source, base, columns } => self.populate(source, base.as_deref(), columns),
            ExprKind::Row(parts) => {
                let parts = self.exprs(parts)?;
                Ok(Code::new(move |exec| {
                    let mut values = Vec::with_capacity(parts.len());
                    run_all(&parts, exec, &mut values)?;
                    Ok(Value::Record(values.into()))
                }))
            }
            ExprKind::Field { record, index } => {
                let (record, index) = (self.expr(record)?, *index);
                Ok(Code::new(move |exec| match record.run(exec)? {
                    Value::Record(fields) => Ok(fields.get(index).cloned().unwrap_or_default()),
                    _ => Ok(Value::Null),
                }))
            }
            ExprKind::AnyAll { left, array, function, all } => self.any_all(left, array, function, *all),
            ExprKind::Subquery { kind, query } => self.subquery(kind, query),
            _ => Err(SqlError::internal("an expression kind that no compiler takes")),
        }
    }

    fn whole_row(&mut self, relation: RelationId) -> Result<Code> {
        let slots = self.relations.get(&relation);
        let slots = slots.ok_or_else(|| SqlError::internal("a whole row of an unknown relation"))?;
        let columns: Vec<usize> = slots.columns.iter().flatten().copied().collect();
        let present = slots.present;
        Ok(Code::new(move |exec| {
            if present.is_some_and(|slot| exec.get(slot).is_null()) {
                return Ok(Value::Null);
            }
            Ok(Value::Record(columns.iter().map(|slot| exec.get(*slot).clone()).collect()))
        }))
    }

    fn user_call(&mut self, function: FunctionId, arguments: &[Expr]) -> Result<Code> {
        let definition = self.context.catalog.function(function);
        let definition =
            definition.ok_or_else(|| SqlError::internal("a call of a function that does not exist"))?;
        if definition.returns_set {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "set-valued function called in context that cannot accept a set",
            ));
        }
        let strict = definition.strict;
        let arguments = self.exprs(arguments)?;
        if function.is_special()
            && let Some(source) = Source::function(self.context.catalog, function)
        {
            return Ok(Code::new(move |exec| {
                let mut values = Vec::with_capacity(arguments.len());
                run_all(&arguments, exec, &mut values)?;
                if strict && values.iter().any(Value::is_null) {
                    return Ok(Value::Null);
                }
                let code = exec.services.compiled_special(function, &source)?;
                code.call_scalar(exec, &values)
            }));
        }
        Ok(Code::new(move |exec| {
            let mut values = exec.take_buffer();
            run_all(&arguments, exec, &mut values)?;
            if strict && values.iter().any(Value::is_null) {
                exec.give_buffer(values);
                return Ok(Value::Null);
            }
            let code = exec.services.compiled_function(function)?;
            let result = code.call_scalar(exec, &values);
            exec.give_buffer(values);
            result
        }))
    }

    fn cast_elements(&mut self, array: &Expr, element: &Expr) -> Result<Code> {
        let array = self.expr(array)?;
        let slot = self.slot();
        self.case_operands.push(slot);
        let cast = self.expr(element);
        self.case_operands.pop();
        let (cast, ty) = (cast?, element.ty);
        Ok(Code::new(move |exec| {
            let Value::Array(array) = array.run(exec)? else { return Ok(Value::Null) };
            let mut elements = Vec::with_capacity(array.elements.len());
            for value in &array.elements {
                exec.set(slot, value.clone());
                elements.push(cast.run(exec)?);
            }
            Ok(Value::Array(Arc::new(Array { element: ty, dimensions: array.dimensions.clone(), elements })))
        }))
    }

    fn min_max(&mut self, greatest: bool, arguments: &[Expr], ty: TypeId) -> Result<Code> {
        let arguments = self.exprs(arguments)?;
        Ok(Code::new(move |exec| {
            let mut best = Value::Null;
            for argument in &arguments {
                let value = argument.run(exec)?;
                let order = compare_typed(ty, &value, &best);
                if !value.is_null()
                    && (best.is_null() || if greatest { order.is_gt() } else { order.is_lt() })
                {
                    best = value;
                }
            }
            Ok(best)
        }))
    }

    fn array(&mut self, node: &Expr, elements: &[Expr], multidimensional: bool) -> Result<Code> {
        let element =
            node.ty.element().ok_or_else(|| SqlError::internal("an array of a type without elements"))?;
        let codes = self.exprs(elements)?;
        let constants: Option<Vec<Value>> = codes.iter().map(|code| code.constant().cloned()).collect();
        if let (Some(constants), false) = (constants, multidimensional) {
            return Ok(Code::Constant(Value::Array(Arc::new(Array::from_elements(element, constants)))));
        }
        Ok(Code::new(move |exec| {
            let mut values = Vec::with_capacity(codes.len());
            run_all(&codes, exec, &mut values)?;
            let array = if multidimensional {
                nest(element, &values)?
            } else {
                Array::from_elements(element, values)
            };
            Ok(Value::Array(Arc::new(array)))
        }))
    }

    fn subscript(&mut self, array: &Expr, subscripts: &[Subscript], slice: bool) -> Result<Code> {
        let array = self.expr(array)?;
        let mut bounds = Vec::new();
        for subscript in subscripts {
            let lower = subscript.lower.as_ref().map(|lower| self.expr(lower)).transpose()?;
            let upper = subscript.upper.as_ref().map(|upper| self.expr(upper)).transpose()?;
            bounds.push((lower, upper));
        }
        Ok(Code::new(move |exec| {
            let value = array.run(exec)?;
            let mut numbers = Vec::with_capacity(bounds.len());
            for (lower, upper) in &bounds {
                let (Ok(lower), Ok(upper)) = (bound(exec, lower.as_ref())?, bound(exec, upper.as_ref())?)
                else {
                    return Ok(Value::Null);
                };
                numbers.push((lower, upper));
            }
            let array = match value {
                Value::Array(array) => array,
                Value::Text(name) => return Ok(byte_of(&name, &numbers)),
                _ => return Ok(Value::Null),
            };
            Ok(if slice { slice_of(&array, &numbers) } else { element_of(&array, &numbers) })
        }))
    }

    fn any_all(&mut self, left: &Expr, array: &Expr, function: &'static Function, all: bool) -> Result<Code> {
        let element = array.ty.element().unwrap_or(TypeId::UNKNOWN);
        let types = CallTypes { arguments: [left.ty, element].into(), result: TypeId::BOOL };
        let (left, array) = (self.expr(left)?, self.expr(array)?);
        let comparison = comparison_of(function).map(|comparison| (comparison, function.args[0]));
        Ok(Code::new(move |exec| {
            let left = left.run(exec)?;
            let Value::Array(array) = array.run(exec)? else { return Ok(Value::Null) };
            quantify(exec, all, &array.elements, |exec, element| {
                compare_one(exec, function, comparison, &types, &left, element)
            })
        }))
    }
}

/// One comparison of ANY or ALL.
pub(crate) fn compare_one(
    exec: &mut Exec<'_, '_>,
    function: &'static Function,
    comparison: Option<(Comparison, TypeId)>,
    types: &CallTypes,
    left: &Value,
    right: &Value,
) -> Run<Option<bool>> {
    match comparison {
        _ if function.strict && (left.is_null() || right.is_null()) => Ok(None),
        Some((comparison, ty)) => Ok(Some(holds(comparison, compare_typed(ty, left, right)))),
        None => Ok(host::call(exec, function, types, &[left.clone(), right.clone()])?.as_bool()),
    }
}

/// ANY or ALL over elements.
fn quantify(
    exec: &mut Exec<'_, '_>,
    all: bool,
    elements: &[Value],
    mut compare: impl FnMut(&mut Exec<'_, '_>, &Value) -> Run<Option<bool>>,
) -> Run<Value> {
    let mut unknown = false;
    for element in elements {
        match compare(exec, element)? {
            Some(holds) if holds != all => return Ok(Value::Bool(!all)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(all) })
}

/// `name[i]`: a byte of the 64 that a name has, the last ones zero.
fn byte_of(name: &str, numbers: &[(Option<i64>, Option<i64>)]) -> Value {
    const NAME_BYTES: usize = 64;
    let place = match numbers {
        [(None, Some(place))] => usize::try_from(*place).ok().filter(|place| *place < NAME_BYTES),
        _ => None,
    };
    place.map_or(Value::Null, |place| {
        Value::Text(text_io::format_char(name.as_bytes().get(place).copied().unwrap_or(0)))
    })
}

/// A bound of a subscript: absent, a number, or `Err` for NULL.
fn bound(exec: &mut Exec<'_, '_>, code: Option<&Code>) -> Run<Result<Option<i64>, ()>> {
    let Some(code) = code else { return Ok(Ok(None)) };
    Ok(code.run(exec)?.as_i64().map(Some).ok_or(()))
}

/// Arrays of equal shape as one of a dimension more.
pub(crate) fn nest(element: TypeId, values: &[Value]) -> Result<Array> {
    let mut shape: Option<&[ArrayDimension]> = None;
    let mut elements = Vec::new();
    for value in values {
        let dimensions: &[ArrayDimension] = match value {
            Value::Array(array) => {
                elements.extend_from_slice(&array.elements);
                &array.dimensions
            }
            _ => &[],
        };
        let same = shape.is_none_or(|shape| {
            shape.len() == dimensions.len() && shape.iter().zip(dimensions).all(|(a, b)| a.length == b.length)
        });
        if !same {
            let message = "multidimensional arrays must have array expressions with matching dimensions";
            return Err(SqlError::new(sqlstate::ARRAY_SUBSCRIPT_ERROR, message));
        }
        shape = Some(dimensions);
    }
    let inner = shape.unwrap_or_default();
    if elements.is_empty() {
        return Ok(Array { element, dimensions: Vec::new(), elements });
    }
    let outer = ArrayDimension { length: i32::try_from(values.len()).unwrap_or(i32::MAX), lower: 1 };
    Ok(Array { element, dimensions: std::iter::once(outer).chain(inner.iter().copied()).collect(), elements })
}

fn element_of(array: &Array, subscripts: &[(Option<i64>, Option<i64>)]) -> Value {
    if subscripts.len() != array.dimensions.len() {
        return Value::Null;
    }
    let mut place = 0;
    for ((_, subscript), dimension) in subscripts.iter().zip(&array.dimensions) {
        let offset = subscript.unwrap_or_default() - i64::from(dimension.lower);
        if offset < 0 || offset >= i64::from(dimension.length) {
            return Value::Null;
        }
        place = place * dimension.length as usize + offset as usize;
    }
    array.elements.get(place).cloned().unwrap_or_default()
}

/// `array[a:b][c:d]`; a plain subscript among slices means `1:n`, and left-out dimensions are whole.
fn slice_of(array: &Array, subscripts: &[(Option<i64>, Option<i64>)]) -> Value {
    let empty = || {
        Value::Array(Arc::new(Array { element: array.element, dimensions: Vec::new(), elements: Vec::new() }))
    };
    if subscripts.len() > array.dimensions.len() {
        return empty();
    }
    let mut ranges = Vec::with_capacity(array.dimensions.len());
    for (number, dimension) in array.dimensions.iter().enumerate() {
        let (first, last) =
            (i64::from(dimension.lower), i64::from(dimension.lower) + i64::from(dimension.length) - 1);
        let (lower, upper) = subscripts.get(number).copied().unwrap_or_default();
        let range = (lower.unwrap_or(first).max(first) - first, upper.unwrap_or(last).min(last) - first);
        if range.0 > range.1 {
            return empty();
        }
        ranges.push((range.0 as usize, range.1 as usize));
    }
    let mut elements = Vec::new();
    collect_slice(array, &ranges, 0, 0, &mut elements);
    let dimensions = ranges
        .iter()
        .map(|(first, last)| ArrayDimension { length: (last - first + 1) as i32, lower: 1 })
        .collect();
    Value::Array(Arc::new(Array { element: array.element, dimensions, elements }))
}

fn collect_slice(array: &Array, ranges: &[(usize, usize)], depth: usize, start: usize, out: &mut Vec<Value>) {
    let Some((first, last)) = ranges.get(depth) else {
        out.push(array.elements[start].clone());
        return;
    };
    let below: usize = array.dimensions[depth + 1..].iter().map(|d| d.length as usize).product();
    for place in *first..=*last {
        collect_slice(array, ranges, depth + 1, start + place * below, out);
    }
}
