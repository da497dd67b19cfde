//! ALTER FUNCTION, ALTER PROCEDURE, ALTER ROUTINE.

use tuplix_catalog::{CatalogChange, FunctionDef, FunctionId};
use tuplix_sql::plan::{AlterRoutine, QualifiedName, RoutineKind};
use tuplix_types::{Result, SqlError, TypeId, sqlstate};

use super::Work;
use crate::stop::Run;

/// The statement's tag.
pub(super) fn tag(kind: RoutineKind) -> &'static str {
    match kind {
        RoutineKind::Function => "ALTER FUNCTION",
        RoutineKind::Procedure => "ALTER PROCEDURE",
        RoutineKind::Routine => "ALTER ROUTINE",
    }
}

impl Work<'_, '_> {
    pub(super) fn alter_routine(
        &mut self,
        name: &QualifiedName,
        types: Option<&[TypeId]>,
        kind: RoutineKind,
        change: &AlterRoutine,
    ) -> Run<&'static str> {
        let id = self.find_function(name, types, kind)?;
        let Some(old) = self.catalog.function(id).cloned() else { return Ok(tag(kind)) };
        let mut function = FunctionDef::clone(&old);
        match change {
            AlterRoutine::Rename(to) => {
                to.clone_into(&mut function.name);
                self.refuse_same_routine(&function)?;
                self.move_routine(&old, function)?;
            }
            AlterRoutine::SetSchema(schema) => {
                let wanted =
                    QualifiedName { schema: Some(schema.clone()), name: old.name.clone(), position: None };
                function.schema = self.target_schema(&wanted)?;
                if function.schema != old.schema {
                    self.refuse_same_routine(&function)?;
                    self.move_routine(&old, function)?;
                }
            }
            AlterRoutine::Attributes { volatility, strict, security_definer, settings, hints } => {
                function.volatility = volatility.unwrap_or(old.volatility);
                function.strict = strict.unwrap_or(old.strict);
                function.security_definer = security_definer.unwrap_or(old.security_definer);
                function.settings = self.function_settings(function.settings, settings)?;
                function.hints = hints.clone().or(&old.hints);
                function.version += 1;
                self.change(CatalogChange::PutFunction(function));
            }
        }
        Ok(tag(kind))
    }

    /// Refuses what another one is called already.
    fn refuse_same_routine(&self, function: &FunctionDef) -> Result<()> {
        let inputs = |function: &FunctionDef| function.inputs().map(|input| input.ty).collect::<Vec<_>>();
        let wanted = inputs(function);
        let mut others = self.catalog.functions_named(&function.schema, &function.name);
        if others.any(|other| inputs(other) == wanted) {
            let kind = if function.is_procedure { "procedure" } else { "function" };
            let shown = function.signature();
            let message = format!("{kind} {shown} already exists in schema \"{}\"", function.schema);
            return Err(SqlError::new(sqlstate::DUPLICATE_FUNCTION, message));
        }
        Ok(())
    }

    /// Gives a function another name, or place. Bodies look it up by name, as in PostgreSQL; what views, defaults and
    /// conditions say is kept as text, and must go on meaning it.
    fn move_routine(&mut self, old: &FunctionDef, function: FunctionDef) -> Result<()> {
        let before = self.catalog.clone();
        let id: FunctionId = old.id;
        self.change(CatalogChange::PutFunction(function));
        let dependents = self.dependents(&[], &[id]);
        if let Some((view, _)) = dependents.first() {
            let detail = format!("View {} calls it.", view.qualified_name());
            return Err(SqlError::unsupported("renaming a function that a view calls")
                .detail(detail)
                .hint("Drop the view first and create it again."));
        }
        self.check_texts(
            &before,
            TypeId::UNKNOWN,
            "renaming a function that a default, CHECK or trigger calls",
        )
    }
}
