//! Numbers of paths.

use tuplix_types::jsonb::Jsonb;
use tuplix_types::jsonpath::{Binary, Method};
use tuplix_types::{Numeric, SqlState, text_io};

use super::SINGLETON_REQUIRED;
use super::evaluate::{Found, Run, Stop, soft};

/// 22036
const NON_NUMERIC: SqlState = SqlState(*b"22036");

/// `left + right` and its kin: each side is one number.
pub(super) fn arithmetic(operator: Binary, left: &[Found<'_>], right: &[Found<'_>]) -> Run<Jsonb> {
    let (a, b) = (single(operator, "left", left)?, single(operator, "right", right)?);
    let result = match operator {
        Binary::Add => a.add(b),
        Binary::Subtract => a.sub(b),
        Binary::Multiply => a.mul(b),
        Binary::Divide => a.div(b),
        _ => a.rem(b),
    };
    result.map(Jsonb::Number).map_err(Stop::Soft)
}

fn single<'f>(operator: Binary, side: &str, found: &'f [Found<'_>]) -> Run<&'f Numeric> {
    if let [value] = found
        && let Jsonb::Number(number) = &**value
    {
        return Ok(number);
    }
    let symbol = operator.symbol();
    let message = format!("{side} operand of jsonpath operator {symbol} is not a single numeric value");
    soft(SINGLETON_REQUIRED, message)
}

/// `.abs()`, `.floor()`, `.ceiling()`
pub(super) fn rounded(method: &Method, value: &Jsonb) -> Run<Jsonb> {
    let Jsonb::Number(number) = value else {
        let name = method.name();
        let message = format!("jsonpath item method .{name}() can only be applied to a numeric value");
        return soft(NON_NUMERIC, message);
    };
    let result = match method {
        Method::Abs => Ok(number.abs()),
        Method::Floor => number.floor(),
        _ => number.ceil(),
    };
    result.map(Jsonb::Number).map_err(Stop::Soft)
}

/// `.double()`
pub(super) fn double(value: &Jsonb) -> Run<Jsonb> {
    let infinite = || soft(NON_NUMERIC, "NaN or Infinity is not allowed for jsonpath item method .double()");
    match value {
        Jsonb::Number(number) => match number.to_f64() {
            Ok(float) if float.is_finite() => Ok(value.clone()),
            Ok(_) => infinite(),
            Err(_) => {
                let message = "numeric argument of jsonpath item method .double() is out of range for type double precision";
                soft(NON_NUMERIC, message)
            }
        },
        Jsonb::String(text) => match text_io::parse_float8(text) {
            Ok(float) if float.is_finite() => Numeric::from_f64(float).map(Jsonb::Number).map_err(Stop::Soft),
            Ok(_) => infinite(),
            Err(_) => {
                let message = "string argument of jsonpath item method .double() is not a valid representation of a double precision number";
                soft(NON_NUMERIC, message)
            }
        },
        _ => soft(
            NON_NUMERIC,
            "jsonpath item method .double() can only be applied to a string or numeric value",
        ),
    }
}
