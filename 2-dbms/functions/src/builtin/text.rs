//! `text`, `varchar`, `char(n)` and `name`: concatenation, length, parts, padding.

use ecow::EcoString;
use tuplix_types::compare::trim_blanks;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate, text_io};

use super::Scalars;
use super::args::{boolean, int4, text};

/// The longest text, as long as PostgreSQL's.
pub(crate) const MAX_BYTES: usize = 0x3fff_ffff - 4;

fn too_long() -> SqlError {
    SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// The number of characters.
pub(crate) fn char_count(text: &str) -> usize {
    text.chars().count()
}

/// The byte offset of the character at `index`, the end when there are fewer.
pub(crate) fn char_offset(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(offset, _)| offset)
}

/// The characters from `start` (counted from 1, may be below) for `length`, to the end when there is none.
pub(crate) fn substring(text: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let start = i64::from(start);
    let end = match length {
        None => i64::MAX,
        Some(length) if length < 0 => {
            return Err(SqlError::new(sqlstate::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start + i64::from(length),
    };
    let first = start.max(1);
    if end <= first {
        return Ok("");
    }
    let from = char_offset(text, (first - 1) as usize);
    let rest = &text[from..];
    Ok(if end == i64::MAX { rest } else { &rest[..char_offset(rest, (end - first) as usize)] })
}

fn concat2(left: &str, right: &str) -> Value {
    let mut joined = EcoString::with_capacity(left.len() + right.len());
    joined.push_str(left);
    joined.push_str(right);
    Value::Text(joined)
}

/// `left(text, n)` and `right(text, n)`: a negative count leaves out that many at the other end.
fn keep_count(text: &str, count: i32) -> usize {
    match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => char_count(text).saturating_sub(count.unsigned_abs() as usize),
    }
}

fn right(text: &str, count: i32) -> &str {
    let length = char_count(text);
    let skip = match usize::try_from(count) {
        Ok(count) => length.saturating_sub(count),
        Err(_) => (count.unsigned_abs() as usize).min(length),
    };
    &text[char_offset(text, skip)..]
}

fn pad(text: &str, length: i32, fill: &str, at_left: bool) -> Result<Value> {
    let length = usize::try_from(length).unwrap_or(0);
    if length > MAX_BYTES / 4 {
        return Err(too_long());
    }
    let have = char_count(text);
    if have >= length || fill.is_empty() {
        return Ok(Value::text(&text[..char_offset(text, length)]));
    }
    let padding: String = fill.chars().cycle().take(length - have).collect();
    Ok(if at_left { concat2(&padding, text) } else { concat2(text, &padding) })
}

fn repeat(text: &str, count: i32) -> Result<Value> {
    let count = usize::try_from(count).unwrap_or(0);
    match text.len().checked_mul(count) {
        Some(bytes) if bytes <= MAX_BYTES => Ok(Value::text(text.repeat(count))),
        _ => Err(too_long()),
    }
}

fn trim<'t>(text: &'t str, set: &str, left: bool, right: bool) -> &'t str {
    let in_set = |c: char| set.contains(c);
    let text = if left { text.trim_start_matches(in_set) } else { text };
    if right { text.trim_end_matches(in_set) } else { text }
}

fn split_part(text: &str, separator: &str, field: i32) -> Result<Value> {
    let index = match field {
        0 => {
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "field position must not be zero"));
        }
        _ if separator.is_empty() => return Ok(Value::text(if matches!(field, 1 | -1) { text } else { "" })),
        _ if field > 0 => text.split(separator).nth(field as usize - 1),
        _ => text.rsplit(separator).nth(field.unsigned_abs() as usize - 1),
    };
    Ok(Value::text(index.unwrap_or("")))
}

/// The character position of `part` in `text` from 1, 0 when it is not there.
fn position(text: &str, part: &str) -> i32 {
    text.find(part).map_or(0, |offset| char_count(&text[..offset]) as i32 + 1)
}

fn overlay(text: &str, new: &str, start: i32, length: i32) -> Result<Value> {
    if start <= 0 {
        return Err(SqlError::new(sqlstate::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start.checked_add(length).ok_or_else(|| super::args::out_of_range("integer"))?;
    let head = substring(text, 1, Some(start - 1))?;
    let tail = substring(text, after, None)?;
    Ok(Value::text([head, new, tail].concat()))
}

fn translate(text: &str, from: &str, to: &str) -> Value {
    let to: Vec<char> = to.chars().collect();
    let mapped = text.chars().filter_map(|c| match from.chars().position(|f| f == c) {
        Some(index) => to.get(index).copied(),
        None => Some(c),
    });
    Value::Text(mapped.collect())
}

fn chr(code: i32) -> Result<Value> {
    if code < 0 {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "character number must be positive"));
    }
    if code == 0 {
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "null character not permitted"));
    }
    if code > 0x10_ffff {
        let message = format!("requested character too large for encoding: {code}");
        return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
    }
    match char::from_u32(code as u32) {
        Some(c) => Ok(Value::text(EcoString::from(c))),
        None => {
            let message = format!("requested character not valid for encoding: {code}");
            Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message))
        }
    }
}

/// Lower case as the locale C.UTF-8 has it: a character becomes one character or stays.
pub(crate) fn lower_char(c: char) -> char {
    let mut mapped = c.to_lowercase();
    mapped.next().filter(|_| mapped.next().is_none()).unwrap_or(c)
}

/// Upper case as the locale C.UTF-8 has it: a character becomes one character or stays.
fn upper_char(c: char) -> char {
    let mut mapped = c.to_uppercase();
    mapped.next().filter(|_| mapped.next().is_none()).unwrap_or(c)
}

fn map_case(text: &str, to: impl Fn(char) -> char) -> Value {
    Value::Text(text.chars().map(to).collect())
}

/// Upper case at the start of each run of letters and digits, lower case within.
fn initcap(text: &str) -> Value {
    let mut in_word = false;
    let mapped = text.chars().map(|c| {
        let changed = if in_word { lower_char(c) } else { upper_char(c) };
        in_word = c.is_alphanumeric();
        changed
    });
    Value::Text(mapped.collect())
}

/// `varchar(n)` and `char(n)`
fn fit(id: TypeId, a: &[Value]) -> Result<Value> {
    Ok(Value::Text(text_io::fit_length(id, int4(a, 1)?, text(a, 0)?.clone(), boolean(a, 2)?)?))
}

/// `"char"` is one byte; the empty text is the byte 0, which shows as the empty text again.
fn single_char(text: &str) -> Value {
    Value::text(text.chars().next().map(EcoString::from).unwrap_or_default())
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("textcat", |_, a| Ok(concat2(text(a, 0)?, text(a, 1)?))),
    ("textlen", |_, a| Ok(Value::Int4(char_count(text(a, 0)?) as i32))),
    ("bpcharlen", |_, a| Ok(Value::Int4(char_count(trim_blanks(text(a, 0)?)) as i32))),
    ("textoctetlen", |_, a| Ok(Value::Int4(text(a, 0)?.len() as i32))),
    ("bpcharoctetlen", |_, a| Ok(Value::Int4(text(a, 0)?.len() as i32))),
    ("bit_length_text", |_, a| Ok(Value::Int4(text(a, 0)?.len() as i32 * 8))),
    ("lower", |_, a| Ok(map_case(text(a, 0)?, lower_char))),
    ("upper", |_, a| Ok(map_case(text(a, 0)?, upper_char))),
    ("initcap", |_, a| Ok(initcap(text(a, 0)?))),
    ("text_substr", |_, a| Ok(Value::text(substring(text(a, 0)?, int4(a, 1)?, Some(int4(a, 2)?))?))),
    ("text_substr_no_len", |_, a| Ok(Value::text(substring(text(a, 0)?, int4(a, 1)?, None)?))),
    ("textpos", |_, a| Ok(Value::Int4(position(text(a, 0)?, text(a, 1)?)))),
    ("text_left", |_, a| {
        let source = text(a, 0)?;
        Ok(Value::text(&source[..char_offset(source, keep_count(source, int4(a, 1)?))]))
    }),
    ("text_right", |_, a| Ok(Value::text(right(text(a, 0)?, int4(a, 1)?)))),
    ("text_reverse", |_, a| Ok(Value::Text(text(a, 0)?.chars().rev().collect()))),
    ("lpad", |_, a| pad(text(a, 0)?, int4(a, 1)?, text(a, 2)?, true)),
    ("rpad", |_, a| pad(text(a, 0)?, int4(a, 1)?, text(a, 2)?, false)),
    ("lpad_text_int4", |_, a| pad(text(a, 0)?, int4(a, 1)?, " ", true)),
    ("rpad_text_int4", |_, a| pad(text(a, 0)?, int4(a, 1)?, " ", false)),
    ("repeat", |_, a| repeat(text(a, 0)?, int4(a, 1)?)),
    ("btrim", |_, a| Ok(Value::text(trim(text(a, 0)?, text(a, 1)?, true, true)))),
    ("ltrim", |_, a| Ok(Value::text(trim(text(a, 0)?, text(a, 1)?, true, false)))),
    ("rtrim", |_, a| Ok(Value::text(trim(text(a, 0)?, text(a, 1)?, false, true)))),
    ("btrim1", |_, a| Ok(Value::text(trim(text(a, 0)?, " ", true, true)))),
    ("ltrim1", |_, a| Ok(Value::text(trim(text(a, 0)?, " ", true, false)))),
    ("rtrim1", |_, a| Ok(Value::text(trim(text(a, 0)?, " ", false, true)))),
    ("replace_text", |_, a| {
        let (source, from, to) = (text(a, 0)?, text(a, 1)?, text(a, 2)?);
        Ok(if from.is_empty() { a[0].clone() } else { Value::text(source.replace(from.as_str(), to)) })
    }),
    ("split_part", |_, a| split_part(text(a, 0)?, text(a, 1)?, int4(a, 2)?)),
    ("translate", |_, a| Ok(translate(text(a, 0)?, text(a, 1)?, text(a, 2)?))),
    ("textoverlay", |_, a| overlay(text(a, 0)?, text(a, 1)?, int4(a, 2)?, int4(a, 3)?)),
    ("textoverlay_no_len", |_, a| {
        overlay(text(a, 0)?, text(a, 1)?, int4(a, 2)?, char_count(text(a, 1)?) as i32)
    }),
    ("ascii", |_, a| Ok(Value::Int4(text(a, 0)?.chars().next().map_or(0, |c| c as i32)))),
    ("chr", |_, a| chr(int4(a, 0)?)),
    ("text_starts_with", |_, a| Ok(Value::Bool(text(a, 0)?.starts_with(text(a, 1)?.as_str())))),
    ("varchar", |_, a| fit(TypeId::VARCHAR, a)),
    ("bpchar", |_, a| fit(TypeId::BPCHAR, a)),
    ("text_name", |_, a| Ok(Value::text(text_io::truncate_name(text(a, 0)?)))),
    ("bpchar_name", |_, a| Ok(Value::text(text_io::truncate_name(trim_blanks(text(a, 0)?))))),
    ("name_text", |_, a| Ok(a[0].clone())),
    ("name_bpchar", |_, a| Ok(a[0].clone())),
    ("rtrim1_bpchar", |_, a| Ok(Value::text(trim_blanks(text(a, 0)?)))),
    ("char_text", |_, a| Ok(a[0].clone())),
    ("char_bpchar", |_, a| Ok(a[0].clone())),
    ("text_char", |_, a| Ok(single_char(text(a, 0)?))),
    ("text_regclass", |ctx, a| crate::cast::from_text(ctx, text(a, 0)?, TypeId::REGCLASS)),
    ("chartoi4", |_, a| Ok(Value::Int4(i32::from(text_io::char_byte(text(a, 0)?) as i8)))),
    ("i4tochar", |_, a| match i8::try_from(int4(a, 0)?) {
        Ok(byte) => Ok(Value::Text(text_io::format_char(byte as u8))),
        Err(_) => Err(super::args::out_of_range("\"char\"")),
    }),
    ("nameconcatoid", |_, a| Ok(concat2(text(a, 0)?, &format!("_{}", super::args::oid(a, 1)?)))),
];
