//! DECLARE, FETCH, MOVE, CLOSE.

use tuplix_sql::plan::{CursorMove, DeclareCursor};
use tuplix_types::{Result, Rows, SqlError, Tag, Value, sqlstate};

use super::Session;
use crate::exec::{RowSet, compile_statement};
use crate::portal::{NewPortal, Places};
use crate::redo::Origin;
use crate::stop::Stop;

impl Session {
    pub(super) fn declare_cursor(
        &mut self,
        declare: &DeclareCursor,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        if self.block.is_none() && !declare.hold {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        self.services.portals.borrow().check_free(&declare.name)?;
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        loop {
            self.services.refresh();
            let schema = self.services.schema();
            let path = self.services.search_path();
            let binder = self.binder(&schema, &path);
            let compiled =
                binder.with_compiler(|compiler| compile_statement(compiler, &declare.statement))?;
            let mut rows = RowSet::new(compiled.columns().len());
            let outcome = self.run_once(
                schema.version,
                &origin,
                |exec, _| {
                    compiled.run(exec, arguments, &mut |row| {
                        rows.push(row);
                        Ok(())
                    })
                },
                out,
            );
            match outcome {
                Ok((_, committed)) => {
                    let places = &declare.places;
                    let (rows, places_of_rows) = Places::split(places, rows, &schema.layout);
                    let new = NewPortal {
                        columns: compiled.columns()[..places.visible].into(),
                        rows,
                        places: places_of_rows,
                        scroll: declare.scroll,
                        hold: declare.hold,
                        text: declare.text.clone(),
                        created_us: self.node.machine().now_us(),
                    };
                    let mut portals = self.services.portals.borrow_mut();
                    portals.open(&declare.name, new)?;
                    portals.end_run(true);
                    if self.block.is_none() {
                        portals.end_transaction(true);
                    }
                    out.tag = Tag { command: "DECLARE CURSOR", rows: None };
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }

    pub(super) fn fetch_cursor(
        &mut self,
        name: &str,
        by: CursorMove,
        is_move: bool,
        out: &mut Rows,
    ) -> Result<Tag> {
        let mut portals = self.services.portals.borrow_mut();
        let fetched = portals.fetch(name, by);
        portals.end_run(fetched.is_ok());
        let (rows, numbers) = fetched?;
        if !is_move {
            numbers.iter().for_each(|number| out.push(rows.row(*number)));
            self.services.with_catalog(|catalog| super::run::label_rows(catalog, out));
        }
        let command = if is_move { "MOVE" } else { "FETCH" };
        Ok(Tag { command, rows: Some(numbers.len() as u64) })
    }

    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<Tag> {
        let mut portals = self.services.portals.borrow_mut();
        let command = match name {
            Some(name) => {
                portals.close(name)?;
                "CLOSE CURSOR"
            }
            None => {
                portals.close_all();
                "CLOSE CURSOR ALL"
            }
        };
        portals.end_run(true);
        Ok(Tag { command, rows: None })
    }

    /// What a run has done to cursors stays or goes; outside of a block it was a transaction of its own.
    #[inline]
    pub(super) fn end_run_of_cursors(&mut self, succeeded: bool, in_block: bool) {
        let portals = self.services.portals.get_mut();
        portals.end_run(succeeded);
        if !in_block {
            portals.end_transaction(succeeded);
        }
    }
}
