//! UNION, INTERSECT, EXCEPT.

use tuplix_sql::plan::{Query, SetOperation};
use tuplix_types::{Result, Value};

use super::builder::Builder;
use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::hash_table::Keys;
use super::query::QueryCode;
use super::rows::{Next, Rows, RowsBox};
use crate::stop::Run;

impl Builder<'_> {
    /// Compiles a set operation; gives the first slot of its columns.
    pub(crate) fn set_operation(
        &mut self,
        operation: SetOperation,
        all: bool,
        left: &Query,
        right: &Query,
    ) -> Result<(RowsBox, usize)> {
        let left = self.query(left)?;
        let before = self.estimate;
        let right = self.query(right)?;
        self.estimate = before.beside(self.estimate);
        let first = self.slots(left.width);
        Ok((self.operator(SetRows { operation, all, left, right, first }), first))
    }
}

struct SetRows {
    operation: SetOperation,
    all: bool,
    left: QueryCode,
    right: QueryCode,
    first: usize,
}

impl SetRows {
    fn give(&self, exec: &mut Exec<'_, '_>, row: &[Value], next: &mut Next<'_>) -> Run<Flow> {
        exec.fill(self.first, row);
        next(exec)
    }

    /// UNION: each row, or each once.
    fn union(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut seen = Keys::new(&self.left.types);
        let mut row = Vec::new();
        for side in [&self.left, &self.right] {
            let flow = side.run(exec, &mut |exec| {
                row.clear();
                row.extend_from_slice(exec.slots(side.first, side.width));
                if self.all || seen.insert(&row).1 { self.give(exec, &row, next) } else { Ok(Flow::Continue) }
            })?;
            if flow == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// INTERSECT and EXCEPT: by how often each row is on the right.
    fn compare(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        let mut keys = Keys::new(&self.left.types);
        let mut counts: Vec<usize> = Vec::new();
        self.right.run(exec, &mut |exec| {
            let (number, new) = keys.insert(exec.slots(self.right.first, self.right.width));
            if new {
                counts.push(0);
            }
            counts[number] += 1;
            Ok(Flow::Continue)
        })?;
        let mut given = Keys::new(&self.left.types);
        let mut row = Vec::new();
        let intersect = self.operation == SetOperation::Intersect;
        self.left.run(exec, &mut |exec| {
            row.clear();
            row.extend_from_slice(exec.slots(self.left.first, self.left.width));
            let on_right = match keys.find(&row) {
                Some(number) if self.all => {
                    let found = counts[number] > 0;
                    counts[number] = counts[number].saturating_sub(1);
                    found
                }
                found => found.is_some(),
            };
            let wanted = on_right == intersect && (self.all || given.insert(&row).1);
            if wanted { self.give(exec, &row, next) } else { Ok(Flow::Continue) }
        })
    }
}

impl Rows for SetRows {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        match self.operation {
            SetOperation::Union => self.union(exec, next),
            SetOperation::Intersect | SetOperation::Except => self.compare(exec, next),
        }
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("{:?}{}", self.operation, if self.all { " All" } else { "" }));
        out.child(&*self.left.rows);
        out.child(&*self.right.rows);
    }
}
