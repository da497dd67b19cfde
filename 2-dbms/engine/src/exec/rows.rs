//! Operators: what gives rows. Each runs to its end and calls the next one for every row (push model).
//!
//! A row is not passed; it lies in the slots that the operator fills. [`Flow::Stop`] comes back from a consumer
//! that has enough, and only then does an operator answer `Stop` itself: a LIMIT that is full stops its own
//! source but tells its caller to go on, for in a join it runs again for the next outer row.

use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::scan::TableScan;
use super::sort::SortColumn;
use crate::stop::Run;

/// The consumer of rows.
pub(crate) type Next<'a> = dyn FnMut(&mut Exec<'_, '_>) -> Run<Flow> + 'a;

/// An operator.
pub(crate) trait Rows: Send + Sync {
    /// Gives all its rows to `next`; `Stop` exactly when `next` said so.
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow>;

    /// Gives only the first of its rows by a sort order over its slots, if it knows how to find that one cheaply.
    fn run_first(
        &self,
        _exec: &mut Exec<'_, '_>,
        _order: &[SortColumn],
        _saved: &[usize],
        _next: &mut Next<'_>,
    ) -> Option<Run<Flow>> {
        None
    }

    /// Is told, when compiled, that only so many of its rows are likely to be asked for.
    fn expect_few(&mut self, _rows: usize) {}

    /// The scan of a table that it is, if it is one.
    fn table_scan(&self) -> Option<&TableScan> {
        None
    }

    /// Is told of rows that a consumer took from it column by column.
    fn read_by_column(&self, _rows: u64, _nanoseconds: u64) {}

    /// Describes itself and its sources.
    fn explain(&self, out: &mut Explain);
}

/// A compiled operator.
pub(crate) type RowsBox = Box<dyn Rows>;

/// One row without columns, if the condition holds: a SELECT without FROM.
pub(crate) struct OneRow {
    /// The condition.
    pub filter: Option<super::code::TestFn>,
}

impl Rows for OneRow {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        match &self.filter {
            Some(filter) if !filter(exec)? => Ok(Flow::Continue),
            _ => next(exec),
        }
    }

    fn explain(&self, out: &mut Explain) {
        out.line("Result");
    }
}

/// The rows of a source for which a condition holds.
pub(crate) struct Filter {
    /// Source.
    pub source: RowsBox,
    /// Condition.
    pub filter: super::code::TestFn,
    /// Its text.
    pub text: String,
}

impl Rows for Filter {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| if (self.filter)(exec)? { next(exec) } else { Ok(Flow::Continue) })
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Filter: {}", self.text));
        out.child(&*self.source);
    }
}

/// Computes expressions into slots for each row.
pub(crate) struct Project {
    /// Source.
    pub source: RowsBox,
    /// The first slot.
    pub first: usize,
    /// One expression a slot.
    pub codes: Vec<super::code::Code>,
}

impl Rows for Project {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| {
            for (number, code) in self.codes.iter().enumerate() {
                code.run_into(exec, self.first + number)?;
            }
            next(exec)
        })
    }

    fn expect_few(&mut self, rows: usize) {
        self.source.expect_few(rows);
    }

    fn explain(&self, out: &mut Explain) {
        self.source.explain(out);
    }
}
