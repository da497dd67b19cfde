//! Compiles queries: WITH, the body, ORDER BY, row locks, LIMIT.

use std::sync::Arc;

use tuplix_sql::plan::{Distinct, Expr, ExprKind, Query, QueryBody, Select, SortKey, SortTarget};
use tuplix_types::{Result, SqlError, TypeId};

use super::access_path::{OrderWish, Wish};
use super::builder::{Builder, GroupScope};
use super::cost::Estimate;
use super::explain::Explain;
use super::frame::{Exec, Flow};
use super::from::RelationWish;
use super::rows::{Next, Project, Rows, RowsBox, Yield};
use super::sort::{self, Bounds, Limit, LockRows, Sort, SortColumn};
use super::walk;
use crate::stop::Run;

/// A compiled query: its rows and the slots in which their columns lie.
pub(crate) struct QueryCode {
    pub rows: RowsBox,
    /// The first column's slot.
    pub first: usize,
    /// Columns that others see.
    pub width: usize,
    /// Their types.
    pub types: Vec<TypeId>,
}

impl QueryCode {
    /// Runs it.
    #[inline]
    pub(crate) fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        self.rows.run(exec, next)
    }

    /// Whether it gives one row at most, by [`QueryCode::one`].
    pub(crate) fn is_single(&self) -> bool {
        self.rows.yields() == Yield::One
    }

    /// Leaves its one row in its slots; false when there is none. Only where [`QueryCode::is_single`].
    #[inline]
    pub(crate) fn one(&self, exec: &mut Exec<'_, '_>) -> Run<bool> {
        self.rows.one(exec)
    }

    /// Runs it and keeps its rows.
    pub(crate) fn collect(&self, exec: &mut Exec<'_, '_>) -> Run<super::frame::RowSet> {
        let mut rows = super::frame::RowSet::new(self.width);
        self.rows.run(exec, &mut |exec| {
            rows.values.extend_from_slice(exec.slots(self.first, self.width));
            rows.len += 1;
            Ok(Flow::Continue)
        })?;
        Ok(rows)
    }

    pub(crate) fn explain(&self, out: &mut Explain) {
        self.rows.explain(out);
    }
}

/// A body's rows, before ORDER BY.
struct Body {
    rows: RowsBox,
    first: usize,
    /// Types of all targets, hidden ones too.
    types: Vec<TypeId>,
    /// Rows come as ORDER BY wants them.
    ordered: bool,
    /// Each target is the value of one of these slots and not yet in its own: sorting moves the slots' values instead.
    pending: Option<Vec<usize>>,
}

impl Builder<'_> {
    /// Compiles a query.
    pub(crate) fn query(&mut self, query: &Query) -> Result<QueryCode> {
        let tables = &mut self.tables;
        walk::query(query, &mut |node| {
            if let walk::Node::From(tuplix_sql::plan::From::Table { relation, table }) = node {
                tables.insert(*relation, *table);
            }
        });
        let keepers = if walk::writes(query) { self.keep_tables(query)? } else { Vec::new() };
        let before = self.with_ctes(query)?;
        let code = self.query_body(query);
        self.ctes.clone_from(&before.outer);
        let mut code = code?;
        if !before.states.is_empty() {
            let super::cte::WithCtes { changes, states, .. } = before;
            code.rows = Box::new(super::cte::WithRows { states, changes, source: code.rows });
        }
        if !keepers.is_empty() {
            code.rows = Box::new(super::kept::KeepRows { keepers, source: code.rows });
        }
        Ok(code)
    }

    fn query_body(&mut self, query: &Query) -> Result<QueryCode> {
        for locking in &query.locking {
            for relation in &locking.relations {
                let slot = self.slot();
                self.relations.entry(*relation).or_default().row = Some(slot);
            }
        }
        let outer_locks = std::mem::replace(&mut self.locks_rows, !query.locking.is_empty());
        let code = self.body_of(query);
        self.locks_rows = outer_locks;
        code
    }

    fn body_of(&mut self, query: &Query) -> Result<QueryCode> {
        let width = query.columns.len();
        let columns: Vec<TypeId> = query.columns.iter().map(|column| column.ty).collect();
        let body = match &query.body {
            QueryBody::Select(select) => self.select(query, select)?,
            QueryBody::Values(rows) => self.values(rows, &columns)?,
            QueryBody::SetOperation { operation, all, left, right } => {
                let (rows, first) = self.set_operation(*operation, *all, left, right)?;
                Body { rows, first, types: columns.clone(), ordered: false, pending: None }
            }
            QueryBody::Insert(insert) => return self.insert(insert, columns),
            QueryBody::Update(update) => return self.update(update, columns),
            QueryBody::Delete(delete) => return self.delete(delete, columns),
            QueryBody::Merge(merge) => return self.merge(merge),
        };
        self.finish(query, body, width, columns)
    }

    /// ORDER BY, DISTINCT ON, row locks and LIMIT over a body.
    fn finish(&mut self, query: &Query, body: Body, width: usize, columns: Vec<TypeId>) -> Result<QueryCode> {
        let Body { mut rows, first, types, ordered, pending } = body;
        let sort = self.sort_columns(&query.order_by, &types)?;
        let limit = query.limit.as_ref().map(|limit| self.expr(limit)).transpose()?;
        let offset = query.offset.as_ref().map(|offset| self.expr(offset)).transpose()?;
        let bounds = (limit.is_some() || offset.is_some()).then(|| Arc::new(Bounds { limit, offset }));
        let distinct_on = match &query.body {
            QueryBody::Select(select) => match &select.distinct {
                Distinct::On(targets) => Some(targets.clone()),
                _ => None,
            },
            _ => None,
        };
        let locks = self.locks(query)?;
        let mut cut_by_sort = false;
        if !sort.is_empty() && !ordered {
            let sources = pending.clone().unwrap_or_else(|| (first..first + types.len()).collect());
            let mut saved = sources.clone();
            saved.extend(locks.iter().map(|lock| lock.0));
            saved.sort_unstable();
            saved.dedup();
            let place = |slot: usize| saved.iter().position(|saved| *saved == slot).unwrap_or_default();
            let columns =
                sort.iter().map(|column| SortColumn { at: place(sources[column.at]), ..column.clone() });
            let columns = columns.collect();
            let skips = query.locking.iter().any(|locking| locking.wait == tuplix_sql::plan::LockWait::Skip);
            let cut = !skips && !query.with_ties && distinct_on.is_none();
            let text = self.sort_text(query);
            let bounds = bounds.clone().filter(|_| cut);
            cut_by_sort = cut && query.offset.is_none();
            self.estimate = self.estimate.sorted(bounds.is_some());
            rows = self.operator(Sort { source: rows, saved, columns, bounds, text });
        }
        let project = |rows: RowsBox, slots: Vec<usize>| -> RowsBox {
            let codes = slots.into_iter().map(super::code::Code::Slot).collect();
            Box::new(Project::new(rows, first, codes))
        };
        // The columns are copied to where they are expected last of all, unless something below looks at them there.
        let mut pending = pending;
        if distinct_on.is_some() || query.with_ties {
            rows = match pending.take() {
                Some(slots) => project(rows, slots),
                None => rows,
            };
        }
        if let Some(targets) = distinct_on {
            let slots = targets.iter().map(|target| first + target).collect();
            let types = targets.iter().map(|target| types[*target]).collect();
            rows = self.operator(sort::Distinct { source: rows, slots, types });
        }
        for (row, access, strength, wait) in locks {
            // The locks of a reference table are looked at under its own latch.
            let certain =
                rows.table_scan().is_some() && access.placement != crate::layout::Placement::Reference;
            rows = self.operator(LockRows { source: rows, access, row, strength, wait, certain });
        }
        self.estimate = self.estimate.limited(query.limit.as_ref());
        if let Some(bounds) = bounds.filter(|_| !cut_by_sort) {
            if let Some(few) = bounds.few().filter(|_| !query.with_ties) {
                rows.expect_few(few);
            }
            let at_slots = |column: SortColumn| SortColumn { at: first + column.at, ..column };
            let ties = query.with_ties.then(|| sort.into_iter().map(at_slots).collect());
            rows = self.operator(Limit { source: rows, bounds, ties });
        }
        if let Some(slots) = pending {
            rows = project(rows, slots);
        }
        Ok(QueryCode { rows, first, width, types: columns })
    }

    fn sort_columns(&self, keys: &[SortKey], types: &[TypeId]) -> Result<Vec<SortColumn>> {
        let column = |key: &SortKey| match key.key {
            SortTarget::Target(at) if at < types.len() => {
                Ok(SortColumn { at, ty: types[at], descending: key.descending, nulls_first: key.nulls_first })
            }
            _ => Err(SqlError::internal("ORDER BY names no column of its query")),
        };
        keys.iter().map(column).collect()
    }

    fn sort_text(&self, query: &Query) -> String {
        let targets = match &query.body {
            QueryBody::Select(select) => &select.targets[..],
            _ => &[],
        };
        let text = |key: &SortKey| {
            let name = match &key.key {
                SortTarget::Target(at) => {
                    targets.get(*at).map_or_else(|| format!("{}", at + 1), |node| self.text(node))
                }
                SortTarget::Expr(node) => self.text(node),
            };
            if key.descending { format!("{name} DESC") } else { name }
        };
        query.order_by.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// The rows to lock: slot, table, how.
    #[allow(clippy::type_complexity)]
    fn locks(
        &self,
        query: &Query,
    ) -> Result<
        Vec<(usize, crate::layout::TableAccess, tuplix_sql::plan::LockStrength, tuplix_sql::plan::LockWait)>,
    > {
        let mut locks = Vec::new();
        for locking in &query.locking {
            for relation in &locking.relations {
                let slots = self.relations.get(relation);
                let lock = slots.and_then(|slots| slots.row.zip(slots.table.clone()));
                let Some((row, access)) = lock else {
                    return Err(SqlError::unsupported(format_args!(
                        "FOR UPDATE of \"{}\"",
                        self.name(*relation)
                    )));
                };
                crate::history::refuse_change(&access.table, "a lock on rows")?;
                locks.push((row, access, locking.strength, locking.wait));
            }
        }
        Ok(locks)
    }

    fn values(&mut self, rows: &[Vec<Expr>], types: &[TypeId]) -> Result<Body> {
        let first = self.slots(types.len());
        let rows = rows.iter().map(|row| self.exprs(row)).collect::<Result<Vec<_>>>()?;
        self.estimate =
            Estimate { rows: rows.len() as f64, cost: rows.len() as f64 * 10.0, ..Estimate::default() };
        Ok(Body {
            rows: self.operator(Values { first, rows }),
            first,
            types: types.to_vec(),
            ordered: false,
            pending: None,
        })
    }

    /// The order that a SELECT wants of one relation.
    fn wish(&self, query: &Query, select: &Select) -> RelationWish {
        let mut wish = RelationWish::default();
        let plain = !select.grouped && matches!(select.distinct, Distinct::No) && select.windows.is_empty();
        if !plain || query.with_ties {
            return wish;
        }
        for key in &query.order_by {
            let SortTarget::Target(at) = key.key else { return RelationWish::default() };
            let Some(ExprKind::Column { relation, column }) = select.targets.get(at).map(|node| &node.kind)
            else {
                return RelationWish::default();
            };
            if *wish.relation.get_or_insert(*relation) != *relation {
                return RelationWish::default();
            }
            let (descending, nulls_first) = (key.descending, key.nulls_first);
            wish.wish.columns.push(OrderWish { column: *column, descending, nulls_first });
        }
        wish.wish = Wish { limited: query.limit.is_some(), ..wish.wish };
        wish
    }

    fn select(&mut self, query: &Query, select: &Select) -> Result<Body> {
        self.note_places(&select.targets);
        let mut conditions = Vec::new();
        select.filter.iter().for_each(|filter| walk::conjuncts(filter, &mut conditions));
        let from: Vec<&tuplix_sql::plan::From> = select.from.iter().collect();
        let wish = self.wish(query, select);
        let (mut rows, ordered) = self.from(&from, &conditions, &wish)?;
        let mut scope = GroupScope::default();
        if select.grouped {
            (rows, scope) = self.aggregate(rows, query, select)?;
        }
        if !select.windows.is_empty() {
            rows = self.having(rows, select, &scope)?;
            rows = self.window_rows(rows, select, &mut scope)?;
        }
        self.groups.push(scope);
        let body = self.select_list(rows, select, ordered && !query.order_by.is_empty());
        self.groups.pop();
        body
    }

    /// HAVING of a query with windows: they see only the groups that are left.
    fn having(&mut self, rows: RowsBox, select: &Select, scope: &GroupScope) -> Result<RowsBox> {
        self.groups.push(scope.clone());
        let rows = self.filtered_by_having(rows, select);
        self.groups.pop();
        rows
    }

    fn filtered_by_having(&mut self, rows: RowsBox, select: &Select) -> Result<RowsBox> {
        let Some(having) = &select.having else { return Ok(rows) };
        let mut conditions = Vec::new();
        walk::conjuncts(having, &mut conditions);
        self.filtered(rows, &conditions)
    }

    fn select_list(&mut self, mut rows: RowsBox, select: &Select, ordered: bool) -> Result<Body> {
        if select.windows.is_empty() {
            rows = self.filtered_by_having(rows, select)?;
        }
        let outer_calls = std::mem::take(&mut self.set_calls);
        let sets = self.set_calls_of(&select.targets)?;
        let has_sets = !sets.is_empty();
        if has_sets {
            rows = self.operator(super::source::ProjectSet { source: rows, sets });
        }
        let codes = self.exprs(&select.targets);
        self.set_calls = outer_calls;
        let codes = codes?;
        let first = self.slots(codes.len());
        let types: Vec<TypeId> = select.targets.iter().map(|target| target.ty).collect();
        let plain: Option<Vec<usize>> = codes.iter().map(super::code::Code::slot).collect();
        if let (Some(slots), Distinct::No) = (plain, &select.distinct) {
            return Ok(Body { rows, first, types, ordered: ordered && !has_sets, pending: Some(slots) });
        }
        let mut rows: RowsBox = Box::new(Project::new(rows, first, codes));
        if matches!(select.distinct, Distinct::All) {
            let visible = select.targets.len();
            let slots = (first..first + visible).collect();
            if self.context.measure.is_some() {
                let groups = self.estimator().groups(&select.targets, self.estimate.rows);
                self.estimate = self.estimate.grouped(groups);
            }
            rows = self.operator(sort::Distinct { source: rows, slots, types: types.clone() });
        }
        Ok(Body { rows, first, types, ordered: ordered && !has_sets, pending: None })
    }

    /// The set-returning calls of a select list, each with the slot of its current value. Calls inside of others come first.
    fn set_calls_of(&mut self, targets: &[Expr]) -> Result<Vec<(super::source::SetCode, usize)>> {
        let mut found: Vec<&Expr> = Vec::new();
        let catalog = self.context.catalog;
        for target in targets {
            find_set_calls(target, catalog, &mut found);
        }
        let mut sets = Vec::new();
        for node in found {
            let code = self.set_code(node)?;
            let slot = self.slot();
            self.set_calls.insert(std::ptr::from_ref(node).addr(), slot);
            sets.push((code, slot));
        }
        Ok(sets)
    }
}

/// Outermost set-returning calls of an expression, not those of its subqueries.
fn find_set_calls<'p>(node: &'p Expr, catalog: &tuplix_catalog::Catalog, found: &mut Vec<&'p Expr>) {
    let is_set = match &node.kind {
        ExprKind::Call { function, .. } => function.returns_set,
        ExprKind::UserCall { function, .. } => catalog.function(*function).is_some_and(|f| f.returns_set),
        _ => false,
    };
    if is_set {
        found.push(node);
        return;
    }
    walk::children(node, &mut |child| find_set_calls(child, catalog, found));
}

/// VALUES.
struct Values {
    first: usize,
    rows: Vec<Vec<super::code::Code>>,
}

impl Rows for Values {
    fn run(&self, exec: &mut Exec<'_, '_>, next: &mut Next<'_>) -> Run<Flow> {
        for row in &self.rows {
            for (number, code) in row.iter().enumerate() {
                code.run_into(exec, self.first + number)?;
            }
            if next(exec)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn explain(&self, out: &mut Explain) {
        out.line(format_args!("Values Scan ({} rows)", self.rows.len()));
    }
}
