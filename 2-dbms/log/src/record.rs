//! A transaction's redo record: who, when, and the row changes.
//!
//! ```text
//! record: u32 length of the rest | varint commit_ts | varint context | varint procedure | varint version | changes
//! change: 01 insert  table bucket slot  count   values
//!         02 update  table bucket slot  columns values
//!         03 delete  table bucket slot  count   key values
//!         04 catalog kind  length bytes
//! ```
//!
//! All numbers but the length are varints. `columns` is a bitmap as a varint of any length: seven columns a byte, the
//! lowest first, the high bit set on all bytes but the last. Values are in
//! `tuplix_types::encoding`. Reading trusts nothing and never panics.

use std::borrow::Borrow;

use tuplix_types::Value;
use tuplix_types::encoding::{
    DecodeError, decode, encode, put_bytes, put_varint, skip, take_bytes, take_varint,
};

use crate::room::{PLAIN_BYTES, Room, VARINT_BYTES, append};

/// Columns of a table that an update can name (PostgreSQL's limit is 1,600).
pub const MAX_COLUMNS: usize = 2048;

const INSERT: u8 = 1;
const UPDATE: u8 = 2;
const DELETE: u8 = 3;
const CATALOG: u8 = 4;

/// What a change of a row has before its values takes at most.
const HEAD_BYTES: usize = 1 + 4 * VARINT_BYTES + MAX_COLUMNS / 7 + 1;

/// What stands before the values.
enum Columns<'a> {
    Count(usize),
    Which(&'a [u16]),
}

/// Who made a transaction, and its place in the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Larger than that of every transaction whose rows this one saw or replaced.
    pub commit_ts: u64,
    /// The session's [`crate::Context::id`], 0 for the node itself.
    pub context: u32,
    /// The procedure's object id, 0 for a statement.
    pub procedure: u32,
    /// The procedure's version.
    pub version: u32,
}

/// Appends a record's changes to a byte vector: a lane's, or one of the caller's to be copied there.
#[derive(Debug)]
pub struct RecordWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> RecordWriter<'a> {
    /// Appends to `bytes`.
    #[inline]
    pub fn new(bytes: &'a mut Vec<u8>) -> RecordWriter<'a> {
        RecordWriter { bytes }
    }

    /// A row came: all its values in column order.
    #[inline]
    pub fn insert(&mut self, table: u32, bucket: u16, slot: u64, values: &[Value]) {
        self.row(INSERT, table, bucket, slot, Columns::Count(values.len()), values.len(), |column| {
            &values[column]
        });
    }

    /// Columns of a row changed: their positions in rising order, and the value of each by its number among them.
    ///
    /// # Panics
    /// When a position is [`MAX_COLUMNS`] or more: a catalogue bug.
    #[inline]
    pub fn update<V: Borrow<Value>>(
        &mut self,
        table: u32,
        bucket: u16,
        slot: u64,
        columns: &[u16],
        value: impl Fn(usize) -> V,
    ) {
        debug_assert!(columns.is_sorted_by(|a, b| a < b), "columns come in rising order");
        self.row(UPDATE, table, bucket, slot, Columns::Which(columns), columns.len(), value);
    }

    /// A row went: the values of its key, by their number, for readers of the log; recovery needs only the slot.
    #[inline]
    pub fn delete<V: Borrow<Value>>(
        &mut self,
        table: u32,
        bucket: u16,
        slot: u64,
        count: usize,
        value: impl Fn(usize) -> V,
    ) {
        self.row(DELETE, table, bucket, slot, Columns::Count(count), count, value);
    }

    /// Room is made once for the head and for values that are short; a long one makes its own.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a change has so many parts")]
    fn row<V: Borrow<Value>>(
        &mut self,
        kind: u8,
        table: u32,
        bucket: u16,
        slot: u64,
        columns: Columns<'_>,
        count: usize,
        value: impl Fn(usize) -> V,
    ) {
        let mut next = 0;
        append(self.bytes, HEAD_BYTES + count * PLAIN_BYTES, |room| {
            room.byte(kind);
            room.varint(u64::from(table));
            room.varint(u64::from(bucket));
            room.varint(slot);
            match columns {
                Columns::Count(count) => room.varint(count as u64),
                Columns::Which(columns) => put_columns(columns, room),
            }
            while next < count {
                let value = value(next);
                if !room.plain(value.borrow()) {
                    break;
                }
                // A plain value owns nothing: no call to drop it.
                std::mem::forget(value);
                next += 1;
            }
        });
        for number in next..count {
            encode(value(number).borrow(), self.bytes);
        }
    }

    /// The catalogue changed; what the kinds and bytes mean is the engine's.
    pub fn catalog(&mut self, kind: u32, json: &[u8]) {
        self.bytes.push(CATALOG);
        put_varint(u64::from(kind), self.bytes);
        put_bytes(json, self.bytes);
    }

    /// Changes that a writer over another vector made.
    #[inline]
    pub fn extend(&mut self, changes: &[u8]) {
        self.bytes.extend_from_slice(changes);
    }
}

/// The bitmap of columns.
#[inline(always)]
fn put_columns(columns: &[u16], room: &mut Room<'_>) {
    let last = columns.last().map_or(0, |column| usize::from(*column));
    assert!(last < MAX_COLUMNS, "column {last} is beyond the limit");
    if last < 7 {
        return room.byte(columns.iter().fold(0, |bits, column| bits | 1 << column));
    }
    put_many_columns(columns, last, room);
}

#[inline(never)]
fn put_many_columns(columns: &[u16], last: usize, room: &mut Room<'_>) {
    let mut columns = columns.iter().map(|column| usize::from(*column)).peekable();
    for group in 0..=last / 7 {
        let mut bits = if group < last / 7 { 0x80 } else { 0 };
        while let Some(column) = columns.next_if(|column| *column / 7 == group) {
            bits |= 1 << (column % 7);
        }
        room.byte(bits);
    }
}

fn take_columns(bytes: &mut &[u8], columns: &mut Vec<u16>) -> Result<(), DecodeError> {
    columns.clear();
    for group in (0..MAX_COLUMNS as u16).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        let mut bits = byte & 0x7f;
        while bits != 0 {
            columns.push(group + bits.trailing_zeros() as u16);
            bits &= bits - 1;
        }
        if byte < 0x80 {
            return Ok(());
        }
    }
    Err(DecodeError::Malformed("columns"))
}

/// Appends a record: length and header, then what `write` appends.
#[inline]
pub(crate) fn put_record(
    bytes: &mut Vec<u8>,
    header: &RecordHeader,
    write: impl FnOnce(&mut RecordWriter<'_>),
) -> usize {
    let start = bytes.len();
    append(bytes, 4 + 4 * VARINT_BYTES, |room| {
        // The length is filled in when it is known.
        room.fixed(0);
        room.varint(header.commit_ts);
        room.varint(u64::from(header.context));
        room.varint(u64::from(header.procedure));
        room.varint(u64::from(header.version));
    });
    write(&mut RecordWriter::new(bytes));
    bytes.len() - start
}

/// Fills in the length of the record of `length` bytes at the end of `bytes`.
#[inline]
pub(crate) fn finish_record(bytes: &mut [u8], length: usize) {
    let start = bytes.len() - length;
    let body = (length - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&body.to_le_bytes());
}

/// A record in the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The lane it was written to.
    pub lane: u32,
    /// Who and when.
    pub header: RecordHeader,
    changes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes a record from the front of a lane's section.
    pub(crate) fn take(lane: u32, section: &mut &'a [u8]) -> Result<Record<'a>, DecodeError> {
        let (length, rest) = section.split_first_chunk::<4>().ok_or(DecodeError::Truncated)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| DecodeError::Truncated)?;
        let (mut body, rest) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        *section = rest;
        let commit_ts = take_varint(&mut body)?;
        let (context, procedure, version) =
            (take_u32(&mut body)?, take_u32(&mut body)?, take_u32(&mut body)?);
        Ok(Record { lane, header: RecordHeader { commit_ts, context, procedure, version }, changes: body })
    }

    /// Its changes, in the order in which they were made.
    pub fn changes(&self) -> RecordReader<'a> {
        RecordReader { bytes: self.changes, values: Vec::new(), columns: Vec::new() }
    }

    /// Its changes as bytes, for [`RecordReader::reset`].
    pub fn bytes(&self) -> &'a [u8] {
        self.changes
    }
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, DecodeError> {
    u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)
}

/// One change of a record. The vectors are the reader's: the caller may drain or take them.
#[derive(Debug)]
pub enum Change<'a> {
    /// A row came.
    Insert {
        /// Table.
        table: u32,
        /// Bucket.
        bucket: u16,
        /// Where the row lies in its fragment.
        slot: u64,
        /// All values in column order.
        values: &'a mut Vec<Value>,
    },
    /// Columns of a row changed.
    Update {
        /// Table.
        table: u32,
        /// Bucket.
        bucket: u16,
        /// Where the row lies in its fragment.
        slot: u64,
        /// Which columns, in rising order.
        columns: &'a [u16],
        /// Their new values.
        values: &'a mut Vec<Value>,
    },
    /// A row went.
    Delete {
        /// Table.
        table: u32,
        /// Bucket.
        bucket: u16,
        /// Where the row lay in its fragment.
        slot: u64,
        /// The values of its key.
        key: &'a mut Vec<Value>,
    },
    /// The catalogue changed.
    Catalog {
        /// What changed, in the engine's words.
        kind: u32,
        /// How.
        json: &'a [u8],
    },
}

/// Reads the changes of a record, reusing its vectors.
#[derive(Debug, Default)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    columns: Vec<u16>,
}

impl<'a> RecordReader<'a> {
    /// Reads the changes in `bytes`, for example those that a [`RecordWriter`] wrote.
    pub fn new(bytes: &'a [u8]) -> RecordReader<'a> {
        RecordReader { bytes, values: Vec::new(), columns: Vec::new() }
    }

    /// Goes on with another record's changes.
    pub fn reset(&mut self, bytes: &'a [u8]) {
        self.bytes = bytes;
    }

    /// The next change, `None` at the end.
    ///
    /// # Errors
    /// When the bytes are no change; reading on then makes no sense.
    #[expect(clippy::should_implement_trait, reason = "it lends its vectors")]
    pub fn next(&mut self) -> Result<Option<Change<'_>>, DecodeError> {
        let Some((&kind, rest)) = self.bytes.split_first() else { return Ok(None) };
        self.bytes = rest;
        if kind == CATALOG {
            let kind = take_u32(&mut self.bytes)?;
            return Ok(Some(Change::Catalog { kind, json: take_bytes(&mut self.bytes)? }));
        }
        if !matches!(kind, INSERT | UPDATE | DELETE) {
            return Err(DecodeError::UnknownTag(kind));
        }
        let table = take_u32(&mut self.bytes)?;
        let bucket =
            u16::try_from(take_varint(&mut self.bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
        let slot = take_varint(&mut self.bytes)?;
        let count = if kind == UPDATE {
            take_columns(&mut self.bytes, &mut self.columns)?;
            self.columns.len()
        } else {
            usize::try_from(take_varint(&mut self.bytes)?).map_err(|_| DecodeError::Truncated)?
        };
        // Each value takes a byte at least, so a wrong count is an error before it is an allocation.
        if count > self.bytes.len() {
            return Err(DecodeError::Truncated);
        }
        self.values.clear();
        for _ in 0..count {
            self.values.push(decode(&mut self.bytes)?);
        }
        let values = &mut self.values;
        Ok(Some(match kind {
            INSERT => Change::Insert { table, bucket, slot, values },
            UPDATE => Change::Update { table, bucket, slot, columns: &self.columns, values },
            _ => Change::Delete { table, bucket, slot, key: values },
        }))
    }
}

/// A change as it lies in the log, for [`RecordReader::new`].
#[derive(Clone, Copy, Debug)]
pub struct RawChange<'a> {
    /// Table and bucket of the row; `None`: the catalogue changed.
    pub place: Option<(u32, u16)>,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Finds where changes begin and end, without making their values.
#[derive(Debug)]
pub struct RawChanges<'a> {
    bytes: &'a [u8],
    columns: Vec<u16>,
}

impl<'a> RawChanges<'a> {
    /// The changes in `bytes`.
    pub fn new(bytes: &'a [u8]) -> RawChanges<'a> {
        RawChanges { bytes, columns: Vec::new() }
    }

    /// The next change, `None` at the end.
    ///
    /// # Errors
    /// When the bytes are no change; reading on then makes no sense.
    #[expect(clippy::should_implement_trait, reason = "as RecordReader")]
    pub fn next(&mut self) -> Result<Option<RawChange<'a>>, DecodeError> {
        let start = self.bytes;
        let Some((&kind, rest)) = start.split_first() else { return Ok(None) };
        let mut rest = rest;
        let place = if kind == CATALOG {
            take_u32(&mut rest)?;
            take_bytes(&mut rest)?;
            None
        } else {
            Some(self.skip_row(kind, &mut rest)?)
        };
        self.bytes = rest;
        Ok(Some(RawChange { place, bytes: &start[..start.len() - rest.len()] }))
    }

    fn skip_row(&mut self, kind: u8, bytes: &mut &[u8]) -> Result<(u32, u16), DecodeError> {
        if !matches!(kind, INSERT | UPDATE | DELETE) {
            return Err(DecodeError::UnknownTag(kind));
        }
        let table = take_u32(bytes)?;
        let bucket = u16::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
        take_varint(bytes)?;
        let count = if kind == UPDATE {
            take_columns(bytes, &mut self.columns)?;
            self.columns.len() as u64
        } else {
            take_varint(bytes)?
        };
        for _ in 0..count {
            skip(bytes)?;
        }
        Ok((table, bucket))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = RecordWriter::new(&mut bytes);
        let row = [Value::Int8(300), Value::text("abc"), Value::Null];
        writer.insert(16384, 63, 1 << 40, &row);
        writer.update(1, 0, 7, &[0, 6], |number| &row[number]);
        let four = [&row[0], &row[1], &row[2], &Value::Bool(true)];
        writer.update(1, 0, 7, &[0, 7, 20, 2047], |number| four[number]);
        writer.delete(2, 9, 0, 1, |number| &row[number]);
        writer.catalog(3, br#"{"a":1}"#);
        bytes
    }

    fn show(reader: &mut RecordReader<'_>) -> Result<Vec<String>, DecodeError> {
        let mut lines = Vec::new();
        while let Some(change) = reader.next()? {
            lines.push(format!("{change:?}"));
        }
        Ok(lines)
    }

    #[test]
    fn changes_come_back() {
        let bytes = written();
        let lines = show(&mut RecordReader::new(&bytes)).unwrap();
        assert_eq!(lines.len(), 5);
        assert_eq!(
            lines[0],
            "Insert { table: 16384, bucket: 63, slot: 1099511627776, values: [Int8(300), Text(\"abc\"), Null] }"
        );
        assert!(lines[1].contains("columns: [0, 6], values: [Int8(300), Text(\"abc\")]"), "{}", lines[1]);
        assert!(lines[2].contains("columns: [0, 7, 20, 2047]"), "{}", lines[2]);
        assert_eq!(lines[3], "Delete { table: 2, bucket: 9, slot: 0, key: [Int8(300)] }");
        assert!(lines[4].starts_with("Catalog { kind: 3"));
    }

    #[test]
    fn records_have_a_length_and_a_header() {
        let header =
            RecordHeader { commit_ts: u64::MAX, context: u32::MAX, procedure: u32::MAX, version: u32::MAX };
        let mut bytes = b"before".to_vec();
        let length = put_record(&mut bytes, &header, |changes| changes.extend(&written()));
        finish_record(&mut bytes, length);
        let mut rest = &bytes[6..];
        let record = Record::take(3, &mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!((record.lane, record.header), (3, header));
        assert_eq!(record.bytes(), written());
    }

    /// Cut where they are cut, changes read one by one are those that are read in a row.
    #[test]
    fn raw_changes_are_the_same_ones() {
        let bytes = written();
        let mut raw = RawChanges::new(&bytes);
        let mut lines = Vec::new();
        let mut places = Vec::new();
        while let Some(change) = raw.next().unwrap() {
            places.push(change.place);
            lines.extend(show(&mut RecordReader::new(change.bytes)).unwrap());
        }
        assert_eq!(lines, show(&mut RecordReader::new(&bytes)).unwrap());
        assert_eq!(places, [Some((16384, 63)), Some((1, 0)), Some((1, 0)), Some((2, 9)), None]);
        for end in 0..bytes.len() {
            let mut raw = RawChanges::new(&bytes[..end]);
            while let Ok(Some(_)) = raw.next() {}
        }
    }

    #[test]
    fn no_garbage_panics() {
        let bytes = written();
        for end in 0..bytes.len() {
            let _ = show(&mut RecordReader::new(&bytes[..end]));
        }
        for position in 0..bytes.len() {
            for byte in [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = byte;
                let _ = show(&mut RecordReader::new(&damaged));
                let _ = Record::take(0, &mut &damaged[position..]);
            }
        }
    }
}
