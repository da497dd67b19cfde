//! Several set-returning functions in a select list: `SELECT f(), g()`.
//!
//! Row n has the n-th row of each, NULL where one has ended, as in `ROWS FROM (f(), g())`.

use tuplix_types::{Result, SqlError};

use super::Analyzer;
use crate::plan::From;

impl Analyzer<'_> {
    /// Function calls side by side, each a relation of its own.
    pub(super) fn lockstep(&mut self, functions: Vec<From>) -> Result<From> {
        let mut relations = Vec::with_capacity(functions.len());
        let mut calls = Vec::with_capacity(functions.len());
        for function in functions {
            let From::Function { relation, call, .. } = function else {
                return Err(SqlError::unsupported("this item in a select list"));
            };
            calls.push((call, self.relation(relation).columns.len()));
            relations.push(relation);
        }
        Ok(From::RowsFrom { relations, calls, ordinality: false })
    }
}
