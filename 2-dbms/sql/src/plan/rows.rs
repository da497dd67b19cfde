//! Statements about sequences, foreign keys and triggers.

use tuplix_catalog::{Identity, ReferentialAction, TriggerEvent, TriggerTiming};
use tuplix_types::TypeId;

use super::QualifiedName;

/// One option of CREATE or ALTER SEQUENCE.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceOption {
    /// AS type
    As(TypeId),
    /// INCREMENT BY
    Increment(i64),
    /// MINVALUE; `None` for NO MINVALUE.
    Min(Option<i64>),
    /// MAXVALUE; `None` for NO MAXVALUE.
    Max(Option<i64>),
    /// START WITH
    Start(i64),
    /// RESTART; `None` without WITH.
    Restart(Option<i64>),
    /// CACHE
    Cache(i64),
    /// CYCLE or NO CYCLE
    Cycle(bool),
    /// OWNED BY table.column; `None` for NONE.
    OwnedBy(Option<(QualifiedName, String)>),
}

/// A column whose values come from a sequence of its own, made with it.
#[derive(Clone, Debug)]
pub struct ColumnSequence {
    /// The column.
    pub column: String,
    /// GENERATED ... AS IDENTITY; `None` for `serial`.
    pub identity: Option<Identity>,
    /// The sequence's name, when written.
    pub name: Option<QualifiedName>,
    /// Its options.
    pub options: Vec<SequenceOption>,
}

/// What ALTER COLUMN does to an identity column.
#[derive(Clone, Debug)]
pub enum AlterIdentity {
    /// ADD GENERATED ... AS IDENTITY
    Add(ColumnSequence),
    /// SET GENERATED, SET options, RESTART
    Set {
        /// SET GENERATED
        identity: Option<Identity>,
        /// SET options, RESTART
        options: Vec<SequenceOption>,
    },
    /// DROP IDENTITY
    Drop {
        /// IF EXISTS
        if_exists: bool,
    },
}

/// FOREIGN KEY ... REFERENCES
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Referencing columns.
    pub columns: Vec<String>,
    /// The referenced table.
    pub parent: QualifiedName,
    /// Its columns; its primary key when empty.
    pub parent_columns: Vec<String>,
    /// MATCH FULL
    pub match_full: bool,
    /// ON DELETE
    pub on_delete: ReferentialAction,
    /// ON UPDATE
    pub on_update: ReferentialAction,
    /// SET NULL (columns), SET DEFAULT (columns)
    pub set_columns: Vec<String>,
    /// DEFERRABLE
    pub deferrable: bool,
    /// INITIALLY DEFERRED
    pub deferred: bool,
    /// NOT VALID: rows that are there are not checked.
    pub skip_check: bool,
}

/// CREATE TRIGGER
#[derive(Clone, Debug)]
pub struct CreateTrigger {
    /// Name.
    pub name: String,
    /// Table.
    pub table: QualifiedName,
    /// OR REPLACE
    pub or_replace: bool,
    /// BEFORE or AFTER
    pub timing: TriggerTiming,
    /// FOR EACH ROW
    pub row: bool,
    /// Events.
    pub events: Vec<TriggerEvent>,
    /// UPDATE OF
    pub columns: Vec<String>,
    /// WHEN as SQL text.
    pub when: Option<String>,
    /// The function.
    pub function: QualifiedName,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// REFERENCING OLD TABLE
    pub old_table: Option<String>,
    /// REFERENCING NEW TABLE
    pub new_table: Option<String>,
}
