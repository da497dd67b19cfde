//! DROP and TRUNCATE.

use tuplix_catalog::{CatalogChange, FunctionDef, TableDef, TableId};
use tuplix_sql::plan::{Drop, DropKind, QualifiedName};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Run<&'static str> {
        if drop.kind == DropKind::Table {
            self.drop_named_tables(drop)?;
            return Ok("DROP TABLE");
        }
        for (name, types) in &drop.names {
            match drop.kind {
                DropKind::Table => {}
                DropKind::Sequence => self.drop_sequence(drop, name)?,
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
            DropKind::Sequence => "DROP SEQUENCE",
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

    fn drop_named_tables(&mut self, drop: &Drop) -> Result<()> {
        let mut tables = Vec::new();
        for (name, _) in &drop.names {
            match self.find_table(name) {
                Ok(table) => tables.push(table.id),
                Err(_) if self.is_sequence(name) => {
                    let message = format!("\"{}\" is not a table", name.name);
                    return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                        .hint("Use DROP SEQUENCE to remove a sequence."));
                }
                Err(_) => {
                    let message = undefined_table(name).message().replace("relation", "table");
                    self.missing(drop, SqlError::new(sqlstate::UNDEFINED_TABLE, message))?;
                }
            }
        }
        let what = match tables[..] {
            [one] => format!("table {}", self.catalog.table(one).map_or("", |table| table.name.as_str())),
            _ => "desired object(s)".to_owned(),
        };
        self.drop_tables(&what, &tables, drop.cascade)
    }

    fn is_sequence(&self, name: &QualifiedName) -> bool {
        let path = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => &self.search_path[..],
        };
        path.iter().any(|schema| self.catalog.sequence_named(schema, &name.name).is_some())
    }

    /// Drops tables with what belongs to them: their sequences, and with CASCADE what refers to them.
    ///
    /// # Errors
    /// 2BP01 when something depends on them.
    pub(super) fn drop_tables(&mut self, what: &str, tables: &[TableId], cascade: bool) -> Result<()> {
        self.drop_references(what, tables, None, cascade)?;
        let sequences: Vec<_> =
            tables.iter().flat_map(|table| self.catalog.sequences_of(*table)).cloned().collect();
        self.drop_defaults_with(what, &sequences, tables, cascade)?;
        tables.iter().for_each(|table| self.change(CatalogChange::DropTable(*table)));
        sequences.iter().for_each(|sequence| self.change(CatalogChange::DropSequence(sequence.id)));
        Ok(())
    }

    fn drop_index(&mut self, drop: &Drop, name: &QualifiedName) -> Result<()> {
        let schemas: Vec<&String> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        let found =
            schemas.into_iter().find_map(|schema| self.catalog.table_of_index(schema, &name.name)).cloned();
        let Some(table) = found else {
            let message = format!("index \"{}\" does not exist", name.name);
            return self.missing(drop, SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
        };
        let mut table = TableDef::clone(&table);
        if let Some(index) = table.indexes.iter().find(|index| index.name == name.name && index.constraint) {
            let message = format!(
                "cannot drop index {} because constraint {} on table {} requires it",
                index.name, index.name, table.name
            );
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .hint(format!("You can drop constraint {} on table {} instead.", index.name, table.name)));
        }
        if let Some(index) = table.indexes.iter().find(|index| index.name == name.name).cloned() {
            let what = format!("index {}", index.name);
            self.drop_references(&what, &[table.id], Some(&index), drop.cascade)?;
            if let Some(now) = self.catalog.table(table.id) {
                table = TableDef::clone(now);
            }
        }
        table.indexes.retain(|index| index.name != name.name);
        self.change(CatalogChange::PutTable(table));
        Ok(())
    }

    fn drop_schema(&mut self, drop: &Drop, name: &QualifiedName) -> Result<()> {
        let schema = &name.name;
        if self.catalog.schema(schema).is_none() {
            let message = format!("schema \"{schema}\" does not exist");
            return self.missing(drop, SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
        }
        if schema == "pg_catalog" {
            let message =
                format!("cannot drop schema {schema} because it is required by the database system");
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        let tables: Vec<_> = self.catalog.tables().filter(|table| table.schema == *schema).cloned().collect();
        let functions: Vec<_> =
            self.catalog.functions().filter(|function| function.schema == *schema).cloned().collect();
        let sequences: Vec<_> = self
            .catalog
            .sequences()
            .filter(|sequence| sequence.schema == *schema && sequence.owner.is_none())
            .cloned()
            .collect();
        let is_empty = tables.is_empty() && functions.is_empty() && sequences.is_empty();
        if !drop.cascade && !is_empty {
            let mut lines: Vec<String> = Vec::new();
            lines.extend(
                sequences.iter().map(|s| format!("sequence {schema}.{} depends on schema {schema}", s.name)),
            );
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
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let ids: Vec<TableId> = tables.iter().map(|table| table.id).collect();
        let what = format!("schema {schema}");
        self.drop_tables(&what, &ids, true)?;
        self.drop_defaults_with(&what, &sequences, &[], true)?;
        sequences.iter().for_each(|sequence| self.change(CatalogChange::DropSequence(sequence.id)));
        for function in &functions {
            self.drop_triggers_of(function, true)?;
        }
        functions.iter().for_each(|function| self.change(CatalogChange::DropFunction(function.id)));
        self.change(CatalogChange::DropSchema(schema.clone()));
        Ok(())
    }

    fn drop_function(&mut self, drop: &Drop, name: &QualifiedName, types: Option<&[TypeId]>) -> Result<()> {
        let schemas: Vec<&String> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        let is_procedure = drop.kind == DropKind::Procedure;
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
            [id] => {
                if let Some(function) = self.catalog.function(id).cloned() {
                    self.drop_triggers_of(&function, drop.cascade)?;
                }
                self.change(CatalogChange::DropFunction(id));
                Ok(())
            }
            [] => {
                let shown = match types {
                    Some(types) => {
                        let types: Vec<String> = types.iter().map(TypeId::to_string).collect();
                        format!("{kind} {}({}) does not exist", name.name, types.join(", "))
                    }
                    None => format!("could not find a {kind} named \"{}\"", name.name),
                };
                self.missing(drop, SqlError::new(sqlstate::UNDEFINED_FUNCTION, shown))
            }
            _ => {
                let message = format!("{kind} name \"{}\" is not unique", name.name);
                let hint = format!("Specify the argument list to select the {kind} unambiguously.");
                Err(SqlError::new(sqlstate::AMBIGUOUS_FUNCTION, message).hint(hint))
            }
        }
    }

    pub(super) fn truncate(
        &mut self,
        names: &[QualifiedName],
        restart: bool,
        cascade: bool,
    ) -> Run<&'static str> {
        let mut tables = Vec::new();
        for name in names {
            let table = self.find_table(name)?;
            if !tables.contains(&table.id) {
                tables.push(table.id);
            }
        }
        let mut place = 0;
        while let Some(id) = tables.get(place).copied() {
            place += 1;
            let children: Vec<_> = self.catalog.references_to(id).map(|(child, _)| child.clone()).collect();
            for child in children {
                if tables.contains(&child.id) {
                    continue;
                }
                if !cascade {
                    let parent = self.catalog.table(id).map_or("", |table| table.name.as_str());
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    let name = &child.name;
                    return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
                        .detail(format!("Table \"{name}\" references \"{parent}\"."))
                        .hint(format!(
                            "Truncate table \"{name}\" at the same time, or use TRUNCATE ... CASCADE."
                        ))
                        .into());
                }
                let message = format!("truncate cascades to table \"{}\"", child.name);
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, message);
                tables.push(child.id);
            }
        }
        for id in tables {
            let sequences: Vec<_> = self.catalog.sequences_of(id).cloned().collect();
            self.change(CatalogChange::TruncateTable(id));
            for sequence in sequences.iter().filter(|_| restart) {
                let (id, value) = (sequence.id, sequence.start);
                self.change(CatalogChange::SetSequence { id, value, called: false });
            }
        }
        Ok("TRUNCATE TABLE")
    }
}
