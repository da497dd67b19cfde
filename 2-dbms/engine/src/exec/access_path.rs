//! How to find the rows of one table: which conditions an index or the distribution column answers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tuplix_catalog::{IndexDef, IndexMethod};
use tuplix_sql::analyze::{TableExpression, map_columns, same_expression};
use tuplix_sql::plan::{Expr, ExprKind, RelationId};
use tuplix_storage::Comparison;
use tuplix_types::{Result, TypeId};

use super::builder::CompileContext;
use super::compare::{comparison_of, is_integer, swapped};
use super::cost::{Pricing, WORTH_IT};
use super::walk::{self, Facts};
use crate::layout::{Placement, TableAccess};

/// The score of a look-up that finds one row at most.
const UNIQUE: u32 = 1000;

/// The other side of a condition on a column.
#[derive(Clone, Copy)]
pub(crate) struct Key<'p> {
    /// The value.
    pub value: &'p Expr,
    /// The condition's number.
    pub condition: usize,
    /// `<=`, `>=` rather than `<`, `>`.
    pub inclusive: bool,
}

/// What conditions say of single columns of a table.
#[derive(Default)]
pub(crate) struct Keys<'p> {
    /// column = value
    pub equal: BTreeMap<usize, Key<'p>>,
    /// column = ANY (array)
    pub any: BTreeMap<usize, Key<'p>>,
    /// column > value
    pub lower: BTreeMap<usize, Key<'p>>,
    /// column < value
    pub upper: BTreeMap<usize, Key<'p>>,
}

/// A column by which rows are wanted in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderWish {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// The order that a query wants of its first table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    /// Columns, most significant first.
    pub columns: Vec<OrderWish>,
    /// Only the first rows are wanted.
    pub limited: bool,
}

/// A way to find rows.
pub(crate) enum Choice {
    /// Look at all rows of the bucket.
    Scan,
    /// Equality over all columns of an index; each key column's condition is in [`Keys::equal`].
    Lookup { index: usize, unique: bool },
    /// As `Lookup`, one column, `any`, by each element of an array.
    Any { index: usize, any: usize },
    /// An ordered index: equality over the first `equal` columns, then the bounds of the next, if any.
    Range { index: usize, equal: usize, reverse: bool },
}

/// A choice with what it achieves.
pub(crate) struct Path {
    pub choice: Choice,
    /// How good it is; 0 for a scan.
    pub score: u32,
    /// Rows come in the order that was wished.
    pub ordered: bool,
}

/// The indexes of a table as one scan sees them: expressions of keys stand for columns behind the table's own.
pub(crate) struct Indexes<'i> {
    list: Cow<'i, [IndexDef]>,
    /// Whether the conditions imply the predicate; empty: there are no predicates.
    usable: Vec<bool>,
    /// What those columns are, over the scan's relation.
    expressions: Vec<Expr>,
}

impl<'i> Indexes<'i> {
    /// Those of a table under conditions: a partial index serves when they have each conjunct of its predicate.
    pub(crate) fn of(
        context: &CompileContext<'_>,
        access: &'i TableAccess,
        relation: RelationId,
        conditions: &[&Expr],
    ) -> Result<Indexes<'i>> {
        let list = &access.table.indexes;
        if access.computed.is_empty() {
            return Ok(Indexes { list: Cow::Borrowed(list), usable: Vec::new(), expressions: Vec::new() });
        }
        let width = access.table.columns.len();
        let bind = |text: &str, kind| {
            let (mut expr, _) = (context.bind_expression)(&access.table, text, kind)?;
            map_columns(&mut expr, &mut |of, _| *of = relation);
            Ok::<Expr, tuplix_types::SqlError>(expr)
        };
        let mut list = list.clone();
        let (mut usable, mut expressions) = (Vec::new(), Vec::new());
        for index in &mut list {
            let implied = match &index.predicate {
                None => true,
                Some(text) => {
                    let predicate = bind(text, TableExpression::IndexPredicate)?;
                    let mut parts = Vec::new();
                    walk::conjuncts(&predicate, &mut parts);
                    parts.iter().all(|part| conditions.iter().any(|given| same_expression(given, part)))
                }
            };
            usable.push(implied);
            for key in &mut index.columns {
                if let Some(text) = &key.expression {
                    key.column = width + expressions.len();
                    expressions.push(bind(text, TableExpression::Index)?);
                }
            }
        }
        Ok(Indexes { list: Cow::Owned(list), usable, expressions })
    }

    /// An index by its number.
    pub(crate) fn get(&self, number: usize) -> &IndexDef {
        &self.list[number]
    }

    /// The type of a column, the table's own or an expression.
    pub(crate) fn type_of(&self, access: &TableAccess, column: usize) -> Option<TypeId> {
        let own = access.table.columns.get(column).map(|column| column.ty);
        own.or_else(|| self.expressions.get(column - access.table.columns.len()).map(|expr| expr.ty))
    }

    /// The column that an expression is.
    fn column(&self, node: &Expr, relation: RelationId, access: &TableAccess) -> Option<usize> {
        plain_column(node, relation).or_else(|| {
            let place = self.expressions.iter().position(|expr| {
                same_expression(expr, node)
                    || matches!(&node.kind, ExprKind::Relabel(inner)
                        if keeps_text_order(inner.ty) && keeps_text_order(node.ty) && same_expression(expr, inner))
            });
            place.map(|place| access.table.columns.len() + place)
        })
    }
}

/// The column of `relation` that an expression is, if its values are kept as the comparison sees them.
pub(crate) fn plain_column(node: &Expr, relation: RelationId) -> Option<usize> {
    match &node.kind {
        ExprKind::Column { relation: of, column } if *of == relation => Some(*column),
        ExprKind::Relabel(inner) if keeps_text_order(inner.ty) && keeps_text_order(node.ty) => {
            plain_column(inner, relation)
        }
        _ => None,
    }
}

/// Whether a value is known when a statement is compiled.
fn is_known(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Constant(_) => true,
        ExprKind::Relabel(inner) => is_known(inner),
        ExprKind::Array { elements, .. } => elements.iter().all(is_known),
        _ => false,
    }
}

fn keeps_text_order(ty: TypeId) -> bool {
    ty.is_text_like() && ty != TypeId::BPCHAR
}

/// Whether a column of type `column` and a comparison of `operand`s order alike.
fn compatible(column: TypeId, operand: TypeId) -> bool {
    if column == TypeId::BPCHAR {
        return false;
    }
    column == operand
        || (is_integer(column) && is_integer(operand))
        || (keeps_text_order(column) && keeps_text_order(operand))
}

/// A condition of the form `column comparison value`, sides swapped as needed.
pub(crate) fn column_comparison<'p>(
    node: &'p Expr,
    relation: RelationId,
    access: &TableAccess,
    indexes: &Indexes<'_>,
) -> Option<(usize, Comparison, &'p Expr)> {
    let ExprKind::Call { function, arguments } = &node.kind else { return None };
    let [left, right] = &arguments[..] else { return None };
    let comparison = comparison_of(function)?;
    let (column, comparison, value, operand) =
        match (indexes.column(left, relation, access), indexes.column(right, relation, access)) {
            (Some(column), None) => (column, comparison, right, function.args[0]),
            (None, Some(column)) => (column, swapped(comparison), left, function.args[1]),
            _ => return None,
        };
    let facts = Facts::of_expr(value);
    if facts.volatile || facts.needed.relations().contains(&relation) {
        return None;
    }
    let ty = indexes.type_of(access, column)?;
    let matches = compatible(ty, operand) && (is_integer(ty) || compatible(value.ty, operand));
    matches.then_some((column, comparison, value))
}

/// What the conditions say of single columns.
pub(crate) fn keys_of<'p>(
    access: &TableAccess,
    relation: RelationId,
    conditions: &[&'p Expr],
    indexes: &Indexes<'_>,
) -> Keys<'p> {
    let mut keys = Keys::default();
    for (condition, node) in conditions.iter().enumerate() {
        if let ExprKind::AnyAll { left, array, function, all: false } = &node.kind
            && comparison_of(function) == Some(Comparison::Equal)
            && let Some(column) = indexes.column(left, relation, access)
            && let Some(element) = array.ty.element()
            && indexes
                .type_of(access, column)
                .is_some_and(|ty| compatible(ty, function.args[0]) && compatible(ty, element))
        {
            let facts = Facts::of_expr(array);
            if !facts.volatile && !facts.needed.relations().contains(&relation) {
                keys.any.entry(column).or_insert(Key { value: array, condition, inclusive: true });
            }
            continue;
        }
        let Some((column, comparison, value)) = column_comparison(node, relation, access, indexes) else {
            continue;
        };
        let key = |inclusive| Key { value, condition, inclusive };
        match comparison {
            Comparison::Equal => keys.equal.entry(column).or_insert(key(true)),
            Comparison::Less => keys.upper.entry(column).or_insert(key(false)),
            Comparison::LessOrEqual => keys.upper.entry(column).or_insert(key(true)),
            Comparison::Greater => keys.lower.entry(column).or_insert(key(false)),
            Comparison::GreaterOrEqual => keys.lower.entry(column).or_insert(key(true)),
            Comparison::NotEqual => continue,
        };
    }
    keys
}

impl Keys<'_> {
    /// Whether only one bucket can have rows.
    pub(crate) fn one_bucket(&self, access: &TableAccess) -> bool {
        match access.placement {
            Placement::Hash { column } => self.equal.contains_key(&column),
            _ => true,
        }
    }

    /// The conditions that are bounds of the range that a path reads.
    pub(crate) fn bounds_of(&self, access: &TableAccess, choice: &Choice) -> Vec<usize> {
        let Choice::Range { index, equal, .. } = choice else { return Vec::new() };
        let Some(next) = access.table.indexes[*index].columns.get(*equal) else { return Vec::new() };
        let bounds = self.lower.get(&next.column).into_iter().chain(self.upper.get(&next.column));
        bounds.map(|key| key.condition).collect()
    }

    /// The conditions of the first `columns` columns of an index that are equalities.
    pub(crate) fn equal_conditions(&self, index: &IndexDef, columns: usize) -> Vec<usize> {
        let columns = index.columns.iter().take(columns);
        columns.filter_map(|key| self.equal.get(&key.column)).map(|key| key.condition).collect()
    }

    /// The bounds of the column behind the first `equal` ones of an index.
    pub(crate) fn bounds(&self, index: &IndexDef, equal: usize) -> Vec<&Key<'_>> {
        let Some(next) = index.columns.get(equal) else { return Vec::new() };
        self.lower.get(&next.column).into_iter().chain(self.upper.get(&next.column)).collect()
    }

    /// The best way to find the rows. What rules find best stays, unless statistics say that another way is clearly
    /// cheaper; a unique key and an only way with values that are not known yet are not even compared.
    pub(crate) fn choose(
        &self,
        access: &TableAccess,
        indexes: &Indexes<'_>,
        wish: &Wish,
        pricing: &Pricing<'_, '_>,
    ) -> Path {
        let mut paths = self.paths(indexes, wish, self.one_bucket(access));
        // The first one of equals.
        let best = (0..paths.len()).rev().max_by_key(|number| paths[*number].score);
        let Some(best) = best else { return Path { choice: Choice::Scan, score: 0, ordered: false } };
        let fixed = self.has_constants(indexes, &paths[best].choice);
        if paths[best].score >= UNIQUE || (paths.len() == 1 && !fixed) {
            return paths.swap_remove(best);
        }
        if !pricing.estimator.has_facts(access) {
            return paths.swap_remove(best);
        }
        let cost =
            |path: &Path| pricing.price(access, indexes, self, (&path.choice, path.ordered), wish).cost;
        let mut cheapest = (best, cost(&paths[best]) * WORTH_IT);
        for (number, path) in paths.iter().enumerate().filter(|(number, _)| *number != best) {
            let cost = cost(path);
            if cost < cheapest.1 {
                cheapest = (number, cost);
            }
        }
        if fixed {
            let scan = Path { choice: Choice::Scan, score: 0, ordered: false };
            if cost(&scan) < cheapest.1 {
                return scan;
            }
        }
        paths.swap_remove(cheapest.0)
    }

    /// The score of the path that the rules find best.
    pub(crate) fn score(&self, access: &TableAccess, indexes: &Indexes<'_>) -> u32 {
        let paths = self.paths(indexes, &Wish::default(), self.one_bucket(access));
        paths.iter().map(|path| path.score).max().unwrap_or(0)
    }

    /// Whether all that a path looks for is known already: then a scan may be better than the path.
    fn has_constants(&self, indexes: &Indexes<'_>, choice: &Choice) -> bool {
        let (index, equal) = match choice {
            Choice::Scan => return true,
            Choice::Lookup { index, .. } | Choice::Any { index, .. } => (*index, usize::MAX),
            Choice::Range { index, equal, .. } => (*index, *equal),
        };
        let index = indexes.get(index);
        let keys = index.columns.iter().take(equal).map(|key| key.column);
        let values = keys.filter_map(|column| self.equal.get(&column).or_else(|| self.any.get(&column)));
        values.chain(self.bounds(index, equal)).all(|key| is_known(key.value))
    }

    fn paths(&self, indexes: &Indexes<'_>, wish: &Wish, one_bucket: bool) -> Vec<Path> {
        let usable = |number: &usize| indexes.usable.get(*number) != Some(&false);
        let numbers = (0..indexes.list.len()).filter(usable);
        let of = |number: usize| {
            let index = &indexes.list[number];
            [self.exact(number, index), self.range(number, index, wish, one_bucket)].into_iter().flatten()
        };
        numbers.flat_map(of).collect()
    }

    fn exact(&self, number: usize, index: &IndexDef) -> Option<Path> {
        let mut any = None;
        for key in &index.columns {
            if self.equal.contains_key(&key.column) {
                continue;
            }
            if any.is_some() || !self.any.contains_key(&key.column) {
                return None;
            }
            any = Some(key.column);
        }
        let (choice, score) = match any {
            None if index.unique => (Choice::Lookup { index: number, unique: true }, UNIQUE),
            None => (Choice::Lookup { index: number, unique: false }, 600),
            Some(any) => (Choice::Any { index: number, any }, 500),
        };
        // A hash index is the cheaper one of two that answer the same.
        let score = score + u32::from(index.method == IndexMethod::Hash);
        Some(Path { choice, score, ordered: index.unique && any.is_none() })
    }

    fn range(&self, number: usize, index: &IndexDef, wish: &Wish, one_bucket: bool) -> Option<Path> {
        if index.method != IndexMethod::Ordered {
            return None;
        }
        let equal = index.columns.iter().take_while(|key| self.equal.contains_key(&key.column)).count();
        let next = index.columns.get(equal).map(|key| key.column);
        let bounds = next.map_or(0, |column| {
            u32::from(self.lower.contains_key(&column)) + u32::from(self.upper.contains_key(&column))
        });
        let order = if one_bucket { self.order(index, equal, wish) } else { None };
        let mut score = match (equal, bounds) {
            (0, 0) if order.is_some() && wish.limited => 100,
            (0, 0) => return None,
            _ => 200 + 100 * equal.min(3) as u32 + 40 * bounds,
        };
        if order.is_some() {
            score += if wish.limited { 130 } else { 20 };
        }
        let choice = Choice::Range { index: number, equal, reverse: order == Some(true) };
        Some(Path { choice, score, ordered: order.is_some() })
    }

    /// Whether the index gives the order that is wished once its first `equal` columns are fixed: backwards or not.
    fn order(&self, index: &IndexDef, equal: usize, wish: &Wish) -> Option<bool> {
        if wish.columns.is_empty() {
            return None;
        }
        let fixed: BTreeSet<usize> = self.equal.keys().copied().collect();
        let mut rest = index.columns[equal..].iter();
        let mut reverse = None;
        for wanted in wish.columns.iter().filter(|wanted| !fixed.contains(&wanted.column)) {
            let key = rest.by_ref().find(|key| !fixed.contains(&key.column))?;
            if key.column != wanted.column {
                return None;
            }
            let backwards = key.descending != wanted.descending;
            if (key.nulls_first != wanted.nulls_first) != backwards || reverse.is_some_and(|r| r != backwards)
            {
                return None;
            }
            reverse = Some(backwards);
        }
        Some(reverse.unwrap_or(false))
    }
}
