//! WHERE CURRENT OF: the row of a table that a cursor's row was made of.

use tuplix_sql::plan::{CurrentOf, Expr, RelationId};
use tuplix_types::{Result, SqlError, Value};

use super::builder::Builder;
use super::code::Code;
use super::frame::{Exec, Flow, unpack_row};
use super::scan::{Bucket, TableScan, Way};
use crate::layout::TableAccess;
use crate::portal::no_such_cursor;
use crate::stop::Run;
use crate::transaction::RowRef;

/// The cursor of a scan.
pub(crate) enum CursorName {
    Named(String),
    /// In the slot of a variable.
    Slot(usize),
}

impl CursorName {
    fn get<'e>(&'e self, exec: &'e Exec<'_, '_>) -> Result<&'e str> {
        match self {
            CursorName::Named(name) => Ok(name),
            CursorName::Slot(slot) => exec.get(*slot).as_str().ok_or_else(|| no_such_cursor("")),
        }
    }
}

impl Builder<'_> {
    /// The scan of the one row of a table that a cursor stands on.
    pub(crate) fn current_row_scan(
        &mut self,
        relation: RelationId,
        access: TableAccess,
        conditions: &[&Expr],
        cursor: &CurrentOf,
    ) -> Result<TableScan> {
        let (name, shown) = match cursor {
            CurrentOf::Named(name) => (CursorName::Named(name.clone()), name.clone()),
            CurrentOf::Variable(variable) => {
                (CursorName::Slot(self.variables[*variable]), format!("${}", variable + 1))
            }
        };
        self.add_table(relation, &access);
        let filter = self.filter(conditions)?;
        let slots = self.relations.get(&relation).cloned().unwrap_or_default();
        let columns = slots.columns.iter().enumerate();
        let columns = columns.filter_map(|(column, slot)| slot.map(|slot| (column, slot))).collect();
        let text =
            vec![format!("Tid Scan on {}", access.table.name), format!("TID Cond: CURRENT OF {shown}")];
        Ok(TableScan {
            access,
            bucket: Bucket::All,
            way: Way::Current(name),
            columns,
            row: slots.row,
            present: slots.present,
            filter,
            recheck: false,
            few: None,
            text,
            estimate: None,
        })
    }

    /// Which row of a relation it is, with the values of some columns.
    pub(crate) fn place(&mut self, relation: RelationId, keys: &[usize]) -> Result<Code> {
        let row = self.relations.get(&relation).and_then(|slots| slots.row);
        let row = row.ok_or_else(|| SqlError::internal("nobody says which row of a relation it is"))?;
        let keys = keys.iter().map(|key| self.column(relation, *key)).collect::<Result<Vec<usize>>>()?;
        Ok(Code::new(move |exec| {
            let row = exec.get(row);
            if row.is_null() {
                return Ok(Value::Null);
            }
            Ok(Value::Record(
                std::iter::once(row).chain(keys.iter().map(|key| exec.get(*key))).cloned().collect(),
            ))
        }))
    }

    /// Gives a slot to each relation of a select list that somebody asks which of its rows it is.
    pub(crate) fn note_places(&mut self, targets: &[Expr]) {
        for target in targets {
            if let tuplix_sql::plan::ExprKind::Place { relation, .. } = &target.kind {
                let slot = self.slot();
                self.relations.entry(*relation).or_default().row.get_or_insert(slot);
            }
        }
    }
}

impl TableScan {
    /// Gives the row that the cursor stands on, if it is still there.
    #[cold]
    pub(super) fn current(
        &self,
        exec: &mut Exec<'_, '_>,
        name: &CursorName,
        each: &mut dyn FnMut(&mut Exec<'_, '_>, &[RowRef]) -> Run<Flow>,
    ) -> Run<Flow> {
        let place = {
            let name = name.get(exec)?;
            exec.services.portals.borrow().get(name)?.current(name, &self.access)?
        };
        let Some(place) = place else { return Ok(Flow::Continue) };
        let Value::Record(fields) = &place.value else { return Ok(Flow::Continue) };
        let Some((row, values)) = fields.split_first() else { return Ok(Flow::Continue) };
        let Some(row) = unpack_row(self.access.slot, row) else { return Ok(Flow::Continue) };
        match exec.tx.row_of_cursor(&self.access, row, (&place.keys, values), place.unique)? {
            Some(row) => each(exec, &[row]),
            None => Ok(Flow::Continue),
        }
    }
}
