//! Aggregates: a state, a step per row, a finish.
//!
//! `DISTINCT`, `ORDER BY` and `FILTER` are the executor's: it decides which rows it steps, in which
//! order. Each step decides itself what a NULL argument means (most skip it).

mod collect;
mod number;
mod ordered;
mod regression;
mod simple;
mod sliding;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_types::{Numeric, Result, Value};

pub use ordered::{OrderedSet, ordered_set};
pub use sliding::{RemoveFn, Sliding, sliding};

use crate::CallContext;
use crate::registry::{Function, FunctionKind, functions};

/// What an aggregate has seen so far.
#[derive(Clone, Debug, Default)]
pub enum AggregateState {
    /// No row that counts.
    #[default]
    Empty,
    /// `count`, `sum` of `integer`: an integer.
    Count(i64),
    /// Sum and number of integers.
    Integers {
        /// Their sum, exact.
        sum: i128,
        /// Their squares' sum, exact, where the aggregate needs it.
        squares: Option<num_bigint::BigInt>,
        /// How many.
        count: i64,
    },
    /// Youngs and Cramer's running sums of floats, as PostgreSQL keeps them.
    Floats {
        /// How many.
        count: f64,
        /// Their sum.
        sum: f64,
        /// The sum of squared differences from the mean.
        squares: f64,
    },
    /// Sums of exact numbers.
    Numerics {
        /// Their sum.
        sum: Numeric,
        /// The sum of their squares, where the aggregate needs it.
        squares: Option<Numeric>,
        /// How many.
        count: i64,
        /// How many of them have as many digits after the point as the sum.
        of_scale: i64,
    },
    /// One value: the extreme, or the sum in the result's own type.
    Value(Value),
    /// A value and how many went into it.
    Counted(Value, i64),
    /// All values.
    Values(Vec<Value>),
    /// Text so far.
    Text(String),
    /// Bytes so far.
    Bytes(Vec<u8>),
    /// Keys and values of an object so far.
    Pairs(Vec<(ecow::EcoString, tuplix_types::jsonb::Jsonb)>),
    /// Sums over pairs of floats.
    Regression(regression::Pairs),
    /// Items of a JSON array so far.
    Items(Vec<tuplix_types::jsonb::Jsonb>),
}

/// Adds a row's arguments to a state.
pub type StepFn = fn(&mut AggregateState, &mut CallContext<'_>, &[Value]) -> Result<()>;
/// The result of a state; called once per group, also for one without rows.
pub type FinishFn = fn(AggregateState, &mut CallContext<'_>) -> Result<Value>;

/// A built-in aggregate.
#[derive(Clone, Copy)]
pub struct Aggregate {
    /// Its entry among the functions: name, argument types, result type. Its
    /// [`Function::symbol`] (`sum_int4`, `count`, `max_text`) is what executors specialise by.
    pub function: &'static Function,
    /// Makes the state before the first row.
    pub init: fn() -> AggregateState,
    /// Adds a row.
    pub step: StepFn,
    /// Makes the result.
    pub finish: FinishFn,
    /// Whether the result depends on the order of rows.
    pub ordered: bool,
}

impl std::fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.function.signature())
    }
}

/// The code of an aggregate.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    pub step: StepFn,
    pub finish: FinishFn,
}

/// A topic's aggregates by symbol.
pub(crate) type Table = &'static [(&'static str, Code)];

static CODE: LazyLock<BTreeMap<&'static str, Code>> = LazyLock::new(|| {
    let tables = [
        simple::AGGREGATES,
        number::AGGREGATES,
        number::STATISTICS,
        collect::AGGREGATES,
        ordered::AGGREGATES,
        regression::AGGREGATES,
    ];
    tables.into_iter().flatten().copied().collect()
});

static AGGREGATES: LazyLock<BTreeMap<&'static str, Aggregate>> = LazyLock::new(|| {
    let implemented = functions().iter().filter(|f| f.kind == FunctionKind::Aggregate && f.implemented);
    implemented
        .map(|function| {
            let code = CODE[function.symbol];
            let ordered = matches!(
                function.name,
                "array_agg"
                    | "string_agg"
                    | "json_agg"
                    | "jsonb_agg"
                    | "json_object_agg"
                    | "jsonb_object_agg"
            );
            let (step, finish) = (code.step, code.finish);
            (function.symbol, Aggregate { function, init: AggregateState::default, step, finish, ordered })
        })
        .collect()
});

/// The code of the aggregate with a symbol.
pub(crate) fn find(symbol: &str) -> Option<Code> {
    CODE.get(symbol).copied()
}

/// The aggregate that an implemented function of that kind is.
pub(crate) fn of(function: &Function) -> &'static Aggregate {
    AGGREGATES.get(function.symbol).expect("invariant: an implemented aggregate is in the table")
}

/// The aggregate with a symbol such as `sum_int4`, if there is one.
pub fn find_aggregate(symbol: &str) -> Option<&'static Aggregate> {
    AGGREGATES.get(symbol)
}

/// A state that must be of a kind.
#[cold]
pub(crate) fn mixed_up() -> tuplix_types::SqlError {
    tuplix_types::SqlError::internal("an aggregate met the state of another")
}
