//! Types that users create: what their ids say ([`TypeId`]), and values of enums.

use ecow::EcoString;

use crate::TypeId;

const ARRAY: u32 = 1 << 30;
const KIND: u32 = 3 << 28;
const OBJECT: u32 = (1 << 28) - 1;

/// What kind of type a user created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// CREATE TYPE ... AS ENUM
    Enum,
    /// CREATE DOMAIN
    Domain,
    /// CREATE TYPE ... AS (...), or the rows of a table.
    Composite,
}

impl TypeId {
    /// The type of a user's object.
    pub const fn user(kind: UserKind, object: u32) -> TypeId {
        let bits = match kind {
            UserKind::Enum => 1 << 28,
            UserKind::Domain => 2 << 28,
            UserKind::Composite => 3 << 28,
        };
        TypeId(bits | (object & OBJECT))
    }

    /// What a user created, `None` for built-in types and for arrays.
    #[inline]
    pub const fn user_kind(self) -> Option<UserKind> {
        if self.0 & !OBJECT & !KIND != 0 {
            return None;
        }
        match (self.0 & KIND) >> 28 {
            1 => Some(UserKind::Enum),
            2 => Some(UserKind::Domain),
            3 => Some(UserKind::Composite),
            _ => None,
        }
    }

    /// Whether users created it, or the elements of which it is the array.
    #[inline]
    pub const fn is_user(self) -> bool {
        self.0 & KIND != 0
    }

    /// The id of the object behind a user's type: of the type itself, or of the table whose rows it has.
    #[inline]
    pub const fn object(self) -> u32 {
        self.0 & OBJECT
    }

    /// Whether it is an enum.
    #[inline]
    pub const fn is_enum(self) -> bool {
        matches!(self.user_kind(), Some(UserKind::Enum))
    }

    /// Whether it is a domain.
    #[inline]
    pub const fn is_domain(self) -> bool {
        matches!(self.user_kind(), Some(UserKind::Domain))
    }

    /// Whether it is a named row type.
    #[inline]
    pub const fn is_composite(self) -> bool {
        matches!(self.user_kind(), Some(UserKind::Composite))
    }

    /// Whether its values are rows: `record` or a named row type.
    #[inline]
    pub const fn is_row(self) -> bool {
        self.0 == TypeId::RECORD.0 || self.is_composite()
    }

    pub(crate) fn user_array(self) -> Option<TypeId> {
        self.user_kind().map(|_| TypeId(self.0 | ARRAY))
    }

    pub(crate) fn user_element(self) -> Option<TypeId> {
        (self.0 & ARRAY != 0 && self.is_user()).then_some(TypeId(self.0 & !ARRAY))
    }
}

/// A value of an enum: its place in the type's order, which it keeps for ever; the catalogue knows the
/// label, which may change. New labels get places between, as `pg_enum.enumsortorder` has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnumValue {
    /// The place.
    pub order: f64,
    /// The enum.
    pub ty: TypeId,
}

/// Who knows the labels of enums.
pub trait EnumLabels: Send + Sync + std::fmt::Debug {
    /// The label of a value.
    fn label(&self, value: EnumValue) -> Option<EcoString>;
}

impl std::fmt::Display for EnumValue {
    /// What stands for the label in messages until who knows the catalogue puts it there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "type#{}#{}#", self.ty.0, self.order)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_say_what_they_are() {
        for kind in [UserKind::Enum, UserKind::Domain, UserKind::Composite] {
            let ty = TypeId::user(kind, 16_500);
            assert_eq!((ty.user_kind(), ty.object(), ty.is_user()), (Some(kind), 16_500, true));
            let array = ty.array_of().unwrap();
            assert_eq!((array.user_kind(), array.object(), array.element()), (None, 16_500, Some(ty)));
            assert!(array.is_user() && array.array_of().is_none() && ty.element().is_none());
            // Clients keep object ids in signed integers.
            assert!(i32::try_from(array.0).is_ok());
        }
        assert!(!TypeId::INT4.is_user() && TypeId::INT4.user_kind().is_none() && !TypeId(16_500).is_user());
        assert!(TypeId::RECORD.is_row() && !TypeId::RECORD.is_composite());
    }
}
