//! DROP and TRUNCATE.

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId, TableDef};
use tuplix_sql::plan::{Drop, DropKind, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Run<&'static str> {
        let relations = matches!(drop.kind, DropKind::Table | DropKind::View);
        let ids: Vec<_> =
            drop.names.iter().map(|(name, _)| self.find_table(name).ok().map(|t| t.id)).collect();
        if relations {
            self.dropping = ids.iter().flatten().copied().collect();
        }
        for ((name, types), id) in drop.names.iter().zip(ids) {
            if relations && id.is_some_and(|id| self.catalog.table(id).is_none()) {
                // It went with one before, by CASCADE.
                continue;
            }
            match drop.kind {
                DropKind::Table => self.drop_table(drop, name)?,
                DropKind::View => self.drop_view(drop, name)?,
                DropKind::Index => self.drop_index(drop, name)?,
                DropKind::Schema => self.drop_schema(drop, name)?,
                DropKind::Function | DropKind::Procedure => {
                    self.drop_function(drop, name, types.as_deref())?
                }
            }
        }
        Ok(match drop.kind {
            DropKind::Table => "DROP TABLE",
            DropKind::View => "DROP VIEW",
            DropKind::Index => "DROP INDEX",
            DropKind::Schema => "DROP SCHEMA",
            DropKind::Function => "DROP FUNCTION",
            DropKind::Procedure => "DROP PROCEDURE",
        })
    }

    pub(super) fn missing(&mut self, drop: &Drop, error: SqlError) -> Result<()> {
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
                self.refuse_view(&table, "a table", Some("Use DROP VIEW to remove a view."))?;
                self.drop_relation_dependents(drop.cascade, &table)?;
                self.drop_uses_of_rows(&table, drop.cascade)?;
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
        let types: Vec<_> = self.catalog.user_types().filter(|ty| ty.schema == *schema).cloned().collect();
        if !drop.cascade && (!tables.is_empty() || !functions.is_empty() || !types.is_empty()) {
            let mut lines: Vec<String> = Vec::new();
            lines.extend(tables.iter().map(|table| {
                let kind = if table.view.is_some() { "view" } else { "table" };
                format!("{kind} {} depends on schema {schema}", table.qualified_name())
            }));
            lines.extend(
                functions
                    .iter()
                    .map(|f| format!("function {schema}.{} depends on schema {schema}", f.signature())),
            );
            lines.extend(
                types.iter().map(|ty| format!("type {} depends on schema {schema}", ty.qualified_name())),
            );
            let message = format!("cannot drop schema {schema} because other objects depend on it");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too.")
                .into());
        }
        // Views of other schemas go first, while what they read is still there.
        tables.iter().try_for_each(|table| self.drop_relation_dependents(true, table))?;
        functions.iter().try_for_each(|function| self.drop_function_dependents(true, function.id))?;
        self.tx.lock_for_ddl(&tables.iter().map(|table| table.id).collect::<Vec<_>>())?;
        tables.iter().for_each(|table| self.remove_table(table.id));
        functions.iter().for_each(|function| self.change(CatalogChange::DropFunction(function.id)));
        for ty in &types {
            self.drop_type(ty, true, &[])?;
        }
        self.change(CatalogChange::DropSchema(schema.clone()));
        Ok(())
    }

    fn drop_function(&mut self, drop: &Drop, name: &QualifiedName, types: Option<&[TypeId]>) -> Result<()> {
        match self.find_function(name, types, drop.kind) {
            Ok(id) => {
                self.drop_function_dependents(drop.cascade, id)?;
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
        let find = |name| {
            let table = self.find_table(name)?;
            self.refuse_view(&table, "a table", None)?;
            Ok(table.id)
        };
        let found: Vec<_> = tables.iter().map(find).collect::<Result<_>>()?;
        self.tx.lock_for_ddl(&found)?;
        found.into_iter().try_for_each(|id| self.empty_table(id))?;
        Ok("TRUNCATE TABLE")
    }
}
