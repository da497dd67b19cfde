//! ALTER TABLE.

use tuplix_catalog::{CatalogChange, TableDef};
use tuplix_sql::plan::{AlterTable, ConstraintKind, QualifiedName};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::names::relation_exists;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn alter_table(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        actions: &[AlterTable],
    ) -> Run<&'static str> {
        let old = match self.find_table(name) {
            Ok(table) => table,
            Err(error) if if_exists => {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok("ALTER TABLE");
            }
            Err(error) => return Err(error.into()),
        };
        let mut table = TableDef::clone(&old);
        for action in actions {
            self.alter(&mut table, action)?;
        }
        self.check_expressions(&table)?;
        self.change(CatalogChange::PutTable(table));
        Ok("ALTER TABLE")
    }

    fn alter(&mut self, table: &mut TableDef, action: &AlterTable) -> Run<()> {
        match action {
            AlterTable::AddConstraint(constraint) => {
                let before = table.indexes.len();
                self.add_constraint(table, constraint)?;
                self.check_rows(table, before, &constraint.kind)
            }
            AlterTable::DropConstraint { name, if_exists, cascade } => {
                Ok(self.drop_constraint(table, name, *if_exists, *cascade)?)
            }
            AlterTable::Identity { column, change } => self.alter_identity(table, column, change),
            AlterTable::DropExpression { column, if_exists } => {
                let position = column_of(table, column)?;
                if table.columns[position].generated.take().is_none() {
                    let message = format!(
                        "column \"{column}\" of relation \"{}\" is not a stored generated column",
                        table.name
                    );
                    if !if_exists {
                        let state = sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE;
                        return Err(SqlError::new(state, message).into());
                    }
                    self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
                }
                Ok(())
            }
            AlterTable::EnableTrigger { name, enable } => {
                Ok(super::trigger::enable(table, name.as_deref(), *enable)?)
            }
            AlterTable::SetNotNull { column, not_null } => {
                let position = column_of(table, column)?;
                if !not_null
                    && table.primary_key().is_some_and(|key| key.columns.iter().any(|c| c.column == position))
                {
                    let message = format!("column \"{column}\" is in a primary key");
                    return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).into());
                }
                if !not_null && table.columns[position].identity.is_some() {
                    let message =
                        format!("column \"{column}\" of relation \"{}\" is an identity column", table.name);
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).into());
                }
                if *not_null {
                    self.check_no_nulls(table, position)?;
                }
                table.columns[position].not_null = *not_null;
                Ok(())
            }
            AlterTable::SetDefault { column, default } => {
                let position = column_of(table, column)?;
                refuse_default(table, position, default.is_some())?;
                table.columns[position].default.clone_from(default);
                Ok(())
            }
            AlterTable::Rename(name) => {
                if relation_exists(&self.catalog, &table.schema, name) {
                    let message = format!("relation \"{name}\" already exists");
                    return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
                }
                table.name.clone_from(name);
                Ok(())
            }
            AlterTable::RenameColumn { from, to } => {
                let position = column_of(table, from)?;
                if table.column(to).is_some() {
                    let message = format!("column \"{to}\" of relation \"{}\" already exists", table.name);
                    return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message).into());
                }
                if has_expressions(table) {
                    // Checks are kept as text, in which the old name may stand.
                    let what = "renaming a column of a table with CHECK constraints or other expressions over columns";
                    return Err(SqlError::unsupported(what)
                        .hint("Drop the constraints first and add them again.")
                        .into());
                }
                table.columns[position].name.clone_from(to);
                Ok(())
            }
        }
    }

    fn drop_constraint(
        &mut self,
        table: &mut TableDef,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let count = |table: &TableDef| table.checks.len() + table.indexes.len() + table.foreign_keys.len();
        let before = count(table);
        let of_this = |index: &&tuplix_catalog::IndexDef| index.constraint && index.name == name;
        if let Some(index) = table.indexes.iter().find(of_this).cloned() {
            let what = format!("constraint {name} on table {}", table.name);
            self.drop_references(&what, &[table.id], Some(&index), cascade)?;
            // Its own foreign keys may have gone with it.
            if let Some(now) = self.catalog.table(table.id) {
                table.foreign_keys.retain(|key| now.foreign_keys.iter().any(|other| other.id == key.id));
            }
        }
        table.checks.retain(|check| check.name != name);
        table.foreign_keys.retain(|key| key.name != name);
        table.indexes.retain(|index| !(index.constraint && index.name == name));
        if count(table) < before {
            return Ok(());
        }
        let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name);
        if if_exists {
            self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
            return Ok(());
        }
        Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
    }

    /// Whether the rows that are there keep a new constraint.
    fn check_rows(&mut self, table: &TableDef, indexes_before: usize, kind: &ConstraintKind) -> Run<()> {
        if let Some(index) = table.indexes.get(indexes_before) {
            let columns: Vec<usize> = index.columns.iter().map(|key| key.column).collect();
            let (name, key, primary) = (index.name.clone(), index.columns.clone(), index.primary);
            let shared = std::sync::Arc::new(table.clone());
            self.check_unique(&shared, &name, &key)?;
            if primary {
                for column in columns {
                    self.check_no_nulls(table, column)?;
                }
            }
        }
        if let ConstraintKind::ForeignKey(wanted) = kind
            && let Some(key) = table.foreign_keys.last()
        {
            if !wanted.skip_check {
                self.check_foreign_rows(table, key)?;
            }
            // The referenced table is changed in nothing, but who is deleting its rows is waited for.
            if let Some(parent) = self.catalog.table(key.parent).filter(|parent| parent.id != table.id) {
                let parent = TableDef::clone(parent);
                self.change(tuplix_catalog::CatalogChange::PutTable(parent));
            }
        }
        if let ConstraintKind::Check { .. } = kind
            && self.has_rows(table)?
        {
            let what = "adding a CHECK constraint to a table that has rows";
            return Err(SqlError::unsupported(what).into());
        }
        Ok(())
    }

    fn has_rows(&mut self, table: &TableDef) -> Run<bool> {
        match self.services.schema().layout.table(table.id).cloned() {
            Some(access) => Ok(self.tx.row_count(&access)? > 0),
            None => Ok(false),
        }
    }

    fn check_no_nulls(&mut self, table: &TableDef, column: usize) -> Run<()> {
        let Some(access) = self.services.schema().layout.table(table.id).cloned() else { return Ok(()) };
        if self.tx.has_null(&access, column)? {
            let name = &table.columns[column].name;
            let message = format!("column \"{name}\" of relation \"{}\" contains null values", table.name);
            return Err(SqlError::new(sqlstate::NOT_NULL_VIOLATION, message)
                .table(&table.schema, &table.name)
                .column(name)
                .into());
        }
        Ok(())
    }
}

/// Whether something keeps the names of columns as text.
fn has_expressions(table: &TableDef) -> bool {
    !table.checks.is_empty()
        || !table.indexes.iter().all(tuplix_catalog::IndexDef::is_plain)
        || table.columns.iter().any(|column| column.generated.is_some())
        || table.triggers.iter().any(|trigger| trigger.when.is_some())
}

/// A column that makes its own values has no default to set.
fn refuse_default(table: &TableDef, column: usize, sets: bool) -> Result<()> {
    let def = &table.columns[column];
    let of = |kind: &str| {
        let message = format!("column \"{}\" of relation \"{}\" is {kind}", def.name, table.name);
        SqlError::new(sqlstate::SYNTAX_ERROR, message)
    };
    match (def.identity.is_some(), def.generated.is_some()) {
        (true, _) if sets => Err(of("an identity column")),
        (true, _) => {
            Err(of("an identity column").hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."))
        }
        (_, true) if sets => Err(of("a generated column")),
        (_, true) => {
            Err(of("a generated column")
                .hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."))
        }
        _ => Ok(()),
    }
}

pub(super) fn column_of(table: &TableDef, name: &str) -> Result<usize> {
    table.column(name).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
    })
}
