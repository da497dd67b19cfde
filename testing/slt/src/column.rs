//! Types of result columns, a letter each.

use sqllogictest::ColumnType;
use tuplix_types::TypeId;

/// The type of a result column, as `query` lines name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column(char);

/// `A` is any array, `?` everything else: enums, composites, `void`.
const LETTERS: [(char, &[TypeId]); 18] = [
    ('B', &[TypeId::BOOL]),
    ('S', &[TypeId::INT2]),
    ('I', &[TypeId::INT4]),
    ('L', &[TypeId::INT8]),
    ('O', &[TypeId::OID]),
    ('E', &[TypeId::FLOAT4]),
    ('F', &[TypeId::FLOAT8]),
    ('N', &[TypeId::NUMERIC]),
    ('T', &[TypeId::TEXT]),
    ('V', &[TypeId::VARCHAR, TypeId::BPCHAR, TypeId::NAME, TypeId::CHAR]),
    ('Y', &[TypeId::BYTEA]),
    ('D', &[TypeId::DATE]),
    ('H', &[TypeId::TIME]),
    ('P', &[TypeId::TIMESTAMP]),
    ('Z', &[TypeId::TIMESTAMPTZ]),
    ('W', &[TypeId::INTERVAL]),
    ('U', &[TypeId::UUID]),
    ('J', &[TypeId::JSON, TypeId::JSONB]),
];

impl Column {
    /// The letter of a type.
    pub fn of(ty: TypeId) -> Column {
        // To PostgreSQL's driver an array of a user's type is a type that nobody knows.
        if ty.element().is_some() && !ty.is_user() {
            return Column('A');
        }
        Column(LETTERS.iter().find(|(_, types)| types.contains(&ty)).map_or('?', |(letter, _)| *letter))
    }
}

impl ColumnType for Column {
    fn from_char(letter: char) -> Option<Column> {
        let known = matches!(letter, 'A' | '?') || LETTERS.iter().any(|(known, _)| *known == letter);
        known.then_some(Column(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}
