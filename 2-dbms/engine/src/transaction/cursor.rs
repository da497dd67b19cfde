//! Rows that cursors have met, found again: a row has the same number until the transaction that deletes it ends.

use tuplix_types::{SqlError, Value, sqlstate};

use super::{RowRef, Transaction};
use crate::layout::TableAccess;
use crate::stop::Run;

impl Transaction<'_> {
    /// A row that a cursor of this transaction met, as this transaction sees it now; `None` when it was deleted. The last but one
    /// are columns and values by which it is known from a row of another transaction in its place; `unique` when no other row has them.
    ///
    /// # Errors
    /// 40001 when that cannot be told.
    pub(crate) fn row_of_cursor(
        &mut self,
        access: &TableAccess,
        met: RowRef,
        (columns, values): (&[usize], &[Value]),
        unique: bool,
    ) -> Run<Option<RowRef>> {
        let held = self.place(access, met.bucket)?;
        self.track_read(held, access, met.bucket)?;
        let met = RowRef { held, ..met };
        let of = self.fragment_key(held, access.slot, met.bucket);
        let overlay = self.overlay();
        if met.private {
            let fragment = overlay.and_then(|overlay| overlay.fragment(of));
            return Ok(fragment.is_some_and(|fragment| fragment.is_live(met.row)).then_some(met));
        }
        let fragment = self.domain_state(held).fragment(access.slot, met.bucket);
        let Some(fragment) = fragment.filter(|fragment| fragment.is_live(met.row)) else { return Ok(None) };
        let Some(overlay) = overlay else { return Ok(Some(met)) };
        if let Some(version) = overlay.version_of(of, met.row) {
            return Ok(version.map(|row| RowRef { private: true, row, ..met }));
        }
        let same = columns
            .iter()
            .zip(values)
            .all(|(column, value)| tuplix_types::equal(&fragment.read(met.row, *column), value));
        match same {
            true => Ok(Some(met)),
            false if unique => Ok(None),
            false => {
                let message = "could not serialize access due to concurrent update";
                Err(SqlError::new(sqlstate::SERIALIZATION_FAILURE, message)
                    .hint("Declare the cursor FOR UPDATE, or give the table a primary key.")
                    .into())
            }
        }
    }
}
