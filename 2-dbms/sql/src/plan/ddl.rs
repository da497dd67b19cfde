//! Statements that change the catalogue.

use tuplix_catalog::{ArgumentDef, ColumnDef, FunctionVolatility, IndexColumn, IndexMethod, Language};
use tuplix_types::TypeId;

use super::{AlterIdentity, ColumnSequence, CreateTrigger, ForeignKey, SequenceOption};

/// A statement that changes the catalogue. Names are as written; the engine looks them up under the catalogue's lock.
#[derive(Clone, Debug)]
pub enum Ddl {
    /// CREATE SCHEMA
    CreateSchema {
        /// Name.
        name: String,
        /// IF NOT EXISTS
        if_not_exists: bool,
    },
    /// CREATE TABLE
    CreateTable(CreateTable),
    /// CREATE INDEX
    CreateIndex(CreateIndex),
    /// CREATE FUNCTION / PROCEDURE
    CreateFunction(CreateFunction),
    /// DROP TABLE / INDEX / SCHEMA / FUNCTION / PROCEDURE
    Drop(Drop),
    /// TRUNCATE
    Truncate {
        /// Tables.
        tables: Vec<QualifiedName>,
        /// RESTART IDENTITY
        restart: bool,
        /// CASCADE
        cascade: bool,
    },
    /// CREATE SEQUENCE
    CreateSequence {
        /// Name.
        name: QualifiedName,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// Options.
        options: Vec<SequenceOption>,
    },
    /// ALTER SEQUENCE
    AlterSequence {
        /// Name.
        name: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// Options.
        options: Vec<SequenceOption>,
    },
    /// ALTER SEQUENCE ... RENAME TO
    RenameSequence {
        /// Name.
        name: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// New name.
        to: String,
    },
    /// CREATE TRIGGER
    CreateTrigger(CreateTrigger),
    /// DROP TRIGGER
    DropTrigger {
        /// Name.
        name: String,
        /// Table.
        table: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER TRIGGER ... RENAME TO
    RenameTrigger {
        /// Name.
        name: String,
        /// Table.
        table: QualifiedName,
        /// New name.
        to: String,
    },
    /// ALTER TABLE
    AlterTable {
        /// Table.
        table: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// Actions in order.
        actions: Vec<AlterTable>,
    },
}

/// A name with or without schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualifiedName {
    /// Schema, when written.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
    /// Where it stands.
    pub position: Option<u32>,
}

/// CREATE TABLE
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Name.
    pub name: QualifiedName,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Columns.
    pub columns: Vec<ColumnDef>,
    /// Constraints, those of columns too.
    pub constraints: Vec<Constraint>,
    /// Sequences of `serial` and identity columns.
    pub sequences: Vec<ColumnSequence>,
}

/// A table constraint.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// Name, when written.
    pub name: Option<String>,
    /// Where it stands.
    pub position: Option<u32>,
    /// What it says.
    pub kind: ConstraintKind,
}

/// What a constraint says.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    /// PRIMARY KEY (columns)
    PrimaryKey(Vec<String>),
    /// UNIQUE (columns)
    Unique(Vec<String>),
    /// CHECK (expression as SQL text); `column` when written at a column.
    Check {
        /// SQL text.
        expression: String,
        /// The column it was written at.
        column: Option<String>,
    },
    /// FOREIGN KEY
    ForeignKey(ForeignKey),
}

/// CREATE INDEX
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Name, when written.
    pub name: Option<String>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Table.
    pub table: QualifiedName,
    /// btree (the default) or hash.
    pub method: IndexMethod,
    /// UNIQUE
    pub unique: bool,
    /// Columns by name with their order; `column` is meaningless until looked up. An expression has no name.
    pub columns: Vec<(String, IndexColumn)>,
    /// WHERE as SQL text.
    pub predicate: Option<String>,
}

/// CREATE FUNCTION / PROCEDURE
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// Name.
    pub name: QualifiedName,
    /// OR REPLACE
    pub or_replace: bool,
    /// PROCEDURE
    pub is_procedure: bool,
    /// Arguments.
    pub arguments: Vec<ArgumentDef>,
    /// RETURNS
    pub returns: TypeId,
    /// SETOF / TABLE
    pub returns_set: bool,
    /// LANGUAGE
    pub language: Language,
    /// AS
    pub body: String,
    /// Where the body's text starts in the statement, in characters from 1, for error positions.
    pub body_position: Option<u32>,
    /// IMMUTABLE / STABLE / VOLATILE
    pub volatility: FunctionVolatility,
    /// STRICT
    pub strict: bool,
    /// SECURITY DEFINER
    pub security_definer: bool,
}

/// DROP
#[derive(Clone, Debug)]
pub struct Drop {
    /// What kind of object.
    pub kind: DropKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
    /// Names; functions with their argument types when written.
    pub names: Vec<(QualifiedName, Option<Vec<TypeId>>)>,
}

/// What DROP drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    /// TABLE
    Table,
    /// INDEX
    Index,
    /// SCHEMA
    Schema,
    /// FUNCTION
    Function,
    /// PROCEDURE
    Procedure,
    /// SEQUENCE
    Sequence,
}

/// One action of ALTER TABLE.
#[derive(Clone, Debug)]
pub enum AlterTable {
    /// ADD CONSTRAINT
    AddConstraint(Constraint),
    /// DROP CONSTRAINT
    DropConstraint {
        /// Name.
        name: String,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// ALTER COLUMN ... IDENTITY
    Identity {
        /// Column.
        column: String,
        /// What to do.
        change: AlterIdentity,
    },
    /// ALTER COLUMN DROP EXPRESSION
    DropExpression {
        /// Column.
        column: String,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ENABLE or DISABLE TRIGGER
    EnableTrigger {
        /// Name; `None` for ALL and USER.
        name: Option<String>,
        /// ENABLE
        enable: bool,
    },
    /// ALTER COLUMN SET / DROP NOT NULL
    SetNotNull {
        /// Column.
        column: String,
        /// SET
        not_null: bool,
    },
    /// ALTER COLUMN SET / DROP DEFAULT
    SetDefault {
        /// Column.
        column: String,
        /// SQL text; `None` drops it.
        default: Option<String>,
    },
    /// RENAME TO
    Rename(String),
    /// RENAME COLUMN
    RenameColumn {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
}
