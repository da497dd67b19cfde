//! What a table's rows become when its columns change, and what has to hold of them.

use tuplix_catalog::TableDef;
use tuplix_sql::plan::Expr;
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::builder::{Builder, CompileContext};
use super::code::Code;
use super::frame::Exec;
use crate::stop::Run;

/// Where a column of the new row comes from.
#[derive(Clone, Debug)]
pub(crate) enum ColumnSource {
    /// The column at this position of the old row.
    Keep(usize),
    /// An expression over the old row.
    Compute(Expr),
    /// An expression over the new row's other columns.
    Generate(Expr),
}

/// See the module.
pub(crate) struct RowProgram {
    columns: Vec<(Option<usize>, Option<Code>)>,
    /// Columns computed from the others.
    generated: Vec<(usize, Code)>,
    /// Columns of the new row that must not be NULL, with the error if one is.
    not_null: Vec<(usize, SqlError)>,
    /// CHECKs over the new row, with the error of one that does not hold.
    checks: Vec<(Code, SqlError)>,
    width: usize,
    first_new: usize,
    slots: usize,
    states: usize,
}

/// Makes a new row out of an old one.
pub(crate) type RunRow<'p> = dyn Fn(&mut Exec<'_, '_>, Vec<Value>) -> Run<Vec<Value>> + 'p;

/// Compiles a program. `checks` are bound over the new row; `not_null` are columns of it.
///
/// # Errors
/// 0A000 for what the executor lacks.
pub(crate) fn compile_rows(
    context: &CompileContext<'_>,
    old: &TableDef,
    new: &TableDef,
    sources: &[ColumnSource],
    not_null: &[usize],
    checks: &[(String, Expr)],
) -> Result<RowProgram> {
    let mut builder = Builder::new(context);
    let width = old.columns.len();
    let first_old = builder.slots(width);
    let first_new = builder.slots(new.columns.len());
    let slots_from = |first: usize, count: usize| (first..first + count).map(Some).collect::<Vec<_>>();
    let (old_slots, new_slots) = (slots_from(first_old, width), slots_from(first_new, new.columns.len()));
    let mut columns = Vec::with_capacity(sources.len());
    let mut generated = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        columns.push(match source {
            ColumnSource::Generate(expr) => {
                let code = builder.over_columns(&new_slots, expr, |builder, expr| builder.expr(expr))?;
                generated.push((number, code));
                (None, None)
            }
            ColumnSource::Keep(position) => (Some(*position), None),
            ColumnSource::Compute(expr) => {
                (None, Some(builder.over_columns(&old_slots, expr, |builder, expr| builder.expr(expr))?))
            }
        });
    }
    let null_error = |column: &usize| {
        let name = &new.columns[*column].name;
        let message = format!("column \"{name}\" of relation \"{}\" contains null values", new.name);
        let error = SqlError::new(sqlstate::NOT_NULL_VIOLATION, message);
        (*column, error.table(&new.schema, &new.name).column(name))
    };
    let not_null = not_null.iter().map(null_error).collect();
    let mut codes = Vec::with_capacity(checks.len());
    for (name, expr) in checks {
        let code = builder.over_columns(&new_slots, expr, |builder, expr| builder.expr(expr))?;
        let message =
            format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", new.name);
        let error = SqlError::new(sqlstate::CHECK_VIOLATION, message);
        codes.push((code, error.table(&new.schema, &new.name).constraint(name)));
    }
    let (slots, states) = builder.window();
    Ok(RowProgram { columns, generated, not_null, checks: codes, width, first_new, slots, states })
}

impl RowProgram {
    /// Opens a window and calls `body` with what turns old rows into new ones.
    ///
    /// # Errors
    /// Those of `body`.
    pub(crate) fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        body: impl FnOnce(&mut Exec<'_, '_>, &RunRow<'_>) -> Run<()>,
    ) -> Run<()> {
        let window = exec.enter(self.slots, self.states);
        let result = body(exec, &|exec, old| self.row(exec, &old));
        exec.leave(window);
        result
    }

    fn row(&self, exec: &mut Exec<'_, '_>, old: &[Value]) -> Run<Vec<Value>> {
        debug_assert_eq!(old.len(), self.width);
        exec.fill(0, old);
        let mut new = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            new.push(match column {
                (Some(position), _) => old[*position].clone(),
                (None, Some(code)) => code.run(exec)?,
                (None, None) => Value::Null,
            });
        }
        exec.fill(self.first_new, &new);
        for (column, code) in &self.generated {
            new[*column] = code.run(exec)?;
            exec.fill(self.first_new + column, &new[*column..=*column]);
        }
        for (column, error) in &self.not_null {
            if new[*column].is_null() {
                return Err(error.clone().into());
            }
        }
        for (check, error) in &self.checks {
            if check.run(exec)?.as_bool() == Some(false) {
                return Err(error.clone().into());
            }
        }
        Ok(new)
    }
}
