//! What a node answers, as commands see it.

use std::io;

use bytes::Bytes;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::ErrorFields;

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub name: String,
    /// Its type's object id.
    pub type_id: u32,
}

/// What a server says when something is wrong, or worth a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// In characters from 1.
    pub position: Option<usize>,
    pub context: Option<String>,
}

/// A part of the answer to a text of statements.
pub(crate) enum Answer {
    /// A result with rows begins.
    Columns(Vec<Column>),
    /// A row of it, as text.
    Row(Vec<Option<String>>),
    /// The statement is done.
    Complete(String),
    /// The server said something beside the answer.
    Notice(Complaint),
    /// Somebody notified a channel that the session listens to.
    Notification { channel: String, payload: String, process: i32 },
    /// Data of COPY TO STDOUT.
    CopyData(Bytes),
    /// The text failed here.
    Error(Complaint),
}

impl Complaint {
    /// Reads the fields of an error or a notice.
    pub(super) fn read(mut fields: ErrorFields<'_>) -> io::Result<Complaint> {
        let mut complaint = Complaint::default();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'V' => complaint.severity = value,
                b'C' => complaint.sqlstate = value,
                b'M' => complaint.message = value,
                b'D' => complaint.detail = Some(value),
                b'H' => complaint.hint = Some(value),
                b'P' => complaint.position = value.parse().ok(),
                b'W' => complaint.context = Some(value),
                _ => {}
            }
        }
        Ok(complaint)
    }

    /// Whether the server ends the connection with it.
    pub(crate) fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}
