//! Which unique index ON CONFLICT (...) WHERE ... means (`infer_arbiter_indexes`).

use pg_query::protobuf::InferClause;
use pg_query::protobuf::node::Node as NodeEnum;
use tuplix_catalog::{IndexDef, IndexId, TableDef};
use tuplix_types::{Result, SqlError, sqlstate};

use super::equal::same;
use super::scope::Clause;
use super::table::TableExpression;
use super::{Analyzer, analyze_table_expression, map_columns, nodes};
use crate::plan::{Expr, ExprKind, RelationId};

impl Analyzer<'_> {
    /// The index over exactly these columns and expressions whose predicate, if any, the condition given implies.
    pub(super) fn inferred_index(&mut self, infer: &InferClause, table: &TableDef) -> Result<IndexId> {
        let mut columns: Vec<usize> = Vec::new();
        let mut expressions: Vec<Expr> = Vec::new();
        for node in &infer.index_elems {
            let NodeEnum::IndexElem(element) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if !element.collation.is_empty() || !element.opclass.is_empty() {
                return Err(self.unsupported("ON CONFLICT with an operator class", infer.location));
            }
            if let Some(value) = element.expr.as_deref() {
                let value = self.in_clause(Clause::Index, |analyzer| {
                    let value = analyzer.expression(value)?;
                    analyzer.settle_unknown(value)
                })?;
                match value.kind {
                    ExprKind::Column { column, .. } => columns.push(column),
                    _ => expressions.push(of_first_relation(value)),
                }
                continue;
            }
            let column = table.column(&element.name).ok_or_else(|| {
                let message = format!("column \"{}\" does not exist", element.name);
                SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(self.at(infer.location))
            })?;
            columns.push(column);
        }
        let condition = self.condition(infer.where_clause.as_deref(), Clause::IndexPredicate)?;
        let condition = condition.map(of_first_relation);
        for index in table.indexes.iter().filter(|index| index.unique) {
            if self.has_keys(table, index, &columns, &expressions)?
                && self.implies(table, condition.as_ref(), index)?
            {
                return Ok(index.id);
            }
        }
        let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
        Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message))
    }

    fn has_keys(
        &self,
        table: &TableDef,
        index: &IndexDef,
        columns: &[usize],
        expressions: &[Expr],
    ) -> Result<bool> {
        let mut met = vec![false; expressions.len()];
        for key in &index.columns {
            match &key.expression {
                None if !columns.contains(&key.column) => return Ok(false),
                None => {}
                Some(text) => {
                    let (expr, _) =
                        analyze_table_expression(self.context, table, text, TableExpression::Index)?;
                    match expressions.iter().position(|given| same(given, &expr)) {
                        Some(place) => met[place] = true,
                        None => return Ok(false),
                    }
                }
            }
        }
        let has = |column: &usize| {
            index.columns.iter().any(|key| key.expression.is_none() && key.column == *column)
        };
        Ok(columns.iter().all(has) && met.iter().all(|met| *met))
    }

    /// Whether a condition has every conjunct of an index's predicate.
    fn implies(&self, table: &TableDef, condition: Option<&Expr>, index: &IndexDef) -> Result<bool> {
        let Some(predicate) = &index.predicate else { return Ok(true) };
        let (wanted, _) =
            analyze_table_expression(self.context, table, predicate, TableExpression::IndexPredicate)?;
        let (mut wanted_parts, mut given_parts) = (Vec::new(), Vec::new());
        conjuncts(&wanted, &mut wanted_parts);
        condition.iter().for_each(|condition| conjuncts(condition, &mut given_parts));
        Ok(wanted_parts.iter().all(|wanted| given_parts.iter().any(|given| same(given, wanted))))
    }
}

/// The expression with its columns as those of relation 0, as the catalogue's expressions have them.
fn of_first_relation(mut expr: Expr) -> Expr {
    map_columns(&mut expr, &mut |relation, _| *relation = RelationId(0));
    expr
}

/// The parts of a chain of ANDs.
fn conjuncts<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().for_each(|part| conjuncts(part, out)),
        _ => out.push(expr),
    }
}
