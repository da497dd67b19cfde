//! `pg_sleep` and its kin. Nobody sleeps with a latch in hand: a run that meets a sleep undoes itself, the session sleeps, and the
//! statement runs again, past the sleeps that it has had (docs/adr/0003, "one restart rule").

use std::cell::Cell;

use tuplix_types::datetime::{TimeZone, add_interval_to_timestamptz};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use crate::services::Services;
use crate::stop::{Run, Stop};
use crate::transaction::{RestartCause, Transaction};

/// Longer ones are as long as this: some 300 years.
const LONGEST_US: f64 = 1e16;

/// How many sleeps the statement under way has had, and how many its run has met.
#[derive(Debug, Default)]
pub(crate) struct Sleeps {
    had: Cell<u32>,
    met: Cell<u32>,
    /// When the statement began, once it has slept.
    started_us: Cell<Option<i64>>,
}

impl Sleeps {
    /// The statement has ended.
    pub(crate) fn end(&self) {
        self.had.set(0);
        self.met.set(0);
        self.started_us.set(None);
    }

    /// The statement begins anew; `slept`: because of a sleep, which is over.
    pub(crate) fn restart(&self, slept: bool) {
        self.met.set(0);
        self.had.set(self.had.get() + u32::from(slept));
    }

    /// When a statement began that has slept: its clock goes on.
    pub(crate) fn started_us(&self) -> Option<i64> {
        self.started_us.get()
    }

    /// Whether the run has come to a sleep that the statement has not had yet.
    fn is_new(&self) -> bool {
        let met = self.met.get();
        self.met.set(met + 1);
        met >= self.had.get()
    }
}

/// Calls the function of this symbol; `None` when it does not sleep.
///
/// # Errors
/// [`Stop::Restart`] to sleep; what a time that is out of range gives.
pub(crate) fn call(
    services: &Services,
    symbol: &str,
    args: &[Value],
    tx: &mut Transaction<'_>,
) -> Run<Option<Value>> {
    let machine = services.node.machine();
    let microseconds = match (symbol, args) {
        ("pg_sleep", [Value::Float8(seconds)]) => seconds * 1e6,
        ("pg_sleep_for_interval", [Value::Interval(interval)]) => {
            let now = machine.now_us();
            let zone = TimeZone::parse(services.settings.borrow().get("TimeZone").unwrap_or("UTC"))?;
            let until = add_interval_to_timestamptz(now, interval, zone)?;
            (until - now) as f64
        }
        ("pg_sleep_until_timestamptz", [Value::Timestamptz(until)]) => (until - machine.now_us()) as f64,
        ("pg_sleep" | "pg_sleep_for_interval" | "pg_sleep_until_timestamptz", _) => {
            return Ok(Some(Value::Null));
        }
        _ => return Ok(None),
    };
    if services.sleeps.is_new() && microseconds > 0.0 {
        let nanoseconds = microseconds.min(LONGEST_US) * 1e3;
        services.sleeps.started_us.set(Some(tx.statement_us()));
        tx.cause = RestartCause::Sleep(machine.monotonic_ns().saturating_add(nanoseconds as u64));
        return Err(Stop::Restart);
    }
    Ok(Some(Value::text("")))
}

/// Sleeps until a moment.
///
/// # Errors
/// 57014 when the statement is cancelled or its time is over.
pub(crate) fn sleep(services: &Services, until_ns: u64) -> Result<()> {
    let deadline = services.deadline_ns.get();
    let end = deadline.map_or(until_ns, |deadline| deadline.min(until_ns));
    let flags = services.flags.clone();
    let cancelled = || flags.cancel.load(std::sync::atomic::Ordering::Relaxed);
    if services.node.waits.sleep(services.node.machine(), end, &cancelled) {
        let message = "canceling statement due to user request";
        return Err(SqlError::new(sqlstate::QUERY_CANCELED, message));
    }
    if end < until_ns { Err(crate::services::timed_out()) } else { Ok(()) }
}
