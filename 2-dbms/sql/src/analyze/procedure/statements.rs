//! Blocks and statements.

use tuplix_types::{Result, SqlError, SqlState, TypeId, sqlstate};

use super::context::{at_declaration, at_statement, statement_name, within};
use super::embedded::statement_columns;
use super::refusal::{Bound, OfTheWhole as _, Refusal};
use super::{Binder, Place};
use crate::analyze::variables::{Namespace, Shape};
use crate::analyze::{Analyzer, nodes};
use crate::plan::{
    Block, Embedded, Expr, ExprKind, Expression, Handler, Into, Located, OutputColumn, PlStatement,
    StatementKind, Target,
};
use crate::plpgsql::{self, Branch, Condition, StatementKind as Kind};

/// Handlers, and the variables SQLSTATE and SQLERRM in them.
type BoundHandlers = (Vec<Handler>, Option<(usize, usize)>);
/// Conditions with what they guard, and what else happens.
type Arms = (Vec<(Expression, Vec<Located<PlStatement>>)>, Option<Vec<Located<PlStatement>>>);

impl Binder<'_> {
    /// A block with its declarations.
    pub(super) fn block(&mut self, block: &plpgsql::Block) -> Bound<Block> {
        self.variables.namespaces.push(Namespace { label: block.label.clone(), names: Vec::new() });
        let result = self.open_block(block);
        self.variables.namespaces.pop();
        result
    }

    fn open_block(&mut self, block: &plpgsql::Block) -> Bound<Block> {
        let mut initial: Vec<(usize, Option<Expression>)> = Vec::new();
        for declaration in &block.declarations {
            let declared = self.declare(declaration);
            initial.extend(declared.map_err(|refusal| match refusal {
                Refusal::Whole(error) => {
                    Refusal::Whole(at_declaration(&self.signature, declaration.line, error))
                }
                reached => reached,
            })?);
        }
        let before = self.variables.shapes.clone();
        let statements = self.statements(&block.statements)?;
        let (handlers, error_variables) = match &block.handlers {
            Some(handlers) => self.handlers(handlers, before)?,
            None => (Vec::new(), None),
        };
        let body =
            Block { label: block.label.clone(), initial: Vec::new(), statements, handlers, error_variables };
        Ok(with_initial(body, initial, block.line))
    }

    fn handlers(&mut self, handlers: &[plpgsql::Handler], before: Vec<Shape>) -> Bound<BoundHandlers> {
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
            let conditions: Result<Vec<Option<SqlState>>> =
                handler.conditions.iter().map(condition_state).collect();
            let conditions = conditions.of_the_whole()?;
            bound.push(Handler { conditions, statements: self.statements(&handler.statements)? });
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
    pub(super) fn statements(&mut self, list: &[plpgsql::Statement]) -> Bound<Vec<Located<PlStatement>>> {
        let mut statements = Vec::with_capacity(list.len());
        self.place.lists += 1;
        let around = self.place;
        for (number, statement) in list.iter().enumerate() {
            let id = around.part(around.lists, number as u64);
            self.place = Place { statement: id, ..Place::default() };
            let namespaces = self.variables.namespaces.len();
            let bound = match self.statement(statement) {
                Ok(bound) => bound,
                Err(Refusal::Reached(error)) => {
                    self.variables.namespaces.truncate(namespaces);
                    let what = statement_name(&statement.kind);
                    PlStatement::Fail { error: within(statement, error), what }
                }
                // The innermost statement has said where.
                Err(Refusal::Whole(error)) if error.fields().context.is_some() => {
                    return Err(Refusal::Whole(error));
                }
                Err(Refusal::Whole(error)) => {
                    return Err(Refusal::Whole(at_statement(&self.signature, statement, error)));
                }
            };
            statements.push(Located { line: statement.line, id, node: bound });
        }
        self.place = around;
        Ok(statements)
    }

    fn statement(&mut self, statement: &plpgsql::Statement) -> Bound<PlStatement> {
        Ok(match &statement.kind {
            Kind::Block(block) => PlStatement::Block(Box::new(self.block(block)?)),
            Kind::Assign(assignment) => self.assign(assignment)?,
            Kind::If { branches, otherwise } => {
                let (arms, otherwise) = self.branches(branches, Some(otherwise), |binder, branch| {
                    binder.condition(&branch.condition)
                })?;
                PlStatement::If { arms, otherwise: otherwise.unwrap_or_default() }
            }
            Kind::Case { subject, branches, otherwise } => {
                return self.case(statement.line, subject.as_ref(), branches, otherwise.as_deref());
            }
            Kind::Loop(_)
            | Kind::While { .. }
            | Kind::ForInteger { .. }
            | Kind::ForQuery { .. }
            | Kind::ForExecute { .. }
            | Kind::ForCursor { .. }
            | Kind::ForEach { .. } => self.loop_statement(&statement.kind)?,
            Kind::Exit { next, label, condition } => {
                let condition = condition.as_ref().map(|condition| self.condition(condition));
                PlStatement::Leave { next: *next, label: label.clone(), condition }
            }
            Kind::Return(value) => self.return_value(value.as_ref())?,
            Kind::ReturnNext(value) => self.return_next(value.as_ref())?,
            Kind::ReturnQuery(query) => self.return_query(query)?,
            Kind::ReturnQueryExecute { query, using } => {
                self.returns_rows("RETURN QUERY").of_the_whole()?;
                PlStatement::ReturnQueryExecute { text: self.text(query), arguments: self.using(using) }
            }
            Kind::Raise(raise) => self.raise(raise)?,
            Kind::Assert { condition, message } => PlStatement::Assert {
                condition: self.condition(condition),
                message: message.as_ref().map(|message| self.text(message)),
            },
            Kind::Perform(query) => {
                PlStatement::Sql { statement: self.embedded(query)?, into: None, perform: true }
            }
            Kind::Call(query) => self.call(query)?,
            Kind::Do(query) => {
                PlStatement::Sql { statement: self.embedded(query)?, into: None, perform: false }
            }
            Kind::Sql { query, into } => self.sql(query, into.as_ref())?,
            Kind::Execute { query, into, using } => {
                let text = self.text(query);
                let arguments = self.using(using);
                let into = match into {
                    Some(into) => Some(self.dynamic_into(&into.targets, into.strict)?),
                    None => None,
                };
                PlStatement::Execute { text, into, arguments }
            }
            Kind::GetDiagnostics { items, .. } => self.diagnostics(items)?,
            Kind::Open { cursor, source } => self.open_cursor(cursor, source)?,
            Kind::Fetch { cursor, direction, targets } => self.fetch_cursor(cursor, direction, targets)?,
            Kind::Close(cursor) => PlStatement::CloseCursor(self.cursor_variable(cursor)?),
            Kind::Null => PlStatement::Null,
            Kind::Commit { .. } => return Err(self.transaction_end("COMMIT").into()),
            Kind::Rollback { .. } => return Err(self.transaction_end("ROLLBACK").into()),
        })
    }

    /// The error of ending the transaction inside of the body.
    fn transaction_end(&self, verb: &str) -> SqlError {
        if self.is_procedure() {
            return SqlError::unsupported(format_args!("{verb} in a procedure"));
        }
        SqlError::new(sqlstate::INVALID_TRANSACTION_TERMINATION, "invalid transaction termination")
    }

    /// USING arguments, each of its own type.
    pub(super) fn using(&self, list: &[plpgsql::Expression]) -> Vec<Expression> {
        list.iter().map(|argument| self.expression(argument)).collect()
    }

    /// Guarded statements; afterwards records have the structure that all ways agree on.
    fn branches(
        &mut self,
        branches: &[Branch],
        otherwise: Option<&[plpgsql::Statement]>,
        guard: impl Fn(&mut Self, &Branch) -> Expression,
    ) -> Bound<Arms> {
        let before = self.variables.shapes.clone();
        let mut ways: Vec<Vec<Shape>> = Vec::new();
        let mut arms = Vec::with_capacity(branches.len());
        for branch in branches {
            self.variables.shapes.clone_from(&before);
            let condition = guard(self, branch);
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
        line: u32,
        subject: Option<&plpgsql::Expression>,
        branches: &[Branch],
        otherwise: Option<&[plpgsql::Statement]>,
    ) -> Bound<PlStatement> {
        let mut assigned = None;
        let subject = match subject {
            Some(subject) => {
                let value = self.expression(subject);
                let variable = self.add_variable("", value.expr.ty, -1);
                assigned = Some(PlStatement::Assign { target: Target::Variable(variable), value });
                Some(variable)
            }
            None => None,
        };
        let (arms, otherwise) = self.branches(branches, otherwise, |binder, branch| match subject {
            Some(variable) => binder.case_condition(variable, &branch.condition),
            None => binder.condition(&branch.condition),
        })?;
        let case = PlStatement::Case { arms, otherwise };
        let Some(assigned) = assigned else { return Ok(case) };
        let statements = [assigned, case].map(|node| Located { line, id: 0, node }).into();
        let (label, initial, handlers) = (None, Vec::new(), Vec::new());
        Ok(PlStatement::Block(Box::new(Block {
            label,
            initial,
            statements,
            handlers,
            error_variables: None,
        })))
    }

    /// Whether the operand of CASE is one of the values listed.
    fn case_condition(&self, subject: usize, values: &plpgsql::Expression) -> Expression {
        self.computed(&values.text, |analyzer| {
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
        })
    }

    /// A statement of SQL, perhaps with INTO.
    fn sql(&mut self, query: &plpgsql::Query, into: Option<&plpgsql::Into>) -> Bound<PlStatement> {
        for name in into.iter().flat_map(|into| &into.targets) {
            self.target(name)?;
        }
        let mut statement = self.embedded(query)?;
        let has_columns = !statement_columns(&statement.statement).is_empty();
        let into: Option<Into> = match into {
            Some(_) if !has_columns => {
                let message = "INTO used with a command that cannot return data";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).into());
            }
            Some(into) => Some(self.into(&into.targets, into.strict, &mut statement)?),
            None if has_columns => {
                let error = SqlError::new(sqlstate::SYNTAX_ERROR, "query has no destination for result data");
                let is_select = matches!(*query.node, crate::parser::NodeEnum::SelectStmt(_));
                let hint = "If you want to discard the results of a SELECT, use PERFORM instead.";
                return Err(if is_select { error.hint(hint) } else { error }.into());
            }
            None => None,
        };
        Ok(PlStatement::Sql { statement, into, perform: false })
    }

    /// CALL: its output arguments are variables, which get the results.
    fn call(&mut self, query: &plpgsql::Query) -> Bound<PlStatement> {
        let crate::parser::NodeEnum::CallStmt(stmt) = &*query.node else {
            return Err(nodes::missing().into());
        };
        let statement: Embedded = self.embedded(query)?;
        let StatementKind::Call { function, .. } = statement.statement.kind else {
            return Err(nodes::missing().into());
        };
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
    fn output_argument(
        &self,
        name: &str,
        index: usize,
        node: &crate::parser::protobuf::Node,
    ) -> Result<Target> {
        let not_writable = || {
            let shown = if name.is_empty() { (index + 1).to_string() } else { format!("\"{name}\"") };
            let message = format!(
                "procedure parameter {shown} is an output parameter but corresponding argument is not writable"
            );
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

/// Whether an expression can be computed without a scope of its own.
fn is_simple(value: &Expression) -> bool {
    value.relations.is_empty() && value.failure.is_none()
}

/// A block whose variables get their first values. A default with a subquery is an assignment before the statements,
/// in a block around them when there are handlers, which do not catch its errors.
fn with_initial(mut body: Block, initial: Vec<(usize, Option<Expression>)>, line: u32) -> Block {
    let simple = initial.iter().all(|(_, value)| value.as_ref().is_none_or(is_simple));
    if simple {
        body.initial =
            initial.into_iter().map(|(variable, value)| (variable, value.map(|value| value.expr))).collect();
        return body;
    }
    let mut block = if body.handlers.is_empty() {
        body
    } else {
        let label = body.label.take();
        let inner = Located { line, id: 0, node: PlStatement::Block(Box::new(body)) };
        Block {
            label,
            initial: Vec::new(),
            statements: vec![inner],
            handlers: Vec::new(),
            error_variables: None,
        }
    };
    let mut statements = Vec::new();
    for (variable, value) in initial {
        block.initial.push((variable, None));
        if let Some(value) = value {
            let node = PlStatement::Assign { target: Target::Variable(variable), value };
            statements.push(Located { line, id: 0, node });
        }
    }
    statements.append(&mut block.statements);
    block.statements = statements;
    block
}
