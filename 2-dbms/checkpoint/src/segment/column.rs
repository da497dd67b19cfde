//! The 512 values of a column in a full chunk, in as few bytes as simple means give.
//!
//! ```text
//! column:    u8 kind | u8 nulls | [64 bytes, a bit for each place, when nulls is 1] | values
//! integers:  i64 the smallest | u8 bytes of each difference: 0, 1, 2, 4, 8 | the differences to it, little endian
//! floats:    4 or 8 bytes each
//! strings:   u8 0 | lengths as integers | the bytes of all
//!            u8 1 | u8 number of different ones, less 1 | lengths as integers | their bytes | [a byte each: which, when more than one]
//! others:    values with their tags (tuplix_types::encoding)
//! ```
//!
//! The kinds are those of a checkpoint's chunks. Integers are booleans, dates, times and oids too. Decoding trusts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecow::EcoString;
use tuplix_storage::{CHUNK_ROWS, ColumnData, LoadedColumn, RowBits};
use tuplix_types::Value;
use tuplix_types::encoding::{self, DecodeError};

use crate::chunk::kind;
use crate::segment::Bounds;

type Result<T> = std::result::Result<T, DecodeError>;

/// Different strings in a chunk up to which each is written once.
const DICTIONARY: usize = 256;

fn is_null(nulls: Option<&[u64]>, place: usize) -> bool {
    nulls.is_some_and(|bits| bits[place / 64] >> (place % 64) & 1 == 1)
}

/// Appends a column of a full chunk, and gives the smallest and largest of its integers.
pub(super) fn encode(data: &ColumnData, nulls: Option<&[u64]>, out: &mut Vec<u8>) -> Bounds {
    out.push(kind(data));
    let nulls = nulls.filter(|nulls| nulls.iter().any(|word| *word != 0));
    out.push(u8::from(nulls.is_some()));
    nulls.into_iter().flatten().for_each(|word| out.extend(word.to_le_bytes()));
    let present = |place: &usize| !is_null(nulls, *place);
    let mut integers = |value: &dyn Fn(usize) -> i64| {
        let mut bounds: Bounds = None;
        for value in (0..CHUNK_ROWS).filter(present).map(value) {
            bounds = Some(bounds.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
        }
        let base = bounds.map_or(0, |(low, _)| low);
        let value = |place| if is_null(nulls, place) { base } else { value(place) };
        put_integers((0..CHUNK_ROWS).map(value), bounds.unwrap_or_default(), out);
        bounds
    };
    match data {
        ColumnData::Bool(v) => integers(&|place| i64::from(v[place])),
        ColumnData::Int2(v) => integers(&|place| i64::from(v[place])),
        ColumnData::Int4(v) | ColumnData::Date(v) => integers(&|place| i64::from(v[place])),
        ColumnData::Int8(v) | ColumnData::Time(v) | ColumnData::Timestamp(v) | ColumnData::Timestamptz(v) => {
            integers(&|place| v[place])
        }
        ColumnData::Oid(v) => integers(&|place| i64::from(v[place])),
        ColumnData::Float4(v) => {
            let value = |place: usize| if is_null(nulls, place) { 0.0 } else { v[place] };
            (0..CHUNK_ROWS).for_each(|place| out.extend(value(place).to_le_bytes()));
            None
        }
        ColumnData::Float8(v) => {
            let value = |place: usize| if is_null(nulls, place) { 0.0 } else { v[place] };
            (0..CHUNK_ROWS).for_each(|place| out.extend(value(place).to_le_bytes()));
            None
        }
        ColumnData::Text(v) => {
            put_strings(|place| if is_null(nulls, place) { &[] } else { v[place].as_bytes() }, out);
            None
        }
        ColumnData::Bytea(v) => {
            let value = |place: usize| v[place].as_deref().unwrap_or_default();
            put_strings(|place| if is_null(nulls, place) { &[] } else { value(place) }, out);
            None
        }
        ColumnData::Other(v) => {
            for place in 0..CHUNK_ROWS {
                encoding::encode(if is_null(nulls, place) { &Value::Null } else { &v[place] }, out);
            }
            None
        }
    }
}

/// Integers between two bounds.
fn put_integers(values: impl Iterator<Item = i64>, (low, high): (i64, i64), out: &mut Vec<u8>) {
    let width = match high.wrapping_sub(low).cast_unsigned() {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    out.extend(low.to_le_bytes());
    out.push(width as u8);
    if width > 0 {
        for value in values {
            let difference = value.wrapping_sub(low).cast_unsigned().to_le_bytes();
            out.extend_from_slice(&difference[..width]);
        }
    }
}

fn put_lengths<'v>(values: impl Iterator<Item = &'v [u8]> + Clone, out: &mut Vec<u8>) {
    let lengths = values.map(|value| value.len() as i64);
    let low = lengths.clone().min().unwrap_or(0);
    let high = lengths.clone().max().unwrap_or(0);
    put_integers(lengths, (low, high), out);
}

fn put_strings<'v>(value: impl Fn(usize) -> &'v [u8], out: &mut Vec<u8>) {
    let mut known: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut total = 0;
    for place in 0..CHUNK_ROWS {
        let next = known.len();
        known.entry(value(place)).or_insert(next);
        total += value(place).len();
        // Most are different: writing each once saves nothing.
        if known.len() > DICTIONARY || (place == 63 && known.len() > 48) {
            known.clear();
            break;
        }
    }
    let distinct: usize = known.keys().map(|value| value.len()).sum();
    if known.is_empty() || distinct + CHUNK_ROWS > total && known.len() > 1 {
        out.push(0);
        let all = (0..CHUNK_ROWS).map(&value);
        put_lengths(all.clone(), out);
        all.for_each(|value| out.extend_from_slice(value));
        return;
    }
    let mut entries = vec![&[][..]; known.len()];
    known.iter().for_each(|(value, number)| entries[*number] = value);
    out.push(1);
    out.push((entries.len() - 1) as u8);
    put_lengths(entries.iter().copied(), out);
    entries.iter().for_each(|value| out.extend_from_slice(value));
    if entries.len() > 1 {
        out.extend((0..CHUNK_ROWS).map(|place| known[value(place)] as u8));
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(head)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    take(bytes, N)?.try_into().map_err(|_| DecodeError::Truncated)
}

/// Takes a column from the front of `bytes`.
///
/// # Errors
/// When the bytes are none.
pub(super) fn decode(bytes: &mut &[u8]) -> Result<LoadedColumn> {
    let [kind, has_nulls] = array(bytes)?;
    let nulls = match has_nulls {
        0 => None,
        1 => {
            let mut bits = Box::new(RowBits::default());
            let words = take(bytes, CHUNK_ROWS / 8)?.chunks_exact(8);
            for (word, bytes) in bits.iter_mut().zip(words) {
                *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
            }
            Some(bits)
        }
        _ => return Err(DecodeError::Malformed("column")),
    };
    macro_rules! integers {
        ($kind:ident, $of:expr) => {
            ColumnData::$kind(take_integers(bytes, CHUNK_ROWS, $of)?.into())
        };
    }
    let data = match kind {
        1 => integers!(Bool, |value| Some(value != 0)),
        2 => integers!(Int2, |value| i16::try_from(value).ok()),
        3 => integers!(Int4, |value| i32::try_from(value).ok()),
        4 => integers!(Int8, Some),
        5 => {
            let values = take(bytes, CHUNK_ROWS * 4)?.chunks_exact(4);
            let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap_or_default()));
            ColumnData::Float4(values.collect::<Vec<_>>().into())
        }
        6 => {
            let values = take(bytes, CHUNK_ROWS * 8)?.chunks_exact(8);
            let values = values.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap_or_default()));
            ColumnData::Float8(values.collect::<Vec<_>>().into())
        }
        7 => integers!(Oid, |value| u32::try_from(value).ok()),
        8 => integers!(Date, |value| i32::try_from(value).ok()),
        9 => integers!(Time, Some),
        10 => integers!(Timestamp, Some),
        11 => integers!(Timestamptz, Some),
        12 => {
            let text = |value: &[u8]| std::str::from_utf8(value).map(EcoString::from);
            let of = |value: &[u8]| text(value).map_err(|_| DecodeError::NotUtf8);
            ColumnData::Text(take_strings(bytes, of)?.into())
        }
        13 => {
            let mut values = take_strings(bytes, |value| Ok(Some(Arc::<[u8]>::from(value))))?;
            let nulls = nulls.as_deref().map(|bits| &bits[..]);
            for place in (0..CHUNK_ROWS).filter(|place| is_null(nulls, *place)) {
                values[place] = None;
            }
            ColumnData::Bytea(values.into())
        }
        14 => {
            let values = (0..CHUNK_ROWS).map(|_| encoding::decode(bytes));
            ColumnData::Other(values.collect::<Result<Vec<_>>>()?.into())
        }
        tag => return Err(DecodeError::UnknownTag(tag)),
    };
    Ok(LoadedColumn { data, nulls })
}

fn take_integers<T>(bytes: &mut &[u8], count: usize, of: impl Fn(i64) -> Option<T>) -> Result<Vec<T>> {
    let low = i64::from_le_bytes(array(bytes)?);
    let [width] = array(bytes)?;
    let width = usize::from(width);
    if !matches!(width, 0 | 1 | 2 | 4 | 8) {
        return Err(DecodeError::Malformed("column"));
    }
    let of = |value: i64| of(value).ok_or(DecodeError::IntegerOutOfRange);
    if width == 0 {
        return (0..count).map(|_| of(low)).collect();
    }
    let values = take(bytes, count * width)?.chunks_exact(width);
    let values = values.map(|bytes| {
        let mut word = [0; 8];
        word[..width].copy_from_slice(bytes);
        of(low.wrapping_add(u64::from_le_bytes(word).cast_signed()))
    });
    values.collect()
}

fn take_strings<T: Clone>(bytes: &mut &[u8], of: impl Fn(&[u8]) -> Result<T>) -> Result<Vec<T>> {
    let entries = |bytes: &mut &[u8], count| -> Result<Vec<T>> {
        let lengths = take_integers(bytes, count, |length| usize::try_from(length).ok())?;
        lengths.into_iter().map(|length| of(take(bytes, length)?)).collect()
    };
    let [way] = array(bytes)?;
    match way {
        0 => entries(bytes, CHUNK_ROWS),
        1 => {
            let [last] = array(bytes)?;
            let known = entries(bytes, usize::from(last) + 1)?;
            if let [only] = &known[..] {
                return Ok(vec![only.clone(); CHUNK_ROWS]);
            }
            let which = take(bytes, CHUNK_ROWS)?.iter();
            let values = which.map(|number| known.get(usize::from(*number)).cloned());
            values.collect::<Option<_>>().ok_or(DecodeError::Malformed("column"))
        }
        _ => Err(DecodeError::Malformed("column")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bytes_of(data: &ColumnData, nulls: Option<&RowBits>) -> (Vec<u8>, Bounds) {
        let mut bytes = Vec::new();
        let bounds = encode(data, nulls.map(|bits| &bits[..]), &mut bytes);
        (bytes, bounds)
    }

    fn columns() -> Vec<ColumnData> {
        fn each<T>(of: impl Fn(i64) -> T) -> tuplix_storage::Vector<T> {
            (0..CHUNK_ROWS as i64).map(of).collect::<Vec<_>>().into()
        }
        vec![
            ColumnData::Bool(each(|n| n % 3 == 0)),
            ColumnData::Int2(each(|n| i16::MIN + n as i16)),
            ColumnData::Int4(each(|n| i32::MAX - n as i32)),
            ColumnData::Int8(each(|n| if n % 2 == 0 { i64::MIN } else { i64::MAX })),
            ColumnData::Int8(each(|n| 1_000_000_007 * (n + 5))),
            ColumnData::Int8(each(|_| -7)),
            ColumnData::Float4(each(|n| n as f32 / 3.0)),
            ColumnData::Float8(each(|n| -n as f64 / 3.0)),
            ColumnData::Oid(each(|n| u32::MAX - n as u32)),
            ColumnData::Date(each(|n| n as i32)),
            ColumnData::Timestamptz(each(|n| n * 1_000_000)),
            ColumnData::Text(each(|n| EcoString::from(format!("äö{n}")))),
            ColumnData::Text(each(|n| EcoString::from(["done", "failed", ""][n as usize % 3]))),
            ColumnData::Text(each(|_| EcoString::from("the same for all of them"))),
            ColumnData::Bytea(each(|n| Some(Arc::from(vec![n as u8; n as usize % 40])))),
            ColumnData::Other(each(|n| Value::Bool(n % 2 == 0))),
        ]
    }

    /// Every kind, with and without NULLs, comes back; equal values are few bytes.
    #[test]
    fn columns_come_back() {
        let mut nulls = RowBits::default();
        (nulls[0], nulls[7]) = (0b1010, 1 << 63);
        for data in columns() {
            for nulls in [None, Some(&nulls)] {
                let (bytes, _) = bytes_of(&data, nulls);
                let mut rest = &bytes[..];
                let back = decode(&mut rest).unwrap();
                assert!(rest.is_empty());
                assert_eq!(back.nulls.as_deref(), nulls);
                assert_eq!(bytes_of(&back.data, nulls).0, bytes);
                if nulls.is_none() {
                    assert_eq!(format!("{:?}", back.data), format!("{data:?}"));
                }
            }
        }
        let all = columns();
        assert_eq!(
            bytes_of(&all[5], None),
            ([&[4, 0][..], &(-7i64).to_le_bytes(), &[0]].concat(), Some((-7, -7)))
        );
        assert!(bytes_of(&all[13], None).0.len() < 50);
        assert!(bytes_of(&all[12], None).0.len() < 600);
        assert_eq!(bytes_of(&all[9], None).1, Some((0, 511)));
    }

    #[test]
    fn no_garbage_panics() {
        for data in columns() {
            let (bytes, _) = bytes_of(&data, None);
            for end in 0..bytes.len() {
                assert!(decode(&mut &bytes[..end]).is_err(), "cut at {end}");
            }
            for position in (0..40).chain((40..bytes.len()).step_by(97)).filter(|at| *at < bytes.len()) {
                for byte in [0, 1, 2, 14, 15, 0x7f, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[position] = byte;
                    let _ = decode(&mut &damaged[..]);
                }
            }
        }
    }
}
