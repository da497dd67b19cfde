//! Which function a call means (manual 10.3, `parse_func.c`, `FuncnameGetCandidates`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::polymorphic::any_polymorphic;
use super::select::Signature;
use super::{CallShape, Callee, Candidate, ResolvedCall, Resolver};
use crate::registry::{CastContext, CastMethod, Function, FunctionKind, functions_named, is_left_out};

/// A function of the called name, its parameters arranged for this call's arguments.
struct Fitted<'c> {
    source: Source<'c>,
    /// A type for each written argument.
    args: Vec<TypeId>,
    positions: Option<Vec<usize>>,
    defaults: Vec<usize>,
    /// The written arguments from here on go into the variadic parameter.
    packed_from: Option<usize>,
}

#[derive(Clone, Copy)]
enum Source<'c> {
    BuiltIn(&'static Function),
    User(&'c Candidate),
}

impl Source<'_> {
    fn args(&self) -> &[TypeId] {
        match self {
            Source::BuiltIn(function) => function.args,
            Source::User(candidate) => &candidate.args,
        }
    }

    fn defaults(&self) -> usize {
        match self {
            Source::BuiltIn(function) => function.defaults,
            Source::User(candidate) => candidate.defaults,
        }
    }

    fn variadic(&self) -> bool {
        match self {
            Source::BuiltIn(function) => function.variadic,
            Source::User(candidate) => candidate.variadic,
        }
    }

    fn result(&self) -> TypeId {
        match self {
            Source::BuiltIn(function) => function.result,
            Source::User(candidate) => candidate.result,
        }
    }

    fn position_of(&self, name: &str) -> Option<usize> {
        match self {
            Source::BuiltIn(function) => function.arg_names.iter().position(|n| *n == name),
            Source::User(candidate) => candidate.arg_names.iter().position(|n| n == name),
        }
    }
}

impl Signature for Fitted<'_> {
    fn args(&self) -> &[TypeId] {
        &self.args
    }
}

impl Resolver<'_> {
    /// Resolves a call among the built-in functions of that name and `extra`, the user-defined ones.
    ///
    /// # Errors
    /// 42883 when no function fits, 42725 when several do equally well, 0A000 when PostgreSQL has
    /// the function and Tuplix does not.
    pub fn function(&self, name: &str, call: CallShape<'_>, extra: &[Candidate]) -> Result<ResolvedCall> {
        let built_in = functions_named(name).iter().map(|function| Source::BuiltIn(function));
        let mut fitted: Vec<Fitted<'_>> = Vec::new();
        for source in built_in.chain(extra.iter().map(Source::User)) {
            let Some(next) = self.fit(source, call) else { continue };
            // As in PostgreSQL, of two that take the same arguments the earlier schema's wins, and one that
            // takes them as they are wins over one that packs or fills them.
            match fitted.iter_mut().find(|f| f.args == next.args) {
                Some(same) if next.packed_from.is_none() && same.packed_from.is_some() => *same = next,
                Some(same) if same.packed_from.is_none() && same.defaults.len() <= next.defaults.len() => {}
                Some(same) if next.defaults.len() < same.defaults.len() => *same = next,
                Some(_) => {}
                None => fitted.push(next),
            }
        }
        if let Some(exact) = fitted.iter().find(|f| f.args == call.args) {
            return self.finish(exact, call);
        }
        if let (&[only], []) = (call.args, call.names)
            && let Some(target) = self.types.by_name(name)
            && self.is_cast_call(only, target)
        {
            return Ok(ResolvedCall {
                callee: Callee::Cast(target),
                args: vec![only],
                positions: None,
                defaults: Vec::new(),
                pack: None,
                result: target,
            });
        }
        let matching = self.matching(call.args, &fitted);
        match matching[..] {
            // Not where a user has functions of this name: one of those was meant.
            [] if extra.is_empty() && is_left_out(name) => {
                Err(SqlError::unsupported(format_args!("function {name}")))
            }
            [] => Err(self.no_function(name, call)),
            [only] => self.finish(only, call),
            _ => match self.select(call.args, matching) {
                Some(chosen) => self.finish(chosen, call),
                None => Err(self.ambiguous_function(name, call)),
            },
        }
    }

    /// Resolves a call that must be an aggregate.
    ///
    /// # Errors
    /// As [`Self::function`]; 42809 when the call means something else.
    pub fn aggregate(
        &self,
        name: &str,
        args: &[TypeId],
    ) -> Result<(&'static crate::Aggregate, ResolvedCall)> {
        let call = CallShape { args, ..CallShape::default() };
        let resolved = self.function(name, call, &[])?;
        match resolved.callee {
            Callee::Aggregate(aggregate) => Ok((aggregate, resolved)),
            _ => {
                let message = format!("{} is not an aggregate function", self.call_text(name, call));
                Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// Arranges a function's parameters for a call, `None` when the number or names do not fit.
    fn fit<'c>(&self, source: Source<'c>, call: CallShape<'_>) -> Option<Fitted<'c>> {
        let (params, given) = (source.args(), call.args.len());
        if !call.names.is_empty() {
            return self.fit_named(source, call);
        }
        if source.variadic() && !call.variadic && given + 1 >= params.len() {
            let (last, fixed) = params.split_last()?;
            // VARIADIC needs at least one value unless a default stands for it.
            if given >= params.len() {
                let element = if *last == TypeId::ANY { TypeId::ANY } else { self.variadic_element(*last)? };
                let mut args = fixed.to_vec();
                args.resize(given, element);
                let packed_from = (*last != TypeId::ANY).then_some(fixed.len());
                return Some(Fitted { source, args, positions: None, defaults: Vec::new(), packed_from });
            }
        }
        if given > params.len()
            || given + source.defaults() < params.len()
            || (call.variadic && !source.variadic())
        {
            return None;
        }
        let args = params[..given].to_vec();
        Some(Fitted {
            source,
            args,
            positions: None,
            defaults: (given..params.len()).collect(),
            packed_from: None,
        })
    }

    /// As [`Self::fit`] for a call with `name => value` arguments, which never pack.
    fn fit_named<'c>(&self, source: Source<'c>, call: CallShape<'_>) -> Option<Fitted<'c>> {
        let (params, given) = (source.args(), call.args.len());
        let positional = given.checked_sub(call.names.len())?;
        if given > params.len() {
            return None;
        }
        let mut positions: Vec<usize> = (0..positional).collect();
        for name in call.names {
            let position = source.position_of(name)?;
            if positions.contains(&position) || position >= params.len() {
                return None;
            }
            positions.push(position);
        }
        let defaults: Vec<usize> = (0..params.len()).filter(|p| !positions.contains(p)).collect();
        let first_default = params.len() - source.defaults();
        if defaults.iter().any(|p| *p < first_default) {
            return None;
        }
        let args = positions.iter().map(|p| params[*p]).collect();
        Some(Fitted { source, args, positions: Some(positions), defaults, packed_from: None })
    }

    fn variadic_element(&self, array: TypeId) -> Option<TypeId> {
        match array {
            TypeId::ANYARRAY => Some(TypeId::ANYELEMENT),
            TypeId::ANYCOMPATIBLEARRAY => Some(TypeId::ANYCOMPATIBLE),
            _ => self.types.element(array),
        }
    }

    /// Whether `typename(value)` is a cast written as a call.
    fn is_cast_call(&self, source: TypeId, target: TypeId) -> bool {
        let row_to_text = (source == TypeId::RECORD || self.types.is_composite(source))
            && self.types.category(target) == 'S';
        match self.find_cast(source, target, CastContext::Explicit) {
            Some(CastMethod::Binary) => true,
            Some(CastMethod::InOut) => source == TypeId::UNKNOWN || !row_to_text,
            _ => false,
        }
    }

    fn finish(&self, chosen: &Fitted<'_>, call: CallShape<'_>) -> Result<ResolvedCall> {
        let result = chosen.source.result();
        let spreads = call.variadic && chosen.source.args().last() == Some(&TypeId::ANY);
        if spreads && call.args.last().is_none_or(|last| self.types.element(*last).is_none()) {
            let message = "VARIADIC argument must be an array";
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
        }
        let (args, result) = if any_polymorphic(&chosen.args) || chosen.args.contains(&TypeId::ANY) {
            self.settle_polymorphic(call.args, &chosen.args, result)?
        } else {
            (chosen.args.clone(), result)
        };
        let pack = chosen.packed_from.map(|from| (from, args[from]));
        let callee = match chosen.source {
            Source::User(candidate) => Callee::User(candidate.id),
            Source::BuiltIn(function) if !function.implemented => {
                return Err(SqlError::unsupported(format_args!("function {}", function.signature())));
            }
            Source::BuiltIn(function) if function.kind == FunctionKind::Aggregate => {
                Callee::Aggregate(crate::aggregate::of(function))
            }
            Source::BuiltIn(function) if spreads => {
                Callee::Function(crate::variadic::with_array(function).ok_or_else(|| {
                    SqlError::unsupported(format_args!("VARIADIC with function {}", function.signature()))
                })?)
            }
            Source::BuiltIn(function) => Callee::Function(function),
        };
        let (positions, defaults) = (chosen.positions.clone(), chosen.defaults.clone());
        Ok(ResolvedCall { callee, args, positions, defaults, pack, result })
    }

    /// `name(type, label => type)`, as PostgreSQL's messages show a call.
    pub fn call_text(&self, name: &str, call: CallShape<'_>) -> String {
        let positional = call.args.len().saturating_sub(call.names.len());
        let args: Vec<String> = (call.args.iter().enumerate())
            .map(|(index, id)| match index.checked_sub(positional).and_then(|at| call.names.get(at)) {
                Some(label) => format!("{label} => {}", self.name(*id)),
                None => self.name(*id),
            })
            .collect();
        format!("{name}({})", args.join(", "))
    }

    fn no_function(&self, name: &str, call: CallShape<'_>) -> SqlError {
        let message = format!("function {} does not exist", self.call_text(name, call));
        SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }

    fn ambiguous_function(&self, name: &str, call: CallShape<'_>) -> SqlError {
        let message = format!("function {} is not unique", self.call_text(name, call));
        SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message)
            .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
    }
}
