//! What the resolution rules ask about a type: its category, whether it is preferred, its array and element.
//!
//! Built-in types answer from `catalog/pg_type.tsv`; user types answer through [`Types`], which the
//! catalogue implements.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tuplix_types::TypeId;

/// `anycompatiblenonarray`, which no other crate needs.
pub const ANYCOMPATIBLENONARRAY: TypeId = TypeId(5079);

/// Category (`pg_type.typcategory`) and preference of each built-in type.
static BUILT_IN: LazyLock<BTreeMap<TypeId, (char, bool)>> = LazyLock::new(|| {
    include_str!("../catalog/pg_type.tsv")
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let oid = fields[0].parse().expect("pg_type.tsv: an oid");
            (TypeId(oid), (fields[2].chars().next().expect("pg_type.tsv: a category"), fields[3] == "t"))
        })
        .collect()
});

/// What the resolution rules need to know of types. The defaults know the built-in types;
/// a catalogue overrides them for the types that users create and falls back to [`BuiltInTypes`].
pub trait Types {
    /// `pg_type.typcategory`: `N` numeric, `S` string, `A` array, `E` enum, `C` composite, `P` pseudo, ...
    fn category(&self, id: TypeId) -> char {
        BUILT_IN.get(&id).map_or('U', |(category, _)| *category)
    }
    /// Whether the type is preferred in its category.
    fn is_preferred(&self, id: TypeId) -> bool {
        BUILT_IN.get(&id).is_some_and(|(_, preferred)| *preferred)
    }
    /// The element type of a true array type.
    fn element(&self, id: TypeId) -> Option<TypeId> {
        id.element()
    }
    /// The array type with such elements.
    fn array_of(&self, id: TypeId) -> Option<TypeId> {
        id.array_of()
    }
    /// The type under a domain, through all levels; the type itself when it is no domain.
    fn base(&self, id: TypeId) -> TypeId {
        id
    }
    /// Whether the type is an enum.
    fn is_enum(&self, _id: TypeId) -> bool {
        false
    }
    /// Whether the type is a named row type.
    fn is_composite(&self, _id: TypeId) -> bool {
        false
    }
    /// The name in error messages, as `format_type` prints it.
    fn name(&self, id: TypeId) -> String {
        id.to_string()
    }
    /// The type that a bare name stands for, for calls such as `float8(x)`.
    fn by_name(&self, name: &str) -> Option<TypeId> {
        TypeId::from_internal_name(name)
    }
}

/// The built-in types alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltInTypes;

impl Types for BuiltInTypes {}

/// Whether the type stands for several: `anyelement`, `anyarray`, ... (not `"any"`).
pub fn is_polymorphic(id: TypeId) -> bool {
    is_any_family(id) || is_anycompatible_family(id)
}

/// `anyelement`, `anyarray`, `anynonarray`, `anyenum`: all stand for one and the same type.
pub(crate) fn is_any_family(id: TypeId) -> bool {
    matches!(id, TypeId::ANYELEMENT | TypeId::ANYARRAY | TypeId::ANYNONARRAY | TypeId::ANYENUM)
}

/// `anycompatible` and its kin: they stand for the arguments' common type.
pub(crate) fn is_anycompatible_family(id: TypeId) -> bool {
    matches!(id, TypeId::ANYCOMPATIBLE | TypeId::ANYCOMPATIBLEARRAY | ANYCOMPATIBLENONARRAY)
}
