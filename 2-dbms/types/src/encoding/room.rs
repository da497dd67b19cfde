//! Room at the end of a byte vector, made once for a few small values: a vector that looks whether it has to grow at each
//! byte, and a varint made bit group by bit group, were a tenth of what a short transaction costs.

use std::mem::MaybeUninit;

use super::put_varint;
use crate::Value;

/// The most bytes that a varint takes.
pub const VARINT_BYTES: usize = 10;
/// The most bytes that [`Room::plain`] writes.
pub const PLAIN_BYTES: usize = 1 + VARINT_BYTES;

/// Bytes behind the end of a vector. Writing more than the room that was asked for panics.
#[derive(Debug)]
pub struct Room<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
    /// All bytes in front of it have been written.
    end: usize,
}

/// Makes room for `most` bytes behind the end of `out`, has `write` fill some of it, and appends these.
#[inline(always)]
pub fn append(out: &mut Vec<u8>, most: usize, write: impl FnOnce(&mut Room<'_>)) {
    // Whole words are written where less is meant.
    out.reserve(most + size_of::<u64>());
    let start = out.len();
    let mut room = Room { bytes: out.spare_capacity_mut(), end: 0 };
    write(&mut room);
    let end = start + room.end;
    // SAFETY: `end` goes on only in `Room::put`, over bytes of the spare capacity that it has just written.
    unsafe { out.set_len(end) };
}

/// The seven-bit groups of a number below 2^56, one a byte, with the bits that say that another one follows; and how many.
#[inline(always)]
fn spread(value: u64) -> (u64, usize) {
    let halves = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = (halves & 0x0000_3fff_0000_3fff) | (halves & 0x0fff_c000_0fff_c000) << 2;
    let groups = (quarters & 0x007f_007f_007f_007f) | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
    let last = (63 - (groups | 1).leading_zeros() as usize) / 8;
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * last)) - 1);
    (groups | more, last + 1)
}

impl Room<'_> {
    /// Writes a word of which the first `used` bytes count.
    #[inline(always)]
    fn put(&mut self, word: u64, used: usize) {
        self.bytes[self.end..self.end + size_of::<u64>()].write_copy_of_slice(&word.to_le_bytes());
        self.end += used.min(size_of::<u64>());
    }

    /// One byte.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        self.put(u64::from(byte), 1);
    }

    /// Four bytes, little endian.
    #[inline(always)]
    pub fn fixed(&mut self, word: u32) {
        self.put(u64::from(word), 4);
    }

    /// An unsigned integer as [`put_varint`] writes it.
    #[inline(always)]
    pub fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.put(value, 1);
        } else if value >> 56 == 0 {
            let (word, used) = spread(value);
            self.put(word, used);
        } else {
            self.long_varint(value);
        }
    }

    #[cold]
    fn long_varint(&mut self, value: u64) {
        let mut bytes = Vec::with_capacity(VARINT_BYTES);
        put_varint(value, &mut bytes);
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// A tag and a signed integer, zigzag.
    #[inline(always)]
    fn integer(&mut self, tag: u8, value: i64) {
        let word = ((value << 1) ^ (value >> 63)) as u64;
        if word < 0x80 {
            self.put(u64::from(tag) | word << 8, 2);
        } else {
            self.byte(tag);
            self.varint(word);
        }
    }

    /// A value as [`encode`](super::encode) writes it, if it is one of the short ones that rows are mostly made of.
    #[inline(always)]
    #[must_use]
    pub fn plain(&mut self, value: &Value) -> bool {
        match value {
            Value::Int4(v) => self.integer(4, i64::from(*v)),
            Value::Int8(v) => self.integer(5, *v),
            Value::Null => self.byte(0),
            Value::Bool(v) => self.byte(1 + u8::from(*v)),
            Value::Timestamptz(v) => {
                self.byte(0x0c);
                self.put(v.cast_unsigned(), 8);
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::encode;

    fn written(most: usize, write: impl FnOnce(&mut Room<'_>)) -> Vec<u8> {
        let mut out = vec![7];
        append(&mut out, most, write);
        assert_eq!(out.remove(0), 7);
        out
    }

    /// Each number on both sides of each power of two, so that each length is there.
    #[test]
    fn varints_are_those_of_put_varint() {
        for bit in 0..64 {
            for number in [1_u64 << bit, (1 << bit) - 1, u64::MAX >> bit, 0x5555_5555_5555_5555 >> bit] {
                let mut expected = Vec::new();
                put_varint(number, &mut expected);
                assert_eq!(written(VARINT_BYTES, |room| room.varint(number)), expected, "{number}");
            }
        }
    }

    #[test]
    fn plain_values_are_those_of_encode() {
        let numbers = (0..64).flat_map(|bit| [1_i64 << bit, -(1 << bit.min(62)), i64::MAX >> bit]);
        let values = numbers.flat_map(|v| [Value::Int8(v), Value::Int4(v as i32), Value::Timestamptz(v)]);
        for value in values.chain([Value::Null, Value::Bool(true), Value::Bool(false)]) {
            let mut expected = Vec::new();
            encode(&value, &mut expected);
            assert_eq!(written(PLAIN_BYTES, |room| assert!(room.plain(&value))), expected, "{value:?}");
        }
        assert!(written(PLAIN_BYTES, |room| assert!(!room.plain(&Value::text("a")))).is_empty());
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn there_is_no_more_room_than_asked_for() {
        let mut out = Vec::with_capacity(1);
        append(&mut out, 1, |room| (0..10_000).for_each(|_| room.byte(1)));
    }
}
