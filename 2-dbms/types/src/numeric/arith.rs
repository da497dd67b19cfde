//! Sums, products, quotients, rounding and typmods, with PostgreSQL's result scales.

use num_bigint::BigInt;

use super::text::overflow;
use super::{MAX_INTEGER_DIGITS, MAX_PRECISION, MAX_SCALE, Numeric, Repr, pow10, pow10_i128};
use crate::error::{Result, SqlError};
use crate::sqlstate;

/// Significant digits that a quotient has at least.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// Most digits after the point that PostgreSQL chooses by itself.
pub(super) const MAX_DISPLAY_SCALE: i64 = 1000;
/// Decimal digits in a digit of PostgreSQL's own base, 10000; result scales depend on it.
pub(super) const BASE_DIGITS: i64 = 4;

pub(super) fn division_by_zero() -> SqlError {
    SqlError::new(sqlstate::DIVISION_BY_ZERO, "division by zero")
}

/// A number checked against the type's limits.
pub(super) fn checked(unscaled: BigInt, scale: u32) -> Result<Numeric> {
    let number = Numeric::new(unscaled, scale);
    if let Repr::Big { unscaled, scale } = &number.0 {
        // 3.33 bits a digit: only huge numbers need their digits counted.
        let may_overflow =
            unscaled.bits() > (u64::from(MAX_INTEGER_DIGITS) + u64::from(*scale)) * 3321 / 1000;
        if may_overflow && *unscaled.magnitude() >= *pow10(MAX_INTEGER_DIGITS + scale).magnitude() {
            return Err(overflow());
        }
    }
    Ok(number)
}

/// The nearest integer to `value / divisor`, halves away from zero.
pub(super) fn divide_rounded(value: &BigInt, divisor: &BigInt) -> BigInt {
    let half: BigInt = divisor.magnitude().clone().into();
    let twice: BigInt = value.magnitude().clone().into();
    let magnitude: BigInt = (twice * 2 + &half) / (half * 2);
    let negative = (value.sign() == num_bigint::Sign::Minus) != (divisor.sign() == num_bigint::Sign::Minus);
    if negative { -magnitude } else { magnitude }
}

impl Numeric {
    /// Both numbers' digits at their larger scale; `None` unless both are finite.
    fn aligned(&self, other: &Numeric) -> Option<(BigInt, BigInt, u32)> {
        let ((a, s), (b, t)) = (self.parts()?, other.parts()?);
        Some(match s.cmp(&t) {
            std::cmp::Ordering::Less => (a * pow10(t - s), b, t),
            std::cmp::Ordering::Equal => (a, b, s),
            std::cmp::Ordering::Greater => (a, b * pow10(s - t), s),
        })
    }

    fn small_aligned(&self, other: &Numeric) -> Option<(i128, i128, u32)> {
        let (Repr::Small { unscaled: a, scale: s }, Repr::Small { unscaled: b, scale: t }) =
            (&self.0, &other.0)
        else {
            return None;
        };
        if s == t {
            return Some((*a, *b, *s));
        }
        if s < t {
            return Some((a.checked_mul(pow10_i128(t - s)?)?, *b, *t));
        }
        Some((*a, b.checked_mul(pow10_i128(s - t)?)?, *s))
    }

    /// The sum; its scale is the larger one.
    ///
    /// # Errors
    /// 22003 beyond the type's limits.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = self.small_aligned(other)
            && let Some(sum) = a.checked_add(b)
        {
            return Ok(Numeric::small(sum, scale));
        }
        if let Some((a, b, scale)) = self.aligned(other) {
            return checked(a + b, scale);
        }
        Ok(match (self.is_nan() || other.is_nan(), self.is_infinite(), other.is_infinite()) {
            (true, ..) => Numeric::NAN,
            (_, true, true) if self.signum() != other.signum() => Numeric::NAN,
            (_, true, _) => self.clone(),
            _ => other.clone(),
        })
    }

    /// The difference; its scale is the larger one.
    ///
    /// # Errors
    /// 22003 beyond the type's limits.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = self.small_aligned(other)
            && let Some(difference) = a.checked_sub(b)
        {
            return Ok(Numeric::small(difference, scale));
        }
        self.add(&other.neg())
    }

    /// The product; its scale is the sum of the scales, cut at the type's limit.
    ///
    /// # Errors
    /// 22003 beyond the type's limits.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Repr::Small { unscaled: a, scale: s }, Repr::Small { unscaled: b, scale: t }) =
            (&self.0, &other.0)
            && let Some(product) = a.checked_mul(*b)
            && s + t <= MAX_SCALE
        {
            return Ok(Numeric::small(product, s + t));
        }
        if let (Some((a, s)), Some((b, t))) = (self.parts(), other.parts()) {
            let product = a * b;
            if s + t > MAX_SCALE {
                return checked(divide_rounded(&product, &pow10(s + t - MAX_SCALE)), MAX_SCALE);
            }
            return checked(product, s + t);
        }
        Ok(match (self.signum(), other.signum()) {
            (Some(a), Some(b)) => from_sign(a * b),
            _ => Numeric::NAN,
        })
    }

    /// The position of the first digit and its value in base 10000, as PostgreSQL weighs numbers.
    pub(super) fn base_weight(&self) -> (i64, i64) {
        if let Repr::Small { unscaled, scale } = &self.0 {
            let magnitude = unscaled.unsigned_abs();
            let Some(digits) = magnitude.checked_ilog10() else { return (0, 0) };
            let position = i64::from(digits) - i64::from(*scale);
            let length = position.rem_euclid(BASE_DIGITS) as u32 + 1;
            let first = match digits + 1 {
                have if have >= length => magnitude / 10u128.pow(have - length),
                have => magnitude * 10u128.pow(length - have),
            };
            return (position.div_euclid(BASE_DIGITS), first as i64);
        }
        let Some((digits, exponent)) = self.significant_digits() else { return (0, 0) };
        if digits.is_empty() {
            return (0, 0);
        }
        // `0.digits * 10^exponent`: the first digit stands at `exponent - 1`.
        let position = exponent - 1;
        let weight = position.div_euclid(BASE_DIGITS);
        let length = (position.rem_euclid(BASE_DIGITS) + 1) as usize;
        let first: i64 = format!("{digits:0<4}")[..length].parse().unwrap_or(0);
        (weight, first)
    }

    /// The scale of a quotient (`select_div_scale`): at least 16 significant digits, and no scale
    /// below either operand's.
    fn division_scale(&self, divisor: &Numeric) -> u32 {
        let ((weight1, first1), (weight2, first2)) = (self.base_weight(), divisor.base_weight());
        let mut weight = weight1 - weight2;
        if first1 <= first2 {
            weight -= 1;
        }
        let scales = i64::from(self.scale().unwrap_or(0).max(divisor.scale().unwrap_or(0)));
        (MIN_SIGNIFICANT_DIGITS - weight * BASE_DIGITS).max(scales).clamp(0, MAX_DISPLAY_SCALE) as u32
    }

    /// The quotient, rounded to PostgreSQL's choice of scale.
    ///
    /// # Errors
    /// 22012 for a divisor of zero, 22003 beyond the type's limits.
    pub fn div(&self, divisor: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !divisor.is_finite() {
            return self.div_special(divisor);
        }
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        self.div_to_scale(divisor, self.division_scale(divisor))
    }

    /// The quotient of finite numbers with `scale` digits after the point.
    pub(super) fn div_to_scale(&self, divisor: &Numeric, scale: u32) -> Result<Numeric> {
        if let (Repr::Small { unscaled: a, scale: s }, Repr::Small { unscaled: b, scale: t }) =
            (&self.0, &divisor.0)
            && let Some(power) = (scale + t).checked_sub(*s).and_then(pow10_i128)
            && let Some(dividend) = a.checked_mul(power)
            && let Some(quotient) = round_i128(dividend, *b)
        {
            return Ok(Numeric::small(quotient, scale));
        }
        let (Some((a, s)), Some((b, t))) = (self.parts(), divisor.parts()) else { return Ok(Numeric::NAN) };
        let quotient = if scale + t >= s {
            divide_rounded(&(a * pow10(scale + t - s)), &b)
        } else {
            divide_rounded(&a, &(b * pow10(s - scale - t)))
        };
        checked(quotient, scale)
    }

    fn div_special(&self, divisor: &Numeric) -> Result<Numeric> {
        let (Some(a), Some(b)) = (self.signum(), divisor.signum()) else { return Ok(Numeric::NAN) };
        match (self.is_infinite(), divisor.is_infinite()) {
            (true, true) => Ok(Numeric::NAN),
            (true, false) if b == 0 => Err(division_by_zero()),
            (true, false) => Ok(from_sign(a * b)),
            _ => Ok(Numeric::ZERO),
        }
    }

    /// The quotient without its fraction (`div(a, b)`).
    ///
    /// # Errors
    /// 22012 for a divisor of zero.
    pub fn div_trunc(&self, divisor: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !divisor.is_finite() {
            return self.div_special(divisor);
        }
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        match self.aligned(divisor) {
            Some((a, b, _)) => checked(a / b, 0),
            None => Ok(Numeric::NAN),
        }
    }

    /// The remainder, with the sign of the dividend.
    ///
    /// # Errors
    /// 22012 for a divisor of zero.
    pub fn rem(&self, divisor: &Numeric) -> Result<Numeric> {
        if self.is_nan() || divisor.is_nan() {
            return Ok(Numeric::NAN);
        }
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        if self.is_infinite() {
            return Ok(Numeric::NAN);
        }
        if let Some((a, b, scale)) = self.small_aligned(divisor) {
            // -1 is the one divisor whose quotient may overflow.
            return Ok(Numeric::small(if b == -1 { 0 } else { a % b }, scale));
        }
        match self.aligned(divisor) {
            Some((a, b, scale)) => checked(a % b, scale),
            None => Ok(self.clone()),
        }
    }

    /// The number with the opposite sign.
    #[must_use]
    pub fn neg(&self) -> Numeric {
        match &self.0 {
            Repr::Small { unscaled, scale } => match unscaled.checked_neg() {
                Some(unscaled) => Numeric::small(unscaled, *scale),
                None => Numeric::new(-BigInt::from(*unscaled), *scale),
            },
            Repr::Big { unscaled, scale } => Numeric::new(-unscaled.clone(), *scale),
            Repr::NaN => Numeric::NAN,
            Repr::Infinity => Numeric::NEGATIVE_INFINITY,
            Repr::NegativeInfinity => Numeric::INFINITY,
        }
    }

    /// The number without its sign.
    #[must_use]
    pub fn abs(&self) -> Numeric {
        if self.signum() == Some(-1) { self.neg() } else { self.clone() }
    }

    /// `-1`, `0`, `1` or NaN as a number.
    #[must_use]
    pub fn sign(&self) -> Numeric {
        self.signum().map_or(Numeric::NAN, |sign| Numeric::small(i128::from(sign), 0))
    }

    /// Rounds to `digits` digits after the point (before it when negative), halves away from zero.
    ///
    /// # Errors
    /// 22003 when rounding up needs a digit too many.
    pub fn round(&self, digits: i32) -> Result<Numeric> {
        if let (Repr::Small { unscaled, scale }, Ok(shown)) = (&self.0, u32::try_from(digits))
            && let Some(power) = scale.checked_sub(shown).and_then(pow10_i128)
            && let Some(rounded) = round_i128(*unscaled, power)
        {
            return Ok(Numeric::small(rounded, shown));
        }
        self.cut(digits, divide_rounded)
    }

    /// Cuts after `digits` digits after the point (before it when negative).
    ///
    /// # Errors
    /// None in practice; the type is that of [`Numeric::round`].
    pub fn trunc(&self, digits: i32) -> Result<Numeric> {
        self.cut(digits, |value, divisor| value / divisor)
    }

    fn cut(&self, digits: i32, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Result<Numeric> {
        let Some((unscaled, scale)) = self.parts() else { return Ok(self.clone()) };
        // PostgreSQL's limits on what may be asked for.
        let digits = digits.clamp(-(MAX_INTEGER_DIGITS as i32) - 1, MAX_SCALE as i32);
        let shown = digits.max(0) as u32;
        let drop = i64::from(scale) - i64::from(digits);
        if drop <= 0 {
            return self.with_scale(shown);
        }
        let cut = divide(&unscaled, &pow10(drop as u32));
        let restored = if digits < 0 { cut * pow10(digits.unsigned_abs()) } else { cut };
        checked(restored, shown)
    }

    /// The number shown with `scale` digits after the point; zeros are added or digits rounded away.
    pub(super) fn with_scale(&self, scale: u32) -> Result<Numeric> {
        match &self.0 {
            Repr::Small { unscaled, scale: old } if *old <= scale => {
                match pow10_i128(scale - old).and_then(|power| unscaled.checked_mul(power)) {
                    Some(unscaled) => Ok(Numeric::small(unscaled, scale)),
                    None => checked(BigInt::from(*unscaled) * pow10(scale - old), scale),
                }
            }
            Repr::Big { unscaled, scale: old } if *old <= scale => {
                checked(unscaled * pow10(scale - old), scale)
            }
            Repr::Small { .. } | Repr::Big { .. } => self.round(scale as i32),
            _ => Ok(self.clone()),
        }
    }

    /// The smallest integer that is not below.
    ///
    /// # Errors
    /// 22003 when that needs a digit too many.
    pub fn ceil(&self) -> Result<Numeric> {
        let whole = self.trunc(0)?;
        if whole < *self { whole.add(&Numeric::ONE) } else { Ok(whole) }
    }

    /// The largest integer that is not above.
    ///
    /// # Errors
    /// 22003 when that needs a digit too many.
    pub fn floor(&self) -> Result<Numeric> {
        let whole = self.trunc(0)?;
        if whole > *self { whole.sub(&Numeric::ONE) } else { Ok(whole) }
    }

    /// The least scale that shows the number (`min_scale`); `None` for NaN and infinities.
    pub fn min_scale(&self) -> Option<u32> {
        let (digits, exponent) = self.significant_digits()?;
        Some((digits.len() as i64 - exponent).max(0) as u32)
    }

    /// The number without zeros at the end of its fraction.
    ///
    /// # Errors
    /// None in practice.
    pub fn trim_scale(&self) -> Result<Numeric> {
        match self.min_scale() {
            Some(scale) => self.trunc(scale as i32),
            None => Ok(self.clone()),
        }
    }

    /// The number as `numeric(precision, scale)` keeps it.
    ///
    /// # Errors
    /// 22003, `numeric field overflow`, when it has too many digits.
    pub fn with_typmod(&self, typmod: i32) -> Result<Numeric> {
        let Some((precision, scale)) = typmod_parts(typmod) else { return Ok(self.clone()) };
        let field_overflow = |detail: String| {
            Err(SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(detail))
        };
        if !self.is_finite() {
            if self.is_nan() {
                return Ok(self.clone());
            }
            return field_overflow(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            ));
        }
        let rounded = self.round(scale)?;
        let integer_digits = precision - scale;
        let exponent = rounded.significant_digits().map_or(0, |(_, exponent)| exponent);
        if !rounded.is_zero() && exponent > i64::from(integer_digits) {
            let limit = if integer_digits == 0 { "1".to_owned() } else { format!("10^{integer_digits}") };
            return field_overflow(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            ));
        }
        Ok(rounded)
    }
}

/// The infinity of a sign; NaN for zero.
fn from_sign(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NAN,
        1 => Numeric::INFINITY,
        _ => Numeric::NEGATIVE_INFINITY,
    }
}

/// The nearest integer to `a / b`, halves away from zero.
fn round_i128(a: i128, b: i128) -> Option<i128> {
    let quotient = a.checked_div(b)?;
    let rest = (a % b).unsigned_abs();
    let up = rest >= b.unsigned_abs() - rest;
    let away = if (a < 0) == (b < 0) { 1 } else { -1 };
    if up && rest != 0 { quotient.checked_add(away) } else { Some(quotient) }
}

/// The typmod of `numeric(precision, scale)`.
///
/// # Errors
/// 22023 for a precision or scale outside the type's limits.
pub fn make_typmod(precision: i32, scale: i32) -> Result<i32> {
    if !(1..=MAX_PRECISION).contains(&precision) {
        return Err(SqlError::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}"),
        ));
    }
    if !(-MAX_PRECISION..=MAX_PRECISION).contains(&scale) {
        return Err(SqlError::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("NUMERIC scale {scale} must be between -{MAX_PRECISION} and {MAX_PRECISION}"),
        ));
    }
    Ok((precision << 16 | (scale & 0x7ff)) + 4)
}

/// Precision and scale of a typmod; `None` for none.
pub fn typmod_parts(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale has eleven bits with a sign.
    Some((packed >> 16, ((packed & 0x7ff) ^ 1024) - 1024))
}
