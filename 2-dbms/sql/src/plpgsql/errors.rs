//! Where an error in a body is, for who wrote the statement around it.

use tuplix_types::SqlError;

use crate::parser::lexer::{Lexer, Token};
use crate::parser::{line, position};

/// PostgreSQL's line of context for an error without a place.
pub(super) fn near_line(function: &str, line: u32) -> String {
    format!("compilation of PL/pgSQL function \"{function}\" near line {line}")
}

/// Moves an error's position from the body to the statement whose string constant the body is.
///
/// When no constant of `statement` is the body, or several are, nobody could tell the place: the
/// position is dropped and the line in the body is told as context, for `function`.
#[must_use]
pub fn place_error(mut error: SqlError, statement: &str, body: &str, function: &str) -> SqlError {
    let Some(inside) = error.fields().position else { return error };
    let offset = byte_offset(body, inside);
    match find_body(statement, body).and_then(|(start, doubled)| {
        let before = body.get(..offset)?;
        // In '...' every quote is written twice.
        let quotes = if doubled { before.matches('\'').count() } else { 0 };
        Some(start + offset + quotes)
    }) {
        Some(place) => {
            error.fields_mut().position = Some(position(statement, place));
            error
        }
        None => {
            error.fields_mut().position = None;
            error.context(near_line(function, line(body, offset)))
        }
    }
}

/// The byte offset of a position in characters from 1.
fn byte_offset(text: &str, position: u32) -> usize {
    let characters = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}

/// Where the only constant equal to `body` begins inside, and whether its quotes are doubled.
fn find_body(statement: &str, body: &str) -> Option<(usize, bool)> {
    let mut found = None;
    let mut lexer = Lexer::new(statement);
    while let Ok(Some(lexeme)) = lexer.next_token() {
        if !matches!(&lexeme.token, Token::String(text) if text == body) {
            continue;
        }
        let source = &statement[lexeme.start..lexeme.end];
        let (inside, doubled) = match source.strip_prefix('$') {
            Some(tag) => (tag.find('$')? + 2, false),
            None => (source.find('\'')? + 1, true),
        };
        // With backslashes or a constant over several lines the characters don't correspond.
        if doubled && source.len() != inside + body.len() + body.matches('\'').count() + 1 {
            return None;
        }
        let place = (lexeme.start + inside, doubled);
        if found.replace(place).is_some() {
            return None;
        }
    }
    found
}
