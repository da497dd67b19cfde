//! Ordered-set and hypothetical-set aggregates: `percentile_cont`, `mode`, `rank(...) WITHIN GROUP (ORDER BY ...)`.
//!
//! They are functions of the group's rows in order, so the executor computes them once it has sorted the rows; here is what
//! the analyzer asks of them.

use tuplix_types::{Result, Value};

use super::{AggregateState, Code, Table, mixed_up};
use crate::CallContext;
use crate::registry::Function;

/// What the arguments before WITHIN GROUP are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderedSet {
    /// This many arguments of any kind.
    Direct(usize),
    /// One for each ORDER BY key: a row that might be there.
    Hypothetical,
}

/// What kind of ordered-set aggregate a function is, if it is one.
pub fn ordered_set(function: &Function) -> Option<OrderedSet> {
    if !AGGREGATES.iter().any(|(symbol, _)| *symbol == function.symbol) {
        return None;
    }
    Some(match function.name {
        "mode" => OrderedSet::Direct(0),
        "percentile_cont" | "percentile_disc" => OrderedSet::Direct(1),
        _ => OrderedSet::Hypothetical,
    })
}

fn step(_: &mut AggregateState, _: &mut CallContext<'_>, _: &[Value]) -> Result<()> {
    Err(mixed_up())
}

fn finish(_: AggregateState, _: &mut CallContext<'_>) -> Result<Value> {
    Err(mixed_up())
}

const CODE: Code = Code { step, finish };

pub(super) const AGGREGATES: Table = &[
    ("percentile_disc_float8_anyelement", CODE),
    ("percentile_cont_float8_float8", CODE),
    ("percentile_cont_float8_interval", CODE),
    ("percentile_disc__float8_anyelement", CODE),
    ("percentile_cont__float8_float8", CODE),
    ("percentile_cont__float8_interval", CODE),
    ("mode_anyelement", CODE),
    ("rank_any", CODE),
    ("percent_rank_any", CODE),
    ("cume_dist_any", CODE),
    ("dense_rank_any", CODE),
];
