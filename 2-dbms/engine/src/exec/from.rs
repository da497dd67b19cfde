//! Compiles FROM and WHERE: in which order relations are joined and how.
//!
//! Inner joins and comma lists are one flat list of items with one list of conditions. Items are joined left
//! deep, in the order that [`super::join_order`] finds; a condition is tested as soon as all it reads is there.
//! An outer join is one item, compiled from its own two sides.

use std::collections::BTreeSet;

use tuplix_sql::plan::{Expr, ExprKind, From, JoinKind, RelationId};
use tuplix_storage::Comparison;
use tuplix_types::{Result, TypeId};

use super::access_path::Wish;
use super::builder::Builder;
use super::code::Code;
use super::compare::comparison_of;
use super::cost::{Estimate, Method};
use super::join::{HashJoin, Keep, LeftLoop, NestedLoop};
use super::rows::{Filter, OneRow, RowsBox};
use super::scan::SpooledScan;
use super::walk::{self, Facts};

/// The order that a query wants of one of its relations.
#[derive(Clone, Debug, Default)]
pub(crate) struct RelationWish {
    pub relation: Option<RelationId>,
    pub wish: Wish,
}

/// A FROM item to be joined.
pub(crate) struct Item<'p> {
    pub from: &'p From,
    /// Relations that it brings.
    pub own: BTreeSet<RelationId>,
    /// Relations of other items that it reads (LATERAL).
    pub reads: BTreeSet<RelationId>,
}

/// A condition.
pub(crate) struct Condition<'p> {
    pub node: &'p Expr,
    pub reads: BTreeSet<RelationId>,
    pub volatile: bool,
    used: bool,
}

/// Relations whose columns a FROM item shows to others.
pub(crate) fn visible(from: &From, out: &mut Vec<RelationId>) {
    match from {
        From::Table { relation, .. }
        | From::System { relation, .. }
        | From::Subquery { relation, .. }
        | From::Function { relation, .. }
        | From::Cte { relation, .. } => out.push(*relation),
        From::RowsFrom { relations, .. } => out.extend(relations),
        From::Join { left, right, .. } => {
            visible(left, out);
            visible(right, out);
        }
    }
}

fn flatten<'p>(from: &'p From, items: &mut Vec<&'p From>, conditions: &mut Vec<&'p Expr>) {
    match from {
        From::Join { kind: JoinKind::Inner, left, right, on } => {
            flatten(left, items, conditions);
            flatten(right, items, conditions);
            on.iter().for_each(|on| walk::conjuncts(on, conditions));
        }
        _ => items.push(from),
    }
}

impl Builder<'_> {
    /// Compiles items under conditions. Says whether rows come in the wished order.
    pub(crate) fn from<'p>(
        &mut self,
        from: &[&'p From],
        conditions: &[&'p Expr],
        wish: &RelationWish,
    ) -> Result<(RowsBox, bool)> {
        let mut flat = Vec::new();
        let mut nodes = conditions.to_vec();
        from.iter().for_each(|item| flatten(item, &mut flat, &mut nodes));
        let mut items: Vec<Item<'p>> = flat.into_iter().map(item).collect();
        let all: BTreeSet<RelationId> = items.iter().flat_map(|item| item.own.iter().copied()).collect();
        items.iter_mut().for_each(|item| item.reads.retain(|relation| all.contains(relation)));
        let mut conditions: Vec<Condition<'p>> =
            nodes.into_iter().map(|node| condition(node, &all)).collect();
        let order = self.join_order(&items, &conditions, wish)?;
        let mut bound = BTreeSet::new();
        let mut plan: Option<RowsBox> = None;
        let mut plan_items: Vec<&From> = Vec::new();
        let mut ordered = false;
        let count = order.len();
        for (number, (at, method)) in order.into_iter().enumerate() {
            let item = &items[at];
            let after: BTreeSet<RelationId> = bound.union(&item.own).copied().collect();
            let mut here = Vec::new();
            for condition in conditions.iter_mut().filter(|c| !c.used && c.reads.is_subset(&after)) {
                // A volatile condition is tested once all rows are joined.
                if !condition.volatile || number + 1 == count {
                    condition.used = true;
                    here.push(condition.node);
                }
            }
            plan = Some(match plan {
                None => {
                    let (rows, in_order) = self.first_item(item.from, &here, wish)?;
                    ordered = in_order;
                    rows
                }
                Some(outer) => self.join_item(outer, &plan_items, item, method, &here, &bound)?,
            });
            plan_items.push(item.from);
            bound = after;
        }
        match plan {
            Some(plan) => Ok((plan, ordered)),
            None => {
                let nodes: Vec<&Expr> = conditions.iter().map(|condition| condition.node).collect();
                let filter = self.filter(&nodes)?;
                self.estimate = Estimate { rows: 1.0, cost: 10.0, ..Estimate::default() };
                Ok((self.operator(OneRow { filter }), true))
            }
        }
    }

    fn first_item(&mut self, from: &From, here: &[&Expr], wish: &RelationWish) -> Result<(RowsBox, bool)> {
        match from {
            From::Table { relation, table } => {
                if let Some(rows) = self.kept_rows(*relation, *table)? {
                    let security = self.security_of(*relation);
                    let mut all = Vec::new();
                    security.iter().for_each(|security| walk::conjuncts(security, &mut all));
                    all.extend(here);
                    return Ok((self.filtered(rows, &all)?, false));
                }
                let wished =
                    if wish.relation == Some(*relation) { wish.wish.clone() } else { Wish::default() };
                let (scan, ordered) = self.table_scan(*relation, *table, here, &wished)?;
                if scan.access.table.spooled {
                    return Ok((self.operator(SpooledScan { scan }), false));
                }
                Ok((self.operator(scan), ordered && wish.relation == Some(*relation)))
            }
            // One side of an outer join.
            From::Join { kind: JoinKind::Inner, .. } => self.from(&[from], here, wish),
            From::Join { kind, left, right, on } => {
                let mut on_nodes = Vec::new();
                on.iter().for_each(|on| walk::conjuncts(on, &mut on_nodes));
                self.outer_join(*kind, left, right, &on_nodes, here, wish)
            }
            _ => Ok((self.item_rows(from, here)?, false)),
        }
    }

    /// An item other than a table or join, its conditions as a filter.
    fn item_rows(&mut self, from: &From, here: &[&Expr]) -> Result<RowsBox> {
        if self.context.measure.is_some() {
            self.estimate = self.estimator().leaf(from);
        }
        let source = match from {
            From::Subquery { relation, query, .. } => self.subquery_rows(*relation, query)?,
            From::Cte { relation, cte } => self.cte_rows(*relation, *cte)?,
            From::Function { relation, call, ordinality } => {
                self.function_rows(*relation, call, *ordinality)?
            }
            From::RowsFrom { relations, calls, ordinality } => {
                self.rows_from(relations, calls, *ordinality)?
            }
            From::System { relation, schema, name } => {
                self.reads_more = true;
                self.system_rows(*relation, schema, name)?
            }
            From::Table { .. } | From::Join { .. } => {
                return self.first_item(from, here, &RelationWish::default()).map(|(rows, _)| rows);
            }
        };
        self.filtered(source, here)
    }

    /// A source under conditions.
    pub(crate) fn filtered(&mut self, source: RowsBox, conditions: &[&Expr]) -> Result<RowsBox> {
        let text: Vec<String> = conditions.iter().map(|condition| self.text(condition)).collect();
        Ok(match self.filter(conditions)? {
            Some(filter) => {
                if self.context.measure.is_some() {
                    self.estimate = self.estimate.filtered(self.estimator().conjunction(conditions));
                }
                self.operator(Filter { source, filter, text: text.join(" AND ") })
            }
            None => source,
        })
    }

    /// The slots of what items show.
    pub(crate) fn visible_slots(&self, items: &[&From]) -> Vec<usize> {
        let mut relations = Vec::new();
        items.iter().for_each(|item| visible(item, &mut relations));
        let slots = relations.iter().filter_map(|relation| self.relations.get(relation));
        slots
            .flat_map(|slots| slots.columns.iter().flatten().chain(&slots.row).chain(&slots.present).copied())
            .collect()
    }

    fn join_item(
        &mut self,
        outer: RowsBox,
        outer_items: &[&From],
        item: &Item<'_>,
        method: Method,
        here: &[&Expr],
        bound: &BTreeSet<RelationId>,
    ) -> Result<RowsBox> {
        if let From::Table { relation, table } = item.from
            && method == Method::Loop
            && !self.kept.contains_key(relation)
            && self.keyed_path(*relation, *table, here, bound)?.is_some()
        {
            let before = self.estimate;
            let (scan, _) = self.table_scan(*relation, *table, here, &Wish::default())?;
            let inner = self.operator(scan);
            self.estimate = before.looped(self.estimate);
            return Ok(self.operator(NestedLoop { outer, inner }));
        }
        if !item.reads.is_empty() {
            let before = self.estimate;
            let inner = self.item_rows(item.from, here)?;
            self.estimate = before.looped(self.estimate);
            return Ok(self.operator(NestedLoop { outer, inner }));
        }
        self.hash_join(outer, outer_items, item.from, &item.own, here, bound, Keep::None)
    }

    /// Joins by storing the inner side once, hashed where equalities allow.
    #[allow(clippy::too_many_arguments)]
    fn hash_join(
        &mut self,
        outer: RowsBox,
        outer_items: &[&From],
        inner: &From,
        own: &BTreeSet<RelationId>,
        conditions: &[&Expr],
        bound: &BTreeSet<RelationId>,
        keep: Keep,
    ) -> Result<RowsBox> {
        let reads = |node: &Expr| Facts::of_expr(node).outer();
        let (mut inner_only, mut keys, mut residual) = (Vec::new(), Vec::new(), Vec::new());
        for condition in conditions {
            // An unmatched row of a full join must still come, so nothing is filtered before the join.
            if reads(condition).is_disjoint(bound) && keep != Keep::Both {
                inner_only.push(*condition);
            } else if let Some(key) = hash_key(condition, bound, own) {
                keys.push((key, *condition));
            } else {
                residual.push(*condition);
            }
        }
        let outer_keys = keys.iter().map(|(key, _)| self.expr(key.outer)).collect::<Result<Vec<Code>>>()?;
        let before = self.estimate;
        let inner_rows = self.item_rows(inner, &inner_only)?;
        if self.context.measure.is_some() {
            let of_both: Vec<&Expr> =
                keys.iter().map(|(_, node)| *node).chain(residual.iter().copied()).collect();
            let share = self.estimator().conjunction(&of_both);
            self.estimate = before.hashed(self.estimate, share, !keys.is_empty(), keep != Keep::None);
        }
        let inner_keys = keys.iter().map(|(key, _)| self.expr(key.inner)).collect::<Result<Vec<Code>>>()?;
        let text: Vec<String> = keys.iter().map(|(_, condition)| self.text(condition)).collect();
        let join = HashJoin {
            outer,
            inner: inner_rows,
            keep,
            types: keys.iter().map(|(key, _)| key.ty).collect(),
            outer_keys,
            inner_keys,
            residual: self.filter(&residual)?,
            outer_slots: self.visible_slots(outer_items),
            inner_slots: self.visible_slots(&[inner]),
            text: text.join(" AND "),
        };
        Ok(self.operator(join))
    }

    /// LEFT, RIGHT and FULL joins, with conditions of WHERE over them.
    fn outer_join(
        &mut self,
        kind: JoinKind,
        left: &From,
        right: &From,
        on: &[&Expr],
        above: &[&Expr],
        wish: &RelationWish,
    ) -> Result<(RowsBox, bool)> {
        if kind == JoinKind::Right {
            return self.outer_join(JoinKind::Left, right, left, on, above, wish);
        }
        let (left_own, right_item) = (Facts::of_from(left).own, item(right));
        // What WHERE says of the preserved side alone holds before the join as well.
        let of_left = |node: &Expr| {
            let facts = Facts::of_expr(node);
            !facts.volatile && facts.outer().is_disjoint(&right_item.own)
        };
        let (pushed, rest): (Vec<&Expr>, Vec<&Expr>) =
            above.iter().partition(|node| kind == JoinKind::Left && of_left(node));
        let (outer, ordered) = self.from(&[left], &pushed, wish)?;
        let lateral = !right_item.reads.is_disjoint(&left_own);
        let keyed = match right {
            From::Table { relation, table } => {
                !self.kept.contains_key(relation)
                    && self.keyed_path(*relation, *table, on, &left_own)?.is_some()
            }
            _ => false,
        };
        let rows: RowsBox = if kind == JoinKind::Left && (lateral || keyed) {
            let before = self.estimate;
            let (inner, _) = self.from(&[right], on, &RelationWish::default())?;
            let looped = before.looped(self.estimate);
            self.estimate = Estimate { rows: looped.rows.max(before.rows), ..looped };
            self.operator(LeftLoop { outer, inner, inner_slots: self.visible_slots(&[right]) })
        } else {
            let keep = if kind == JoinKind::Left { Keep::Outer } else { Keep::Both };
            self.hash_join(outer, &[left], right, &right_item.own, on, &left_own, keep)?
        };
        Ok((self.filtered(rows, &rest)?, ordered && kind == JoinKind::Left))
    }
}

fn item(from: &From) -> Item<'_> {
    let facts = Facts::of_from(from);
    Item { from, reads: facts.outer(), own: facts.own }
}

fn condition<'p>(node: &'p Expr, local: &BTreeSet<RelationId>) -> Condition<'p> {
    let facts = Facts::of_expr(node);
    let reads = facts.outer().intersection(local).copied().collect();
    Condition { node, reads, volatile: facts.volatile, used: false }
}

/// An equality between two sides of a join.
pub(crate) struct HashKey<'p> {
    outer: &'p Expr,
    inner: &'p Expr,
    ty: TypeId,
}

pub(crate) fn hash_key<'p>(
    node: &'p Expr,
    bound: &BTreeSet<RelationId>,
    own: &BTreeSet<RelationId>,
) -> Option<HashKey<'p>> {
    let ExprKind::Call { function, arguments } = &node.kind else { return None };
    let [left, right] = &arguments[..] else { return None };
    if comparison_of(function) != Some(Comparison::Equal) {
        return None;
    }
    let side = |node: &Expr| {
        let facts = Facts::of_expr(node);
        let reads = facts.outer();
        let outer = reads.is_disjoint(own) && !reads.is_disjoint(bound);
        let inner = reads.is_disjoint(bound) && !reads.is_disjoint(own);
        (!facts.volatile && outer, !facts.volatile && inner)
    };
    let ty = function.args[0];
    match (side(left), side(right)) {
        ((true, _), (_, true)) => Some(HashKey { outer: left, inner: right, ty }),
        ((_, true), (true, _)) => Some(HashKey { outer: right, inner: left, ty }),
        _ => None,
    }
}
