//! What the server answers: pgwire's messages appended to a buffer, and rows written straight into it.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, NotificationResponse, ReadyForQuery,
    TransactionStatus as WireStatus,
};
use pgwire::messages::startup::ParameterStatus;
use tuplix::{Notification, OutputColumn, TransactionStatus};
use tuplix_types::{Result, Severity, SqlError, TypeId, Value};

use crate::values::{Format, Formatter};

/// Appends `message`.
///
/// # Errors
/// XX000 when it is larger than the protocol can say, which the limits on rows and texts rule out.
pub(crate) fn put(buffer: &mut BytesMut, message: &impl Message) -> Result<()> {
    message.encode(buffer).map_err(|error| SqlError::internal(error.to_string()).severity(Severity::Fatal))
}

/// Appends `error` as `ErrorResponse`.
pub(crate) fn error(buffer: &mut BytesMut, error: &SqlError) -> Result<()> {
    put(buffer, &ErrorResponse::new(fields(error)))
}

/// Appends `notice` as `NoticeResponse`.
pub(crate) fn notice(buffer: &mut BytesMut, notice: &SqlError) -> Result<()> {
    put(buffer, &NoticeResponse::new(fields(notice)))
}

/// Appends a notification.
pub(crate) fn notification(buffer: &mut BytesMut, notification: Notification) -> Result<()> {
    let Notification { channel, payload, session_id, .. } = notification;
    put(buffer, &NotificationResponse::new(session_id as i32, channel, payload))
}

/// Appends a changed setting.
pub(crate) fn parameter_status(buffer: &mut BytesMut, name: String, value: String) -> Result<()> {
    put(buffer, &ParameterStatus::new(name, value))
}

/// Appends `CommandComplete`.
pub(crate) fn command_complete(buffer: &mut BytesMut, tag: String) -> Result<()> {
    put(buffer, &CommandComplete::new(tag))
}

/// Appends the answer to a text without a statement.
pub(crate) fn empty_query(buffer: &mut BytesMut) -> Result<()> {
    put(buffer, &EmptyQueryResponse::new())
}

/// Appends `ReadyForQuery` with the transaction's state.
pub(crate) fn ready(buffer: &mut BytesMut, status: TransactionStatus) -> Result<()> {
    let status = match status {
        TransactionStatus::Idle => WireStatus::Idle,
        TransactionStatus::InTransaction => WireStatus::Transaction,
        TransactionStatus::Failed => WireStatus::Error,
    };
    put(buffer, &ReadyForQuery::new(status))
}

/// Appends the types of a statement's parameters.
pub(crate) fn parameter_description(buffer: &mut BytesMut, types: &[TypeId]) -> Result<()> {
    put(buffer, &ParameterDescription::new(types.iter().map(|ty| ty.0).collect()))
}

/// Appends the description of the result's columns, or `NoData` when the statement returns no rows.
pub(crate) fn row_description(
    buffer: &mut BytesMut,
    columns: &[OutputColumn],
    format: impl Fn(usize) -> Format,
) -> Result<()> {
    if columns.is_empty() {
        return put(buffer, &NoData::new());
    }
    let field = |(index, column): (usize, &OutputColumn)| {
        let code = match format(index) {
            Format::Text => 0,
            Format::Binary => 1,
        };
        FieldDescription::new(
            column.name.clone(),
            0,
            0,
            column.ty.0,
            type_length(column.ty),
            column.typmod,
            code,
        )
    };
    put(buffer, &RowDescription::new(columns.iter().enumerate().map(field).collect()))
}

/// Appends a row.
pub(crate) fn data_row(
    buffer: &mut BytesMut,
    values: &[Value],
    columns: &[OutputColumn],
    format: impl Fn(usize) -> Format,
    formatter: &mut Formatter,
) {
    let start = buffer.len();
    buffer.put_u8(b'D');
    buffer.put_i32(0);
    buffer.put_i16(values.len() as i16);
    for (index, (value, column)) in values.iter().zip(columns).enumerate() {
        if value.is_null() {
            buffer.put_i32(-1);
            continue;
        }
        let length_at = buffer.len();
        buffer.put_i32(0);
        formatter.put(buffer, value, column.ty, format(index));
        patch_length(buffer, length_at, length_at + 4);
    }
    patch_length(buffer, start + 1, start + 1);
}

/// Writes at `at` how many bytes follow `from`.
fn patch_length(buffer: &mut BytesMut, at: usize, from: usize) {
    let length = (buffer.len() - from) as u32;
    buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends data of COPY.
pub(crate) fn copy_data(buffer: &mut BytesMut, data: &[u8]) {
    buffer.put_u8(b'd');
    buffer.put_u32(data.len() as u32 + 4);
    buffer.extend_from_slice(data);
}

/// The fields of an error or notice, manual chapter 55.8.
fn fields(error: &SqlError) -> Vec<(u8, String)> {
    let fields = error.fields();
    let severity = match fields.severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
        Severity::Panic => "PANIC",
        Severity::Warning => "WARNING",
        Severity::Notice => "NOTICE",
        Severity::Info => "INFO",
        Severity::Log => "LOG",
        Severity::Debug => "DEBUG",
    };
    let mut sent = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', fields.sqlstate.as_str().to_owned()),
        (b'M', fields.message.clone()),
    ];
    let mut optional = |code: u8, text: &Option<String>| {
        if let Some(text) = text {
            sent.push((code, text.clone()));
        }
    };
    optional(b'D', &fields.detail);
    optional(b'H', &fields.hint);
    optional(b'P', &fields.position.map(|position| position.to_string()));
    optional(b'W', &fields.context);
    optional(b's', &fields.schema);
    optional(b't', &fields.table);
    optional(b'c', &fields.column);
    optional(b'n', &fields.constraint);
    sent
}

/// `pg_type.typlen`: the size of a type whose values all have one, -1 otherwise.
fn type_length(ty: TypeId) -> i16 {
    match ty {
        TypeId::BOOL | TypeId::CHAR => 1,
        TypeId::INT2 => 2,
        TypeId::INT4 | TypeId::FLOAT4 | TypeId::DATE | TypeId::OID | TypeId::VOID => 4,
        TypeId::XID => 4,
        _ if ty.is_object_name() => 4,
        TypeId::INT8 | TypeId::FLOAT8 | TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ => 8,
        TypeId::INTERVAL | TypeId::UUID => 16,
        TypeId::NAME => 64,
        TypeId::UNKNOWN | TypeId::CSTRING => -2,
        _ => -1,
    }
}
