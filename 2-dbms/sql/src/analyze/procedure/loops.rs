//! Loops.

use tuplix_types::{SqlError, TypeId, sqlstate};

use super::Binder;
use super::embedded::statement_columns;
use super::refusal::{Bound, OfTheWhole as _};
use crate::analyze::variables::{Namespace, Shape};
use crate::analyze::{Analyzer, nodes};
use crate::plan::{Located, OutputColumn, PlStatement};
use crate::plpgsql::{LoopBody, Name, StatementKind as Kind};

impl Binder<'_> {
    pub(super) fn loop_statement(&mut self, kind: &Kind) -> Bound<PlStatement> {
        match kind {
            Kind::Loop(body) => {
                let (label, body) = self.repeated(body, |_| Ok(()), |_, ()| ())?;
                Ok(PlStatement::Loop { label, body })
            }
            Kind::While { condition, body } => {
                let mut bound = None;
                let (label, body) = self.repeated(
                    body,
                    |binder| Ok(binder.condition(condition)),
                    |_, condition| bound = Some(condition),
                )?;
                let condition = bound.ok_or_else(nodes::missing)?;
                Ok(PlStatement::While { label, condition, body })
            }
            Kind::ForInteger { variable, reverse, lower, upper, step, body } => {
                let from = self.typed(lower, TypeId::INT4, -1);
                let to = self.typed(upper, TypeId::INT4, -1);
                let step = step.as_ref().map(|step| self.typed(step, TypeId::INT4, -1));
                self.variables.namespaces.push(Namespace { label: body.label.clone(), names: Vec::new() });
                let variable = self.add_variable(simple_name(variable).of_the_whole()?, TypeId::INT4, -1);
                let result = self.repeated(body, |_| Ok(()), |_, ()| ());
                self.variables.namespaces.pop();
                let (label, body) = result?;
                Ok(PlStatement::ForRange { label, variable, reverse: *reverse, from, to, step, body })
            }
            Kind::ForQuery { targets, query, body } => {
                for name in targets {
                    self.target(name)?;
                }
                let mut query = self.embedded(query)?;
                if statement_columns(&query.statement).is_empty() {
                    let message = "cannot open a query that returns no rows as cursor";
                    return Err(SqlError::new(sqlstate::INVALID_CURSOR_DEFINITION, message).into());
                }
                // Without any row the targets become NULL, with the same structure.
                let into = self.into(targets, false, &mut query)?;
                let (label, body) = self.repeated(body, |_| Ok(()), |_, ()| ())?;
                Ok(PlStatement::ForQuery { label, into, query, body })
            }
            Kind::ForExecute { targets, query, using, body } => {
                let text = self.text(query);
                let arguments = self.using(using);
                let into = self.dynamic_into(targets, false)?;
                let (label, body) = self.repeated(body, |_| Ok(()), |_, ()| ())?;
                Ok(PlStatement::ForExecute { label, into, text, arguments, body })
            }
            Kind::ForEach { targets, slice, array, body } => {
                for name in targets {
                    self.target(name)?;
                }
                let array = self.expression(array);
                if let Some(error) = array.failure {
                    return Err(error.into());
                }
                let given = array.expr.ty;
                let element = Analyzer::element_column(given).ok_or_else(|| {
                    let message = format!("FOREACH expression must yield an array, not type {given}");
                    SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                })?;
                let slice = u32::try_from(*slice).map_err(|_| nodes::missing())?;
                let value = if slice == 0 { element } else { OutputColumn { ty: given, ..element } };
                let [target] = &targets[..] else {
                    return Err(SqlError::unsupported("FOREACH with several targets").into());
                };
                let target = self.element_target(target, &value)?;
                let (label, body) = self.repeated(body, |_| Ok(()), |_, ()| ())?;
                Ok(PlStatement::ForEach { label, target, slice, array, body })
            }
            Kind::ForCursor { variable, cursor, arguments, body } => {
                self.for_cursor(variable, cursor, arguments, body)
            }
            _ => Err(nodes::missing().into()),
        }
    }

    /// The statements of a loop, which may run again after themselves: when they leave a record with another
    /// structure than they found, they are analysed once more with what both have in common.
    pub(super) fn repeated<T>(
        &mut self,
        body: &LoopBody,
        head: impl Fn(&mut Self) -> Bound<T>,
        mut keep: impl FnMut(&mut Self, T),
    ) -> Bound<(Option<String>, Vec<Located<PlStatement>>)> {
        let variables = self.variables.list.len();
        let constants = self.constants.len();
        let before = self.variables.shapes.clone();
        let mut guard = head(self)?;
        let mut statements = self.statements(&body.statements)?;
        let known = |shapes: &[Shape]| shapes[..before.len()].to_vec();
        self.merge_shapes(&before);
        let merged = known(&self.variables.shapes);
        let changed = merged.iter().zip(&before).any(|(now, then)| now != then && *then != Shape::Unassigned);
        if changed {
            self.variables.list.truncate(variables);
            self.structures.truncate(variables);
            self.constants.truncate(constants);
            self.variables.shapes = merged.clone();
            guard = head(self)?;
            statements = self.statements(&body.statements)?;
            self.merge_shapes(&merged);
        }
        keep(self, guard);
        Ok((body.label.clone(), statements))
    }
}

/// A loop variable's own name.
pub(super) fn simple_name(name: &Name) -> Result<&str, SqlError> {
    match &name.parts[..] {
        [name] => Ok(name),
        _ => {
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, "integer FOR loop must have only one target variable"))
        }
    }
}
