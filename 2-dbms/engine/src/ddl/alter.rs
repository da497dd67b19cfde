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
        self.refuse_altering_view(&old, actions)?;
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
            AlterTable::DropConstraint { name, if_exists } => {
                Ok(self.drop_constraint(table, name, *if_exists)?)
            }
            AlterTable::SetNotNull { column, not_null } => {
                let position = column_of(table, column)?;
                if !not_null
                    && table.primary_key().is_some_and(|key| key.columns.iter().any(|c| c.column == position))
                {
                    let message = format!("column \"{column}\" is in a primary key");
                    return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).into());
                }
                if *not_null {
                    self.check_no_nulls(table, position)?;
                }
                table.columns[position].not_null = *not_null;
                Ok(())
            }
            AlterTable::SetDefault { column, default } => {
                let position = column_of(table, column)?;
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
                if !table.checks.is_empty() {
                    // Checks are kept as text, in which the old name may stand.
                    let what = "renaming a column of a table with CHECK constraints";
                    return Err(SqlError::unsupported(what)
                        .hint("Drop the constraints first and add them again.")
                        .into());
                }
                table.columns[position].name.clone_from(to);
                Ok(())
            }
        }
    }

    fn drop_constraint(&mut self, table: &mut TableDef, name: &str, if_exists: bool) -> Result<()> {
        let before = table.checks.len() + table.indexes.len();
        table.checks.retain(|check| check.name != name);
        table.indexes.retain(|index| !(index.constraint && index.name == name));
        if table.checks.len() + table.indexes.len() < before {
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

fn column_of(table: &TableDef, name: &str) -> Result<usize> {
    table.column(name).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
        SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
    })
}
