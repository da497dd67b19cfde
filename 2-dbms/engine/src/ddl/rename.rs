//! RENAME and SET SCHEMA.

use tuplix_catalog::{CatalogChange, FunctionDef, SchemaDef, SequenceDef, SequenceId, TableDef, TableId};
use tuplix_sql::parser;
use tuplix_sql::plan::{AlterTable, ObjectName, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::names::relation_exists;
use super::{Work, undefined_table};
use crate::stop::Run;

/// Lets the expressions of a table call the column `from` `to`, and no longer name the table.
pub(super) fn in_expressions(table: &mut TableDef, from: &str, to: &str) -> Result<()> {
    for check in &mut table.checks {
        check.expression = parser::rename_column(&check.expression, from, to)?;
    }
    for column in &mut table.columns {
        if let Some(generated) = &mut column.generated {
            *generated = parser::rename_column(generated, from, to)?;
        }
    }
    for policy in &mut table.row_security.policies {
        for text in policy.using.iter_mut().chain(&mut policy.check) {
            if text.to_ascii_lowercase().contains("select") {
                let what = "renaming what a policy with a subquery may name";
                return Err(SqlError::unsupported(what).hint("Drop the policy first and create it again."));
            }
            *text = parser::rename_column(text, from, to)?;
        }
    }
    for index in &mut table.indexes {
        let keys = index.columns.iter_mut().filter_map(|key| key.expression.as_mut());
        for text in keys.chain(&mut index.predicate) {
            *text = parser::rename_column(text, from, to)?;
        }
    }
    Ok(())
}

/// The same where the table itself is called otherwise: rows as a whole have its name.
pub(super) fn in_whole_rows(table: &mut TableDef, from: &str, to: &str) -> Result<()> {
    let is_column = table.column(from).is_some() || table.column(to).is_some();
    in_expressions(table, if is_column { "" } else { from }, to)
}

/// Refuses another name for a column that conditions of triggers may name.
pub(super) fn refuse_conditions(table: &TableDef) -> Result<()> {
    if table.triggers.iter().any(|trigger| trigger.when.is_some()) {
        let what = "renaming a column of a table with conditional triggers";
        return Err(SqlError::unsupported(what).hint("Drop the triggers first and create them again."));
    }
    Ok(())
}

impl Work<'_, '_> {
    /// The table that has an index of this name.
    pub(super) fn find_index(&self, name: &QualifiedName) -> Option<std::sync::Arc<TableDef>> {
        let schemas: Vec<&String> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        schemas.into_iter().find_map(|schema| self.catalog.table_of_index(schema, &name.name)).cloned()
    }

    pub(super) fn refuse_name(&self, schema: &str, name: &str) -> Result<()> {
        if relation_exists(&self.catalog, schema, name) {
            let message = format!("relation \"{name}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
        }
        Ok(())
    }

    pub(super) fn rename_table(&mut self, table: &mut TableDef, name: &str) -> Result<()> {
        self.refuse_name(&table.schema, name)?;
        let old = table.name.clone();
        in_whole_rows(table, &old, name)?;
        name.clone_into(&mut table.name);
        Ok(())
    }

    /// ALTER TABLE ... RENAME TO of an index and OWNER TO of a sequence, which PostgreSQL allows.
    pub(super) fn alter_no_table(&mut self, name: &QualifiedName, actions: &[AlterTable]) -> Run<bool> {
        match actions {
            [AlterTable::Owner(role)] if self.find_sequence(name).is_ok() => {
                self.alter_owner(&ObjectName::Sequence(name.clone()), role)?;
                Ok(true)
            }
            [AlterTable::Rename(to)] if self.find_index(name).is_some() => {
                self.rename_index(name, false, to)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn rename_index(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        to: &str,
    ) -> Run<&'static str> {
        let Some(table) = self.find_index(name) else {
            let error = undefined_table(name);
            if if_exists {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok("ALTER INDEX");
            }
            return Err(error.into());
        };
        self.refuse_name(&table.schema, to)?;
        self.tx.lock_for_ddl(&[table.id])?;
        let mut table = TableDef::clone(&table);
        for index in table.indexes.iter_mut().filter(|index| index.name == name.name) {
            to.clone_into(&mut index.name);
        }
        self.put_table(table)?;
        Ok("ALTER INDEX")
    }

    pub(super) fn rename_constraint(&mut self, table: &mut TableDef, from: &str, to: &str) -> Result<()> {
        let taken = table.checks.iter().any(|check| check.name == to)
            || table.indexes.iter().any(|index| index.constraint && index.name == to)
            || table.foreign_keys.iter().any(|key| key.name == to);
        if let Some(check) = table.checks.iter_mut().find(|check| check.name == from) {
            if taken {
                return Err(duplicate_constraint(to, &table.name));
            }
            to.clone_into(&mut check.name);
            return Ok(());
        }
        if let Some(index) = table.indexes.iter_mut().find(|index| index.constraint && index.name == from) {
            if taken {
                return Err(duplicate_constraint(to, &table.name));
            }
            self.refuse_name(&table.schema, to)?;
            to.clone_into(&mut index.name);
            return Ok(());
        }
        if table.foreign_keys.iter().any(|key| key.name == from) {
            if taken {
                return Err(duplicate_constraint(to, &table.name));
            }
            for key in table.foreign_keys.iter_mut().filter(|key| key.name == from) {
                to.clone_into(&mut key.name);
            }
            return Ok(());
        }
        let message = format!("constraint \"{from}\" for table \"{}\" does not exist", table.name);
        Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message))
    }

    pub(super) fn move_to_schema(&mut self, table: &mut TableDef, schema: &str) -> Result<()> {
        let target =
            QualifiedName { schema: Some(schema.to_owned()), name: table.name.clone(), position: None };
        let schema = self.target_schema(&target)?;
        if schema == table.schema {
            return Ok(());
        }
        if relation_exists(&self.catalog, &schema, &table.name) {
            let message = format!("relation \"{}\" already exists in schema \"{schema}\"", table.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
        }
        for index in &table.indexes {
            if relation_exists(&self.catalog, &schema, &index.name) {
                let message = format!("relation \"{}\" already exists in schema \"{schema}\"", index.name);
                return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
            }
        }
        in_expressions(table, "", "")?;
        table.schema = schema;
        Ok(())
    }

    pub(super) fn rename_schema(&mut self, from: &str, to: &str) -> Run<&'static str> {
        let Some(old) = self.catalog.schema(from).cloned() else {
            let message = format!("schema \"{from}\" does not exist");
            return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message).into());
        };
        if self.catalog.schema(to).is_some() {
            let message = format!("schema \"{to}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_SCHEMA, message).into());
        }
        if to.starts_with("pg_") {
            let error = SqlError::new(sqlstate::RESERVED_NAME, format!("unacceptable schema name \"{to}\""));
            return Err(error.detail("The prefix \"pg_\" is reserved for system schemas.").into());
        }
        if from == "pg_catalog" {
            let message = format!("permission denied to rename schema {from}");
            return Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message).into());
        }
        let before = self.catalog.clone();
        let tables: Vec<_> = before.tables().filter(|table| table.schema == from).cloned().collect();
        let ids: Vec<TableId> = tables.iter().map(|table| table.id).collect();
        self.tx.lock_for_ddl(&ids)?;
        let functions: Vec<_> = before.functions().filter(|f| f.schema == from).cloned().collect();
        let sequences: Vec<_> = before.sequences().filter(|s| s.schema == from).cloned().collect();
        let defaults = self.defaults_in(from, to);
        let types = self.moved_types(from, to);
        self.change(CatalogChange::PutSchema(SchemaDef { name: to.to_owned(), ..old }));
        types.into_iter().for_each(|ty| self.change(CatalogChange::PutType(ty)));
        for sequence in sequences {
            let moved = SequenceDef { schema: to.to_owned(), ..SequenceDef::clone(&sequence) };
            self.change(CatalogChange::PutSequence(moved));
        }
        defaults.into_iter().for_each(|table| self.change(CatalogChange::PutTable(table)));
        for id in ids {
            let Some(old) = self.catalog.table(id).cloned() else { continue };
            let mut table = TableDef::clone(&old);
            in_expressions(&mut table, "", "")?;
            to.clone_into(&mut table.schema);
            match table.view {
                Some(_) => self.change(CatalogChange::PutTable(table.clone())),
                None => self.put_table(table.clone())?,
            }
            self.follow_names(&old, &table)?;
        }
        for function in functions {
            let mut function = FunctionDef::clone(&function);
            to.clone_into(&mut function.schema);
            self.change(CatalogChange::PutFunction(function));
        }
        self.search_path.iter_mut().filter(|name| *name == from).for_each(|name| to.clone_into(name));
        self.change(CatalogChange::DropSchema(from.to_owned()));
        let what = "renaming a schema that a view, default, CHECK, index or trigger names";
        self.check_texts(&before, TypeId::UNKNOWN, what)?;
        Ok("ALTER SCHEMA")
    }

    /// The tables whose defaults draw from sequences of a schema, which has another name there.
    fn defaults_in(&self, from: &str, to: &str) -> Vec<TableDef> {
        let renamed = |id: SequenceId| {
            let sequence = self.catalog.sequence(id).filter(|sequence| sequence.schema == from)?;
            Some(format!("{}.{}", parser::quote_ident(to), parser::quote_ident(&sequence.name)))
        };
        let mut changed = Vec::new();
        for table in self.catalog.tables() {
            let mut copy = TableDef::clone(table);
            for default in copy.columns.iter_mut().filter_map(|column| column.default.as_mut()) {
                *default = self.default_with(default, &renamed);
            }
            if copy != **table {
                changed.push(copy);
            }
        }
        changed
    }
}

fn duplicate_constraint(name: &str, table: &str) -> SqlError {
    let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
    SqlError::new(sqlstate::DUPLICATE_OBJECT, message)
}
