//! `generate_series` over timestamps.

use tuplix_types::datetime::{TimeZone, add_interval_to_timestamp, add_interval_to_timestamptz};
use tuplix_types::{Interval, Result, Row, SqlError, Value, sqlstate};

use super::zone;
use crate::builtin::Sets;
use crate::builtin::args::{interval, timestamp};
use crate::registry::SetRows;

struct Moments {
    next: i64,
    stop: i64,
    step: Interval,
    /// The zone in which steps of days and months are made; none for local timestamps.
    zone: Option<TimeZone>,
}

impl SetRows for Moments {
    fn next(&mut self, row: &mut Row) -> Result<bool> {
        let current = self.next;
        if if self.step.span() > 0 { current > self.stop } else { current < self.stop } {
            return Ok(false);
        }
        row.clear();
        match self.zone {
            None => {
                self.next = add_interval_to_timestamp(current, &self.step)?;
                row.push(Value::Timestamp(current));
            }
            Some(zone) => {
                self.next = add_interval_to_timestamptz(current, &self.step, zone)?;
                row.push(Value::Timestamptz(current));
            }
        }
        Ok(true)
    }
}

fn moments(a: &[Value], zone: Option<TimeZone>) -> Result<Box<dyn SetRows>> {
    let step = *interval(a, 2)?;
    if step.span() == 0 {
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    Ok(Box::new(Moments { next: timestamp(a, 0)?, stop: timestamp(a, 1)?, step, zone }))
}

/// The set-returning functions.
pub(crate) const SETS: Sets = &[
    ("generate_series_timestamp", |_, a| moments(a, None)),
    ("generate_series_timestamptz", |ctx, a| moments(a, Some(zone(ctx)))),
];
