//! The code behind the functions of `catalog/pg_proc.tsv`, a topic a file, found by `pg_proc.prosrc`.

use std::collections::{BTreeMap, BTreeSet};

use tuplix_types::jsonb::Jsonb;
use tuplix_types::{Result, SqlError, Value};

use crate::CallContext;
use crate::registry::{ScalarFn, SetFn};

pub(crate) mod args;
mod array;
mod boolean;
mod bytes;
mod compare;
mod datetime;
mod engine;
mod enums;
mod float;
mod generate;
pub mod hash;
mod in_range;
mod integer;
pub(crate) mod json;
pub(crate) mod jsonb;
mod jsonpath;
mod like;
pub(crate) mod numeric;
mod quote;
mod regex;
mod system;
mod text;
mod to_char_number;
mod to_number;

pub use quote::{quote_ident, quote_literal};
pub use system::{SERVER_VERSION, VERSION};

/// A topic's scalar functions by symbol.
pub(crate) type Scalars = &'static [(&'static str, ScalarFn)];
/// A topic's set-returning functions by symbol.
pub(crate) type Sets = &'static [(&'static str, SetFn)];

/// All code by symbol.
pub(crate) struct Implementations {
    pub scalar: BTreeMap<&'static str, ScalarFn>,
    pub sets: BTreeMap<&'static str, SetFn>,
    pub engine: BTreeSet<&'static str>,
}

const SCALARS: &[&[Scalars]] = &[
    &[array::FUNCTIONS, boolean::FUNCTIONS, bytes::FUNCTIONS, compare::FUNCTIONS, enums::FUNCTIONS],
    &datetime::FUNCTIONS,
    &[float::FUNCTIONS, &float::FLOAT4, &float::FLOAT8, &float::FLOAT48, &float::FLOAT84],
    &[hash::FUNCTIONS, hash::PAIRS.as_flattened(), in_range::FUNCTIONS, integer::FUNCTIONS, json::FUNCTIONS],
    &jsonb::FUNCTIONS,
    &[
        jsonpath::FUNCTIONS,
        like::FUNCTIONS,
        numeric::FUNCTIONS,
        quote::FUNCTIONS,
        regex::FUNCTIONS,
        system::FUNCTIONS,
        text::FUNCTIONS,
        to_char_number::FUNCTIONS,
        to_number::FUNCTIONS,
    ],
];
const SETS: &[Sets] = &[
    datetime::SETS,
    generate::SETS,
    json::SETS,
    jsonb::SETS,
    jsonpath::SETS,
    numeric::SETS,
    quote::SETS,
    regex::SETS,
    system::SETS,
];

/// Gathers the topics' tables.
pub(crate) fn implementations() -> Implementations {
    Implementations {
        scalar: SCALARS.iter().copied().flatten().copied().flatten().copied().collect(),
        sets: SETS.iter().copied().flatten().copied().collect(),
        engine: engine::SYMBOLS.iter().copied().collect(),
    }
}

/// The code of functions that have none here; resolution refuses them before, by name.
pub(crate) fn refuse(_: &mut CallContext<'_>, _: &[Value]) -> Result<Value> {
    Err(SqlError::unsupported("this function"))
}

/// What a left-out argument is, by the function's symbol and the argument's place.
pub(crate) fn default_value(symbol: &str, argument: usize) -> Value {
    match (symbol, argument) {
        ("make_interval", 6) => Value::Float8(0.0),
        ("make_interval", _) => Value::Int4(0),
        ("pg_terminate_backend", _) => Value::Int8(0),
        ("parse_ident" | "jsonb_set" | "jsonb_set_lax", 1 | 3) => Value::Bool(true),
        ("jsonb_insert", _) => Value::Bool(false),
        (path, 2) if path.starts_with("jsonb_path_") => args::from_jsonb(Jsonb::Object(Vec::new())),
        (path, 3) if path.starts_with("jsonb_path_") => Value::Bool(false),
        ("jsonb_set_lax", _) => Value::text("use_json_null"),
        ("unicode_normalize_func" | "unicode_is_normalized", _) => Value::text("NFC"),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::registry::functions;

    #[test]
    fn engine_symbols_exist() {
        let symbols: BTreeSet<&str> = functions().iter().map(|f| f.symbol).collect();
        let unknown: Vec<&&str> = super::engine::SYMBOLS.iter().filter(|s| !symbols.contains(**s)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
