//! `jsonb`: parsed JSON with PostgreSQL's key order and equality.

use ecow::EcoString;

use crate::numeric::Numeric;

/// How deep arrays and objects may be nested.
pub const MAX_DEPTH: usize = 1024;

/// A JSON value as `jsonb` keeps it.
#[derive(Clone, Debug)]
pub enum Jsonb {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number with all its digits.
    Number(Numeric),
    /// A string.
    String(EcoString),
    /// An array.
    Array(Vec<Jsonb>),
    /// An object; keys are unique, shorter ones first, then by bytes.
    Object(Vec<(EcoString, Jsonb)>),
}
