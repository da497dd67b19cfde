//! `numeric`: exact decimal numbers with PostgreSQL's display scale.

/// An exact decimal number: `unscaled * 10^-scale`, NaN or an infinity.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// A finite number.
    Finite {
        /// All digits, as an integer.
        unscaled: num_bigint::BigInt,
        /// Digits after the decimal point, shown even when they are zero.
        scale: u32,
    },
    /// Not a number: equal to itself, above all others.
    NaN,
    /// Above every finite number.
    Infinity,
    /// Below every finite number.
    NegativeInfinity,
}
