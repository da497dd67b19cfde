//! Several set-returning functions side by side: `SELECT f(), g()`, `ROWS FROM (f(), g())`, `unnest(a, b)`.
//!
//! Row n has the n-th row of each, NULL where one has ended: a full join of the functions by their row numbers.

use tuplix_types::{Result, SqlError, TypeId};

use super::Analyzer;
use crate::plan::{Expr, ExprKind, From, JoinKind, OutputColumn, RelationId};

impl Analyzer<'_> {
    /// Joins function calls row by row. Each gets a row number as its last column.
    pub(super) fn lockstep(&mut self, functions: Vec<From>) -> Result<From> {
        let mut joined: Option<(From, Expr)> = None;
        for function in functions {
            let From::Function { relation, call, .. } = function else {
                return Err(SqlError::unsupported("this item in ROWS FROM"));
            };
            self.refuse_lateral(&call)?;
            let number = self.number_rows(relation);
            let function = From::Function { relation, call, ordinality: true };
            joined = Some(match joined {
                None => (function, number),
                Some((left, before)) => {
                    let on = self.operator("=", Some(before.clone()), number.clone(), -1)?;
                    let number = Expr::new(ExprKind::Coalesce(vec![before, number]), TypeId::INT8);
                    let (left, right) = (Box::new(left), Box::new(function));
                    (From::Join { kind: JoinKind::Full, left, right, on: Some(on) }, number)
                }
            });
        }
        joined.map(|(from, _)| from).ok_or_else(super::nodes::missing)
    }

    /// A full join's sides cannot read other FROM items.
    fn refuse_lateral(&self, call: &Expr) -> Result<()> {
        let level = self.scopes.len().saturating_sub(1);
        let mut own = false;
        self.visit_columns(&mut call.clone(), &mut |relation| own |= self.origin(relation).level == level);
        if own {
            let what = "several set-returning functions side by side over columns of the same query";
            return Err(SqlError::unsupported(what).at(call.position));
        }
        Ok(())
    }

    /// Adds the row number to a function's columns.
    fn number_rows(&mut self, relation: RelationId) -> Expr {
        let columns = &mut self.relations[relation.0 as usize].columns;
        columns.push(OutputColumn { name: "ordinality".to_owned(), ty: TypeId::INT8, typmod: -1 });
        Expr::new(ExprKind::Column { relation, column: columns.len() - 1 }, TypeId::INT8)
    }
}
