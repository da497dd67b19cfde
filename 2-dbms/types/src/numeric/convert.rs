//! Conversions between `numeric` and integers and floats.

use super::{Numeric, Repr};
use crate::error::{Result, SqlError};
use crate::{TypeId, sqlstate};

impl From<i16> for Numeric {
    fn from(value: i16) -> Numeric {
        Numeric::small(i128::from(value), 0)
    }
}

impl From<i32> for Numeric {
    fn from(value: i32) -> Numeric {
        Numeric::small(i128::from(value), 0)
    }
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::small(i128::from(value), 0)
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::small(value, 0)
    }
}

impl From<u64> for Numeric {
    fn from(value: u64) -> Numeric {
        Numeric::small(i128::from(value), 0)
    }
}

/// As C's `%.*g`, which PostgreSQL goes through: `digits` significant digits, no zeros at the end.
fn from_float(value: f64, digits: usize) -> Result<Numeric> {
    if value.is_nan() {
        return Ok(Numeric::NAN);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 { Numeric::INFINITY } else { Numeric::NEGATIVE_INFINITY });
    }
    let precision = digits - 1;
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    Numeric::parse(&format!("{mantissa}e{exponent}"))
}

impl Numeric {
    /// The number that PostgreSQL makes of a `double precision`: its first 15 digits.
    ///
    /// # Errors
    /// None in practice: every float is in range.
    pub fn from_f64(value: f64) -> Result<Numeric> {
        from_float(value, 15)
    }

    /// The number that PostgreSQL makes of a `real`: its first 6 digits.
    ///
    /// # Errors
    /// None in practice: every float is in range.
    pub fn from_f32(value: f32) -> Result<Numeric> {
        from_float(f64::from(value), 6)
    }

    /// The nearest integer, halves away from zero; `None` where 128 bits do not hold it.
    fn to_integer(&self, ty: TypeId) -> Result<Option<i128>> {
        let cannot = |what: &str| {
            let message = format!("cannot convert {what} to {ty}");
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        };
        match &self.0 {
            Repr::Small { unscaled, scale: 0 } => Ok(Some(*unscaled)),
            Repr::Small { .. } | Repr::Big { .. } => match self.round(0)?.0 {
                Repr::Small { unscaled, .. } => Ok(Some(unscaled)),
                _ => Ok(None),
            },
            Repr::NaN => cannot("NaN"),
            Repr::Infinity | Repr::NegativeInfinity => cannot("infinity"),
        }
    }

    fn narrow<T: TryFrom<i128>>(&self, ty: TypeId) -> Result<T> {
        let integer = self.to_integer(ty)?.and_then(|integer| T::try_from(integer).ok());
        integer
            .ok_or_else(|| SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range")))
    }

    /// The nearest `smallint`.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and infinities.
    pub fn to_i16(&self) -> Result<i16> {
        self.narrow(TypeId::INT2)
    }

    /// The nearest `integer`.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and infinities.
    pub fn to_i32(&self) -> Result<i32> {
        self.narrow(TypeId::INT4)
    }

    /// The nearest `bigint`.
    ///
    /// # Errors
    /// 22003 out of range, 0A000 for NaN and infinities.
    pub fn to_i64(&self) -> Result<i64> {
        self.narrow(TypeId::INT8)
    }

    /// The nearest `double precision`.
    ///
    /// # Errors
    /// 22003 beyond its range.
    pub fn to_f64(&self) -> Result<f64> {
        match &self.0 {
            // Both exact: the quotient is rounded once.
            Repr::Small { unscaled, scale } if unscaled.unsigned_abs() < 1 << 53 && *scale <= 22 => {
                Ok(*unscaled as f64 / 10f64.powi(*scale as i32))
            }
            _ => crate::text_io::parse_float8(&self.to_string()),
        }
    }

    /// The nearest `real`.
    ///
    /// # Errors
    /// 22003 beyond its range.
    pub fn to_f32(&self) -> Result<f32> {
        crate::text_io::parse_float4(&self.to_string())
    }
}
