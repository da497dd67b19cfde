//! Ranges of an ordered index.

use std::ops::Bound;

use tuplix_types::{TypeId, Value};

use super::super::frame::{Exec, Flow};
use super::{Each, RangeBound, TableScan, Way, fit};
use crate::stop::Run;
use crate::transaction::{KeyRange, RangeScan, RowBatch};

/// Both bounds of a range.
type Bounds = (Bound<Vec<Value>>, Bound<Vec<Value>>);

impl TableScan {
    pub(super) fn range(&self, exec: &mut Exec<'_, '_>, bucket: u16, each: &mut Each<'_>) -> Run<Flow> {
        let Way::Range { index, reverse, .. } = &self.way else { return Ok(Flow::Continue) };
        let Some((lower, upper)) = self.bounds(exec)? else { return Ok(Flow::Continue) };
        let range = KeyRange { lower, upper, reverse: *reverse };
        let mut scan = RangeScan::default();
        let mut batch = RowBatch::new();
        loop {
            let more = exec.tx.range(&self.access, bucket, *index, &range, &mut scan, &mut batch)?;
            if each(exec, &batch)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            if !more {
                return Ok(Flow::Continue);
            }
            exec.check_interrupts()?;
        }
    }

    /// The bounds in the index's order; `None` when nothing can be between them.
    fn bounds(&self, exec: &mut Exec<'_, '_>) -> Run<Option<Bounds>> {
        let Way::Range { prefix, lower, upper, nulls_first, .. } = &self.way else { return Ok(None) };
        let mut key = Vec::with_capacity(prefix.len() + 1);
        if !self.key(exec, prefix, &mut key)? {
            return Ok(None);
        }
        let with = |value: Value| key.iter().cloned().chain([value]).collect::<Vec<_>>();
        let mut bound = |bound: &RangeBound| -> Run<Option<Bound<Vec<Value>>>> {
            let value = bound.key.code.run(exec)?;
            if value.is_null() {
                return Ok(None);
            }
            Ok(Some(match fit_bound(value, bound.key.ty) {
                Some(value) if bound.inclusive => Bound::Included(with(value)),
                Some(value) => Bound::Excluded(with(value)),
                // Beyond the type's range: the filter above the scan decides.
                None => whole(&key),
            }))
        };
        let bounded = lower.is_some() || upper.is_some();
        let nulls = || Bound::Excluded(with(Value::Null));
        let lower = match lower {
            Some(lower) => bound(lower)?,
            None if bounded && *nulls_first => Some(nulls()),
            None => Some(whole(&key)),
        };
        let upper = match upper {
            Some(upper) => bound(upper)?,
            None if bounded && !*nulls_first => Some(nulls()),
            None => Some(whole(&key)),
        };
        Ok(lower.zip(upper))
    }
}

/// Everything that begins with a key.
fn whole(key: &[Value]) -> Bound<Vec<Value>> {
    if key.is_empty() { Bound::Unbounded } else { Bound::Included(key.to_vec()) }
}

/// A bound in the column's representation; `None` when it lies outside of it.
fn fit_bound(value: Value, ty: TypeId) -> Option<Value> {
    fit(value, ty)
}
