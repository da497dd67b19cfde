//! Arrays as text: `{1,2,NULL}`, `[0:1]={"a b",c}`, `{{1,2},{3,4}}`.
//!
//! Reading goes over the text twice, as PostgreSQL 15 does, whose error details tell so: [`Shape`]
//! checks the braces and counts, then the items are taken out one by one.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{IoContext, format_text, parse_text};
use crate::error::{Result, SqlError};
use crate::numeric::is_space;
use crate::{Array, ArrayDimension, MAX_DIMENSIONS, TypeId, Value, sqlstate};

fn malformed(text: &str, detail: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""))
        .detail(detail)
}

fn too_many_dimensions(count: usize) -> SqlError {
    SqlError::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

/// Where in the literal the reader is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    NoLevel,
    LevelStarted,
    ElementStarted,
    QuotedStarted,
    QuotedCompleted,
    ElementDelimited,
    LevelCompleted,
    LevelDelimited,
}

/// Counts dimensions and lengths while it checks the braces.
struct Shape<'a> {
    text: &'a str,
    state: State,
    level: usize,
    dimensions: usize,
    /// Items seen in the open list of each level.
    counts: [i32; MAX_DIMENSIONS],
    /// Items in the lists of each level that are closed already.
    closed: [Option<i32>; MAX_DIMENSIONS],
    in_quotes: bool,
    empty: bool,
}

impl Shape<'_> {
    fn unexpected(&self, c: char) -> SqlError {
        malformed(self.text, format!("Unexpected \"{c}\" character."))
    }

    fn escape(&mut self) -> Result<()> {
        use State::*;
        if !matches!(self.state, LevelStarted | ElementStarted | QuotedStarted | ElementDelimited) {
            return Err(self.unexpected('\\'));
        }
        if self.state != QuotedStarted {
            self.state = ElementStarted;
        }
        self.empty = false;
        Ok(())
    }

    fn quote(&mut self) -> Result<()> {
        use State::*;
        if !matches!(self.state, LevelStarted | QuotedStarted | ElementDelimited) {
            return Err(malformed(self.text, "Unexpected array element."));
        }
        self.in_quotes = !self.in_quotes;
        self.state = if self.in_quotes { QuotedStarted } else { QuotedCompleted };
        self.empty = false;
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        use State::*;
        if !matches!(self.state, NoLevel | LevelStarted | LevelDelimited) {
            return Err(self.unexpected('{'));
        }
        self.state = LevelStarted;
        if self.level >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(self.level + 1));
        }
        self.counts[self.level] = 1;
        self.level += 1;
        self.dimensions = self.dimensions.max(self.level);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        use State::*;
        let empty_list = self.level == 1 && self.state == LevelStarted;
        if !empty_list && !matches!(self.state, ElementStarted | QuotedCompleted | LevelCompleted) {
            return Err(self.unexpected('}'));
        }
        self.state = LevelCompleted;
        self.level -= 1;
        let count = self.counts[self.level];
        if self.closed[self.level].is_some_and(|other| other != count) {
            return Err(self.ragged());
        }
        self.closed[self.level] = Some(count);
        Ok(())
    }

    fn ragged(&self) -> SqlError {
        malformed(self.text, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn delimiter(&mut self) -> Result<()> {
        use State::*;
        match self.state {
            LevelCompleted => self.state = LevelDelimited,
            ElementStarted | QuotedCompleted => self.state = ElementDelimited,
            _ => return Err(self.unexpected(',')),
        }
        self.counts[self.level - 1] += 1;
        Ok(())
    }

    fn other(&mut self) -> Result<()> {
        use State::*;
        if !matches!(self.state, LevelStarted | ElementStarted | ElementDelimited) {
            return Err(malformed(self.text, "Unexpected array element."));
        }
        // Elements must be on the innermost level.
        if self.level < self.dimensions {
            return Err(self.ragged());
        }
        self.state = ElementStarted;
        self.empty = false;
        Ok(())
    }

    /// Reads a literal from its first brace on; the answer is the lengths, none for an empty array.
    fn measure(text: &str) -> Result<Vec<i32>> {
        let mut shape = Shape {
            text,
            state: State::NoLevel,
            level: 0,
            dimensions: 0,
            counts: [0; MAX_DIMENSIONS],
            closed: [None; MAX_DIMENSIONS],
            in_quotes: false,
            empty: true,
        };
        let bytes = text.as_bytes();
        let end_of_input = || malformed(text, "Unexpected end of input.");
        let mut at = 0;
        loop {
            match *bytes.get(at).ok_or_else(end_of_input)? {
                b'\\' => {
                    shape.escape()?;
                    at += 1;
                    bytes.get(at).ok_or_else(end_of_input)?;
                }
                b'"' => shape.quote()?,
                _ if shape.in_quotes => {}
                b'{' => shape.open()?,
                b'}' => {
                    shape.close()?;
                    if shape.level == 0 {
                        break;
                    }
                }
                b',' => shape.delimiter()?,
                byte if !is_space(byte) => shape.other()?,
                _ => {}
            }
            at += 1;
        }
        if !bytes[at + 1..].iter().copied().all(is_space) {
            return Err(malformed(text, "Junk after closing right brace."));
        }
        if shape.empty {
            return Ok(Vec::new());
        }
        Ok(shape.closed[..shape.dimensions].iter().map(|count| count.unwrap_or(0)).collect())
    }
}

/// Takes the explicit bounds `[1:2][0:3]=` from the front; the answer is where the braces start.
fn bounds(text: &str) -> Result<(Vec<ArrayDimension>, usize)> {
    let bytes = text.as_bytes();
    let skip_space = |at: usize| at + bytes[at..].iter().take_while(|b| is_space(**b)).count();
    let number_end =
        |at: usize| at + bytes[at..].iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+')).count();
    let number = |from: usize, to: usize| text[from..to].parse::<i32>().unwrap_or(0);
    let mut dimensions = Vec::new();
    let mut at = skip_space(0);
    while bytes.get(at) == Some(&b'[') {
        if dimensions.len() >= MAX_DIMENSIONS {
            return Err(too_many_dimensions(dimensions.len() + 1));
        }
        let mut start = at + 1;
        let mut end = number_end(start);
        if end == start {
            return Err(malformed(text, "\"[\" must introduce explicitly-specified array dimensions."));
        }
        let mut lower = 1;
        if bytes.get(end) == Some(&b':') {
            lower = number(start, end);
            start = end + 1;
            end = number_end(start);
            if end == start {
                return Err(malformed(text, "Missing array dimension value."));
            }
        }
        if bytes.get(end) != Some(&b']') {
            return Err(malformed(text, "Missing \"]\" after array dimensions."));
        }
        let upper = number(start, end);
        if upper < lower {
            return Err(SqlError::new(
                sqlstate::ARRAY_SUBSCRIPT_ERROR,
                "upper bound cannot be less than lower bound",
            ));
        }
        let length = (upper.checked_sub(lower).and_then(|span| span.checked_add(1))).ok_or_else(|| {
            SqlError::new(
                sqlstate::PROGRAM_LIMIT_EXCEEDED,
                "array size exceeds the maximum allowed (134217727)",
            )
        })?;
        dimensions.push(ArrayDimension { length, lower });
        at = skip_space(end + 1);
    }
    if dimensions.is_empty() {
        return match bytes.get(at) {
            Some(b'{') => Ok((dimensions, at)),
            _ => Err(malformed(text, "Array value must start with \"{\" or dimension information.")),
        };
    }
    if bytes.get(at) != Some(&b'=') {
        return Err(malformed(text, "Missing \"=\" after array dimensions."));
    }
    at = skip_space(at + 1);
    match bytes.get(at) {
        Some(b'{') => Ok((dimensions, at)),
        _ => Err(malformed(text, "Array contents must start with \"{\".")),
    }
}

/// The texts of the items of a literal whose shape is right; `None` is NULL.
fn items(literal: &str) -> Vec<Option<String>> {
    let mut items = Vec::new();
    let mut item = String::new();
    // How much of the item must stay when blanks at its end go, and whether it may be NULL.
    let (mut kept, mut started, mut plain, mut in_quotes) = (0, false, true, false);
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                item.extend(chars.next());
                kept = item.len();
                (started, plain) = (true, false);
            }
            '"' => {
                in_quotes = !in_quotes;
                kept = item.len();
                (started, plain) = (true, false);
            }
            _ if in_quotes => item.push(c),
            '{' => {}
            '}' | ',' => {
                if started {
                    item.truncate(kept);
                    let is_null = plain && item.eq_ignore_ascii_case("null");
                    items.push(if is_null { None } else { Some(item.clone()) });
                }
                item.clear();
                (kept, started, plain) = (0, false, true);
            }
            _ if u8::try_from(c).is_ok_and(is_space) => {
                if started {
                    item.push(c);
                }
            }
            _ => {
                item.push(c);
                kept = item.len();
                started = true;
            }
        }
    }
    items
}

/// The array of `element` that `text` spells.
///
/// # Errors
/// 22P02 for what is no array, and what the elements' type says.
pub fn parse_array(element: TypeId, typmod: i32, text: &str, ctx: &IoContext) -> Result<Value> {
    parse_array_with(element, text, &mut |item| parse_text(element, typmod, item, ctx))
}

/// As [`parse_array`], with a reader for the elements (types that only the catalogue knows).
///
/// # Errors
/// As [`parse_array`].
pub fn parse_array_with(
    element: TypeId,
    text: &str,
    parse_element: &mut dyn FnMut(&str) -> Result<Value>,
) -> Result<Value> {
    let (mut dimensions, start) = bounds(text)?;
    let lengths = Shape::measure(&text[start..])?;
    if dimensions.is_empty() {
        dimensions = lengths.iter().map(|length| ArrayDimension { length: *length, lower: 1 }).collect();
    } else if !dimensions.iter().map(|dimension| dimension.length).eq(lengths) {
        return Err(malformed(text, "Specified array dimensions do not match array contents."));
    }
    let items = items(&text[start..]);
    let mut elements = Vec::with_capacity(items.len());
    for item in items {
        elements.push(match item {
            Some(item) => parse_element(&item)?,
            None => Value::Null,
        });
    }
    let size: i64 = dimensions.iter().map(|dimension| i64::from(dimension.length)).product();
    if !dimensions.is_empty() && size != elements.len() as i64 {
        return Err(malformed(
            text,
            "Multidimensional arrays must have sub-arrays with matching dimensions.",
        ));
    }
    Ok(Value::Array(Arc::new(Array { element, dimensions, elements })))
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.bytes().any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(b))
}

fn format_item(element: TypeId, value: &Value, ctx: &IoContext, scratch: &mut String, out: &mut String) {
    if value.is_null() {
        out.push_str("NULL");
        return;
    }
    scratch.clear();
    format_text(element, value, ctx, scratch);
    if !needs_quotes(scratch) {
        out.push_str(scratch);
        return;
    }
    out.push('"');
    for c in scratch.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends an array's text; bounds are shown when a lower bound is not 1.
pub fn format_array(array: &Array, ctx: &IoContext, out: &mut String) {
    if array.elements.is_empty() || array.dimensions.is_empty() {
        out.push_str("{}");
        return;
    }
    if array.dimensions.iter().any(|dimension| dimension.lower != 1) {
        for dimension in &array.dimensions {
            // Writing to a string cannot fail.
            let upper = i64::from(dimension.lower) + i64::from(dimension.length) - 1;
            let _ = write!(out, "[{}:{upper}]", dimension.lower);
        }
        out.push('=');
    }
    // How many elements each level's list spans, innermost last.
    let mut spans: Vec<usize> = Vec::with_capacity(array.dimensions.len());
    let mut span = 1;
    for dimension in array.dimensions.iter().rev() {
        span *= usize::try_from(dimension.length).unwrap_or(1).max(1);
        spans.push(span);
    }
    let mut scratch = String::new();
    for (at, element) in array.elements.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        spans.iter().filter(|span| at % **span == 0).for_each(|_| out.push('{'));
        format_item(array.element, element, ctx, &mut scratch, out);
        spans.iter().filter(|span| (at + 1) % **span == 0).for_each(|_| out.push('}'));
    }
}
