//! Whether and how one type becomes another (`parse_coerce.c`: `can_coerce_type`, `find_coercion_pathway`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Resolver;
use crate::registry::{CastContext, CastMethod, listed_cast, lookup_symbol};
use crate::type_info::is_polymorphic;

impl Resolver<'_> {
    /// How a value of type `from` becomes one of type `to`, if it may in this context.
    ///
    /// Domains count as their base types; checking a domain's constraints is the caller's part. A `from` of
    /// [`TypeId::UNKNOWN`] is an untyped literal, whose text any type's input function reads.
    pub fn find_cast(&self, from: TypeId, to: TypeId, context: CastContext) -> Option<CastMethod> {
        let (source, target) = (self.types.base(from), self.types.base(to));
        if source == target {
            return Some(CastMethod::Binary);
        }
        if source == TypeId::UNKNOWN {
            return Some(CastMethod::InOut);
        }
        if let Some(cast) = listed_cast(source, target) {
            return (context >= cast.context).then_some(cast.method);
        }
        let to_vector = matches!(target, TypeId::INT2VECTOR | TypeId::OIDVECTOR);
        if let (false, Some(source), Some(target)) =
            (to_vector, self.types.element(source), self.types.element(target))
        {
            return self.find_cast(source, target, context).map(|_| CastMethod::Array);
        }
        if self.is_row(source) && self.is_row(target) {
            // Records and named row types differ in column types only; the caller compares those.
            return Some(CastMethod::Binary);
        }
        let to_text = context >= CastContext::Assignment && self.types.category(target) == 'S';
        let from_text = context >= CastContext::Explicit && self.types.category(source) == 'S';
        (to_text || from_text).then_some(CastMethod::InOut)
    }

    /// Like [`Self::find_cast`], with PostgreSQL's error for an explicit cast that does not exist.
    pub fn explicit_cast(&self, from: TypeId, to: TypeId) -> Result<CastMethod> {
        self.find_cast(from, to, CastContext::Explicit).ok_or_else(|| {
            let message = format!("cannot cast type {} to {}", self.name(from), self.name(to));
            SqlError::new(sqlstate::CANNOT_COERCE, message)
        })
    }

    fn is_row(&self, id: TypeId) -> bool {
        id == TypeId::RECORD || self.types.is_composite(id)
    }

    /// Whether arguments of types `from` may all become `to` (`can_coerce_type`); polymorphic targets are
    /// checked together.
    pub(crate) fn can_coerce(&self, from: &[TypeId], to: &[TypeId], context: CastContext) -> bool {
        let mut polymorphic = false;
        for (&source, &target) in from.iter().zip(to) {
            if source == target || target == TypeId::ANY {
                continue;
            }
            if is_polymorphic(target) {
                polymorphic = true;
                continue;
            }
            if self.find_cast(source, target, context).is_none() {
                return false;
            }
        }
        !polymorphic || self.polymorphic_fits(from, to)
    }

    /// The function that applies a type modifier to a value of a type (`varchar(n)`, `numeric(p, s)`, ...):
    /// it takes the value, the modifier and, where it has three arguments, whether the cast was written.
    pub fn length_coercion(&self, id: TypeId) -> Option<&'static crate::Function> {
        let symbol = match self.types.base(id) {
            TypeId::VARCHAR => "varchar",
            TypeId::BPCHAR => "bpchar",
            TypeId::NUMERIC => "numeric",
            TypeId::TIMESTAMP => "timestamp_scale",
            TypeId::TIMESTAMPTZ => "timestamptz_scale",
            TypeId::TIME => "time_scale",
            TypeId::INTERVAL => "interval_scale",
            _ => return None,
        };
        Some(lookup_symbol(symbol))
    }
}
