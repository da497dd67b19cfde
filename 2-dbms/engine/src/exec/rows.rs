//! Operators: what gives rows. Each runs to its end and calls the next one for every row (push model).
//!
//! A row is not passed; it lies in the slots that the operator fills. [`Flow::Stop`] comes back from a consumer
//! that has enough, and only then does an operator answer `Stop` itself: a LIMIT that is full stops its own
//! source but tells its caller to go on, for in a join it runs again for the next outer row.

use super::code::{Code, TestFn};
use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::scan::TableScan;
use super::sort::SortColumn;
use crate::stop::Run;

/// How many rows an operator gives, as far as that is known when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yield {
    /// Any number.
    Many,
    /// Any number, but [`Rows::one`] finds the first one alone.
    First,
    /// One at most: [`Rows::one`] is all there is to it.
    One,
}

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

    /// Whether [`Rows::one`] may be called.
    fn yields(&self) -> Yield {
        Yield::Many
    }

    /// Leaves its first row in the slots, without a consumer to be called; false when there is none. What
    /// [`Rows::run`] does for a consumer that has enough with one row. Only where [`Rows::yields`] says so.
    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        let mut found = false;
        self.run(exec, &mut first(&mut found))?;
        Ok(found)
    }

    /// The slots in which its columns lie before it moves them to its own, where it does nothing else.
    fn unprojected(&self) -> Option<&[usize]> {
        None
    }

    /// As [`Rows::one`], with the columns left where [`Rows::unprojected`] says.
    fn one_unprojected(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        self.one(exec)
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
    pub filter: Option<TestFn>,
}

impl Rows for OneRow {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        match &self.filter {
            Some(filter) if !filter(exec)? => Ok(Flow::Continue),
            _ => next(exec),
        }
    }

    fn yields(&self) -> Yield {
        Yield::One
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        match &self.filter {
            Some(filter) => filter(exec),
            None => Ok(true),
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
    pub filter: TestFn,
    /// Its text.
    pub text: String,
}

impl Rows for Filter {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| if (self.filter)(exec)? { next(exec) } else { Ok(Flow::Continue) })
    }

    fn yields(&self) -> Yield {
        if self.source.yields() == Yield::One { Yield::One } else { Yield::Many }
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        Ok(self.source.one(exec)? && (self.filter)(exec)?)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Filter: {}", self.text));
        out.child(&*self.source);
    }
}

/// Computes expressions into slots for each row.
pub(crate) struct Project {
    source: RowsBox,
    /// The first slot.
    first: usize,
    /// One expression a slot.
    codes: Vec<Code>,
    /// Where the values are, if they only have to be moved.
    slots: Option<Vec<usize>>,
}

impl Project {
    /// Puts one expression after the other into slots from `first` on.
    pub(crate) fn new(source: RowsBox, first: usize, codes: Vec<Code>) -> Project {
        let slots = codes.iter().map(Code::slot).collect();
        Project { source, first, codes, slots }
    }

    #[inline]
    fn compute(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        for (number, code) in self.codes.iter().enumerate() {
            code.run_into(exec, self.first + number)?;
        }
        Ok(())
    }
}

impl Rows for Project {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.source.run(exec, &mut |exec| {
            self.compute(exec)?;
            next(exec)
        })
    }

    fn yields(&self) -> Yield {
        self.source.yields()
    }

    fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        if !self.source.one(exec)? {
            return Ok(false);
        }
        self.compute(exec)?;
        Ok(true)
    }

    fn unprojected(&self) -> Option<&[usize]> {
        self.slots.as_deref()
    }

    fn one_unprojected(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        self.source.one(exec)
    }

    fn expect_few(&mut self, rows: usize) {
        self.source.expect_few(rows);
    }

    fn explain(&self, out: &mut Explain) {
        self.source.explain(out);
    }
}

/// A consumer that has enough with one row and notes that it came.
pub(crate) fn first(found: &mut bool) -> impl FnMut(&mut Exec<'_, '_>) -> Run<Flow> {
    |_| {
        *found = true;
        Ok(Flow::Stop)
    }
}
