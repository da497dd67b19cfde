//! Sizes and times with units: "64MB", "1.5GiB", "500ms", "2min"; plain numbers are bytes and seconds.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) i64);

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) i64);

const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

const TIMES: &[(&str, f64)] = &[("ms", 1.0), ("s", 1e3), ("min", 6e4), ("h", 3.6e6), ("d", 8.64e7)];

/// Larger ones have no place in the tables.
const SIZE_MAX: f64 = 1e18;
const TIME_MAX: f64 = i32::MAX as f64;

/// The number of smallest units in a text; `None` when it is none.
fn parse(text: &str, units: &[(&str, f64)], most: f64) -> Option<i64> {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    let value = (number * factor).round();
    // In bounds, so the conversion is exact.
    (0.0..=most).contains(&value).then_some(value as i64)
}

/// Takes a text with a unit, or a number of `plain` units.
#[derive(Clone, Copy)]
struct Reader {
    units: &'static [(&'static str, f64)],
    plain: f64,
    most: f64,
    expected: &'static str,
}

impl Visitor<'_> for Reader {
    type Value = i64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        parse(text, self.units, self.most).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        self.visit_f64(number as f64).map_err(|_: E| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i64, E> {
        let value = (number * self.plain).round();
        let valid = (0.0..=self.most).contains(&value);
        if valid { Ok(value as i64) } else { Err(E::invalid_value(Unexpected::Float(number), &self)) }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let expected = "a size such as \"64MB\" or \"1.5GiB\" (B, KB, MB, GB, TB; KiB, MiB, GiB, TiB), or a number of bytes";
        deserializer.deserialize_any(Reader { units: SIZES, plain: 1.0, most: SIZE_MAX, expected }).map(Size)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let expected = "a time such as \"30s\" (ms, s, min, h, d; 24 days at most), or a number of seconds";
        deserializer.deserialize_any(Reader { units: TIMES, plain: 1e3, most: TIME_MAX, expected }).map(Time)
    }
}

/// A size on the command line.
pub(crate) fn size(text: &str) -> Result<i64, String> {
    let bytes = text.parse().ok().filter(|bytes: &i64| *bytes >= 0).or_else(|| parse(text, SIZES, SIZE_MAX));
    bytes.ok_or_else(|| "a size looks like 64MB or 1.5GiB".to_owned())
}

/// A time on the command line, in milliseconds.
pub(crate) fn time(text: &str) -> Result<i64, String> {
    parse(text, TIMES, TIME_MAX).ok_or_else(|| "a time looks like 500ms, 30s or 2min".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known() {
        for (text, bytes) in
            [("64MB", 64_000_000), ("1 KiB", 1024), ("1.5GiB", 1_610_612_736), ("7", 7), ("10b", 10)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("2min", 120_000), ("1.5h", 5_400_000)] {
            assert_eq!(time(text), Ok(ms), "{text}");
        }
        for wrong in ["", "MB", "-1MB", "1XB", "9999999TB", "1.2.3B"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(time("30").is_err() && time("25d").is_err());
    }
}
