//! CREATE, ALTER and DROP of types and domains.

use tuplix_catalog::{Catalog, CatalogChange, DomainDef, FieldDef, LabelDef, TableDef, TypeBody, TypeDef};
use tuplix_sql::plan::{AlterField, AlterTable, CreateDomain, QualifiedName, TypeDdl};
use tuplix_types::{Result, SqlError, TypeId, UserKind, sqlstate};

use super::Work;
use super::names::{object_name, relation_exists, unused};
use crate::layout::Layout;
use crate::node::Schema;
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn type_statement(&mut self, statement: &TypeDdl) -> Run<&'static str> {
        Ok(match statement {
            TypeDdl::CreateEnum { name, labels } => {
                let orders = (1..=labels.len()).map(|order| order as f64);
                let labels = labels.iter().zip(orders);
                let labels = labels.map(|(label, order)| LabelDef { order, label: label.clone() }).collect();
                self.create_type(name, UserKind::Enum, TypeBody::Enum(labels))?;
                "CREATE TYPE"
            }
            TypeDdl::CreateComposite { name, fields } => {
                self.create_type(name, UserKind::Composite, TypeBody::Composite(fields.clone()))?;
                "CREATE TYPE"
            }
            TypeDdl::CreateDomain(create) => {
                self.create_domain(create)?;
                "CREATE DOMAIN"
            }
            TypeDdl::AddValue { name, label, if_not_exists, neighbor } => {
                self.add_value(name, label, *if_not_exists, neighbor.as_ref())?;
                "ALTER TYPE"
            }
            TypeDdl::RenameValue { name, from, to } => {
                self.rename_value(name, from, to)?;
                "ALTER TYPE"
            }
            TypeDdl::Rename { name, to, domain } => {
                self.rename_type(name, to, *domain)?;
                if *domain { "ALTER DOMAIN" } else { "ALTER TYPE" }
            }
            TypeDdl::SetSchema { name, schema, domain } => {
                self.set_type_schema(name, schema, *domain)?;
                if *domain { "ALTER DOMAIN" } else { "ALTER TYPE" }
            }
            TypeDdl::AlterDomain { name, action } => {
                self.alter_domain(name, action)?;
                "ALTER DOMAIN"
            }
            TypeDdl::AlterFields { name, actions } => {
                self.alter_fields(name, actions)?;
                "ALTER TYPE"
            }
            TypeDdl::Drop { names, if_exists, cascade, domain } => {
                self.drop_types(names, *if_exists, *cascade, *domain)?;
                if *domain { "DROP DOMAIN" } else { "DROP TYPE" }
            }
        })
    }

    fn create_type(&mut self, name: &QualifiedName, kind: UserKind, body: TypeBody) -> Result<TypeId> {
        let schema = self.target_schema(name)?;
        self.free_name(&schema, &name.name)?;
        if kind == UserKind::Composite && relation_exists(&self.catalog, &schema, &name.name) {
            let message = format!("relation \"{}\" already exists", name.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
        }
        let id = TypeId::user(kind, self.catalog.allocate_oid());
        self.change(CatalogChange::PutType(TypeDef { id, schema, name: name.name.clone(), body }));
        Ok(id)
    }

    /// Refuses the name of a type that exists.
    fn free_name(&self, schema: &str, name: &str) -> Result<()> {
        let own = |id: TypeId| id.element().is_none();
        if self.catalog.type_named(schema, name).is_some_and(own) {
            let message = format!("type \"{name}\" already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message));
        }
        Ok(())
    }

    /// The type of this name that a user created.
    pub(super) fn find_type(&self, name: &QualifiedName) -> Result<TypeDef> {
        let catalog = &self.catalog;
        let found = match &name.schema {
            Some(schema) if schema != "pg_catalog" && catalog.schema(schema).is_none() => {
                let message = format!("schema \"{schema}\" does not exist");
                return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
            }
            Some(schema) => catalog.type_named(schema, &name.name),
            None => self.search_path.iter().find_map(|schema| catalog.type_named(schema, &name.name)),
        };
        let id = found.or_else(|| TypeId::from_internal_name(&name.name));
        let shown = match &name.schema {
            Some(schema) => format!("{schema}.{}", name.name),
            None => name.name.clone(),
        };
        let Some(id) = id else {
            let message = format!("type \"{shown}\" does not exist");
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message).at(name.position));
        };
        match catalog.user_type(id) {
            Some(found) => Ok(TypeDef::clone(found)),
            None if catalog.table_of_type(id).is_some() => {
                let message = format!("{shown} is a table's row type");
                Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message).hint("Use ALTER TABLE instead."))
            }
            None => {
                let message = format!("type {id} is required by the database system");
                Err(SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message))
            }
        }
    }

    pub(super) fn find_enum(&self, name: &QualifiedName) -> Result<(TypeDef, Vec<LabelDef>)> {
        let found = self.find_type(name)?;
        match &found.body {
            TypeBody::Enum(labels) => {
                let labels = labels.clone();
                Ok((found, labels))
            }
            _ => Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("{} is not an enum", name.name))),
        }
    }

    fn add_value(
        &mut self,
        name: &QualifiedName,
        label: &str,
        if_not_exists: bool,
        neighbor: Option<&(String, bool)>,
    ) -> Result<()> {
        let (mut found, mut labels) = self.find_enum(name)?;
        if labels.iter().any(|known| known.label == label) {
            let message = format!("enum label \"{label}\" already exists");
            if if_not_exists {
                self.skip(sqlstate::DUPLICATE_OBJECT, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message));
        }
        let place = match neighbor {
            None => labels.len(),
            Some((neighbor, after)) => match labels.iter().position(|known| known.label == *neighbor) {
                Some(place) => place + usize::from(*after),
                None => {
                    let message = format!("\"{neighbor}\" is not an existing enum label");
                    return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
                }
            },
        };
        let order = |place: usize| labels.get(place).map(|label| label.order);
        let before = place.checked_sub(1).and_then(order);
        let order = match (before, order(place)) {
            (None, None) => 1.0,
            (Some(before), None) => before + 1.0,
            (None, Some(after)) => after - 1.0,
            (Some(before), Some(after)) => f64::midpoint(before, after),
        };
        if before == Some(order) || labels.get(place).is_some_and(|label| label.order == order) {
            let message = format!("no more labels fit between two of enum \"{}\"", name.name);
            return Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message));
        }
        labels.insert(place, LabelDef { order, label: label.to_owned() });
        found.body = TypeBody::Enum(labels);
        self.change(CatalogChange::PutType(found));
        Ok(())
    }

    fn rename_type(&mut self, name: &QualifiedName, to: &str, domain: bool) -> Result<()> {
        let mut found = self.find_type(name)?;
        if domain && found.domain().is_none() {
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("{} is not a domain", name.name)));
        }
        self.free_name(&found.schema, to)?;
        let (before, id) = (self.catalog.clone(), found.id);
        to.clone_into(&mut found.name);
        self.change(CatalogChange::PutType(found));
        self.check_texts(&before, id, "renaming a type that a default, CHECK, index, trigger or view names")
    }

    fn set_type_schema(&mut self, name: &QualifiedName, schema: &str, domain: bool) -> Result<()> {
        let mut found = self.find_type(name)?;
        if domain && found.domain().is_none() {
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("{} is not a domain", name.name)));
        }
        if found.schema == schema {
            return Ok(());
        }
        if self.catalog.type_named(schema, &found.name).is_some() {
            let message = format!("type \"{}\" already exists in schema \"{schema}\"", found.name);
            return Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message));
        }
        let (before, id) = (self.catalog.clone(), found.id);
        schema.clone_into(&mut found.schema);
        self.change(CatalogChange::PutType(found));
        self.check_texts(&before, id, "moving a type that a default, CHECK, index, trigger or view names")
    }

    /// The catalogue with the changes so far, for the analyzer.
    pub(super) fn changed_schema(&self) -> Schema {
        Schema { catalog: self.catalog.clone(), layout: Layout::default(), version: 0 }
    }

    fn create_domain(&mut self, create: &CreateDomain) -> Result<()> {
        let mut domain = DomainDef {
            base: create.base,
            typmod: create.typmod,
            not_null: create.not_null,
            default: create.default.clone(),
            checks: Vec::new(),
        };
        for (name, expression) in &create.checks {
            let name = domain_check_name(&create.name.name, &domain, name.as_deref())?;
            domain.checks.push(tuplix_catalog::CheckDef {
                name,
                expression: expression.clone(),
                valid: true,
                oid: 0,
            });
        }
        self.create_type(&create.name, UserKind::Domain, TypeBody::Domain(domain)).map(|_| ())
    }

    fn alter_fields(&mut self, name: &QualifiedName, actions: &[AlterField]) -> Result<()> {
        let mut found = self.find_type(name).map_err(|error| match error.sqlstate() {
            sqlstate::UNDEFINED_OBJECT => {
                let message = error.message().replace("type", "relation");
                SqlError::new(sqlstate::UNDEFINED_TABLE, message)
            }
            _ => error,
        })?;
        let TypeBody::Composite(fields) = &mut found.body else {
            let message = format!("\"{}\" is not a composite type", name.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        };
        for action in actions {
            self.skipped_field(alter_field(fields, action, &name.name)?);
        }
        let moves = actions.iter().any(|action| !matches!(action, AlterField::Rename { .. }));
        if moves {
            refuse_used_type(&self.catalog, &found)?;
        }
        let (before, id) = (self.catalog.clone(), found.id);
        self.change(CatalogChange::PutType(found));
        let what = "renaming an attribute that a default, CHECK, index, trigger or view names";
        self.check_texts(&before, id, what)
    }

    fn skipped_field(&mut self, notice: Option<String>) {
        if let Some(message) = notice {
            self.tx.notice(
                SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message)
                    .severity(tuplix_types::Severity::Notice),
            );
        }
    }
}

/// Changes a row type; a notice when there was nothing to do.
fn alter_field(fields: &mut Vec<FieldDef>, action: &AlterField, of: &str) -> Result<Option<String>> {
    let place = |fields: &[FieldDef], name: &str| fields.iter().position(|field| field.name == name);
    let undefined = |name: &str| format!("column \"{name}\" of relation \"{of}\" does not exist");
    let missing = |name: &str| SqlError::new(sqlstate::UNDEFINED_COLUMN, undefined(name));
    let refuse_twin = |fields: &[FieldDef], name: &str| match place(fields, name) {
        Some(_) => {
            let message = format!("column \"{name}\" of relation \"{of}\" already exists");
            Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message))
        }
        None => Ok(()),
    };
    match action {
        AlterField::Add(field) => {
            refuse_twin(fields, &field.name)?;
            fields.push(field.clone());
        }
        AlterField::Drop { name, if_exists } => match place(fields, name) {
            Some(place) => drop(fields.remove(place)),
            None if *if_exists => return Ok(Some(format!("{}, skipping", undefined(name)))),
            None => return Err(missing(name)),
        },
        AlterField::SetType(field) => match place(fields, &field.name) {
            Some(place) => fields[place] = field.clone(),
            None => return Err(missing(&field.name)),
        },
        AlterField::Rename { from, to } => {
            let Some(place) = place(fields, from) else {
                let message = format!("column \"{from}\" does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
            };
            refuse_twin(fields, to)?;
            fields[place].name.clone_from(to);
        }
    }
    Ok(None)
}

/// The name of a new CHECK of a domain.
pub(super) fn domain_check_name(of: &str, domain: &DomainDef, name: Option<&str>) -> Result<String> {
    let taken = |name: &str| domain.checks.iter().any(|check| check.name == name);
    match name {
        None => Ok(unused(object_name(of, None, "check"), taken)),
        Some(name) if taken(name) => {
            let message = format!("constraint \"{name}\" for domain \"{of}\" already exists");
            Err(SqlError::new(sqlstate::DUPLICATE_OBJECT, message))
        }
        Some(name) => Ok(name.to_owned()),
    }
}

/// Whether values of a type hold values of another: itself, arrays of it, domains over it, rows with it.
pub(super) fn holds(catalog: &Catalog, ty: TypeId, wanted: TypeId) -> bool {
    let element = ty.element().unwrap_or(ty);
    if element == wanted {
        return true;
    }
    match catalog.user_type(element).map(|found| &found.body) {
        Some(TypeBody::Domain(domain)) => holds(catalog, domain.base, wanted),
        Some(TypeBody::Composite(fields)) => fields.iter().any(|field| holds(catalog, field.ty, wanted)),
        _ => false,
    }
}

/// Refuses to change the columns of a table while another table's column has its rows.
pub(super) fn refuse_used_rows(catalog: &Catalog, table: &TableDef, actions: &[AlterTable]) -> Result<()> {
    let moves = |action: &AlterTable| {
        matches!(
            action,
            AlterTable::AddColumn { .. } | AlterTable::DropColumn { .. } | AlterTable::SetType { .. }
        )
    };
    match column_of_type(catalog, table.row_type()).filter(|_| actions.iter().any(moves)) {
        Some((user, column)) => {
            let message = format!(
                "cannot alter table \"{}\" because column \"{user}.{column}\" uses its row type",
                table.name
            );
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        None => Ok(()),
    }
}

/// Refuses to change a composite type while a table's column has its rows.
pub(super) fn refuse_used_type(catalog: &Catalog, ty: &TypeDef) -> Result<()> {
    match column_of_type(catalog, ty.id) {
        Some((table, column)) => {
            let message =
                format!("cannot alter type \"{}\" because column \"{table}.{column}\" uses it", ty.name);
            Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        None => Ok(()),
    }
}

/// A table's column whose values hold values of a type.
fn column_of_type(catalog: &Catalog, ty: TypeId) -> Option<(String, String)> {
    catalog.tables().find_map(|table| {
        let column = table.columns.iter().find(|column| holds(catalog, column.ty, ty))?;
        Some((table.name.clone(), column.name.clone()))
    })
}
