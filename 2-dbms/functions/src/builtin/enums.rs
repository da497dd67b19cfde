//! Enums: their order is that of their values, their labels are the session's to know.

use tuplix_types::{Array, EnumValue, Result, SqlError, TypeId, Value, sqlstate};

use super::Scalars;
use super::args::from_array;
use super::hash::hash_of;
use crate::CallContext;

fn enum_type(context: &CallContext<'_>) -> TypeId {
    context.arg_types.first().copied().unwrap_or(TypeId::ANYENUM)
}

/// All values of the enum that the arguments are of, in order.
fn values(context: &CallContext<'_>) -> Result<Vec<EnumValue>> {
    context
        .session
        .enum_values(enum_type(context))
        .ok_or_else(|| SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, "could not determine actual enum type"))
}

fn end(context: &CallContext<'_>, last: bool) -> Result<Value> {
    let values = values(context)?;
    let value = if last { values.last() } else { values.first() };
    let none = || SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "enum contains no values");
    value.map(|value| Value::Enum(*value)).ok_or_else(none)
}

fn range(context: &CallContext<'_>, from: &Value, to: &Value) -> Result<Value> {
    let inside = |value: &Value| (from.is_null() || value >= from) && (to.is_null() || value <= to);
    let values = values(context)?.into_iter().map(Value::Enum).filter(inside).collect();
    Ok(from_array(Array::from_elements(enum_type(context), values)))
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("enum_eq", |_, a| Ok(Value::Bool(a[0] == a[1]))),
    ("enum_ne", |_, a| Ok(Value::Bool(a[0] != a[1]))),
    ("enum_lt", |_, a| Ok(Value::Bool(a[0] < a[1]))),
    ("enum_le", |_, a| Ok(Value::Bool(a[0] <= a[1]))),
    ("enum_gt", |_, a| Ok(Value::Bool(a[0] > a[1]))),
    ("enum_ge", |_, a| Ok(Value::Bool(a[0] >= a[1]))),
    ("enum_cmp", |_, a| Ok(Value::Int4(a[0].cmp(&a[1]) as i32))),
    ("enum_larger", |_, a| Ok(a[usize::from(a[0] <= a[1])].clone())),
    ("enum_smaller", |_, a| Ok(a[usize::from(a[0] >= a[1])].clone())),
    ("hashenum", |ctx, a| Ok(Value::Int4(hash_of(enum_type(ctx), &a[0], None)? as u32 as i32))),
    ("enum_first", |ctx, _| end(ctx, false)),
    ("enum_last", |ctx, _| end(ctx, true)),
    ("enum_range_all", |ctx, _| range(ctx, &Value::Null, &Value::Null)),
    ("enum_range_bounds", |ctx, a| range(ctx, &a[0], &a[1])),
];
