//! CREATE INDEX, and the check that a new unique key holds over the rows that are there.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, IndexColumn, IndexDef, IndexId, TableDef};
use tuplix_sql::plan::CreateIndex;
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::Work;
use super::names::{object_name, relation_exists, unused};
use super::table::check_distribution_in_key;
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::{RowBatch, Scan};

impl Work<'_, '_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Run<&'static str> {
        let old = self.find_table(&create.table)?;
        let names: Vec<&str> = create
            .columns
            .iter()
            .map(|(name, key)| if key.expression.is_some() { "expr" } else { name.as_str() })
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
        if create.predicate.is_some() || columns.iter().any(|column| column.expression.is_some()) {
            return Err(SqlError::unsupported("a partial index or an index on an expression").into());
        }
        if create.unique {
            check_distribution_in_key(&old, &name, &columns)?;
            self.check_unique(&old, &name, &columns)?;
        }
        let mut table = TableDef::clone(&old);
        let id = IndexId(self.catalog.allocate_oid());
        let (method, unique) = (create.method, create.unique);
        let predicate = create.predicate.clone();
        let index =
            IndexDef { id, name, method, columns, unique, primary: false, constraint: false, predicate };
        self.append_index(&mut table, index)?;
        self.change(CatalogChange::PutTable(table));
        Ok("CREATE INDEX")
    }

    /// Looks for two rows with one key.
    ///
    /// # Errors
    /// 23505 naming the key.
    pub(super) fn check_unique(&mut self, table: &Arc<TableDef>, name: &str, key: &[IndexColumn]) -> Run<()> {
        let Some(access) = self.services.schema().layout.table(table.id).cloned() else { return Ok(()) };
        for bucket in 0..access.buckets {
            let mut keys = self.keys_of_bucket(&access, bucket, key)?;
            keys.sort();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let names: Vec<&str> =
                    key.iter().map(|part| table.columns[part.column].name.as_str()).collect();
                let detail = format!("Key ({})=({}) is duplicated.", names.join(", "), pair[0].1);
                let message = format!("could not create unique index \"{name}\"");
                return Err(SqlError::new(sqlstate::UNIQUE_VIOLATION, message)
                    .detail(detail)
                    .table(&table.schema, &table.name)
                    .constraint(name)
                    .into());
            }
        }
        Ok(())
    }

    fn keys_of_bucket(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        key: &[IndexColumn],
    ) -> Run<Vec<(Vec<u8>, String)>> {
        let mut keys = Vec::new();
        let mut scan = Scan::default();
        let mut batch = RowBatch::new();
        loop {
            let more = self.tx.scan(access, bucket, &mut scan, &[], &mut batch)?;
            for row in &batch {
                let values: Vec<Value> = key.iter().map(|part| self.tx.read(*row, part.column)).collect();
                if values.iter().any(Value::is_null) {
                    continue;
                }
                let mut bytes = Vec::new();
                let mut shown = Vec::new();
                for (part, value) in key.iter().zip(&values) {
                    tuplix_types::encode_key(value, false, false, &mut bytes);
                    shown.push(crate::text::show(access.table.columns[part.column].ty, value));
                }
                keys.push((bytes, shown.join(", ")));
            }
            if !more {
                return Ok(keys);
            }
        }
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
