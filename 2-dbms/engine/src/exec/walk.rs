//! Walks over typed plans: which columns, relations, tables and functions a piece of it names.

use std::collections::{BTreeMap, BTreeSet};

use tuplix_catalog::TableId;
use tuplix_functions::Volatility;
use tuplix_sql::plan::{
    ConflictAction, CteId, Expr, ExprKind, From, InsertSource, MergeChange, Query, QueryBody, RelationId,
    Select, SortKey, SortTarget, SubqueryKind, Window,
};

/// What a walk meets.
pub(crate) enum Node<'a> {
    /// An expression, before its parts.
    Expr(&'a Expr),
    /// A FROM item, before its parts.
    From(&'a From),
    /// A query, before its parts.
    Query(&'a Query),
}

/// A visitor.
pub(crate) type Visit<'v, 'a> = &'v mut dyn FnMut(Node<'a>);

/// Visits an expression and everything in it.
pub(crate) fn expr<'a>(node: &'a Expr, visit: Visit<'_, 'a>) {
    visit(Node::Expr(node));
    children(node, &mut |child| expr(child, visit));
    if let ExprKind::Subquery { query: sub, .. } = &node.kind {
        query(sub, visit);
    }
}

/// Visits the direct parts of an expression; of a subquery only its left sides.
pub(crate) fn children<'a>(node: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &node.kind {
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
        ExprKind::Call { arguments, .. } | ExprKind::UserCall { arguments, .. } => {
            arguments.iter().for_each(visit)
        }
        ExprKind::Relabel(inner) | ExprKind::CastViaText(inner) | ExprKind::Not(inner) => visit(inner),
        ExprKind::Domain { argument, checks, .. } => {
            visit(argument);
            checks.iter().for_each(|(_, check)| visit(check));
        }
        ExprKind::CastElements { array, element } => {
            visit(array);
            visit(element);
        }
        ExprKind::And(parts)
        | ExprKind::Or(parts)
        | ExprKind::Coalesce(parts)
        | ExprKind::Row(parts)
        | ExprKind::Grouping(parts) => parts.iter().for_each(visit),
        ExprKind::IsNull { argument, .. } | ExprKind::IsBoolean { argument, .. } => visit(argument),
        ExprKind::IsDistinct { left, right, .. } => {
            visit(left);
            visit(right);
        }
        ExprKind::Case { operand, arms, otherwise } => {
            operand.iter().for_each(|operand| visit(operand));
            for (condition, result) in arms {
                visit(condition);
                visit(result);
            }
            otherwise.iter().for_each(|otherwise| visit(otherwise));
        }
        ExprKind::NullIf { left, equal } => {
            visit(left);
            visit(equal);
        }
        ExprKind::MinMax { arguments, .. } => arguments.iter().for_each(visit),
        ExprKind::Array { elements, .. } => elements.iter().for_each(visit),
        ExprKind::Subscript { array, subscripts, .. } => {
            visit(array);
            for subscript in subscripts {
                subscript.lower.iter().chain(&subscript.upper).for_each(&mut *visit);
            }
        }
        ExprKind::SetElement { array, subscripts, value, .. } => {
            visit(array);
            for subscript in subscripts {
                subscript.lower.iter().chain(&subscript.upper).for_each(&mut *visit);
            }
            visit(value);
        }
        ExprKind::SetField { record, value, .. } => {
            visit(record);
            visit(value);
        }
        ExprKind::Populate { source, base, .. } => {
            visit(source);
            base.iter().for_each(|base| visit(base));
        }
        ExprKind::SetJson { target, path, value } => {
            visit(target);
            path.iter().for_each(&mut *visit);
            visit(value);
        }
        ExprKind::Field { record, .. } => visit(record),
        ExprKind::AnyAll { left, array, .. } => {
            visit(left);
            visit(array);
        }
        ExprKind::Subquery { kind, .. } => {
            if let SubqueryKind::Compare { left, .. } = kind {
                left.iter().for_each(visit);
            }
        }
    }
}

/// Visits several expressions.
pub(crate) fn exprs<'a>(nodes: &'a [Expr], visit: Visit<'_, 'a>) {
    nodes.iter().for_each(|node| expr(node, visit));
}

/// Visits ORDER BY keys.
pub(crate) fn sort_keys<'a>(keys: &'a [SortKey], visit: Visit<'_, 'a>) {
    for key in keys {
        if let SortTarget::Expr(node) = &key.key {
            expr(node, visit);
        }
    }
}

/// Visits the window calls of a SELECT and their windows.
pub(crate) fn windows<'a>(node: &'a Select, visit: Visit<'_, 'a>) {
    for call in &node.windows {
        exprs(&call.arguments, visit);
        call.filter.iter().for_each(|filter| expr(filter, visit));
    }
    node.window_definitions.iter().for_each(|definition| window(definition, visit));
}

/// Visits a window.
fn window<'a>(node: &'a Window, visit: Visit<'_, 'a>) {
    exprs(&node.partition_by, visit);
    sort_keys(&node.order_by, visit);
    let bounds = [&node.frame.start, &node.frame.end];
    bounds.into_iter().filter_map(|bound| bound.offset()).for_each(|offset| expr(offset, visit));
}

/// Visits a FROM item and everything in it.
pub(crate) fn from<'a>(node: &'a From, visit: Visit<'_, 'a>) {
    visit(Node::From(node));
    match node {
        From::Table { .. } | From::System { .. } | From::Cte { .. } => {}
        From::Subquery { query: sub, .. } => query(sub, visit),
        From::Function { call, .. } => expr(call, visit),
        From::RowsFrom { calls, .. } => calls.iter().for_each(|(call, _)| expr(call, visit)),
        From::Join { left, right, on, .. } => {
            from(left, visit);
            from(right, visit);
            on.iter().for_each(|on| expr(on, visit));
        }
    }
}

/// Visits a query and everything in it.
pub(crate) fn query<'a>(node: &'a Query, visit: Visit<'_, 'a>) {
    visit(Node::Query(node));
    for cte in &node.ctes {
        query(&cte.query, visit);
        cte.recursive.iter().for_each(|part| query(&part.query, visit));
    }
    query_without_ctes(node, visit);
}

/// Visits a query and everything in it but its CTEs and itself.
pub(crate) fn query_without_ctes<'a>(node: &'a Query, visit: Visit<'_, 'a>) {
    sort_keys(&node.order_by, visit);
    node.limit.iter().chain(&node.offset).for_each(|bound| expr(bound, visit));
    match &node.body {
        QueryBody::Select(select) => {
            select.from.iter().for_each(|item| from(item, visit));
            select.filter.iter().chain(&select.having).for_each(|filter| expr(filter, visit));
            exprs(&select.group_by, visit);
            for call in &select.aggregates {
                exprs(&call.direct, visit);
                exprs(&call.arguments, visit);
                sort_keys(&call.order_by, visit);
                call.filter.iter().for_each(|filter| expr(filter, visit));
            }
            windows(select, visit);
            exprs(&select.targets, visit);
        }
        QueryBody::Values(rows) => rows.iter().for_each(|row| exprs(row, visit)),
        QueryBody::SetOperation { left, right, .. } => {
            query(left, visit);
            query(right, visit);
        }
        QueryBody::Insert(insert) => {
            match &insert.source {
                InsertSource::Values(rows) => rows.iter().for_each(|row| exprs(row, visit)),
                InsertSource::Query(source) => query(source, visit),
                InsertSource::Defaults => {}
            }
            insert.defaults.iter().for_each(|(_, default)| expr(default, visit));
            if let Some(conflict) = &insert.on_conflict
                && let ConflictAction::Update { assignments, filter, policies, .. } = &conflict.action
            {
                policies.iter().for_each(|check| expr(&check.condition, visit));
                assignments.iter().for_each(|(_, value)| expr(value, visit));
                filter.iter().for_each(|filter| expr(filter, visit));
            }
            insert.view_checks.iter().for_each(|check| expr(&check.condition, visit));
            insert.policies.iter().for_each(|check| expr(&check.condition, visit));
            exprs(&insert.returning, visit);
        }
        QueryBody::Update(update) => {
            update.assignments.iter().for_each(|(_, value)| expr(value, visit));
            update.from.iter().for_each(|item| from(item, visit));
            update.instead.iter().for_each(|shown| query(shown, visit));
            update.filter.iter().for_each(|filter| expr(filter, visit));
            update.view_checks.iter().for_each(|check| expr(&check.condition, visit));
            exprs(&update.returning, visit);
        }
        QueryBody::Delete(delete) => {
            delete.using.iter().for_each(|item| from(item, visit));
            delete.instead.iter().for_each(|shown| query(shown, visit));
            delete.filter.iter().for_each(|filter| expr(filter, visit));
            exprs(&delete.returning, visit);
        }
        QueryBody::Merge(merge) => {
            from(&merge.source, visit);
            merge.expressions().into_iter().for_each(|value| expr(value, visit));
            for action in &merge.actions {
                action.checks().for_each(|check| expr(&check.condition, visit));
                if let MergeChange::Insert(insert) = &action.change {
                    insert.policies.iter().for_each(|check| expr(&check.condition, visit));
                }
            }
        }
    }
}

/// The columns that are read of each relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needed {
    /// How often each column is read.
    columns: BTreeMap<RelationId, BTreeMap<usize, usize>>,
    whole: BTreeSet<RelationId>,
}

impl Needed {
    /// Notes what an expression reads itself.
    pub(crate) fn note(&mut self, node: &Node<'_>) {
        let Node::Expr(node) = node else { return };
        match &node.kind {
            ExprKind::Column { relation, column } => {
                self.add(*relation, *column);
            }
            ExprKind::WholeRow(relation) => {
                self.whole.insert(*relation);
            }
            ExprKind::Place { relation, keys } => keys.iter().for_each(|key| self.add(*relation, *key)),
            _ => {}
        }
    }

    /// Notes all columns.
    pub(crate) fn add_whole(&mut self, relation: RelationId) {
        self.whole.insert(relation);
    }

    /// Whether a column of a relation is read.
    pub(crate) fn contains(&self, relation: RelationId, column: usize) -> bool {
        self.whole.contains(&relation)
            || self.columns.get(&relation).is_some_and(|columns| columns.contains_key(&column))
    }

    /// Notes a column.
    pub(crate) fn add(&mut self, relation: RelationId, column: usize) {
        *self.columns.entry(relation).or_default().entry(column).or_default() += 1;
    }

    /// Forgets the columns of a relation that a condition reads: an index or storage answers it.
    pub(crate) fn remove(&mut self, relation: RelationId, condition: &Expr) {
        let Some(columns) = self.columns.get_mut(&relation) else { return };
        expr(condition, &mut |node| {
            if let Node::Expr(Expr { kind: ExprKind::Column { relation: of, column }, .. }) = node
                && *of == relation
                && let Some(count) = columns.get_mut(column)
            {
                *count = count.saturating_sub(1);
            }
        });
        columns.retain(|_, count| *count > 0);
    }

    /// The number of columns up to the last one that is read.
    pub(crate) fn width(&self, relation: RelationId) -> usize {
        self.columns.get(&relation).and_then(|columns| columns.keys().last()).map_or(0, |last| last + 1)
    }

    /// Whether a relation is read as a whole row.
    pub(crate) fn is_whole(&self, relation: RelationId) -> bool {
        self.whole.contains(&relation)
    }

    /// All relations of which something is read.
    pub(crate) fn relations(&self) -> BTreeSet<RelationId> {
        self.columns.keys().chain(&self.whole).copied().collect()
    }
}

/// What an expression or query depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The columns that it reads, of its own relations too.
    pub needed: Needed,
    /// Relations that it brings itself.
    pub own: BTreeSet<RelationId>,
    /// CTEs that it reads.
    pub ctes: BTreeSet<CteId>,
    /// Tables that it reads.
    pub read_tables: BTreeSet<TableId>,
    /// It calls a function of the catalogue.
    pub user_calls: bool,
    /// It calls a volatile built-in function.
    pub volatile: bool,
    /// It has a subquery.
    pub subqueries: bool,
    /// It has a set-returning call.
    pub sets: bool,
    /// It names the operand of a CASE, a group's key, an aggregate, a window: it means nothing outside its place.
    pub placed: bool,
}

impl Facts {
    /// Of an expression.
    pub(crate) fn of_expr(node: &Expr) -> Facts {
        let mut facts = Facts::default();
        expr(node, &mut |node| facts.note(&node));
        facts
    }

    /// Of a query.
    pub(crate) fn of_query(node: &Query) -> Facts {
        let mut facts = Facts::default();
        query(node, &mut |node| facts.note(&node));
        facts
    }

    /// Of a FROM item.
    pub(crate) fn of_from(node: &From) -> Facts {
        let mut facts = Facts::default();
        from(node, &mut |node| facts.note(&node));
        facts
    }

    /// The relations that it reads and does not bring itself.
    pub(crate) fn outer(&self) -> BTreeSet<RelationId> {
        self.needed.relations().difference(&self.own).copied().collect()
    }

    pub(crate) fn note(&mut self, node: &Node<'_>) {
        self.needed.note(node);
        match node {
            Node::Expr(node) => self.note_expr(node),
            Node::From(node) => match node {
                From::Table { relation, table } => {
                    self.own.insert(*relation);
                    self.read_tables.insert(*table);
                }
                From::System { relation, .. }
                | From::Subquery { relation, .. }
                | From::Function { relation, .. } => {
                    self.own.insert(*relation);
                }
                From::RowsFrom { relations, .. } => self.own.extend(relations),
                From::Cte { relation, cte } => {
                    self.own.insert(*relation);
                    self.ctes.insert(*cte);
                }
                From::Join { .. } => {}
            },
            Node::Query(node) => self.note_target(node),
        }
    }

    fn note_expr(&mut self, node: &Expr) {
        match &node.kind {
            ExprKind::Call { function, .. } => {
                self.volatile |= function.volatility == Volatility::Volatile;
                self.sets |= function.returns_set;
                self.user_calls |= crate::engine_functions::changes_catalog(function.symbol);
            }
            ExprKind::UserCall { .. } => {
                self.user_calls = true;
                self.volatile = true;
            }
            ExprKind::Subquery { .. } => self.subqueries = true,
            ExprKind::CaseOperand
            | ExprKind::GroupKey(_)
            | ExprKind::Aggregate(_)
            | ExprKind::Grouping(_)
            | ExprKind::DomainValue
            | ExprKind::Window(_) => self.placed = true,
            _ => {}
        }
    }

    fn note_target(&mut self, node: &Query) {
        match &node.body {
            QueryBody::Insert(insert) => {
                self.own.insert(insert.relation);
                if let Some(conflict) = &insert.on_conflict
                    && let ConflictAction::Update { excluded, .. } = &conflict.action
                {
                    self.own.insert(*excluded);
                }
            }
            QueryBody::Update(update) => {
                self.own.insert(update.relation);
                self.read_tables.insert(update.table);
            }
            QueryBody::Delete(delete) => {
                self.own.insert(delete.relation);
                self.read_tables.insert(delete.table);
            }
            QueryBody::Merge(merge) => {
                self.own.insert(merge.relation);
                self.read_tables.insert(merge.table);
                for action in &merge.actions {
                    if let MergeChange::Insert(insert) = &action.change {
                        self.own.insert(insert.relation);
                    }
                }
            }
            QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => {}
        }
    }
}

/// The parts of an AND, the expression itself otherwise.
pub(crate) fn conjuncts<'a>(node: &'a Expr, out: &mut Vec<&'a Expr>) {
    match &node.kind {
        ExprKind::And(parts) => parts.iter().for_each(|part| conjuncts(part, out)),
        _ => out.push(node),
    }
}

/// The tables that a query changes.
pub(crate) fn changed_tables(node: &Query) -> BTreeSet<TableId> {
    let mut tables = BTreeSet::new();
    query(node, &mut |node| {
        let Node::Query(node) = node else { return };
        match &node.body {
            QueryBody::Insert(insert) => tables.insert(insert.table),
            QueryBody::Update(update) => tables.insert(update.table),
            QueryBody::Delete(delete) => tables.insert(delete.table),
            QueryBody::Merge(merge) => tables.insert(merge.table),
            QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. } => false,
        };
    });
    tables
}

/// Whether a query changes rows, also in a CTE.
pub(crate) fn writes(node: &Query) -> bool {
    let mut writes = false;
    query(node, &mut |node| {
        if let Node::Query(node) = node {
            writes |= !matches!(
                node.body,
                QueryBody::Select(_) | QueryBody::Values(_) | QueryBody::SetOperation { .. }
            );
        }
    });
    writes
}
