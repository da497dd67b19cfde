//! Functions in SQL: statements in order, the last one's rows are the result (`functions.c`).

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Binder;
use super::embedded::statement_columns;
use crate::analyze::variables::Conflict;
use crate::analyze::{Analyzer, nodes};
use crate::parser;
use crate::plan::{
    Block, Embedded, Expression, Into, Located, OutputColumn, PlStatement, Procedure, Statement,
    StatementKind, Target,
};

impl Binder<'_> {
    pub(super) fn sql_body(mut self, text: &str) -> Result<Procedure> {
        // A column wins over an argument of the same name, and there is no FOUND.
        self.variables.conflict = Conflict::Column;
        let inputs = self.inputs;
        for namespace in &mut self.variables.namespaces {
            namespace.names.retain(|(_, variable)| *variable < inputs);
        }
        self.variables.parameters.retain(|variable| *variable < inputs);
        let parsed = parser::parse(text)?;
        let mut statements = Vec::with_capacity(parsed.len() + 1);
        let last = parsed.len().checked_sub(1);
        for (index, statement) in parsed.iter().enumerate() {
            let line = parser::line(text, statement.offset);
            let bound = if Some(index) == last && self.returns != TypeId::VOID {
                self.result_statement(statement)
            } else {
                self.plain_statement(statement).map(|node| vec![node])
            };
            let name = self.function.map_or("", |function| function.name.as_str());
            let bound = bound.map_err(|mut error| {
                error.fields_mut().position = None;
                error.context(format!("SQL function \"{name}\" statement {}", index + 1))
            })?;
            statements.extend(bound.into_iter().map(|node| Located { line, id: 0, node }));
        }
        if last.is_none() && self.returns != TypeId::VOID {
            return Err(
                self.mismatch("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
            );
        }
        let body = Block {
            label: None,
            initial: Vec::new(),
            statements,
            handlers: Vec::new(),
            error_variables: None,
        };
        Ok(self.finish(body))
    }

    /// A statement whose rows nobody wants.
    fn plain_statement(&self, parsed: &parser::ParsedStatement) -> Result<PlStatement> {
        let statement = self.embedded_parsed(parsed)?;
        if matches!(statement.statement.kind, StatementKind::Transaction(_)) {
            return Err(SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "transaction statements are not allowed in an SQL function",
            ));
        }
        Ok(PlStatement::Sql { statement, into: None, perform: true })
    }

    /// The last statement: all of its rows, or the first one's columns.
    fn result_statement(&mut self, parsed: &parser::ParsedStatement) -> Result<Vec<PlStatement>> {
        let mut statement = self.embedded_parsed(parsed)?;
        let given = statement_columns(&statement.statement);
        if given.is_empty() {
            return Err(
                self.mismatch("Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
            );
        }
        if self.returns.is_composite() && self.outputs.is_empty() {
            return self.row_result(statement, &given);
        }
        self.coerce_result(&mut statement, &given)?;
        if self.returns_set {
            return Ok(vec![PlStatement::ReturnQuery(statement)]);
        }
        let mut targets: Vec<Target> = self.outputs.iter().map(|output| Target::Variable(*output)).collect();
        let mut value = None;
        if targets.is_empty() {
            let variable = self.add_variable("", self.returns, -1);
            targets.push(Target::Variable(variable));
            let expr = self.variables.reference(variable, None);
            value =
                Some(Expression { expr, relations: Vec::new(), text: parsed.text.clone(), failure: None });
        }
        let targets = targets.into_iter().map(|target| (target, None)).collect();
        let into = Some(Into { strict: false, targets });
        Ok(vec![PlStatement::Sql { statement, into, perform: false }, PlStatement::Return(value)])
    }

    /// The last statement of a function that gives rows of a named type: their columns, or one whole value.
    fn row_result(&mut self, mut statement: Embedded, given: &[OutputColumn]) -> Result<Vec<PlStatement>> {
        let whole = matches!(given, [only] if only.ty == self.returns);
        if whole && self.returns_set {
            self.expand_rows(&mut statement)?;
        } else if !whole {
            self.coerce_result(&mut statement, given)?;
        }
        if self.returns_set {
            return Ok(vec![PlStatement::ReturnQuery(statement)]);
        }
        let variable = self.add_variable("", self.returns, -1);
        let target = if whole { Target::Variable(variable) } else { Target::Record(variable) };
        let into = Some(Into { strict: false, targets: vec![(target, None)] });
        let expr = self.variables.reference(variable, None);
        let text = statement.text.clone();
        let value = Expression { expr, relations: Vec::new(), text, failure: None };
        Ok(vec![PlStatement::Sql { statement, into, perform: false }, PlStatement::Return(Some(value))])
    }

    /// Makes a query's one column, a row, into the row's columns.
    fn expand_rows(&self, statement: &mut Embedded) -> Result<()> {
        let Statement { kind: StatementKind::Query(query), relations, .. } = &mut statement.statement else {
            return Err(nodes::missing());
        };
        let adopted = std::mem::take(relations);
        let columns = self.columns.clone();
        let ((), all) = self.analyze(|analyzer| {
            analyzer.adopt_relations(adopted);
            analyzer.expand_row_column(query, columns);
            Ok(())
        })?;
        *relations = all;
        Ok(())
    }

    /// Makes the rows be of the result type, and one at most when that is all the function gives.
    fn coerce_result(&self, statement: &mut Embedded, given: &[OutputColumn]) -> Result<()> {
        let wanted: Vec<TypeId> = self.columns.iter().map(|column| column.ty).collect();
        if given.len() != wanted.len() {
            return Err(if !self.returns.is_row() {
                self.mismatch("Final statement must return exactly one column.")
            } else if given.len() > wanted.len() {
                self.mismatch("Final statement returns too many columns.")
            } else {
                self.mismatch("Final statement returns too few columns.")
            });
        }
        let Statement { kind: StatementKind::Query(query), relations, .. } = &mut statement.statement else {
            return Err(nodes::missing());
        };
        let adopted = std::mem::take(relations);
        let ((), all) = self.analyze(|analyzer| {
            analyzer.adopt_relations(adopted);
            for (index, (column, ty)) in given.iter().zip(&wanted).enumerate() {
                if column.ty != *ty && !assignable(analyzer, column.ty, *ty) {
                    return Err(if self.returns.is_row() {
                        self.mismatch(&format!(
                            "Final statement returns {} instead of {ty} at column {}.",
                            column.ty,
                            index + 1
                        ))
                    } else {
                        self.mismatch(&format!("Actual return type is {}.", column.ty))
                    });
                }
            }
            analyzer.coerce_query(query, &wanted)
        })?;
        *relations = all;
        Ok(())
    }

    fn mismatch(&self, detail: &str) -> SqlError {
        let message = format!("return type mismatch in function declared to return {}", self.returns);
        SqlError::new(sqlstate::INVALID_FUNCTION_DEFINITION, message).detail(detail)
    }
}

fn assignable(analyzer: &Analyzer<'_>, from: TypeId, to: TypeId) -> bool {
    analyzer.resolver().find_cast(from, to, tuplix_functions::CastContext::Assignment).is_some()
}
