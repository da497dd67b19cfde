//! INSERT (`transformInsertStmt`, `transformOnConflictClause`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{
    InferClause, InsertStmt, Node, OnConflictAction, OnConflictClause, OverridingKind, SelectStmt,
};
use tuplix_catalog::{IndexId, TableDef};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::generated::Overriding;
use super::scope::{Clause, ScopeItem, table_columns};
use super::updatable::{Target, Verb};
use super::{Analyzer, nodes};
use crate::plan::{
    ConflictAction, Expr, ExprKind, Insert, InsertSource, OnConflict, OutputColumn, Query, QueryBody,
    RelationId,
};

impl Analyzer<'_> {
    pub(super) fn insert_query(&mut self, stmt: &InsertStmt) -> Result<Query> {
        let (query, _) = self.in_scope(|analyzer| {
            let ctes = analyzer.with_clause(stmt.with_clause.as_ref())?;
            let mut query = analyzer.insert(stmt)?;
            query.ctes = ctes;
            analyzer.finish_ctes(&mut query);
            Ok(query)
        })?;
        Ok(query)
    }

    fn insert(&mut self, stmt: &InsertStmt) -> Result<Query> {
        let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
        let Target { table, relation, item, checks: view_checks, columns, instead, .. } =
            self.target_table(name, Verb::Insert)?;
        self.scope().target_columns = columns.map(|columns| (Verb::Insert, columns, item.clone()));
        let plain = self.insert_of(stmt, &table, relation)?;
        self.scope().items.push(item.clone());
        let on_conflict = match stmt.on_conflict_clause.as_deref() {
            Some(clause) => Some(self.on_conflict(clause, &table, relation, &item)?),
            None => None,
        };
        self.scope().items = vec![item];
        let (returning, output) = self.returning(stmt.returning_clause.as_ref())?;
        self.reads_through(relation, &mut returning.iter());
        let policies = self.insert_policies(relation, on_conflict.as_ref(), !returning.is_empty())?;
        let insert = Insert { on_conflict, returning, view_checks, policies, instead, ..plain };
        Ok(Query::plain(QueryBody::Insert(Box::new(insert)), output))
    }

    /// The rows of an INSERT and where they go.
    pub(super) fn insert_of(
        &mut self,
        stmt: &InsertStmt,
        table: &TableDef,
        relation: RelationId,
    ) -> Result<Insert> {
        let overriding = match OverridingKind::try_from(stmt.r#override) {
            Ok(OverridingKind::OverridingSystemValue) => Overriding::System,
            Ok(OverridingKind::OverridingUserValue) => Overriding::User,
            _ => Overriding::No,
        };
        let mut columns = self.insert_columns(table, &stmt.cols)?;
        let mut source = if stmt.cols.iter().any(is_part) {
            self.insert_parts(stmt, table, &mut columns)?
        } else {
            self.insert_source(stmt, table, &mut columns)?
        };
        self.settle_own_values(table, &mut source, &mut columns, overriding)?;
        let mut defaults = Vec::new();
        for index in (0..table.columns.len()).filter(|index| !columns.contains(index)) {
            let def = &table.columns[index];
            if def.default.is_some() || def.identity.is_some() || def.ty.is_domain() {
                defaults.push((index, self.column_default(table, index)?));
            }
        }
        Ok(Insert {
            table: table.id,
            relation,
            source,
            columns,
            defaults,
            on_conflict: None,
            returning: Vec::new(),
            view_checks: Vec::new(),
            policies: Vec::new(),
            instead: false,
        })
    }

    /// The positions of the columns listed, all when none are.
    fn insert_columns(&mut self, table: &TableDef, list: &[Node]) -> Result<Vec<usize>> {
        if list.is_empty() {
            return match &self.scope().target_columns {
                None => Ok((0..table.columns.len()).collect()),
                // Those that are no columns of the table have no place: the rows must end before them.
                Some((_, columns, _)) => Ok(columns.iter().map_while(|column| *column).collect()),
            };
        }
        let mut columns: Vec<usize> = Vec::with_capacity(list.len());
        for node in list {
            let NodeEnum::ResTarget(target) = nodes::inner(node)? else { return Err(nodes::missing()) };
            let column = self.changed_column(table, &target.name, target.location)?;
            let twin = columns.iter().position(|other| *other == column);
            if twin.is_some_and(|twin| !is_part(node) || !is_part(&list[twin])) {
                let message = format!("column \"{}\" specified more than once", target.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).at(self.at(target.location)));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// The position of a column that is to be written.
    pub(super) fn changed_column(&self, table: &TableDef, name: &str, location: i32) -> Result<usize> {
        table.column(name).ok_or_else(|| {
            let scope = self.scopes.last();
            if let Some((verb, _, item)) = scope.and_then(|scope| scope.target_columns.as_ref())
                && item.columns.iter().any(|column| column.name == name)
            {
                return super::updatable::not_a_column(*verb, name, &table.name).at(self.at(location));
            }
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
            SqlError::new(sqlstate::UNDEFINED_COLUMN, message).at(self.at(location))
        })
    }

    /// As [`Self::insert_source`] where some targets are parts of columns.
    fn insert_parts(
        &mut self,
        stmt: &InsertStmt,
        table: &TableDef,
        columns: &mut Vec<usize>,
    ) -> Result<InsertSource> {
        let mut targets: Vec<(usize, &[Node])> = Vec::with_capacity(columns.len());
        for (node, column) in stmt.cols.iter().zip(columns.iter()) {
            let NodeEnum::ResTarget(target) = nodes::inner(node)? else { return Err(nodes::missing()) };
            targets.push((*column, &target.indirection));
        }
        let node = stmt.select_stmt.as_deref().ok_or_else(nodes::missing)?;
        let source = match nodes::inner(node)? {
            NodeEnum::SelectStmt(select) if is_plain_values(select) => {
                let mut rows = Vec::with_capacity(select.values_lists.len());
                for node in &select.values_lists {
                    let NodeEnum::List(list) = nodes::inner(node)? else { return Err(nodes::missing()) };
                    self.check_width(list.items.len(), stmt, columns, -1)?;
                    let values = self.in_clause(Clause::Values, |analyzer| {
                        let items = list.items.iter().zip(&targets);
                        let value = |(item, (column, path)): (&Node, &(usize, &[Node]))| match path {
                            [] => analyzer.column_value(item, table, *column),
                            _ => analyzer.part_value(item, path),
                        };
                        items.map(value).collect::<Result<Vec<Expr>>>()
                    })?;
                    let joined = self.join_parts(table, &targets, values)?;
                    *columns = joined.iter().map(|(column, _)| *column).collect();
                    rows.push(joined.into_iter().map(|(_, value)| value).collect());
                    if rows.len() < select.values_lists.len() {
                        *columns = targets.iter().map(|(column, _)| *column).collect();
                    }
                }
                InsertSource::Values(rows)
            }
            other => {
                let mut query = self.open_query(other)?;
                self.check_width(query.columns.len(), stmt, columns, -1)?;
                let settled = |(index, column): (usize, &OutputColumn)| match targets[index] {
                    (position, []) if column.ty == TypeId::UNKNOWN => table.columns[position].ty,
                    _ if column.ty == TypeId::UNKNOWN => TypeId::TEXT,
                    _ => column.ty,
                };
                let types: Vec<TypeId> = query.columns.iter().enumerate().map(settled).collect();
                self.coerce_query(&mut query, &types)?;
                let mut values = self.take_targets(&mut query)?;
                for (value, (column, _)) in
                    values.iter_mut().zip(&targets).filter(|(_, (_, path))| path.is_empty())
                {
                    let def = &table.columns[*column];
                    let given = std::mem::replace(value, super::functions::null(def.ty));
                    *value = self.assign(given, &def.name, def.ty, def.typmod)?;
                }
                let joined = self.join_parts(table, &targets, values)?;
                *columns = joined.iter().map(|(column, _)| *column).collect();
                let values = joined.into_iter().map(|(_, value)| value).collect::<Vec<Expr>>();
                query.columns.truncate(values.len());
                self.put_targets(&mut query, values);
                InsertSource::Query(Box::new(query))
            }
        };
        Ok(source)
    }

    /// The rows to insert; cuts `columns` to those that the source gives.
    fn insert_source(
        &mut self,
        stmt: &InsertStmt,
        table: &TableDef,
        columns: &mut Vec<usize>,
    ) -> Result<InsertSource> {
        let Some(node) = stmt.select_stmt.as_deref() else {
            columns.clear();
            return Ok(InsertSource::Defaults);
        };
        match nodes::inner(node)? {
            NodeEnum::SelectStmt(select) if is_plain_values(select) => self
                .in_clause(Clause::Values, |analyzer| analyzer.insert_values(stmt, select, table, columns)),
            other => {
                let mut query = self.open_query(other)?;
                let location = match other {
                    NodeEnum::SelectStmt(select) => {
                        select.target_list.get(columns.len()).map_or(-1, nodes::location)
                    }
                    _ => -1,
                };
                self.check_width(query.columns.len(), stmt, columns, location)?;
                self.assign_columns(&mut query, table, columns)?;
                Ok(InsertSource::Query(Box::new(query)))
            }
        }
    }

    fn insert_values(
        &mut self,
        stmt: &InsertStmt,
        select: &SelectStmt,
        table: &TableDef,
        columns: &mut Vec<usize>,
    ) -> Result<InsertSource> {
        let mut rows: Vec<Vec<Expr>> = Vec::with_capacity(select.values_lists.len());
        let mut width = None;
        for node in &select.values_lists {
            let NodeEnum::List(list) = nodes::inner(node)? else { return Err(nodes::missing()) };
            if *width.get_or_insert(list.items.len()) != list.items.len() {
                let place = self.at(nodes::location(node));
                let message = "VALUES lists must all be the same length";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(place));
            }
            if rows.is_empty() {
                let extra = list.items.get(columns.len()).map_or(-1, nodes::location);
                self.check_width(list.items.len(), stmt, columns, extra)?;
            }
            let mut row = Vec::with_capacity(columns.len());
            for (item, column) in list.items.iter().zip(columns.iter()) {
                let def = &table.columns[*column];
                let own = def.identity.is_some() || def.generated.is_some();
                row.push(match &item.node {
                    // What the column says of DEFAULT depends on the other rows.
                    Some(NodeEnum::SetToDefault(_)) if own => {
                        Expr::new(crate::plan::ExprKind::Default, def.ty)
                    }
                    _ => self.column_value(item, table, *column)?,
                });
            }
            rows.push(row);
        }
        Ok(InsertSource::Values(rows))
    }

    /// Columns that make their own values: drops those that get DEFAULT in every row or whose values OVERRIDING USER
    /// VALUE ignores, refuses other values.
    fn settle_own_values(
        &mut self,
        table: &TableDef,
        source: &mut InsertSource,
        columns: &mut Vec<usize>,
        overriding: Overriding,
    ) -> Result<()> {
        let own = |column: &usize| {
            let def = &table.columns[*column];
            def.identity.is_some() || def.generated.is_some()
        };
        for place in (0..columns.len()).rev().filter(|place| own(&columns[*place])).collect::<Vec<_>>() {
            let column = columns[place];
            let is_default = |row: &Vec<Expr>| matches!(row[place].kind, crate::plan::ExprKind::Default);
            let all_default = matches!(source, InsertSource::Values(rows) if rows.iter().all(is_default));
            let replaced = all_default || self.refuse_given_value(table, column, overriding)?;
            match source {
                InsertSource::Values(rows) if replaced => {
                    rows.iter_mut().for_each(|row| drop(row.remove(place)));
                    columns.remove(place);
                }
                InsertSource::Values(rows) => {
                    for row in rows.iter_mut().filter(|row| is_default(row)) {
                        row[place] = self.column_default(table, column)?;
                    }
                }
                InsertSource::Query(query) if replaced => {
                    let mut targets = self.take_targets(query)?;
                    targets.remove(place);
                    query.columns.remove(place);
                    self.put_targets(query, targets);
                    columns.remove(place);
                }
                InsertSource::Query(_) | InsertSource::Defaults => {}
            }
        }
        Ok(())
    }

    /// An expression, or DEFAULT, as the value of a column.
    pub(super) fn column_value(&mut self, node: &Node, table: &TableDef, column: usize) -> Result<Expr> {
        if matches!(node.node, Some(NodeEnum::SetToDefault(_))) {
            return self.column_default(table, column);
        }
        let value = self.expression(node)?;
        let def = &table.columns[column];
        self.assign(value, &def.name, def.ty, def.typmod)
    }

    /// Compares the source's width with the columns listed; without a list the first columns are meant.
    fn check_width(
        &self,
        width: usize,
        stmt: &InsertStmt,
        columns: &mut Vec<usize>,
        extra: i32,
    ) -> Result<()> {
        if width > columns.len() {
            let message = "INSERT has more expressions than target columns";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(extra)));
        }
        if width < columns.len() && !stmt.cols.is_empty() {
            let location = stmt.cols.get(width).map_or(-1, nodes::location);
            let message = "INSERT has more target columns than expressions";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(location)));
        }
        columns.truncate(width);
        Ok(())
    }

    /// Coerces a query's columns to those of a table.
    fn assign_columns(&mut self, query: &mut Query, table: &TableDef, columns: &[usize]) -> Result<()> {
        let wanted = |index: usize| &table.columns[columns[index]];
        let settled = |(index, column): (usize, &OutputColumn)| {
            if column.ty == TypeId::UNKNOWN { wanted(index).ty } else { column.ty }
        };
        let types: Vec<TypeId> = query.columns.iter().enumerate().map(settled).collect();
        self.coerce_query(query, &types)?;
        let fits = |(index, column): (usize, &OutputColumn)| {
            let def = wanted(index);
            column.ty == def.ty && (def.typmod < 0 || def.typmod == column.typmod)
        };
        if query.columns.iter().enumerate().all(fits) {
            return Ok(());
        }
        let mut values = self.take_targets(query)?;
        for (index, value) in values.iter_mut().enumerate().take(columns.len()) {
            let def = wanted(index);
            let given = std::mem::replace(value, super::functions::null(def.ty));
            *value = self.assign(given, &def.name, def.ty, def.typmod)?;
        }
        self.put_targets(query, values);
        Ok(())
    }

    /// The default of a column, NULL when it has none.
    pub(super) fn column_default(&mut self, table: &TableDef, column: usize) -> Result<Expr> {
        let def = &table.columns[column];
        let identity = self.context.catalog.identity_sequence(table.id, column);
        let identity = identity.map(|sequence| {
            format!("pg_catalog.nextval({}::pg_catalog.oid::pg_catalog.regclass)", sequence.id.0)
        });
        match identity.as_deref().or(def.default.as_deref()) {
            Some(text) => {
                let mut value = self.stored_expression(text, Clause::Default)?;
                if identity.is_some()
                    && let ExprKind::Call { arguments, .. } = &mut value.kind
                {
                    // The engine's own call: who inserts needs no right on the sequence.
                    arguments.push(Expr::constant(tuplix_types::Value::Bool(true), TypeId::BOOL));
                }
                self.assign(value, &def.name, def.ty, def.typmod)
            }
            None if def.ty.is_domain() => {
                let value = self.domain_default(def.ty)?;
                Ok(value.unwrap_or_else(|| super::functions::null(def.ty)))
            }
            None => Ok(Expr { typmod: def.typmod, ..super::functions::null(def.ty) }),
        }
    }

    fn on_conflict(
        &mut self,
        clause: &OnConflictClause,
        table: &TableDef,
        relation: RelationId,
        item: &ScopeItem,
    ) -> Result<OnConflict> {
        let updates = clause.action == OnConflictAction::OnconflictUpdate as i32;
        let index = match clause.infer.as_deref() {
            Some(infer) => Some(self.arbiter(infer, table)?),
            None if updates => {
                let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message)
                    .hint("For example, ON CONFLICT (column_name).")
                    .at(self.at(clause.location)));
            }
            None => None,
        };
        if !updates {
            return Ok(OnConflict { index, action: ConflictAction::Nothing });
        }
        let columns = table_columns(table);
        let excluded = self.add_relation("excluded", columns.clone(), None);
        self.scope().items = vec![item.clone(), ScopeItem::of_relation("excluded", excluded, &columns)];
        let assignments = self.assignments(table, &clause.target_list)?;
        let filter = self.condition(clause.where_clause.as_deref(), Clause::ConflictWhere)?;
        let policies = self.conflict_policies(relation)?;
        Ok(OnConflict { index, action: ConflictAction::Update { excluded, assignments, filter, policies } })
    }

    /// The unique index that ON CONFLICT means (`infer_arbiter_indexes`).
    fn arbiter(&mut self, infer: &InferClause, table: &TableDef) -> Result<IndexId> {
        if let Some(name) = nodes::non_empty(&infer.conname) {
            let index = table.indexes.iter().find(|index| index.name == name && index.constraint);
            return index.map(|index| index.id).ok_or_else(|| {
                let message = format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
                SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
            });
        }
        self.inferred_index(infer, table)
    }
}

/// Whether a target is a part of a column.
fn is_part(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::ResTarget(target)) if !target.indirection.is_empty())
}

/// Whether a source is only VALUES, which may hold DEFAULT.
fn is_plain_values(select: &SelectStmt) -> bool {
    !select.values_lists.is_empty()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty()
        && select.with_clause.is_none()
}
