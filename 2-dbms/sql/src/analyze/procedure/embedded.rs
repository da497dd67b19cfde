//! SQL inside of a body: expressions, statements, and the casts between them and variables.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{ObjectType, SelectStmt, SetOperation};
use tuplix_functions::CastContext;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Binder;
use crate::analyze::functions::null;
use crate::analyze::scope::Clause;
use crate::analyze::{Analyzer, Source, nodes};
use crate::parser::ParsedStatement;
use crate::plan::{
    Embedded, Expr, ExprKind, Expression, OutputColumn, Relation, Statement, StatementKind, SubqueryKind,
};
use crate::plpgsql;

impl Binder<'_> {
    /// Runs `work` on an analyzer that sees the variables.
    pub(super) fn analyze<T>(
        &self,
        work: impl FnOnce(&mut Analyzer<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Relation>)> {
        self.analyze_text(None, work)
    }

    /// As [`Self::analyze`], where errors have positions in a text.
    fn analyze_text<T>(
        &self,
        source: Option<Source<'_>>,
        work: impl FnOnce(&mut Analyzer<'_>) -> Result<T>,
    ) -> Result<(T, Vec<Relation>)> {
        let mut analyzer = Analyzer::new(self.context, source);
        analyzer.variables = Some(&self.variables);
        let value = work(&mut analyzer)?;
        Ok((value, analyzer.relations))
    }

    /// An expression as it is, `text` where nothing decides its type.
    pub(super) fn expression(&self, source: &plpgsql::Expression) -> Expression {
        self.converted(source, |_, value| Ok(value))
    }

    /// An expression as a value of a type.
    pub(super) fn typed(&self, source: &plpgsql::Expression, ty: TypeId, typmod: i32) -> Expression {
        self.converted(source, |analyzer, value| analyzer.variable_cast(value, ty, typmod))
    }

    /// A condition.
    pub(super) fn condition(&self, source: &plpgsql::Expression) -> Expression {
        self.typed(source, TypeId::BOOL, -1)
    }

    /// An expression as `text`.
    pub(super) fn text(&self, source: &plpgsql::Expression) -> Expression {
        self.typed(source, TypeId::TEXT, -1)
    }

    /// An expression, changed while its literals have no type yet.
    pub(super) fn converted(
        &self,
        source: &plpgsql::Expression,
        convert: impl FnOnce(&mut Analyzer<'_>, Expr) -> Result<Expr>,
    ) -> Expression {
        self.converted_select(&source.select, &source.text, convert)
    }

    /// As [`Self::converted`] for the tree and text of an expression.
    pub(super) fn converted_select(
        &self,
        select: &SelectStmt,
        text: &str,
        convert: impl FnOnce(&mut Analyzer<'_>, Expr) -> Result<Expr>,
    ) -> Expression {
        self.computed(text, |analyzer| {
            let value = analyzer.body_expression(select)?;
            let value = convert(analyzer, value)?;
            analyzer.settle_unknown(value)
        })
    }

    /// What `work` makes of an expression with a text. An error is raised when the expression is reached.
    pub(super) fn computed(
        &self,
        text: &str,
        work: impl FnOnce(&mut Analyzer<'_>) -> Result<Expr>,
    ) -> Expression {
        let text = text.to_owned();
        match self.analyze(work) {
            Ok((expr, relations)) => Expression { expr, relations, text, failure: None },
            Err(mut error) => {
                error.fields_mut().position = None;
                Expression { expr: null(TypeId::TEXT), relations: Vec::new(), text, failure: Some(error) }
            }
        }
    }

    /// A statement of SQL.
    pub(super) fn embedded(&self, query: &plpgsql::Query) -> Result<Embedded> {
        // An error's place in the query matters only by being there (`within`). Other DDL would keep parts of the text.
        let places = keeps_query(&query.node)
            || matches!(
                *query.node,
                NodeEnum::SelectStmt(_)
                    | NodeEnum::InsertStmt(_)
                    | NodeEnum::UpdateStmt(_)
                    | NodeEnum::DeleteStmt(_)
                    | NodeEnum::MergeStmt(_)
            );
        let source = places.then_some(Source { text: &query.text, offset: 0 });
        self.embedded_node(&query.node, &query.text, source)
    }

    /// A statement of an SQL function.
    pub(super) fn embedded_parsed(&self, parsed: &ParsedStatement) -> Result<Embedded> {
        let source = Source { text: &parsed.text, offset: parsed.offset };
        self.embedded_node(&parsed.node, &parsed.text, keeps_query(&parsed.node).then_some(source))
    }

    fn embedded_node(&self, node: &NodeEnum, text: &str, source: Option<Source<'_>>) -> Result<Embedded> {
        let (kind, relations) = self.analyze_text(source, |analyzer| analyzer.statement(node))?;
        let statement = Statement { kind, parameters: Vec::new(), relations };
        Ok(Embedded { statement, text: text.to_owned() })
    }

    /// The cast of a column's value, seen as [`ExprKind::CaseOperand`], to a target's type; `None` when it fits.
    pub(super) fn operand_cast(&self, from: &OutputColumn, to: TypeId, typmod: i32) -> Result<Option<Expr>> {
        if from.ty == to && (typmod < 0 || typmod == from.typmod) {
            return Ok(None);
        }
        let operand = Expr { typmod: from.typmod, ..Expr::new(ExprKind::CaseOperand, from.ty) };
        let (cast, _) = self.analyze(|analyzer| analyzer.variable_cast(operand, to, typmod))?;
        Ok(Some(cast))
    }
}

/// Whether the catalogue will keep a statement's query as text: that of a view.
fn keeps_query(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::ViewStmt(_) => true,
        NodeEnum::CreateTableAsStmt(stmt) => stmt.objtype == ObjectType::ObjectMatview as i32,
        _ => false,
    }
}

/// The columns that a statement gives.
pub(super) fn statement_columns(statement: &Statement) -> Vec<OutputColumn> {
    match &statement.kind {
        StatementKind::Query(query) => query.columns.clone(),
        _ => Vec::new(),
    }
}

impl Analyzer<'_> {
    /// What follows `:=`, `IF`, `RETURN`, ...: one expression, or a query of one value.
    fn body_expression(&mut self, select: &SelectStmt) -> Result<Expr> {
        if let [target] = &select.target_list[..]
            && is_expression(select)
            && let NodeEnum::ResTarget(target) = nodes::inner(target)?
        {
            let (value, scope) = self.in_scope(|analyzer| {
                analyzer.in_clause(Clause::Target, |analyzer| analyzer.operand(target.val.as_deref()))
            })?;
            if scope.aggregates.is_empty() && scope.set_functions.is_empty() && scope.windows.is_empty() {
                return Ok(value);
            }
        }
        let query = self.query(&NodeEnum::SelectStmt(Box::new(select.clone())))?;
        let [column] = &query.columns[..] else {
            let message = format!("query returned {} columns", query.columns.len());
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        };
        let (ty, typmod) = (column.ty, column.typmod);
        let kind = ExprKind::Subquery { kind: SubqueryKind::Scalar, query: Box::new(query) };
        Ok(Expr { kind, ty, typmod, position: None })
    }

    /// A row for a variable of a named row type.
    pub(super) fn row_cast(&mut self, value: Expr, ty: TypeId) -> Result<Expr> {
        let is_null = matches!(value.kind, ExprKind::Constant(tuplix_types::Value::Null));
        if !value.ty.is_row() && !is_null {
            let message = "cannot assign non-composite value to a record variable";
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
        }
        self.variable_cast(value, ty, -1)
    }

    /// A value for a variable: an assignment cast, or through the text form when there is none.
    pub(in crate::analyze) fn variable_cast(&mut self, value: Expr, ty: TypeId, typmod: i32) -> Result<Expr> {
        let from = value.ty;
        // Rows are converted by position; what is missing is NULL, what is too much is dropped.
        if ty.is_composite()
            && from.is_row()
            && from != ty
            && let Some(row) = self.record_as(&value, ty)?
        {
            return Ok(row);
        }
        if let Some(cast) = self.coerce(value.clone(), ty, typmod, CastContext::Assignment)? {
            return Ok(cast);
        }
        if from == TypeId::RECORD || ty == TypeId::RECORD {
            let message = format!("cannot assign a value of type {from} to a variable of type {ty}");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
        }
        let position = value.position;
        let cast = Expr { position, ..Expr::new(ExprKind::CastViaText(Box::new(value)), ty) };
        Ok(self.coerce(cast.clone(), ty, typmod, CastContext::Assignment)?.unwrap_or(cast))
    }
}

/// Whether a SELECT is its select list alone.
fn is_expression(select: &SelectStmt) -> bool {
    select.op <= SetOperation::SetopNone as i32
        && select.distinct_clause.is_empty()
        && select.from_clause.is_empty()
        && select.where_clause.is_none()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.window_clause.is_empty()
        && select.values_lists.is_empty()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty()
        && select.with_clause.is_none()
        && select.into_clause.is_none()
}
