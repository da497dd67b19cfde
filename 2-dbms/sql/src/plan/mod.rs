//! The typed plan: what the analyzer makes of a parse tree.
//!
//! It is logical: names are resolved, every expression has its type, coercions are explicit calls, but no access
//! path is chosen yet. The engine's planner turns it into closures.
//!
//! A column is named by a [`RelationId`] that is unique in the whole statement, so a reference from a
//! subquery to an outer query needs no nesting level: a relation that the subquery does not list is an outer one.

mod change;
mod copy;
mod cursor;
mod ddl;
mod ddl_create;
mod expression;
mod procedure;
mod query;
mod rights;
mod roles;
mod rows;
mod types;
mod window;

pub use change::*;
pub use copy::*;
pub use cursor::*;
pub use ddl::*;
pub use ddl_create::*;
pub use expression::*;
pub use procedure::*;
pub use query::*;
pub use rights::*;
pub use roles::*;
pub use rows::*;
pub use tuplix_types::OutputColumn;
pub use types::*;
pub use window::*;

use tuplix_types::TypeId;

/// One analysed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it does.
    pub kind: StatementKind,
    /// The types of `$1`, `$2`, ...: given by the client or inferred.
    pub parameters: Vec<TypeId>,
    /// Name and columns of every relation by [`RelationId`].
    pub relations: Vec<Relation>,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// SELECT, VALUES, and INSERT, UPDATE, DELETE with or without RETURNING.
    Query(Box<Query>),
    /// CREATE, ALTER, DROP, TRUNCATE.
    Ddl(Box<Ddl>),
    /// BEGIN, COMMIT, SAVEPOINT, ...
    Transaction(TransactionStatement),
    /// SET, RESET, SHOW.
    Setting(SettingStatement),
    /// EXPLAIN of another statement.
    Explain {
        /// Run it and count.
        analyze: bool,
        /// Any other options as written (`verbose`, `format`, ...).
        options: Vec<(String, String)>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// CALL procedure(arguments).
    Call {
        /// The procedure.
        function: tuplix_catalog::FunctionId,
        /// Its arguments, constants and parameters only.
        arguments: Vec<Expr>,
    },
    /// DO $$ ... $$ : a PL/pgSQL block without a name.
    Do {
        /// The block's text.
        body: String,
    },
    /// SET CONSTRAINTS
    SetConstraints {
        /// Names; `None` for ALL.
        names: Option<Vec<QualifiedName>>,
        /// DEFERRED rather than IMMEDIATE.
        deferred: bool,
    },
    /// CHECKPOINT
    Checkpoint,
    /// LISTEN channel.
    Listen(String),
    /// UNLISTEN channel, `None` for `*`.
    Unlisten(Option<String>),
    /// NOTIFY channel, payload.
    Notify(String, String),
    /// PREPARE name (types) AS statement; the statement's own text.
    Prepare {
        /// Name.
        name: String,
        /// Declared parameter types.
        types: Vec<TypeId>,
        /// The statement's text.
        text: String,
    },
    /// EXECUTE name(arguments).
    Execute {
        /// Name.
        name: String,
        /// Arguments.
        arguments: Vec<Expr>,
    },
    /// DEALLOCATE name, `None` for ALL.
    Deallocate(Option<String>),
    /// COPY between a table or query and the client.
    Copy(Box<Copy>),
    /// DECLARE name CURSOR FOR query.
    DeclareCursor(Box<DeclareCursor>),
    /// FETCH and MOVE.
    FetchCursor {
        /// The cursor.
        name: String,
        /// Which rows.
        by: CursorMove,
        /// MOVE: the rows are only counted.
        is_move: bool,
    },
    /// CLOSE name, `None` for ALL.
    CloseCursor(Option<String>),
    /// DISCARD ALL.
    DiscardAll,
    /// DISCARD TEMP
    DiscardTemporary,
}

/// A relation of the statement: a FROM item, a target table, `excluded`.
#[derive(Clone, Debug)]
pub struct Relation {
    /// Alias or name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<OutputColumn>,
    /// The table or view that it is, when it is one.
    pub access: Option<Box<RelationAccess>>,
}

/// How a statement comes to a table or view.
#[derive(Clone, Debug)]
pub struct RelationAccess {
    /// The table or view.
    pub table: tuplix_catalog::TableId,
    /// As whom it is looked at: the owner of the view that names it. `None`: who runs the statement.
    pub role: Option<tuplix_catalog::RoleId>,
    /// The views through which the statement changes the table, the one that it names first.
    pub through: Vec<ViewOver>,
    /// What row-level security says of the rows that are there: tested before any other condition.
    pub security: Option<Expr>,
}

/// A view over a table that a statement changes.
#[derive(Clone, Debug)]
pub struct ViewOver {
    /// The view.
    pub view: tuplix_catalog::TableId,
    /// As whom it is looked at.
    pub role: Option<tuplix_catalog::RoleId>,
    /// For each of its columns the table's column, where it is one.
    pub columns: Vec<Option<usize>>,
    /// Those of its columns that the statement reads.
    pub read: Vec<usize>,
}

/// Transaction control.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionStatement {
    /// BEGIN / START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT / END.
    Commit {
        /// AND CHAIN
        chain: bool,
    },
    /// ROLLBACK / ABORT.
    Rollback {
        /// AND CHAIN
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(String),
    /// RELEASE name.
    Release(String),
    /// ROLLBACK TO name.
    RollbackTo(String),
    /// SET TRANSACTION ...
    SetTransaction(TransactionModes),
}

/// The modes that BEGIN and SET TRANSACTION can give.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TransactionModes {
    /// ISOLATION LEVEL
    pub isolation: Option<Isolation>,
    /// READ ONLY / READ WRITE
    pub read_only: Option<bool>,
    /// DEFERRABLE
    pub deferrable: Option<bool>,
}

/// Isolation levels; READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED
    ReadUncommitted,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
    /// SERIALIZABLE
    Serializable,
}

/// SET, RESET, SHOW.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingStatement {
    /// SET name = value.
    Set {
        /// Setting's name in lower case.
        name: String,
        /// Values as text.
        values: Vec<String>,
        /// SET LOCAL
        local: bool,
    },
    /// RESET name, `None` for ALL; SET name TO DEFAULT.
    Reset(Option<String>),
    /// SHOW name; `all` for all.
    Show(String),
}
