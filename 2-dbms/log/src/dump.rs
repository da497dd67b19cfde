//! A listing of the log for people: `tuplix log dump`.
//!
//! ```text
//! epoch 12 of 2026-01-01 00:00:00.005000: 1 record, 87 bytes, "00000000000000000001.log" at 64
//!   8 lane 0 procedure 16390 version 1 role ann purpose billing task 7
//!     insert 16384 bucket 5 slot 0 (1, 'open', NULL)
//! ```

use std::fmt::Write;
use std::sync::Arc;

use tuplix_machine::Disk;
use tuplix_types::{Result, Value};

use crate::changes::Change;
use crate::reader::{Epoch, LogReader};
use crate::record::Record;

/// Hands the lines of the listing of every epoch after `after` to `line`, which may stop it with an error. An interrupted
/// write at the end is its last line.
///
/// # Errors
/// As [`LogReader::next_epoch`], after the lines of everything before the damage.
pub fn dump(disk: Arc<dyn Disk>, after: u64, line: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    let mut reader = LogReader::open(disk, after, None)?;
    let mut text = String::new();
    while let Some(epoch) = reader.next_epoch()? {
        epoch_line(&epoch, &mut text);
        line(&text)?;
        for record in epoch.records() {
            let record = record?;
            record_line(&epoch, &record, &mut text);
            line(&text)?;
            let mut changes = record.changes();
            loop {
                match changes.next() {
                    Ok(Some(change)) => change_line(&change, &mut text),
                    Ok(None) => break,
                    Err(reason) => {
                        let (segment, offset) = epoch.position();
                        return Err(crate::error::damaged(segment, offset, reason));
                    }
                }
                line(&text)?;
            }
        }
    }
    match reader.cut() {
        Some(cut) => line(&cut.to_string()),
        None => Ok(()),
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}

fn epoch_line(epoch: &Epoch<'_>, text: &mut String) {
    text.clear();
    let (segment, offset) = epoch.position();
    let plural = if epoch.record_count() == 1 { "" } else { "s" };
    put(
        text,
        format_args!(
            "epoch {} of {}: {} record{plural}, {} bytes, \"{segment}\" at {offset}",
            epoch.number(),
            show(&Value::Timestamptz(epoch.closed_us())),
            epoch.record_count(),
            epoch.length(),
        ),
    );
}

fn record_line(epoch: &Epoch<'_>, record: &Record<'_>, text: &mut String) {
    text.clear();
    let header = record.header;
    put(text, format_args!("  {} lane {}", header.commit_ts, record.lane));
    if header.procedure != 0 {
        put(text, format_args!(" procedure {} version {}", header.procedure, header.version));
    }
    match epoch.context(header.context) {
        Some(context) => {
            put(text, format_args!(" role {}", context.role));
            for (name, value) in [("container", &context.container), ("purpose", &context.purpose)] {
                if !value.is_empty() {
                    put(text, format_args!(" {name} {value}"));
                }
            }
            if let Some(task) = context.task {
                put(text, format_args!(" task {task}"));
            }
        }
        None if header.context == 0 => text.push_str(" the node"),
        None => put(text, format_args!(" context {} (not defined)", header.context)),
    }
}

fn change_line(change: &Change<'_>, text: &mut String) {
    text.clear();
    match change {
        Change::Insert { table, bucket, slot, values } => {
            put(text, format_args!("    insert {table} bucket {bucket} slot {slot} ({})", list(values)));
        }
        Change::Update { table, bucket, slot, columns, values } => {
            let changes: Vec<String> = columns
                .iter()
                .zip(values.iter())
                .map(|(column, value)| format!("{column}: {}", show(value)))
                .collect();
            put(
                text,
                format_args!("    update {table} bucket {bucket} slot {slot} ({})", changes.join(", ")),
            );
        }
        Change::Delete { table, bucket, slot, key } => {
            put(text, format_args!("    delete {table} bucket {bucket} slot {slot} ({})", list(key)));
        }
        Change::Catalog { kind, json } => {
            put(text, format_args!("    catalog {kind} {}", String::from_utf8_lossy(json)));
        }
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// A value in a form that is short and unambiguous; the log does not know SQL types.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int2(v) => v.to_string(),
        Value::Int4(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Text(v) => format!("'{}'", v.replace("'", "''")),
        Value::Bytea(v) if v.len() > 32 => format!("bytea of {} bytes", v.len()),
        Value::Bytea(v) => v.iter().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
        Value::Timestamptz(micros) => timestamp(*micros),
        other => format!("{other:?}"),
    }
}

/// `2026-01-01 00:00:00.000000`, UTC.
fn timestamp(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    let (days, rest) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    // Days to a date by eras of 400 years (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 730_425;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_read_as_dates() {
        assert_eq!(timestamp(0), "2000-01-01 00:00:00.000000");
        assert_eq!(timestamp(820_540_800_000_000), "2026-01-01 00:00:00.000000");
        assert_eq!(timestamp(-1), "1999-12-31 23:59:59.999999");
        assert_eq!(timestamp(5_097_600_000_000), "2000-02-29 00:00:00.000000");
    }
}
