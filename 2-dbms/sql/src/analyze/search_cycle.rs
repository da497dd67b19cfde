//! SEARCH and CYCLE of WITH RECURSIVE: columns that both parts of the query get (`rewriteSearchAndCycle`).
//!
//! ```text
//!   first part    SELECT c, ARRAY[ROW(c)] | ROW(0, c), DEFAULT, ARRAY[ROW(c)] FROM (first part)
//!   second part   SELECT c, seq || ROW(c) | ROW(seq.depth + 1, c), CASE WHEN ROW(c) = ANY (path) THEN mark ELSE DEFAULT END,
//!                        path || ROW(c)
//!                 FROM (second part, with the columns seq, mark and path of the rows that it repeats) WHERE mark <> TO
//! ```

use pg_query::protobuf::{CommonTableExpr, CteCycleClause, CteSearchClause, Node};
use tuplix_types::{Result, SqlError, TypeId, Value, sqlstate};

use super::{Analyzer, nodes};
use crate::plan::{
    CteId, Distinct, Expr, ExprKind, From, OutputColumn, Query, QueryBody, RecursivePart, RelationId, Select,
};

/// What the clauses of a WITH query ask for.
struct Clauses {
    search: Option<Search>,
    cycle: Option<Cycle>,
}

struct Search {
    by: Vec<usize>,
    breadth: bool,
    name: String,
}

struct Cycle {
    by: Vec<usize>,
    mark: String,
    path: String,
    found: Expr,
    not_found: Expr,
}

impl Analyzer<'_> {
    /// Adds what SEARCH and CYCLE ask for to a WITH query whose columns have their names.
    pub(super) fn search_and_cycle(
        &mut self,
        cte: &CommonTableExpr,
        id: CteId,
        columns: &[OutputColumn],
        query: &mut Query,
        part: Option<RecursivePart>,
    ) -> Result<Option<RecursivePart>> {
        if cte.search_clause.is_none() && cte.cycle_clause.is_none() {
            return Ok(part);
        }
        let Some(RecursivePart { query: mut right, all }) = part else {
            let error = SqlError::new(sqlstate::SYNTAX_ERROR, "WITH query is not recursive");
            return Err(error.at(self.at(cte.location)));
        };
        let sides =
            [("left", &*query, sqlstate::FEATURE_NOT_SUPPORTED), ("right", &right, sqlstate::SYNTAX_ERROR)];
        for (side, query, code) in sides {
            if matches!(query.body, QueryBody::SetOperation { .. }) {
                let message =
                    format!("with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT");
                return Err(SqlError::new(code, message));
            }
        }
        let clauses = self.clauses(cte, columns)?;
        let own = &mut right.body;
        let repeated = match own {
            QueryBody::Select(select) => select.from.iter().find_map(|from| relation_of(from, id)),
            _ => None,
        };
        let Some(repeated) = repeated else {
            let message = format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{}\" must be at the top level of its right-hand SELECT",
                cte.ctename
            );
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        };
        self.give_columns(&clauses, columns, repeated, &mut right)?;
        let first = self.first_part(&clauses, columns, query)?;
        *query = first;
        let repeated = self.repeated_part(&clauses, columns, right)?;
        Ok(Some(RecursivePart { query: repeated, all }))
    }

    fn clauses(&mut self, cte: &CommonTableExpr, columns: &[OutputColumn]) -> Result<Clauses> {
        let search = cte.search_clause.as_ref();
        let search = search.map(|clause| self.search_clause(clause, columns)).transpose()?;
        let cycle = cte.cycle_clause.as_ref();
        let cycle = cycle.map(|clause| self.cycle_clause(clause, columns)).transpose()?;
        if let (Some(search), Some(cycle), Some(clause)) = (&search, &cycle, &cte.search_clause) {
            for (other, what) in [(&cycle.mark, "cycle mark"), (&cycle.path, "cycle path")] {
                if search.name == *other {
                    let message = format!("search sequence column name and {what} column name are the same");
                    return Err(self.clause_error(message, clause.location));
                }
            }
        }
        Ok(Clauses { search, cycle })
    }

    fn clause_error(&self, message: String, location: i32) -> SqlError {
        SqlError::new(sqlstate::SYNTAX_ERROR, message).at(self.at(location))
    }

    /// The columns that a clause goes by.
    fn clause_columns(
        &self,
        what: &str,
        names: &[Node],
        columns: &[OutputColumn],
        location: i32,
    ) -> Result<Vec<usize>> {
        let mut by = Vec::with_capacity(names.len());
        for name in nodes::strings(names) {
            let place = columns.iter().position(|column| column.name == name).ok_or_else(|| {
                let message = format!("{what} column \"{name}\" not in WITH query column list");
                self.clause_error(message, location)
            })?;
            if by.contains(&place) {
                let message = format!("{what} column \"{name}\" specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).at(self.at(location)));
            }
            by.push(place);
        }
        Ok(by)
    }

    fn search_clause(&self, clause: &CteSearchClause, columns: &[OutputColumn]) -> Result<Search> {
        let by = self.clause_columns("search", &clause.search_col_list, columns, clause.location)?;
        self.refuse_taken("search sequence", &clause.search_seq_column, columns, clause.location)?;
        Ok(Search { by, breadth: clause.search_breadth_first, name: clause.search_seq_column.clone() })
    }

    fn cycle_clause(&mut self, clause: &CteCycleClause, columns: &[OutputColumn]) -> Result<Cycle> {
        let by = self.clause_columns("cycle", &clause.cycle_col_list, columns, clause.location)?;
        let (mark, path) = (clause.cycle_mark_column.clone(), clause.cycle_path_column.clone());
        self.refuse_taken("cycle mark", &mark, columns, clause.location)?;
        let found = self.operand(clause.cycle_mark_value.as_deref())?;
        let not_found = self.operand(clause.cycle_mark_default.as_deref())?;
        self.refuse_taken("cycle path", &path, columns, clause.location)?;
        if mark == path {
            let message = "cycle mark column name and cycle path column name are the same".to_owned();
            return Err(self.clause_error(message, clause.location));
        }
        let (ty, mut values) = self.common("CYCLE", vec![found, not_found])?;
        for (operator, what) in [("=", "equality"), ("<>", "inequality")] {
            if self.resolver().operator(operator, Some(ty), ty).is_err() {
                let message = format!("could not identify an {what} operator for type {ty}");
                return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
            }
        }
        let not_found = values.pop().ok_or_else(nodes::missing)?;
        let found = values.pop().ok_or_else(nodes::missing)?;
        Ok(Cycle { by, mark, path, found, not_found })
    }

    fn refuse_taken(&self, what: &str, name: &str, columns: &[OutputColumn], location: i32) -> Result<()> {
        if columns.iter().all(|column| column.name != name) {
            return Ok(());
        }
        let message = format!("{what} column name \"{name}\" already used in WITH query column list");
        Err(self.clause_error(message, location))
    }

    /// Lets the second part show the new columns of the rows that it repeats.
    fn give_columns(
        &mut self,
        clauses: &Clauses,
        columns: &[OutputColumn],
        repeated: RelationId,
        right: &mut Query,
    ) -> Result<()> {
        let added = clauses.columns();
        let simple = right.order_by.is_empty() && right.limit.is_none() && right.offset.is_none();
        match &mut right.body {
            QueryBody::Select(select)
                if simple && !select.grouped && matches!(select.distinct, Distinct::No) =>
            {
                for (number, column) in added.iter().enumerate() {
                    select.targets.push(column_of(repeated, columns.len() + number, column));
                }
            }
            _ => {
                let what = "a SEARCH or CYCLE clause over a recursive term with GROUP BY, DISTINCT, ORDER BY or LIMIT";
                return Err(SqlError::unsupported(what));
            }
        }
        right.columns.extend(added.iter().cloned());
        self.relations[repeated.0 as usize].columns.extend(added);
        Ok(())
    }

    /// A SELECT around a query, its columns in sight.
    fn around(&mut self, name: &str, inner: Query) -> Result<(RelationId, Select)> {
        let columns = inner.columns.clone();
        let (relation, _) = self.in_scope(|analyzer| Ok(analyzer.add_relation(name, columns, None)))?;
        let from = From::Subquery { relation, query: Box::new(inner), lateral: false };
        Ok((relation, Select::plain(vec![from], Vec::new())))
    }

    fn first_part(&mut self, clauses: &Clauses, columns: &[OutputColumn], query: &Query) -> Result<Query> {
        let (relation, mut select) = self.around("*TLOCRN*", query.clone())?;
        select.targets = shown(relation, columns);
        if let Some(search) = &clauses.search {
            select.targets.push(match search.breadth {
                true => {
                    let zero = Expr::constant(Value::Int8(0), TypeId::INT8);
                    row(std::iter::once(zero).chain(picked(relation, columns, &search.by)).collect())
                }
                false => path_of(relation, columns, &search.by)?,
            });
        }
        if let Some(cycle) = &clauses.cycle {
            select.targets.push(cycle.not_found.clone());
            select.targets.push(path_of(relation, columns, &cycle.by)?);
        }
        Ok(finished(select, columns, clauses))
    }

    fn repeated_part(&mut self, clauses: &Clauses, columns: &[OutputColumn], right: Query) -> Result<Query> {
        let (relation, mut select) = self.around("*TROCRN*", right)?;
        select.targets = shown(relation, columns);
        let added = clauses.columns();
        let mut before = added.iter().enumerate();
        let mut before =
            before.by_ref().map(|(number, column)| column_of(relation, columns.len() + number, column));
        if let Some(search) = &clauses.search {
            let before = before.next().ok_or_else(nodes::missing)?;
            select.targets.push(match search.breadth {
                true => {
                    let kind = ExprKind::Field { record: Box::new(before), index: 0 };
                    let one = Expr::constant(Value::Int8(1), TypeId::INT8);
                    let depth = self.operator("+", Some(Expr::new(kind, TypeId::INT8)), one, -1)?;
                    row(std::iter::once(depth).chain(picked(relation, columns, &search.by)).collect())
                }
                false => self.operator("||", Some(before), path_of(relation, columns, &search.by)?, -1)?,
            });
        }
        if let Some(cycle) = &clauses.cycle {
            let mark = before.next().ok_or_else(nodes::missing)?;
            let path = before.next().ok_or_else(nodes::missing)?;
            let here = row(picked(relation, columns, &cycle.by).collect());
            let met = self.array_operator("=", here, path.clone(), false, -1)?;
            let kind = ExprKind::Case {
                operand: None,
                arms: vec![(met, cycle.found.clone())],
                otherwise: Some(Box::new(cycle.not_found.clone())),
            };
            select.filter = Some(self.operator("<>", Some(mark), cycle.found.clone(), -1)?);
            select.targets.push(Expr::new(kind, cycle.found.ty));
            let path = self.operator("||", Some(path), path_of(relation, columns, &cycle.by)?, -1)?;
            select.targets.push(path);
        }
        Ok(finished(select, columns, clauses))
    }
}

impl Clauses {
    /// The new columns.
    fn columns(&self) -> Vec<OutputColumn> {
        let column = |name: &str, ty: TypeId| OutputColumn { name: name.to_owned(), ty, typmod: -1 };
        let path = TypeId::RECORD.array_of().unwrap_or(TypeId::RECORD);
        let mut columns = Vec::with_capacity(3);
        if let Some(search) = &self.search {
            columns.push(column(&search.name, if search.breadth { TypeId::RECORD } else { path }));
        }
        if let Some(cycle) = &self.cycle {
            columns.push(column(&cycle.mark, cycle.found.ty));
            columns.push(column(&cycle.path, path));
        }
        columns
    }
}

/// The relation of a FROM item that has the rows of a WITH query.
fn relation_of(from: &From, id: CteId) -> Option<RelationId> {
    match from {
        From::Cte { relation, cte } if *cte == id => Some(*relation),
        From::Join { left, right, .. } => relation_of(left, id).or_else(|| relation_of(right, id)),
        _ => None,
    }
}

fn column_of(relation: RelationId, column: usize, of: &OutputColumn) -> Expr {
    Expr { typmod: of.typmod, ..Expr::new(ExprKind::Column { relation, column }, of.ty) }
}

fn shown(relation: RelationId, columns: &[OutputColumn]) -> Vec<Expr> {
    columns.iter().enumerate().map(|(number, column)| column_of(relation, number, column)).collect()
}

fn picked<'c>(
    relation: RelationId,
    columns: &'c [OutputColumn],
    by: &'c [usize],
) -> impl Iterator<Item = Expr> + 'c {
    by.iter().map(move |place| column_of(relation, *place, &columns[*place]))
}

fn row(fields: Vec<Expr>) -> Expr {
    Expr::new(ExprKind::Row(fields), TypeId::RECORD)
}

/// `ARRAY[ROW(...)]`
fn path_of(relation: RelationId, columns: &[OutputColumn], by: &[usize]) -> Result<Expr> {
    let elements = vec![row(picked(relation, columns, by).collect())];
    let ty = TypeId::RECORD.array_of().ok_or_else(nodes::missing)?;
    Ok(Expr::new(ExprKind::Array { elements, multidimensional: false }, ty))
}

fn finished(select: Select, columns: &[OutputColumn], clauses: &Clauses) -> Query {
    let mut columns = columns.to_vec();
    columns.extend(clauses.columns());
    Query::plain(QueryBody::Select(Box::new(select)), columns)
}
