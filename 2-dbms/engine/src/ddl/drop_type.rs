//! DROP TYPE and DROP DOMAIN, with what depends on them.

use tuplix_catalog::{Catalog, CatalogChange, FunctionDef, TableDef, TypeBody, TypeDef};
use tuplix_sql::plan::{AlterTable, QualifiedName, RelationKind};
use tuplix_types::{SqlError, TypeId, sqlstate};

use super::Work;
use super::types::refuse_used_type;
use crate::mentions::Mentions;
use crate::stop::Run;

/// What depends on a type.
enum Dependent {
    Column(std::sync::Arc<TableDef>, usize),
    Function(std::sync::Arc<FunctionDef>),
    /// A domain over it.
    Type(std::sync::Arc<TypeDef>),
    /// A column of a composite type.
    Field(std::sync::Arc<TypeDef>, String),
    /// A view whose query names it.
    View(std::sync::Arc<TableDef>),
}

impl Work<'_, '_> {
    pub(super) fn drop_types(
        &mut self,
        names: &[QualifiedName],
        if_exists: bool,
        cascade: bool,
        domain: bool,
    ) -> Run<()> {
        for name in names {
            let found = match self.find_type(name) {
                Ok(found) => found,
                Err(error)
                    if if_exists
                        && matches!(
                            error.sqlstate(),
                            sqlstate::UNDEFINED_OBJECT | sqlstate::INVALID_SCHEMA_NAME
                        ) =>
                {
                    self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                    continue;
                }
                Err(error) if error.sqlstate() == sqlstate::WRONG_OBJECT_TYPE => {
                    return Err(self.drop_row_type(name, error).into());
                }
                Err(error) => return Err(error.into()),
            };
            if domain && found.domain().is_none() {
                let message = format!("\"{}\" is not a domain", name.name);
                return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).into());
            }
            let others: Vec<TypeId> =
                names.iter().filter_map(|name| self.find_type(name).ok()).map(|found| found.id).collect();
            self.drop_type(&found, cascade, &others)?;
        }
        Ok(())
    }

    fn drop_row_type(&self, name: &QualifiedName, error: SqlError) -> SqlError {
        let Ok(table) = self.find_table(name) else { return error };
        let message = format!("cannot drop type {0} because table {0} requires it", table.name);
        SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .hint(format!("You can drop table {} instead.", table.name))
    }

    /// Drops a type; what depends on it goes too, or stops it. `others` are dropped by the same statement.
    pub(super) fn drop_type(&mut self, found: &TypeDef, cascade: bool, others: &[TypeId]) -> Run<()> {
        let mut dependents = dependents(&self.catalog, found.id, others);
        dependents.extend(self.views_naming(found.id));
        if !dependents.is_empty() && !cascade {
            let detail: Vec<String> = dependents.iter().map(|one| described(one, found)).collect();
            let message = format!("cannot drop type {} because other objects depend on it", found.name);
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(detail.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too.")
                .into());
        }
        for dependent in &dependents {
            self.drop_dependent(dependent)?;
        }
        if self.catalog.user_type(found.id).is_some() {
            self.change(CatalogChange::DropType(found.id));
        }
        Ok(())
    }

    /// The views whose queries name a type that is none of their columns'.
    fn views_naming(&self, wanted: TypeId) -> Vec<Dependent> {
        let schema = self.changed_schema();
        let names = |view: &&std::sync::Arc<TableDef>| {
            let mentions = view.query().and_then(|made| Mentions::of_view(&schema, &made.query));
            let has_column = view.columns.iter().any(|column| uses(column.ty, wanted));
            !has_column && mentions.is_some_and(|found| found.types.iter().any(|ty| uses(*ty, wanted)))
        };
        schema.catalog.tables().filter(names).cloned().map(Dependent::View).collect()
    }

    fn drop_view_of_type(&mut self, view: &TableDef) -> Run<()> {
        if self.catalog.table(view.id).is_some() {
            self.drop_relation_dependents(true, view)?;
            self.remove_table(view.id);
        }
        Ok(())
    }

    fn drop_dependent(&mut self, dependent: &Dependent) -> Run<()> {
        match dependent {
            Dependent::Column(view, _) if view.query().is_some() => self.drop_view_of_type(view),
            Dependent::View(view) => self.drop_view_of_type(view),
            Dependent::Column(table, column) => {
                let name = QualifiedName {
                    schema: Some(table.schema.clone()),
                    name: table.name.clone(),
                    position: None,
                };
                let column = table.columns[*column].name.clone();
                let action = AlterTable::DropColumn { column, if_exists: true, cascade: true };
                self.alter_table(&name, true, &[action], RelationKind::Table).map(|_| ())
            }
            Dependent::Function(function) => {
                if self.catalog.function(function.id).is_some() {
                    self.change(CatalogChange::DropFunction(function.id));
                }
                Ok(())
            }
            Dependent::Type(ty) => {
                let ty = TypeDef::clone(ty);
                self.drop_type(&ty, true, &[])
            }
            Dependent::Field(ty, field) => {
                let Some(current) = self.catalog.user_type(ty.id) else { return Ok(()) };
                refuse_used_type(&self.catalog, ty)?;
                let mut ty = TypeDef::clone(current);
                if let TypeBody::Composite(fields) = &mut ty.body {
                    fields.retain(|other| other.name != *field);
                }
                self.change(CatalogChange::PutType(ty));
                Ok(())
            }
        }
    }

    /// Refuses to drop a table whose row type something uses, unless that goes too.
    pub(super) fn drop_uses_of_rows(&mut self, table: &TableDef, cascade: bool) -> Run<()> {
        let own =
            |dependent: &Dependent| !matches!(dependent, Dependent::Column(other, _) if other.id == table.id);
        let mut dependents = dependents(&self.catalog, table.row_type(), &[]);
        dependents.retain(own);
        if dependents.is_empty() {
            return Ok(());
        }
        if !cascade {
            let row_type = TypeDef {
                id: table.row_type(),
                schema: table.schema.clone(),
                name: table.name.clone(),
                body: TypeBody::Composite(Vec::new()),
            };
            let detail: Vec<String> = dependents.iter().map(|one| described(one, &row_type)).collect();
            let message = format!("cannot drop table {} because other objects depend on it", table.name);
            return Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
                .detail(detail.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too.")
                .into());
        }
        dependents.iter().try_for_each(|dependent| self.drop_dependent(dependent))
    }
}

/// Whether a type is another one or an array of it.
fn uses(ty: TypeId, wanted: TypeId) -> bool {
    ty.element().unwrap_or(ty) == wanted
}

fn dependents(catalog: &Catalog, wanted: TypeId, others: &[TypeId]) -> Vec<Dependent> {
    let uses = |ty: TypeId| uses(ty, wanted);
    let mut found = Vec::new();
    for ty in catalog.user_types().filter(|ty| ty.id != wanted && !others.contains(&ty.id)) {
        match &ty.body {
            TypeBody::Domain(domain) if uses(domain.base) => found.push(Dependent::Type(ty.clone())),
            TypeBody::Composite(fields) => {
                let fields = fields.iter().filter(|field| uses(field.ty));
                found.extend(fields.map(|field| Dependent::Field(ty.clone(), field.name.clone())));
            }
            _ => {}
        }
    }
    for table in catalog.tables() {
        let columns = table.columns.iter().enumerate().filter(|(_, column)| uses(column.ty));
        found.extend(columns.map(|(column, _)| Dependent::Column(table.clone(), column)));
    }
    for function in catalog.functions() {
        if uses(function.returns) || function.arguments.iter().any(|argument| uses(argument.ty)) {
            found.push(Dependent::Function(function.clone()));
        }
    }
    found
}

fn described(dependent: &Dependent, on: &TypeDef) -> String {
    let what = match dependent {
        Dependent::Column(table, column) => {
            format!("column {} of table {}", table.columns[*column].name, table.name)
        }
        Dependent::Function(function) => {
            let kind = if function.is_procedure { "procedure" } else { "function" };
            format!("{kind} {}", function.signature())
        }
        Dependent::Type(ty) => format!("type {}", ty.name),
        Dependent::View(view) => format!("view {}", view.name),
        Dependent::Field(ty, field) => format!("column {field} of composite type {}", ty.name),
    };
    let ty = match dependent {
        Dependent::Column(table, column) => Some(table.columns[*column].ty),
        _ => None,
    };
    let suffix = if ty.is_some_and(|ty| ty != on.id) { "[]" } else { "" };
    format!("{what} depends on type {}{suffix}", on.name)
}
