//! The common type of several expressions: `CASE`, `UNION`, `VALUES`, `ARRAY`, `COALESCE`, ... (manual 10.5).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Resolver;
use crate::registry::CastContext;

impl Resolver<'_> {
    /// The type that all of `types` can become; `construct` names the place in the error: `CASE`, `UNION`.
    ///
    /// # Errors
    /// 42804 `CASE types integer and text cannot be matched`, also when the chosen type cannot be reached by some.
    pub fn common_type(&self, construct: &str, types: &[TypeId]) -> Result<TypeId> {
        let mismatch = |a: TypeId, b: TypeId| {
            let message =
                format!("{construct} types {} and {} cannot be matched", self.name(a), self.name(b));
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
        };
        let chosen = self.choose_common(types).map_err(|(a, b)| mismatch(a, b))?;
        for &id in types {
            if self.find_cast(id, chosen, CastContext::Implicit).is_none() {
                let (to, from) = (self.name(chosen), self.name(id));
                let message = format!("{construct} could not convert type {from} to {to}");
                return Err(SqlError::new(sqlstate::CANNOT_COERCE, message));
            }
        }
        Ok(chosen)
    }

    /// `select_common_type`: the pair of types that cannot be matched as the error.
    pub(crate) fn choose_common(&self, types: &[TypeId]) -> Result<TypeId, (TypeId, TypeId)> {
        let Some(&first) = types.first() else { return Ok(TypeId::TEXT) };
        if first != TypeId::UNKNOWN && types.iter().all(|&id| id == first) {
            return Ok(first);
        }
        let mut chosen = self.types.base(first);
        for &next in &types[1..] {
            let next = self.types.base(next);
            if next == TypeId::UNKNOWN || next == chosen {
                continue;
            }
            if chosen == TypeId::UNKNOWN {
                chosen = next;
            } else if self.types.category(chosen) != self.types.category(next) {
                return Err((chosen, next));
            } else if !self.types.is_preferred(chosen)
                && self.find_cast(chosen, next, CastContext::Implicit).is_some()
                && self.find_cast(next, chosen, CastContext::Implicit).is_none()
            {
                chosen = next;
            }
        }
        Ok(if chosen == TypeId::UNKNOWN { TypeId::TEXT } else { chosen })
    }
}
