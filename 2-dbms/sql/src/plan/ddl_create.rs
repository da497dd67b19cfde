//! Statements that make tables, indexes, functions and views.

use tuplix_catalog::{
    ArgumentDef, ColumnDef, FunctionHints, FunctionVolatility, IndexColumn, IndexMethod, Language, OnCommit,
};
use tuplix_types::TypeId;

use super::{ColumnSequence, ForeignKey, QualifiedName, Query, Relation};

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
    /// WITH, as `name=value`.
    pub options: Vec<String>,
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
    /// CREATE MATERIALIZED VIEW: the query as it is kept.
    pub materialized: Option<tuplix_catalog::ViewDef>,
    /// WITH (...), as `name=value`.
    pub options: Vec<String>,
}

/// REFRESH MATERIALIZED VIEW
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The materialized view.
    pub table: tuplix_catalog::TableId,
    /// Its query.
    pub query: Box<Query>,
    /// The query's relations.
    pub relations: Vec<Relation>,
    /// WITH DATA
    pub with_data: bool,
    /// CONCURRENTLY: asks for a unique index.
    pub concurrently: bool,
}

/// A role as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// By its name.
    Named(String),
    /// CURRENT_USER, CURRENT_ROLE
    Current,
    /// SESSION_USER
    Session,
}

/// An object as a statement names it that is about objects of any kind: COMMENT, OWNER TO.
#[derive(Clone, Debug)]
pub enum ObjectName {
    /// TABLE
    Table(QualifiedName),
    /// VIEW
    View(QualifiedName),
    /// MATERIALIZED VIEW
    MaterializedView(QualifiedName),
    /// INDEX
    Index(QualifiedName),
    /// SEQUENCE
    Sequence(QualifiedName),
    /// COLUMN of a table
    Column(QualifiedName, String),
    /// CONSTRAINT of a table
    Constraint(QualifiedName, String),
    /// CONSTRAINT of a domain
    DomainConstraint(QualifiedName, String),
    /// TRIGGER of a table
    Trigger(QualifiedName, String),
    /// TYPE
    Type(QualifiedName),
    /// DOMAIN
    Domain(QualifiedName),
    /// SCHEMA
    Schema(String),
    /// DATABASE
    Database(String),
    /// FUNCTION, PROCEDURE or ROUTINE, with its argument types when written.
    Function(QualifiedName, Option<Vec<TypeId>>, RoutineKind),
}

/// Which kinds of routines a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineKind {
    /// FUNCTION
    Function,
    /// PROCEDURE
    Procedure,
    /// ROUTINE
    Routine,
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
    /// INCLUDE of a key.
    pub included: Vec<String>,
}

/// What a constraint says.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    /// PRIMARY KEY (columns)
    PrimaryKey(Vec<String>),
    /// UNIQUE (columns)
    Unique(Vec<String>),
    /// PRIMARY KEY or UNIQUE USING INDEX
    UsingIndex {
        /// The index.
        index: String,
        /// PRIMARY KEY
        primary: bool,
    },
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
    /// INCLUDE
    pub included: Vec<String>,
    /// WITH, as `name=value`.
    pub options: Vec<String>,
    /// WHERE as SQL text.
    pub predicate: Option<String>,
    /// CONCURRENTLY
    pub concurrently: bool,
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
    /// SET
    pub settings: Vec<FunctionSetting>,
    /// COST, ROWS, PARALLEL, LEAKPROOF
    pub hints: FunctionHints,
}

/// A SET or RESET clause of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum FunctionSetting {
    /// SET name TO values
    Set(String, Vec<String>),
    /// SET name FROM CURRENT
    Current(String),
    /// RESET name, SET name TO DEFAULT
    Reset(String),
    /// RESET ALL
    ResetAll,
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
