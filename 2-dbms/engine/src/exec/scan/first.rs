//! The first row by a sort order, without a sort: of ORDER BY ... LIMIT 1 only the keys of each row are read.

use std::cmp::Ordering;

use arrayvec::ArrayVec;
use tuplix_types::Value;

use super::super::frame::{Exec, Flow};
use super::super::rows::Next;
use super::super::sort::SortColumn;
use super::{MAX_KEYS, TableScan};
use crate::stop::Run;
use crate::transaction::RowRef;

impl TableScan {
    /// The first row by an integer column.
    pub(super) fn first_integer(
        &self,
        exec: &mut Exec<'_, '_>,
        column: usize,
        key: &SortColumn,
        next: &mut Next<'_>,
    ) -> Run<Flow> {
        let mut best: Option<(i128, RowRef)> = None;
        let null = if key.nulls_first { i128::MIN } else { i128::MAX };
        self.rows(exec, &mut |exec, batch| {
            let Some(first) = batch.first() else { return Ok(Flow::Continue) };
            let mut private = first.private;
            let mut fragment = exec.tx.fragment_of(*first);
            for row in batch {
                if row.private != private {
                    private = row.private;
                    fragment = exec.tx.fragment_of(*row);
                }
                let rank = match fragment.read_integer(row.row, column) {
                    Some(value) if key.descending => -i128::from(value),
                    Some(value) => i128::from(value),
                    None => null,
                };
                if best.is_none_or(|(least, _)| rank < least) {
                    best = Some((rank, *row));
                }
            }
            Ok(Flow::Continue)
        })?;
        best.map_or(Ok(Flow::Continue), |(_, row)| self.emit(exec, row, next))
    }

    /// The first row by keys, which are columns of the table.
    pub(super) fn first(
        &self,
        exec: &mut Exec<'_, '_>,
        keys: &[(usize, &SortColumn)],
        next: &mut Next<'_>,
    ) -> Run<Flow> {
        let mut best: Option<RowRef> = None;
        let mut values = ArrayVec::<Value, MAX_KEYS>::new();
        self.rows(exec, &mut |exec, batch| {
            for row in batch {
                let mut order = Ordering::Less;
                if best.is_some() {
                    order = Ordering::Equal;
                    for ((column, key), value) in keys.iter().zip(&values) {
                        order = key.compare(&exec.tx.read(*row, *column), value);
                        if order.is_ne() {
                            break;
                        }
                    }
                }
                if order.is_lt() {
                    best = Some(*row);
                    values.clear();
                    values.extend(keys.iter().map(|(column, _)| exec.tx.read(*row, *column)));
                }
            }
            Ok(Flow::Continue)
        })?;
        best.map_or(Ok(Flow::Continue), |row| self.emit(exec, row, next))
    }
}
