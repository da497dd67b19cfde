//! `format`, `concat`, `quote_ident` and what else turns values into text and lists of text.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tuplix_types::{Array, Result, SqlError, TypeId, Value, sqlstate, text_io};

use super::args::{array, from_array, invalid, text};
use super::generate::single_column;
use super::hash::natural_type;
use super::{Scalars, Sets};
use crate::CallContext;

/// Words that must be quoted to be names: all but the unreserved ones.
static KEYWORDS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| include_str!("../../catalog/keywords.txt").lines().collect());

/// A name as SQL needs it, in quotes where it must be.
pub fn quote_ident(name: &str) -> String {
    let plain =
        |(index, b): (usize, u8)| b.is_ascii_lowercase() || b == b'_' || index > 0 && (b.is_ascii_digit());
    if !name.is_empty() && name.bytes().enumerate().all(plain) && !KEYWORDS.contains(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A text as a literal of SQL.
pub fn quote_literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }
}

/// The type of an argument of type `"any"`.
fn type_of(context: &CallContext<'_>, index: usize, value: &Value) -> TypeId {
    let known =
        context.arg_types.get(index).copied().filter(|id| *id != TypeId::UNKNOWN && *id != TypeId::ANY);
    known.unwrap_or_else(|| natural_type(value))
}

/// A value's output text.
fn output(context: &CallContext<'_>, index: usize, value: &Value) -> String {
    let id = type_of(context, index, value);
    match value {
        Value::Oid(oid) if id.is_object_name() => {
            let name = context.session.object_name(id, *oid);
            name.map_or_else(|| text_io::to_text(id, value, context.moment.io()), String::from)
        }
        _ => text_io::to_text(id, value, context.moment.io()),
    }
}

/// A value cast to `text`, which differs from its output for two types.
fn cast_to_text(context: &CallContext<'_>, index: usize, value: &Value) -> String {
    match value {
        Value::Bool(v) => if *v { "true" } else { "false" }.to_owned(),
        Value::Text(text) if type_of(context, index, value) == TypeId::BPCHAR => {
            text.trim_end_matches(' ').to_owned()
        }
        _ => output(context, index, value),
    }
}

fn concat(context: &CallContext<'_>, a: &[Value], from: usize, separator: &str) -> Value {
    let mut out = String::new();
    let mut first = true;
    for (index, value) in a.iter().enumerate().skip(from).filter(|(_, value)| !value.is_null()) {
        if !first {
            out.push_str(separator);
        }
        first = false;
        out.push_str(&output(context, index, value));
    }
    Value::text(out)
}

/// `%[position$][-][width]kind`
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    None,
    Fixed(i32),
    /// From an argument: the next one, or the one at a position.
    Argument(Option<usize>),
}

type Chars<'t> = std::iter::Peekable<std::str::Chars<'t>>;

fn unterminated() -> SqlError {
    invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\".")
}

fn number(chars: &mut Chars<'_>) -> Result<Option<i32>> {
    let mut value: Option<i32> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        let next = value.unwrap_or(0).checked_mul(10).and_then(|v| v.checked_add(digit as i32));
        value =
            Some(next.ok_or_else(|| {
                SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range")
            })?);
        chars.next();
    }
    Ok(value)
}

fn argument_position(value: i32) -> Result<usize> {
    if value == 0 {
        return Err(invalid("format specifies argument 0, but arguments are numbered from 1"));
    }
    Ok(value as usize)
}

fn specifier(chars: &mut Chars<'_>) -> Result<Specifier> {
    let mut spec = Specifier { position: None, left: false, width: Width::None, kind: ' ' };
    let leading = number(chars)?;
    match (leading, chars.peek()) {
        (Some(value), Some('$')) => {
            chars.next();
            spec.position = Some(argument_position(value)?);
        }
        (Some(value), _) => spec.width = Width::Fixed(value),
        (None, _) => {}
    }
    if matches!(spec.width, Width::None) {
        while chars.peek() == Some(&'-') {
            chars.next();
            spec.left = true;
        }
        if chars.peek() == Some(&'*') {
            chars.next();
            let position = number(chars)?;
            if position.is_some() && chars.next() != Some('$') {
                return Err(invalid("width argument position must be ended by \"$\""));
            }
            spec.width = Width::Argument(position.map(argument_position).transpose()?);
        } else if let Some(width) = number(chars)? {
            spec.width = Width::Fixed(width);
        }
    }
    spec.kind = chars.next().ok_or_else(unterminated)?;
    Ok(spec)
}

fn format(context: &CallContext<'_>, a: &[Value]) -> Result<Value> {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let mut chars = text(a, 0)?.chars().peekable();
    let (mut out, mut next) = (String::new(), 1);
    let too_few = || invalid("too few arguments for format()");
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek().is_none() {
            return Err(unterminated());
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let spec = specifier(&mut chars)?;
        if !matches!(spec.kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{}\"", spec.kind);
            return Err(invalid(message).hint("For a single \"%\" use \"%%\"."));
        }
        let width = match spec.width {
            Width::None => 0,
            Width::Fixed(width) => width,
            Width::Argument(position) => {
                let at = position.unwrap_or(next);
                next = at + 1;
                let value = a.get(at).ok_or_else(too_few)?;
                if value.is_null() {
                    0
                } else {
                    value
                        .as_i64()
                        .map_or_else(|| Err(invalid("width must be an integer")), |w| Ok(w as i32))?
                }
            }
        };
        let at = spec.position.unwrap_or(next);
        next = at + 1;
        let value = a.get(at).ok_or_else(too_few)?;
        let piece = match (spec.kind, value) {
            ('s', Value::Null) => String::new(),
            ('L', Value::Null) => "NULL".to_owned(),
            (_, Value::Null) => {
                let message = "null values cannot be formatted as an SQL identifier";
                return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message));
            }
            ('I', _) => quote_ident(&output(context, at, value)),
            ('L', _) => quote_literal(&output(context, at, value)),
            _ => output(context, at, value),
        };
        push_padded(&mut out, &piece, width, spec.left);
    }
    Ok(Value::text(out))
}

fn push_padded(out: &mut String, piece: &str, width: i32, left: bool) {
    let missing = (width.unsigned_abs() as usize).saturating_sub(super::text::char_count(piece));
    let padding = " ".repeat(missing.min(super::text::MAX_BYTES / 4));
    // A negative width from an argument means left, too.
    if left || width < 0 {
        out.push_str(piece);
        out.push_str(&padding);
    } else {
        out.push_str(&padding);
        out.push_str(piece);
    }
}

fn array_to_text(context: &CallContext<'_>, array: &Array, separator: &str, null: Option<&str>) -> Value {
    let mut pieces: Vec<String> = Vec::with_capacity(array.elements.len());
    for element in &array.elements {
        match (element, null) {
            (Value::Null, None) => {}
            (Value::Null, Some(null)) => pieces.push(null.to_owned()),
            (element, _) => pieces.push(text_io::to_text(array.element, element, context.moment.io())),
        }
    }
    Value::text(pieces.join(separator))
}

/// The pieces of `string_to_array`: characters without a separator, all of it with an empty one.
fn split(a: &[Value]) -> Result<Option<Vec<Value>>> {
    if a[0].is_null() {
        return Ok(None);
    }
    let source = text(a, 0)?.as_str();
    let null = a.get(2).and_then(Value::as_str);
    let piece = |part: &str| if Some(part) == null { Value::Null } else { Value::text(part) };
    if source.is_empty() {
        return Ok(Some(Vec::new()));
    }
    Ok(Some(match a[1].as_str() {
        None => source.chars().map(|c| piece(c.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => vec![piece(source)],
        Some(separator) => source.split(separator).map(piece).collect(),
    }))
}

fn split_to_array(a: &[Value]) -> Result<Value> {
    Ok(split(a)?.map_or(Value::Null, |pieces| from_array(Array::from_elements(TypeId::TEXT, pieces))))
}

/// `parse_ident('"Some".thing')`
fn parse_ident(name: &str, strict: bool) -> Result<Value> {
    let wrong = |detail: String| {
        let error = invalid(format!("string is not a valid identifier: \"{name}\""));
        Err(if detail.is_empty() { error } else { error.detail(detail) })
    };
    let mut parts = Vec::new();
    let mut rest = name.trim_start();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = quoted.find('"');
            while let Some(at) = end.filter(|at| quoted[at + 1..].starts_with('"')) {
                end = quoted[at + 2..].find('"').map(|next| at + 2 + next);
            }
            let Some(end) = end else { return wrong("String has unclosed double quotes.".to_owned()) };
            if end == 0 {
                return wrong("Quoted identifier must not be empty.".to_owned());
            }
            parts.push(Value::text(quoted[..end].replace("\"\"", "\"")));
            rest = &quoted[end + 1..];
        } else {
            let starts = |c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii();
            let goes_on = |c: char| starts(c) || c == '$' || c.is_ascii_digit();
            if !rest.starts_with(starts) {
                return match rest.chars().next() {
                    Some('.') => wrong("No valid identifier before \".\".".to_owned()),
                    _ if !parts.is_empty() => wrong("No valid identifier after \".\".".to_owned()),
                    _ => wrong(String::new()),
                };
            }
            let end = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
            parts.push(Value::text(rest[..end].to_ascii_lowercase()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() || !strict => break,
            None => return wrong(String::new()),
        }
    }
    Ok(from_array(Array::from_elements(TypeId::TEXT, parts)))
}

pub(crate) const FUNCTIONS: Scalars = &[
    ("text_concat", |ctx, a| Ok(concat(ctx, a, 0, ""))),
    ("text_concat_ws", |ctx, a| {
        Ok(if a[0].is_null() { Value::Null } else { concat(ctx, a, 1, text(a, 0)?) })
    }),
    ("text_format", |ctx, a| format(ctx, a)),
    ("text_format_nv", |ctx, a| format(ctx, a)),
    ("textanycat_text_anynonarray", |ctx, a| {
        Ok(Value::text([text(a, 0)?, cast_to_text(ctx, 1, &a[1]).as_str()].concat()))
    }),
    ("anytextcat_anynonarray_text", |ctx, a| {
        Ok(Value::text([cast_to_text(ctx, 0, &a[0]).as_str(), text(a, 1)?].concat()))
    }),
    ("quote_ident", |_, a| Ok(Value::text(quote_ident(text(a, 0)?)))),
    ("quote_literal", |_, a| Ok(Value::text(quote_literal(text(a, 0)?)))),
    ("quote_literal_anyelement", |ctx, a| Ok(Value::text(quote_literal(&cast_to_text(ctx, 0, &a[0]))))),
    ("quote_nullable", |_, a| {
        Ok(Value::text(if a[0].is_null() { "NULL".to_owned() } else { quote_literal(text(a, 0)?) }))
    }),
    ("quote_nullable_anyelement", |ctx, a| {
        Ok(Value::text(if a[0].is_null() {
            "NULL".to_owned()
        } else {
            quote_literal(&cast_to_text(ctx, 0, &a[0]))
        }))
    }),
    ("array_to_text", |ctx, a| Ok(array_to_text(ctx, array(a, 0)?, text(a, 1)?, None))),
    ("array_to_text_null", |ctx, a| {
        if a[0].is_null() || a[1].is_null() {
            return Ok(Value::Null);
        }
        Ok(array_to_text(ctx, array(a, 0)?, text(a, 1)?, a[2].as_str()))
    }),
    ("text_to_array", |_, a| split_to_array(a)),
    ("text_to_array_null", |_, a| split_to_array(a)),
    ("parse_ident", |_, a| parse_ident(text(a, 0)?, super::args::boolean(a, 1)?)),
];

pub(crate) const SETS: Sets = &[
    ("text_to_table", |_, a| Ok(single_column(split(a)?.unwrap_or_default().into_iter()))),
    ("text_to_table_null", |_, a| Ok(single_column(split(a)?.unwrap_or_default().into_iter()))),
];
