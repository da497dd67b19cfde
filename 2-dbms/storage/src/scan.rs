//! Scans: the live rows whose columns pass simple tests, 64 rows at a time.
//!
//! A test runs over the typed vector of a column and yields a bit a row; the bits of a word of rows are
//! anded. Nothing is copied out of the chunk for a row that fails.

use arrayvec::ArrayVec;
use ecow::EcoString;

use crate::chunk::{Bits, Chunk};
use crate::column::{Column, ColumnData, RowBits};
use crate::directory::Directory;
use crate::schema::{CHUNK_ROWS, RowId};

/// Rows of a batch.
pub const BATCH_ROWS: usize = 64;

/// Row ids that a scan found.
pub type RowBatch = ArrayVec<RowId, BATCH_ROWS>;

/// Where a scan is.
#[derive(Clone, Copy, Debug)]
pub struct ScanCursor {
    next: u64,
    /// Rows of a batch.
    most: usize,
}

impl Default for ScanCursor {
    fn default() -> ScanCursor {
        ScanCursor { next: 0, most: BATCH_ROWS }
    }
}

impl ScanCursor {
    /// The start of the fragment.
    pub fn new() -> ScanCursor {
        ScanCursor::default()
    }

    /// The start of the fragment, for a reader who expects to need `rows` rows only: batches are that small, and a
    /// row behind them is not tested.
    #[inline]
    pub fn few(rows: usize) -> ScanCursor {
        ScanCursor { next: 0, most: rows.clamp(1, BATCH_ROWS) }
    }

    /// The start of another fragment, with batches of the same size.
    #[inline]
    #[must_use]
    pub fn restarted(self) -> ScanCursor {
        ScanCursor { next: 0, ..self }
    }
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it may hold between a value from `low` to `high` and a constant.
    pub fn may_hold(self, low: i64, high: i64, constant: i64) -> bool {
        match self {
            Comparison::Equal => low <= constant && constant <= high,
            Comparison::NotEqual => low != constant || high != constant,
            Comparison::Less => low < constant,
            Comparison::LessOrEqual => low <= constant,
            Comparison::Greater => high > constant,
            Comparison::GreaterOrEqual => high >= constant,
        }
    }
}

/// A test of one column. A NULL passes only [`Test::IsNull`].
#[derive(Clone, Debug)]
pub enum Test {
    /// `IS NULL`
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
    /// An integer, date, time or oid column against a constant of any width.
    Integer(Comparison, i64),
    /// A boolean column is this.
    Bool(bool),
    /// A text column is this, byte for byte (not for `char(n)`, whose trailing blanks do not count).
    TextEqual(EcoString),
    /// A text column is something else.
    TextNotEqual(EcoString),
}

/// A column and its test.
#[derive(Clone, Debug)]
pub struct SimplePredicate {
    /// Which column.
    pub column: usize,
    /// What must hold. A test that does not fit the column's type passes no row.
    pub test: Test,
}

/// Below this many rows, testing one by one is cheaper than testing all 64 of a word.
const FEW: usize = 8;

/// Appends the next live rows for which all predicates hold until `out` has a batch; true if there may be more.
pub(crate) fn scan_batch(
    directory: &Directory,
    cursor: &mut ScanCursor,
    predicates: &[SimplePredicate],
    out: &mut RowBatch,
) -> bool {
    loop {
        let number = (cursor.next / CHUNK_ROWS as u64) as usize;
        let Some(chunk) = directory.chunk_at(number) else { return false };
        let word = (cursor.next % CHUNK_ROWS as u64) as usize / 64;
        let mut bits = chunk.live[word] & (u64::MAX << (cursor.next % 64));
        for predicate in predicates {
            if bits == 0 {
                break;
            }
            bits &= test_word(chunk, word, bits, predicate);
        }
        let start = (number * CHUNK_ROWS + word * 64) as u64;
        for bit in Bits(bits) {
            let slot = start + bit as u64;
            if out.len() >= cursor.most {
                cursor.next = slot;
                return true;
            }
            out.push(RowId(slot as u32));
        }
        cursor.next = start + 64;
        if out.len() >= cursor.most {
            return true;
        }
    }
}

/// The next live row from `from` on for which all predicates hold, in its chunk; `from` goes behind it. For readers of a few
/// rows: the first row is tested at once, those of its word one by one, and only where none of it passes whole words are.
#[inline]
pub(crate) fn next_match<'d>(
    directory: &'d Directory,
    from: &mut u64,
    predicates: &[SimplePredicate],
) -> Option<(RowId, &'d Chunk)> {
    let chunk = directory.chunk_at((*from / CHUNK_ROWS as u64) as usize)?;
    let place = (*from % CHUNK_ROWS as u64) as usize;
    if chunk.is_live(place) && predicates.iter().all(|test| test_row(chunk, place, test)) {
        *from += 1;
        return Some((RowId(*from as u32 - 1), chunk));
    }
    let row = next_match_behind(directory, from, predicates)?;
    Some((row, directory.chunk(row)?))
}

/// As [`next_match`].
fn next_match_behind(directory: &Directory, from: &mut u64, predicates: &[SimplePredicate]) -> Option<RowId> {
    let mut by_row = true;
    loop {
        let number = (*from / CHUNK_ROWS as u64) as usize;
        let chunk = directory.chunk_at(number)?;
        let word = (*from % CHUNK_ROWS as u64) as usize / 64;
        let bits = chunk.live[word] & (u64::MAX << (*from % 64));
        let found = if by_row {
            let passes = |bit: &usize| predicates.iter().all(|test| test_row(chunk, word * 64 + bit, test));
            Bits(bits).find(passes)
        } else {
            let passed = |bits, test| if bits == 0 { 0 } else { bits & test_word(chunk, word, bits, test) };
            Bits(predicates.iter().fold(bits, passed)).next()
        };
        let start = (number * CHUNK_ROWS + word * 64) as u64;
        if let Some(bit) = found {
            *from = start + bit as u64 + 1;
            return Some(RowId(*from as u32 - 1));
        }
        *from = start + 64;
        by_row = false;
    }
}

/// The live rows of a chunk for which all predicates hold, a bit a place.
pub(crate) fn select(chunk: &Chunk, predicates: &[SimplePredicate]) -> RowBits {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { select_wide(chunk, predicates) };
    }
    select_by(chunk, predicates)
}

/// The same for processors with vectors of 32 bytes: what the compiler makes of it for all of them has 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn select_wide(chunk: &Chunk, predicates: &[SimplePredicate]) -> RowBits {
    select_by(chunk, predicates)
}

#[inline(always)]
fn select_by(chunk: &Chunk, predicates: &[SimplePredicate]) -> RowBits {
    let mut selected = chunk.live;
    for predicate in predicates {
        for (word, bits) in selected.iter_mut().enumerate().filter(|(_, bits)| **bits != 0) {
            *bits &= test_word(chunk, word, *bits, predicate);
        }
    }
    selected
}

impl Comparison {
    /// Whether two integers compare so. Both comparisons are made and one is chosen: a jump by a table costs more.
    #[inline]
    pub fn holds(self, left: i64, right: i64) -> bool {
        let (less, equal) = (left < right, left == right);
        match self {
            Comparison::Equal => equal,
            Comparison::NotEqual => !equal,
            Comparison::Less => less,
            Comparison::LessOrEqual => less | equal,
            Comparison::Greater => !(less | equal),
            Comparison::GreaterOrEqual => !less,
        }
    }
}

/// Whether one row passes.
#[inline]
fn test_row(chunk: &Chunk, place: usize, predicate: &SimplePredicate) -> bool {
    if let Test::Integer(comparison, constant) = predicate.test {
        let value = chunk.columns()[predicate.column].integer(place);
        return value.is_some_and(|value| comparison.holds(value, constant));
    }
    let bit = 1 << (place % 64);
    test_word(chunk, place / 64, bit, predicate) & bit != 0
}

/// The rows of a word that pass, as far as `bits` asks; its other bits mean nothing.
#[inline(always)]
fn test_word(chunk: &Chunk, word: usize, bits: u64, predicate: &SimplePredicate) -> u64 {
    let column = &chunk.columns()[predicate.column];
    let nulls = column.nulls().map_or(0, |nulls| nulls[word]);
    let start = word * 64;
    match &predicate.test {
        Test::IsNull => nulls,
        Test::IsNotNull => !nulls,
        Test::Integer(comparison, constant) => {
            test_integers(column, start, bits, *comparison, *constant) & !nulls
        }
        Test::Bool(constant) => match column.data() {
            ColumnData::Bool(v) => each(v, start, bits, |v| v == constant) & !nulls,
            _ => 0,
        },
        Test::TextEqual(constant) => match column.data() {
            ColumnData::Text(v) => each(v, start, bits & !nulls, |v| v == constant),
            _ => 0,
        },
        Test::TextNotEqual(constant) => match column.data() {
            ColumnData::Text(v) => each(v, start, bits & !nulls, |v| v != constant),
            _ => 0,
        },
    }
}

/// Tests the values of a word of rows that `bits` names.
#[inline(always)]
fn each<T>(values: &[T], start: usize, bits: u64, test: impl Fn(&T) -> bool) -> u64 {
    let mut passed = 0;
    for bit in Bits(bits) {
        passed |= u64::from(test(&values[start + bit])) << bit;
    }
    passed
}

/// Tests all values of a word of rows without a branch; what lies in dead rows does not matter.
#[inline(always)]
fn all<T: Copy>(values: &[T], start: usize, test: impl Fn(T) -> bool) -> u64 {
    let end = values.len().min(start + 64);
    let values = &values[start.min(end)..end];
    if let Ok(values) = <&[T; 64]>::try_from(values) {
        // A byte a value first: that the compiler does with the machine's vectors. `map` of the array is a call a value.
        let mut passed = [0; 64];
        passed.iter_mut().zip(values).for_each(|(passed, value)| *passed = u8::from(test(*value)));
        return bits_of(&passed);
    }
    let mut passed = 0;
    for (bit, value) in values.iter().enumerate() {
        passed |= u64::from(test(*value)) << bit;
    }
    passed
}

/// Bytes of 0 and 1 as bits.
#[inline(always)]
fn bits_of(bytes: &[u8; 64]) -> u64 {
    let mut bits = 0;
    for (index, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product has the lowest bit of byte i as bit 56 + i, and nothing else up there.
        bits |= u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56 << (index * 8);
    }
    bits
}

#[inline(always)]
fn test_integers(column: &Column, start: usize, bits: u64, comparison: Comparison, constant: i64) -> u64 {
    match column.data() {
        ColumnData::Int4(v) | ColumnData::Date(v) => compare(v, start, bits, comparison, constant),
        ColumnData::Int8(v) | ColumnData::Time(v) | ColumnData::Timestamp(v) | ColumnData::Timestamptz(v) => {
            compare(v, start, bits, comparison, constant)
        }
        ColumnData::Int2(v) => compare(v, start, bits, comparison, constant),
        ColumnData::Oid(v) => compare(v, start, bits, comparison, constant),
        _ => 0,
    }
}

#[inline(always)]
fn compare<T: Copy + Into<i64> + TryFrom<i64> + PartialOrd>(
    values: &[T],
    start: usize,
    bits: u64,
    comparison: Comparison,
    constant: i64,
) -> u64 {
    let Ok(narrow) = T::try_from(constant) else {
        // No value of the type is as large, or as small.
        let passes = match comparison {
            Comparison::Equal => false,
            Comparison::NotEqual => true,
            Comparison::Less | Comparison::LessOrEqual => constant > 0,
            Comparison::Greater | Comparison::GreaterOrEqual => constant < 0,
        };
        return if passes { u64::MAX } else { 0 };
    };
    macro_rules! run {
        ($operator:tt) => {
            if (bits.count_ones() as usize) < FEW {
                each(values, start, bits, |v| *v $operator narrow)
            } else {
                all(values, start, |v| v $operator narrow)
            }
        };
    }
    match comparison {
        Comparison::Equal => run!(==),
        Comparison::NotEqual => run!(!=),
        Comparison::Less => run!(<),
        Comparison::LessOrEqual => run!(<=),
        Comparison::Greater => run!(>),
        Comparison::GreaterOrEqual => run!(>=),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways to test a word of rows agree with the comparison of 64-bit integers, also beyond what the column's type holds.
    #[test]
    fn comparisons_are_those_of_wide_integers() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        fn check<T: Copy + Into<i64> + TryFrom<i64> + PartialOrd>(values: &[T]) {
            for constant in [i64::MIN, -40_000, -3, 0, 5, 40_000, 1 << 40, i64::MAX] {
                for comparison in [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual] {
                    for (start, bits) in [(0, u64::MAX), (0, 0b1011), (64, u64::MAX), (64, 0b110)] {
                        let passed = compare(values, start, bits, comparison, constant);
                        for (bit, value) in values[start..].iter().take(64).enumerate() {
                            let value: i64 = (*value).into();
                            let wanted = match comparison {
                                Equal => value == constant,
                                NotEqual => value != constant,
                                Less => value < constant,
                                LessOrEqual => value <= constant,
                                Greater => value > constant,
                                GreaterOrEqual => value >= constant,
                            };
                            let asked = bits >> bit & 1 == 1;
                            assert!(
                                !asked || (passed >> bit & 1 == 1) == wanted,
                                "{value} {comparison:?} {constant}"
                            );
                        }
                    }
                }
            }
        }
        // The second word is cut short.
        check(&(0..70).map(|n| n * 977 % 41 - 20).collect::<Vec<i16>>());
        check(&(0..70).map(|n| n * 977 % 41 - 20).collect::<Vec<i32>>());
        check(&(0..70).map(|n| (n * 977 % 41 - 20) << 37).collect::<Vec<i64>>());
        check(&(0..70).collect::<Vec<u32>>());
    }
}
