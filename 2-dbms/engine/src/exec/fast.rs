//! Specialised closures for the shapes that hot code is made of: integers compared or added, slot against
//! constant or slot. Everything else takes the general way through the function's own code.

use tuplix_functions::Function;
use tuplix_storage::Comparison;
use tuplix_types::{SqlError, TypeId, Value, compare_typed, sqlstate};

use super::code::{Code, TestFn, test};
use super::compare::{comparison_of, holds, is_integer};
use super::frame::Exec;
use crate::stop::{Run, Stop};

/// The comparison of two integers as a test.
fn integer_test(
    left: Code,
    right: Code,
    compare: impl Fn(i64, i64) -> bool + Copy + Send + Sync + 'static,
) -> TestFn {
    match (left, right) {
        (Code::Slot(left), Code::Slot(right)) => test(move |exec| {
            let (Some(a), Some(b)) = (exec.get(left).as_i64(), exec.get(right).as_i64()) else {
                return Ok(false);
            };
            Ok(compare(a, b))
        }),
        (Code::Slot(left), Code::Constant(constant)) => match constant.as_i64() {
            Some(constant) => {
                test(move |exec| Ok(exec.get(left).as_i64().is_some_and(|value| compare(value, constant))))
            }
            None => test(|_| Ok(false)),
        },
        (left, right) => test(move |exec| {
            let left = left.run(exec)?;
            let right = right.run(exec)?;
            let (Some(a), Some(b)) = (left.as_i64(), right.as_i64()) else { return Ok(false) };
            Ok(compare(a, b))
        }),
    }
}

/// The comparison of two integers as a value.
fn integer_value(
    left: Code,
    right: Code,
    compare: impl Fn(i64, i64) -> bool + Copy + Send + Sync + 'static,
) -> Code {
    Code::new(move |exec| {
        let left = left.run(exec)?;
        let right = right.run(exec)?;
        Ok(match (left.as_i64(), right.as_i64()) {
            (Some(a), Some(b)) => Value::Bool(compare(a, b)),
            _ => Value::Null,
        })
    })
}

/// A test for a comparison over two compiled sides; gives the sides back when it is not one.
pub(crate) fn comparison_test(function: &Function, left: Code, right: Code) -> Result<TestFn, (Code, Code)> {
    let Some(comparison) = comparison_of(function) else { return Err((left, right)) };
    if is_integer(function.args[0]) {
        return Ok(match comparison {
            Comparison::Equal => integer_test(left, right, |a, b| a == b),
            Comparison::NotEqual => integer_test(left, right, |a, b| a != b),
            Comparison::Less => integer_test(left, right, |a, b| a < b),
            Comparison::LessOrEqual => integer_test(left, right, |a, b| a <= b),
            Comparison::Greater => integer_test(left, right, |a, b| a > b),
            Comparison::GreaterOrEqual => integer_test(left, right, |a, b| a >= b),
        });
    }
    let ty = function.args[0];
    Ok(match (left, right) {
        (Code::Slot(left), Code::Slot(right)) => test(move |exec| {
            let (left, right) = (exec.get(left), exec.get(right));
            Ok(!left.is_null() && !right.is_null() && holds(comparison, compare_typed(ty, left, right)))
        }),
        (Code::Slot(left), Code::Constant(right)) => test(move |exec| {
            let left = exec.get(left);
            Ok(!left.is_null() && !right.is_null() && holds(comparison, compare_typed(ty, left, &right)))
        }),
        (left, right) => test(move |exec| {
            let left = left.run(exec)?;
            let right = right.run(exec)?;
            Ok(!left.is_null() && !right.is_null() && holds(comparison, compare_typed(ty, &left, &right)))
        }),
    })
}

/// A value for a comparison; gives the sides back when it is not one.
pub(crate) fn comparison_value(function: &Function, left: Code, right: Code) -> Result<Code, (Code, Code)> {
    let Some(comparison) = comparison_of(function) else { return Err((left, right)) };
    if is_integer(function.args[0]) {
        return Ok(match comparison {
            Comparison::Equal => integer_value(left, right, |a, b| a == b),
            Comparison::NotEqual => integer_value(left, right, |a, b| a != b),
            Comparison::Less => integer_value(left, right, |a, b| a < b),
            Comparison::LessOrEqual => integer_value(left, right, |a, b| a <= b),
            Comparison::Greater => integer_value(left, right, |a, b| a > b),
            Comparison::GreaterOrEqual => integer_value(left, right, |a, b| a >= b),
        });
    }
    let ty = function.args[0];
    Ok(Code::new(move |exec| {
        let left = left.run(exec)?;
        let right = right.run(exec)?;
        if left.is_null() || right.is_null() {
            return Ok(Value::Null);
        }
        Ok(Value::Bool(holds(comparison, compare_typed(ty, &left, &right))))
    }))
}

#[cold]
fn out_of_range(ty: TypeId) -> Stop {
    SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range")).into()
}

/// One width of integer.
trait Width: Copy + Send + Sync + 'static {
    const TYPE: TypeId;
    fn of(value: i64) -> Option<Value>;
}

#[derive(Clone, Copy)]
struct Four;
#[derive(Clone, Copy)]
struct Eight;

impl Width for Four {
    const TYPE: TypeId = TypeId::INT4;
    #[inline]
    fn of(value: i64) -> Option<Value> {
        i32::try_from(value).ok().map(Value::Int4)
    }
}

impl Width for Eight {
    const TYPE: TypeId = TypeId::INT8;
    #[inline]
    fn of(value: i64) -> Option<Value> {
        Some(Value::Int8(value))
    }
}

fn arithmetic_of<W: Width>(
    left: Code,
    right: Code,
    operate: impl Fn(i64, i64) -> Option<i64> + Copy + Send + Sync + 'static,
) -> Code {
    let finish = move |a: Option<i64>, b: Option<i64>| -> Run<Value> {
        let (Some(a), Some(b)) = (a, b) else { return Ok(Value::Null) };
        operate(a, b).and_then(W::of).ok_or_else(|| out_of_range(W::TYPE))
    };
    match (left, right) {
        (Code::Slot(left), Code::Constant(constant)) => {
            let constant = constant.as_i64();
            Code::new(move |exec: &mut Exec<'_, '_>| finish(exec.get(left).as_i64(), constant))
        }
        (Code::Slot(left), Code::Slot(right)) => Code::new(move |exec: &mut Exec<'_, '_>| {
            finish(exec.get(left).as_i64(), exec.get(right).as_i64())
        }),
        (left, right) => Code::new(move |exec: &mut Exec<'_, '_>| {
            let left = left.run(exec)?.as_i64();
            let right = right.run(exec)?.as_i64();
            finish(left, right)
        }),
    }
}

/// Sums, differences and products of integers; gives the sides back when it is none.
pub(crate) fn arithmetic(function: &Function, left: Code, right: Code) -> Result<Code, (Code, Code)> {
    let suffixes = ["pl", "mi", "mul"].into_iter();
    let found = suffixes
        .filter_map(|suffix| function.symbol.strip_suffix(suffix).map(|family| (family, suffix)))
        .next();
    let Some((family, operator)) = found else { return Err((left, right)) };
    match (family, operator) {
        ("int4" | "int24" | "int42", "pl") => Ok(arithmetic_of::<Four>(left, right, i64::checked_add)),
        ("int4" | "int24" | "int42", "mi") => Ok(arithmetic_of::<Four>(left, right, i64::checked_sub)),
        ("int4" | "int24" | "int42", "mul") => Ok(arithmetic_of::<Four>(left, right, i64::checked_mul)),
        ("int8" | "int48" | "int84" | "int28" | "int82", "pl") => {
            Ok(arithmetic_of::<Eight>(left, right, i64::checked_add))
        }
        ("int8" | "int48" | "int84" | "int28" | "int82", "mi") => {
            Ok(arithmetic_of::<Eight>(left, right, i64::checked_sub))
        }
        ("int8" | "int48" | "int84" | "int28" | "int82", "mul") => {
            Ok(arithmetic_of::<Eight>(left, right, i64::checked_mul))
        }
        _ => Err((left, right)),
    }
}
