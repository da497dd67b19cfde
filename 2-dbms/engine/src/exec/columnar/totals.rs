//! Totals of a column's values: what the loops over typed vectors keep.

use tuplix_storage::{ColumnData, RowBits};

/// What is computed of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `count(*)`
    Rows,
    /// `count(column)`
    Values,
    /// `sum`, `avg`
    Sum,
    /// `min`
    Least,
    /// `max`
    Greatest,
}

impl Operation {
    /// The operation behind the aggregate with a symbol.
    pub(super) fn of(symbol: &str) -> Option<Operation> {
        Some(match symbol {
            "count" => Operation::Rows,
            "count_any" => Operation::Values,
            "sum_int2" | "sum_int4" | "sum_int8" | "avg_int2" | "avg_int4" | "avg_int8" => Operation::Sum,
            "min_int2" | "min_int4" | "min_int8" | "min_date" | "min_time" | "min_timestamp"
            | "min_timestamptz" => Operation::Least,
            "max_int2" | "max_int4" | "max_int8" | "max_date" | "max_time" | "max_timestamp"
            | "max_timestamptz" => Operation::Greatest,
            _ => return None,
        })
    }
}

/// What is known of a column's values so far. Only what the operation asks for is kept up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Values that count.
    pub count: i64,
    /// Their sum: 2^63 values of 2^63 stay below 2^127.
    pub sum: i128,
    /// The least or the greatest; means nothing while `count` is 0.
    pub extreme: i64,
}

/// Runs `$body` with `$values` bound to the vector of any integer column.
macro_rules! with_integers {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            ColumnData::Int2($values) => $body,
            ColumnData::Int4($values) | ColumnData::Date($values) => $body,
            ColumnData::Int8($values)
            | ColumnData::Time($values)
            | ColumnData::Timestamp($values)
            | ColumnData::Timestamptz($values) => $body,
            // No other column gets here: `is_counted` looks at the type.
            _ => {}
        }
    };
}
pub(super) use with_integers;

impl Total {
    /// Counts rows.
    pub(super) fn add_rows(&mut self, selected: &RowBits) {
        self.count += count(selected);
    }

    /// Adds the selected values of a column, none of them NULL.
    pub(super) fn add_column(&mut self, operation: Operation, data: &ColumnData, selected: &RowBits) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.add_column_wide(operation, data, selected) };
        }
        self.add_column_by(operation, data, selected);
    }

    /// The same for processors with vectors of 32 bytes: what the compiler makes of it for all of them has 16.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1")]
    fn add_column_wide(&mut self, operation: Operation, data: &ColumnData, selected: &RowBits) {
        self.add_column_by(operation, data, selected);
    }

    #[inline(always)]
    fn add_column_by(&mut self, operation: Operation, data: &ColumnData, selected: &RowBits) {
        match operation {
            Operation::Rows | Operation::Values => {}
            Operation::Sum => with_integers!(data, values => {
                self.sum += fold(values, selected, Sum::default()).total(count(selected));
            }),
            Operation::Least => with_integers!(data, values => {
                let least = if self.count == 0 { i64::MAX } else { self.extreme };
                self.extreme = fold(values, selected, Least(least)).0;
            }),
            Operation::Greatest => with_integers!(data, values => {
                let greatest = if self.count == 0 { i64::MIN } else { self.extreme };
                self.extreme = fold(values, selected, Greatest(greatest)).0;
            }),
        }
        self.count += count(selected);
    }

    /// Adds one value.
    #[inline]
    pub(super) fn add_value(&mut self, operation: Operation, value: i64) {
        match operation {
            Operation::Rows | Operation::Values => {}
            Operation::Sum => self.sum += i128::from(value),
            Operation::Least if self.count > 0 => self.extreme = self.extreme.min(value),
            Operation::Greatest if self.count > 0 => self.extreme = self.extreme.max(value),
            Operation::Least | Operation::Greatest => self.extreme = value,
        }
        self.count += 1;
    }
}

/// How many places are selected.
pub(super) fn count(selected: &RowBits) -> i64 {
    selected.iter().map(|word| i64::from(word.count_ones())).sum()
}

/// What selected values are put together to.
trait Fold {
    /// Takes a value.
    fn add(&mut self, value: i64);

    /// Takes a value where `mask` has all bits, and none where it has no bit: without a jump, so that the compiler can use the
    /// machine's vectors.
    fn add_masked(&mut self, value: i64, mask: i64);
}

/// A sum: 512 values cannot overflow its two halves, the low 32 bits summed apart from the high ones.
#[derive(Default)]
struct Sum {
    low: u64,
    high: u64,
}

impl Sum {
    #[inline(always)]
    fn add_halves(&mut self, value: u64) {
        self.low += value & 0xffff_ffff;
        self.high += value >> 32;
    }

    /// The sum of so many values.
    fn total(self, rows: i64) -> i128 {
        (i128::from(self.high) << 32) + i128::from(self.low) - (i128::from(rows) << 63)
    }
}

impl Fold for Sum {
    // With the sign's bit turned the values are unsigned, 2^63 larger each: vectors of 64-bit integers have no signed shift.
    #[inline(always)]
    fn add(&mut self, value: i64) {
        self.add_halves(value.cast_unsigned() ^ 1 << 63);
    }

    #[inline(always)]
    fn add_masked(&mut self, value: i64, mask: i64) {
        self.add_halves((value.cast_unsigned() ^ 1 << 63) & mask.cast_unsigned());
    }
}

struct Least(i64);

impl Fold for Least {
    #[inline(always)]
    fn add(&mut self, value: i64) {
        self.0 = self.0.min(value);
    }

    #[inline(always)]
    fn add_masked(&mut self, value: i64, mask: i64) {
        self.add(value & mask | i64::MAX & !mask);
    }
}

struct Greatest(i64);

impl Fold for Greatest {
    #[inline(always)]
    fn add(&mut self, value: i64) {
        self.0 = self.0.max(value);
    }

    #[inline(always)]
    fn add_masked(&mut self, value: i64, mask: i64) {
        self.add(value & mask | i64::MIN & !mask);
    }
}

/// Fewer values of a word than this are cheaper one by one than all 64 with masks.
const FEW: u32 = 20;

/// Puts the values of selected places together.
#[inline(always)]
fn fold<T: Copy + Into<i64>, F: Fold>(values: &[T], selected: &RowBits, mut fold: F) -> F {
    // The vector of a small table's only chunk may be shorter than a word; its places beyond hold no row.
    for (values, bits) in values.chunks(64).zip(selected) {
        let bits = *bits;
        if bits == u64::MAX {
            values.iter().for_each(|value| fold.add((*value).into()));
        } else if bits.count_ones() >= FEW && values.len() == 64 {
            for (place, value) in values.iter().enumerate() {
                let mask = (bits >> place & 1).cast_signed().wrapping_neg();
                fold.add_masked((*value).into(), mask);
            }
        } else {
            for_each_bit(bits, |place| fold.add(values[place].into()));
        }
    }
    fold
}

/// Calls `each` with the number of each bit that is set.
#[inline(always)]
pub(super) fn for_each_bit(mut bits: u64, mut each: impl FnMut(usize)) {
    while bits != 0 {
        each(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Full words, words with gaps, words without any; sums beyond 64 bits.
    #[test]
    fn sums_and_extremes_are_those_of_the_selected() {
        let values: Vec<i64> =
            (0..512).map(|i| if i % 2 == 0 { i64::MAX - i } else { i64::MIN + i }).collect();
        let selected: RowBits =
            [u64::MAX, 0, 0x8000_0000_0000_0001, 0xf0f0, u64::MAX, 0x00ff_fffe_fffc_0001, !4, u64::MAX << 63];
        let chosen: Vec<i64> = (0..512)
            .filter(|place| selected[place / 64] >> (place % 64) & 1 == 1)
            .map(|place| values[place])
            .collect();
        let data = ColumnData::Int8(values.into());
        let total = |operation| {
            let mut total = Total::default();
            total.add_column(operation, &data, &selected);
            total.add_column(operation, &data, &[0; 8]);
            total
        };
        assert_eq!(total(Operation::Sum).sum, chosen.iter().map(|value| i128::from(*value)).sum());
        assert_eq!(total(Operation::Sum).count, chosen.len() as i64);
        assert_eq!(Some(&total(Operation::Least).extreme), chosen.iter().min());
        assert_eq!(Some(&total(Operation::Greatest).extreme), chosen.iter().max());
    }
}
