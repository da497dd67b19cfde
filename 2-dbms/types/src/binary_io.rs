//! Binary input and output of every built-in type, as PostgreSQL's `..._send` and `..._recv`
//! functions do it: big-endian integers, counts before contents, no padding.

use std::sync::Arc;

use ecow::EcoString;

use crate::error::{Result, SqlError};
use crate::jsonb::Jsonb;
use crate::jsonpath::JsonPath;
use crate::numeric::Numeric;
use crate::{
    Array, ArrayDimension, Interval, MAX_DIMENSIONS, TypeId, Value, datetime, sqlstate, text_io, typmod,
};

/// 08P01: the bytes end too early.
#[cold]
pub(crate) fn insufficient() -> SqlError {
    SqlError::new(sqlstate::PROTOCOL_VIOLATION, "insufficient data left in message")
}

/// 22P03: bytes that mean nothing.
#[cold]
fn incorrect(message: impl Into<String>) -> SqlError {
    SqlError::new(sqlstate::INVALID_BINARY_REPRESENTATION, message)
}

/// The text in bytes that came from a client.
///
/// # Errors
/// 22021 for what is not UTF-8 and for the character zero.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let bad = |sequence: &[u8]| {
        let shown: Vec<String> = sequence.iter().map(|byte| format!("0x{byte:02x}")).collect();
        SqlError::new(
            sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.contains(&0) => {
            debug_assert!(!text.is_empty());
            Err(bad(&[0]))
        }
        Ok(text) => Ok(text),
        Err(error) => {
            let rest = &bytes[error.valid_up_to()..];
            // PostgreSQL shows as many bytes as the first one announces.
            let announced = match rest[0] {
                0xf0..=0xf7 => 4,
                0xe0..=0xef => 3,
                0xc0..=0xdf => 2,
                _ => 1,
            };
            Err(bad(&rest[..announced.min(rest.len())]))
        }
    }
}

/// The type whose wire form a value has when nobody says which it is (a field of a row value).
pub fn natural_type(value: &Value) -> TypeId {
    match value {
        Value::Null => TypeId::TEXT,
        Value::Bool(_) => TypeId::BOOL,
        Value::Int2(_) => TypeId::INT2,
        Value::Int4(_) => TypeId::INT4,
        Value::Int8(_) => TypeId::INT8,
        Value::Float4(_) => TypeId::FLOAT4,
        Value::Float8(_) => TypeId::FLOAT8,
        Value::Oid(_) => TypeId::OID,
        Value::Date(_) => TypeId::DATE,
        Value::Time(_) => TypeId::TIME,
        Value::Timestamp(_) => TypeId::TIMESTAMP,
        Value::Timestamptz(_) => TypeId::TIMESTAMPTZ,
        Value::Interval(_) => TypeId::INTERVAL,
        Value::Numeric(_) => TypeId::NUMERIC,
        Value::Text(_) => TypeId::TEXT,
        Value::Bytea(_) => TypeId::BYTEA,
        Value::Uuid(_) => TypeId::UUID,
        Value::Jsonb(_) => TypeId::JSONB,
        Value::Array(array) => array.element.array_of().unwrap_or(TypeId::ANYARRAY),
        Value::Record(_) => TypeId::RECORD,
        Value::Enum(value) => value.ty,
    }
}

/// Appends the wire form of a value of type `ty`; nothing for NULL.
#[inline]
pub fn send(ty: TypeId, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&v.to_be_bytes());
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Text(v) if ty == TypeId::CHAR => out.push(text_io::char_byte(v)),
        Value::Text(v) => {
            // The version.
            out.extend_from_slice(if ty == TypeId::JSONPATH { &[1] } else { &[] });
            out.extend_from_slice(v.as_bytes());
        }
        Value::Bytea(v) => out.extend_from_slice(v),
        Value::Uuid(v) => out.extend_from_slice(v.as_slice()),
        Value::Interval(v) => {
            out.extend_from_slice(&v.microseconds.to_be_bytes());
            out.extend_from_slice(&v.days.to_be_bytes());
            out.extend_from_slice(&v.months.to_be_bytes());
        }
        Value::Numeric(v) => v.send(out),
        Value::Jsonb(v) => {
            let mut text = String::from("\u{1}");
            v.format(&mut text);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(v) => send_array(v, out),
        // Who answers a client has put the label in its place.
        Value::Enum(v) => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Record(v) => {
            out.extend_from_slice(&(v.len() as i32).to_be_bytes());
            for column in v.iter() {
                let ty = natural_type(column);
                out.extend_from_slice(&ty.0.to_be_bytes());
                send_sized(ty, column, out);
            }
        }
    }
}

/// Appends the length (-1 for NULL) and the wire form.
pub fn send_sized(ty: TypeId, value: &Value, out: &mut Vec<u8>) {
    if value.is_null() {
        out.extend_from_slice(&(-1i32).to_be_bytes());
        return;
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    send(ty, value, out);
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn send_array(array: &Array, out: &mut Vec<u8>) {
    let dimensions: &[ArrayDimension] = if array.elements.is_empty() { &[] } else { &array.dimensions };
    let has_null = array.elements.iter().any(Value::is_null);
    out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&array.element.0.to_be_bytes());
    for dimension in dimensions {
        out.extend_from_slice(&dimension.length.to_be_bytes());
        out.extend_from_slice(&dimension.lower.to_be_bytes());
    }
    array.elements.iter().for_each(|element| send_sized(array.element, element, out));
}

/// Takes fixed pieces from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(*head)
    }

    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(head)
    }

    /// A value with its length; `None` is NULL.
    fn sized(&mut self) -> Result<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map_err(|_| insufficient())
                .and_then(|length| self.bytes(length))
                .map(Some),
        }
    }

    fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(incorrect("incorrect binary data format")) }
    }
}

/// How deep arrays and rows may be nested in what a client sends.
const MAX_DEPTH: usize = 32;

/// The value of type `ty` in a wire form, fitted to `typmod` (-1: none).
///
/// # Errors
/// 08P01 when bytes are missing, 22P03 for what is no such value, 22021 for text that is not UTF-8,
/// 0A000 for types that have no binary input here.
pub fn receive(ty: TypeId, typmod: i32, bytes: &[u8]) -> Result<Value> {
    receive_nested(ty, typmod, bytes, 0)
}

fn receive_nested(ty: TypeId, typmod: i32, bytes: &[u8], depth: usize) -> Result<Value> {
    let mut reader = Reader(bytes);
    let value = match ty {
        TypeId::BOOL => Value::Bool(reader.array::<1>()? != [0]),
        TypeId::INT2 => Value::Int2(i16::from_be_bytes(reader.array()?)),
        TypeId::INT4 => Value::Int4(reader.i32()?),
        TypeId::INT8 => Value::Int8(reader.i64()?),
        TypeId::FLOAT4 => Value::Float4(f32::from_be_bytes(reader.array()?)),
        TypeId::FLOAT8 => Value::Float8(f64::from_be_bytes(reader.array()?)),
        TypeId::OID | TypeId::XID => Value::Oid(u32::from_be_bytes(reader.array()?)),
        _ if ty.is_object_name() => Value::Oid(u32::from_be_bytes(reader.array()?)),
        TypeId::UUID => Value::Uuid(Arc::new(reader.array()?)),
        TypeId::DATE => receive_date(reader.i32()?)?,
        TypeId::TIME => match reader.i64()? {
            time @ 0..=datetime::DAY_US => Value::Time(time),
            _ => return Err(SqlError::new(sqlstate::DATETIME_FIELD_OVERFLOW, "time out of range")),
        },
        TypeId::TIMESTAMP => Value::Timestamp(receive_timestamp(reader.i64()?)?),
        TypeId::TIMESTAMPTZ => Value::Timestamptz(receive_timestamp(reader.i64()?)?),
        TypeId::INTERVAL => {
            let (microseconds, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
            Value::Interval(Arc::new(Interval { months, days, microseconds }))
        }
        TypeId::CHAR => Value::Text(text_io::format_char(reader.array::<1>()?[0])),
        _ => return receive_variable(ty, typmod, bytes, depth),
    };
    reader.end()?;
    typmod::fit(ty, typmod, value, false)
}

fn receive_date(days: i32) -> Result<Value> {
    if datetime::is_infinite_date(days) || (datetime::DATE_MIN..=datetime::DATE_MAX).contains(&days) {
        return Ok(Value::Date(days));
    }
    Err(datetime::date_out_of_range())
}

fn receive_timestamp(micros: i64) -> Result<i64> {
    if datetime::is_infinite_timestamp(micros) || datetime::is_valid_timestamp(micros) {
        return Ok(micros);
    }
    Err(datetime::timestamp_out_of_range())
}

/// The types whose values take all bytes there are.
fn receive_variable(ty: TypeId, typmod: i32, bytes: &[u8], depth: usize) -> Result<Value> {
    let value = match ty {
        TypeId::TEXT | TypeId::VARCHAR | TypeId::BPCHAR | TypeId::UNKNOWN | TypeId::REFCURSOR => {
            Value::Text(EcoString::from(utf8(bytes)?))
        }
        TypeId::NAME => Value::text(text_io::truncate_name(utf8(bytes)?)),
        TypeId::BYTEA => Value::bytea(bytes),
        TypeId::NUMERIC => Value::Numeric(Arc::new(Numeric::receive(bytes)?)),
        TypeId::JSON => {
            let text = utf8(bytes)?;
            Jsonb::validate(text)?;
            Value::text(text)
        }
        TypeId::JSONPATH => match bytes.split_first() {
            Some((1, text)) => Value::text(JsonPath::parse(utf8(text)?)?.text()),
            Some((version, _)) => {
                let message = format!("unsupported jsonpath version number: {version}");
                return Err(SqlError::new(sqlstate::INTERNAL_ERROR, message));
            }
            None => return Err(insufficient()),
        },
        TypeId::JSONB => match bytes.split_first() {
            Some((1, text)) => Value::Jsonb(Arc::new(Jsonb::parse(utf8(text)?)?)),
            Some((version, _)) => {
                return Err(SqlError::new(
                    sqlstate::INTERNAL_ERROR,
                    format!("unsupported jsonb version number {version}"),
                ));
            }
            None => return Err(insufficient()),
        },
        TypeId::VOID => Value::text(""),
        // The label; who knows the catalogue makes a value of it.
        _ if ty.is_enum() => Value::Text(EcoString::from(utf8(bytes)?)),
        TypeId::RECORD => {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "input of anonymous composite types is not implemented",
            ));
        }
        _ => match ty.element() {
            Some(element) => return receive_array(element, typmod, bytes, depth),
            None => return Err(SqlError::unsupported(format_args!("binary input of {ty}"))),
        },
    };
    typmod::fit(ty, typmod, value, false)
}

fn receive_array(element: TypeId, typmod: i32, bytes: &[u8], depth: usize) -> Result<Value> {
    if depth >= MAX_DEPTH {
        return Err(SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    let mut reader = Reader(bytes);
    let count = reader.i32()?;
    let flags = reader.i32()?;
    let sent = TypeId(u32::from_be_bytes(reader.array()?));
    let count =
        usize::try_from(count).map_err(|_| incorrect(format!("invalid number of dimensions: {count}")))?;
    if count > MAX_DIMENSIONS {
        return Err(SqlError::new(
            sqlstate::PROGRAM_LIMIT_EXCEEDED,
            format!("number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
        ));
    }
    if !matches!(flags, 0 | 1) {
        return Err(incorrect("invalid array flags"));
    }
    if sent != element {
        return Err(SqlError::new(
            sqlstate::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {} ({sent}) instead of expected {} ({element})",
                sent.0, element.0
            ),
        ));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut size = i64::from(count > 0);
    for _ in 0..count {
        let (length, lower) = (reader.i32()?, reader.i32()?);
        size = size.saturating_mul(i64::from(length.max(0)));
        dimensions.push(ArrayDimension { length, lower });
    }
    // Each element takes at least the four bytes of its length.
    if size > (reader.0.len() / 4) as i64 {
        return Err(insufficient());
    }
    let mut elements = Vec::with_capacity(size as usize);
    for _ in 0..size {
        elements.push(match reader.sized()? {
            Some(bytes) => receive_nested(element, typmod, bytes, depth + 1)?,
            None => Value::Null,
        });
    }
    reader.end()?;
    if size == 0 {
        dimensions.clear();
    }
    Ok(Value::Array(Arc::new(Array { element, dimensions, elements })))
}
