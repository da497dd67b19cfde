//! The SQLSTATE of an error that the grammar or the scanner reports.
//!
//! The C library hands over message and position only; nearly every error is a syntax error, and
//! the messages of the others are PostgreSQL's own, so they are told apart by their text.

use tuplix_types::{SqlError, SqlState, sqlstate};

use super::decode::too_complex;
use super::ffi::RawError;

/// Beginnings of messages whose SQLSTATE is not 42601 (PostgreSQL's gram.y, scan.l and parser.c).
const OTHERS: &[(&str, SqlState)] = &[
    ("UNENCRYPTED PASSWORD is no longer supported", sqlstate::FEATURE_NOT_SUPPORTED),
    ("CREATE SCHEMA IF NOT EXISTS cannot include schema elements", sqlstate::FEATURE_NOT_SUPPORTED),
    ("current database cannot be changed", sqlstate::FEATURE_NOT_SUPPORTED),
    ("constraints cannot be altered to be NOT VALID", sqlstate::FEATURE_NOT_SUPPORTED),
    ("MATCH PARTIAL not yet implemented", sqlstate::FEATURE_NOT_SUPPORTED),
    ("a column list with ", sqlstate::FEATURE_NOT_SUPPORTED),
    ("CREATE EXTENSION ... FROM is no longer supported", sqlstate::FEATURE_NOT_SUPPORTED),
    ("CREATE OR REPLACE CONSTRAINT TRIGGER is not supported", sqlstate::FEATURE_NOT_SUPPORTED),
    ("CREATE ASSERTION is not yet implemented", sqlstate::FEATURE_NOT_SUPPORTED),
    ("dropping an enum value is not implemented", sqlstate::FEATURE_NOT_SUPPORTED),
    ("aggregates cannot have output arguments", sqlstate::FEATURE_NOT_SUPPORTED),
    ("WITH CHECK OPTION not supported on recursive views", sqlstate::FEATURE_NOT_SUPPORTED),
    ("only string constants are supported in JSON_TABLE", sqlstate::FEATURE_NOT_SUPPORTED),
    ("UNIQUE predicate is not yet implemented", sqlstate::FEATURE_NOT_SUPPORTED),
    ("an ordered-set aggregate with a VARIADIC direct argument", sqlstate::FEATURE_NOT_SUPPORTED),
    ("unsafe use of string constant with Unicode escapes", sqlstate::FEATURE_NOT_SUPPORTED),
    ("column number must be in range from 1 to", sqlstate::INVALID_PARAMETER_VALUE),
    ("precision for type float must be", sqlstate::INVALID_PARAMETER_VALUE),
    ("unrecognized JSON encoding", sqlstate::INVALID_PARAMETER_VALUE),
    ("unrecognized partitioning strategy", sqlstate::INVALID_PARAMETER_VALUE),
    ("modulus for hash partition provided more than once", sqlstate::DUPLICATE_OBJECT),
    ("remainder for hash partition provided more than once", sqlstate::DUPLICATE_OBJECT),
    ("frame start", sqlstate::WINDOWING_ERROR),
    ("frame end", sqlstate::WINDOWING_ERROR),
    ("role name ", sqlstate::RESERVED_NAME),
    ("SESSION_USER cannot be used as a role name here", sqlstate::RESERVED_NAME),
    ("CURRENT_USER cannot be used as a role name here", sqlstate::RESERVED_NAME),
    ("CURRENT_ROLE cannot be used as a role name here", sqlstate::RESERVED_NAME),
    ("unsafe use of \\' in a string literal", NONSTANDARD_ESCAPE),
    ("invalid byte sequence for encoding", sqlstate::CHARACTER_NOT_IN_REPERTOIRE),
];

/// `nonstandard_use_of_escape_character`.
const NONSTANDARD_ESCAPE: SqlState = SqlState(*b"22P06");

/// Of "invalid Unicode escape" there are two: 22025 in `E''` strings, 42601 in `U&''` ones.
const UNICODE_ESCAPE: &str = "invalid Unicode escape";

/// The SQL error for what the C library reports about `text`.
pub(super) fn sql_error(error: RawError, text: &str) -> SqlError {
    let RawError { message, position } = error;
    if message.starts_with("stack depth limit exceeded")
        || message.starts_with("parse tree is nested too deeply")
    {
        return too_complex();
    }
    let position = u32::try_from(position).ok().filter(|position| *position > 0);
    let state = if message == UNICODE_ESCAPE && in_escape_string(text, position) {
        sqlstate::INVALID_ESCAPE_SEQUENCE
    } else {
        OTHERS
            .iter()
            .find(|(start, _)| message.starts_with(start))
            .map_or(sqlstate::SYNTAX_ERROR, |(_, state)| *state)
    };
    let hint = match message.as_str() {
        UNICODE_ESCAPE if state == sqlstate::INVALID_ESCAPE_SEQUENCE => {
            Some("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
        }
        UNICODE_ESCAPE => Some("Unicode escapes must be \\XXXX or \\+XXXXXX."),
        "LIMIT #,# syntax is not supported" => Some("Use separate LIMIT and OFFSET clauses."),
        _ => None,
    };
    let error = SqlError::new(state, message).at(position);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Whether the escape at the position is of the `\u` form, which only `E''` strings have.
fn in_escape_string(text: &str, position: Option<u32>) -> bool {
    let Some(position) = position else { return false };
    let mut rest = text.chars().skip(position as usize - 1);
    rest.next() == Some('\\') && matches!(rest.next(), Some('u' | 'U'))
}
