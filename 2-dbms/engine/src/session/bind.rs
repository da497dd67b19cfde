//! Preparing: from a parsed statement to code, and again when the catalogue changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tuplix_sql::plan::{ExprKind, OutputColumn, Query, QueryBody, Statement, StatementKind};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{CopyCode, Session, shift_position};
use crate::bind::Binder;
use crate::exec::{Rights, compile_statement};
use crate::plans::Counter;
use crate::statement::{Bound, Code, Inner, Parsed, Prepared, ProcedureCall};
use crate::user_types::may_hold_labels;

impl Session {
    /// Prepares a statement of a text that [`Session::parse`] gave.
    ///
    /// # Errors
    /// What analysing and compiling find; a transaction block has failed then.
    pub fn prepare_parsed(&mut self, parsed: &Parsed, types: &[TypeId]) -> Result<Prepared> {
        self.services.refresh();
        let search_path = self.services.usable_path();
        match self.bind_when_free(parsed, types, &search_path) {
            Ok(bound) => {
                self.next_prepared += 1;
                let (parsed, given) = (parsed.clone(), types.to_vec());
                let registration = self.node.plans.reserve(&bound.code);
                let counter = Counter::default();
                let id = self.next_prepared;
                let version = AtomicU64::new(bound.version);
                let inner = Inner { id, parsed, given, search_path, bound, version, counter, registration };
                let inner = Arc::new(inner);
                self.node.plans.put(&inner);
                Ok(Prepared { inner })
            }
            Err(error) => {
                self.fail_block();
                Err(shift_position(self.services.named(error), parsed.first_character))
            }
        }
    }

    /// Binds once nobody is changing the statement's tables.
    fn bind_when_free(&mut self, parsed: &Parsed, types: &[TypeId], search_path: &[String]) -> Result<Bound> {
        self.start_deadline();
        loop {
            let bound = self.bind(parsed, types, search_path)?;
            let holder = match &bound.code {
                Code::Query(query) => query.locked_by(),
                Code::Copy(copy) => copy.statement.locked_by(),
                Code::Call(_) | Code::Utility(_) => None,
            };
            match holder {
                Some(holder) => self.wait_for_lock(holder)?,
                None => return Ok(bound),
            }
        }
    }

    /// A binder with the session's settings.
    pub(super) fn binder<'s>(&self, schema: &'s crate::node::Schema, path: &'s [String]) -> Binder<'s> {
        self.services.binder(schema, path)
    }

    pub(super) fn bind(&self, parsed: &Parsed, types: &[TypeId], search_path: &[String]) -> Result<Bound> {
        self.services.refresh();
        let schema = self.services.schema();
        let binder = self.binder(&schema, search_path);
        let types: Vec<TypeId> =
            types.iter().map(|ty| if ty.0 == 0 { TypeId::UNKNOWN } else { *ty }).collect();
        // In a failed block it does not matter whether a statement means anything.
        let failed = self.block.as_ref().is_some_and(|block| block.failed);
        let analyzed = binder.analyze(&parsed.statement, &types);
        let statement = analyzed.map_err(|error| if failed { in_failed_block() } else { error })?;
        self.refuse_in_failed_block(&statement)?;
        let parameters: Arc<[TypeId]> = statement.parameters.as_slice().into();
        let bound = |code, columns: &[OutputColumn]| Bound {
            version: schema.version,
            parameters: parameters.clone(),
            columns: columns.iter().map(|column| outside(&schema.catalog, column)).collect(),
            code,
            user_parameters: parameters.iter().any(|ty| ty.is_user()),
            user_columns: columns.iter().any(|column| may_hold_labels(column.ty)),
            bound_to: binder.bound_to(),
        };
        if let StatementKind::Query(query) = &statement.kind {
            if let Some(call) = self.direct_call(query, &statement)? {
                let bound_to = call.procedure.bound_to;
                let bound = bound(Code::Call(Arc::new(call)), &query.columns);
                return Ok(Bound { bound_to, ..bound });
            }
            let compiled = binder.with_compiler(|compiler| compile_statement(compiler, &statement))?;
            let columns = compiled.columns().to_vec();
            return Ok(bound(Code::Query(Arc::new(compiled)), &columns));
        }
        if let StatementKind::Copy(copy) = &statement.kind {
            let compiled = binder.with_compiler(|compiler| compile_statement(compiler, &copy.statement))?;
            let columns = compiled.columns().to_vec();
            let code = CopyCode { copy: copy.as_ref().clone(), statement: compiled };
            return Ok(bound(Code::Copy(Arc::new(code)), &columns));
        }
        let columns = super::utility::columns(&statement, &self.services)?;
        Ok(bound(Code::Utility(Arc::new(statement)), &columns))
    }

    /// The code to run now: bound again when the catalogue has changed.
    pub(super) fn current(&mut self, prepared: &Prepared) -> Result<Bound> {
        let inner = &prepared.inner;
        if let Some(bound) = self.rebound.get(&inner.id)
            && bound.version == self.services.current_version()
            && self.services.fits(bound.bound_to)
        {
            return Ok(bound.clone());
        }
        self.services.refresh();
        let search_path = self.services.with_temporary(inner.search_path.clone());
        let bound = self.bind(&inner.parsed, &inner.given, &search_path)?;
        let same_shape = bound.columns.iter().map(|column| column.ty).eq(inner
            .bound
            .columns
            .iter()
            .map(|column| column.ty));
        if !same_shape {
            let message = "cached plan must not change result type";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        self.rebound.insert(inner.id, bound.clone());
        Ok(bound)
    }

    /// Binds a statement again when its tables have outgrown its plan; asked once in a while.
    pub(super) fn outgrown(
        &mut self,
        prepared: &Prepared,
        bound: &Bound,
        now_ns: u64,
    ) -> Result<Option<Bound>> {
        let (planned, procedure) = match &bound.code {
            Code::Query(query) => (&query.planned, None),
            Code::Call(call) => (&call.procedure.planned, Some(call.function)),
            Code::Copy(_) | Code::Utility(_) => return Ok(None),
        };
        // What it calls is looked up at each call.
        let is_outgrown = self.services.with_layout(|layout| {
            self.node.procedures.lock().forget_outgrown(layout, now_ns);
            planned.is_outgrown(layout, now_ns)
        });
        if !is_outgrown {
            return Ok(None);
        }
        if let Some(function) = procedure {
            self.node.procedures.lock().remove(tuplix_catalog::FunctionId(function));
        }
        prepared.inner.version.store(0, Ordering::Relaxed);
        self.rebound.remove(&prepared.inner.id);
        self.current(prepared).map(Some)
    }

    fn refuse_in_failed_block(&self, statement: &Statement) -> Result<()> {
        use tuplix_sql::plan::TransactionStatement as T;
        let failed = self.block.as_ref().is_some_and(|block| block.failed);
        let ends = matches!(
            statement.kind,
            StatementKind::Transaction(T::Commit { .. } | T::Rollback { .. } | T::RollbackTo(_))
        );
        if failed && !ends { Err(in_failed_block()) } else { Ok(()) }
    }

    /// `SELECT f($1, $2, ...)` of one scalar function, parameters in order and nothing else: the shape in which clients
    /// call procedures needs no query around the call.
    fn direct_call(&self, query: &Query, statement: &Statement) -> Result<Option<ProcedureCall>> {
        let QueryBody::Select(select) = &query.body else { return Ok(None) };
        let plain = query.ctes.is_empty()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && select.from.is_empty()
            && select.filter.is_none()
            && select.having.is_none()
            && !select.grouped
            && select.windows.is_empty()
            && select.targets.len() == 1;
        if !plain {
            return Ok(None);
        }
        let ExprKind::UserCall { function, arguments } = &select.targets[0].kind else { return Ok(None) };
        let in_order = arguments
            .iter()
            .enumerate()
            .all(|(number, argument)| matches!(argument.kind, ExprKind::Parameter(parameter) if parameter == number));
        let schema = self.services.schema();
        let Some(definition) = schema.catalog.function(*function) else { return Ok(None) };
        if !in_order
            || function.is_special()
            || definition.returns_set
            || definition.strict
            || query.columns.len() != 1
        {
            return Ok(None);
        }
        let rights = Rights::of_query(&schema.catalog, &statement.relations, query);
        let procedure = self.services.compiled_function(*function)?;
        let function_version = definition.version;
        Ok(Some(ProcedureCall { procedure, rights, function: function.0, function_version }))
    }
}

/// A column as clients see it: a domain's values are of its base type to them.
fn outside(catalog: &tuplix_catalog::Catalog, column: &OutputColumn) -> OutputColumn {
    if !column.ty.is_domain() {
        return column.clone();
    }
    let (ty, typmod) = catalog.base_type(column.ty, column.typmod);
    OutputColumn { name: column.name.clone(), ty, typmod }
}

pub(super) fn in_failed_block() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(sqlstate::IN_FAILED_SQL_TRANSACTION, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tuplix_machine::Machine;
    use tuplix_types::Rows;

    use super::super::SessionOptions;
    use super::*;
    use crate::{Shape, open_in_memory};

    fn path(bound: &Bound) -> String {
        let Code::Query(query) = &bound.code else { panic!("not a query") };
        query.explain().into_iter().map(|node| node.line).collect::<Vec<_>>().join("; ")
    }

    /// A statement prepared over an empty table gets the plan of the full one, and a key's look-up has nothing to choose.
    #[test]
    fn plans_follow_the_data() {
        let shape = Shape { partitions: 2, buckets: 8, log_segment_bytes: 64 << 20 };
        let node = open_in_memory(&Machine::linux_seeded(1), &shape).unwrap();
        let mut session = Session::new(&node, &SessionOptions::default()).unwrap();
        session.execute("CREATE TABLE t (id int PRIMARY KEY, v int); CREATE INDEX t_v ON t (v)").unwrap();
        let prepared = session.prepare("SELECT count(*) FROM t WHERE v = 1", &[]).unwrap();
        let key = session.prepare("SELECT v FROM t WHERE id = 1", &[]).unwrap();
        assert!(path(&prepared.inner.bound).contains("t_v"));
        session.execute("INSERT INTO t SELECT i, 1 FROM generate_series(1, 20000) i").unwrap();
        let mut rows = Rows::new();
        let began = node.machine().monotonic_ns();
        // Looked at once in 64 calls, and not in the first tenth of a second.
        while node.machine().monotonic_ns() < began + 300_000_000 {
            session.call(&prepared, &[], &mut rows).unwrap();
            assert_eq!(rows.get(0, 0), Some(&tuplix_types::Value::Int8(20_000)));
        }
        assert!(path(&session.current(&prepared).unwrap()).contains("Seq Scan"));
        let Code::Query(query) = &key.inner.bound.code else { panic!("not a query") };
        assert_eq!(format!("{:?}", query.planned), format!("{:?}", crate::exec::Planned::default()));
    }
}
