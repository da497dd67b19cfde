//! What calls a function in an expression that the catalogue keeps: defaults, CHECKs, generated columns, triggers'
//! conditions, domains.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId, TableDef, TypeBody, TypeDef};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{AlterTable, ExprKind, QualifiedName, RelationKind};
use tuplix_types::Result;

use super::Work;
use super::texts::{Text, texts_of};
use crate::bind::Binder;
use crate::exec::visit_expr;
use crate::stop::Run;

/// What calls it.
enum Use {
    Default(Arc<TableDef>, usize),
    Check(Arc<TableDef>, String),
    Generated(Arc<TableDef>, usize),
    Trigger(Arc<TableDef>, String),
    Domain(Arc<TypeDef>),
}

impl Work<'_, '_> {
    /// Drops what calls a function that is about to go.
    ///
    /// # Errors
    /// 2BP01 without CASCADE.
    pub(super) fn drop_function_uses(&mut self, function: &FunctionDef, cascade: bool) -> Run<()> {
        let uses = self.function_uses(function)?;
        let what = format!("function {}", function.signature());
        let lines: Vec<_> = uses.iter().map(|found| (described(found), what.clone())).collect();
        self.refuse_dependents(&what, &lines, cascade)?;
        uses.iter().try_for_each(|found| self.drop_use(found, &function.name))
    }

    fn function_uses(&self, function: &FunctionDef) -> Result<Vec<Use>> {
        let schema = self.changed_schema();
        let binder = Binder::new(&schema, &self.search_path);
        let mut found = Vec::new();
        for table in schema.catalog.tables().filter(|table| table.view.is_none()) {
            let mut copy = TableDef::clone(table);
            let (mut checks, mut triggers) = (0_usize.., 0_usize..);
            let conditional: Vec<&String> = table
                .triggers
                .iter()
                .filter(|trigger| trigger.when.is_some())
                .map(|trigger| &trigger.name)
                .collect();
            for (kind, text) in texts_of(&mut copy) {
                let place = match kind {
                    Text::Expression(TableExpression::Check) => checks.next().unwrap_or(0),
                    Text::When => triggers.next().unwrap_or(0),
                    Text::Expression(_) => 0,
                };
                if !text.contains(&function.name) || !self.calls(&binder, table, kind, text, function.id) {
                    continue;
                }
                found.extend(match kind {
                    Text::Expression(TableExpression::Default(column)) => {
                        Some(Use::Default(table.clone(), column))
                    }
                    Text::Expression(TableExpression::Generated(column)) => {
                        Some(Use::Generated(table.clone(), column))
                    }
                    Text::Expression(TableExpression::Check) => {
                        Some(Use::Check(table.clone(), table.checks[place].name.clone()))
                    }
                    Text::When => Some(Use::Trigger(table.clone(), conditional[place].clone())),
                    // Indexes take no functions of users.
                    Text::Expression(_) => None,
                });
            }
        }
        for ty in schema.catalog.user_types() {
            let Some(domain) = ty.domain() else { continue };
            let mut texts = domain.checks.iter().map(|check| &check.expression).chain(&domain.default);
            if texts.any(|text| names_call(text, &function.name)) {
                found.push(Use::Domain(ty.clone()));
            }
        }
        Ok(found)
    }

    fn calls(
        &self,
        binder: &Binder<'_>,
        table: &TableDef,
        kind: Text,
        text: &str,
        function: FunctionId,
    ) -> bool {
        let Ok(expr) = self.bind_text(binder, table, kind, text) else { return false };
        let mut found = false;
        visit_expr(&expr, &mut |node| {
            if let ExprKind::UserCall { function: called, .. } = node.kind {
                found |= binder.context().catalog.known_function(called) == function;
            }
        });
        found
    }

    fn drop_use(&mut self, found: &Use, name: &str) -> Run<()> {
        let change = |work: &mut Self, table: &TableDef, change: &dyn Fn(&mut TableDef)| {
            if let Some(now) = work.catalog.table(table.id) {
                let mut now = TableDef::clone(now);
                change(&mut now);
                work.change(CatalogChange::PutTable(now));
            }
        };
        match found {
            Use::Default(table, column) => {
                change(self, table, &|table| table.columns[*column].default = None);
            }
            Use::Check(table, check) => {
                change(self, table, &|table| table.checks.retain(|other| other.name != *check));
            }
            Use::Trigger(table, trigger) => {
                change(self, table, &|table| table.triggers.retain(|other| other.name != *trigger));
            }
            Use::Generated(table, column) => {
                let column = table.columns[*column].name.clone();
                let (schema, table) = (Some(table.schema.clone()), table.name.clone());
                let table = QualifiedName { schema, name: table, position: None };
                let action = AlterTable::DropColumn { column, if_exists: true, cascade: true };
                self.alter_table(&table, true, &[action], RelationKind::Table)?;
            }
            Use::Domain(ty) => {
                let mut ty = TypeDef::clone(ty);
                if let TypeBody::Domain(domain) = &mut ty.body {
                    domain.checks.retain(|check| !names_call(&check.expression, name));
                    domain.default = domain.default.take().filter(|text| !names_call(text, name));
                }
                self.change(CatalogChange::PutType(ty));
            }
        }
        Ok(())
    }
}

/// Whether a domain's text has a call of a function of this name; which of several that have it is not asked.
fn names_call(text: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !before.ends_with(word) && after.trim_start_matches('"').trim_start().starts_with('(')
    })
}

fn described(found: &Use) -> String {
    match found {
        Use::Default(table, column) => {
            format!("default value for column {} of table {}", table.columns[*column].name, table.name)
        }
        Use::Check(table, check) => format!("constraint {check} on table {}", table.name),
        Use::Generated(table, column) => {
            format!("column {} of table {}", table.columns[*column].name, table.name)
        }
        Use::Trigger(table, trigger) => format!("trigger {trigger} on table {}", table.name),
        Use::Domain(ty) => format!("type {}", ty.name),
    }
}
