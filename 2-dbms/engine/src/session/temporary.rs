//! The end of a session's temporary tables: at COMMIT, by DISCARD, with the session.

use tuplix_catalog::OnCommit;
use tuplix_types::{Result, Rows};

use super::Session;
use crate::ddl;
use crate::redo::Origin;
use crate::stop::{Run, Stop};
use crate::transaction::Transaction;

impl Session {
    /// Drops what is ON COMMIT DROP. Such tables live in one transaction alone, which has made them.
    pub(super) fn drop_on_commit(&mut self) -> Result<()> {
        let Some(block) = self.block.as_ref().filter(|block| !block.failed) else { return Ok(()) };
        let Some(private) = &block.interactive.catalog else { return Ok(()) };
        let drops =
            |table: &std::sync::Arc<tuplix_catalog::TableDef>| table.temporary == Some(OnCommit::Drop);
        if private.state.schema.catalog.tables().any(drops) {
            self.in_run(ddl::drop_on_commit)
        } else {
            Ok(())
        }
    }

    /// Drops all temporary tables.
    pub(super) fn drop_temporary(&mut self) -> Result<()> {
        self.services.refresh();
        let schema = self.services.temporary_schema();
        if self.services.with_catalog(|catalog| catalog.schema(&schema).is_none()) {
            return Ok(());
        }
        if self.block.is_some() {
            return self.in_run(ddl::drop_temporary);
        }
        self.open_own_block();
        let outcome = self.in_run(ddl::drop_temporary).map(|()| 0);
        self.end_own_block(outcome).map(|_| ())
    }

    /// Drops all temporary tables if that needs no waiting. What is left then goes with the next change of the catalogue.
    pub(super) fn leave_temporary(&mut self) {
        let set = self.services.settings.borrow_mut().set("lock_timeout", "1ms", false, false);
        if set.is_ok() && self.drop_temporary().is_err() {
            self.roll_back_block();
        }
    }

    fn in_run(&mut self, work: impl Fn(&mut Transaction<'_>) -> Run<()>) -> Result<()> {
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        loop {
            self.services.refresh();
            let version = self.services.schema_version();
            match self.run_once(version, &origin, |exec, _| work(exec.tx), &mut Rows::new()) {
                Ok(_) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }
}
