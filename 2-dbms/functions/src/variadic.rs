//! `f(VARIADIC array)` with functions that take any number of values of any type (`concat`, `format`, `json_build_array`, ...): the
//! array's elements become arguments when the function is called.

use std::sync::LazyLock;

use tuplix_types::{Result, Value};

use crate::context::CallContext;
use crate::registry::{Function, ScalarFn, lookup_symbol};

const SPREADING: [(&str, ScalarFn); 9] = [
    ("json_build_array", |context, arguments| spread(context, arguments, "json_build_array")),
    ("json_build_object", |context, arguments| spread(context, arguments, "json_build_object")),
    ("jsonb_build_array", |context, arguments| spread(context, arguments, "jsonb_build_array")),
    ("jsonb_build_object", |context, arguments| spread(context, arguments, "jsonb_build_object")),
    ("pg_num_nonnulls", |context, arguments| spread(context, arguments, "pg_num_nonnulls")),
    ("pg_num_nulls", |context, arguments| spread(context, arguments, "pg_num_nulls")),
    ("text_concat", |context, arguments| spread(context, arguments, "text_concat")),
    ("text_concat_ws", |context, arguments| spread(context, arguments, "text_concat_ws")),
    ("text_format", |context, arguments| spread(context, arguments, "text_format")),
];

static FUNCTIONS: LazyLock<Vec<Function>> = LazyLock::new(|| {
    let with_array =
        |(symbol, call): &(&str, ScalarFn)| Function { call: *call, ..lookup_symbol(symbol).clone() };
    SPREADING.iter().map(with_array).collect()
});

/// The function as it is called with an array for its last arguments.
pub(crate) fn with_array(function: &Function) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|known| known.oid == function.oid)
}

/// Calls a function with the elements of the last argument in its place; NULL for no array, but for `format`, to which that is
/// no arguments.
fn spread(context: &mut CallContext<'_>, arguments: &[Value], symbol: &str) -> Result<Value> {
    let Some((last, fixed)) = arguments.split_last() else { return Ok(Value::Null) };
    let mut values = fixed.to_vec();
    let mut types = context.arg_types.get(..fixed.len()).unwrap_or_default().to_vec();
    match last {
        Value::Array(array) => {
            types.extend(array.elements.iter().map(|_| array.element));
            values.extend(array.elements.iter().cloned());
        }
        _ if symbol == "text_format" => {}
        _ => return Ok(Value::Null),
    }
    let mut inner = CallContext { arg_types: &types, ..*context };
    (lookup_symbol(symbol).call)(&mut inner, &values)
}
