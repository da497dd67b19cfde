//! Sequences, and the columns that draw from them.

use serde::{Deserialize, Serialize};
use tuplix_types::TypeId;

use crate::TableId;

/// A sequence's object id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SequenceId(pub u32);

/// A sequence; where it stands is the engine's to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SequenceDef {
    /// Object id.
    pub id: SequenceId,
    /// Schema name.
    pub schema: String,
    /// Name.
    pub name: String,
    /// `int2`, `int4` or `int8`.
    pub ty: TypeId,
    /// Where it starts.
    pub start: i64,
    /// From one value to the next.
    pub increment: i64,
    /// Its least value.
    pub min: i64,
    /// Its greatest value.
    pub max: i64,
    /// Values that a session takes at once.
    pub cache: i64,
    /// Whether it begins again after its last value.
    pub cycle: bool,
    /// OWNED BY: the column that it is dropped with.
    pub owner: Option<SequenceOwner>,
}

/// The column that a sequence belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceOwner {
    /// The table.
    pub table: TableId,
    /// The column's position.
    pub column: usize,
    /// It is the column's identity: it cannot be dropped by itself.
    pub identity: bool,
}

/// GENERATED ... AS IDENTITY
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// ALWAYS: only OVERRIDING SYSTEM VALUE gives another value.
    Always,
    /// BY DEFAULT
    ByDefault,
}
