//! WITH CHECK OPTION: what a view asks of the rows that go through it into its table. WITH CHECK: what a policy asks.

use tuplix_sql::plan::{PolicyCheck, ViewCheck};
use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use super::builder::Builder;
use super::code::TestFn;
use super::constraint::row_text;
use super::frame::Exec;
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};

/// The checks of a statement's views over the slots of its relation.
#[derive(Default)]
pub(crate) struct ViewChecks(Vec<RowCheck>);

/// What one of them asks.
pub(crate) struct RowCheck {
    /// The view, or the policy's table.
    name: String,
    condition: TestFn,
    policy: Option<PolicyCheck>,
}

impl Builder<'_> {
    /// Compiles them; the relation has its slots.
    pub(crate) fn view_checks(&mut self, checks: &[ViewCheck]) -> Result<ViewChecks> {
        let codes = checks.iter().map(|check| {
            let (name, policy) = (check.view.clone(), check.policy.clone());
            Ok(RowCheck { name, condition: self.test(&check.condition)?, policy })
        });
        codes.collect::<Result<Vec<_>>>().map(ViewChecks)
    }
}

impl ViewChecks {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first one that does not hold of the row in place.
    #[inline]
    pub(crate) fn broken(&self, exec: &mut Exec<'_, '_>) -> Run<Option<&RowCheck>> {
        for check in &self.0 {
            if !(check.condition)(exec)? {
                return Ok(Some(check));
            }
        }
        Ok(None)
    }
}

impl RowCheck {
    /// 42501 of a policy, which tells nothing of the row.
    fn refused(&self, policy: &PolicyCheck) -> SqlError {
        let named = policy.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let using = if policy.using { " (USING expression)" } else { "" };
        let row = if policy.matched { "target" } else { "new" };
        let message =
            format!("{row} row violates row-level security policy{named}{using} for table \"{}\"", self.name);
        SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)
    }
}

/// 44000 of a view, 42501 of a policy.
#[cold]
pub(crate) fn broken(exec: &Exec<'_, '_>, access: &TableAccess, check: &RowCheck, row: &[Value]) -> Stop {
    if let Some(policy) = &check.policy {
        return exec.services.note_refusal(check.refused(policy), "POLICY").into();
    }
    let message = format!("new row violates check option for view \"{}\"", check.name);
    SqlError::new(SqlState(*b"44000"), message)
        .detail(format!("Failing row contains ({}).", row_text(exec, &access.table, row)))
        .into()
}
