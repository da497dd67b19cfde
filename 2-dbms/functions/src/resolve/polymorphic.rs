//! `anyelement`, `anyarray`, `anycompatible`, ...: whether arguments fit and what they stand for
//! (`parse_coerce.c`: `check_generic_type_consistency`, `enforce_generic_type_consistency`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Resolver;
use crate::registry::CastContext;
use crate::type_info::{ANYCOMPATIBLENONARRAY, is_anycompatible_family, is_polymorphic};

/// What the polymorphic pseudo-types of one call stand for.
#[derive(Clone, Copy, Debug, Default)]
struct Bindings {
    element: Option<TypeId>,
    array: Option<TypeId>,
    common: Option<TypeId>,
}

fn mismatch(message: String, detail: String) -> SqlError {
    let error = SqlError::new(sqlstate::DATATYPE_MISMATCH, message);
    if detail.is_empty() { error } else { error.detail(detail) }
}

impl Resolver<'_> {
    /// Whether the polymorphic parameters among `declared` can stand for the `actual` types.
    pub(crate) fn polymorphic_fits(&self, actual: &[TypeId], declared: &[TypeId]) -> bool {
        self.bind(actual, declared).is_ok()
    }

    /// Replaces polymorphic types in `declared` and `result` by what they stand for.
    pub(crate) fn settle_polymorphic(
        &self,
        actual: &[TypeId],
        declared: &[TypeId],
        result: TypeId,
    ) -> Result<(Vec<TypeId>, TypeId)> {
        let bindings = self.bind(actual, declared)?;
        let mut settled = Vec::with_capacity(declared.len());
        for (index, &id) in declared.iter().enumerate() {
            settled.push(match id {
                TypeId::ANY => actual.get(index).copied().unwrap_or(id),
                // An untyped literal stays one until the other arguments say what it is.
                _ if is_polymorphic(id) => self.stand_in(id, &bindings, actual.get(index).copied())?,
                _ => id,
            });
        }
        let result = if is_polymorphic(result) { self.stand_in(result, &bindings, None)? } else { result };
        Ok((settled, result))
    }

    fn stand_in(&self, id: TypeId, bindings: &Bindings, actual: Option<TypeId>) -> Result<TypeId> {
        let found = match id {
            TypeId::ANYELEMENT | TypeId::ANYNONARRAY | TypeId::ANYENUM => bindings.element,
            TypeId::ANYARRAY => {
                bindings.array.or_else(|| bindings.element.and_then(|e| self.types.array_of(e)))
            }
            TypeId::ANYCOMPATIBLEARRAY => bindings.common.and_then(|e| self.types.array_of(e)),
            _ => bindings.common,
        };
        found.or(actual.filter(|id| *id != TypeId::UNKNOWN)).ok_or_else(|| {
            let message = match id {
                TypeId::ANYARRAY | TypeId::ANYCOMPATIBLEARRAY => match bindings.element.or(bindings.common) {
                    Some(element) => {
                        let message =
                            format!("could not find array type for data type {}", self.name(element));
                        return SqlError::new(sqlstate::UNDEFINED_OBJECT, message);
                    }
                    None => "could not determine polymorphic type because input has type unknown",
                },
                _ => "could not determine polymorphic type because input has type unknown",
            };
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
        })
    }

    fn bind(&self, actual: &[TypeId], declared: &[TypeId]) -> Result<Bindings> {
        let mut elements: Option<TypeId> = None;
        let mut arrays: Option<TypeId> = None;
        let mut compatible: Vec<TypeId> = Vec::new();
        let (mut has_any, mut has_compatible) = (false, false);
        let (mut non_array, mut only_enum, mut compatible_non_array) = (false, false, false);
        for (&given, &wanted) in actual.iter().zip(declared) {
            let base = self.types.base(given);
            match wanted {
                TypeId::ANYELEMENT | TypeId::ANYNONARRAY | TypeId::ANYENUM => {
                    has_any = true;
                    non_array |= wanted == TypeId::ANYNONARRAY;
                    only_enum |= wanted == TypeId::ANYENUM;
                    if given != TypeId::UNKNOWN {
                        self.unify(
                            &mut elements,
                            if wanted == TypeId::ANYENUM { base } else { given },
                            "arguments declared \"anyelement\" are not all alike",
                        )?;
                    }
                }
                TypeId::ANYARRAY => {
                    has_any = true;
                    if given != TypeId::UNKNOWN {
                        self.unify(&mut arrays, base, "arguments declared \"anyarray\" are not all alike")?;
                    }
                }
                TypeId::ANYCOMPATIBLE | ANYCOMPATIBLENONARRAY => {
                    has_compatible = true;
                    compatible_non_array |= wanted == ANYCOMPATIBLENONARRAY;
                    compatible.push(given);
                }
                TypeId::ANYCOMPATIBLEARRAY => {
                    has_compatible = true;
                    if given != TypeId::UNKNOWN {
                        compatible.push(self.element_of(base, "anycompatiblearray")?);
                    }
                }
                _ => {}
            }
        }
        let mut bindings = Bindings::default();
        if has_any {
            bindings = self.bind_any(elements, arrays)?;
            let element = bindings.element;
            if non_array && let Some(id) = element.filter(|id| self.types.element(*id).is_some()) {
                let message = format!("type matched to anynonarray is an array type: {}", self.name(id));
                return Err(mismatch(message, String::new()));
            }
            // Untyped literals alone never are enum labels.
            if only_enum && !element.is_some_and(|id| self.types.is_enum(id)) {
                let name = self.name(element.unwrap_or(TypeId::UNKNOWN));
                return Err(mismatch(
                    format!("type matched to anyenum is not an enum type: {name}"),
                    String::new(),
                ));
            }
        }
        if has_compatible {
            bindings.common = Some(self.bind_common(&compatible, compatible_non_array)?);
        }
        Ok(bindings)
    }

    fn bind_any(&self, elements: Option<TypeId>, arrays: Option<TypeId>) -> Result<Bindings> {
        let Some(array) = arrays else {
            return Ok(Bindings { element: elements, array: None, common: None });
        };
        let from_array = self.element_of(array, "anyarray")?;
        if let Some(element) = elements
            && element != from_array
        {
            let message = "argument declared anyarray is not consistent with argument declared anyelement";
            let detail = format!("{} versus {}", self.name(array), self.name(element));
            return Err(mismatch(message.to_owned(), detail));
        }
        Ok(Bindings { element: Some(from_array), array: Some(array), common: None })
    }

    fn bind_common(&self, given: &[TypeId], non_array: bool) -> Result<TypeId> {
        let common = self.choose_common(given).map_err(|(a, b)| {
            let (a, b) = (self.name(a), self.name(b));
            mismatch(
                format!("arguments of anycompatible family cannot be cast to a common type: {a} and {b}"),
                String::new(),
            )
        })?;
        if given.iter().any(|&id| self.find_cast(id, common, CastContext::Implicit).is_none()) {
            let message = "arguments of anycompatible family cannot be cast to a common type";
            return Err(mismatch(message.to_owned(), String::new()));
        }
        if non_array && self.types.element(common).is_some() {
            let message =
                format!("type matched to anycompatiblenonarray is an array type: {}", self.name(common));
            return Err(mismatch(message, String::new()));
        }
        Ok(common)
    }

    fn unify(&self, seen: &mut Option<TypeId>, next: TypeId, complaint: &str) -> Result<()> {
        match *seen {
            Some(first) if first != next => Err(mismatch(
                complaint.to_owned(),
                format!("{} versus {}", self.name(first), self.name(next)),
            )),
            _ => {
                *seen = Some(next);
                Ok(())
            }
        }
    }

    fn element_of(&self, array: TypeId, declared: &str) -> Result<TypeId> {
        self.types.element(array).ok_or_else(|| {
            mismatch(
                format!("argument declared {declared} is not an array but type {}", self.name(array)),
                String::new(),
            )
        })
    }
}

/// Whether any of the types is polymorphic.
pub(crate) fn any_polymorphic(types: &[TypeId]) -> bool {
    types.iter().any(|id| is_polymorphic(*id) || is_anycompatible_family(*id))
}
