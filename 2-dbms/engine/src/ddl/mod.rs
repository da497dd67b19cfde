//! DDL: statements that change the catalogue.
//!
//! A statement works on the private catalogue of its transaction (docs/adr/0005): it locks the tables that it changes,
//! builds their rows anew beside the old ones where their shape changes, and the commit makes all of it real.

mod alter;
mod alter_columns;
mod alter_domain;
mod alter_routine;
mod analyze;
mod comment;
mod create_table_as;
mod drop_type;
mod extension;
mod foreign_key;
mod function;
mod function_uses;
mod generation;
mod grant;
mod index;
mod like;
mod lock;
pub(crate) mod names;
mod owner;
mod policy;
mod refresh;
mod remove;
mod rename;
mod rights;
mod roles;
mod sequence;
mod set_type;
mod table;
mod temporary;
mod texts;
mod trigger;
mod types;
mod view;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod view_tests;

pub(crate) use create_table_as::from_rows as create_table_from_rows;
pub(crate) use foreign_key::check_places;
pub(crate) use table::check_distribution_in_key;
pub(crate) use temporary::{drop_on_commit, drop_temporary};

use std::collections::BTreeSet;
use std::sync::Arc;

use tuplix_catalog::{Catalog, CatalogChange, SchemaDef, TableDef, TableId};
use tuplix_sql::plan::{Ddl, QualifiedName};
use tuplix_types::{Result, Severity, SqlError, Tag, Value, sqlstate};

use crate::layout::TableAccess;
use crate::node::{Homes, Schema};
use crate::services::{Services, TEMPORARY_SCHEMA};
use crate::stop::Run;
use crate::transaction::{CatalogEntry, CatalogState, Transaction};

/// A DDL statement at work.
pub(crate) struct Work<'w, 'n> {
    pub tx: &'w mut Transaction<'n>,
    pub services: &'n Services,
    /// The catalogue with the changes so far.
    pub catalog: Catalog,
    pub search_path: Vec<String>,
    /// Where the tables of that catalogue lie.
    homes: Arc<Homes>,
    /// Tables whose rows the log does not have.
    fresh: Arc<BTreeSet<TableId>>,
    /// There are changes that the transaction does not see yet.
    unseen: bool,
    /// Sequences that stand elsewhere from now on.
    restarted: Vec<(tuplix_catalog::SequenceId, i64, bool)>,
    /// What the DROP under way names: no object of these holds up another.
    pub dropping: Vec<tuplix_catalog::TableId>,
    /// Tables that went with others, to be locked before the statement ends.
    going: Vec<TableId>,
}

/// Executes one statement and returns its command tag.
///
/// # Errors
/// What PostgreSQL reports; nothing is changed then.
pub(crate) fn execute(tx: &mut Transaction<'_>, ddl: &Ddl, arguments: &[Value]) -> Run<Tag> {
    if let Ddl::CreateTableAs(create) = ddl {
        check_rights(tx, ddl)?;
        return create_table_as::execute(tx, create, arguments);
    }
    if let Ddl::Refresh(refresh) = ddl {
        check_rights(tx, ddl)?;
        return refresh::execute(tx, refresh);
    }
    if let Ddl::Lock(lock) = ddl {
        return lock::execute(tx, lock);
    }
    let mut work = Work::start(tx)?;
    work.check_rights(ddl)?;
    let command = match ddl {
        Ddl::Type(statement) => work.type_statement(statement),
        Ddl::CreateSchema { name, if_not_exists } => work.create_schema(name, *if_not_exists),
        Ddl::CreateTable(create) => work.create_table(create),
        Ddl::CreateIndex(create) => work.create_index(create),
        Ddl::CreateFunction(create) => work.create_function(create),
        Ddl::CreateView(create) => work.create_view(create),
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
        Ddl::AlterTable { table, if_exists, actions, of } => {
            work.alter_table(table, *if_exists, actions, *of)
        }
        Ddl::RenameIndex { index, if_exists, to } => work.rename_index(index, *if_exists, to),
        Ddl::RenameSchema { from, to } => work.rename_schema(from, to),
        Ddl::Comment { target, text } => work.comment(target, text.as_deref()),
        Ddl::Owner { target, role } => work.alter_owner(target, role),
        Ddl::Role(statement) => work.role_statement(statement),
        Ddl::Rights(statement) => work.rights_statement(statement),
        Ddl::AlterRoutine { name, types, kind, change } => {
            work.alter_routine(name, types.as_deref(), *kind, change)
        }
        Ddl::MoveSequence { name, if_exists, schema } => work.move_sequence(name, *if_exists, schema),
        Ddl::IndexOptions { index, if_exists, set, reset } => {
            work.index_options(index, *if_exists, set, reset)
        }
        Ddl::Reindex { of_table, name, .. } => work.reindex(*of_table, name),
        Ddl::Extension { name, create: true, lenient } => work.create_extension(name, *lenient),
        Ddl::Extension { name, create: false, lenient } => work.drop_extension(name, *lenient),
        Ddl::Analyze(statement) => work.analyze(statement),
        Ddl::CreateTableAs(_) | Ddl::Lock(_) | Ddl::Refresh(_) => {
            Err(SqlError::internal("the statement was not executed as such").into())
        }
    }?;
    let going = std::mem::take(&mut work.going);
    work.tx.lock_for_ddl(&going)?;
    work.show()?;
    Ok(Tag { command, rows: None })
}

/// Whether the current role may execute a statement.
fn check_rights(tx: &mut Transaction<'_>, ddl: &Ddl) -> Run<()> {
    Ok(Work::start(tx)?.check_rights(ddl)?)
}

/// Whether the current role may lock tables: who may has nothing to start a change of the catalogue for.
fn check_rights_of_lock(tx: &mut Transaction<'_>, lock: &tuplix_sql::plan::LockTables) -> Run<()> {
    let services = tx.services();
    match services.with_catalog(|catalog| catalog.is_superuser(services.current_role())) {
        true => Ok(()),
        false => check_rights(tx, &Ddl::Lock(lock.clone())),
    }
}

impl<'w, 'n> Work<'w, 'n> {
    pub(crate) fn start(tx: &'w mut Transaction<'n>) -> Run<Work<'w, 'n>> {
        tx.begin_ddl()?;
        let services = tx.services();
        let state = tx.private_catalog_mut().state.clone();
        let CatalogState { schema, homes, fresh, .. } = state;
        let search_path = services.search_path();
        let catalog = schema.catalog.clone();
        let dropping = Vec::new();
        let mut work = Work {
            tx,
            services,
            catalog,
            search_path,
            homes,
            fresh,
            unseen: false,
            restarted: Vec::new(),
            dropping,
            going: Vec::new(),
        };
        work.sweep_temporary()?;
        Ok(work)
    }

    /// Makes a change that moves no rows.
    pub(crate) fn change(&mut self, change: CatalogChange) {
        if !self.is_temporary(&change) {
            self.tx.private_catalog_mut().entries.push(CatalogEntry::Change(Box::new(change.clone())));
        }
        if let CatalogChange::SetSequence { id, value, called } = change {
            self.restarted.push((id, value, called));
        }
        let made = self.made_by(&change);
        self.catalog.apply(change);
        self.unseen = true;
        if let Some((on, kind, schema)) = made {
            self.own(on, kind, schema);
        }
    }

    /// Lets the transaction see the changes so far.
    pub(crate) fn show(&mut self) -> Run<()> {
        if std::mem::take(&mut self.unseen) {
            let node = self.tx.node;
            let before = self.services.schema();
            let mut layout = node.layout(&self.catalog, &self.homes, &before.layout)?;
            for (id, value, called) in self.restarted.drain(..) {
                layout.put_sequence(node.machine(), id, value, called);
            }
            let schema = Schema { catalog: self.catalog.clone(), layout, version: node.private_version() };
            let entries = self.tx.private_catalog_mut().entries.len();
            let (homes, fresh) = (self.homes.clone(), self.fresh.clone());
            self.tx.install_catalog(CatalogState { schema: Arc::new(schema), homes, fresh, entries });
        }
        Ok(())
    }

    /// A table as code names it now; `None` when it is not there.
    pub(crate) fn access(&mut self, id: TableId) -> Run<Option<TableAccess>> {
        self.show()?;
        Ok(self.services.schema().layout.table(id).cloned())
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
                Some(_) if schema.starts_with(TEMPORARY_SCHEMA) => {
                    let message = "cannot create relations in temporary schemas of other sessions";
                    Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message).at(name.position))
                }
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
        let found = self
            .search_path
            .iter()
            .find(|schema| !schema.starts_with(TEMPORARY_SCHEMA) && self.catalog.schema(schema).is_some());
        found.cloned().ok_or_else(|| {
            SqlError::new(sqlstate::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
                .at(name.position)
        })
    }

    /// Refuses to change a table whose triggers run, or wait.
    ///
    /// # Errors
    /// 55006
    fn refuse_in_use(&self, table: &TableDef, command: &str) -> Result<()> {
        if self.services.firing.borrow().contains(&table.id) {
            let message = format!(
                "cannot {command} \"{}\" because it is being used by active queries in this session",
                table.name
            );
            return Err(SqlError::new(sqlstate::OBJECT_IN_USE, message));
        }
        // Those that SET CONSTRAINTS has made immediate were checked then.
        let modes = self.services.constraint_modes.borrow();
        let waiting = self.tx.waiting_checks().filter(|check| modes.is_deferred(check.key()));
        crate::exec::refuse_pending(waiting, table, command)
    }

    /// The table of this name.
    pub(crate) fn find_table(&self, name: &QualifiedName) -> Result<Arc<TableDef>> {
        let found = match &name.schema {
            Some(schema) if schema == "pg_temp" => {
                self.catalog.table_named(&self.services.temporary_schema(), &name.name)
            }
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
