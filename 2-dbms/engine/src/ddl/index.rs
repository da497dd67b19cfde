//! CREATE INDEX.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, IndexColumn, IndexDef, IndexId, IndexMethod, TableDef};
use tuplix_sql::analyze::TableExpression;
use tuplix_sql::plan::{CreateIndex, QualifiedName};
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::names::{called_function, object_name, relation_exists, unused};
use super::table::check_distribution_in_key;
use crate::bind::Binder;
use crate::computed_index::ComputedKeys;
use crate::stop::Run;
use crate::system::ClassUse;

impl Work<'_, '_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Run<&'static str> {
        let old = self.find_table(&create.table)?;
        if old.view.is_some() {
            let message = format!("cannot create index on relation \"{}\"", old.name);
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message)
                .detail("This operation is not supported for views.")
                .into());
        }
        self.refuse_in_use(&old, "CREATE INDEX")?;
        let names: Vec<String> = create
            .columns
            .iter()
            .map(|(name, key)| match &key.expression {
                Some(expression) => called_function(expression).unwrap_or_else(|| "expr".to_owned()),
                None => name.clone(),
            })
            .chain(create.included.iter().cloned())
            .collect();
        let name = match &create.name {
            Some(name) if relation_exists(&self.catalog, &old.schema, name) => {
                if create.if_not_exists {
                    self.skip(
                        sqlstate::DUPLICATE_TABLE,
                        format!("relation \"{name}\" already exists, skipping"),
                    );
                    return Ok("CREATE INDEX");
                }
                let message = format!("relation \"{name}\" already exists");
                return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message).into());
            }
            Some(name) => name.clone(),
            None => unused(object_name(&old.name, Some(&names.join("_")), "idx"), |name| {
                relation_exists(&self.catalog, &old.schema, name)
            }),
        };
        let mut columns = index_columns(&old, create)?;
        for key in &mut columns {
            self.settle_class(&old, create.method, key)?;
        }
        let index = IndexDef {
            id: IndexId(0),
            name: name.clone(),
            method: create.method,
            columns: columns.clone(),
            unique: create.unique,
            primary: false,
            constraint: false,
            predicate: create.predicate.clone(),
            included: self.included_columns(&old, &create.included)?,
            options: create.options.clone(),
        };
        ComputedKeys::of(&self.catalog, &old, &index)?;
        self.tx.lock_for_ddl(&[old.id])?;
        if create.unique {
            check_distribution_in_key(&old, &name, &columns)?;
        }
        let mut table = TableDef::clone(&old);
        let index = IndexDef { id: IndexId(self.catalog.allocate_oid()), ..index };
        self.append_index(&mut table, index)?;
        self.put_table(table)?;
        Ok("CREATE INDEX")
    }

    /// The columns of INCLUDE.
    pub(super) fn included_columns(&self, table: &TableDef, names: &[String]) -> Result<Vec<usize>> {
        let column = |name: &String| {
            table.column(name).ok_or_else(|| {
                let message = format!("column \"{name}\" does not exist");
                SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
            })
        };
        names.iter().map(column).collect()
    }

    /// Looks an operator class up; the type's own need not be remembered.
    fn settle_class(&self, table: &TableDef, method: IndexMethod, key: &mut IndexColumn) -> Result<()> {
        let Some(class) = &key.class else { return Ok(()) };
        let ty = match &key.expression {
            Some(text) => {
                let schema = self.changed_schema();
                let binder = Binder::new(&schema, &self.search_path);
                binder.table_expression(table, text, TableExpression::Index)?.0.ty
            }
            None => table.columns[key.column].ty,
        };
        let ty = self.catalog.base_type(ty, -1).0;
        match crate::system::class_use(method, class, ty) {
            ClassUse::Own => key.class = None,
            ClassUse::Same => {}
            ClassUse::Missing => {
                let method = if method == IndexMethod::Hash { "hash" } else { "btree" };
                let message =
                    format!("operator class \"{class}\" does not exist for access method \"{method}\"");
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
            }
            ClassUse::OfAnotherType => {
                let message = format!("operator class \"{class}\" does not accept data type {ty}");
                return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
            }
            ClassUse::Unsupported => {
                return Err(SqlError::unsupported(format_args!("operator class \"{class}\" in an index")));
            }
        }
        Ok(())
    }

    /// ALTER INDEX SET and RESET (...)
    pub(super) fn index_options(
        &mut self,
        name: &QualifiedName,
        if_exists: bool,
        set: &[String],
        reset: &[String],
    ) -> Run<&'static str> {
        let Some(table) = self.find_index(name) else {
            let error = super::undefined_table(name);
            if if_exists {
                self.skip(sqlstate::SUCCESSFUL_COMPLETION, format!("{}, skipping", error.message()));
                return Ok("ALTER INDEX");
            }
            return Err(error.into());
        };
        let mut table = TableDef::clone(&table);
        if let Some(index) = table.indexes.iter_mut().find(|index| index.name == name.name) {
            change_options(&mut index.options, set, reset);
        }
        self.change(CatalogChange::PutTable(table));
        Ok("ALTER INDEX")
    }

    /// REINDEX: all indexes of a table are built anew, also where one is named. Those of the system are computed.
    pub(super) fn reindex(&mut self, of_table: Option<bool>, name: &QualifiedName) -> Run<&'static str> {
        match of_table {
            Some(false) => {
                let Some(table) = self.find_index(name) else {
                    return Err(match self.find_table(name) {
                        Ok(_) => super::comment::not_a(&name.name, "an index").into(),
                        Err(error) => error.into(),
                    });
                };
                self.rebuild_indexes(&table)?;
            }
            Some(true) => {
                let table = self.find_table(name)?;
                self.refuse_view(&table, "a table or materialized view", None)?;
                self.rebuild_indexes(&table)?;
            }
            None => {
                let database = name.name == self.services.database;
                if !name.name.is_empty() && !database && self.catalog.schema(&name.name).is_none() {
                    let message = format!("schema \"{}\" does not exist", name.name);
                    return Err(SqlError::new(sqlstate::INVALID_SCHEMA_NAME, message).into());
                }
                let all = name.name.is_empty() || database;
                let tables: Vec<Arc<TableDef>> =
                    self.catalog.tables().filter(|table| all || table.schema == name.name).cloned().collect();
                tables.iter().try_for_each(|table| self.rebuild_indexes(table))?;
            }
        }
        Ok("REINDEX")
    }
}

/// What SET and RESET make of storage parameters.
pub(super) fn change_options(options: &mut Vec<String>, set: &[String], reset: &[String]) {
    let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let goes = |option: &String| {
        let known = name(option);
        reset.contains(&known) || set.iter().any(|new| name(new) == known)
    };
    options.retain(|option| !goes(option));
    options.extend_from_slice(set);
}

fn index_columns(table: &TableDef, create: &CreateIndex) -> Result<Vec<IndexColumn>> {
    let column = |(name, order): &(String, IndexColumn)| match table.column(name) {
        _ if order.expression.is_some() => Ok(order.clone()),
        Some(column) => Ok(IndexColumn { column, ..order.clone() }),
        None => {
            let message = format!("column \"{name}\" does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
        }
    };
    create.columns.iter().map(column).collect()
}
