//! Where an error happened, in the words of PostgreSQL's contexts (`plpgsql_exec_error_callback`).

use tuplix_types::SqlError;

use crate::plpgsql::{self, StatementKind as Kind};

/// An error with the line of the declaration that it is about.
pub(super) fn at_declaration(signature: &str, line: u32, mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error.context(format!(
        "PL/pgSQL function {signature} line {line} during statement block local variable initialization"
    ))
}

/// An error with the statement that it is about, as PostgreSQL's contexts name it.
pub(super) fn at_statement(signature: &str, statement: &plpgsql::Statement, mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error.context(format!(
        "PL/pgSQL function {signature} line {} at {}",
        statement.line,
        statement_name(&statement.kind)
    ))
}

/// An error of reaching a statement, which adds its line itself. One with a position is shown in the query, so that no line
/// names the query (`_SPI_error_callback`).
pub(super) fn within(statement: &plpgsql::Statement, mut error: SqlError) -> SqlError {
    if error.fields_mut().position.take().is_some() {
        return error;
    }
    match &statement.kind {
        Kind::Sql { query, .. } | Kind::Perform(query) | Kind::Call(query) => {
            error.context(format!("SQL statement \"{}\"", query.text))
        }
        _ => error,
    }
}

/// A statement's name in contexts (`plpgsql_stmt_typename`).
pub(super) fn statement_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Block(_) => "statement block",
        Kind::Assign(_) => "assignment",
        Kind::If { .. } => "IF",
        Kind::Case { .. } => "CASE",
        Kind::Loop(_) => "LOOP",
        Kind::While { .. } => "WHILE",
        Kind::ForInteger { .. } => "FOR with integer loop variable",
        Kind::ForQuery { .. } => "FOR over SELECT rows",
        Kind::ForCursor { .. } => "FOR over cursor",
        Kind::ForExecute { .. } => "FOR over EXECUTE statement",
        Kind::ForEach { .. } => "FOREACH over array",
        Kind::Exit { next: false, .. } => "EXIT",
        Kind::Exit { .. } => "CONTINUE",
        Kind::Return(_) => "RETURN",
        Kind::ReturnNext(_) => "RETURN NEXT",
        Kind::ReturnQuery(_) | Kind::ReturnQueryExecute { .. } => "RETURN QUERY",
        Kind::Raise(_) => "RAISE",
        Kind::Assert { .. } => "ASSERT",
        Kind::Perform(_) => "PERFORM",
        Kind::Call(_) => "CALL",
        Kind::Do(_) => "DO",
        Kind::Sql { .. } => "SQL statement",
        Kind::Execute { .. } => "EXECUTE",
        Kind::GetDiagnostics { stacked: false, .. } => "GET DIAGNOSTICS",
        Kind::GetDiagnostics { .. } => "GET STACKED DIAGNOSTICS",
        Kind::Open { .. } => "OPEN",
        Kind::Fetch { .. } => "FETCH",
        Kind::Close(_) => "CLOSE",
        Kind::Null => "NULL",
        Kind::Commit { .. } => "COMMIT",
        Kind::Rollback { .. } => "ROLLBACK",
    }
}
