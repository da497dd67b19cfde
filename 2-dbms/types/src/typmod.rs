//! Typmods: the parameters of a type, such as `varchar(10)`, packed in an `i32` as PostgreSQL packs them.
//!
//! -1 is none. Texts have the length plus 4, `numeric` precision and scale plus 4
//! ([`numeric::make_typmod`]), times their digits, intervals a mask of fields and their digits.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::error::Result;
use crate::{Array, TypeId, Value, datetime, numeric, text_io};

/// `value` of type `ty` as a column of that type with `typmod` keeps it: rounded, cut, filled up.
///
/// # Errors
/// 22001 for text that is too long (in an explicit cast it is cut), 22003 for numbers with too many
/// digits.
pub fn fit(ty: TypeId, typmod: i32, value: Value, explicit: bool) -> Result<Value> {
    if typmod < 0 {
        return Ok(value);
    }
    Ok(match value {
        Value::Text(text) if matches!(ty, TypeId::VARCHAR | TypeId::BPCHAR) => {
            Value::Text(text_io::fit_length(ty, typmod, text, explicit)?)
        }
        Value::Numeric(number) => Value::Numeric(Arc::new(number.with_typmod(typmod)?)),
        Value::Time(time) => Value::Time(datetime::round_microseconds(time, typmod)),
        Value::Timestamp(time) => Value::Timestamp(fit_timestamp(time, typmod)?),
        Value::Timestamptz(time) => Value::Timestamptz(fit_timestamp(time, typmod)?),
        Value::Interval(interval) => Value::Interval(Arc::new(datetime::fit_interval(*interval, typmod))),
        Value::Array(array) => {
            let element = array.element;
            let fitted = array.elements.iter().map(|item| fit(element, typmod, item.clone(), explicit));
            let elements = fitted.collect::<Result<_>>()?;
            Value::Array(Arc::new(Array { element, dimensions: array.dimensions.clone(), elements }))
        }
        other => other,
    })
}

fn fit_timestamp(micros: i64, typmod: i32) -> Result<i64> {
    let rounded = datetime::round_microseconds(micros, typmod);
    if datetime::is_infinite_timestamp(rounded) || datetime::is_valid_timestamp(rounded) {
        Ok(rounded)
    } else {
        Err(datetime::timestamp_out_of_range())
    }
}

/// The type with its parameters as `format_type` shows it: `numeric(10,2)`,
/// `timestamp(3) without time zone`, `character varying(5)[]`.
pub fn format_type(ty: TypeId, typmod: i32) -> String {
    let is_vector = matches!(ty, TypeId::INT2VECTOR | TypeId::OIDVECTOR);
    if let Some(element) = ty.element().filter(|_| !is_vector) {
        return format!("{}[]", format_type(element, typmod));
    }
    let name = ty.to_string();
    if typmod < 0 {
        // Only `character` means something else without its length: `character(1)`.
        return if ty == TypeId::BPCHAR { "bpchar".into() } else { name };
    }
    match ty {
        TypeId::VARCHAR | TypeId::BPCHAR if typmod >= 4 => format!("{name}({})", typmod - 4),
        TypeId::NUMERIC => match numeric::typmod_parts(typmod) {
            Some((precision, scale)) => format!("numeric({precision},{scale})"),
            None => name,
        },
        TypeId::TIME | TypeId::TIMESTAMP | TypeId::TIMESTAMPTZ => {
            let (first, rest) = name.split_once(' ').unwrap_or((&name, ""));
            format!("{first}({typmod}) {rest}")
        }
        TypeId::INTERVAL => format_interval_type(typmod),
        _ => name,
    }
}

fn format_interval_type(typmod: i32) -> String {
    const FIELDS: [(i32, &str); 6] =
        [(2, "year"), (1, "month"), (3, "day"), (10, "hour"), (11, "minute"), (12, "second")];
    let (range, precision) = ((typmod >> 16) & 0x7fff, typmod & 0xffff);
    let mut text = String::from("interval");
    if range != 0x7fff {
        let mut named = FIELDS.iter().filter(|(bit, _)| range >> bit & 1 == 1).map(|(_, name)| *name);
        // Writing to a string cannot fail.
        if let Some(first) = named.next() {
            let _ = write!(text, " {first}");
        }
        if let Some(last) = named.next_back() {
            let _ = write!(text, " to {last}");
        }
    }
    if precision != 0xffff {
        let _ = write!(text, "({precision})");
    }
    text
}
