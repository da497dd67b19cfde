//! Statements beside queries and DDL: transactions, settings, EXPLAIN, CALL, DO, LISTEN, PREPARE.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    CallStmt, DefElem, DiscardMode, DoStmt, ExecuteStmt, ExplainStmt, Node, PrepareStmt, TransactionStmt,
    TransactionStmtKind, VariableSetKind, VariableSetStmt, a_const,
};
use tuplix_catalog::{ArgumentMode, FunctionId};
use tuplix_functions::{CallShape, Callee};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::Clause;
use super::{Analyzer, nodes, text};
use crate::plan::{
    Expr, FunctionSetting, Isolation, SettingStatement, Statement, StatementKind, TransactionModes,
    TransactionStatement,
};

impl Analyzer<'_> {
    /// A statement that is neither query nor DDL.
    pub(super) fn utility(&mut self, node: &NodeEnum) -> Result<StatementKind> {
        Ok(match node {
            NodeEnum::TransactionStmt(stmt) => StatementKind::Transaction(self.transaction(stmt)?),
            NodeEnum::VariableSetStmt(stmt) => self.set(stmt)?,
            NodeEnum::VariableShowStmt(stmt) => {
                StatementKind::Setting(SettingStatement::Show(stmt.name.clone()))
            }
            NodeEnum::ExplainStmt(stmt) => self.explain(stmt)?,
            NodeEnum::CallStmt(stmt) => self.call_procedure(stmt)?,
            NodeEnum::DoStmt(stmt) => self.do_block(stmt)?,
            NodeEnum::ConstraintsSetStmt(stmt) => {
                let mut names = Vec::with_capacity(stmt.constraints.len());
                for node in &stmt.constraints {
                    let NodeEnum::RangeVar(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
                    names.push(self.qualified_name(name)?);
                }
                let names = (!names.is_empty()).then_some(names);
                StatementKind::SetConstraints { names, deferred: stmt.deferred }
            }
            NodeEnum::CheckPointStmt(_) => StatementKind::Checkpoint,
            NodeEnum::ListenStmt(stmt) => StatementKind::Listen(stmt.conditionname.clone()),
            NodeEnum::UnlistenStmt(stmt) => {
                StatementKind::Unlisten(nodes::non_empty(&stmt.conditionname).map(str::to_owned))
            }
            NodeEnum::NotifyStmt(stmt) => {
                StatementKind::Notify(stmt.conditionname.clone(), stmt.payload.clone())
            }
            NodeEnum::PrepareStmt(stmt) => self.prepare(stmt)?,
            NodeEnum::ExecuteStmt(stmt) => self.execute(stmt)?,
            NodeEnum::DeclareCursorStmt(stmt) => self.declare_cursor(stmt)?,
            NodeEnum::FetchStmt(stmt) => self.fetch_cursor(stmt)?,
            NodeEnum::ClosePortalStmt(stmt) => self.close_cursor(stmt),
            NodeEnum::DeallocateStmt(stmt) => {
                StatementKind::Deallocate(nodes::non_empty(&stmt.name).map(str::to_owned))
            }
            NodeEnum::DiscardStmt(stmt) if stmt.target == DiscardMode::DiscardAll as i32 => {
                StatementKind::DiscardAll
            }
            NodeEnum::DiscardStmt(stmt) if stmt.target == DiscardMode::DiscardTemp as i32 => {
                StatementKind::DiscardTemporary
            }
            NodeEnum::DiscardStmt(_) => {
                return Err(SqlError::unsupported("DISCARD of anything but ALL and TEMP"));
            }
            NodeEnum::CopyStmt(stmt) => self.copy(stmt)?,
            other => return Err(SqlError::unsupported(nodes::statement_name(other))),
        })
    }

    fn transaction(&self, stmt: &TransactionStmt) -> Result<TransactionStatement> {
        use TransactionStmtKind as Kind;
        let kind = Kind::try_from(stmt.kind).map_err(|_| nodes::missing())?;
        let name = stmt.savepoint_name.clone();
        Ok(match kind {
            Kind::TransStmtBegin | Kind::TransStmtStart => {
                TransactionStatement::Begin(self.modes(&stmt.options)?)
            }
            Kind::TransStmtCommit => TransactionStatement::Commit { chain: stmt.chain },
            Kind::TransStmtRollback => TransactionStatement::Rollback { chain: stmt.chain },
            Kind::TransStmtSavepoint => TransactionStatement::Savepoint(name),
            Kind::TransStmtRelease => TransactionStatement::Release(name),
            Kind::TransStmtRollbackTo => TransactionStatement::RollbackTo(name),
            Kind::TransStmtPrepare => return Err(self.unsupported("PREPARE TRANSACTION", stmt.location)),
            Kind::TransStmtCommitPrepared => return Err(self.unsupported("COMMIT PREPARED", stmt.location)),
            Kind::TransStmtRollbackPrepared => {
                return Err(self.unsupported("ROLLBACK PREPARED", stmt.location));
            }
            Kind::Undefined => return Err(nodes::missing()),
        })
    }

    fn modes(&self, options: &[Node]) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        for node in options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let flag = || option.arg.as_deref().and_then(super::types::integer).map(|number| number != 0);
            match option.defname.as_str() {
                "transaction_isolation" => modes.isolation = Some(isolation(option)?),
                "transaction_read_only" => modes.read_only = flag(),
                "transaction_deferrable" => modes.deferrable = flag(),
                other => {
                    return Err(
                        self.unsupported(format_args!("the transaction mode {other}"), option.location)
                    );
                }
            }
        }
        Ok(modes)
    }

    pub(super) fn set(&self, stmt: &VariableSetStmt) -> Result<StatementKind> {
        let kind = VariableSetKind::try_from(stmt.kind).map_err(|_| nodes::missing())?;
        let name = stmt.name.to_lowercase();
        let setting = match kind {
            VariableSetKind::VarSetValue => {
                let values: Result<Vec<String>> =
                    stmt.args.iter().map(|node| self.setting_value(node)).collect();
                SettingStatement::Set { name, values: values?, local: stmt.is_local }
            }
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => SettingStatement::Reset(Some(name)),
            VariableSetKind::VarResetAll => SettingStatement::Reset(None),
            VariableSetKind::VarSetMulti => return self.set_transaction(stmt),
            VariableSetKind::VarSetCurrent | VariableSetKind::Undefined => {
                return Err(self.unsupported("SET ... FROM CURRENT", stmt.location));
            }
        };
        Ok(StatementKind::Setting(setting))
    }

    /// A SET or RESET clause of a function.
    pub(super) fn setting_of_function(&self, stmt: &VariableSetStmt) -> Result<FunctionSetting> {
        let name = stmt.name.to_lowercase();
        Ok(match VariableSetKind::try_from(stmt.kind).map_err(|_| nodes::missing())? {
            VariableSetKind::VarSetCurrent => FunctionSetting::Current(name),
            VariableSetKind::VarResetAll => FunctionSetting::ResetAll,
            VariableSetKind::VarSetMulti | VariableSetKind::Undefined => return Err(nodes::missing()),
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => FunctionSetting::Reset(name),
            VariableSetKind::VarSetValue => {
                let values: Result<_> = stmt.args.iter().map(|node| self.setting_value(node)).collect();
                FunctionSetting::Set(name, values?)
            }
        })
    }

    /// SET TRANSACTION, SET SESSION CHARACTERISTICS.
    fn set_transaction(&self, stmt: &VariableSetStmt) -> Result<StatementKind> {
        match stmt.name.as_str() {
            "TRANSACTION" => {
                let modes = self.modes(&stmt.args)?;
                Ok(StatementKind::Transaction(TransactionStatement::SetTransaction(modes)))
            }
            "SESSION CHARACTERISTICS" => {
                let modes = self.modes(&stmt.args)?;
                let (name, value) = match modes {
                    TransactionModes { isolation: Some(level), read_only: None, deferrable: None } => {
                        ("default_transaction_isolation", level.setting())
                    }
                    TransactionModes { isolation: None, read_only: Some(on), deferrable: None } => {
                        ("default_transaction_read_only", if on { "on" } else { "off" })
                    }
                    TransactionModes { isolation: None, read_only: None, deferrable: Some(on) } => {
                        ("default_transaction_deferrable", if on { "on" } else { "off" })
                    }
                    _ => {
                        let what = "SET SESSION CHARACTERISTICS with several modes";
                        return Err(self.unsupported(what, stmt.location).hint("Set one mode at a time."));
                    }
                };
                Ok(StatementKind::Setting(SettingStatement::Set {
                    name: name.to_owned(),
                    values: vec![value.to_owned()],
                    local: false,
                }))
            }
            other => Err(self.unsupported(format_args!("SET {other}"), stmt.location)),
        }
    }

    fn setting_value(&self, node: &Node) -> Result<String> {
        let NodeEnum::AConst(constant) = nodes::inner(node)? else {
            return Err(self.unsupported("this value of a setting", nodes::location(node)));
        };
        match &constant.val {
            Some(a_const::Val::Ival(number)) => Ok(number.ival.to_string()),
            Some(a_const::Val::Fval(number)) => Ok(number.fval.clone()),
            Some(a_const::Val::Sval(text)) => Ok(text.sval.clone()),
            Some(a_const::Val::Boolval(truth)) => Ok(if truth.boolval { "on" } else { "off" }.to_owned()),
            _ => Err(nodes::missing()),
        }
    }

    fn explain(&mut self, stmt: &ExplainStmt) -> Result<StatementKind> {
        let mut analyze = false;
        let mut options = Vec::new();
        for node in &stmt.options {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let value = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
                None => String::from("on"),
                Some(NodeEnum::String(text)) => text.sval.clone(),
                Some(NodeEnum::Integer(number)) => number.ival.to_string(),
                Some(NodeEnum::Float(number)) => number.fval.clone(),
                Some(NodeEnum::Boolean(truth)) => truth.boolval.to_string(),
                Some(_) => return Err(self.unsupported("this value of an option", option.location)),
            };
            if option.defname == "analyze" {
                analyze = match value.to_lowercase().as_str() {
                    "on" | "true" | "1" => true,
                    "off" | "false" | "0" => false,
                    _ => {
                        let error = SqlError::new(sqlstate::SYNTAX_ERROR, "analyze requires a Boolean value");
                        return Err(error.at(self.at(option.location)));
                    }
                };
            } else {
                options.push((option.defname.clone(), value));
            }
        }
        let kind = self.statement(nodes::required(stmt.query.as_deref())?)?;
        // The parameters and relations are those of the statement inside.
        let statement =
            Statement { kind, parameters: Vec::new(), relations: std::mem::take(&mut self.relations) };
        Ok(StatementKind::Explain { analyze, options, statement: Box::new(statement) })
    }

    /// CALL procedure(arguments)
    fn call_procedure(&mut self, stmt: &CallStmt) -> Result<StatementKind> {
        let node = stmt.funccall.as_deref().ok_or_else(nodes::missing)?;
        let position = self.at(node.location);
        let (name, candidates) = self.candidates(&node.funcname, true).map_err(|error| error.at(position))?;
        let (arguments, names) = self.in_clause(Clause::Call, |analyzer| {
            let mut names = Vec::new();
            let mut arguments = Vec::with_capacity(node.args.len());
            for argument in &node.args {
                match nodes::inner(argument)? {
                    NodeEnum::NamedArgExpr(named) => {
                        names.push(named.name.clone());
                        arguments.push(analyzer.operand(named.arg.as_deref())?);
                    }
                    _ => arguments.push(analyzer.expression(argument)?),
                }
            }
            Ok((arguments, names))
        })?;
        let types: Vec<TypeId> = arguments.iter().map(|argument| argument.ty).collect();
        let labels: Vec<&str> = names.iter().map(String::as_str).collect();
        let shape = CallShape { args: &types, names: &labels, variadic: node.func_variadic };
        let resolved = self.resolver().function(&name, shape, &candidates).map_err(|error| {
            if error.sqlstate() != sqlstate::UNDEFINED_FUNCTION {
                return error.at(position);
            }
            let message = format!("procedure {} does not exist", self.resolver().call_text(&name, shape));
            SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
                .hint("No procedure matches the given name and argument types. You might need to add explicit type casts.")
                .at(position)
        })?;
        let not_procedure = |shown: String| {
            SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("{shown} is not a procedure"))
                .hint("To call a function, use SELECT.")
                .at(position)
        };
        let Callee::User(id) = resolved.callee else {
            return Err(not_procedure(self.resolver().call_text(&name, shape)));
        };
        let id = FunctionId(u32::try_from(id).map_err(|_| nodes::missing())?);
        let procedure = self.context.catalog.function(id).ok_or_else(nodes::missing)?;
        if !procedure.is_procedure {
            return Err(not_procedure(self.resolver().call_text(&name, shape)));
        }
        let arguments = self.procedure_arguments(procedure, arguments, &resolved)?;
        Ok(StatementKind::Call { function: id, arguments })
    }

    /// The input arguments of a CALL, in which OUT arguments have a place too.
    fn procedure_arguments(
        &mut self,
        procedure: &tuplix_catalog::FunctionDef,
        arguments: Vec<Expr>,
        resolved: &tuplix_functions::ResolvedCall,
    ) -> Result<Vec<Expr>> {
        let passed: Vec<_> =
            procedure.arguments.iter().filter(|argument| argument.mode != ArgumentMode::Table).collect();
        let mut slots = self.place_arguments(arguments, resolved)?;
        for &parameter in &resolved.defaults {
            let argument = passed.get(parameter).ok_or_else(nodes::missing)?;
            let text = argument.default.as_deref().ok_or_else(nodes::missing)?;
            let value = self.stored_expression(text, Clause::Default)?;
            slots.push((parameter, self.assign(value, &argument.name, argument.ty, -1)?));
        }
        slots.sort_by_key(|(parameter, _)| *parameter);
        let is_input = |(parameter, _): &(usize, Expr)| {
            passed.get(*parameter).is_some_and(|argument| argument.mode != ArgumentMode::Out)
        };
        Ok(slots.into_iter().filter(is_input).map(|(_, value)| value).collect())
    }

    fn do_block(&self, stmt: &DoStmt) -> Result<StatementKind> {
        let mut body = None;
        for node in &stmt.args {
            let NodeEnum::DefElem(option) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let Some(value) = option.arg.as_deref().and_then(nodes::string) else {
                return Err(nodes::missing());
            };
            match option.defname.as_str() {
                "as" => body = Some(value.to_owned()),
                "language" if value.eq_ignore_ascii_case("plpgsql") => {}
                "language" if value.eq_ignore_ascii_case("sql") => {
                    let message = "language \"sql\" does not support inline code execution";
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
                }
                "language" => {
                    let message = format!("language \"{value}\" does not exist");
                    return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
                }
                _ => return Err(nodes::missing()),
            }
        }
        let body = body.ok_or_else(|| SqlError::new(sqlstate::SYNTAX_ERROR, "no inline code specified"))?;
        Ok(StatementKind::Do { body })
    }

    fn prepare(&mut self, stmt: &PrepareStmt) -> Result<StatementKind> {
        let mut types = Vec::with_capacity(stmt.argtypes.len());
        for node in &stmt.argtypes {
            let NodeEnum::TypeName(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
            types.push(self.type_name(name)?.0);
        }
        let node = nodes::required(stmt.query.as_deref())?;
        Ok(StatementKind::Prepare { name: stmt.name.clone(), types, text: text::statement(node)? })
    }

    fn execute(&mut self, stmt: &ExecuteStmt) -> Result<StatementKind> {
        let arguments = self.in_clause(Clause::Execute, |analyzer| analyzer.expressions(&stmt.params))?;
        // What the prepared statement wants is known when it runs; untyped literals wait until then as text.
        let arguments: Result<Vec<Expr>> =
            arguments.into_iter().map(|expr| self.settle_unknown(expr)).collect();
        Ok(StatementKind::Execute { name: stmt.name.clone(), arguments: arguments? })
    }
}

impl Isolation {
    /// Its name in settings.
    pub fn setting(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

fn isolation(option: &DefElem) -> Result<Isolation> {
    let Some(NodeEnum::AConst(constant)) = option.arg.as_deref().and_then(|arg| arg.node.as_ref()) else {
        return Err(nodes::missing());
    };
    match &constant.val {
        Some(a_const::Val::Sval(text)) => match text.sval.as_str() {
            "read uncommitted" => Ok(Isolation::ReadUncommitted),
            "read committed" => Ok(Isolation::ReadCommitted),
            "repeatable read" => Ok(Isolation::RepeatableRead),
            "serializable" => Ok(Isolation::Serializable),
            _ => Err(nodes::missing()),
        },
        _ => Err(nodes::missing()),
    }
}
