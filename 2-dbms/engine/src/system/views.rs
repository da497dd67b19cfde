//! Views: `pg_views`, `information_schema.views`, and their queries as `pg_get_viewdef` shows them.
//!
//! A query of one level, tables joined, filtered, grouped and sorted, is written from its typed tree as PostgreSQL writes
//! it; any other is shown as the text that the catalogue keeps, which means the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tuplix_catalog::{
    CatalogChange, CheckOption, Dependency, TableDef, TriggerDef, TriggerEvent, TriggerTiming, ViewDef,
};
use tuplix_sql::parser::{self, quote_ident};
use tuplix_sql::plan::{
    Distinct, Expr, ExprKind, From, JoinKind, Query, QueryBody, Relation, RelationId, Select, SortTarget,
    StatementKind,
};
use tuplix_types::{Row, Value};

use super::information::catalog_name;
use super::relations::SystemRelation;
use super::view::{View, text, yes_or_no};
use super::writer::Writer;
use crate::bind::Binder;
use crate::layout::Layout;
use crate::node::Schema;

fn of<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a TableDef, &'a ViewDef)> {
    view.catalog().tables().filter_map(|table| table.view.as_ref().map(|definition| (&**table, definition)))
}

/// `pg_views`
pub(crate) fn views(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(table, _): (&TableDef, &ViewDef)| {
        relation.row(&[
            ("schemaname", text(&table.schema)),
            ("viewname", text(&table.name)),
            ("viewowner", text(view.owner())),
            ("definition", Value::text(definition(view, table, false).unwrap_or_default())),
        ])
    };
    of(view).map(row).collect()
}

/// `pg_matviews`
pub(crate) fn materialized(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |table: &std::sync::Arc<TableDef>| {
        let made = table.materialized.as_ref()?;
        Some(relation.row(&[
            ("schemaname", text(&table.schema)),
            ("matviewname", text(&table.name)),
            ("matviewowner", text(view.owner())),
            ("hasindexes", Value::Bool(!table.indexes.is_empty())),
            ("ispopulated", Value::Bool(made.populated)),
            ("definition", Value::text(definition(view, table, false).unwrap_or_default())),
        ]))
    };
    view.catalog().tables().filter_map(row).collect()
}

/// `information_schema.views`
pub(crate) fn information_views(view: &View<'_>, relation: &SystemRelation) -> Vec<Row> {
    let row = |(table, query): (&TableDef, &ViewDef)| {
        let updatable = is_updatable(view, table);
        let check = match query.check_option {
            None => "NONE",
            Some(CheckOption::Local) => "LOCAL",
            Some(CheckOption::Cascaded) => "CASCADED",
        };
        relation.row(&[
            ("table_catalog", catalog_name(view)),
            ("table_schema", text(&table.schema)),
            ("table_name", text(&table.name)),
            ("view_definition", Value::text(definition(view, table, false).unwrap_or_default())),
            ("check_option", text(check)),
            ("is_updatable", yes_or_no(updatable)),
            ("is_insertable_into", yes_or_no(updatable)),
            ("is_trigger_updatable", yes_or_no(has_instead(table, TriggerEvent::Update))),
            ("is_trigger_deletable", yes_or_no(has_instead(table, TriggerEvent::Delete))),
            ("is_trigger_insertable_into", yes_or_no(has_instead(table, TriggerEvent::Insert))),
        ])
    };
    of(view).map(row).collect()
}

fn has_instead(table: &TableDef, event: TriggerEvent) -> bool {
    let instead = |trigger: &TriggerDef| trigger.timing == TriggerTiming::Instead;
    table.triggers.iter().any(|trigger| instead(trigger) && trigger.events.contains(&event))
}

/// The catalogue in which rows of a view are changed without its triggers.
fn without_triggers(view: &View<'_>, table: &TableDef) -> Schema {
    let mut catalog = view.catalog().clone();
    if table.view.is_some() && !table.triggers.is_empty() {
        let table = TableDef { triggers: Vec::new(), ..table.clone() };
        catalog.apply(CatalogChange::PutTable(table));
    }
    Schema { catalog, layout: Layout::default(), version: 0 }
}

/// Whether rows can be changed through a view, whatever its triggers do.
pub(crate) fn is_updatable(view: &View<'_>, table: &TableDef) -> bool {
    let name = format!("{}.{}", quote_ident(&table.schema), quote_ident(&table.name));
    let Some(column) = table.columns.first() else { return false };
    let text = format!("UPDATE {name} SET {} = DEFAULT", quote_ident(&column.name));
    let deletes = format!("DELETE FROM {name}");
    let schema = without_triggers(view, table);
    let binder = Binder::new(&schema, &view.path);
    let binds = |text: &str| {
        let parsed = parser::parse(text).ok().and_then(|mut parsed| parsed.pop());
        parsed.map(|parsed| binder.analyze(&parsed, &[]))
    };
    // A first column that is an expression cannot be updated, yet the view is updatable (0A000, not 55000).
    let refused = |result: Option<tuplix_types::Result<_>>| match result {
        Some(Err(error)) => error.sqlstate() == tuplix_types::sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        Some(Ok(_)) => false,
        None => true,
    };
    !refused(binds(&deletes)) && !refused(binds(&text))
}

/// Whether a column of an updatable view, or of a table, can be changed: the column of a view may be an expression.
pub(crate) fn is_column_updatable(view: &View<'_>, table: &TableDef, column: usize) -> bool {
    if table.view.is_none() {
        return true;
    }
    let (schema, name) = (quote_ident(&table.schema), quote_ident(&table.name));
    let text = format!("UPDATE {schema}.{name} SET {} = DEFAULT", quote_ident(&table.columns[column].name));
    let parsed = parser::parse(&text).ok().and_then(|mut parsed| parsed.pop());
    let schema = without_triggers(view, table);
    parsed.is_some_and(|parsed| Binder::new(&schema, &view.path).analyze(&parsed, &[]).is_ok())
}

/// A view's query.
pub(crate) fn definition(view: &View<'_>, table: &TableDef, pretty: bool) -> Option<String> {
    let query = &table.query()?.query;
    let written = written(view, table, query, pretty).unwrap_or_else(|| format!(" {query}"));
    Some(format!("{written};"))
}

fn written(view: &View<'_>, table: &TableDef, query: &str, pretty: bool) -> Option<String> {
    let path = Vec::new();
    let parsed = parser::parse(query).ok()?.pop()?;
    let statement = Binder::new(view.schema(), &path).analyze(&parsed, &[]).ok()?;
    let StatementKind::Query(plan) = &statement.kind else { return None };
    let QueryBody::Select(select) = &plan.body else { return None };
    let plain = plan.ctes.is_empty() && plan.locking.is_empty() && !plan.with_ties;
    let simple = select.windows.is_empty() && select.grouping_sets.is_none();
    if !plain || !simple || matches!(select.distinct, Distinct::On(_)) {
        return None;
    }
    let names = names_of(&statement.relations);
    let below = table.query()?.dependencies.iter().filter_map(|dependency| match dependency {
        Dependency::Relation(id, _) => view.catalog().table(*id).filter(|table| table.view.is_some()),
        Dependency::Function(_) => None,
    });
    let below = below.map(|table| &**table).collect();
    QueryText { view, names, query, select, below, pretty, out: String::new() }.write(plan, table)
}

/// The columns of each relation under its name.
fn names_of(relations: &[Relation]) -> BTreeMap<RelationId, Vec<String>> {
    let columns = |relation: &Relation| {
        let name = quote_ident(&relation.name);
        relation.columns.iter().map(|column| format!("{name}.{}", quote_ident(&column.name))).collect()
    };
    relations.iter().enumerate().map(|(id, relation)| (RelationId(id as u32), columns(relation))).collect()
}

struct QueryText<'q> {
    view: &'q View<'q>,
    names: BTreeMap<RelationId, Vec<String>>,
    query: &'q str,
    select: &'q Select,
    /// The views that it reads.
    below: Vec<&'q TableDef>,
    pretty: bool,
    out: String,
}

impl QueryText<'_> {
    fn expr(&self, expr: &Expr) -> Option<String> {
        let writer = Writer::new(self.view, Vec::new(), self.query, self.pretty);
        writer.over(&self.names, self.select).text(expr)
    }

    fn exprs(&self, list: &[Expr]) -> Option<String> {
        let texts = list.iter().map(|expr| self.expr(expr)).collect::<Option<Vec<_>>>()?;
        Some(texts.join(", "))
    }

    fn write(mut self, plan: &Query, table: &TableDef) -> Option<String> {
        self.out.push_str(match self.select.distinct {
            Distinct::No => " SELECT ",
            _ => " SELECT DISTINCT ",
        });
        for (number, (target, column)) in self.select.targets.iter().zip(&plan.columns).enumerate() {
            if number > 0 {
                self.out.push_str(",\n    ");
            }
            let text = self.expr(target)?;
            let name = quote_ident(&table.columns.get(number).map_or(&column.name, |c| &c.name).clone());
            let is_own = matches!(target.kind, ExprKind::Column { .. } | ExprKind::GroupKey(_))
                && text.rsplit_once('.').is_some_and(|(_, last)| last == name);
            self.out.push_str(&text);
            if !is_own {
                let _ = write!(self.out, " AS {name}");
            }
        }
        for (number, item) in self.select.from.iter().enumerate() {
            self.out.push_str(if number == 0 { "\n   FROM " } else { ",\n    " });
            let text = self.from(item, 5)?;
            self.out.push_str(&text);
        }
        if let Some(filter) = &self.select.filter {
            let _ = write!(self.out, "\n  WHERE {}", self.expr(filter)?);
        }
        if !self.select.group_by.is_empty() {
            let _ = write!(self.out, "\n  GROUP BY {}", self.exprs(&self.select.group_by)?);
        }
        if let Some(having) = &self.select.having {
            let _ = write!(self.out, "\n HAVING {}", self.expr(having)?);
        }
        self.order(plan)?;
        if let Some(offset) = &plan.offset {
            let _ = write!(self.out, "\n OFFSET {}", self.bound(offset)?);
        }
        if let Some(limit) = &plan.limit {
            let _ = write!(self.out, "\n LIMIT {}", self.bound(limit)?);
        }
        Some(self.out)
    }

    /// LIMIT and OFFSET: a constant shows no cast.
    fn bound(&self, bound: &Expr) -> Option<String> {
        match &bound.kind {
            ExprKind::Constant(Value::Int8(number)) => Some(number.to_string()),
            _ => self.expr(bound),
        }
    }

    fn order(&mut self, plan: &Query) -> Option<()> {
        for (number, key) in plan.order_by.iter().enumerate() {
            self.out.push_str(if number == 0 { "\n  ORDER BY " } else { ", " });
            let SortTarget::Target(target) = key.key else { return None };
            let target = self.select.targets.get(target)?;
            let text = self.expr(target)?;
            let bare = matches!(target.kind, ExprKind::Column { .. } | ExprKind::GroupKey(_));
            let _ = match bare || self.pretty || text.starts_with('(') {
                true => write!(self.out, "{text}"),
                false => write!(self.out, "({text})"),
            };
            if key.descending {
                self.out.push_str(" DESC");
            }
            if key.nulls_first != key.descending {
                self.out.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
            }
        }
        Some(())
    }

    fn from(&self, item: &From, indent: usize) -> Option<String> {
        match item {
            From::Table { relation, table } => self.named(self.view.catalog().table(*table)?, *relation),
            From::Subquery { relation, .. } => {
                let shown = self.relation_name(*relation)?;
                let own = self.below.iter().find(|view| quote_ident(&view.name) == shown);
                match (own, &self.below[..]) {
                    (Some(view), _) | (None, [view]) => self.named(view, *relation),
                    _ => None,
                }
            }
            From::Join { kind, left, right, on } => {
                let word = match (kind, on) {
                    (JoinKind::Inner, None) => "CROSS JOIN",
                    (JoinKind::Inner, Some(_)) => "JOIN",
                    (JoinKind::Left, _) => "LEFT JOIN",
                    (JoinKind::Right, _) => "RIGHT JOIN",
                    (JoinKind::Full, _) => "FULL JOIN",
                };
                let mut text = format!(
                    "{}\n{:indent$}{word} {}",
                    self.from(left, indent)?,
                    "",
                    self.from(right, indent)?
                );
                if let Some(on) = on {
                    let on = self.expr(on)?;
                    let _ = match self.pretty {
                        true => write!(text, " ON {on}"),
                        false => write!(text, " ON ({on})"),
                    };
                }
                Some(if self.pretty { text } else { format!("({text})") })
            }
            _ => None,
        }
    }

    /// A table or view under its name in the query.
    fn named(&self, table: &TableDef, relation: RelationId) -> Option<String> {
        let shown = self.relation_name(relation)?;
        let visible = self.view.catalog().table_on_path(&self.view.path, &table.name);
        let name = match visible {
            Some(visible) if visible.id == table.id => quote_ident(&table.name),
            _ => format!("{}.{}", quote_ident(&table.schema), quote_ident(&table.name)),
        };
        Some(if shown == quote_ident(&table.name) { name } else { format!("{name} {shown}") })
    }

    fn relation_name(&self, relation: RelationId) -> Option<String> {
        let column = self.names.get(&relation)?.first()?;
        // The names are made of the relation's and the column's.
        column.rsplit_once('.').map(|(name, _)| name.to_owned())
    }
}
