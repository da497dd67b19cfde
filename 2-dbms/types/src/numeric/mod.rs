//! `numeric`: exact decimal numbers with PostgreSQL's display scale.
//!
//! A finite number is `unscaled * 10^-scale`; the scale is what is displayed, so `1.50` keeps its
//! zero, while comparison and hashing see the number only. Almost every number in practice fits 128
//! bits; it is kept and computed there, and only larger ones pay for a big integer. The
//! representation is canonical: a number that fits 128 bits is never kept as a big integer.
//!
//! Result scales and limits are those of PostgreSQL's `numeric.c`: `arith` for `+ - * / %`,
//! rounding and typmods, `math` for roots, powers and logarithms, `text` and `convert` for
//! getting in and out.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

mod arith;
mod binary;
mod convert;
mod math;
mod text;

pub use arith::{make_typmod, typmod_parts};
pub(crate) use text::is_space;

/// Most digits before the decimal point.
pub const MAX_INTEGER_DIGITS: u32 = 131_072;
/// Most digits after the decimal point.
pub const MAX_SCALE: u32 = 16_383;
/// Most digits that `numeric(precision, scale)` may declare.
pub const MAX_PRECISION: i32 = 1000;

/// An exact decimal number, NaN or an infinity.
///
/// `==`, `Ord` and `Hash` are SQL's: `1.0 = 1.00`, NaN equals itself and is above everything.
#[derive(Clone)]
pub struct Numeric(pub(crate) Repr);

/// How a [`Numeric`] is kept.
#[derive(Clone, Debug)]
pub(crate) enum Repr {
    /// A finite number that fits 128 bits.
    Small { unscaled: i128, scale: u32 },
    /// A finite number that does not.
    Big { unscaled: BigInt, scale: u32 },
    /// Not a number.
    NaN,
    /// Above every finite number.
    Infinity,
    /// Below every finite number.
    NegativeInfinity,
}

impl Numeric {
    /// Not a number: equal to itself, above all others.
    pub const NAN: Numeric = Numeric(Repr::NaN);
    /// Above every finite number.
    pub const INFINITY: Numeric = Numeric(Repr::Infinity);
    /// Below every finite number.
    pub const NEGATIVE_INFINITY: Numeric = Numeric(Repr::NegativeInfinity);
    /// Zero.
    pub const ZERO: Numeric = Numeric::small(0, 0);
    /// One.
    pub const ONE: Numeric = Numeric::small(1, 0);

    /// `unscaled * 10^-scale`.
    #[inline]
    pub const fn small(unscaled: i128, scale: u32) -> Numeric {
        Numeric(Repr::Small { unscaled, scale })
    }

    /// `unscaled * 10^-scale`.
    pub fn new(unscaled: BigInt, scale: u32) -> Numeric {
        match i128::try_from(&unscaled) {
            Ok(unscaled) => Numeric::small(unscaled, scale),
            Err(_) => Numeric(Repr::Big { unscaled, scale }),
        }
    }

    /// Whether this is not a number.
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }

    /// Whether this is an infinity.
    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Infinity | Repr::NegativeInfinity)
    }

    /// Whether this is neither NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Big { .. })
    }

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { unscaled: 0, .. })
    }

    /// -1, 0 or 1; `None` for NaN.
    pub fn signum(&self) -> Option<i32> {
        match &self.0 {
            Repr::Small { unscaled, .. } => Some(unscaled.signum() as i32),
            Repr::Big { unscaled, .. } => Some(if unscaled.sign() == Sign::Minus { -1 } else { 1 }),
            Repr::NaN => None,
            Repr::Infinity => Some(1),
            Repr::NegativeInfinity => Some(-1),
        }
    }

    /// Digits displayed after the decimal point; `None` for NaN and infinities.
    pub fn scale(&self) -> Option<u32> {
        match &self.0 {
            Repr::Small { scale, .. } | Repr::Big { scale, .. } => Some(*scale),
            _ => None,
        }
    }

    /// All digits as an integer, and the scale; `None` for NaN and infinities.
    pub fn parts(&self) -> Option<(BigInt, u32)> {
        match &self.0 {
            Repr::Small { unscaled, scale } => Some((BigInt::from(*unscaled), *scale)),
            Repr::Big { unscaled, scale } => Some((unscaled.clone(), *scale)),
            _ => None,
        }
    }

    /// The decimal digits of the number's magnitude without leading and trailing zeros, and the
    /// exponent `e` with which it is `0.digits * 10^e`; `None` for NaN and infinities.
    ///
    /// Equal numbers give equal answers whatever their scales are; zero has no digits.
    pub(crate) fn significant_digits(&self) -> Option<(String, i64)> {
        let (mut digits, scale) = match &self.0 {
            Repr::Small { unscaled: 0, .. } => return Some((String::new(), 0)),
            Repr::Small { unscaled, scale } => (unscaled.unsigned_abs().to_string(), *scale),
            Repr::Big { unscaled, scale } => (unscaled.magnitude().to_string(), *scale),
            _ => return None,
        };
        let exponent = digits.len() as i64 - i64::from(scale);
        digits.truncate(digits.trim_end_matches('0').len());
        Some((digits, exponent))
    }

    fn rank(&self) -> i32 {
        match self.0 {
            Repr::NegativeInfinity => -1,
            Repr::Small { .. } | Repr::Big { .. } => 0,
            Repr::Infinity => 1,
            Repr::NaN => 2,
        }
    }

    /// A number that equal numbers share, whatever their scales are.
    pub(crate) fn hash_word(&self) -> u64 {
        use crate::compare::mix;
        match &self.0 {
            Repr::Small { unscaled, scale } => {
                let (mut unscaled, mut scale) = (*unscaled, i64::from(*scale));
                while unscaled % 10 == 0 && unscaled != 0 {
                    unscaled /= 10;
                    scale -= 1;
                }
                if unscaled == 0 {
                    scale = 0;
                }
                hash_normal(unscaled, scale)
            }
            Repr::Big { unscaled, scale } => {
                let digits = unscaled.to_string();
                let stripped = digits.trim_end_matches('0');
                let scale = i64::from(*scale) - (digits.len() - stripped.len()) as i64;
                match stripped.parse::<i128>() {
                    Ok(unscaled) => hash_normal(unscaled, scale),
                    Err(_) => mix(crate::compare::hash_bytes(stripped.as_bytes()), scale as u64),
                }
            }
            Repr::NaN => mix(1, 0x4e61_4e00),
            Repr::Infinity => mix(2, 0x4e61_4e00),
            Repr::NegativeInfinity => mix(3, 0x4e61_4e00),
        }
    }
}

fn hash_normal(unscaled: i128, scale: i64) -> u64 {
    use crate::compare::mix;
    mix(mix(unscaled as u64, (unscaled >> 64) as u64), scale as u64)
}

/// `10^n` where it fits.
pub(crate) fn pow10_i128(n: u32) -> Option<i128> {
    10i128.checked_pow(n)
}

/// `10^n`
pub(crate) fn pow10(n: u32) -> BigInt {
    match pow10_i128(n) {
        Some(power) => BigInt::from(power),
        None => BigInt::from(10).pow(n),
    }
}

fn compare_finite(left: &Numeric, right: &Numeric) -> Ordering {
    if let (Repr::Small { unscaled: a, scale: s }, Repr::Small { unscaled: b, scale: t }) =
        (&left.0, &right.0)
    {
        if s == t {
            return a.cmp(b);
        }
        if a.signum() != b.signum() || *a == 0 {
            return a.signum().cmp(&b.signum());
        }
        let (a, b) = if s < t {
            (pow10_i128(t - s).and_then(|p| a.checked_mul(p)), Some(*b))
        } else {
            (Some(*a), pow10_i128(s - t).and_then(|p| b.checked_mul(p)))
        };
        if let (Some(a), Some(b)) = (a, b) {
            return a.cmp(&b);
        }
    }
    match (left.parts(), right.parts()) {
        (Some((a, s)), Some((b, t))) if s < t => (a * pow10(t - s)).cmp(&b),
        (Some((a, s)), Some((b, t))) => a.cmp(&(b * pow10(s - t))),
        _ => Ordering::Equal,
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        match self.rank().cmp(&other.rank()) {
            Ordering::Equal if self.rank() == 0 => compare_finite(self, other),
            order => order,
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_word());
    }
}

impl std::fmt::Debug for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
