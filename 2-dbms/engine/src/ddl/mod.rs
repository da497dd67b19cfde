//! DDL: statements that change the catalogue.
//!
//! A statement latches every domain, so the catalogue stands still, works out the changes and leaves them in the run;
//! the commit makes them real together with the rows that they move.

mod alter;
mod foreign_key;
mod function;
mod index;
pub(crate) mod names;
mod remove;
mod sequence;
mod table;
mod trigger;

pub(crate) use foreign_key::check_places;
pub(crate) use table::check_distribution_in_key;

use tuplix_catalog::{Catalog, CatalogChange, SchemaDef, TableDef};
use tuplix_sql::plan::{Ddl, QualifiedName};
use tuplix_types::{Result, Severity, SqlError, sqlstate};

use crate::services::Services;
use crate::stop::Run;
use crate::transaction::Transaction;

/// A DDL statement at work.
pub(crate) struct Work<'w, 'n> {
    pub tx: &'w mut Transaction<'n>,
    pub services: &'n Services,
    /// The catalogue with the changes so far.
    pub catalog: Catalog,
    pub search_path: Vec<String>,
}

/// Executes one statement and returns its command tag.
///
/// # Errors
/// What PostgreSQL reports; nothing is changed then.
pub(crate) fn execute(tx: &mut Transaction<'_>, ddl: &Ddl) -> Run<&'static str> {
    let mut work = Work::start(tx)?;
    match ddl {
        Ddl::CreateSchema { name, if_not_exists } => work.create_schema(name, *if_not_exists),
        Ddl::CreateTable(create) => work.create_table(create),
        Ddl::CreateIndex(create) => work.create_index(create),
        Ddl::CreateFunction(create) => work.create_function(create),
        Ddl::Drop(drop) => work.drop(drop),
        Ddl::Truncate { tables, restart, cascade } => work.truncate(tables, *restart, *cascade),
        Ddl::CreateSequence { name, if_not_exists, options } => {
            work.create_sequence(name, *if_not_exists, options)
        }
        Ddl::AlterSequence { name, if_exists, options } => work.alter_sequence(name, *if_exists, options),
        Ddl::RenameSequence { name, if_exists, to } => work.rename_sequence(name, *if_exists, to),
        Ddl::CreateTrigger(create) => work.create_trigger(create),
        Ddl::DropTrigger { name, table, if_exists } => work.drop_trigger(name, table, *if_exists),
        Ddl::RenameTrigger { name, table, to } => work.rename_trigger(name, table, to),
        Ddl::AlterTable { table, if_exists, actions } => work.alter_table(table, *if_exists, actions),
    }
}

impl<'w, 'n> Work<'w, 'n> {
    pub(crate) fn start(tx: &'w mut Transaction<'n>) -> Run<Work<'w, 'n>> {
        tx.hold_all()?;
        tx.refuse_ddl_in_block()?;
        let services = tx.services();
        let schema = services.schema();
        let mut catalog = schema.catalog.clone();
        for change in &tx.scratch.catalog_changes {
            catalog.apply(change.clone());
        }
        let search_path = services.search_path();
        Ok(Work { tx, services, catalog, search_path })
    }

    pub(crate) fn change(&mut self, change: CatalogChange) {
        self.catalog.apply(change.clone());
        self.tx.scratch.catalog_changes.push(change);
    }

    fn skip(&mut self, sqlstate: tuplix_types::SqlState, message: String) {
        self.tx.notice(SqlError::new(sqlstate, message).severity(Severity::Notice));
    }

    fn create_schema(&mut self, name: &str, if_not_exists: bool) -> Run<&'static str> {
        if self.catalog.schema(name).is_some() {
            if if_not_exists {
                self.skip(sqlstate::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists, skipping"));
                return Ok("CREATE SCHEMA");
            }
            return Err(SqlError::new(
                sqlstate::DUPLICATE_SCHEMA,
                format!("schema \"{name}\" already exists"),
            )
            .into());
        }
        if name.starts_with("pg_") {
            return Err(SqlError::new(
                sqlstate::RESERVED_NAME,
                format!("unacceptable schema name \"{name}\""),
            )
            .detail("The prefix \"pg_\" is reserved for system schemas.")
            .into());
        }
        let oid = self.catalog.allocate_oid();
        self.change(CatalogChange::PutSchema(SchemaDef { oid, name: name.to_owned() }));
        Ok("CREATE SCHEMA")
    }

    /// The schema that a new object goes into.
    pub(crate) fn target_schema(&self, name: &QualifiedName) -> Result<String> {
        if let Some(schema) = &name.schema {
            return match self.catalog.schema(schema) {
                Some(_) if schema == "pg_catalog" => {
                    let message = format!("permission denied to create \"pg_catalog.{}\"", name.name);
                    Err(SqlError::new(sqlstate::INSUFFICIENT_PRIVILEGE, message)
                        .detail("System catalog modifications are currently disallowed."))
                }
                Some(_) => Ok(schema.clone()),
                None => {
                    let message = format!("schema \"{schema}\" does not exist");
                    Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message).at(name.position))
                }
            };
        }
        let found = self.search_path.iter().find(|schema| self.catalog.schema(schema).is_some());
        found.cloned().ok_or_else(|| {
            SqlError::new(sqlstate::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
                .at(name.position)
        })
    }

    /// The table of this name.
    pub(crate) fn find_table(&self, name: &QualifiedName) -> Result<std::sync::Arc<TableDef>> {
        let found = match &name.schema {
            Some(schema) => self.catalog.table_named(schema, &name.name),
            None => self.catalog.table_on_path(&self.search_path, &name.name),
        };
        found.cloned().ok_or_else(|| undefined_table(name))
    }
}

pub(crate) fn undefined_table(name: &QualifiedName) -> SqlError {
    let shown = match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    };
    SqlError::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist")).at(name.position)
}
