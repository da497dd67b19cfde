//! Sessions: the contract over one connection.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::BufMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, ErrorResponseBody, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use tuplix_types::{OutputColumn, Result, Rows, Severity, SqlError, Tag, TypeId, Value, sqlstate};

use crate::connection::{Connection, Notification, unexpected};
use crate::prepared::{Dropped, Inner, Prepared};
use crate::startup::zero_byte;
use crate::{errors, tags, values};

/// One connection to a PostgreSQL server.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    id: u32,
    secret: i32,
    next_statement: u64,
    dropped: Dropped,
    /// Arguments on their way out and a row on its way in, kept from call to call.
    arguments: Vec<u8>,
    row: Vec<Value>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.goodbye();
    }
}

/// The result of one statement, as text.
#[derive(Clone, Debug, Default)]
pub struct TextRows {
    /// Columns; none for a statement that gives no rows.
    pub columns: Vec<OutputColumn>,
    /// Each row's texts, `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Command tag.
    pub tag: Tag,
}

impl Session {
    pub(crate) fn new(connection: Connection, id: u32, secret: i32) -> Session {
        Session {
            connection,
            id,
            secret,
            next_statement: 0,
            dropped: Dropped::default(),
            arguments: Vec::new(),
            row: Vec::new(),
        }
    }

    /// The process id of the server's backend.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What [`Server::cancel`](crate::Server::cancel) has to know to cancel what it runs.
    pub fn secret(&self) -> i32 {
        self.secret
    }

    /// Takes the notices since the last call.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        self.connection.take_notices()
    }

    /// Takes the notifications that came with other answers, or while waiting for them.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.connection.take_notifications()
    }

    /// Waits until a notification has come or the time is over, and takes what came.
    ///
    /// # Errors
    /// 08006 when the connection is lost.
    pub fn wait_notifications(&mut self, timeout: Duration) -> Result<Vec<Notification>> {
        self.connection.wait_notification(timeout)?;
        Ok(self.connection.take_notifications())
    }

    /// Prepares one statement. Types that are missing or 0 are inferred.
    ///
    /// # Errors
    /// The server's; 08006 when the connection is lost.
    pub fn prepare(&mut self, sql: &str, types: &[TypeId]) -> Result<Prepared> {
        let name = format!("t{}", self.next_statement);
        self.next_statement += 1;
        let output = &mut self.connection.output;
        for dropped in self.dropped.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            frontend::close(b'S', &dropped, output).map_err(zero_byte)?;
        }
        let before = output.len();
        let parsed = frontend::parse(&name, sql, types.iter().map(|ty| ty.0), output);
        if let Err(error) = parsed.and_then(|()| frontend::describe(b'S', &name, output)) {
            output.truncate(before);
            return Err(zero_byte(error));
        }
        frontend::sync(output);
        self.connection.send()?;
        let mut parameters = Vec::new();
        let mut columns = Vec::new();
        self.until_ready(|message, _| {
            match message {
                Message::ParseComplete | Message::CloseComplete | Message::NoData => {}
                Message::ParameterDescription(body) => {
                    parameters = body.parameters().map(|oid| Ok(TypeId(oid))).collect().map_err(malformed)?;
                }
                Message::RowDescription(body) => columns = described(&body)?,
                _ => return Err(unexpected("while preparing")),
            }
            Ok(())
        })?;
        let formats = columns.iter().map(|column| values::column_format(column.ty)).collect();
        let (text, dropped) = (sql.to_owned(), self.dropped.clone());
        let inner = Inner { name, text, parameters, columns: columns.into(), formats, dropped };
        Ok(Prepared { inner: Arc::new(inner) })
    }

    /// Executes a prepared statement: its rows and tag go into `out`, in place of what was there.
    ///
    /// # Errors
    /// The server's; 08006 when the connection is lost; 42804 for an argument of another type.
    pub fn call(&mut self, statement: &Prepared, arguments: &[Value], out: &mut Rows) -> Result<()> {
        let statement = &*statement.inner;
        if !Arc::ptr_eq(&statement.dropped, &self.dropped) {
            return Err(SqlError::internal("a statement was prepared by another session"));
        }
        out.clear();
        out.columns = statement.columns.clone();
        self.bind(statement, arguments)?;
        frontend::execute("", 0, &mut self.connection.output).map_err(zero_byte)?;
        frontend::sync(&mut self.connection.output);
        self.connection.send()?;
        let mut row = std::mem::take(&mut self.row);
        let called = self.until_ready(|message, connection| {
            match message {
                Message::BindComplete => {}
                Message::DataRow(body) => {
                    read_row(
                        &body,
                        &out.columns,
                        |column| statement.formats[column],
                        &connection.text,
                        &mut row,
                    )?;
                    out.push(&row);
                }
                Message::CommandComplete(body) => out.tag = tags::parse(body.tag().map_err(malformed)?),
                Message::EmptyQueryResponse => out.tag = Tag::default(),
                message => return refuse_copy(message, connection),
            }
            Ok(())
        });
        row.clear();
        self.row = row;
        if called.is_err() {
            out.clear();
        }
        called
    }

    /// Appends the bind message of a call.
    fn bind(&mut self, statement: &Inner, arguments: &[Value]) -> Result<()> {
        if arguments.len() != statement.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"\" requires {}",
                arguments.len(),
                statement.parameters.len()
            );
            return Err(SqlError::new(sqlstate::PROTOCOL_VIOLATION, message));
        }
        self.arguments.clear();
        let mut formats = Vec::with_capacity(arguments.len());
        let mut pieces = Vec::with_capacity(arguments.len());
        for (number, (ty, value)) in statement.parameters.iter().zip(arguments).enumerate() {
            let start = self.arguments.len();
            formats.push(values::encode(number, *ty, value, &self.connection.text, &mut self.arguments)?);
            pieces.push((!value.is_null()).then_some(start..self.arguments.len()));
        }
        let bytes = &self.arguments;
        let bound = frontend::bind(
            "",
            &statement.name,
            formats,
            pieces,
            |piece, buffer| {
                let Some(piece) = piece else { return Ok(IsNull::Yes) };
                buffer.put_slice(&bytes[piece]);
                Ok(IsNull::No)
            },
            statement.formats.iter().copied(),
            &mut self.connection.output,
        );
        bound.map_err(|_| {
            self.connection.output.clear();
            SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "the arguments are larger than a message can be")
        })
    }

    /// Executes all statements of a text; several are one transaction, as the simple protocol has it.
    ///
    /// # Errors
    /// That of the first statement that fails; 08006 when the connection is lost.
    pub fn execute(&mut self, sql: &str) -> Result<Vec<Rows>> {
        frontend::query(sql, &mut self.connection.output).map_err(|error| {
            self.connection.output.clear();
            zero_byte(error)
        })?;
        self.connection.send()?;
        let mut results = Vec::new();
        let mut rows = Rows::new();
        let mut row = Vec::new();
        self.until_ready(|message, connection| {
            match message {
                Message::RowDescription(body) => rows.columns = described(&body)?.into(),
                Message::DataRow(body) => {
                    read_row(&body, &rows.columns, |_| values::TEXT, &connection.text, &mut row)?;
                    rows.push(&row);
                }
                Message::CommandComplete(body) => {
                    rows.tag = tags::parse(body.tag().map_err(malformed)?);
                    results.push(std::mem::take(&mut rows));
                }
                Message::EmptyQueryResponse => {}
                message => return refuse_copy(message, connection),
            }
            Ok(())
        })?;
        Ok(results)
    }

    /// As [`Session::execute`], with the texts that the server sent as they are: for clients that show them.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub fn execute_text(&mut self, sql: &str) -> Result<Vec<TextRows>> {
        frontend::query(sql, &mut self.connection.output).map_err(|error| {
            self.connection.output.clear();
            zero_byte(error)
        })?;
        self.connection.send()?;
        let mut results = Vec::new();
        let mut rows = TextRows::default();
        self.until_ready(|message, connection| {
            match message {
                Message::RowDescription(body) => rows.columns = described(&body)?,
                Message::DataRow(body) => {
                    let text = |range: Option<std::ops::Range<usize>>| {
                        Ok(range.map(|range| String::from_utf8_lossy(&body.buffer()[range]).into_owned()))
                    };
                    rows.rows.push(body.ranges().map(text).collect().map_err(malformed)?);
                }
                Message::CommandComplete(body) => {
                    rows.tag = tags::parse(body.tag().map_err(malformed)?);
                    results.push(std::mem::take(&mut rows));
                }
                Message::EmptyQueryResponse => {}
                message => return refuse_copy(message, connection),
            }
            Ok(())
        })?;
        Ok(results)
    }

    /// Gives every message up to the end of the request to `take`. The first error wins, the rest is read all the same:
    /// the next request finds the connection in step.
    fn until_ready(&mut self, mut take: impl FnMut(Message, &mut Connection) -> Result<()>) -> Result<()> {
        let mut first = None;
        loop {
            match self.connection.receive()? {
                Message::ReadyForQuery(_) => return first.map_or(Ok(()), Err),
                Message::ErrorResponse(body) => {
                    let error = self.error(&body);
                    if error.fields().severity != Severity::Error {
                        self.connection.fail("the server ended it");
                        return Err(error);
                    }
                    // A refused COPY makes an error of its own, which says less.
                    first.get_or_insert(error);
                }
                message => {
                    if first.is_none()
                        && let Err(error) = take(message, &mut self.connection)
                    {
                        first = Some(error);
                    }
                }
            }
        }
    }

    fn error(&mut self, body: &ErrorResponseBody) -> SqlError {
        errors::from_fields(body.fields()).unwrap_or_else(|error| self.connection.fail(error))
    }
}

fn malformed(error: std::io::Error) -> SqlError {
    SqlError::new(
        sqlstate::PROTOCOL_VIOLATION,
        format!("malformed message from the PostgreSQL server: {error}"),
    )
}

fn described(body: &RowDescriptionBody) -> Result<Vec<OutputColumn>> {
    let column = |field: postgres_protocol::message::backend::Field<'_>| {
        let (name, ty) = (field.name().to_owned(), TypeId(field.type_oid()));
        Ok(OutputColumn { name, ty, typmod: field.type_modifier() })
    };
    body.fields().map(column).collect().map_err(malformed)
}

fn read_row(
    body: &DataRowBody,
    columns: &[OutputColumn],
    format: impl Fn(usize) -> i16,
    text: &tuplix_types::IoContext,
    row: &mut Vec<Value>,
) -> Result<()> {
    row.clear();
    let mut ranges = body.ranges();
    for (number, column) in columns.iter().enumerate() {
        let range =
            ranges.next().map_err(malformed)?.ok_or_else(|| unexpected("a row without all its columns"))?;
        row.push(match range {
            Some(range) => values::decode(column.ty, format(number), &body.buffer()[range], text)?,
            None => Value::Null,
        });
    }
    Ok(())
}

/// 0A000 for COPY, whose data this interface has no way to pass on.
fn refuse_copy(message: Message, connection: &mut Connection) -> Result<()> {
    match message {
        Message::CopyInResponse(_) => {
            frontend::copy_fail("COPY FROM STDIN is not supported", &mut connection.output)
                .map_err(zero_byte)?;
            connection.send()?;
            Err(SqlError::unsupported("COPY FROM STDIN"))
        }
        Message::CopyOutResponse(_) => Err(SqlError::unsupported("COPY TO STDOUT")),
        _ => Err(unexpected("while executing")),
    }
}
