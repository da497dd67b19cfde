//! Queries: SELECT and VALUES, with their ORDER BY, LIMIT and locks (`analyze.c`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    LimitOption, LockClauseStrength, LockWaitPolicy, LockingClause, Node, SelectStmt, SetOperation,
};
use tuplix_catalog::PolicyCommand;
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::scope::Clause;
use super::targets::Target;
use super::{Analyzer, nodes};
use crate::plan::{
    Distinct, Expr, ExprKind, From, LockStrength, LockWait, Locking, OutputColumn, Query, QueryBody,
    RelationId, Select,
};

impl Analyzer<'_> {
    /// A query at its own level.
    pub(super) fn query(&mut self, node: &NodeEnum) -> Result<Query> {
        let mut query = self.open_query(node)?;
        self.settle_query(&mut query)?;
        Ok(query)
    }

    /// As [`Self::query`], with untyped literals in the result left for the place to decide.
    pub(super) fn open_query(&mut self, node: &NodeEnum) -> Result<Query> {
        match node {
            NodeEnum::SelectStmt(select) => self.select_query(select),
            NodeEnum::InsertStmt(insert) => self.insert_query(insert),
            NodeEnum::UpdateStmt(update) => self.update_query(update),
            NodeEnum::DeleteStmt(delete) => self.delete_query(delete),
            NodeEnum::MergeStmt(merge) => self.merge_query(merge),
            other => Err(SqlError::unsupported(nodes::statement_name(other))),
        }
    }

    /// Makes untyped literals in the result `text`.
    pub(super) fn settle_query(&mut self, query: &mut Query) -> Result<()> {
        let open = |column: &OutputColumn| column.ty == TypeId::UNKNOWN;
        if !query.columns.iter().any(open) {
            return Ok(());
        }
        let settled = |column: &OutputColumn| if open(column) { TypeId::TEXT } else { column.ty };
        let types: Vec<TypeId> = query.columns.iter().map(settled).collect();
        self.coerce_query(query, &types)
    }

    pub(super) fn select_query(&mut self, stmt: &SelectStmt) -> Result<Query> {
        let (query, _) = self.in_scope(|analyzer| {
            let ctes = analyzer.with_clause(stmt.with_clause.as_ref())?;
            let mut query = if !stmt.values_lists.is_empty() {
                analyzer.values_query(stmt)?
            } else if stmt.op > SetOperation::SetopNone as i32 {
                analyzer.set_operation_query(stmt)?
            } else {
                analyzer.plain_select(stmt)?
            };
            query.ctes = ctes;
            analyzer.finish_ctes(&mut query);
            Ok(query)
        })?;
        Ok(query)
    }

    fn plain_select(&mut self, stmt: &SelectStmt) -> Result<Query> {
        if let Some(into) = &stmt.into_clause {
            let location = into.rel.as_ref().map_or(-1, |rel| rel.location);
            return Err(self.unsupported("SELECT ... INTO a table", location));
        }
        self.name_windows(&stmt.window_clause)?;
        let mut from = self.read_from(&stmt.from_clause)?;
        let mut targets =
            self.in_clause(Clause::Target, |analyzer| analyzer.target_list(&stmt.target_list))?;
        let clause = if self.copy_source.is_some() { Clause::CopyWhere } else { Clause::Where };
        let filter = self.condition(stmt.where_clause.as_deref(), clause)?;
        let having = self.condition(stmt.having_clause.as_deref(), Clause::Having)?;
        let order_by =
            self.in_clause(Clause::OrderBy, |analyzer| analyzer.order_by(&stmt.sort_clause, &mut targets))?;
        let group_by = self.in_clause(Clause::GroupBy, |analyzer| {
            analyzer.group_by(&stmt.group_clause, &targets, stmt.group_distinct)
        })?;
        let distinct = self.distinct(&stmt.distinct_clause, &mut targets, &order_by)?;
        let limit = self.limit(stmt.limit_count.as_deref(), Clause::Limit)?;
        let offset = self.limit(stmt.limit_offset.as_deref(), Clause::Offset)?;
        let with_ties = self.with_ties(stmt)?;

        let window_definitions = self.window_definitions()?;

        let scope = self.scope();
        let aggregates = std::mem::take(&mut scope.aggregates);
        let windows = std::mem::take(&mut scope.windows);
        let set_functions = std::mem::take(&mut scope.set_functions);
        let grouped = having.is_some()
            || !aggregates.is_empty()
            || !stmt.group_clause.is_empty()
            || std::mem::take(&mut scope.groupings) > 0;
        if grouped && !set_functions.is_empty() {
            return Err(SqlError::unsupported(
                "a set-returning function in the select list of a grouped query",
            )
            .hint("Call it in FROM."));
        }
        let has_set_functions = !set_functions.is_empty();
        if has_set_functions && !windows.is_empty() {
            let what = "a set-returning function beside a window function in a select list";
            return Err(SqlError::unsupported(what).hint("Call it in FROM."));
        }
        if set_functions.len() > 1 {
            from.push(self.lockstep(set_functions)?);
        } else {
            from.extend(set_functions);
        }
        let mut select = Select {
            from,
            filter,
            group_by: Vec::new(),
            grouping_sets: None,
            grouped,
            aggregates,
            having,
            windows,
            window_definitions,
            targets: Vec::with_capacity(targets.len()),
            distinct,
        };
        if grouped {
            self.check_grouping(&mut select, &mut targets, group_by)?;
        }
        let columns = targets.iter().filter(|target| target.visible).map(Target::column).collect();
        select.targets = targets.into_iter().map(|target| target.value).collect();
        let locking = self.locking(&stmt.locking_clause, &mut select, has_set_functions)?;
        let body = QueryBody::Select(Box::new(select));
        Ok(Query { ctes: Vec::new(), body, order_by, limit, with_ties, offset, locking, columns })
    }

    /// WHERE and HAVING.
    pub(super) fn condition(&mut self, node: Option<&Node>, clause: Clause) -> Result<Option<Expr>> {
        let Some(node) = node else { return Ok(None) };
        self.in_clause(clause, |analyzer| {
            let condition = analyzer.expression(node)?;
            analyzer.boolean(condition, clause.name()).map(Some)
        })
    }

    /// LIMIT and OFFSET, which see no columns of their query.
    pub(super) fn limit(&mut self, node: Option<&Node>, clause: Clause) -> Result<Option<Expr>> {
        let Some(node) = node else { return Ok(None) };
        let count = self.in_clause(clause, |analyzer| {
            let count = analyzer.expression(node)?;
            analyzer.specific(count, TypeId::INT8, clause.name())
        })?;
        if matches!(count.kind, ExprKind::Constant(Value::Null)) {
            return Ok(None);
        }
        let level = self.scopes.len().saturating_sub(1);
        let mut copy = count.clone();
        let mut own = false;
        self.visit_columns(&mut copy, &mut |relation| own |= self.origin(relation).level == level);
        if own {
            let message = format!("argument of {} must not contain variables", clause.name());
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message).at(count.position));
        }
        Ok(Some(count))
    }

    pub(super) fn with_ties(&self, stmt: &SelectStmt) -> Result<bool> {
        if stmt.limit_option != LimitOption::WithTies as i32 {
            return Ok(false);
        }
        if stmt.sort_clause.is_empty() {
            let message = "WITH TIES cannot be specified without ORDER BY clause";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let skips = |node: &Node| matches!(&node.node, Some(NodeEnum::LockingClause(lock)) if lock.wait_policy == LockWaitPolicy::LockWaitSkip as i32);
        if stmt.locking_clause.iter().any(skips) {
            let message = "SKIP LOCKED and WITH TIES options cannot be used together";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        Ok(true)
    }

    /// VALUES as a query.
    fn values_query(&mut self, stmt: &SelectStmt) -> Result<Query> {
        let rows = self.in_clause(Clause::Values, |analyzer| {
            let mut rows: Vec<Vec<Expr>> = Vec::with_capacity(stmt.values_lists.len());
            for node in &stmt.values_lists {
                let NodeEnum::List(list) = nodes::inner(node)? else { return Err(nodes::missing()) };
                let row = analyzer.row_fields(&list.items)?;
                if rows.first().is_some_and(|first| first.len() != row.len()) {
                    let place = analyzer.at(nodes::location(node));
                    let message = "VALUES lists must all be the same length";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(place));
                }
                rows.push(row);
            }
            Ok(rows)
        })?;
        let rows = self.align_values(rows)?;
        let column = |(index, value): (usize, &Expr)| OutputColumn {
            name: format!("column{}", index + 1),
            ty: value.ty,
            typmod: rows
                .iter()
                .map(|row| row[index].typmod)
                .reduce(|a, b| if a == b { a } else { -1 })
                .unwrap_or(-1),
        };
        let columns: Vec<OutputColumn> =
            rows.first().map(|row| row.iter().enumerate().map(column).collect()).unwrap_or_default();
        let mut targets: Vec<Target> = columns.iter().map(Target::placeholder).collect();
        let order_by = self.position_order(&stmt.sort_clause, &mut targets)?;
        let limit = self.limit(stmt.limit_count.as_deref(), Clause::Limit)?;
        let offset = self.limit(stmt.limit_offset.as_deref(), Clause::Offset)?;
        let with_ties = self.with_ties(stmt)?;
        if !stmt.locking_clause.is_empty() {
            let message = format!("{} cannot be applied to VALUES", lock_name(&stmt.locking_clause));
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let body = QueryBody::Values(rows);
        Ok(Query { ctes: Vec::new(), body, order_by, limit, with_ties, offset, locking: Vec::new(), columns })
    }

    /// Gives each column of VALUES one type.
    fn align_values(&mut self, rows: Vec<Vec<Expr>>) -> Result<Vec<Vec<Expr>>> {
        let width = rows.first().map_or(0, Vec::len);
        let mut types = Vec::with_capacity(width);
        for column in 0..width {
            let given: Vec<TypeId> = rows.iter().map(|row| row[column].ty).collect();
            types.push(self.common_type("VALUES", &given, |row| rows[row][column].position)?);
        }
        let mut aligned = Vec::with_capacity(rows.len());
        for row in rows {
            let row: Result<Vec<Expr>> =
                row.into_iter().zip(&types).map(|(value, ty)| self.implicit(value, *ty)).collect();
            aligned.push(row?);
        }
        Ok(aligned)
    }

    /// FOR UPDATE and its kin.
    fn locking(&mut self, clauses: &[Node], select: &mut Select, has_sets: bool) -> Result<Vec<Locking>> {
        if clauses.is_empty() {
            return Ok(Vec::new());
        }
        let name = lock_name(clauses);
        let obstacle = if !matches!(select.distinct, Distinct::No) {
            Some("DISTINCT clause")
        } else if !select.group_by.is_empty() {
            Some("GROUP BY clause")
        } else if select.having.is_some() {
            Some("HAVING clause")
        } else if !select.aggregates.is_empty() {
            Some("aggregate functions")
        } else if !select.windows.is_empty() {
            Some("window functions")
        } else if has_sets {
            Some("set-returning functions in the target list")
        } else {
            None
        };
        if let Some(obstacle) = obstacle {
            let message = format!("{name} is not allowed with {obstacle}");
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let mut result = Vec::with_capacity(clauses.len());
        for node in clauses {
            let NodeEnum::LockingClause(clause) = nodes::inner(node)? else { return Err(nodes::missing()) };
            result.push(self.lock_clause(clause, select)?);
        }
        Ok(result)
    }

    fn lock_clause(&mut self, clause: &LockingClause, select: &mut Select) -> Result<Locking> {
        let lock = self.lock_of(clause, select)?;
        for relation in &lock.relations {
            let table = self.origin(*relation).table.and_then(|table| self.context.catalog.table(table));
            if let Some(table) = table.filter(|table| table.materialized.is_some()) {
                let message = format!("cannot lock rows in materialized view \"{}\"", table.name);
                return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
            }
        }
        Ok(lock)
    }

    fn lock_of(&mut self, clause: &LockingClause, select: &mut Select) -> Result<Locking> {
        let wait = match LockWaitPolicy::try_from(clause.wait_policy) {
            Ok(LockWaitPolicy::LockWaitSkip) => LockWait::Skip,
            Ok(LockWaitPolicy::LockWaitError) => LockWait::Error,
            _ => LockWait::Block,
        };
        let strength = match LockClauseStrength::try_from(clause.strength) {
            Ok(LockClauseStrength::LcsForshare) => LockStrength::Share,
            Ok(LockClauseStrength::LcsFornokeyupdate) => LockStrength::NoKeyUpdate,
            Ok(LockClauseStrength::LcsForupdate) => LockStrength::Update,
            _ => LockStrength::KeyShare,
        };
        let mut lock = Locking { strength, wait, relations: Vec::new() };
        if clause.locked_rels.is_empty() {
            for from in &mut select.from {
                lock_all(from, &mut lock);
            }
            self.guard_locked(&lock)?;
            return Ok(lock);
        }
        let shown = strength_name(clause.strength);
        for node in &clause.locked_rels {
            let NodeEnum::RangeVar(name) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let position = self.at(name.location);
            if !name.schemaname.is_empty() {
                let message = format!("{shown} must specify unqualified relation names");
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(position));
            }
            let wanted = |id: RelationId| self.relation(id).name == name.relname;
            let found = select.from.iter_mut().any(|from| lock_named(from, &wanted, &mut lock));
            if !found {
                let message =
                    format!("relation \"{}\" in {shown} clause not found in FROM clause", name.relname);
                return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(position));
            }
        }
        self.guard_locked(&lock)?;
        Ok(lock)
    }

    /// Who locks rows has to pass the policies of UPDATE too.
    fn guard_locked(&mut self, lock: &Locking) -> Result<()> {
        lock.relations.iter().try_for_each(|relation| self.guard(*relation, PolicyCommand::Update))
    }
}

/// Adds all tables of a FROM item to a lock, those of subqueries as a lock of their own.
fn lock_all(from: &mut From, lock: &mut Locking) {
    match from {
        From::Table { relation, .. } => lock.relations.push(*relation),
        From::Join { left, right, .. } => {
            lock_all(left, lock);
            lock_all(right, lock);
        }
        From::Subquery { query, .. } => lock_query(query, lock),
        From::System { .. } | From::Function { .. } | From::RowsFrom { .. } | From::Cte { .. } => {}
    }
}

fn lock_query(query: &mut Query, lock: &Locking) {
    if let QueryBody::Select(select) = &mut query.body {
        let mut inner = Locking { relations: Vec::new(), ..lock.clone() };
        select.from.iter_mut().for_each(|from| lock_all(from, &mut inner));
        query.locking.push(inner);
    }
}

/// Adds the table or subquery of a name to a lock; false when it is not here.
fn lock_named(from: &mut From, wanted: &dyn Fn(RelationId) -> bool, lock: &mut Locking) -> bool {
    match from {
        From::Table { relation, .. } if wanted(*relation) => {
            lock.relations.push(*relation);
            true
        }
        From::Subquery { relation, query, .. } if wanted(*relation) => {
            lock_query(query, lock);
            true
        }
        From::Join { left, right, .. } => lock_named(left, wanted, lock) || lock_named(right, wanted, lock),
        _ => false,
    }
}

fn strength_name(strength: i32) -> &'static str {
    match LockClauseStrength::try_from(strength) {
        Ok(LockClauseStrength::LcsForkeyshare) => "FOR KEY SHARE",
        Ok(LockClauseStrength::LcsForshare) => "FOR SHARE",
        Ok(LockClauseStrength::LcsFornokeyupdate) => "FOR NO KEY UPDATE",
        _ => "FOR UPDATE",
    }
}

/// The words of the first locking clause, for errors.
pub(super) fn lock_name(clauses: &[Node]) -> &'static str {
    match clauses.first().and_then(|node| node.node.as_ref()) {
        Some(NodeEnum::LockingClause(clause)) => strength_name(clause.strength),
        _ => "FOR UPDATE",
    }
}
