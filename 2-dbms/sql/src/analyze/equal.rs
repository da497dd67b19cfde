//! Whether two expressions are the same one: `GROUP BY a + 1` and `SELECT a + 1` (`equal()` in PostgreSQL).

use crate::plan::{AggregateCall, Expr, ExprKind, SortKey, SortTarget, Subscript};

/// Whether two expressions compute the same, wherever they stand.
pub fn same(a: &Expr, b: &Expr) -> bool {
    a.ty == b.ty && a.typmod == b.typmod && same_kind(&a.kind, &b.kind)
}

/// Whether two aggregate calls give the same value in each group.
pub(super) fn same_call(a: &AggregateCall, b: &AggregateCall) -> bool {
    let key = |(a, b): (&SortKey, &SortKey)| {
        let same_key = match (&a.key, &b.key) {
            (SortTarget::Expr(a), SortTarget::Expr(b)) => same(a, b),
            (SortTarget::Target(a), SortTarget::Target(b)) => a == b,
            _ => false,
        };
        same_key && a.descending == b.descending && a.nulls_first == b.nulls_first
    };
    a.aggregate.function.oid == b.aggregate.function.oid
        && a.ty == b.ty
        && a.distinct == b.distinct
        && all(&a.direct, &b.direct)
        && all(&a.arguments, &b.arguments)
        && option(a.filter.as_ref(), b.filter.as_ref())
        && a.order_by.len() == b.order_by.len()
        && a.order_by.iter().zip(&b.order_by).all(key)
        && !a.arguments.iter().chain(&a.direct).any(is_volatile)
}

/// Whether a built-in in an expression gives another value each time.
fn is_volatile(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Call { function, .. }
        if function.volatility == tuplix_functions::Volatility::Volatile);
    let mut volatile = own || matches!(expr.kind, ExprKind::UserCall { .. });
    super::walk::operands(&mut expr.clone(), &mut |operand| volatile |= is_volatile(operand));
    volatile
}

fn all(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn option(a: Option<&Expr>, b: Option<&Expr>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}

fn subscripts(a: &[Subscript], b: &[Subscript]) -> bool {
    let pair = |(a, b): (&Subscript, &Subscript)| {
        option(a.lower.as_ref(), b.lower.as_ref()) && option(a.upper.as_ref(), b.upper.as_ref())
    };
    a.len() == b.len() && a.iter().zip(b).all(pair)
}

fn same_kind(a: &ExprKind, b: &ExprKind) -> bool {
    use ExprKind as K;
    match (a, b) {
        // Not by SQL's equality: 1.0 and 1.00 are two constants.
        (K::Constant(a), K::Constant(b)) => format!("{a:?}") == format!("{b:?}"),
        (K::Column { relation: r, column: c }, K::Column { relation: s, column: d }) => r == s && c == d,
        (K::WholeRow(a), K::WholeRow(b)) => a == b,
        (K::Parameter(a), K::Parameter(b)) | (K::Variable(a), K::Variable(b)) => a == b,
        (K::Aggregate(a), K::Aggregate(b))
        | (K::GroupKey(a), K::GroupKey(b))
        | (K::Window(a), K::Window(b)) => a == b,
        (K::Call { function: f, arguments: x }, K::Call { function: g, arguments: y }) => {
            f.oid == g.oid && all(x, y)
        }
        (K::UserCall { function: f, arguments: x }, K::UserCall { function: g, arguments: y }) => {
            f == g && all(x, y)
        }
        (K::Relabel(a), K::Relabel(b)) | (K::CastViaText(a), K::CastViaText(b)) | (K::Not(a), K::Not(b)) => {
            same(a, b)
        }
        (K::CastElements { array: a, element: e }, K::CastElements { array: b, element: f }) => {
            same(a, b) && same(e, f)
        }
        (K::And(a), K::And(b))
        | (K::Or(a), K::Or(b))
        | (K::Coalesce(a), K::Coalesce(b))
        | (K::Grouping(a), K::Grouping(b))
        | (K::Row(a), K::Row(b)) => all(a, b),
        (K::IsNull { argument: a, negated: n }, K::IsNull { argument: b, negated: m }) => {
            n == m && same(a, b)
        }
        (
            K::IsBoolean { argument: a, value: v, negated: n },
            K::IsBoolean { argument: b, value: w, negated: m },
        ) => v == w && n == m && same(a, b),
        (
            K::IsDistinct { left: a, right: b, equal: f, negated: n },
            K::IsDistinct { left: c, right: d, equal: g, negated: m },
        ) => f.oid == g.oid && n == m && same(a, c) && same(b, d),
        (K::Case { operand: a, arms: x, otherwise: e }, K::Case { operand: b, arms: y, otherwise: f }) => {
            option(a.as_deref(), b.as_deref())
                && option(e.as_deref(), f.as_deref())
                && x.len() == y.len()
                && x.iter().zip(y).all(|(x, y)| same(&x.0, &y.0) && same(&x.1, &y.1))
        }
        (K::CaseOperand, K::CaseOperand) => true,
        // The checks are those of the domain, the type.
        (K::Domain { argument: a, .. }, K::Domain { argument: b, .. }) => same(a, b),
        (K::NullIf { left: a, equal: e }, K::NullIf { left: b, equal: f }) => same(a, b) && same(e, f),
        (K::MinMax { greatest: g, arguments: x }, K::MinMax { greatest: h, arguments: y }) => {
            g == h && all(x, y)
        }
        (K::Array { elements: x, multidimensional: m }, K::Array { elements: y, multidimensional: n }) => {
            m == n && all(x, y)
        }
        (
            K::Subscript { array: a, subscripts: x, slice: s },
            K::Subscript { array: b, subscripts: y, slice: t },
        ) => s == t && same(a, b) && subscripts(x, y),
        (K::Field { record: a, index: i }, K::Field { record: b, index: j }) => i == j && same(a, b),
        (
            K::AnyAll { left: a, array: x, function: f, all: p },
            K::AnyAll { left: b, array: y, function: g, all: q },
        ) => f.oid == g.oid && p == q && same(a, b) && same(x, y),
        (K::Subquery { query: a, .. }, K::Subquery { query: b, .. }) => shape(a) == shape(b),
        _ => false,
    }
}

/// A query as text, without places, its own relations and CTEs numbered as they come: equal for two equal subqueries, which
/// have different ones.
fn shape(query: &crate::plan::Query) -> String {
    let text = format!("{query:?}");
    let mut parts = text.split("position: Some(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("position: None");
        text.push_str(part.split_once(')').map_or("", |(_, after)| after));
    }
    for (id, brought_by) in [
        (
            "RelationId(",
            &[
                "Table { relation: ",
                "System { relation: ",
                "Subquery { relation: ",
                "Function { relation: ",
                "Cte { relation: ",
            ][..],
        ),
        ("CteId(", &["Cte { id: "][..]),
    ] {
        let mut own: Vec<(usize, String)> = Vec::new();
        for prefix in brought_by {
            let start = format!("{prefix}{id}");
            for (at, _) in text.match_indices(&start) {
                let digits = text[at + start.len()..].chars().take_while(char::is_ascii_digit).collect();
                own.push((at, digits));
            }
        }
        own.sort();
        for (number, (_, digits)) in own.iter().enumerate() {
            text = text.replace(&format!("{id}{digits})"), &format!("#{number}"));
        }
    }
    text
}
