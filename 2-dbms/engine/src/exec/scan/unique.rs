//! The one row of a unique key. Keys of one or two integers, as most are, go to the index as integers: no value is made,
//! copied or dropped on the way.

use super::super::code::Code;
use super::super::compare::is_integer;
use super::super::frame::Exec;
use super::{KeyPart, TableScan, Way};
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::RowRef;
use tuplix_catalog::IndexMethod;

/// The longest key that goes to its index as integers.
const FEW: usize = 2;

impl KeyPart {
    /// The integer to look for; `None` for NULL.
    #[inline(always)]
    fn integer(&self, exec: &mut Exec<'_, '_>) -> Run<Option<i64>> {
        match &self.code {
            Code::Slot(slot) => Ok(exec.get(*slot).as_i64()),
            code => Ok(code.run(exec)?.as_i64()),
        }
    }
}

/// Whether a key of an index may be looked for as integers.
pub(crate) fn are_integers(access: &TableAccess, index: usize, key: &[KeyPart]) -> bool {
    let Some(definition) = access.table.indexes.get(index) else { return false };
    definition.method == IndexMethod::Hash
        && definition.is_plain()
        && (1..=FEW).contains(&key.len())
        && key.len() == definition.columns.len()
        && definition.columns.iter().all(|key| is_integer(access.table.columns[key.column].ty))
}

impl TableScan {
    /// The one row of a scan by a unique key, with what is needed of it in its slots.
    #[inline(always)]
    pub(crate) fn find(&self, exec: &mut Exec<'_, '_>) -> Run<Option<RowRef>> {
        let Way::Unique { index, key, integers } = &self.way else { return Ok(None) };
        let Some(bucket) = self.only_bucket(exec)? else { return Ok(None) };
        let integers = *integers && !exec.tx.is_interactive();
        let found = match &key[..] {
            [a, b] if integers => self.by_integers(exec, bucket, *index, [a, b])?,
            [a] if integers => self.by_integers(exec, bucket, *index, [a])?,
            _ => self.unique(exec, bucket, *index, key)?,
        };
        let Some(row) = found else { return Ok(None) };
        if self.columns.is_empty() && self.filter.is_none() && !self.recheck {
            self.mark(exec, row);
            return Ok(Some(row));
        }
        Ok(if self.take(exec, row)? { Some(row) } else { None })
    }

    #[inline(always)]
    fn by_integers<const N: usize>(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        index: usize,
        parts: [&KeyPart; N],
    ) -> Run<Option<RowRef>> {
        let mut key = [0; N];
        for (value, part) in key.iter_mut().zip(parts) {
            let Some(integer) = part.integer(exec)? else { return Ok(None) };
            *value = integer;
        }
        exec.tx.lookup_integers(&self.access, bucket, index, key)
    }

    /// As [`TableScan::find`], of keys of any columns.
    #[inline(never)]
    pub(super) fn unique(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        index: usize,
        parts: &[KeyPart],
    ) -> Run<Option<RowRef>> {
        let mut key = exec.take_buffer();
        let row = match self.key(exec, parts, &mut key)? {
            true => exec.tx.lookup_unique(&self.access, bucket, index, &key)?,
            false => None,
        };
        exec.give_buffer(key);
        Ok(row)
    }
}
