//! A chunk of up to 512 rows as bytes, column by column.
//!
//! ```text
//! chunk:   u32 first slot | u32 rows | 64 bytes: a bit for each place that holds a row | columns
//! column:  u8 kind | u8 nulls | [a bit for each row, ceil(rows / 8) bytes, when nulls is 1] | values
//! values:  fixed width, little endian, 0 for NULL
//!          or u32 length for each row, then the bytes of all
//!          or the values of tuplix_types::encoding
//! ```
//!
//! Rows are dense: places without a row take no bytes but their bit. Decoding trusts nothing.

use std::sync::Arc;

use ecow::EcoString;
use tuplix_storage::{CHUNK_ROWS, ChunkView, ColumnData, LoadedChunk, LoadedColumn, RowBits, RowId};
use tuplix_types::Value;
use tuplix_types::encoding::{self, DecodeError};

use crate::format::u32_at;

/// Bytes before the columns of a chunk.
const CHUNK_HEADER: usize = 8 + CHUNK_ROWS / 8;

type Result<T> = std::result::Result<T, DecodeError>;

/// The places of a chunk that hold rows.
struct Places {
    live: RowBits,
    rows: usize,
}

impl Places {
    fn new(live: RowBits) -> Places {
        Places { live, rows: live.iter().map(|word| word.count_ones() as usize).sum() }
    }

    /// Whether they are the first ones, without a gap.
    fn are_first(&self) -> bool {
        LoadedChunk::places(&self.live) == self.rows
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.live.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// Appends a chunk with its columns, and says how many rows it has.
pub(crate) fn encode(view: &ChunkView<'_>, columns: usize, out: &mut Vec<u8>) -> usize {
    let mut live = RowBits::default();
    live.copy_from_slice(view.live());
    let places = Places::new(live);
    out.extend_from_slice(&view.first_row().0.to_le_bytes());
    out.extend_from_slice(&(places.rows as u32).to_le_bytes());
    live.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    for column in 0..columns {
        encode_column(view.column(column), view.nulls(column), &places, out);
    }
    places.rows
}

fn is_null(nulls: Option<&[u64]>, place: usize) -> bool {
    nulls.is_some_and(|bits| bits[place / 64] >> (place % 64) & 1 == 1)
}

fn encode_column(data: &ColumnData, nulls: Option<&[u64]>, places: &Places, out: &mut Vec<u8>) {
    out.push(kind(data));
    let nulls = nulls.filter(|nulls| places.iter().any(|place| is_null(Some(nulls), place)));
    out.push(u8::from(nulls.is_some()));
    if nulls.is_some() {
        let start = out.len();
        out.resize(start + places.rows.div_ceil(8), 0);
        for (row, _) in places.iter().enumerate().filter(|(_, place)| is_null(nulls, *place)) {
            out[start + row / 8] |= 1 << (row % 8);
        }
    }
    macro_rules! fixed {
        ($values:expr, $bytes:expr) => {
            encode_fixed($values, nulls, places, out, $bytes)
        };
    }
    match data {
        ColumnData::Bool(v) => fixed!(v, |v: bool| [u8::from(v)]),
        ColumnData::Int2(v) => fixed!(v, i16::to_le_bytes),
        ColumnData::Int4(v) | ColumnData::Date(v) => fixed!(v, i32::to_le_bytes),
        ColumnData::Int8(v) | ColumnData::Time(v) | ColumnData::Timestamp(v) | ColumnData::Timestamptz(v) => {
            fixed!(v, i64::to_le_bytes)
        }
        ColumnData::Float4(v) => fixed!(v, f32::to_le_bytes),
        ColumnData::Float8(v) => fixed!(v, f64::to_le_bytes),
        ColumnData::Oid(v) => fixed!(v, u32::to_le_bytes),
        ColumnData::Text(v) => encode_bytes(|place| v[place].as_bytes(), nulls, places, out),
        ColumnData::Bytea(v) => {
            encode_bytes(|place| v[place].as_deref().unwrap_or_default(), nulls, places, out);
        }
        ColumnData::Other(v) => {
            for place in places.iter() {
                let value = if is_null(nulls, place) { &Value::Null } else { &v[place] };
                encoding::encode(value, out);
            }
        }
    }
}

pub(crate) fn kind(data: &ColumnData) -> u8 {
    match data {
        ColumnData::Bool(_) => 1,
        ColumnData::Int2(_) => 2,
        ColumnData::Int4(_) => 3,
        ColumnData::Int8(_) => 4,
        ColumnData::Float4(_) => 5,
        ColumnData::Float8(_) => 6,
        ColumnData::Oid(_) => 7,
        ColumnData::Date(_) => 8,
        ColumnData::Time(_) => 9,
        ColumnData::Timestamp(_) => 10,
        ColumnData::Timestamptz(_) => 11,
        ColumnData::Text(_) => 12,
        ColumnData::Bytea(_) => 13,
        ColumnData::Other(_) => 14,
    }
}

fn encode_fixed<T: Copy + Default, const N: usize>(
    values: &[T],
    nulls: Option<&[u64]>,
    places: &Places,
    out: &mut Vec<u8>,
    bytes: impl Fn(T) -> [u8; N],
) {
    let start = out.len();
    out.resize(start + places.rows * N, 0);
    // Arrays, not slices: the copy of one value is then an instruction, of many the machine's vectors, and not a call each.
    let targets = out[start..].as_chunks_mut::<N>().0;
    if nulls.is_none() && places.are_first() {
        for (target, value) in targets.iter_mut().zip(values) {
            *target = bytes(*value);
        }
        return;
    }
    for (target, place) in targets.iter_mut().zip(places.iter()) {
        let value = if is_null(nulls, place) { T::default() } else { values[place] };
        *target = bytes(value);
    }
}

fn encode_bytes<'v>(
    value: impl Fn(usize) -> &'v [u8],
    nulls: Option<&[u64]>,
    places: &Places,
    out: &mut Vec<u8>,
) {
    let value = |place| if is_null(nulls, place) { &[][..] } else { value(place) };
    for place in places.iter() {
        // A value is 1 GiB at most, as in PostgreSQL.
        out.extend_from_slice(&(value(place).len() as u32).to_le_bytes());
    }
    places.iter().for_each(|place| out.extend_from_slice(value(place)));
}

/// Takes a chunk of so many columns from the front of `bytes`.
///
/// # Errors
/// When the bytes are no chunk.
pub(crate) fn decode(bytes: &mut &[u8], columns: usize) -> Result<LoadedChunk> {
    let header = take(bytes, CHUNK_HEADER)?;
    let first = u32_at(header, 0).ok_or(DecodeError::Truncated)?;
    let mut live = RowBits::default();
    for (word, bytes) in live.iter_mut().zip(header[8..].chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    let places = Places::new(live);
    if u32_at(header, 4) != Some(places.rows as u32) {
        return Err(DecodeError::Malformed("chunk"));
    }
    // Each column takes two bytes at least.
    if columns > bytes.len() / 2 {
        return Err(DecodeError::Truncated);
    }
    let columns = (0..columns).map(|_| decode_column(bytes, &places)).collect::<Result<_>>()?;
    Ok(LoadedChunk { first: RowId(first), live, columns })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(head)
}

fn decode_column(bytes: &mut &[u8], places: &Places) -> Result<LoadedColumn> {
    let head = take(bytes, 2)?;
    let nulls = match head[1] {
        0 => None,
        1 => Some(decode_nulls(take(bytes, places.rows.div_ceil(8))?, places)),
        _ => return Err(DecodeError::Malformed("column")),
    };
    macro_rules! fixed {
        ($kind:ident, $value:expr) => {
            ColumnData::$kind(decode_fixed(bytes, places, $value)?.into())
        };
    }
    let data = match head[0] {
        1 => fixed!(Bool, |[byte]: [u8; 1]| byte != 0),
        2 => fixed!(Int2, i16::from_le_bytes),
        3 => fixed!(Int4, i32::from_le_bytes),
        4 => fixed!(Int8, i64::from_le_bytes),
        5 => fixed!(Float4, f32::from_le_bytes),
        6 => fixed!(Float8, f64::from_le_bytes),
        7 => fixed!(Oid, u32::from_le_bytes),
        8 => fixed!(Date, i32::from_le_bytes),
        9 => fixed!(Time, i64::from_le_bytes),
        10 => fixed!(Timestamp, i64::from_le_bytes),
        11 => fixed!(Timestamptz, i64::from_le_bytes),
        12 => ColumnData::Text(decode_texts(bytes, places)?.into()),
        13 => ColumnData::Bytea(decode_byteas(bytes, places, nulls.as_deref())?.into()),
        14 => ColumnData::Other(decode_values(bytes, places)?.into()),
        tag => return Err(DecodeError::UnknownTag(tag)),
    };
    Ok(LoadedColumn { data, nulls })
}

fn decode_nulls(bits: &[u8], places: &Places) -> Box<RowBits> {
    let mut nulls = Box::new(RowBits::default());
    for (row, place) in places.iter().enumerate() {
        if bits[row / 8] >> (row % 8) & 1 == 1 {
            nulls[place / 64] |= 1 << (place % 64);
        }
    }
    nulls
}

/// A vector of all places, filled where there are rows.
fn scatter<T: Clone + Default>(
    places: &Places,
    mut values: impl Iterator<Item = Result<T>>,
) -> Result<Vec<T>> {
    if places.are_first() {
        let mut all = Vec::with_capacity(places.rows);
        for value in values {
            all.push(value?);
        }
        return Ok(all);
    }
    let mut all = vec![T::default(); LoadedChunk::places(&places.live)];
    for place in places.iter() {
        all[place] = values.next().ok_or(DecodeError::Truncated)??;
    }
    Ok(all)
}

fn decode_fixed<T: Copy + Default, const N: usize>(
    bytes: &mut &[u8],
    places: &Places,
    value: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let values = take(bytes, places.rows * N)?.as_chunks::<N>().0;
    let values = values.iter().map(|bytes| value(*bytes));
    if places.are_first() {
        return Ok(values.collect());
    }
    scatter(places, values.map(Ok))
}

/// The values of which the lengths come first.
fn take_lengths<'a>(
    bytes: &mut &'a [u8],
    places: &Places,
) -> Result<(impl Iterator<Item = usize> + 'a, &'a [u8])> {
    let lengths = take(bytes, places.rows * 4)?.chunks_exact(4);
    let lengths = lengths.map(|bytes| u32_at(bytes, 0).unwrap_or(0) as usize);
    let total = lengths.clone().try_fold(0usize, usize::checked_add).ok_or(DecodeError::Truncated)?;
    Ok((lengths, take(bytes, total)?))
}

fn decode_texts(bytes: &mut &[u8], places: &Places) -> Result<Vec<EcoString>> {
    let (lengths, all) = take_lengths(bytes, places)?;
    let all = std::str::from_utf8(all).map_err(|_| DecodeError::NotUtf8)?;
    let mut start = 0;
    let texts = lengths.map(|length| {
        let text = all.get(start..start + length).ok_or(DecodeError::NotUtf8)?;
        start += length;
        Ok(EcoString::from(text))
    });
    scatter(places, texts)
}

fn decode_byteas(
    bytes: &mut &[u8],
    places: &Places,
    nulls: Option<&RowBits>,
) -> Result<Vec<Option<Arc<[u8]>>>> {
    let (lengths, all) = take_lengths(bytes, places)?;
    let mut start = 0;
    let nulls = nulls.map(|bits| &bits[..]);
    let values = lengths.zip(places.iter()).map(|(length, place)| {
        let value = &all[start..start + length];
        start += length;
        Ok((!is_null(nulls, place)).then(|| Arc::from(value)))
    });
    scatter(places, values)
}

fn decode_values(bytes: &mut &[u8], places: &Places) -> Result<Vec<Value>> {
    scatter(places, (0..places.rows).map(|_| encoding::decode(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_storage::{Fragment, FragmentSchema};
    use tuplix_types::{Interval, TypeId};

    use super::*;

    /// A column of each kind, rows with NULLs, gaps, and extremes.
    fn fragment(rows: i64) -> Fragment {
        let columns = vec![
            TypeId::BOOL,
            TypeId::INT2,
            TypeId::INT4,
            TypeId::INT8,
            TypeId::FLOAT4,
            TypeId::FLOAT8,
            TypeId::OID,
            TypeId::DATE,
            TypeId::TIME,
            TypeId::TIMESTAMP,
            TypeId::TIMESTAMPTZ,
            TypeId::TEXT,
            TypeId::BYTEA,
            TypeId::INTERVAL,
        ];
        let mut fragment = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
        for n in 0..rows {
            let interval = Interval { months: n as i32, days: -1, microseconds: n };
            let mut row = vec![
                Value::Bool(n % 2 == 0),
                Value::Int2(n as i16 - 100),
                Value::Int4(i32::MIN + n as i32),
                Value::Int8(i64::MAX - n),
                Value::Float4(n as f32 / 3.0),
                Value::Float8(-n as f64 / 3.0),
                Value::Oid(u32::MAX - n as u32),
                Value::Date(n as i32),
                Value::Time(n),
                Value::Timestamp(-n),
                Value::Timestamptz(n * 1_000_000),
                Value::text("äö".repeat(n as usize % 30)),
                Value::bytea(vec![n as u8; n as usize % 400]),
                Value::Interval(Arc::new(interval)),
            ];
            let width = row.len();
            if n % 3 == 0 {
                row[(n as usize / 3) % width] = Value::Null;
            }
            fragment.insert(&row).unwrap();
        }
        fragment
    }

    fn rows(fragment: &Fragment) -> Vec<String> {
        let snapshot = fragment.snapshot();
        snapshot
            .rows()
            .map(|(row, view)| format!("{row:?} {:?}", view.values().collect::<Vec<_>>()))
            .collect()
    }

    fn bytes_of(fragment: &Fragment) -> Vec<u8> {
        let mut bytes = Vec::new();
        for chunk in fragment.snapshot().chunks() {
            assert_eq!(encode(&chunk, fragment.column_types().len(), &mut bytes), chunk.row_count());
        }
        bytes
    }

    fn back(fragment: &Fragment, mut bytes: &[u8]) -> Result<Fragment> {
        let columns = fragment.column_types().to_vec();
        let mut loaded = Fragment::new(&FragmentSchema { columns, ..FragmentSchema::default() });
        while !bytes.is_empty() {
            let chunk = decode(&mut bytes, fragment.column_types().len())?;
            loaded.load_chunk(chunk).map_err(|_| DecodeError::Malformed("chunk"))?;
        }
        Ok(loaded)
    }

    #[test]
    fn chunks_come_back() {
        for (count, step) in [(1, 2), (512, 7), (1300, 3), (1300, 1300)] {
            let mut fragment = fragment(count);
            for row in (0..count as u32).skip(1).step_by(step) {
                fragment.delete(RowId(row));
            }
            fragment.release_deleted();
            let bytes = bytes_of(&fragment);
            let loaded = back(&fragment, &bytes).unwrap();
            assert_eq!(rows(&loaded), rows(&fragment));
            assert_eq!(bytes_of(&loaded), bytes, "the same rows are the same bytes");
        }
    }

    #[test]
    fn no_garbage_panics() {
        let fragment = fragment(7);
        let bytes = bytes_of(&fragment);
        for end in 0..bytes.len() {
            assert!(end == 0 || back(&fragment, &bytes[..end]).is_err(), "cut at {end}");
        }
        for position in 0..bytes.len() {
            for byte in [0, 1, 14, 15, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = byte;
                let _ = back(&fragment, &damaged);
            }
        }
    }
}
