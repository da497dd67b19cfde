//! Statements that change the catalogue.

use tuplix_catalog::{ColumnDef, FunctionHints, FunctionVolatility};
use tuplix_types::TypeId;

use super::{
    AlterIdentity, ColumnSequence, Constraint, CreateFunction, CreateIndex, CreateTable, CreateTableAs,
    CreateTrigger, CreateView, FunctionSetting, ObjectName, Refresh, Role, RoutineKind, SequenceOption,
};

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
