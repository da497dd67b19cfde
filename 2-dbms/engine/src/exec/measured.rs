//! EXPLAIN: an operator with its estimate, a count of its rows and a clock beside it. Code compiled for anything else has none.
//!
//! Operators push their rows, so the time that an operator takes, its sources included, is the time of its run without the
//! time of the consumer inside it.

use std::sync::atomic::{AtomicU64, Ordering};

use tuplix_machine::Machine;

use super::builder::Builder;
use super::cost::Estimate;
use super::explain::{Actual, Explain};
use super::frame::{Exec, Flow};
use super::rows::{Next, Rows, RowsBox};
use super::scan::TableScan;
use super::sort::SortColumn;
use crate::stop::Run;

/// What the runs of an operator came to.
#[derive(Debug, Default)]
struct Counters {
    loops: AtomicU64,
    rows: AtomicU64,
    /// Until the first row came, of all loops.
    first_ns: AtomicU64,
    total_ns: AtomicU64,
}

/// See the module.
struct Measured {
    inner: RowsBox,
    machine: Machine,
    estimate: Estimate,
    actual: Counters,
}

/// One run under way.
struct Clock<'m> {
    machine: &'m Machine,
    start: u64,
    /// When the first row came.
    first: Option<u64>,
    in_consumer: u64,
    rows: u64,
}

impl Clock<'_> {
    fn give(&mut self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let before = self.machine.monotonic_ns();
        self.first.get_or_insert(before);
        self.rows += 1;
        let flow = next(exec);
        self.in_consumer += self.machine.monotonic_ns() - before;
        flow
    }
}

impl Measured {
    fn start(&self) -> Clock<'_> {
        let start = self.machine.monotonic_ns();
        Clock { machine: &self.machine, start, first: None, in_consumer: 0, rows: 0 }
    }

    fn end(&self, clock: &Clock<'_>) {
        let end = self.machine.monotonic_ns();
        let add = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        add(&self.actual.loops, 1);
        add(&self.actual.rows, clock.rows);
        add(&self.actual.first_ns, clock.first.unwrap_or(end) - clock.start);
        add(&self.actual.total_ns, end - clock.start - clock.in_consumer);
    }
}

impl Rows for Measured {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut clock = self.start();
        let flow = self.inner.run(exec, &mut |exec| clock.give(exec, next));
        self.end(&clock);
        flow
    }

    fn run_first(
        &self,
        exec: &mut Exec<'_, '_>,
        order: &[SortColumn],
        saved: &[usize],
        next: &mut Next<'_>,
    ) -> Option<Run<Flow>> {
        let mut clock = self.start();
        let flow = self.inner.run_first(exec, order, saved, &mut |exec| clock.give(exec, next))?;
        self.end(&clock);
        Some(flow)
    }

    fn expect_few(&mut self, rows: usize) {
        self.inner.expect_few(rows);
    }

    fn table_scan(&self) -> Option<&TableScan> {
        self.inner.table_scan()
    }

    fn read_by_column(&self, rows: u64, nanoseconds: u64) {
        self.actual.loops.fetch_add(1, Ordering::Relaxed);
        self.actual.rows.fetch_add(rows, Ordering::Relaxed);
        self.actual.total_ns.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn explain(&self, out: &mut Explain) {
        let line = out.next_line();
        self.inner.explain(out);
        out.estimated(line, self.estimate);
        let loops = self.actual.loops.load(Ordering::Relaxed);
        let of_one = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / loops.max(1) as f64;
        let (first, total_ms) = (of_one(&self.actual.first_ns) / 1e6, of_one(&self.actual.total_ns) / 1e6);
        let rows = of_one(&self.actual.rows);
        out.measured(line, Actual { loops, rows, first_ms: first.min(total_ms), total_ms });
    }
}

impl Builder<'_> {
    /// An operator as EXPLAIN ANALYZE wants it, and as it is for everybody else.
    pub(crate) fn operator(&self, rows: impl Rows + 'static) -> RowsBox {
        self.measured(Box::new(rows))
    }

    /// The same of one that is boxed already.
    pub(crate) fn measured(&self, rows: RowsBox) -> RowsBox {
        match self.context.measure {
            Some(machine) => {
                let (machine, estimate) = (machine.clone(), self.estimate);
                Box::new(Measured { inner: rows, machine, estimate, actual: Counters::default() })
            }
            None => rows,
        }
    }
}
