//! `value = ANY (constants)` as a condition: the constants are sorted once, and each row's value is looked for among them. So are the conditions
//! of many policies that differ in a constant.

use std::cmp::Ordering;

use tuplix_functions::Function;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_storage::Comparison;
use tuplix_types::{Result, TypeId, Value, compare_typed};

use super::builder::Builder;
use super::code::{Code, TestFn, test};
use super::compare::{comparison_of, is_integer};

/// Constants of one type in their order.
enum Members {
    Integers(Vec<i64>),
    Others(TypeId, Vec<Value>),
}

impl Members {
    /// Those of an array; NULL is equal to nothing.
    fn of(ty: TypeId, elements: &[Value]) -> Members {
        let mut members: Vec<Value> = elements.iter().filter(|value| !value.is_null()).cloned().collect();
        members.sort_by(|a, b| compare_typed(ty, a, b));
        members.dedup_by(|a, b| compare_typed(ty, a, b) == Ordering::Equal);
        let integers = is_integer(ty);
        let numbers: Option<Vec<i64>> =
            members.iter().map(|value| value.as_i64().filter(|_| integers)).collect();
        match numbers {
            Some(numbers) if integers => Members::Integers(numbers),
            _ => Members::Others(ty, members),
        }
    }

    #[inline]
    fn contain(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => false,
            (Members::Integers(numbers), value) => {
                value.as_i64().is_some_and(|value| numbers.binary_search(&value).is_ok())
            }
            (Members::Others(ty, members), value) => {
                members.binary_search_by(|member| compare_typed(*ty, member, value)).is_ok()
            }
        }
    }
}

impl Builder<'_> {
    /// The test of `left = ANY (array)` where the array is a constant and equality an order's; else `None`.
    pub(crate) fn membership(
        &mut self,
        left: &Expr,
        array: &Expr,
        function: &'static Function,
    ) -> Result<Option<TestFn>> {
        let ExprKind::Constant(Value::Array(array)) = &array.kind else { return Ok(None) };
        if comparison_of(function) != Some(Comparison::Equal) {
            return Ok(None);
        }
        let members = Members::of(function.args[0], &array.elements);
        Ok(Some(match self.expr(left)? {
            Code::Slot(slot) => test(move |exec| Ok(members.contain(exec.get(slot)))),
            left => test(move |exec| Ok(members.contain(&left.run(exec)?))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found() {
        let numbers = [Value::Int4(7), Value::Null, Value::Int4(-1), Value::Int4(7)];
        let members = Members::of(TypeId::INT8, &numbers);
        assert!(members.contain(&Value::Int8(7)) && members.contain(&Value::Int2(-1)));
        assert!(!members.contain(&Value::Int8(8)) && !members.contain(&Value::Null));
        let members = Members::of(TypeId::TEXT, &[Value::text("b"), Value::text("a")]);
        assert!(members.contain(&Value::text("a")) && !members.contain(&Value::text("ab")));
        assert!(!Members::of(TypeId::TEXT, &[]).contain(&Value::text("")));
    }
}
