//! Which functions are comparisons whose answer is that of the values' own order, so that indexes, hashes
//! and specialised closures may stand in for them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_functions::{Function, operators};
use tuplix_storage::Comparison;
use tuplix_types::TypeId;

/// Comparison operators by their function's object id.
static COMPARISONS: LazyLock<BTreeMap<u32, Comparison>> = LazyLock::new(|| {
    let comparisons = operators().iter().filter_map(|operator| {
        let comparison = match operator.name {
            "=" => Comparison::Equal,
            "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        (operator.result == TypeId::BOOL && operator.left.is_some())
            .then_some((operator.function.oid, comparison))
    });
    comparisons.collect()
});

/// Whether the type is an integer.
pub(crate) fn is_integer(ty: TypeId) -> bool {
    matches!(ty, TypeId::INT2 | TypeId::INT4 | TypeId::INT8)
}

/// The comparison that a function makes, when both sides are of one type (or integers of any width) and
/// [`tuplix_types::compare_typed`] answers the same.
pub(crate) fn comparison_of(function: &Function) -> Option<Comparison> {
    let comparison = *COMPARISONS.get(&function.oid)?;
    let [left, right] = function.args else { return None };
    let one_order = left == right || (is_integer(*left) && is_integer(*right));
    one_order.then_some(comparison)
}

/// The comparison with sides swapped.
pub(crate) fn swapped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// Whether an order satisfies a comparison.
#[inline]
pub(crate) fn holds(comparison: Comparison, order: std::cmp::Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
