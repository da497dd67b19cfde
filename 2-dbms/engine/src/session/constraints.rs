//! SET CONSTRAINTS, and the checks that a block has put off until COMMIT.

use tuplix_sql::plan::QualifiedName;
use tuplix_types::{Result, Rows, Severity, SqlError, sqlstate};

use super::Session;
use crate::exec::Deferred;
use crate::redo::Origin;
use crate::stop::Stop;

impl Session {
    pub(super) fn set_constraints(&mut self, names: Option<&[QualifiedName]>, deferred: bool) -> Result<()> {
        if self.block.is_none() {
            let message = "SET CONSTRAINTS can only be used in transaction blocks";
            let warning = SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message);
            self.notices.push(warning.severity(Severity::Warning));
            return Ok(());
        }
        let keys = names.map(|names| self.deferrable_keys(names)).transpose()?;
        self.services.constraint_modes.borrow_mut().set(keys.as_deref(), deferred);
        if deferred {
            return Ok(());
        }
        let Some(block) = &self.block else { return Ok(()) };
        let of_these = |check: &&Deferred| keys.as_ref().is_none_or(|keys| keys.contains(&check.key().id));
        let checks: Vec<Deferred> = block.interactive.overlay.deferred().filter(of_these).cloned().collect();
        self.run_checks(&checks)
    }

    fn deferrable_keys(&self, names: &[QualifiedName]) -> Result<Vec<u32>> {
        self.services.refresh();
        let schema = self.services.schema();
        let mut keys = Vec::new();
        for name in names {
            let before = keys.len();
            let tables = schema.catalog.tables();
            for table in
                tables.filter(|table| name.schema.as_ref().is_none_or(|wanted| *wanted == table.schema))
            {
                for key in table.foreign_keys.iter().filter(|key| key.name == name.name) {
                    if !key.deferrable {
                        let message = format!("constraint \"{}\" is not deferrable", name.name);
                        return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
                    }
                    keys.push(key.id);
                }
            }
            if keys.len() == before {
                let message = format!("constraint \"{}\" does not exist", name.name);
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
            }
        }
        Ok(keys)
    }

    /// Runs the checks that wait for COMMIT; the block is gone when one fails.
    pub(super) fn check_deferred(&mut self) -> Result<()> {
        let Some(block) = &self.block else { return Ok(()) };
        let checks: Vec<Deferred> = block.interactive.overlay.deferred().cloned().collect();
        let outcome = self.run_checks(&checks);
        if outcome.is_err() {
            self.roll_back_block();
        }
        outcome
    }

    fn run_checks(&mut self, checks: &[Deferred]) -> Result<()> {
        if checks.is_empty() {
            return Ok(());
        }
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        loop {
            self.services.refresh();
            let version = self.services.schema_version();
            let run =
                |exec: &mut crate::exec::Exec<'_, '_>, _: &mut Rows| crate::exec::run_deferred(exec, checks);
            match self.run_once(version, &origin, run, &mut Rows::new()) {
                Ok(_) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }
}
