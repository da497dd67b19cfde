//! What ties tables together: foreign keys and triggers.

use serde::{Deserialize, Serialize};

use crate::{FunctionId, IndexId, TableId};

/// What happens to rows whose referenced row goes or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferentialAction {
    /// NO ACTION: an error unless somebody has put it right by the statement's end.
    NoAction,
    /// RESTRICT: an error.
    Restrict,
    /// CASCADE
    Cascade,
    /// SET NULL
    SetNull,
    /// SET DEFAULT
    SetDefault,
}

/// A foreign key, at the referencing table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForeignKeyDef {
    /// Object id.
    pub id: u32,
    /// Constraint name.
    pub name: String,
    /// Referencing columns.
    pub columns: Vec<usize>,
    /// The referenced table.
    pub parent: TableId,
    /// Its columns, in the order of `columns`.
    pub parent_columns: Vec<usize>,
    /// The unique index over them.
    pub parent_index: IndexId,
    /// MATCH FULL
    pub match_full: bool,
    /// ON DELETE
    pub on_delete: ReferentialAction,
    /// ON UPDATE
    pub on_update: ReferentialAction,
    /// The columns that ON DELETE SET NULL or SET DEFAULT sets; all when empty.
    #[serde(default)]
    pub set_columns: Vec<usize>,
    /// DEFERRABLE
    #[serde(default)]
    pub deferrable: bool,
    /// INITIALLY DEFERRED
    #[serde(default)]
    pub deferred: bool,
    /// Whether all rows keep it; NOT VALID says that old ones may not.
    #[serde(default = "crate::objects::yes")]
    pub valid: bool,
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerTiming {
    /// BEFORE
    Before,
    /// AFTER
    After,
    /// INSTEAD OF, of a view.
    Instead,
}

/// What makes a trigger fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerEvent {
    /// INSERT
    Insert,
    /// DELETE
    Delete,
    /// UPDATE
    Update,
    /// TRUNCATE
    Truncate,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerDef {
    /// Object id.
    pub id: u32,
    /// Name.
    pub name: String,
    /// The function that it calls.
    pub function: FunctionId,
    /// BEFORE or AFTER.
    pub timing: TriggerTiming,
    /// FOR EACH ROW rather than STATEMENT.
    pub row: bool,
    /// Events.
    pub events: Vec<TriggerEvent>,
    /// UPDATE OF these columns; any when empty.
    pub columns: Vec<usize>,
    /// WHEN as SQL text.
    pub when: Option<String>,
    /// `TG_ARGV`
    pub arguments: Vec<String>,
    /// Whether it fires.
    pub enabled: bool,
    /// REFERENCING OLD TABLE AS
    #[serde(default)]
    pub old_table: Option<String>,
    /// REFERENCING NEW TABLE AS
    #[serde(default)]
    pub new_table: Option<String>,
}
