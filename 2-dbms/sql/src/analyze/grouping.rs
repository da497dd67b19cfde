//! Grouped queries: every column outside of aggregates is a group key (`parseCheckAggregates`).
//!
//! A column that depends on a table's primary key in GROUP BY becomes one more key. A subquery names a key that is a
//! plain column as that column: whoever emits a group makes its key columns readable.

use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Analyzer;
use super::equal::same;
use super::grouping_sets::GroupKeys;
use super::targets::Target;
use super::walk::{operands, query_expressions, subquery, window_expressions};
use crate::plan::{Expr, ExprKind, Query, RelationId, Select};

impl Analyzer<'_> {
    /// Replaces keys in the select list, HAVING and window calls; refuses ungrouped columns.
    pub(super) fn check_grouping(
        &self,
        select: &mut Select,
        targets: &mut [Target],
        mut keys: GroupKeys,
    ) -> Result<()> {
        let mut check = |expr: &mut Expr| self.replace_keys(expr, &mut keys);
        for target in targets {
            check(&mut target.value)?;
        }
        if let Some(having) = &mut select.having {
            check(having)?;
        }
        let mut result = Ok(());
        let mut visit = |expr: &mut Expr| {
            if result.is_ok() {
                result = check(expr);
            }
        };
        for call in &mut select.windows {
            call.arguments.iter_mut().chain(&mut call.filter).for_each(&mut visit);
        }
        select.window_definitions.iter_mut().for_each(|window| window_expressions(window, &mut visit));
        result?;
        for call in &mut select.aggregates {
            for direct in &mut call.direct {
                self.replace_keys(direct, &mut keys).map_err(|error| {
                    error
                        .detail("Direct arguments of an ordered-set aggregate must use only grouped columns.")
                })?;
            }
        }
        (select.group_by, select.grouping_sets) = (keys.list, keys.sets);
        Ok(())
    }

    fn replace_keys(&self, expr: &mut Expr, keys: &mut GroupKeys) -> Result<()> {
        if let Some(index) = keys.list.iter().position(|key| same(key, expr)) {
            expr.kind = ExprKind::GroupKey(index);
            return Ok(());
        }
        if let ExprKind::Grouping(arguments) = &mut expr.kind {
            return replace_grouping(arguments, keys);
        }
        let level = self.scopes.len().saturating_sub(1);
        match expr.kind {
            ExprKind::Column { relation, column } if self.origin(relation).level == level => {
                if !self.depends_on_keys(relation, keys) {
                    return Err(self.ungrouped(relation, Some(column), expr.position, false));
                }
                keys.push(Expr { position: None, ..expr.clone() });
                expr.kind = ExprKind::GroupKey(keys.list.len() - 1);
                return Ok(());
            }
            ExprKind::WholeRow(relation) if self.origin(relation).level == level => {
                let columns = &self.relation(relation).columns;
                let fields = columns.iter().enumerate().map(|(column, def)| {
                    let kind = ExprKind::Column { relation, column };
                    Expr { kind, ty: def.ty, typmod: def.typmod, position: expr.position }
                });
                let mut row = Expr::new(ExprKind::Row(fields.collect()), TypeId::RECORD);
                self.replace_keys(&mut row, keys)?;
                expr.kind = row.kind;
                return Ok(());
            }
            _ => {}
        }
        let mut result = Ok(());
        operands(expr, &mut |operand| {
            if result.is_ok() {
                result = self.replace_keys(operand, keys);
            }
        });
        result?;
        match subquery(expr) {
            Some(query) => self.check_subquery(query, level, keys),
            None => Ok(()),
        }
    }

    /// Columns of the grouped query inside of a subquery must be keys; they stay columns there.
    fn check_subquery(&self, query: &mut Query, level: usize, keys: &mut GroupKeys) -> Result<()> {
        let mut result = Ok(());
        query_expressions(query, &mut |expr| {
            if result.is_ok() {
                result = self.check_outer(expr, level, keys);
            }
        });
        result
    }

    fn check_outer(&self, expr: &mut Expr, level: usize, keys: &mut GroupKeys) -> Result<()> {
        match expr.kind {
            ExprKind::Column { relation, column } if self.origin(relation).level == level => {
                if keys.list.iter().any(|key| same(key, expr)) {
                    return Ok(());
                }
                if !self.depends_on_keys(relation, keys) {
                    return Err(self.ungrouped(relation, Some(column), expr.position, true));
                }
                keys.push(Expr { position: None, ..expr.clone() });
                return Ok(());
            }
            ExprKind::WholeRow(relation) if self.origin(relation).level == level => {
                return Err(self.ungrouped(relation, None, expr.position, true));
            }
            _ => {}
        }
        let mut result = Ok(());
        operands(expr, &mut |operand| {
            if result.is_ok() {
                result = self.check_outer(operand, level, keys);
            }
        });
        result?;
        match subquery(expr) {
            Some(query) => self.check_subquery(query, level, keys),
            None => Ok(()),
        }
    }

    /// Whether the keys have a table's whole primary key, so that they determine its other columns.
    fn depends_on_keys(&self, relation: RelationId, keys: &GroupKeys) -> bool {
        let Some(table) = self.origin(relation).table.and_then(|id| self.context.catalog.table(id)) else {
            return false;
        };
        let Some(primary) = table.primary_key() else { return false };
        primary.columns.iter().all(|part| {
            keys.common().any(|key| {
                matches!(key.kind, ExprKind::Column { relation: r, column: c } if r == relation && c == part.column)
            })
        })
    }

    fn ungrouped(
        &self,
        relation: RelationId,
        column: Option<usize>,
        position: Option<u32>,
        outer: bool,
    ) -> SqlError {
        let relation = self.relation(relation);
        let column =
            column.and_then(|column| relation.columns.get(column)).map_or("*", |column| column.name.as_str());
        let shown = format!("{}.{column}", relation.name);
        let message = if outer {
            format!("subquery uses ungrouped column \"{shown}\" from outer query")
        } else {
            format!(
                "column \"{shown}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        };
        SqlError::new(sqlstate::GROUPING_ERROR, message).at(position)
    }

    /// Calls `visit` with the relation of each column in an expression, subqueries included.
    pub(super) fn visit_columns(&self, expr: &mut Expr, visit: &mut dyn FnMut(RelationId)) {
        if let ExprKind::Column { relation, .. } | ExprKind::WholeRow(relation) = expr.kind {
            visit(relation);
        }
        operands(expr, &mut |operand| self.visit_columns(operand, visit));
        if let Some(query) = subquery(expr) {
            query_expressions(query, &mut |inner| self.visit_columns(inner, visit));
        }
    }
}

/// The arguments of GROUPING must be keys.
fn replace_grouping(arguments: &mut [Expr], keys: &GroupKeys) -> Result<()> {
    for argument in arguments {
        let Some(index) = keys.list.iter().position(|key| same(key, argument)) else {
            let message = "arguments to GROUPING must be grouping expressions of the associated query level";
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message).at(argument.position));
        };
        argument.kind = ExprKind::GroupKey(index);
    }
    Ok(())
}
