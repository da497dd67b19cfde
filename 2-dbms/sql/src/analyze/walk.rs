//! Visiting the expressions of a plan.

use crate::plan::{
    ConflictAction, Expr, ExprKind, From, InsertSource, Query, QueryBody, RelationId, Select, SortTarget,
    SubqueryKind, Window,
};

/// Calls `visit` on each direct operand of an expression. A subquery's left sides are operands; the expressions
/// inside of its query are not: see [`query_expressions`].
pub(super) fn operands(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut expr.kind {
        ExprKind::Constant(_)
        | ExprKind::Column { .. }
        | ExprKind::WholeRow(_)
        | ExprKind::Place { .. }
        | ExprKind::Parameter(_)
        | ExprKind::Variable(_)
        | ExprKind::CaseOperand
        | ExprKind::DomainValue
        | ExprKind::Aggregate(_)
        | ExprKind::GroupKey(_)
        | ExprKind::Window(_)
        | ExprKind::Default => {}
        ExprKind::Call { arguments: list, .. }
        | ExprKind::UserCall { arguments: list, .. }
        | ExprKind::And(list)
        | ExprKind::Or(list)
        | ExprKind::Coalesce(list)
        | ExprKind::MinMax { arguments: list, .. }
        | ExprKind::Array { elements: list, .. }
        | ExprKind::Grouping(list)
        | ExprKind::Row(list) => list.iter_mut().for_each(visit),
        ExprKind::Relabel(one)
        | ExprKind::CastViaText(one)
        | ExprKind::Not(one)
        | ExprKind::IsNull { argument: one, .. }
        | ExprKind::IsBoolean { argument: one, .. }
        | ExprKind::Field { record: one, .. } => visit(one),
        ExprKind::Domain { argument, checks, .. } => {
            visit(argument);
            checks.iter_mut().for_each(|(_, check)| visit(check));
        }
        ExprKind::CastElements { array: left, element: right }
        | ExprKind::IsDistinct { left, right, .. }
        | ExprKind::NullIf { left, equal: right }
        | ExprKind::AnyAll { left, array: right, .. } => {
            visit(left);
            visit(right);
        }
        ExprKind::Case { operand, arms, otherwise } => {
            operand.iter_mut().for_each(|operand| visit(operand));
            for (condition, result) in arms {
                visit(condition);
                visit(result);
            }
            otherwise.iter_mut().for_each(|otherwise| visit(otherwise));
        }
        ExprKind::Subscript { array, subscripts, .. } => {
            visit(array);
            for subscript in subscripts {
                subscript.lower.iter_mut().chain(&mut subscript.upper).for_each(&mut *visit);
            }
        }
        ExprKind::SetElement { array, subscripts, value, .. } => {
            visit(array);
            for subscript in subscripts {
                subscript.lower.iter_mut().chain(&mut subscript.upper).for_each(&mut *visit);
            }
            visit(value);
        }
        ExprKind::SetField { record, value, .. } => {
            visit(record);
            visit(value);
        }
        ExprKind::Populate { source, base, .. } => {
            visit(source);
            base.iter_mut().for_each(|base| visit(base));
        }
        ExprKind::SetJson { target, path, value } => {
            visit(target);
            path.iter_mut().for_each(&mut *visit);
            visit(value);
        }
        ExprKind::Subquery { kind, .. } => {
            if let SubqueryKind::Compare { left, .. } = kind {
                left.iter_mut().for_each(visit);
            }
        }
    }
}

/// Calls `visit` with the relation and position of each column that an expression reads outside of subqueries.
pub fn map_columns(expr: &mut Expr, visit: &mut dyn FnMut(&mut RelationId, &mut usize)) {
    if let ExprKind::Column { relation, column } = &mut expr.kind {
        visit(relation, column);
    }
    operands(expr, &mut |operand| map_columns(operand, visit));
}

/// The query of a subquery expression.
pub(super) fn subquery(expr: &mut Expr) -> Option<&mut Query> {
    match &mut expr.kind {
        ExprKind::Subquery { query, .. } => Some(query),
        _ => None,
    }
}

/// Calls `visit` on each outermost expression of a query and of the queries nested in its FROM and WITH; the
/// visitor itself descends into operands and subqueries.
pub(super) fn query_expressions(query: &mut Query, visit: &mut dyn FnMut(&mut Expr)) {
    for cte in &mut query.ctes {
        query_expressions(&mut cte.query, visit);
        if let Some(part) = &mut cte.recursive {
            query_expressions(&mut part.query, visit);
        }
    }
    match &mut query.body {
        QueryBody::Select(select) => select_expressions(select, visit),
        QueryBody::Values(rows) => rows.iter_mut().flatten().for_each(&mut *visit),
        QueryBody::SetOperation { left, right, .. } => {
            query_expressions(left, visit);
            query_expressions(right, visit);
        }
        QueryBody::Insert(insert) => {
            match &mut insert.source {
                InsertSource::Values(rows) => rows.iter_mut().flatten().for_each(&mut *visit),
                InsertSource::Query(query) => query_expressions(query, visit),
                InsertSource::Defaults => {}
            }
            insert.defaults.iter_mut().for_each(|(_, default)| visit(default));
            if let Some(conflict) = &mut insert.on_conflict
                && let ConflictAction::Update { assignments, filter, policies, .. } = &mut conflict.action
            {
                policies.iter_mut().for_each(|check| visit(&mut check.condition));
                assignments.iter_mut().for_each(|(_, value)| visit(value));
                filter.iter_mut().for_each(&mut *visit);
            }
            insert.view_checks.iter_mut().for_each(|check| visit(&mut check.condition));
            insert.policies.iter_mut().for_each(|check| visit(&mut check.condition));
            insert.returning.iter_mut().for_each(&mut *visit);
        }
        QueryBody::Update(update) => {
            update.assignments.iter_mut().for_each(|(_, value)| visit(value));
            update.from.iter_mut().for_each(|from| from_expressions(from, visit));
            update.instead.iter_mut().for_each(|shown| query_expressions(shown, visit));
            update.view_checks.iter_mut().for_each(|check| visit(&mut check.condition));
            update.filter.iter_mut().chain(&mut update.returning).for_each(&mut *visit);
        }
        QueryBody::Delete(delete) => {
            delete.using.iter_mut().for_each(|from| from_expressions(from, visit));
            delete.instead.iter_mut().for_each(|shown| query_expressions(shown, visit));
            delete.filter.iter_mut().chain(&mut delete.returning).for_each(&mut *visit);
        }
        QueryBody::Merge(merge) => {
            from_expressions(&mut merge.source, visit);
            merge.expressions_mut().into_iter().for_each(&mut *visit);
        }
    }
    query.limit.iter_mut().chain(&mut query.offset).for_each(&mut *visit);
}

fn select_expressions(select: &mut Select, visit: &mut dyn FnMut(&mut Expr)) {
    select.from.iter_mut().for_each(|from| from_expressions(from, visit));
    select.filter.iter_mut().chain(&mut select.group_by).for_each(&mut *visit);
    for call in &mut select.aggregates {
        call.direct.iter_mut().chain(&mut call.arguments).chain(&mut call.filter).for_each(&mut *visit);
        call.order_by.iter_mut().for_each(|key| sort_key(&mut key.key, visit));
    }
    select.having.iter_mut().for_each(&mut *visit);
    for call in &mut select.windows {
        call.arguments.iter_mut().chain(&mut call.filter).for_each(&mut *visit);
    }
    select.window_definitions.iter_mut().for_each(|window| window_expressions(window, visit));
    select.targets.iter_mut().for_each(visit);
}

/// Calls `visit` on each outermost expression of a window.
pub(super) fn window_expressions(window: &mut Window, visit: &mut dyn FnMut(&mut Expr)) {
    window.partition_by.iter_mut().for_each(&mut *visit);
    window.order_by.iter_mut().for_each(|key| sort_key(&mut key.key, visit));
    let bounds = [&mut window.frame.start, &mut window.frame.end];
    bounds.into_iter().filter_map(crate::plan::FrameBound::offset_mut).for_each(visit);
}

/// Calls `visit` on the expression of a sort key that has one.
pub(super) fn sort_key(key: &mut SortTarget, visit: &mut dyn FnMut(&mut Expr)) {
    if let SortTarget::Expr(expr) = key {
        visit(expr);
    }
}

fn from_expressions(from: &mut From, visit: &mut dyn FnMut(&mut Expr)) {
    match from {
        From::Table { .. } | From::System { .. } | From::Cte { .. } => {}
        From::Subquery { query, .. } => query_expressions(query, visit),
        From::Function { call, .. } => visit(call),
        From::RowsFrom { calls, .. } => calls.iter_mut().for_each(|(call, _)| visit(call)),
        From::Join { left, right, on, .. } => {
            from_expressions(left, visit);
            from_expressions(right, visit);
            on.iter_mut().for_each(visit);
        }
    }
}
