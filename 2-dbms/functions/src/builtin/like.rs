//! `LIKE` and `ILIKE`: `~~`, `!~~`, `~~*`, `!~~*`, and their `ESCAPE`.

use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::Scalars;
use super::args::{bytea, text};
use super::text::lower_char;

/// A pattern that ends in a lone escape character.
fn dangling() -> SqlError {
    SqlError::new(sqlstate::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// Matches units (characters or bytes) against a pattern: `%` any number, `_` one, `\` the next as it is.
///
/// Backtracks to the last `%` only, which is enough and keeps it quadratic at worst. An escape at the
/// pattern's end fails only when matching reaches it, as in PostgreSQL.
fn matches<T: Copy + PartialEq>(subject: &[T], pattern: &[T], any: T, one: T, escape: T) -> Result<bool> {
    let (mut s, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(&unit) if unit == any => {
                retry = Some((s, p + 1));
                p += 1;
                continue;
            }
            Some(&unit) if unit == escape => match pattern.get(p + 1) {
                None if s < subject.len() => return Err(dangling()),
                None => None,
                Some(literal) => (subject.get(s) == Some(literal)).then_some(2),
            },
            Some(&unit) if unit == one => (s < subject.len()).then_some(1),
            Some(unit) => (subject.get(s) == Some(unit)).then_some(1),
            None if s == subject.len() => return Ok(true),
            None => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                s += 1;
                p += width;
            }
            (None, Some((at, after))) if at < subject.len() => {
                retry = Some((at + 1, after));
                (s, p) = (at + 1, after);
            }
            (None, _) => return Ok(false),
        }
    }
}

/// `text LIKE pattern` with the escape character `\`.
pub(crate) fn like(subject: &str, pattern: &str) -> Result<bool> {
    if subject.is_ascii() && pattern.is_ascii() {
        return matches(subject.as_bytes(), pattern.as_bytes(), b'%', b'_', b'\\');
    }
    let (subject, pattern): (Vec<char>, Vec<char>) = (subject.chars().collect(), pattern.chars().collect());
    matches(&subject, &pattern, '%', '_', '\\')
}

/// `text ILIKE pattern`
fn ilike(subject: &str, pattern: &str) -> Result<bool> {
    let subject: Vec<char> = subject.chars().map(lower_char).collect();
    let pattern: Vec<char> = pattern.chars().map(lower_char).collect();
    matches(&subject, &pattern, '%', '_', '\\')
}

fn like_bytes(subject: &[u8], pattern: &[u8]) -> Result<bool> {
    matches(subject, pattern, b'%', b'_', b'\\')
}

/// Rewrites a pattern with another escape character (or none) to one with `\`.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return Err(SqlError::new(sqlstate::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character."));
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut escaped = false;
    for c in pattern.chars() {
        if Some(c) == escape && !escaped {
            out.push('\\');
            escaped = true;
        } else if c == '\\' {
            if !escaped {
                out.push('\\');
            }
            out.push('\\');
            escaped = false;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    Ok(out)
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("textlike", |_, a| Ok(Value::Bool(like(text(a, 0)?, text(a, 1)?)?))),
    ("textnlike", |_, a| Ok(Value::Bool(!like(text(a, 0)?, text(a, 1)?)?))),
    ("namelike", |_, a| Ok(Value::Bool(like(text(a, 0)?, text(a, 1)?)?))),
    ("namenlike", |_, a| Ok(Value::Bool(!like(text(a, 0)?, text(a, 1)?)?))),
    ("texticlike", |_, a| Ok(Value::Bool(ilike(text(a, 0)?, text(a, 1)?)?))),
    ("texticnlike", |_, a| Ok(Value::Bool(!ilike(text(a, 0)?, text(a, 1)?)?))),
    ("nameiclike", |_, a| Ok(Value::Bool(ilike(text(a, 0)?, text(a, 1)?)?))),
    ("nameicnlike", |_, a| Ok(Value::Bool(!ilike(text(a, 0)?, text(a, 1)?)?))),
    ("bytealike", |_, a| Ok(Value::Bool(like_bytes(bytea(a, 0)?, bytea(a, 1)?)?))),
    ("byteanlike", |_, a| Ok(Value::Bool(!like_bytes(bytea(a, 0)?, bytea(a, 1)?)?))),
    ("like_escape", |_, a| Ok(Value::text(like_escape(text(a, 0)?, text(a, 1)?)?))),
];
