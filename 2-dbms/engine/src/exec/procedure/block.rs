//! Blocks: declarations and EXCEPTION handlers.

use tuplix_sql::plan::{Block, Located as PlanLocated, PlStatement};
use tuplix_types::{Result, SqlError, SqlState, Value, sqlstate};

use super::super::code::Code;
use super::super::frame::Exec;
use super::super::rights::Rights;
use super::super::walk::Facts;
use super::{Body, Control, Located, Step, Steps, run_steps, step};
use crate::stop::{Run, Stop};

/// A variable's declaration.
struct Initial {
    slot: usize,
    value: Option<Code>,
    states: (usize, usize),
    /// The name of a NOT NULL variable.
    not_null: Option<String>,
}

struct Handler {
    conditions: Vec<Option<SqlState>>,
    steps: Steps,
}

impl Handler {
    fn catches(&self, code: SqlState) -> bool {
        self.conditions.iter().any(|condition| match condition {
            None => code != sqlstate::QUERY_CANCELED && code != sqlstate::ASSERT_FAILURE,
            Some(condition) if condition.0[2..] == *b"000" => condition.0[..2] == code.0[..2],
            Some(condition) => *condition == code,
        })
    }
}

/// BEGIN ... END
struct BlockCode {
    /// Variables that are NULL at first.
    nulls: Vec<usize>,
    /// The others, in order.
    initial: Vec<Initial>,
    steps: Steps,
    handlers: Vec<Handler>,
    error_variables: Option<(usize, usize)>,
    label: usize,
}

impl Body<'_, '_> {
    /// Compiles statements.
    pub(super) fn steps(&mut self, statements: &[PlanLocated<PlStatement>]) -> Steps {
        statements.iter().map(|statement| self.located(statement)).collect()
    }

    fn located(&mut self, statement: &PlanLocated<PlStatement>) -> Located {
        let place = self.place(statement.line, super::statement::name(&statement.node));
        let labels = self.labels.len();
        // What cannot be compiled fails when it is reached, as errors of analysis do.
        let step = self.statement(&statement.node, place).unwrap_or_else(|error| {
            self.labels.truncate(labels);
            super::statement::failing(error)
        });
        Located { place, step: self.rebindable(statement.id, place, step) }
    }

    /// Compiles a block.
    pub(super) fn block(&mut self, block: &Block) -> Result<Step> {
        let label = self.open_label(block.label.as_ref(), false);
        let (mut nulls, mut initial) = (Vec::new(), Vec::new());
        for (variable, value) in &block.initial {
            let not_null = self.variable(*variable)?;
            let not_null = not_null.not_null.then(|| not_null.name.clone());
            let mut states = (0, 0);
            let mut code = None;
            if let Some(value) = value {
                let facts = Facts::of_expr(value);
                let (compiled, first, count) =
                    self.builder.statement(&[], &facts, |builder| builder.expr(value))?;
                // It has no subqueries, but may call functions.
                code = Some(match Rights::of_exprs(self.builder.context.catalog, &[], [value]) {
                    Some(rights) => Code::new(move |exec| {
                        rights.check(exec)?;
                        compiled.run(exec)
                    }),
                    None => compiled,
                });
                states = (first, count);
            }
            let slot = self.builder.variables[*variable];
            match (&code, &not_null) {
                (None, None) => nulls.push(slot),
                _ => initial.push(Initial { slot, value: code, states, not_null }),
            }
        }
        let steps = self.steps(&block.statements);
        let handlers = block.handlers.iter().map(|handler| Handler {
            conditions: handler.conditions.clone(),
            steps: self.steps(&handler.statements),
        });
        let handlers = handlers.collect();
        self.labels.pop();
        let code =
            BlockCode { nulls, initial, steps, handlers, error_variables: block.error_variables, label };
        Ok(step(move |exec| code.run(exec)))
    }

    /// Opens a loop or block; gives its number.
    pub(super) fn open_label(&mut self, label: Option<&String>, is_loop: bool) -> usize {
        let number = self.next_label;
        self.next_label += 1;
        self.labels.push((label.cloned(), is_loop, number));
        number
    }
}

impl BlockCode {
    #[inline]
    fn run(&self, exec: &mut Exec<'_, '_>) -> Run<Control> {
        // A variable's value cannot depend on those declared behind it, so NULLs may come first.
        for slot in &self.nulls {
            exec.set(*slot, Value::Null);
        }
        for initial in &self.initial {
            initial.run(exec)?;
        }
        let control =
            if self.handlers.is_empty() { run_steps(&self.steps, exec)? } else { self.guarded(exec)? };
        Ok(if control == Control::Exit(self.label) { Control::Next } else { control })
    }

    /// Runs the statements as a subtransaction.
    fn guarded(&self, exec: &mut Exec<'_, '_>) -> Run<Control> {
        let mark = exec.tx.mark();
        let cursors = exec.services.portals.borrow().mark();
        let error = match run_steps(&self.steps, exec) {
            Err(Stop::Error(error)) => error,
            other => return other,
        };
        let Some(handler) = self.handlers.iter().find(|handler| handler.catches(error.sqlstate())) else {
            return Err(Stop::Error(error));
        };
        exec.tx.rollback_to(mark);
        exec.services.portals.borrow_mut().rollback_to(cursors);
        self.handle(exec, handler, error)
    }

    fn handle(&self, exec: &mut Exec<'_, '_>, handler: &Handler, error: SqlError) -> Run<Control> {
        let error = exec.services.named(error);
        if let Some((code, message)) = self.error_variables {
            exec.set(code, Value::text(error.sqlstate().as_str()));
            exec.set(message, Value::text(error.message()));
        }
        let place = exec.activation.place;
        exec.activation.kept().errors.push((error, place));
        let control = run_steps(&handler.steps, exec);
        exec.activation.kept().errors.pop();
        control
    }
}

impl Initial {
    #[inline]
    fn run(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        let value = match &self.value {
            Some(value) => {
                exec.reset_states(self.states.0, self.states.1);
                value.run(exec)?
            }
            None => Value::Null,
        };
        if let Some(name) = &self.not_null
            && value.is_null()
        {
            return Err(null_variable(name));
        }
        exec.set(self.slot, value);
        Ok(())
    }
}

/// NULL for a NOT NULL variable.
#[cold]
pub(super) fn null_variable(name: &str) -> Stop {
    let message = format!("null value cannot be assigned to variable \"{name}\" declared NOT NULL");
    SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message).into()
}
