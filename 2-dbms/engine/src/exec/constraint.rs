//! NOT NULL and CHECK, tested over the slots of a new row. Unique keys are the transaction's.

use std::collections::BTreeSet;

use tuplix_catalog::TableDef;
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{Expr, ExprKind};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::builder::Builder;
use super::code::Code;
use super::frame::Exec;
use super::host;
use super::walk::{self, Node};
use crate::layout::TableAccess;
use crate::stop::{Run, Stop};

/// What a new row must satisfy.
pub(crate) struct Constraints {
    /// Columns that must not be NULL, with their slots.
    pub not_null: Vec<(usize, usize)>,
    /// CHECK constraints by their number in the table.
    pub checks: Vec<(usize, Code)>,
}

impl Constraints {
    /// Tests them; the number of the violated one otherwise.
    #[inline(always)]
    pub(crate) fn violated(&self, exec: &mut Exec<'_, '_>) -> Run<Option<Violation>> {
        for (column, slot) in &self.not_null {
            if exec.get(*slot).is_null() {
                return Ok(Some(Violation::Null(*column)));
            }
        }
        for (number, check) in &self.checks {
            if check.run(exec)?.as_bool() == Some(false) {
                return Ok(Some(Violation::Check(*number)));
            }
        }
        Ok(None)
    }
}

/// What a new row violates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Violation {
    /// NULL in this column.
    Null(usize),
    /// The CHECK with this number.
    Check(usize),
}

/// The error for a violation.
#[cold]
pub(crate) fn violation(
    exec: &Exec<'_, '_>,
    access: &TableAccess,
    violation: Violation,
    row: &[Value],
) -> Stop {
    let table = &access.table;
    let error = match violation {
        Violation::Null(column) => {
            let name = &table.columns[column].name;
            let message = format!(
                "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
                table.name
            );
            SqlError::new(sqlstate::NOT_NULL_VIOLATION, message).column(name)
        }
        Violation::Check(number) => {
            let name = &table.checks[number].name;
            let message =
                format!("new row for relation \"{}\" violates check constraint \"{name}\"", table.name);
            SqlError::new(sqlstate::CHECK_VIOLATION, message).constraint(name)
        }
    };
    error
        .table(&table.schema, &table.name)
        .detail(format!("Failing row contains ({}).", row_text(exec, table, row)))
        .into()
}

/// Longer values are cut in messages, as PostgreSQL cuts them.
const MAX_FIELD: usize = 64;

/// A row's values, as messages show them.
pub(crate) fn row_text(exec: &Exec<'_, '_>, table: &TableDef, row: &[Value]) -> String {
    let field = |(column, value): (&tuplix_catalog::ColumnDef, &Value)| {
        if value.is_null() {
            return "null".to_owned();
        }
        let text = host::to_text(exec, column.ty, value);
        match text.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_FIELD) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    };
    table.columns.iter().zip(row).map(field).collect::<Vec<_>>().join(", ")
}

/// A CHECK as bound, with the columns that it reads.
pub(crate) struct BoundCheck {
    number: usize,
    expr: Expr,
    /// Columns.
    pub columns: BTreeSet<usize>,
    /// It reads the row as a whole.
    pub whole: bool,
}

/// The columns that an expression over one table reads.
pub(crate) fn columns_read(expr: &Expr) -> BTreeSet<usize> {
    let mut columns = BTreeSet::new();
    walk::expr(expr, &mut |node| {
        if let Node::Expr(Expr { kind: ExprKind::Column { column, .. }, .. }) = node {
            columns.insert(*column);
        }
    });
    columns
}

/// Whether an expression over one table reads a row as a whole.
fn reads_row(expr: &Expr) -> bool {
    let mut found = false;
    walk::expr(expr, &mut |node| {
        found |= matches!(node, Node::Expr(Expr { kind: ExprKind::WholeRow(_), .. }));
    });
    found
}

impl Builder<'_> {
    /// Binds the CHECKs of a table.
    pub(crate) fn bound_checks(&self, table: &TableDef) -> Result<Vec<BoundCheck>> {
        let bound = table.checks.iter().enumerate().map(|(number, check)| {
            let (expr, _) = (self.context.bind_expression)(table, &check.expression, TableExpression::Check)?;
            let columns = columns_read(&expr);
            let whole = reads_row(&expr);
            Ok(BoundCheck { number, expr, columns, whole })
        });
        bound.collect()
    }

    /// Compiles what must hold of a row whose columns lie in `slots`; of `assigned` columns alone, if given.
    pub(crate) fn constraints(
        &mut self,
        table: &TableDef,
        checks: &[BoundCheck],
        slots: &[Option<usize>],
        assigned: Option<&BTreeSet<usize>>,
    ) -> Result<Constraints> {
        let matters = |column: usize| assigned.is_none_or(|assigned| assigned.contains(&column));
        let not_null = table.columns.iter().enumerate().filter(|(column, c)| c.not_null && matters(*column));
        let not_null = not_null
            .filter_map(|(column, _)| slots.get(column).copied().flatten().map(|slot| (column, slot)));
        let not_null = not_null.collect();
        let mut codes = Vec::new();
        // What reads no column at all holds or does not, whatever is assigned.
        let tested = |check: &&BoundCheck| {
            check.whole || check.columns.is_empty() || check.columns.iter().any(|column| matters(*column))
        };
        for check in checks.iter().filter(tested) {
            codes.push((
                check.number,
                self.over_columns(slots, &check.expr, |builder, expr| builder.expr(expr))?,
            ));
        }
        Ok(Constraints { not_null, checks: codes })
    }
}
