//! A random sample of a table's rows, taken from snapshots of its fragments: writers go on meanwhile.

use tuplix_storage::FragmentSnapshot;
use tuplix_types::Value;

/// Numbers from a seed: what the machine's own source gave, or a fixed one where the same sample is wanted again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(word ^ (word >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

/// Which rows, by their number among the live ones of all fragments, in rising order; all when there are not more than
/// `wanted`.
fn numbers(total: u64, wanted: usize, seed: u64) -> Option<Vec<u64>> {
    if total <= wanted as u64 {
        return None;
    }
    let mut dice = Dice(seed);
    // Floyd's: each set of `wanted` numbers is as likely as any other.
    let mut chosen = std::collections::BTreeSet::new();
    for last in total - wanted as u64..total {
        let number = dice.below(last + 1);
        if !chosen.insert(number) {
            chosen.insert(last);
        }
    }
    Some(chosen.into_iter().collect())
}

/// The values of columns in `wanted` random rows, a vector for each column, in the rows' order.
pub(super) fn sample(
    fragments: &[FragmentSnapshot],
    columns: &[usize],
    wanted: usize,
    seed: u64,
) -> Vec<Vec<Value>> {
    let total: usize = fragments.iter().map(FragmentSnapshot::row_count).sum();
    let chosen = numbers(total as u64, wanted, seed);
    let mut values: Vec<Vec<Value>> = columns.iter().map(|_| Vec::new()).collect();
    let (mut before, mut next) = (0u64, 0usize);
    for chunk in fragments.iter().flat_map(FragmentSnapshot::chunks) {
        let rows = chunk.row_count() as u64;
        let wants = |next: usize| match &chosen {
            None => true,
            Some(chosen) => chosen.get(next).is_some_and(|number| *number < before + rows),
        };
        if wants(next) {
            for (number, (_, row)) in (before..).zip(chunk.rows()) {
                if let Some(chosen) = &chosen {
                    match chosen.get(next) {
                        Some(wanted) if *wanted == number => next += 1,
                        Some(wanted) if *wanted < before + rows => continue,
                        _ => break,
                    }
                }
                for (column, values) in columns.iter().zip(&mut values) {
                    values.push(row.value(*column));
                }
            }
        }
        before += rows;
    }
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tuplix_storage::{Fragment, FragmentSchema};
    use tuplix_types::TypeId;

    use super::*;

    #[test]
    fn a_sample_is_random_over_all_fragments_and_the_same_for_a_seed() {
        let schema = FragmentSchema { columns: vec![TypeId::INT4], ..FragmentSchema::default() };
        let fragments: Vec<FragmentSnapshot> = (0..3)
            .map(|part| {
                let mut fragment = Fragment::new(&schema);
                for row in 0..10_000 {
                    let row = fragment.insert(&[Value::Int4(part * 10_000 + row)]).unwrap();
                    if row.0 % 5 == 0 {
                        fragment.delete(row);
                    }
                }
                fragment.release_deleted();
                fragment.snapshot()
            })
            .collect();
        let of = |wanted, seed| sample(&fragments, &[0], wanted, seed).remove(0);
        assert_eq!(of(100_000, 1).len(), 24_000);
        let some = of(3_000, 1);
        assert_eq!(some.len(), 3_000);
        assert_eq!(some, of(3_000, 1));
        assert_ne!(some, of(3_000, 2));
        assert!(some.windows(2).all(|two| two[0] < two[1]), "in the rows' order, none twice");
        let below = some.iter().filter(|value| value.as_i64().unwrap() < 10_000).count();
        assert!((850..1_150).contains(&below), "{below}");
    }
}
