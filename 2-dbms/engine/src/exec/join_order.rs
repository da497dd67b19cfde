//! The order of inner joins: what [`super::cost::best_order`] asks about the items of a FROM list, and the rules by which
//! an order is made without statistics.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tuplix_sql::plan::{Expr, From, RelationId};
use tuplix_types::Result;

use super::access_path::{Indexes, Wish, keys_of};
use super::builder::Builder;
use super::cost::{
    COMPARE, JoinItem, Method, Ordering, Pricing, ROWS_OF_LIMIT, WORTH_IT, best_order, cost_of,
};
use super::from::{Condition, Item, RelationWish, hash_key};

impl Builder<'_> {
    /// In which order items are joined, and how each.
    pub(crate) fn join_order(
        &self,
        items: &[Item<'_>],
        conditions: &[Condition<'_>],
        wish: &RelationWish,
    ) -> Result<Vec<(usize, Method)>> {
        let by_rules = self.order_by_rules(items, conditions)?;
        let methods = |order: &[usize]| order.iter().map(|item| (*item, Method::Loop)).collect();
        let unknown = |item: &Item<'_>| match item.from {
            From::Table { table, .. } => {
                self.table(*table).is_ok_and(|access| !self.estimator().has_facts(access))
            }
            _ => false,
        };
        if items.len() < 2 || self.locks_rows || items.iter().any(unknown) {
            return Ok(methods(&by_rules));
        }
        let problem = Joins { builder: self, items, conditions, wish, joined: RefCell::default() };
        let ruled = cost_of(&problem, &by_rules);
        let best = best_order(&problem);
        Ok(match (ruled, best) {
            (Some(ruled), Some(best)) if best.0 < ruled.0 * WORTH_IT => best.1,
            (Some(ruled), _) => ruled.1,
            (None, Some(best)) => best.1,
            (None, None) => methods(&by_rules),
        })
    }

    /// Next always the item that its conditions find cheapest by the shape of the indexes, the first one of equals.
    fn order_by_rules(&self, items: &[Item<'_>], conditions: &[Condition<'_>]) -> Result<Vec<usize>> {
        let mut order = Vec::with_capacity(items.len());
        let mut bound = BTreeSet::new();
        while order.len() < items.len() {
            let mut best = (0, None);
            for (number, item) in items.iter().enumerate() {
                if order.contains(&number) || !item.reads.is_subset(&bound) {
                    continue;
                }
                let score = self.score(item, conditions, &bound)?;
                if score > best.0 {
                    best = (score, Some(number));
                }
            }
            let left = || (0..items.len()).find(|number| !order.contains(number));
            let Some(next) = best.1.or_else(left) else { break };
            bound.extend(items[next].own.iter().copied());
            order.push(next);
        }
        Ok(order)
    }

    fn score(
        &self,
        item: &Item<'_>,
        conditions: &[Condition<'_>],
        bound: &BTreeSet<RelationId>,
    ) -> Result<u32> {
        let after: BTreeSet<RelationId> = bound.union(&item.own).copied().collect();
        let usable = conditions
            .iter()
            .filter(|c| c.reads.is_subset(&after) && (c.volatile || !c.reads.is_subset(bound)));
        let here: Vec<&Expr> = usable.clone().map(|condition| condition.node).collect();
        let connected =
            usable.clone().any(|c| !c.reads.is_disjoint(bound) && !c.reads.is_disjoint(&item.own));
        let score = 1 + match item.from {
            From::Table { relation, table } if !self.kept.contains_key(relation) => {
                let access = self.table(*table)?;
                let indexes = Indexes::of(self.context, access, *relation, &here)?;
                let keys = keys_of(access, *relation, &here, &indexes);
                let bucket = if keys.one_bucket(access) { 20 } else { 0 };
                keys.score(access, &indexes) + bucket + 10 * keys.equal.len().min(5) as u32
            }
            From::Join { .. } => 0,
            _ => 15,
        };
        Ok(if connected { score + 2000 } else { score })
    }
}

/// The items of a FROM list as [`best_order`] sees them.
struct Joins<'j, 'b, 'p> {
    builder: &'j Builder<'b>,
    items: &'j [Item<'p>],
    conditions: &'j [Condition<'p>],
    wish: &'j RelationWish,
    /// By set, as far as the item is connected to it, and item.
    joined: RefCell<BTreeMap<(u32, usize), Option<JoinItem>>>,
}

impl Joins<'_, '_, '_> {
    /// The relations of a set.
    fn bound(&self, set: u32) -> BTreeSet<RelationId> {
        let members = self.items.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
        members.flat_map(|(_, item)| item.own.iter().copied()).collect()
    }

    /// The conditions of an item alone.
    fn own_conditions(&self, item: &Item<'_>) -> Vec<&Expr> {
        let own = |c: &&Condition<'_>| !c.volatile && !c.reads.is_empty() && c.reads.is_subset(&item.own);
        self.conditions.iter().filter(own).map(|condition| condition.node).collect()
    }

    /// Rows and cost of reading an item by its own conditions.
    fn alone(&self, item: &Item<'_>, wish: &Wish) -> (f64, f64, bool) {
        let own = self.own_conditions(item);
        let estimator = self.builder.estimator();
        if let From::Table { relation, table } = item.from
            && let Ok(access) = self.builder.table(*table)
            && let Ok(indexes) = Indexes::of(self.builder.context, access, *relation, &own)
        {
            let keys = keys_of(access, *relation, &own, &indexes);
            let pricing = Pricing { estimator, relation: *relation, conditions: &own };
            let path = keys.choose(access, &indexes, wish, &pricing);
            let estimate =
                pricing.price(access, &indexes, &keys, (&path.choice, path.ordered), &Wish::default());
            return (estimate.rows, estimate.cost, path.ordered && !wish.columns.is_empty());
        }
        let rows = estimator.rows_of(item.from);
        ((rows * estimator.conjunction(&own)).max(1.0), rows * 50.0, false)
    }

    fn compute(&self, set: u32, item: &Item<'_>) -> Option<JoinItem> {
        let bound = self.bound(set);
        if !item.reads.is_subset(&bound) {
            return None;
        }
        let after: BTreeSet<RelationId> = bound.union(&item.own).copied().collect();
        let here = self
            .conditions
            .iter()
            .filter(|c| !c.volatile && c.reads.is_subset(&after) && !c.reads.is_disjoint(&item.own));
        let here: Vec<&Expr> = here.map(|condition| condition.node).collect();
        let joins = self.conditions.iter().filter(|c| {
            c.reads.is_subset(&after) && !c.reads.is_disjoint(&item.own) && !c.reads.is_disjoint(&bound)
        });
        let joins: Vec<&Expr> = joins.map(|condition| condition.node).collect();
        let (rows, cost, _) = self.alone(item, &Wish::default());
        let estimator = self.builder.estimator();
        let mut matches = rows * estimator.conjunction(&joins);
        let mut looped = (!item.reads.is_empty()).then_some(cost);
        if let From::Table { relation, table } = item.from
            && !self.builder.kept.contains_key(relation)
            && let Ok(Some((estimate, unique))) = self.builder.keyed_path(*relation, *table, &here, &bound)
        {
            looped = Some(estimate.cost);
            if unique {
                // A key is found for most of those who name it.
                let all = self.builder.table(*table).map_or(rows, |access| estimator.rows(access));
                matches = matches.max(rows / all).min(1.0);
            }
        }
        Some(JoinItem {
            matches,
            looped,
            stored: item.reads.is_empty().then_some((cost, rows)),
            hashed: joins.iter().any(|node| hash_key(node, &bound, &item.own).is_some()),
            connected: !joins.is_empty() || !item.reads.is_empty(),
        })
    }
}

impl Ordering for Joins<'_, '_, '_> {
    fn items(&self) -> usize {
        self.items.len()
    }

    fn first(&self, item: usize) -> (f64, f64, Option<f64>) {
        let item = &self.items[item];
        let (rows, cost, _) = self.alone(item, &Wish::default());
        let wished = self.wish.relation.is_some_and(
            |relation| matches!(item.from, From::Table { relation: own, .. } if *own == relation),
        );
        if !wished {
            return (rows, cost, None);
        }
        let (_, in_order, ordered) = self.alone(item, &self.wish.wish);
        (rows, cost, ordered.then_some(in_order))
    }

    fn join(&self, set: u32, item: usize) -> Option<JoinItem> {
        if let Some(known) = self.joined.borrow().get(&(set, item)) {
            return *known;
        }
        let joined = self.compute(set, &self.items[item]);
        self.joined.borrow_mut().insert((set, item), joined);
        joined
    }

    fn finish(&self, rows: f64, cost: f64, ordered: bool) -> f64 {
        let wish = &self.wish.wish;
        match (wish.columns.is_empty(), ordered, wish.limited) {
            (true, ..) | (false, true, false) => cost,
            (false, true, true) => cost * (ROWS_OF_LIMIT / rows).min(1.0),
            (false, false, true) => cost + rows * COMPARE,
            (false, false, false) => cost + rows * rows.max(2.0).log2() * COMPARE,
        }
    }
}
