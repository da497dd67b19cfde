//! In which order inner joins are made: dynamic programming over left-deep orders (Selinger), without cross products where
//! conditions connect the relations.

use super::{EMIT_ROW, HASH_BUILD, HASH_PROBE};

/// Relations up to which all orders are compared.
pub(crate) const RELATIONS_MAX: usize = 8;
/// A pair of rows of a join without equality.
const PAIR: f64 = 8.0;

/// How an item is joined to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Its path is run for each row, by values of the row.
    Loop,
    /// It is read once and kept.
    Store,
}

/// What joining one more item to a set of items costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinItem {
    /// Rows of it for each row of the set that pass the conditions.
    pub matches: f64,
    /// The cost of its path for one row of the set, where the path reads the set.
    pub looped: Option<f64>,
    /// The cost of reading it once, and the rows that are kept then; `None` when it reads the set itself (LATERAL).
    pub stored: Option<(f64, f64)>,
    /// Whether an equality joins it to the set.
    pub hashed: bool,
    /// Whether any condition joins it to the set.
    pub connected: bool,
}

/// What an order is chosen by. Items are numbered, sets are bits.
pub(crate) trait Ordering {
    /// How many items.
    fn items(&self) -> usize;
    /// Rows and cost of an item that comes first, and the cost when its rows come in the order that the query wants, if they
    /// can.
    fn first(&self, item: usize) -> (f64, f64, Option<f64>);
    /// An item joined to a set; `None` when it reads items outside of it.
    fn join(&self, set: u32, item: usize) -> Option<JoinItem>;
    /// The cost of all, rows in order or not, with what ORDER BY and LIMIT make of it.
    fn finish(&self, rows: f64, cost: f64, ordered: bool) -> f64;
}

/// The best way to a set of items.
#[derive(Clone, Debug)]
struct Best {
    rows: f64,
    cost: f64,
    order: Vec<(usize, Method)>,
}

/// Rows and cost of joining one more item, and how.
fn joined(before: &Best, item: &JoinItem) -> (f64, f64, Method) {
    let rows = (before.rows * item.matches).max(1.0);
    let emitted = rows * EMIT_ROW;
    let looped = item.looped.map(|cost| before.cost + before.rows * cost + emitted);
    let stored = item.stored.map(|(cost, kept)| {
        let probes = match item.hashed {
            true => kept * HASH_BUILD + before.rows * HASH_PROBE,
            false => kept * EMIT_ROW + before.rows * kept * PAIR,
        };
        before.cost + cost + probes + emitted
    });
    match (looped, stored) {
        (Some(looped), Some(stored)) if stored < looped => (rows, stored, Method::Store),
        (Some(looped), _) => (rows, looped, Method::Loop),
        (None, stored) => (rows, stored.unwrap_or(f64::MAX), Method::Store),
    }
}

/// What a given order costs, each join by its better method; `None` when it is not possible.
pub(crate) fn cost_of(problem: &dyn Ordering, order: &[usize]) -> Option<(f64, Vec<(usize, Method)>)> {
    let (first, rest) = order.split_first()?;
    let (rows, cost, in_order) = problem.first(*first);
    let ordered = in_order.is_some();
    let mut best = Best { rows, cost: in_order.unwrap_or(cost), order: vec![(*first, Method::Loop)] };
    let mut set = 1 << first;
    for item in rest {
        let (rows, cost, method) = joined(&best, &problem.join(set, *item)?);
        best.rows = rows;
        best.cost = cost;
        best.order.push((*item, method));
        set |= 1 << item;
    }
    Some((problem.finish(best.rows, best.cost, ordered), best.order))
}

/// The cheapest order with its methods and its cost; `None` for too many items.
pub(crate) fn best_order(problem: &dyn Ordering) -> Option<(f64, Vec<(usize, Method)>)> {
    let count = problem.items();
    if count > RELATIONS_MAX {
        return None;
    }
    // For each set: the best way in any order, and the best one that keeps the order the query wants.
    let mut best: Vec<[Option<Best>; 2]> = vec![[None, None]; 1 << count];
    let better = |place: &mut Option<Best>, new: Best| {
        if place.as_ref().is_none_or(|old| new.cost < old.cost) {
            *place = Some(new);
        }
    };
    for item in 0..count {
        if problem.join(0, item).is_none() {
            continue;
        }
        let (rows, cost, in_order) = problem.first(item);
        let of = |cost| Best { rows, cost, order: vec![(item, Method::Loop)] };
        better(&mut best[1 << item][0], of(cost));
        if let Some(cost) = in_order {
            better(&mut best[1 << item][1], of(cost));
        }
    }
    for set in 1u32..1 << count {
        if best[set as usize].iter().all(Option::is_none) {
            continue;
        }
        let missing = (0..count).filter(|item| set & (1 << item) == 0);
        let mut next: Vec<(usize, JoinItem)> =
            missing.filter_map(|item| problem.join(set, item).map(|joined| (item, joined))).collect();
        if next.iter().any(|(_, item)| item.connected) {
            next.retain(|(_, item)| item.connected);
        }
        for kept_order in [0, 1] {
            let Some(before) = best[set as usize][kept_order].clone() else { continue };
            for (number, item) in &next {
                let (rows, cost, method) = joined(&before, item);
                let mut order = before.order.clone();
                order.push((*number, method));
                better(&mut best[(set | 1 << number) as usize][kept_order], Best { rows, cost, order });
            }
        }
    }
    let all = best.pop()?;
    let ends = all.into_iter().enumerate().filter_map(|(kept_order, best)| {
        let best = best?;
        Some((problem.finish(best.rows, best.cost, kept_order == 1), best.order))
    });
    ends.min_by(|left, right| left.0.total_cmp(&right.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A chain a - b - c with a filter on one end, where each table has an index on its join column.
    struct Chain {
        rows: [f64; 3],
        filtered: [f64; 3],
    }

    impl Ordering for Chain {
        fn items(&self) -> usize {
            3
        }

        fn first(&self, item: usize) -> (f64, f64, Option<f64>) {
            (self.filtered[item], self.rows[item], None)
        }

        fn join(&self, set: u32, item: usize) -> Option<JoinItem> {
            let connected = [item.wrapping_sub(1), item + 1].iter().any(|n| *n < 3 && set & (1 << n) != 0);
            // Ten values in each join column.
            let share = self.filtered[item] / 10.0;
            Some(JoinItem {
                matches: if connected { share } else { self.filtered[item] },
                looped: connected.then_some(100.0 + share * 50.0),
                stored: Some((self.rows[item], self.filtered[item])),
                hashed: connected,
                connected,
            })
        }

        fn finish(&self, _: f64, cost: f64, _: bool) -> f64 {
            cost
        }
    }

    fn order(rows: [f64; 3], filtered: [f64; 3]) -> Vec<(usize, Method)> {
        best_order(&Chain { rows, filtered }).unwrap().1
    }

    #[test]
    fn the_most_selective_end_comes_first() {
        let few = order([1e3, 1e3, 1e3], [10.0, 1e3, 1e3]);
        assert_eq!(few.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [0, 1, 2]);
        let other = order([1e3, 1e3, 1e3], [1e3, 1e3, 10.0]);
        assert_eq!(other.iter().map(|(item, _)| *item).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn small_tables_are_stored_when_all_rows_of_a_large_one_are_joined() {
        let found = order([10.0, 1e6, 10.0], [10.0, 1e6, 10.0]);
        assert!(found.iter().skip(1).any(|(_, method)| *method == Method::Store), "{found:?}");
        let cheapest = best_order(&Chain { rows: [10.0, 1e6, 10.0], filtered: [10.0, 1e6, 10.0] }).unwrap();
        for given in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
            let problem = Chain { rows: [10.0, 1e6, 10.0], filtered: [10.0, 1e6, 10.0] };
            assert!(cost_of(&problem, &given).unwrap().0 >= cheapest.0 - 1e-6);
        }
    }
}
