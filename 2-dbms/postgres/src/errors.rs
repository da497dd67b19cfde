//! What the server says in its error and notice messages.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;
use tuplix_types::{Severity, SqlError, SqlState, sqlstate};

/// The error or notice with all its fields (manual chapter 55.8).
pub(crate) fn from_fields(mut fields: ErrorFields<'_>) -> std::io::Result<SqlError> {
    let mut error = SqlError::new(sqlstate::INTERNAL_ERROR, "");
    let out = error.fields_mut();
    while let Some(field) = fields.next()? {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            // The severity that is never translated; `S` is its translation.
            b'V' => out.severity = severity(&text()),
            b'C' => out.sqlstate = SqlState::parse(&text()).unwrap_or(sqlstate::INTERNAL_ERROR),
            b'M' => out.message = text(),
            b'D' => out.detail = Some(text()),
            b'H' => out.hint = Some(text()),
            b'P' => out.position = text().parse().ok(),
            b'W' => out.context = Some(text()),
            b's' => out.schema = Some(text()),
            b't' => out.table = Some(text()),
            b'c' => out.column = Some(text()),
            b'n' => out.constraint = Some(text()),
            _ => {}
        }
    }
    Ok(error)
}

fn severity(name: &str) -> Severity {
    match name {
        "FATAL" => Severity::Fatal,
        "PANIC" => Severity::Panic,
        "WARNING" => Severity::Warning,
        "NOTICE" => Severity::Notice,
        "INFO" => Severity::Info,
        "LOG" => Severity::Log,
        "DEBUG" => Severity::Debug,
        _ => Severity::Error,
    }
}
