//! INSERT, UPDATE and DELETE of a view: of one that shows rows of one table as they are, they change that table's rows
//! (`rewriteTargetView`, `view_query_is_auto_updatable`).

use std::sync::Arc;

use pg_query::protobuf::node::Node as NodeEnum;
use pg_query::protobuf::{Node, RangeVar, SelectStmt, SetOperation};
use tuplix_catalog::{CheckOption, TableDef, TriggerEvent, TriggerTiming};
use tuplix_types::{Result, SqlError, sqlstate};

use super::scope::{Clause, Found, ScopeColumn, ScopeItem, table_columns};
use super::{Analyzer, nodes};
use crate::plan::{Expr, ExprKind, From, OutputColumn, Query, RelationId, ViewCheck, ViewOver};

/// What a statement changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Insert,
    Update,
    Delete,
}

/// The table that a statement changes, as it or a view shows it.
pub(super) struct Target {
    /// The table; behind a view its columns have the view's names.
    pub table: Arc<TableDef>,
    /// The relation of its rows.
    pub relation: RelationId,
    /// What is in sight.
    pub item: ScopeItem,
    /// The WHERE of the views.
    pub filter: Option<Expr>,
    /// WITH CHECK OPTION.
    pub checks: Vec<ViewCheck>,
    /// Of a view: for each of its columns the table's column, where it is one.
    pub columns: Option<Vec<Option<usize>>>,
    /// It is a view whose INSTEAD OF triggers take the rows.
    pub instead: bool,
    /// Where such rows come from.
    pub shown: Option<Box<Query>>,
}

/// Whether INSTEAD OF triggers of a view take the rows of a statement.
fn has_instead(view: &TableDef, verb: Verb) -> bool {
    let event = match verb {
        Verb::Insert => TriggerEvent::Insert,
        Verb::Update => TriggerEvent::Update,
        Verb::Delete => TriggerEvent::Delete,
    };
    let mut triggers = view.triggers.iter();
    triggers.any(|trigger| trigger.timing == TriggerTiming::Instead && trigger.events.contains(&event))
}

/// A view as rows of a table.
struct Base {
    table: Arc<TableDef>,
    relation: RelationId,
    /// The view's columns.
    columns: Vec<Expr>,
    /// The WHERE of each view, from the lowest on, with its name and check option.
    filters: Vec<(String, Option<Expr>, Option<CheckOption>)>,
    /// The views, from the lowest on.
    through: Vec<ViewOver>,
}

/// What a statement sees of a relation whose columns are expressions over the table below.
fn item_over(schema: Option<String>, name: &str, columns: Vec<OutputColumn>, values: &[Expr]) -> ScopeItem {
    let columns = columns.into_iter().zip(values);
    ScopeItem {
        name: Some(name.to_owned()),
        schema,
        columns: columns
            .map(|(column, value)| ScopeColumn { name: column.name, value: value.clone() })
            .collect(),
        relation: None,
        bare_columns: true,
        named: true,
        scalar: false,
        table_oid: None,
    }
}

/// A name that no column has.
const NO_NAME: &str = "\0";

impl Analyzer<'_> {
    /// The target of a statement that names a view.
    pub(super) fn target_view(
        &mut self,
        view: &Arc<TableDef>,
        name: &RangeVar,
        verb: Verb,
    ) -> Result<Target> {
        if has_instead(view, verb) {
            return self.target_instead(view, name, verb);
        }
        let base = self.base_of(view, view, verb)?;
        self.origins[base.relation.0 as usize].level = self.scopes.len().saturating_sub(1);
        let alias = name.alias.as_ref();
        let shown = alias.map_or(name.relname.as_str(), |alias| alias.aliasname.as_str());
        self.saw(shown, Some(&name.relname), Some(base.relation));
        let names = self.aliased(shown, table_columns(view), alias)?;
        let item = item_over(alias.is_none().then(|| view.schema.clone()), shown, names, &base.columns);
        let place = |value: &Expr| match value.kind {
            ExprKind::Column { relation, column } if relation == base.relation => Some(column),
            _ => None,
        };
        let places: Vec<Option<usize>> = base.columns.iter().map(place).collect();
        if verb != Verb::Delete && places.iter().all(Option::is_none) {
            return Err(not_updatable(view, verb, "Views that have no updatable columns"));
        }
        let mut table = TableDef::clone(&base.table);
        table.name.clone_from(&view.name);
        table.columns.iter_mut().for_each(|column| column.name = NO_NAME.to_owned());
        for (column, place) in view.columns.iter().zip(&places) {
            if let Some(place) = place {
                table.columns[*place].name.clone_from(&column.name);
            }
        }
        let checks = view_checks(&base.filters);
        let filters: Vec<Expr> = base.filters.into_iter().filter_map(|(_, filter, _)| filter).collect();
        let filter = all_of(filters);
        if let Some(access) = &mut self.relations[base.relation.0 as usize].access {
            access.through = base.through;
            access.through.reverse();
        }
        let (table, columns) = (Arc::new(table), Some(places));
        let relation = base.relation;
        Ok(Target { table, relation, item, filter, checks, columns, instead: false, shown: None })
    }

    /// A view whose INSTEAD OF triggers take the rows: they are those that it shows.
    fn target_instead(&mut self, view: &Arc<TableDef>, name: &RangeVar, verb: Verb) -> Result<Target> {
        if verb == Verb::Insert {
            let target = self.plain_target(view, name);
            return Ok(Target { instead: true, ..target });
        }
        let joined = self.view_in_from(view, name)?;
        let (From::Subquery { relation, query, .. }, [item]) = (joined.from, &joined.items[..]) else {
            return Err(nodes::missing());
        };
        let (table, item) = (Arc::clone(view), item.clone());
        let (filter, checks, shown) = (None, Vec::new(), Some(query));
        Ok(Target { table, relation, item, filter, checks, columns: None, instead: true, shown })
    }

    /// A relation whose rows are changed as they are.
    pub(super) fn plain_target(&mut self, table: &Arc<TableDef>, name: &RangeVar) -> Target {
        let alias = name.alias.as_ref();
        let shown = alias.map_or(name.relname.as_str(), |alias| alias.aliasname.as_str());
        let columns = table_columns(table);
        let relation = self.add_relation(shown, columns.clone(), Some(table.id));
        let mut item = ScopeItem::of_relation(shown, relation, &columns);
        item.schema = alias.is_none().then(|| table.schema.clone());
        self.saw(shown, Some(&name.relname), Some(relation));
        let (filter, checks, columns, shown) = (None, Vec::new(), None, None);
        Target { table: Arc::clone(table), relation, item, filter, checks, columns, instead: false, shown }
    }

    /// A view down to its table; `outer` is what the statement names.
    fn base_of(&mut self, view: &Arc<TableDef>, outer: &Arc<TableDef>, verb: Verb) -> Result<Base> {
        self.in_view(view, |analyzer, select| {
            let name = only_table(&select).map_err(|what| not_updatable(view, verb, what))?;
            let (base, _) =
                analyzer.in_scope(|analyzer| analyzer.base_below(view, outer, &select, name, verb))?;
            Ok(base)
        })
        .map(|mut base| {
            let place = |value: &Expr| match value.kind {
                ExprKind::Column { relation, column } if relation == base.relation => Some(column),
                _ => None,
            };
            let columns = base.columns.iter().map(place).collect();
            base.through.push(ViewOver {
                view: view.id,
                role: self.acting_role(),
                columns,
                read: Vec::new(),
            });
            base
        })
    }

    fn base_below(
        &mut self,
        view: &Arc<TableDef>,
        outer: &Arc<TableDef>,
        select: &SelectStmt,
        name: &RangeVar,
        verb: Verb,
    ) -> Result<Base> {
        let schema = nodes::non_empty(&name.schemaname);
        let Found::Table(below) = self.find_relation(schema, &name.relname, None)? else {
            let what = "Views that do not select from a single table or view";
            return Err(not_updatable(view, verb, what));
        };
        let below = Arc::clone(below);
        let shown = name.alias.as_ref().map_or(name.relname.as_str(), |alias| alias.aliasname.as_str());
        let names = self.aliased(shown, table_columns(&below), name.alias.as_ref())?;
        let mut base = match below.view {
            Some(_) if has_instead(&below, verb) => {
                return Err(SqlError::unsupported("changing a view over a view with INSTEAD OF triggers"));
            }
            Some(_) => self.base_of(&below, outer, verb)?,
            None => {
                let relation = self.add_relation(shown, table_columns(&below), Some(below.id));
                let item = ScopeItem::of_relation(shown, relation, &table_columns(&below));
                let columns = item.columns.into_iter().map(|column| column.value).collect();
                Base { table: below, relation, columns, filters: Vec::new(), through: Vec::new() }
            }
        };
        let item =
            item_over(name.alias.is_none().then(|| name.schemaname.clone()), shown, names, &base.columns);
        let level = self.scopes.len().saturating_sub(1);
        self.origins[base.relation.0 as usize].level = level;
        self.scope().items.push(item);
        let targets = self.in_clause(Clause::Target, |analyzer| analyzer.target_list(&select.target_list))?;
        let filter = self.condition(select.where_clause.as_deref(), Clause::Where)?;
        let scope = self.scope();
        for (found, what) in [
            (!scope.aggregates.is_empty(), "Views that return aggregate functions"),
            (!scope.windows.is_empty(), "Views that return window functions"),
            (!scope.set_functions.is_empty(), "Views that return set-returning functions"),
        ] {
            if found {
                return Err(not_updatable(view, verb, what));
            }
        }
        base.columns = targets.into_iter().map(|target| target.value).collect();
        let check = view.view.as_ref().and_then(|definition| definition.check_option);
        base.filters.push((view.name.clone(), filter, check));
        Ok(base)
    }

    /// WITH CHECK OPTION asks for an updatable view.
    pub(super) fn refuse_check_option(&self, select: &SelectStmt) -> Result<()> {
        match only_table(select) {
            Ok(_) => Ok(()),
            Err(what) => {
                let message = "WITH CHECK OPTION is supported only on automatically updatable views";
                Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                    .hint(format!("{what} are not automatically updatable.")))
            }
        }
    }
}

/// The conditions that new rows must keep, the lowest view's first.
fn view_checks(filters: &[(String, Option<Expr>, Option<CheckOption>)]) -> Vec<ViewCheck> {
    let mut checks = Vec::new();
    for (level, (name, filter, own)) in filters.iter().enumerate() {
        let above = filters[level + 1..].iter().any(|(.., check)| *check == Some(CheckOption::Cascaded));
        if let (true, Some(condition)) = (own.is_some() || above, filter) {
            checks.push(ViewCheck { view: name.clone(), condition: condition.clone(), policy: None });
        }
    }
    checks
}

/// AND of conditions.
pub(super) fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Expr::new(ExprKind::And(conditions), tuplix_types::TypeId::BOOL)),
    }
}

/// The one table of a SELECT that shows rows as they are, or which views are not like that.
fn only_table(select: &SelectStmt) -> std::result::Result<&RangeVar, &'static str> {
    let refused = [
        (!select.distinct_clause.is_empty(), "Views containing DISTINCT"),
        (!select.group_clause.is_empty(), "Views containing GROUP BY"),
        (select.having_clause.is_some(), "Views containing HAVING"),
        (select.op > SetOperation::SetopNone as i32, "Views containing UNION, INTERSECT, or EXCEPT"),
        (select.with_clause.is_some(), "Views containing WITH"),
        (select.limit_count.is_some() || select.limit_offset.is_some(), "Views containing LIMIT or OFFSET"),
    ];
    if let Some((_, what)) = refused.iter().find(|(found, _)| *found) {
        return Err(what);
    }
    match &select.from_clause[..] {
        [Node { node: Some(NodeEnum::RangeVar(name)) }] => Ok(name),
        _ => Err("Views that do not select from a single table or view"),
    }
}

/// 0A000 for an expression of a view that is to be changed.
pub(super) fn not_a_column(verb: Verb, column: &str, view: &str) -> SqlError {
    let doing = if verb == Verb::Insert { "insert into" } else { "update" };
    let message = format!("cannot {doing} column \"{column}\" of view \"{view}\"");
    SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        .detail("View columns that are not columns of their base relation are not updatable.")
}

fn not_updatable(view: &TableDef, verb: Verb, what: &str) -> SqlError {
    let (doing, enable, trigger) = match verb {
        Verb::Insert => ("insert into", "inserting into", "INSERT"),
        Verb::Update => ("update", "updating", "UPDATE"),
        Verb::Delete => ("delete from", "deleting from", "DELETE"),
    };
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("cannot {doing} view \"{}\"", view.name))
        .detail(format!("{what} are not automatically updatable."))
        .hint(format!(
            "To enable {enable} the view, provide an INSTEAD OF {trigger} trigger or an unconditional ON {trigger} DO INSTEAD rule."
        ))
}
