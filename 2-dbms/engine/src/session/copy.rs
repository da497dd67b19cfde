//! COPY: rows that come from the client, or go to it, in a format of their own.
//!
//! COPY TO runs like any query; who sends the rows writes them in [`CopyRows::format`]. COPY FROM takes all of the client's data at
//! once: its rows are one statement of one transaction, and a run that has to start over reads them again.

use std::cell::Cell;
use std::sync::Arc;

use tuplix_sql::plan::Copy;
use tuplix_types::copy::{CopyDirection, CopyReader, CopyRows, Field, Fields};
use tuplix_types::{Result, Rows, SqlError, Tag, TypeId, Value, binary_io, sqlstate};

use super::Session;
use super::bind::in_failed_block;
use crate::exec::{CompiledStatement, Exec, from_text};
use crate::redo::Origin;
use crate::statement::{Bound, Code, Commit, Prepared};
use crate::stop::{Run, Stop};

/// How far a COPY FROM has come, for the place of an error.
#[derive(Debug, Default)]
pub(crate) struct CopyProgress {
    /// The client's row that is being read, from 0.
    pub read: Cell<usize>,
    /// The one that could not be inserted, and whether a trigger saw it before.
    pub failed: Cell<Option<(usize, bool)>>,
}

/// A compiled COPY.
#[derive(Debug)]
pub(crate) struct CopyCode {
    pub copy: Copy,
    pub statement: CompiledStatement,
}

impl CopyCode {
    /// COPY TO, as part of a run.
    pub(crate) fn run(&self, exec: &mut Exec<'_, '_>, arguments: &[Value], out: &mut Rows) -> Run<Tag> {
        if self.copy.rows.direction == CopyDirection::From {
            return Err(no_data().into());
        }
        let outcome = self.statement.run(exec, arguments, &mut |row| {
            out.push(row);
            Ok(())
        })?;
        // A statement with RETURNING counts rows that it changed, as many as it gives.
        Ok(Tag { command: "COPY", rows: Some(outcome.rows) })
    }

    /// COPY FROM, as part of a run.
    fn load(&self, exec: &mut Exec<'_, '_>, data: &[u8]) -> Run<u64> {
        let rows = self.rows(exec, data)?;
        *exec.services.copied.borrow_mut() = Some(rows);
        exec.services.copy_progress.failed.set(None);
        let outcome = self.statement.run(exec, &[], &mut |_| Ok(()));
        exec.services.copied.borrow_mut().take();
        match (outcome, exec.services.copy_progress.failed.take()) {
            (Ok(outcome), _) => Ok(outcome.rows),
            (Err(Stop::Error(error)), Some(failed)) => Err(self.placed(error, failed, data).into()),
            (Err(stop), _) => Err(stop),
        }
    }

    /// An error with the line that it is about. As PostgreSQL, which puts rows into indexes when it has several, a unique key's tells the number
    /// alone unless a trigger had to see each row first.
    fn placed(&self, error: SqlError, (row, triggered): (usize, bool), data: &[u8]) -> SqlError {
        let mut reader = self.reader(data);
        let mut fields = Fields::default();
        for _ in 0..=row {
            // They have been read before.
            if !matches!(reader.next(&mut fields), Ok(true)) {
                return error;
            }
        }
        let with_text = triggered || error.sqlstate() != sqlstate::UNIQUE_VIOLATION;
        error.context(reader.place_of_row(with_text))
    }

    fn reader<'d>(&'d self, data: &'d [u8]) -> CopyReader<'d> {
        let CopyRows { format, columns, .. } = &self.copy.rows;
        let names = columns.iter().map(|column| column.name.as_str()).collect();
        CopyReader::new(format, &self.copy.table, names, data)
    }

    fn rows(&self, exec: &mut Exec<'_, '_>, data: &[u8]) -> Run<Vec<Vec<Value>>> {
        let columns = &self.copy.rows.columns;
        let mut reader = self.reader(data);
        let (mut fields, mut rows) = (Fields::default(), Vec::new());
        while reader.next(&mut fields)? {
            exec.check_interrupts()?;
            let mut row = Vec::with_capacity(columns.len());
            for (number, column) in columns.iter().enumerate() {
                let field = reader.field(&fields, number);
                let read = value(exec, column.ty, column.typmod, field);
                row.push(read.map_err(|stop| match stop {
                    Stop::Error(error) => Stop::Error(error.context(reader.place_of(number, field))),
                    Stop::Restart => Stop::Restart,
                })?);
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// A field as a value of its column.
fn value(exec: &mut Exec<'_, '_>, ty: TypeId, typmod: i32, field: Field<'_>) -> Run<Value> {
    match field {
        Field::Null if ty.is_domain() => crate::exec::argument(exec, ty, &Value::Null),
        Field::Null => Ok(Value::Null),
        Field::Text(text) => from_text(exec, ty, typmod, text),
        // Users' types travel as their texts.
        Field::Binary(bytes) if ty.is_user() => from_text(exec, ty, typmod, binary_io::utf8(bytes)?),
        Field::Binary(bytes) => Ok(binary_io::receive(ty, typmod, bytes)?),
    }
}

/// COPY FROM where nobody can send rows.
pub(crate) fn no_data() -> SqlError {
    SqlError::unsupported("COPY FROM STDIN without a client's data")
        .hint("Give the data to copy_in, or send them by the PostgreSQL protocol.")
}

impl Session {
    /// Executes COPY ... FROM STDIN with all of the client's data. The commit is not yet waited for, unless the statement
    /// fails.
    ///
    /// # Errors
    /// 22P04 and the types' own errors for what cannot be read, with its line; those of INSERT. Nothing of it remains then.
    pub fn copy_in(&mut self, statement: &Prepared, data: &[u8], out: &mut Rows) -> Result<Commit<'_>> {
        out.clear();
        let start = statement.inner.counter.count().then(|| self.node.machine().monotonic_ns());
        let outcome = self.load(statement, data, out);
        let outcome = self.end_if_own(outcome);
        if let Some(start) = start {
            statement.inner.counter.add(self.node.machine().monotonic_ns() - start);
        }
        self.answered(outcome, statement)
    }

    /// Fails the open transaction: what its statement was waiting for will not come.
    pub fn fail_transaction(&mut self) {
        self.fail_block();
    }

    fn load(&mut self, statement: &Prepared, data: &[u8], out: &mut Rows) -> Result<u64> {
        self.node.log.check()?;
        loop {
            if self.block.as_ref().is_some_and(|block| block.failed) {
                return Err(in_failed_block());
            }
            let (version, code) = self.copy_code(statement)?;
            let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
            match self.run_once(version, &origin, |exec, _| code.load(exec, data), out) {
                Ok((rows, committed)) => {
                    out.tag = Tag { command: "COPY", rows: Some(rows) };
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }

    /// The code to run now, of a statement that is COPY FROM.
    fn copy_code(&mut self, statement: &Prepared) -> Result<(u64, Arc<CopyCode>)> {
        let of = |bound: &Bound| match &bound.code {
            Code::Copy(code) if code.copy.rows.direction == CopyDirection::From => {
                Ok((bound.version, code.clone()))
            }
            _ => Err(SqlError::internal("copy_in of a statement that is not COPY FROM")),
        };
        if self.is_current(statement) {
            return of(&statement.inner.bound);
        }
        of(&self.current(statement)?)
    }
}
