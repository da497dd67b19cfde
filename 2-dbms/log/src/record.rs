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
use tuplix_types::encoding::{
    DecodeError, PLAIN_BYTES, Room, VARINT_BYTES, append, encode, put_bytes, put_varint, take_varint,
};

use crate::changes::RecordReader;

/// Columns of a table that an update can name (PostgreSQL's limit is 1,600).
pub const MAX_COLUMNS: usize = 2048;

pub(crate) const INSERT: u8 = 1;
pub(crate) const UPDATE: u8 = 2;
pub(crate) const DELETE: u8 = 3;
pub(crate) const CATALOG: u8 = 4;

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
