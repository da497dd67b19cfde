//! COMMENT ON, and the objects that it and OWNER TO name.

use tuplix_catalog::{
    CLASS_CONSTRAINT, CLASS_DATABASE, CLASS_FUNCTION, CLASS_RELATION, CLASS_SCHEMA, CLASS_TRIGGER,
    CLASS_TYPE, CatalogChange, CheckDef, Described, TableDef, TypeBody,
};
use tuplix_sql::plan::{ObjectName, QualifiedName, RelationKind};
use tuplix_types::{Result, SqlError, sqlstate};

use super::alter::column_of;
use super::{Work, undefined_table};
use crate::stop::Run;

impl Work<'_, '_> {
    pub(super) fn comment(&mut self, target: &ObjectName, text: Option<&str>) -> Run<&'static str> {
        let about = self.described(target)?;
        self.change(CatalogChange::Comment { about, text: text.map(str::to_owned) });
        Ok("COMMENT")
    }

    /// The object of this name, as `pg_description` names it.
    pub(super) fn described(&mut self, target: &ObjectName) -> Result<Described> {
        let whole = |class, object| Described { class, object, part: 0 };
        Ok(match target {
            ObjectName::Table(name) => whole(CLASS_RELATION, self.relation(name, RelationKind::Table)?),
            ObjectName::View(name) => whole(CLASS_RELATION, self.relation(name, RelationKind::View)?),
            ObjectName::MaterializedView(name) => {
                whole(CLASS_RELATION, self.relation(name, RelationKind::MaterializedView)?)
            }
            ObjectName::Index(name) => whole(CLASS_RELATION, self.index_object(name)?),
            ObjectName::Sequence(name) => whole(CLASS_RELATION, self.find_sequence(name)?.id.0),
            ObjectName::Column(name, column) => {
                let table = self.find_table(name)?;
                let part = table.number(column_of(&table, column)?) as u32;
                Described { class: CLASS_RELATION, object: table.id.0, part }
            }
            ObjectName::Constraint(table, name) => {
                whole(CLASS_CONSTRAINT, self.constraint_object(table, name)?)
            }
            ObjectName::DomainConstraint(domain, name) => {
                whole(CLASS_CONSTRAINT, self.domain_constraint_object(domain, name)?)
            }
            ObjectName::Trigger(table, name) => {
                let table = self.find_table(table)?;
                match table.triggers.iter().find(|trigger| trigger.name == *name) {
                    Some(trigger) => whole(CLASS_TRIGGER, trigger.id),
                    None => return Err(super::trigger::undefined_trigger(name, &table.name)),
                }
            }
            ObjectName::Type(name) => whole(CLASS_TYPE, self.find_type(name)?.id.0),
            ObjectName::Domain(name) => {
                let found = self.find_type(name)?;
                if found.domain().is_none() {
                    return Err(not_a(&name.name, "a domain"));
                }
                whole(CLASS_TYPE, found.id.0)
            }
            ObjectName::Schema(name) => match self.catalog.schema(name) {
                Some(schema) => whole(CLASS_SCHEMA, schema.oid),
                None => {
                    let message = format!("schema \"{name}\" does not exist");
                    return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message));
                }
            },
            ObjectName::Database(name) if *name == self.services.database => {
                whole(CLASS_DATABASE, crate::system::DATABASE)
            }
            ObjectName::Database(name) => {
                let message = format!("database \"{name}\" does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_DATABASE, message));
            }
            ObjectName::Function(name, types, kind) => {
                whole(CLASS_FUNCTION, self.find_function(name, types.as_deref(), *kind)?.0)
            }
        })
    }

    fn relation(&self, name: &QualifiedName, kind: RelationKind) -> Result<u32> {
        match (self.find_table(name), self.find_index(name)) {
            (Ok(table), _) if kind_of(&table) == kind => Ok(table.id.0),
            (Err(error), None) if self.find_sequence(name).is_err() => Err(error),
            _ => Err(not_a(&name.name, kind_name(kind))),
        }
    }

    fn index_object(&self, name: &QualifiedName) -> Result<u32> {
        let index = self.find_index(name).and_then(|table| {
            table.indexes.iter().find(|index| index.name == name.name).map(|index| index.id.0)
        });
        match (index, self.find_table(name)) {
            (Some(index), _) => Ok(index),
            (None, Ok(_)) => Err(not_a(&name.name, "an index")),
            (None, Err(_)) => Err(undefined_table(name)),
        }
    }

    fn constraint_object(&mut self, name: &QualifiedName, constraint: &str) -> Result<u32> {
        let table = self.find_table(name)?;
        let index = table.indexes.iter().find(|index| index.constraint && index.name == constraint);
        let key = table.foreign_keys.iter().find(|key| key.name == constraint);
        if let Some(oid) = index.map(|index| index.id.0).or(key.map(|key| key.id)) {
            return Ok(oid);
        }
        let Some(place) = table.checks.iter().position(|check| check.name == constraint) else {
            let message = format!("constraint \"{constraint}\" for table \"{}\" does not exist", table.name);
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
        };
        let mut changed = TableDef::clone(&table);
        let oid = self.check_oid(&mut changed.checks[place]);
        if changed != *table {
            self.change(CatalogChange::PutTable(changed));
        }
        Ok(oid)
    }

    fn domain_constraint_object(&mut self, name: &QualifiedName, constraint: &str) -> Result<u32> {
        let old = self.find_type(name)?;
        let mut found = old.clone();
        let TypeBody::Domain(domain) = &mut found.body else { return Err(not_a(&name.name, "a domain")) };
        let Some(check) = domain.checks.iter_mut().find(|check| check.name == constraint) else {
            let message = format!("constraint \"{constraint}\" for domain {} does not exist", name.name);
            return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
        };
        let oid = self.check_oid(check);
        if found != old {
            self.change(CatalogChange::PutType(found));
        }
        Ok(oid)
    }

    /// The object id of a CHECK: one of its own from when it is first asked for.
    fn check_oid(&mut self, check: &mut CheckDef) -> u32 {
        if check.oid == 0 {
            check.oid = self.catalog.allocate_oid();
        }
        check.oid
    }
}

/// What a relation is.
pub(super) fn kind_of(table: &TableDef) -> RelationKind {
    match (&table.view, table.materialized.is_some()) {
        (Some(_), _) => RelationKind::View,
        (None, true) => RelationKind::MaterializedView,
        (None, false) => RelationKind::Table,
    }
}

/// `a table`, in messages.
pub(super) fn kind_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "a table",
        RelationKind::View => "a view",
        RelationKind::MaterializedView => "a materialized view",
    }
}

pub(super) fn not_a(name: &str, kind: &str) -> SqlError {
    SqlError::new(sqlstate::WRONG_OBJECT_TYPE, format!("\"{name}\" is not {kind}"))
}
