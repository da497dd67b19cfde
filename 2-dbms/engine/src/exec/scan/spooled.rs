//! The rows of a spooled table: those that have left memory first, block by block, then those in its fragments.
//!
//! While it reads what has left, it holds no latch of its own. Then it latches the table and looks what has left meanwhile; only when that
//! is nothing any more it goes on with the rows in memory. So it sees every row once, as of the moment when it holds the latches.

use std::ops::Range;

use tuplix_storage::{SimplePredicate, Test};
use tuplix_types::TypeId;

use super::super::explain::Explain;
use super::super::frame::{Exec, Flow};
use super::super::rows::{Next, Rows};
use super::{Bucket, Predicates, TableScan, Way, predicates};
use crate::history::{BlockId, ColdList};
use crate::stop::Run;

/// How often it looks for what has left memory meanwhile before it keeps its latches.
const ROUNDS: usize = 3;

/// See the module.
pub(crate) struct SpooledScan {
    /// Its scan of the rows in memory, which goes by no index.
    pub scan: TableScan,
}

/// What a run has read of the lists.
#[derive(Default)]
struct Seen {
    lists: Vec<Option<ColdList>>,
}

impl Seen {
    /// The blocks that are new in the lists; `None` when something that was there is not there any more.
    fn update(&mut self, lists: Vec<(u16, Option<ColdList>)>) -> Option<Vec<BlockId>> {
        let mut new = Vec::new();
        self.lists.resize(lists.len(), None);
        for (seen, (_, list)) in self.lists.iter_mut().zip(lists) {
            let before = seen.as_deref().unwrap_or_default();
            let now = list.as_deref().unwrap_or_default();
            for (number, part) in now.iter().enumerate() {
                let start = match before.get(number) {
                    Some(known) if part.continues(known) => part.first + known.blocks,
                    Some(_) => return None,
                    None => part.first,
                };
                let blocks = start..part.first + part.blocks;
                new.extend(blocks.map(|number| BlockId { segment: part.segment.clone(), number }));
            }
            if now.len() < before.len() {
                return None;
            }
            *seen = list;
        }
        new.sort_by_key(|block| (block.segment.reference.epoch, block.number));
        Some(new)
    }
}

/// Whether a block may have rows that pass; one of which nothing is known may.
fn may_have(block: &BlockId, tests: &[SimplePredicate]) -> bool {
    let Some(info) = block.segment.info(block.number) else { return true };
    tests.iter().all(|predicate| match &predicate.test {
        Test::Integer(comparison, constant) => {
            let bounds = info.bounds.get(predicate.column).copied().flatten();
            bounds.is_some_and(|(low, high)| comparison.may_hold(low, high, *constant))
        }
        _ => true,
    })
}

impl SpooledScan {
    fn buckets(&self, exec: &mut Exec<'_, '_>) -> Run<Option<Range<u16>>> {
        Ok(match self.scan.only_bucket(exec)? {
            Some(bucket) => Some(bucket..bucket + 1),
            None if matches!(self.scan.bucket, Bucket::All) => Some(0..self.scan.access.buckets),
            None => None,
        })
    }

    /// Which columns are looked at.
    fn wanted(&self, tests: &[SimplePredicate]) -> Vec<bool> {
        let mut wanted = vec![false; self.scan.access.table.columns.len()];
        let tested = tests.iter().map(|test| test.column);
        self.scan
            .columns
            .iter()
            .map(|(column, _)| *column)
            .chain(tested)
            .for_each(|column| wanted[column] = true);
        wanted
    }

    fn block(
        &self,
        exec: &mut Exec<'_, '_>,
        wanted: &[BlockId],
        reads: &Reads<'_>,
        next: &mut Next<'_>,
    ) -> Run<Flow> {
        let block = exec.tx.read_block(wanted)?;
        let BlockId { segment, number } = &wanted[0];
        for chunk in segment.segment()?.chunks(*number, &block, reads.types, reads.columns)? {
            exec.check_interrupts()?;
            let view = chunk.view();
            let selected = view.select(reads.tests);
            for (row, values) in view.rows() {
                let place = (row.0 - view.first_row().0) as usize;
                if selected[place / 64] >> (place % 64) & 1 == 0 {
                    continue;
                }
                for (column, slot) in &self.scan.columns {
                    exec.set(*slot, values.value(*column));
                }
                if self.scan.accept_values(exec)? && next(exec)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(Flow::Continue)
    }
}

/// What is read of a block.
struct Reads<'a> {
    types: &'a [TypeId],
    columns: &'a [bool],
    tests: &'a [SimplePredicate],
}

impl Rows for SpooledScan {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let Way::Scan(tests) = &self.scan.way else { return self.scan.run(exec, next) };
        let Some(buckets) = self.buckets(exec)? else { return Ok(Flow::Continue) };
        let mut made = Predicates::new();
        if !predicates(exec, &tests.codes, &mut made)? {
            return Ok(Flow::Continue);
        }
        let columns = self.wanted(&made);
        let types = crate::transaction::storage_types(&self.scan.access.table);
        let reads = Reads { types: &types, columns: &columns, tests: &made };
        let mut seen = Seen::default();
        for round in 0.. {
            let held = exec.tx.holds_latches();
            let lists = exec.tx.cold_lists(&self.scan.access, buckets.clone())?;
            let Some(new) = seen.update(lists) else { return Err(exec.tx.read_again()) };
            if new.is_empty() {
                break;
            }
            if !held && round < ROUNDS {
                exec.tx.release_latches();
            }
            let new: Vec<BlockId> = new.into_iter().filter(|block| may_have(block, &made)).collect();
            for number in 0..new.len() {
                if self.block(exec, &new[number..], &reads, next)? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        self.scan.run(exec, next)
    }

    fn explain(&self, out: &mut Explain) {
        self.scan.explain(out);
        out.note("History: blocks on disk by their smallest and largest values, then rows in memory");
    }
}

#[cfg(test)]
mod tests {
    use tuplix_storage::Comparison;

    #[test]
    fn bounds_leave_out_what_cannot_hold() {
        let holds = |comparison: Comparison, constant| comparison.may_hold(3, 7, constant);
        let all = |comparison| (1..10).filter(|constant| holds(comparison, *constant)).collect::<Vec<i64>>();
        assert_eq!(all(Comparison::Equal), [3, 4, 5, 6, 7]);
        assert_eq!(all(Comparison::Less), [4, 5, 6, 7, 8, 9]);
        assert_eq!(all(Comparison::LessOrEqual), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(all(Comparison::Greater), [1, 2, 3, 4, 5, 6]);
        assert_eq!(all(Comparison::GreaterOrEqual), [1, 2, 3, 4, 5, 6, 7]);
        assert!(Comparison::NotEqual.may_hold(3, 3, 4) && !Comparison::NotEqual.may_hold(3, 3, 3));
    }
}
