//! Expressions that the catalogue keeps as text: defaults, checks, index expressions.

use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_catalog::TableDef;
use tuplix_functions::CastContext;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::{Clause, ScopeItem, table_columns};
use super::{AnalyzeContext, Analyzer, Source, nodes};
use crate::parser;
use crate::plan::{Expr, Relation};

/// What an expression of a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableExpression {
    /// The default of the column at this position, as a value of its type.
    Default(usize),
    /// A CHECK constraint, as a boolean.
    Check,
    /// A part of an index key.
    Index,
    /// The predicate of a partial index, as a boolean.
    IndexPredicate,
    /// A policy's expression, as a boolean.
    Policy,
    /// The generation expression of the column at this position, as a value of its type.
    Generated(usize),
    /// What the column at this position becomes as a value of another type.
    Type {
        /// The column.
        column: usize,
        /// Its new type.
        ty: TypeId,
        /// Its new modifier.
        typmod: i32,
        /// By USING rather than by itself.
        using: bool,
    },
}

/// Analyses an expression of a table. Its columns are those of [`crate::plan::RelationId`] 0.
///
/// # Errors
/// As for the statement that contained it, without positions: the client has not written it now.
pub fn analyze_table_expression(
    context: &AnalyzeContext<'_>,
    table: &TableDef,
    text: &str,
    purpose: TableExpression,
) -> Result<(Expr, Vec<Relation>)> {
    table_expression(Analyzer::new(context, None), table, text, purpose)
}

/// The same with the positions in `text` of the parts of the expression: characters, from 1 on.
///
/// # Errors
/// As [`analyze_table_expression`].
pub fn located_table_expression(
    context: &AnalyzeContext<'_>,
    table: &TableDef,
    text: &str,
    purpose: TableExpression,
) -> Result<Expr> {
    let source = Source { text, offset: 0 };
    Ok(table_expression(Analyzer::new(context, Some(source)), table, text, purpose)?.0)
}

fn table_expression(
    mut analyzer: Analyzer<'_>,
    table: &TableDef,
    text: &str,
    purpose: TableExpression,
) -> Result<(Expr, Vec<Relation>)> {
    let clause = match purpose {
        TableExpression::Default(_) => Clause::Default,
        TableExpression::Check => Clause::Check,
        TableExpression::Index => Clause::Index,
        TableExpression::IndexPredicate => Clause::IndexPredicate,
        TableExpression::Policy => Clause::Policy,
        TableExpression::Generated(_) => Clause::Generated,
        TableExpression::Type { .. } => Clause::Transform,
    };
    let (expr, _) = analyzer.in_scope(|analyzer| {
        let columns = table_columns(table);
        let relation = analyzer.add_relation(&table.name, columns.clone(), Some(table.id));
        let item = ScopeItem::of_relation(&table.name, relation, &columns);
        analyzer.scope().items.push(item);
        let value = analyzer.text_expression(text, clause)?;
        match purpose {
            TableExpression::Default(column) | TableExpression::Generated(column) => {
                let column = table.columns.get(column).ok_or_else(nodes::missing)?;
                analyzer.assign(value, &column.name, column.ty, column.typmod)
            }
            TableExpression::Check => analyzer.boolean(value, "CHECK"),
            TableExpression::IndexPredicate => analyzer.boolean(value, "WHERE"),
            TableExpression::Policy => analyzer.boolean(value, "POLICY"),
            TableExpression::Index => analyzer.settle_unknown(value),
            TableExpression::Type { column, ty, typmod, using } => {
                let name = &table.columns.get(column).ok_or_else(nodes::missing)?.name;
                let coerced = analyzer.coerce(value, ty, typmod, CastContext::Assignment)?;
                coerced.ok_or_else(|| no_automatic_cast(name, ty, using))
            }
        }
    })?;
    Ok((expr, analyzer.relations))
}

fn no_automatic_cast(column: &str, ty: TypeId, using: bool) -> SqlError {
    let (subject, hint) = match using {
        true => ("result of USING clause for column", "You might need to add an explicit cast.".to_owned()),
        false => ("column", format!("You might need to specify \"USING {column}::{ty}\".")),
    };
    let message = format!("{subject} \"{column}\" cannot be cast automatically to type {ty}");
    SqlError::new(sqlstate::DATATYPE_MISMATCH, message).hint(hint)
}

impl Analyzer<'_> {
    /// An expression kept as text that sees nothing of the statement around it.
    pub(super) fn stored_expression(&mut self, text: &str, clause: Clause) -> Result<Expr> {
        let source = self.source.take();
        let variables = self.variables.take();
        let scopes = std::mem::take(&mut self.scopes);
        let result = self.in_scope(|analyzer| analyzer.text_expression(text, clause));
        self.source = source;
        self.variables = variables;
        self.scopes = scopes;
        result.map(|(expr, _)| expr)
    }

    /// Parses and analyses an expression in the current scope.
    pub(super) fn text_expression(&mut self, text: &str, clause: Clause) -> Result<Expr> {
        let select = parser::parse_expression(text)?;
        let [target] = &select.target_list[..] else {
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, format!("\"{text}\" is not one expression")));
        };
        let NodeEnum::ResTarget(target) = nodes::inner(target)? else { return Err(nodes::missing()) };
        self.in_clause(clause, |analyzer| analyzer.operand(target.val.as_deref()))
    }
}
