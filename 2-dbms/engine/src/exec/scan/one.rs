//! The first row of a scan, for a one-shot: no batch, no consumer, and integers are compared where the row lies.

use tuplix_storage::{Comparison, SimplePredicate};

use super::super::code::Code;
use super::super::compare::is_integer;
use super::super::frame::{Exec, Looked};
use super::{Predicates, TableScan, TestCode, Tests, predicates};
use crate::layout::TableAccess;
use crate::stop::Run;

/// Rows looked at one by one before storage is given all tests, which it runs over words of rows.
const FEW: usize = 8;

/// Tests of integers against slots, beside constant ones.
pub(crate) struct Compared {
    /// Tests without values to be read.
    pub fixed: Vec<SimplePredicate>,
    /// Column, comparison, the value's slot.
    pub numbers: Vec<(usize, Comparison, usize)>,
}

impl Compared {
    /// The tests in this form, if all of them have it.
    pub(super) fn of(codes: &[TestCode], access: &TableAccess) -> Option<Compared> {
        let mut compared = Compared { fixed: Vec::new(), numbers: Vec::new() };
        for code in codes {
            match (code, code.fixed()) {
                (_, Some(fixed)) => compared.fixed.push(fixed),
                (TestCode::Compare { column, comparison, value: Code::Slot(slot) }, None)
                    if is_integer(access.table.columns[*column].ty) =>
                {
                    compared.numbers.push((*column, *comparison, *slot));
                }
                _ => return None,
            }
        }
        Some(compared)
    }
}

impl TableScan {
    /// The first row of the one bucket, with its columns in their slots.
    #[inline(always)]
    pub(super) fn first_match(&self, exec: &mut Exec<'_, '_>, tests: &Tests) -> Run<bool> {
        let Some(bucket) = self.only_bucket(exec)? else { return Ok(false) };
        let mut from = 0;
        // Mostly the first one is it: what the loop behind it needs is not made ready before.
        let Some(compared) = &tests.compared else { return self.match_from(exec, bucket, from, tests) };
        match exec.look_at_next(&self.access, bucket, &mut from, compared, &self.columns)? {
            Looked::End => Ok(false),
            Looked::At(row) if self.accept(exec, row)? => Ok(true),
            Looked::At(_) | Looked::Over => self.match_behind(exec, bucket, from, tests, compared),
        }
    }

    /// As [`TableScan::match_from`], the first few rows one by one.
    #[inline(never)]
    fn match_behind(
        &self,
        exec: &mut Exec<'_, '_>,
        bucket: u16,
        mut from: u64,
        tests: &Tests,
        compared: &Compared,
    ) -> Run<bool> {
        for _ in 1..FEW {
            exec.check_interrupts()?;
            match exec.look_at_next(&self.access, bucket, &mut from, compared, &self.columns)? {
                Looked::End => return Ok(false),
                Looked::At(row) if self.accept(exec, row)? => return Ok(true),
                Looked::At(_) | Looked::Over => {}
            }
        }
        exec.check_interrupts()?;
        self.match_from(exec, bucket, from, tests)
    }

    /// The first row of a bucket from a slot on.
    #[inline(never)]
    fn match_from(&self, exec: &mut Exec<'_, '_>, bucket: u16, mut from: u64, tests: &Tests) -> Run<bool> {
        let mut made = Predicates::new();
        if !predicates(exec, &tests.codes, &mut made)? {
            return Ok(false);
        }
        let all = Compared { fixed: made.into_iter().collect(), numbers: Vec::new() };
        loop {
            match exec.look_at_next(&self.access, bucket, &mut from, &all, &self.columns)? {
                Looked::End => return Ok(false),
                Looked::At(row) if self.accept(exec, row)? => return Ok(true),
                Looked::At(_) | Looked::Over => exec.check_interrupts()?,
            }
        }
    }
}
