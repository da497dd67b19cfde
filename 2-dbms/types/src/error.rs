//! The error that users see: SQLSTATE, message, and where.

use crate::sqlstate::{self, SqlState};

/// The result of anything that can fail with an SQL error.
pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// How bad it is, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// The node ends.
    Panic,
    /// Said to the client, nothing failed.
    Warning,
    /// Said to the client, nothing failed.
    Notice,
    /// For the log and curious clients.
    Info,
    /// For the log and curious clients.
    Log,
    /// For developers.
    Debug,
}

/// An SQL error or notice with PostgreSQL's fields (manual chapter 55.8).
///
/// It is one pointer wide, so a `Result<Value>` stays small on the hot path.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlError(Box<Fields>);

/// The fields of an [`SqlError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub sqlstate: SqlState,
    /// What it is, for people.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement's text, in characters from 1.
    pub position: Option<u32>,
    /// The call stack, innermost first, a line each.
    pub context: Option<String>,
    /// Schema of the object it is about.
    pub schema: Option<String>,
    /// Table it is about.
    pub table: Option<String>,
    /// Column it is about.
    pub column: Option<String>,
    /// Constraint it is about.
    pub constraint: Option<String>,
}

impl SqlError {
    /// An error of severity [`Severity::Error`].
    #[cold]
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> SqlError {
        SqlError(Box::new(Fields {
            severity: Severity::Error,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
        }))
    }

    /// SQLSTATE 0A000: `what` is not supported.
    #[cold]
    pub fn unsupported(what: impl std::fmt::Display) -> SqlError {
        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// SQLSTATE XX000: a bug of ours, said instead of a panic where carrying on is safe.
    #[cold]
    pub fn internal(message: impl Into<String>) -> SqlError {
        SqlError::new(sqlstate::INTERNAL_ERROR, message)
    }

    /// With a severity other than error.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> SqlError {
        self.0.severity = severity;
        self
    }

    /// With more about it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> SqlError {
        self.0.detail = Some(detail.into());
        self
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> SqlError {
        self.0.hint = Some(hint.into());
        self
    }

    /// With the place in the statement's text, in characters from 1; kept when one is known already.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> SqlError {
        if self.0.position.is_none() {
            self.0.position = position;
        }
        self
    }

    /// With a line added to the call stack, outermost last.
    #[must_use]
    pub fn context(mut self, line: impl AsRef<str>) -> SqlError {
        match &mut self.0.context {
            Some(lines) => {
                lines.push('\n');
                lines.push_str(line.as_ref());
            }
            none => *none = Some(line.as_ref().to_owned()),
        }
        self
    }

    /// With the table it is about.
    #[must_use]
    pub fn table(mut self, schema: impl Into<String>, table: impl Into<String>) -> SqlError {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }

    /// With the column it is about.
    #[must_use]
    pub fn column(mut self, column: impl Into<String>) -> SqlError {
        self.0.column = Some(column.into());
        self
    }

    /// With the constraint it is about.
    #[must_use]
    pub fn constraint(mut self, constraint: impl Into<String>) -> SqlError {
        self.0.constraint = Some(constraint.into());
        self
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> SqlState {
        self.0.sqlstate
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All fields.
    pub fn fields(&self) -> &Fields {
        &self.0
    }

    /// All fields, to change them.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.0.message, self.0.sqlstate)
    }
}

impl std::fmt::Debug for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

impl std::error::Error for SqlError {}
