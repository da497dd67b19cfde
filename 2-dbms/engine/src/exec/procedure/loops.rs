//! Loops, and leaving them.

use std::sync::Arc;

use tuplix_sql::plan::{
    CursorMove, Embedded, Expr, Expression, Into, Located as PlanLocated, PlStatement, Target,
};
use tuplix_types::{Array, ArrayDimension, Result, SqlError, SqlState, Value, sqlstate};

use super::super::frame::{Exec, RowSet};
use super::cursor::given_name;
use super::{Body, Control, Located, Step, run_steps, step};
use crate::stop::{Run, Stop};

type Statements = [PlanLocated<PlStatement>];

/// What a round of a loop leads to: another round, or the end with the given control.
enum Round {
    Again,
    End(Control),
}

/// Runs a loop's body once.
#[inline]
fn round(steps: &[Located], exec: &mut Exec<'_, '_>, label: usize) -> Run<Round> {
    exec.check_interrupts()?;
    Ok(match run_steps(steps, exec)? {
        Control::Next => Round::Again,
        Control::Continue(of) if of == label => Round::Again,
        Control::Exit(of) if of == label => Round::End(Control::Next),
        other => Round::End(other),
    })
}

#[cold]
fn loop_error(code: SqlState, what: &str) -> Stop {
    SqlError::new(code, what).into()
}

impl Body<'_, '_> {
    fn loop_body(&mut self, label: Option<&String>, body: &Statements) -> (usize, super::Steps) {
        let number = self.open_label(label, true);
        let steps = self.steps(body);
        self.labels.pop();
        (number, steps)
    }

    /// LOOP
    pub(super) fn endless(&mut self, label: Option<&String>, body: &Statements) -> Result<Step> {
        let (label, steps) = self.loop_body(label, body);
        Ok(step(move |exec| {
            loop {
                if let Round::End(control) = round(&steps, exec, label)? {
                    return Ok(control);
                }
            }
        }))
    }

    /// WHILE
    pub(super) fn while_loop(
        &mut self,
        label: Option<&String>,
        condition: &Expression,
        body: &Statements,
        place: usize,
    ) -> Result<Step> {
        let condition = self.test(condition)?;
        let (label, steps) = self.loop_body(label, body);
        Ok(step(move |exec| {
            loop {
                exec.activation.place = place;
                if !condition.run(exec)? {
                    return Ok(Control::Next);
                }
                if let Round::End(control) = round(&steps, exec, label)? {
                    return Ok(control);
                }
            }
        }))
    }

    /// FOR i IN a..b
    pub(super) fn for_range(&mut self, statement: &PlStatement) -> Result<Step> {
        let PlStatement::ForRange { label, variable, reverse, from, to, step: by, body } = statement else {
            return Err(SqlError::internal("not an integer loop"));
        };
        let (from, to) = (self.value(from)?, self.value(to)?);
        let by = by.as_ref().map(|by| self.value(by)).transpose()?;
        let (label, steps) = self.loop_body(label.as_ref(), body);
        let (slot, found, reverse) = (self.builder.variables[*variable], self.found(), *reverse);
        Ok(step(move |exec| {
            let null = |what: &str| loop_error(sqlstate::NULL_VALUE_NOT_ALLOWED, what);
            let first =
                from.run(exec)?.as_i64().ok_or_else(|| null("lower bound of FOR loop cannot be null"))?;
            let last =
                to.run(exec)?.as_i64().ok_or_else(|| null("upper bound of FOR loop cannot be null"))?;
            let by = match &by {
                Some(by) => {
                    by.run(exec)?.as_i64().ok_or_else(|| null("BY value of FOR loop cannot be null"))?
                }
                None => 1,
            };
            if by <= 0 {
                let what = "BY value of FOR loop must be greater than zero";
                return Err(loop_error(sqlstate::INVALID_PARAMETER_VALUE, what));
            }
            let mut next = first;
            let mut control = Control::Next;
            let mut any = false;
            while if reverse { next >= last } else { next <= last } {
                any = true;
                // Bounds are integers, so the loop variable is one as well.
                exec.set(slot, Value::Int4(next as i32));
                if let Round::End(end) = round(&steps, exec, label)? {
                    control = end;
                    break;
                }
                next = if reverse { next - by } else { next + by };
            }
            exec.set(found, Value::Bool(any));
            Ok(control)
        }))
    }

    /// FOR targets IN query
    pub(super) fn for_query(
        &mut self,
        label: Option<&String>,
        into: &Into,
        query: &Embedded,
        body: &Statements,
    ) -> Result<Step> {
        let targets = self.into(into)?;
        let sql = self.embedded(query)?;
        let (label, steps) = self.loop_body(label, body);
        let found = self.found();
        Ok(step(move |exec| {
            let rows = sql.collect(exec)?;
            if rows.len == 0 {
                targets.set_null(exec)?;
            }
            each_row(
                exec,
                &rows,
                found,
                |exec, row| targets.set_row(exec, row),
                |exec| round(&steps, exec, label),
            )
        }))
    }

    /// FOR targets IN cursor: the cursor is open while the loop runs, so that its row can be changed.
    pub(super) fn for_cursor(&mut self, statement: &PlStatement) -> Result<Step> {
        let PlStatement::ForCursor { label, cursor, scroll, into, query, places, body } = statement else {
            return Err(SqlError::internal("not a loop over a cursor"));
        };
        let targets = self.into(into)?;
        let query = self.opened(query, places, *scroll)?;
        let (label, steps) = self.loop_body(label.as_ref(), body);
        let ((slot, _), found) = (self.cursor_slot(*cursor), self.found());
        Ok(step(move |exec| {
            let given = given_name(exec, slot)?;
            let new = query.open(exec)?;
            if new.rows.len == 0 {
                targets.set_null(exec)?;
            }
            let name = given.clone().unwrap_or_else(|| exec.services.portals.borrow_mut().unnamed());
            {
                let mut portals = exec.services.portals.borrow_mut();
                portals.open(&name, new)?;
                portals.pin(&name, true);
            }
            if given.is_none() {
                exec.set(slot, Value::text(name.as_str()));
            }
            let mut control = Control::Next;
            let mut any = false;
            loop {
                let (rows, numbers) =
                    exec.services.portals.borrow_mut().fetch(&name, CursorMove::Forward(Some(1)))?;
                let Some(number) = numbers.first() else { break };
                any = true;
                targets.set_row(exec, rows.row(*number))?;
                if let Round::End(end) = round(&steps, exec, label)? {
                    control = end;
                    break;
                }
            }
            {
                let mut portals = exec.services.portals.borrow_mut();
                portals.pin(&name, false);
                portals.close(&name)?;
            }
            if given.is_none() {
                exec.set(slot, Value::Null);
            }
            exec.set(found, Value::Bool(any));
            Ok(control)
        }))
    }

    /// FOR targets IN EXECUTE text
    pub(super) fn for_execute(
        &mut self,
        label: Option<&String>,
        into: &Into,
        text: &Expression,
        arguments: &[Expression],
        body: &Statements,
    ) -> Result<Step> {
        let dynamic = self.dynamic(text, arguments)?;
        let targets = self.into(into)?;
        let (label, steps) = self.loop_body(label, body);
        let found = self.found();
        Ok(step(move |exec| {
            let (statement, parameters) = dynamic.prepare(exec)?;
            let rows = dynamic.collect(exec, &statement, &parameters)?;
            if rows.len == 0 {
                targets.set_null(exec)?;
            }
            let columns = statement.columns();
            let set = |exec: &mut Exec<'_, '_>, row: &[Value]| targets.set_dynamic(exec, columns, row);
            each_row(exec, &rows, found, set, |exec| round(&steps, exec, label))
        }))
    }

    /// FOREACH
    pub(super) fn for_each(
        &mut self,
        label: Option<&String>,
        target: &(Target, Option<Expr>),
        slice: u32,
        array: &Expression,
        body: &Statements,
    ) -> Result<Step> {
        let array = self.value(array)?;
        let targets = self.into(&Into { strict: false, targets: vec![target.clone()] })?;
        let (label, steps) = self.loop_body(label, body);
        let (found, slice) = (self.found(), slice as usize);
        Ok(step(move |exec| {
            let Value::Array(array) = array.run(exec)? else {
                return Err(loop_error(
                    sqlstate::NULL_VALUE_NOT_ALLOWED,
                    "FOREACH expression must not be null",
                ));
            };
            let rows = slices(&array, slice)?;
            each_row(
                exec,
                &rows,
                found,
                |exec, row| targets.set_row(exec, row),
                |exec| round(&steps, exec, label),
            )
        }))
    }

    /// EXIT and CONTINUE
    pub(super) fn leave(
        &mut self,
        next: bool,
        label: Option<&String>,
        condition: Option<&Expression>,
    ) -> Result<Step> {
        let condition = condition.map(|condition| self.test(condition)).transpose()?;
        let target = self.labels.iter().rev().find(|(name, is_loop, _)| match label {
            Some(label) => name.as_ref() == Some(label),
            None => *is_loop,
        });
        let Some((_, is_loop, number)) = target else {
            let verb = if next { "CONTINUE" } else { "EXIT" };
            let message = format!("{verb} cannot be used outside a loop, unless it has a label");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        };
        if next && !is_loop {
            let label = label.map_or("", String::as_str);
            let message = format!("block label \"{label}\" cannot be used in CONTINUE");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let control = if next { Control::Continue(*number) } else { Control::Exit(*number) };
        Ok(match condition {
            None => step(move |_| Ok(control)),
            Some(condition) => {
                step(move |exec| Ok(if condition.run(exec)? { control } else { Control::Next }))
            }
        })
    }
}

/// Runs a loop over stored rows and sets FOUND.
fn each_row(
    exec: &mut Exec<'_, '_>,
    rows: &RowSet,
    found: usize,
    set: impl Fn(&mut Exec<'_, '_>, &[Value]) -> Run<()>,
    mut body: impl FnMut(&mut Exec<'_, '_>) -> Run<Round>,
) -> Run<Control> {
    let mut control = Control::Next;
    for row in rows.rows() {
        set(exec, row)?;
        if let Round::End(end) = body(exec)? {
            control = end;
            break;
        }
    }
    exec.set(found, Value::Bool(rows.len > 0));
    Ok(control)
}

/// The elements of an array, or its slices of so many dimensions.
fn slices(array: &Array, slice: usize) -> Run<RowSet> {
    let mut rows = RowSet::new(1);
    if slice == 0 {
        array.elements.iter().for_each(|element| rows.push(std::slice::from_ref(element)));
        return Ok(rows);
    }
    let dimensions = array.dimensions.len();
    if slice > dimensions {
        let message = format!("slice dimension ({slice}) is out of the valid range 0..{dimensions}");
        return Err(loop_error(sqlstate::ARRAY_SUBSCRIPT_ERROR, &message));
    }
    let inner: &[ArrayDimension] = &array.dimensions[dimensions - slice..];
    let size: usize = inner.iter().map(|dimension| dimension.length as usize).product();
    for elements in array.elements.chunks(size.max(1)) {
        let part = Array { element: array.element, dimensions: inner.to_vec(), elements: elements.to_vec() };
        rows.push(&[Value::Array(Arc::new(part))]);
    }
    Ok(rows)
}
