//! CREATE, ALTER and DROP TRIGGER.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, FunctionDef, TableDef, TriggerDef, TriggerEvent, TriggerTiming};
use tuplix_sql::analyze::analyze_trigger_condition;
use tuplix_sql::plan::{CreateTrigger, ExprKind, QualifiedName, RelationId};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Work;
use crate::bind::Binder;
use crate::exec::visit_expr;
use crate::layout::Layout;
use crate::node::Schema;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn create_trigger(&mut self, create: &CreateTrigger) -> Run<&'static str> {
        let old = self.find_table(&create.table)?;
        refuse_combination(create)?;
        if old.materialized.is_some() {
            let message = format!("relation \"{}\" cannot have triggers", old.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                .detail("This operation is not supported for materialized views.")
                .into());
        }
        refuse_of_kind(&old, create)?;
        self.tx.lock_for_ddl(&[old.id])?;
        let mut table = TableDef::clone(&old);
        let columns = create.columns.iter().map(|name| super::alter::column_of(&table, name));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if let Some(repeated) = (1..columns.len()).find(|place| columns[..*place].contains(&columns[*place]))
        {
            let message = format!("column \"{}\" specified more than once", create.columns[repeated]);
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).into());
        }
        let function = self.trigger_function(&create.function)?;
        self.check_when(&table, create)?;
        let existing = table.triggers.iter().position(|trigger| trigger.name == create.name);
        if existing.is_some() && !create.or_replace {
            let message =
                format!("trigger \"{}\" for relation \"{}\" already exists", create.name, table.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message).into());
        }
        let id = match existing {
            Some(place) => table.triggers[place].id,
            None => self.catalog.allocate_oid(),
        };
        let made = TriggerDef {
            id,
            name: create.name.clone(),
            function: function.id,
            timing: create.timing,
            row: create.row,
            events: create.events.clone(),
            columns,
            when: create.when.clone(),
            arguments: create.arguments.clone(),
            enabled: true,
            old_table: create.old_table.clone(),
            new_table: create.new_table.clone(),
        };
        match existing {
            Some(place) => table.triggers[place] = made,
            None => table.triggers.push(made),
        }
        // They fire in the order of their names.
        table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        self.change(CatalogChange::PutTable(table));
        Ok("CREATE TRIGGER")
    }

    fn trigger_function(&self, name: &QualifiedName) -> Result<Arc<FunctionDef>> {
        let path = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => &self.search_path[..],
        };
        let mut functions = path.iter().flat_map(|schema| self.catalog.functions_named(schema, &name.name));
        let Some(function) = functions.find(|function| function.inputs().count() == 0).cloned() else {
            let message = format!("function {}() does not exist", name.name);
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        };
        if function.returns != TypeId::TRIGGER {
            let message = format!("function {} must return type trigger", name.name);
            return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
        }
        Ok(function)
    }

    /// The condition is analysed, and reads only what there is.
    fn check_when(&self, table: &TableDef, create: &CreateTrigger) -> Result<()> {
        let Some(when) = &create.when else { return Ok(()) };
        let schema = Schema { catalog: self.catalog.clone(), layout: Layout::default(), version: 0 };
        let binder = Binder::new(&schema, &self.search_path);
        let (expr, _) = analyze_trigger_condition(&binder.context(), table, when)?;
        let (mut old, mut new) = (false, false);
        let mut generated = false;
        visit_expr(&expr, &mut |expr| {
            let (relation, column) = match expr.kind {
                ExprKind::Column { relation, column } => (relation, Some(column)),
                ExprKind::WholeRow(relation) => (relation, None),
                _ => return,
            };
            old |= relation == RelationId(0);
            new |= relation == RelationId(1);
            let is_generated = |column: usize| table.columns[column].generated.is_some();
            generated |= relation == RelationId(1)
                && column.map_or_else(|| (0..table.columns.len()).any(is_generated), is_generated);
        });
        let refuse = |message: &str| Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
        let has = |event| create.events.contains(&event);
        if !create.row && (old || new) {
            return refuse("statement trigger's WHEN condition cannot reference column values");
        }
        if old && has(TriggerEvent::Insert) {
            return refuse("INSERT trigger's WHEN condition cannot reference OLD values");
        }
        if new && has(TriggerEvent::Delete) {
            return refuse("DELETE trigger's WHEN condition cannot reference NEW values");
        }
        if generated && create.timing == TriggerTiming::Before {
            return refuse("BEFORE trigger's WHEN condition cannot reference NEW generated columns");
        }
        Ok(())
    }

    pub(super) fn drop_trigger(
        &mut self,
        name: &str,
        table: &QualifiedName,
        if_exists: bool,
    ) -> Run<&'static str> {
        let found = match self.find_table(table) {
            Ok(found) => found,
            Err(error) if if_exists => {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok("DROP TRIGGER");
            }
            Err(error) => return Err(error.into()),
        };
        self.tx.lock_for_ddl(&[found.id])?;
        let mut def = TableDef::clone(&found);
        match def.triggers.iter().position(|trigger| trigger.name == name) {
            Some(place) => {
                def.triggers.remove(place);
                self.change(CatalogChange::PutTable(def));
            }
            None => {
                let error = undefined_trigger(name, &def.name);
                if !if_exists {
                    return Err(error.into());
                }
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
            }
        }
        Ok("DROP TRIGGER")
    }

    pub(super) fn rename_trigger(
        &mut self,
        name: &str,
        table: &QualifiedName,
        to: &str,
    ) -> Run<&'static str> {
        let mut def = TableDef::clone(&*self.find_table(table)?);
        if def.triggers.iter().any(|trigger| trigger.name == to) {
            let message = format!("trigger \"{to}\" for relation \"{}\" already exists", def.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message).into());
        }
        match def.triggers.iter_mut().find(|trigger| trigger.name == name) {
            Some(trigger) => to.clone_into(&mut trigger.name),
            None => return Err(undefined_trigger(name, &def.name).into()),
        }
        def.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        self.change(CatalogChange::PutTable(def));
        Ok("ALTER TRIGGER")
    }

    /// Drops the triggers that call a function which is about to go.
    ///
    /// # Errors
    /// 2BP01 without CASCADE.
    pub(super) fn drop_triggers_of(&mut self, function: &FunctionDef, cascade: bool) -> Result<()> {
        let what = format!("function {}", function.signature());
        let mut lines = Vec::new();
        let mut tables = Vec::new();
        for table in self.catalog.tables() {
            for trigger in table.triggers.iter().filter(|trigger| trigger.function == function.id) {
                lines.push((format!("trigger {} on table {}", trigger.name, table.name), what.clone()));
                tables.push(table.id);
            }
        }
        self.refuse_dependents(&what, &lines, cascade)?;
        for id in tables {
            let Some(table) = self.catalog.table(id) else { continue };
            let mut table = TableDef::clone(table);
            table.triggers.retain(|trigger| trigger.function != function.id);
            self.change(CatalogChange::PutTable(table));
        }
        Ok(())
    }
}

/// ENABLE and DISABLE TRIGGER.
pub(super) fn enable(table: &mut TableDef, name: Option<&str>, enable: bool) -> Result<()> {
    let mut found = name.is_none();
    for trigger in table.triggers.iter_mut().filter(|trigger| name.is_none_or(|name| trigger.name == name)) {
        trigger.enabled = enable;
        found = true;
    }
    match name {
        Some(name) if !found => Err(undefined_trigger(name, &table.name)),
        _ => Ok(()),
    }
}

pub(super) fn undefined_trigger(name: &str, table: &str) -> SqlError {
    let message = format!("trigger \"{name}\" for table \"{table}\" does not exist");
    SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
}

/// What tables and views cannot have.
fn refuse_of_kind(table: &TableDef, create: &CreateTrigger) -> Result<()> {
    let instead = create.timing == TriggerTiming::Instead;
    let kind = if table.view.is_some() { "view" } else { "table" };
    let wrong = |detail: &str| {
        let message = format!("\"{}\" is a {kind}", table.name);
        Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).detail(detail.to_owned()))
    };
    if table.view.is_none() {
        return if instead { wrong("Tables cannot have INSTEAD OF triggers.") } else { Ok(()) };
    }
    if !instead && create.row {
        return wrong("Views cannot have row-level BEFORE or AFTER triggers.");
    }
    if create.events.contains(&TriggerEvent::Truncate) {
        return wrong("Views cannot have TRUNCATE triggers.");
    }
    if create.old_table.is_some() || create.new_table.is_some() {
        return wrong("Triggers on views cannot have transition tables.");
    }
    let refused = [
        (!create.row, "INSTEAD OF triggers must be FOR EACH ROW"),
        (create.when.is_some(), "INSTEAD OF triggers cannot have WHEN conditions"),
        (!create.columns.is_empty(), "INSTEAD OF triggers cannot have column lists"),
    ];
    match refused.iter().find(|(found, _)| instead && *found) {
        Some((_, message)) => Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, *message)),
        None => Ok(()),
    }
}

fn refuse_combination(create: &CreateTrigger) -> Result<()> {
    let invalid = |message: &str| Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
    let unsupported = |message: &str| Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
    let transition = create.old_table.is_some() || create.new_table.is_some();
    if create.row && create.events.contains(&TriggerEvent::Truncate) {
        return unsupported("TRUNCATE FOR EACH ROW triggers are not supported");
    }
    if !transition {
        return Ok(());
    }
    if create.timing == TriggerTiming::Before {
        return invalid("transition table name can only be specified for an AFTER trigger");
    }
    if create.events.contains(&TriggerEvent::Truncate) {
        return invalid("TRUNCATE triggers with transition tables are not supported");
    }
    if create.events.len() > 1 {
        return unsupported("transition tables cannot be specified for triggers with more than one event");
    }
    if !create.columns.is_empty() {
        return unsupported("transition tables cannot be specified for triggers with column lists");
    }
    let has = |event| create.events.contains(&event);
    if create.new_table.is_some() && has(TriggerEvent::Delete) {
        return invalid("NEW TABLE can only be specified for an INSERT or UPDATE trigger");
    }
    if create.old_table.is_some() && has(TriggerEvent::Insert) {
        return invalid("OLD TABLE can only be specified for a DELETE or UPDATE trigger");
    }
    Ok(())
}
