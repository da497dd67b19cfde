//! Prepared statements and their results.

use std::sync::Arc;

use tuplix_log::Log;
use tuplix_sql::analyze::Reader;
use tuplix_sql::parser::ParsedStatement;
use tuplix_sql::plan::{OutputColumn, Statement, StatementKind};
use tuplix_types::copy::CopyRows;
use tuplix_types::{Result, TypeId};

use crate::exec::{CompiledProcedure, CompiledStatement, Rights};
use crate::plans::{Counter, Registration};

/// One statement of a text, parsed.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub(crate) statement: Arc<ParsedStatement>,
    /// Where it begins in the whole text, in characters: added to error positions.
    pub(crate) first_character: u32,
}

impl Parsed {
    /// The statement's own text.
    pub fn text(&self) -> &str {
        &self.statement.text
    }
}

/// A prepared statement of a session. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Unique in the session.
    pub id: u64,
    pub parsed: Parsed,
    /// Parameter types as the client gave them.
    pub given: Vec<TypeId>,
    pub search_path: Vec<String>,
    pub bound: Bound,
    /// The version under which `bound` may run: its own, or 0 once there is a better plan.
    pub version: std::sync::atomic::AtomicU64,
    pub counter: Counter,
    pub registration: Option<Registration>,
}

/// A statement bound under one catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub version: u64,
    pub parameters: Arc<[TypeId]>,
    pub columns: Arc<[OutputColumn]>,
    pub code: Code,
    /// Parameters of types that users created, which clients give as texts.
    pub user_parameters: bool,
    /// Columns that may hold labels of enums, which clients get as texts.
    pub user_columns: bool,
    /// Row-level security made it good for this reader alone.
    pub bound_to: Option<Reader>,
}

/// What executing it does.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    /// Runs compiled code.
    Query(Arc<CompiledStatement>),
    /// `SELECT f($1, $2)`: calls a procedure with the parameters as they are.
    Call(Arc<ProcedureCall>),
    /// COPY: a query, or rows that [`crate::Session::copy_in`] takes.
    Copy(Arc<crate::session::CopyCode>),
    /// Anything else is interpreted.
    Utility(Arc<Statement>),
}

/// A direct call.
#[derive(Debug)]
pub(crate) struct ProcedureCall {
    pub procedure: Arc<CompiledProcedure>,
    /// EXECUTE, where not everybody has it.
    pub rights: Option<Box<Rights>>,
    /// Its object id and version, for the log.
    pub function: u32,
    pub function_version: u32,
}

impl Prepared {
    /// The parameters' types.
    pub fn parameters(&self) -> &[TypeId] {
        &self.inner.bound.parameters
    }

    /// The result's columns; none when it gives no rows.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.inner.bound.columns
    }

    /// The statement's text.
    pub fn text(&self) -> &str {
        self.inner.parsed.text()
    }

    /// Which way the rows of COPY go, in which format, and of which columns; `None` for other statements.
    pub fn copy(&self) -> Option<&CopyRows> {
        match &self.inner.bound.code {
            Code::Copy(code) => Some(&code.copy.rows),
            _ => None,
        }
    }

    /// Whether it is BEGIN, COMMIT, ROLLBACK or their kin: allowed in a failed transaction.
    pub fn ends_transaction(&self) -> bool {
        use tuplix_sql::plan::TransactionStatement as T;
        matches!(&self.inner.bound.code, Code::Utility(statement) if matches!(
            statement.kind,
            StatementKind::Transaction(T::Commit { .. } | T::Rollback { .. } | T::RollbackTo(_))
        ))
    }
}

/// A commit that may still be on its way to the disk.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'n> {
    pub(crate) log: &'n Log,
    pub(crate) epoch: u64,
}

impl Commit<'_> {
    /// Whether it is on disk, or need not be.
    #[inline]
    pub fn is_durable(&self) -> bool {
        self.epoch <= self.log.durable_epoch()
    }

    /// Waits until it is on disk.
    ///
    /// # Errors
    /// The log's error when it stopped: whether the transaction survives is unknown until the node has recovered.
    pub fn wait(&self) -> Result<()> {
        if self.is_durable() { Ok(()) } else { self.log.wait_durable(self.epoch) }
    }

    /// What to wait for, 0 for nothing: for who keeps it beyond the session's next call.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}
