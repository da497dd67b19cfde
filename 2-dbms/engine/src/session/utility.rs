//! Statements that are interpreted: transaction control, settings, DDL, EXPLAIN, PREPARE, LISTEN, CALL, DO.

use tuplix_catalog::{RoleId, TriggerTiming};
use tuplix_sql::plan::{
    Ddl, Expr, ExprKind, OutputColumn, Query, QueryBody, SettingStatement, Statement, StatementKind,
};
use tuplix_types::{Result, Rows, SqlError, Tag, TypeId, Value, sqlstate};

use super::bind::in_failed_block;
use super::{Session, TransactionStatus};
use crate::ddl;
use crate::exec::{CompiledStatement, Exec, Rights, compile_statement};
use crate::redo::Origin;
use crate::services::{PreparedInfo, Services};
use crate::settings::Settings;
use crate::statement::{Bound, Code, Prepared};
use crate::stop::{Run, Stop};
use crate::user_types::may_hold_labels;

fn text_column(name: &str) -> OutputColumn {
    OutputColumn { name: name.to_owned(), ty: TypeId::TEXT, typmod: -1 }
}

/// The columns of a utility statement's result.
///
/// # Errors
/// 42883 and its kin when what it calls is not there.
pub(super) fn columns(statement: &Statement, services: &Services) -> Result<Vec<OutputColumn>> {
    Ok(match &statement.kind {
        StatementKind::Setting(SettingStatement::Show(name)) if name == "all" => {
            vec![text_column("name"), text_column("setting"), text_column("description")]
        }
        StatementKind::Setting(SettingStatement::Show(name)) => vec![text_column(name)],
        StatementKind::Explain { options, .. } => {
            let column = text_column("QUERY PLAN");
            vec![if super::plan_text::is_json(options) {
                OutputColumn { ty: TypeId::JSON, ..column }
            } else {
                column
            }]
        }
        StatementKind::FetchCursor { name, is_move: false, .. } => {
            let portals = services.portals.borrow();
            portals.get(name).map(|portal| portal.columns.to_vec()).unwrap_or_default()
        }
        StatementKind::Call { function, .. } => {
            let schema = services.schema();
            let outputs = schema.catalog.function(*function).map(|definition| {
                let column = |output: &tuplix_catalog::ArgumentDef| {
                    let (ty, typmod) = schema.catalog.base_type(output.ty, -1);
                    OutputColumn { name: output.name.clone(), ty, typmod }
                };
                definition.outputs().map(column).collect()
            });
            outputs.unwrap_or_default()
        }
        _ => Vec::new(),
    })
}

impl Session {
    pub(super) fn call_utility(
        &mut self,
        prepared: &Prepared,
        statement: &Statement,
        version: u64,
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        if let StatementKind::Transaction(control) = &statement.kind {
            return self.control(control, out);
        }
        if self.transaction_status() == TransactionStatus::Failed {
            return Err(in_failed_block());
        }
        out.columns = columns(statement, &self.services)?.into();
        let tag = |command| Tag { command, rows: None };
        match &statement.kind {
            StatementKind::Ddl(change) => {
                return self.run_ddl(prepared, (change, version), arguments, out);
            }
            StatementKind::Setting(setting) => out.tag = self.setting_statement(setting, out)?,
            StatementKind::Explain { analyze, options, statement } => {
                return self.explain(*analyze, options, statement, out);
            }
            StatementKind::Call { function, arguments: given } => {
                let plain = |expr: &Expr| matches!(expr.kind, ExprKind::Constant(_) | ExprKind::Parameter(_));
                if given.iter().all(plain) {
                    let values = evaluate(given, arguments)?;
                    return self.call_procedure(*function, &Given::Values(values), out);
                }
                let row = arguments_row(statement, given);
                return self.call_procedure(*function, &Given::Row(row, arguments.to_vec()), out);
            }
            StatementKind::Do { body } => return self.run_do(body, out),
            StatementKind::Checkpoint => {
                let what = "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT";
                self.services.require_rights_of(RoleId::CHECKPOINT, what)?;
                self.node.checkpoint()?;
                out.tag = tag("CHECKPOINT");
            }
            StatementKind::Listen(channel) => {
                self.node.listeners.listen(self.id(), channel);
                out.tag = tag("LISTEN");
            }
            StatementKind::Unlisten(channel) => {
                self.node.listeners.unlisten(self.id(), channel.as_deref());
                out.tag = tag("UNLISTEN");
            }
            StatementKind::SetConstraints { names, deferred } => {
                self.set_constraints(names.as_deref(), *deferred)?;
                out.tag = tag("SET CONSTRAINTS");
            }
            StatementKind::Notify(channel, payload) => {
                let (channel, payload) = (channel.clone(), payload.clone());
                match &mut self.block {
                    Some(block) => block.notifications.push((channel, payload)),
                    None => self.node.listeners.deliver(self.id(), std::iter::once((channel, payload))),
                }
                out.tag = tag("NOTIFY");
            }
            StatementKind::Prepare { name, types, text } => {
                if self.named.contains_key(name) {
                    let message = format!("prepared statement \"{name}\" already exists");
                    return Err(SqlError::new(sqlstate::DUPLICATE_PREPARED_STATEMENT, message));
                }
                let prepared = self.prepare(text, types)?;
                let info = PreparedInfo {
                    text: prepared.text().to_owned(),
                    parameters: prepared.parameters().to_vec(),
                    time_us: self.node.machine().now_us(),
                };
                self.services.prepared.borrow_mut().insert(name.clone(), info);
                self.named.insert(name.clone(), prepared);
                out.tag = tag("PREPARE");
            }
            StatementKind::Execute { name, arguments: given } => {
                let Some(prepared) = self.named.get(name).cloned() else {
                    return Err(no_such_statement(name));
                };
                let values = evaluate(given, arguments)?;
                let values = coerce_arguments(&values, given, prepared.parameters(), name)?;
                return self.call_statement(&prepared, &values, out);
            }
            StatementKind::Deallocate(Some(name)) => {
                if self.named.remove(name).is_none() {
                    return Err(no_such_statement(name));
                }
                self.services.prepared.borrow_mut().remove(name);
                out.tag = tag("DEALLOCATE");
            }
            StatementKind::Deallocate(None) => {
                self.named.clear();
                self.services.prepared.borrow_mut().clear();
                out.tag = tag("DEALLOCATE ALL");
            }
            StatementKind::DeclareCursor(declare) => return self.declare_cursor(declare, arguments, out),
            StatementKind::FetchCursor { name, by, is_move } => {
                out.tag = self.fetch_cursor(name, *by, *is_move, out)?;
            }
            StatementKind::CloseCursor(name) => out.tag = self.close_cursor(name.as_deref())?,
            StatementKind::DiscardAll => {
                self.services.portals.borrow_mut().close_all();
                self.named.clear();
                self.services.prepared.borrow_mut().clear();
                self.services.sequences.borrow_mut().clear();
                self.node.listeners.unlisten(self.id(), None);
                self.free_all_session_locks();
                self.drop_temporary()?;
                self.services.assign("session_authorization", None, false, false)?;
                self.services.settings.borrow_mut().reset(None, false)?;
                self.refresh_settings();
                out.tag = tag("DISCARD ALL");
            }
            StatementKind::DiscardTemporary => {
                self.drop_temporary()?;
                out.tag = tag("DISCARD TEMP");
            }
            StatementKind::Query(_) | StatementKind::Copy(_) | StatementKind::Transaction(_) => {
                return Err(SqlError::internal("a query is not a utility statement"));
            }
        }
        Ok(0)
    }

    /// Runs a change of the catalogue that was bound to a version of it.
    fn run_ddl(
        &mut self,
        prepared: &Prepared,
        (change, mut version): (&Ddl, u64),
        arguments: &[Value],
        out: &mut Rows,
    ) -> Result<u64> {
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        if let (Some(what), true) = (change.outside_blocks(), self.block.is_some()) {
            let message = format!("{what} cannot run inside a transaction block");
            return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
        }
        if let (Ddl::Lock(_), None) = (change, &self.block) {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        if self.block.is_none() {
            self.open_own_block();
        }
        let mut rebound = None;
        loop {
            if self.services.current_version() != version {
                // A query in it reads columns by their places.
                let bound = self.current(prepared)?;
                version = bound.version;
                rebound = Some(bound);
            }
            let change = rebound.as_ref().and_then(ddl_of).unwrap_or(change);
            let run = |exec: &mut crate::exec::Exec<'_, '_>, _: &mut Rows| {
                crate::exec::fire_truncate(exec, change, TriggerTiming::Before)?;
                let tag = ddl::execute(exec.tx, change, arguments)?;
                crate::exec::fire_truncate(exec, change, TriggerTiming::After)?;
                Ok(tag)
            };
            let outcome = self.run_once(version, &origin, run, out);
            match outcome {
                Ok((tag, committed)) => {
                    out.tag = tag;
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }

    fn setting_statement(&mut self, setting: &SettingStatement, out: &mut Rows) -> Result<Tag> {
        let in_block = self.block.is_some();
        let command = match setting {
            SettingStatement::Set { name, values, local } => {
                if *local && !in_block {
                    self.notices.push(
                        SqlError::new(
                            sqlstate::NO_ACTIVE_SQL_TRANSACTION,
                            "SET LOCAL can only be used in transaction blocks",
                        )
                        .severity(tuplix_types::Severity::Warning),
                    );
                    return Ok(Tag { command: "SET", rows: None });
                }
                let text = Settings::listed(name, values);
                self.services.assign(name, Some(&text), *local, in_block)?;
                "SET"
            }
            SettingStatement::Reset(Some(name)) => {
                self.services.assign(name, None, false, in_block)?;
                "RESET"
            }
            SettingStatement::Reset(None) => {
                self.services.settings.borrow_mut().reset(None, in_block)?;
                "RESET"
            }
            SettingStatement::Show(name) if name == "all" => {
                for (name, value) in self.services.settings.borrow().all() {
                    out.push(&[Value::text(name), Value::text(value), Value::text("")]);
                }
                "SHOW"
            }
            SettingStatement::Show(name) => {
                let value = self.services.settings.borrow().show(name)?.to_owned();
                out.push(&[Value::text(value)]);
                "SHOW"
            }
        };
        self.refresh_settings();
        Ok(Tag { command, rows: None })
    }

    fn call_procedure(
        &mut self,
        function: tuplix_catalog::FunctionId,
        given: &Given,
        out: &mut Rows,
    ) -> Result<u64> {
        loop {
            self.services.refresh();
            let schema = self.services.schema();
            if let Some(rights) = Rights::of_call(&schema.catalog, &[], function, &[]) {
                rights.check_for(&self.services)?;
            }
            let version = schema.catalog.function(function).map_or(0, |definition| definition.version);
            let compiled = self.services.compiled_function(function)?;
            let origin = Origin { context: self.context.id(), procedure: function.0, version };
            let path = self.services.search_path();
            let row = match given {
                Given::Values(_) => None,
                Given::Row(row, _) => {
                    let binder = self.binder(&schema, &path);
                    Some(binder.with_compiler(|compiler| compile_statement(compiler, row))?)
                }
            };
            let has_outputs = !out.columns.is_empty();
            let labels = out.columns.iter().any(|column| may_hold_labels(column.ty));
            let outcome = self.run_once(
                schema.version,
                &origin,
                |exec, rows| {
                    let values = given.values(exec, row.as_ref())?;
                    compiled.call(exec, &values, &mut |row| {
                        if has_outputs {
                            rows.push(row);
                        }
                        Ok(())
                    })?;
                    if labels {
                        exec.services.with_catalog(|catalog| super::run::label_rows(catalog, rows));
                    }
                    Ok(())
                },
                out,
            );
            match outcome {
                Ok(((), committed)) => {
                    out.tag = Tag { command: "CALL", rows: None };
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => out.clear(),
            }
        }
    }

    fn run_do(&mut self, body: &str, out: &mut Rows) -> Result<u64> {
        let origin = Origin { context: self.context.id(), procedure: 0, version: 0 };
        loop {
            self.services.refresh();
            let schema = self.services.schema();
            let compiled = self.services.compile_do(&schema, body)?;
            let run = |exec: &mut crate::exec::Exec<'_, '_>, _: &mut Rows| {
                compiled.call(exec, &[], &mut |_| Ok(()))
            };
            match self.run_once(schema.version, &origin, run, out) {
                Ok(((), committed)) => {
                    out.tag = Tag { command: "DO", rows: None };
                    return Ok(committed.epoch);
                }
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Restart) => {}
            }
        }
    }
}

fn ddl_of(bound: &Bound) -> Option<&Ddl> {
    match &bound.code {
        Code::Utility(statement) => match &statement.kind {
            StatementKind::Ddl(change) => Some(change),
            _ => None,
        },
        _ => None,
    }
}

/// The arguments of CALL.
enum Given {
    /// Constants and parameters.
    Values(Vec<Value>),
    /// Expressions, as a query of one row, with its parameters.
    Row(Statement, Vec<Value>),
}

impl Given {
    fn values(&self, exec: &mut Exec<'_, '_>, row: Option<&CompiledStatement>) -> Run<Vec<Value>> {
        match (self, row) {
            (Given::Row(_, parameters), Some(row)) => {
                let mut values = Vec::new();
                row.run(exec, parameters, &mut |row| {
                    values = row.to_vec();
                    Ok(())
                })?;
                Ok(values)
            }
            (Given::Row(..), None) => Err(SqlError::internal("arguments that were not compiled").into()),
            (Given::Values(values), _) => Ok(values.clone()),
        }
    }
}

/// `VALUES (arguments)`
fn arguments_row(call: &Statement, given: &[Expr]) -> Statement {
    let column = |expr: &Expr| OutputColumn { name: String::new(), ty: expr.ty, typmod: expr.typmod };
    let columns = given.iter().map(column).collect();
    let query = Query::plain(QueryBody::Values(vec![given.to_vec()]), columns);
    Statement { kind: StatementKind::Query(Box::new(query)), ..call.clone() }
}

pub(super) fn no_such_statement(name: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_SQL_STATEMENT_NAME,
        format!("prepared statement \"{name}\" does not exist"),
    )
}

/// The values of constants and parameters, the arguments that CALL and EXECUTE take.
pub(super) fn evaluate(given: &[Expr], parameters: &[Value]) -> Result<Vec<Value>> {
    let value =
        |expr: &Expr| match &expr.kind {
            ExprKind::Constant(value) => Ok(value.clone()),
            ExprKind::Parameter(number) => Ok(parameters.get(*number).cloned().unwrap_or_default()),
            _ => Err(SqlError::unsupported("an argument that is neither a constant nor a parameter")
                .at(expr.position)),
        };
    given.iter().map(value).collect()
}

/// EXECUTE's arguments as the statement's parameter types.
fn coerce_arguments(values: &[Value], given: &[Expr], types: &[TypeId], name: &str) -> Result<Vec<Value>> {
    if values.len() != types.len() {
        let message = format!("wrong number of parameters for prepared statement \"{name}\"");
        let detail = format!("Expected {} parameters but got {}.", types.len(), values.len());
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).detail(detail));
    }
    let context = tuplix_types::text_io::IoContext::default();
    let coerced = values.iter().zip(given).zip(types).map(|((value, expr), ty)| {
        if value.is_null() || expr.ty == *ty {
            return Ok(value.clone());
        }
        let text = tuplix_types::text_io::to_text(expr.ty, value, &context);
        tuplix_types::text_io::parse_text(*ty, -1, &text, &context)
    });
    coerced.collect()
}
