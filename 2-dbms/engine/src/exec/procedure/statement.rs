//! Statements: assignment, IF, CASE, RETURN, ASSERT. The others go to their files from here.

use std::sync::Arc;

use tuplix_sql::plan::{Expression, PlStatement, Target};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::super::code::{Code, TestFn, test};
use super::super::frame::Exec;
use super::super::rights::Rights;
use super::super::walk::Facts;
use super::block::null_variable;
use super::{Body, Control, Step, Steps, run_steps, step};
use crate::stop::{Run, Stop};

/// What PostgreSQL calls a statement in error contexts.
pub(super) fn name(statement: &PlStatement) -> &'static str {
    match statement {
        PlStatement::Block(_) => "statement block",
        PlStatement::Assign { .. } => "assignment",
        PlStatement::If { .. } => "IF",
        PlStatement::Case { .. } => "CASE",
        PlStatement::Loop { .. } => "LOOP",
        PlStatement::While { .. } => "WHILE",
        PlStatement::ForRange { .. } => "FOR with integer loop variable",
        PlStatement::ForQuery { .. } => "FOR over SELECT rows",
        PlStatement::ForCursor { .. } => "FOR over cursor",
        PlStatement::ForExecute { .. } => "FOR over EXECUTE statement",
        PlStatement::ForEach { .. } => "FOREACH over array",
        PlStatement::OpenCursor { .. } => "OPEN",
        PlStatement::FetchCursor { into: None, .. } => "MOVE",
        PlStatement::FetchCursor { .. } => "FETCH",
        PlStatement::CloseCursor(_) => "CLOSE",
        PlStatement::Leave { next: true, .. } => "CONTINUE",
        PlStatement::Leave { .. } => "EXIT",
        PlStatement::Return(_) => "RETURN",
        PlStatement::ReturnNext(_) => "RETURN NEXT",
        PlStatement::ReturnQuery(_) | PlStatement::ReturnQueryExecute { .. } => "RETURN QUERY",
        PlStatement::Raise(_) => "RAISE",
        PlStatement::Assert { .. } => "ASSERT",
        PlStatement::Sql { perform: true, .. } => "PERFORM",
        PlStatement::Sql { .. } => "SQL statement",
        PlStatement::Execute { .. } => "EXECUTE",
        PlStatement::GetDiagnostics(_) => "GET DIAGNOSTICS",
        PlStatement::Null => "NULL",
        PlStatement::Fail { what, .. } => what,
    }
}

/// An expression of a body with the states that its subqueries use.
pub(super) struct Value1 {
    pub code: Code,
    states: (usize, usize),
    /// The text, for error contexts of expressions that are queries.
    text: Option<Arc<str>>,
}

impl Value1 {
    #[inline]
    pub(super) fn run(&self, exec: &mut Exec<'_, '_>) -> Run<Value> {
        match &self.text {
            None => self.code.run(exec),
            Some(text) => {
                exec.reset_states(self.states.0, self.states.1);
                self.code.run(exec).map_err(|stop| with_line(stop, || format!("SQL expression \"{text}\"")))
            }
        }
    }
}

/// A condition of a body.
pub(super) struct Test1 {
    test: TestFn,
    states: (usize, usize),
}

impl Test1 {
    #[inline]
    pub(super) fn run(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        if self.states.1 > 0 {
            exec.reset_states(self.states.0, self.states.1);
        }
        (self.test)(exec)
    }
}

/// Adds a line to an error's context.
#[cold]
pub(super) fn with_line(stop: Stop, line: impl FnOnce() -> String) -> Stop {
    match stop {
        Stop::Error(error) => Stop::Error(error.context(line())),
        Stop::Restart => Stop::Restart,
    }
}

/// Where a value goes.
pub(super) enum Place1 {
    /// A variable's slot; its name when it is NOT NULL.
    Variable(usize, Option<String>),
    /// A field of the record in a slot of so many fields.
    Field(usize, usize, usize),
}

impl Place1 {
    #[inline]
    pub(super) fn set(&self, exec: &mut Exec<'_, '_>, value: Value) -> Run<()> {
        match self {
            Place1::Variable(slot, None) => exec.set(*slot, value),
            Place1::Variable(_, Some(name)) if value.is_null() => return Err(null_variable(name)),
            Place1::Variable(slot, Some(_)) => exec.set(*slot, value),
            Place1::Field(slot, field, width) => {
                let mut fields = match exec.take(*slot) {
                    Value::Record(fields) => fields.to_vec(),
                    _ => Vec::new(),
                };
                let width = (*width).max(field + 1).max(fields.len());
                fields.resize(width, Value::Null);
                fields[*field] = value;
                exec.set(*slot, Value::Record(fields.into()));
            }
        }
        Ok(())
    }
}

impl Body<'_, '_> {
    /// Compiles an expression.
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value1> {
        if let Some(error) = &expression.failure {
            let error = error.clone();
            let code = Code::new(move |_| Err(error.clone().into()));
            return Ok(Value1 { code, states: (0, 0), text: None });
        }
        let facts = Facts::of_expr(&expression.expr);
        let compile = |builder: &mut super::Builder<'_>| builder.expr(&expression.expr);
        let (code, first, count) = self.builder.statement(&expression.relations, &facts, compile)?;
        let code = match self.rights_of(expression) {
            Some(rights) => Code::new(move |exec| {
                rights.check(exec)?;
                code.run(exec)
            }),
            None => code,
        };
        let text = facts.subqueries.then(|| expression.text.as_str().into());
        Ok(Value1 { code, states: (first, count), text })
    }

    /// Compiles a condition.
    pub(super) fn test(&mut self, expression: &Expression) -> Result<Test1> {
        if let Some(error) = &expression.failure {
            let error = error.clone();
            return Ok(Test1 { test: test(move |_| Err(error.clone().into())), states: (0, 0) });
        }
        let facts = Facts::of_expr(&expression.expr);
        let compile = |builder: &mut super::Builder<'_>| builder.test(&expression.expr);
        let (inner, first, count) = self.builder.statement(&expression.relations, &facts, compile)?;
        let test = match self.rights_of(expression) {
            Some(rights) => test(move |exec| {
                rights.check(exec)?;
                inner(exec)
            }),
            None => inner,
        };
        Ok(Test1 { test, states: (first, count) })
    }

    /// What an expression asks of who computes it: functions that it calls, tables of its subqueries.
    fn rights_of(&self, expression: &Expression) -> Option<Box<Rights>> {
        Rights::of_exprs(self.builder.context.catalog, &expression.relations, [&expression.expr])
    }

    /// Resolves a target; the type of its variable or field.
    pub(super) fn target(&self, target: &Target) -> Result<(Place1, TypeId, i32)> {
        match target {
            Target::Variable(number) | Target::Record(number) => {
                let variable = self.variable(*number)?;
                let name = variable.not_null.then(|| variable.name.clone());
                Ok((Place1::Variable(self.builder.variables[*number], name), variable.ty, variable.typmod))
            }
            Target::Field(number, field) => {
                let variable = self.variable(*number)?;
                let fields = variable.fields.as_deref().unwrap_or_default();
                let (ty, typmod) =
                    fields.get(*field).map_or((TypeId::UNKNOWN, -1), |field| (field.ty, field.typmod));
                Ok((Place1::Field(self.builder.variables[*number], *field, fields.len()), ty, typmod))
            }
        }
    }

    /// Compiles a statement.
    pub(super) fn statement(&mut self, statement: &PlStatement, place: usize) -> Result<Step> {
        match statement {
            PlStatement::Block(block) => self.block(block),
            PlStatement::Assign { target, value } => self.assign(target, value),
            PlStatement::If { arms, otherwise } => {
                let mut arms = self.arms(arms)?;
                let otherwise = self.steps(otherwise);
                if otherwise.is_empty()
                    && arms.len() == 1
                    && let Some((test, steps)) = arms.pop()
                {
                    return Ok(step(move |exec| {
                        if test.run(exec)? { run_steps(&steps, exec) } else { Ok(Control::Next) }
                    }));
                }
                Ok(step(move |exec| match taken(&arms, exec)? {
                    Some(steps) => run_steps(steps, exec),
                    None => run_steps(&otherwise, exec),
                }))
            }
            PlStatement::Case { arms, otherwise } => {
                let arms = self.arms(arms)?;
                let otherwise = otherwise.as_ref().map(|otherwise| self.steps(otherwise));
                Ok(step(move |exec| match (taken(&arms, exec)?, &otherwise) {
                    (Some(steps), _) | (None, Some(steps)) => run_steps(steps, exec),
                    (None, None) => Err(case_not_found()),
                }))
            }
            PlStatement::Loop { label, body } => self.endless(label.as_ref(), body),
            PlStatement::While { label, condition, body } => {
                self.while_loop(label.as_ref(), condition, body, place)
            }
            PlStatement::ForRange { .. } => self.for_range(statement),
            PlStatement::ForQuery { label, into, query, body } => {
                self.for_query(label.as_ref(), into, query, body)
            }
            PlStatement::ForCursor { .. } => self.for_cursor(statement),
            PlStatement::ForExecute { label, into, text, arguments, body } => {
                self.for_execute(label.as_ref(), into, text, arguments, body)
            }
            PlStatement::OpenCursor { cursor, constant, arguments, scroll, source } => {
                self.open_cursor((*cursor, *constant), arguments, *scroll, source)
            }
            PlStatement::FetchCursor { cursor, by, count, into } => {
                self.fetch_cursor(*cursor, *by, count.as_ref(), into.as_ref())
            }
            PlStatement::CloseCursor(cursor) => self.close_cursor(*cursor),
            PlStatement::ForEach { label, target, slice, array, body } => {
                self.for_each(label.as_ref(), target, *slice, array, body)
            }
            PlStatement::Leave { next, label, condition } => {
                self.leave(*next, label.as_ref(), condition.as_ref())
            }
            PlStatement::Return(value) => self.return_value(value.as_ref()),
            PlStatement::ReturnNext(columns) => self.return_next(columns),
            PlStatement::ReturnQuery(query) => self.return_query(query),
            PlStatement::ReturnQueryExecute { text, arguments } => self.return_execute(text, arguments),
            PlStatement::Raise(raise) => self.raise(raise, place),
            PlStatement::Assert { condition, message } => self.assert(condition, message.as_ref()),
            PlStatement::Sql { statement, into, perform } => self.sql(statement, into.as_ref(), *perform),
            PlStatement::Execute { text, into, arguments } => self.execute(text, into.as_ref(), arguments),
            PlStatement::GetDiagnostics(items) => self.get_diagnostics(items, place),
            PlStatement::Null => Ok(step(|_| Ok(Control::Next))),
            PlStatement::Fail { error, .. } => Ok(failing(error.clone())),
        }
    }

    fn assign(&mut self, target: &Target, value: &Expression) -> Result<Step> {
        let value = self.value(value)?;
        let (place, ..) = self.target(target)?;
        Ok(match (place, value) {
            (Place1::Variable(slot, None), Value1 { code, text: None, .. }) => step(move |exec| {
                code.run_into(exec, slot)?;
                Ok(Control::Next)
            }),
            (place, value) => step(move |exec| {
                let value = value.run(exec)?;
                place.set(exec, value)?;
                Ok(Control::Next)
            }),
        })
    }

    fn arms(
        &mut self,
        arms: &[(Expression, Vec<tuplix_sql::plan::Located<PlStatement>>)],
    ) -> Result<Vec<(Test1, Steps)>> {
        arms.iter()
            .map(|(condition, statements)| Ok((self.test(condition)?, self.steps(statements))))
            .collect()
    }

    fn return_value(&mut self, value: Option<&Expression>) -> Result<Step> {
        let Some(value) = value else { return Ok(step(|_| Ok(Control::Return))) };
        let (value, result) = (self.value(value)?, self.result);
        Ok(match value {
            Value1 { code, text: None, .. } => step(move |exec| {
                code.run_into(exec, result)?;
                Ok(Control::Return)
            }),
            value => step(move |exec| {
                let value = value.run(exec)?;
                exec.set(result, value);
                Ok(Control::Return)
            }),
        })
    }

    fn return_next(&mut self, columns: &[Expression]) -> Result<Step> {
        if columns.is_empty() {
            let outputs = self.procedure.outputs.clone();
            return Ok(step(move |exec| {
                let mut rows = std::mem::take(&mut exec.activation.kept().rows);
                exec.gather(&outputs, &mut rows.values);
                rows.len += 1;
                exec.activation.kept().rows = rows;
                Ok(Control::Next)
            }));
        }
        let values = columns.iter().map(|column| self.value(column)).collect::<Result<Vec<_>>>()?;
        let (width, is_row) = (self.procedure.columns.len(), self.procedure.returns_row);
        Ok(step(move |exec| {
            let mut row = Vec::with_capacity(width);
            for value in &values {
                row.push(value.run(exec)?);
            }
            if width > 1 || is_row {
                row = match row.pop() {
                    Some(Value::Record(fields)) => fields.to_vec(),
                    _ => Vec::new(),
                };
            }
            row.resize(width, Value::Null);
            exec.activation.kept().rows.push(&row);
            Ok(Control::Next)
        }))
    }

    fn assert(&mut self, condition: &Expression, message: Option<&Expression>) -> Result<Step> {
        let condition = self.test(condition)?;
        let message = message.map(|message| self.value(message)).transpose()?;
        Ok(step(move |exec| {
            if condition.run(exec)? {
                return Ok(Control::Next);
            }
            let message = match &message {
                Some(message) => message.run(exec)?.as_str().map(ToOwned::to_owned),
                None => None,
            };
            let message = message.unwrap_or_else(|| "assertion failed".to_owned());
            Err(SqlError::new(sqlstate::ASSERT_FAILURE, message).into())
        }))
    }
}

/// A statement that raises an error when it is reached.
pub(super) fn failing(error: SqlError) -> Step {
    step(move |_| Err(error.clone().into()))
}

fn taken<'s>(arms: &'s [(Test1, Steps)], exec: &mut Exec<'_, '_>) -> Run<Option<&'s Steps>> {
    for (condition, steps) in arms {
        if condition.run(exec)? {
            return Ok(Some(steps));
        }
    }
    Ok(None)
}

#[cold]
fn case_not_found() -> Stop {
    SqlError::new(sqlstate::CASE_NOT_FOUND, "case not found")
        .hint("CASE statement is missing ELSE part.")
        .into()
}
