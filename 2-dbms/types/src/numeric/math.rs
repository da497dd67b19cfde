//! Roots, exponentials, logarithms and powers of `numeric`.
//!
//! Result scales are chosen as PostgreSQL chooses them. The functions themselves are computed in
//! binary fixed point ([`Fixed`]) with more bits than the result shows, and rounded once.

use num_bigint::{BigInt, BigUint, Sign};

use super::arith::{BASE_DIGITS, MAX_DISPLAY_SCALE, checked, divide_rounded, division_by_zero};
use super::text::overflow;
use super::{Numeric, Repr, pow10};
use crate::error::{Result, SqlError};
use crate::sqlstate;

const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// No result has more digits than this before or after the point.
const MAX_RESULT_SCALE: f64 = 2000.0;
const LOG10_E: f64 = std::f64::consts::LOG10_E;
const LN_10: f64 = std::f64::consts::LN_10;

fn display_scale(digits: i64, operands: &[&Numeric]) -> u32 {
    let least = operands.iter().map(|number| i64::from(number.scale().unwrap_or(0))).max().unwrap_or(0);
    digits.max(least).clamp(0, MAX_DISPLAY_SCALE) as u32
}

/// The number as a float, infinite beyond the range.
fn to_double(number: &Numeric) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}

/// A number in binary fixed point: `value / 2^bits`.
#[derive(Clone)]
struct Fixed {
    value: BigInt,
    bits: u64,
}

impl Fixed {
    fn one(bits: u64) -> Fixed {
        Fixed { value: BigInt::from(1) << bits, bits }
    }

    fn from_numeric(number: &Numeric, bits: u64) -> Fixed {
        let (unscaled, scale) = number.parts().unwrap_or_default();
        Fixed { value: (unscaled << bits) / pow10(scale), bits }
    }

    fn mul(&self, other: &Fixed) -> Fixed {
        Fixed { value: (&self.value * &other.value) >> self.bits, bits: self.bits }
    }

    fn div(&self, other: &Fixed) -> Fixed {
        Fixed { value: (&self.value << self.bits) / &other.value, bits: self.bits }
    }

    /// Rounded to `scale` decimal digits.
    fn to_numeric(&self, scale: u32) -> Result<Numeric> {
        checked(divide_rounded(&(&self.value * pow10(scale)), &(BigInt::from(1) << self.bits)), scale)
    }

    /// `2 * atanh(x)`, the logarithm of `(1 + x) / (1 - x)`, for small `x`.
    fn double_atanh(x: &Fixed) -> Fixed {
        let square = x.mul(x);
        let mut power = x.value.clone();
        let mut sum = power.clone();
        let mut n = 1u32;
        while power.sign() != Sign::NoSign && power != BigInt::from(-1) {
            power = (power * &square.value) >> x.bits;
            n += 2;
            sum += &power / n;
        }
        Fixed { value: sum * 2, bits: x.bits }
    }

    fn ln_2(bits: u64) -> Fixed {
        // ln 2 = 2 atanh(1/3)
        Fixed::double_atanh(&Fixed { value: (BigInt::from(1) << bits) / 3, bits })
    }

    /// The natural logarithm of a positive number, with so many bits after the point.
    fn ln(&self, bits: u64) -> Fixed {
        // x = m * 2^e with m near 1; m needs no more bits than the result.
        let length = self.value.bits() as i64;
        let exponent = length - self.bits as i64;
        let mut mantissa = Fixed { value: shift(&self.value, bits as i64 - length), bits };
        // Some square roots bring m nearer to 1, where the series is short.
        let roots = 8;
        for _ in 0..roots {
            let root: BigUint = (mantissa.value.magnitude() << bits).sqrt();
            mantissa.value = BigInt::from(root);
        }
        let one = Fixed::one(bits);
        let below = Fixed { value: &mantissa.value - &one.value, bits };
        let above = Fixed { value: &mantissa.value + &one.value, bits };
        let series = Fixed::double_atanh(&below.div(&above));
        let value = (series.value << roots) + Fixed::ln_2(bits).value * exponent;
        Fixed { value, bits }
    }

    /// `e` to this power.
    fn exp(&self) -> Fixed {
        // x = n ln 2 + r; e^x = 2^n e^r.
        let ln_2 = Fixed::ln_2(self.bits);
        let mut n = &self.value / &ln_2.value;
        let mut rest = &self.value - &n * &ln_2.value;
        if rest.sign() == Sign::Minus {
            rest += &ln_2.value;
            n -= 1;
        }
        // A smaller argument makes the series short, squaring makes up for it.
        let squarings = 16;
        let small = Fixed { value: rest >> squarings, bits: self.bits };
        let mut sum = Fixed::one(self.bits);
        let mut term = sum.clone();
        let mut k = 1u32;
        while term.value.sign() != Sign::NoSign {
            term = term.mul(&small);
            term.value /= k;
            sum.value += &term.value;
            k += 1;
        }
        for _ in 0..squarings {
            sum = sum.mul(&sum);
        }
        // Callers keep the result within a few thousand digits.
        let n = i64::try_from(&n).unwrap_or(0);
        Fixed { value: shift(&sum.value, n), bits: self.bits }
    }
}

/// A number in binary floating point, cut to so many bits: `mantissa * 2^exponent`.
#[derive(Clone)]
struct Float {
    mantissa: BigInt,
    exponent: i64,
    bits: u64,
}

impl Float {
    fn cut(mantissa: BigInt, exponent: i64, bits: u64) -> Float {
        let excess = mantissa.bits().saturating_sub(bits);
        Float { mantissa: mantissa >> excess, exponent: exponent + excess as i64, bits }
    }

    fn from_numeric(number: &Numeric, bits: u64) -> Float {
        let (unscaled, scale) = number.parts().unwrap_or_default();
        let divisor = pow10(scale);
        let widen = bits + divisor.bits();
        Float::cut((unscaled << widen) / divisor, -(widen as i64), bits)
    }

    fn mul(&self, other: &Float) -> Float {
        Float::cut(&self.mantissa * &other.mantissa, self.exponent + other.exponent, self.bits)
    }

    /// Square and multiply, from the highest bit of the exponent.
    fn power(&self, exponent: u32) -> Float {
        let mut result = self.clone();
        for bit in (0..exponent.ilog2()).rev() {
            result = result.mul(&result);
            if exponent >> bit & 1 == 1 {
                result = result.mul(self);
            }
        }
        result
    }

    /// The number, or one divided by it, rounded to `scale` digits.
    fn to_numeric(&self, inverse: bool, scale: u32) -> Result<Numeric> {
        let up = shift(&BigInt::from(1), self.exponent.max(0));
        let down = shift(&BigInt::from(1), (-self.exponent).max(0));
        let (numerator, denominator) = (&self.mantissa * up, down);
        let (numerator, denominator) =
            if inverse { (denominator, numerator) } else { (numerator, denominator) };
        checked(divide_rounded(&(numerator * pow10(scale)), &denominator), scale)
    }
}

fn shift(value: &BigInt, by: i64) -> BigInt {
    if by >= 0 { value << by.unsigned_abs() } else { value >> by.unsigned_abs() }
}

/// Bits for so many decimal digits before and after the point, and some to lose.
fn bits_for(digits: i64) -> u64 {
    digits.max(0) as u64 * 3322 / 1000 + 128
}

/// The decimal position of the first digit of `ln(number)` (`estimate_ln_dweight`).
fn ln_weight(number: &Numeric) -> i64 {
    if number.signum() != Some(1) {
        return 0;
    }
    if *number >= Numeric::small(9, 1) && *number <= Numeric::small(11, 1) {
        // ln(1 + x) is about x.
        return match number.sub(&Numeric::ONE).ok().and_then(|x| x.significant_digits()) {
            Some((digits, exponent)) if !digits.is_empty() => exponent - 1,
            _ => 0,
        };
    }
    let Some((digits, exponent)) = number.significant_digits() else { return 0 };
    // The first two digits in base 10000, as PostgreSQL looks at them.
    let (weight, _) = number.base_weight();
    let leading = (exponent - weight * BASE_DIGITS) as usize;
    let mut taken = leading;
    let mut power = weight * BASE_DIGITS;
    if digits.len() > leading {
        taken += 4;
        power -= BASE_DIGITS;
    }
    let first: f64 =
        digits.chars().chain(std::iter::repeat('0')).take(taken).collect::<String>().parse().unwrap_or(1.0);
    let logarithm = first.ln() + power as f64 * LN_10;
    logarithm.abs().log10() as i64
}

/// `ln(number)` with so many digits after the point.
fn ln_to_scale(number: &Numeric, scale: i64) -> Fixed {
    // Tiny numbers also need the bits that their leading zeros take.
    let exponent = number.significant_digits().map_or(0, |(_, exponent)| exponent);
    let bits = bits_for(scale + 16);
    Fixed::from_numeric(number, bits_for(scale + (-exponent).max(0) + 16)).ln(bits)
}

fn logarithm_argument(number: &Numeric) -> Result<()> {
    let error = |message: &str| Err(SqlError::new(sqlstate::INVALID_ARGUMENT_FOR_LOGARITHM, message));
    match number.signum() {
        Some(0) => error("cannot take logarithm of zero"),
        Some(-1) => error("cannot take logarithm of a negative number"),
        _ => Ok(()),
    }
}

fn power_error(message: &str) -> SqlError {
    SqlError::new(sqlstate::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

impl Numeric {
    /// The square root.
    ///
    /// # Errors
    /// 2201F for a negative number.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() == Some(-1) {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let Some((unscaled, scale)) = self.parts() else { return Ok(self.clone()) };
        let (weight, _) = self.base_weight();
        let result_weight = (weight + 1) * BASE_DIGITS / 2 - 1;
        let shown = display_scale(MIN_SIGNIFICANT_DIGITS - result_weight, &[self]);
        // sqrt(n / 10^s) = sqrt(n * 10^(2 r - s)) / 10^r, with a digit more to round.
        let scaled = unscaled * pow10(2 * shown + 2 - scale.min(2 * shown + 2));
        let root: BigUint = scaled.magnitude().sqrt();
        checked(divide_rounded(&BigInt::from(root), &BigInt::from(10)), shown)
    }

    /// `e` to this power.
    ///
    /// # Errors
    /// 22003 when the result is too large.
    pub fn exp(&self) -> Result<Numeric> {
        match self.0 {
            Repr::NaN | Repr::Infinity => return Ok(self.clone()),
            Repr::NegativeInfinity => return Ok(Numeric::ZERO),
            _ => {}
        }
        let value = to_double(self);
        let weight = (value * LOG10_E).clamp(-MAX_RESULT_SCALE, MAX_RESULT_SCALE) as i64;
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - weight, &[self]);
        if value.abs() >= MAX_RESULT_SCALE * 3.0 {
            return if value > 0.0 { Err(overflow()) } else { Ok(Numeric::small(0, scale)) };
        }
        let bits = bits_for(i64::from(scale) + weight.abs() * 2 + 8);
        Fixed::from_numeric(self, bits).exp().to_numeric(scale)
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// 2201E for zero and negative numbers.
    pub fn ln(&self) -> Result<Numeric> {
        logarithm_argument(self)?;
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - ln_weight(self), &[self]);
        ln_to_scale(self, i64::from(scale)).to_numeric(scale)
    }

    /// The logarithm to a base.
    ///
    /// # Errors
    /// 2201E for zero and negative numbers, 22012 for base 1.
    pub fn log(base: &Numeric, number: &Numeric) -> Result<Numeric> {
        if base.is_nan() || number.is_nan() {
            return Ok(Numeric::NAN);
        }
        logarithm_argument(base)?;
        logarithm_argument(number)?;
        match (base.is_infinite(), number.is_infinite()) {
            (true, true) => return Ok(Numeric::NAN),
            (true, false) => return Ok(Numeric::ZERO),
            (false, true) => return Ok(Numeric::INFINITY),
            (false, false) => {}
        }
        if *base == Numeric::ONE {
            return Err(division_by_zero());
        }
        let (base_weight, number_weight) = (ln_weight(base), ln_weight(number));
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - (number_weight - base_weight), &[base, number]);
        let precision = i64::from(scale) + 2 * (base_weight.abs() + number_weight.abs()) + 16;
        let (mut a, mut b) = (ln_to_scale(number, precision), ln_to_scale(base, precision));
        let bits = a.bits.max(b.bits);
        for fixed in [&mut a, &mut b] {
            fixed.value <<= bits - fixed.bits;
            fixed.bits = bits;
        }
        a.div(&b).to_numeric(scale)
    }

    fn is_integral(&self) -> bool {
        self.is_infinite() || self.min_scale() == Some(0)
    }

    /// The number to a power.
    ///
    /// # Errors
    /// 2201F for what has no real answer, 22003 when the result is too large.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !exponent.is_finite() {
            return self.power_special(exponent);
        }
        if self.is_zero() && exponent.signum() == Some(-1) {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if self.signum() == Some(-1) && !exponent.is_integral() {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if exponent.is_integral()
            && let Ok(integer) = exponent.to_i32()
        {
            return self.power_integer(integer);
        }
        if self.is_zero() {
            return Ok(Numeric::small(0, MIN_SIGNIFICANT_DIGITS as u32));
        }
        let base = self.abs();
        let ln_digits = ln_weight(&base);
        // A rough estimate, rounded where PostgreSQL rounds it, since the result's scale hangs on it.
        let rough_scale = (8 - ln_digits).max(0) as u32;
        let rough = ln_to_scale(&base, i64::from(rough_scale) + 8).to_numeric(rough_scale)?;
        let value = to_double(&rough.mul(exponent)?.with_scale(rough_scale)?);
        if value.abs() > MAX_RESULT_SCALE * 3.01 {
            return if value > 0.0 {
                Err(overflow())
            } else {
                Ok(Numeric::small(0, MAX_DISPLAY_SCALE as u32))
            };
        }
        let weight = (value * LOG10_E) as i64;
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - weight, &[self, exponent]);
        let exponent_digits = exponent.significant_digits().map_or(0, |(_, exponent)| exponent.max(0));
        let precision = i64::from(scale) + 2 * weight.abs() + exponent_digits + ln_digits.abs() + 16;
        let logarithm = ln_to_scale(&base, precision);
        let product = logarithm.mul(&Fixed::from_numeric(exponent, logarithm.bits));
        let result = product.exp().to_numeric(scale)?;
        let odd = exponent.rem(&Numeric::small(2, 0))?.abs() == Numeric::ONE;
        Ok(if self.signum() == Some(-1) && odd { result.neg() } else { result })
    }

    fn power_integer(&self, exponent: i32) -> Result<Numeric> {
        let (digits, position) = self.significant_digits().unwrap_or_default();
        let weight = if digits.is_empty() {
            0.0
        } else {
            let first = format!("0.{}", digits.get(..16).unwrap_or(&digits));
            f64::from(exponent) * (first.parse::<f64>().unwrap_or(1.0).log10() + position as f64)
        };
        if weight > 131_072.0 {
            return Err(overflow());
        }
        // Unlike other powers, those with whole exponents have a scale that knows not their size.
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS, &[self]);
        if weight + 1.0 < -f64::from(scale) {
            return Ok(Numeric::small(0, scale));
        }
        match exponent {
            0 => return Numeric::ONE.with_scale(scale),
            1 => return self.with_scale(scale),
            -1 => return Numeric::ONE.div_to_scale(self, scale),
            2 => return self.mul(self)?.with_scale(scale),
            _ if self.is_zero() => return Ok(Numeric::small(0, scale)),
            _ => {}
        }
        let Some((unscaled, own_scale)) = self.parts() else { return Ok(Numeric::NAN) };
        let power = exponent.unsigned_abs();
        if (unscaled.bits() + 4 + u64::from(own_scale) * 4) * u64::from(power) < 2_000_000 {
            // Exact, then rounded once.
            let (numerator, shift) = (unscaled.pow(power), u64::from(own_scale) * u64::from(power));
            let shift = pow10(shift as u32);
            let exact = if exponent > 0 {
                divide_rounded(&(numerator * pow10(scale)), &shift)
            } else {
                divide_rounded(&(shift * pow10(scale)), &numerator)
            };
            return checked(exact, scale);
        }
        // Too many digits to keep them all.
        let digits = i64::from(scale) + weight.abs() as i64;
        let magnitude = Float::from_numeric(&self.abs(), bits_for(digits) + 64).power(power);
        let result = magnitude.to_numeric(exponent < 0, scale)?;
        Ok(if self.signum() == Some(-1) && exponent % 2 != 0 { result.neg() } else { result })
    }

    /// Powers of and with NaN and infinities, by POSIX's rules for `pow`.
    fn power_special(&self, exponent: &Numeric) -> Result<Numeric> {
        if exponent.is_zero() || *self == Numeric::ONE {
            return Ok(Numeric::ONE);
        }
        let (Some(base_sign), Some(sign)) = (self.signum(), exponent.signum()) else {
            return Ok(Numeric::NAN);
        };
        if base_sign == 0 && sign < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if base_sign < 0 && !exponent.is_integral() {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if exponent.is_infinite() {
            let magnitude = self.abs();
            return Ok(match (magnitude.cmp(&Numeric::ONE), sign > 0) {
                (std::cmp::Ordering::Equal, _) => Numeric::ONE,
                (std::cmp::Ordering::Greater, true) | (std::cmp::Ordering::Less, false) => Numeric::INFINITY,
                _ => Numeric::ZERO,
            });
        }
        if sign < 0 {
            return Ok(Numeric::ZERO);
        }
        let odd = exponent.rem(&Numeric::small(2, 0))?.abs() == Numeric::ONE;
        Ok(if base_sign < 0 && odd { Numeric::NEGATIVE_INFINITY } else { Numeric::INFINITY })
    }
}
