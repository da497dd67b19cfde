//! How many rows a FROM item or a subquery is likely to give, before it is compiled.

use tuplix_sql::plan::{Distinct, Expr, ExprKind, From, JoinKind, Query, QueryBody, Select};
use tuplix_types::Value;

use super::Estimator;
use super::selectivity::constant;

/// Rows of a set-returning function, PostgreSQL's guess.
const FUNCTION: f64 = 1_000.0;
/// Rows of a CTE or of a change with RETURNING.
const UNKNOWN: f64 = 100.0;
/// Rows of a system table.
const SYSTEM: f64 = 200.0;

impl Estimator<'_> {
    /// All rows of a FROM item.
    pub(crate) fn rows_of(&self, from: &From) -> f64 {
        match from {
            From::Table { relation, .. } => {
                self.access(*relation).map_or(UNKNOWN, |access| self.rows(access))
            }
            From::System { .. } => SYSTEM,
            From::Subquery { query, .. } => self.rows_of_query(query),
            From::Function { call, .. } => rows_of_call(call),
            From::RowsFrom { calls, .. } => {
                calls.iter().map(|(call, _)| rows_of_call(call)).fold(1.0, f64::max)
            }
            From::Cte { .. } => UNKNOWN,
            From::Join { kind, left, right, on } => {
                let (left, right) = (self.rows_of(left), self.rows_of(right));
                let inner = left * right * on.as_ref().map_or(1.0, |on| self.selectivity(on));
                match kind {
                    JoinKind::Inner => inner,
                    JoinKind::Left => inner.max(left),
                    JoinKind::Right => inner.max(right),
                    JoinKind::Full => inner.max(left + right),
                }
            }
        }
        .max(1.0)
    }

    /// The rows of a query.
    pub(crate) fn rows_of_query(&self, query: &Query) -> f64 {
        let rows = match &query.body {
            QueryBody::Select(select) => self.rows_of_select(select),
            QueryBody::Values(rows) => rows.len() as f64,
            QueryBody::SetOperation { left, right, .. } => {
                self.rows_of_query(left) + self.rows_of_query(right)
            }
            QueryBody::Insert(_) | QueryBody::Update(_) | QueryBody::Delete(_) | QueryBody::Merge(_) => {
                UNKNOWN
            }
        };
        limited(query.limit.as_ref(), rows).max(1.0)
    }

    fn rows_of_select(&self, select: &Select) -> f64 {
        let all: f64 = select.from.iter().map(|from| self.rows_of(from)).product();
        let rows = all * select.filter.as_ref().map_or(1.0, |filter| self.selectivity(filter));
        let rows = if select.grouped { self.groups(&select.group_by, rows) } else { rows };
        match &select.distinct {
            Distinct::No => rows,
            Distinct::All => self.groups(&select.targets, rows),
            Distinct::On(targets) => {
                let keys: Vec<Expr> =
                    targets.iter().filter_map(|target| select.targets.get(*target).cloned()).collect();
                self.groups(&keys, rows)
            }
        }
    }

    /// How many groups there are among so many rows.
    pub(crate) fn groups(&self, keys: &[Expr], rows: f64) -> f64 {
        let of_key = |key: &Expr| match &key.kind {
            ExprKind::Column { relation, column } => match self.access(*relation) {
                Some(access) if *column < access.table.columns.len() => self.distinct(access, *column),
                _ => 200.0,
            },
            ExprKind::Constant(_) => 1.0,
            _ => 200.0,
        };
        keys.iter().map(of_key).product::<f64>().min(rows).max(1.0)
    }
}

/// The rows that a LIMIT lets through.
pub(crate) fn limited(limit: Option<&Expr>, rows: f64) -> f64 {
    match limit.and_then(constant).and_then(Value::as_i64) {
        Some(limit) => rows.min(limit.max(0) as f64),
        // PostgreSQL's guess for a limit that is not known yet.
        None if limit.is_some() => (rows * 0.1).max(1.0),
        None => rows,
    }
}

fn rows_of_call(call: &Expr) -> f64 {
    let ExprKind::Call { function, arguments } = &call.kind else { return FUNCTION };
    let numbers: Option<Vec<i64>> =
        arguments.iter().map(|argument| constant(argument).and_then(Value::as_i64)).collect();
    match (function.name, numbers.as_deref(), &arguments[..]) {
        ("generate_series", Some([from, to]), _) => (to - from + 1).max(0) as f64,
        ("generate_series", Some([from, to, step]), _) if *step != 0 => {
            ((to - from) / step + 1).max(0) as f64
        }
        ("unnest", _, [array]) => match (constant(array), &array.kind) {
            (Some(Value::Array(array)), _) => array.elements.len() as f64,
            (_, ExprKind::Array { elements, .. }) => elements.len() as f64,
            _ => 10.0,
        },
        _ if !function.returns_set => 1.0,
        _ => FUNCTION,
    }
}
