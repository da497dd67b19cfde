//! Which function, operator or cast a call means: chapter 10 of the PostgreSQL manual.
//!
//! [`Resolver`] follows `parse_func.c`, `parse_oper.c` and `parse_coerce.c` step by step, because a
//! service must mean the same on both engines. It answers with the callee and the type to which each
//! argument must be coerced; the analyzer inserts the coercions ([`Resolver::find_cast`]).

mod coerce;
mod common;
mod function;
mod operator;
mod polymorphic;
mod select;
#[cfg(test)]
mod tests;

use tuplix_types::{Result, TypeId};

use crate::registry::{CastContext, CastMethod, Function};
use crate::type_info::{BuiltInTypes, Types};

/// A user-defined function as the resolution rules see it; `id` is the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The catalogue's name for it, handed back in [`Callee::User`].
    pub id: u64,
    /// Types of the input arguments.
    pub args: Vec<TypeId>,
    /// Names of the input arguments; empty, or as many as `args` with `""` for a nameless one.
    pub arg_names: Vec<String>,
    /// How many of the last arguments have a default.
    pub defaults: usize,
    /// Whether the last argument, an array (or `"any"`), takes any number of values.
    pub variadic: bool,
    /// Type of the result.
    pub result: TypeId,
}

/// A call as it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallShape<'a> {
    /// Types of the arguments; [`TypeId::UNKNOWN`] for untyped literals.
    pub args: &'a [TypeId],
    /// Names of the last arguments, written `name => value`.
    pub names: &'a [&'a str],
    /// Whether the last argument was written `VARIADIC array`.
    pub variadic: bool,
}

/// What a call means.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A built-in function: scalar, set-returning, window.
    Function(&'static Function),
    /// A built-in aggregate.
    Aggregate(&'static crate::Aggregate),
    /// A user-defined function.
    User(u64),
    /// No function but a cast of the only argument: `float8('1')`.
    Cast(TypeId),
}

/// A resolved call.
#[derive(Clone, Debug)]
pub struct ResolvedCall {
    /// What is called.
    pub callee: Callee,
    /// For each written argument the type to coerce it to, in the order written.
    /// Equal to the argument's own type where nothing is to be done (also for `"any"`).
    pub args: Vec<TypeId>,
    /// For each written argument the parameter it goes to; `None` when that is the order written.
    pub positions: Option<Vec<usize>>,
    /// Parameters that get their default value, after the written arguments.
    pub defaults: Vec<usize>,
    /// When set, the written arguments from this index on are packed into one array of this element type.
    pub pack: Option<(usize, TypeId)>,
    /// Type of the result, polymorphism settled.
    pub result: TypeId,
}

impl ResolvedCall {
    /// The built-in function, when it is one.
    pub fn function(&self) -> Option<&'static Function> {
        match self.callee {
            Callee::Function(function) => Some(function),
            _ => None,
        }
    }
}

/// A resolved operator.
#[derive(Clone, Debug)]
pub struct ResolvedOperator {
    /// The operator's function.
    pub function: &'static Function,
    /// The operator itself.
    pub operator: &'static crate::Operator,
    /// The type to coerce each operand to.
    pub args: Vec<TypeId>,
    /// Type of the result, polymorphism settled.
    pub result: TypeId,
}

/// The resolution rules over some set of types.
#[derive(Clone, Copy)]
pub struct Resolver<'a> {
    pub(crate) types: &'a dyn Types,
}

impl<'a> Resolver<'a> {
    /// The rules over the built-in types and those that `types` knows beyond.
    pub fn new(types: &'a dyn Types) -> Resolver<'a> {
        Resolver { types }
    }

    fn name(&self, id: TypeId) -> String {
        self.types.name(id)
    }
}

/// The rules over the built-in types alone.
pub const BUILT_IN: Resolver<'static> = Resolver { types: &BuiltInTypes };

/// [`Resolver::operator`] over the built-in types.
pub fn resolve_operator(name: &str, left: Option<TypeId>, right: TypeId) -> Result<ResolvedOperator> {
    BUILT_IN.operator(name, left, right)
}

/// [`Resolver::function`] over the built-in types, all arguments positional.
pub fn resolve_function(name: &str, args: &[TypeId], extra: &[Candidate]) -> Result<ResolvedCall> {
    BUILT_IN.function(name, CallShape { args, ..CallShape::default() }, extra)
}

/// [`Resolver::find_cast`] over the built-in types.
pub fn find_cast(from: TypeId, to: TypeId, context: CastContext) -> Option<CastMethod> {
    BUILT_IN.find_cast(from, to, context)
}

/// [`Resolver::common_type`] over the built-in types.
pub fn select_common_type(construct: &str, types: &[TypeId]) -> Result<TypeId> {
    BUILT_IN.common_type(construct, types)
}
