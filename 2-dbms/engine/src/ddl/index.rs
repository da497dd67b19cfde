//! CREATE INDEX, and the check that a new unique key holds over the rows that are there.

use std::sync::Arc;

use tuplix_catalog::{CatalogChange, IndexColumn, IndexDef, IndexId, IndexMethod, TableDef};
use tuplix_sql::plan::CreateIndex;
use tuplix_types::{Result, SqlError, Value, sqlstate};

use super::Work;
use super::names::{called_function, object_name, relation_exists, unused};
use super::table::check_distribution_in_key;
use crate::computed_index::ComputedKeys;
use crate::layout::TableAccess;
use crate::stop::Run;
use crate::transaction::{RowBatch, Scan};

impl Work<'_, '_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Run<&'static str> {
        let old = self.find_table(&create.table)?;
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
        let computed = ComputedKeys::of(&self.catalog, &old, &index)?;
        if create.unique {
            check_distribution_in_key(&old, &name, &columns)?;
        }
        if create.unique || computed.is_some() {
            self.check_keys(&old, &index, computed.as_ref())?;
        }
        let mut table = TableDef::clone(&old);
        let index = IndexDef { id: IndexId(self.catalog.allocate_oid()), ..index };
        self.append_index(&mut table, index)?;
        self.change(CatalogChange::PutTable(table));
        Ok("CREATE INDEX")
    }

    /// Looks for two rows with one key of columns.
    ///
    /// # Errors
    /// 23505 naming the key.
    pub(super) fn check_unique(&mut self, table: &Arc<TableDef>, name: &str, key: &[IndexColumn]) -> Run<()> {
        let index = IndexDef {
            id: IndexId(0),
            name: name.to_owned(),
            method: IndexMethod::Hash,
            columns: key.to_vec(),
            unique: true,
            primary: false,
            constraint: true,
            predicate: None,
        };
        self.check_keys(table, &index, None)
    }

    /// Computes the keys of all rows; in a unique index no two may be the same.
    ///
    /// # Errors
    /// 23505 naming the key; those of the index's expressions.
    fn check_keys(
        &mut self,
        table: &Arc<TableDef>,
        index: &IndexDef,
        computed: Option<&ComputedKeys>,
    ) -> Run<()> {
        let Some(access) = self.services.schema().layout.table(table.id).cloned() else { return Ok(()) };
        for bucket in 0..access.buckets {
            let mut keys = self.keys_of_bucket(&access, bucket, index, computed)?;
            if !index.unique {
                continue;
            }
            keys.sort();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                let part = |part: &IndexColumn| match &part.expression {
                    Some(expression) => expression.clone(),
                    None => table.columns[part.column].name.clone(),
                };
                let names: Vec<String> = index.columns.iter().map(part).collect();
                let detail = format!("Key ({})=({}) is duplicated.", names.join(", "), pair[0].1);
                let message = format!("could not create unique index \"{}\"", index.name);
                return Err(SqlError::new(sqlstate::UNIQUE_VIOLATION, message)
                    .detail(detail)
                    .table(&table.schema, &table.name)
                    .constraint(&index.name)
                    .into());
            }
        }
        Ok(())
    }

    fn keys_of_bucket(
        &mut self,
        access: &TableAccess,
        bucket: u16,
        index: &IndexDef,
        computed: Option<&ComputedKeys>,
    ) -> Run<Vec<(Vec<u8>, String)>> {
        let mut keys = Vec::new();
        let mut scan = Scan::default();
        let mut batch = RowBatch::new();
        loop {
            let more = self.tx.scan(access, bucket, &mut scan, &[], &mut batch)?;
            for row in &batch {
                let values = match computed {
                    Some(computed) => computed.key_of(&self.tx.read_row(*row))?,
                    None => Some(index.columns.iter().map(|part| self.tx.read(*row, part.column)).collect()),
                };
                let Some(values) = values.filter(|key: &Vec<Value>| !key.iter().any(Value::is_null)) else {
                    continue;
                };
                let mut bytes = Vec::new();
                let mut shown = Vec::new();
                for (place, (part, value)) in index.columns.iter().zip(&values).enumerate() {
                    tuplix_types::encode_key(value, false, false, &mut bytes);
                    let expression = computed.and_then(|computed| computed.expression_type(place));
                    let ty = expression.unwrap_or_else(|| access.table.columns[part.column].ty);
                    shown.push(crate::text::show(ty, value));
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
