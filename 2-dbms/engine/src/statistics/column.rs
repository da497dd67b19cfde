//! What a sample says of a column: PostgreSQL's `compute_scalar_stats` and `analyze_mcv_list` (commands/analyze.c).

use std::cmp::Ordering;

use tuplix_catalog::ColumnStatistics;
use tuplix_types::{TypeId, Value, compare_typed};

/// Values wider than this are not compared with others.
const WIDTH_MAX: usize = 1024;

/// What is known of the table that a sample is of.
pub(super) struct Sampled {
    /// Rows of the table.
    pub rows: f64,
    /// Common values and bounds to look for.
    pub target: usize,
}

/// A value and how often it is in the sample.
struct Run {
    /// Where it begins among the sorted values.
    first: usize,
    count: usize,
}

/// The statistics of column number `column`, without the values' texts.
pub(super) fn compute(column: usize, ty: TypeId, values: Vec<Value>, sampled: &Sampled) -> ColumnStatistics {
    let sample = values.len();
    let mut statistics = ColumnStatistics { column, ty, ..ColumnStatistics::default() };
    if sample == 0 {
        return statistics;
    }
    let mut width = 0;
    let mut present = Vec::with_capacity(sample);
    for value in values {
        if value.is_null() {
            continue;
        }
        width += width_of(ty, &value);
        present.push(value);
    }
    let nulls = sample - present.len();
    statistics.null_fraction = nulls as f64 / sample as f64;
    if present.is_empty() {
        // PostgreSQL's answer, too: as if there were no value.
        return statistics;
    }
    let count = present.len();
    statistics.width = width as f64 / count as f64;
    // json has no equality.
    if matches!(ty, TypeId::JSON | TypeId::JSONPATH) {
        return statistics;
    }
    let mut sorted: Vec<(Value, usize)> =
        present.into_iter().enumerate().map(|(number, value)| (value, number)).collect();
    let wide = |value: &Value| width_of(ty, value) > WIDTH_MAX;
    let too_wide = sorted.iter().filter(|(value, _)| wide(value)).count();
    sorted.retain(|(value, _)| !wide(value));
    sorted.sort_by(|(left, a), (right, b)| compare_typed(ty, left, right).then(a.cmp(b)));
    let mut runs: Vec<Run> = Vec::new();
    for (place, (value, _)) in sorted.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if compare_typed(ty, &sorted[run.first].0, value) == Ordering::Equal => run.count += 1,
            _ => runs.push(Run { first: place, count: 1 }),
        }
    }
    let multiple = runs.iter().filter(|run| run.count > 1).count();
    let present_rows = sampled.rows * (1.0 - statistics.null_fraction);
    let distinct = distinct_values(count, runs.len(), multiple, too_wide, present_rows);
    statistics.distinct = match distinct {
        // Each value is another one, and will be when there are more.
        None => -(1.0 - statistics.null_fraction),
        Some(number) if number > 0.1 * sampled.rows => -(number / sampled.rows),
        Some(number) => number,
    };
    let mut common: Vec<&Run> = runs.iter().filter(|run| run.count > 1).collect();
    common.sort_by_key(|run| std::cmp::Reverse(run.count));
    let all = common.len() == runs.len()
        && too_wide == 0
        && statistics.distinct > 0.0
        && common.len() <= sampled.target;
    common.truncate(sampled.target);
    if !all {
        let counts: Vec<usize> = common.iter().map(|run| run.count).collect();
        common.truncate(worth_keeping(&counts, &statistics, sample, sampled.rows));
    }
    let mut taken = vec![false; sorted.len()];
    for run in &common {
        taken[run.first..run.first + run.count].fill(true);
    }
    let rest: Vec<&Value> =
        sorted.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|((value, _), _)| value).collect();
    let bounds = (runs.len() - common.len()).min(sampled.target + 1);
    let histogram: Vec<Value> = match bounds {
        0 | 1 => Vec::new(),
        _ => (0..bounds).map(|bound| rest[bound * (rest.len() - 1) / (bounds - 1)].clone()).collect(),
    };
    statistics.common = common.iter().map(|run| (String::new(), run.count as f64 / sample as f64)).collect();
    let values: Vec<Value> = common.iter().map(|run| sorted[run.first].0.clone()).collect();
    statistics.common_values = values.into();
    statistics.histogram_values = histogram.into();
    statistics.correlation = correlation(&sorted);
    statistics
}

/// Haas and Stokes' Duj1 estimate of the number of values; `None` when each one was met once.
fn distinct_values(
    count: usize,
    met: usize,
    multiple: usize,
    too_wide: usize,
    present_rows: f64,
) -> Option<f64> {
    if multiple == 0 {
        return None;
    }
    if too_wide == 0 && multiple == met {
        return Some(met as f64);
    }
    let once = (met - multiple + too_wide) as f64;
    let (sample, known) = (count as f64, once + multiple as f64);
    let estimate = match present_rows > 0.0 {
        true => sample * known / ((sample - once) + once * sample / present_rows),
        false => 0.0,
    };
    Some((estimate.clamp(known, present_rows.max(known)) + 0.5).floor())
}

/// How many of the most common values are surely more common than the others.
fn worth_keeping(counts: &[usize], statistics: &ColumnStatistics, sample: usize, rows: f64) -> usize {
    let sample_rows = sample as f64;
    if sample_rows >= rows || rows <= 1.0 {
        return counts.len();
    }
    let distinct = statistics.distinct_of(rows).unwrap_or(1.0);
    let mut kept = counts.len();
    let mut more_common: usize = counts.iter().take(kept.saturating_sub(1)).sum();
    while kept > 0 {
        let share = 1.0 - more_common as f64 / sample_rows - statistics.null_fraction;
        let others = distinct - (kept - 1) as f64;
        let share = share.clamp(0.0, 1.0) / others.max(1.0);
        // The standard deviation of a draw without putting back.
        let count = counts[kept - 1] as f64;
        let expected = rows * count / sample_rows;
        let variance =
            sample_rows * expected * (rows - expected) * (rows - sample_rows) / (rows * rows * (rows - 1.0));
        if count > share * sample_rows + 2.0 * variance.max(0.0).sqrt() + 0.5 {
            break;
        }
        kept -= 1;
        if kept > 0 {
            more_common -= counts[kept - 1];
        }
    }
    kept
}

/// Pearson's correlation of the values' order and the rows'.
fn correlation(sorted: &[(Value, usize)]) -> Option<f64> {
    let count = sorted.len() as f64;
    if sorted.len() < 2 {
        return None;
    }
    let products: f64 = sorted.iter().enumerate().map(|(place, (_, row))| place as f64 * *row as f64).sum();
    let sum = (count - 1.0) * count / 2.0;
    let squares = (count - 1.0) * count * (2.0 * count - 1.0) / 6.0;
    Some((count * products - sum * sum) / (count * squares - sum * sum))
}

/// Bytes of a value as PostgreSQL stores it.
pub(crate) fn width_of(ty: TypeId, value: &Value) -> usize {
    let short = |bytes: usize| if bytes < 127 { bytes + 1 } else { bytes + 4 };
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int2(_) => 2,
        Value::Int4(_) | Value::Float4(_) | Value::Oid(_) | Value::Date(_) | Value::Enum(_) => 4,
        Value::Int8(_) | Value::Float8(_) | Value::Time(_) | Value::Timestamp(_) | Value::Timestamptz(_) => 8,
        Value::Interval(_) | Value::Uuid(_) => 16,
        Value::Text(_) if ty == TypeId::NAME => 64,
        Value::Text(text) => short(text.len()),
        Value::Bytea(bytes) => short(bytes.len()),
        Value::Numeric(_) => 8,
        Value::Array(array) => {
            array.elements.iter().map(|element| width_of(TypeId::default(), element)).sum::<usize>() + 21
        }
        Value::Record(fields) => {
            fields.iter().map(|field| width_of(TypeId::default(), field)).sum::<usize>() + 24
        }
        Value::Jsonb(_) => 32,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(values: Vec<Value>, rows: f64) -> ColumnStatistics {
        compute(0, TypeId::INT4, values, &Sampled { rows, target: 100 })
    }

    #[test]
    fn a_key_has_as_many_values_as_rows() {
        let statistics = of((0..3_000).map(Value::Int4).collect(), 1e6);
        assert_eq!(statistics.distinct, -1.0);
        assert!(statistics.common.is_empty());
        let bounds = statistics.histogram_values.get().unwrap();
        assert_eq!(bounds.len(), 101);
        assert_eq!((&bounds[0], &bounds[100]), (&Value::Int4(0), &Value::Int4(2_999)));
        assert!((statistics.correlation.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn skew_shows_in_the_common_values() {
        // 90 % one value, 10 % spread over many, one in ten NULL.
        let value = |n: i32| match n % 10 {
            0 => Value::Null,
            1 => Value::Int4(1_000 + n),
            _ => Value::Int4(7),
        };
        let statistics = of((0..30_000).map(value).collect(), 300_000.0);
        assert!((statistics.null_fraction - 0.1).abs() < 1e-9);
        assert_eq!(statistics.common.len(), 1);
        assert!((statistics.common[0].1 - 0.8).abs() < 1e-9);
        assert_eq!(statistics.common_values.get().unwrap(), &[Value::Int4(7)]);
        assert_eq!(statistics.histogram_values.get().unwrap().len(), 101);
        assert!((3_000.0..4_000.0).contains(&statistics.distinct), "{}", statistics.distinct);
    }

    #[test]
    fn few_values_are_all_known() {
        let statistics = of((0..3_000).map(|n| Value::Int4(n % 4)).collect(), 1e6);
        assert_eq!((statistics.distinct, statistics.common.len()), (4.0, 4));
        assert!(statistics.histogram_values.get().unwrap().is_empty());
    }

    #[test]
    fn duj1_finds_values_that_the_sample_missed() {
        // 20,000 values, each 50 times among 1,000,000 rows; a sample of 3,000 meets most of its values once.
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Value::Int4(((seed >> 33) % 20_000) as i32)
        };
        let distinct = of((0..30_000).map(|_| next()).collect(), 1e6).distinct;
        assert!((15_000.0..25_000.0).contains(&distinct), "{distinct}");
    }

    #[test]
    fn nothing_at_all_is_no_reason_to_fail() {
        assert_eq!(of(Vec::new(), 0.0).distinct, 0.0);
        assert_eq!(of(vec![Value::Null; 5], 5.0).null_fraction, 1.0);
    }
}
