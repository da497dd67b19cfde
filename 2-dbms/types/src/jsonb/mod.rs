//! `jsonb`: parsed JSON with PostgreSQL's key order and equality.
//!
//! `json` is kept as text and goes through the same reader to be checked ([`Jsonb::validate`]).

use std::fmt::Write as _;

use ecow::EcoString;

use crate::error::Result;
use crate::numeric::Numeric;

mod parse;

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
    /// An object; keys are unique, shorter ones first, then by bytes. See [`Jsonb::object`].
    Object(Vec<(EcoString, Jsonb)>),
}

impl Jsonb {
    /// The value that `text` spells.
    ///
    /// # Errors
    /// 22P02 for what is not JSON, 22P05 for `\u0000`, 54001 for nesting beyond [`MAX_DEPTH`].
    pub fn parse(text: &str) -> Result<Jsonb> {
        parse::parse(text, true)
    }

    /// Checks that `text` is JSON, as the type `json` does.
    ///
    /// # Errors
    /// 22P02 for what is not JSON, 54001 for nesting beyond [`MAX_DEPTH`].
    pub fn validate(text: &str) -> Result<()> {
        parse::parse(text, false).map(drop)
    }

    /// An object of members in any order; of equal keys the last one stays.
    pub fn object(mut members: Vec<(EcoString, Jsonb)>) -> Jsonb {
        // The sort is stable: the last of equal keys is the last of their run.
        members.sort_by(|(a, _), (b, _)| key_order(a, b));
        members.reverse();
        members.dedup_by(|(a, _), (b, _)| a == b);
        members.reverse();
        Jsonb::Object(members)
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Jsonb> {
        match self {
            Jsonb::Object(members) => {
                let found = members.binary_search_by(|(name, _)| key_order(name, key)).ok()?;
                Some(&members[found].1)
            }
            _ => None,
        }
    }

    /// The element of an array; negative positions count from the end.
    pub fn get_index(&self, index: i64) -> Option<&Jsonb> {
        match self {
            Jsonb::Array(items) => {
                let length = items.len() as i64;
                let at = if index < 0 { length.checked_add(index)? } else { index };
                items.get(usize::try_from(at).ok()?)
            }
            _ => None,
        }
    }

    /// Appends the text, `{"a": 1, "b": [true, null]}`.
    pub fn format(&self, out: &mut String) {
        match self {
            Jsonb::Null => out.push_str("null"),
            Jsonb::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
            // Writing to a string cannot fail.
            Jsonb::Number(v) => drop(write!(out, "{v}")),
            Jsonb::String(v) => escape_json(v, out),
            Jsonb::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    item.format(out);
                }
                out.push(']');
            }
            Jsonb::Object(members) => {
                out.push('{');
                for (at, (key, item)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    escape_json(key, out);
                    out.push_str(": ");
                    item.format(out);
                }
                out.push('}');
            }
        }
    }

    /// The type as `jsonb_typeof` names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Jsonb::Null => "null",
            Jsonb::Bool(_) => "boolean",
            Jsonb::Number(_) => "number",
            Jsonb::String(_) => "string",
            Jsonb::Array(_) => "array",
            Jsonb::Object(_) => "object",
        }
    }
}

/// Keys are ordered by length, then by bytes.
fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Appends a JSON string with its quotes.
pub fn escape_json(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            '\0'..='\u{1f}' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

impl std::fmt::Display for Jsonb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.format(&mut text);
        f.write_str(&text)
    }
}
