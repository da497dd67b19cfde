//! DROP and TRUNCATE.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId, SequenceDef, TableDef, TableId};
use tuplix_sql::plan::{Drop, DropKind, QualifiedName, RelationKind, RoutineKind};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Run<&'static str> {
        let relations = matches!(drop.kind, DropKind::Table | DropKind::View | DropKind::MaterializedView);
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
                DropKind::View => self.drop_view(drop, name, RelationKind::View)?,
                DropKind::MaterializedView => self.drop_view(drop, name, RelationKind::MaterializedView)?,
                DropKind::Sequence => self.drop_sequence(drop, name)?,
                DropKind::Index => self.drop_index(drop, name)?,
                DropKind::Schema => self.drop_schema(drop, name)?,
                DropKind::Function | DropKind::Procedure | DropKind::Routine => {
                    self.drop_function(drop, name, types.as_deref())?
                }
            }
        }
        Ok(match drop.kind {
            DropKind::Table => "DROP TABLE",
            DropKind::View => "DROP VIEW",
            DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
            DropKind::Index => "DROP INDEX",
            DropKind::Sequence => "DROP SEQUENCE",
            DropKind::Schema => "DROP SCHEMA",
            DropKind::Function => "DROP FUNCTION",
            DropKind::Procedure => "DROP PROCEDURE",
            DropKind::Routine => "DROP ROUTINE",
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
                self.refuse_in_use(&table, "DROP TABLE")?;
                self.drop_relation_dependents(drop.cascade, &table)?;
                self.drop_uses_of_rows(&table, drop.cascade)?;
                let what = format!("table {}", table.name);
                let owned = self.prepare_drop(&what, &[table.id], drop.cascade)?;
                self.tx.lock_for_ddl(&[table.id])?;
                self.remove_table(table.id);
                owned.iter().for_each(|sequence| self.change(CatalogChange::DropSequence(sequence.id)));
                Ok(())
            }
            Err(_) if self.is_sequence(name) => {
                let message = format!("\"{}\" is not a table", name.name);
                Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                    .hint("Use DROP SEQUENCE to remove a sequence.")
                    .into())
            }
            Err(_) => {
                let message = undefined_table(name).message().replace("relation", "table");
                Ok(self.missing(drop, SqlError::new(sqlstate::UNDEFINED_TABLE, message))?)
            }
        }
    }

    fn is_sequence(&self, name: &QualifiedName) -> bool {
        let path = match &name.schema {
            Some(schema) => std::slice::from_ref(schema),
            None => &self.search_path[..],
        };
        path.iter().any(|schema| self.catalog.sequence_named(schema, &name.name).is_some())
    }

    /// Drops what depends on tables that are about to go, and gives the sequences that go with them.
    ///
    /// # Errors
    /// 2BP01 when something depends on them, without CASCADE.
    pub(super) fn prepare_drop(
        &mut self,
        what: &str,
        tables: &[TableId],
        cascade: bool,
    ) -> Result<Vec<Arc<SequenceDef>>> {
        self.drop_references(what, tables, None, cascade)?;
        let sequences: Vec<_> =
            tables.iter().flat_map(|table| self.catalog.sequences_of(*table)).cloned().collect();
        let going = self.dropping.clone();
        self.drop_defaults_with(what, &sequences, &going, cascade)?;
        Ok(sequences)
    }

    fn drop_index(&mut self, drop: &Drop, name: &QualifiedName) -> Run<()> {
        let found = self.find_index(name);
        let Some(table) = found else {
            let message = format!("index \"{}\" does not exist", name.name);
            return Ok(self.missing(drop, SqlError::new(sqlstate::UNDEFINED_OBJECT, message))?);
        };
        self.refuse_in_use(&table, "DROP INDEX")?;
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
        if let Some(index) = table.indexes.iter().find(|index| index.name == name.name).cloned() {
            let what = format!("index {}", index.name);
            self.drop_references(&what, &[table.id], Some(&index), drop.cascade)?;
            if let Some(now) = self.catalog.table(table.id) {
                table = TableDef::clone(now);
            }
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
        let sequences: Vec<_> = self
            .catalog
            .sequences()
            .filter(|sequence| sequence.schema == *schema && sequence.owner.is_none())
            .cloned()
            .collect();
        let is_empty = tables.is_empty() && functions.is_empty() && types.is_empty() && sequences.is_empty();
        if !drop.cascade && !is_empty {
            let mut lines: Vec<String> = Vec::new();
            lines.extend(
                sequences.iter().map(|s| format!("sequence {schema}.{} depends on schema {schema}", s.name)),
            );
            lines.extend(tables.iter().map(|table| {
                let kind = &super::comment::kind_name(super::comment::kind_of(table))["a ".len()..];
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
        let what = format!("schema {schema}");
        self.dropping = tables.iter().map(|table| table.id).collect();
        let owned = self.prepare_drop(&what, &self.dropping.clone(), true)?;
        self.drop_defaults_with(&what, &sequences, &[], true)?;
        for function in &functions {
            self.drop_triggers_of(function, true)?;
            self.drop_function_uses(function, true)?;
        }
        tables.iter().for_each(|table| self.remove_table(table.id));
        let going = owned.iter().chain(&sequences);
        going.for_each(|sequence| self.change(CatalogChange::DropSequence(sequence.id)));
        functions.iter().for_each(|function| self.change(CatalogChange::DropFunction(function.id)));
        for ty in &types {
            self.drop_type(ty, true, &[])?;
        }
        self.change(CatalogChange::DropSchema(schema.clone()));
        Ok(())
    }

    fn drop_function(&mut self, drop: &Drop, name: &QualifiedName, types: Option<&[TypeId]>) -> Run<()> {
        let kind = match drop.kind {
            DropKind::Procedure => RoutineKind::Procedure,
            DropKind::Routine => RoutineKind::Routine,
            _ => RoutineKind::Function,
        };
        match self.find_function(name, types, kind) {
            Ok(id) => {
                self.drop_function_dependents(drop.cascade, id)?;
                if let Some(function) = self.catalog.function(id).cloned() {
                    self.drop_triggers_of(&function, drop.cascade)?;
                    self.drop_function_uses(&function, drop.cascade)?;
                }
                self.change(CatalogChange::DropFunction(id));
                Ok(())
            }
            Err(error) if error.sqlstate() == sqlstate::UNDEFINED_FUNCTION => Ok(self.missing(drop, error)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The one function or procedure of this name, with these argument types if given.
    pub(super) fn find_function(
        &self,
        name: &QualifiedName,
        types: Option<&[TypeId]>,
        kind: RoutineKind,
    ) -> Result<FunctionId> {
        let schemas: Vec<&String> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        let of_kind = |function: &FunctionDef| match kind {
            RoutineKind::Function => !function.is_procedure,
            RoutineKind::Procedure => function.is_procedure,
            RoutineKind::Routine => true,
        };
        let matches = |function: &FunctionDef| {
            of_kind(function)
                && types.is_none_or(|types| function.inputs().map(|input| input.ty).eq(types.iter().copied()))
        };
        let named =
            || schemas.iter().copied().flat_map(|schema| self.catalog.functions_named(schema, &name.name));
        let found: Vec<_> =
            named().filter(|function| matches(function)).map(|function| function.id).collect();
        let same = |function: &&Arc<FunctionDef>| {
            types.is_none_or(|types| function.inputs().map(|input| input.ty).eq(types.iter().copied()))
        };
        if let (true, Some(other)) = (found.is_empty(), named().find(same)) {
            let wanted = if kind == RoutineKind::Procedure { "procedure" } else { "function" };
            let shown = if types.is_some() { other.signature() } else { name.name.clone() };
            let message = format!("{shown} is not a {wanted}");
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        let kind = match kind {
            RoutineKind::Function => "function",
            RoutineKind::Procedure => "procedure",
            RoutineKind::Routine => "routine",
        };
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

    pub(super) fn truncate(
        &mut self,
        names: &[QualifiedName],
        restart: bool,
        cascade: bool,
    ) -> Run<&'static str> {
        let mut tables = Vec::new();
        for name in names {
            let table = self.find_table(name)?;
            self.refuse_view(&table, "a table", None)?;
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
        for table in tables.iter().filter_map(|id| self.catalog.table(*id)) {
            self.refuse_in_use(table, "TRUNCATE")?;
        }
        self.tx.lock_for_ddl(&tables)?;
        for id in tables {
            self.empty_table(id)?;
            let sequences: Vec<_> = self.catalog.sequences_of(id).cloned().collect();
            for sequence in sequences.iter().filter(|_| restart) {
                let (id, value) = (sequence.id, sequence.start);
                self.change(CatalogChange::SetSequence { id, value, called: false });
            }
        }
        Ok("TRUNCATE TABLE")
    }
}
