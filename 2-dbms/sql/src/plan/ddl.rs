//! Statements that change the catalogue.

use tuplix_catalog::{
    ArgumentDef, ColumnDef, FunctionVolatility, IndexColumn, IndexMethod, Language, OnCommit,
};
use tuplix_types::TypeId;

use super::{AlterIdentity, ColumnSequence, CreateTrigger, ForeignKey, Query, Relation, SequenceOption};

/// A statement that changes the catalogue. Names are as written; the engine looks them up under the catalogue's lock.
#[derive(Clone, Debug)]
pub enum Ddl {
    /// CREATE, ALTER and DROP of types and domains
    Type(super::TypeDdl),
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
    /// CREATE VIEW
    CreateView(CreateView),
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
    /// CREATE TABLE AS, SELECT INTO
    CreateTableAs(CreateTableAs),
    /// COMMENT ON
    Comment {
        /// What.
        target: CommentTarget,
        /// The comment; `None` takes it away.
        text: Option<String>,
    },
    /// ANALYZE, VACUUM
    Analyze(Analyze),
    /// ALTER INDEX RENAME TO
    RenameIndex {
        /// Index.
        index: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// The new name.
        to: String,
    },
    /// ALTER SCHEMA RENAME TO
    RenameSchema {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
}

/// ANALYZE or VACUUM.
#[derive(Clone, Debug)]
pub struct Analyze {
    /// VACUUM.
    pub vacuum: bool,
    /// ANALYZE, or the option of VACUUM.
    pub analyze: bool,
    /// VERBOSE
    pub verbose: bool,
    /// Tables; none for all of them.
    pub tables: Vec<AnalyzeTable>,
}

/// A table of ANALYZE or VACUUM.
#[derive(Clone, Debug)]
pub struct AnalyzeTable {
    /// Its name.
    pub name: QualifiedName,
    /// Columns; none for all of them.
    pub columns: Vec<String>,
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
    /// LIKE clauses, each with the number of columns before it.
    pub likes: Vec<(usize, Like)>,
    /// TEMPORARY, with ON COMMIT.
    pub temporary: Option<OnCommit>,
}

/// LIKE table INCLUDING ...
#[derive(Clone, Debug)]
pub struct Like {
    /// The table.
    pub table: QualifiedName,
    /// INCLUDING DEFAULTS
    pub defaults: bool,
    /// INCLUDING CONSTRAINTS
    pub constraints: bool,
    /// INCLUDING INDEXES
    pub indexes: bool,
    /// INCLUDING COMMENTS
    pub comments: bool,
    /// INCLUDING GENERATED
    pub generated: bool,
    /// INCLUDING IDENTITY
    pub identity: bool,
}

/// CREATE TABLE AS, SELECT INTO
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// Name.
    pub name: QualifiedName,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// TEMPORARY, with ON COMMIT.
    pub temporary: Option<OnCommit>,
    /// The names of the first columns.
    pub columns: Vec<String>,
    /// The query.
    pub query: Box<Query>,
    /// The query's relations.
    pub relations: Vec<Relation>,
    /// WITH DATA
    pub with_data: bool,
}

/// What a comment is about.
#[derive(Clone, Debug)]
pub enum CommentTarget {
    /// TABLE
    Table(QualifiedName),
    /// INDEX
    Index(QualifiedName),
    /// COLUMN of a table
    Column(QualifiedName, String),
    /// SCHEMA
    Schema(String),
    /// FUNCTION, PROCEDURE or ROUTINE, with its argument types when written.
    Function(QualifiedName, Option<Vec<TypeId>>, DropKind),
}

/// A table constraint.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// Name, when written.
    pub name: Option<String>,
    /// Where it stands.
    pub position: Option<u32>,
    /// NOT VALID: rows that are there may break it.
    pub not_valid: bool,
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

/// CREATE VIEW
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Name.
    pub name: QualifiedName,
    /// OR REPLACE
    pub or_replace: bool,
    /// TEMPORARY; a view of a temporary table is one anyway.
    pub temporary: bool,
    /// Its columns.
    pub columns: Vec<super::OutputColumn>,
    /// Its query and what that names.
    pub definition: tuplix_catalog::ViewDef,
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
    /// VIEW
    View,
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
    /// ALTER COLUMN SET STATISTICS
    SetStatistics {
        /// Column.
        column: String,
        /// How many common values and bounds ANALYZE looks for, -1 for the setting's number.
        target: i32,
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
    /// ADD COLUMN
    AddColumn {
        /// The column.
        column: ColumnDef,
        /// Its constraints.
        constraints: Vec<Constraint>,
        /// The sequence of a `serial` or identity column.
        sequence: Option<Box<ColumnSequence>>,
        /// IF NOT EXISTS
        if_not_exists: bool,
    },
    /// DROP COLUMN
    DropColumn {
        /// Column.
        column: String,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// ALTER COLUMN TYPE
    SetType {
        /// Column.
        column: String,
        /// The new type.
        ty: TypeId,
        /// Its modifier.
        typmod: i32,
        /// USING as SQL text.
        using: Option<String>,
    },
    /// VALIDATE CONSTRAINT
    Validate(String),
    /// RENAME CONSTRAINT
    RenameConstraint {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// SET SCHEMA
    SetSchema(String),
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
