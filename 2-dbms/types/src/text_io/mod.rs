//! Text input and output of every built-in type, as PostgreSQL's `..._in` and `..._out` functions do it.
//!
//! What needs the catalogue is not decided here: names of tables and functions (`regclass`,
//! `regproc`, ...) and values of types that users created. The catalogue's callers handle those
//! before they come here; numeric object ids always work.

use std::fmt::Write as _;
use std::sync::Arc;

use ecow::EcoString;

use crate::datetime::{self, DateStyle, IntervalStyle, TimeZone};
use crate::error::{Result, SqlError};
use crate::jsonb::Jsonb;
use crate::jsonpath::JsonPath;
use crate::numeric::Numeric;
use crate::{Array, EnumLabels, TypeId, Value, sqlstate};

mod array;
mod float;
mod record;
mod scalar;

pub use array::{format_array, parse_array, parse_array_with};
pub use float::{format_float4, format_float8, parse_float4, parse_float8};
pub use record::{format_record, split_record};
pub(crate) use scalar::trim;
pub use scalar::{
    NAME_LENGTH, char_byte, decode_escape, decode_hex, encode_escape, encode_hex, fit_length, format_char,
    invalid_syntax, truncate_name,
};

/// How ambiguous dates such as `1/2/2023` are read (the second half of `DateStyle`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// What reading and writing text depends on besides the text: a session's settings and the time.
#[derive(Clone, Debug)]
pub struct IoContext {
    /// `TimeZone`.
    pub zone: TimeZone,
    /// The transaction's start in microseconds since 2000-01-01 00:00 UTC, for `now` and `today`.
    pub now: i64,
    /// How ambiguous dates are read.
    pub date_order: DateOrder,
    /// How dates and timestamps are written.
    pub date_style: DateStyle,
    /// `IntervalStyle`.
    pub interval_style: IntervalStyle,
    /// `bytea_output = escape`
    pub bytea_escape: bool,
    /// The labels of enums.
    pub labels: Option<Arc<dyn EnumLabels>>,
}

impl Default for IoContext {
    fn default() -> IoContext {
        IoContext {
            zone: TimeZone::UTC,
            now: 0,
            date_order: DateOrder::Mdy,
            date_style: DateStyle::Iso,
            interval_style: IntervalStyle::Postgres,
            bytea_escape: false,
            labels: None,
        }
    }
}

impl IoContext {
    /// What a session's settings say, as `SHOW` would print them.
    pub fn of_settings(setting: impl Fn(&str) -> Option<String>) -> IoContext {
        let style = setting("DateStyle");
        let style = style.and_then(|style| DateStyle::parse(&style, Default::default())).unwrap_or_default();
        let zone = setting("TimeZone").and_then(|name| TimeZone::parse(&name).ok());
        IoContext {
            zone: zone.unwrap_or_default(),
            date_order: style.1,
            date_style: style.0,
            interval_style: setting("IntervalStyle")
                .map_or_else(Default::default, |name| IntervalStyle::parse(&name)),
            bytea_escape: setting("bytea_output").is_some_and(|output| output == "escape"),
            ..IoContext::default()
        }
    }
}

/// The value of type `ty` that `text` spells, fitted to `typmod` (-1: none).
///
/// # Errors
/// PostgreSQL's error for text that is no such value, or does not fit; 0A000 for types that are not
/// read here (see the module).
pub fn parse_text(ty: TypeId, typmod: i32, text: &str, ctx: &IoContext) -> Result<Value> {
    Ok(match ty {
        TypeId::BOOL => Value::Bool(scalar::parse_bool(text)?),
        TypeId::INT2 => Value::Int2(scalar::parse_integer(ty, text)?),
        TypeId::INT4 => Value::Int4(scalar::parse_integer(ty, text)?),
        TypeId::INT8 => Value::Int8(scalar::parse_integer(ty, text)?),
        TypeId::FLOAT4 => Value::Float4(parse_float4(text)?),
        TypeId::FLOAT8 => Value::Float8(parse_float8(text)?),
        TypeId::OID | TypeId::XID => Value::Oid(scalar::parse_oid(text)?),
        TypeId::NUMERIC => {
            let number = Numeric::parse(text)?;
            Value::Numeric(Arc::new(if typmod >= 0 { number.with_typmod(typmod)? } else { number }))
        }
        TypeId::TEXT | TypeId::UNKNOWN | TypeId::REFCURSOR => Value::text(text),
        TypeId::VARCHAR | TypeId::BPCHAR => {
            Value::Text(fit_length(ty, typmod, EcoString::from(text), false)?)
        }
        TypeId::NAME => Value::text(truncate_name(text)),
        TypeId::CHAR => Value::Text(scalar::parse_char(text)),
        TypeId::BYTEA => scalar::parse_bytea(text)?,
        TypeId::UUID => scalar::parse_uuid(text)?,
        TypeId::DATE => Value::Date(datetime::parse_date(text, ctx)?),
        TypeId::TIME => Value::Time(datetime::parse_time(text, typmod, ctx)?),
        TypeId::TIMESTAMP => Value::Timestamp(datetime::parse_timestamp(text, typmod, ctx)?),
        TypeId::TIMESTAMPTZ => Value::Timestamptz(datetime::parse_timestamptz(text, typmod, ctx)?),
        TypeId::INTERVAL => Value::Interval(Arc::new(datetime::parse_interval(text, typmod)?)),
        TypeId::JSON => {
            Jsonb::validate(text)?;
            Value::text(text)
        }
        TypeId::JSONB => Value::Jsonb(Arc::new(Jsonb::parse(text)?)),
        TypeId::JSONPATH => Value::text(JsonPath::parse(text)?.text()),
        TypeId::INT2VECTOR | TypeId::OIDVECTOR => parse_vector(ty, text)?,
        _ if ty.is_object_name() => parse_reg(ty, text)?,
        TypeId::VOID => Value::text(""),
        // A client's argument: who knows the catalogue makes a value of the text.
        _ if ty.is_user() => Value::text(text),
        TypeId::RECORD => {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "input of anonymous composite types is not implemented",
            ));
        }
        _ => match ty.element() {
            Some(element) => parse_array(element, typmod, text, ctx)?,
            None if ty.display_name().is_some() => {
                return Err(SqlError::new(
                    sqlstate::FEATURE_NOT_SUPPORTED,
                    format!("cannot accept a value of type {}", ty.internal_name().unwrap_or("unknown")),
                ));
            }
            None => {
                return Err(SqlError::unsupported(format_args!("text input of {ty} without the catalogue")));
            }
        },
    })
}

fn parse_reg(ty: TypeId, text: &str) -> Result<Value> {
    let trimmed = trim(text);
    if trimmed == "-" {
        return Ok(Value::Oid(0));
    }
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Value::Oid(scalar::parse_oid(trimmed)?));
    }
    if ty != TypeId::REGTYPE {
        return Err(SqlError::unsupported(format_args!(
            "text input of a name for {ty} without the catalogue"
        )));
    }
    let lower = trimmed.to_ascii_lowercase();
    let found = TypeId::from_internal_name(&lower).or_else(|| from_display_name(&lower));
    match found {
        Some(found) => Ok(Value::Oid(found.0)),
        None => Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"))),
    }
}

fn from_display_name(name: &str) -> Option<TypeId> {
    let (base, is_array) = match name.strip_suffix("[]") {
        Some(base) => (base, true),
        None => (name, false),
    };
    let found = TypeId::BUILT_IN.iter().copied().find(|ty| ty.display_name() == Some(base));
    let found = found.or_else(|| TypeId::from_internal_name(base))?;
    if is_array { found.array_of() } else { Some(found) }
}

/// `1 2 3` of `int2vector` and `oidvector`.
fn parse_vector(ty: TypeId, text: &str) -> Result<Value> {
    let element = if ty == TypeId::INT2VECTOR { TypeId::INT2 } else { TypeId::OID };
    let read = |word: &str| {
        Ok(match element {
            TypeId::INT2 => Value::Int2(scalar::parse_integer(element, word)?),
            _ => Value::Oid(scalar::parse_oid(word)?),
        })
    };
    let elements: Vec<Value> = text.split_ascii_whitespace().map(read).collect::<Result<_>>()?;
    Ok(Value::Array(Arc::new(Array::vector(element, elements))))
}

fn format_vector(array: &Array, ctx: &IoContext, out: &mut String) {
    for (number, element) in array.elements.iter().enumerate() {
        if number > 0 {
            out.push(' ');
        }
        format_value(element, ctx, out);
    }
}

/// Appends the text of a value of type `ty`; nothing for NULL.
#[inline]
pub fn format_text(ty: TypeId, value: &Value, ctx: &IoContext, out: &mut String) {
    match value {
        Value::Oid(oid) if ty != TypeId::OID => format_reg(ty, *oid, out),
        Value::Array(array) if matches!(ty, TypeId::INT2VECTOR | TypeId::OIDVECTOR) => {
            format_vector(array, ctx, out);
        }
        _ => format_value(value, ctx, out),
    }
}

fn format_reg(ty: TypeId, oid: u32, out: &mut String) {
    match TypeId(oid).display_name() {
        Some(name) if ty == TypeId::REGTYPE => out.push_str(name),
        _ if oid == 0 && ty.is_object_name() => out.push('-'),
        // Writing to a string cannot fail.
        _ => drop(write!(out, "{oid}")),
    }
}

/// Appends an integer's digits.
fn format_integer(value: i64, out: &mut String) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// Appends the text of a value by its representation alone, which is that of its type for all types
/// but the aliases of `oid`; nothing for NULL.
pub fn format_value(value: &Value, ctx: &IoContext, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(if *v { 't' } else { 'f' }),
        Value::Int2(v) => format_integer(i64::from(*v), out),
        Value::Int4(v) => format_integer(i64::from(*v), out),
        Value::Int8(v) => format_integer(*v, out),
        Value::Oid(v) => format_integer(i64::from(*v), out),
        Value::Float4(v) => format_float4(*v, out),
        Value::Float8(v) => format_float8(*v, out),
        Value::Text(v) => out.push_str(v),
        // Writing to a string cannot fail.
        Value::Numeric(v) => drop(write!(out, "{v}")),
        Value::Bytea(v) if ctx.bytea_escape => encode_escape(v, out),
        Value::Bytea(v) => {
            out.push_str("\\x");
            encode_hex(v, out);
        }
        Value::Uuid(v) => scalar::format_uuid(v, out),
        Value::Date(v) => ctx.date_style.date(*v, ctx.date_order, out),
        Value::Time(v) => datetime::format_time(*v, out),
        Value::Timestamp(v) => ctx.date_style.timestamp(*v, ctx.date_order, out),
        Value::Timestamptz(v) => ctx.date_style.timestamptz(*v, ctx.zone, ctx.date_order, out),
        Value::Interval(v) => ctx.interval_style.interval(v, out),
        Value::Jsonb(v) => v.format(out),
        Value::Array(v) => format_array(v, ctx, out),
        Value::Record(v) => format_record(v, ctx, out),
        Value::Enum(v) => match ctx.labels.as_ref().and_then(|labels| labels.label(*v)) {
            Some(label) => out.push_str(&label),
            // Writing to a string cannot fail.
            None => drop(write!(out, "{v}")),
        },
    }
}

/// The text of a value of type `ty`; empty for NULL.
pub fn to_text(ty: TypeId, value: &Value, ctx: &IoContext) -> String {
    let mut out = String::new();
    format_text(ty, value, ctx, &mut out);
    out
}
