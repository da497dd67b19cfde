//! `boolean`: what is not comparison.

use tuplix_types::{TypeId, Value};

use super::Scalars;
use super::args::{boolean, int4};

pub(crate) const FUNCTIONS: Scalars = &[
    ("bool_int4", |_, a| Ok(Value::Int4(i32::from(boolean(a, 0)?)))),
    ("int4_bool", |_, a| Ok(Value::Bool(int4(a, 0)? != 0))),
    ("booltext", |_, a| Ok(Value::text(if boolean(a, 0)? { "true" } else { "false" }))),
    ("booland_statefunc", |_, a| Ok(Value::Bool(boolean(a, 0)? && boolean(a, 1)?))),
    ("boolor_statefunc", |_, a| Ok(Value::Bool(boolean(a, 0)? || boolean(a, 1)?))),
    ("pg_num_nulls", |_, a| Ok(Value::Int4(a.iter().filter(|v| v.is_null()).count() as i32))),
    ("pg_num_nonnulls", |_, a| Ok(Value::Int4(a.iter().filter(|v| !v.is_null()).count() as i32))),
    ("pg_typeof", |ctx, _| Ok(Value::Oid(ctx.arg_types.first().map_or(TypeId::UNKNOWN.0, |id| id.0)))),
];
