//! The simple protocol: a text of statements, answered in order, one implicit transaction.

use tuplix::{Parsed, Prepared};
use tuplix_types::copy::CopyDirection;
use tuplix_types::{Result, SqlError, Tag, sqlstate};

use super::Protocol;
use crate::backend;
use crate::connection::apart;
use crate::limits::SHORT_TEXT_BYTES;
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
        match self.copy_in {
            // The text goes on behind the client's data.
            Some(_) => Ok(()),
            None => self.ready(output),
        }
    }

    fn statements_of(&mut self, text: &str, output: &mut Output) -> Result<()> {
        let parsed = apart(text.len() <= SHORT_TEXT_BYTES, || self.session.parse(text))?;
        if parsed.is_empty() {
            return backend::empty_query(output.buffer());
        }
        let several = parsed.len() > 1;
        self.rest_of_text(parsed, several, output)
    }

    /// Runs statements of a text in order, up to a COPY that awaits data. `several`: of a text of more than one.
    pub(super) fn rest_of_text(
        &mut self,
        parsed: Vec<Parsed>,
        several: bool,
        output: &mut Output,
    ) -> Result<()> {
        let mut rest = parsed.into_iter();
        while let Some(statement) = rest.next() {
            if several {
                self.open_implicit();
            }
            let short = statement.text().len() <= SHORT_TEXT_BYTES;
            let prepared = apart(short, || self.session.prepare_parsed(&statement, &[]))?;
            if let Some(copy) = prepared.copy().filter(|copy| copy.direction == CopyDirection::From) {
                return self.begin_copy_in(&prepared, copy, Some(rest.collect()), output);
            }
            let short = self.session.is_short(&prepared);
            apart(short, || self.statement(&prepared, rest.len() == 0, output))?;
        }
        Ok(())
    }

    /// Runs one statement of a text and sends its rows.
    fn statement(&mut self, prepared: &Prepared, last: bool, output: &mut Output) -> Result<()> {
        if !prepared.parameters().is_empty() {
            return Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        let mut rows = std::mem::take(&mut self.rows);
        self.call(prepared, &[], &mut rows, output)?;
        if let Some(copy) = prepared.copy() {
            self.send_copy(copy, &rows, output)?;
        } else if !rows.columns.is_empty() {
            let buffer = output.buffer();
            backend::row_description(buffer, &rows.columns, |_| Format::Text)?;
            self.formatter.learn_names(&self.session, &rows);
            for row in rows.iter() {
                backend::data_row(buffer, row, &rows.columns, |_| Format::Text, &mut self.formatter);
            }
        }
        let tag = rows.tag;
        self.rows = rows;
        self.complete_in_text(tag, last, output)
    }

    /// Says that a statement of a text is complete; the last one is when the text's transaction is.
    pub(super) fn complete_in_text(&mut self, tag: Tag, last: bool, output: &mut Output) -> Result<()> {
        if last {
            self.close_implicit(output)?;
            self.notices(output)?;
        }
        backend::command_complete(output.buffer(), tag.to_string())
    }
}
