//! DROP and TRUNCATE.

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId, TableDef};
use tuplix_sql::plan::{Drop, DropKind, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Run<&'static str> {
        for (name, types) in &drop.names {
            match drop.kind {
                DropKind::Table => self.drop_table(drop, name)?,
                DropKind::Index => self.drop_index(drop, name)?,
                DropKind::Schema => self.drop_schema(drop, name)?,
                DropKind::Function | DropKind::Procedure => {
                    self.drop_function(drop, name, types.as_deref())?
                }
            }
        }
        Ok(match drop.kind {
            DropKind::Table => "DROP TABLE",
            DropKind::Index => "DROP INDEX",
            DropKind::Schema => "DROP SCHEMA",
            DropKind::Function => "DROP FUNCTION",
            DropKind::Procedure => "DROP PROCEDURE",
        })
    }

    fn missing(&mut self, drop: &Drop, error: SqlError) -> Result<()> {
        if !drop.if_exists {
            return Err(error);
        }
        let message = format!("{}, skipping", error.message());
        self.skip(tuplix_types::SqlState(*b"00000"), message);
        Ok(())
    }

    fn drop_table(&mut self, drop: &Drop, name: &QualifiedName) -> Run<()> {
        match self.find_table(name) {
            Ok(table) => {
                self.tx.lock_for_ddl(&[table.id])?;
                self.remove_table(table.id);
                Ok(())
            }
            Err(_) => {
                let message = undefined_table(name).message().replace("relation", "table");
                Ok(self.missing(drop, SqlError::new(sqlstate::UNDEFINED_TABLE, message))?)
            }
        }
    }

    fn drop_index(&mut self, drop: &Drop, name: &QualifiedName) -> Run<()> {
        let found = self.find_index(name);
        let Some(table) = found else {
            let message = format!("index \"{}\" does not exist", name.name);
            return Ok(self.missing(drop, SqlError::new(sqlstate::UNDEFINED_OBJECT, message))?);
        };
        let mut table = TableDef::clone(&table);
        if let Some(index) = table.indexes.iter().find(|index| index.name == name.name && index.constraint) {
            let message = format!(
                "cannot drop index {} because constraint {} on table {} requires it",
                index.name, index.name, table.name
            );
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .hint(format!("You can drop constraint {} on table {} instead.", index.name, table.name))
                .into());
        }
        self.tx.lock_for_ddl(&[table.id])?;
        table.indexes.retain(|index| index.name != name.name);
        self.put_table(table)
    }

    fn drop_schema(&mut self, drop: &Drop, name: &QualifiedName) -> Run<()> {
        let schema = &name.name;
        if self.catalog.schema(schema).is_none() {
            let message = format!("schema \"{schema}\" does not exist");
            return Ok(self.missing(drop, SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message))?);
        }
        if schema == "pg_catalog" {
            let message =
                format!("cannot drop schema {schema} because it is required by the database system");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message).into());
        }
        let tables: Vec<_> = self.catalog.tables().filter(|table| table.schema == *schema).cloned().collect();
        let functions: Vec<_> =
            self.catalog.functions().filter(|function| function.schema == *schema).cloned().collect();
        if !drop.cascade && (!tables.is_empty() || !functions.is_empty()) {
            let mut lines: Vec<String> = Vec::new();
            lines.extend(
                tables.iter().map(|t| format!("table {} depends on schema {schema}", t.qualified_name())),
            );
            lines.extend(
                functions
                    .iter()
                    .map(|f| format!("function {schema}.{} depends on schema {schema}", f.signature())),
            );
            let message = format!("cannot drop schema {schema} because other objects depend on it");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too.")
                .into());
        }
        self.tx.lock_for_ddl(&tables.iter().map(|table| table.id).collect::<Vec<_>>())?;
        tables.iter().for_each(|table| self.remove_table(table.id));
        functions.iter().for_each(|function| self.change(CatalogChange::DropFunction(function.id)));
        self.change(CatalogChange::DropSchema(schema.clone()));
        Ok(())
    }

    fn drop_function(&mut self, drop: &Drop, name: &QualifiedName, types: Option<&[TypeId]>) -> Result<()> {
        match self.find_function(name, types, drop.kind) {
            Ok(id) => {
                self.change(CatalogChange::DropFunction(id));
                Ok(())
            }
            Err(error) if error.sqlstate() == sqlstate::UNDEFINED_FUNCTION => self.missing(drop, error),
            Err(error) => Err(error),
        }
    }

    /// The one function or procedure of this name, with these argument types if given.
    pub(super) fn find_function(
        &self,
        name: &QualifiedName,
        types: Option<&[TypeId]>,
        kind: DropKind,
    ) -> Result<FunctionId> {
        let schemas: Vec<&String> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        let is_procedure = kind == DropKind::Procedure;
        let matches = |function: &FunctionDef| {
            function.is_procedure == is_procedure
                && types.is_none_or(|types| function.inputs().map(|input| input.ty).eq(types.iter().copied()))
        };
        let found: Vec<_> = schemas
            .into_iter()
            .flat_map(|schema| self.catalog.functions_named(schema, &name.name))
            .filter(|function| matches(function))
            .map(|function| function.id)
            .collect();
        let kind = if is_procedure { "procedure" } else { "function" };
        match found[..] {
            [id] => Ok(id),
            [] => {
                let shown = match types {
                    Some(types) => {
                        let types: Vec<String> = types.iter().map(TypeId::to_string).collect();
                        format!("{kind} {}({}) does not exist", name.name, types.join(", "))
                    }
                    None => format!("could not find a {kind} named \"{}\"", name.name),
                };
                Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, shown))
            }
            _ => {
                let message = format!("{kind} name \"{}\" is not unique", name.name);
                let hint = format!("Specify the argument list to select the {kind} unambiguously.");
                Err(SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message).hint(hint))
            }
        }
    }

    pub(super) fn truncate(&mut self, tables: &[QualifiedName]) -> Run<&'static str> {
        let found: Vec<_> = tables.iter().map(|name| Ok(self.find_table(name)?.id)).collect::<Result<_>>()?;
        self.tx.lock_for_ddl(&found)?;
        found.into_iter().try_for_each(|id| self.empty_table(id))?;
        Ok("TRUNCATE TABLE")
    }
}
