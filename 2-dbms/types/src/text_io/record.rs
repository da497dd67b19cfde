//! Row values as text: `(1,"a b",)`.

use super::{IoContext, format_value};
use crate::error::{Result, SqlError};
use crate::numeric::is_space;
use crate::{Value, sqlstate};

/// Appends a row value: NULL columns are empty, quotes and backslashes are doubled.
pub fn format_record(columns: &[Value], ctx: &IoContext, out: &mut String) {
    let mut text = String::new();
    out.push('(');
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if column.is_null() {
            continue;
        }
        text.clear();
        format_value(column, ctx, &mut text);
        let special = |b: u8| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || is_space(b);
        if !text.is_empty() && !text.bytes().any(special) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(')');
}

/// The columns' texts in the text of a row value; `None` is NULL. For readers who know the types.
///
/// # Errors
/// 22P02 for what is no row value.
pub fn split_record(text: &str) -> Result<Vec<Option<String>>> {
    let malformed = |detail: &str| {
        SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, format!("malformed record literal: \"{text}\""))
            .detail(detail)
    };
    let end_of_input = || malformed("Unexpected end of input.");
    let trimmed = super::trim(text);
    let inside = trimmed.strip_prefix('(').ok_or_else(|| malformed("Missing left parenthesis."))?;
    if inside.trim_start() == ")" {
        return Ok(Vec::new());
    }
    let mut chars = inside.chars().peekable();
    let mut columns = Vec::new();
    loop {
        let mut column = String::new();
        let mut is_null = true;
        let mut quoted = false;
        while let Some(&c) = chars.peek() {
            if !quoted && matches!(c, ',' | ')') {
                break;
            }
            chars.next();
            is_null = false;
            match c {
                '\\' => column.push(chars.next().ok_or_else(end_of_input)?),
                '"' if !quoted => quoted = true,
                '"' if chars.peek() == Some(&'"') => column.extend(chars.next()),
                '"' => quoted = false,
                _ => column.push(c),
            }
        }
        columns.push((!is_null).then_some(column));
        match chars.next() {
            Some(',') => {}
            Some(_) => break,
            None => return Err(end_of_input()),
        }
    }
    match chars.next() {
        None => Ok(columns),
        Some(_) => Err(malformed("Junk after right parenthesis.")),
    }
}
