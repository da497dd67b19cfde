//! UPDATE, DELETE, SET lists and RETURNING (`transformUpdateStmt`, `transformDeleteStmt`).

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{DeleteStmt, MultiAssignRef, Node, ReturningClause, SubLinkType, UpdateStmt};
use tuplix_catalog::{PolicyCommand, TableDef};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::scope::{Clause, ScopeItem};
use super::targets::Target as Column;
use super::updatable::{Target, Verb, all_of};
use super::{Analyzer, nodes};
use crate::plan::{Delete, Expr, ExprKind, From, OutputColumn, Query, QueryBody, SubqueryKind, Update};

impl Analyzer<'_> {
    pub(super) fn update_query(&mut self, stmt: &UpdateStmt) -> Result<Query> {
        let (query, _) = self.in_scope(|analyzer| {
            let ctes = analyzer.with_clause(stmt.with_clause.as_ref())?;
            let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
            let target = analyzer.target_table(name, Verb::Update)?;
            let Target { table, relation, item, filter: of_view, checks: view_checks, columns, .. } = target;
            let (is_view, instead) = (columns.is_some() || target.instead, target.shown);
            analyzer.scope().target_columns = columns.map(|columns| (Verb::Update, columns, item.clone()));
            let from = analyzer.beside_target(&stmt.from_clause, item)?;
            let assignments = analyzer.assignments(&table, &stmt.target_list)?;
            let (written, current_of) =
                analyzer.condition_or_cursor(stmt.where_clause.as_deref(), is_view)?;
            let filter = all_of(of_view.into_iter().chain(written.clone()).collect());
            let (returning, columns) = analyzer.returning(stmt.returning_clause.as_ref())?;
            let table = table.id;
            let values = assignments.iter().map(|(_, value)| value);
            analyzer.reads_through(relation, &mut values.chain(&written).chain(&returning));
            let reads = written.is_some() || !returning.is_empty();
            let view_checks = analyzer.guard_update(relation, reads, view_checks)?;
            let update = Update {
                table,
                relation,
                assignments,
                from,
                filter,
                current_of,
                instead,
                returning,
                view_checks,
            };
            let mut query = Query::plain(QueryBody::Update(Box::new(update)), columns);
            query.ctes = ctes;
            analyzer.finish_ctes(&mut query);
            Ok(query)
        })?;
        Ok(query)
    }

    pub(super) fn delete_query(&mut self, stmt: &DeleteStmt) -> Result<Query> {
        let (query, _) = self.in_scope(|analyzer| {
            let ctes = analyzer.with_clause(stmt.with_clause.as_ref())?;
            let name = stmt.relation.as_ref().ok_or_else(nodes::missing)?;
            let target = analyzer.target_table(name, Verb::Delete)?;
            let Target { table, relation, item, filter: of_view, columns, .. } = target;
            let (is_view, instead) = (columns.is_some() || target.instead, target.shown);
            let table = table.id;
            let using = analyzer.beside_target(&stmt.using_clause, item)?;
            let (written, current_of) =
                analyzer.condition_or_cursor(stmt.where_clause.as_deref(), is_view)?;
            let filter = all_of(of_view.into_iter().chain(written.clone()).collect());
            let (returning, columns) = analyzer.returning(stmt.returning_clause.as_ref())?;
            analyzer.reads_through(relation, &mut written.iter().chain(&returning));
            analyzer.guard(relation, PolicyCommand::Delete)?;
            if written.is_some() || !returning.is_empty() {
                analyzer.guard(relation, PolicyCommand::Select)?;
            }
            let delete = Delete { table, relation, using, filter, current_of, instead, returning };
            let mut query = Query::plain(QueryBody::Delete(Box::new(delete)), columns);
            query.ctes = ctes;
            analyzer.finish_ctes(&mut query);
            Ok(query)
        })?;
        Ok(query)
    }

    /// FROM or USING; afterwards the target is in sight too, before them.
    fn beside_target(&mut self, list: &[Node], target: ScopeItem) -> Result<Vec<From>> {
        let from = self.read_from(list)?;
        self.check_names(std::slice::from_ref(&target))?;
        self.scope().items.insert(0, target);
        Ok(from)
    }

    /// SET column = value, (a, b) = (...).
    pub(super) fn assignments(&mut self, table: &TableDef, list: &[Node]) -> Result<Vec<(usize, Expr)>> {
        self.in_clause(Clause::Update, |analyzer| {
            let mut assignments: Vec<(usize, Expr)> = Vec::with_capacity(list.len());
            // Those of parts of columns.
            let mut parts: Vec<usize> = Vec::new();
            for node in list {
                let NodeEnum::ResTarget(target) = nodes::inner(node)? else { return Err(nodes::missing()) };
                let column = analyzer.changed_column(table, &target.name, target.location)?;
                let before = assignments.iter().position(|(other, _)| *other == column);
                let value = target.val.as_deref().ok_or_else(nodes::missing)?;
                if !target.indirection.is_empty() && before.is_none_or(|place| parts.contains(&place)) {
                    if let NodeEnum::MultiAssignRef(_) = nodes::inner(value)? {
                        let what = "assigning a row to parts of columns";
                        return Err(analyzer.unsupported(what, target.location));
                    }
                    let base = match before {
                        Some(place) => assignments[place].1.clone(),
                        None => analyzer.target_column(column)?,
                    };
                    let given = analyzer.part_value(value, &target.indirection)?;
                    let whole = analyzer.with_part(base, &target.indirection, given, &target.name)?;
                    match before {
                        Some(place) => assignments[place].1 = whole,
                        None => {
                            parts.push(assignments.len());
                            assignments.push((column, whole));
                        }
                    }
                    continue;
                }
                if before.is_some() {
                    let message = format!("multiple assignments to same column \"{}\"", target.name);
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                }
                let to_default = matches!(value.node, Some(NodeEnum::SetToDefault(_)));
                // A view's column has no default of its own, so DEFAULT is a value there.
                if !to_default || analyzer.scope().target_columns.is_some() {
                    analyzer.refuse_set_value(table, column)?;
                } else if table.columns[column].generated.is_some() {
                    continue;
                }
                let value = match nodes::inner(value)? {
                    NodeEnum::MultiAssignRef(part) => analyzer.part_of_row(part, table, column)?,
                    _ => analyzer.column_value(value, table, column)?,
                };
                assignments.push((column, value));
            }
            Ok(assignments)
        })
    }

    /// The column of the target, as it was.
    fn target_column(&mut self, column: usize) -> Result<Expr> {
        let item = self.scope().items.first().ok_or_else(nodes::missing)?;
        item.columns.get(column).map(|column| column.value.clone()).ok_or_else(nodes::missing)
    }

    /// One column's value of `(a, b) = row`.
    fn part_of_row(&mut self, part: &MultiAssignRef, table: &TableDef, column: usize) -> Result<Expr> {
        let source = part.source.as_deref().ok_or_else(nodes::missing)?;
        let index = usize::try_from(part.colno - 1).map_err(|_| nodes::missing())?;
        let count = usize::try_from(part.ncolumns).map_err(|_| nodes::missing())?;
        let mismatch = |analyzer: &Self| {
            let message = "number of columns does not match number of values";
            SqlError::new(sqlstate::SYNTAX_ERROR, message).at(analyzer.at(nodes::location(source)))
        };
        match nodes::inner(source)? {
            NodeEnum::RowExpr(row) => {
                if row.args.len() != count {
                    return Err(mismatch(self));
                }
                self.column_value(&row.args[index], table, column)
            }
            NodeEnum::SubLink(link) if link.sub_link_type == SubLinkType::ExprSublink as i32 => {
                let query = self.query(nodes::required(link.subselect.as_deref())?)?;
                if query.columns.len() != count {
                    return Err(mismatch(self));
                }
                let (column_type, typmod) = (query.columns[index].ty, query.columns[index].typmod);
                let position = self.at(link.location);
                let record = self.row_of_query(query)?;
                let kind = ExprKind::Field { record: Box::new(record), index };
                let value = Expr { kind, ty: column_type, typmod, position };
                let def = &table.columns[column];
                self.assign(value, &def.name, def.ty, def.typmod)
            }
            _ => {
                let message =
                    "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
                Err(error.at(self.at(nodes::location(source))))
            }
        }
    }

    /// The one row of a query as a record; NULL when there is none.
    fn row_of_query(&mut self, mut query: Query) -> Result<Expr> {
        let columns = query.columns.clone();
        let fields = self.take_targets(&mut query)?;
        let row = Expr::new(ExprKind::Row(fields), TypeId::RECORD);
        self.put_targets(&mut query, vec![row]);
        let name = columns.first().map(|column| column.name.clone()).unwrap_or_default();
        query.columns = vec![OutputColumn { name, ty: TypeId::RECORD, typmod: -1 }];
        let kind = ExprKind::Subquery { kind: SubqueryKind::Scalar, query: Box::new(query) };
        Ok(Expr::new(kind, TypeId::RECORD))
    }

    /// RETURNING: its values and columns.
    pub(super) fn returning(
        &mut self,
        clause: Option<&ReturningClause>,
    ) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
        let Some(clause) = clause else { return Ok((Vec::new(), Vec::new())) };
        if let Some(option) = clause.options.first() {
            return Err(self.unsupported("RETURNING WITH (...)", nodes::location(option)));
        }
        let targets = self.in_clause(Clause::Returning, |analyzer| analyzer.target_list(&clause.exprs))?;
        let columns = targets.iter().map(Column::column).collect();
        Ok((targets.into_iter().map(|target| target.value).collect(), columns))
    }
}
