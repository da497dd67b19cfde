//! CREATE INDEX.

use tuplix_catalog::{IndexColumn, IndexDef, IndexId, TableDef};
use tuplix_sql::plan::CreateIndex;
use tuplix_types::{Result, SqlError, sqlstate};

use super::Work;
use super::names::{called_function, object_name, relation_exists, unused};
use super::table::check_distribution_in_key;
use crate::computed_index::ComputedKeys;
use crate::stop::Run;

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
        let columns = index_columns(&old, create)?;
        let index = IndexDef {
            id: IndexId(0),
            name: name.clone(),
            method: create.method,
            columns: columns.clone(),
            unique: create.unique,
            primary: false,
            constraint: false,
            predicate: create.predicate.clone(),
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
