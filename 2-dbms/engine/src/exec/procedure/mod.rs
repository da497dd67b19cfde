//! PL/pgSQL as closures: variables are slots of the frame that embedded statements read like columns.
//!
//! ```text
//!   block       declarations, EXCEPTION handlers          statement   assignment, IF, CASE, RETURN, ASSERT, ...
//!   loops       LOOP, WHILE, FOR, FOREACH, EXIT           sql         embedded statements, INTO, EXECUTE
//!   single      embedded statements of one row
//!   raise       RAISE, GET DIAGNOSTICS
//! ```

mod block;
mod cursor;
mod loops;
mod raise;
mod rebind;
mod single;
mod sql;
mod statement;

use std::mem::ManuallyDrop;

use tuplix_catalog::RoleId;
use tuplix_sql::analyze::Reader;
use tuplix_sql::plan::{OutputColumn, Procedure, Variable};
use tuplix_types::{Result, SqlError, Value, sqlstate};

use rebind::Rebinding;
pub(crate) use rebind::Source;

use super::builder::{Builder, CompileContext};
use super::frame::{Activation, Exec, RowSet, Window};
use crate::stop::{Run, Stop};

/// Where control goes after a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// On to the next one.
    Next,
    /// Out of the loop or block with this number.
    Exit(usize),
    /// To the next round of the loop with this number.
    Continue(usize),
    /// Out of the procedure.
    Return,
}

/// A compiled statement.
pub(super) type Step = Box<dyn Fn(&mut Exec<'_, '_>) -> Run<Control> + Send + Sync>;

/// A statement with its number in [`CompiledProcedure::places`].
pub(super) struct Located {
    place: usize,
    step: Step,
}

/// Statements in order.
pub(super) type Steps = Vec<Located>;

/// Runs statements until one leads elsewhere.
#[inline]
pub(super) fn run_steps(steps: &[Located], exec: &mut Exec<'_, '_>) -> Run<Control> {
    for located in steps {
        exec.activation.place = located.place;
        match (located.step)(exec)? {
            Control::Next => {}
            other => return Ok(other),
        }
    }
    Ok(Control::Next)
}

/// Boxes a statement.
pub(super) fn step(run: impl Fn(&mut Exec<'_, '_>) -> Run<Control> + Send + Sync + 'static) -> Step {
    Box::new(run)
}

/// A line of the body and what stands there, for error contexts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    line: u32,
    what: &'static str,
}

/// What the compiler of a body knows beside the [`Builder`].
pub(super) struct Body<'b, 'a> {
    builder: Builder<'a>,
    procedure: &'b Procedure,
    places: Vec<Place>,
    /// Labels of the loops and blocks around, innermost last; whether it is a loop, and its number.
    labels: Vec<(Option<String>, bool, usize)>,
    next_label: usize,
    /// The slot of the value that RETURN gave.
    result: usize,
    /// Statements are to be found again after the catalogue has changed under them.
    rebinding: Option<Rebinding>,
}

/// A function or procedure ready to run.
pub struct CompiledProcedure {
    steps: Steps,
    places: std::sync::Arc<[Place]>,
    signature: std::sync::Arc<str>,
    columns: Vec<OutputColumn>,
    outputs: Vec<usize>,
    found: usize,
    result: usize,
    inputs: usize,
    returns_set: bool,
    returns_row: bool,
    gives_void: bool,
    /// It must end by RETURN.
    needs_value: bool,
    /// It is a trigger's function.
    inputs_are_trigger: bool,
    slots: usize,
    states: usize,
    rebinding: Option<Rebinding>,
    /// SECURITY DEFINER: as whom its body runs.
    pub(crate) runs_as: Option<RoleId>,
    /// Row-level security made its plans good for this reader alone.
    pub(crate) bound_to: Option<Reader>,
    /// What the plans of its statements were chosen for.
    pub(crate) planned: super::cost::Planned,
}

/// Compiles a procedure, of the catalogue with this version. `source` says where a body comes from that is not a
/// function's.
///
/// # Errors
/// 0A000 for what the executor lacks.
pub(crate) fn compile_procedure(
    context: &CompileContext<'_>,
    procedure: &Procedure,
    version: u64,
    source: Option<Source>,
) -> Result<CompiledProcedure> {
    let (compiled, changes_catalog) = compile(context, procedure, None)?;
    if !changes_catalog {
        return Ok(compiled);
    }
    Ok(compile(context, procedure, Rebinding::new(context.catalog, procedure, version, source))?.0)
}

/// Compiles, and says whether running it may change the catalogue.
fn compile(
    context: &CompileContext<'_>,
    procedure: &Procedure,
    rebinding: Option<Rebinding>,
) -> Result<(CompiledProcedure, bool)> {
    let mut builder = Builder::new(context);
    let first = builder.slots(procedure.variables.len());
    builder.variables = (first..first + procedure.variables.len()).collect();
    let result = builder.slot();
    let (places, labels) = (Vec::new(), Vec::new());
    let mut body = Body { builder, procedure, places, labels, next_label: 0, result, rebinding };
    body.place(1, "statement block");
    let steps = vec![Located { place: 0, step: with_settings(procedure, body.block(&procedure.body)?) }];
    let (slots, states) = body.builder.window();
    let changes_catalog = body.builder.changes_catalog;
    let compiled = CompiledProcedure {
        steps,
        places: body.places.into(),
        signature: signature(procedure).into(),
        columns: procedure.columns.clone(),
        outputs: procedure.outputs.clone(),
        found: procedure.found,
        result,
        inputs: procedure.inputs,
        returns_set: procedure.returns_set,
        returns_row: procedure.returns_row,
        gives_void: procedure.gives_void,
        needs_value: !procedure.columns.is_empty() && procedure.outputs.is_empty() && !procedure.returns_set,
        inputs_are_trigger: procedure.is_trigger,
        slots,
        states,
        rebinding: body.rebinding,
        runs_as: None,
        bound_to: None,
        planned: body.builder.asked.planned(context.layout),
    };
    Ok((compiled, changes_catalog))
}

impl Body<'_, '_> {
    /// Notes a place; gives its number.
    fn place(&mut self, line: u32, what: &'static str) -> usize {
        self.places.push(Place { line, what });
        self.places.len() - 1
    }

    fn variable(&self, number: usize) -> Result<&Variable> {
        self.procedure
            .variables
            .get(number)
            .ok_or_else(|| SqlError::internal("a variable that does not exist"))
    }

    /// The slot of `FOUND`.
    fn found(&self) -> usize {
        self.procedure.found
    }
}

impl CompiledProcedure {
    /// The columns of its rows; none for void.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// Name and argument types.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// Whether it gives any number of rows.
    pub fn returns_set(&self) -> bool {
        self.returns_set
    }

    /// Runs it and gives each row of its result to `sink`: one row unless it returns a set; none for void.
    ///
    /// # Errors
    /// Those of its statements, and of `sink`.
    pub fn call(
        &self,
        exec: &mut Exec<'_, '_>,
        arguments: &[Value],
        sink: &mut dyn FnMut(&[Value]) -> Run<()>,
    ) -> Run<()> {
        if self.returns_set {
            let rows = self.rows(exec, arguments)?;
            return rows.rows().try_for_each(sink);
        }
        self.activate(exec, arguments, |exec| match self.columns.len() {
            0 => Ok(()),
            _ if !self.outputs.is_empty() => {
                let row: Vec<Value> = self.outputs.iter().map(|output| exec.get(*output).clone()).collect();
                sink(&row)
            }
            1 if !self.returns_row => sink(exec.slots(self.result, 1)),
            _ => match exec.get(self.result) {
                Value::Record(fields) if fields.len() == self.columns.len() => sink(fields),
                Value::Record(_) => {
                    let message = "returned record type does not match expected record type";
                    Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message).into())
                }
                _ => sink(&vec![Value::Null; self.columns.len()]),
            },
        })
    }

    /// Runs it and gives its value: a record when it has several columns.
    ///
    /// # Errors
    /// Those of its statements.
    #[inline]
    pub fn call_scalar(&self, exec: &mut Exec<'_, '_>, arguments: &[Value]) -> Run<Value> {
        self.check_call(exec, arguments)?;
        let (window, caller) = self.open(exec, arguments);
        let result = match self.body(exec) {
            Err(stop) => Err(stop),
            Ok(()) => Ok(match &self.outputs[..] {
                [] if self.gives_void => Value::text(""),
                [] => exec.take(self.result),
                [output] => exec.take(*output),
                outputs => Value::Record(outputs.iter().map(|output| exec.get(*output).clone()).collect()),
            }),
        };
        self.close(exec, window, caller, result)
    }

    /// Runs it and gives all rows of its result.
    pub(crate) fn rows(&self, exec: &mut Exec<'_, '_>, arguments: &[Value]) -> Run<RowSet> {
        let mut rows = RowSet::new(self.columns.len());
        if self.returns_set {
            self.activate(exec, arguments, |exec| {
                rows = std::mem::take(&mut exec.activation.kept().rows);
                Ok(())
            })?;
        } else {
            self.call(exec, arguments, &mut |row| {
                rows.push(row);
                Ok(())
            })?;
        }
        Ok(rows)
    }

    #[cold]
    fn wrong_arguments(&self) -> Stop {
        SqlError::internal(format!("{} takes {} arguments", self.signature, self.inputs)).into()
    }

    /// Whether it may be called, and with these arguments.
    #[inline(always)]
    fn check_call(&self, exec: &Exec<'_, '_>, arguments: &[Value]) -> Run<()> {
        exec.check_depth()?;
        if arguments.len() == self.inputs { Ok(()) } else { Err(self.wrong_arguments()) }
    }

    /// Opens a window with the arguments; gives what is to be closed.
    #[inline(always)]
    fn open(&self, exec: &mut Exec<'_, '_>, arguments: &[Value]) -> (Window, ManuallyDrop<Activation>) {
        // Variables and the result come first. Statements write their slots themselves, as they do in a loop.
        let window = exec.enter_with(arguments, self.result + 1, self.slots, self.states);
        exec.set(self.found, Value::Bool(false));
        let activation = match self.returns_set {
            true => Activation::of_set(self.columns.len()),
            false => Activation::default(),
        };
        (window, exec.activation.enter(activation))
    }

    /// Closes the window, and says where in the body it failed.
    #[inline(always)]
    fn close<T>(
        &self,
        exec: &mut Exec<'_, '_>,
        window: Window,
        caller: ManuallyDrop<Activation>,
        result: Run<T>,
    ) -> Run<T> {
        let place = exec.activation.place;
        exec.activation.leave_to(caller);
        exec.leave(window);
        match result {
            Ok(value) => Ok(value),
            Err(stop) => Err(self.with_context(stop, place)),
        }
    }

    /// Opens a window, runs the body and calls `finish` while the window is still open.
    fn activate(
        &self,
        exec: &mut Exec<'_, '_>,
        arguments: &[Value],
        finish: impl FnOnce(&mut Exec<'_, '_>) -> Run<()>,
    ) -> Run<()> {
        self.check_call(exec, arguments)?;
        let (window, caller) = self.open(exec, arguments);
        let result = self.body(exec).and_then(|()| finish(exec));
        self.close(exec, window, caller, result)
    }

    #[inline(always)]
    fn body(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        match self.runs_as {
            None => self.run_body(exec),
            Some(role) => self.body_as(exec, role),
        }
    }

    /// Runs the body as its owner.
    #[inline(never)]
    fn body_as(&self, exec: &mut Exec<'_, '_>, role: RoleId) -> Run<()> {
        let services = exec.services;
        let caller = services.enter_definer(role);
        let result = self.run_body(exec);
        services.leave_definer(caller);
        result
    }

    #[inline(always)]
    fn run_body(&self, exec: &mut Exec<'_, '_>) -> Run<()> {
        let control = run_steps(&self.steps, exec)?;
        if self.needs_value && control != Control::Return {
            return Err(self.no_return(exec));
        }
        Ok(())
    }

    #[cold]
    fn no_return(&self, exec: &mut Exec<'_, '_>) -> Stop {
        // The error belongs to no statement.
        exec.activation.place = usize::MAX;
        let message = match self.inputs_are_trigger {
            true => "control reached end of trigger procedure without RETURN",
            false => "control reached end of function without RETURN",
        };
        SqlError::new(sqlstate::FUNCTION_EXECUTED_NO_RETURN_STATEMENT, message).into()
    }

    #[cold]
    fn with_context(&self, stop: Stop, place: usize) -> Stop {
        match stop {
            Stop::Error(error) => {
                Stop::Error(error.context(context_line(&self.signature, self.places.get(place))))
            }
            Stop::Restart => Stop::Restart,
        }
    }
}

/// A body whose function has SET clauses runs with those settings.
fn with_settings(procedure: &Procedure, body: Step) -> Step {
    if procedure.settings.is_empty() {
        return body;
    }
    let settings = procedure.settings.clone();
    step(move |exec| {
        let before = exec.services.settings.borrow_mut().enter_function(&settings)?;
        let control = body(exec);
        exec.services.settings.borrow_mut().leave_function(before);
        control
    })
}

/// The procedure as error contexts name it: `f(integer,text)`.
fn signature(procedure: &Procedure) -> String {
    procedure.signature.replace(", ", ",")
}

/// A line of an error's context.
fn context_line(signature: &str, place: Option<&Place>) -> String {
    match place {
        Some(place) => format!("PL/pgSQL function {signature} line {} at {}", place.line, place.what),
        None => format!("PL/pgSQL function {signature}"),
    }
}

impl std::fmt::Debug for CompiledProcedure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompiledProcedure({}, {} slots)", self.signature, self.slots)
    }
}
