//! Selectivities: PostgreSQL's selfuncs.c where it matters here, with its defaults where nothing is known.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use tuplix_sql::plan::{Expr, ExprKind, RelationId};
use tuplix_storage::Comparison;
use tuplix_types::{TypeId, Value, compare_typed};

use super::super::access_path::plain_column;
use super::super::compare::{comparison_of, swapped};
use super::super::scan::fit;
use super::super::walk::Facts;
use super::Estimator;
use crate::layout::TableAccess;
use crate::statistics::Known;

/// column = value
pub(crate) const EQUAL: f64 = 0.005;
/// column < value
pub(crate) const RANGE: f64 = 1.0 / 3.0;
/// Between two bounds.
const BETWEEN: f64 = 0.005;
/// IS NULL
const IS_NULL: f64 = 0.005;
/// LIKE
const MATCH: f64 = 0.005;
/// Anything else.
const ANY: f64 = 0.5;
/// Elements of an array that is not known yet.
const ELEMENTS: f64 = 10.0;

/// A condition `column comparison value`.
pub(crate) struct Test<'p> {
    pub relation: RelationId,
    pub column: usize,
    pub comparison: Comparison,
    pub value: &'p Expr,
}

/// The constant that an expression is.
pub(crate) fn constant(node: &Expr) -> Option<&Value> {
    match &node.kind {
        ExprKind::Constant(value) => Some(value),
        ExprKind::Relabel(inner) => constant(inner),
        _ => None,
    }
}

impl Estimator<'_> {
    /// The column of a table that an expression is.
    fn column_of(&self, node: &Expr) -> Option<(RelationId, usize)> {
        let relation = match &node.kind {
            ExprKind::Column { relation, .. } => *relation,
            ExprKind::Relabel(inner) => {
                return self.column_of(inner).filter(|(r, _)| plain_column(node, *r).is_some());
            }
            _ => return None,
        };
        let column = plain_column(node, relation)?;
        self.access(relation).filter(|access| column < access.table.columns.len()).map(|_| (relation, column))
    }

    /// A condition as a comparison of a column with what does not read the column's table.
    pub(crate) fn test<'p>(&self, node: &'p Expr) -> Option<Test<'p>> {
        let ExprKind::Call { function, arguments } = &node.kind else { return None };
        let [left, right] = &arguments[..] else { return None };
        let comparison = comparison_of(function)?;
        let of = |column: &Expr, value: &'p Expr, comparison| {
            let (relation, column) = self.column_of(column)?;
            let apart = !Facts::of_expr(value).needed.relations().contains(&relation);
            apart.then_some(Test { relation, column, comparison, value })
        };
        of(left, right, comparison).or_else(|| of(right, left, swapped(comparison)))
    }

    /// The part of the rows for which all conditions hold, as if they had nothing to do with each other, but for the two
    /// bounds of a range.
    pub(crate) fn conjunction(&self, conditions: &[&Expr]) -> f64 {
        let mut product = 1.0;
        // Of each column the parts of the rows above the lower and below the upper bound, and whether both are known.
        type Bounds = (Option<f64>, Option<f64>, bool);
        let mut bounds: BTreeMap<(RelationId, usize), Bounds> = BTreeMap::new();
        for node in conditions {
            let test = self.test(node);
            let Some(test) = test.filter(|test| {
                !matches!(test.comparison, Comparison::Equal | Comparison::NotEqual)
                    && Facts::of_expr(test.value).needed.relations().is_empty()
            }) else {
                product *= self.selectivity(node);
                continue;
            };
            let share = self.comparison(&test);
            let known = constant(test.value).is_some()
                && self.access(test.relation).is_some_and(|access| self.known(access, test.column).is_some());
            let entry = bounds.entry((test.relation, test.column)).or_insert((None, None, true));
            entry.2 &= known;
            let side = match test.comparison {
                Comparison::Less | Comparison::LessOrEqual => &mut entry.1,
                _ => &mut entry.0,
            };
            *side = Some(side.map_or(share, |before: f64| before.min(share)));
        }
        for ((relation, column), sides) in bounds {
            product *= match sides {
                (Some(lower), Some(upper), true) => {
                    let access = self.access(relation);
                    let nulls =
                        access.and_then(|access| self.known(access, column)).map_or(0.0, |k| k.null_fraction);
                    (lower + upper - (1.0 - nulls)).max(1e-6)
                }
                (Some(_), Some(_), false) => BETWEEN,
                (one, other, _) => one.or(other).unwrap_or(1.0),
            };
        }
        product.clamp(0.0, 1.0)
    }

    /// The part of the rows for which a condition holds.
    pub(crate) fn selectivity(&self, node: &Expr) -> f64 {
        let share = match &node.kind {
            ExprKind::Constant(value) => f64::from(u8::from(value.as_bool() == Some(true))),
            ExprKind::And(parts) => self.conjunction(&parts.iter().collect::<Vec<_>>()),
            ExprKind::Or(parts) => {
                1.0 - parts.iter().map(|part| 1.0 - self.selectivity(part)).product::<f64>()
            }
            ExprKind::Not(inner) => 1.0 - self.selectivity(inner),
            ExprKind::IsNull { argument, negated } => {
                let known = self.known_of(argument);
                let nulls = known.map_or(IS_NULL, |known| known.null_fraction);
                if *negated { 1.0 - nulls } else { nulls }
            }
            ExprKind::Column { .. } if node.ty == TypeId::BOOL => match self.column_of(node) {
                Some((relation, column)) => self
                    .access(relation)
                    .map_or(ANY, |access| self.equal(access, column, Some(&Value::Bool(true)))),
                None => ANY,
            },
            ExprKind::AnyAll { left, array, function, all } => self.any_all(left, array, function, *all),
            ExprKind::Call { function, arguments } => match self
                .join(node)
                .or_else(|| self.test(node).map(|test| self.comparison(&test)))
            {
                Some(share) => share,
                None => match (comparison_of(function), function.name, &arguments[..]) {
                    (Some(Comparison::Equal), ..) => EQUAL,
                    (Some(Comparison::NotEqual), ..) => 1.0 - EQUAL,
                    (Some(_), ..) => RANGE,
                    (None, "textlike" | "like" | "bpcharlike", [text, pattern]) => self.like(text, pattern),
                    (None, "texticlike" | "textregexeq", _) => MATCH,
                    (None, "textnlike", _) => 1.0 - MATCH,
                    _ => ANY,
                },
            },
            _ => ANY,
        };
        share.clamp(0.0, 1.0)
    }

    fn known_of(&self, node: &Expr) -> Option<std::rc::Rc<Known>> {
        let (relation, column) = self.column_of(node)?;
        self.known(self.access(relation)?, column)
    }

    /// How many different values a column has.
    pub(crate) fn distinct(&self, access: &TableAccess, column: usize) -> f64 {
        let rows = self.rows(access);
        let alone = |index: &&tuplix_catalog::IndexDef| {
            index.unique && index.is_plain() && index.columns.len() == 1 && index.columns[0].column == column
        };
        if access.table.indexes.iter().any(|index| alone(&index)) {
            return rows;
        }
        let known = self.known(access, column).and_then(|known| known.distinct_of(rows));
        let distinct = known.unwrap_or_else(|| match access.table.columns[column].ty {
            TypeId::BOOL => 2.0,
            // PostgreSQL's guess.
            _ => 200.0_f64.min(rows),
        });
        distinct.clamp(1.0, rows.max(1.0))
    }

    /// An equality of columns of two tables.
    fn join(&self, node: &Expr) -> Option<f64> {
        let ExprKind::Call { function, arguments } = &node.kind else { return None };
        let [left, right] = &arguments[..] else { return None };
        if comparison_of(function) != Some(Comparison::Equal) {
            return None;
        }
        let (left, right) = (self.column_of(left)?, self.column_of(right)?);
        if left.0 == right.0 {
            return None;
        }
        let side = |(relation, column)| {
            let access = self.access(relation)?;
            let nulls = self.known(access, column).map_or(0.0, |known| known.null_fraction);
            Some((self.distinct(access, column), 1.0 - nulls))
        };
        let ((left, here), (right, there)) = (side(left)?, side(right)?);
        Some(here * there / left.max(right))
    }

    fn comparison(&self, test: &Test<'_>) -> f64 {
        let Some(access) = self.access(test.relation) else { return ANY };
        let value = constant(test.value);
        if value.is_some_and(Value::is_null) {
            return 0.0;
        }
        match test.comparison {
            Comparison::Equal => self.equal(access, test.column, value),
            Comparison::NotEqual => {
                let nulls = self.known(access, test.column).map_or(0.0, |known| known.null_fraction);
                1.0 - self.equal(access, test.column, value) - nulls
            }
            comparison => match (value, self.known(access, test.column)) {
                (Some(value), Some(known)) => self.range(access, test.column, comparison, value, &known),
                _ => RANGE,
            },
        }
    }

    /// column = value; `None`: a value that is not known yet.
    pub(crate) fn equal(&self, access: &TableAccess, column: usize, value: Option<&Value>) -> f64 {
        let rows = self.rows(access);
        let distinct = self.distinct(access, column);
        let Some(known) = self.known(access, column) else {
            return if distinct >= rows { 1.0 / rows } else { EQUAL.max(1.0 / rows) };
        };
        let ty = access.table.columns[column].ty;
        let Some(value) = value.and_then(|value| fit(value.clone(), ty)) else {
            return (1.0 - known.null_fraction) / distinct;
        };
        let common = self.statistics.common(&known);
        let same = |other: &Value| compare_typed(known.ty, other, &value) == Ordering::Equal;
        if let Some(place) = common.iter().position(same) {
            return known.common[place].1;
        }
        let frequencies = || known.common.iter().map(|(_, frequency)| *frequency);
        let rest = (1.0 - known.null_fraction - frequencies().sum::<f64>()).max(0.0);
        let others = distinct - known.common.len() as f64;
        let share = if others >= 1.0 { rest / others } else { rest.min(1.0 / rows) };
        // No rarer value is more common than one that made it into the list.
        frequencies().fold(share, f64::min).max(1.0 / rows.max(1.0) / 2.0)
    }

    fn range(
        &self,
        access: &TableAccess,
        column: usize,
        comparison: Comparison,
        value: &Value,
        known: &Known,
    ) -> f64 {
        let value = fit(value.clone(), access.table.columns[column].ty).unwrap_or_else(|| value.clone());
        let order = |other: &Value| compare_typed(known.ty, other, &value);
        let holds = |other: &Value| super::super::compare::holds(comparison, order(other));
        let common = self.statistics.common(known);
        let (mut common_share, mut common_all) = (0.0, 0.0);
        for (other, (_, frequency)) in common.iter().zip(&known.common) {
            common_all += frequency;
            if !other.is_null() && holds(other) {
                common_share += frequency;
            }
        }
        let bounds = self.statistics.histogram(known);
        let below = match bounds {
            [] | [_] => match common.is_empty() {
                true => return RANGE,
                false => 0.5,
            },
            bounds => {
                let place = bounds.partition_point(|bound| order(bound) == Ordering::Less);
                match place {
                    0 => 0.0,
                    place if place == bounds.len() => 1.0,
                    place => {
                        let within = part(&bounds[place - 1], &bounds[place], &value).unwrap_or(0.5);
                        ((place - 1) as f64 + within) / (bounds.len() - 1) as f64
                    }
                }
            }
        };
        let rest = (1.0 - known.null_fraction - common_all).max(0.0);
        let less = matches!(comparison, Comparison::Less | Comparison::LessOrEqual);
        common_share + rest * if less { below } else { 1.0 - below }
    }

    fn any_all(
        &self,
        left: &Expr,
        array: &Expr,
        function: &'static tuplix_functions::Function,
        all: bool,
    ) -> f64 {
        let (Some((relation, column)), Some(Comparison::Equal), false) =
            (self.column_of(left), comparison_of(function), all)
        else {
            return ANY;
        };
        let Some(access) = self.access(relation) else { return ANY };
        let elements: Option<Vec<Option<&Value>>> = match (constant(array), &array.kind) {
            (Some(Value::Array(array)), _) => Some(array.elements.iter().map(Some).collect()),
            (_, ExprKind::Array { elements, .. }) => Some(elements.iter().map(constant).collect()),
            _ => None,
        };
        match elements {
            Some(elements) => elements.into_iter().map(|value| self.equal(access, column, value)).sum(),
            None => ELEMENTS * self.equal(access, column, None),
        }
    }

    /// LIKE with a pattern that begins with plain text: the part of the known values that begin so.
    fn like(&self, text: &Expr, pattern: &Expr) -> f64 {
        let (Some(known), Some(Value::Text(pattern))) = (self.known_of(text), constant(pattern)) else {
            return MATCH;
        };
        let prefix: &str = pattern.split(['%', '_', '\\']).next().unwrap_or_default();
        if prefix.is_empty() {
            return MATCH;
        }
        let begins = |value: &Value| matches!(value, Value::Text(text) if text.starts_with(prefix));
        let common = self.statistics.common(&known).iter().zip(&known.common);
        let common_all: f64 = known.common.iter().map(|(_, frequency)| frequency).sum();
        let common: f64 =
            common.filter(|(value, _)| begins(value)).map(|(_, (_, frequency))| frequency).sum();
        let bounds = self.statistics.histogram(&known);
        let rest = (1.0 - known.null_fraction - common_all).max(0.0);
        let of_rest = match bounds.len() {
            0 => 0.0,
            count => bounds.iter().filter(|value| begins(value)).count() as f64 / count as f64,
        };
        (common + rest * of_rest).max(MATCH / 10.0)
    }
}

/// Where between two bounds a value lies, for types that have a measure.
fn part(lower: &Value, upper: &Value, value: &Value) -> Option<f64> {
    let (lower, upper, value) = (number(lower)?, number(upper)?, number(value)?);
    (upper > lower).then(|| ((value - lower) / (upper - lower)).clamp(0.0, 1.0))
}

fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Float4(v) => f64::from(*v),
        Value::Float8(v) => *v,
        Value::Date(v) => f64::from(*v),
        Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => *v as f64,
        Value::Oid(v) => f64::from(*v),
        other => other.as_i64()? as f64,
    })
}
