//! UNION, INTERSECT, EXCEPT, and giving a query's columns other types (`transformSetOperationStmt`).

use pg_query::protobuf::{SelectStmt, SetOperation as ParsedOperation};
use tuplix_functions::CastContext;
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::Clause;
use super::select::lock_name;
use super::targets::Target;
use super::{Analyzer, nodes};
use crate::plan::{
    Distinct, Expr, ExprKind, From, InsertSource, OutputColumn, Query, QueryBody, Select, SetOperation,
};

impl Query {
    /// A query without WITH, ORDER BY, LIMIT and locks.
    pub fn plain(body: QueryBody, columns: Vec<OutputColumn>) -> Query {
        Query {
            ctes: Vec::new(),
            body,
            order_by: Vec::new(),
            limit: None,
            with_ties: false,
            offset: None,
            locking: Vec::new(),
            columns,
        }
    }
}

impl Analyzer<'_> {
    /// A set operation with its ORDER BY and LIMIT.
    pub(super) fn set_operation_query(&mut self, stmt: &SelectStmt) -> Result<Query> {
        if !stmt.locking_clause.is_empty() {
            let name = lock_name(&stmt.locking_clause);
            let message = format!("{name} is not allowed with UNION/INTERSECT/EXCEPT");
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let mut query = self.set_operation(stmt)?;
        self.settle_query(&mut query)?;
        let mut targets: Vec<Target> = query.columns.iter().map(Target::placeholder).collect();
        query.order_by = self.in_clause(Clause::OrderBy, |analyzer| {
            analyzer.position_order(&stmt.sort_clause, &mut targets)
        })?;
        query.limit = self.limit(stmt.limit_count.as_deref(), Clause::Limit)?;
        query.offset = self.limit(stmt.limit_offset.as_deref(), Clause::Offset)?;
        query.with_ties = self.with_ties(stmt)?;
        Ok(query)
    }

    /// The operation alone.
    fn set_operation(&mut self, stmt: &SelectStmt) -> Result<Query> {
        let (operation, name) = match ParsedOperation::try_from(stmt.op) {
            Ok(ParsedOperation::SetopUnion) => (SetOperation::Union, "UNION"),
            Ok(ParsedOperation::SetopIntersect) => (SetOperation::Intersect, "INTERSECT"),
            Ok(ParsedOperation::SetopExcept) => (SetOperation::Except, "EXCEPT"),
            _ => return Err(nodes::missing()),
        };
        let left = self.branch(stmt.larg.as_deref().ok_or_else(nodes::missing)?)?;
        let right_stmt = stmt.rarg.as_deref().ok_or_else(nodes::missing)?;
        let right = self.branch(right_stmt)?;
        self.combine(operation, name, stmt.all, left, right, first_location(right_stmt))
    }

    /// Two queries as one, their columns made alike.
    pub(super) fn combine(
        &mut self,
        operation: SetOperation,
        name: &str,
        all: bool,
        mut left: Query,
        mut right: Query,
        right_location: i32,
    ) -> Result<Query> {
        if left.columns.len() != right.columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(right_location)));
        }
        let mut types = Vec::with_capacity(left.columns.len());
        for (index, (l, r)) in left.columns.iter().zip(&right.columns).enumerate() {
            let position = target_position(&right, index);
            types.push(self.common_type(name, &[l.ty, r.ty], |_| position)?);
        }
        let typmods: Vec<i32> = left
            .columns
            .iter()
            .zip(&right.columns)
            .map(|(l, r)| if l.ty == r.ty && l.typmod == r.typmod { l.typmod } else { -1 })
            .collect();
        self.coerce_query(&mut left, &types)?;
        self.coerce_query(&mut right, &types)?;
        let mut columns = left.columns.clone();
        columns.iter_mut().zip(typmods).for_each(|(column, typmod)| column.typmod = typmod);
        let body = QueryBody::SetOperation { operation, all, left: Box::new(left), right: Box::new(right) };
        Ok(Query::plain(body, columns))
    }

    /// One side of a set operation: another one, or a query.
    pub(super) fn branch(&mut self, stmt: &SelectStmt) -> Result<Query> {
        let nested = stmt.op > ParsedOperation::SetopNone as i32
            && stmt.sort_clause.is_empty()
            && stmt.limit_count.is_none()
            && stmt.limit_offset.is_none()
            && stmt.locking_clause.is_empty()
            && stmt.with_clause.is_none();
        if nested { self.set_operation(stmt) } else { self.select_query(stmt) }
    }

    /// Makes the columns of a query be of these types.
    pub(super) fn coerce_query(&mut self, query: &mut Query, types: &[TypeId]) -> Result<()> {
        if query.columns.iter().map(|column| column.ty).eq(types.iter().copied()) {
            return Ok(());
        }
        // Sorting and DISTINCT go by the types before; only literals may change there.
        let open = |(column, ty): (&OutputColumn, &TypeId)| column.ty == *ty || column.ty == TypeId::UNKNOWN;
        let only_open = query.columns.iter().zip(types).all(open);
        let sorted = !query.order_by.is_empty() || query.limit.is_some() || query.offset.is_some();
        if sorted && !only_open {
            return self.wrap(query, types);
        }
        match &mut query.body {
            QueryBody::Select(select) if !only_open && !matches!(select.distinct, Distinct::No) => {
                return self.wrap(query, types);
            }
            QueryBody::Select(select) => self.coerce_row(&mut select.targets, types)?,
            QueryBody::Values(rows) => {
                for row in rows {
                    self.coerce_row(row, types)?;
                }
            }
            QueryBody::SetOperation { left, right, .. } => {
                self.coerce_query(left, types)?;
                self.coerce_query(right, types)?;
            }
            QueryBody::Insert(insert) => self.coerce_row(&mut insert.returning, types)?,
            QueryBody::Update(update) => self.coerce_row(&mut update.returning, types)?,
            QueryBody::Delete(delete) => self.coerce_row(&mut delete.returning, types)?,
            QueryBody::Merge(_) => {}
        }
        for (column, ty) in query.columns.iter_mut().zip(types) {
            if column.ty != *ty {
                column.ty = *ty;
                column.typmod = -1;
            }
        }
        Ok(())
    }

    fn coerce_row(&mut self, row: &mut [Expr], types: &[TypeId]) -> Result<()> {
        for (value, ty) in row.iter_mut().zip(types) {
            if value.ty != *ty {
                let before = std::mem::replace(value, Expr::new(ExprKind::Default, *ty));
                let (from, position) = (before.ty, before.position);
                let coerced = self.coerce(before, *ty, -1, CastContext::Assignment)?;
                *value = coerced.ok_or_else(|| {
                    let message = format!("cannot cast type {from} to {ty}");
                    SqlError::new(sqlstate::CANNOT_COERCE, message).at(position)
                })?;
            }
        }
        Ok(())
    }

    /// The select list of a query, to be changed and put back; other queries get a SELECT around them first.
    pub(super) fn take_targets(&mut self, query: &mut Query) -> Result<Vec<Expr>> {
        // Without hidden targets the select list can also grow.
        let direct = query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && matches!(&query.body, QueryBody::Select(select)
                if matches!(select.distinct, Distinct::No) && select.targets.len() == query.columns.len());
        if !direct {
            let types: Vec<TypeId> = query.columns.iter().map(|column| column.ty).collect();
            self.wrap(query, &types)?;
        }
        match &mut query.body {
            QueryBody::Select(select) => Ok(std::mem::take(&mut select.targets)),
            _ => Err(nodes::missing()),
        }
    }

    /// Puts back what [`Self::take_targets`] took.
    pub(super) fn put_targets(&mut self, query: &mut Query, targets: Vec<Expr>) {
        for (column, target) in query.columns.iter_mut().zip(&targets) {
            column.ty = target.ty;
            column.typmod = target.typmod;
        }
        if let QueryBody::Select(select) = &mut query.body {
            select.targets = targets;
        }
    }

    /// Puts a SELECT of the coerced columns around a query.
    fn wrap(&mut self, query: &mut Query, types: &[TypeId]) -> Result<()> {
        let columns = query.columns.clone();
        let inner = std::mem::replace(query, Query::plain(QueryBody::Values(Vec::new()), columns.clone()));
        // The relation belongs to the level of the new SELECT, one below the current query's.
        let (relation, _) =
            self.in_scope(|analyzer| Ok(analyzer.add_relation("*SELECT*", columns.clone(), None)))?;
        let mut targets: Vec<Expr> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| Expr {
                kind: ExprKind::Column { relation, column: index },
                ty: column.ty,
                typmod: column.typmod,
                position: None,
            })
            .collect();
        self.coerce_row(&mut targets, types)?;
        let retyped = |(column, ty): (OutputColumn, &TypeId)| match column.ty == *ty {
            true => column,
            false => OutputColumn { ty: *ty, typmod: -1, ..column },
        };
        let select =
            Select::plain(vec![From::Subquery { relation, query: Box::new(inner), lateral: false }], targets);
        let columns = columns.into_iter().zip(types).map(retyped).collect();
        *query = Query::plain(QueryBody::Select(Box::new(select)), columns);
        Ok(())
    }
}

/// Where a column of a query is computed.
pub(super) fn target_position(query: &Query, index: usize) -> Option<u32> {
    match &query.body {
        QueryBody::Select(select) => select.targets.get(index)?.position,
        QueryBody::Values(rows) => rows.first()?.get(index)?.position,
        QueryBody::SetOperation { left, .. } => target_position(left, index),
        QueryBody::Insert(insert) => match &insert.source {
            InsertSource::Query(_) | InsertSource::Values(_) | InsertSource::Defaults => None,
        },
        QueryBody::Update(_) | QueryBody::Delete(_) | QueryBody::Merge(_) => None,
    }
}

/// Where the first column of a branch stands.
fn first_location(stmt: &SelectStmt) -> i32 {
    match stmt.larg.as_deref() {
        Some(left) => first_location(left),
        None => stmt.target_list.first().or(stmt.values_lists.first()).map_or(-1, nodes::location),
    }
}
