//! Blocks and statements.

use tuplix_types::{Result, SqlError, SqlState, TypeId, sqlstate};

use super::Binder;
use super::embedded::statement_columns;
use crate::analyze::variables::{Namespace, Shape};
use crate::analyze::{Analyzer, nodes};
use crate::parser::protobuf::TypeName;
use crate::plan::{
    Block, Embedded, Expr, ExprKind, Expression, Handler, Into, Located, OutputColumn, PlStatement, StatementKind, Target,
};
use crate::plpgsql::{self, Branch, Condition, DataTypeKind, DeclarationKind, StatementKind as Kind};

impl Binder<'_> {
    /// A block with its declarations.
    pub(super) fn block(&mut self, block: &plpgsql::Block) -> Result<Block> {
        self.variables.namespaces.push(Namespace { label: block.label.clone(), names: Vec::new() });
        let result = self.open_block(block);
        self.variables.namespaces.pop();
        result
    }

    fn open_block(&mut self, block: &plpgsql::Block) -> Result<Block> {
        let mut initial: Vec<(usize, Option<Expression>)> = Vec::new();
        for declaration in &block.declarations {
            let declared = self.declare(declaration);
            initial.extend(declared.map_err(|error| at_declaration(&self.signature, declaration.line, error))?);
        }
        let before = self.variables.shapes.clone();
        let statements = self.statements(&block.statements)?;
        let (handlers, error_variables) = match &block.handlers {
            Some(handlers) => self.handlers(handlers, before)?,
            None => (Vec::new(), None),
        };
        let body = Block { label: block.label.clone(), initial: Vec::new(), statements, handlers, error_variables };
        Ok(with_initial(body, initial, block.line))
    }

    /// Declares one name; the variable with its default when it has a value of its own.
    fn declare(&mut self, declaration: &plpgsql::Declaration) -> Result<Option<(usize, Option<Expression>)>> {
        let (data_type, constant, not_null, default) = match &declaration.kind {
            DeclarationKind::Alias { target, .. } => {
                let variable = self.alias_target(target)?;
                if let Some(namespace) = self.variables.namespaces.last_mut() {
                    namespace.names.push((declaration.name.clone(), variable));
                }
                return Ok(None);
            }
            DeclarationKind::Cursor { .. } => return Err(SqlError::unsupported("a cursor")),
            DeclarationKind::Variable { data_type, constant, not_null, collation, default } => {
                if let Some(collation) = collation
                    && !matches!(collation.last().map(String::as_str), Some("C" | "POSIX" | "default"))
                {
                    return Err(SqlError::unsupported("COLLATE of a variable"));
                }
                (data_type, *constant, *not_null, default)
            }
        };
        // The default does not see the variable itself.
        let resolved = self.data_type(data_type)?;
        let value = match (&resolved, default) {
            (_, None) => None,
            (Resolved::Scalar(ty, typmod), Some(default)) => Some(self.typed(default, *ty, *typmod)?),
            (_, Some(default)) => Some(self.expression(default)?),
        };
        let variable = match resolved {
            Resolved::Scalar(ty, typmod) => self.add_variable(&declaration.name, ty, typmod),
            Resolved::Record => self.add_variable(&declaration.name, TypeId::RECORD, -1),
            Resolved::Row(columns) => self.add_row(&declaration.name, columns),
        };
        if let (TypeId::RECORD, Some(value)) = (self.variables.list[variable].ty, &value) {
            let columns = self.analyze(|analyzer| Ok(analyzer.record_columns(&value.expr)))?.0;
            self.assign_shape(variable, columns)?;
        }
        self.variables.list[variable].not_null = not_null;
        if constant {
            self.constants.push(variable);
        }
        Ok(Some((variable, value)))
    }

    fn alias_target(&self, target: &[String]) -> Result<usize> {
        let variables = &self.variables;
        let found = match target {
            [name] => match name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) {
                Some(number) => number.checked_sub(1).and_then(|index| variables.parameters.get(index).copied()),
                None => variables.lookup(name),
            },
            [label, name] => variables.lookup_in(label, name),
            _ => None,
        };
        found.ok_or_else(|| {
            let message = format!("variable \"{}\" does not exist", target.join("."));
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
        })
    }

    fn data_type(&self, data_type: &plpgsql::DataType) -> Result<Resolved> {
        match &data_type.kind {
            DataTypeKind::Record => Ok(Resolved::Record),
            DataTypeKind::RowOf(parts) => self.row_type(parts).map(Resolved::Row),
            DataTypeKind::OfVariable(parts) => {
                let names: Vec<&str> = parts.iter().map(String::as_str).collect();
                if let Some(variable) = self.analyze(|analyzer| analyzer.variable(&names, None))?.0 {
                    return Ok(match variable.kind {
                        ExprKind::Variable(index) if variable.ty == TypeId::RECORD => {
                            match &self.variables.list[index].fields {
                                Some(columns) => Resolved::Row(columns.clone()),
                                None => Resolved::Record,
                            }
                        }
                        _ => Resolved::Scalar(variable.ty, variable.typmod),
                    });
                }
                let names = parts.iter().map(|part| string_node(part)).collect();
                let name = TypeName { names, pct_type: true, typemod: -1, location: -1, ..TypeName::default() };
                let ((ty, typmod), _) = self.analyze(|analyzer| analyzer.type_name(&name))?;
                Ok(Resolved::Scalar(ty, typmod))
            }
            DataTypeKind::Named(name) => match self.analyze(|analyzer| analyzer.type_name(name)) {
                Ok(((TypeId::RECORD, _), _)) => Ok(Resolved::Record),
                Ok(((ty, typmod), _)) => {
                    if crate::analyze::create_table::is_pseudo(ty) {
                        let message = format!("variable has pseudo-type {ty}");
                        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
                    }
                    Ok(Resolved::Scalar(ty, typmod))
                }
                Err(error) => {
                    // A table's name is that of its row type.
                    let parts: Vec<String> = nodes::strings(&name.names).into_iter().map(str::to_owned).collect();
                    let plain = name.array_bounds.is_empty() && name.typmods.is_empty() && !name.pct_type;
                    match self.row_type(&parts) {
                        Ok(columns) if plain => Ok(Resolved::Row(columns)),
                        _ => Err(error),
                    }
                }
            },
        }
    }

    fn row_type(&self, parts: &[String]) -> Result<Vec<OutputColumn>> {
        let (schema, table) = match parts {
            [table] => (None, table),
            [schema, table] | [_, schema, table] => (Some(schema.as_str()), table),
            _ => return Err(nodes::missing()),
        };
        let (columns, _) = self.analyze(|analyzer| {
            let found = analyzer.find_relation(schema, table, None)?;
            Ok(found.columns(analyzer))
        })?;
        Ok(columns)
    }

    fn handlers(
        &mut self,
        handlers: &[plpgsql::Handler],
        before: Vec<Shape>,
    ) -> Result<(Vec<Handler>, Option<(usize, usize)>)> {
        // An error can come at any point of the statements before.
        self.merge_shapes(&before);
        self.variables.namespaces.push(Namespace::default());
        let state = self.add_variable("sqlstate", TypeId::TEXT, -1);
        let message = self.add_variable("sqlerrm", TypeId::TEXT, -1);
        self.constants.extend([state, message]);
        let start = self.variables.shapes.clone();
        let mut after: Vec<Vec<Shape>> = Vec::new();
        let mut bound = Vec::with_capacity(handlers.len());
        for handler in handlers {
            self.variables.shapes.clone_from(&start);
            let conditions: Result<Vec<Option<SqlState>>> = handler.conditions.iter().map(condition_state).collect();
            bound.push(Handler { conditions: conditions?, statements: self.statements(&handler.statements)? });
            after.push(self.variables.shapes.clone());
        }
        for shapes in after {
            self.merge_shapes(&shapes);
        }
        self.variables.namespaces.pop();
        Ok((bound, Some((state, message))))
    }

    /// Joins the structures of records on another way to here.
    pub(super) fn merge_shapes(&mut self, other: &[Shape]) {
        for (here, there) in self.variables.shapes.iter_mut().zip(other) {
            *here = match (std::mem::take(here), there) {
                (shape, Shape::Unassigned) => shape,
                (Shape::Unassigned, shape) => shape.clone(),
                (shape, other) if shape == *other => shape,
                _ => Shape::Unclear,
            };
        }
    }

    /// Statements in order.
    pub(super) fn statements(&mut self, list: &[plpgsql::Statement]) -> Result<Vec<Located<PlStatement>>> {
        let mut statements = Vec::with_capacity(list.len());
        for statement in list {
            let bound = self.statement(statement);
            let bound = bound.map_err(|error| match error.fields().context {
                // The innermost statement has said where.
                Some(_) => error,
                None => at_statement(&self.signature, statement, error),
            })?;
            statements.extend(bound.into_iter().map(|node| Located { line: statement.line, node }));
        }
        Ok(statements)
    }

    fn statement(&mut self, statement: &plpgsql::Statement) -> Result<Vec<PlStatement>> {
        let one = match &statement.kind {
            Kind::Block(block) => PlStatement::Block(Box::new(self.block(block)?)),
            Kind::Assign(assignment) => self.assign(assignment)?,
            Kind::If { branches, otherwise } => {
                let (arms, otherwise) = self.branches(branches, Some(otherwise), |binder, branch| {
                    binder.condition(&branch.condition)
                })?;
                PlStatement::If { arms, otherwise: otherwise.unwrap_or_default() }
            }
            Kind::Case { subject, branches, otherwise } => {
                return self.case(subject.as_ref(), branches, otherwise.as_deref());
            }
            Kind::Loop(_)
            | Kind::While { .. }
            | Kind::ForInteger { .. }
            | Kind::ForQuery { .. }
            | Kind::ForExecute { .. }
            | Kind::ForCursor { .. }
            | Kind::ForEach { .. } => self.loop_statement(&statement.kind)?,
            Kind::Exit { next, label, condition } => {
                let condition = condition.as_ref().map(|condition| self.condition(condition)).transpose()?;
                PlStatement::Leave { next: *next, label: label.clone(), condition }
            }
            Kind::Return(value) => self.return_value(value.as_ref())?,
            Kind::ReturnNext(value) => self.return_next(value.as_ref())?,
            Kind::ReturnQuery(query) => self.return_query(query)?,
            Kind::ReturnQueryExecute { query, using } => {
                self.returns_rows("RETURN QUERY")?;
                PlStatement::ReturnQueryExecute { text: self.text(query)?, arguments: self.using(using)? }
            }
            Kind::Raise(raise) => self.raise(raise)?,
            Kind::Assert { condition, message } => PlStatement::Assert {
                condition: self.condition(condition)?,
                message: message.as_ref().map(|message| self.text(message)).transpose()?,
            },
            Kind::Perform(query) => {
                PlStatement::Sql { statement: self.embedded(query)?, into: None, perform: true }
            }
            Kind::Call(query) => self.call(query)?,
            Kind::Do(query) => PlStatement::Sql { statement: self.embedded(query)?, into: None, perform: false },
            Kind::Sql { query, into } => self.sql(query, into.as_ref())?,
            Kind::Execute { query, into, using } => {
                let text = self.text(query)?;
                let arguments = self.using(using)?;
                let into = match into {
                    Some(into) => Some(self.dynamic_into(&into.targets, into.strict)?),
                    None => None,
                };
                PlStatement::Execute { text, into, arguments }
            }
            Kind::GetDiagnostics { items, .. } => self.diagnostics(items)?,
            Kind::Open { .. } | Kind::Fetch { .. } | Kind::Close(_) => return Err(SqlError::unsupported("a cursor")),
            Kind::Null => PlStatement::Null,
            Kind::Commit { .. } => return Err(SqlError::unsupported("COMMIT in a procedure")),
            Kind::Rollback { .. } => return Err(SqlError::unsupported("ROLLBACK in a procedure")),
        };
        Ok(vec![one])
    }

    /// USING arguments, each of its own type.
    pub(super) fn using(&self, list: &[plpgsql::Expression]) -> Result<Vec<Expression>> {
        list.iter().map(|argument| self.expression(argument)).collect()
    }

    /// Guarded statements; afterwards records have the structure that all ways agree on.
    #[allow(clippy::type_complexity)]
    fn branches(
        &mut self,
        branches: &[Branch],
        otherwise: Option<&[plpgsql::Statement]>,
        guard: impl Fn(&mut Self, &Branch) -> Result<Expression>,
    ) -> Result<(Vec<(Expression, Vec<Located<PlStatement>>)>, Option<Vec<Located<PlStatement>>>)> {
        let before = self.variables.shapes.clone();
        let mut ways: Vec<Vec<Shape>> = Vec::new();
        let mut arms = Vec::with_capacity(branches.len());
        for branch in branches {
            self.variables.shapes.clone_from(&before);
            let condition = guard(self, branch)?;
            arms.push((condition, self.statements(&branch.statements)?));
            ways.push(self.variables.shapes.clone());
        }
        self.variables.shapes = before;
        let otherwise = otherwise.map(|statements| self.statements(statements)).transpose()?;
        for way in ways {
            self.merge_shapes(&way);
        }
        Ok((arms, otherwise))
    }

    /// CASE: its operand is computed once, into a variable of its own.
    fn case(
        &mut self,
        subject: Option<&plpgsql::Expression>,
        branches: &[Branch],
        otherwise: Option<&[plpgsql::Statement]>,
    ) -> Result<Vec<PlStatement>> {
        let mut statements = Vec::with_capacity(2);
        let subject = match subject {
            Some(subject) => {
                let value = self.expression(subject)?;
                let variable = self.add_variable("", value.expr.ty, -1);
                statements.push(PlStatement::Assign { target: Target::Variable(variable), value });
                Some(variable)
            }
            None => None,
        };
        let (arms, otherwise) = self.branches(branches, otherwise, |binder, branch| match subject {
            Some(variable) => binder.case_condition(variable, &branch.condition),
            None => binder.condition(&branch.condition),
        })?;
        statements.push(PlStatement::Case { arms, otherwise });
        Ok(statements)
    }

    /// Whether the operand of CASE is one of the values listed.
    fn case_condition(&self, subject: usize, values: &plpgsql::Expression) -> Result<Expression> {
        let (expr, relations) = self.analyze(|analyzer| {
            let (mut conditions, _) = analyzer.in_scope(|analyzer| {
                let targets = analyzer.target_list(&values.select.target_list)?;
                let mut conditions = Vec::with_capacity(targets.len());
                for target in targets {
                    let left = self.variables.reference(subject, None);
                    let equal = analyzer.operator("=", Some(left), target.value, -1)?;
                    conditions.push(analyzer.boolean(equal, "CASE/WHEN")?);
                }
                Ok(conditions)
            })?;
            match (conditions.pop(), conditions.is_empty()) {
                (None, _) => Err(nodes::missing()),
                (Some(only), true) => Ok(only),
                (Some(last), false) => {
                    conditions.push(last);
                    Ok(Expr::new(ExprKind::Or(conditions), TypeId::BOOL))
                }
            }
        })?;
        Ok(Expression { expr, relations, text: values.text.clone() })
    }

    /// A statement of SQL, perhaps with INTO.
    fn sql(&mut self, query: &plpgsql::Query, into: Option<&plpgsql::Into>) -> Result<PlStatement> {
        let mut statement = self.embedded(query)?;
        let has_columns = !statement_columns(&statement.statement).is_empty();
        let into: Option<Into> = match into {
            Some(_) if !has_columns => {
                let message = "INTO used with a command that cannot return data";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
            }
            Some(into) => Some(self.into(&into.targets, into.strict, &mut statement)?),
            None if has_columns => {
                let error = SqlError::new(sqlstate::SYNTAX_ERROR, "query has no destination for result data");
                let is_select = matches!(*query.node, crate::parser::NodeEnum::SelectStmt(_));
                let hint = "If you want to discard the results of a SELECT, use PERFORM instead.";
                return Err(if is_select { error.hint(hint) } else { error });
            }
            None => None,
        };
        Ok(PlStatement::Sql { statement, into, perform: false })
    }

    /// CALL: its output arguments are variables, which get the results.
    fn call(&mut self, query: &plpgsql::Query) -> Result<PlStatement> {
        let crate::parser::NodeEnum::CallStmt(stmt) = &*query.node else { return Err(nodes::missing()) };
        let statement: Embedded = self.embedded(query)?;
        let StatementKind::Call { function, .. } = statement.statement.kind else { return Err(nodes::missing()) };
        let procedure = self.context.catalog.function(function).ok_or_else(nodes::missing)?;
        let written = stmt.funccall.as_ref().map(|call| &call.args[..]).unwrap_or_default();
        let mut targets = Vec::new();
        for (index, argument) in procedure.arguments.iter().enumerate() {
            use tuplix_catalog::ArgumentMode::{InOut, Out};
            if !matches!(argument.mode, InOut | Out) {
                continue;
            }
            let node = written.get(index).ok_or_else(nodes::missing)?;
            let target = self.output_argument(&argument.name, index, node)?;
            let (ty, typmod) = self.target_type(&target);
            let column = OutputColumn { name: argument.name.clone(), ty: argument.ty, typmod: -1 };
            let cast = self.operand_cast(&column, ty, typmod)?;
            targets.push((target, cast));
        }
        let into = (!targets.is_empty()).then_some(Into { strict: false, targets });
        Ok(PlStatement::Sql { statement, into, perform: false })
    }

    /// The variable that an output argument of CALL names.
    fn output_argument(&self, name: &str, index: usize, node: &crate::parser::protobuf::Node) -> Result<Target> {
        let not_writable = || {
            let shown = if name.is_empty() { (index + 1).to_string() } else { format!("\"{name}\"") };
            let message =
                format!("procedure parameter {shown} is an output parameter but corresponding argument is not writable");
            SqlError::new(sqlstate::SYNTAX_ERROR, message)
        };
        match nodes::inner(node)? {
            crate::parser::NodeEnum::ColumnRef(reference) if !Analyzer::is_star(reference) => {
                let parts = nodes::strings(&reference.fields).into_iter().map(str::to_owned).collect();
                let target = self.target(&plpgsql::Name { parts, offset: 0, line: 0 });
                target.map_err(|_| not_writable())
            }
            crate::parser::NodeEnum::NamedArgExpr(_) => {
                Err(SqlError::unsupported("a named output argument of CALL in a function"))
            }
            _ => Err(not_writable()),
        }
    }
}

/// A variable's type.
enum Resolved {
    Scalar(TypeId, i32),
    Record,
    Row(Vec<OutputColumn>),
}

fn string_node(text: &str) -> crate::parser::protobuf::Node {
    let text = crate::parser::protobuf::String { sval: text.to_owned() };
    crate::parser::protobuf::Node { node: Some(crate::parser::NodeEnum::String(text)) }
}

/// The SQLSTATE of a handler's condition, `None` for OTHERS.
fn condition_state(condition: &Condition) -> Result<Option<SqlState>> {
    match condition {
        Condition::Others => Ok(None),
        Condition::SqlState(code) => state_of(code).map(Some),
        Condition::Named(name) => SqlState::from_condition_name(name).map(Some).ok_or_else(|| {
            let message = format!("unrecognized exception condition \"{name}\"");
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
        }),
    }
}

/// The SQLSTATE of five characters.
pub(super) fn state_of(code: &str) -> Result<SqlState> {
    let bytes: [u8; 5] = code.as_bytes().try_into().map_err(|_| {
        SqlError::new(sqlstate::SYNTAX_ERROR, format!("invalid SQLSTATE code at or near \"{code}\""))
    })?;
    Ok(SqlState(bytes))
}

/// A block whose variables get their first values. A default with a subquery is an assignment before the statements,
/// in a block around them when there are handlers, which do not catch its errors.
fn with_initial(mut body: Block, initial: Vec<(usize, Option<Expression>)>, line: u32) -> Block {
    let simple = initial.iter().all(|(_, value)| value.as_ref().is_none_or(|value| value.relations.is_empty()));
    if simple {
        body.initial = initial.into_iter().map(|(variable, value)| (variable, value.map(|value| value.expr))).collect();
        return body;
    }
    let mut block = if body.handlers.is_empty() {
        body
    } else {
        let label = body.label.take();
        let inner = Located { line, node: PlStatement::Block(Box::new(body)) };
        Block { label, initial: Vec::new(), statements: vec![inner], handlers: Vec::new(), error_variables: None }
    };
    let mut statements = Vec::new();
    for (variable, value) in initial {
        block.initial.push((variable, None));
        if let Some(value) = value {
            let node = PlStatement::Assign { target: Target::Variable(variable), value };
            statements.push(Located { line, node });
        }
    }
    statements.append(&mut block.statements);
    block.statements = statements;
    block
}

/// An error with the line of the declaration that it is about.
fn at_declaration(signature: &str, line: u32, mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error.context(format!("PL/pgSQL function {signature} line {line} during statement block local variable initialization"))
}

/// An error with the statement that it is about, as PostgreSQL's contexts name it.
fn at_statement(signature: &str, statement: &plpgsql::Statement, mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    let error = match &statement.kind {
        Kind::Sql { query, .. } | Kind::Perform(query) | Kind::Call(query) => {
            error.context(format!("SQL statement \"{}\"", query.text))
        }
        _ => error,
    };
    error.context(format!("PL/pgSQL function {signature} line {} at {}", statement.line, statement_name(&statement.kind)))
}

/// A statement's name in contexts (`plpgsql_stmt_typename`).
fn statement_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Block(_) => "statement block",
        Kind::Assign(_) => "assignment",
        Kind::If { .. } => "IF",
        Kind::Case { .. } => "CASE",
        Kind::Loop(_) => "LOOP",
        Kind::While { .. } => "WHILE",
        Kind::ForInteger { .. } => "FOR with integer loop variable",
        Kind::ForQuery { .. } => "FOR over SELECT rows",
        Kind::ForCursor { .. } => "FOR over cursor",
        Kind::ForExecute { .. } => "FOR over EXECUTE statement",
        Kind::ForEach { .. } => "FOREACH over array",
        Kind::Exit { next: false, .. } => "EXIT",
        Kind::Exit { .. } => "CONTINUE",
        Kind::Return(_) => "RETURN",
        Kind::ReturnNext(_) => "RETURN NEXT",
        Kind::ReturnQuery(_) | Kind::ReturnQueryExecute { .. } => "RETURN QUERY",
        Kind::Raise(_) => "RAISE",
        Kind::Assert { .. } => "ASSERT",
        Kind::Perform(_) => "PERFORM",
        Kind::Call(_) => "CALL",
        Kind::Do(_) => "DO",
        Kind::Sql { .. } => "SQL statement",
        Kind::Execute { .. } => "EXECUTE",
        Kind::GetDiagnostics { stacked: false, .. } => "GET DIAGNOSTICS",
        Kind::GetDiagnostics { .. } => "GET STACKED DIAGNOSTICS",
        Kind::Open { .. } => "OPEN",
        Kind::Fetch { .. } => "FETCH",
        Kind::Close(_) => "CLOSE",
        Kind::Null => "NULL",
        Kind::Commit { .. } => "COMMIT",
        Kind::Rollback { .. } => "ROLLBACK",
    }
}
