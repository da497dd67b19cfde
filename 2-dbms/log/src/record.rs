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
//! `tuplix_types::encoding`. Reading ([`changes`](crate::changes)) trusts nothing and never panics.

use std::borrow::Borrow;

use tuplix_types::Value;
use tuplix_types::encoding::{DecodeError, encode, put_bytes, put_varint, take_varint};

use crate::changes::RecordReader;

/// Columns of a table that an update can name (PostgreSQL's limit is 1,600).
pub const MAX_COLUMNS: usize = 2048;

pub(crate) const INSERT: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const DELETE: u8 = 3;
pub(crate) const CATALOG: u8 = 4;

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

/// A few varints on the stack, so that the vector grows once.
struct Small {
    bytes: [u8; 48],
    len: usize,
}

impl Small {
    #[inline]
    fn new() -> Small {
        Small { bytes: [0; 48], len: 0 }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// Appends what was written. Copies of constant size are a few instructions, one of variable size is a call.
    #[inline]
    fn append_to(&self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + self.len;
        match self.len {
            0..=16 => bytes.extend_from_slice(&self.bytes[..16]),
            17..=32 => bytes.extend_from_slice(&self.bytes[..32]),
            _ => bytes.extend_from_slice(&self.bytes),
        }
        bytes.truncate(end);
    }
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

    #[inline]
    fn row(&mut self, kind: u8, table: u32, bucket: u16, slot: u64, count: Option<usize>) {
        let mut head = Small::new();
        head.byte(kind);
        head.varint(u64::from(table));
        head.varint(u64::from(bucket));
        head.varint(slot);
        if let Some(count) = count {
            head.varint(count as u64);
        }
        head.append_to(self.bytes);
    }

    /// A row came: all its values in column order.
    #[inline]
    pub fn insert<'v, V>(&mut self, table: u32, bucket: u16, slot: u64, values: V)
    where
        V: IntoIterator<Item = &'v Value, IntoIter: ExactSizeIterator>,
    {
        let values = values.into_iter();
        self.row(INSERT, table, bucket, slot, Some(values.len()));
        values.for_each(|value| encode(value, self.bytes));
    }

    /// Columns of a row changed: their positions in rising order, and a value for each.
    ///
    /// # Panics
    /// When a position is [`MAX_COLUMNS`] or more: a catalogue bug.
    #[inline]
    pub fn update<V>(&mut self, table: u32, bucket: u16, slot: u64, columns: &[u16], values: V)
    where
        V: IntoIterator<Item: Borrow<Value>>,
    {
        debug_assert!(columns.is_sorted_by(|a, b| a < b), "columns come in rising order");
        self.row(UPDATE, table, bucket, slot, None);
        put_columns(columns, self.bytes);
        let mut count = 0;
        for value in values {
            encode(value.borrow(), self.bytes);
            count += 1;
        }
        debug_assert_eq!(count, columns.len(), "a value for each column");
    }

    /// A row went: the values of its key, for readers of the log; recovery needs only the slot.
    #[inline]
    pub fn delete<V>(&mut self, table: u32, bucket: u16, slot: u64, key: V)
    where
        V: IntoIterator<Item: Borrow<Value>, IntoIter: ExactSizeIterator>,
    {
        let key = key.into_iter();
        self.row(DELETE, table, bucket, slot, Some(key.len()));
        key.for_each(|value| encode(value.borrow(), self.bytes));
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

#[inline]
fn put_columns(columns: &[u16], bytes: &mut Vec<u8>) {
    let last = columns.last().map_or(0, |column| usize::from(*column));
    assert!(last < MAX_COLUMNS, "column {last} is beyond the limit");
    if last < 7 {
        return bytes.push(columns.iter().fold(0, |bits, column| bits | 1 << column));
    }
    let start = bytes.len();
    bytes.resize(start + last / 7 + 1, 0x80);
    for column in columns {
        bytes[start + usize::from(*column) / 7] |= 1 << (column % 7);
    }
    bytes[start + last / 7] &= 0x7f;
}

/// Appends a record: length and header, then what `write` appends.
#[inline]
pub(crate) fn put_record(
    bytes: &mut Vec<u8>,
    header: &RecordHeader,
    write: impl FnOnce(&mut RecordWriter<'_>),
) -> usize {
    let start = bytes.len();
    let mut head = Small::new();
    head.len = 4;
    head.varint(header.commit_ts);
    head.varint(u64::from(header.context));
    head.varint(u64::from(header.procedure));
    head.varint(u64::from(header.version));
    head.append_to(bytes);
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
        RecordReader::new(self.changes)
    }

    /// Its changes as bytes, for [`RecordReader::reset`].
    pub fn bytes(&self) -> &'a [u8] {
        self.changes
    }
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Result<u32, DecodeError> {
    u32::try_from(take_varint(bytes)?).map_err(|_| DecodeError::IntegerOutOfRange)
}
