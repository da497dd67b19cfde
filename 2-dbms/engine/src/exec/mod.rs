//! The executor: typed plans and procedures become closures once; running them neither parses, plans nor looks up names.
//!
//! ```text
//!   plan::Query ──builder──> operators (rows) and expressions (code) over slots of a frame
//!     from, access_path, table      which relation first, which index, which bucket
//!     scan, join, source, cte       operators that give rows
//!     aggregate, sort, set_operation, subquery, query
//!     insert, update, constraint    operators that change rows
//!     hooks, events, trigger, foreign_key    what else a change does, now and when its statement ends
//!     expression, expression_more, fast, subquery    closures that give values
//!   plan::Procedure ──procedure──> closures over the same frame
//! ```
//!
//! Operators push: each calls the next one per row ([`rows`]). All values live in slots ([`frame`]).

mod access_path;
mod aggregate;
mod assign_part;
mod builder;
mod change_view;
mod code;
mod columnar;
mod compare;
mod constraint;
mod cost;
mod cte;
mod current_of;
mod deferred;
mod domain_check;
mod events;
mod explain;
mod expression;
mod expression_more;
mod fast;
mod foreign_key;
mod frame;
mod from;
mod hash_table;
mod hooks;
mod host;
mod insert;
mod join;
mod join_order;
mod kept;
mod measured;
mod membership;
mod merge;
mod numbers;
mod ordered_set;
mod populate;
mod procedure;
mod query;
mod rights;
mod row_program;
mod rows;
mod scan;
mod set_operation;
mod sort;
mod source;
mod subquery;
mod table;
#[cfg(test)]
mod tests;
mod trigger;
mod update;
mod view_check;
mod walk;
mod window;

use tuplix_sql::plan::{CursorPlaces, Ddl, OutputColumn, QueryBody, Statement, StatementKind};
use tuplix_types::{Result, SqlError, Value};

pub use builder::{BindCondition, BindExpression, CompileContext};
pub(crate) use constraint::columns_read;
pub(crate) use deferred::{ConstraintModes, Deferred, check_deferred, refuse_pending, run_deferred};
pub(crate) use foreign_key::{child_error, match_full_error, parent_bucket, parent_key};
pub use frame::{Exec, FrameStack};
pub(crate) use frame::{RowSet, discard};
pub(crate) use host::{argument, from_text};
pub use procedure::CompiledProcedure;
pub(crate) use procedure::{Source, compile_procedure};
pub(crate) use rights::{Refused, Rights, relation_kind};
pub(crate) use row_program::{ColumnSource, RowProgram, compile_rows};
pub(crate) use trigger::{Transition, fire_truncate};

use builder::Builder;
#[cfg(test)]
pub(crate) use cost::Planned;
use explain::Explain;
pub(crate) use explain::PlanNode;
use frame::Flow;
use query::QueryCode;
use walk::Facts;

use crate::lock_table::TransactionId;
use crate::stop::Run;

/// Visits an expression and everything in it.
pub(crate) fn visit_expr(expr: &tuplix_sql::plan::Expr, visit: &mut dyn FnMut(&tuplix_sql::plan::Expr)) {
    walk::expr(expr, &mut |node| {
        if let walk::Node::Expr(expr) = node {
            visit(expr);
        }
    });
}

/// Visits all expressions of a query.
pub(crate) fn visit_query(query: &tuplix_sql::plan::Query, visit: &mut dyn FnMut(&tuplix_sql::plan::Expr)) {
    walk::query(query, &mut |node| {
        if let walk::Node::Expr(expr) = node {
            visit(expr);
        }
    });
}

/// What a statement did, for its command tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// SELECT and VALUES.
    Select,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// MERGE
    Merge,
}

impl Tag {
    /// The command tag's word.
    pub fn command(self) -> &'static str {
        match self {
            Tag::Select => "SELECT",
            Tag::Insert => "INSERT",
            Tag::Update => "UPDATE",
            Tag::Delete => "DELETE",
            Tag::Merge => "MERGE",
        }
    }
}

/// What a statement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Rows given by a SELECT, changed by the others.
    pub rows: u64,
    /// Which statement it was.
    pub tag: Tag,
}

/// A statement ready to run, any number of times and by any number of threads.
pub struct CompiledStatement {
    code: StatementCode,
    columns: Vec<OutputColumn>,
    slots: usize,
    states: usize,
    /// A query of one row at most.
    single: bool,
    tag: Tag,
    writes: bool,
    /// All that it reads are rows by unique keys.
    by_keys: bool,
    /// Who was changing one of its tables when it was compiled.
    locked_by: Option<TransactionId>,
    /// What it asks of who runs it.
    rights: Option<Box<Rights>>,
    /// What its plan was chosen for.
    pub(crate) planned: cost::Planned,
    /// Of a cursor's query that was bound as such: what of its columns is for WHERE CURRENT OF.
    pub(crate) places: Option<Box<CursorPlaces>>,
}

enum StatementCode {
    Query(QueryCode),
    Ddl(Box<Ddl>),
}

/// Compiles a SELECT, VALUES, INSERT, UPDATE or DELETE, or DDL.
///
/// # Errors
/// 0A000 for what the executor lacks; what binding CHECKs finds.
pub fn compile_statement(context: &CompileContext<'_>, statement: &Statement) -> Result<CompiledStatement> {
    if let StatementKind::Ddl(ddl) = &statement.kind {
        if matches!(&**ddl, Ddl::Analyze(statement) if statement.vacuum) {
            let message = "VACUUM cannot be executed from a function";
            return Err(SqlError::new(tuplix_types::sqlstate::ACTIVE_SQL_TRANSACTION, message));
        }
        let code = StatementCode::Ddl(ddl.clone());
        return Ok(CompiledStatement {
            code,
            columns: Vec::new(),
            slots: 0,
            states: 0,
            single: false,
            tag: Tag::Select,
            writes: true,
            by_keys: false,
            locked_by: None,
            rights: None,
            planned: cost::Planned::default(),
            places: None,
        });
    }
    let StatementKind::Query(query) = &statement.kind else {
        return Err(SqlError::unsupported("a utility statement in EXECUTE"));
    };
    let mut builder = Builder::new(context);
    builder.slots(statement.parameters.len());
    let facts = Facts::of_query(query);
    let (mut code, ..) = builder.statement(&statement.relations, &facts, |builder| builder.query(query))?;
    if builder.fires {
        code.rows = events::Fire::around(code.rows);
    }
    let (slots, states) = builder.window();
    Ok(CompiledStatement {
        single: code.is_single(),
        code: StatementCode::Query(code),
        columns: query.columns.clone(),
        slots,
        states,
        tag: tag_of(&query.body),
        writes: walk::writes(query),
        by_keys: !builder.reads_more && !builder.fires,
        locked_by: builder.locked_by.get(),
        rights: Rights::of_query(context.catalog, &statement.relations, query),
        planned: builder.asked.planned(context.layout),
        places: None,
    })
}

fn tag_of(body: &QueryBody) -> Tag {
    match body {
        QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => Tag::Select,
        QueryBody::Insert(_) => Tag::Insert,
        QueryBody::Update(_) => Tag::Update,
        QueryBody::Delete(_) => Tag::Delete,
        QueryBody::Merge(_) => Tag::Merge,
    }
}

impl CompiledStatement {
    /// The columns of its rows; none for a change without RETURNING.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// Who was changing one of its tables when it was compiled: it may look otherwise once that one has ended.
    pub(crate) fn locked_by(&self) -> Option<TransactionId> {
        self.locked_by
    }

    /// Whether the current role may run it.
    ///
    /// # Errors
    /// 42501
    pub(crate) fn check_rights(&self, services: &crate::services::Services) -> Result<()> {
        self.rights.as_ref().map_or(Ok(()), |rights| rights.check_for(services))
    }

    /// The same without asking anything of who runs it: the statement is the engine's own.
    pub(crate) fn trusted(self) -> CompiledStatement {
        CompiledStatement { rights: None, ..self }
    }

    /// Whether all that it reads are rows by unique keys.
    #[inline]
    pub(crate) fn is_by_keys(&self) -> bool {
        self.by_keys
    }

    /// Whether it goes to one row by its key, or adds one.
    pub(crate) fn is_one_row_by_key(&self) -> bool {
        self.by_keys && self.single
    }

    /// Whether it changes rows. A function that it calls may do so whatever this says.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// Runs it and gives each row to `sink`.
    ///
    /// # Errors
    /// The statement's, and those of `sink`.
    pub fn run(
        &self,
        exec: &mut Exec<'_, '_>,
        parameters: &[Value],
        sink: &mut dyn FnMut(&[Value]) -> Run<()>,
    ) -> Run<Outcome> {
        let code = match &self.code {
            StatementCode::Query(code) => code,
            StatementCode::Ddl(ddl) => {
                let tag = crate::ddl::execute(exec.tx, ddl, parameters)?;
                return Ok(Outcome { rows: tag.rows.unwrap_or(0), tag: self.tag });
            }
        };
        exec.check_depth()?;
        if let Some(rights) = &self.rights {
            rights.check(exec)?;
        }
        let window = exec.enter_with(parameters, self.slots, self.slots, self.states);
        let mut rows = 0;
        exec.affected = 0;
        let result = if self.single {
            code.one(exec).and_then(|found| {
                rows = u64::from(found);
                if found { sink(exec.slots(code.first, code.width)) } else { Ok(()) }
            })
        } else {
            let each = &mut |exec: &mut Exec<'_, '_>| {
                rows += 1;
                sink(exec.slots(code.first, code.width))?;
                Ok(Flow::Continue)
            };
            code.run(exec, each).map(|_| ())
        };
        exec.leave(window);
        result?;
        Ok(Outcome { rows: if self.tag == Tag::Select { rows } else { exec.affected }, tag: self.tag })
    }

    /// How it runs, as EXPLAIN shows it.
    pub(crate) fn explain(&self) -> Vec<PlanNode> {
        let mut out = Explain::default();
        if let StatementCode::Query(code) = &self.code {
            code.explain(&mut out);
        }
        out.finish()
    }
}

impl std::fmt::Debug for CompiledStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompiledStatement({:?}, {} slots)", self.tag, self.slots)
    }
}
