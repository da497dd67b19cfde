//! The simple protocol: a text of statements, answered in order, one implicit transaction.

use tuplix::Parsed;
use tuplix_types::{Result, SqlError, sqlstate};

use super::Protocol;
use crate::backend;
use crate::output::Output;
use crate::values::Format;

impl Protocol {
    /// Answers `Query`. An error ends the text and undoes its implicit transaction.
    pub(super) fn query(&mut self, text: &str, output: &mut Output) -> Result<()> {
        // As in PostgreSQL, a text takes the place of the unnamed statement and portal.
        self.statements.remove("");
        self.portals.remove("");
        let result = self.statements_of(text, output);
        if let Err(error) = result {
            self.abandon_implicit(output)?;
            return Err(error);
        }
        self.ready(output)
    }

    fn statements_of(&mut self, text: &str, output: &mut Output) -> Result<()> {
        let parsed = self.session.parse(text)?;
        if parsed.is_empty() {
            return backend::empty_query(output.buffer());
        }
        for (index, statement) in parsed.iter().enumerate() {
            if parsed.len() > 1 {
                self.open_implicit();
            }
            self.statement(statement, index + 1 == parsed.len(), output)?;
        }
        Ok(())
    }

    /// Runs one statement of a text and sends its rows. The last one is complete only when the text's
    /// transaction is.
    fn statement(&mut self, parsed: &Parsed, last: bool, output: &mut Output) -> Result<()> {
        let prepared = self.session.prepare_parsed(parsed, &[])?;
        if !prepared.parameters().is_empty() {
            return Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        let mut rows = std::mem::take(&mut self.rows);
        self.call(&prepared, &[], &mut rows, output)?;
        if !rows.columns.is_empty() {
            let buffer = output.buffer();
            backend::row_description(buffer, &rows.columns, |_| Format::Text)?;
            self.formatter.learn_names(&self.session, &rows);
            for row in rows.iter() {
                backend::data_row(buffer, row, &rows.columns, |_| Format::Text, &mut self.formatter);
            }
        }
        let tag = rows.tag;
        self.rows = rows;
        if last {
            self.close_implicit(output)?;
            self.notices(output)?;
        }
        backend::command_complete(output.buffer(), tag.to_string())
    }
}
