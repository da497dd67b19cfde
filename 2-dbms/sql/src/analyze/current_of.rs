//! WHERE CURRENT OF (`transformCurrentOfExpr`, `execCurrentOf`): which rows of tables a cursor's row was made of.
//!
//! A cursor's query gets a column more for each table whose rows can be changed through it. With FOR UPDATE these are the tables
//! whose rows it locks; without, the one table of a query that shows its rows as they are, in whatever order.

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{CurrentOfExpr, Node};
use tuplix_catalog::{Catalog, TableDef, TableId};
use tuplix_types::{Result, SqlError, TypeId};

use super::scope::Clause;
use super::{Analyzer, nodes};
use crate::plan::{
    CurrentOf, CursorPlaces, CursorTable, Distinct, Expr, ExprKind, From, OutputColumn, Query, QueryBody,
    Relation, RelationId, Select, SortTarget, Statement, StatementKind,
};

impl Analyzer<'_> {
    /// WHERE of UPDATE and DELETE: a condition, or the cursor of CURRENT OF.
    pub(super) fn condition_or_cursor(
        &mut self,
        node: Option<&Node>,
        of_view: bool,
    ) -> Result<(Option<Expr>, Option<CurrentOf>)> {
        let current = match node.map(nodes::inner).transpose()? {
            Some(NodeEnum::CurrentOfExpr(current)) => current,
            _ => return Ok((self.condition(node, Clause::Where)?, None)),
        };
        if of_view {
            return Err(SqlError::new(
                tuplix_types::sqlstate::FEATURE_NOT_SUPPORTED,
                "WHERE CURRENT OF on a view is not implemented",
            ));
        }
        Ok((None, Some(self.cursor_of(current))))
    }

    /// A variable of that name holds the cursor's name, if it is a `refcursor`.
    fn cursor_of(&self, current: &CurrentOfExpr) -> CurrentOf {
        let variable = self.variables.and_then(|variables| {
            let variable = variables.lookup(&current.cursor_name)?;
            (self.base(variables.list[variable].ty) == TypeId::REFCURSOR).then_some(variable)
        });
        variable.map_or_else(|| CurrentOf::Named(current.cursor_name.clone()), CurrentOf::Variable)
    }
}

/// Adds the columns that say which rows of tables a row was made of to a cursor's query.
pub fn add_places(catalog: &Catalog, statement: &mut Statement) -> CursorPlaces {
    let StatementKind::Query(query) = &mut statement.kind else { return CursorPlaces::default() };
    let visible = query.columns.len();
    let locked = locks(query);
    let search = Search { catalog, locked };
    let found = search.query(query, &mut statement.relations);
    let (tables, places): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    show(query, places);
    CursorPlaces { visible, tables, locked }
}

/// Whether the query locks rows, of its own or of subqueries in FROM.
fn locks(query: &Query) -> bool {
    fn in_from(from: &From) -> bool {
        match from {
            From::Subquery { query, .. } => locks(query),
            From::Join { left, right, .. } => in_from(left) || in_from(right),
            _ => false,
        }
    }
    let from = match &query.body {
        QueryBody::Select(select) => &select.from[..],
        _ => &[],
    };
    query.locking.iter().any(|locking| !locking.relations.is_empty()) || from.iter().any(in_from)
}

struct Search<'c> {
    catalog: &'c Catalog,
    locked: bool,
}

type Found = Vec<(CursorTable, Expr)>;

impl Search<'_> {
    /// The tables of a query, each with what says which of its rows it is, in sight of the query's select list.
    fn query(&self, query: &mut Query, relations: &mut Vec<Relation>) -> Found {
        let locking: Vec<RelationId> =
            query.locking.iter().flat_map(|locking| locking.relations.iter().copied()).collect();
        let QueryBody::Select(select) = &mut query.body else { return Vec::new() };
        if !shows_rows(select) || !(self.locked || select.from.len() == 1) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for from in &mut select.from {
            self.item(from, &locking, relations, &mut found);
        }
        found
    }

    fn item(
        &self,
        from: &mut From,
        locking: &[RelationId],
        relations: &mut Vec<Relation>,
        found: &mut Found,
    ) {
        match from {
            From::Table { relation, table } if !self.locked || locking.contains(relation) => {
                found.extend(self.table(*relation, *table));
            }
            From::Subquery { relation, query, .. } => {
                let (tables, places): (Vec<_>, Vec<_>) = self.query(query, relations).into_iter().unzip();
                let first = query.columns.len();
                show(query, places);
                relations[relation.0 as usize].columns.extend(query.columns[first..].iter().cloned());
                for (number, table) in tables.into_iter().enumerate() {
                    let kind = ExprKind::Column { relation: *relation, column: first + number };
                    found.push((table, Expr::new(kind, TypeId::RECORD)));
                }
            }
            From::Join { left, right, .. } if self.locked => {
                self.item(left, locking, relations, found);
                self.item(right, locking, relations, found);
            }
            _ => {}
        }
    }

    fn table(&self, relation: RelationId, table: TableId) -> Option<(CursorTable, Expr)> {
        let definition = self.catalog.table(table)?;
        let (keys, unique) = if self.locked { (Vec::new(), false) } else { identity(definition) };
        let place = Expr::new(ExprKind::Place { relation, keys: keys.clone() }, TypeId::RECORD);
        Some((CursorTable { table, keys, unique }, place))
    }
}

/// Whether each row of the select list is one row of what stands in FROM.
fn shows_rows(select: &Select) -> bool {
    !select.grouped && select.windows.is_empty() && matches!(select.distinct, Distinct::No)
}

/// The columns that tell a row from others: a key without NULL, or else all of them.
fn identity(table: &TableDef) -> (Vec<usize>, bool) {
    let key = table.indexes.iter().find(|index| {
        let never_null = |column: usize| table.columns.get(column).is_some_and(|column| column.not_null);
        index.unique && index.is_plain() && index.columns.iter().all(|key| never_null(key.column))
    });
    match key {
        Some(index) => (index.columns.iter().map(|key| key.column).collect(), true),
        None => ((0..table.columns.len()).collect(), false),
    }
}

/// Adds columns behind those that a query shows.
fn show(query: &mut Query, values: Vec<Expr>) {
    let QueryBody::Select(select) = &mut query.body else { return };
    let (first, count) = (query.columns.len(), values.len());
    for key in &mut query.order_by {
        if let SortTarget::Target(at) = &mut key.key
            && *at >= first
        {
            *at += count;
        }
    }
    let column = OutputColumn { name: String::new(), ty: TypeId::RECORD, typmod: -1 };
    query.columns.extend(std::iter::repeat_n(column, count));
    select.targets.splice(first..first, values);
}
