//! Reading the changes of a redo record (see [`record`](crate::record)): whole, value by value, or only where they begin and end.

use tuplix_types::Value;
use tuplix_types::encoding::{DecodeError, decode, skip, take_bytes, take_varint};

use crate::record::{CATALOG, DELETE, INSERT, MAX_COLUMNS, UPDATE, take_u32};

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

/// Where the row of a change lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// Table.
    pub table: u32,
    /// Bucket.
    pub bucket: u16,
    /// The row's slot in its fragment.
    pub slot: u64,
}

/// What a change begins with. Its values follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeHead<'a> {
    /// A row came; as many values as the row has columns.
    Insert(RowPlace, usize),
    /// Columns of a row changed; a value for each of [`RecordReader::columns`].
    Update(RowPlace),
    /// A row went; as many values as its key has.
    Delete(RowPlace, usize),
    /// The catalogue changed: the kind and the bytes, no values.
    Catalog(u32, &'a [u8]),
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

/// Reads the changes of a record, reusing its vectors: [`RecordReader::next`] for whole ones, or [`RecordReader::head`] and then
/// each value.
#[derive(Debug, Default)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    columns: Vec<u16>,
}

impl<'a> RecordReader<'a> {
    /// Reads the changes in `bytes`, for example those that a [`RecordWriter`](crate::RecordWriter) wrote.
    pub fn new(bytes: &'a [u8]) -> RecordReader<'a> {
        RecordReader { bytes, values: Vec::new(), columns: Vec::new() }
    }

    /// Goes on with another record's changes.
    pub fn reset(&mut self, bytes: &'a [u8]) {
        self.bytes = bytes;
    }

    /// The columns of the update whose head was read last, in rising order.
    pub fn columns(&self) -> &[u16] {
        &self.columns
    }

    /// What the next change begins with, `None` at the end. Its values are to be taken or skipped before the next head.
    ///
    /// # Errors
    /// When the bytes are no change; reading on then makes no sense.
    #[inline]
    pub fn head(&mut self) -> Result<Option<ChangeHead<'a>>, DecodeError> {
        let Some((&kind, rest)) = self.bytes.split_first() else { return Ok(None) };
        self.bytes = rest;
        if kind == CATALOG {
            let kind = take_u32(&mut self.bytes)?;
            return Ok(Some(ChangeHead::Catalog(kind, take_bytes(&mut self.bytes)?)));
        }
        if !matches!(kind, INSERT | UPDATE | DELETE) {
            return Err(DecodeError::UnknownTag(kind));
        }
        let table = take_u32(&mut self.bytes)?;
        let bucket =
            u16::try_from(take_varint(&mut self.bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)?;
        let place = RowPlace { table, bucket, slot: take_varint(&mut self.bytes)? };
        if kind == UPDATE {
            take_columns(&mut self.bytes, &mut self.columns)?;
            return Ok(Some(ChangeHead::Update(place)));
        }
        let count = usize::try_from(take_varint(&mut self.bytes)?).map_err(|_| DecodeError::Truncated)?;
        // Each value takes a byte at least, so a wrong count is an error before it is an allocation.
        if count > self.bytes.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(Some(if kind == INSERT {
            ChangeHead::Insert(place, count)
        } else {
            ChangeHead::Delete(place, count)
        }))
    }

    /// The bytes that begin with the values of the change whose head was read last, for who takes them.
    #[inline]
    pub fn values(&mut self) -> &mut &'a [u8] {
        &mut self.bytes
    }

    /// The columns of an update with the bytes that begin with its values.
    #[inline]
    pub fn update(&mut self) -> (&[u16], &mut &'a [u8]) {
        (&self.columns, &mut self.bytes)
    }

    /// Passes over so many values without making them.
    ///
    /// # Errors
    /// When the bytes end, or are no values.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Result<(), DecodeError> {
        (0..count).try_for_each(|_| skip(&mut self.bytes))
    }

    /// The next change, `None` at the end.
    ///
    /// # Errors
    /// As [`RecordReader::head`].
    #[expect(clippy::should_implement_trait, reason = "it lends its vectors")]
    pub fn next(&mut self) -> Result<Option<Change<'_>>, DecodeError> {
        let Some(head) = self.head()? else { return Ok(None) };
        let count = match head {
            ChangeHead::Insert(_, count) | ChangeHead::Delete(_, count) => count,
            ChangeHead::Update(_) => self.columns.len(),
            ChangeHead::Catalog(kind, json) => return Ok(Some(Change::Catalog { kind, json })),
        };
        self.values.clear();
        for _ in 0..count {
            self.values.push(decode(&mut self.bytes)?);
        }
        let values = &mut self.values;
        Ok(Some(match head {
            ChangeHead::Insert(RowPlace { table, bucket, slot }, _) => {
                Change::Insert { table, bucket, slot, values }
            }
            ChangeHead::Update(RowPlace { table, bucket, slot }) => {
                Change::Update { table, bucket, slot, columns: &self.columns, values }
            }
            ChangeHead::Delete(RowPlace { table, bucket, slot }, _) => {
                Change::Delete { table, bucket, slot, key: values }
            }
            ChangeHead::Catalog(kind, json) => Change::Catalog { kind, json },
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
pub struct RawChanges<'a>(RecordReader<'a>);

impl<'a> RawChanges<'a> {
    /// The changes in `bytes`.
    pub fn new(bytes: &'a [u8]) -> RawChanges<'a> {
        RawChanges(RecordReader::new(bytes))
    }

    /// The next change, `None` at the end.
    ///
    /// # Errors
    /// When the bytes are no change; reading on then makes no sense.
    #[expect(clippy::should_implement_trait, reason = "as RecordReader")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<RawChange<'a>>, DecodeError> {
        let start = self.0.bytes;
        let Some(head) = self.0.head()? else { return Ok(None) };
        let (place, count) = match head {
            ChangeHead::Insert(place, count) | ChangeHead::Delete(place, count) => (Some(place), count),
            ChangeHead::Update(place) => (Some(place), self.0.columns.len()),
            ChangeHead::Catalog(..) => (None, 0),
        };
        self.0.skip(count)?;
        let place = place.map(|place| (place.table, place.bucket));
        Ok(Some(RawChange { place, bytes: &start[..start.len() - self.0.bytes.len()] }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::record::{Record, RecordHeader, RecordWriter, finish_record, put_record};

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
