//! The extended protocol: statements and portals with names, pipelines up to `Sync`.
//!
//! A pipeline is one transaction. When only one `Execute` stands before `Sync`, it runs as a one-shot;
//! a second one opens the implicit transaction block first.

use pgwire::messages::data::NoData;
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use tuplix::{OutputColumn, Prepared, Rows, TransactionStatus};
use tuplix_types::binary_io::utf8;
use tuplix_types::copy::CopyDirection;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::Protocol;
use crate::backend;
use crate::connection::apart;
use crate::frontend::{Bind, Target};
use crate::limits::SHORT_TEXT_BYTES;
use crate::output::Output;
use crate::values::{Format, argument};

/// A prepared statement; `None` for a text without one.
pub(super) type Statement = Option<Prepared>;

/// A statement with its arguments, and how far its rows have been sent.
pub(super) struct Portal {
    pub(super) statement: Statement,
    arguments: Vec<Value>,
    formats: Vec<i16>,
    state: PortalState,
}

enum PortalState {
    New,
    /// Ran; rows from `sent` on are still to be sent.
    Suspended {
        rows: Rows,
        sent: usize,
    },
    Finished,
}

impl Protocol {
    pub(super) fn parse(
        &mut self,
        name: &str,
        query: &str,
        types: &[TypeId],
        output: &mut Output,
    ) -> Result<()> {
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(name) {
            return Err(SqlError::new(
                sqlstate::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let statement = apart(query.len() <= SHORT_TEXT_BYTES, || self.prepare(query, types))?;
        self.statements.insert(name.to_owned(), statement);
        backend::put(output.buffer(), &ParseComplete::new())
    }

    fn prepare(&mut self, query: &str, types: &[TypeId]) -> Result<Statement> {
        let parsed = self.session.parse(query)?;
        Ok(match parsed.as_slice() {
            [] => None,
            [one] => Some(self.session.prepare_parsed(one, types)?),
            _ => {
                return Err(SqlError::new(
                    sqlstate::SYNTAX_ERROR,
                    "cannot insert multiple commands into a prepared statement",
                ));
            }
        })
    }

    pub(super) fn bind(&mut self, bind: &Bind<'_>, output: &mut Output) -> Result<()> {
        let portal = self.portal_of(bind)?;
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            return Err(SqlError::new(
                sqlstate::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        self.portals.insert(bind.portal.to_owned(), portal);
        backend::put(output.buffer(), &BindComplete::new())
    }

    /// Checks `Bind` against its statement and reads the arguments.
    fn portal_of(&self, bind: &Bind<'_>) -> Result<Portal> {
        let statement = self.statement_named(bind.statement)?.clone();
        let types = statement.as_ref().map(Prepared::parameters).unwrap_or_default();
        let columns = statement.as_ref().map_or(0, |prepared| columns_sent(prepared).len());
        check_counts(bind, types.len(), columns)?;
        Format::check(&bind.argument_formats)?;
        Format::check(&bind.result_formats)?;
        let context = self.formatter.context_now();
        let mut arguments = Vec::with_capacity(types.len());
        for (index, (bytes, ty)) in bind.arguments.iter().zip(types).enumerate() {
            let format = Format::pick(&bind.argument_formats, index);
            arguments.push(match (bytes, format) {
                // A name; the session knows what it names.
                (Some(name), Format::Text) if ty.is_object_name() => {
                    Value::Oid(self.session.object_id(*ty, utf8(name)?)?)
                }
                _ => argument(*bytes, *ty, format, &context)?,
            });
        }
        Ok(Portal { statement, arguments, formats: bind.result_formats.clone(), state: PortalState::New })
    }

    fn statement_named(&self, name: &str) -> Result<&Statement> {
        self.statements.get(name).ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            SqlError::new(sqlstate::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    pub(super) fn describe(&mut self, target: Target<'_>, output: &mut Output) -> Result<()> {
        let buffer = output.buffer();
        match target {
            Target::Statement(name) => match self.statement_named(name)? {
                Some(prepared) => {
                    backend::parameter_description(buffer, prepared.parameters())?;
                    backend::row_description(buffer, columns_sent(prepared), |_| Format::Text)
                }
                None => {
                    backend::parameter_description(buffer, &[])?;
                    backend::put(buffer, &NoData::new())
                }
            },
            Target::Portal(name) => {
                let Some(portal) = self.portals.get(name) else {
                    // A cursor of DECLARE is a portal too; FETCH gives its rows as text unless it asks for binary itself.
                    let columns = self.session.cursor_columns(name).ok_or_else(|| unknown_portal(name))?;
                    return backend::row_description(buffer, &columns, |_| Format::Text);
                };
                let columns = portal.statement.as_ref().map(columns_sent).unwrap_or_default();
                backend::row_description(buffer, columns, |index| Format::pick(&portal.formats, index))
            }
        }
    }

    pub(super) fn close(&mut self, target: Target<'_>, output: &mut Output) -> Result<()> {
        // Closing what does not exist is no error, says the manual.
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        backend::put(output.buffer(), &CloseComplete::new())
    }

    /// Runs a portal, or sends more of its rows. `alone`: `Sync` follows at once.
    pub(super) fn execute(
        &mut self,
        name: &str,
        rows_max: i32,
        alone: bool,
        output: &mut Output,
    ) -> Result<()> {
        if !alone {
            self.open_implicit();
        }
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_portal(name))?;
        let rows_max = usize::try_from(rows_max).ok().filter(|max| *max > 0).unwrap_or(usize::MAX);
        let short = match &portal.statement {
            Some(statement) => self.session.is_short(statement),
            None => true,
        };
        let result = apart(short, || self.run(name, &mut portal, rows_max, output));
        self.portals.insert(name.to_owned(), portal);
        result
    }

    fn run(&mut self, name: &str, portal: &mut Portal, rows_max: usize, output: &mut Output) -> Result<()> {
        let Some(prepared) = &portal.statement else {
            return backend::empty_query(output.buffer());
        };
        let copy = prepared.copy();
        if let Some(copy) = copy.filter(|copy| copy.direction == CopyDirection::From)
            && matches!(portal.state, PortalState::New)
        {
            portal.state = PortalState::Finished;
            return self.begin_copy_in(prepared, copy, None, output);
        }
        let (rows, sent) = match std::mem::replace(&mut portal.state, PortalState::Finished) {
            PortalState::New => {
                let mut rows = std::mem::take(&mut self.rows);
                self.call(prepared, &portal.arguments, &mut rows, output)?;
                (rows, 0)
            }
            PortalState::Suspended { rows, sent } => (rows, sent),
            PortalState::Finished if !columns_sent(prepared).is_empty() => {
                return backend::command_complete(output.buffer(), "SELECT 0".to_owned());
            }
            PortalState::Finished => {
                return Err(SqlError::new(
                    sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("portal \"{name}\" cannot be run"),
                ));
            }
        };
        if let Some(copy) = copy {
            self.send_copy(copy, &rows, output)?;
        }
        let returns_rows = copy.is_none() && !rows.columns.is_empty();
        let end =
            if returns_rows { self.send_rows(&rows, sent, rows_max, &portal.formats, output)? } else { sent };
        if returns_rows && end - sent == rows_max {
            portal.state = PortalState::Suspended { rows, sent: end };
            return backend::put(output.buffer(), &PortalSuspended::new());
        }
        let mut tag = rows.tag;
        if sent > 0 && tag.command == "SELECT" {
            tag.rows = Some((end - sent) as u64);
        }
        self.rows = rows;
        backend::command_complete(output.buffer(), tag.to_string())
    }

    /// Sends at most `rows_max` rows from number `from` on; says up to where.
    fn send_rows(
        &mut self,
        rows: &Rows,
        from: usize,
        rows_max: usize,
        formats: &[i16],
        output: &mut Output,
    ) -> Result<usize> {
        let buffer = output.buffer();
        let mut at = from;
        self.formatter.learn_names(&self.session, rows);
        for row in rows.iter().skip(from).take(rows_max) {
            let format = |index| Format::pick(formats, index);
            backend::data_row(buffer, row, &rows.columns, format, &mut self.formatter);
            at += 1;
        }
        Ok(at)
    }

    pub(super) fn sync(&mut self, output: &mut Output) -> Result<()> {
        if self.skips_to_sync {
            self.abandon_implicit(output)?;
        } else {
            self.close_implicit(output)?;
            self.notices(output)?;
        }
        self.sync_done(output)
    }

    /// Ends a pipeline, whatever became of it.
    pub(super) fn sync_done(&mut self, output: &mut Output) -> Result<()> {
        self.skips_to_sync = false;
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready(output)
    }
}

/// The columns of the rows that a statement is answered with; those of COPY are none of them.
fn columns_sent(prepared: &Prepared) -> &[OutputColumn] {
    if prepared.copy().is_some() { &[] } else { prepared.columns() }
}

fn unknown_portal(name: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

/// The numbers in `Bind` that must fit its statement.
fn check_counts(bind: &Bind<'_>, parameters: usize, columns: usize) -> Result<()> {
    let (arguments, formats) = (bind.arguments.len(), bind.argument_formats.len());
    if formats > 1 && formats != arguments {
        return Err(SqlError::new(
            sqlstate::PROTOCOL_VIOLATION,
            format!("bind message has {formats} parameter formats but {arguments} parameters"),
        ));
    }
    if arguments != parameters {
        return Err(SqlError::new(
            sqlstate::PROTOCOL_VIOLATION,
            format!(
                "bind message supplies {arguments} parameters, but prepared statement \"{}\" requires {parameters}",
                bind.statement
            ),
        ));
    }
    let formats = bind.result_formats.len();
    if formats > 1 && formats != columns {
        return Err(SqlError::new(
            sqlstate::PROTOCOL_VIOLATION,
            format!("bind message has {formats} result formats but query has {columns} columns"),
        ));
    }
    Ok(())
}
