//! COPY: rows that travel beside the rows of queries (manual, chapter 55.2.6).
//!
//! While a COPY FROM is under way, the client sends its data and nothing else; they are kept until it says that they are
//! complete, and are then one statement.

use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};
use tuplix::{Parsed, Prepared, Rows};
use tuplix_types::copy::{CopyDirection, CopyKind, CopyRows, CopyWriter};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Protocol;
use crate::backend;
use crate::connection::apart;
use crate::frontend::{Frame, Message};
use crate::limits::COPY_BYTES_MAX;
use crate::output::Output;
use crate::values::Format;

/// A COPY FROM under way.
pub(super) struct CopyIn {
    statement: Prepared,
    data: Vec<u8>,
    /// In the simple protocol, what follows it in its text.
    text: Option<Vec<Parsed>>,
}

impl Protocol {
    /// Asks the client for the rows of COPY FROM. `text`: the statements behind it, in the simple protocol.
    pub(super) fn begin_copy_in(
        &mut self,
        statement: &Prepared,
        rows: &CopyRows,
        text: Option<Vec<Parsed>>,
        output: &mut Output,
    ) -> Result<()> {
        let (format, columns) = formats(rows);
        backend::put(output.buffer(), &CopyInResponse::new(format, columns.len() as i16, columns))?;
        self.copy_in = Some(CopyIn { statement: statement.clone(), data: Vec::new(), text });
        Ok(())
    }

    /// Answers a message during COPY FROM; false when it was the client's last.
    pub(super) fn copy_message(&mut self, frame: Frame<'_>, output: &mut Output) -> Result<bool> {
        let Some(copy) = &mut self.copy_in else { return Ok(true) };
        let outcome = Message::decode(frame).and_then(|message| match message {
            Message::CopyData(data) if copy.data.len() + data.len() > COPY_BYTES_MAX => Err(too_long()),
            Message::CopyData(data) => {
                copy.data.extend_from_slice(data);
                Ok(Some(true))
            }
            // Drivers send Sync behind Execute before they know that it asks for data.
            Message::Sync | Message::Flush => Ok(Some(true)),
            Message::Terminate => Ok(Some(false)),
            Message::CopyDone => Ok(None),
            Message::CopyFail(reason) => {
                Err(SqlError::new(sqlstate::QUERY_CANCELED, format!("COPY from stdin failed: {reason}")))
            }
            _ => Err(SqlError::new(
                sqlstate::PROTOCOL_VIOLATION,
                format!("unexpected message type 0x{:02X} during COPY from stdin", frame.kind),
            )),
        });
        match outcome {
            Ok(Some(goes_on)) => return Ok(goes_on),
            Ok(None) => self.end_copy_in(output, None)?,
            Err(error) => self.end_copy_in(output, Some(error))?,
        }
        Ok(true)
    }

    /// Runs a COPY FROM whose data are complete, or fails it, and goes on with its text.
    fn end_copy_in(&mut self, output: &mut Output, error: Option<SqlError>) -> Result<()> {
        let Some(copy) = self.copy_in.take() else { return Ok(()) };
        let in_text = copy.text.is_some();
        let outcome = match error {
            None => apart(false, || self.load(copy, output)),
            Some(error) => {
                // The session has not seen the statement begin; this fails its transaction block.
                self.session.fail_transaction();
                Err(error)
            }
        };
        match outcome {
            Ok(()) if in_text => match self.copy_in {
                // Another one follows in the text.
                Some(_) => Ok(()),
                None => self.ready(output),
            },
            Ok(()) => Ok(()),
            Err(error) if in_text => {
                self.abandon_implicit(output)?;
                self.fail(&error, output)?;
                self.ready(output)
            }
            Err(error) => {
                self.skips_to_sync = true;
                self.fail(&error, output)
            }
        }
    }

    fn load(&mut self, copy: CopyIn, output: &mut Output) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        let before = self.session.transaction_status();
        let loaded = self.session.copy_in(&copy.statement, &copy.data, &mut rows);
        self.count_statement(before, loaded.is_ok().then_some(rows.tag));
        output.gate(&loaded?);
        self.notices(output)?;
        let tag = rows.tag;
        self.rows = rows;
        match copy.text {
            None => backend::command_complete(output.buffer(), tag.to_string()),
            Some(rest) => {
                self.complete_in_text(tag, rest.is_empty(), output)?;
                self.rest_of_text(rest, true, output)
            }
        }
    }

    /// Sends the rows of COPY TO.
    pub(super) fn send_copy(&mut self, copy: &CopyRows, rows: &Rows, output: &mut Output) -> Result<()> {
        self.formatter.learn_names(&self.session, rows);
        let buffer = output.buffer();
        let (format, columns) = formats(copy);
        backend::put(buffer, &CopyOutResponse::new(format, columns.len() as i16, columns))?;
        let mut writer = CopyWriter::new(&copy.format, copy.columns.len());
        let mut line = Vec::new();
        if writer.begin(copy.columns.iter().map(|column| column.name.as_str()), &mut line) {
            backend::copy_data(buffer, &line);
            line.clear();
        }
        let binary = copy.format.kind == CopyKind::Binary;
        for row in rows.iter() {
            writer.begin_row(&mut line);
            for (value, column) in row.iter().zip(rows.columns.iter()) {
                if value.is_null() {
                    writer.null(&mut line);
                } else if binary {
                    writer.binary(self.formatter.bytes(value, column.ty, Format::Binary), &mut line);
                } else {
                    let text = self.formatter.bytes(value, column.ty, Format::Text);
                    writer.text(&String::from_utf8_lossy(text), &mut line);
                }
            }
            writer.end_row(&mut line);
            backend::copy_data(buffer, &line);
            line.clear();
        }
        if writer.end(&mut line) {
            backend::copy_data(buffer, &line);
        }
        backend::put(buffer, &CopyDone::new())
    }

    /// Whether an `Execute` asks for the client's data, which then come next.
    pub(super) fn executes_copy_in(&self, frame: Frame<'_>) -> bool {
        let Ok(Message::Execute { portal, .. }) = Message::decode(frame) else { return false };
        let statement = self.portals.get(portal).and_then(|portal| portal.statement.as_ref());
        statement.and_then(Prepared::copy).is_some_and(|copy| copy.direction == CopyDirection::From)
    }
}

/// The overall format code, and those of the columns.
fn formats(rows: &CopyRows) -> (i8, Vec<i16>) {
    let format = i8::from(rows.format.kind == CopyKind::Binary);
    (format, vec![i16::from(format); rows.columns.len()])
}

fn too_long() -> SqlError {
    let message = format!("the data of one COPY are limited to {COPY_BYTES_MAX} bytes");
    SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).hint("Copy them in several parts.")
}
