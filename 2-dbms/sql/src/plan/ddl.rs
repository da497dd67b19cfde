//! Statements that change the catalogue.

use tuplix_catalog::{
    ArgumentDef, ColumnDef, FunctionHints, FunctionVolatility, IndexColumn, IndexMethod, Language, OnCommit,
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
        /// The word after ALTER.
        of: RelationKind,
    },
    /// CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW
    CreateTableAs(CreateTableAs),
    /// REFRESH MATERIALIZED VIEW
    Refresh(Refresh),
    /// COMMENT ON
    Comment {
        /// What.
        target: ObjectName,
        /// The comment; `None` takes it away.
        text: Option<String>,
    },
    /// OWNER TO, of anything but what ALTER TABLE knows.
    Owner {
        /// What.
        target: ObjectName,
        /// Whom it is to belong to.
        role: Role,
    },
    /// ALTER FUNCTION and its kin
    AlterRoutine {
        /// Name.
        name: QualifiedName,
        /// Argument types when written.
        types: Option<Vec<TypeId>>,
        /// Which kind.
        kind: RoutineKind,
        /// What to do.
        change: AlterRoutine,
    },
    /// ALTER SEQUENCE ... SET SCHEMA
    MoveSequence {
        /// Name.
        name: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// The schema.
        schema: String,
    },
    /// ALTER INDEX SET and RESET (...)
    IndexOptions {
        /// Index.
        index: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// `name=value`, those that are set.
        set: Vec<String>,
        /// Names of those that are reset.
        reset: Vec<String>,
    },
    /// REINDEX: the statement's kind and name, which have to be there.
    Reindex {
        /// TABLE rather than INDEX; `None` for SCHEMA, DATABASE and SYSTEM.
        of_table: Option<bool>,
        /// The name.
        name: QualifiedName,
        /// CONCURRENTLY, or of more than one table.
        outside_blocks: bool,
    },
    /// CREATE and DROP EXTENSION
    Extension {
        /// Name.
        name: String,
        /// CREATE
        create: bool,
        /// IF NOT EXISTS, IF EXISTS
        lenient: bool,
    },
    /// ANALYZE, VACUUM
    Analyze(Analyze),
    /// GRANT, REVOKE, policies and their kin
    Rights(Box<super::RightsDdl>),
    /// LOCK TABLE
    Lock(LockTables),
    /// CREATE, ALTER and DROP of roles, and who is a member of which.
    Role(super::RoleDdl),
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

/// What a statement says that a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// TABLE
    Table,
    /// VIEW
    View,
    /// MATERIALIZED VIEW
    MaterializedView,
}

/// LOCK TABLE
#[derive(Clone, Debug)]
pub struct LockTables {
    /// Tables and views.
    pub tables: Vec<QualifiedName>,
    /// The mode keeps somebody else who reads or changes rows out; all such modes are the same here.
    pub excludes: bool,
    /// NOWAIT
    pub no_wait: bool,
}

impl Ddl {
    /// The words of a statement that a transaction block must not have around it.
    pub fn outside_blocks(&self) -> Option<&'static str> {
        match self {
            Ddl::Analyze(statement) if statement.vacuum => Some("VACUUM"),
            Ddl::CreateIndex(create) if create.concurrently => Some("CREATE INDEX CONCURRENTLY"),
            Ddl::Drop(drop) if drop.concurrently => Some("DROP INDEX CONCURRENTLY"),
            Ddl::Reindex { outside_blocks: true, .. } => Some("REINDEX"),
            _ => None,
        }
    }
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

/// DROP
#[derive(Clone, Debug)]
pub struct Drop {
    /// What kind of object.
    pub kind: DropKind,
    /// IF EXISTS
    pub if_exists: bool,
    /// CASCADE
    pub cascade: bool,
    /// CONCURRENTLY
    pub concurrently: bool,
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
    /// MATERIALIZED VIEW
    MaterializedView,
    /// INDEX
    Index,
    /// SCHEMA
    Schema,
    /// FUNCTION
    Function,
    /// PROCEDURE
    Procedure,
    /// ROUTINE
    Routine,
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
        /// ALL: those of foreign keys too.
        all: bool,
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
    /// OWNER TO
    Owner(Role),
    /// ROW LEVEL SECURITY
    RowSecurity(super::RowSecurityChange),
    /// SET (...) and RESET (...): storage parameters
    Options {
        /// `name=value`, those that are set.
        set: Vec<String>,
        /// Names of those that are reset.
        reset: Vec<String>,
    },
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

/// ALTER FUNCTION, PROCEDURE and ROUTINE.
#[derive(Clone, Debug)]
pub enum AlterRoutine {
    /// RENAME TO
    Rename(String),
    /// SET SCHEMA
    SetSchema(String),
    /// Attributes of CREATE FUNCTION.
    Attributes {
        /// IMMUTABLE / STABLE / VOLATILE
        volatility: Option<FunctionVolatility>,
        /// STRICT, CALLED ON NULL INPUT
        strict: Option<bool>,
        /// SECURITY DEFINER / INVOKER
        security_definer: Option<bool>,
        /// SET, RESET
        settings: Vec<FunctionSetting>,
        /// COST, ROWS, PARALLEL, LEAKPROOF
        hints: FunctionHints,
    },
}
