//! Arguments and columns on the wire: binary wherever a type has a binary form here, text otherwise.

use tuplix_types::text_io::{self, IoContext};
use tuplix_types::{Result, SqlError, TypeId, Value, binary_io, sqlstate};

/// The protocol's number for text.
pub(crate) const TEXT: i16 = 0;

/// The protocol's number for binary.
pub(crate) const BINARY: i16 = 1;

/// Whether values of this type are read and written in binary. Types that users created, row values and
/// pseudo-types are not: what is in them only the server's catalogue knows.
fn has_binary(ty: TypeId) -> bool {
    let scalar = |ty: TypeId| {
        let pseudo = matches!(
            ty,
            TypeId::UNKNOWN
                | TypeId::RECORD
                | TypeId::ANY
                | TypeId::ANYARRAY
                | TypeId::VOID
                | TypeId::TRIGGER
                | TypeId::CSTRING
        );
        // No binary form, or one that is not read here.
        let text_only = matches!(ty, TypeId::PG_NODE_TREE | TypeId::ACLITEM | TypeId::INET);
        !pseudo && !text_only && TypeId::BUILT_IN.contains(&ty)
    };
    scalar(ty) || ty.element().is_some_and(scalar)
}

/// The format in which a column of this type is asked for.
pub(crate) fn column_format(ty: TypeId) -> i16 {
    if has_binary(ty) { BINARY } else { TEXT }
}

/// The value in a column's bytes. What has no text form here stays text.
pub(crate) fn decode(ty: TypeId, format: i16, bytes: &[u8], ctx: &IoContext) -> Result<Value> {
    if format == BINARY {
        return binary_io::receive(ty, -1, bytes);
    }
    let text = binary_io::utf8(bytes)?;
    // The text of a reg... type is a name, which only the server can look up.
    if !has_binary(ty) || ty.is_object_name() || ty.element().is_some_and(TypeId::is_object_name) {
        return Ok(Value::text(text));
    }
    text_io::parse_text(ty, -1, text, ctx)
}

/// Appends an argument for a parameter of type `ty`; its format.
///
/// Integers are widened and narrowed where they fit; text goes as text to a parameter of any type, as an unknown literal
/// would; everything goes as text to parameters of types that users created, domains for example.
///
/// # Errors
/// 22003 for an integer that does not fit, 42804 for a value of another type.
pub(crate) fn encode(
    number: usize,
    ty: TypeId,
    value: &Value,
    ctx: &IoContext,
    out: &mut Vec<u8>,
) -> Result<i16> {
    let natural = binary_io::natural_type(value);
    let same = natural == ty
        || (natural == TypeId::TEXT && (ty.is_text_like() || ty == TypeId::JSON))
        || (natural == TypeId::OID && ty.is_object_name());
    if same && has_binary(ty) {
        binary_io::send(ty, value, out);
        return Ok(BINARY);
    }
    match value {
        Value::Null => Ok(BINARY),
        Value::Text(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(TEXT)
        }
        _ if !has_binary(ty) => {
            out.extend_from_slice(text_io::to_text(natural, value, ctx).as_bytes());
            Ok(TEXT)
        }
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => encode_integer(number, ty, value, out),
        _ => Err(mismatch(number, ty, natural)),
    }
}

fn encode_integer(number: usize, ty: TypeId, value: &Value, out: &mut Vec<u8>) -> Result<i16> {
    let integer = value.as_i64().unwrap_or_default();
    let out_of_range = |_| SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"));
    match ty {
        TypeId::INT2 => out.extend_from_slice(&i16::try_from(integer).map_err(out_of_range)?.to_be_bytes()),
        TypeId::INT4 => out.extend_from_slice(&i32::try_from(integer).map_err(out_of_range)?.to_be_bytes()),
        TypeId::INT8 => out.extend_from_slice(&integer.to_be_bytes()),
        TypeId::NUMERIC => {
            out.extend_from_slice(integer.to_string().as_bytes());
            return Ok(TEXT);
        }
        _ => return Err(mismatch(number, ty, binary_io::natural_type(value))),
    }
    Ok(BINARY)
}

fn mismatch(number: usize, expected: TypeId, given: TypeId) -> SqlError {
    let message =
        format!("parameter ${} is of type {expected} but the argument is of type {given}", number + 1);
    SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn encoded(ty: TypeId, value: &Value) -> Result<(i16, Vec<u8>)> {
        let mut out = Vec::new();
        encode(0, ty, value, &IoContext::default(), &mut out).map(|format| (format, out))
    }

    #[test]
    fn integers_take_the_width_of_the_parameter() {
        assert_eq!(encoded(TypeId::INT8, &Value::Int4(-1)).unwrap(), (BINARY, vec![255; 8]));
        assert_eq!(encoded(TypeId::INT2, &Value::Int8(7)).unwrap(), (BINARY, vec![0, 7]));
        assert_eq!(encoded(TypeId::INT2, &Value::Int4(40_000)).unwrap_err().sqlstate().as_str(), "22003");
        assert_eq!(encoded(TypeId::BOOL, &Value::Int4(1)).unwrap_err().sqlstate().as_str(), "42804");
    }

    #[test]
    fn text_goes_to_every_type() {
        assert_eq!(encoded(TypeId(16_400), &Value::text("red")).unwrap(), (TEXT, b"red".to_vec()));
        assert_eq!(encoded(TypeId::TEXT, &Value::text("red")).unwrap(), (BINARY, b"red".to_vec()));
        assert_eq!(encoded(TypeId::INT4, &Value::text("7")).unwrap(), (TEXT, b"7".to_vec()));
    }

    #[test]
    fn columns_of_unknown_types_stay_text() {
        let ctx = IoContext::default();
        assert_eq!(decode(TypeId(16_400), TEXT, b"red", &ctx).unwrap().as_str(), Some("red"));
        assert_eq!(decode(TypeId::INT4, TEXT, b"12", &ctx).unwrap().as_i64(), Some(12));
        assert_eq!(column_format(TypeId::RECORD), TEXT);
        assert_eq!(column_format(TypeId(1007)), BINARY);
    }
}
