//! Built-in functions, operators, casts and aggregates, and PostgreSQL's rules for choosing among them.
//!
//! Everything is named as PostgreSQL names it: a function has its `pg_proc` object id and its
//! `prosrc` symbol (`int4pl`), by which the executor knows it and specialises. The tables come from
//! PostgreSQL's own catalogue (`catalog/`), the code is in `builtin`, a topic a file, and
//! `resolve` chooses by the rules of the manual's chapter 10. What PostgreSQL has and Tuplix
//! lacks is refused by name (0A000), never replaced by a neighbour.
//!
//! ```text
//!  analyzer --names, types--> Resolver --> ResolvedCall { callee, coercions, result }
//!  executor --symbol--> own fast code, or Function::call(CallContext, values)
//! ```

mod aggregate;
mod builtin;
mod cast;
mod context;
mod registry;
mod resolve;
mod type_info;
mod variadic;

pub use aggregate::{
    Aggregate, AggregateState, FinishFn, OrderedSet, RemoveFn, Sliding, StepFn, find_aggregate, ordered_set,
    sliding,
};
pub use builtin::{SERVER_VERSION, VERSION, hash, quote_ident, quote_literal};
pub use cast::{from_text, to_text};
pub use context::{CallContext, Moment, NoMoment, NoSession, SessionInfo};
pub use registry::{
    Cast, CastContext, CastMethod, Function, FunctionKind, Operator, ScalarFn, SetFn, SetRows, Volatility,
    casts, find_symbol, functions, functions_named, lookup_function, lookup_operator, lookup_symbol,
    operators, operators_named,
};
pub use resolve::{
    BUILT_IN, CallShape, Callee, Candidate, ResolvedCall, ResolvedOperator, Resolver, find_cast,
    resolve_function, resolve_operator, select_common_type,
};
pub use type_info::{ANYCOMPATIBLENONARRAY, BuiltInTypes, Types, is_polymorphic};
