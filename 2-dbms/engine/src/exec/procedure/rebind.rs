//! Statements of a body that runs while its own transaction changes the catalogue.
//!
//! What is compiled names tables by their places, which DDL moves. A body that may run DDL therefore asks before each statement
//! whether the catalogue is still the one that it was compiled under. If not, the body is compiled again, and the same
//! statement of the new code runs in a window of its own, with the variables copied in and out.

use std::collections::BTreeMap;
use std::sync::Arc;

use tuplix_catalog::{Catalog, FunctionDef, FunctionId, TableId, TriggerDef};
use tuplix_sql::plan::Procedure;

use super::super::frame::Exec;
use super::{Body, CompiledProcedure, Control, Step, step};
use crate::stop::Run;

/// Where a body comes from. Functions are kept as they were when the call began: dropping or replacing one does not
/// change the calls that run.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A function; one made for a kind of call has the id of the one that it was made from.
    Function {
        /// What is compiled.
        definition: Arc<FunctionDef>,
        /// It was made for a kind of call.
        is_special: bool,
    },
    /// A trigger's function.
    Trigger(Arc<(FunctionDef, TriggerDef, TableId)>),
    /// A DO statement.
    Do(Arc<str>),
}

impl Source {
    /// Whether it is the same one: a copy of it.
    pub(crate) fn is(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Function { definition: a, .. }, Source::Function { definition: b, .. }) => {
                Arc::ptr_eq(a, b)
            }
            (Source::Trigger(a), Source::Trigger(b)) => Arc::ptr_eq(a, b),
            (Source::Do(a), Source::Do(b)) => a == b,
            _ => false,
        }
    }

    /// A function of a catalogue.
    pub(crate) fn function(catalog: &Catalog, id: FunctionId) -> Option<Source> {
        let function = catalog.function(id)?;
        if !id.is_special() {
            return Some(Source::Function { definition: function.clone(), is_special: false });
        }
        let definition = FunctionDef { id: catalog.known_function(id), ..FunctionDef::clone(function) };
        Some(Source::Function { definition: Arc::new(definition), is_special: true })
    }
}

/// How a body's statements are found again.
pub(super) struct Rebinding {
    source: Source,
    version: u64,
    /// The ids of the variables, by slot.
    variables: Arc<[u64]>,
    steps: BTreeMap<u64, Arc<Step>>,
}

impl Rebinding {
    /// Of a body that was bound under the catalogue of this version.
    pub(super) fn new(
        catalog: &Catalog,
        procedure: &Procedure,
        version: u64,
        source: Option<Source>,
    ) -> Option<Rebinding> {
        let source = match (source, procedure.function) {
            (Some(source), _) => source,
            (None, Some(function)) => Source::function(catalog, function)?,
            (None, None) => return None,
        };
        let variables = procedure.variables.iter().map(|variable| variable.id).collect();
        Some(Rebinding { source, version, variables, steps: BTreeMap::new() })
    }
}

impl Body<'_, '_> {
    /// A statement that is run as the catalogue is when it is reached.
    pub(super) fn rebindable(&mut self, id: u64, place: usize, run: Step) -> Step {
        let result = self.result;
        let Some(rebinding) = self.rebinding.as_mut().filter(|_| id != 0) else { return run };
        let run = Arc::new(run);
        rebinding.steps.insert(id, run.clone());
        let (source, version) = (rebinding.source.clone(), rebinding.version);
        let variables = rebinding.variables.clone();
        step(move |exec| {
            if !exec.services.is_stale(version) {
                return run(exec);
            }
            let current = exec.services.recompiled(&source)?;
            match current.step(id) {
                Some(step) => run_elsewhere(exec, &current, step, (&variables, result), place),
                // Another body has taken its name.
                None => run(exec),
            }
        })
    }
}

impl CompiledProcedure {
    /// What to compile again when the catalogue changes.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.rebinding.as_ref().map(|rebinding| &rebinding.source)
    }

    fn step(&self, id: u64) -> Option<&Step> {
        self.rebinding.as_ref()?.steps.get(&id).map(|step| &**step)
    }
}

/// Runs a statement of `current` in a window of its own.
fn run_elsewhere(
    exec: &mut Exec<'_, '_>,
    current: &CompiledProcedure,
    step: &Step,
    (variables, result): (&[u64], usize),
    place: usize,
) -> Run<Control> {
    let Some(there) = &current.rebinding else { return step(exec) };
    let mut shared: Vec<(usize, usize)> = Vec::with_capacity(variables.len() + 1);
    for (slot, id) in variables.iter().enumerate() {
        shared.extend(there.variables.iter().position(|other| other == id).map(|other| (slot, other)));
    }
    shared.push((result, current.result));
    let values: Vec<_> = shared.iter().map(|(here, _)| exec.copy(*here)).collect();
    let window = exec.enter(current.slots, current.states);
    for ((_, there), value) in shared.iter().zip(values) {
        exec.set(*there, value);
    }
    let control = step(exec);
    let values: Vec<_> = shared.iter().map(|(_, there)| exec.copy(*there)).collect();
    exec.leave(window);
    for ((here, _), value) in shared.iter().zip(values) {
        exec.set(*here, value);
    }
    exec.activation.place = place;
    control
}
