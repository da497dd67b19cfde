//! WITH CHECK OPTION: what a view asks of the rows that go through it into its table.

use tuplix_sql::plan::ViewCheck;
use tuplix_types::{Result, SqlError, SqlState, Value};

use super::builder::Builder;
use super::code::TestFn;
use super::constraint::row_text;
use super::frame::Exec;
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};

/// The checks of a statement's views over the slots of its relation.
#[derive(Default)]
pub(crate) struct ViewChecks(Vec<(String, TestFn)>);

impl Builder<'_> {
    /// Compiles them; the relation has its slots.
    pub(crate) fn view_checks(&mut self, checks: &[ViewCheck]) -> Result<ViewChecks> {
        let codes = checks.iter().map(|check| Ok((check.view.clone(), self.test(&check.condition)?)));
        codes.collect::<Result<Vec<_>>>().map(ViewChecks)
    }
}

impl ViewChecks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first view whose condition does not hold of the row in place.
    #[inline]
    pub(crate) fn broken(&self, exec: &mut Exec<'_, '_>) -> Run<Option<&str>> {
        for (view, condition) in &self.0 {
            if !condition(exec)? {
                return Ok(Some(view));
            }
        }
        Ok(None)
    }
}

/// 44000
#[cold]
pub(crate) fn broken(exec: &Exec<'_, '_>, access: &TableAccess, view: &str, row: &[Value]) -> Stop {
    let message = format!("new row violates check option for view \"{view}\"");
    SqlError::new(SqlState(*b"44000"), message)
        .detail(format!("Failing row contains ({}).", row_text(exec, &access.table, row)))
        .into()
}
