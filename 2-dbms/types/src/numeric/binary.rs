//! The binary wire form of `numeric`: counts and flags in 16 bits, then digits in base 10000.

use num_bigint::BigInt;

use super::arith::BASE_DIGITS;
use super::{Numeric, pow10};
use crate::error::{Result, SqlError};
use crate::sqlstate;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;
/// Bits of the scale's field that count.
const SCALE_MASK: u16 = 0x3fff;

fn invalid(what: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_BINARY_REPRESENTATION,
        format!("invalid {what} in external \"numeric\" value"),
    )
}

impl Numeric {
    /// Appends the wire form.
    pub fn send(&self, out: &mut Vec<u8>) {
        let Some((digits, exponent)) = self.significant_digits() else {
            // The scale of an infinity is an accident of PostgreSQL's layout, kept to be equal byte by byte.
            let (sign, scale) = match self.signum() {
                None => (NAN, 0),
                Some(-1) => (NEGATIVE_INFINITY, 0x20),
                Some(_) => (INFINITY, 0x20),
            };
            [0, 0, sign, scale].iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
            return;
        };
        // The first group of four ends at a multiple of four digits before the point.
        let weight = (exponent - 1).div_euclid(BASE_DIGITS);
        let leading = ((weight + 1) * BASE_DIGITS - exponent) as usize;
        let mut padded = "0".repeat(leading) + &digits;
        let groups = if digits.is_empty() { 0 } else { padded.len().div_ceil(4) };
        padded.push_str(&"0".repeat(groups * 4 - padded.len().min(groups * 4)));
        let sign = if self.signum() == Some(-1) { NEGATIVE } else { 0 };
        let weight = if groups == 0 { 0 } else { weight as i16 };
        out.extend_from_slice(&(groups as u16).to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&(self.scale().unwrap_or(0) as u16).to_be_bytes());
        for group in padded.as_bytes()[..groups * 4].chunks_exact(4) {
            let value = group.iter().fold(0u16, |value, digit| value * 10 + u16::from(digit - b'0'));
            out.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// The number in a wire form.
    ///
    /// # Errors
    /// 22P03 for what is none.
    pub fn receive(bytes: &[u8]) -> Result<Numeric> {
        let (words, []) = bytes.as_chunks::<2>() else { return Err(crate::binary_io::insufficient()) };
        let words: Vec<u16> = words.iter().map(|word| u16::from_be_bytes(*word)).collect();
        let [count, weight, sign, scale, groups @ ..] = &words[..] else {
            return Err(crate::binary_io::insufficient());
        };
        if groups.len() != usize::from(*count) {
            return Err(crate::binary_io::insufficient());
        }
        match *sign {
            NAN => return Ok(Numeric::NAN),
            INFINITY => return Ok(Numeric::INFINITY),
            NEGATIVE_INFINITY => return Ok(Numeric::NEGATIVE_INFINITY),
            0 | NEGATIVE => {}
            _ => return Err(invalid("sign")),
        }
        if scale & !SCALE_MASK != 0 {
            return Err(invalid("scale"));
        }
        if groups.iter().any(|group| *group > 9999) {
            return Err(invalid("digit"));
        }
        let text: String = groups.iter().map(|group| format!("{group:04}")).collect();
        let magnitude = BigInt::parse_bytes(text.as_bytes(), 10).unwrap_or_default();
        // Where the last group's last digit stands, counted after the point.
        let after_point = (i64::from(*count) - 1 - i64::from(*weight as i16)) * BASE_DIGITS;
        let shift = i64::from(*scale) - after_point;
        let unscaled = if shift >= 0 {
            magnitude * pow10(shift as u32)
        } else {
            // Digits beyond the scale are dropped, as PostgreSQL does.
            magnitude / pow10(shift.unsigned_abs() as u32)
        };
        super::arith::checked(if *sign == NEGATIVE { -unscaled } else { unscaled }, u32::from(*scale))
    }
}
